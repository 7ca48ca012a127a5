//! One more revision though nothing has changed, for a person who asks for it.

use std::time::Duration;

use anyhow::{Result, ensure};
use e2e::charts;
use e2e::eventually;
use e2e::kwok::{PLAY, play};
use e2e::story::{SOON, Story, alone, as_it_is, story};
use helm_operator::api::{FORCE_AT, REQUESTED_AT, Reason};
use k8s_openapi::api::core::v1::{ConfigMap, Pod};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::ResourceExt;
use kube::api::{ListParams, Patch, PatchParams, PostParams};
use serde_json::{Value, json};

const RANDOM: &str = "apiVersion: v1
kind: ConfigMap
metadata:
  name: {{ .Release.Name }}-chance
data:
  token: {{ randAlphaNum 16 | quote }}
";

async fn stage(story: &Story<'_>) -> Result<()> {
    story.push(&charts::note("memo", "1.0.0").file("templates/chance.yaml", RANDOM)).await?;
    story.open_repository().await
}

fn force(demand: &str) -> Value {
    json!({ "metadata": { "annotations": { FORCE_AT: demand } } })
}

async fn token(story: &Story<'_>) -> Result<Option<String>> {
    let map = story.objects::<ConfigMap>().get("memo-chance").await?;
    Ok(map.data.and_then(|mut data| data.remove("token")))
}

async fn is_answered(story: &Story<'_>, demand: &str) -> Result<()> {
    eventually::object(&story.releases(), "memo", SOON, |release| {
        let handled = release.status.as_ref().and_then(|status| status.last_handled_force_at.as_deref());
        ensure!(handled == Some(demand), "{handled:?}");
        Ok(())
    })
    .await?;
    story.ready("memo").await.map(drop)
}

#[test]
fn a_demand_is_answered_by_one_revision_and_no_more() -> Result<()> {
    alone("forced", as_it_is, async |story| {
        stage(story).await?;
        story.release("memo", "memo", "1.0.0", json!({})).await?;
        story.ready("memo").await?;
        let first = token(story).await?;
        story.patch("memo", force("first")).await?;
        is_answered(story, "first").await?;
        let second = token(story).await?;
        ensure!(first != second && story.history("memo").await? == "1 superseded, 2 deployed", "{first:?}");
        // Nor does a restart ask again.
        let mut operator = story.stage.operator().await;
        operator.kill().await?;
        operator.start().await?;
        drop(operator);
        story.patch("memo", force("second")).await?;
        is_answered(story, "second").await?;
        ensure!(
            story.history("memo").await? == "1 superseded, 2 superseded, 3 deployed",
            "{}",
            story.history("memo").await?
        );
        Ok(())
    })
}

/// A backup has what was asked long ago, and perhaps more revisions since than are kept.
#[test]
fn a_demand_that_came_with_its_object_makes_no_revision_of_what_is_deployed() -> Result<()> {
    story("forced-restored", async |story| {
        stage(story).await?;
        story.release("memo", "memo", "1.0.0", json!({ "uninstall": { "deletionPolicy": "Orphan" } })).await?;
        story.ready("memo").await?;
        let first = token(story).await?;
        let mut restored = story.releases().get("memo").await?;
        story.delete("memo").await?;
        restored.metadata = ObjectMeta {
            name: restored.metadata.name,
            annotations: Some([(FORCE_AT.to_owned(), "long ago".to_owned())].into()),
            ..ObjectMeta::default()
        };
        restored.status = None;
        story.releases().create(&PostParams::default(), &restored).await?;
        is_answered(story, "long ago").await?;
        ensure!(token(story).await? == first && story.history("memo").await? == "1 deployed", "a revision was made");
        story.patch("memo", force("now")).await?;
        is_answered(story, "now").await?;
        ensure!(token(story).await? != first, "no revision was made");
        Ok(())
    })
}

#[test]
fn a_demand_ends_a_hold_and_what_ran_out() -> Result<()> {
    story("forced-held", async |story| {
        stage(story).await?;
        story.release("memo", "memo", "1.0.0", json!({})).await?;
        story.ready("memo").await?;
        story.patch("memo", json!({ "spec": { "values": { "greeting": "hi" } } })).await?;
        story.ready("memo").await?;
        story.helm.rollback(&story.namespace, "memo", 1).await?;
        story.failed("memo", Reason::ReleaseHeld).await?;
        story.patch("memo", force("now")).await?;
        is_answered(story, "now").await?;
        let map = story.objects::<ConfigMap>().get("memo-config").await?;
        ensure!(map.data.is_some_and(|data| data["greeting"] == "hi"), "it is not what is declared");
        Ok(())
    })
}

