//! Defaults for the releases of a namespace, and for those of the cluster: the nearest counts, and where each comes from is told.

use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use e2e::operator::binary;
use e2e::story::{Story, alone, as_it_is, story};
use e2e::{charts, eventually, status, story as stories};
use helm_operator::api::{ClusterHelmReleaseDefaults, HelmReleaseDefaults, Reason};
use k8s_openapi::api::core::v1::ConfigMap;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::{Api, DeleteParams, Patch, PatchParams};
use serde_json::{Value, json};

#[expect(clippy::needless_pass_by_value, reason = "it is called with what was just written down")]
fn defaults(kind: &str, name: &str, spec: Value) -> String {
    json!({ "apiVersion": "helm-operator.ketches.cn/v1alpha1", "kind": kind, "metadata": { "name": name }, "spec": spec })
        .to_string()
}

#[expect(clippy::needless_pass_by_value, reason = "it is called with what was just written down")]
fn labels(labels: Value) -> Value {
    json!({ "commonMetadata": { "labels": labels } })
}

/// Waits until the object of a note has these labels, and none of the others.
async fn labelled(story: &Story<'_>, namespace: &str, release: &str, expected: &[(&str, Option<&str>)]) -> Result<()> {
    let maps = Api::<ConfigMap>::namespaced(story.client.clone(), namespace);
    story
        .eventually(&format!("{release} is labelled {expected:?}"), async || {
            let labels = maps.get(&format!("{release}-config")).await?.metadata.labels.unwrap_or_default();
            for (key, value) in expected {
                ensure!(labels.get(*key).map(String::as_str) == *value, "the labels are {labels:?}");
            }
            Ok(())
        })
        .await
}

/// Waits until a release tells these defaults: each kind with its fields.
async fn tells(story: &Story<'_>, release: &str, expected: &[(&str, &[&str])]) -> Result<()> {
    story
        .eventually(&format!("{release} tells {expected:?}"), async || {
            let told = story.releases().get(release).await?.status.context("a status")?.defaults;
            let told: Vec<(&str, Vec<&str>)> = told
                .iter()
                .map(|taken| (taken.kind.as_str(), taken.fields.iter().map(String::as_str).collect()))
                .collect();
            let expected: Vec<(&str, Vec<&str>)> =
                expected.iter().map(|(kind, fields)| (*kind, fields.to_vec())).collect();
            ensure!(told == expected, "it tells {told:?}");
            Ok(())
        })
        .await
}

async fn notes(story: &Story<'_>) -> Result<()> {
    story.push(&charts::note("memo", "1.0.0")).await?;
    story.open_repository().await
}

/// What the command prints of a release.
async fn effective(story: &Story<'_>, release: &str) -> Result<String> {
    let mut command = Command::new(binary().await?);
    command.args(["effective", release, "--namespace", &story.namespace, "--kubeconfig"]);
    command.arg(story.stage.plane.kubeconfig());
    let output = tokio::task::spawn_blocking(move || command.output()).await??;
    let (said, failed) = (String::from_utf8(output.stdout)?, String::from_utf8_lossy(&output.stderr).into_owned());
    ensure!(output.status.success(), "effective ends with {}: {failed}", output.status);
    Ok(said)
}

#[test]
fn a_namespace_has_defaults_and_a_release_has_the_last_word() -> Result<()> {
    story("defaults", async |story| {
        notes(story).await?;
        let mut given = labels(json!({ "team": "shop" }));
        given["timeout"] = json!("3m");
        given["maxHistory"] = json!(2);
        story.apply(&defaults("HelmReleaseDefaults", "default", given)).await?;
        let mut own = labels(json!({ "team": "own" }));
        own["timeout"] = json!("1m");
        story.release("memo", "memo", "1.0.0", json!({})).await?;
        story.release("own", "memo", "1.0.0", own).await?;
        story.ready("memo").await?;
        story.ready("own").await?;
        let namespace = story.namespace.as_str();
        labelled(story, namespace, "memo", &[("team", Some("shop"))]).await?;
        labelled(story, namespace, "own", &[("team", Some("own"))]).await?;
        tells(story, "memo", &[("HelmReleaseDefaults", &["timeout", "maxHistory", "commonMetadata.labels.team"])])
            .await?;
        tells(story, "own", &[("HelmReleaseDefaults", &["maxHistory"])]).await?;
        let said = effective(story, "memo").await?;
        for line in
            ["# spec.timeout: from HelmReleaseDefaults default", "  timeout: 3m", "  maxHistory: 2", "      team: shop"]
        {
            ensure!(said.lines().any(|known| known == line), "{line:?} is not in\n{said}");
        }
        ensure!(effective(story, "own").await?.contains("  timeout: 1m\n"), "the release's own timeout");

        // What changes what is rendered upgrades; a release that says it itself, and a mere limit, do not.
        let kind = story.objects::<HelmReleaseDefaults>();
        for team in ["web", "mail"] {
            let patch = json!({ "spec": { "timeout": "4m", "commonMetadata": { "labels": { "team": team } } } });
            kind.patch("default", &PatchParams::default(), &Patch::Merge(patch)).await?;
            labelled(story, namespace, "memo", &[("team", Some(team))]).await?;
            story.ready("memo").await?;
        }
        let history = story.history("memo").await?;
        ensure!(history == "2 superseded, 3 deployed", "maxHistory is 2: {history}");
        ensure!(story.history("own").await? == "1 deployed", "a release that says it itself was upgraded");

        let refused = story.apply(&defaults("HelmReleaseDefaults", "others", json!({}))).await;
        let words = format!("{:#}", refused.err().context("another name is taken")?);
        ensure!(words.contains("the name of a HelmReleaseDefaults must be \"default\""), "{words}");

        kind.delete("default", &DeleteParams::default()).await?;
        labelled(story, namespace, "memo", &[("team", None)]).await?;
        tells(story, "memo", &[]).await?;
        story.ready("memo").await.map(drop)
    })
}

