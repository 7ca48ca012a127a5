//! Charts as they come: with subcharts, CRDs, schemas, hooks and notes, and of real size.

use anyhow::{Context, Result, ensure};
use e2e::charts::{self, Chart};
use e2e::story::{SOON, story};
use e2e::{eventually, status};
use helm_operator::api::{REQUESTED_AT, Reason};
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use kube::Api;
use kube::api::{ApiResource, DynamicObject, GroupVersionKind, ListParams};
use serde_json::json;

const CRD: &str = r"apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata:
  name: gadgets.stories.example.com
spec:
  group: stories.example.com
  names: { kind: Gadget, plural: gadgets, singular: gadget }
  scope: Namespaced
  versions:
  - name: v1
    served: true
    storage: true
    schema:
      openAPIV3Schema:
        type: object
        properties:
          spec: { type: object, properties: { size: { type: integer } } }
";

const GADGET: &str = r"apiVersion: stories.example.com/v1
kind: Gadget
metadata:
  name: {{ .Release.Name }}
spec:
  size: {{ .Values.size }}
";

const SCHEMA: &str = r#"{
  "$schema": "http://json-schema.org/draft-07/schema#",
  "type": "object",
  "properties": { "size": { "type": "integer", "minimum": 1 } },
  "required": ["size"]
}"#;

const HOOK: &str = r"apiVersion: batch/v1
kind: Job
metadata:
  name: {{ .Release.Name }}-migrate
  annotations:
    helm.sh/hook: pre-install,pre-upgrade
    helm.sh/hook-delete-policy: before-hook-creation
spec:
  template:
    spec:
      restartPolicy: Never
      containers:
      - name: migrate
        image: migrate:1
";

#[test]
fn a_chart_with_subchart_crd_schema_and_notes_is_installed() -> Result<()> {
    story("rich-chart", async |story| {
        let chart = Chart::new("rich", "1.0.0")
            .file("crds/gadgets.yaml", CRD)
            .file("values.yaml", "size: 3\ncache:\n  greeting: from the parent\nglobal:\n  token: shared\n")
            .file("values.schema.json", SCHEMA)
            .file("templates/gadget.yaml", GADGET)
            .file("templates/NOTES.txt", "Size {{ .Values.size }} for {{ .Release.Name }}.\n")
            .subchart(charts::note("cache", "0.1.0"), "0.1.0");
        story.push(&chart).await?;
        story.open_repository().await?;
        story.release("rich", "rich", "1.0.0", json!({ "values": { "size": 7 } })).await?;
        let release = story.ready("rich").await?;

        let notes = release.status.and_then(|status| status.notes);
        ensure!(notes.as_deref().is_some_and(|notes| notes.contains("Size 7 for rich.")), "notes: {notes:?}");
        let kind = ApiResource::from_gvk(&GroupVersionKind::gvk("stories.example.com", "v1", "Gadget"));
        let gadgets: Api<DynamicObject> = Api::namespaced_with(story.client.clone(), &story.namespace, &kind);
        let size = gadgets.get("rich").await?.data["spec"]["size"].clone();
        ensure!(size == 7, "size: {size}");
        let map = story.objects::<ConfigMap>().get("rich-config").await?;
        let greeting = map.data.and_then(|data| data.get("greeting").cloned());
        ensure!(greeting.as_deref() == Some("from the parent"), "greeting: {greeting:?}");
        Ok(())
    })
}

#[test]
fn a_pre_install_job_runs_before_the_rest_and_again_before_an_upgrade() -> Result<()> {
    story("hooks", async |story| {
        for version in ["1.0.0", "1.1.0"] {
            story.push(&charts::note("hooked", version).file("templates/migrate.yaml", HOOK)).await?;
        }
        story.open_repository().await?;
        story.release("hooked", "hooked", "1.0.0", json!({})).await?;
        let release = story.ready("hooked").await?;
        let inventory = release.status.and_then(|status| status.inventory).context("an inventory")?;
        ensure!(inventory.objects == 1 && !inventory.kinds.contains_key("Job"), "a hook is in it: {inventory:?}");
        let jobs: Api<Job> = story.objects();
        let first = jobs.get("hooked-migrate").await?;
        let done =
            first.status.as_ref().and_then(|status| status.completion_time.clone()).context("the Job is done")?;
        let map = story.objects::<ConfigMap>().get("hooked-config").await?;
        // Both times are of whole seconds.
        ensure!(map.metadata.creation_timestamp >= Some(done), "the ConfigMap came before the Job was done");

        story.patch("hooked", json!({ "spec": { "chart": { "version": "1.1.0" } } })).await?;
        story.ready("hooked").await?;
        ensure!(jobs.get("hooked-migrate").await?.metadata.uid != first.metadata.uid, "the Job did not run again");
        Ok(())
    })
}

