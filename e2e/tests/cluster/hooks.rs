//! Hooks: run to their end, one at a time.

use std::time::Duration;

use anyhow::{Result, bail, ensure};
use e2e::kwok::play;
use helm_operator::cluster::{DeleteOptions, HookOutcome, Propagation};
use serde_json::json;

use crate::{Ground, LONG, config_map, job};

#[tokio::test(flavor = "multi_thread")]
async fn a_hook_ends_with_its_job_and_can_be_run_again_after_deletion() -> Result<()> {
    let ground = Ground::new("hook-job").await?;
    let hooks = ground.objects(&[job("migrate", "")]).await?;
    for _ in 0..2 {
        let outcome = ground.cluster.run_hook(&hooks[0], LONG).await?;
        ensure!(outcome == HookOutcome::Succeeded, "{outcome:?}");
        let before_creation = DeleteOptions { owner: None, propagation: Propagation::Background, timeout: Some(LONG) };
        ground.cluster.delete(&hooks, &before_creation).await?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hook_that_fails_or_hangs_says_so() -> Result<()> {
    let ground = Ground::new("hook-fails").await?;
    let hooks = ground.objects(&[job("broken", play::FAIL), job("hangs", play::HANG)]).await?;
    let HookOutcome::Failed(broken) = ground.cluster.run_hook(&hooks[0], LONG).await? else { bail!("no failure") };
    ensure!(broken.message.starts_with("Job Failed"), "{broken}");
    let HookOutcome::TimedOut(hangs) = ground.cluster.run_hook(&hooks[1], Duration::from_secs(2)).await? else {
        bail!("it ended")
    };
    ensure!(hangs.message == "Job in progress", "{hangs}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hook_of_another_kind_has_ended_when_it_is_applied() -> Result<()> {
    let ground = Ground::new("hook-config").await?;
    let hooks = ground.objects(&[config_map("seed", json!({ "a": "1" }))]).await?;
    ensure!(ground.cluster.run_hook(&hooks[0], LONG).await? == HookOutcome::Succeeded, "not ended");
    let live = ground.live("v1", "ConfigMap", "seed").await?;
    ensure!(live["metadata"]["labels"].is_null(), "hooks bear no marks: {live}");
    Ok(())
}
