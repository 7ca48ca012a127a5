//! A release that gets another name or namespace: the new one stands before the old one goes, and what the object said
//! wrongly costs neither.

use anyhow::{Context as _, Result, ensure};
use e2e::charts::{self, Chart};
use e2e::eventually;
use e2e::kwok::{PLAY, play};
use e2e::story::{SOON, Story, story};
use helm_operator::api::Reason;
use k8s_openapi::api::core::v1::{ConfigMap, Namespace};
use kube::Api;
use serde_json::json;

/// An object whose name does not depend on the release's.
const FIXED: &str = r"apiVersion: v1
kind: ConfigMap
metadata:
  name: fixed
data:
  by: {{ .Release.Name }}
";

async fn has(story: &Story<'_>, name: &str) -> Result<bool> {
    Ok(story.objects::<ConfigMap>().get_opt(name).await?.is_some())
}

async fn prepare(story: &Story<'_>) -> Result<()> {
    story.push(&charts::note("memo", "1.0.0").file("templates/fixed.yaml", FIXED)).await?;
    story.open_repository().await?;
    story.release("memo", "memo", "1.0.0", json!({})).await?;
    story.ready("memo").await.map(drop)
}

#[test]
fn a_renamed_release_is_there_before_the_old_one_goes() -> Result<()> {
    story("renamed", async |story| {
        prepare(story).await?;
        let uid = |map: ConfigMap| map.metadata.uid;
        let fixed = uid(story.objects::<ConfigMap>().get("fixed").await?);
        story.patch("memo", json!({ "spec": { "release": { "name": "renamed" } } })).await?;
        story.ready("memo").await?;
        ensure!(has(story, "renamed-config").await? && !has(story, "memo-config").await?, "the old one is still there");
        // What both have was never away.
        let map = story.objects::<ConfigMap>().get("fixed").await?;
        ensure!(uid(map.clone()) == fixed, "an object of both releases was made anew");
        ensure!(map.data.and_then(|data| data.get("by").cloned()).as_deref() == Some("renamed"), "it is the old one's");
        ensure!(story.history("renamed").await? == "1 deployed", "{}", story.history("renamed").await?);
        ensure!(story.history("memo").await.is_err(), "the old history is still there");
        story.event("memo", Reason::UninstallCompleted, "uninstalled release").await?;

        story.delete("memo").await?;
        ensure!(!has(story, "renamed-config").await? && !has(story, "fixed").await?, "it was not uninstalled");
        Ok(())
    })
}

/// Ready under every name but one.
const BECOMES_READY: &str = r#"apiVersion: apps/v1
kind: Deployment
metadata:
  name: {{ .Release.Name }}
spec:
  selector:
    matchLabels:
      app: {{ .Release.Name }}
  template:
    metadata:
      labels:
        app: {{ .Release.Name }}
      {{- if eq .Release.Name "renamed" }}
      annotations:
        PLAY: NEVER
      {{- end }}
    spec:
      containers:
      - name: main
        image: main:1
"#;

#[test]
fn a_move_that_is_called_off_before_it_is_done_keeps_what_both_have() -> Result<()> {
    story("called-off", async |story| {
        let deployment = BECOMES_READY.replace("PLAY", PLAY).replace("NEVER", play::NEVER_READY);
        let chart = charts::note("memo", "1.0.0").file("templates/fixed.yaml", FIXED);
        story.push(&chart.file("templates/deployment.yaml", deployment)).await?;
        story.open_repository().await?;
        story.release("memo", "memo", "1.0.0", json!({})).await?;
        story.ready("memo").await?;
        let by = |map: &ConfigMap| map.data.as_ref().and_then(|data| data.get("by").cloned());
        let fixed = story.objects::<ConfigMap>().get("fixed").await?.metadata.uid;
        story.patch("memo", json!({ "spec": { "release": { "name": "renamed" } } })).await?;
        eventually::object(&story.objects::<ConfigMap>(), "fixed", SOON, |map| {
            ensure!(by(map).as_deref() == Some("renamed"), "it is still the old place's");
            Ok(())
        })
        .await?;
        story.patch("memo", json!({ "spec": { "release": { "name": null } } })).await?;
        story.ready("memo").await?;
        story.event("memo", Reason::UninstallCompleted, "uninstalled release").await?;
        let map = story.objects::<ConfigMap>().get_opt("fixed").await?;
        let map = map.context("what the kept release consists of went with the move that was called off")?;
        ensure!(map.metadata.uid == fixed && by(&map).as_deref() == Some("memo"), "{map:?}");
        ensure!(!has(story, "renamed-config").await?, "the other place is still there");
        ensure!(story.history("memo").await? == "1 deployed", "{}", story.history("memo").await?);
        Ok(())
    })
}

