//! Waiting: who is waited for, what ends it, what it costs, and what is said when it fails.

use std::time::{Duration, Instant};

use anyhow::{Result, bail, ensure};
use e2e::kwok::play;
use helm_operator::cluster::{WaitError, WaitOptions};
use serde_json::json;

use crate::{Ground, LONG, config_map, deployment, job};

const PATIENT: WaitOptions = WaitOptions { timeout: LONG, jobs: true };
const HASTY: WaitOptions = WaitOptions { timeout: Duration::from_secs(3), jobs: true };

/// Applies `documents` and waits for them.
async fn wait(
    ground: &Ground,
    documents: &[serde_json::Value],
    options: &WaitOptions,
) -> Result<Result<(), WaitError>> {
    let objects = ground.objects(documents).await?;
    let applied = ground.cluster.apply(&objects, &ground.apply_options("shop")).await?;
    Ok(ground.cluster.wait_ready(&applied, options).await)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wait_ends_when_the_last_object_is_ready() -> Result<()> {
    let ground = Ground::new("wait-ready").await?;
    let documents =
        [config_map("a", json!({})), deployment("late", play::SLOW), deployment("web", ""), job("once", "")];
    wait(&ground, &documents, &PATIENT).await??;
    let live = ground.live("apps/v1", "Deployment", "late").await?;
    ensure!(live["status"]["availableReplicas"] == 1, "{}", live["status"]);
    let live = ground.live("batch/v1", "Job", "once").await?;
    ensure!(live["status"]["succeeded"] == 1, "{}", live["status"]);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upgrade_waits_for_the_new_generation() -> Result<()> {
    let ground = Ground::new("wait-upgrade").await?;
    wait(&ground, &[deployment("web", "")], &PATIENT).await??;
    let mut next = deployment("web", play::SLOW);
    next["spec"]["template"]["spec"]["containers"][0]["image"] = "web:2".into();
    wait(&ground, &[next], &PATIENT).await??;
    let live = ground.live("apps/v1", "Deployment", "web").await?;
    ensure!(live["status"]["updatedReplicas"] == 1 && live["status"]["replicas"] == 1, "{}", live["status"]);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_ready_in_time_is_explained() -> Result<()> {
    let ground = Ground::new("wait-late").await?;
    let documents = [
        deployment("crash", play::CRASH),
        deployment("pull", play::IMAGE_PULL),
        deployment("probe", play::NEVER_READY),
        deployment("web", ""),
    ];
    let Err(error @ WaitError::Timeout { .. }) = wait(&ground, &documents, &HASTY).await? else { bail!("ready") };
    let text = error.to_string();
    ensure!(text.starts_with("not ready after 3s: "), "{text}");
    for words in [r#"Deployment "crash""#, "CrashLoopBackOff", "ImagePullBackOff", "is not ready"] {
        ensure!(text.contains(words), "{words:?} is not in {text}");
    }
    ensure!(!text.contains(r#"Deployment "web""#), "{text}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failed_job_ends_the_wait_at_once() -> Result<()> {
    let ground = Ground::new("wait-failed").await?;
    let start = Instant::now();
    let documents = [job("broken", play::FAIL), deployment("never", play::NEVER_READY)];
    let Err(WaitError::Failed { objects }) = wait(&ground, &documents, &PATIENT).await? else { bail!("no failure") };
    ensure!(start.elapsed() < LONG / 2, "after {:?}", start.elapsed());
    ensure!(objects.len() == 1 && objects[0].object.name == "broken", "{objects:?}");
    ensure!(objects[0].message.starts_with("Job Failed. failed: 1/1"), "{objects:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_running_job_is_ready_unless_its_end_is_asked_for() -> Result<()> {
    let ground = Ground::new("wait-jobs").await?;
    let documents = [job("long", play::HANG)];
    wait(&ground, &documents, &WaitOptions { jobs: false, ..PATIENT }).await??;
    let Err(WaitError::Timeout { objects, .. }) = wait(&ground, &documents, &HASTY).await? else { bail!("ended") };
    ensure!(objects[0].message == "Job in progress", "{objects:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn many_waits_share_one_watch_which_ends_after_them() -> Result<()> {
    let ground = Ground::new("wait-shared").await?;
    let before = watches(&ground).await?;
    let waits = (0..20).map(|number| {
        let ground = &ground;
        async move {
            let documents = [deployment(&format!("web-{number}"), play::NEVER_READY)];
            let objects = ground.objects(&documents).await?;
            let release = format!("release-{number}");
            let applied = ground.cluster.apply(&objects, &ground.apply_options(&release)).await?;
            drop(ground.cluster.wait_ready(&applied, &PATIENT).await);
            anyhow::Ok(())
        }
    });
    let all = futures::future::try_join_all(waits);
    let one_more = e2e::eventually::eventually("the watch is open", LONG, || async {
        let more = watches(&ground).await? - before;
        ensure!(more == 1, "{more} more watches");
        Ok(())
    });
    // The waits are dropped here: that ends them.
    tokio::select! {
        ended = all => bail!("the waits ended: {ended:?}"),
        opened = one_more => opened?,
    }
    e2e::eventually::eventually("the watch is closed", LONG, || async {
        ensure!(watches(&ground).await? <= before, "still open");
        Ok(())
    })
    .await
}

/// Watches of Deployments in our namespace that the API server holds open.
async fn watches(ground: &Ground) -> Result<i64> {
    let request = http::Request::get("/metrics").body(Vec::new())?;
    let metrics = ground.client.request_text(request).await?;
    let ours = |line: &&str| {
        line.starts_with("apiserver_longrunning_requests{")
            && line.contains(r#"resource="deployments""#)
            && line.contains(r#"verb="WATCH""#)
            && line.contains(r#"scope="namespace""#)
    };
    let counts = metrics.lines().filter(ours).filter_map(|line| line.rsplit(' ').next()?.parse::<i64>().ok());
    Ok(counts.sum())
}
