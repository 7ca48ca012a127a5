//! Upgrades that fail: rolled back where that is declared, tried again as often as is declared, and told.

use anyhow::{Result, ensure};
use e2e::charts::{self, Chart};
use e2e::eventually;
use e2e::kwok::{PLAY, play};
use e2e::status::{self, Conditioned as _};
use e2e::story::{SOON, Story, story};
use helm_operator::api::{REQUESTED_AT, Reason};
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::{Patch, PatchParams};
use serde_json::{Value, json};

async fn stage(story: &Story<'_>, chart: &Chart) -> Result<()> {
    story.push(chart).await?;
    story.open_repository().await
}

/// Rolled back after an upgrade that is not ready within two seconds, which is tried again so often.
fn spec(retries: i32) -> Value {
    json!({ "upgrade": { "timeout": "2s", "remediation": { "retries": retries } } })
}

fn broken() -> Value {
    json!({ "spec": { "values": { "podAnnotations": { PLAY: play::NEVER_READY } } } })
}

async fn history_is(story: &Story<'_>, expected: &str) -> Result<()> {
    story
        .eventually(&format!("the history is {expected}"), async || {
            let history = story.history("app").await?;
            ensure!(history == expected, "it is {history}");
            Ok(())
        })
        .await
}

/// The annotation that makes the pods never ready, as the Deployment has it.
async fn play_of(story: &Story<'_>) -> Result<Option<String>> {
    let deployment = story.objects::<Deployment>().get("app").await?;
    let annotations = deployment.spec.template.metadata.and_then(|metadata| metadata.annotations);
    Ok(annotations.and_then(|annotations| annotations.get(PLAY).cloned()))
}

#[test]
fn a_failed_upgrade_is_rolled_back_and_nothing_is_hidden() -> Result<()> {
    story("rolled-back", async |story| {
        stage(story, &charts::web("web", "1.0.0")).await?;
        story.release("app", "web", "1.0.0", spec(0)).await?;
        story.ready("app").await?;
        story.patch("app", broken()).await?;
        let words =
            ["not ready within 2s", "revision 1 is deployed again, as revision 3", "1 attempts failed", REQUESTED_AT];
        let release = story.refused("app", Reason::RetriesExhausted, &words).await?;
        status::stalled(&release, Reason::RetriesExhausted)?;
        status::has(&release, "Remediated", "True", Reason::RolledBack)?;
        history_is(story, "1 superseded, 2 failed, 3 deployed").await?;
        ensure!(play_of(story).await?.is_none(), "the old version is not back");
        let shown = story.helm.run(&["history", "app", "--namespace", &story.namespace]).await?;
        ensure!(shown.contains("Rollback to 1"), "{shown}");

        // A person may ask for one more; and what was gone back to is kept where that is declared again.
        story.patch("app", json!({ "metadata": { "annotations": { REQUESTED_AT: "again" } } })).await?;
        history_is(story, "1 superseded, 2 failed, 3 superseded, 4 failed, 5 deployed").await?;
        story.refused("app", Reason::RetriesExhausted, &["as revision 5", "2 attempts failed"]).await?;
        story.patch("app", json!({ "spec": { "values": null } })).await?;
        let release = story.ready("app").await?;
        ensure!(status::has(&release, "Remediated", "True", Reason::RolledBack).is_ok());
        history_is(story, "1 superseded, 2 failed, 3 superseded, 4 failed, 5 deployed").await
    })
}

#[test]
fn an_upgrade_is_tried_again_after_its_rollback_as_often_as_declared() -> Result<()> {
    story("retried", async |story| {
        stage(story, &charts::web("web", "1.0.0")).await?;
        story.release("app", "web", "1.0.0", spec(1)).await?;
        story.ready("app").await?;
        story.patch("app", broken()).await?;
        eventually::object(&story.releases(), "app", SOON, |release| {
            status::failed(release, Reason::NotReady)?;
            let message = status::message(release);
            ensure!(message.contains("revision 1 is deployed again, as revision 3"), "{message}");
            Ok(())
        })
        .await?;
        story.refused("app", Reason::RetriesExhausted, &["2 attempts failed"]).await?;
        history_is(story, "1 superseded, 2 failed, 3 superseded, 4 failed, 5 deployed").await?;
        // Another declaration begins anew.
        story.patch("app", json!({ "spec": { "values": { "replicaCount": 2, "podAnnotations": null } } })).await?;
        let release = story.ready("app").await?;
        let told = release.conditions().iter().any(|condition| condition.type_ == "Remediated");
        ensure!(!told, "what was remedied is told still: {}", status::summary(&release));
        Ok(())
    })
}

const MIGRATION: &str = "apiVersion: batch/v1
kind: Job
metadata:
  name: {{ .Release.Name }}-migrate
  annotations: {helm.sh/hook: pre-upgrade}
