//! A chart's life as its author's guide tells it: `helm create`, push 0.1.0 and 0.2.0, install, upgrade, back, away.

use anyhow::{Context as _, Result, ensure};
use e2e::process::Scratch;
use e2e::story::{SOON, Story, story};
use e2e::{charts, eventually, status};
use helm_operator::api::{HelmRelease, REQUESTED_AT, Reason};
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{ConfigMap, Secret, Service};
use kube::api::ListParams;
use serde_json::json;

const CHART: &str = "helm-oci-test";

#[test]
fn a_release_is_installed_upgraded_downgraded_and_uninstalled() -> Result<()> {
    story("lifecycle", async |story| {
        push(story).await?;
        let release = json!({ "values": "replicaCount: 1\n" });
        story.release("myrelease", CHART, "0.1.0", release).await?;
        story.ready("myrelease").await?;
        shows(story, "0.1.0", "1 deployed").await?;

        story.patch("myrelease", json!({ "spec": { "chart": { "version": "0.2.0" } } })).await?;
        let upgraded = story.ready("myrelease").await?;
        shows(story, "0.2.0", "1 superseded, 2 deployed").await?;
        ensure!(revision(&upgraded) == Some(2), "status tells revision {:?}", revision(&upgraded));

        story.patch("myrelease", json!({ "spec": { "chart": { "version": "0.1.0" } } })).await?;
        story.ready("myrelease").await?;
        shows(story, "0.1.0", "1 superseded, 2 superseded, 3 deployed").await?;

        story.delete("myrelease").await?;
        ensure!(story.objects::<Deployment>().get_opt(&name()).await?.is_none(), "the Deployment is still there");
        ensure!(story.objects::<Service>().get_opt(&name()).await?.is_none(), "the Service is still there");
        let records = story.objects::<Secret>().list(&ListParams::default().labels("owner=helm")).await?;
        ensure!(records.items.is_empty(), "{} records are still there", records.items.len());
        Ok(())
    })
}

#[test]
fn a_constraint_follows_the_registry_and_a_settled_release_stays_still() -> Result<()> {
    story("constraint", async |story| {
        push(story).await?;
        story.release("follows", CHART, "~0.2", json!({})).await?;
        let settled = story.ready("follows").await?;
        let applied = settled.status.as_ref().and_then(|status| status.last_applied_revision.clone());
        ensure!(applied.as_deref().is_some_and(|version| version.starts_with("0.2.0")), "applied {applied:?}");

        // A question asked by hand is answered, and writes nothing but the answer.
        let annotation = "helm-operator.ketches.cn/requestedAt";
        story.patch("follows", json!({ "metadata": { "annotations": { annotation: "now" } } })).await?;
        let handled = |release: &HelmRelease| release.status.as_ref()?.last_handled_reconcile_at.clone();
        let asked = e2e::eventually::object(&story.releases(), "follows", e2e::story::SOON, |release| {
            ensure!(handled(release).as_deref() == Some("now"), "handled {:?}", handled(release));
            Ok(())
        })
        .await?;
        ensure!(revision(&asked) == Some(1), "a question is no upgrade: {:?}", revision(&asked));
        e2e::eventually::measure(std::time::Duration::from_secs(3)).await;
        let still = story.releases().get("follows").await?;
        ensure!(still.metadata.resource_version == asked.metadata.resource_version, "a settled object was written");
        Ok(())
    })
}

#[test]
fn a_tag_that_moves_is_an_upgrade_and_another_name_of_the_same_chart_is_none() -> Result<()> {
    story("moved-tag", async |story| {
        story.push(&charts::note("memo", "1.0.0")).await?;
        story.open_repository().await?;
        story.release("memo", "memo", "1.0.0", json!({})).await?;
        let digest = |release: &HelmRelease| release.status.as_ref()?.helm_release.as_ref()?.digest.clone();
        let first = digest(&story.ready("memo").await?).context("a digest")?;
        story.push(&charts::note("memo", "1.0.0").file("values.yaml", "greeting: moved\n")).await?;
        // Not before the interval, unless somebody asks.
        story.patch("memo", json!({ "metadata": { "annotations": { REQUESTED_AT: "now" } } })).await?;
        eventually::object(&story.releases(), "memo", SOON, |release| {
            status::ready(release)?;
            ensure!(digest(release).is_some_and(|digest| digest != first), "the digest is the old one");
            Ok(())
        })
        .await?;
        let data = story.objects::<ConfigMap>().get("memo-config").await?.data.context("data")?;
        ensure!(data["greeting"] == "moved", "{data:?}");

        let reference = format!("{}/memo", story.charts_url().await?);
        story.patch("memo", json!({ "spec": { "chart": { "ociRepository": reference } } })).await?;
        story.ready("memo").await?;
        ensure!(story.history("memo").await? == "1 superseded, 2 deployed", "{}", story.history("memo").await?);
        Ok(())
    })
}

