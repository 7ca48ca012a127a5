//! Upgrades that go on with the values of what is deployed, beside `helm upgrade --reuse-values` of the same chart.

use anyhow::{Context as _, Result, ensure};
use e2e::charts::Chart;
use e2e::story::{Story, story};
use k8s_openapi::api::core::v1::ConfigMap;
use serde_json::{Value, json};

/// Shows all of its values; `version` has other defaults than the one before it.
fn shows(version: &str, defaults: &str) -> Chart {
    let map = "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: {{ .Release.Name }}-values\ndata:\n  all: {{ .Values | toJson | quote }}\n";
    Chart::new("shows", version).file("values.yaml", defaults).file("templates/values.yaml", map)
}

async fn stage(story: &Story<'_>) -> Result<()> {
    story.push(&shows("1.0.0", "port: 80\nlog: {level: info, format: text}\nextra: old\n")).await?;
    story.push(&shows("1.1.0", "port: 81\nlog: {level: warn, format: json, color: true}\nfresh: true\n")).await?;
    story.open_repository().await
}

async fn shown(story: &Story<'_>, release: &str) -> Result<Value> {
    let map = story.objects::<ConfigMap>().get(&format!("{release}-values")).await?;
    let text = map.data.and_then(|mut data| data.remove("all")).context("its values")?;
    Ok(serde_json::from_str(&text)?)
}

async fn recorded(story: &Story<'_>, release: &str) -> Result<Value> {
    let arguments = ["get", "values", release, "--namespace", &story.namespace, "--output=json"];
    Ok(serde_json::from_str(&story.helm.run(&arguments).await?)?)
}

#[test]
fn values_that_were_given_before_stay_as_with_helm() -> Result<()> {
    story("reuse-values", async |story| {
        stage(story).await?;
        let url = format!("{}/shows", story.charts_url().await?);
        let common = ["--namespace", &story.namespace, "--plain-http"];
        let first = json!({ "log": { "level": "debug", "format": null }, "owner": "me" });
        let then = json!({ "log": { "color": false }, "owner": null, "port": 90 });
        for (verb, version, values, more) in
            [("install", "1.0.0", &first, None), ("upgrade", "1.1.0", &then, Some("--reuse-values"))]
        {
            let file = tempfile(values)?;
            let path = file.path().to_string_lossy().into_owned();
            let mut arguments = vec![verb, "theirs", url.as_str(), "--version", version, "--values", path.as_str()];
            arguments.extend(common);
            arguments.extend(more);
            story.helm.run(&arguments).await?;
        }

        story.release("ours", "shows", "1.0.0", json!({ "values": serde_json::to_string(&first)? })).await?;
        story.ready("ours").await?;
        let upgrade = json!({ "spec": {
            "chart": { "version": "1.1.0" }, "values": serde_json::to_string(&then)?, "upgrade": { "preserveValues": true },
        } });
        story.patch("ours", upgrade).await?;
        story.ready("ours").await?;
        ensure!(shown(story, "ours").await? == shown(story, "theirs").await?, "{}", shown(story, "ours").await?);
        let (ours, theirs) = (recorded(story, "ours").await?, recorded(story, "theirs").await?);
        ensure!(ours == theirs, "helm get values: {ours}, by helm itself {theirs}");

        // They are reset by the word that wins, and when none is declared.
        story.patch("ours", json!({ "spec": { "upgrade": { "reuseValues": true, "resetValues": true } } })).await?;
        story
            .eventually("the values are reset", async || {
                let values = recorded(story, "ours").await?;
                ensure!(values == then, "{values}");
                Ok(())
            })
            .await?;
        story.ready("ours").await.map(drop)
    })
}

#[test]
fn a_release_of_the_helm_cli_is_taken_over_without_its_values_being_known() -> Result<()> {
    story("reuse-adopts", async |story| {
        stage(story).await?;
        let url = format!("{}/shows", story.charts_url().await?);
        let arguments = [
            "install",
            "app",
            &url,
            "--version",
            "1.0.0",
            "--namespace",
            &story.namespace,
            "--plain-http",
            "--set",
            "owner=me",
        ];
        story.helm.run(&arguments).await?;
        story.release("app", "shows", "1.0.0", json!({ "upgrade": { "reuseValues": true } })).await?;
        story.ready("app").await?;
        ensure!(story.history("app").await? == "1 deployed", "a revision was made: {}", story.history("app").await?);
        story.patch("app", json!({ "spec": { "values": { "port": 91 } } })).await?;
        story.ready("app").await?;
        let values = shown(story, "app").await?;
        ensure!(values["owner"] == "me" && values["port"] == 91, "{values}");
        Ok(())
    })
}

fn tempfile(values: &Value) -> Result<tempfile::NamedTempFile> {
    let file = tempfile::NamedTempFile::with_suffix(".yaml")?;
    std::fs::write(file.path(), serde_json::to_vec(values)?)?;
    Ok(file)
}
