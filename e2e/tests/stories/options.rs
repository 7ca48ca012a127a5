//! The options that a release is declared with: where it goes, what it leaves behind, how much history it keeps.

use anyhow::{Result, ensure};
use e2e::kwok::{PLAY, play};
use e2e::story::{SOON, Story, story};
use e2e::{charts, eventually, status};
use helm_operator::api::Reason;
use k8s_openapi::api::core::v1::{ConfigMap, Namespace};
use kube::Api;
use kube::api::{DeleteParams, Patch, PatchParams};
use serde_json::json;

const KEPT: &str = r"apiVersion: v1
kind: ConfigMap
metadata:
  name: {{ .Release.Name }}-kept
  annotations:
    helm.sh/resource-policy: keep
";

async fn prepare(story: &Story<'_>) -> Result<()> {
    for version in ["1.0.0", "1.1.0", "1.2.0", "1.3.0"] {
        story.push(&charts::note("memo", version).file("templates/kept.yaml", KEPT)).await?;
    }
    story.open_repository().await
}

#[test]
fn a_release_makes_its_namespace_when_it_is_told_to() -> Result<()> {
    story("namespace", async |story| {
        prepare(story).await?;
        let target = format!("{}-target", story.namespace);
        let release = json!({ "release": { "name": "there", "namespace": target } });
        story.release("memo", "memo", "1.0.0", release).await?;
        story.refused("memo", Reason::NamespaceNotFound, &[&target]).await?;
        story.patch("memo", json!({ "spec": { "release": { "createNamespace": true } } })).await?;
        story.ready("memo").await?;
        let maps: Api<ConfigMap> = Api::namespaced(story.client.clone(), &target);
        ensure!(maps.get_opt("there-config").await?.is_some(), "nothing was installed in {target}");
        let listed = story.helm.list(&target).await?;
        ensure!(listed.len() == 1 && listed[0].name == "there", "helm list: {listed:?}");

        // Helm leaves namespaces behind, and so do we.
        story.delete("memo").await?;
        let namespaces: Api<Namespace> = Api::all(story.client.clone());
        ensure!(namespaces.get(&target).await?.metadata.deletion_timestamp.is_none(), "the namespace went with it");
        story.kubectl.run(&["delete", "namespace", &target, "--wait=false"]).await?;
        Ok(())
    })
}

#[test]
fn history_is_kept_as_long_as_declared() -> Result<()> {
    story("history", async |story| {
        prepare(story).await?;
        story.release("memo", "memo", "1.0.0", json!({ "maxHistory": 2 })).await?;
        story.ready("memo").await?;
        for version in ["1.1.0", "1.2.0", "1.3.0"] {
            story.patch("memo", json!({ "spec": { "chart": { "version": version } } })).await?;
            story.ready("memo").await?;
        }
        let told = story.history("memo").await?;
        ensure!(told == "3 superseded, 4 deployed", "helm history tells: {told}");
        Ok(())
    })
}

#[test]
fn what_is_to_be_kept_outlives_the_release() -> Result<()> {
    story("kept", async |story| {
        prepare(story).await?;
        let maps: Api<ConfigMap> = story.objects();
        story.release("gone", "memo", "1.0.0", json!({})).await?;
        story.release("orphan", "memo", "1.0.0", json!({ "uninstall": { "deletionPolicy": "Orphan" } })).await?;
        story.release("recorded", "memo", "1.0.0", json!({ "uninstall": { "keepHistory": true } })).await?;
        for release in ["gone", "orphan", "recorded"] {
            story.ready(release).await?;
            story.delete(release).await?;
            let there = maps.get_opt(&format!("{release}-config")).await?.is_some();
            ensure!(there == (release == "orphan"), "{release}: its ConfigMap is there: {there}");
            let kept = maps.get_opt(&format!("{release}-kept")).await?.is_some();
            ensure!(kept, "{release}: what has the keep policy is gone");
        }
        for (release, expected) in [("orphan", "1 deployed"), ("recorded", "1 uninstalled")] {
            let told = story.history(release).await?;
            ensure!(told == expected, "{release}: helm history tells: {told}");
        }
        Ok(())
    })
}