#[test]
fn what_the_cluster_says_reaches_all_that_say_nothing_nearer() -> Result<()> {
    alone("cluster-defaults", as_it_is, async |story| {
        notes(story).await?;
        let other = format!("{}-other", story.namespace);
        story.kubectl.run(&["create", "namespace", &other]).await?;
        story
            .apply(&defaults("ClusterHelmReleaseDefaults", "default", labels(json!({ "team": "all", "zone": "a" }))))
            .await?;
        story.apply(&defaults("HelmReleaseDefaults", "default", labels(json!({ "team": "shop" })))).await?;
        story.release("near", "memo", "1.0.0", json!({})).await?;
        let far = json!({
            "apiVersion": "helm-operator.ketches.cn/v1alpha1",
            "kind": "HelmRelease",
            "metadata": { "name": "far" },
            "spec": { "chart": { "name": "memo", "version": "1.0.0", "repositoryURL": story.charts_url().await? } },
        });
        story.kubectl.apply(&other, &stories::repository("charts", &story.charts_url().await?)).await?;
        story.kubectl.apply(&other, &far.to_string()).await?;
        story.ready("near").await?;
        labelled(story, &story.namespace, "near", &[("team", Some("shop")), ("zone", Some("a"))]).await?;
        labelled(story, &other, "far", &[("team", Some("all")), ("zone", Some("a"))]).await?;
        let near = ("HelmReleaseDefaults", &["commonMetadata.labels.team"][..]);
        tells(story, "near", &[near, ("ClusterHelmReleaseDefaults", &["commonMetadata.labels.zone"])]).await?;

        // A restart begins with the defaults known: nothing is rendered without them.
        story.stage.operator().await.kill().await?;
        story.stage.operator().await.start().await?;
        let asked = json!({ "metadata": { "annotations": { "helm-operator.ketches.cn/requestedAt": "now" } } });
        story.patch("near", asked).await?;
        story
            .eventually("the request is answered", async || {
                let status = story.releases().get("near").await?.status.context("a status")?;
                ensure!(status.last_handled_reconcile_at.as_deref() == Some("now"), "not yet");
                Ok(())
            })
            .await?;
        ensure!(story.history("near").await? == "1 deployed", "a restart made a revision");

        let kind = Api::<ClusterHelmReleaseDefaults>::all(story.client.clone());
        kind.delete("default", &DeleteParams::default()).await?;
        labelled(story, &story.namespace, "near", &[("team", Some("shop")), ("zone", None)]).await?;
        labelled(story, &other, "far", &[("team", None), ("zone", None)]).await?;
        tells(story, "near", &[near]).await?;
        unreadable(story).await
    })
}

