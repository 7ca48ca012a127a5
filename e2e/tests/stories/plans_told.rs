//! What is told of plans, and what becomes of those that do not fit any more.

use anyhow::{Context as _, Result, ensure};
use e2e::eventually;
use e2e::status;
use e2e::story::{SOON, story};
use helm_operator::api::Reason;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::{Patch, PatchParams};
use serde_json::json;

use crate::plans::{approve, color, declare, deployed, diff, plans, told, waits};

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
