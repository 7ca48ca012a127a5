//! Releases in other clusters by tokens of a service account of this one, which the `ConfigMap` of `spec.kubeConfig` names: nothing
//! secret is kept anywhere.

use anyhow::{Context as _, Result, ensure};
use e2e::apiserver::{ControlPlane, ISSUER, kubeconfig};
use e2e::kubectl::Kubectl;
use e2e::status;
use e2e::story::{Story, alone, as_it_is};
use helm_operator::api::Reason;
use k8s_openapi::api::core::v1::{ConfigMap, ServiceAccount};
use kube::api::{Api, DeleteParams};
use kube::config::KubeConfigOptions;
use kube::{Client, Config};
use serde_json::{Value, json};

use crate::remote_clusters::{Remote, here, prepare};

/// Whom the tokens are meant for, where that is not the address.
const AUDIENCE: &str = "https://prod.example";

fn named() -> Value {
    json!({ "kubeConfig": { "configMapRef": { "name": "prod" } } })
}

/// Sets the `ConfigMap` to lead to `plane`, but for `changes`.
async fn set(story: &Story<'_>, plane: &ControlPlane, changes: Value) -> Result<()> {
    let mut data = json!({
        "provider": "generic", "address": plane.url()?, "ca.crt": plane.authority()?,
        "audiences": AUDIENCE, "serviceAccountName": "deployer",
    });
    for (key, value) in changes.as_object().context("a map")? {
        data[key] = value.clone();
    }
    let map = json!({ "apiVersion": "v1", "kind": "ConfigMap", "metadata": { "name": "prod" }, "data": data });
    story.apply(&map.to_string()).await
}

async fn grant(kubectl: &Kubectl, user: &str) -> Result<()> {
    let all = ["create", "clusterrolebinding", "deployer", "--clusterrole=cluster-admin"];
    kubectl.run(&[&all[..], &["--user", user]].concat()).await.map(drop)
}

#[test]
fn a_release_is_in_a_cluster_that_trusts_a_service_account_of_this_one() -> Result<()> {
    alone("remote-tokens", as_it_is, async |story| {
        let plane = ControlPlane::trusting(&story.stage.plane, AUDIENCE).await?;
        let remote = Remote::of(&plane, story).await?;
        prepare(story).await?;
        story.release("memo", "memo", "1.0.0", named()).await?;
        let map = format!("ConfigMap {}/prod", story.namespace);
        story.refused("memo", Reason::ConfigMapNotFound, &[&map, "create it"]).await?;
        for (changes, words) in [
            (json!({ "provider": "aws" }), ["not supported", "spec.kubeConfig.secretRef"]),
            (json!({ "serviceAccountName": "" }), ["has no serviceAccountName", "a service account of its namespace"]),
            (json!({ "address": "https://admin@127.0.0.1" }), ["user name", "address"]),
            (json!({ "address": "http://127.0.0.1" }), ["no https://", "--insecure-kubeconfig-tls"]),
        ] {
            set(story, &plane, changes).await?;
            story
                .eventually(words[0], async || {
                    let refused = story.releases().get("memo").await?;
                    status::failed(&refused, Reason::ConfigMapInvalid)?;
                    let message = status::message(&refused);
                    ensure!(message.contains(&map) && words.iter().all(|word| message.contains(word)), "{message}");
                    Ok(())
                })
                .await?;
        }
        set(story, &plane, json!({})).await?;
        let account = format!("{}/deployer", story.namespace);
        story.refused("memo", Reason::ServiceAccountNotFound, &[&account, &map]).await?;
        story.kubectl.run(&["create", "serviceaccount", "deployer", "--namespace", &story.namespace]).await?;
        let words = ["the service account", "list and watch Secrets"];
        story.refused("memo", Reason::Forbidden, &words).await?;
        let there = Kubectl::new(plane.kubeconfig()).await?;
        grant(&there, &ControlPlane::known_as(&story.namespace, "deployer")).await?;
        let told = story.ready("memo").await?.status.context("a status")?;
        ensure!(told.kube_configs == ["ConfigMap/prod"], "{:?}", told.kube_configs);
        ensure!(told.helm_release.and_then(|state| state.kube_config).as_deref() == Some("ConfigMap/prod"));
        ensure!(remote.map("memo-config").await?.is_some() && !here(story, "memo-config").await?);

        // Tokens that are meant for somebody else are rejected there.
        set(story, &plane, json!({ "audiences": "https://other.example" })).await?;
        story.refused("memo", Reason::ClusterCredentialsRejected, &["401", "https://other.example", &account]).await?;
        set(story, &plane, json!({})).await?;
        story.patch("memo", json!({ "spec": { "chart": { "version": "1.1.0" } } })).await?;
        story.ready("memo").await?;
        ensure!(remote.history("memo").await? == "1 superseded, 2 deployed", "{}", remote.history("memo").await?);

        // A release that leaves the cluster is uninstalled there.
        story.patch("memo", json!({ "spec": { "kubeConfig": null } })).await?;
        let told = story.ready("memo").await?.status.context("a status")?;
        ensure!(told.kube_configs.is_empty() && here(story, "memo-config").await?, "{:?}", told.kube_configs);
        ensure!(remote.map("memo-config").await?.is_none() && remote.records().await? == 0, "something is left there");
        story.delete("memo").await?;

        // What is deleted with its ConfigMap is uninstalled for as long as the operator has the connection.
        story.release("later", "memo", "1.0.0", named()).await?;
        story.ready("later").await?;
        story.objects::<ConfigMap>().delete("prod", &DeleteParams::default()).await?;
        story.refused("later", Reason::ConfigMapNotFound, &[&map]).await?;
        story.delete("later").await?;
        ensure!(remote.map("later-config").await?.is_none() && remote.records().await? == 0, "something is left there");
        Ok(())
    })
}

