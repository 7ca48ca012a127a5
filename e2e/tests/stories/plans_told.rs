//! What is told of plans, and what becomes of those that do not fit any more.

use anyhow::{Result, ensure};
use e2e::status;
use e2e::story::story;
use serde_json::json;

use crate::plans::{approve, color, declare, deployed, told, waits};

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
