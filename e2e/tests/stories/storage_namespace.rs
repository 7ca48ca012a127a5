//! Helm's records in another namespace than the release's: where they are found, how they move, and whose the objects are.

use anyhow::{Context as _, Result, ensure};
use e2e::charts;
use e2e::story::{Story, alone, story};
use helm_operator::api::{REQUESTED_AT, Reason};
use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::Api;
use kube::api::{ListParams, Patch, PatchParams, PostParams};
use serde_json::json;

/// Another namespace for records.
pub(super) async fn prepare(story: &Story<'_>) -> Result<String> {
    for version in ["1.0.0", "1.1.0"] {
        story.push(&charts::note("memo", version)).await?;
    }
    story.open_repository().await?;
    let other = format!("{}-records", story.namespace);
    story.kubectl.run(&["create", "namespace", &other]).await?;
    Ok(other)
}

/// Deletes it.
pub(super) async fn end(story: &Story<'_>, other: &str) -> Result<()> {
    story.kubectl.run(&["delete", "namespace", other, "--wait=false"]).await.map(drop)
}

/// The history in a namespace.
pub(super) async fn history(story: &Story<'_>, namespace: &str) -> Result<String> {
    let revisions = story.helm.history(namespace, "memo").await?;
    Ok(revisions.iter().map(|is| format!("{} {}", is.revision, is.status)).collect::<Vec<_>>().join(", "))
}

/// How many records are in a namespace.
pub(super) async fn records(story: &Story<'_>, namespace: &str) -> Result<usize> {
    let only = ListParams::default().labels("owner=helm");
    Ok(Api::<Secret>::namespaced(story.client.clone(), namespace).list(&only).await?.items.len())
}

async fn uid(story: &Story<'_>) -> Result<Option<String>> {
    let map = story.objects::<ConfigMap>().get_opt("memo-config").await?;
    Ok(map.context("the object is gone")?.metadata.uid)
}

#[test]
fn another_namespace_for_the_objects_alone_is_refused_and_one_for_the_records_too_is_a_move() -> Result<()> {
    story("storage-apart", async |story| {
        let other = prepare(story).await?;
        let target = format!("{}-target", story.namespace);
        story.kubectl.run(&["create", "namespace", &target]).await?;
        story.release("memo", "memo", "1.0.0", json!({ "storageNamespace": other })).await?;
        story.ready("memo").await?;
        let installed = uid(story).await?;
        story.patch("memo", json!({ "spec": { "release": { "namespace": target } } })).await?;
        story.refused("memo", Reason::ConfigurationError, &[&other, &target, "another spec.storageNamespace"]).await?;
        ensure!(uid(story).await? == installed && history(story, &other).await? == "1 deployed", "it was touched");
        story.patch("memo", json!({ "spec": { "storageNamespace": null } })).await?;
        story.ready("memo").await?;
        ensure!(
            history(story, &target).await? == "1 deployed" && records(story, &other).await? == 0,
            "it did not move"
        );
        ensure!(uid(story).await.is_err(), "it is still where it was");
        story.delete("memo").await?;
        story.kubectl.run(&["delete", "namespace", &target, "--wait=false"]).await?;
        end(story, &other).await
    })
}

#[test]
fn a_namespace_for_records_that_is_missing_is_noticed_when_it_comes() -> Result<()> {
    story("storage-missing", async |story| {
        story.push(&charts::note("memo", "1.0.0")).await?;
        story.open_repository().await?;
        let other = format!("{}-records", story.namespace);
        let spec = json!({ "storageNamespace": other, "release": { "createNamespace": true } });
        story.release("memo", "memo", "1.0.0", spec).await?;
        story.refused("memo", Reason::NamespaceNotFound, &[&other, "or correct spec.storageNamespace"]).await?;
        story.kubectl.run(&["create", "namespace", &other]).await?;
        story.ready("memo").await?;
        story.delete("memo").await?;
        end(story, &other).await
    })
}

