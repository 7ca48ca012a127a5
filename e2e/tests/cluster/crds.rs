//! What comes before a release's objects: namespaces, CRDs, and looking things up while rendering.

use anyhow::{Context, Result, ensure};
use helm::engine::Lookup;
use helm_operator::cluster::{Change, Source};
use serde_json::{Value, json};

use crate::{Ground, LONG, config_map};

fn crd(group: &str, description: &str) -> Value {
    json!({
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": { "name": format!("gadgets.{group}") },
        "spec": {
            "group": group,
            "scope": "Namespaced",
            "names": { "kind": "Gadget", "plural": "gadgets", "singular": "gadget" },
            "versions": [{
                "name": "v1", "served": true, "storage": true,
                "schema": { "openAPIV3Schema": {
                    "type": "object", "description": description,
                    "properties": { "spec": { "type": "object", "x-kubernetes-preserve-unknown-fields": true } },
                } },
            }],
        },
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn objects_of_a_new_crd_can_be_applied_at_once_and_an_existing_crd_is_left() -> Result<()> {
    let ground = Ground::new("crds").await?;
    let text = crd("crds.example.com", "first").to_string();
    let created = ground.cluster.install_crds(&[Source { origin: "crds/gadget.yaml", text: &text }], LONG).await?;
    ensure!(created == 1, "{created}");
    let gadget = json!({
        "apiVersion": "crds.example.com/v1", "kind": "Gadget", "metadata": { "name": "g" }, "spec": { "size": 1 },
    });
    let objects = ground.objects(&[gadget]).await?;
    ground.cluster.apply(&objects, &ground.apply_options("shop")).await?;
    let capabilities = ground.cluster.capabilities().await?;
    ensure!(capabilities.api_versions.iter().any(|known| known == "crds.example.com/v1/Gadget"), "not seen");

    let text = crd("crds.example.com", "second").to_string();
    let created = ground.cluster.install_crds(&[Source { origin: "crds/gadget.yaml", text: &text }], LONG).await?;
    ensure!(created == 0, "{created}");
    let crds: kube::Api<k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition> =
        kube::Api::all(ground.client.clone());
    let live = serde_json::to_value(crds.get("gadgets.crds.example.com").await?)?;
    let description = &live["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["description"];
    ensure!(description == "first", "{description}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kind_that_appears_later_is_found_without_being_told() -> Result<()> {
    let ground = Ground::new("crds-later").await?;
    ground.cluster.capabilities().await?;
    let other = Ground::new("crds-later-by-another").await?;
    let text = crd("later.example.com", "").to_string();
    other.cluster.install_crds(&[Source { origin: "crds/gadget.yaml", text: &text }], LONG).await?;
    let gadget = json!({ "apiVersion": "later.example.com/v1", "kind": "Gadget", "metadata": { "name": "g" } });
    e2e::eventually::eventually("the kind is found", LONG, || ground.objects(std::slice::from_ref(&gadget))).await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_namespace_is_made_once() -> Result<()> {
    let ground = Ground::new("namespaces").await?;
    ensure!(ground.cluster.ensure_namespace("namespaces-made").await? == Change::Created, "not created");
    ensure!(ground.cluster.ensure_namespace("namespaces-made").await? == Change::Unchanged, "touched");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn lookup_finds_one_all_or_nothing() -> Result<()> {
    let ground = Ground::new("lookup").await?;
    let objects = ground.objects(&[config_map("a", json!({ "k": "v" })), config_map("b", json!({}))]).await?;
    ground.cluster.apply(&objects, &ground.apply_options("shop")).await?;
    let lookup = ground.cluster.lookup(tokio::runtime::Handle::current());
    tokio::task::spawn_blocking(move || {
        let one = lookup.lookup("v1", "ConfigMap", "lookup", "a")?;
        ensure!(one["data"]["k"] == "v" && one["kind"] == "ConfigMap", "{one}");
        let nothing = lookup.lookup("v1", "ConfigMap", "lookup", "none")?;
        ensure!(nothing == json!({}), "{nothing}");
        let all = lookup.lookup("v1", "ConfigMap", "lookup", "")?;
        let items = all["items"].as_array().context("items")?;
        ensure!(all["kind"] == "ConfigMapList" && items.len() >= 2, "{all}");
        ensure!(lookup.lookup("v1", "Namespace", "", "lookup")?["kind"] == "Namespace", "cluster-scoped");
        ensure!(lookup.lookup("example.com/v9", "Gadget", "", "").is_err(), "an unknown kind");
        Ok(())
    })
    .await?
}
