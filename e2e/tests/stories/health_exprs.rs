//! Objects that are ready when an expression says so, or that are not to be looked at: for the wait, and for as long as they
//! are deployed.

use anyhow::{Context as _, Result, ensure};
use e2e::charts::Chart;
use e2e::eventually;
use e2e::status;
use e2e::story::{SOON, Story, story};
use helm_operator::api::{HelmRelease, Reason};
use kube::api::{Api, ApiResource, DynamicObject, GroupVersionKind, Patch, PatchParams};
use serde_json::{Value, json};

/// Defines the kind `Gauge` in a group of the story's own, whose controller is the story.
async fn define(story: &Story<'_>) -> Result<String> {
    let group = format!("{}.example.com", story.namespace);
    let fields = json!({ "type": "object", "x-kubernetes-preserve-unknown-fields": true });
    let definition = json!({
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": { "name": format!("gauges.{group}") },
        "spec": {
            "group": group,
            "names": { "kind": "Gauge", "plural": "gauges", "singular": "gauge", "listKind": "GaugeList" },
            "scope": "Namespaced",
            "versions": [{
                "name": "v1",
                "served": true,
                "storage": true,
                "subresources": { "status": {} },
                "schema": { "openAPIV3Schema": { "type": "object", "properties": { "spec": fields, "status": fields } } },
            }],
        },
    });
    story.apply(&definition.to_string()).await?;
    let template = format!(
        "apiVersion: {group}/v1
kind: Gauge
metadata:
  name: {{{{ .Release.Name }}}}
  annotations: {{{{ .Values.annotations | default dict | toJson }}}}
spec: {{size: {{{{ .Values.size | default 1 }}}}}}
"
    );
    story.push(&Chart::new("gauge", "1.0.0").file("templates/gauge.yaml", template)).await?;
    story.open_repository().await?;
    Ok(group)
}

async fn tells(story: &Story<'_>, group: &str, name: &str, status: Value) -> Result<()> {
    let kind = ApiResource::from_gvk(&GroupVersionKind::gvk(group, "v1", "Gauge"));
    let gauges = Api::<DynamicObject>::namespaced_with(story.client.clone(), &story.namespace, &kind);
    eventually::object(&gauges, name, SOON, |_| Ok(())).await?;
    gauges.patch_status(name, &PatchParams::default(), &Patch::Merge(json!({ "status": status }))).await?;
    Ok(())
}

#[expect(clippy::needless_pass_by_value, reason = "it is called with what was just written down")]
fn by_phase(group: &str, more: Value) -> Value {
    let mut spec = json!({ "healthCheckExprs": [{
        "apiVersion": format!("{group}/v1"),
        "kind": "Gauge",
        "failed": "status.phase == 'Broken'",
        "current": "status.phase == 'Ready'",
    }] });
    spec.as_object_mut().into_iter().for_each(|spec| spec.extend(more.as_object().cloned().unwrap_or_default()));
    spec
}

async fn waits(story: &Story<'_>, name: &str, words: &str) -> Result<HelmRelease> {
    eventually::object(&story.releases(), name, SOON, |release| {
        status::has(release, "Ready", "False", Reason::Progressing)?;
        let message = status::message(release);
        ensure!(message.contains(words), "{message}");
        Ok(())
    })
    .await
}

async fn is_healthy(story: &Story<'_>, healthy: &str, reason: Reason) -> Result<HelmRelease> {
    eventually::object(&story.releases(), "gauge", SOON, |release| status::has(release, "Healthy", healthy, reason))
        .await
}

#[test]
fn an_expression_says_when_an_object_is_ready_and_whether_it_stays_so() -> Result<()> {
    story("health-exprs", async |story| {
        let group = define(story).await?;
        story.release("gauge", "gauge", "1.0.0", by_phase(&group, json!({}))).await?;
        waits(story, "gauge", "spec.healthCheckExprs[0].current is not true yet: there is no field \"phase\"").await?;
        tells(story, &group, "gauge", json!({ "phase": "Warm" })).await?;
        waits(story, "gauge", "spec.healthCheckExprs[0].current is not true yet").await?;
        tells(story, &group, "gauge", json!({ "phase": "Ready" })).await?;
        story.ready("gauge").await?;
        ensure!(story.history("gauge").await? == "1 deployed", "{}", story.history("gauge").await?);

        is_healthy(story, "True", Reason::HealthCheckSucceeded).await?;
        tells(story, &group, "gauge", json!({ "phase": "Broken" })).await?;
        let release = is_healthy(story, "False", Reason::HealthCheckFailed).await?;
        let conditions = &release.status.as_ref().context("a status")?.conditions;
        let healthy = conditions.iter().find(|it| it.type_ == "Healthy").context("no condition")?;
        ensure!(healthy.message.contains("spec.healthCheckExprs[0].failed is true"), "{}", healthy.message);
        status::ready(&release)?;
        tells(story, &group, "gauge", json!({ "phase": "Ready" })).await?;
        is_healthy(story, "True", Reason::HealthCheckSucceeded).await.map(drop)
    })
}