#[test]
fn records_are_kept_where_it_is_declared_and_move_without_the_objects() -> Result<()> {
    story("storage", async |story| {
        let other = prepare(story).await?;
        story.release("memo", "memo", "1.0.0", json!({ "storageNamespace": other })).await?;
        let told = story.ready("memo").await?.status.and_then(|status| status.helm_release).context("a release")?;
        ensure!(told.namespace == story.namespace && told.storage_namespace.as_deref() == Some(&*other), "{told:?}");
        story.patch("memo", json!({ "spec": { "chart": { "version": "1.1.0" } } })).await?;
        story.ready("memo").await?;
        let listed = story.helm.list(&other).await?;
        ensure!(listed.len() == 1 && listed[0].name == "memo", "{listed:?}");
        ensure!(
            history(story, &other).await? == "1 superseded, 2 deployed" && records(story, &story.namespace).await? == 0
        );
        let installed = uid(story).await?;

        for (declared, kept, left) in [(None, &story.namespace, &other), (Some(&other), &other, &story.namespace)] {
            story.patch("memo", json!({ "spec": { "storageNamespace": declared } })).await?;
            story.ready("memo").await?;
            ensure!(history(story, kept).await? == "1 superseded, 2 deployed", "{}", history(story, kept).await?);
            ensure!(records(story, left).await? == 0, "records are left in {left}");
            ensure!(uid(story).await? == installed, "the object was made anew");
        }
        // Another name is a move of the release, wherever its records are.
        story.patch("memo", json!({ "spec": { "release": { "name": "renamed" } } })).await?;
        story.ready("memo").await?;
        ensure!(story.objects::<ConfigMap>().get_opt("memo-config").await?.is_none(), "the old one is still there");
        ensure!(records(story, &other).await? == 1, "the old history is still there");
        story.delete("memo").await?;
        ensure!(records(story, &other).await? == 0, "records are left");
        ensure!(story.objects::<ConfigMap>().get_opt("renamed-config").await?.is_none(), "it was not uninstalled");
        end(story, &other).await
    })
}

#[test]
fn one_release_does_not_get_two_histories() -> Result<()> {
    story("storage-rivals", async |story| {
        let other = prepare(story).await?;
        story.release("memo", "memo", "1.0.0", json!({})).await?;
        story.ready("memo").await?;
        let installed = uid(story).await?;
        let rival = json!({ "storageNamespace": other, "release": { "name": "memo" } });
        story.release("rival", "memo", "1.1.0", rival).await?;
        let owner = format!("{}/memo", story.namespace);
        story.refused("rival", Reason::OwnershipConflict, &[&owner, "two histories"]).await?;
        ensure!(records(story, &other).await? == 0, "something was recorded");
        story.delete("memo").await?;
        story.ready("rival").await?;
        ensure!(uid(story).await? != installed, "it was not installed anew");
        story.delete("rival").await?;
        end(story, &other).await
    })
}

#[test]
fn what_helm_installed_is_gone_on_with_where_its_history_is() -> Result<()> {
    story("storage-cli", async |story| {
        let other = prepare(story).await?;
        let chart = format!("{}/memo", story.charts_url().await?);
        let install =
            ["install", "memo", &chart, "--version", "1.0.0", "--plain-http", "--namespace", &story.namespace];
        story.helm.run(&install).await?;
        let installed = uid(story).await?;
        story.release("memo", "memo", "1.0.0", json!({ "storageNamespace": other })).await?;
        story.refused("memo", Reason::OwnershipConflict, &["spec.storageNamespace", "leave that field out"]).await?;
        story.patch("memo", json!({ "spec": { "storageNamespace": null } })).await?;
        story.ready("memo").await?;
        ensure!(uid(story).await? == installed, "the object was made anew");
        // Once it is this object's, its history may move.
        story.patch("memo", json!({ "spec": { "storageNamespace": other } })).await?;
        story.ready("memo").await?;
        ensure!(history(story, &other).await? == "1 superseded, 2 deployed", "{}", history(story, &other).await?);
        ensure!(records(story, &story.namespace).await? == 0, "records are left");
        story.delete("memo").await?;
        end(story, &other).await
    })
}

