//! Workloads that break after they were ready: told in a condition of its own, with the pod and its trouble, and told when it is
//! over; the release stays ready, and nothing is done to it.

use anyhow::{Context as _, Result, ensure};
use e2e::charts::Chart;
use e2e::kwok::{PLAY, play};
use e2e::story::{SOON, Story, alone, as_it_is};
use e2e::{eventually, status};
use helm_operator::api::{HelmRelease, Reason};
use k8s_openapi::api::apps::v1::Deployment;
use kube::api::{Patch, PatchParams};
use serde_json::json;

const WORKLOAD: &str = "apiVersion: apps/v1
kind: Deployment
metadata:
  name: {{ .Release.Name }}
spec:
  progressDeadlineSeconds: 2
  selector: {matchLabels: {app: {{ .Release.Name }}}}
  template:
    metadata: {labels: {app: {{ .Release.Name }}}}
    spec:
      containers: [{name: main, image: \"main:1\"}]
";

async fn is_healthy(story: &Story<'_>, healthy: &str, reason: Reason) -> Result<HelmRelease> {
    eventually::object(&story.releases(), "web", SOON, |release| status::has(release, "Healthy", healthy, reason)).await
}

async fn play(story: &Story<'_>, play: Option<&str>) -> Result<()> {
    let patch = json!({ "spec": { "template": { "metadata": { "annotations": { PLAY: play } } } } });
    let workloads = story.objects::<Deployment>();
    workloads.patch("web", &PatchParams::default(), &Patch::Merge(patch)).await?;
    Ok(())
}

#[test]
fn a_workload_that_breaks_is_told_with_its_pod_and_changes_neither_ready_nor_the_release() -> Result<()> {
    alone("healthy", as_it_is, async |story| {
        story.push(&Chart::new("web", "1.0.0").file("templates/web.yaml", WORKLOAD)).await?;
        story.open_repository().await?;
        story.release("web", "web", "1.0.0", json!({})).await?;
        story.ready("web").await?;
        is_healthy(story, "True", Reason::HealthCheckSucceeded).await?;

        play(story, Some(play::CRASH)).await?;
        let release = is_healthy(story, "False", Reason::HealthCheckFailed).await?;
        let conditions = &release.status.as_ref().context("a status")?.conditions;
        let healthy = conditions.iter().find(|it| it.type_ == "Healthy").context("no condition")?;
        for word in ["Deployment \"web\"", "pod \"web-", "CrashLoopBackOff"] {
            ensure!(healthy.message.contains(word), "{word:?} is not told: {}", healthy.message);
        }
        status::ready(&release)?;
        story.event("web", Reason::HealthCheckFailed, "CrashLoopBackOff").await?;

        // After a restart it is told still, without having been told anything else.
        let mut operator = story.stage.operator().await;
        operator.kill().await?;
        operator.start().await?;
        drop(operator);
        let annotation = json!({ "metadata": { "annotations": { "helm-operator.ketches.cn/requestedAt": "now" } } });
        story.patch("web", annotation).await?;
        eventually::object(&story.releases(), "web", SOON, |release: &HelmRelease| {
            let handled = release.status.as_ref().and_then(|status| status.last_handled_reconcile_at.as_deref());
            ensure!(handled == Some("now"), "not looked at yet");
            status::has(release, "Healthy", "False", Reason::HealthCheckFailed)
        })
        .await?;

        play(story, None).await?;
        is_healthy(story, "True", Reason::HealthCheckSucceeded).await?;
        story.event("web", Reason::HealthCheckSucceeded, "revision 1").await?;
        let history = story.history("web").await?;
        ensure!(history == "1 deployed", "{history}");
        Ok(())
    })
}
