//! The definitions in a chart's `crds/`: made, kept or replaced, as declared.

use anyhow::{Result, ensure};
use e2e::charts::{self, Chart};
use e2e::story::{Story, story};
use helm_operator::api::Reason;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::Api;
use kube::api::DeleteParams;
use serde_json::json;

fn chart(version: &str, fields: &str) -> Chart {
    let definition = format!(
        "apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata:
  name: parts.definitions.example.com
spec:
  group: definitions.example.com
  names: {{kind: Part, plural: parts, singular: part, listKind: PartList}}
  scope: Namespaced
  versions:
  - name: v1
    served: true
    storage: true
    schema:
      openAPIV3Schema:
        type: object
        properties:
          spec:
            type: object
            properties: {{{fields}}}
"
    );
    let part = "apiVersion: definitions.example.com/v1\nkind: Part\nmetadata:\n  name: {{ .Release.Name }}\nspec:\n  size: 1\n";
    charts::note("parts", version).file("crds/parts.yaml", definition).file("templates/part.yaml", part)
}

/// The fields that the cluster's definition knows.
async fn known(story: &Story<'_>) -> Result<Vec<String>> {
    let definitions = Api::<CustomResourceDefinition>::all(story.client.clone());
    let live = serde_json::to_value(definitions.get("parts.definitions.example.com").await?)?;
    let fields = &live["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]["properties"];
    Ok(fields.as_object().into_iter().flat_map(|fields| fields.keys().cloned()).collect())
}

#[test]
fn definitions_are_kept_or_replaced_as_declared_and_no_object_loses_anything() -> Result<()> {
    story("definitions", async |story| {
        for (version, fields) in [
            ("1.0.0", "size: {type: integer}"),
            ("1.1.0", "size: {type: integer}, weight: {type: integer}"),
            ("1.2.0", "weight: {type: integer}"),
        ] {
            story.push(&chart(version, fields)).await?;
        }
        story.open_repository().await?;
        story.release("app", "parts", "1.0.0", json!({})).await?;
        story.ready("app").await?;
        story.patch("app", json!({ "spec": { "chart": { "version": "1.1.0" } } })).await?;
        story.ready("app").await?;
        ensure!(known(story).await? == ["size"], "an upgrade touched the definition");
        story
            .patch("app", json!({ "spec": { "upgrade": { "crds": "CreateReplace" }, "values": { "greeting": "hi" } } }))
            .await?;
        story.ready("app").await?;
        ensure!(known(story).await? == ["size", "weight"], "the definition is the old one");

        story.patch("app", json!({ "spec": { "chart": { "version": "1.2.0" } } })).await?;
        let words = ["parts.definitions.example.com", "v1.spec.size", "spec.upgrade.force"];
        story.refused("app", Reason::DefinitionNotReplaced, &words).await?;
        ensure!(story.history("app").await?.ends_with("3 deployed"), "a revision was made");
        ensure!(known(story).await? == ["size", "weight"]);
        let definitions = Api::<CustomResourceDefinition>::all(story.client.clone());
        story.delete("app").await?;
        ensure!(known(story).await?.len() == 2, "the definition went with the release");
        definitions.delete("parts.definitions.example.com", &DeleteParams::default()).await?;
        Ok(())
    })
}
