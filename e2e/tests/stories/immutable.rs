//! Fields that cannot be changed once an object exists: told, or the object made anew as declared; never a volume.

use anyhow::{Context as _, Result, ensure};
use e2e::charts::Chart;
use e2e::kwok::{PLAY, play};
use e2e::story::{Story, story};
use helm_operator::api::Reason;
use k8s_openapi::api::apps::v1::{Deployment, StatefulSet};
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::{PersistentVolumeClaim, Pod};
use kube::ResourceExt as _;
use serde_json::{Value, json};

const JOB: &str = "apiVersion: batch/v1
kind: Job
metadata:
  name: {{ .Release.Name }}
spec:
  template:
    metadata:
      annotations: {PLAY: {{ .Values.play | quote }}}
    spec:
      restartPolicy: Never
      containers: [{name: main, image: \"main:{{ .Values.tag }}\"}]
";

const WORKLOAD: &str = "apiVersion: apps/v1
kind: KIND
metadata:
  name: {{ .Release.Name }}
spec:
  SERVICE
  selector: {matchLabels: {app: {{ .Release.Name }}, SELECTED}}
  template:
    metadata: {labels: {app: {{ .Release.Name }}, tag: {{ .Values.tag | quote }}}}
    spec:
      containers: [{name: main, image: \"main:1\"}]
";

const CLAIM: &str = "apiVersion: v1
kind: PersistentVolumeClaim
metadata:
  name: {{ .Release.Name }}
spec:
  accessModes: [ReadWriteOnce]
  storageClassName: class-{{ .Values.tag }}
  resources: {requests: {storage: 1Gi}}
";

async fn stage(story: &Story<'_>) -> Result<()> {
    let chart = |name: &str, text: String| {
        Chart::new(name, "1.0.0").file("values.yaml", "tag: a\nplay: ''\n").file("templates/object.yaml", text)
    };
    let workload = |kind: &str, service: &str, selected: &str| {
        WORKLOAD.replace("KIND", kind).replace("SERVICE", service).replace("SELECTED", selected)
    };
    story.push(&chart("job", JOB.replace("PLAY", PLAY))).await?;
    story.push(&chart("deployment", workload("Deployment", "replicas: 1", "tag: {{ .Values.tag | quote }}"))).await?;
    let service = "serviceName: web-{{ .Values.tag }}\n  updateStrategy: {type: OnDelete}";
    story.push(&chart("set", workload("StatefulSet", service, "fixed: \"\"").replace(", fixed: \"\"", ""))).await?;
    story.push(&chart("claim", CLAIM.to_owned())).await?;
    story.open_repository().await
}

fn tag(tag: &str) -> Value {
    json!({ "spec": { "values": { "tag": tag } } })
}

#[test]
fn a_finished_job_is_made_anew_and_one_that_runs_is_not() -> Result<()> {
    story("immutable-job", async |story| {
        stage(story).await?;
        let jobs = story.objects::<Job>();
        story.release("app", "job", "1.0.0", json!({})).await?;
        story.ready("app").await?;
        let before = jobs.get("app").await?.uid();
        story.patch("app", tag("b")).await?;
        story.ready("app").await?;
        ensure!(jobs.get("app").await?.uid() != before, "the old Job is there");

        let hanging = json!({ "values": { "play": play::HANG }, "install": { "wait": false } });
        story.release("runs", "job", "1.0.0", hanging).await?;
        story.ready("runs").await?;
        let before = jobs.get("runs").await?.uid().context("a uid")?;
        story.patch("runs", tag("b")).await?;
        story.refused("runs", Reason::ImmutableField, &["Job", "runs", "spec.onImmutable for Job"]).await?;
        ensure!(jobs.get("runs").await?.uid() == Some(before.clone()), "a Job that runs was deleted");
        let declared = json!({ "spec": { "onImmutable": [{ "kind": "Job", "policy": "Recreate" }], "upgrade": { "wait": false } } });
        story.patch("runs", declared).await?;
        story.ready("runs").await?;
        ensure!(jobs.get("runs").await?.uid() != Some(before), "the old Job is there");
        Ok(())
    })
}

#[test]
fn other_kinds_are_made_anew_as_declared_with_or_without_their_pods() -> Result<()> {
    story("immutable-kinds", async |story| {
        stage(story).await?;
        story.release("web", "deployment", "1.0.0", json!({})).await?;
        story.ready("web").await?;
        let before = story.objects::<Deployment>().get("web").await?.uid();
        story.patch("web", tag("b")).await?;
        story.refused("web", Reason::ImmutableField, &["spec.selector", "spec.onImmutable for Deployment"]).await?;
        story
            .patch("web", json!({ "spec": { "onImmutable": [{ "kind": "Deployment", "policy": "Recreate" }] } }))
            .await?;
        story.ready("web").await?;
        ensure!(story.objects::<Deployment>().get("web").await?.uid() != before, "the old Deployment is there");

        let orphaned = json!({ "onImmutable": [{ "kind": "StatefulSet", "policy": "OrphanRecreate" }] });
        story.release("db", "set", "1.0.0", orphaned).await?;
        story.ready("db").await?;
        let pod = story.objects::<Pod>().get("db-0").await?.uid();
        let set = story.objects::<StatefulSet>().get("db").await?.uid();
        story.patch("db", json!({ "spec": { "upgrade": { "wait": false }, "values": { "tag": "b" } } })).await?;
        story.ready("db").await?;
        ensure!(story.objects::<StatefulSet>().get("db").await?.uid() != set, "the old StatefulSet is there");
        ensure!(story.objects::<Pod>().get("db-0").await?.uid() == pod, "its pod was deleted");
        Ok(())
    })
}

const STORED: &str = "apiVersion: apps/v1
kind: StatefulSet
metadata:
  name: {{ .Release.Name }}
spec:
  selector: {matchLabels: {app: {{ .Release.Name }}}}
  template:
    metadata: {labels: {app: {{ .Release.Name }}}}
    spec: {containers: [{name: main, image: \"main:1\"}]}
  volumeClaimTemplates:
  - metadata: {name: data}
    spec:
      accessModes: [ReadWriteOnce]
      storageClassName: {{ .Release.Namespace }}
      resources: {requests: {storage: {{ .Values.size }}}}
";

#[test]
fn the_volumes_of_a_set_grow_where_that_is_declared() -> Result<()> {
    story("immutable-expand", async |story| {
        let chart = Chart::new("stored", "1.0.0").file("values.yaml", "size: 1Gi\n").file("templates/set.yaml", STORED);
        story.push(&chart).await?;
        story.open_repository().await?;
        // A class whose volumes may grow, and a volume of it, as a provisioner would make it.
        let class = json!({
            "apiVersion": "storage.k8s.io/v1", "kind": "StorageClass", "metadata": { "name": story.namespace },
            "provisioner": "kubernetes.io/no-provisioner", "allowVolumeExpansion": true,
        });
        let volume = json!({
            "apiVersion": "v1", "kind": "PersistentVolume", "metadata": { "name": story.namespace },
            "spec": {
                "capacity": { "storage": "1Gi" }, "accessModes": ["ReadWriteOnce"], "storageClassName": story.namespace,
                "hostPath": { "path": "/nowhere" },
            },
        });
        story.apply(&class.to_string()).await?;
        story.apply(&volume.to_string()).await?;
        story.release("db", "stored", "1.0.0", json!({})).await?;
        story.ready("db").await?;
        let (sets, claims) = (story.objects::<StatefulSet>(), story.objects::<PersistentVolumeClaim>());
        let (set, claim, pod) = (
            sets.get("db").await?.uid(),
            claims.get("data-db-0").await?.uid(),
            story.objects::<Pod>().get("db-0").await?.uid(),
        );
        let larger = json!({ "spec": { "values": { "size": "2Gi" } } });
        story.patch("db", larger).await?;
        story.failed("db", Reason::ImmutableField).await?;
        let expand = json!({ "onImmutable": [{ "kind": "StatefulSet", "policy": "ExpandVolumes" }] });
        story.patch("db", json!({ "spec": expand })).await?;
        story.ready("db").await?;
        let grown = claims.get("data-db-0").await?;
        let requests = grown.spec.clone().and_then(|spec| spec.resources?.requests).unwrap_or_default();
        ensure!(grown.uid() == claim, "another claim");
        ensure!(requests.get("storage").is_some_and(|size| size.0 == "2Gi"), "{requests:?}");
        ensure!(sets.get("db").await?.uid() != set, "the old StatefulSet is there");
        ensure!(story.objects::<Pod>().get("db-0").await?.uid() == pod, "its pod was deleted");
        Ok(())
    })
}

#[test]
fn a_volume_is_never_deleted_for_a_field() -> Result<()> {
    story("immutable-volume", async |story| {
        stage(story).await?;
        let declared = json!({
            "onImmutable": [{ "kind": "PersistentVolumeClaim", "policy": "Recreate" }],
            "install": { "wait": false },
        });
        story.release("data", "claim", "1.0.0", declared).await?;
        story.ready("data").await?;
        let claims = story.objects::<PersistentVolumeClaim>();
        let before = claims.get("data").await?.uid();
        story.patch("data", tag("b")).await?;
        story.failed("data", Reason::ImmutableField).await?;
        let claim = claims.get("data").await?;
        ensure!(claim.uid() == before && claim.metadata.deletion_timestamp.is_none(), "the claim was deleted");
        Ok(())
    })
}
