//! Records that say whose they are: what is done by them, what is left and told of, and what they give to nobody else.

use anyhow::{Context as _, Result, ensure};
use e2e::story::{SOON, Story, alone, story};
use e2e::{eventually, status};
use helm_operator::api::{HelmRelease, REQUESTED_AT, Reason};
use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use k8s_openapi::api::events::v1::Event;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use k8s_openapi::jiff::Timestamp;
use kube::api::{DeleteParams, ListParams, Patch, PatchParams, PostParams};
use kube::{Api, ResourceExt as _};
use serde_json::{Value, json};

use crate::storage_namespace::{end, prepare, records};

fn secrets(story: &Story<'_>, namespace: &str) -> Api<Secret> {
    Api::namespaced(story.client.clone(), namespace)
}

async fn stands(story: &Story<'_>) -> Result<bool> {
    Ok(story.objects::<ConfigMap>().get_opt("memo-config").await?.is_some())
}

/// Writes the first record of `memo` in `from` into another namespace, with these marks changed.
async fn plant(story: &Story<'_>, (from, to): (&str, &str), marks: &[(&str, Option<&str>)]) -> Result<()> {
    let mut planted = secrets(story, from).get("sh.helm.release.v1.memo.v1").await?;
    let mut annotations = planted.metadata.annotations.unwrap_or_default();
    for (mark, value) in marks {
        let mark = format!("helm-operator.ketches.cn/{mark}");
        annotations.remove(&mark);
        annotations.extend(value.map(|value| (mark, value.to_owned())));
    }
    let (name, labels) = (planted.metadata.name, planted.metadata.labels);
    planted.metadata = ObjectMeta { name, labels, annotations: Some(annotations), ..ObjectMeta::default() };
    secrets(story, to).create(&PostParams::default(), &planted).await?;
    Ok(())
}

/// A release of another namespace, which came first; it is suspended.
async fn stranger(story: &Story<'_>, other: &str, spec: Value) -> Result<HelmRelease> {
    let mut manifest = json!({
        "apiVersion": "helm-operator.ketches.cn/v1alpha1",
        "kind": "HelmRelease",
        "metadata": { "name": "stranger" },
        "spec": { "suspend": true, "chart": { "name": "memo", "version": "1.0.0", "repository": { "name": "charts" } } },
    });
    for (key, value) in spec.as_object().context("a spec")? {
        manifest["spec"][key] = value.clone();
    }
    story.kubectl.apply(other, &manifest.to_string()).await?;
    let made = Api::<HelmRelease>::namespaced(story.client.clone(), other).get("stranger").await?;
    // The API server tells times of creation by whole seconds.
    let created = made.creation_timestamp().context("it was created")?.0;
    story
        .eventually("the next second has begun", async || {
            ensure!(Timestamp::now().as_second() > created.as_second());
            Ok(())
        })
        .await?;
    Ok(made)
}

/// Asks for a look, and waits until it was taken.
async fn look(story: &Story<'_>, word: &str) -> Result<()> {
    story.patch("memo", json!({ "metadata": { "annotations": { REQUESTED_AT: word } } })).await?;
    eventually::object(&story.releases(), "memo", SOON, |release| {
        let handled = release.status.as_ref().and_then(|status| status.last_handled_reconcile_at.as_deref());
        ensure!(handled == Some(word), "not looked at yet");
        Ok(())
    })
    .await
    .map(drop)
}

#[test]
fn a_release_whose_marks_helm_dropped_is_uninstalled_wherever_its_records_are() -> Result<()> {
    story("storage-marks-lost", async |story| {
        let other = prepare(story).await?;
        let spec = json!({ "storageNamespace": other, "uninstall": { "deletionPolicy": "Uninstall" } });
        story.release("memo", "memo", "1.0.0", spec).await?;
        story.ready("memo").await?;
        // Until the next whole look, which one that is suspended does not get, nobody marks it again.
        story.patch("memo", json!({ "spec": { "suspend": true } })).await?;
        let unmarked = Patch::Merge(json!({ "metadata": { "annotations": null } }));
        let name = "sh.helm.release.v1.memo.v1";
        secrets(story, &other).patch(name, &PatchParams::default(), &unmarked).await?;
        story.delete("memo").await?;
        ensure!(!stands(story).await? && records(story, &other).await? == 0, "it was not uninstalled");
        end(story, &other).await
    })
}

