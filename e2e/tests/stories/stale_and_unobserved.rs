//! What the operator knows may be old, and what it did may be unknown to it: watches lag, break off and leave versions out,
//! answers come last or never, lists are old. No revision is made twice, and no value comes back that was left behind.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use e2e::gateway::{Answer, Events, Gateway, Which};
use e2e::model::End;
use e2e::recorder::Recorder;
use e2e::sample::{self, Numbers};
use e2e::story::{SOON, Story, alone, as_it_is};
use e2e::{charts, eventually, status};
use futures::StreamExt as _;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::runtime::watcher::{self, watcher};
use kube::runtime::{WatchStreamExt as _, reflector::Lookup as _};
use serde_json::json;

const RELEASES: usize = 8;
const ROUNDS: usize = 12;

/// How long a disturbance of watches lasts.
const GAP: Duration = Duration::from_millis(1500);

const SHORT: Duration = Duration::from_millis(30);

/// What goes wrong in a round.
const TROUBLES: [&str; 8] =
    ["calm", "answers late", "answers last", "events late", "watches cut", "answers lost", "timed out", "away"];

#[test]
fn no_revision_is_made_twice_and_no_old_value_comes_back() -> Result<()> {
    let seed = sample::seed("STALE_SEED")?;
    drop(writeln!(std::io::stderr(), "STALE_SEED={seed}"));
    alone("stale", as_it_is, async |story| {
        story.push(&charts::note("memo", "1.0.0")).await?;
        story.open_repository().await?;
        let recorder = Recorder::start(story.client.clone()).await?;
        let (gateway, operator) = story.behind_gateway(&[]).await?;
        let told = Greetings::follow(story);
        let mut numbers = Numbers::new(seed, "stale");
        let mut troubles = Vec::new();
        for round in 0..ROUNDS {
            gateway.calm();
            let trouble = numbers.pick(&TROUBLES).copied().unwrap_or("calm");
            troubles.push(trouble);
            make(trouble, &gateway);
            declare(story, round).await?;
            eventually::measure(GAP).await;
            gateway.away(false);
            // Some rounds end before the next begins, in others releases change while they are at work.
            if numbers.below(2) == 0 {
                gateway.calm();
                settled(story, round).await.with_context(|| format!("after {troubles:?}"))?;
            }
        }
        gateway.calm();
        settled(story, ROUNDS - 1).await.with_context(|| format!("after {troubles:?}"))?;
        let verdict = recorder.verdict(End::Settled).await?;
        verdict.accept().with_context(|| format!("after {troubles:?}"))?;
        for (release, made) in verdict.revisions() {
            ensure!(made <= ROUNDS, "{release} made {made} revisions of {ROUNDS} declarations: {troubles:?}");
        }
        told.only_rose().with_context(|| format!("after {troubles:?}"))?;
        operator.check_log()
    })
}

fn make(trouble: &str, gateway: &Gateway) {
    match trouble {
        "answers late" => gateway.answers(Which::writes(""), Answer::Late(SHORT)),
        "answers last" => gateway.answers(Which::writes(""), Answer::AfterEvent(SHORT)),
        "events late" => gateway.events(Which::watches(""), Events::Late(SHORT * 10)),
        "watches cut" => gateway.cut_watches(Which::watches(""), GAP),
        "answers lost" => gateway.answers(Which::writes("").times(4), Answer::Lost),
        "timed out" => gateway.answers(Which::writes("").times(4), Answer::TimedOut),
        "away" => gateway.away(true),
        _ => {}
    }
}

async fn declare(story: &Story<'_>, round: usize) -> Result<()> {
    for number in 0..RELEASES {
        let spec = json!({ "values": { "greeting": format!("{round}") }, "maxHistory": 100 });
        story.release(&format!("memo-{number}"), "memo", "1.0.0", spec).await?;
    }
    Ok(())
}

/// Waits until every release is ready, and its object holds the value of this round.
async fn settled(story: &Story<'_>, round: usize) -> Result<()> {
    for number in 0..RELEASES {
        let name = format!("memo-{number}");
        eventually::object(&story.releases(), &name, SOON * 2, status::ready).await?;
        let map = story.objects::<ConfigMap>().get(&format!("{name}-config")).await?;
        let greeting = map.data.and_then(|data| data.get("greeting").cloned());
        ensure!(greeting.as_deref() == Some(&*round.to_string()), "{name} holds {greeting:?} after round {round}");
    }
    Ok(())
}

/// The values that each map had, one after the other.
struct Greetings {
    seen: Arc<Mutex<BTreeMap<String, Vec<usize>>>>,
}

impl Greetings {
    fn follow(story: &Story<'_>) -> Self {
        let seen = Arc::<Mutex<BTreeMap<String, Vec<usize>>>>::default();
        let maps =
            watcher(story.objects::<ConfigMap>(), watcher::Config::default()).default_backoff().applied_objects();
        let follow = Arc::clone(&seen);
        tokio::spawn(maps.for_each(move |map| {
            let map = map.ok().and_then(|map| {
                let value = map.data.as_ref()?.get("greeting")?.parse().ok()?;
                Some((map.name()?.into_owned(), value))
            });
            if let Some((name, value)) = map {
                follow.lock().unwrap_or_else(PoisonError::into_inner).entry(name).or_default().push(value);
            }
            std::future::ready(())
        }));
        Self { seen }
    }

    fn only_rose(&self) -> Result<()> {
        let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        ensure!(seen.len() == RELEASES, "values of {} maps were seen", seen.len());
        for (name, values) in seen.iter() {
            ensure!(values.is_sorted(), "{name} held {values:?}");
        }
        Ok(())
    }
}