spec:
  backoffLimit: 0
  template:
    spec:
      restartPolicy: Never
      containers: [{name: main, image: \"main:1\"}]
";

#[test]
fn what_a_completed_hook_may_have_changed_is_not_rolled_back_unless_that_is_declared() -> Result<()> {
    story("rollback-barred", async |story| {
        stage(story, &charts::web("web", "1.0.0").file("templates/migrate.yaml", MIGRATION)).await?;
        story.release("app", "web", "1.0.0", spec(0)).await?;
        story.ready("app").await?;
        story.patch("app", broken()).await?;
        story.refused("app", Reason::RetriesExhausted, &["not ready within 2s"]).await?;
        story.event("app", Reason::RollbackSkipped, "spec.rollback.afterHooks").await?;
        history_is(story, "1 deployed, 2 failed").await?;
        // It is declared anew, and so tried anew, first.
        story.patch("app", json!({ "spec": { "rollback": { "afterHooks": true } } })).await?;
        history_is(story, "1 superseded, 2 failed, 3 failed, 4 deployed").await?;
        ensure!(play_of(story).await?.is_none(), "the old version is not back");
        Ok(())
    })
}

#[test]
fn attempts_at_an_install_are_as_many_as_declared_and_nothing_is_uninstalled() -> Result<()> {
    story("install-retries", async |story| {
        stage(story, &charts::web("web", "1.0.0")).await?;
        let mut spec = broken()["spec"].clone();
        spec["install"] = json!({ "timeout": "1s", "remediation": { "retries": 0 } });
        story.release("app", "web", "1.0.0", spec).await?;
        story.refused("app", Reason::RetriesExhausted, &["not ready within 1s", "1 attempts failed"]).await?;
        history_is(story, "1 failed").await?;
        ensure!(play_of(story).await?.is_some(), "the objects are gone");
        story.patch("app", json!({ "spec": { "values": { "podAnnotations": null } } })).await?;
        story.ready("app").await?;
        history_is(story, "1 failed, 2 deployed").await
    })
}

#[test]
fn a_release_that_is_retried_is_so_at_its_interval_up_to_its_bound_and_never_gone_back() -> Result<()> {
    story("retried", async |story| {
        let hanging = WORKLOAD.replace("PLAY", PLAY);
        let chart = Chart::new("app", "1.0.0").file("values.yaml", "play: ''\n").file("templates/all.yaml", hanging);
        story.push(&chart).await?;
        story.open_repository().await?;
        story.release("app", "app", "1.0.0", json!({})).await?;
        story.ready("app").await?;
        let upgrade = json!({
            "timeout": "1h", "progressDeadline": "1s", "remediation": { "retries": 9 },
            "strategy": { "name": "RetryOnFailure", "retryInterval": "1s", "retries": 2 },
        });
        let values = json!({ "play": play::NEVER_READY });
        story.patch("app", json!({ "spec": { "upgrade": upgrade, "values": values } })).await?;
        story.refused("app", Reason::RetriesExhausted, &["nothing moved for 1s", "all 3 attempts"]).await?;
        let history = story.history("app").await?;
        ensure!(history == "1 deployed, 2 failed, 3 failed, 4 failed", "{history}");
        Ok(())
    })
}

#[test]
fn an_install_that_is_retried_is_so_at_its_interval_and_without_an_uninstall() -> Result<()> {
    story("install-retried", async |story| {
        stage(story, &charts::web("web", "1.0.0")).await?;
        let mut spec = broken()["spec"].clone();
        let strategy = json!({ "name": "RetryOnFailure", "retryInterval": "1s", "retries": 1 });
        spec["install"] = json!({ "timeout": "1s", "strategy": strategy });
        story.release("app", "web", "1.0.0", spec).await?;
        let deployments = story.objects::<Deployment>();
        let first = eventually::object(&deployments, "app", SOON, |_| Ok(())).await?.metadata.uid;
        story.refused("app", Reason::RetriesExhausted, &["not ready within 1s", "all 2 attempts"]).await?;
        history_is(story, "1 failed, 2 failed").await?;
        ensure!(deployments.get("app").await?.metadata.uid == first, "it was uninstalled in between");
        Ok(())
    })
}

const WORKLOAD: &str = "apiVersion: apps/v1
kind: Deployment
metadata:
  name: {{ .Release.Name }}
spec:
  selector: {matchLabels: {app: {{ .Release.Name }}}}
  template:
    metadata:
      labels: {app: {{ .Release.Name }}}
      annotations: {PLAY: {{ .Values.play | quote }}}
    spec:
      containers: [{name: main, image: \"main:1\"}]
";

#[test]
fn a_deadline_that_the_failed_revision_missed_is_no_failure_of_the_rollback() -> Result<()> {
    story("overdue", async |story| {
        // The broken pod stands beside the old one, so that going back needs no new one.
        let overdue = WORKLOAD.replace("PLAY", PLAY).replace(
            "spec:\n  selector",
            "spec:\n  progressDeadlineSeconds: 3\n  strategy: {rollingUpdate: {maxSurge: 1, maxUnavailable: 0}}\n  selector",
        );
        let chart = Chart::new("app", "1.0.0").file("values.yaml", "play: ''\n").file("templates/all.yaml", overdue);
        stage(story, &chart).await?;
        story.release("app", "app", "1.0.0", json!({ "upgrade": { "remediation": { "retries": 0 } } })).await?;
        story.ready("app").await?;
        story.patch("app", json!({ "spec": { "values": { "play": play::NEVER_READY } } })).await?;
        history_is(story, "1 superseded, 2 failed, 3 deployed").await?;
        let words = ["Progress deadline exceeded", "revision 1 is deployed again, as revision 3"];
        story.refused("app", Reason::RetriesExhausted, &words).await.map(drop)
    })
}

/// A map that only some values bring.
const EXTRA: &str = "{{- if .Values.extra }}
apiVersion: v1
kind: ConfigMap
metadata:
  name: extra
{{- end }}
";

#[test]
fn a_rollback_takes_away_what_the_revisions_in_between_made() -> Result<()> {
    story("in-between", async |story| {
        let extra = async || anyhow::Ok(story.objects::<ConfigMap>().get_opt("extra").await?.is_some());
        stage(story, &charts::web("web", "1.0.0").file("templates/extra.yaml", EXTRA)).await?;
        let upgrade = json!({ "timeout": "1m", "remediation": { "retries": 0 } });
        story.release("app", "web", "1.0.0", json!({ "upgrade": upgrade })).await?;
        story.ready("app").await?;
        // An attempt makes it, and another declaration ends that before it has failed.
        let mut attempt = broken();
        attempt["spec"]["values"]["extra"] = json!(true);
        story.patch("app", attempt.clone()).await?;
        history_is(story, "1 deployed, 2 pending-upgrade").await?;
        story
            .eventually("the map is made", async || {
                ensure!(extra().await?, "it is not there");
                Ok(())
            })
            .await?;
        attempt["spec"]["upgrade"] = json!({ "timeout": "2s" });
        attempt["spec"]["values"]["greeting"] = json!("hey");
        story.patch("app", attempt).await?;
        history_is(story, "1 superseded, 2 superseded, 3 failed, 4 deployed").await?;
        story.refused("app", Reason::RetriesExhausted, &["revision 1 is deployed again"]).await?;
        ensure!(!extra().await?, "what the first attempt made is left behind");

        // What comes with a revision that was deployed goes with it.
        let good = json!({ "podAnnotations": null, "greeting": null });
        story
            .patch(
                "app",
                json!({ "spec": { "values": good, "rollback": { "toRevision": 4 }, "upgrade": { "timeout": "1m" } } }),
            )
            .await?;
        story.ready("app").await?;
        ensure!(extra().await?, "the values that bring it are deployed");
        let mut bad = broken();
        bad["spec"]["upgrade"] = json!({ "timeout": "2s" });
        story.patch("app", bad).await?;
        story.refused("app", Reason::RetriesExhausted, &["revision 4 is deployed again"]).await?;
        ensure!(!extra().await?, "what came in between is left behind");
        Ok(())
    })
}

#[test]
fn a_rollback_leaves_what_a_revision_in_between_only_took_over() -> Result<()> {
    story("taken-in-between", async |story| {
        stage(story, &charts::web("web", "1.0.0").file("templates/extra.yaml", EXTRA)).await?;
        let mut spec = spec(0);
        spec["rollback"] = json!({ "toRevision": 1 });
        story.release("app", "web", "1.0.0", spec).await?;
        story.ready("app").await?;
        let mine = json!({ "apiVersion": "v1", "kind": "ConfigMap", "metadata": { "name": "extra" }, "data": { "a": "mine" } });
        story.apply(&mine.to_string()).await?;
        let takes = json!({ "values": { "extra": true }, "upgrade": { "takeOwnership": true, "timeout": "1m" } });
        story.patch("app", json!({ "spec": takes })).await?;
        story.ready("app").await?;
        let mut bad = broken();
        bad["spec"]["upgrade"] = json!({ "timeout": "2s" });
        story.patch("app", bad).await?;
        story.refused("app", Reason::RetriesExhausted, &["revision 1 is deployed again"]).await?;
        ensure!(story.objects::<ConfigMap>().get_opt("extra").await?.is_some(), "what a person made is gone");
        Ok(())
    })
}

#[test]
fn a_rollback_goes_to_the_revision_that_is_declared_which_is_kept() -> Result<()> {
    story("to-revision", async |story| {
        stage(story, &charts::web("web", "1.0.0")).await?;
        let mut spec = spec(0);
        (spec["rollback"], spec["maxHistory"]) = (json!({ "toRevision": 1 }), json!(2));
        story.release("app", "web", "1.0.0", spec).await?;
        story.ready("app").await?;
        for replicas in [2, 3] {
            story.patch("app", json!({ "spec": { "values": { "replicaCount": replicas } } })).await?;
            story.ready("app").await?;
        }
        history_is(story, "1 superseded, 2 superseded, 3 deployed").await?;
        story.patch("app", broken()).await?;
        story.refused("app", Reason::RetriesExhausted, &["revision 1 is deployed again, as revision 5"]).await?;
        let replicas = story.objects::<Deployment>().get("app").await?.spec.replicas;
        ensure!(replicas == Some(1), "{replicas:?}");
        Ok(())
    })
}

#[test]
fn what_a_rollback_made_that_failed_is_deleted_where_that_is_declared() -> Result<()> {
    story("rollback-cleans", async |story| {
        let extra =
            "{{- if not .Values.later }}\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: extra}\n{{- end }}\n";
        let hook = MIGRATION.replace("pre-upgrade", "post-rollback").replace(
            "spec:\n      restart",
            &format!("metadata: {{annotations: {{{PLAY}: {}}}}}\n    spec:\n      restart", play::FAIL),
        );
        let chart = charts::web("web", "1.0.0").file("templates/extra.yaml", extra).file("templates/hook.yaml", hook);
        stage(story, &chart).await?;
        let mut spec = spec(0);
        spec["rollback"] = json!({ "cleanupOnFail": true, "timeout": "2s" });
        story.release("app", "web", "1.0.0", spec).await?;
        story.ready("app").await?;
        let later = json!({ "spec": { "values": { "later": true } } });
        story.patch("app", later).await?;
        story.ready("app").await?;
        let maps = story.objects::<ConfigMap>();
        ensure!(maps.get_opt("extra").await?.is_none(), "the second version has it");
        // Gone back to the first, whose hook fails.
        let mut patch = broken();
        patch["spec"]["rollback"] = json!({ "toRevision": 1 });
        story.patch("app", patch).await?;
        let release =
            story.refused("app", Reason::RetriesExhausted, &["the rollback to revision 1 failed, too"]).await?;
        status::has(&release, "Remediated", "False", Reason::RollbackFailed)?;
        ensure!(maps.get_opt("extra").await?.is_none(), "what the rollback made is there");
        Ok(())
    })
}

#[test]
fn what_was_gone_back_to_is_told_at_each_look() -> Result<()> {
    story("rolled-back-looks", async |story| {
        stage(story, &charts::web("web", "1.0.0")).await?;
        let mut spec = spec(0);
        spec["interval"] = json!("1s");
        story.release("app", "web", "1.0.0", spec).await?;
        story.ready("app").await?;
        story.patch("app", broken()).await?;
        story.refused("app", Reason::RetriesExhausted, &["as revision 3"]).await?;
        // What somebody writes into the status is put right by the next look, which tells the same once more.
        let wrong = json!({ "status": { "conditions": [] } });
        story.releases().patch_status("app", &PatchParams::default(), &Patch::Merge(&wrong)).await?;
        let release = story.refused("app", Reason::RetriesExhausted, &["as revision 3"]).await?;
        status::has(&release, "Remediated", "True", Reason::RolledBack)?;
        status::has(&release, "Released", "False", Reason::UpgradeFailed)
    })
}

/// Described twice, the second time as it is meant; and something that comes with a new version.
const TWICE: &str = "apiVersion: v1
kind: ConfigMap
metadata:
  name: twice
---
apiVersion: v1
kind: ConfigMap
metadata:
  name: twice
data: {meant: 'yes'}
{{- if .Values.podAnnotations }}
---
apiVersion: v1
kind: ConfigMap
metadata:
  name: zz-new
{{- end }}
";

#[test]
fn a_rollback_takes_away_what_the_failed_revision_made_and_nothing_else() -> Result<()> {
    story("taken-away", async |story| {
        stage(story, &charts::web("web", "1.0.0").file("templates/twice.yaml", TWICE)).await?;
        story.release("app", "web", "1.0.0", spec(0)).await?;
        story.ready("app").await?;
        let uid = async |name: &str| -> Result<Option<String>> {
            Ok(story.objects::<ConfigMap>().get_opt(name).await?.and_then(|map| map.metadata.uid))
        };
        let before = uid("twice").await?;
        story.patch("app", broken()).await?;
        story.refused("app", Reason::RetriesExhausted, &["revision 1 is deployed again"]).await?;
        ensure!(uid("zz-new").await?.is_none(), "what the failed revision made is left behind");
        ensure!(uid("twice").await? == before, "what was there before was taken away");
        Ok(())
    })
}
