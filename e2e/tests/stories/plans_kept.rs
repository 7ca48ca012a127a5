//! What is approved is what was shown: a plan that somebody rewrites where it is kept, definitions that others change while it waits,
//! and other ways to carry it out.

use std::io::Write as _;

use anyhow::{Context as _, Result, ensure};
use e2e::charts::{self, Chart};
use e2e::kwok::{PLAY, play};
use e2e::story::{Story, story};
use flate2::Compression;
use flate2::write::GzEncoder;
use helm_operator::api::Reason;
use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::Api;
use kube::api::{DeleteParams, Patch, PatchParams, PostParams};
use serde_json::json;

use crate::plans::{another, approve, color, declare, definition, deployed, diff, waits};

#[test]
fn a_plan_that_is_shown_as_another_is_not_carried_out() -> Result<()> {
    story("plan-rewritten", async |story| {
        deployed(story, json!({})).await?;
        let first = declare(story, json!({ "color": "blue" })).await?;
        let (text, code) = diff(story, &["app"]).await?;
        ensure!(code == 1 && text.starts_with(&format!("# {}: revision 2, app-1.0.0", first.digest)), "{code}: {text}");
        let mut gzip = GzEncoder::new(Vec::new(), Compression::best());
        gzip.write_all(b"\n# change ConfigMap \"harmless\"\n")?;
        let rewritten = Patch::Merge(json!({ "data": { "diff": ByteString(gzip.finish()?) } }));
        story.objects::<Secret>().patch("helm-operator.plan.v1.app", &PatchParams::default(), &rewritten).await?;
        let (text, code) = diff(story, &["app"]).await?;
        ensure!(code > 1 && text.contains(&first.digest) && !text.contains("harmless"), "{code}: {text}");
        approve(story, &first.digest).await?;
        let second = another(story, &first).await?;
        story.event("app", Reason::PlanOutdated, "the Secret that it is kept in was changed").await?;
        ensure!(color(story).await? == "red", "it was carried out");
        approve(story, &second.digest).await?;
        story.ready("app").await?;
        ensure!(color(story).await? == "blue", "it is not carried out");
        Ok(())
    })
}

/// What the definition says of the fields of its kind.
const SIZE: &str = "properties: {spec: {type: object, properties: {size: {type: string}}}}";

#[test]
fn a_definition_that_others_changed_meanwhile_is_not_put_back_unseen() -> Result<()> {
    story("plan-definition", async |story| {
        let group = format!("{}.example.com", story.namespace);
        story.push(&charts::note("app", "1.0.0").file("crds/parts.yaml", definition(&group, SIZE))).await?;
        story.open_repository().await?;
        let upgrade = json!({ "crds": "CreateReplace", "force": true });
        story.release("app", "app", "1.0.0", json!({ "upgrade": upgrade })).await?;
        story.ready("app").await?;
        story.patch("app", json!({ "spec": { "plan": { "mode": "Manual" } } })).await?;
        story.ready("app").await?;
        let first = declare(story, json!({ "greeting": "declared" })).await?;

        let definitions = Api::<CustomResourceDefinition>::all(story.client.clone());
        let name = format!("parts.{group}");
        let field = "/spec/versions/0/schema/openAPIV3Schema/properties/spec/properties/color";
        let added = json!([{ "op": "add", "path": field, "value": { "type": "string" } }]);
        let added: Patch<CustomResourceDefinition> = Patch::Json(serde_json::from_value(added)?);
        definitions.patch(&name, &PatchParams::default(), &added).await?;
        approve(story, &first.digest).await?;
        let second = another(story, &first).await?;
        story.event("app", Reason::PlanOutdated, &name).await?;
        let has_field = async || {
            let live = serde_json::to_value(definitions.get(&name).await?)?;
            Ok::<_, anyhow::Error>(live.pointer(field).is_some())
        };
        ensure!(has_field().await?, "the definition was put back");
        // It is shown now, and done as it is shown.
        ensure!(second.objects.iter().any(|object| object.kind == "CustomResourceDefinition"), "{second:?}");
        approve(story, &second.digest).await?;
        story.ready("app").await?;
        ensure!(!has_field().await?, "the definition was not put back");
        story.delete("app").await?;
        definitions.delete(&name, &DeleteParams::default()).await?;
        Ok(())
    })
}

/// Hangs in its hook, then makes a `ConfigMap`.
fn hanging() -> Chart {
    let job = format!(
        "apiVersion: batch/v1\nkind: Job\nmetadata:\n  name: hangs\n  annotations: {{helm.sh/hook: pre-upgrade}}\nspec:\n  template:\n    \
         metadata: {{annotations: {{{PLAY}: \"{}\"}}}}\n    spec:\n      restartPolicy: Never\n      containers: [{{name: main, image: main:1}}]\n",
        play::HANG
    );
    let extra = "{{- if .Values.extra }}\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: extra}\n{{- end }}\n";
    charts::note("app", "1.0.0").file("templates/job.yaml", job).file("templates/extra.yaml", extra)
}

#[test]
fn what_was_approved_is_not_gone_on_with_in_other_ways() -> Result<()> {
    story("plan-ways", async |story: &Story<'_>| {
        story.push(&hanging()).await?;
        story.open_repository().await?;
        story.release("app", "app", "1.0.0", json!({})).await?;
        story.ready("app").await?;
        story.patch("app", json!({ "spec": { "plan": { "mode": "Manual" } } })).await?;
        story.ready("app").await?;
        let first = declare(story, json!({ "extra": "yes" })).await?;
        approve(story, &first.digest).await?;
        story
            .eventually("it is carried out", async || {
                ensure!(story.history("app").await? == "1 deployed, 2 pending-upgrade", "not yet");
                Ok(())
            })
            .await?;
        // Somebody makes what it is to make, and another says that such things are to be taken.
        let theirs = json!({ "metadata": { "name": "extra" }, "data": { "whose": "theirs" } });
        story.objects::<ConfigMap>().create(&PostParams::default(), &serde_json::from_value(theirs)?).await?;
        story.patch("app", json!({ "spec": { "upgrade": { "takeOwnership": true } } })).await?;
        let second = waits(story).await?;
        ensure!(second.digest != first.digest && second.revision == 3, "{second:?}");
        ensure!(story.history("app").await? == "1 deployed, 2 superseded", "{}", story.history("app").await?);
        let extra = story.objects::<ConfigMap>().get("extra").await?;
        ensure!(extra.data.context("data")?["whose"] == "theirs" && extra.metadata.labels.is_none(), "it was taken");
        Ok(())
    })
}
