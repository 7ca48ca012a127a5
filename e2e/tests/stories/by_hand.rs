//! What people do to a declared release with Helm, or to its records: the operator goes on from what is there.

use anyhow::{Context as _, Result, ensure};
use e2e::charts;
use e2e::eventually;
use e2e::kwok::{PLAY, play};
use e2e::story::{SOON, Story, story};
use helm_operator::api::{REQUESTED_AT, Reason};
use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::ResourceExt as _;
use kube::api::{DeleteParams, ListParams, PostParams};
use serde_json::{Value, json};

async fn deployed(story: &Story<'_>, names: &[&str], spec: &Value) -> Result<()> {
    story.push(&charts::note("memo", "1.0.0")).await?;
    story.open_repository().await?;
    for name in names {
        story.release(name, "memo", "1.0.0", spec.clone()).await?;
        story.ready(name).await?;
    }
    Ok(())
}

/// The uid of the one object of a release: another one says that it was made anew.
async fn uid(story: &Story<'_>, release: &str) -> Result<String> {
    story.objects::<ConfigMap>().get(&format!("{release}-config")).await?.uid().context("a uid")
}

async fn history_is(story: &Story<'_>, release: &str, expected: &str) -> Result<()> {
    story
        .eventually(&format!("the history is {expected}"), async || {
            let history = story.history(release).await?;
            ensure!(history == expected, "it is {history}");
            Ok(())
        })
        .await
}

async fn delete_record(story: &Story<'_>, revision: u32) -> Result<()> {
    let name = format!("sh.helm.release.v1.memo.v{revision}");
    story.objects::<Secret>().delete(&name, &DeleteParams::default()).await?;
    Ok(())
}

#[test]
fn what_was_never_taken_over_stays_when_the_object_that_declares_it_goes() -> Result<()> {
    story("never-taken", async |story| {
        story.push(&charts::note("memo", "1.0.0")).await?;
        story.open_repository().await?;
        let url = format!("{}/memo", story.charts_url().await?);
        let waits = json!({ "dependsOn": [{ "name": "missing" }] });
        let manual = json!({ "plan": { "mode": "Manual" }, "values": { "greeting": "hey" } });
        let refused = json!({ "chart": { "name": "memo", "version": "9.9.9", "repository": { "name": "charts" } } });
        let wrong = json!({ "valuesFrom": [{ "kind": "Secret", "name": "missing" }] });
        for (name, spec, reason) in [
            ("waits", waits, Reason::DependencyNotReady),
            ("planned", manual, Reason::ApprovalNeeded),
            ("refused", refused, Reason::TagNotFound),
            ("wrong", wrong, Reason::ValuesNotFound),
        ] {
            story.helm.run(&["install", name, &url, "--plain-http", "-n", &story.namespace]).await?;
            story.release(name, "memo", "1.0.0", spec).await?;
            story.refused(name, reason, &[]).await?;
            story.delete(name).await?;
            let history = story.history(name).await?;
            ensure!(history == "1 deployed", "{name}: {history}");
        }
        Ok(())
    })
}

#[test]
fn what_somebody_uninstalls_is_installed_again() -> Result<()> {
    story("uninstalled-by-hand", async |story| {
        deployed(story, &["memo"], &json!({})).await?;
        for (keep, history) in [("--keep-history=false", "1 deployed"), ("--keep-history", "1 uninstalled, 2 deployed")]
        {
            let before = uid(story, "memo").await?;
            story.helm.run(&["uninstall", "memo", keep, "--namespace", &story.namespace]).await?;
            eventually::object(&story.objects::<ConfigMap>(), "memo-config", SOON, |map| {
                ensure!(map.uid().as_ref() != Some(&before), "it is the old one");
                Ok(())
            })
            .await?;
            history_is(story, "memo", history).await?;
            story.ready("memo").await?;
        }
        Ok(())
    })
}

#[test]
fn what_was_done_by_hand_before_its_object_goes_is_neither_missed_nor_undone() -> Result<()> {
    story("by-hand-then-deleted", async |story| {
        let spec = json!({ "uninstall": { "deletionPolicy": "Uninstall" } });
        deployed(story, &["upgraded", "uninstalled"], &spec).await?;
        for name in ["upgraded", "uninstalled"] {
            story.patch(name, json!({ "spec": { "suspend": true } })).await?;
        }
        let url = format!("{}/memo", story.charts_url().await?);
        let within = ["--namespace", &story.namespace];
        let upgrade = ["upgrade", "upgraded", &url, "--plain-http", "--set", "greeting=by hand"];
        story.helm.run(&[&upgrade[..], &within].concat()).await?;
        story.helm.run(&[&["uninstall", "uninstalled", "--keep-history"][..], &within].concat()).await?;

        // A revision that it did not make is uninstalled with the release.
        story.delete("upgraded").await?;
        let left = story.objects::<ConfigMap>().get_opt("upgraded-config").await?;
        ensure!(left.is_none() && story.history("upgraded").await.is_err(), "the revision made by hand is left");
        // What a person kept is kept.
        story.delete("uninstalled").await?;
        history_is(story, "uninstalled", "1 uninstalled").await
    })
}

