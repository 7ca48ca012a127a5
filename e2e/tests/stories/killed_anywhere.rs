//! The operator dies at ten different writes of an install, and of an upgrade; started again, it ends what it began.
//!
//! The gateway before the API server counts its writes: half of the deaths come before the write is carried out, half after.

use anyhow::{Context, Result, ensure};
use e2e::charts;
use e2e::gateway::{Gateway, Moment};
use e2e::operator::Operator;
use e2e::story::{Story, alone, as_it_is};
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::ConfigMap;
use serde_json::{Value, json};

const DEATHS: usize = 10;

#[test]
fn an_install_that_is_killed_anywhere_ends_with_one_revision() -> Result<()> {
    alone("killed-installing", as_it_is, async |story| {
        let mut world = World::build(story).await?;
        let writes = world.undisturbed("calm", install).await?;
        for (number, (at, moment)) in deaths(writes).enumerate() {
            let name = format!("install-{number}");
            world.killed(&name, (at, moment), install).await?;
            check(story, &name, "1 deployed", "1.0.0").await?;
        }
        world.operator.check_log()
    })
}

#[test]
fn an_upgrade_that_is_killed_anywhere_ends_with_one_revision_more() -> Result<()> {
    alone("killed-upgrading", as_it_is, async |story| {
        let mut world = World::build(story).await?;
        world.undisturbed("calm", install).await?;
        let writes = world.undisturbed("calm", upgrade).await?;
        for (number, (at, moment)) in deaths(writes).enumerate() {
            let name = format!("upgrade-{number}");
            world.undisturbed(&name, install).await?;
            world.killed(&name, (at, moment), upgrade).await?;
            check(story, &name, "1 superseded, 2 deployed", "1.1.0").await?;
        }
        world.operator.check_log()
    })
}

/// Ten points spread over the writes of an undisturbed run, the first and the last among them, both moments in turn.
fn deaths(writes: usize) -> impl Iterator<Item = (usize, Moment)> {
    (0..DEATHS).map(move |number| {
        let moment = if number % 2 == 0 { Moment::Before } else { Moment::After };
        (number * writes.saturating_sub(1) / (DEATHS - 1), moment)
    })
}

/// An operator behind a gateway, in place of the stage's own.
struct World<'a> {
    story: &'a Story<'a>,
    gateway: Gateway,
    operator: Operator,
}

type Change = fn(&str) -> Value;

fn install(name: &str) -> Value {
    declared(name, "1.0.0")
}

fn upgrade(name: &str) -> Value {
    declared(name, "1.1.0")
}

fn declared(name: &str, version: &str) -> Value {
    json!({
        "apiVersion": "helm-operator.ketches.cn/v1alpha1",
        "kind": "HelmRelease",
        "metadata": { "name": name },
        "spec": { "chart": { "name": "web", "version": version, "repository": { "name": "charts" } } },
    })
}

impl<'a> World<'a> {
    async fn build(story: &'a Story<'a>) -> Result<Self> {
        for version in ["1.0.0", "1.1.0"] {
            story.push(&charts::web("web", version)).await?;
        }
        story.open_repository().await?;
        let (gateway, operator) = story.behind_gateway(&[]).await?;
        Ok(Self { story, gateway, operator })
    }

    /// Carries a change through in peace and returns how many writes that took.
    async fn undisturbed(&self, name: &str, change: Change) -> Result<usize> {
        self.gateway.open();
        self.story.apply(&change(name).to_string()).await?;
        self.story.ready(name).await?;
        let writes = self.gateway.writes();
        ensure!(writes.len() >= 5, "too few writes to choose from: {writes:?}");
        Ok(writes.len())
    }

    /// Declares a change, kills the operator at one of its writes, starts it again and waits until it is done.
    async fn killed(&mut self, name: &str, (at, moment): (usize, Moment), change: Change) -> Result<()> {
        self.gateway.trap(at, moment);
        self.story.apply(&change(name).to_string()).await?;
        tokio::select! {
            () = self.gateway.caught() => {}
            // Statuses are written as often as they change, so the last writes of one run may be missing in another.
            ready = self.story.ready(name) => drop(ready.with_context(|| format!("{name}: no write {at}"))?),
        }
        let writes = self.gateway.writes();
        self.operator.kill().await?;
        self.gateway.open();
        self.operator.start().await?;
        let ready = self.story.ready(name).await;
        ready.with_context(|| {
            format!(
                "{name}: killed {moment:?} the last of {writes:#?}; the log ends with\n{}",
                self.operator.log_tail()
            )
        })?;
        Ok(())
    }
}

async fn check(story: &Story<'_>, name: &str, history: &str, version: &str) -> Result<()> {
    let told = story.history(name).await?;
    ensure!(told == history, "{name}: helm history tells: {told}");
    let map = story.objects::<ConfigMap>().get(&format!("{name}-config")).await?;
    let applied = map.data.and_then(|data| data.get("version").cloned());
    ensure!(applied.as_deref() == Some(version), "{name}: the ConfigMap is of {applied:?}");
    let ready = story.objects::<Deployment>().get(name).await?.status.and_then(|status| status.ready_replicas);
    ensure!(ready == Some(1), "{name}: {ready:?} replicas are ready");
    Ok(())
}
