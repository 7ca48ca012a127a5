//! Moves of records that are cut off, called off or changed on their way: they end where it is declared, and nowhere else.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use e2e::charts;
use e2e::gateway::{Answer, Which};
use e2e::story::{SOON, Story, alone, as_it_is, story};
use e2e::{eventually, status};
use helm_operator::api::{HelmRelease, REQUESTED_AT, Reason};
use http::Method;
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use k8s_openapi::jiff::Timestamp;
use kube::Api;
use kube::api::{DeleteParams, Patch, PatchParams, PostParams};
use serde_json::json;

use crate::storage_namespace::{FAREWELL, history, records};

/// Other namespaces for records.
async fn prepare(story: &Story<'_>) -> Result<[String; 2]> {
    for version in ["1.0.0", "1.1.0"] {
        story.push(&charts::note("memo", version).file("templates/farewell.yaml", FAREWELL)).await?;
    }
    story.open_repository().await?;
    let others = ["records", "third"].map(|name| format!("{}-{name}", story.namespace));
    for other in &others {
        story.kubectl.run(&["create", "namespace", other]).await?;
    }
    Ok(others)
}

async fn end(story: &Story<'_>, others: &[String]) -> Result<()> {
    for other in others {
        story.kubectl.run(&["delete", "namespace", other, "--wait=false"]).await?;
    }
    Ok(())
}

const WHOLE: &str = "1 superseded, 2 deployed";

fn secrets(story: &Story<'_>, namespace: &str) -> Api<Secret> {
    Api::namespaced(story.client.clone(), namespace)
}

/// Two revisions, with the records in a namespace.
async fn two_revisions(story: &Story<'_>, records: &str) -> Result<()> {
    let storage = json!({ "storageNamespace": records, "uninstall": { "deletionPolicy": "Uninstall" } });
    story.release("memo", "memo", "1.0.0", storage).await?;
    story.ready("memo").await?;
    story.patch("memo", json!({ "spec": { "chart": { "version": "1.1.0" } } })).await?;
    story.ready("memo").await?;
    ensure!(history(story, records).await? == WHOLE, "{}", history(story, records).await?);
    Ok(())
}

/// What a move leaves that was cut off after its first record.
async fn first_copied(story: &Story<'_>, (from, to): (&str, &str)) -> Result<()> {
    story.patch("memo", json!({ "spec": { "suspend": true } })).await?;
    let mut copy = secrets(story, from).get("sh.helm.release.v1.memo.v1").await?;
    let mut annotations = copy.metadata.annotations.unwrap_or_default();
    let mark = |key: &str| format!("helm-operator.ketches.cn/{key}");
    annotations.insert(mark("copy-of"), copy.metadata.uid.unwrap_or_default());
    annotations.insert(mark("namespace"), story.namespace.clone());
    annotations.extend(copy.metadata.resource_version.map(|version| (mark("copied-version"), version)));
    let (name, labels) = (copy.metadata.name, copy.metadata.labels);
    copy.metadata = ObjectMeta { name, labels, annotations: Some(annotations), ..ObjectMeta::default() };
    secrets(story, to).create(&PostParams::default(), &copy).await?;
    // The status listed it before.
    let listed = Patch::Merge(json!({ "status": { "recordNamespaces": [from, to] } }));
    story.releases().patch_status("memo", &PatchParams::default(), &listed).await?;
    Ok(())
}

#[test]
fn a_second_move_before_the_first_is_done_ends_where_it_is_declared() -> Result<()> {
    story("storage-twice", async |story| {
        let others = prepare(story).await?;
        let [other, third] = &others;
        // In whichever order of their names.
        for (from, cut_off) in [(other, &story.namespace), (&story.namespace, other)] {
            two_revisions(story, from).await?;
            first_copied(story, (from, cut_off)).await?;
            story.patch("memo", json!({ "spec": { "suspend": false, "storageNamespace": third } })).await?;
            story.ready("memo").await?;
            ensure!(history(story, third).await? == WHOLE, "{}", history(story, third).await?);
            let left = [records(story, from).await?, records(story, cut_off).await?];
            ensure!(left == [0, 0], "records are left in {from} and {cut_off}: {left:?}");
            let listed = story.releases().get("memo").await?.status.context("a status")?.record_namespaces;
            ensure!(listed == [third.clone()], "the status lists {listed:?}");
            story.delete("memo").await?;
            ensure!(records(story, third).await? == 0, "records are left");
        }
        end(story, &others).await
    })
}

