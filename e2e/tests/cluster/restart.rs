//! The API server goes away and comes back in the middle of an apply and of a wait.

use std::time::Duration;

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

    let options = WaitOptions { timeout: LONG, jobs: true };
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
