//! Values files in the chart, in place of its `values.yaml`.

use anyhow::{Context as _, Result, ensure};
use e2e::charts::Chart;
use e2e::story::{Story, story};
use helm_operator::api::Reason;
use k8s_openapi::api::core::v1::ConfigMap;
use serde_json::json;

const MAP: &str = "apiVersion: v1
kind: ConfigMap
metadata:
  name: {{ .Release.Name }}
data: {told: {{ .Values | toJson | quote }}}
";

async fn told(story: &Story<'_>) -> Result<String> {
    story.ready("app").await?;
    let data = story.objects::<ConfigMap>().get("app").await?.data.context("data")?;
    Ok(data["told"].clone())
}

#[test]
fn files_in_the_chart_take_the_place_of_its_values_and_the_releases_own_go_last() -> Result<()> {
    story("values-files", async |story| {
        let chart = Chart::new("app", "1.0.0")
            .file("values.yaml", "from: values\nbase: true\n")
            .file("values-prod.yaml", "from: prod\nnested: {a: 1, b: 1}\n")
            .file("more/eu.yaml", "nested: {b: 2}\n")
            .file("broken.yaml", "- a list\n")
            .file("templates/map.yaml", MAP);
        story.push(&chart).await?;
        story.open_repository().await?;
        let files = |files: &[&str]| json!({ "spec": { "chart": { "valuesFiles": files } } });
        story.release("app", "app", "1.0.0", json!({ "values": { "own": 1 } })).await?;
        ensure!(told(story).await? == r#"{"base":true,"from":"values","own":1}"#, "{}", told(story).await?);

        story.patch("app", files(&["values-prod.yaml", "./more/eu.yaml"])).await?;
        let expected = r#"{"from":"prod","nested":{"a":1,"b":2},"own":1}"#;
        ensure!(told(story).await? == expected, "{}", told(story).await?);
        story.patch("app", files(&["values.yaml", "more/eu.yaml"])).await?;
        let expected = r#"{"base":true,"from":"values","nested":{"b":2},"own":1}"#;
        ensure!(told(story).await? == expected, "{}", told(story).await?);

        story.patch("app", files(&["values-dev.yaml"])).await?;
        story.refused("app", Reason::ValuesNotFound, &["values-dev.yaml", "ignoreMissingValuesFiles"]).await?;
        story.patch("app", files(&["broken.yaml"])).await?;
        story.refused("app", Reason::ValuesInvalid, &["broken.yaml", "not a YAML map"]).await?;
        story.patch("app", files(&["values-dev.yaml", "more/eu.yaml"])).await?;
        let ignore = json!({ "spec": { "chart": { "ignoreMissingValuesFiles": true } } });
        story.patch("app", ignore).await?;
        ensure!(told(story).await? == r#"{"nested":{"b":2},"own":1}"#, "{}", told(story).await?);
        Ok(())
    })
}
