//! Eight releases on a host that accepts and never answers, and a ninth elsewhere.

use std::time::Instant;

use anyhow::{Context as _, Result, ensure};
use e2e::faults::{Reply, Server};
use e2e::status::Conditioned as _;
use e2e::story::{SOON, Story, alone, as_it_is, repository};
use e2e::{charts, eventually, status};
use kube::api::DeleteParams;
use serde_json::json;

use crate::figures::Figure;
use crate::{figure, median, since};

/// As many as work at once by default.
const HANGING: usize = 8;

/// Installs of which the middle counts.
const INSTALLS: usize = 5;

pub(crate) fn measure() -> Result<Vec<Figure>> {
    let mut figures = Vec::new();
    alone("hanging", as_it_is, async |story| {
        story.push(&charts::note("memo", "1.0.0")).await?;
        story.open_repository().await?;
        let alone = installs(story, "alone").await?;
        let silent = Server::start(None, |_| Reply::Hang).await?;
        story.apply(&repository("silent", &format!("oci://{}/charts", silent.host()))).await?;
        for number in 0..HANGING {
            let chart = json!({ "chart": { "repository": { "name": "silent" } } });
            story.release(&format!("silent-{number}"), "memo", "1.0.0", chart).await?;
        }
        story
            .eventually("the silent registry is asked", async || {
                ensure!(!silent.seen().is_empty(), "not yet");
                Ok(())
            })
            .await?;
        eventually::measure(std::time::Duration::from_secs(3)).await;
        let beside = installs(story, "beside").await?;
        figures.push(figure("seconds of an install alone", alone, crate::NO_LIMIT));
        figures.push(figure("seconds of an install beside eight that hang", beside, crate::NO_LIMIT));
        figures.push(figure("ratio", beside / alone, 1.2));
        figures.push(figure("seconds until a suspended one says so", suspended(story, "silent-0").await?, 1.0));
        figures.push(figure("seconds until a deleted one is gone", deleted(story, "silent-1").await?, 1.0));
        Ok(())
    })?;
    Ok(figures)
}

/// The middle of some installs, one after the other.
async fn installs(story: &Story<'_>, name: &str) -> Result<f64> {
    let mut seconds = Vec::new();
    for number in 0..INSTALLS {
        let (name, start) = (format!("{name}-{number}"), Instant::now());
        story.release(&name, "memo", "1.0.0", json!({})).await?;
        // One that does not come counts with the time for which it was waited.
        let ready = eventually::object(&story.releases(), &name, SOON, status::ready).await;
        seconds.push(since(start));
        if ready.is_err() {
            break;
        }
    }
    Ok(median(seconds))
}

/// How long it takes until a deleted release is gone; as long as it was waited for if it does not go.
async fn deleted(story: &Story<'_>, name: &str) -> Result<f64> {
    let start = Instant::now();
    story.releases().delete(name, &DeleteParams::default()).await?;
    drop(eventually::gone(&story.releases(), name, SOON).await);
    Ok(since(start))
}

async fn suspended(story: &Story<'_>, name: &str) -> Result<f64> {
    let start = Instant::now();
    let declared = story.patch(name, json!({ "spec": { "suspend": true } })).await?;
    let releases = story.releases();
    let observed = eventually::object(&releases, name, SOON, |release| {
        let observed = release.observed_generation().context("no status")?;
        ensure!(Some(observed) >= declared.metadata.generation, "generation {observed} is observed");
        Ok(())
    });
    drop(observed.await);
    Ok(since(start))
}