#[test]
fn a_release_of_another_namespace_is_not_taken_over_by_its_records() -> Result<()> {
    story("storage-other", async |story| {
        let other = prepare(story).await?;
        let chart = format!("{}/memo", story.charts_url().await?);
        let arguments = ["install", "memo", &chart, "--version", "1.1.0", "--plain-http", "--namespace", &other];
        story.helm.run(&arguments).await?;
        for version in ["1.0.0", "1.1.0"] {
            story.release("memo", "memo", version, json!({ "storageNamespace": other })).await?;
            story.refused("memo", Reason::AdoptionRefused, &[&other, "spec.release.namespace"]).await?;
        }
        ensure!(history(story, &other).await? == "1 deployed", "a revision was made");
        story.delete("memo").await?;
        ensure!(history(story, &other).await? == "1 deployed", "it was uninstalled");
        end(story, &other).await
    })
}

#[test]
fn a_history_of_somebody_elses_is_not_taken_for_a_copy() -> Result<()> {
    story("storage-stranger", async |story| {
        let other = prepare(story).await?;
        story.release("memo", "memo", "1.0.0", json!({})).await?;
        story.ready("memo").await?;
        let chart = format!("{}/memo", story.charts_url().await?);
        let arguments = ["install", "memo", &chart, "--version", "1.1.0", "--plain-http", "--namespace", &other];
        story.helm.run(&arguments).await?;
        story.patch("memo", json!({ "spec": { "storageNamespace": other } })).await?;
        story.refused("memo", Reason::ConfigurationError, &[&other, "another history of that name"]).await?;
        ensure!(history(story, &story.namespace).await? == "1 deployed", "a record is gone");
        ensure!(history(story, &other).await? == "1 deployed", "a record of somebody else's was changed");
        story.patch("memo", json!({ "spec": { "storageNamespace": null } })).await?;
        story.ready("memo").await?;
        end(story, &other).await
    })
}

#[test]
fn records_that_name_another_namespace_reach_no_further_than_their_object_may() -> Result<()> {
    alone(
        "storage-forged",
        async |_, setup| Ok(setup.argument("--no-cross-namespace-refs")),
        async |story| {
            let victim = prepare(story).await?;
            let chart = format!("{}/memo", story.charts_url().await?);
            let arguments = ["install", "memo", &chart, "--version", "1.0.0", "--plain-http", "--namespace", &victim];
            story.helm.run(&arguments).await?;
            story.release("mine", "memo", "1.0.0", json!({})).await?;
            let uid = story.ready("mine").await?.metadata.uid.context("a uid")?;
            // A record of the other namespace's release, as if it had been made for this object.
            let secrets = |namespace: &str| Api::<Secret>::namespaced(story.client.clone(), namespace);
            let mut forged = secrets(&victim).get("sh.helm.release.v1.memo.v1").await?;
            let marks = json!({
                "helm-operator.ketches.cn/owner": format!("{}/mine", story.namespace),
                "helm-operator.ketches.cn/uid": uid,
                "helm-operator.ketches.cn/generation": "1",
                "helm-operator.ketches.cn/inputs": "any",
                "helm-operator.ketches.cn/namespace": victim,
            });
            forged.metadata = ObjectMeta {
                name: forged.metadata.name,
                labels: forged.metadata.labels,
                annotations: Some(serde_json::from_value(marks)?),
                ..ObjectMeta::default()
            };
            secrets(&story.namespace).create(&PostParams::default(), &forged).await?;
            story.patch("mine", json!({ "metadata": { "annotations": { REQUESTED_AT: "now" } } })).await?;
            story.ready("mine").await?;
            story.delete("mine").await?;
            let maps = Api::<ConfigMap>::namespaced(story.client.clone(), &victim);
            ensure!(maps.get_opt("memo-config").await?.is_some(), "an object of another namespace is gone");
            Ok(())
        },
    )
}

