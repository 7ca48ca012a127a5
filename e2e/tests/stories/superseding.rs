//! An edit during an upgrade that waits ends the wait, and nothing else: what the upgrade created stays, and its revision
//! was superseded, it did not fail.

use anyhow::{Context as _, Result, ensure};
use e2e::charts::{self, Chart};
use e2e::eventually;
use e2e::kwok::{PLAY, play};
use e2e::model::{End, What};
use e2e::recorder::Recorder;
use e2e::story::{SOON, Story, story};
use helm::release::Status;
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::PersistentVolumeClaim;
use kube::ResourceExt as _;
use serde_json::{Value, json};

/// Version 1.1.0 adds a claim, and a Deployment that becomes ready when `values.play` lets it.
fn growing(version: &str) -> Chart {
    let added = format!(
        "{{{{- if eq .Chart.Version \"1.1.0\" }}}}
apiVersion: v1
kind: PersistentVolumeClaim
metadata:
  name: {{{{ .Release.Name }}}}-data
spec:
  accessModes: [ReadWriteOnce]
  resources: {{ requests: {{ storage: 1Gi }} }}
---
apiVersion: apps/v1
kind: Deployment
metadata:
  name: {{{{ .Release.Name }}}}-new
spec:
  selector:
    matchLabels: {{ app: {{{{ .Release.Name }}}} }}
  template:
    metadata:
      labels: {{ app: {{{{ .Release.Name }}}} }}
      annotations: {{ {PLAY}: {} }}
    spec:
      containers:
      - name: web
        image: registry.example.com/web:1
{{{{- end }}}}
",
        play::NEVER_READY
    );
    charts::note("growing", version).file("templates/added.yaml", added)
}

#[test]
fn a_raised_timeout_deletes_nothing_that_the_upgrade_created() -> Result<()> {
    superseded("raised-timeout", json!({ "spec": { "timeout": "20m" } }))
}

#[test]
fn another_interval_deletes_nothing_that_the_upgrade_created() -> Result<()> {
    superseded("other-interval", json!({ "spec": { "interval": "20m" } }))
}

#[test]
fn suspending_deletes_nothing_that_the_upgrade_created() -> Result<()> {
    superseded("suspended-upgrade", json!({ "spec": { "suspend": true } }))
}

#[test]
fn another_value_deletes_nothing_that_both_have() -> Result<()> {
    superseded("other-value", json!({ "spec": { "values": { "greeting": "good morning" } } }))
}

fn superseded(name: &str, edit: Value) -> Result<()> {
    story(name, async |story| {
        for version in ["1.0.0", "1.1.0"] {
            story.push(&growing(version)).await?;
        }
        story.open_repository().await?;
        let recorder = Recorder::start(story.client.clone()).await?;
        story.release("app", "growing", "1.0.0", json!({})).await?;
        story.ready("app").await?;
        // What is asked for expressly is for failures.
        story.release("app", "growing", "1.1.0", json!({ "upgrade": { "cleanupOnFail": true } })).await?;
        eventually::object(&story.objects::<Deployment>(), "app-new", SOON, |_| Ok(())).await?;
        eventually::object(&story.objects::<PersistentVolumeClaim>(), "app-data", SOON, |_| Ok(())).await?;
        let before = uids(story).await?;

        let edited = story.patch("app", edit).await?;
        eventually::object(&story.releases(), "app", SOON, |release| {
            let observed = release.status.as_ref().and_then(|status| status.observed_generation);
            ensure!(observed == edited.metadata.generation, "generation {observed:?} is observed");
            Ok(())
        })
        .await?;
        // Nothing tells of a deletion that does not come. The operator acts at once: five seconds are many times that.
        eventually::measure(std::time::Duration::from_secs(5)).await;
        ensure!(uids(story).await? == before, "what the upgrade created was deleted, or made anew");
        let verdict = recorder.verdict(End::Open).await?;
        let failed = verdict.events.iter().find(|event| {
            let failed = matches!(&event.what, What::Written(written) if written.status == Status::Failed);
            failed && event.release.namespace == story.namespace
        });
        ensure!(failed.is_none(), "a revision failed that was superseded: {failed:?}");
        ensure!(
            verdict.of(&story.namespace).next().is_none(),
            "{:?}",
            verdict.of(&story.namespace).collect::<Vec<_>>()
        );
        Ok(())
    })
}

/// The uids of the claim and of the Deployment; none for what is gone or going.
async fn uids(story: &Story<'_>) -> Result<[Option<String>; 2]> {
    fn stays(object: Option<impl kube::Resource>) -> Option<String> {
        object.filter(|object| object.meta().deletion_timestamp.is_none()).and_then(|object| object.uid())
    }
    let deployment = story.objects::<Deployment>().get_opt("app-new").await?;
    let claim = story.objects::<PersistentVolumeClaim>().get_opt("app-data").await?;
    let uids = [stays(deployment), stays(claim)];
    uids[0].as_ref().context("the Deployment is gone")?;
    Ok(uids)
}
