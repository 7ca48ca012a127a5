//! Who does what a message says need not wait: what stands in a release's way, or is missing, is watched.

use anyhow::{Result, ensure};
use e2e::charts::Chart;
use e2e::story::{Story, story};
use helm_operator::api::Reason;
use k8s_openapi::api::core::v1::{ConfigMap, Namespace};
use kube::Api;
use kube::api::{DeleteParams, PostParams};
use serde_json::json;

const MAP: &str = r"apiVersion: v1
kind: ConfigMap
metadata:
  name: fixed
immutable: true
data:
  is: {{ .Values.is | quote }}
";

async fn prepare(story: &Story<'_>) -> Result<()> {
    story.push(&Chart::new("fixed", "1.0.0").file("templates/map.yaml", MAP)).await?;
    story.open_repository().await
}

#[test]
fn an_object_in_the_way_that_is_deleted() -> Result<()> {
    story("in-the-way", async |story| {
        prepare(story).await?;
        let maps = story.objects::<ConfigMap>();
        let map = serde_json::from_value(json!({ "metadata": { "name": "fixed" } }))?;
        maps.create(&PostParams::default(), &map).await?;
        story.release("late", "fixed", "1.0.0", json!({ "values": { "is": "a" } })).await?;
        story.refused("late", Reason::OwnershipConflict, &["fixed"]).await?;
        maps.delete("fixed", &DeleteParams::default()).await?;
        story.ready("late").await?;

        // A field that cannot be changed: one attempt, and the next when the object is gone.
        story.patch("late", json!({ "spec": { "values": { "is": "b" } } })).await?;
        story.refused("late", Reason::ImmutableField, &["fixed"]).await?;
        let told = story.history("late").await?;
        ensure!(told == "1 deployed, 2 failed", "helm history tells: {told}");
        maps.delete("fixed", &DeleteParams::default()).await?;
        story.ready("late").await?;
        let told = story.history("late").await?;
        ensure!(told == "1 superseded, 2 failed, 3 deployed", "helm history tells: {told}");
        Ok(())
    })
}

#[test]
fn a_namespace_that_was_missing() -> Result<()> {
    story("missing-namespace", async |story| {
        prepare(story).await?;
        let there = format!("{}-there", story.namespace);
        story
            .release("far", "fixed", "1.0.0", json!({ "release": { "namespace": there }, "values": { "is": "a" } }))
            .await?;
        story.refused("far", Reason::NamespaceNotFound, &[&there]).await?;
        let namespaces: Api<Namespace> = Api::all(story.client.clone());
        let namespace = serde_json::from_value(json!({ "metadata": { "name": there } }))?;
        namespaces.create(&PostParams::default(), &namespace).await?;
        story.ready("far").await?;
        story.delete("far").await?;
        namespaces.delete(&there, &DeleteParams::default()).await?;
        Ok(())
    })
}
