//! Values that cannot be read, or that the chart does not take: the place of the mistake is in the message.

use anyhow::{Result, ensure};
use e2e::charts::{self, Chart};
use e2e::status;
use e2e::story::story;
use helm_operator::api::Reason;
use serde_json::json;

const SCHEMA: &str = r#"{
  "$schema": "http://json-schema.org/draft-07/schema#",
  "type": "object",
  "properties": { "replicas": { "type": "integer" } }
}"#;

#[test]
fn values_that_are_no_map_of_yaml_are_refused_with_their_line() -> Result<()> {
    story("values", async |story| {
        story.push(&charts::note("memo", "1.0.0")).await?;
        story.open_repository().await?;
        let cases = [
            ("broken", "greeting: hello\nother: [1, 2\n", &["line"][..]),
            ("tabs", "a:\n\tb: 1\n", &["line 2"]),
            ("a-list", "- 1\n- 2\n", &[]),
            ("a-text", "just a text\n", &[]),
        ];
        for (name, values, _) in &cases {
            story.release(name, "memo", "1.0.0", json!({ "values": values })).await?;
        }
        for (name, _, words) in &cases {
            let refused = story.refused(name, Reason::ValuesInvalid, words).await?;
            status::stalled(&refused, Reason::ValuesInvalid)?;
        }
        // What is corrected goes on.
        story.patch("broken", json!({ "spec": { "values": "greeting: hello\n" } })).await?;
        story.ready("broken").await?;
        Ok(())
    })
}

#[test]
fn values_that_break_the_schema_are_refused_with_their_path_and_without_themselves() -> Result<()> {
    story("schema", async |story| {
        let chart =
            Chart::new("strict", "1.0.0").file("values.schema.json", SCHEMA).file("values.yaml", "replicas: 1\n");
        story.push(&chart.file("templates/empty.yaml", "")).await?;
        story.open_repository().await?;
        story.release("strict", "strict", "1.0.0", json!({ "values": { "replicas": "hunter2-as-text" } })).await?;
        let refused = story.refused("strict", Reason::SchemaViolation, &["replicas"]).await?;
        status::stalled(&refused, Reason::SchemaViolation)?;
        let told = serde_json::to_string(&refused.status)?;
        ensure!(!told.contains("hunter2"), "the status holds a value: {told}");
        Ok(())
    })
}
