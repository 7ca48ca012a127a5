//! Upgrades that fail or are given up: what becomes of what was deployed before them.

use anyhow::{Context as _, Result, ensure};
use e2e::charts::{self, Chart};
use e2e::eventually;
use e2e::kwok::{PLAY, play};
use e2e::status;
use e2e::story::{SOON, Story, alone, as_it_is, story};
use helm_operator::api::Reason;
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::{ConfigMap, Pod};
use kube::ResourceExt as _;
use kube::api::{DeleteParams, ListParams, Patch, PatchParams};
use serde_json::{Value, json};

/// Beside the note another object, and a Job before each upgrade whose pod plays what the values say.
fn migrating() -> Chart {
    let other = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: \"{{ .Release.Name }}-other\"}\n";
    let job = format!(
        "{{{{ if .Values.migrates }}}}\napiVersion: batch/v1\nkind: Job\nmetadata:\n  name: {{{{ .Release.Name }}}}-migrate\n  annotations: {{helm.sh/hook: \
         pre-upgrade}}\nspec:\n  backoffLimit: 0\n  template:\n    metadata:\n      annotations: {{{PLAY}: {{{{ .Values.play | quote }}}}}}\n    spec:\n      \
         restartPolicy: Never\n      containers: [{{name: main, image: \"main:1\"}}]\n{{{{ end }}}}\n"
    );
    charts::note("memo", "1.0.0")
        .file("values.yaml", "greeting: hello\nplay: ''\nmigrates: false\n")
        .file("templates/other.yaml", other)
        .file("templates/migrate.yaml", job)
}

async fn stage(story: &Story<'_>, spec: Value) -> Result<()> {
    story.push(&migrating()).await?;
    story.open_repository().await?;
    story.release("app", "memo", "1.0.0", spec).await?;
    story.ready("app").await.map(drop)
}

/// Somebody else has the field that an upgrade would change.
async fn take_greeting(story: &Story<'_>) -> Result<()> {
    let params = PatchParams { force: true, ..PatchParams::apply("somebody") };
    let theirs = json!({ "apiVersion": "v1", "kind": "ConfigMap", "data": { "greeting": "theirs" } });
    story.objects::<ConfigMap>().patch("app-config", &params, &Patch::Apply(theirs)).await?;
    Ok(())
}

async fn comes_back(story: &Story<'_>, name: &str) -> Result<()> {
    let maps = story.objects::<ConfigMap>();
    let before = maps.get(name).await?.uid();
    maps.delete(name, &DeleteParams::default()).await?;
    story
        .eventually(&format!("{name} is made anew"), async || {
            ensure!(maps.get(name).await?.uid() != before);
            Ok(())
        })
        .await
}

#[test]
fn what_is_deployed_is_looked_after_where_an_upgrade_was_refused_before_it_changed_anything() -> Result<()> {
    story("refused-at-once", async |story| {
        stage(story, json!({})).await?;
        take_greeting(story).await?;
        story.patch("app", json!({ "spec": { "values": { "greeting": "hi" } } })).await?;
        story.refused("app", Reason::FieldConflict, &["somebody"]).await?;
        ensure!(story.history("app").await? == "1 deployed, 2 failed", "{}", story.history("app").await?);
        comes_back(story, "app-other").await
    })
}

#[test]
fn an_upgrade_that_failed_half_way_says_that_nothing_is_looked_after() -> Result<()> {
    story("half-way", async |story| {
        story.push(&charts::web("web", "1.0.0")).await?;
        story.open_repository().await?;
        story.release("app", "web", "1.0.0", json!({})).await?;
        story.ready("app").await?;
        let values = json!({ "podAnnotations": { PLAY: play::NEVER_READY } });
        let upgrade = json!({ "timeout": "2s", "strategy": { "name": "RetryOnFailure", "retries": 0 } });
        story.patch("app", json!({ "spec": { "values": values, "upgrade": upgrade } })).await?;
        let release = story.refused("app", Reason::RetriesExhausted, &["not ready within 2s"]).await?;
        status::has(&release, "Healthy", "Unknown", Reason::UpgradeFailed)?;
        story.patch("app", json!({ "spec": { "values": null } })).await?;
        let release = story.ready("app").await?;
        ensure!(status::has(&release, "Healthy", "Unknown", Reason::UpgradeFailed).is_err(), "it is told still");
        Ok(())
    })
}

/// The hook goes on without anybody, and is done before anybody looks.
#[test]
fn a_hook_that_was_completed_while_nobody_looked_keeps_from_going_back() -> Result<()> {
    alone("hook-unseen", as_it_is, async |story| {
        let values = json!({ "migrates": true, "play": play::HANG });
        let upgrade = json!({ "remediation": { "retries": 0 } });
        stage(story, json!({ "upgrade": upgrade })).await?;
        story.patch("app", json!({ "spec": { "values": values } })).await?;
        let selector = ListParams::default().labels("job-name=app-migrate");
        let pods = story.objects::<Pod>();
        let running = async || {
            let found = pods.list(&selector).await?;
            let runs = |pod: &&Pod| pod.status.as_ref().and_then(|it| it.phase.as_deref()) == Some("Running");
            Ok(found.items.iter().find(runs).context("not yet")?.name_any())
        };
        let pod = story.eventually("the hook runs", running).await?;
        let mut operator = story.stage.operator().await;
        operator.kill().await?;
        let free = json!({ "metadata": { "annotations": { PLAY: "" } } });
        pods.patch(&pod, &PatchParams::default(), &Patch::Merge(free)).await?;
        let completed = async || {
            let job = story.objects::<Job>().get("app-migrate").await?;
            ensure!(job.status.and_then(|status| status.succeeded) == Some(1), "not yet");
            Ok(())
        };
        story.eventually("the hook is completed", completed).await?;
        // What is declared then is something else, and its own hook fails.
        let values = json!({ "play": play::FAIL, "greeting": "hi" });
        story.patch("app", json!({ "spec": { "values": values } })).await?;
        operator.start().await?;
        drop(operator);
        story.refused("app", Reason::RetriesExhausted, &["app-migrate"]).await?;
        let history = story.history("app").await?;
        ensure!(history == "1 deployed, 2 superseded, 3 failed", "{history}");
        story.event("app", Reason::RollbackSkipped, "a pre-upgrade hook of revision 2 had completed").await
    })
}

/// What is applied after that is no "nothing".
#[test]
fn hooks_that_are_left_out_while_one_hangs_end_and_what_is_applied_then_counts() -> Result<()> {
    story("hooks-left-out", async |story| {
        stage(story, json!({})).await?;
        let values = json!({ "migrates": true, "play": play::HANG, "greeting": "hi" });
        story.patch("app", json!({ "spec": { "values": values } })).await?;
        let job = story.objects::<Job>();
        story.eventually("the hook runs", async || job.get("app-migrate").await.map(drop).map_err(Into::into)).await?;
        take_greeting(story).await?;
        story.patch("app", json!({ "spec": { "upgrade": { "disableHooks": true } } })).await?;
        story.refused("app", Reason::FieldConflict, &["somebody"]).await?;
        eventually::gone(&job, "app-migrate", SOON).await?;
        let release = story.refused("app", Reason::FieldConflict, &["somebody"]).await?;
        status::has(&release, "Healthy", "Unknown", Reason::UpgradeFailed)
    })
}
