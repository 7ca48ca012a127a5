//! An object that cannot be read, left by another version or a loosened schema, stops nobody but itself.

use anyhow::{Result, ensure};
use e2e::charts;
use e2e::story::{Story, alone, as_it_is, install_definitions};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::Api;
use kube::api::{DynamicObject, Patch, PatchParams, PostParams};
use kube::core::{ApiResource, GroupVersionKind};
use serde_json::{Value, json};

#[test]
fn one_broken_release_does_not_stop_the_others() -> Result<()> {
    alone("undecodable", as_it_is, async |story| {
        story.push(&charts::note("memo", "1.0.0")).await?;
        story.open_repository().await?;
        story.release("before", "memo", "1.0.0", json!({})).await?;
        story.ready("before").await?;
        store_unchecked(story, &broken()).await?;
        story.release("after", "memo", "1.0.0", json!({})).await?;
        story.ready("after").await?;

        // The broken one is listed first by a restarted operator.
        story.stage.operator().await.kill().await?;
        story.stage.operator().await.start().await?;
        story.release("afterwards", "memo", "1.0.0", json!({})).await?;
        story.ready("afterwards").await?;
        story.kubectl.run(&["delete", "helmrelease", "a-broken-one", "--namespace", &story.namespace]).await?;
        Ok(())
    })
}

#[test]
fn values_that_nest_too_deep_cost_their_own_release_only() -> Result<()> {
    alone("too-deep", as_it_is, async |story| {
        story.push(&charts::note("memo", "1.0.0")).await?;
        story.open_repository().await?;
        let deep = json!({
            "apiVersion": "helm-operator.ketches.cn/v1alpha1",
            "kind": "HelmRelease",
            "metadata": { "name": "a-deep-one" },
            "spec": { "chart": { "name": "memo", "version": "1.0.0", "repository": { "name": "charts" } }, "values": "DEEP" },
        });
        let values = format!("{{\"a\":{}1{}}}", "[".repeat(300), "]".repeat(300));
        story.apply(&deep.to_string().replace("\"DEEP\"", &values)).await?;
        story.release("after", "memo", "1.0.0", json!({})).await?;
        story.ready("after").await?;
        // Its own status says so, and it is listed first by a restarted operator.
        let ready = r#"jsonpath={.status.conditions[?(@.type=="Ready")].message}"#;
        let look = ["get", "helmrelease", "a-deep-one", "--namespace", &story.namespace, "--output", ready];
        story
            .eventually("the deep one is told", async || {
                let said = story.kubectl.run(&look).await?;
                ensure!(said.contains("recursion limit"), "it says {said:?}");
                Ok(())
            })
            .await?;
        story.stage.operator().await.kill().await?;
        story.stage.operator().await.start().await?;
        story.release("afterwards", "memo", "1.0.0", json!({})).await?;
        story.ready("afterwards").await?;
        story.kubectl.run(&["delete", "helmrelease", "a-deep-one", "--namespace", &story.namespace]).await?;
        Ok(())
    })
}

#[test]
fn durations_from_before_they_had_bounds_stop_nobody() -> Result<()> {
    alone("endless", as_it_is, async |story| {
        story.push(&charts::note("memo", "1.0.0")).await?;
        story.open_repository().await?;
        let spec = json!({
            "chart": { "name": "memo", "version": "1.0.0", "repository": { "name": "charts" } },
            "interval": "3000000000000000h",
            "timeout": "3000000000000000h",
            "upgrade": { "timeout": "0s", "maxHistory": -5 },
        });
        store_unchecked(story, &release("endless", &spec)).await?;
        story.ready("endless").await?;
        story.patch("endless", json!({ "spec": { "values": { "greeting": "changed" } } })).await?;
        story.ready("endless").await?;
        story.delete("endless").await
    })
}

fn release(name: &str, spec: &Value) -> Value {
    json!({
        "apiVersion": "helm-operator.ketches.cn/v1alpha1",
        "kind": "HelmRelease",
        "metadata": { "name": name },
        "spec": spec,
    })
}

fn broken() -> Value {
    release("a-broken-one", &json!({ "chart": ["no", "object"], "interval": {}, "suspend": "perhaps" }))
}

/// Stores an object that the schema would refuse, while the schema is away.
async fn store_unchecked(story: &Story<'_>, object: &Value) -> Result<()> {
    let definitions: Api<CustomResourceDefinition> = Api::all(story.client.clone());
    let anything = json!([{
        "op": "replace",
        "path": "/spec/versions/0/schema/openAPIV3Schema",
        "value": { "type": "object", "x-kubernetes-preserve-unknown-fields": true },
    }]);
    let loosen: Patch<CustomResourceDefinition> = Patch::Json(serde_json::from_value(anything)?);
    definitions.patch("helmreleases.helm-operator.ketches.cn", &PatchParams::default(), &loosen).await?;

    let kind = GroupVersionKind::gvk("helm-operator.ketches.cn", "v1alpha1", "HelmRelease");
    let resource = ApiResource::from_gvk(&kind);
    let releases: Api<DynamicObject> = Api::namespaced_with(story.client.clone(), &story.namespace, &resource);
    let object: DynamicObject = serde_json::from_value(object.clone())?;
    // The API server takes the loosened schema over a moment after it has accepted it.
    story
        .eventually("the loosened schema is in force", async || {
            Ok(releases.create(&PostParams::default(), &object).await?)
        })
        .await?;
    install_definitions(story.client.clone()).await
}
