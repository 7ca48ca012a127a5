//! Hooks that fail, that are cut off, and that somebody gives up: what becomes of their Jobs.

use anyhow::{Context, Result, ensure};
use e2e::charts::{self, Chart};
use e2e::eventually;
use e2e::gateway::{Reply, Which};
use e2e::kwok::{PLAY, play};
use e2e::status;
use e2e::story::{SOON, Story, alone, as_it_is, story};
use helm_operator::api::Reason;
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::{ConfigMap, Pod, ServiceAccount};
use kube::ResourceExt as _;
use kube::api::{DeleteParams, ListParams, Patch, PatchParams};
use serde_json::json;

/// A pre-install Job whose pod lives as `play` says.
fn job(name: &str, weight: u8, policies: &str, play: &str) -> String {
    job_at("pre-install", name, weight, policies, play)
}

fn job_at(event: &str, name: &str, weight: u8, policies: &str, play: &str) -> String {
    format!(
        "apiVersion: batch/v1\nkind: Job\nmetadata:\n  name: {{{{ .Release.Name }}}}-{name}\n  annotations:\n    \
         helm.sh/hook: {event}\n    helm.sh/hook-weight: \"{weight}\"\n    helm.sh/hook-delete-policy: {policies}\nspec:\n  \
         backoffLimit: 0\n  template:\n    metadata:\n      annotations:\n        {PLAY}: \"{play}\"\n    spec:\n      \
         restartPolicy: Never\n      containers:\n      - name: main\n        image: main:1\n"
    )
}

fn hooked(jobs: &[String]) -> Chart {
    charts::note("hooked", "1.0.0").file("templates/jobs.yaml", jobs.join("---\n"))
}

#[test]
fn what_succeeded_before_a_hook_that_failed_is_deleted_as_its_policy_says() -> Result<()> {
    story("hook-before", async |story| {
        let jobs = [
            job("first", 1, "hook-succeeded", ""),
            job("second", 2, "hook-succeeded", play::FAIL),
            job("third", 3, "hook-succeeded", ""),
        ];
        story.push(&hooked(&jobs)).await?;
        story.open_repository().await?;
        story.release("app", "hooked", "1.0.0", json!({})).await?;
        story.refused("app", Reason::HookFailed, &["app-second"]).await?;
        let jobs = story.objects::<Job>();
        eventually::gone(&jobs, "app-first", SOON).await?;
        ensure!(jobs.get_opt("app-second").await?.is_some(), "the failed one is gone");
        ensure!(jobs.get_opt("app-third").await?.is_none(), "the hook after the failed one ran");
        Ok(())
    })
}

#[test]
fn a_hook_whose_job_somebody_deletes_has_failed() -> Result<()> {
    story("hook-job-deleted", async |story| {
        story.push(&hooked(&[job("hangs", 1, "before-hook-creation", play::HANG)])).await?;
        story.open_repository().await?;
        story.release("app", "hooked", "1.0.0", json!({ "timeout": "1h" })).await?;
        running_pod(story, "app-hangs").await?;
        story.objects::<Job>().delete("app-hangs", &DeleteParams::background()).await?;
        story.refused("app", Reason::HookFailed, &["app-hangs", "somebody deleted it"]).await.map(drop)
    })
}

#[test]
fn a_hook_in_flight_ends_with_its_release() -> Result<()> {
    story("hook-deleted", async |story| {
        let policies = "before-hook-creation,hook-succeeded,hook-failed";
        story.push(&hooked(&[job("hangs", 1, policies, play::HANG)])).await?;
        story.open_repository().await?;
        story.release("app", "hooked", "1.0.0", json!({})).await?;
        running_pod(story, "app-hangs").await?;
        eventually::object(&story.releases(), "app", SOON, |release| {
            let message = status::message(release);
            ensure!(
                message.contains("running the pre-install hook Job \"app-hangs\" of hooked/templates/jobs.yaml"),
                "{message}"
            );
            Ok(())
        })
        .await?;
        story.delete("app").await?;
        eventually::gone(&story.objects::<Job>(), "app-hangs", SOON).await
    })
}

