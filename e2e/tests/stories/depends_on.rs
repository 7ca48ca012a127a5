//! Releases that depend on others: installed after them, woken by them, and told for what they wait.

use anyhow::{Result, ensure};
use e2e::charts;
use e2e::eventually;
use e2e::status;
use e2e::story::{SOON, Story, story};
use helm_operator::api::Reason;
use kube::api::{Patch, PatchParams};
use serde_json::{Value, json};

async fn stage(story: &Story<'_>) -> Result<()> {
    for version in ["1.0.0", "1.1.0"] {
        story.push(&charts::note("memo", version)).await?;
    }
    story.open_repository().await
}

fn needs(names: &[&str]) -> Value {
    json!({ "dependsOn": names.iter().map(|name| json!({ "name": name })).collect::<Vec<_>>() })
}

async fn waits(story: &Story<'_>, release: &str, words: &[&str]) -> Result<()> {
    eventually::object(&story.releases(), release, SOON, |release| {
        status::failed(release, Reason::DependencyNotReady)?;
        let message = status::message(release);
        ensure!(words.iter().all(|word| message.contains(word)), "{message}");
        Ok(())
    })
    .await
    .map(drop)
}

#[test]
fn a_release_is_installed_after_those_it_depends_on_and_at_once() -> Result<()> {
    story("depends-on", async |story| {
        stage(story).await?;
        story.release("web", "memo", "1.0.0", needs(&["database", "cache"])).await?;
        waits(story, "web", &["no HelmRelease", "/database", "/cache"]).await?;
        story.release("cache", "memo", "1.0.0", json!({})).await?;
        // Its version does not exist.
        story.release("database", "memo", "7.0.0", json!({})).await?;
        waits(story, "web", &["/database is not ready", "7.0.0"]).await?;
        ensure!(story.history("web").await.is_err(), "it was installed");
        story.patch("database", json!({ "spec": { "chart": { "version": "1.0.0" } } })).await?;
        story.ready("web").await?;

        // What is deployed as it is declared stays ready; an upgrade waits.
        story.patch("database", json!({ "spec": { "chart": { "version": "7.0.0" } } })).await?;
        story.failed("database", Reason::TagNotFound).await?;
        story.patch("web", json!({ "spec": { "chart": { "version": "1.1.0" } } })).await?;
        waits(story, "web", &["/database is not ready"]).await?;
        ensure!(story.history("web").await? == "1 deployed", "it was upgraded");
        story.patch("web", json!({ "spec": { "chart": { "version": "1.0.0" } } })).await?;
        story.ready("web").await?;
        story.patch("web", json!({ "spec": { "chart": { "version": "1.1.0" } } })).await?;
        story.patch("database", json!({ "spec": { "chart": { "version": "1.1.0" } } })).await?;
        story.ready("web").await?;
        ensure!(story.history("web").await? == "1 superseded, 2 deployed");
        // Who is not waited for any more is no matter.
        story.delete("cache").await?;
        story.patch("web", needs_nothing()).await?;
        story.ready("web").await.map(drop)
    })
}

fn needs_nothing() -> Value {
    json!({ "spec": { "dependsOn": null } })
}

#[test]
fn a_circle_is_told_with_its_members_and_ends_when_it_is_opened() -> Result<()> {
    story("depends-circle", async |story| {
        stage(story).await?;
        story.release("a", "memo", "1.0.0", needs(&["b"])).await?;
        story.release("b", "memo", "1.0.0", needs(&["c"])).await?;
        story.release("c", "memo", "1.0.0", needs(&["a"])).await?;
        for name in ["a", "b", "c"] {
            waits(story, name, &["forms a cycle", "/a", "/b", "/c", "spec.dependsOn"]).await?;
        }
        let patch = Patch::Merge(needs_nothing());
        story.releases().patch("c", &PatchParams::default(), &patch).await?;
        for name in ["c", "b", "a"] {
            story.ready(name).await?;
        }
        Ok(())
    })
}
