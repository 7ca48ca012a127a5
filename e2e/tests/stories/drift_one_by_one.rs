//! Objects that are put back one by one: what cannot be holds up nothing else, and a namespace comes before what is in it.

use anyhow::{Result, ensure};
use e2e::charts::Chart;
use e2e::status::Conditioned as _;
use e2e::story::{SOON, Story, alone, as_it_is, story};
use e2e::{eventually, status};
use helm_operator::api::{HelmRelease, REQUESTED_AT, Reason};
use k8s_openapi::api::core::v1::{ConfigMap, Namespace, ResourceQuota, Service};
use k8s_openapi::api::events::v1::Event;
use kube::api::{DeleteParams, ListParams};
use kube::{Api, ResourceExt as _};
use serde_json::json;

const OBJECTS: &str = "apiVersion: v1
kind: ConfigMap
metadata:
  name: {{ .Release.Name }}
---
apiVersion: v1
kind: Service
metadata:
  name: {{ .Release.Name }}
spec:
  ports: [{port: 80}]
";

const INNER: &str = "apiVersion: v1
kind: Namespace
metadata:
  name: {{ .Release.Namespace }}-inner
---
apiVersion: v1
kind: ConfigMap
metadata:
  name: {{ .Release.Name }}
  namespace: {{ .Release.Namespace }}-inner
";

async fn deployed(story: &Story<'_>, objects: &str) -> Result<()> {
    story.push(&Chart::new("app", "1.0.0").file("templates/all.yaml", objects)).await?;
    story.open_repository().await?;
    story.release("app", "app", "1.0.0", json!({})).await?;
    story.ready("app").await.map(drop)
}

/// Waits until the API server takes `ConfigMap`s, or does not: a quota is in force, or gone, a moment after it is stored.
async fn takes_maps(story: &Story<'_>, expected: bool) -> Result<()> {
    let probe = ["create", "configmap", "probe", "--dry-run=server", "--namespace", &story.namespace];
    story
        .eventually("the quota is in force, or gone", async || {
            let taken = story.kubectl.run(&probe).await.is_ok();
            ensure!(taken == expected, "ConfigMaps are taken: {taken}");
            Ok(())
        })
        .await
}

#[test]
fn what_cannot_be_made_anew_holds_up_nothing_else_and_is_tried_again() -> Result<()> {
    story("drift-refused", async |story| {
        deployed(story, OBJECTS).await?;
        let quota = json!({
            "apiVersion": "v1", "kind": "ResourceQuota", "metadata": { "name": "no-maps" },
            "spec": { "hard": { "count/configmaps": "0" } },
        });
        story.apply(&quota.to_string()).await?;
        takes_maps(story, false).await?;
        let (maps, services) = (story.objects::<ConfigMap>(), story.objects::<Service>());
        let before = services.get("app").await?.uid();
        // The map is the first of the two in Helm's order.
        maps.delete("app", &DeleteParams::default()).await?;
        services.delete("app", &DeleteParams::default()).await?;
        eventually::object(&services, "app", SOON, |service| {
            ensure!(service.uid() != before, "it is the old one");
            Ok(())
        })
        .await?;
        story.event("app", Reason::DriftCorrectionFailed, "no-maps").await?;
        ensure!(maps.get_opt("app").await?.is_none(), "the quota lets it through: the story is void");

        story.objects::<ResourceQuota>().delete("no-maps", &DeleteParams::default()).await?;
        takes_maps(story, true).await?;
        // Tried again in a minute, or when somebody asks.
        story.patch("app", json!({ "metadata": { "annotations": { REQUESTED_AT: "now" } } })).await?;
        eventually::object(&maps, "app", SOON, |_| Ok(())).await?;
        ensure!(story.history("app").await? == "1 deployed", "a revision was made");
        Ok(())
    })
}

#[test]
fn a_namespace_is_made_anew_before_what_is_in_it() -> Result<()> {
    alone("drift-namespace", as_it_is, async |story| {
        deployed(story, INNER).await?;
        let inner = format!("{}-inner", story.namespace);
        let namespaces: Api<Namespace> = Api::all(story.client.clone());
        story.stage.operator().await.kill().await?;
        namespaces.delete(&inner, &DeleteParams::default()).await?;
        eventually::gone(&namespaces, &inner, SOON).await?;
        story.stage.operator().await.start().await?;
        let maps: Api<ConfigMap> = Api::namespaced(story.client.clone(), &inner);
        eventually::object(&maps, "app", SOON, |_| Ok(())).await?;
        story.ready("app").await?;
        ensure!(story.history("app").await? == "1 deployed", "a revision was made");
        // In one go: what fails is told.
        let told = ListParams::default().fields(&format!("reason={}", Reason::DriftCorrectionFailed));
        let told = story.objects::<Event>().list(&told).await?.items;
        ensure!(told.is_empty(), "{told:?}");
        Ok(())
    })
}

const DEFINITION: &str = "apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: gauges.unserved.example.com}
spec:
  group: unserved.example.com
  scope: Namespaced
  names: {kind: Gauge, plural: gauges, singular: gauge}
  versions:
  - {name: v1, served: true, storage: true, schema: {openAPIV3Schema: {type: object}}}
";

const GAUGE: &str = "apiVersion: unserved.example.com/v1
kind: Gauge
metadata:
  name: {{ .Release.Name }}
---
apiVersion: v1
kind: ConfigMap
metadata:
  name: {{ .Release.Name }}
";

#[test]
fn what_is_not_served_is_told_and_looked_after_once_it_is() -> Result<()> {
    alone("drift-unserved", as_it_is, async |story| {
        story.apply(DEFINITION).await?;
        deployed(story, GAUGE).await?;
        let gauges = ["get", "gauges", "app", "--namespace", &story.namespace];
        story.kubectl.run(&gauges).await?;
        story.stage.operator().await.kill().await?;
        story.kubectl.run(&["delete", "customresourcedefinition", "gauges.unserved.example.com"]).await?;
        story.stage.operator().await.start().await?;
        let unknown = |release: &HelmRelease| {
            status::has(release, "Healthy", "Unknown", Reason::NotWatched)?;
            status::ready(release)
        };
        let release = eventually::object(&story.releases(), "app", SOON, unknown).await?;
        let told = release.conditions().iter().find(|it| it.type_ == "Healthy").map(|it| it.message.as_str());
        ensure!(told.is_some_and(|told| told.contains("Gauge") && !told.contains("ConfigMap")), "{told:?}");

        story.apply(DEFINITION).await?;
        // Asked for again after a minute.
        let healthy = |release: &HelmRelease| status::has(release, "Healthy", "True", Reason::HealthCheckSucceeded);
        eventually::object(&story.releases(), "app", SOON * 3, healthy).await?;
        story.kubectl.run(&gauges).await?;
        ensure!(story.history("app").await? == "1 deployed", "a revision was made");
        Ok(())
    })
}