#[test]
fn a_mistake_in_the_same_edit_costs_the_old_release_nothing() -> Result<()> {
    story("renamed-wrongly", async |story| {
        prepare(story).await?;
        let edit = json!({ "spec": { "release": { "name": "renamed" }, "chart": { "version": "9.9.9" } } });
        story.patch("memo", edit).await?;
        story.failed("memo", Reason::TagNotFound).await?;
        ensure!(has(story, "memo-config").await?, "the old release went though nothing takes its place");
        ensure!(story.history("memo").await? == "1 deployed", "{}", story.history("memo").await?);

        // An invalid name, and then the object goes: what it had installed goes, too.
        let edit = json!({ "spec": { "release": { "name": "Not_A_Name" }, "chart": { "version": "1.0.0" } } });
        story.patch("memo", edit).await?;
        story.failed("memo", Reason::ConfigurationError).await?;
        story.delete("memo").await?;
        ensure!(!has(story, "memo-config").await? && !has(story, "fixed").await?, "the old release was forgotten");
        Ok(())
    })
}

#[test]
fn a_release_moves_to_another_namespace_though_its_status_was_lost() -> Result<()> {
    story("moved", async |story| {
        prepare(story).await?;
        let there = format!("{}-there", story.namespace);
        story.stage.operator().await.stop().await?;
        let lost = json!({ "status": null });
        let parameters = kube::api::PatchParams::default();
        story.releases().patch_status("memo", &parameters, &kube::api::Patch::Merge(lost)).await?;
        let target = json!({ "namespace": there, "createNamespace": true });
        story.patch("memo", json!({ "spec": { "release": target } })).await?;
        story.stage.operator().await.start().await?;
        story.ready("memo").await?;
        let maps: Api<ConfigMap> = Api::namespaced(story.client.clone(), &there);
        ensure!(maps.get_opt("memo-config").await?.is_some(), "nothing was installed in {there}");
        ensure!(!has(story, "memo-config").await?, "the old place was forgotten");
        story.delete("memo").await?;
        ensure!(maps.get_opt("memo-config").await?.is_none(), "it was not uninstalled");
        Api::<Namespace>::all(story.client.clone()).delete(&there, &kube::api::DeleteParams::default()).await?;
        Ok(())
    })
}

#[test]
fn an_orphaned_release_is_not_taken_for_the_former_place_of_a_later_object() -> Result<()> {
    story("orphaned", async |story| {
        story.push(&Chart::new("memo", "1.0.0").file("templates/config.yaml", NAMED)).await?;
        story.open_repository().await?;
        let orphan = json!({ "uninstall": { "deletionPolicy": "Orphan" }, "release": { "name": "first" } });
        story.release("memo", "memo", "1.0.0", orphan).await?;
        story.ready("memo").await?;
        story.delete("memo").await?;
        story.release("memo", "memo", "1.0.0", json!({ "release": { "name": "second" } })).await?;
        story.ready("memo").await?;
        story.delete("memo").await?;
        ensure!(has(story, "first-config").await?, "what was to be left was uninstalled with another object");
        ensure!(!has(story, "second-config").await?, "it was not uninstalled");
        Ok(())
    })
}

const NAMED: &str = r"apiVersion: v1
kind: ConfigMap
metadata:
  name: {{ .Release.Name }}-config
";
