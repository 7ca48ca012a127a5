//! What a chart renders is changed as is declared, before it is recorded and applied.

use anyhow::{Context as _, Result, ensure};
use e2e::charts::Chart;
use e2e::story::story;
use helm_operator::api::Reason;
use k8s_openapi::api::apps::v1::Deployment;
use kube::ResourceExt as _;
use serde_json::{Value, json};

const WORKLOAD: &str = "apiVersion: apps/v1
kind: Deployment
metadata:
  name: {{ .Release.Name }}
spec:
  selector: {matchLabels: {app: {{ .Release.Name }}}}
  template:
    metadata: {labels: {app: {{ .Release.Name }}}}
    spec:
      containers: [{name: main, image: \"main:1\"}]
";

const HOOK: &str = "apiVersion: v1
kind: ConfigMap
metadata:
  name: {{ .Release.Name }}-hook
  annotations: {helm.sh/hook: pre-install}
";

fn patches(patches: &Value) -> Value {
    json!({ "postRenderers": [{ "kustomize": { "patches": patches } }] })
}

#[test]
fn patches_images_and_metadata_are_in_the_cluster_and_in_helms_record() -> Result<()> {
    story("post-renderers", async |story| {
        let chart = Chart::new("app", "1.0.0").file("templates/all.yaml", WORKLOAD).file("templates/hook.yaml", HOOK);
        story.push(&chart).await?;
        story.open_repository().await?;
        let merged = "kind: Deployment\napiVersion: apps/v1\nmetadata: {name: app}\nspec: {template: {spec: {containers: [{name: main, stdin: true}]}}}";
        let operations = r#"[{"op": "add", "path": "/spec/replicas", "value": 2}]"#;
        let mut spec =
            patches(&json!([{ "patch": merged }, { "patch": operations, "target": { "kind": "Deployment" } }]));
        spec["postRenderers"][0]["kustomize"]["images"] =
            json!([{ "name": "main", "newName": "mirror/main", "newTag": "2" }]);
        spec["commonMetadata"] = json!({ "labels": { "team": "a" } });
        story.release("app", "app", "1.0.0", spec).await?;
        story.ready("app").await?;
        let workloads = story.objects::<Deployment>();
        let workload = workloads.get("app").await?;
        ensure!(workload.labels().get("team").is_some_and(|team| team == "a"), "{:?}", workload.labels());
        let pod = workload.spec.template.spec.clone().context("a pod")?;
        let image = pod.containers[0].image.clone().unwrap_or_default();
        ensure!(workload.spec.replicas == Some(2) && image == "mirror/main:2", "{:?} {image}", workload.spec.replicas);
        ensure!(pod.containers[0].stdin == Some(true), "the patch is not there");
        let manifest = story.helm.manifest(&story.namespace, "app").await?;
        ensure!(
            manifest.contains("mirror/main:2") && manifest.contains("# Source: app/templates/all.yaml"),
            "{manifest}"
        );
        let hooks = story.helm.run(&["get", "hooks", "app", "-n", &story.namespace]).await?;
        ensure!(hooks.contains("team: a"), "{hooks}");

        // What changes of it is an upgrade, and one that cannot be is told without one.
        story.patch("app", json!({ "spec": { "commonMetadata": { "labels": { "team": "b" } } } })).await?;
        story.ready("app").await?;
        let wrong = patches(
            &json!([{ "patch": "[{\"op\": \"remove\", \"path\": \"/spec/paused\"}]", "target": { "kind": "Deployment" } }]),
        );
        story.patch("app", json!({ "spec": wrong })).await?;
        story.refused("app", Reason::PostRenderFailed, &["patches[0]", "Deployment \"app\"", "/spec/paused"]).await?;
        let none = patches(&json!([{ "patch": "kind: Deployment\napiVersion: apps/v1\nmetadata: {name: other}" }]));
        story.patch("app", json!({ "spec": none })).await?;
        story.refused("app", Reason::PostRenderFailed, &["Deployment \"other\"", "does not render"]).await?;
        story.patch("app", json!({ "spec": patches(&json!([{ "patch": "- a" }])) })).await?;
        story.refused("app", Reason::ConfigurationError, &["spec.postRenderers[0].kustomize.patches[0]"]).await?;
        let history = story.history("app").await?;
        ensure!(history == "1 superseded, 2 deployed", "{history}");
        Ok(())
    })
}
