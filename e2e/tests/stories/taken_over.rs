//! Releases that other operators made go on here, and what ordinary charts leave to others stays theirs.

use anyhow::{Result, ensure};
use e2e::charts::{self, Chart};
use e2e::eventually;
use e2e::process::Scratch;
use e2e::story::{SOON, alone, as_it_is, story};
use helm_operator::api::Reason;
use k8s_openapi::api::core::v1::ConfigMap;
use k8s_openapi::api::rbac::v1::ClusterRole;
use kube::Api;
use kube::api::{Patch, PatchParams, PostParams};
use serde_json::json;

#[test]
fn what_an_operator_with_helm_built_in_set_is_taken_over_with_its_release() -> Result<()> {
    story("former-operator", async |story| {
        story.push(&charts::note("memo", "1.0.0")).await?;
        story.open_repository().await?;
        for manager in ["helm-operator", "helm-controller"] {
            let map = json!({
                "metadata": {
                    "name": format!("{manager}-config"),
                    "labels": { "app.kubernetes.io/managed-by": "Helm" },
                    "annotations": { "meta.helm.sh/release-name": manager, "meta.helm.sh/release-namespace": story.namespace },
                },
                "data": { "greeting": "as it was", "left": "what the chart no longer has" },
            });
            let by = PostParams { field_manager: Some(manager.to_owned()), ..PostParams::default() };
            story.objects::<ConfigMap>().create(&by, &serde_json::from_value(map)?).await?;
            story.release(manager, "memo", "1.0.0", json!({})).await?;
            story.ready(manager).await?;
            let map = story.objects::<ConfigMap>().get(&format!("{manager}-config")).await?;
            let data = map.data.unwrap_or_default();
            ensure!(data.get("greeting").is_some_and(|greeting| greeting == "hello"), "{manager}: {data:?}");
            ensure!(!data.contains_key("left"), "{manager}: what left the chart stayed: {data:?}");
        }
        Ok(())
    })
}

const AGGREGATED: &str = r"apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata:
  name: {{ .Release.Namespace }}
  labels:
    version: {{ .Chart.Version | quote }}
aggregationRule:
  clusterRoleSelectors:
  - matchLabels:
      into: {{ .Release.Namespace }}
rules: []
";

#[test]
fn an_aggregated_role_is_upgraded_though_a_controller_fills_it() -> Result<()> {
    story("aggregated", async |story| {
        for version in ["1.0.0", "1.1.0"] {
            story.push(&Chart::new("roles", version).file("templates/role.yaml", AGGREGATED)).await?;
        }
        story.open_repository().await?;
        story.release("roles", "roles", "1.0.0", json!({})).await?;
        story.ready("roles").await?;
        let roles: Api<ClusterRole> = Api::all(story.client.clone());
        // As the controller does it, whether or not it runs here.
        let filled = json!({
            "apiVersion": "rbac.authorization.k8s.io/v1",
            "kind": "ClusterRole",
            "metadata": { "name": story.namespace },
            "rules": [{ "apiGroups": [""], "resources": ["pods"], "verbs": ["get"] }],
        });
        let by = PatchParams::apply("clusterrole-aggregation-controller").force();
        roles.patch(&story.namespace, &by, &Patch::Apply(filled)).await?;
        story.patch("roles", json!({ "spec": { "chart": { "version": "1.1.0" } } })).await?;
        story.ready("roles").await?;
        eventually::object(&roles, &story.namespace, SOON, |role| {
            let version = role.metadata.labels.as_ref().and_then(|labels| labels.get("version"));
            ensure!(version.is_some_and(|version| version == "1.1.0"), "{:?}", role.metadata.labels);
            Ok(())
        })
        .await?;
        story.delete("roles").await
    })
}

const PLAIN: &str = "apiVersion: v1
kind: ConfigMap
metadata:
  name: {{ .Release.Name }}
  labels: {app: web}
data: {color: red}
";

