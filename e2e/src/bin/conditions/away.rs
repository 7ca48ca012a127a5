//! The API server goes away while releases change, and comes back: how soon the operator sees and ends what it began.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use e2e::kwok::{PLAY, play};
use e2e::model::End;
use e2e::recorder::Recorder;
use e2e::status::Conditioned as _;
use e2e::story::{Story, alone, as_it_is};
use e2e::{charts, eventually, status};
use futures::future::try_join_all;
use helm_operator::api::HelmRelease;
use k8s_openapi::api::apps::v1::Deployment;
use kube::ResourceExt as _;
use kube::api::ListParams;
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
        // All at once: the first must not be done before the last is declared.
        let change = json!({ "spec": {
            "chart": { "version": "1.1.0" }, "values": { "podAnnotations": { PLAY: play::SLOW } },
        } });
        try_join_all(names.iter().map(|name| story.patch(name, change.clone()))).await?;
        eventually::eventually("changes are under way", LONG, async || {
            let begun = under_way(story).await?;
            ensure!(begun > 0, "none of {RELEASES}");
            Ok(())
        })
        .await?;
        story.stage.plane.stop_apiserver().await?;
        eventually::measure(Duration::from_secs(seconds)).await;
        story.stage.plane.start_apiserver().await?;
        let back = Instant::now();
        let (seen, (rolled_out, done)) = tokio::try_join!(noticed(story, back), ended(story, &names, back))?;
        figures.push(figure(format!("seconds until a new object is seen, {seconds} s away"), seen, 5.0));
        figures.push(figure(
            "seconds until Kubernetes has rolled out the changes under way",
            rolled_out,
            crate::NO_LIMIT,
        ));
        figures.push(figure("most seconds from there until such a change is done", done, 10.0));
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

/// How many releases are at work on a change.
async fn under_way(story: &Story<'_>) -> Result<usize> {
    let at_work =
        |release: &&HelmRelease| release.conditions().iter().any(|is| is.type_ == "Reconciling" && is.status == "True");
    Ok(story.releases().list(&ListParams::default()).await?.iter().filter(at_work).count())
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

/// The seconds until the last Deployment is rolled out, and the most that a release was not ready after its own was.
/// Kubernetes' own controllers look again up to a minute after the API server is back, which is none of the operator's.
async fn ended(story: &Story<'_>, names: &[String], back: Instant) -> Result<(f64, f64)> {
    let (mut rolled_out, mut ready) = (BTreeMap::new(), BTreeMap::new());
    eventually::eventually("all changes are done", LONG, async || {
        for deployment in story.objects::<Deployment>().list(&ListParams::default()).await? {
            if is_rolled_out(&deployment) {
                rolled_out.entry(deployment.name_any()).or_insert_with(Instant::now);
            }
        }
        for release in story.releases().list(&ListParams::default()).await? {
            if status::ready(&release).is_ok() {
                ready.entry(release.name_any()).or_insert_with(Instant::now);
            }
        }
        let missing: Vec<&String> = names.iter().filter(|name| !ready.contains_key(*name)).collect();
        ensure!(missing.is_empty(), "not ready: {missing:?}");
        Ok(())
    })
    .await?;
    let last = names.iter().filter_map(|name| rolled_out.get(name)).max().context("nothing was rolled out")?;
    let late = names.iter().filter_map(|name| Some(ready.get(name)?.saturating_duration_since(*rolled_out.get(name)?)));
    Ok((last.saturating_duration_since(back).as_secs_f64(), late.max().unwrap_or_default().as_secs_f64()))
}

fn is_rolled_out(deployment: &Deployment) -> bool {
    let Some(status) = &deployment.status else { return false };
    let one = [status.replicas, status.updated_replicas, status.available_replicas];
    status.observed_generation == deployment.metadata.generation && one == [Some(1); 3]
}