#[test]
fn a_copy_that_comes_late_is_not_forgotten() -> Result<()> {
    alone("storage-late", as_it_is, async |story| {
        let [other, _] = prepare(story).await?;
        let (gateway, _operator) = story.behind_gateway(&[]).await?;
        story.release("memo", "memo", "1.0.0", json!({})).await?;
        story.ready("memo").await?;
        // It is there, and the operator hears of it when the move is called off already.
        let path = format!("/namespaces/{other}/secrets");
        gateway.answers(Which::writes(&path).method(Method::POST), Answer::Late(Duration::from_secs(8)));
        story.patch("memo", json!({ "spec": { "storageNamespace": other } })).await?;
        story
            .eventually("a copy is made", async || {
                ensure!(records(story, &other).await? == 1, "there is none");
                Ok(())
            })
            .await?;
        story.patch("memo", json!({ "spec": { "storageNamespace": null } })).await?;
        story.ready("memo").await?;
        story
            .eventually("the copy is gone", async || {
                ensure!(records(story, &other).await? == 0, "it is left");
                Ok(())
            })
            .await?;
        ensure!(history(story, &story.namespace).await? == "1 deployed");
        Ok(())
    })
}

#[test]
fn a_record_that_goes_late_takes_nothing_back() -> Result<()> {
    alone("storage-held", as_it_is, async |story| {
        let [other, _] = prepare(story).await?;
        story.release("memo", "memo", "1.0.0", json!({})).await?;
        story.ready("memo").await?;
        let name = "sh.helm.release.v1.memo.v1";
        let finalizers = |held: serde_json::Value| Patch::Merge(json!({ "metadata": { "finalizers": held } }));
        let held = finalizers(json!(["example.com/held"]));
        secrets(story, &story.namespace).patch(name, &PatchParams::default(), &held).await?;
        story.patch("memo", json!({ "spec": { "storageNamespace": other } })).await?;
        story.ready("memo").await?;
        let copy = secrets(story, &other).get(name).await?;
        ensure!(copy.metadata.finalizers.is_none(), "the copy is held by what held the other one");
        story.patch("memo", json!({ "spec": { "chart": { "version": "1.1.0" } } })).await?;
        story.ready("memo").await?;
        ensure!(records(story, &story.namespace).await? == 1, "nothing holds it: the story is void");

        // A new process sees it as it lists it.
        story.stage.operator().await.kill().await?;
        story.stage.operator().await.start().await?;
        story.patch("memo", json!({ "metadata": { "annotations": { REQUESTED_AT: "now" } } })).await?;
        eventually::object(&story.releases(), "memo", SOON, |release| {
            let handled = release.status.as_ref().and_then(|status| status.last_handled_reconcile_at.as_deref());
            ensure!(handled == Some("now"), "not looked at yet");
            status::ready(release)
        })
        .await?;
        ensure!(history(story, &other).await? == WHOLE, "{}", history(story, &other).await?);
        secrets(story, &story.namespace).patch(name, &PatchParams::default(), &finalizers(json!(null))).await?;
        Ok(())
    })
}

#[test]
fn what_a_move_left_goes_before_the_release_is_uninstalled() -> Result<()> {
    alone("storage-parts", as_it_is, async |story| {
        let [other, _] = prepare(story).await?;
        two_revisions(story, &story.namespace).await?;
        first_copied(story, (&story.namespace, &other)).await?;
        let policy = json!({
            "apiVersion": "admissionregistration.k8s.io/v1", "kind": "ValidatingAdmissionPolicy", "metadata": { "name": "kept" },
            "spec": {
                "matchConstraints": { "resourceRules": [{
                    "apiGroups": [""], "apiVersions": ["v1"], "operations": ["DELETE"], "resources": ["secrets"],
                }] },
                "validations": [{ "expression": format!("request.namespace != '{other}'"), "message": "records are kept here" }],
            },
        });
        let binding = json!({
            "apiVersion": "admissionregistration.k8s.io/v1", "kind": "ValidatingAdmissionPolicyBinding",
            "metadata": { "name": "kept" }, "spec": { "policyName": "kept", "validationActions": ["Deny"] },
        });
        story.apply(&policy.to_string()).await?;
        story.apply(&binding.to_string()).await?;
        let probe = DeleteParams::default().dry_run();
        story
            .eventually("the policy", async || {
                let tried = secrets(story, &other).delete("sh.helm.release.v1.memo.v1", &probe).await;
                ensure!(tried.is_err(), "it is not in force yet");
                Ok(())
            })
            .await?;
        story.releases().delete("memo", &DeleteParams::default()).await?;
        eventually::object(&story.releases(), "memo", SOON, |release| {
            ensure!(status::message(release).contains("records are kept here"), "{}", status::message(release));
            Ok(())
        })
        .await?;
        ensure!(story.objects::<ConfigMap>().get_opt("memo-config").await?.is_some(), "it was uninstalled already");
        ensure!(story.objects::<Job>().get_opt("farewell").await?.is_none(), "its hook ran already");
        story.kubectl.run(&["delete", "validatingadmissionpolicybinding", "kept"]).await?;
        let releases: Api<HelmRelease> = story.releases();
        eventually::gone(&releases, "memo", 2 * SOON).await?;
        ensure!(records(story, &other).await? == 0 && records(story, &story.namespace).await? == 0, "records are left");
        ensure!(story.objects::<ConfigMap>().get_opt("memo-config").await?.is_none(), "it was not uninstalled");
        Ok(())
    })
}

