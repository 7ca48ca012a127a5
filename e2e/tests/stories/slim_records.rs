//! Records that hold no more than Helm needs: of revisions that were replaced, and of charts that are too large for one.

use anyhow::{Context as _, Result, ensure};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use e2e::charts::{self, Chart};
use e2e::helm::Helm;
use e2e::process::Scratch;
use e2e::status;
use e2e::story::{Story, story};
use helm::release::Release;
use helm_operator::api::{REQUESTED_AT, Reason};
use helm_operator::history::{History, ReleaseKey};
use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use kube::api::ListParams;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

/// A chart with all that a record can do without.
fn documented(version: &str) -> Chart {
    charts::note("documented", version)
        .file("README.md", "# What it is\n")
        .file("values.schema.json", r#"{"type": "object"}"#)
}

/// Text of about so many bytes that does not become smaller in a record.
fn noise(name: &str, bytes: usize) -> String {
    let blocks = 0..bytes / 43;
    blocks.map(|at| STANDARD_NO_PAD.encode(Sha256::digest(format!("{name}{at}")))).collect()
}

async fn record(story: &Story<'_>, revision: u32) -> Result<Release> {
    let history = History::new(story.client.clone());
    let record = history.get(&ReleaseKey::new(&story.namespace, "app"), revision).await?;
    Ok(record.with_context(|| format!("there is no revision {revision}"))?.release)
}

/// The parts of a recorded chart that Helm can do without: files, schema, templates.
fn spare(release: &Release) -> [bool; 3] {
    [!release.chart.files.is_empty(), release.chart.schema.is_some(), !release.chart.templates.is_empty()]
}

#[test]
fn helm_4_goes_on_with_a_revision_that_was_superseded() -> Result<()> {
    story("slim-helm-4", async |story| goes_on(story, &Helm::new(Some(story.stage.plane.kubeconfig())).await?).await)
}

#[test]
fn helm_3_goes_on_with_a_revision_that_was_superseded() -> Result<()> {
    story("slim-helm-3", async |story| goes_on(story, &Helm::v3(Some(story.stage.plane.kubeconfig())).await?).await)
}

/// A person does with `helm` whatever it offers, and then leaves the release to the operator again.
async fn goes_on(story: &Story<'_>, helm: &Helm) -> Result<()> {
    let namespace = story.namespace.as_str();
    for version in ["1.0.0", "2.0.0"] {
        story.push(&documented(version)).await?;
    }
    story.open_repository().await?;
    story
        .release("app", "documented", "1.0.0", json!({ "onForeignChange": "Hold", "values": { "own": "one" } }))
        .await?;
    story.ready("app").await?;
    ensure!(spare(&record(story, 1).await?) == [true; 3], "what is deployed is recorded whole");
    story.patch("app", json!({ "spec": { "chart": { "version": "2.0.0" }, "values": { "greeting": "two" } } })).await?;
    story.ready("app").await?;
    ensure!(spare(&record(story, 1).await?) == [false; 3] && spare(&record(story, 2).await?) == [true; 3]);

    let run = async |command: &str| {
        let words: Vec<&str> = command.split(' ').chain(["--namespace", namespace]).collect();
        helm.run(&words).await
    };
    let all = run("get all app --revision 1").await?;
    for part in ["greeting: hello", "own: one", "version: \"1.0.0\"", "app-config"] {
        ensure!(all.contains(part), "{part:?} is missing in:\n{all}");
    }
    let values: Value = serde_json::from_str(&run("get values app --revision 1 --all --output json").await?)?;
    ensure!(values == json!({ "greeting": "hello", "own": "one" }), "{values}");
    let charts: Vec<String> = helm.history(namespace, "app").await?.into_iter().map(|it| it.chart).collect();
    ensure!(charts == ["documented-1.0.0", "documented-2.0.0"], "{charts:?}");

    helm.rollback(namespace, "app", 1).await?;
    story.refused("app", Reason::ReleaseHeld, &["revision 3"]).await?;
    let data = async || {
        let map = story.objects::<ConfigMap>().get("app-config").await?;
        map.data.context("data")
    };
    ensure!(data().await?["greeting"] == "hello" && data().await?["version"] == "1.0.0");
    let scratch = Scratch::new("slim")?;
    let folder = documented("2.0.0").write(scratch.path())?;
    let folder = folder.to_str().context("UTF-8")?;
    run(&format!("upgrade app {folder} --reuse-values --set more=1")).await?;
    let values: Value = serde_json::from_str(&run("get values app --all --output json").await?)?;
    ensure!(values == json!({ "greeting": "hello", "own": "one", "more": 1 }), "{values}");
    ensure!(helm.list(namespace).await?[0].revision == "4");

    story.patch("app", json!({ "metadata": { "annotations": { REQUESTED_AT: "now" } } })).await?;
    story.ready("app").await?;
    ensure!(data().await?["greeting"] == "two", "the operator did not go on");
    story.patch("app", json!({ "spec": { "suspend": true } })).await?;
    story
        .eventually("it is left alone", async || {
            let release = story.releases().get("app").await?;
            ensure!(status::message(&release).contains("suspended"), "{}", status::message(&release));
            Ok(())
        })
        .await?;
    run("uninstall app").await?;
    let map = story.objects::<ConfigMap>().get_opt("app-config").await?;
    ensure!(map.is_none(), "helm uninstall left it");
    Ok(())
}

#[test]
fn a_chart_that_is_too_large_for_a_record_is_installed_and_recorded_without_its_files() -> Result<()> {
    story("slim-large", async |story| {
        let large = |version: &str| documented(version).file("docs/book.txt", noise("book", 1_600_000));
        for version in ["1.0.0", "2.0.0"] {
            story.push(&large(version)).await?;
        }
        story.open_repository().await?;
        story.release("app", "documented", "1.0.0", json!({ "values": { "own": "one" } })).await?;
        story.ready("app").await?;
        ensure!(spare(&record(story, 1).await?) == [false, true, true], "only the files are left out");
        story.patch("app", json!({ "spec": { "chart": { "version": "2.0.0" } } })).await?;
        story.ready("app").await?;
        ensure!(story.helm.manifest(&story.namespace, "app").await?.contains("2.0.0"));
        story.helm.rollback(&story.namespace, "app", 1).await?;
        ensure!(story.history("app").await? == "1 superseded, 2 superseded, 3 deployed");
        let metrics = story.stage.operator().await.metrics().await?;
        let (all, largest) = (metrics["helm_operator_history_bytes"], metrics["helm_operator_largest_history_bytes"]);
        ensure!(all >= largest && largest > 1000.0, "{all} {largest}");
        Ok(())
    })
}

#[test]
fn what_does_not_fit_at_all_is_refused_before_anything_is_written() -> Result<()> {
    story("slim-refused", async |story| {
        let maps: Vec<String> = ["a", "b"]
            .map(|name| {
                format!(
                    "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: {{{{ .Release.Name }}}}-{name}\ndata:\n  \
                     book: {{{{ .Files.Get \"books/{name}.txt\" | quote }}}}\n"
                )
            })
            .into();
        let chart = Chart::new("library", "1.0.0")
            .file("templates/maps.yaml", maps.join("---\n"))
            .file("books/a.txt", noise("a", 700_000))
            .file("books/b.txt", noise("b", 700_000));
        story.push(&chart).await?;
        story.open_repository().await?;
        story.release("app", "library", "1.0.0", json!({})).await?;
        let words = ["sh.helm.release.v1.app.v1", "1032192", "manifest ", "hooks ", "Make several releases of it"];
        story.refused("app", Reason::ReleaseTooLarge, &words).await?;
        ensure!(story.objects::<ConfigMap>().get_opt("app-a").await?.is_none(), "it was applied");
        let records = story.objects::<Secret>().list_metadata(&ListParams::default().labels("owner=helm")).await?;
        ensure!(records.items.is_empty(), "a revision was recorded");
        Ok(())
    })
}
