//! Revisions that a person makes with Helm after the operator's: a rollback stays until the object changes or somebody asks,
//! an upgrade is undone, or as it is declared.

use anyhow::{Context as _, Result, ensure};
use e2e::charts::Chart;
use e2e::status;
use e2e::story::{SOON, Story, story};
use e2e::{eventually, story as stories};
use helm_operator::api::{HelmRelease, Reason};
use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::DeleteParams;
use serde_json::{Value, json};

const MAP: &str = "apiVersion: v1
kind: ConfigMap
metadata:
  name: {{ .Release.Name }}
data: {color: {{ .Values.color | quote }}}
";

/// A release whose second revision is deployed.
async fn deployed(story: &Story<'_>, spec: Value) -> Result<()> {
    for version in ["1.0.0", "1.0.1"] {
        let chart = Chart::new("app", version).file("values.yaml", "color: red\n").file("templates/map.yaml", MAP);
        story.push(&chart).await?;
    }
    story.open_repository().await?;
    story.release("app", "app", "1.0.0", spec).await?;
    story.ready("app").await?;
    story.patch("app", json!({ "spec": { "values": { "color": "blue" } } })).await?;
    story.ready("app").await.map(drop)
}

async fn color(story: &Story<'_>) -> Result<String> {
    let data = story.objects::<ConfigMap>().get("app").await?.data.context("data")?;
    Ok(data["color"].clone())
}

async fn held(story: &Story<'_>) -> Result<HelmRelease> {
    let words = ["revision 3", "somebody else", "requestedAt", "onForeignChange"];
    let release = story.refused("app", Reason::ReleaseHeld, &words).await?;
    status::has(&release, "Held", "True", Reason::ReleaseHeld)?;
    let conditions = &release.status.as_ref().context("a status")?.conditions;
    ensure!(!conditions.iter().any(|condition| condition.type_ == "Stalled"), "it is stalled");
    Ok(release)
}

async fn rolled_back(story: &Story<'_>) -> Result<()> {
    story.helm.run(&["rollback", "app", "1", "--namespace", &story.namespace]).await?;
    held(story).await?;
    ensure!(color(story).await? == "red", "it was undone");
    Ok(())
}

#[test]
fn a_rollback_stays_until_the_object_changes_or_a_person_asks() -> Result<()> {
    story("held-rollback", async |story| {
        deployed(story, json!({ "interval": "2s", "driftDetection": { "mode": "enabled" } })).await?;
        rolled_back(story).await?;
        // What is missing of it is made anew, as it was in what is held.
        let maps = story.objects::<ConfigMap>();
        maps.delete("app", &DeleteParams::default()).await?;
        eventually::object(&maps, "app", SOON, |_| Ok(())).await?;
        ensure!(color(story).await? == "red", "it is what is declared");
        // New tags do not end it: the registry is asked in between.
        let chart = Chart::new("app", "1.0.0").file("values.yaml", "color: red\n").file("templates/other.yaml", "");
        story.push(&chart).await?;
        stories::registry().await?;
        held(story).await?;
        ensure!(
            story.history("app").await? == "1 superseded, 2 superseded, 3 deployed",
            "{}",
            story.history("app").await?
        );

        let asked = json!({ "metadata": { "annotations": { "helm-operator.ketches.cn/requestedAt": "now" } } });
        story.patch("app", asked).await?;
        let release = story.ready("app").await?;
        ensure!(status::has(&release, "Held", "True", Reason::ReleaseHeld).is_err(), "still held");
        story.event("app", Reason::ForeignRevision, "revision 3 was made by somebody else").await
    })
}

#[test]
fn a_changed_object_ends_it_and_it_is_not_held_again() -> Result<()> {
    story("held-change", async |story| {
        deployed(story, json!({})).await?;
        rolled_back(story).await?;
        story.patch("app", json!({ "spec": { "values": { "color": "green" } } })).await?;
        story.ready("app").await?;
        ensure!(color(story).await? == "green", "{}", color(story).await?);
        Ok(())
    })
}

#[test]
fn an_upgrade_is_undone_unless_it_is_declared_otherwise_and_so_is_a_rollback_where_that_is() -> Result<()> {
    story("held-declared", async |story| {
        deployed(story, json!({})).await?;
        let url = format!("{}/app", story.charts_url().await?);
        let upgrade = async || {
            let arguments = [
                "upgrade",
                "app",
                &url,
                "--plain-http",
                "--version",
                "1.0.0",
                "--set",
                "color=pink",
                "-n",
                &story.namespace,
            ];
            story.helm.run(&arguments).await
        };
        upgrade().await?;
        story.event("app", Reason::ForeignRevision, "revision 3").await?;
        story.ready("app").await?;
        ensure!(color(story).await? == "blue", "{}", color(story).await?);

        story.patch("app", json!({ "spec": { "onForeignChange": "Hold" } })).await?;
        story.ready("app").await?;
        upgrade().await?;
        story.refused("app", Reason::ReleaseHeld, &["revision 5"]).await?;
        ensure!(color(story).await? == "pink", "it was undone");

        story.patch("app", json!({ "spec": { "onForeignChange": "Revert" } })).await?;
        story.ready("app").await?;
        ensure!(color(story).await? == "blue", "{}", color(story).await?);
        story.helm.run(&["rollback", "app", "1", "--namespace", &story.namespace]).await?;
        story.event("app", Reason::ForeignRevision, "revision 7").await?;
        story.ready("app").await?;
        ensure!(color(story).await? == "blue", "{}", color(story).await?);
        Ok(())
    })
}

#[test]
fn the_first_revision_suffices_to_hold_what_comes_after_it() -> Result<()> {
    story("held-first", async |story| {
        let chart = Chart::new("app", "1.0.0").file("values.yaml", "color: red\n").file("templates/map.yaml", MAP);
        story.push(&chart).await?;
        story.open_repository().await?;
        story.release("app", "app", "1.0.0", json!({ "onForeignChange": "Hold" })).await?;
        story.ready("app").await?;
        let url = format!("{}/app", story.charts_url().await?);
        story
            .helm
            .run(&["upgrade", "app", &url, "--plain-http", "--set", "color=pink", "-n", &story.namespace])
            .await?;
        story.refused("app", Reason::ReleaseHeld, &["revision 2"]).await?;
        ensure!(color(story).await? == "pink", "it was undone");
        Ok(())
    })
}