#[test]
fn an_umbrella_of_seventy_objects_is_installed_and_pruned() -> Result<()> {
    story("umbrella", async |story| {
        story.push(&charts::umbrella("1.0.0", 14)).await?;
        story.push(&charts::umbrella("1.1.0", 12)).await?;
        story.open_repository().await?;
        story.release("shop", "umbrella", "1.0.0", json!({})).await?;
        let release = story.ready("shop").await?;
        let inventory = release.status.and_then(|status| status.inventory).map(|inventory| inventory.objects);
        ensure!(inventory == Some(70), "the inventory holds {inventory:?} objects");
        ensure!(deployments(story).await? == 14, "not all 14 Deployments are there");

        story.patch("shop", json!({ "spec": { "chart": { "version": "1.1.0" } } })).await?;
        story.ready("shop").await?;
        ensure!(deployments(story).await? == 12, "what left the chart is still there");
        let secrets: Api<Secret> = story.objects();
        ensure!(secrets.get_opt("shop-part13").await?.is_none(), "the Secret of a part that left is still there");
        Ok(())
    })
}

async fn deployments(story: &e2e::story::Story<'_>) -> Result<usize> {
    Ok(story.objects::<Deployment>().list(&ListParams::default()).await?.items.len())
}

#[test]
fn a_chart_that_renders_nothing_is_a_release_like_any_other() -> Result<()> {
    story("nothing", async |story| {
        let nothing = "{{- if .Values.some }}\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: some}\n{{- end }}\n";
        story.push(&Chart::new("nothing", "1.0.0").file("templates/some.yaml", nothing)).await?;
        story.open_repository().await?;
        story.release("app", "nothing", "1.0.0", json!({ "driftDetection": { "mode": "enabled" } })).await?;
        story.ready("app").await?;
        for (some, is_there) in [(true, true), (false, false)] {
            story.patch("app", json!({ "spec": { "values": { "some": some } } })).await?;
            story.ready("app").await?;
            let found = story.objects::<ConfigMap>().get_opt("some").await?;
            ensure!(found.is_some() == is_there, "values.some is {some}: {found:?}");
        }
        story.delete("app").await?;
        ensure!(story.history("app").await.is_err(), "its history is left");
        Ok(())
    })
}

#[test]
fn a_job_that_removes_itself_when_it_is_done_is_waited_for_and_not_missed() -> Result<()> {
    story("vanishing", async |story| {
        let job = "apiVersion: batch/v1
kind: Job
metadata: {name: {{ .Release.Name }}-once}
spec:
  ttlSecondsAfterFinished: 0
  template:
    spec:
      restartPolicy: Never
      containers: [{name: main, image: \"main:1\"}]
";
        story.push(&charts::note("once", "1.0.0").file("templates/job.yaml", job)).await?;
        story.open_repository().await?;
        story.release("app", "once", "1.0.0", json!({ "driftDetection": { "mode": "enabled" } })).await?;
        story.ready("app").await?;
        let jobs = story.objects::<Job>();
        eventually::gone(&jobs, "app-once", SOON).await?;
        story.patch("app", json!({ "metadata": { "annotations": { REQUESTED_AT: "now" } } })).await?;
        let releases = story.releases();
        let settled = eventually::object(&releases, "app", SOON, |release| {
            let handled = release.status.as_ref().and_then(|status| status.last_handled_reconcile_at.as_deref());
            ensure!(handled == Some("now"), "handled {handled:?}");
            Ok(())
        });
        let settled = settled.await?;
        ensure!(
            status::has(&settled, "Drifted", "True", Reason::DriftDetected).is_err(),
            "{}",
            status::summary(&settled)
        );
        ensure!(jobs.get_opt("app-once").await?.is_none(), "it was made anew");
        ensure!(story.history("app").await? == "1 deployed", "{}", story.history("app").await?);
        Ok(())
    })
}

#[test]
fn what_helm_did_by_hand_between_two_reconciles_is_continued() -> Result<()> {
    story("by-hand", async |story| {
        for version in ["1.0.0", "1.1.0"] {
            story.push(&charts::note("memo", version)).await?;
        }
        story.open_repository().await?;
        story.release("memo", "memo", "1.0.0", json!({})).await?;
        story.ready("memo").await?;
        story.patch("memo", json!({ "spec": { "chart": { "version": "1.1.0" } } })).await?;
        story.ready("memo").await?;
        story.helm.rollback(&story.namespace, "memo", 1).await?;

        // The declaration stands: 1.1.0 comes back as a revision of its own.
        let annotation = "helm-operator.ketches.cn/requestedAt";
        story.patch("memo", json!({ "metadata": { "annotations": { annotation: "after the rollback" } } })).await?;
        let history = "1 superseded, 2 superseded, 3 superseded, 4 deployed";
        story
            .eventually("the declared version is back", async || {
                let told = story.history("memo").await?;
                ensure!(told == history, "helm history tells: {told}");
                Ok(())
            })
            .await?;
        story.ready("memo").await?;
        Ok(())
    })
}
