//! A release that becomes ready late: what it says meanwhile, and what a restart of the operator does to its wait.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use e2e::kwok::{PLAY, play};
use e2e::status::{self, Conditioned as _};
use e2e::story::{SOON, Story, alone, as_it_is, story};
use e2e::{charts, eventually};
use helm_operator::api::{HelmRelease, Reason};
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{ConfigMap, Service};
use kube::api::{DeleteParams, Patch, PatchParams};
use serde_json::{Value, json};

fn stuck(timeout: &str) -> Value {
    json!({ "timeout": timeout, "values": { "podAnnotations": { PLAY: play::NEVER_READY } } })
}

/// Until the release says that all of it is applied, and what it waits for.
async fn waiting(story: &Story<'_>, name: &str) -> Result<HelmRelease> {
    eventually::object(&story.releases(), name, SOON, |release| {
        status::has(release, "Ready", "False", Reason::Progressing)?;
        let message = status::message(release);
        ensure!(message.contains("all objects are applied; waiting until"), "{message}");
        ensure!(message.contains("Deployment"), "{message}");
        Ok(())
    })
    .await
}

#[test]
fn a_restart_goes_on_with_a_wait_and_makes_anew_only_what_is_gone() -> Result<()> {
    alone("waited-on", as_it_is, async |story| {
        story.push(&charts::web("web", "1.0.0")).await?;
        story.open_repository().await?;
        story.release("web", "web", "1.0.0", stuck("10m")).await?;
        waiting(story, "web").await?;
        {
            let mut operator = story.stage.operator().await;
            operator.kill().await?;
            story.objects::<Service>().delete("web", &DeleteParams::default()).await?;
            // Would be set back by an apply of the whole chart.
            let changed = json!({ "data": { "greeting": "changed while nobody looked" } });
            story.objects::<ConfigMap>().patch("web-config", &PatchParams::default(), &Patch::Merge(changed)).await?;
            operator.start().await?;
        }
        eventually::object(&story.objects::<Service>(), "web", SOON, |_| Ok(())).await?;
        let config = story.objects::<ConfigMap>().get("web-config").await?;
        let greeting = config.data.and_then(|mut data| data.remove("greeting")).context("no greeting")?;
        ensure!(greeting == "changed while nobody looked", "{greeting}");
        waiting(story, "web").await?;
        ensure!(story.history("web").await? == "1 pending-install", "{}", story.history("web").await?);

        let mended = json!({ "spec": { "template": { "metadata": { "annotations": { PLAY: null } } } } });
        story.objects::<Deployment>().patch("web", &PatchParams::default(), &Patch::Merge(mended)).await?;
        let release = story.ready("web").await?;
        ensure!(story.history("web").await? == "1 deployed", "{}", story.history("web").await?);
        let inventory = release.status.and_then(|status| status.inventory).context("no inventory")?;
        ensure!(inventory.entries.iter().all(|entry| entry.uid.is_some()), "{inventory:?}");
        Ok(())
    })
}

#[test]
fn a_wait_that_ends_in_vain_is_one_failed_revision() -> Result<()> {
    story("waited-in-vain", async |story| {
        story.push(&charts::web("web", "1.0.0")).await?;
        story.open_repository().await?;
        story.release("web", "web", "1.0.0", stuck("8s")).await?;
        waiting(story, "web").await?;
        let release = story.refused("web", Reason::NotReady, &["not ready within 8s", "Deployment"]).await?;
        let released =
            release.conditions().iter().find(|condition| condition.type_ == "Released").context("Released")?;
        ensure!(released.status == "False" && released.reason == "InstallFailed", "{released:?}");
        ensure!(story.history("web").await?.starts_with("1 failed"), "{}", story.history("web").await?);
        Ok(())
    })
}

#[test]
fn another_timeout_holds_for_a_wait_that_goes_on() -> Result<()> {
    story("waited-shorter", async |story| {
        story.push(&charts::web("web", "1.0.0")).await?;
        story.open_repository().await?;
        story.release("web", "web", "1.0.0", stuck("1h")).await?;
        waiting(story, "web").await?;
        // The first one has waited for longer than this already, and is given half a minute to show itself.
        story.patch("web", json!({ "spec": { "timeout": "5s" } })).await?;
        story.refused("web", Reason::NotReady, &["not ready within 5s"]).await?;
        ensure!(story.history("web").await?.starts_with("1 failed"), "{}", story.history("web").await?);
        Ok(())
    })
}

#[test]
fn a_waiting_release_is_suspended_and_deleted_at_once() -> Result<()> {
    story("waited-off", async |story| {
        story.push(&charts::web("web", "1.0.0")).await?;
        story.open_repository().await?;
        story.release("web", "web", "1.0.0", stuck("1h")).await?;
        waiting(story, "web").await?;
        story.patch("web", json!({ "spec": { "suspend": true } })).await?;
        let at_once = Duration::from_secs(30);
        eventually::object(&story.releases(), "web", at_once, |release| {
            status::has(release, "Ready", "False", Reason::Suspended)
        })
        .await?;
        story.patch("web", json!({ "spec": { "suspend": false } })).await?;
        waiting(story, "web").await?;
        story.delete("web").await?;
        eventually::gone(&story.objects::<Deployment>(), "web", at_once).await?;
        eventually::gone(&story.releases(), "web", at_once).await
    })
}