async fn pods(story: &Story<'_>) -> Result<Vec<String>> {
    let pods = story.objects::<Pod>().list(&ListParams::default()).await?;
    Ok(pods.items.iter().filter(|pod| pod.metadata.deletion_timestamp.is_none()).map(ResourceExt::name_any).collect())
}

#[test]
fn the_pods_start_anew_with_each_upgrade_where_that_is_declared() -> Result<()> {
    story("recreate", async |story| {
        story.push(&charts::web("web", "1.0.0")).await?;
        story.open_repository().await?;
        story.release("app", "web", "1.0.0", json!({ "upgrade": { "recreate": true } })).await?;
        story.ready("app").await?;
        let before = pods(story).await?;
        ensure!(before.len() == 1, "{before:?}");
        // Of what the pods are made nothing changes.
        story.patch("app", json!({ "spec": { "values": { "greeting": "hi" } } })).await?;
        story
            .eventually("other pods are there", async || {
                let now = pods(story).await?;
                ensure!(now.len() == 1 && now != before, "{now:?}");
                Ok(())
            })
            .await?;
        story.ready("app").await.map(drop)
    })
}

/// Refuses writes of the status of releases in the namespace.
fn refusal(namespace: &str) -> String {
    format!(
        "apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicy
metadata: {{name: {namespace}}}
spec:
  matchConstraints:
    namespaceSelector: {{matchLabels: {{kubernetes.io/metadata.name: {namespace}}}}}
    resourceRules:
    - {{apiGroups: [helm-operator.ketches.cn], apiVersions: ['*'], operations: [UPDATE], resources: [helmreleases/status]}}
  validations: [{{expression: 'false', message: no status is written}}]
---
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicyBinding
metadata: {{name: {namespace}}}
spec: {{policyName: {namespace}, validationActions: [Deny]}}
"
    )
}

#[test]
fn a_demand_for_a_look_is_answered_once_though_the_status_cannot_be_written() -> Result<()> {
    story("asked-once", async |story| {
        let job = format!(
            "apiVersion: batch/v1\nkind: Job\nmetadata:\n  name: migrates\n  annotations: {{helm.sh/hook: pre-upgrade}}\nspec:\n  backoffLimit: 0\n  \
             template:\n    metadata: {{annotations: {{{PLAY}: \"{}\"}}}}\n    spec:\n      restartPolicy: Never\n      containers: [{{name: main, \
             image: main:1}}]\n",
            play::FAIL
        );
        story.push(&charts::note("memo", "1.0.0").file("templates/job.yaml", job)).await?;
        story.open_repository().await?;
        let strategy = json!({ "name": "RetryOnFailure", "retryInterval": "1h" });
        story.release("app", "memo", "1.0.0", json!({ "upgrade": { "strategy": strategy } })).await?;
        story.ready("app").await?;
        story.kubectl.apply_as_written(&refusal(&story.namespace)).await?;
        let nothing = Patch::Merge(json!({ "status": { "notes": "x" } }));
        story
            .eventually("the status cannot be written", async || {
                let written = story.releases().patch_status("app", &PatchParams::default(), &nothing).await;
                ensure!(
                    written.is_err_and(|error| error.to_string().contains("no status is written")),
                    "it is written"
                );
                Ok(())
            })
            .await?;
        let demand = json!({
            "metadata": { "annotations": { REQUESTED_AT: "now" } }, "spec": { "values": { "greeting": "changed" } },
        });
        story.patch("app", demand).await?;
        let failed = async || {
            let history = story.history("app").await?;
            ensure!(history == "1 deployed, 2 failed", "{history}");
            Ok(())
        };
        story.eventually("the one attempt fails", failed).await?;
        // It is looked at every few seconds, for the status is not written.
        eventually::measure(Duration::from_secs(15)).await;
        failed().await?;
        for kind in ["validatingadmissionpolicybinding", "validatingadmissionpolicy"] {
            story.kubectl.run(&["delete", kind, &story.namespace]).await?;
        }
        story.refused("app", Reason::HookFailed, &["migrates"]).await?;
        story.delete("app").await
    })
}
