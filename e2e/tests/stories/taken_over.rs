//! Releases that other operators made go on here, and what ordinary charts leave to others stays theirs.

use anyhow::{Result, ensure};
use e2e::charts::{self, Chart};
use e2e::eventually;
use e2e::story::{SOON, story};
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
