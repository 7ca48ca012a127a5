//! A suspended release is left alone, whatever is declared, until it is resumed.

use std::time::Duration;

use anyhow::{Result, ensure};
use e2e::charts::{self, Chart};
use e2e::eventually;
use e2e::status::{self, Conditioned as _};
use e2e::story::{SOON, story};
use helm_operator::api::{HelmRelease, RELEASE_FINALIZER, Reason};
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
        let seen = |release: &HelmRelease| {
            let seen = release.status.as_ref().and_then(|status| status.observed_generation);
            ensure!(seen == release.metadata.generation, "seen generation {seen:?}");
            Ok(())
        };
        eventually::object(&story.releases(), "memo", SOON, seen).await?;
        // Nothing happens: that can only be watched for a while.
        eventually::measure(Duration::from_secs(2)).await;
        ensure!(story.history("memo").await? == "1 deployed", "a suspended release was upgraded");

        story.patch("memo", json!({ "spec": { "suspend": false } })).await?;
        story.ready("memo").await?;
        let told = story.history("memo").await?;
        ensure!(told == "1 superseded, 2 deployed", "helm history tells: {told}");
        Ok(())
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
