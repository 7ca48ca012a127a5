//! Releases that depend on others, or on objects of any kind: installed after them, woken by them, and told for what they wait.

use anyhow::{Result, ensure};
use e2e::charts;
use e2e::eventually;
use e2e::status;
use e2e::story::{SOON, Story, alone, story};
use helm_operator::api::Reason;
use kube::api::{DeleteParams, Patch, PatchParams};
use serde_json::{Value, json};

use crate::service_accounts::account;

async fn stage(story: &Story<'_>) -> Result<()> {
    for version in ["1.0.0", "1.1.0"] {
        story.push(&charts::note("memo", version)).await?;
    }
    story.open_repository().await
}

fn needs(names: &[&str]) -> Value {
    json!({ "dependsOn": names.iter().map(|name| json!({ "name": name })).collect::<Vec<_>>() })
}

async fn waits(story: &Story<'_>, release: &str, words: &[&str]) -> Result<()> {
    eventually::object(&story.releases(), release, SOON, |release| {
        status::failed(release, Reason::DependencyNotReady)?;
        let message = status::message(release);
        ensure!(words.iter().all(|word| message.contains(word)), "{message}");
        Ok(())
    })
    .await
    .map(drop)
}

#[test]
fn a_release_is_installed_after_those_it_depends_on_and_at_once() -> Result<()> {
    story("depends-on", async |story| {
        stage(story).await?;
        story.release("web", "memo", "1.0.0", needs(&["database", "cache"])).await?;
        waits(story, "web", &["no HelmRelease", "/database", "/cache"]).await?;
        story.release("cache", "memo", "1.0.0", json!({})).await?;
        // Its version does not exist.
        story.release("database", "memo", "7.0.0", json!({})).await?;
        waits(story, "web", &["/database is not ready", "7.0.0"]).await?;
        ensure!(story.history("web").await.is_err(), "it was installed");
        story.patch("database", json!({ "spec": { "chart": { "version": "1.0.0" } } })).await?;
        story.ready("web").await?;

        // What is deployed as it is declared stays ready; an upgrade waits.
        story.patch("database", json!({ "spec": { "chart": { "version": "7.0.0" } } })).await?;
        story.failed("database", Reason::TagNotFound).await?;
        story.patch("web", json!({ "spec": { "chart": { "version": "1.1.0" } } })).await?;
        waits(story, "web", &["/database is not ready"]).await?;
        ensure!(story.history("web").await? == "1 deployed", "it was upgraded");
        story.patch("web", json!({ "spec": { "chart": { "version": "1.0.0" } } })).await?;
        story.ready("web").await?;
        story.patch("web", json!({ "spec": { "chart": { "version": "1.1.0" } } })).await?;
        story.patch("database", json!({ "spec": { "chart": { "version": "1.1.0" } } })).await?;
        story.ready("web").await?;
        ensure!(story.history("web").await? == "1 superseded, 2 deployed");
        // Who is not waited for any more is no matter.
        story.delete("cache").await?;
        story.patch("web", needs_nothing()).await?;
        story.ready("web").await.map(drop)
    })
}

fn needs_nothing() -> Value {
    json!({ "spec": { "dependsOn": null } })
}

#[test]
fn a_circle_is_told_with_its_members_and_ends_when_it_is_opened() -> Result<()> {
    story("depends-circle", async |story| {
        stage(story).await?;
        story.release("a", "memo", "1.0.0", needs(&["b"])).await?;
        story.release("b", "memo", "1.0.0", needs(&["c"])).await?;
        story.release("c", "memo", "1.0.0", needs(&["a"])).await?;
        for name in ["a", "b", "c"] {
            waits(story, name, &["forms a cycle", "/a", "/b", "/c", "spec.dependsOn"]).await?;
        }
        let patch = Patch::Merge(needs_nothing());
        story.releases().patch("c", &PatchParams::default(), &patch).await?;
        for name in ["c", "b", "a"] {
            story.ready(name).await?;
        }
        Ok(())
    })
}

fn on(dependency: &Value) -> Value {
    json!({ "dependsOn": [dependency] })
}

async fn settings(story: &Story<'_>, ready: &str) -> Result<()> {
    let map = json!({ "apiVersion": "v1", "kind": "ConfigMap", "metadata": { "name": "settings" }, "data": { "ready": ready } });
    story.apply(&map.to_string()).await
}

