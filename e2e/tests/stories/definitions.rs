//! The definitions in a chart's `crds/`: made, kept or replaced, as declared.

use anyhow::{Result, ensure};
use e2e::charts::{self, Chart};
use e2e::kwok::{PLAY, play};
use e2e::story::{Story, story};
use helm_operator::api::Reason;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::Api;
use kube::api::DeleteParams;
use serde_json::json;

/// A definition of the kind `name`, with these fields of its spec.
fn definition(name: &str, fields: &str) -> String {
    let (first, rest) = name.split_at(1);
    let kind = first.to_uppercase() + rest;
    format!(
        "apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata:
  name: {name}s.definitions.example.com
spec:
  group: definitions.example.com
  names: {{kind: {kind}, plural: {name}s, singular: {name}, listKind: {kind}List}}
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
    )
}

fn chart(version: &str, fields: &str) -> Chart {
    let part = "apiVersion: definitions.example.com/v1\nkind: Part\nmetadata:\n  name: {{ .Release.Name }}\nspec:\n  size: 1\n";
    charts::note("parts", version).file("crds/parts.yaml", definition("part", fields)).file("templates/part.yaml", part)
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

#[test]
fn a_definition_that_moves_to_crds_stays_with_its_objects() -> Result<()> {
    story("definition-moved", async |story| {
        let fields = "size: {type: integer}";
        let before = charts::note("movers", "1.0.0").file("templates/mover.yaml", definition("mover", fields));
        story.push(&before).await?;
        story.push(&charts::note("movers", "1.1.0").file("crds/mover.yaml", definition("mover", fields))).await?;
        let more = definition("mover", "size: {type: integer}, weight: {type: integer}");
        story.push(&charts::note("movers", "1.2.0").file("crds/mover.yaml", more)).await?;
        story.open_repository().await?;
        story.release("app", "movers", "1.0.0", json!({})).await?;
        story.ready("app").await?;
        let mover = "apiVersion: definitions.example.com/v1\nkind: Mover\nmetadata: {name: mine}\nspec: {size: 1}\n";
        story.eventually("the kind is served", async || story.apply(mover).await).await?;
        story.patch("app", json!({ "spec": { "chart": { "version": "1.1.0" } } })).await?;
        story.ready("app").await?;
        story.event("app", Reason::ChartWarning, "all objects of the kind that it defines").await?;
        let definitions = Api::<CustomResourceDefinition>::all(story.client.clone());
        let name = "movers.definitions.example.com";
        ensure!(definitions.get(name).await?.metadata.deletion_timestamp.is_none(), "it is deleted");

        // Its own release may go on with it.
        let upgrade = json!({ "chart": { "version": "1.2.0" }, "upgrade": { "crds": "CreateReplace" } });
        story.patch("app", json!({ "spec": upgrade })).await?;
        story.ready("app").await?;
        let live = serde_json::to_value(definitions.get(name).await?)?.to_string();
        ensure!(live.contains("\"weight\""), "it is the old one");
        story.delete("app").await?;
        definitions.delete(name, &DeleteParams::default()).await?;
        Ok(())
    })
}

#[test]
fn a_subchart_brings_its_definitions_once_it_is_enabled() -> Result<()> {
    story("definitions-subchart", async |story| {
        let spare = Chart::new("spare", "0.1.0").file("crds/spares.yaml", definition("spare", "size: {type: integer}"));
        let chart = charts::note("machine", "1.0.0").subchart(spare, "0.1.0").metadata("  condition: spare.enabled\n");
        story.push(&chart.file("values.yaml", "greeting: hello\nspare: {enabled: false}\n")).await?;
        story.open_repository().await?;
        story.release("app", "machine", "1.0.0", json!({})).await?;
        story.ready("app").await?;
        let definitions = Api::<CustomResourceDefinition>::all(story.client.clone());
        let name = "spares.definitions.example.com";
        ensure!(definitions.get_opt(name).await?.is_none(), "a subchart that is not enabled brought its definition");
        let enabled = json!({ "upgrade": { "crds": "Create" }, "values": { "spare": { "enabled": true } } });
        story.patch("app", json!({ "spec": enabled })).await?;
        story.ready("app").await?;
        ensure!(definitions.get_opt(name).await?.is_some(), "the upgrade did not create what is missing");
        definitions.delete(name, &DeleteParams::default()).await?;
        Ok(())
    })
}

/// However often an uninstall is taken up again, it is of what it was begun with.
#[test]
fn what_an_upgrade_left_is_left_by_an_uninstall_that_is_taken_up_again_and_by_a_rename() -> Result<()> {
    story("definition-left", async |story| {
        let fields = "size: {type: integer}";
        let before = charts::note("leavers", "1.0.0").file("templates/leaver.yaml", definition("leaver", fields));
        story.push(&before).await?;
        let farewell = "apiVersion: batch/v1\nkind: Job\nmetadata:\n  name: {{ .Release.Name }}-farewell\n  annotations: {helm.sh/hook: post-delete}\n\
                        spec:\n  template:\n    metadata:\n      annotations: {PLAY: fail}\n    spec:\n      restartPolicy: Never\n      containers: [{name: main, image: \"main:1\"}]\n  \
                        backoffLimit: 0\n";
        let farewell = farewell.replace("PLAY", PLAY).replace("fail", play::FAIL);
        let after = charts::note("leavers", "1.1.0").file("templates/farewell.yaml", farewell);
        story.push(&after.file("crds/leaver.yaml", definition("leaver", fields))).await?;
        story.open_repository().await?;
        story.release("app", "leavers", "1.0.0", json!({})).await?;
        story.ready("app").await?;
        let leaver = "apiVersion: definitions.example.com/v1\nkind: Leaver\nmetadata: {name: mine}\nspec: {size: 1}\n";
        story.eventually("the kind is served", async || story.apply(leaver).await).await?;
        // Renamed and upgraded in one edit: the former release goes, not the definition.
        let renamed = json!({ "chart": { "version": "1.1.0" }, "release": { "name": "renamed" } });
        story.patch("app", json!({ "spec": renamed })).await?;
        story.ready("app").await?;
        let gone = async || {
            ensure!(story.history("app").await.is_err(), "the former release is there still");
            Ok(())
        };
        story.eventually("the former release is gone", gone).await?;
        let definitions = Api::<CustomResourceDefinition>::all(story.client.clone());
        let name = "leavers.definitions.example.com";
        let stands = async || {
            let definition = definitions.get(name).await?;
            ensure!(definition.metadata.deletion_timestamp.is_none(), "the definition is deleted");
            anyhow::Ok(())
        };
        stands().await?;

        // The other way: what an upgrade left, and an uninstall that fails in its last hook.
        story.release("other", "leavers", "1.0.0", json!({ "install": { "takeOwnership": true } })).await?;
        story.ready("other").await?;
        story.patch("other", json!({ "spec": { "chart": { "version": "1.1.0" } } })).await?;
        story.ready("other").await?;
        story.releases().delete("other", &DeleteParams::default()).await?;
        story.refused("other", Reason::HookFailed, &["other-farewell", "spec.uninstall.disableHooks"]).await?;
        story.patch("other", json!({ "spec": { "uninstall": { "disableHooks": true } } })).await?;
        e2e::eventually::gone(&story.releases(), "other", e2e::story::SOON).await?;
        stands().await?;
        story.patch("app", json!({ "spec": { "uninstall": { "disableHooks": true } } })).await?;
        story.delete("app").await?;
        stands().await?;
        definitions.delete(name, &DeleteParams::default()).await?;
        Ok(())
    })
}
