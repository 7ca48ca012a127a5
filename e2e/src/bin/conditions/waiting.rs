//! Many releases that wait for pods that never become ready: what each costs, and what another one takes beside them.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use e2e::kwok::{PLAY, play};
use e2e::story::{SOON, Story, alone, as_it_is};
use e2e::{charts, eventually, status};
use futures::{StreamExt as _, TryStreamExt as _};
use helm_operator::api::HelmRelease;
use k8s_openapi::api::apps::v1::Deployment;
use kube::api::{DeleteParams, ListParams, PostParams};
use serde_json::json;

use crate::figures::Figure;
use crate::{figure, since};

/// How long an operator rests before its memory is read.
const REST: Duration = Duration::from_secs(15);

/// How long many releases may need for one step.
const LONG: Duration = Duration::from_mins(9);

pub(crate) fn measure(releases: usize) -> Result<Vec<Figure>> {
    let mut figures = Vec::new();
    alone("waiting", as_it_is, async |story| {
        story.push(&charts::web("web", "1.0.0")).await?;
        story.open_repository().await?;
        let alone = install(story, "alone").await?;
        declare(story, "settled", releases, false).await?;
        all(story, releases + 1, |release| status::ready(release).is_ok()).await?;
        let settled = memory(story).await?;
        delete(story, "settled", releases).await?;
        declare(story, "waiting", releases, true).await?;
        deployments(story, releases).await?;
        let waiting = memory(story).await?;
        let beside = install(story, "beside").await?;
        figures.push(figure("MB with all settled", settled / 1e6, crate::NO_LIMIT));
        figures.push(figure("MB with all waiting", waiting / 1e6, crate::NO_LIMIT));
        #[expect(clippy::cast_precision_loss, reason = "some hundreds")]
        figures.push(figure("KB more for each that waits", (waiting - settled) / 1e3 / releases as f64, 30.0));
        figures.push(figure("seconds of an install alone", alone, crate::NO_LIMIT));
        figures.push(figure("seconds of one more install", beside, crate::NO_LIMIT));
        figures.push(figure("ratio", beside / alone, 1.2));
        Ok(())
    })?;
    Ok(figures)
}

async fn install(story: &Story<'_>, name: &str) -> Result<f64> {
    let start = Instant::now();
    story.release(name, "web", "1.0.0", json!({})).await?;
    story.ready(name).await?;
    Ok(since(start))
}

async fn declare(story: &Story<'_>, name: &str, count: usize, wait: bool) -> Result<()> {
    let create = async |number: usize| {
        let release = json!({
            "apiVersion": "helm-operator.ketches.cn/v1alpha1",
            "kind": "HelmRelease",
            "metadata": { "name": format!("{name}-{number}") },
            "spec": {
                "chart": { "name": "web", "version": "1.0.0", "repository": { "name": "charts" } },
                "install": { "wait": wait, "timeout": "2h" },
                "values": { "podAnnotations": { PLAY: play::NEVER_READY } },
            },
        });
        story.releases().create(&PostParams::default(), &serde_json::from_value(release)?).await?;
        anyhow::Ok(())
    };
    futures::stream::iter(0..count).map(Ok).try_for_each_concurrent(8, create).await
}

async fn delete(story: &Story<'_>, name: &str, count: usize) -> Result<()> {
    for number in 0..count {
        story.releases().delete(&format!("{name}-{number}"), &DeleteParams::default()).await?;
    }
    all(story, 1, |_| true).await
}

/// Waits until there are so many releases, all of which `check` accepts.
pub(crate) async fn all(story: &Story<'_>, count: usize, check: impl Fn(&HelmRelease) -> bool) -> Result<()> {
    eventually::eventually(format!("{count} releases as they should be"), LONG, async || {
        eventually::measure(Duration::from_secs(1)).await;
        let releases = story.releases().list(&ListParams::default()).await?;
        let right = releases.iter().filter(|release| check(release)).count();
        ensure!(right == count && releases.items.len() == count, "{right} of {}", releases.items.len());
        Ok(())
    })
    .await
}

async fn deployments(story: &Story<'_>, count: usize) -> Result<()> {
    eventually::eventually("all Deployments are there", LONG, async || {
        eventually::measure(Duration::from_secs(1)).await;
        let chosen = ListParams::default();
        let there = story.objects::<Deployment>().list_metadata(&chosen).await?.items.len();
        ensure!(there == count + 1, "{there} Deployments");
        Ok(())
    })
    .await
}

/// Resident bytes of an operator that was started on what is there, once it rests.
pub(crate) async fn memory(story: &Story<'_>) -> Result<f64> {
    let mut operator = story.stage.operator().await;
    operator.stop().await?;
    operator.start().await?;
    let (mut before, deadline) = (0.0, Instant::now() + SOON);
    // It rests when it uses less than a tenth of the time.
    while Instant::now() < deadline {
        eventually::measure(Duration::from_secs(2)).await;
        let used = operator.usage()?.cpu_seconds;
        if used - before < 0.2 {
            break;
        }
        before = used;
    }
    eventually::measure(REST).await;
    #[expect(clippy::cast_precision_loss, reason = "memory is far below 2^53 bytes")]
    let bytes = operator.usage()?.memory as f64;
    Ok(bytes)
}
