//! What an apply writes, and that it writes nothing when anything is not ours.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};
use e2e::apiserver::ControlPlane;
use e2e::process::Scratch;
use e2e::tools::Tool;
use helm_operator::cluster::{Change, Error};
use kube::api::{Patch, PatchParams, PostParams};
use serde_json::{Value, json};

use crate::{Ground, config_map, deployment};

#[tokio::test(flavor = "multi_thread")]
async fn a_release_is_applied_with_helms_marks_and_a_second_apply_changes_nothing() -> Result<()> {
    let ground = Ground::new("apply-twice").await?;
    let service = json!({
        "apiVersion": "v1", "kind": "Service", "metadata": { "name": "web" },
        "spec": { "selector": { "app": "web" }, "ports": [{ "port": 80 }] },
    });
    let documents = [deployment("web", ""), service, config_map("settings", json!({ "a": "1", "b": "2" }))];
    let objects = ground.objects(&documents).await?;
    let options = ground.apply_options("shop");
    let applied = ground.cluster.apply(&objects, &options).await?;
    ensure!(applied.iter().all(|applied| applied.change == Change::Created), "{applied:?}");
    let names: Vec<_> = applied.iter().map(|applied| applied.object.to_string()).collect();
    ensure!(names[0] == r#"Deployment "web" in namespace "apply-twice""#, "{names:?}");

    let live = ground.live("v1", "ConfigMap", "settings").await?;
    let metadata = &live["metadata"];
    ensure!(metadata["labels"]["app.kubernetes.io/managed-by"] == "Helm", "{metadata}");
    ensure!(metadata["annotations"]["meta.helm.sh/release-name"] == "shop", "{metadata}");
    ensure!(metadata["annotations"]["meta.helm.sh/release-namespace"] == "apply-twice", "{metadata}");
    ensure!(metadata["managedFields"][0]["manager"] == "helm", "{metadata}");
    ensure!(metadata["managedFields"][0]["operation"] == "Apply", "{metadata}");

    let again = ground.cluster.apply(&objects[2..], &options).await?;
    ensure!(again[0].change == Change::Unchanged, "{again:?}");
    let fewer = ground.objects(&[config_map("settings", json!({ "a": "1" }))]).await?;
    let fewer = ground.cluster.apply(&fewer, &options).await?;
    ensure!(fewer[0].change == Change::Updated, "{fewer:?}");
    let live = ground.live("v1", "ConfigMap", "settings").await?;
    ensure!(live["data"] == json!({ "a": "1" }), "{}", live["data"]);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_object_of_another_release_stops_the_apply_before_anything_is_written() -> Result<()> {
    let ground = Ground::new("apply-owned").await?;
    let theirs = ground.objects(&[config_map("shared", json!({ "of": "first" }))]).await?;
    ground.cluster.apply(&theirs, &ground.apply_options("first")).await?;

    let documents = [config_map("own", json!({})), config_map("shared", json!({ "of": "second" }))];
    let ours = ground.objects(&documents).await?;
    let refused = ground.cluster.apply(&ours, &ground.apply_options("second")).await;
    let Err(error @ Error::Owned { .. }) = refused else { bail!("{refused:?}") };
    let text = error.to_string();
    ensure!(text.contains(r#"ConfigMap "shared""#) && text.contains(r#"release "first""#), "{text}");
    ensure!(ground.api("v1", "ConfigMap").get_opt("own").await?.is_none(), "something was written");

    let mut options = ground.apply_options("second");
    options.take_ownership = true;
    ground.cluster.apply(&ours, &options).await?;
    let live = ground.live("v1", "ConfigMap", "shared").await?;
    ensure!(live["data"]["of"] == "second", "{live}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_object_of_nobody_is_refused_until_it_bears_the_marks() -> Result<()> {
    let ground = Ground::new("apply-unowned").await?;
    ground.create("v1", "ConfigMap", json!({ "metadata": { "name": "settings" } })).await?;
    let objects = ground.objects(&[config_map("settings", json!({ "a": "1" }))]).await?;
    let options = ground.apply_options("shop");
    let refused = ground.cluster.apply(&objects, &options).await;
    let Err(error @ Error::Unowned { .. }) = refused else { bail!("{refused:?}") };
    ensure!(error.to_string().contains("meta.helm.sh/release-name is missing"), "{error}");

    let marks = json!({ "metadata": {
        "labels": { "app.kubernetes.io/managed-by": "Helm" },
        "annotations": {
            "meta.helm.sh/release-name": "shop",
            "meta.helm.sh/release-namespace": "apply-unowned",
        },
    } });
    let api = ground.api("v1", "ConfigMap");
    api.patch("settings", &PatchParams::default(), &Patch::Merge(&marks)).await?;
    ground.cluster.apply(&objects, &options).await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn fields_of_another_manager_are_a_conflict_unless_forced() -> Result<()> {
    let ground = Ground::new("apply-conflict").await?;
    let options = ground.apply_options("shop");
    let objects = ground.objects(&[deployment("web", "")]).await?;
    ground.cluster.apply(&objects, &options).await?;
    let scaled = json!({ "spec": { "replicas": 3 } });
    let edit = PatchParams { field_manager: Some("kubectl-edit".to_owned()), ..PatchParams::default() };
    ground.api("apps/v1", "Deployment").patch("web", &edit, &Patch::Merge(&scaled)).await?;

    let refused = ground.cluster.apply(&objects, &options).await;
    let Err(Error::Conflict { object, conflicts }) = refused else { bail!("{refused:?}") };
    ensure!(object.name == "web", "{object}");
    ensure!(conflicts.len() == 1 && conflicts[0].manager == "kubectl-edit", "{conflicts:?}");
    ensure!(conflicts[0].fields == [".spec.replicas".into()], "{conflicts:?}");

    let mut options = options;
    options.force_conflicts = true;
    ground.cluster.apply(&objects, &options).await?;
    let live = ground.live("apps/v1", "Deployment", "web").await?;
    ensure!(live["spec"]["replicas"] == 1, "{live}");
    Ok(())
}

/// Fields that Helm 3 wrote by client-side apply leave the object when they leave the chart.
#[tokio::test(flavor = "multi_thread")]
async fn a_release_of_helm_3_is_taken_over_with_its_fields() -> Result<()> {
    let ground = Ground::new("apply-helm3").await?;
    let plane = ControlPlane::shared().await?;
    let chart = Scratch::new("helm3-chart")?;
    std::fs::create_dir_all(chart.join("templates"))?;
    std::fs::write(chart.join("Chart.yaml"), "apiVersion: v2\nname: old\nversion: 1.0.0\n")?;
    let both = config_map("settings", json!({ "a": "1", "b": "2" }));
    std::fs::write(chart.join("templates/settings.yaml"), both.to_string())?;
    install_with_helm_3(plane.kubeconfig(), chart.path(), "shop", &ground.namespace).await?;
    let before = ground.live("v1", "ConfigMap", "settings").await?;
    ensure!(before["metadata"]["managedFields"][0]["operation"] == "Update", "{before}");

    let fewer = ground.objects(&[config_map("settings", json!({ "a": "1" }))]).await?;
    ground.cluster.apply(&fewer, &ground.apply_options("shop")).await?;
    let live = ground.live("v1", "ConfigMap", "settings").await?;
    ensure!(live["data"] == json!({ "a": "1" }), "{}", live["data"]);
    let operations: Vec<&Value> = live["metadata"]["managedFields"]
        .as_array()
        .context("managed fields")?
        .iter()
        .map(|entry| &entry["operation"])
        .collect();
    ensure!(operations == ["Apply"], "{operations:?}");
    Ok(())
}

async fn install_with_helm_3(kubeconfig: &Path, chart: &Path, release: &str, namespace: &str) -> Result<()> {
    let mut helm = Command::new(Tool::Helm3.ready().await?);
    helm.arg("install").arg(release).arg(chart).arg("--namespace").arg(namespace);
    let output = tokio::task::spawn_blocking({
        let kubeconfig = kubeconfig.to_owned();
        move || helm.arg("--kubeconfig").arg(kubeconfig).output()
    })
    .await??;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn lists_are_opened_and_namespaces_settled() -> Result<()> {
    let ground = Ground::new("apply-lists").await?;
    let list = json!({ "apiVersion": "v1", "kind": "List", "items": [
        config_map("one", json!({})),
        { "apiVersion": "v1", "kind": "ConfigMapList", "items": [config_map("two", json!({}))] },
        { "apiVersion": "v1", "kind": "ConfigMap", "metadata": { "name": "three", "namespace": "default" } },
        { "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole",
          "metadata": { "name": "four", "namespace": "ignored" }, "rules": [] },
    ] });
    let objects = ground.objects(&[list]).await?;
    let places: Vec<_> = objects
        .iter()
        .map(|object| (object.reference().name.as_str(), object.reference().namespace.as_deref()))
        .collect();
    let here = Some("apply-lists");
    ensure!(places == [("one", here), ("two", here), ("three", Some("default")), ("four", None)], "{places:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_capabilities_are_helms_version_set() -> Result<()> {
    let ground = Ground::new("capabilities").await?;
    let capabilities = ground.cluster.capabilities().await?;
    for version in ["v1", "apps/v1", "apps/v1/Deployment", "v1/Pod", "batch/v1/CronJob", "apps/v1/Scale"] {
        ensure!(capabilities.api_versions.iter().any(|known| known == version), "{version} is missing");
    }
    Ok(())
}

/// What made an object from files has no claim on it any more: what leaves the chart leaves the object.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_taken_over_from_kubectl_is_the_releases_and_a_persons_stays() -> Result<()> {
    let ground = Ground::new("apply-kubectl").await?;
    let patched = async |manager: &str, data: Value| {
        let params = PatchParams { field_manager: Some(manager.to_owned()), ..PatchParams::default() };
        let patch = Patch::Merge(json!({ "data": data }));
        ground.api("v1", "ConfigMap").patch("settings", &params, &patch).await
    };
    let made =
        json!({ "apiVersion": "v1", "kind": "ConfigMap", "metadata": { "name": "settings" }, "data": { "a": "1" } });
    let params = PostParams { field_manager: Some("kubectl-create".to_owned()), ..PostParams::default() };
    ground.api("v1", "ConfigMap").create(&params, &serde_json::from_value(made)?).await?;
    patched("kubectl-client-side-apply", json!({ "b": "1" })).await?;
    patched("kubectl-edit", json!({ "c": "1" })).await?;
    let mut options = ground.apply_options("shop");
    (options.take_ownership, options.force_conflicts) = (true, true);
    ground.cluster.apply(&ground.objects(&[config_map("settings", json!({ "a": "2" }))]).await?, &options).await?;
    let live = ground.live("v1", "ConfigMap", "settings").await?;
    ensure!(live["data"] == json!({ "a": "2", "b": "1", "c": "1" }), "what no chart sets is gone: {live}");
    // From then on kubectl is a person's.
    patched("kubectl-client-side-apply", json!({ "d": "1" })).await?;
    let options = ground.apply_options("shop");
    ground.cluster.apply(&ground.objects(&[config_map("settings", json!({ "e": "3" }))]).await?, &options).await?;
    let live = ground.live("v1", "ConfigMap", "settings").await?;
    let expected = json!({ "b": "1", "c": "1", "d": "1", "e": "3" });
    ensure!(live["data"] == expected, "what left the chart stays: {live}");
    Ok(())
}

/// Kubernetes warns of it and takes it; server-side apply says "duplicate entries for key".
#[tokio::test(flavor = "multi_thread")]
async fn what_a_pod_lists_twice_is_applied_all_the_same() -> Result<()> {
    let ground = Ground::new("apply-doubled").await?;
    let mut web = deployment("web", "");
    let pod = &mut web["spec"]["template"]["spec"];
    pod["containers"][0]["ports"] = json!([{ "containerPort": 80 }, { "containerPort": 80 }]);
    pod["imagePullSecrets"] = json!([{ "name": "a" }, { "name": "a" }]);
    pod["hostAliases"] = json!([{ "ip": "10.0.0.1", "hostnames": ["a"] }, { "ip": "10.0.0.1", "hostnames": ["b"] }]);
    ground.cluster.apply(&ground.objects(&[web]).await?, &ground.apply_options("shop")).await?;
    let live = ground.live("apps/v1", "Deployment", "web").await?;
    let names = &live["spec"]["template"]["spec"]["hostAliases"][0]["hostnames"];
    ensure!(*names == json!(["a", "b"]), "{names}");
    Ok(())
}