/// Killed in the middle of the second of two hooks: the second goes on, neither is run again, both are cleaned up.
#[test]
fn a_hook_that_was_cut_off_is_waited_for_and_those_before_it_are_deleted() -> Result<()> {
    alone("hook-killed", as_it_is, async |story| {
        let policies = "before-hook-creation,hook-succeeded";
        story.push(&hooked(&[job("first", 1, policies, ""), job("hangs", 2, policies, play::HANG)])).await?;
        story.open_repository().await?;
        story.release("app", "hooked", "1.0.0", json!({})).await?;
        let pod = running_pod(story, "app-hangs").await?;
        let (first, hangs) = (uid(story, "app-first").await?, uid(story, "app-hangs").await?);

        let mut operator = story.stage.operator().await;
        operator.kill().await?;
        operator.start().await?;
        drop(operator);
        let free = json!({ "metadata": { "annotations": { PLAY: "" } } });
        story.objects::<Pod>().patch(&pod, &PatchParams::default(), &Patch::Merge(free)).await?;
        story.ready("app").await?;
        let jobs = story.objects::<Job>();
        for name in ["app-first", "app-hangs"] {
            eventually::gone(&jobs, name, SOON).await?;
        }
        let made = jobs_made(story).await?;
        ensure!(made.iter().all(|uid| [&first, &hangs].contains(&uid)), "Jobs were made again: {made:?}");
        Ok(())
    })
}

/// An uninstall that is interrupted goes on with its own hook: what it does may not be done twice, or by halves.
#[test]
fn an_uninstall_that_was_cut_off_goes_on_with_its_hook() -> Result<()> {
    alone("delete-hook-killed", as_it_is, async |story| {
        story.push(&hooked(&[job_at("pre-delete", "backup", 1, "before-hook-creation", play::HANG)])).await?;
        story.open_repository().await?;
        story.release("app", "hooked", "1.0.0", json!({})).await?;
        story.ready("app").await?;
        story.releases().delete("app", &DeleteParams::default()).await?;
        let pod = running_pod(story, "app-backup").await?;
        let backup = uid(story, "app-backup").await?;

        let mut operator = story.stage.operator().await;
        operator.kill().await?;
        let free = json!({ "metadata": { "annotations": { PLAY: "" } } });
        story.objects::<Pod>().patch(&pod, &PatchParams::default(), &Patch::Merge(free)).await?;
        operator.start().await?;
        drop(operator);
        eventually::gone(&story.releases(), "app", SOON).await?;
        let made = jobs_made(story).await?;
        ensure!(made == [backup.as_str()], "the hook ran again: {made:?}");
        ensure!(uid(story, "app-backup").await? == backup, "the hook's Job was deleted");
        Ok(())
    })
}

/// An uninstall is not given up for its hook, and not gone on with either until somebody says so.
#[test]
fn an_uninstall_whose_hook_fails_keeps_the_objects_and_says_how_it_goes_on() -> Result<()> {
    story("delete-hook-fails", async |story| {
        story.push(&hooked(&[job_at("pre-delete", "farewell", 1, "before-hook-creation", play::FAIL)])).await?;
        story.open_repository().await?;
        story.release("app", "hooked", "1.0.0", json!({})).await?;
        story.ready("app").await?;
        story.releases().delete("app", &DeleteParams::default()).await?;
        story.refused("app", Reason::HookFailed, &["app-farewell", "spec.uninstall.disableHooks"]).await?;
        let maps = story.objects::<ConfigMap>();
        ensure!(maps.get_opt("app-config").await?.is_some(), "the object went though its hook failed");
        ensure!(story.history("app").await? == "1 uninstalling", "{}", story.history("app").await?);

        story.patch("app", json!({ "spec": { "uninstall": { "disableHooks": true } } })).await?;
        eventually::gone(&story.releases(), "app", SOON).await?;
        ensure!(maps.get_opt("app-config").await?.is_none(), "the object is left");
        Ok(())
    })
}

/// The uids of all Jobs whose pods were made.
async fn jobs_made(story: &Story<'_>) -> Result<Vec<String>> {
    let events = story.kubectl.run(&["get", "events", "--namespace", &story.namespace, "--output=json"]).await?;
    let events: serde_json::Value = serde_json::from_str(&events)?;
    let of_jobs = events["items"]
        .as_array()
        .context("events")?
        .iter()
        .filter(|event| event["reason"] == "SuccessfulCreate" && event["involvedObject"]["kind"] == "Job");
    Ok(of_jobs.map(|event| event["involvedObject"]["uid"].as_str().unwrap_or_default().to_owned()).collect())
}

