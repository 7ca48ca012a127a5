//! The API server goes away and comes back in the middle of an apply and of a wait.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use e2e::apiserver::ControlPlane;
use e2e::kwok::play;
use helm_operator::cluster::{Change, WaitOptions};
use kube::api::{Patch, PatchParams};
use serde_json::json;

use crate::{Ground, LONG, config_map, deployment};

#[tokio::test(flavor = "multi_thread")]
async fn an_apply_and_a_wait_outlive_a_restart_of_the_api_server() -> Result<()> {
    let plane = ControlPlane::start().await?;
    if !plane.is_own() {
        return Ok(());
    }
    let ground = Ground::on(&plane, "restart").await?;
    let objects = ground.objects(&[deployment("web", play::NEVER_READY), config_map("a", json!({}))]).await?;
    let options = ground.apply_options("shop");
    plane.stop_apiserver().await?;
    let (applied, started) = tokio::join!(ground.cluster.apply(&objects, &options), async {
        tokio::time::sleep(Duration::from_millis(500)).await;
        plane.start_apiserver().await
    });
    started?;
    let applied = applied?;
    ensure!(applied.iter().all(|applied| applied.change == Change::Created), "{applied:?}");

    let options = WaitOptions { timeout: LONG, declared: LONG, jobs: true };
    let restart_and_mend = async {
        plane.stop_apiserver().await?;
        plane.start_apiserver().await?;
        let mended = json!({ "spec": { "template": { "metadata": { "annotations": { e2e::kwok::PLAY: "" } } } } });
        let deployments = ground.api("apps/v1", "Deployment");
        deployments.patch("web", &PatchParams::default(), &Patch::Merge(&mended)).await?;
        anyhow::Ok(())
    };
    let (waited, mended) = tokio::join!(ground.cluster.wait_ready(&applied, &options), restart_and_mend);
    mended?;
    waited?;
    Ok(())
}

/// A watch that found nobody for long is not long in finding the one who is back.
#[tokio::test(flavor = "multi_thread")]
async fn a_watch_is_back_within_seconds_of_an_api_server_that_was_long_away() -> Result<()> {
    let plane = ControlPlane::api_only().await?;
    let ground = Ground::on(&plane, "away").await?;
    let mut held = config_map("held", json!({}));
    held["metadata"]["finalizers"] = json!(["example.com/hold"]);
    let objects = ground.objects(&[held]).await?;
    ground.cluster.apply(&objects, &ground.apply_options("shop")).await?;
    let away_and_free = async {
        let maps = ground.api("v1", "ConfigMap");
        e2e::eventually::object(&maps, "held", LONG, |held| {
            ensure!(held.metadata.deletion_timestamp.is_some(), "not deleted yet");
            Ok(())
        })
        .await?;
        plane.stop_apiserver().await?;
        // Longer than a doubling pause takes to pass the bound below.
        tokio::time::sleep(Duration::from_secs(20)).await;
        plane.start_apiserver().await?;
        let free = Patch::Merge(json!({ "metadata": { "finalizers": null } }));
        maps.patch("held", &PatchParams::default(), &free).await?;
        anyhow::Ok(Instant::now())
    };
    let options = ground.delete_options("shop");
    let (deleted, freed) = tokio::join!(ground.cluster.delete(&objects, &options), away_and_free);
    let (took, removals) = (freed?.elapsed(), deleted?);
    ensure!(removals.len() == 1 && took < Duration::from_secs(6), "noticed after {took:?}");
    Ok(())
}
