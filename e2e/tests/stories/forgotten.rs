//! What a release put into the cluster is found again though Helm's history is gone, damaged or rewritten; and a cluster
//! whose definitions are deleted keeps what runs in it.

use anyhow::{Result, ensure};
use e2e::charts::Chart;
use e2e::eventually;
use e2e::story::{SOON, Story, alone, as_it_is, install_definitions, story};
use helm_operator::api::Reason;
use k8s_openapi::api::core::v1::{ConfigMap, Namespace, Secret};
use k8s_openapi::api::rbac::v1::ClusterRole;
use kube::api::{DeleteParams, Patch, PatchParams};
use kube::{Api, Client};
use serde_json::json;

const OBJECTS: &str = r"apiVersion: v1
kind: ConfigMap
metadata:
  name: {{ .Release.Name }}-config
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata:
  name: {{ .Release.Namespace }}-{{ .Release.Name }}
";

const TEST: &str = r"apiVersion: v1
kind: ConfigMap
metadata:
  name: {{ .Release.Name }}-test
  annotations:
    helm.sh/hook: test
";

async fn install(story: &Story<'_>) -> Result<()> {
    let chart = Chart::new("wide", "1.0.0").file("templates/objects.yaml", OBJECTS).file("templates/test.yaml", TEST);
    story.push(&chart).await?;
    story.open_repository().await?;
    story.release("wide", "wide", "1.0.0", json!({})).await?;
    story.ready("wide").await.map(drop)
}

async fn role(client: &Client, namespace: &str) -> Result<bool> {
    let roles: Api<ClusterRole> = Api::all(client.clone());
    Ok(roles.get_opt(&format!("{namespace}-wide")).await?.is_some())
}

#[test]
fn a_namespace_that_goes_takes_cluster_scoped_objects_with_it() -> Result<()> {
    alone("namespace-gone", as_it_is, async |story| {
        install(story).await?;
        let namespaces: Api<Namespace> = Api::all(story.client.clone());
        namespaces.delete(&story.namespace, &DeleteParams::default()).await?;
        eventually::gone(&namespaces, &story.namespace, SOON).await?;
        ensure!(!role(&story.client, &story.namespace).await?, "the ClusterRole was forgotten");
        Ok(())
    })
}

#[test]
fn a_release_whose_history_was_deleted_is_uninstalled_by_its_inventory() -> Result<()> {
    story("history-gone", async |story| {
        install(story).await?;
        story
            .patch("wide", json!({ "spec": { "suspend": true, "uninstall": { "deletionPolicy": "Uninstall" } } }))
            .await?;
        let records: Api<Secret> = story.objects();
        records.delete("sh.helm.release.v1.wide.v1", &DeleteParams::default()).await?;
        story.refused("wide", Reason::Suspended, &["no longer deployed"]).await?;
        story.delete("wide").await?;
        ensure!(!role(&story.client, &story.namespace).await?, "the ClusterRole was forgotten");
        let map = story.objects::<ConfigMap>().get_opt("wide-config").await?;
        ensure!(map.is_none(), "the ConfigMap was forgotten");
        Ok(())
    })
}

#[test]
fn a_record_that_helm_test_rewrote_is_still_ours() -> Result<()> {
    alone("marks-gone", as_it_is, async |story| {
        install(story).await?;
        story.stage.operator().await.stop().await?;
        story.helm.run(&["test", "wide", "--namespace", &story.namespace]).await?;
        let record = story.objects::<Secret>().get("sh.helm.release.v1.wide.v1").await?;
        ensure!(record.metadata.annotations.unwrap_or_default().is_empty(), "Helm kept our marks: the story is void");
        story.releases().delete("wide", &DeleteParams::default()).await?;
        story.stage.operator().await.start().await?;
        eventually::gone(&story.releases(), "wide", SOON).await?;
        ensure!(!role(&story.client, &story.namespace).await?, "the ClusterRole was forgotten");
        ensure!(story.history("wide").await.is_err(), "the record was forgotten");
        Ok(())
    })
}

#[test]
fn a_damaged_record_is_named_and_blocks_no_deletion() -> Result<()> {
    story("damaged", async |story| {
        install(story).await?;
        let records: Api<Secret> = story.objects();
        let damage = json!({ "data": { "release": "bm90aGluZw==" } });
        records.patch("sh.helm.release.v1.wide.v1", &PatchParams::default(), &Patch::Merge(damage)).await?;
        // What it consists of is not known: nothing is put over it.
        story.patch("wide", json!({ "spec": { "values": { "other": "values" } } })).await?;
        story.refused("wide", Reason::HistoryInvalid, &["sh.helm.release.v1.wide.v1"]).await?;
        ensure!(records.get_opt("sh.helm.release.v1.wide.v2").await?.is_none(), "a revision was made");
        story.delete("wide").await?;
        ensure!(!role(&story.client, &story.namespace).await?, "the ClusterRole was forgotten");
        ensure!(records.get_opt("sh.helm.release.v1.wide.v1").await?.is_none(), "the damaged record was left");
        Ok(())
    })
}

#[test]
fn a_release_that_goes_with_its_definition_is_left_in_place() -> Result<()> {
    alone("definition-gone", as_it_is, async |story| {
        install(story).await?;
        let name = "helmreleases.helm-operator.ketches.cn";
        story.kubectl.run(&["delete", "customresourcedefinition", name, "--timeout=60s"]).await?;
        ensure!(role(&story.client, &story.namespace).await?, "the release was uninstalled with the definition");
        ensure!(story.history("wide").await? == "1 deployed", "its history went");
        // Installed again, the same manifest goes on with what is there.
        install_definitions(story.client.clone()).await?;
        story.release("wide", "wide", "1.0.0", json!({})).await?;
        story.ready("wide").await?;
        ensure!(story.history("wide").await? == "1 deployed", "what was left was upgraded");
        Ok(())
    })
}

#[test]
fn a_lost_finalizer_comes_back() -> Result<()> {
    story("finalizer", async |story| {
        install(story).await?;
        story.patch("wide", json!({ "metadata": { "finalizers": null } })).await?;
        eventually::object(&story.releases(), "wide", SOON, |release| {
            ensure!(release.metadata.finalizers.as_ref().is_some_and(|all| !all.is_empty()), "no finalizer");
            Ok(())
        })
        .await?;
        story.delete("wide").await?;
        ensure!(!role(&story.client, &story.namespace).await?, "the ClusterRole was forgotten");
        Ok(())
    })
}