/// The name of the pod of a Job, once it runs.
async fn running_pod(story: &Story<'_>, job: &str) -> Result<String> {
    let selector = ListParams::default().labels(&format!("job-name={job}"));
    story
        .eventually("the hook runs", async || {
            let pods = story.objects::<Pod>().list(&selector).await?;
            let phase = |pod: &&Pod| pod.status.as_ref().and_then(|status| status.phase.as_deref()) == Some("Running");
            Ok(pods.items.iter().find(phase).context("not yet")?.name_any())
        })
        .await
}

async fn uid(story: &Story<'_>, job: &str) -> Result<String> {
    story.objects::<Job>().get(job).await?.uid().context("a uid")
}

/// What a message tells a person to set exists, and helps.
#[test]
fn taking_ownership_and_forcing_are_declared_where_the_message_says() -> Result<()> {
    story("taking-over", async |story| {
        story.push(&charts::note("memo", "1.0.0")).await?;
        story.open_repository().await?;
        let theirs = json!({
            "apiVersion": "v1", "kind": "ConfigMap", "metadata": { "name": "memo-config", "namespace": story.namespace },
            "data": { "greeting": "from the platform team" },
        });
        let maps = story.objects::<ConfigMap>();
        let params = PatchParams::apply("platform-team");
        maps.patch("memo-config", &params, &Patch::Apply(&theirs)).await?;
        story.release("memo", "memo", "1.0.0", json!({})).await?;
        story.refused("memo", Reason::OwnershipConflict, &["memo-config", "spec.install.takeOwnership"]).await?;
        story.patch("memo", json!({ "spec": { "install": { "takeOwnership": true } } })).await?;
        story.refused("memo", Reason::FieldConflict, &["platform-team", "greeting", "spec.install.force"]).await?;
        story.patch("memo", json!({ "spec": { "install": { "force": true } } })).await?;
        story.ready("memo").await?;
        let taken = maps.get("memo-config").await?;
        ensure!(taken.data.context("data")?["greeting"] == "hello", "it was not taken over");

        // The same for an upgrade.
        let again = json!({ "metadata": { "labels": { "app.kubernetes.io/managed-by": "them" } }, "data": { "greeting": "theirs again" } });
        maps.patch(
            "memo-config",
            &PatchParams { field_manager: Some("platform-team".to_owned()), ..PatchParams::default() },
            &Patch::Merge(again),
        )
        .await?;
        story.patch("memo", json!({ "spec": { "values": { "greeting": "changed" } } })).await?;
        story.refused("memo", Reason::OwnershipConflict, &["spec.upgrade.takeOwnership"]).await?;
        story.patch("memo", json!({ "spec": { "upgrade": { "takeOwnership": true } } })).await?;
        story.refused("memo", Reason::FieldConflict, &["spec.upgrade.force"]).await?;
        story.patch("memo", json!({ "spec": { "upgrade": { "force": true } } })).await?;
        story.ready("memo").await?;
        Ok(())
    })
}

/// Of one name: made before all else, and a part of the release.
fn doubled(event: &str) -> String {
    let account = "apiVersion: v1\nkind: ServiceAccount\nmetadata:\n  name: {{ .Release.Name }}-account\n";
    format!("{account}  annotations:\n    helm.sh/hook: {event}\n---\n{account}")
}

#[test]
fn an_object_may_be_a_hook_and_a_part_of_the_release_as_with_helm() -> Result<()> {
    story("hook-doubled", async |story| {
        for (version, event) in [("1.0.0", "pre-install"), ("1.1.0", "pre-upgrade"), ("1.2.0", "pre-upgrade")] {
            story.push(&charts::note("hooked", version).file("templates/account.yaml", doubled(event))).await?;
        }
        story.open_repository().await?;
        story.release("app", "hooked", "1.0.0", json!({})).await?;
        let accounts = story.objects::<ServiceAccount>();
        for version in ["1.0.0", "1.1.0", "1.2.0"] {
            story.patch("app", json!({ "spec": { "chart": { "version": version } } })).await?;
            story.ready("app").await?;
            let account = accounts.get("app-account").await?;
            ensure!(account.labels().get("app.kubernetes.io/managed-by").is_some(), "{version}: it bears no marks");
        }
        story.delete("app").await?;
        eventually::gone(&accounts, "app-account", SOON).await
    })
}

/// A hook before the upgrade that the API server refuses.
const REFUSED: &str =
    "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: No_Name\n  annotations:\n    helm.sh/hook: pre-upgrade\n";

