//! Revisions without end: something undoes them, or keeps changing what they depend on. They end after 60 within an hour, and the
//! condition says what keeps changing.

use anyhow::{Context as _, Result, ensure};
use e2e::charts;
use e2e::story::{Story, story};
use helm_operator::api::{HelmRelease, REQUESTED_AT, Reason};
use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use kube::ResourceExt as _;
use kube::api::{Patch, PatchParams, PostParams};
use serde_json::json;

/// How often something is changed: more than the bound.
const OFTEN: u32 = 70;

async fn is_stopped(story: &Story<'_>) -> Result<bool> {
    let release = story.releases().get("app").await?;
    let told = |release: &HelmRelease| {
        let status = release.status.as_ref()?;
        Some(status.conditions.iter().any(|it| it.reason == Reason::TooManyRevisions.to_string()))
    };
    Ok(told(&release).unwrap_or_default())
}

#[test]
fn values_that_keep_changing_are_named() -> Result<()> {
    story("rate-values", async |story| {
        story.push(&charts::note("noted", "1.0.0")).await?;
        story.open_repository().await?;
        for (kind, name, word) in [("Secret", "restless", "stringData"), ("ConfigMap", "calm", "data")] {
            let object = json!({ "apiVersion": "v1", "kind": kind, "metadata": { "name": name }, word: { "values.yaml": "x: 0" } });
            story.apply(&object.to_string()).await?;
        }
        let from = json!([{ "kind": "Secret", "name": "restless" }, { "kind": "ConfigMap", "name": "calm" }]);
        story.release("app", "noted", "1.0.0", json!({ "valuesFrom": from })).await?;
        story.ready("app").await?;
        let maps = story.objects::<ConfigMap>();
        for round in 1..OFTEN {
            if is_stopped(story).await? {
                break;
            }
            let before = maps.get("app-config").await?.resource_version();
            let values = json!({ "stringData": { "values.yaml": format!("greeting: \"{round}\"") } });
            story.objects::<Secret>().patch("restless", &PatchParams::default(), &Patch::Merge(values)).await?;
            story
                .eventually("the change arrives, or is held up", async || {
                    ensure!(maps.get("app-config").await?.resource_version() != before || is_stopped(story).await?);
                    Ok(())
                })
                .await?;
        }
        let words = ["60 revisions were made", "59 since the key \"values.yaml\" of Secret restless changed"];
        story.refused("app", Reason::TooManyRevisions, &words).await?;
        story.patch("app", json!({ "metadata": { "annotations": { REQUESTED_AT: "now" } } })).await?;
        story.ready("app").await.map(drop)
    })
}

/// A second writer, such as another operator that uses Helm, puts its own revision in the place of each of ours: Helm takes our
/// annotations away from what it replaces.
#[test]
fn somebody_elses_revisions_are_named() -> Result<()> {
    story("rate-others", async |story| {
        story.push(&charts::note("noted", "1.0.0")).await?;
        story.open_repository().await?;
        story.release("app", "noted", "1.0.0", json!({})).await?;
        story.ready("app").await?;
        let mut ours = 1;
        for _ in 1..OFTEN {
            if is_stopped(story).await? {
                break;
            }
            replace(story, ours).await?;
            ours += 2;
            story
                .eventually("it is undone, or left", async || {
                    let newest = story.objects::<Secret>().get_opt(&record(ours)).await?;
                    let is_deployed =
                        newest.is_some_and(|newest| newest.labels().get("status").is_some_and(|it| it == "deployed"));
                    ensure!(is_deployed || is_stopped(story).await?);
                    Ok(())
                })
                .await?;
        }
        let words = ["60 revisions were made", "since somebody else made a revision"];
        story.refused("app", Reason::TooManyRevisions, &words).await.map(drop)
    })
}

fn record(revision: u32) -> String {
    format!("sh.helm.release.v1.app.v{revision}")
}

/// What Helm's library does: the next revision is recorded as deployed, and ours as superseded, without our annotations.
async fn replace(story: &Story<'_>, ours: u32) -> Result<()> {
    let secrets = story.objects::<Secret>();
    let theirs = secrets.get(&record(ours)).await?;
    let data = theirs.data.as_ref().and_then(|data| data.get("release")).context("a record")?;
    let mut release = helm::release::codec::decode(&data.0)?;
    let written = |release: &helm::release::Release| -> Result<Secret> {
        let release = helm::release::codec::encode(release)?;
        let mut secret = theirs.clone();
        secret.data = Some([("release".to_owned(), k8s_openapi::ByteString(release))].into());
        secret.metadata.annotations = None;
        secret.metadata.managed_fields = None;
        Ok(secret)
    };
    release.info.status = helm::release::Status::Superseded;
    let mut superseded = written(&release)?;
    superseded.labels_mut().insert("status".to_owned(), "superseded".to_owned());
    release.info.status = helm::release::Status::Deployed;
    release.version = ours + 1;
    release.config.insert("theirs".to_owned(), json!(true));
    let mut next = written(&release)?;
    next.metadata.resource_version = None;
    next.metadata.uid = None;
    next.metadata.name = Some(record(ours + 1));
    next.labels_mut().insert("version".to_owned(), (ours + 1).to_string());
    secrets.create(&PostParams::default(), &next).await?;
    secrets.replace(&record(ours), &PostParams::default(), &superseded).await?;
    Ok(())
}
