//! Who does what a message says need not wait: what stands in a release's way, or is missing, is watched.

use anyhow::{Result, ensure};
use e2e::charts::Chart;
use e2e::status::Conditioned as _;
use e2e::story::{Story, story};
use helm_operator::api::Reason;
use k8s_openapi::api::core::v1::{ConfigMap, Namespace};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
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

const GIZMO: &str = "apiVersion: noticed.example.com/v1\nkind: Gizmo\nmetadata:\n  name: {{ .Release.Name }}\n";

#[test]
fn a_definition_that_was_missing() -> Result<()> {
    story("missing-definition", async |story| {
        story.push(&Chart::new("gizmo", "1.0.0").file("templates/gizmo.yaml", GIZMO)).await?;
        story.open_repository().await?;
        story.release("first", "gizmo", "1.0.0", json!({})).await?;
        let words = ["Gizmo", "noticed at once", "gizmos.noticed.example.com"];
        let refused = story.failed("first", Reason::UnknownKind).await?;
        let reconciling = refused.conditions().iter().find(|condition| condition.type_ == "Reconciling");
        let message = reconciling.map(|condition| condition.message.as_str()).unwrap_or_default();
        ensure!(words.iter().all(|word| message.contains(word)), "{message}");
        let definitions: Api<CustomResourceDefinition> = Api::all(story.client.clone());
        let definition = serde_json::from_value(json!({
            "metadata": { "name": "gizmos.noticed.example.com" },
            "spec": {
                "group": "noticed.example.com",
                "names": { "kind": "Gizmo", "plural": "gizmos", "singular": "gizmo" },
                "scope": "Namespaced",
                "versions": [{
                    "name": "v1",
                    "served": true,
                    "storage": true,
                    "schema": { "openAPIV3Schema": { "type": "object" } },
                }],
            },
        }))?;
        definitions.create(&PostParams::default(), &definition).await?;
        story.ready("first").await?;
        story.delete("first").await?;
        definitions.delete("gizmos.noticed.example.com", &DeleteParams::default()).await?;
        Ok(())
    })
}
