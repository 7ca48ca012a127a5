//! What happened once is told once, and what the status tells is not lost to the next look.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result, ensure};
use e2e::charts;
use e2e::story::story;
use helm_operator::api::Reason;
use k8s_openapi::api::events::v1::Event;
use kube::api::ListParams;
use serde_json::json;

#[test]
fn an_install_is_one_event_and_leaves_a_whole_inventory() -> Result<()> {
    story("told-once", async |story| {
        story.push(&charts::note("memo", "1.0.0")).await?;
        story.open_repository().await?;
        let names: Vec<String> = (0..20).map(|number| format!("memo-{number}")).collect();
        for name in &names {
            story.release(name, "memo", "1.0.0", json!({})).await?;
        }
        for name in &names {
            story.ready(name).await?;
            story.event(name, Reason::InstallCompleted, "Release is ready").await?;
        }
        for release in story.releases().list(&ListParams::default()).await?.items {
            let status = release.status.context("no status")?;
            let inventory = status.inventory.context("no inventory")?;
            ensure!(
                inventory.entries.iter().all(|entry| entry.uid.is_some()),
                "{:?}: {inventory:?}",
                release.metadata.name
            );
        }
        let events: Vec<Event> = story.objects::<Event>().list(&ListParams::default()).await?.items;
        let mut told = BTreeMap::<String, usize>::new();
        for event in events.into_iter().filter(|event| event.reason == Some(Reason::InstallCompleted.to_string())) {
            *told.entry(event.regarding.and_then(|object| object.name).unwrap_or_default()).or_default() += 1;
        }
        ensure!(told.len() == names.len() && told.values().all(|times| *times == 1), "{told:?}");
        Ok(())
    })
}