#[test]
fn an_object_of_any_kind_is_waited_for_and_its_change_noticed() -> Result<()> {
    story("depends-object", async |story| {
        stage(story).await?;
        let map = json!({ "apiVersion": "v1", "kind": "ConfigMap", "name": "settings" });
        story.release("plain", "memo", "1.0.0", on(&map)).await?;
        let mut read = map.clone();
        read["readyExpr"] = json!("dep.data.ready == 'yes' && self.metadata.name == 'read'");
        story.release("read", "memo", "1.0.0", on(&read)).await?;
        for name in ["plain", "read"] {
            waits(story, name, &["there is no ConfigMap \"settings\"", "spec.dependsOn[0]"]).await?;
        }
        settings(story, "no").await?;
        story.ready("plain").await?;
        waits(story, "read", &["spec.dependsOn[0].readyExpr is not true of ConfigMap \"settings\""]).await?;
        settings(story, "yes").await?;
        story.ready("read").await?;

        // What is known of kinds counts, and what is not served is told.
        let claim = json!({ "apiVersion": "v1", "kind": "PersistentVolumeClaim", "name": "data" });
        let spec = json!({ "accessModes": ["ReadWriteOnce"], "storageClassName": "none", "resources": { "requests": { "storage": "1Gi" } } });
        let object = json!({ "apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": { "name": "data" }, "spec": spec });
        story.apply(&object.to_string()).await?;
        story.release("claims", "memo", "1.0.0", on(&claim)).await?;
        waits(story, "claims", &["PersistentVolumeClaim \"data\"", "is not ready: PVC is not Bound"]).await?;
        let mut only = claim.clone();
        (only["readyExpr"], only["readyOnlyExpr"]) = (json!("dep.spec.storageClassName == 'none'"), json!(true));
        story.patch("claims", json!({ "spec": on(&only) })).await?;
        story.ready("claims").await?;
        let widget = json!({ "apiVersion": "depends.example.com/v1", "kind": "Widget", "name": "w" });
        story.release("widgets", "memo", "1.0.0", on(&widget)).await?;
        waits(story, "widgets", &["the cluster serves no kind \"Widget\" in \"depends.example.com/v1\""]).await?;
        ensure!(story.history("widgets").await.is_err(), "it was installed");
        Ok(())
    })
}

#[test]
fn an_expression_speaks_of_both_releases() -> Result<()> {
    story("depends-expression", async |story| {
        stage(story).await?;
        let same = json!({ "name": "backend", "readyExpr": "dep.spec.chart.version == self.spec.chart.version" });
        story.release("backend", "memo", "1.0.0", json!({})).await?;
        story.release("front", "memo", "1.1.0", on(&same)).await?;
        waits(story, "front", &["spec.dependsOn[0].readyExpr is not true of HelmRelease \"backend\""]).await?;
        story.patch("backend", json!({ "spec": { "chart": { "version": "1.1.0" } } })).await?;
        story.ready("front").await?;

        // It is asked for beside the readiness, unless it is to say all of it.
        story.patch("backend", json!({ "spec": { "chart": { "version": "7.0.0" } } })).await?;
        story.failed("backend", Reason::TagNotFound).await?;
        let mut spec = on(&json!({ "name": "backend", "readyExpr": "dep.status.helmRelease.revision == 2" }));
        spec["values"] = json!({ "greeting": "hi" });
        story.patch("front", json!({ "spec": spec })).await?;
        waits(story, "front", &["/backend is not ready"]).await?;
        spec["dependsOn"][0]["readyOnlyExpr"] = json!(true);
        story.patch("front", json!({ "spec": spec })).await?;
        story.ready("front").await?;
        ensure!(story.history("front").await? == "1 superseded, 2 deployed", "{}", story.history("front").await?);

        let wrong = on(&json!({ "name": "backend", "readyExpr": "status.phase == 'Ready'" }));
        story.release("wrong", "memo", "1.0.0", wrong).await?;
        let words = ["spec.dependsOn[0].readyExpr is no expression in CEL", "status is none of self, dep"];
        story.refused("wrong", Reason::ConfigurationError, &words).await.map(drop)
    })
}

