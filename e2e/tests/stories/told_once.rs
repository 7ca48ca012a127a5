//! What happened once is told once, and what the status tells is not lost to the next look.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result, ensure};
use e2e::story::{SOON, story};
use e2e::{charts, eventually, status};
use helm_operator::api::{REQUESTED_AT, Reason};
use k8s_openapi::api::events::v1::Event;
use kube::api::{ListParams, Patch, PatchParams};
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

#[test]
fn what_is_wrong_in_a_status_is_put_right_at_the_next_look() -> Result<()> {
    story("stale-status", async |story| {
        story.push(&charts::note("memo", "1.0.0")).await?;
        story.open_repository().await?;
        story.release("memo", "memo", "1.0.0", json!({})).await?;
        let mut conditions = story.ready("memo").await?.status.context("a status")?.conditions;
        let ready = conditions.iter_mut().find(|condition| condition.type_ == "Ready").context("Ready")?;
        (ready.status, ready.reason) = ("False".to_owned(), Reason::InstallFailed.to_string());
        for kind in ["Remediated", "Failed"] {
            let mut left = conditions[0].clone();
            kind.clone_into(&mut left.type_);
            conditions.push(left);
        }
        let stale = Patch::Merge(json!({ "status": { "conditions": conditions } }));
        let stale = story.releases().patch_status("memo", &PatchParams::default(), &stale).await?;
        ensure!(status::ready(&stale).is_err(), "the status is as it was: the story is void");
        story.patch("memo", json!({ "metadata": { "annotations": { REQUESTED_AT: "now" } } })).await?;
        story.ready("memo").await?;
        eventually::object(&story.releases(), "memo", SOON, |release| {
            let conditions = &release.status.as_ref().context("a status")?.conditions;
            let left = conditions.iter().find(|it| ["Remediated", "Failed"].contains(&it.type_.as_str()));
            ensure!(left.is_none(), "{} stays", status::summary(release));
            Ok(())
        })
        .await?;
        ensure!(story.history("memo").await? == "1 deployed", "{}", story.history("memo").await?);
        Ok(())
    })
}
