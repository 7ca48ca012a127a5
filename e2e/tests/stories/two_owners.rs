//! Two releases want the same object: the first has it, the second is told whose it is, and nothing is lost.

use anyhow::{Result, ensure};
use e2e::charts::Chart;
use e2e::status;
use e2e::story::story;
use helm_operator::api::Reason;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::PostParams;
use serde_json::json;

const SHARED: &str = r"apiVersion: v1
kind: ConfigMap
metadata:
  name: shared
data:
  by: {{ .Release.Name }}
";

#[test]
fn the_second_release_is_refused_and_the_first_keeps_its_object() -> Result<()> {
    story("two-owners", async |story| {
        story.push(&Chart::new("greedy", "1.0.0").file("templates/shared.yaml", SHARED)).await?;
        story.open_repository().await?;
        story.release("first", "greedy", "1.0.0", json!({})).await?;
        story.ready("first").await?;
        story.release("second", "greedy", "1.0.0", json!({})).await?;
        let refused = story.failed("second", Reason::OwnershipConflict).await?;
        status::stalled(&refused, Reason::OwnershipConflict)?;
        let message = status::message(&refused);
        ensure!(message.contains("shared") && message.contains("first"), "message: {message}");

        // The refused one leaves without taking the object along.
        story.delete("second").await?;
        let map = story.objects::<ConfigMap>().get("shared").await?;
        let by = map.data.and_then(|data| data.get("by").cloned());
        ensure!(by.as_deref() == Some("first"), "the object is by {by:?}");
        story.ready("first").await?;
        Ok(())
    })
}

#[test]
fn an_object_that_nobody_owns_is_not_taken() -> Result<()> {
    story("no-owner", async |story| {
        let map = serde_json::from_value(json!({ "metadata": { "name": "shared" }, "data": { "by": "hand" } }))?;
        story.objects::<ConfigMap>().create(&PostParams::default(), &map).await?;
        story.push(&Chart::new("greedy", "1.0.0").file("templates/shared.yaml", SHARED)).await?;
        story.open_repository().await?;
        story.release("late", "greedy", "1.0.0", json!({})).await?;
        let refused = story.failed("late", Reason::OwnershipConflict).await?;
        ensure!(status::message(&refused).contains("shared"), "message: {}", status::message(&refused));
        story.delete("late").await?;
        ensure!(story.objects::<ConfigMap>().get_opt("shared").await?.is_some(), "what was made by hand is gone");
        Ok(())
    })
}
