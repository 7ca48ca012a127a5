//! A suspended release is left alone, whatever is declared, until it is resumed.

use std::time::Duration;

use anyhow::{Result, ensure};
use e2e::charts::{self, Chart};
use e2e::eventually;
use e2e::kwok::{PLAY, play};
use e2e::status::{self, Conditioned as _};
use e2e::story::{SOON, story};
use helm_operator::api::{HelmRelease, RELEASE_FINALIZER, Reason};
use k8s_openapi::api::core::v1::ConfigMap;
use kube::ResourceExt as _;
use serde_json::json;

#[test]
fn a_suspended_release_waits_and_a_resumed_one_catches_up() -> Result<()> {
    story("suspension", async |story| {
        for version in ["1.0.0", "1.1.0"] {
            story.push(&charts::note("memo", version)).await?;
        }
        story.open_repository().await?;
        story.release("memo", "memo", "1.0.0", json!({})).await?;
        story.ready("memo").await?;

        story.patch("memo", json!({ "spec": { "suspend": true, "chart": { "version": "1.1.0" } } })).await?;
        let told = |release: &HelmRelease| {
            let message = status::message(release);
            ensure!(message.contains("suspended: what is declared since then is not carried out"), "{message}");
            Ok(())
        };
        let suspended = eventually::object(&story.releases(), "memo", SOON, told).await?;
        // Nothing happens: that can only be watched for a while.
        eventually::measure(Duration::from_secs(2)).await;
        ensure!(story.history("memo").await? == "1 deployed", "a suspended release was upgraded");
        let still = story.releases().get("memo").await?;
        let ready = still.conditions().iter().find(|is| is.type_ == "Ready").map(|is| is.status.clone());
        ensure!(ready.as_deref() == Some("True"), "suspending changed Ready: {}", status::summary(&still));
        ensure!(status::message(&still) == status::message(&suspended), "it is told again and again");
        // Who waits by it waits until it is carried out.
        let seen = still.status.as_ref().and_then(|status| status.observed_generation);
        ensure!(seen < still.metadata.generation, "seen generation {seen:?}");

        story.patch("memo", json!({ "spec": { "suspend": false } })).await?;
        story.ready("memo").await?;
        let told = story.history("memo").await?;
        ensure!(told == "1 superseded, 2 deployed", "helm history tells: {told}");
        Ok(())
    })
}

#[test]
fn a_suspended_release_that_is_deleted_stays_unless_its_policy_says_otherwise() -> Result<()> {
    story("suspended-deleted", async |story| {
        story.push(&charts::note("memo", "1.0.0")).await?;
        story.open_repository().await?;
        story.release("left", "memo", "1.0.0", json!({})).await?;
        story.release("told", "memo", "1.0.0", json!({ "uninstall": { "deletionPolicy": "Uninstall" } })).await?;
        for (release, stays) in [("left", true), ("told", false)] {
            story.ready(release).await?;
            story.patch(release, json!({ "spec": { "suspend": true } })).await?;
            story.delete(release).await?;
            let map = story.objects::<ConfigMap>().get_opt(&format!("{release}-config")).await?;
            ensure!(map.is_some() == stays, "{release}: its ConfigMap is there: {}", map.is_some());
        }
        ensure!(story.history("left").await? == "1 deployed", "the history of what is left goes on");
        story.event("left", Reason::UninstallSkipped, "suspended").await
    })
}

#[test]
fn a_release_that_is_uninstalled_by_hand_while_it_is_suspended_says_so() -> Result<()> {
    story("suspended-gone", async |story| {
        story.push(&charts::note("memo", "1.0.0")).await?;
        story.open_repository().await?;
        story.release("memo", "memo", "1.0.0", json!({})).await?;
        story.ready("memo").await?;
        story.patch("memo", json!({ "spec": { "suspend": true } })).await?;
        story.helm.run(&["uninstall", "memo", "--namespace", &story.namespace]).await?;
        story.refused("memo", Reason::Suspended, &["revision 1 is no longer deployed"]).await.map(drop)
    })
}

#[test]
fn a_release_suspended_while_it_renders_is_not_rendered_to_the_end() -> Result<()> {
    story("suspended-render", async |story| {
        let endless = "{{ range until 1000 }}{{ bcrypt \"x\" }}{{ end }}\n";
        story.push(&Chart::new("endless", "1.0.0").file("templates/main.yaml", endless)).await?;
        story.open_repository().await?;
        story.release("endless", "endless", "1.0.0", json!({})).await?;
        let held = |release: &HelmRelease| {
            ensure!(release.finalizers().iter().any(|held| held == RELEASE_FINALIZER), "no finalizer yet");
            Ok(())
        };
        eventually::object(&story.releases(), "endless", SOON, held).await?;

        story.patch("endless", json!({ "spec": { "suspend": true } })).await?;
        let mut told = Vec::new();
        let suspended = |release: &HelmRelease| {
            told.extend(release.conditions().iter().map(|condition| condition.reason.clone()));
            status::failed(release, Reason::Suspended)
        };
        eventually::object(&story.releases(), "endless", SOON, suspended).await?;
        let limited = told.contains(&Reason::RenderLimitExceeded.to_string());
        ensure!(!limited, "it was rendered until a limit ended it: {told:?}");
        Ok(())
    })
}

#[test]
fn a_release_that_is_suspended_during_its_install_says_that_something_is_there() -> Result<()> {
    story("suspended-installing", async |story| {
        story.push(&charts::web("web", "1.0.0")).await?;
        story.open_repository().await?;
        let values = json!({ "podAnnotations": { PLAY: play::NEVER_READY } });
        story.release("app", "web", "1.0.0", json!({ "values": values })).await?;
        story
            .eventually("it is pending", async || {
                let history = story.history("app").await?;
                ensure!(history == "1 pending-install", "{history}");
                Ok(())
            })
            .await?;
        story.patch("app", json!({ "spec": { "suspend": true } })).await?;
        story.refused("app", Reason::Suspended, &["in the middle of an install"]).await.map(drop)
    })
}