#[test]
fn a_wait_ends_with_the_expression_that_is_not_true_or_says_that_it_failed() -> Result<()> {
    story("health-exprs-in-vain", async |story| {
        let group = define(story).await?;
        story.release("late", "gauge", "1.0.0", by_phase(&group, json!({ "timeout": "4s" }))).await?;
        let words = ["not ready within 4s", "Gauge \"late\"", "spec.healthCheckExprs[0].current is not true yet"];
        story.refused("late", Reason::NotReady, &words).await?;
        story.release("broken", "gauge", "1.0.0", by_phase(&group, json!({ "timeout": "1h" }))).await?;
        let conditions = json!([{ "type": "Ready", "status": "False", "reason": "Burnt", "message": "smoke" }]);
        tells(story, &group, "broken", json!({ "phase": "Broken", "conditions": conditions })).await?;
        let words = ["will not become ready", "spec.healthCheckExprs[0].failed is true (Burnt: smoke)"];
        story.refused("broken", Reason::NotReady, &words).await.map(drop)
    })
}

#[test]
fn what_is_no_expression_is_refused_with_its_field_before_anything_is_done() -> Result<()> {
    story("health-exprs-wrong", async |story| {
        let group = define(story).await?;
        let checks = |current: &str| json!({ "healthCheckExprs": [{ "apiVersion": format!("{group}/v1"), "current": current }] });
        story.release("gauge", "gauge", "1.0.0", checks("status.phase ==")).await?;
        let words = ["spec.healthCheckExprs[0].current is no expression in CEL", "line 1, column 16"];
        story.refused("gauge", Reason::ConfigurationError, &words).await?;
        story.patch("gauge", json!({ "spec": checks("frobnicate(status)") })).await?;
        story.refused("gauge", Reason::ConfigurationError, &["there is no function frobnicate()"]).await?;
        ensure!(story.history("gauge").await.is_err(), "something was installed");
        story.patch("gauge", json!({ "spec": checks("metadata.name == 'gauge'") })).await?;
        story.ready("gauge").await.map(drop)
    })
}

#[test]
fn an_object_that_asks_for_it_and_what_the_strategy_leaves_out_are_not_waited_for() -> Result<()> {
    story("health-ignored", async |story| {
        let group = define(story).await?;
        let unready =
            json!({ "conditions": [{ "type": "Ready", "status": "False", "reason": "Cold", "message": "" }] });
        let expressions = by_phase(&group, json!({}))["healthCheckExprs"].clone();
        let ignored = json!({ "values": { "annotations": { "helm-operator.ketches.cn/health": "ignore" } } });
        let with_checks = json!({ "healthCheckExprs": expressions, "values": ignored["values"] });
        for (name, spec) in [
            ("ignored", ignored),
            ("checked-ignored", with_checks),
            ("legacy", json!({ "waitStrategy": { "name": "legacy" } })),
            ("hooks", json!({ "waitStrategy": { "name": "hookOnly" }, "healthCheckExprs": expressions })),
        ] {
            story.release(name, "gauge", "1.0.0", spec).await?;
            story.ready(name).await.with_context(|| format!("{name} is waited for"))?;
            tells(story, &group, name, unready.clone()).await?;
        }
        // A new revision, of an object that says that it is not ready.
        for name in ["ignored", "legacy"] {
            story.patch(name, json!({ "spec": { "values": { "size": 2 } } })).await?;
            eventually::object(&story.releases(), name, SOON, |release| {
                status::ready(release)?;
                let deployed = release.status.as_ref().and_then(|status| status.helm_release.as_ref());
                ensure!(deployed.is_some_and(|state| state.revision == 2), "not upgraded yet");
                Ok(())
            })
            .await?;
        }
        Ok(())
    })
}
