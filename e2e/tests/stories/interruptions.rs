//! Changes of mind: a release that is deleted, or declared anew, while it waits for what never becomes ready.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use e2e::charts;
use e2e::eventually;
use e2e::kwok::{PLAY, play};
use e2e::story::{SOON, story};
use futures::future::join_all;
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::Secret;
use kube::api::{DeleteParams, ListParams, PostParams};
use serde_json::{Value, json};

/// Far below the ten minutes that the wait itself would take.
const AT_ONCE: Duration = Duration::from_secs(30);

fn stuck() -> Value {
    json!({ "values": { "podAnnotations": { PLAY: play::NEVER_READY } } })
}

#[test]
fn a_release_deleted_while_it_installs_goes_at_once_with_all_it_made() -> Result<()> {
    story("deleted-installing", async |story| {
        story.push(&charts::web("web", "1.0.0")).await?;
        story.open_repository().await?;
        story.release("web", "web", "1.0.0", stuck()).await?;
        eventually::object(&story.objects::<Deployment>(), "web", SOON, |_| Ok(())).await?;

        let start = Instant::now();
        story.delete("web").await?;
        ensure!(start.elapsed() < AT_ONCE, "it took {:?}", start.elapsed());
        ensure!(story.objects::<Deployment>().get_opt("web").await?.is_none(), "the Deployment is still there");
        let records = story.objects::<Secret>().list(&ListParams::default().labels("owner=helm")).await?;
        ensure!(records.items.is_empty(), "{} records are still there", records.items.len());
        Ok(())
    })
}

#[test]
fn releases_deleted_a_moment_after_they_were_made_leave_nothing_behind() -> Result<()> {
    story("short-lived", async |story| {
        story.push(&charts::web("web", "1.0.0")).await?;
        story.open_repository().await?;
        let releases = story.releases();
        let short_lives = (0..40_u64).map(|number| {
            let releases = releases.clone();
            async move {
                let name = format!("brief-{number}");
                let release = json!({
                    "apiVersion": "helm-operator.ketches.cn/v1alpha1",
                    "kind": "HelmRelease",
                    "metadata": { "name": name },
                    "spec": { "chart": { "name": "web", "version": "1.0.0", "repository": { "name": "charts" } } },
                });
                releases.create(&PostParams::default(), &serde_json::from_value(release)?).await?;
                // How far the operator comes meanwhile differs from one to the next: that is what is tried.
                eventually::measure(Duration::from_millis(number * 5)).await;
                releases.delete(&name, &DeleteParams::default()).await?;
                eventually::gone(&releases, &name, SOON).await
            }
        });
        for lived in join_all(short_lives).await {
            lived?;
        }
        let records = story.objects::<Secret>().list(&ListParams::default().labels("owner=helm")).await?;
        ensure!(records.items.is_empty(), "{} records are still there", records.items.len());
        let deployments = story.objects::<Deployment>().list(&ListParams::default()).await?;
        ensure!(deployments.items.is_empty(), "{} Deployments are still there", deployments.items.len());
        Ok(())
    })
}

#[test]
fn a_new_generation_ends_the_wait_of_the_old_one() -> Result<()> {
    story("changed-mind", async |story| {
        story.push(&charts::web("web", "1.0.0")).await?;
        story.open_repository().await?;
        story.release("web", "web", "1.0.0", stuck()).await?;
        eventually::object(&story.objects::<Deployment>(), "web", SOON, |_| Ok(())).await?;

        let start = Instant::now();
        story
            .patch("web", json!({ "spec": { "values": { "podAnnotations": { PLAY: null, "mended": "yes" } } } }))
            .await?;
        story.ready("web").await?;
        ensure!(start.elapsed() < AT_ONCE, "it took {:?}", start.elapsed());
        Ok(())
    })
}