/// A Job before the uninstall.
pub(super) const FAREWELL: &str = "apiVersion: batch/v1
kind: Job
metadata:
  name: farewell
  annotations: {helm.sh/hook: pre-delete}
spec:
  template:
    spec:
      restartPolicy: Never
      containers: [{name: main, image: \"main:1\"}]
";

#[test]
fn a_namespace_that_went_is_made_anew_and_keeps_nothing_from_being_deleted() -> Result<()> {
    story("storage-gone", async |story| {
        for version in ["1.0.0", "1.1.0"] {
            story.push(&charts::note("memo", version).file("templates/farewell.yaml", FAREWELL)).await?;
        }
        story.open_repository().await?;
        let target = format!("{}-target", story.namespace);
        let release = json!({ "namespace": target, "createNamespace": true });
        let spec = json!({ "release": release, "storageNamespace": story.namespace });
        story.release("memo", "memo", "1.0.0", spec).await?;
        story.ready("memo").await?;
        let maps = Api::<ConfigMap>::namespaced(story.client.clone(), &target);
        // By a correction, then by an upgrade.
        for version in ["1.0.0", "1.1.0"] {
            story.kubectl.run(&["delete", "namespace", &target]).await?;
            story.patch("memo", json!({ "spec": { "chart": { "version": version } } })).await?;
            story
                .eventually("the objects are there again", async || {
                    ensure!(maps.get_opt("memo-config").await?.is_some(), "there is no object");
                    Ok(())
                })
                .await?;
            story.ready("memo").await?;
        }
        story.patch("memo", json!({ "spec": { "release": { "createNamespace": false } } })).await?;
        story.kubectl.run(&["delete", "namespace", &target]).await?;
        story.delete("memo").await
    })
}

/// Whoever may write Secrets in some namespace writes a history for an object that has none yet.
#[test]
fn a_record_in_a_namespace_that_nobody_declared_is_no_history() -> Result<()> {
    story("storage-planted", async |story| {
        let other = prepare(story).await?;
        story.release("template", "memo", "1.0.0", json!({ "release": { "name": "memo" } })).await?;
        story.ready("template").await?;
        let secrets = |namespace: &str| Api::<Secret>::namespaced(story.client.clone(), namespace);
        let mut planted = secrets(&story.namespace).get("sh.helm.release.v1.memo.v1").await?;
        story.delete("template").await?;
        let waits = json!({ "dependsOn": [{ "name": "missing" }] });
        story.release("memo", "memo", "1.1.0", waits).await?;
        let victim = story.refused("memo", Reason::DependencyNotReady, &[]).await?;
        let mut annotations = planted.metadata.annotations.unwrap_or_default();
        let mark = |key: &str| format!("helm-operator.ketches.cn/{key}");
        annotations.insert(mark("owner"), format!("{}/memo", story.namespace));
        annotations.insert(mark("uid"), victim.metadata.uid.unwrap_or_default());
        annotations.insert(mark("namespace"), story.namespace.clone());
        let (name, labels) = (planted.metadata.name, planted.metadata.labels);
        planted.metadata = ObjectMeta { name, labels, annotations: Some(annotations), ..ObjectMeta::default() };
        secrets(&other).create(&PostParams::default(), &planted).await?;
        let asked = json!({ "metadata": { "annotations": { REQUESTED_AT: "now" } } });
        story.patch("memo", asked).await?;
        story.release("beside", "memo", "1.0.0", json!({})).await?;
        story.ready("beside").await?;
        story.refused("memo", Reason::DependencyNotReady, &[]).await?;
        ensure!(records(story, &other).await? == 1, "what was planted has moved");
        ensure!(story.objects::<ConfigMap>().get_opt("memo-config").await?.is_none(), "what was planted is applied");
        end(story, &other).await
    })
}

/// A backup of the records is no release, and neither is what somebody writes for one of others.
#[test]
fn by_records_that_somebody_copied_nothing_is_uninstalled_or_moved() -> Result<()> {
    story("storage-copied", async |story| {
        let other = prepare(story).await?;
        story.release("memo", "memo", "1.0.0", json!({})).await?;
        story.release("victim", "memo", "1.0.0", json!({})).await?;
        let owner = story.ready("memo").await?;
        story.ready("victim").await?;
        let before = (uid(story).await?, story.objects::<ConfigMap>().get("victim-config").await?.metadata.uid);
        let secrets = |namespace: &str| Api::<Secret>::namespaced(story.client.clone(), namespace);
        let mark = |key: &str| format!("helm-operator.ketches.cn/{key}");
        // As it is; as the records of a release that are kept elsewhere; and those of another release, as if they were ours.
        let copies = [
            ("memo", "backup", None),
            ("memo", "storage", Some(&story.namespace)),
            ("victim", "forged", Some(&story.namespace)),
        ];
        for (release, place, namespace) in copies {
            let place = format!("{other}-{place}");
            story.kubectl.run(&["create", "namespace", &place]).await?;
            let mut copy = secrets(&story.namespace).get(&format!("sh.helm.release.v1.{release}.v1")).await?;
            let mut annotations = copy.metadata.annotations.unwrap_or_default();
            annotations.insert(mark("owner"), format!("{}/memo", story.namespace));
            annotations.insert(mark("uid"), owner.metadata.uid.clone().unwrap_or_default());
            annotations.extend(namespace.map(|namespace| (mark("namespace"), namespace.clone())));
            let (name, labels) = (copy.metadata.name, copy.metadata.labels);
            copy.metadata = ObjectMeta { name, labels, annotations: Some(annotations), ..ObjectMeta::default() };
            secrets(&place).create(&PostParams::default(), &copy).await?;
        }
        story.patch("memo", json!({ "spec": { "chart": { "version": "1.1.0" } } })).await?;
        story.ready("memo").await?;
        ensure!(history(story, &story.namespace).await? == "1 superseded, 2 deployed");
        story.patch("memo", json!({ "metadata": { "annotations": { REQUESTED_AT: "now" } } })).await?;
        story.ready("memo").await?;
        let after = (uid(story).await?, story.objects::<ConfigMap>().get("victim-config").await?.metadata.uid);
        ensure!(before == after, "an object was deleted: {before:?}, {after:?}");
        for (_, place, _) in copies {
            let place = format!("{other}-{place}");
            ensure!(records(story, &place).await? == 1, "the copy in {place} is gone");
            story.kubectl.run(&["delete", "namespace", &place, "--wait=false"]).await?;
        }
        story.delete("memo").await?;
        ensure!(story.objects::<ConfigMap>().get_opt("victim-config").await?.is_some(), "another release is gone");
        end(story, &other).await
    })
}

/// What a move leaves that was cut off, or called off: copies of these revisions in another namespace.
async fn copied(story: &Story<'_>, (from, to): (&str, &str), revisions: &[u32], version: Option<&str>) -> Result<()> {
    for revision in revisions {
        copy(story, (from, to), *revision, version).await?;
    }
    Ok(())
}

async fn copy(story: &Story<'_>, (from, to): (&str, &str), revision: u32, version: Option<&str>) -> Result<()> {
    let secrets = |namespace: &str| Api::<Secret>::namespaced(story.client.clone(), namespace);
    let mut copy = secrets(from).get(&format!("sh.helm.release.v1.memo.v{revision}")).await?;
    let mut annotations = copy.metadata.annotations.unwrap_or_default();
    annotations.insert("helm-operator.ketches.cn/copy-of".to_owned(), copy.metadata.uid.unwrap_or_default());
    annotations.insert("helm-operator.ketches.cn/namespace".to_owned(), story.namespace.clone());
    let version = version.map(str::to_owned).or(copy.metadata.resource_version);
    annotations.extend(version.map(|version| ("helm-operator.ketches.cn/copied-version".to_owned(), version)));
    let (name, labels) = (copy.metadata.name, copy.metadata.labels);
    copy.metadata = ObjectMeta { name, labels, annotations: Some(annotations), ..ObjectMeta::default() };
    secrets(to).create(&PostParams::default(), &copy).await?;
    Ok(())
}

/// All records are copied, and none is deleted yet.
#[test]
fn an_object_deleted_in_the_middle_of_a_move_leaves_nothing() -> Result<()> {
    story("storage-deleted", async |story| {
        let other = prepare(story).await?;
        let spec = json!({ "uninstall": { "deletionPolicy": "Uninstall" } });
        story.release("memo", "memo", "1.0.0", spec).await?;
        story.ready("memo").await?;
        story.patch("memo", json!({ "spec": { "suspend": true } })).await?;
        copied(story, (&story.namespace, &other), &[1], None).await?;
        story.patch("memo", json!({ "spec": { "storageNamespace": other } })).await?;
        story.delete("memo").await?;
        ensure!(story.objects::<ConfigMap>().get_opt("memo-config").await?.is_none(), "it was not uninstalled");
        ensure!(records(story, &story.namespace).await? == 0 && records(story, &other).await? == 0, "records are left");
        end(story, &other).await
    })
}

#[test]
fn a_move_of_records_that_was_cut_off_or_called_off_ends() -> Result<()> {
    story("storage-half", async |story| {
        let other = prepare(story).await?;
        // Helm's own revision has no marks; the second is ours.
        let chart = format!("{}/memo", story.charts_url().await?);
        let install =
            ["install", "memo", &chart, "--version", "1.0.0", "--plain-http", "--namespace", &story.namespace];
        story.helm.run(&install).await?;
        story.release("memo", "memo", "1.1.0", json!({})).await?;
        story.ready("memo").await?;
        let whole = "1 superseded, 2 deployed";
        ensure!(history(story, &story.namespace).await? == whole);

        // Cut off after the first was copied and deleted.
        story.patch("memo", json!({ "spec": { "suspend": true } })).await?;
        copied(story, (&story.namespace, &other), &[1], None).await?;
        story.kubectl.run(&["delete", "secret", "sh.helm.release.v1.memo.v1", "-n", &story.namespace]).await?;
        story.patch("memo", json!({ "spec": { "suspend": false, "storageNamespace": other } })).await?;
        story.ready("memo").await?;
        ensure!(history(story, &other).await? == whole && records(story, &story.namespace).await? == 0);

        // Called off after the first was copied.
        story.patch("memo", json!({ "spec": { "suspend": true } })).await?;
        copied(story, (&other, &story.namespace), &[1], None).await?;
        story.patch("memo", json!({ "spec": { "suspend": false } })).await?;
        story.patch("memo", json!({ "metadata": { "annotations": { REQUESTED_AT: "now" } } })).await?;
        story.ready("memo").await?;
        ensure!(history(story, &other).await? == whole, "{}", history(story, &other).await?);
        // Without marks of ours it is nobody's.
        let leftover = ["delete", "secret", "sh.helm.release.v1.memo.v1", "-n", &story.namespace, "--ignore-not-found"];
        story.kubectl.run(&leftover).await?;

        // All are copied, and somebody wrote the newest since: by its old copy there would be none deployed.
        story.patch("memo", json!({ "spec": { "suspend": true } })).await?;
        copied(story, (&other, &story.namespace), &[1, 2], Some("1")).await?;
        let stale = Patch::Merge(json!({ "metadata": { "labels": { "status": "superseded" } } }));
        let copies = Api::<Secret>::namespaced(story.client.clone(), &story.namespace);
        copies.patch("sh.helm.release.v1.memo.v2", &PatchParams::default(), &stale).await?;
        story.patch("memo", json!({ "spec": { "suspend": false, "storageNamespace": null } })).await?;
        story.ready("memo").await?;
        ensure!(history(story, &story.namespace).await? == whole && records(story, &other).await? == 0);
        let labels = copies.get("sh.helm.release.v1.memo.v2").await?.metadata.labels.unwrap_or_default();
        ensure!(labels.get("status").map(String::as_str) == Some("deployed"), "the old copy is kept: {labels:?}");
        end(story, &other).await
    })
}