#[test]
fn a_service_account_that_is_made_anew_gets_tokens_anew() -> Result<()> {
    alone("remote-anew", as_it_is, async |story| {
        // This cluster as another one: it asks whether the account is the one to whom the token was issued.
        let plane = &story.stage.plane;
        prepare(story).await?;
        set(story, plane, json!({ "audiences": ISSUER })).await?;
        let accounts: Api<ServiceAccount> = story.objects();
        let create = ["create", "serviceaccount", "deployer", "--namespace", &story.namespace];
        story.kubectl.run(&create).await?;
        grant(&story.kubectl, &format!("system:serviceaccount:{}:deployer", story.namespace)).await?;
        story.release("memo", "memo", "1.0.0", named()).await?;
        story.ready("memo").await?;

        // For a few seconds the API server takes a token that it has seen: this one as the operator's.
        let audience = ["create", "token", "deployer", "--audience", ISSUER, "--namespace", &story.namespace];
        let token = story.kubectl.run(&audience).await?;
        let mut config: Value = serde_json::from_str(&kubeconfig(plane.url()?, Some(plane.authority()?), None))?;
        config["users"][0]["user"]["token"] = json!(token.trim());
        let chosen = KubeConfigOptions::default();
        let config = Config::from_custom_kubeconfig(serde_json::from_value(config)?, &chosen).await?;
        let client = Client::try_from(config)?;
        client.apiserver_version().await?;
        accounts.delete("deployer", &DeleteParams::default()).await?;
        story
            .eventually("the token is rejected", async || {
                ensure!(client.apiserver_version().await.is_err(), "it is taken");
                Ok(())
            })
            .await?;
        story.patch("memo", json!({ "spec": { "chart": { "version": "1.1.0" } } })).await?;
        let account = format!("{}/deployer", story.namespace);
        story.refused("memo", Reason::ServiceAccountNotFound, &[&account, "create it"]).await?;
        story.kubectl.run(&create).await?;
        let told = story.ready("memo").await?.status.context("a status")?;
        ensure!(told.last_applied_revision.as_deref() == Some("1.1.0"), "{:?}", told.last_applied_revision);
        story.delete("memo").await
    })
}