#[test]
fn a_move_that_is_approved_makes_the_namespace_that_is_declared_so() -> Result<()> {
    story("storage-approved", async |story| {
        let others = prepare(story).await?;
        let target = format!("{}-target", story.namespace);
        let release = json!({ "namespace": target, "createNamespace": true });
        story.release("memo", "memo", "1.0.0", json!({ "release": release, "storageNamespace": others[0] })).await?;
        story.ready("memo").await?;
        let moves = json!({
            "suspend": true, "storageNamespace": null, "plan": { "mode": "Manual" }, "driftDetection": { "mode": "disabled" },
        });
        story.patch("memo", json!({ "spec": moves })).await?;
        story.kubectl.run(&["delete", "namespace", &target]).await?;
        story.patch("memo", json!({ "spec": { "suspend": false } })).await?;
        story
            .eventually("they have moved", async || {
                let plan = story.releases().get("memo").await?.status.and_then(|status| status.plan);
                if let Some(plan) = plan {
                    let approve =
                        json!({ "metadata": { "annotations": { "helm-operator.ketches.cn/approve": plan.digest } } });
                    story.patch("memo", approve).await?;
                }
                ensure!(records(story, &target).await? > 0 && records(story, &others[0]).await? == 0, "not yet");
                Ok(())
            })
            .await?;
        story.ready("memo").await?;
        story.delete("memo").await?;
        story.kubectl.run(&["delete", "namespace", &target, "--wait=false"]).await?;
        end(story, &others).await
    })
}

#[test]
fn nothing_is_recorded_in_a_namespace_before_the_status_lists_it() -> Result<()> {
    alone("storage-unlisted", as_it_is, async |story| {
        let [other, _] = prepare(story).await?;
        let (gateway, _operator) = story.behind_gateway(&[]).await?;
        let status = "/helmreleases/memo/status";
        gateway.answers(Which::writes(status).method(Method::PATCH).times(1), Answer::Conflict);
        story.release("memo", "memo", "1.0.0", json!({ "storageNamespace": other })).await?;
        story.ready("memo").await?;
        let writes = gateway.writes();
        let recorded = writes.iter().position(|write| write.ends_with(&format!("{other}/secrets")));
        let before = &writes[..recorded.context("a record")?];
        let told = before.iter().filter(|write| write.ends_with(status)).count();
        ensure!(told > 1, "the status was refused, and a record made all the same: {before:?}");
        Ok(())
    })
}

#[test]
fn records_do_not_move_while_a_helm_works_on_the_release() -> Result<()> {
    story("move-helm-at-work", async |story| {
        let others = prepare(story).await?;
        let [from, to] = [story.namespace.as_str(), others[0].as_str()];
        story.release("memo", "memo", "1.0.0", json!({})).await?;
        story.ready("memo").await?;
        // As helm begins.
        let mut begun = secrets(story, from).get("sh.helm.release.v1.memo.v1").await?;
        let mut labels = begun.metadata.labels.take().unwrap_or_default();
        let now = Timestamp::now().as_second().to_string();
        labels.extend(
            [("version", "2"), ("status", "pending-upgrade"), ("modifiedAt", &now)]
                .map(|(key, value)| (key.to_owned(), value.to_owned())),
        );
        let name = "sh.helm.release.v1.memo.v2";
        begun.metadata = ObjectMeta { name: Some(name.to_owned()), labels: Some(labels), ..ObjectMeta::default() };
        secrets(story, from).create(&PostParams::default(), &begun).await?;
        story.patch("memo", json!({ "spec": { "storageNamespace": to } })).await?;
        story.refused("memo", Reason::PendingRelease, &["once a helm command has ended", "revision 2"]).await?;
        ensure!(records(story, to).await? == 0 && records(story, from).await? == 2, "they are on their way");
        // It gives up.
        secrets(story, from).delete(name, &DeleteParams::default()).await?;
        story.ready("memo").await?;
        ensure!(history(story, to).await? == "1 deployed", "{}", history(story, to).await?);
        ensure!(records(story, from).await? == 0, "records are left");
        end(story, &others).await
    })
}
