//! Hooks: run to their end, one at a time.

use std::time::Duration;

use anyhow::{Result, bail, ensure};
use e2e::kwok::play;
use helm_operator::cluster::{DeleteOptions, Error, HookOutcome, HookRun, Owner, Propagation, Whose};
use serde_json::json;

use crate::{Ground, LONG, config_map, job};

/// A run that begins now.
fn new(of: &Owner) -> HookRun<'_> {
    HookRun { of, began: jiff::Timestamp::now(), is_resumed: false }
}

/// What hooks of a release have made, but for what the run made that began then.
fn deletion(of: &Owner, but_for_run: Option<jiff::Timestamp>) -> DeleteOptions {
    let whose = Whose::Hook { of: of.clone(), but_for_run };
    DeleteOptions { whose, propagation: Propagation::Background, timeout: Some(LONG) }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hook_ends_with_its_job_and_can_be_run_again_after_deletion() -> Result<()> {
    let ground = Ground::new("hook-job").await?;
    let of = ground.owner("shop");
    let hooks = ground.objects(&[job("migrate", "")]).await?;
    for _ in 0..2 {
        let outcome = ground.cluster.run_hook(&hooks[0], new(&of), LONG).await?;
        ensure!(outcome == HookOutcome::Succeeded, "{outcome:?}");
        let before_creation = deletion(&of, None);
        ground.cluster.delete(&hooks, &before_creation).await?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hook_that_fails_or_hangs_says_so() -> Result<()> {
    let ground = Ground::new("hook-fails").await?;
    let of = ground.owner("shop");
    let hooks = ground.objects(&[job("broken", play::FAIL), job("hangs", play::HANG)]).await?;
    let HookOutcome::Failed(broken) = ground.cluster.run_hook(&hooks[0], new(&of), LONG).await? else {
        bail!("no failure")
    };
    ensure!(broken.message.starts_with("Job Failed"), "{broken}");
    let HookOutcome::TimedOut(hangs) = ground.cluster.run_hook(&hooks[1], new(&of), Duration::from_secs(2)).await?
    else {
        bail!("it ended")
    };
    ensure!(hangs.message == "Job in progress", "{hangs}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hook_of_another_kind_has_ended_when_it_is_applied() -> Result<()> {
    let ground = Ground::new("hook-config").await?;
    let of = ground.owner("shop");
    let hooks = ground.objects(&[config_map("seed", json!({ "a": "1" }))]).await?;
    ensure!(ground.cluster.run_hook(&hooks[0], new(&of), LONG).await? == HookOutcome::Succeeded, "not ended");
    let live = ground.live("v1", "ConfigMap", "seed").await?;
    ensure!(live["metadata"]["labels"].is_null(), "hooks bear no marks: {live}");

    // What is a part of the release, too, is its own; of another release it is not.
    let foreign = ground.cluster.claim(&hooks, &ground.apply_options("other")).await;
    ensure!(matches!(foreign, Err(Error::Unowned { .. })), "{foreign:?}");
    let options = ground.apply_options("shop");
    ground.cluster.claim(&hooks, &options).await?;
    ground.cluster.apply(&hooks, &options).await?;
    let live = ground.live("v1", "ConfigMap", "seed").await?;
    ensure!(live["metadata"]["labels"]["app.kubernetes.io/managed-by"] == "Helm", "it bears no marks: {live}");
    let annotations = live["metadata"]["annotations"].to_string();
    ensure!(!annotations.contains("hook-run"), "it says that it is a hook: {annotations}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_variable_that_a_hook_sets_twice_is_set_once() -> Result<()> {
    let ground = Ground::new("hook-doubled").await?;
    let of = ground.owner("shop");
    let mut doubled = job("migrate", "");
    doubled["spec"]["template"]["spec"]["containers"][0]["env"] =
        json!([{ "name": "A", "value": "1" }, { "name": "A", "value": "2" }]);
    let hooks = ground.objects(&[doubled]).await?;
    ensure!(ground.cluster.run_hook(&hooks[0], new(&of), LONG).await? == HookOutcome::Succeeded, "not ended");
    let live = ground.live("batch/v1", "Job", "migrate").await?;
    let env = &live["spec"]["template"]["spec"]["containers"][0]["env"];
    ensure!(*env == json!([{ "name": "A", "value": "2" }]), "{env}");
    Ok(())
}

/// A finished Job proves nothing about the run that is to come: neither touched nor believed.
#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_exists_is_neither_touched_nor_taken_for_this_run() -> Result<()> {
    let ground = Ground::new("hook-exists").await?;
    let of = ground.owner("shop");
    let hooks = ground.objects(&[job("migrate", ""), job("migrate-again", "")]).await?;
    // A clock of whoever runs it is none of the API server's.
    let minute = Duration::from_mins(1);
    for (at, began) in [jiff::Timestamp::now() - minute, jiff::Timestamp::now() + minute].into_iter().enumerate() {
        let run = HookRun { of: &of, began, is_resumed: false };
        ground.cluster.run_hook(&hooks[at], run, LONG).await?;
        let name = hooks[at].reference().name.clone();
        let first = ground.live("batch/v1", "Job", &name).await?;
        let refused = ground.cluster.run_hook(&hooks[at], new(&of), LONG).await;
        let Err(error @ Error::HookExists { .. }) = refused else { bail!("{refused:?}") };
        ensure!(error.to_string().contains("before-hook-creation"), "{error}");

        // An attempt that was cut off goes on with what it has made, and with nothing else.
        let resumed = HookRun { is_resumed: true, ..run };
        let outcome = ground.cluster.run_hook(&hooks[at], resumed, LONG).await?;
        ensure!(outcome == HookOutcome::Succeeded, "{outcome:?}");
        for other in [began - minute, began + Duration::from_millis(1)] {
            let run = HookRun { of: &of, began: other, is_resumed: true };
            let refused = ground.cluster.run_hook(&hooks[at], run, LONG).await;
            ensure!(matches!(refused, Err(Error::HookExists { .. })), "{refused:?}");
        }
        let spared = DeleteOptions { timeout: None, ..deletion(&of, Some(began)) };
        ground.cluster.delete(&hooks[at..=at], &spared).await?;
        let last = ground.live("batch/v1", "Job", &name).await?;
        ensure!(last["metadata"]["uid"] == first["metadata"]["uid"], "remade");
    }
    Ok(())
}

/// Helm deletes a hook by its own policies, whatever its resource policy says.
#[tokio::test(flavor = "multi_thread")]
async fn a_hook_that_is_to_be_kept_is_deleted_before_it_is_created_again() -> Result<()> {
    let ground = Ground::new("hook-keep").await?;
    let of = ground.owner("shop");
    let mut kept = job("migrate", "");
    kept["metadata"]["annotations"] = json!({ "helm.sh/resource-policy": "keep" });
    let hooks = ground.objects(&[kept]).await?;
    ground.cluster.run_hook(&hooks[0], new(&of), LONG).await?;
    let before_creation = deletion(&of, None);
    ground.cluster.delete(&hooks, &before_creation).await?;
    ensure!(ground.api("batch/v1", "Job").get_opt("migrate").await?.is_none(), "it was kept");
    Ok(())
}

/// What removes itself when it is done is done when it is gone: but not for being gone that the last one of its name is.
#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_removes_itself_is_not_taken_for_the_one_before_it() -> Result<()> {
    let ground = Ground::new("hook-vanishes").await?;
    let of = ground.owner("shop");
    let vanishing = |play: &str, ttl: i32| {
        let mut job = job("migrate", play);
        job["spec"]["ttlSecondsAfterFinished"] = json!(ttl);
        job
    };
    let before_creation = deletion(&of, None);
    for _ in 0..5 {
        let fails = ground.objects(&[vanishing(play::FAIL, 100)]).await?;
        let outcome = ground.cluster.run_hook(&fails[0], new(&of), LONG).await?;
        ensure!(matches!(outcome, HookOutcome::Failed(_)), "{outcome:?}");
        ground.cluster.delete(&fails, &before_creation).await?;
        let hangs = ground.objects(&[vanishing(play::HANG, 100)]).await?;
        let outcome = ground.cluster.run_hook(&hangs[0], new(&of), Duration::from_secs(1)).await?;
        ensure!(matches!(outcome, HookOutcome::TimedOut(_)), "{outcome:?}");
        ground.cluster.delete(&hangs, &before_creation).await?;
    }
    // Gone as soon as it has ended.
    for play in ["", play::FAIL] {
        let hooks = ground.objects(&[vanishing(play, 0)]).await?;
        let outcome = ground.cluster.run_hook(&hooks[0], new(&of), LONG).await?;
        let as_it_ended =
            if play.is_empty() { outcome == HookOutcome::Succeeded } else { matches!(outcome, HookOutcome::Failed(_)) };
        ensure!(as_it_ended, "{play:?}: {outcome:?}");
        ground.cluster.delete(&hooks, &before_creation).await?;
    }
    Ok(())
}

/// A chart may write anything into a name: it becomes no part of an address.
#[tokio::test(flavor = "multi_thread")]
async fn a_hook_with_a_name_that_is_none_touches_nothing_else() -> Result<()> {
    let ground = Ground::new("hook-names").await?;
    let of = ground.owner("shop");
    ground.create("v1", "ConfigMap", json!({ "metadata": { "name": "b" } })).await?;
    for (name, words) in
        [("b?x=", "metadata.name"), ("?x=", "metadata.name"), ("b ad", "metadata.name"), ("b/x", "no name")]
    {
        let hooks = ground.objects(&[config_map(name, json!({}))]).await?;
        let deleted = ground.cluster.delete(&hooks, &deletion(&of, None)).await;
        let applied = ground.cluster.run_hook(&hooks[0], new(&of), LONG).await;
        let Err(error @ Error::Invalid { .. }) = applied else { bail!("{name}: {applied:?}, {deleted:?}") };
        ensure!(error.to_string().contains(words), "{name}: {error}");
        ground.live("v1", "ConfigMap", "b").await?;
    }
    Ok(())
}

/// As with Helm, which creates its hooks.
#[tokio::test(flavor = "multi_thread")]
async fn a_hook_of_the_name_of_another_releases_object_leaves_it_alone() -> Result<()> {
    let ground = Ground::new("hook-of-others").await?;
    let of = ground.owner("shop");
    let theirs = ground.objects(&[config_map("settings", json!({ "a": "theirs" }))]).await?;
    ground.cluster.apply(&theirs, &ground.apply_options("other")).await?;
    let hooks = ground.objects(&[config_map("settings", json!({ "a": "ours" }))]).await?;
    ground.cluster.delete(&hooks, &deletion(&of, None)).await?;
    let refused = ground.cluster.run_hook(&hooks[0], new(&of), LONG).await;
    let Err(error @ Error::HookExists { .. }) = refused else { bail!("{refused:?}") };
    ensure!(error.to_string().contains("of the Helm release hook-of-others/other"), "{error}");
    let live = ground.live("v1", "ConfigMap", "settings").await?;
    ensure!(live["data"]["a"] == "theirs", "{live}");
    // One's own may go, as with Helm.
    ground.cluster.delete(&hooks, &deletion(&ground.owner("other"), None)).await?;
    ensure!(ground.live("v1", "ConfigMap", "settings").await.is_err(), "it is left");
    Ok(())
}