#[test]
fn what_is_deployed_is_looked_after_behind_an_upgrade_that_failed_in_its_hooks() -> Result<()> {
    story("hook-behind", async |story| {
        story.push(&charts::note("hooked", "1.0.0").file("templates/migration.yaml", REFUSED)).await?;
        story.open_repository().await?;
        let drift = json!({ "mode": "enabled" });
        story.release("app", "hooked", "1.0.0", json!({ "driftDetection": drift })).await?;
        story.ready("app").await?;
        story.patch("app", json!({ "spec": { "values": { "greeting": "another" } } })).await?;
        story.refused("app", Reason::ObjectInvalid, &["No_Name"]).await?;
        let maps = story.objects::<ConfigMap>();
        let greeting = |map: &ConfigMap| map.data.as_ref().and_then(|data| data.get("greeting")).cloned();
        let before = greeting(&maps.get("app-config").await?).context("no greeting")?;
        maps.delete("app-config", &DeleteParams::default()).await?;
        let is_back = |map: &ConfigMap| {
            ensure!(greeting(map).as_ref() == Some(&before), "{:?}", greeting(map));
            Ok(())
        };
        eventually::object(&maps, "app-config", SOON, is_back).await?;
        let edit = Patch::Merge(json!({ "data": { "greeting": "edited" } }));
        maps.patch(
            "app-config",
            &PatchParams { field_manager: Some("kubectl-edit".to_owned()), ..PatchParams::default() },
            &edit,
        )
        .await?;
        eventually::object(&maps, "app-config", SOON, is_back).await?;
        // The status goes on telling of what failed.
        let release = story.refused("app", Reason::ObjectInvalid, &["No_Name"]).await?;
        let told = release.status.as_ref().and_then(|status| status.helm_release.as_ref()).map(|state| state.revision);
        ensure!(told == Some(2), "revision {told:?} is told: {}", status::summary(&release));
        ensure!(story.history("app").await? == "1 deployed, 2 failed", "a revision was made");
        Ok(())
    })
}

/// A pipeline that goes on behind a migration that fails: each commit is a new revision, and nothing of any was applied.
#[test]
fn what_ended_in_its_hooks_is_pruned_whatever_it_was_made_of() -> Result<()> {
    story("hook-fails-again", async |story| {
        story.push(&charts::note("hooked", "1.0.0").file("templates/migration.yaml", REFUSED)).await?;
        story.open_repository().await?;
        story.release("app", "hooked", "1.0.0", json!({ "maxHistory": 3 })).await?;
        story.ready("app").await?;
        for at in 2..=8 {
            story.patch("app", json!({ "spec": { "values": { "greeting": format!("number {at}") } } })).await?;
            story
                .eventually(&format!("revision {at} fails"), async || {
                    let history = story.history("app").await?;
                    ensure!(history.contains(&format!("{at} failed")), "the history is {history}");
                    Ok(())
                })
                .await?;
        }
        let history = story.history("app").await?;
        ensure!(history == "1 deployed, 7 failed, 8 failed", "the history is {history}");
        Ok(())
    })
}

/// With get, create and delete alone, as a kubeconfig may give them.
#[test]
fn a_hook_that_may_not_be_watched_is_looked_at_until_it_ends_or_its_time_is_over() -> Result<()> {
    alone("hook-unwatched", as_it_is, async |story| {
        story.push(&hooked(&[job("runs", 1, "before-hook-creation", "")])).await?;
        story
            .push(
                &Chart::new("hangs", "1.0.0")
                    .file("templates/job.yaml", job("hangs", 1, "before-hook-creation", play::HANG)),
            )
            .await?;
        story.open_repository().await?;
        let (gateway, operator) = story.behind_gateway(&[]).await?;
        let refused = json!({
            "kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": "Forbidden", "code": 403,
            "message": "jobs.batch is forbidden: the operator cannot list resource \"jobs\"",
        });
        let reply = Reply { status: 403, content_type: "application/json", body: refused.to_string() };
        gateway.replies(Which::reads("/jobs?"), reply);
        story.release("app", "hooked", "1.0.0", json!({})).await?;
        story.release("slow", "hangs", "1.0.0", json!({ "install": { "timeout": "15s" } })).await?;
        story.ready("app").await?;
        let words = ["slow-hangs", "did not end within 15s", "it may not be watched"];
        story.refused("slow", Reason::HookFailed, &words).await?;
        operator.check_log()
    })
}