#[test]
fn a_history_that_was_kept_keeps_no_later_release_from_being_uninstalled() -> Result<()> {
    story("storage-kept-history", async |story| {
        let other = prepare(story).await?;
        story.release("memo", "memo", "1.0.0", json!({ "uninstall": { "keepHistory": true } })).await?;
        story.ready("memo").await?;
        story.delete("memo").await?;
        ensure!(story.history("memo").await? == "1 uninstalled", "{}", story.history("memo").await?);
        story.release("memo", "memo", "1.0.0", json!({ "storageNamespace": other })).await?;
        story.ready("memo").await?;
        story.delete("memo").await?;
        ensure!(!stands(story).await? && records(story, &other).await? == 0, "it was not uninstalled");
        end(story, &other).await
    })
}

#[test]
fn a_release_that_somebody_rolled_back_is_still_known_to_be_in_its_namespace() -> Result<()> {
    story("storage-rolled-back", async |story| {
        let other = prepare(story).await?;
        story.release("memo", "memo", "1.0.0", json!({ "storageNamespace": other })).await?;
        story.ready("memo").await?;
        story.patch("memo", json!({ "spec": { "chart": { "version": "1.1.0" } } })).await?;
        story.ready("memo").await?;
        // What Helm writes has no marks: the first revision has them still.
        story.patch("memo", json!({ "spec": { "suspend": true } })).await?;
        story.helm.run(&["rollback", "memo", "1", "--namespace", &other]).await?;
        let elsewhere = json!({ "suspend": false, "release": { "namespace": other } });
        story.patch("memo", json!({ "spec": elsewhere })).await?;
        story.refused("memo", Reason::ConfigurationError, &["another spec.storageNamespace"]).await?;
        ensure!(stands(story).await?, "it was touched");
        let back = json!({ "release": { "namespace": null }, "onForeignChange": "Revert" });
        story.patch("memo", json!({ "spec": back })).await?;
        story.ready("memo").await?;
        story.delete("memo").await?;
        ensure!(!stands(story).await? && records(story, &other).await? == 0, "it was not uninstalled");
        end(story, &other).await
    })
}

#[test]
fn what_is_left_since_another_history_has_it_is_told() -> Result<()> {
    story("storage-two-histories", async |story| {
        let other = prepare(story).await?;
        story.release("memo", "memo", "1.0.0", json!({ "storageNamespace": other })).await?;
        story.ready("memo").await?;
        // As somebody's Helm writes it, who knows of no other namespace.
        let none = ["owner", "uid", "generation", "inputs"].map(|mark| (mark, None));
        plant(story, (&other, &story.namespace), &none).await?;
        story.delete("memo").await?;
        ensure!(stands(story).await?, "what another history has is gone");
        story.event("memo", Reason::UninstallSkipped, "has a history in its own namespace").await?;
        end(story, &other).await
    })
}

#[test]
fn one_of_another_namespace_takes_no_name_away() -> Result<()> {
    story("storage-names", async |story| {
        let other = prepare(story).await?;
        let here = json!({ "release": { "name": "memo", "namespace": story.namespace }, "storageNamespace": other });
        let stranger = stranger(story, &other, here).await?;
        story.release("memo", "memo", "1.0.0", json!({})).await?;
        story.ready("memo").await?;
        // It is the older one, and writes itself a record.
        let (owner, uid) = (format!("{other}/stranger"), stranger.metadata.uid.context("a uid")?);
        let marks = [("owner", Some(&*owner)), ("uid", Some(&*uid)), ("namespace", Some(&*story.namespace))];
        plant(story, (&story.namespace, &other), &marks).await?;
        story.patch("memo", json!({ "spec": { "chart": { "version": "1.1.0" } } })).await?;
        story.ready("memo").await?;
        look(story, "again").await?;
        story.ready("memo").await?;
        ensure!(story.history("memo").await? == "1 superseded, 2 deployed", "{}", story.history("memo").await?);

        // What it takes for its own by that record is not uninstalled with it, wherever the history of that is.
        let third = format!("{}-third", story.namespace);
        story.kubectl.run(&["create", "namespace", &third]).await?;
        story.patch("memo", json!({ "spec": { "storageNamespace": third } })).await?;
        story.ready("memo").await?;
        let strangers = Api::<HelmRelease>::namespaced(story.client.clone(), &other);
        let uninstall = Patch::Merge(json!({ "spec": { "uninstall": { "deletionPolicy": "Uninstall" } } }));
        strangers.patch("stranger", &PatchParams::default(), &uninstall).await?;
        strangers.delete("stranger", &DeleteParams::default()).await?;
        eventually::gone(&strangers, "stranger", SOON).await?;
        ensure!(stands(story).await?, "the release of another object is gone");
        story.delete("memo").await?;
        end(story, &third).await?;
        end(story, &other).await
    })
}

