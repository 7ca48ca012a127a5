//! What a delete removes, what it leaves, and how long it waits.

use std::time::Duration;

use anyhow::{Result, bail, ensure};
use helm_operator::cluster::{Change, Error, Propagation, Removed, left_behind};
use kube::api::{DeleteParams, ListParams, Patch, PatchParams};
use serde_json::json;

use crate::refusals::cluster_wide;
use crate::{Ground, LONG, config_map, deployment};

#[tokio::test(flavor = "multi_thread")]
async fn objects_that_left_the_manifest_are_removed_and_kept_ones_stay() -> Result<()> {
    let ground = Ground::new("delete-prune").await?;
    let mut kept = config_map("kept", json!({}));
    kept["metadata"]["annotations"] = json!({ "helm.sh/resource-policy": "keep" });
    let old = ground.objects(&[config_map("stays", json!({})), config_map("goes", json!({})), kept]).await?;
    ground.cluster.apply(&old, &ground.apply_options("shop")).await?;
    let new = ground.objects(&[config_map("stays", json!({}))]).await?;

    let left = left_behind(&old, &new);
    let removals = ground.cluster.delete(&left, &ground.delete_options("shop")).await?;
    let removed: Vec<_> =
        removals.iter().map(|removal| (removal.object.name.as_str(), removal.removed.clone())).collect();
    ensure!(removed == [("goes", Removed::Deleted), ("kept", Removed::Kept)], "{removed:?}");
    let again = ground.cluster.delete(&left[..1], &ground.delete_options("shop")).await?;
    ensure!(again[0].removed == Removed::Absent, "{again:?}");
    let config_maps = ground.api("v1", "ConfigMap");
    for (name, exists) in [("stays", true), ("goes", false), ("kept", true)] {
        ensure!(config_maps.get_opt(name).await?.is_some() == exists, "{name}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_belongs_to_others_is_left() -> Result<()> {
    let ground = Ground::new("delete-others").await?;
    let objects = ground.objects(&[config_map("theirs", json!({})), config_map("nobodys", json!({}))]).await?;
    ground.cluster.apply(&objects[..1], &ground.apply_options("first")).await?;
    ground.create("v1", "ConfigMap", json!({ "metadata": { "name": "nobodys" } })).await?;
    let removals = ground.cluster.delete(&objects, &ground.delete_options("second")).await?;
    ensure!(removals[0].removed == Removed::NotOurs(Some(ground.owner("first"))), "{removals:?}");
    ensure!(removals[1].removed == Removed::NotOurs(None), "{removals:?}");
    ensure!(ground.api("v1", "ConfigMap").get_opt("nobodys").await?.is_some(), "it was deleted");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_finalizer_that_holds_an_object_is_named_and_its_end_is_noticed() -> Result<()> {
    let ground = Ground::new("delete-finalizer").await?;
    let mut held = config_map("held", json!({}));
    held["metadata"]["finalizers"] = json!(["example.com/hold"]);
    let objects = ground.objects(&[held]).await?;
    ground.cluster.apply(&objects, &ground.apply_options("shop")).await?;
    let mut options = ground.delete_options("shop");
    options.timeout = Some(Duration::from_secs(1));
    let stuck = ground.cluster.delete(&objects, &options).await;
    let Err(error @ Error::NotGone { .. }) = stuck else { bail!("{stuck:?}") };
    ensure!(error.to_string().contains("held by finalizers example.com/hold"), "{error}");

    options.timeout = Some(LONG);
    let free = async {
        let patch = Patch::Merge(json!({ "metadata": { "finalizers": null } }));
        ground.api("v1", "ConfigMap").patch("held", &PatchParams::default(), &patch).await
    };
    let (removals, freed) = tokio::join!(ground.cluster.delete(&objects, &options), free);
    freed?;
    ensure!(removals?.len() == 1, "one removal");
    ensure!(ground.api("v1", "ConfigMap").get_opt("held").await?.is_none(), "still there");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_foreground_deletion_ends_after_the_pods() -> Result<()> {
    let ground = Ground::new("delete-foreground").await?;
    let objects = ground.objects(&[deployment("web", "")]).await?;
    let applied = ground.cluster.apply(&objects, &ground.apply_options("shop")).await?;
    let options = helm_operator::cluster::WaitOptions { timeout: LONG, declared: LONG, jobs: false };
    ground.cluster.wait_ready(&applied, &options).await?;
    let mut options = ground.delete_options("shop");
    options.propagation = Propagation::Foreground;
    ground.cluster.delete(&objects, &options).await?;
    let pods = ground.api("v1", "Pod").list(&ListParams::default().labels("app=web")).await?;
    ensure!(pods.items.is_empty(), "{} pods are left", pods.items.len());
    Ok(())
}

/// An object that is being deleted would take a change, and go all the same.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_still_terminating_is_made_anew_once_it_is_gone() -> Result<()> {
    let ground = Ground::new("delete-again").await?;
    let mut held = config_map("held", json!({ "of": "first" }));
    held["metadata"]["finalizers"] = json!(["example.com/hold"]);
    let options = ground.apply_options("shop");
    ground.cluster.apply(&ground.objects(&[held]).await?, &options).await?;
    let config_maps = ground.api("v1", "ConfigMap");
    config_maps.delete("held", &DeleteParams::default()).await?;
    let again = ground.objects(&[config_map("held", json!({ "of": "second" }))]).await?;
    let free = async {
        // Time enough for an apply that does not wait to be done before.
        tokio::time::sleep(Duration::from_secs(1)).await;
        let patch = Patch::Merge(json!({ "metadata": { "finalizers": null } }));
        config_maps.patch("held", &PatchParams::default(), &patch).await
    };
    let (applied, freed) = tokio::join!(ground.cluster.apply(&again, &options), free);
    freed?;
    ensure!(applied?[0].change == Change::Created, "it was changed in place");
    let live = ground.live("v1", "ConfigMap", "held").await?;
    ensure!(live["data"]["of"] == "second" && live["metadata"]["deletionTimestamp"].is_null(), "{live}");
    Ok(())
}

/// As with Helm: one that somebody keeps must not keep the others.
#[tokio::test(flavor = "multi_thread")]
async fn what_may_not_be_deleted_keeps_no_other_object() -> Result<()> {
    let ground = Ground::new("delete-denied").await?;
    let objects =
        ground.objects(&[deployment("web", ""), config_map("kept", json!({})), config_map("goes", json!({}))]).await?;
    ground.cluster.apply(&objects, &ground.apply_options("shop")).await?;
    let admission = "admissionregistration.k8s.io/v1";
    let policy = json!({
        "metadata": { "name": "kept-here" },
        "spec": {
            "matchConstraints": {
                "namespaceSelector": { "matchLabels": { "kubernetes.io/metadata.name": "delete-denied" } },
                "resourceRules": [{
                    "apiGroups": [""], "apiVersions": ["v1"], "operations": ["DELETE"], "resources": ["configmaps"],
                    "resourceNames": ["kept"],
                }],
            },
            "validations": [{ "expression": "false", "message": "it stays" }],
        },
    });
    let binding = json!({
        "metadata": { "name": "kept-here" },
        "spec": { "policyName": "kept-here", "validationActions": ["Deny"] },
    });
    cluster_wide(&ground, admission, "ValidatingAdmissionPolicy", policy).await?;
    cluster_wide(&ground, admission, "ValidatingAdmissionPolicyBinding", binding).await?;
    // It takes the API server a moment to enforce it.
    let dry = DeleteParams { dry_run: true, ..DeleteParams::default() };
    e2e::eventually::eventually("the policy denies", LONG, async || {
        ensure!(ground.api("v1", "ConfigMap").delete("kept", &dry).await.is_err());
        Ok(())
    })
    .await?;
    let refused = ground.cluster.delete(&objects, &ground.delete_options("shop")).await;
    let Err(error @ Error::Webhook { .. }) = refused else { bail!("{refused:?}") };
    ensure!(error.to_string().contains("it stays"), "{error}");
    ensure!(ground.live("v1", "ConfigMap", "goes").await.is_err(), "the other one is left");
    ensure!(ground.live("apps/v1", "Deployment", "web").await.is_err(), "what comes later is left");
    Ok(())
}