const HANGS: &str = r"apiVersion: batch/v1
kind: Job
metadata:
  name: {{ .Release.Name }}-farewell
  annotations:
    helm.sh/hook: pre-delete
spec:
  template:
    metadata:
      annotations:
        PLAY: HANG
    spec:
      restartPolicy: Never
      containers:
      - name: farewell
        image: farewell:1
";

#[test]
fn an_uninstall_that_is_called_off_is_not_carried_out_later() -> Result<()> {
    story("called-off-uninstall", async |story| {
        let hook = HANGS.replace("PLAY", PLAY).replace("HANG", play::HANG);
        story.push(&charts::note("memo", "1.0.0").file("templates/farewell.yaml", hook)).await?;
        story.open_repository().await?;
        story.release("memo", "memo", "1.0.0", json!({})).await?;
        story.ready("memo").await?;
        let config = story.objects::<ConfigMap>().get("memo-config").await?.metadata.uid;
        story.releases().delete("memo", &DeleteParams::default()).await?;
        story
            .eventually("the uninstall is begun", async || {
                let told = story.history("memo").await?;
                ensure!(told == "1 uninstalling", "helm history tells: {told}");
                Ok(())
            })
            .await?;
        eventually::object(&story.releases(), "memo", SOON, |release| {
            let message = status::message(release);
            ensure!(message.contains("uninstalling; running the pre-delete hook Job \"memo-farewell\""), "{message}");
            status::has(release, "Ready", "False", Reason::Progressing)
        })
        .await?;
        story.patch("memo", json!({ "spec": { "uninstall": { "deletionPolicy": "Orphan" } } })).await?;
        eventually::gone(&story.releases(), "memo", SOON).await?;
        let told = story.history("memo").await?;
        ensure!(told == "1 superseded", "helm history tells: {told}");

        // Its hook would hang at the end of the story.
        story.release("memo", "memo", "1.0.0", json!({ "uninstall": { "disableHooks": true } })).await?;
        story.ready("memo").await?;
        let again = story.objects::<ConfigMap>().get("memo-config").await?.metadata.uid;
        ensure!(again == config, "what was to be left was uninstalled after all");
        let told = story.history("memo").await?;
        ensure!(told == "1 superseded, 2 deployed", "helm history tells: {told}");
        Ok(())
    })
}

const HELD: &str = r"apiVersion: v1
kind: ConfigMap
metadata:
  name: {{ .Release.Name }}-held
  finalizers: [stories.example.com/held]
";

#[test]
fn an_uninstall_waits_until_all_is_gone_unless_told_not_to() -> Result<()> {
    story("disable-wait", async |story| {
        story.push(&charts::note("memo", "1.0.0").file("templates/held.yaml", HELD)).await?;
        story.open_repository().await?;
        for (name, uninstall) in [("waits", json!({})), ("goes", json!({ "disableWait": true }))] {
            story.release(name, "memo", "1.0.0", json!({ "uninstall": uninstall })).await?;
            story.ready(name).await?;
        }
        story.delete("goes").await?;
        story.releases().delete("waits", &DeleteParams::default()).await?;
        eventually::object(&story.releases(), "waits", SOON, |release| {
            ensure!(
                status::message(release).contains("waiting until the objects of release"),
                "{}",
                status::message(release)
            );
            Ok(())
        })
        .await?;
        let free = json!({ "metadata": { "finalizers": null } });
        for name in ["waits-held", "goes-held"] {
            let maps = story.objects::<ConfigMap>();
            ensure!(maps.get(name).await?.metadata.deletion_timestamp.is_some(), "{name} is not being deleted");
            maps.patch(name, &PatchParams::default(), &Patch::Merge(&free)).await?;
        }
        eventually::gone(&story.releases(), "waits", SOON).await
    })
}
