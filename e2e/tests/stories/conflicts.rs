//! Fields that the chart sets and somebody else, too: what a scale wrote goes on, and for the rest who wins is declared.

use anyhow::{Context as _, Result, ensure};
use e2e::charts::Chart;
use e2e::eventually;
use e2e::story::{SOON, Story, story};
use helm_operator::api::Reason;
use k8s_openapi::api::apps::v1::Deployment;
use kube::api::{Patch, PatchParams};
use serde_json::{Value, json};

const WORKLOAD: &str = "apiVersion: apps/v1
kind: Deployment
metadata:
  name: {{ .Release.Name }}
spec:
  replicas: {{ .Values.replicas }}
  selector: {matchLabels: {app: {{ .Release.Name }}}}
  template:
    metadata: {labels: {app: {{ .Release.Name }}}}
    spec:
      containers:
      - {name: side, image: \"side:1\"}
      - {name: main, image: \"main:{{ .Values.tag }}\"}
";

async fn deployed(story: &Story<'_>, name: &str, spec: Value) -> Result<()> {
    let chart =
        Chart::new("app", "1.0.0").file("values.yaml", "replicas: 1\ntag: a\n").file("templates/all.yaml", WORKLOAD);
    story.push(&chart).await?;
    story.open_repository().await?;
    story.release(name, "app", "1.0.0", spec).await?;
    story.ready(name).await.map(drop)
}

/// The number of replicas and the image of the main container.
async fn live(story: &Story<'_>, name: &str) -> Result<(Option<i32>, String)> {
    let spec = story.objects::<Deployment>().get(name).await?.spec;
    let pod = spec.template.spec.context("a pod")?;
    let main = pod.containers.into_iter().find(|container| container.name == "main");
    Ok((spec.replicas, main.context("main")?.image.unwrap_or_default()))
}

fn values(values: &Value) -> Value {
    json!({ "spec": { "values": values } })
}

/// Another writer sets the image of the main container.
async fn set_image(story: &Story<'_>, name: &str, image: &str) -> Result<()> {
    let image = json!({ "spec": { "template": { "spec": { "containers": [{ "name": "main", "image": image }] } } } });
    let parameters = PatchParams { field_manager: Some("image-updater".to_owned()), ..PatchParams::default() };
    story.objects::<Deployment>().patch(name, &parameters, &Patch::Strategic(image)).await?;
    Ok(())
}

#[test]
fn what_a_scale_wrote_goes_on_through_upgrades_unless_it_is_declared_otherwise() -> Result<()> {
    story("conflicts-scale", async |story| {
        deployed(story, "app", json!({})).await?;
        story.kubectl.run(&["scale", "--namespace", &story.namespace, "deployment/app", "--replicas=3"]).await?;
        story.patch("app", values(&json!({ "tag": "b", "replicas": 2 }))).await?;
        story.ready("app").await?;
        ensure!(live(story, "app").await? == (Some(3), "main:b".to_owned()), "{:?}", live(story, "app").await?);

        let rules = json!([{ "paths": ["/spec/replicas"], "target": { "kind": "Deployment" }, "policy": "Force" }]);
        story.patch("app", json!({ "spec": { "conflicts": rules, "values": { "tag": "c" } } })).await?;
        story.ready("app").await?;
        ensure!(live(story, "app").await? == (Some(2), "main:c".to_owned()), "{:?}", live(story, "app").await?);
        Ok(())
    })
}

#[test]
fn who_wins_a_field_is_declared_by_its_path() -> Result<()> {
    story("conflicts-paths", async |story| {
        deployed(story, "app", json!({ "driftDetection": { "mode": "disabled" } })).await?;
        set_image(story, "app", "main:other").await?;
        story.patch("app", values(&json!({ "tag": "b" }))).await?;
        story.refused("app", Reason::FieldConflict, &["image-updater", "spec.conflicts"]).await?;

        let rule = |policy: &str| {
            json!({ "spec": { "conflicts": [{
                "paths": ["/spec/template/spec/containers/*/image"], "target": { "name": "app" }, "policy": policy,
            }] } })
        };
        story.patch("app", rule("Yield")).await?;
        story.patch("app", values(&json!({ "tag": "b", "replicas": 2 }))).await?;
        story.ready("app").await?;
        ensure!(live(story, "app").await? == (Some(2), "main:other".to_owned()), "{:?}", live(story, "app").await?);

        story.patch("app", rule("Force")).await?;
        story.patch("app", values(&json!({ "tag": "c" }))).await?;
        story.ready("app").await?;
        ensure!(live(story, "app").await?.1 == "main:c", "{:?}", live(story, "app").await?);
        // Only what is declared: another field is a conflict still.
        set_image(story, "app", "main:other").await?;
        let replicas = PatchParams { field_manager: Some("someone".to_owned()), ..PatchParams::default() };
        let patch = Patch::Merge(json!({ "spec": { "replicas": 7 } }));
        story.objects::<Deployment>().patch("app", &replicas, &patch).await?;
        story.patch("app", values(&json!({ "tag": "d", "replicas": 3 }))).await?;
        story.refused("app", Reason::FieldConflict, &["someone", ".spec.replicas"]).await?;
        ensure!(live(story, "app").await? == (Some(7), "main:other".to_owned()), "{:?}", live(story, "app").await?);
        Ok(())
    })
}

#[test]
fn a_rule_that_means_nothing_is_told() -> Result<()> {
    story("conflicts-wrong", async |story| {
        let chart = Chart::new("app", "1.0.0").file("values.yaml", "replicas: 1\ntag: a\n");
        story.push(&chart.file("templates/all.yaml", WORKLOAD)).await?;
        story.open_repository().await?;
        let rules = json!([{ "paths": ["/spec/replicas"], "target": { "kind": "(" }, "policy": "Yield" }]);
        story.release("app", "app", "1.0.0", json!({ "conflicts": rules })).await?;
        story.refused("app", Reason::ConfigurationError, &["spec.conflicts[0].target", "kind"]).await?;
        let rules = json!([{ "paths": ["spec.replicas"], "policy": "Yield" }]);
        let refused = story.release("app", "app", "1.0.0", json!({ "conflicts": rules })).await;
        let refused = refused.err().map(|error| format!("{error:#}")).unwrap_or_default();
        ensure!(refused.contains("spec.conflicts[0].paths[0]"), "{refused}");
        Ok(())
    })
}

/// A workload whose number of pods is the chart's, or an autoscaler's.
const SCALED: &str = "apiVersion: apps/v1
kind: Deployment
metadata:
  name: {{ .Release.Name }}
spec:
  {{- with .Values.replicas }}
  replicas: {{ . }}
  {{- end }}
  selector: {matchLabels: {app: {{ .Release.Name }}}}
  template:
    metadata:
      labels: {app: {{ .Release.Name }}}
    spec:
      containers: [{name: main, image: \"main:1\"}]
";

#[test]
fn a_number_of_pods_that_is_no_longer_the_charts_stays_as_it_is() -> Result<()> {
    story("replicas-handed-over", async |story| {
        let chart = Chart::new("app", "1.0.0").file("values.yaml", "replicas: 4\n").file("templates/all.yaml", SCALED);
        story.push(&chart).await?;
        story.open_repository().await?;
        story.release("app", "app", "1.0.0", json!({ "driftDetection": { "mode": "enabled" } })).await?;
        story.ready("app").await?;
        let workloads = story.objects::<Deployment>();
        story.patch("app", values(&json!({ "replicas": 0 }))).await?;
        story.ready("app").await?;
        ensure!(workloads.get("app").await?.spec.replicas == Some(4), "the pods were taken away");
        // It is nobody's then.
        story.kubectl.run(&["scale", "--replicas=6", "--namespace", &story.namespace, "deployment/app"]).await?;
        story.patch("app", values(&json!({ "replicas": 0, "now": "still" }))).await?;
        story.ready("app").await?;
        ensure!(workloads.get("app").await?.spec.replicas == Some(6), "the autoscaler's number is gone");
        // As the chart's own it is set again.
        story.patch("app", values(&json!({ "replicas": 2 }))).await?;
        story.ready("app").await.map(drop)
    })
}

const ANNOTATED: &str = "apiVersion: apps/v1
kind: Deployment
metadata:
  name: {{ .Release.Name }}
spec:
  {{- with .Values.strategy }}
  strategy: {type: {{ . }}, rollingUpdate: null}
  {{- end }}
  selector: {matchLabels: {app: {{ .Release.Name }}}}
  template:
    metadata:
      labels: {app: {{ .Release.Name }}}
      annotations: {checksum/config: {{ .Values.sum | quote }}}
    spec:
      containers: [{name: main, image: \"main:1\"}]
";

#[test]
fn of_what_is_yielded_only_what_others_set_is_left_and_the_charts_own_stays() -> Result<()> {
    story("conflicts-beside", async |story| {
        let chart = Chart::new("app", "1.0.0").file("values.yaml", "sum: a\n").file("templates/all.yaml", ANNOTATED);
        story.push(&chart).await?;
        story.open_repository().await?;
        let rules = json!([{ "paths": ["/spec/template/metadata/annotations", "/metadata"], "policy": "Yield" }]);
        let drift = json!({ "mode": "enabled", "ignore": [{ "paths": ["/spec/template/metadata/annotations"] }] });
        story.release("app", "app", "1.0.0", json!({ "conflicts": rules, "driftDetection": drift })).await?;
        story.ready("app").await?;
        story.kubectl.run(&["rollout", "restart", "--namespace", &story.namespace, "deployment/app"]).await?;
        story.patch("app", values(&json!({ "sum": "b" }))).await?;
        story.ready("app").await?;
        let workloads = story.objects::<Deployment>();
        let text = serde_json::to_string(&workloads.get("app").await?)?;
        ensure!(text.contains("\"checksum/config\":\"b\"") && text.contains("restartedAt"), "{text}");

        // A strategy of another type, where the API server had filled in what belongs to the first.
        story.patch("app", values(&json!({ "sum": "b", "strategy": "Recreate" }))).await?;
        story.ready("app").await?;
        // And where somebody gave it the other type since.
        let rolling =
            json!({ "spec": { "strategy": { "type": "RollingUpdate", "rollingUpdate": { "maxSurge": 1 } } } });
        let parameters = PatchParams { field_manager: Some("kubectl-edit".to_owned()), ..PatchParams::default() };
        workloads.patch("app", &parameters, &Patch::Merge(rolling)).await?;
        eventually::object(&workloads, "app", SOON, |workload| {
            let kind = workload.spec.strategy.as_ref().and_then(|strategy| strategy.type_.as_deref());
            ensure!(kind == Some("Recreate"), "{kind:?}");
            Ok(())
        })
        .await?;
        // Changes that are undone while a release is deployed are none that end its upgrade.
        story
            .patch("app", json!({ "spec": { "suspend": true, "driftDetection": { "ignore": [] }, "conflicts": [] } }))
            .await?;
        set_image(story, "app", "main:other").await?;
        let resumed = json!({ "suspend": false, "values": { "sum": "c", "strategy": "Recreate" } });
        story.patch("app", json!({ "spec": resumed })).await?;
        story.ready("app").await?;
        ensure!(live(story, "app").await?.1 == "main:1", "{:?}", live(story, "app").await?);
        Ok(())
    })
}

#[test]
fn an_object_of_which_no_managers_are_known_is_taken_over() -> Result<()> {
    story("conflicts-reset", async |story| {
        deployed(story, "app", json!({})).await?;
        // As before Kubernetes 1.18, and as people reset it.
        let reset = Patch::Merge(json!({ "metadata": { "managedFields": [{}] } }));
        story.objects::<Deployment>().patch("app", &PatchParams::default(), &reset).await?;
        story.patch("app", values(&json!({ "tag": "b" }))).await?;
        story.ready("app").await?;
        ensure!(live(story, "app").await? == (Some(1), "main:b".to_owned()), "{:?}", live(story, "app").await?);
        Ok(())
    })
}