/// What somebody changed stays changed until the defaults say that it is undone.
#[test]
fn drift_that_is_told_is_undone_once_the_defaults_say_so() -> Result<()> {
    story("defaults-drift", async |story| {
        notes(story).await?;
        story.release("memo", "memo", "1.0.0", json!({})).await?;
        story.ready("memo").await?;
        let maps = story.objects::<ConfigMap>();
        let changed = json!({ "data": { "greeting": "changed" } });
        maps.patch("memo-config", &PatchParams::default(), &Patch::Merge(changed)).await?;
        eventually::object(&story.releases(), "memo", stories::SOON, |release| {
            status::has(release, "Drifted", "True", Reason::DriftDetected)
        })
        .await?;
        let given = json!({ "driftDetection": { "mode": "enabled" } });
        story.apply(&defaults("HelmReleaseDefaults", "default", given)).await?;
        story
            .eventually("the change is undone", async || {
                let data = maps.get("memo-config").await?.data.unwrap_or_default();
                ensure!(data.get("greeting").map(String::as_str) == Some("hello"), "it says {data:?}");
                Ok(())
            })
            .await?;
        eventually::object(&story.releases(), "memo", stories::SOON, |release| {
            status::has(release, "Drifted", "False", Reason::NoDriftDetected)
        })
        .await?;
        ensure!(story.history("memo").await? == "1 deployed", "it was no revision");
        Ok(())
    })
}

/// Waits until `kubectl describe` of the namespace's defaults says these words.
async fn told(story: &Story<'_>, words: &[&str]) -> Result<()> {
    story
        .eventually("the defaults tell what is wrong with them", async || {
            let said =
                story.kubectl.run(&["describe", "helmreleasedefaults", "default", "-n", &story.namespace]).await?;
            ensure!(words.iter().all(|word| said.contains(word)), "they say {said}");
            Ok(())
        })
        .await
}

/// Defaults that cannot be used hold what they reach, and nothing else: neither its removal, nor other namespaces.
async fn unreadable(story: &Story<'_>) -> Result<()> {
    story.release("leaving", "memo", "1.0.0", json!({})).await?;
    story.ready("leaving").await?;
    let before = story.history("near").await?;
    let definitions = Api::<CustomResourceDefinition>::all(story.client.clone());
    let open = json!([{ "op": "replace", "path": "/spec/versions/0/schema/openAPIV3Schema/properties/spec",
        "value": { "type": "object", "x-kubernetes-preserve-unknown-fields": true } }]);
    let open: Patch<CustomResourceDefinition> = Patch::Json(serde_json::from_value(open)?);
    let name = "helmreleasedefaults.helm-operator.ketches.cn";
    definitions.patch(name, &PatchParams::default(), &open).await?;
    story
        .eventually("a wrong timeout is taken", async || {
            story.apply(&defaults("HelmReleaseDefaults", "default", json!({ "timeout": "soon" }))).await
        })
        .await?;
    let words = ["HelmReleaseDefaults \"default\" of namespace", "soon", "left as they are"];
    story.refused("near", Reason::DefaultsInvalid, &words).await?;
    story.patch("near", json!({ "spec": { "values": { "greeting": "changed" } } })).await?;
    story.refused("near", Reason::DefaultsInvalid, &words).await?;
    ensure!(story.history("near").await? == before, "a revision was made without its defaults");
    story.delete("leaving").await?;

    // What the API server takes, and no object can have.
    story.apply(&defaults("HelmReleaseDefaults", "default", labels(json!({ "no name": "a" })))).await?;
    story.refused("near", Reason::DefaultsInvalid, &["commonMetadata.labels", "no name"]).await?;
    told(story, &["DefaultsInvalid", "no name"]).await?;
    story.apply(&defaults("HelmReleaseDefaults", "default", labels(json!({ "team": "again" })))).await?;
    story.ready("near").await?;
    labelled(story, &story.namespace, "near", &[("team", Some("again"))]).await?;
    eventually::gone(&story.releases(), "leaving", stories::SOON).await
}

#[test]
fn the_commands_take_a_context_and_tell_what_the_api_server_answered() -> Result<()> {
    story("effective-context", async |story| {
        let ask = async |command: &str, context: &str| {
            let mut asked = Command::new(binary().await?);
            asked.args([command, "nothing", "--namespace", &story.namespace, "--context", context, "--kubeconfig"]);
            asked.arg(story.stage.plane.kubeconfig());
            let output = tokio::task::spawn_blocking(move || asked.output()).await??;
            ensure!(!output.status.success(), "{command} says that all is well");
            anyhow::Ok(String::from_utf8_lossy(&output.stderr).into_owned())
        };
        let context = story.kubectl.run(&["config", "current-context"]).await?;
        for command in ["effective", "diff"] {
            let told = ask(command, "of-nobody").await?;
            ensure!(told.contains("of-nobody") && told.contains("the kubeconfig"), "{command}: {told}");
            let told = ask(command, context.trim()).await?;
            let words = format!(
                "helm-operator: failed to read HelmRelease {}/nothing: helmreleases.helm-operator.ketches.cn \"nothing\" not found\n",
                story.namespace
            );
            ensure!(told == words, "{command}: {told}");
        }
        Ok(())
    })
}