#[test]
fn a_release_goes_on_with_its_objects_though_records_of_it_were_deleted() -> Result<()> {
    story("records-deleted", async |story| {
        deployed(story, &["memo"], &json!({})).await?;
        let object = uid(story, "memo").await?;
        story.patch("memo", json!({ "spec": { "values": { "greeting": "again" } } })).await?;
        story.ready("memo").await?;
        // The deployed one.
        delete_record(story, 2).await?;
        history_is(story, "memo", "1 superseded, 2 deployed").await?;
        // An old one is no loss.
        delete_record(story, 1).await?;
        let asked = json!({ "metadata": { "annotations": { REQUESTED_AT: "after the first" } } });
        story.patch("memo", asked).await?;
        eventually::object(&story.releases(), "memo", SOON, |release| {
            let handled = release.status.as_ref().and_then(|status| status.last_handled_reconcile_at.as_deref());
            ensure!(handled == Some("after the first"), "handled {handled:?}");
            Ok(())
        })
        .await?;
        history_is(story, "memo", "2 deployed").await?;
        // All of them.
        delete_record(story, 2).await?;
        history_is(story, "memo", "1 deployed").await?;
        story.ready("memo").await?;
        ensure!(uid(story, "memo").await? == object, "the object was made anew");
        let data = story.objects::<ConfigMap>().get("memo-config").await?.data.context("data")?;
        ensure!(data["greeting"] == "again", "{data:?}");
        Ok(())
    })
}

#[test]
fn a_helm_that_is_at_work_is_waited_for_and_its_failure_mended() -> Result<()> {
    story("helm-at-work", async |story| {
        story.push(&charts::web("web", "1.0.0")).await?;
        story.open_repository().await?;
        let url = format!("{}/web", story.charts_url().await?);
        let within = ["--plain-http", "--namespace", &story.namespace];
        story.helm.run(&[&["install", "web", &url][..], &within].concat()).await?;
        let stuck = format!("podAnnotations={}", json!({ PLAY: play::NEVER_READY }));
        let upgrade = ["upgrade", "web", &url, "--set-json", &stuck, "--wait", "--timeout=20s"];
        let upgrade = [&upgrade[..], &within].concat();
        let declared = async {
            let record = "sh.helm.release.v1.web.v2";
            eventually::object(&story.objects::<Secret>(), record, SOON, |_| Ok(())).await?;
            story.release("web", "web", "1.0.0", json!({})).await?;
            story.refused("web", Reason::PendingRelease, &["revision 2 is pending", "helm rollback"]).await?;
            ensure!(story.history("web").await? == "1 deployed, 2 pending-upgrade", "{}", story.history("web").await?);
            anyhow::Ok(())
        };
        let (upgraded, declared) = tokio::join!(story.helm.run(&upgrade), declared);
        declared?;
        ensure!(upgraded.is_err(), "Helm's upgrade did not fail: the story is void");
        history_is(story, "web", "1 superseded, 2 failed, 3 deployed").await?;
        story.ready("web").await.map(drop)
    })
}

/// A backup beside the record has its labels, and another name.
#[test]
fn a_copy_of_a_record_is_no_record() -> Result<()> {
    story("copied-record", async |story| {
        deployed(story, &["memo"], &json!({ "upgrade": { "timeout": "1m" } })).await?;
        let secrets = story.objects::<Secret>();
        let mut copy = secrets.get("sh.helm.release.v1.memo.v1").await?;
        copy.metadata = ObjectMeta {
            name: Some("sh.helm.release.v1.memo.v1-bak".to_owned()),
            labels: copy.metadata.labels,
            annotations: copy.metadata.annotations,
            ..ObjectMeta::default()
        };
        secrets.create(&PostParams::default(), &copy).await?;
        // What needs the record meets it: a demand, and an object that is missing.
        story.objects::<ConfigMap>().delete("memo-config", &DeleteParams::default()).await?;
        eventually::object(&story.objects::<ConfigMap>(), "memo-config", SOON, |_| Ok(())).await?;
        secrets.delete("sh.helm.release.v1.memo.v1-bak", &DeleteParams::default()).await?;
        story.patch("memo", json!({ "spec": { "values": { "greeting": "again" } } })).await?;
        story.ready("memo").await?;
        ensure!(story.history("memo").await? == "1 superseded, 2 deployed", "{}", story.history("memo").await?);
        story.delete("memo").await?;
        let left = secrets.list(&ListParams::default().labels("owner=helm")).await?.items;
        ensure!(left.is_empty(), "{} records are left", left.len());
        Ok(())
    })
}
