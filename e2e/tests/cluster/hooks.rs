//! Hooks: run to their end, one at a time.

use std::time::Duration;

use anyhow::{Result, bail, ensure};
use e2e::kwok::play;
use helm_operator::cluster::{DeleteOptions, Error, HookOutcome, HookRun, Propagation};
use serde_json::json;

use crate::{Ground, LONG, config_map, job};

/// A run that begins now.
fn new() -> HookRun {
    HookRun { began: jiff::Timestamp::now(), is_resumed: false }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hook_ends_with_its_job_and_can_be_run_again_after_deletion() -> Result<()> {
    let ground = Ground::new("hook-job").await?;
    let hooks = ground.objects(&[job("migrate", "")]).await?;
    for _ in 0..2 {
        let outcome = ground.cluster.run_hook(&hooks[0], new(), LONG).await?;
        ensure!(outcome == HookOutcome::Succeeded, "{outcome:?}");
        let before_creation =
            DeleteOptions { owner: None, propagation: Propagation::Background, timeout: Some(LONG), but_for_run: None };
        ground.cluster.delete(&hooks, &before_creation).await?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hook_that_fails_or_hangs_says_so() -> Result<()> {
    let ground = Ground::new("hook-fails").await?;
    let hooks = ground.objects(&[job("broken", play::FAIL), job("hangs", play::HANG)]).await?;
    let HookOutcome::Failed(broken) = ground.cluster.run_hook(&hooks[0], new(), LONG).await? else {
        bail!("no failure")
    };
    ensure!(broken.message.starts_with("Job Failed"), "{broken}");
    let HookOutcome::TimedOut(hangs) = ground.cluster.run_hook(&hooks[1], new(), Duration::from_secs(2)).await? else {
        bail!("it ended")
    };
    ensure!(hangs.message == "Job in progress", "{hangs}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hook_of_another_kind_has_ended_when_it_is_applied() -> Result<()> {
    let ground = Ground::new("hook-config").await?;
    let hooks = ground.objects(&[config_map("seed", json!({ "a": "1" }))]).await?;
    ensure!(ground.cluster.run_hook(&hooks[0], new(), LONG).await? == HookOutcome::Succeeded, "not ended");
    let live = ground.live("v1", "ConfigMap", "seed").await?;
    ensure!(live["metadata"]["labels"].is_null(), "hooks bear no marks: {live}");
    Ok(())
}

/// A finished Job proves nothing about the run that is to come: neither touched nor believed.
#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_exists_is_neither_touched_nor_taken_for_this_run() -> Result<()> {
    let ground = Ground::new("hook-exists").await?;
    let hooks = ground.objects(&[job("migrate", ""), job("migrate-again", "")]).await?;
    // A clock of whoever runs it is none of the API server's.
    let minute = Duration::from_mins(1);
    for (at, began) in [jiff::Timestamp::now() - minute, jiff::Timestamp::now() + minute].into_iter().enumerate() {
        let run = HookRun { began, is_resumed: false };
        ground.cluster.run_hook(&hooks[at], run, LONG).await?;
        let name = hooks[at].reference().name.clone();
        let first = ground.live("batch/v1", "Job", &name).await?;
        let refused = ground.cluster.run_hook(&hooks[at], new(), LONG).await;
        let Err(error @ Error::HookExists { .. }) = refused else { bail!("{refused:?}") };
        ensure!(error.to_string().contains("before-hook-creation"), "{error}");

        // An attempt that was cut off goes on with what it has made, and with nothing else.
        let resumed = HookRun { is_resumed: true, ..run };
        let outcome = ground.cluster.run_hook(&hooks[at], resumed, LONG).await?;
        ensure!(outcome == HookOutcome::Succeeded, "{outcome:?}");
        for other in [began - minute, began + Duration::from_millis(1)] {
            let run = HookRun { began: other, is_resumed: true };
            let refused = ground.cluster.run_hook(&hooks[at], run, LONG).await;
            ensure!(matches!(refused, Err(Error::HookExists { .. })), "{refused:?}");
        }
        let spared = DeleteOptions {
            owner: None,
            propagation: Propagation::Background,
            timeout: None,
            but_for_run: Some(began),
        };
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
    let mut kept = job("migrate", "");
    kept["metadata"]["annotations"] = json!({ "helm.sh/resource-policy": "keep" });
    let hooks = ground.objects(&[kept]).await?;
    ground.cluster.run_hook(&hooks[0], new(), LONG).await?;
    let before_creation =
        DeleteOptions { owner: None, propagation: Propagation::Background, timeout: Some(LONG), but_for_run: None };
    ground.cluster.delete(&hooks, &before_creation).await?;
    ensure!(ground.api("batch/v1", "Job").get_opt("migrate").await?.is_none(), "it was kept");
    Ok(())
}