#[test]
fn who_may_not_reach_a_namespace_takes_no_name_there_and_learns_no_history() -> Result<()> {
    alone(
        "storage-denied",
        async |_, setup| Ok(setup.argument("--no-cross-namespace-refs")),
        async |story| {
            let other = prepare(story).await?;
            let here = json!({ "name": "memo", "namespace": story.namespace });
            let waits = json!({ "release": here.clone(), "storageNamespace": other });
            stranger(story, &other, waits).await?;
            story.release("memo", "memo", "1.0.0", json!({})).await?;
            story.ready("memo").await?;
            let strangers = Api::<HelmRelease>::namespaced(story.client.clone(), &other);
            let asks = Patch::Merge(json!({ "spec": { "release": here, "storageNamespace": null, "suspend": false } }));
            strangers.patch("stranger", &PatchParams::default(), &asks).await?;
            let refused = eventually::object(&strangers, "stranger", SOON, |release| {
                e2e::status::failed(release, Reason::AccessDenied).map(drop)
            })
            .await?;
            let told = refused.status.context("a status")?.history;
            ensure!(told.is_empty(), "it is told the history of another's release: {told:?}");
            Ok(())
        },
    )
}

#[test]
fn the_history_of_anothers_release_is_not_told() -> Result<()> {
    story("history-of-others", async |story| {
        let other = prepare(story).await?;
        story.release("memo", "memo", "1.0.0", json!({})).await?;
        story.ready("memo").await?;
        let here = json!({ "name": "memo", "namespace": story.namespace });
        stranger(story, &other, json!({ "release": here, "suspend": false })).await?;
        let strangers = Api::<HelmRelease>::namespaced(story.client.clone(), &other);
        let refused = eventually::object(&strangers, "stranger", SOON, |release| {
            e2e::status::failed(release, Reason::ReleaseNameConflict).map(drop)
        })
        .await?;
        let told = refused.status.context("a status")?.history;
        ensure!(told.is_empty(), "it is told: {told:?}");
        strangers.delete("stranger", &DeleteParams::default()).await?;
        eventually::gone(&strangers, "stranger", SOON).await?;
        end(story, &other).await
    })
}

#[test]
fn records_where_none_may_be_are_told_once_and_not_believed() -> Result<()> {
    story("storage-strays", async |story| {
        let other = prepare(story).await?;
        story.release("memo", "memo", "1.0.0", json!({})).await?;
        story.ready("memo").await?;
        plant(story, (&story.namespace, &other), &[("namespace", Some(&story.namespace))]).await?;
        look(story, "first").await?;
        story.event("memo", Reason::RecordsNotListed, &format!("{other}/memo")).await?;
        look(story, "second").await?;
        let about = ListParams::default().fields(&format!("reason={}", Reason::RecordsNotListed));
        let events = story.objects::<Event>().list(&about).await?.items;
        ensure!(events.len() == 1, "it was told {} times", events.len());
        story.delete("memo").await?;
        ensure!(!stands(story).await? && records(story, &other).await? == 1, "it was believed");
        end(story, &other).await
    })
}

/// As a backup that is restored to another namespace has it.
#[test]
fn records_that_were_copied_with_their_namespace_are_told_as_what_they_are() -> Result<()> {
    story("storage-cloned", async |story| {
        let other = prepare(story).await?;
        story.release("memo", "memo", "1.0.0", json!({})).await?;
        story.ready("memo").await?;
        plant(story, (&story.namespace, &other), &[]).await?;
        let release = json!({
            "apiVersion": "helm-operator.ketches.cn/v1alpha1",
            "kind": "HelmRelease",
            "metadata": { "name": "memo" },
            "spec": { "chart": { "name": "memo", "ociRepository": format!("{}/memo", story.charts_url().await?), "version": "1.0.0" } },
        });
        story.kubectl.apply(&other, &release.to_string()).await?;
        let cloned = Api::<HelmRelease>::namespaced(story.client.clone(), &other);
        let told = |release: &HelmRelease| {
            status::failed(release, Reason::ReleaseNameConflict)?;
            let message = status::message(release);
            ensure!(message.contains("they were copied") && message.contains("Delete them"), "{message}");
            Ok(())
        };
        eventually::object(&cloned, "memo", SOON, told).await?;
        ensure!(records(story, &other).await? == 1, "a revision was made of them");
        secrets(story, &other).delete("sh.helm.release.v1.memo.v1", &DeleteParams::default()).await?;
        // It goes on as one that is new, as far as the registry lets it.
        eventually::object(&cloned, "memo", SOON, |release| status::failed(release, Reason::AccessDenied)).await?;
        cloned.delete("memo", &DeleteParams::default()).await?;
        eventually::gone(&cloned, "memo", SOON).await?;
        ensure!(stands(story).await?, "the release that they were copied from was uninstalled");
        end(story, &other).await
    })
}