#[test]
fn another_chart_takes_the_place_of_the_first_and_what_both_have_stays() -> Result<()> {
    story("other-chart", async |story| {
        let old = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: only-old}\n";
        story.push(&charts::note("memo", "1.0.0").file("templates/old.yaml", old)).await?;
        story.push(&charts::note("letter", "1.0.0")).await?;
        story.open_repository().await?;
        story.release("app", "memo", "1.0.0", json!({})).await?;
        story.ready("app").await?;
        let maps = story.objects::<ConfigMap>();
        let before = maps.get("app-config").await?.metadata.uid;
        story.patch("app", json!({ "spec": { "chart": { "name": "letter" } } })).await?;
        story.ready("app").await?;
        ensure!(maps.get("app-config").await?.metadata.uid == before, "what both have was made anew");
        ensure!(maps.get_opt("only-old").await?.is_none(), "what left with the old chart is there");
        ensure!(story.history("app").await? == "1 superseded, 2 deployed", "{}", story.history("app").await?);
        let listed = story.helm.list(&story.namespace).await?;
        ensure!(listed.iter().any(|it| it.chart == "letter-1.0.0"), "{listed:?}");
        Ok(())
    })
}

async fn push(story: &Story<'_>) -> Result<()> {
    let scratch = Scratch::new("guide")?;
    let chart = story.helm.create(scratch.path(), CHART).await?;
    for version in ["0.1.0", "0.2.0"] {
        story.push_folder(&chart, Some(version)).await?;
    }
    story.open_repository().await
}

/// What `helm create` names the objects of the release `myrelease`.
fn name() -> String {
    format!("myrelease-{CHART}")
}

async fn shows(story: &Story<'_>, version: &str, history: &str) -> Result<()> {
    let deployment = story.objects::<Deployment>().get(&name()).await?;
    let label = deployment.metadata.labels.as_ref().and_then(|labels| labels.get("helm.sh/chart").cloned());
    ensure!(label == Some(format!("{CHART}-{version}")), "the Deployment is of {label:?}");
    let ready = deployment.status.and_then(|status| status.ready_replicas);
    ensure!(ready == Some(1), "{ready:?} replicas are ready");
    let told = story.history("myrelease").await?;
    ensure!(told == history, "helm history tells: {told}");
    Ok(())
}

fn revision(release: &HelmRelease) -> Option<i64> {
    Some(release.status.as_ref()?.helm_release.as_ref()?.revision)
}

/// The namespace of the release, as some charts bring it.
const NAMESPACE: &str = "{{- if .Values.namespace }}
apiVersion: v1
kind: Namespace
metadata:
  name: {{ .Release.Namespace }}
{{- end }}
";

#[test]
fn the_namespace_that_holds_the_release_stays_when_it_leaves_the_chart() -> Result<()> {
    story("own-namespace", async |story| {
        story.push(&charts::note("memo", "1.0.0").file("templates/namespace.yaml", NAMESPACE)).await?;
        story.open_repository().await?;
        let options = json!({ "values": { "namespace": true }, "install": { "takeOwnership": true } });
        story.release("memo", "memo", "1.0.0", options).await?;
        story.ready("memo").await?;
        story.patch("memo", json!({ "spec": { "values": { "namespace": null } } })).await?;
        story.event("memo", Reason::ChartWarning, "has left the chart").await?;
        story.ready("memo").await?;
        let namespace = story.kubectl.run(&["get", "namespace", &story.namespace, "-o", "yaml"]).await?;
        ensure!(!namespace.contains("deletionTimestamp"), "{namespace}");
        Ok(())
    })
}
