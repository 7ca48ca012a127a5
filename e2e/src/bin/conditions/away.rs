//! The API server goes away while releases change, and comes back: how soon the operator sees and ends what it began.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use e2e::kwok::{PLAY, play};
use e2e::model::End;
use e2e::recorder::Recorder;
use e2e::status::Conditioned as _;
use e2e::story::{Story, alone, as_it_is};
use e2e::{charts, eventually, status};
use helm_operator::api::HelmRelease;
use serde_json::json;

use crate::figures::Figure;
use crate::{figure, since};

const RELEASES: usize = 10;

/// How long is waited for what should take seconds.
const LONG: Duration = Duration::from_mins(4);

pub(crate) fn measure(seconds: u64) -> Result<Vec<Figure>> {
    let mut figures = Vec::new();
    alone("away", as_it_is, async |story| {
        for version in ["1.0.0", "1.1.0"] {
            story.push(&charts::web("web", version)).await?;
        }
        story.open_repository().await?;
        let recorder = Recorder::start(story.client.clone()).await?;
        let names: Vec<String> = (0..RELEASES).map(|number| format!("web-{number}")).collect();
        for name in &names {
            story.release(name, "web", "1.0.0", json!({})).await?;
        }
        for name in &names {
            story.ready(name).await?;
        }
        let slow = json!({ "values": { "podAnnotations": { PLAY: play::SLOW } } });
        for name in &names {
            story.release(name, "web", "1.1.0", slow.clone()).await?;
        }
        eventually::object(&story.releases(), &names[0], LONG, |release| {
            let begun = release.conditions().iter().any(|is| is.type_ == "Reconciling" && is.status == "True");
            ensure!(begun, "no change is under way yet");
            Ok(())
        })
        .await?;
        story.stage.plane.stop_apiserver().await?;
        eventually::measure(Duration::from_secs(seconds)).await;
        story.stage.plane.start_apiserver().await?;
        let back = Instant::now();
        let (seen, done) = tokio::join!(noticed(story, back), ended(story, &names, back));
        figures.push(figure(format!("seconds until a new object is seen, {seconds} s away"), seen?, 5.0));
        figures.push(figure(format!("seconds until changes under way are done, {seconds} s away"), done?, 10.0));
        let verdict = recorder.verdict(End::Settled).await?;
        #[expect(clippy::cast_precision_loss, reason = "a few")]
        figures.push(figure("violations of the model", verdict.violations.len() as f64, 0.0));
        let most = verdict.revisions().into_values().max().unwrap_or_default();
        #[expect(clippy::cast_precision_loss, reason = "a few")]
        figures.push(figure("most revisions of a release that changed once", most as f64, 2.0));
        Ok(())
    })?;
    Ok(figures)
}

/// Until an object that is declared now has a status.
async fn noticed(story: &Story<'_>, back: Instant) -> Result<f64> {
    eventually::eventually("an object can be declared", LONG, async || {
        story.release("new", "web", "1.0.0", json!({})).await
    })
    .await?;
    eventually::object(&story.releases(), "new", LONG, |release: &HelmRelease| {
        release.status.as_ref().context("no status").map(drop)
    })
    .await?;
    Ok(since(back))
}

async fn ended(story: &Story<'_>, names: &[String], back: Instant) -> Result<f64> {
    for name in names {
        eventually::object(&story.releases(), name, LONG, status::ready).await?;
    }
    Ok(since(back))
}
