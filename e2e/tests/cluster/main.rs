//! `helm_operator::cluster` against a real control plane: what it writes, what it refuses, how it waits.

mod apply;
mod crds;
mod delete;
mod hooks;
mod quoting;
mod refusals;
mod restart;
mod silence;
mod wait;

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context, Result};
use e2e::apiserver::ControlPlane;
use e2e::kwok::PLAY;
use helm_operator::cluster::{
    ApplyOptions, Cluster, ConflictPolicy, DeleteOptions, Object, Owner, Propagation, Source, Whose,
};
use k8s_openapi::api::core::v1::Namespace;
use kube::api::{DynamicObject, PostParams};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::core::{ApiResource, GroupVersionKind};
use kube::{Api, Client, Config};
use serde_json::{Value, json};

/// More than anything here takes.
const LONG: Duration = Duration::from_mins(1);

/// A namespace of one's own, and the cluster as the operator sees it.
struct Ground {
    client: Client,
    cluster: Cluster,
    namespace: String,
}

impl Ground {
    async fn new(namespace: &str) -> Result<Self> {
        Self::on(ControlPlane::shared().await?, namespace).await
    }

    async fn on(plane: &ControlPlane, namespace: &str) -> Result<Self> {
        let client = plane.client().await?;
        let body = serde_json::from_value(json!({ "metadata": { "name": namespace } }))?;
        Api::<Namespace>::all(client.clone()).create(&PostParams::default(), &body).await?;
        let cluster = Cluster::new(client.clone());
        Ok(Self { client, cluster, namespace: namespace.to_owned() })
    }

    /// The documents as objects of a release.
    async fn objects(&self, documents: &[Value]) -> Result<Vec<Object>> {
        let texts: Vec<_> = documents.iter().map(ToString::to_string).collect();
        let sources: Vec<_> = texts.iter().map(|text| Source { origin: "test/templates/all.yaml", text }).collect();
        Ok(self.cluster.objects(&sources, &self.namespace).await?)
    }

    fn owner(&self, release: &str) -> Owner {
        Owner { release: release.to_owned(), namespace: self.namespace.clone() }
    }

    fn apply_options(&self, release: &str) -> ApplyOptions {
        ApplyOptions {
            owner: self.owner(release),
            take_ownership: false,
            force_conflicts: false,
            previous: Vec::new(),
            immutable: BTreeMap::new(),
            conflicts: Vec::new(),
            other_conflicts: ConflictPolicy::Fail,
        }
    }

    fn delete_options(&self, release: &str) -> DeleteOptions {
        let whose = Whose::Release(self.owner(release));
        DeleteOptions { whose, propagation: Propagation::Background, timeout: Some(LONG) }
    }

    /// Any kind in our namespace.
    fn api(&self, api_version: &str, kind: &str) -> Api<DynamicObject> {
        let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
        let resource = ApiResource::from_gvk(&GroupVersionKind::gvk(group, version, kind));
        Api::namespaced_with(self.client.clone(), &self.namespace, &resource)
    }

    async fn live(&self, api_version: &str, kind: &str, name: &str) -> Result<Value> {
        let object = self.api(api_version, kind).get(name).await.with_context(|| format!("{kind} {name}"))?;
        Ok(serde_json::to_value(object)?)
    }

    async fn create(&self, api_version: &str, kind: &str, body: Value) -> Result<()> {
        let mut body = body;
        body["apiVersion"] = api_version.into();
        body["kind"] = kind.into();
        let body: DynamicObject = serde_json::from_value(body)?;
        self.api(api_version, kind).create(&PostParams::default(), &body).await?;
        Ok(())
    }
}

/// A client that acts as `user`, who has no rights but those bound to that name.
async fn impersonated(user: &str) -> Result<Client> {
    let plane = ControlPlane::shared().await?;
    let mut kubeconfig = Kubeconfig::read_from(plane.kubeconfig())?;
    for user_entry in &mut kubeconfig.auth_infos {
        user_entry.auth_info.get_or_insert_default().impersonate = Some(user.to_owned());
    }
    let config = Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await?;
    Ok(Client::try_from(config)?)
}

#[expect(clippy::needless_pass_by_value, reason = "JSON literals read better unborrowed")]
fn config_map(name: &str, data: Value) -> Value {
    json!({ "apiVersion": "v1", "kind": "ConfigMap", "metadata": { "name": name }, "data": data })
}

/// A Deployment of one pod that lives as `play` says.
fn deployment(name: &str, play: &str) -> Value {
    json!({
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": { "name": name },
        "spec": {
            "replicas": 1,
            "selector": { "matchLabels": { "app": name } },
            "template": {
                "metadata": { "labels": { "app": name }, "annotations": { PLAY: play } },
                "spec": { "containers": [{ "name": "main", "image": "web:1" }] },
            },
        },
    })
}

/// A Job whose pod lives as `play` says.
fn job(name: &str, play: &str) -> Value {
    json!({
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": { "name": name },
        "spec": {
            "backoffLimit": 0,
            "template": {
                "metadata": { "annotations": { PLAY: play } },
                "spec": { "restartPolicy": "Never", "containers": [{ "name": "main", "image": "job:1" }] },
            },
        },
    })
}
