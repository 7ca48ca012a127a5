//! What is told of plans, and what becomes of those that do not fit any more.

use anyhow::{Context as _, Result, ensure};
use e2e::eventually;
use e2e::status;
use e2e::story::{SOON, Story, story};
use helm_operator::api::Reason;
use k8s_openapi::api::core::v1::{ConfigMap, Namespace, Secret};
use kube::Api;
use kube::api::{DeleteParams, ListParams, Patch, PatchParams, PostParams};
use serde_json::json;

use crate::plans::{approve, color, declare, deployed, diff, plans, told, waits};

/// How many of Helm's records there are in a namespace.
async fn records(story: &Story<'_>, namespace: &str) -> Result<usize> {
    let secrets = Api::<Secret>::namespaced(story.client.clone(), namespace);
    Ok(secrets.list(&ListParams::default().labels("owner=helm,name=app")).await?.items.len())
}

#[test]
fn a_plan_that_cannot_be_carried_out_is_withdrawn() -> Result<()> {
    story("plan-withdrawn", async |story| {
        deployed(story, json!({})).await?;
        let plan = declare(story, json!({ "color": "blue" })).await?;
        let by_hand = PatchParams { field_manager: Some("kubectl-edit".to_owned()), ..PatchParams::default() };
        let edited = Patch::Merge(json!({ "data": { "color": "green" } }));
        story.objects::<ConfigMap>().patch("app", &by_hand, &edited).await?;
        approve(story, &plan.digest).await?;
        story.event("app", Reason::PlanOutdated, "is withdrawn").await?;
        let releases = story.releases();
        eventually::object(&releases, "app", SOON, |release| {
            status::failed(release, Reason::FieldConflict)?;
            let message = status::message(release);
            ensure!(message.contains("kubectl-edit"), "{message}");
            ensure!(release.status.as_ref().is_some_and(|status| status.plan.is_none()), "the plan is still on show");
            Ok(())
        })
        .await?;
        ensure!(plans(story).await? == 0, "the plan is kept");
        let (text, code) = diff(story, &["app"]).await?;
        ensure!(code == 0 && text.contains("no plan"), "{code}: {text}");

        // What is planned for another declaration ends with that one, too.
        story.patch("app", json!({ "spec": { "upgrade": { "force": true } } })).await?;
        waits(story).await?;
        story.patch("app", json!({ "spec": { "upgrade": { "force": false } } })).await?;
        eventually::object(&releases, "app", SOON, |release| {
            status::failed(release, Reason::FieldConflict)?;
            ensure!(release.status.as_ref().is_some_and(|status| status.plan.is_none()), "the plan is still on show");
            Ok(())
        })
        .await?;
        ensure!(plans(story).await? == 0 && color(story).await? == "green", "a plan is kept");
        Ok(())
    })
}

#[test]
fn records_move_once_that_is_approved() -> Result<()> {
    story("plan-records", async |story| {
        deployed(story, json!({})).await?;
        let target = format!("{}-records", story.namespace);
        let namespaces = Api::<Namespace>::all(story.client.clone());
        let namespace = serde_json::from_value(json!({ "metadata": { "name": target } }))?;
        namespaces.create(&PostParams::default(), &namespace).await?;
        story.patch("app", json!({ "spec": { "storageNamespace": target } })).await?;
        let plan = waits(story).await?;
        let note = plan.note.clone().unwrap_or_default();
        ensure!(note.contains(&format!("move from namespace {} to {target}", story.namespace)), "{note:?}");
        told(story, &["the records of the release move"]).await?;
        let history = story.releases().get("app").await?.status.context("a status")?.history;
        ensure!(history.len() == 1, "the status tells of no revision: {history:?}");
        let (text, code) = diff(story, &["app"]).await?;
        ensure!(code == 1 && text.contains("the records of the release move"), "{code}: {text}");
        let counts = (records(story, &story.namespace).await?, records(story, &target).await?);
        ensure!(counts == (1, 0), "they moved without approval: {counts:?}");

        approve(story, &plan.digest).await?;
        let release = story.ready("app").await?;
        let counts = (records(story, &story.namespace).await?, records(story, &target).await?);
        ensure!(counts == (0, 1), "they did not move: {counts:?}");
        ensure!(release.status.context("a status")?.plan.is_none() && plans(story).await? == 0, "a plan is left");

        // Back, together with an upgrade: one approval for both.
        story.patch("app", json!({ "spec": { "storageNamespace": null, "values": { "color": "blue" } } })).await?;
        let plan = waits(story).await?;
        ensure!(plan.changes.changed == 1 && plan.note.is_some(), "{plan:?}");
        ensure!(records(story, &target).await? == 1 && color(story).await? == "red", "it was carried out");
        approve(story, &plan.digest).await?;
        story.ready("app").await?;
        let counts = (records(story, &story.namespace).await?, records(story, &target).await?);
        ensure!(counts == (2, 0) && color(story).await? == "blue", "{counts:?}");
        story.delete("app").await?;
        namespaces.delete(&target, &DeleteParams::default()).await?;
        Ok(())
    })
}

#[test]
fn an_approval_that_was_carried_out_is_no_wrong_one_and_digits_alone_approve() -> Result<()> {
    story("plan-approvals", async |story| {
        deployed(story, json!({})).await?;
        let first = declare(story, json!({ "color": "blue" })).await?;
        approve(story, &first.digest).await?;
        story.ready("app").await?;
        declare(story, json!({ "color": "green" })).await?;
        let release = story.releases().get("app").await?;
        let message = status::message(&release);
        ensure!(!message.contains(&first.digest), "{message}");

        approve(story, "yes").await?;
        told(story, &["\"yes\" approves nothing", "sha256: and 64 digits"]).await?;
        let second = waits(story).await?;
        approve(story, second.digest.trim_start_matches("sha256:")).await?;
        story.ready("app").await?;
        ensure!(color(story).await? == "green", "it is not carried out");
        Ok(())
    })
}

#[test]
fn a_plan_that_changes_nothing_says_why_it_is_there() -> Result<()> {
    story("plan-forced", async |story| {
        deployed(story, json!({})).await?;
        let forced = json!({ "metadata": { "annotations": { "helm-operator.ketches.cn/forceAt": "now" } } });
        story.patch("app", forced).await?;
        let plan = waits(story).await?;
        let note = plan.note.clone().unwrap_or_default();
        ensure!(note.contains("forceAt asks for one more revision, though nothing changes"), "{note:?}");
        told(story, &["forceAt asks for one more revision"]).await?;
        approve(story, &plan.digest).await?;
        story.ready("app").await?;
        ensure!(story.history("app").await? == "1 superseded, 2 deployed", "{}", story.history("app").await?);
        Ok(())
    })
}

#[test]
fn while_a_plan_waits_the_status_tells_what_is_deployed_by_now() -> Result<()> {
    story("plan-by-hand", async |story| {
        deployed(story, json!({ "onForeignChange": "Revert" })).await?;
        declare(story, json!({ "color": "blue" })).await?;
        story.helm.run(&["rollback", "app", "1", "--force-conflicts", "--namespace", &story.namespace]).await?;
        let releases = story.releases();
        eventually::object(&releases, "app", SOON, |release| {
            status::failed(release, Reason::ApprovalNeeded)?;
            let state = release.status.as_ref().and_then(|status| status.helm_release.as_ref());
            let state = state.context("a state of the Helm release")?;
            ensure!(state.revision == 2 && state.status == "deployed", "{state:?}");
            Ok(())
        })
        .await?;
        Ok(())
    })
}
