//! Many settled releases whose objects are watched: what that costs, and how soon one that somebody changed is as it was.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use e2e::story::{SOON, Story, alone, as_it_is};
use e2e::{charts, eventually};
use futures::{StreamExt as _, TryStreamExt as _};
use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::{Patch, PatchParams, PostParams};
use serde_json::json;

use crate::figures::Figure;
use crate::waiting::{all, memory};
use crate::{figure, since};

/// For how long requests are counted while nothing changes.
const QUIET: Duration = Duration::from_mins(1);

/// Objects that somebody changes, one after the other.
const CHANGES: usize = 20;

pub(crate) fn measure(releases: usize) -> Result<Vec<Figure>> {
    let mut figures = Vec::new();
    alone("drift", as_it_is, async |story| {
        story.push(&charts::note("memo", "1.0.0")).await?;
        story.open_repository().await?;
        each(releases, |number| declare(story, number)).await?;
        all(story, releases, |release| e2e::status::ready(release).is_ok()).await?;
        let unwatched = least(story).await?;
        each(releases, |number| enable(story, number)).await?;
        all(story, releases, |release| e2e::status::ready(release).is_ok()).await?;
        let watched = least(story).await?;
        let before = requests(story).await?;
        eventually::measure(QUIET).await;
        let requests = requests(story).await? - before;
        let mut seconds = Vec::new();
        for number in 0..CHANGES.min(releases) {
            seconds.push(corrected(story, number).await?);
        }
        seconds.sort_by(f64::total_cmp);
        let p95 = seconds.get(seconds.len() * 19 / 20).copied().context("no change")?;
        figures.push(figure(format!("MB with {releases} settled, not watched"), unwatched / 1e6, crate::NO_LIMIT));
        figures.push(figure("MB with all of them watched", watched / 1e6, crate::NO_LIMIT));
        #[expect(clippy::cast_precision_loss, reason = "some thousands")]
        figures.push(figure("KB more for each that is watched", (watched - unwatched) / 1e3 / releases as f64, 10.0));
        figures.push(figure("requests in a quiet minute", requests, 0.0));
        figures.push(figure("seconds until a change is undone, p95", p95, 1.0));
        Ok(())
    })?;
    Ok(figures)
}

/// Resident bytes: the least of three processes, of which each keeps some memory for what comes next.
async fn least(story: &Story<'_>) -> Result<f64> {
    let mut least = f64::INFINITY;
    for _ in 0..3 {
        least = least.min(memory(story).await?);
    }
    Ok(least)
}

fn name(number: usize) -> String {
    format!("memo-{number}")
}

async fn each<F: Future<Output = Result<()>>>(count: usize, act: impl Fn(usize) -> F) -> Result<()> {
    futures::stream::iter(0..count).map(Ok).try_for_each_concurrent(8, act).await
}

async fn declare(story: &Story<'_>, number: usize) -> Result<()> {
    let release = json!({
        "apiVersion": "helm-operator.ketches.cn/v1alpha1",
        "kind": "HelmRelease",
        "metadata": { "name": name(number) },
        "spec": {
            "chart": { "name": "memo", "version": "1.0.0", "repository": { "name": "charts" } },
            "driftDetection": { "mode": "disabled" },
        },
    });
    story.releases().create(&PostParams::default(), &serde_json::from_value(release)?).await?;
    Ok(())
}

async fn enable(story: &Story<'_>, number: usize) -> Result<()> {
    story.patch(&name(number), json!({ "spec": { "driftDetection": { "mode": "enabled" } } })).await.map(drop)
}

/// Requests to the API server so far.
async fn requests(story: &Story<'_>) -> Result<f64> {
    let metrics = story.stage.operator().await.metrics().await?;
    let of_requests = metrics.iter().filter(|(name, _)| name.starts_with("helm_operator_kube_requests_total"));
    Ok(of_requests.map(|(_, count)| count).sum())
}

/// How long an object that somebody changes stays so.
async fn corrected(story: &Story<'_>, number: usize) -> Result<f64> {
    let (maps, map) = (story.objects::<ConfigMap>(), format!("{}-config", name(number)));
    let parameters = PatchParams { field_manager: Some("somebody".to_owned()), ..PatchParams::default() };
    let changed = json!({ "data": { "greeting": "changed" } });
    maps.patch(&map, &parameters, &Patch::Merge(changed)).await?;
    let start = Instant::now();
    eventually::object(&maps, &map, SOON, |map| {
        let greeting = map.data.as_ref().and_then(|data| data.get("greeting"));
        ensure!(greeting.is_some_and(|greeting| greeting != "changed"), "it is changed still");
        Ok(())
    })
    .await?;
    Ok(since(start))
}