#[test]
fn the_release_of_another_chart_is_taken_over_only_where_that_is_declared() -> Result<()> {
    story("adopt-chart", async |story| {
        for name in ["web", "other"] {
            story.push(&Chart::new(name, "1.0.0").file("templates/map.yaml", PLAIN)).await?;
        }
        story.open_repository().await?;
        let url = format!("{}/other", story.charts_url().await?);
        story.helm.run(&["install", "app", &url, "--plain-http", "-n", &story.namespace]).await?;
        story.release("app", "web", "1.0.0", json!({})).await?;
        story.refused("app", Reason::AdoptionRefused, &["chart other, not web", "spec.adopt"]).await?;
        ensure!(story.history("app").await? == "1 deployed", "{}", story.history("app").await?);
        story.patch("app", json!({ "spec": { "adopt": true } })).await?;
        story.ready("app").await?;
        ensure!(story.history("app").await? == "1 superseded, 2 deployed", "{}", story.history("app").await?);

        // That another object left it behind changes nothing.
        story.patch("app", json!({ "spec": { "uninstall": { "deletionPolicy": "Orphan" } } })).await?;
        story.delete("app").await?;
        story.release("heir", "other", "1.0.0", json!({ "release": { "name": "app" } })).await?;
        story.refused("heir", Reason::AdoptionRefused, &["chart web, not other", "spec.adopt"]).await?;
        ensure!(story.history("app").await? == "1 superseded, 2 deployed", "{}", story.history("app").await?);
        story.patch("heir", json!({ "spec": { "adopt": true } })).await?;
        story.ready("heir").await.map(drop)
    })
}

#[test]
fn what_flux_looks_after_is_taken_over_once_that_is_suspended_and_nothing_is_done_where_it_is_the_same() -> Result<()> {
    alone("adopt-flux", as_it_is, async |story| {
        let definition = json!({
            "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
            "metadata": { "name": "helmreleases.helm.toolkit.fluxcd.io" },
            "spec": {
                "group": "helm.toolkit.fluxcd.io", "scope": "Namespaced",
                "names": { "kind": "HelmRelease", "plural": "helmreleases" },
                "versions": [{ "name": "v2", "served": true, "storage": true, "schema": { "openAPIV3Schema": {
                    "type": "object", "x-kubernetes-preserve-unknown-fields": true,
                } } }],
            },
        });
        story.apply(&definition.to_string()).await?;
        let flux = |suspend: bool| {
            json!({
                "apiVersion": "helm.toolkit.fluxcd.io/v2", "kind": "HelmRelease",
                "metadata": { "name": "app", "namespace": story.namespace }, "spec": { "suspend": suspend },
            })
        };
        story.eventually("Flux's kind", async || story.apply(&flux(false).to_string()).await).await?;
        // As Flux's post-renderer leaves it.
        let marked = PLAIN.replace(
            "{app: web}",
            "{app: web, helm.toolkit.fluxcd.io/name: app, helm.toolkit.fluxcd.io/namespace: {{ .Release.Namespace }}}",
        );
        let scratch = Scratch::new("flux")?;
        let chart = Chart::new("web", "1.0.0").file("templates/map.yaml", marked).write(scratch.path())?;
        story.helm.run(&["install", "app", &chart.to_string_lossy(), "-n", &story.namespace]).await?;
        let before = story.objects::<ConfigMap>().get("app").await?.metadata.resource_version;

        story.push(&Chart::new("web", "1.0.0").file("templates/map.yaml", PLAIN)).await?;
        story.open_repository().await?;
        story.release("app", "web", "1.0.0", json!({})).await?;
        story.refused("app", Reason::AdoptionRefused, &["Flux", "flux suspend helmrelease app"]).await?;
        story.apply(&flux(true).to_string()).await?;
        story.ready("app").await?;
        ensure!(story.history("app").await? == "1 deployed", "{}", story.history("app").await?);
        let after = story.objects::<ConfigMap>().get("app").await?.metadata.resource_version;
        ensure!(before == after, "the object was written");

        // What changes then is an upgrade, and the labels go.
        story.patch("app", json!({ "spec": { "values": { "any": "thing" } } })).await?;
        eventually::object(&story.objects::<ConfigMap>(), "app", SOON, |map| {
            let labels = map.metadata.labels.clone().unwrap_or_default();
            ensure!(!labels.contains_key("helm.toolkit.fluxcd.io/name"), "{labels:?}");
            Ok(())
        })
        .await?;
        story.ready("app").await?;
        Ok(())
    })
}