#[test]
fn a_dependency_is_read_as_the_service_account_of_the_release() -> Result<()> {
    story("depends-account", async |story| {
        stage(story).await?;
        account(story, "deployer", &["configmaps"]).await?;
        let mut spec = on(&json!({ "apiVersion": "v1", "kind": "Secret", "name": "token" }));
        spec["serviceAccountName"] = json!("deployer");
        story.release("memo", "memo", "1.0.0", spec).await?;
        story.refused("memo", Reason::Forbidden, &["spec.dependsOn[0]", "no permission to get secrets"]).await?;
        settings(story, "yes").await?;
        story
            .patch(
                "memo",
                json!({ "spec": on(&json!({ "apiVersion": "v1", "kind": "ConfigMap", "name": "settings" })) }),
            )
            .await?;
        story.ready("memo").await.map(drop)
    })
}

#[test]
fn an_object_of_another_namespace_is_out_of_reach_where_that_is_forbidden() -> Result<()> {
    alone(
        "depends-elsewhere",
        async |_, setup| Ok(setup.argument("--no-cross-namespace-refs")),
        async |story| {
            stage(story).await?;
            let map = |namespace: &str| json!({ "apiVersion": "v1", "kind": "ConfigMap", "name": "settings", "namespace": namespace });
            story.release("memo", "memo", "1.0.0", on(&map("kube-system"))).await?;
            let words = [
                "spec.dependsOn[0]",
                "ConfigMap \"settings\" in namespace \"kube-system\"",
                "--no-cross-namespace-refs",
            ];
            story.refused("memo", Reason::AccessDenied, &words).await?;
            let release =
                json!({ "name": "other", "namespace": "kube-system", "readyExpr": "true", "readyOnlyExpr": true });
            story.patch("memo", json!({ "spec": on(&release) })).await?;
            story.refused("memo", Reason::AccessDenied, &["kube-system/other"]).await?;
            settings(story, "yes").await?;
            story.patch("memo", json!({ "spec": on(&map(&story.namespace)) })).await?;
            story.ready("memo").await.map(drop)
        },
    )
}

#[test]
fn what_others_depend_on_goes_after_them_where_that_is_declared() -> Result<()> {
    story("depends-removal", async |story| {
        stage(story).await?;
        let wait = json!({ "uninstall": { "dependents": "Wait" } });
        story.release("database", "memo", "1.0.0", wait.clone()).await?;
        for name in ["web", "jobs"] {
            story.release(name, "memo", "1.0.0", needs(&["database"])).await?;
            story.ready(name).await?;
        }
        // Whoever may declare releases elsewhere does not hold it.
        let elsewhere = format!("{}-b", story.namespace);
        story.kubectl.run(&["create", "namespace", &elsewhere]).await?;
        let stranger = json!({
            "apiVersion": "helm-operator.ketches.cn/v1alpha1",
            "kind": "HelmRelease",
            "metadata": { "name": "stranger" },
            "spec": {
                "chart": { "name": "nothing", "version": "1.0.0", "repositoryURL": "oci://127.0.0.1:1/nowhere" },
                "dependsOn": [{ "name": "database", "namespace": story.namespace }],
            },
        });
        story.kubectl.apply(&elsewhere, &stranger.to_string()).await?;
        story.releases().delete("database", &DeleteParams::default()).await?;
        let waits = |words: &'static [&str]| {
            let releases = story.releases();
            async move {
                eventually::object(&releases, "database", SOON, |release| {
                    status::failed(release, Reason::DependentsRemain)?;
                    let message = status::message(release);
                    ensure!(words.iter().all(|word| message.contains(word)), "{message}");
                    Ok(())
                })
                .await
            }
        };
        waits(&["of its namespace depend on it: jobs, web. ", "spec.uninstall.dependents is Wait"]).await?;
        story.delete("web").await?;
        waits(&["depend on it: jobs."]).await?;
        ensure!(story.history("database").await? == "1 deployed", "it was uninstalled");
        story.patch("jobs", needs_nothing()).await?;
        eventually::gone(&story.releases(), "database", SOON).await?;
        story.kubectl.run(&["delete", "helmrelease", "stranger", "--namespace", &elsewhere]).await?;
        story.kubectl.run(&["delete", "namespace", &elsewhere, "--wait=false"]).await?;

        // Two that depend on each other wait for ever for nothing.
        for (name, other) in [("a", "b"), ("b", "a")] {
            let mut spec = needs(&[other]);
            spec["uninstall"] = wait["uninstall"].clone();
            story.release(name, "memo", "1.0.0", spec).await?;
            story.failed(name, Reason::DependencyNotReady).await?;
        }
        for name in ["a", "b"] {
            story.delete(name).await?;
        }
        Ok(())
    })
}
