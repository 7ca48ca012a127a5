//! What says how to reach a cluster, read: the kubeconfig of a Secret, or the keys of a `ConfigMap`.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use sha2::{Digest as _, Sha256};

use crate::api::{KubeConfig, Reason};
use crate::controller::causes::api_error;
use crate::controller::context::Context;
use crate::controller::error::ReconcileError;
use crate::controller::kubeconfig::{self, Allowed, Connection, Identity};
use crate::controller::target::ClusterKey;

/// The keys of a Secret that may hold its kubeconfig, where none is named: Flux's.
const KEYS: [&str; 2] = ["value", "value.yaml"];

/// What an object says, as it stands there.
pub(super) enum Content {
    /// A kubeconfig.
    Kubeconfig(Vec<u8>),
    /// The keys of a `ConfigMap` that count.
    Map(BTreeMap<String, String>),
}

impl Content {
    /// The content of what `key` names.
    pub(super) async fn of(key: &ClusterKey, context: &Context) -> Result<Self, ReconcileError> {
        let (at, named) = (key.object(), key.named());
        let unread = |error| api_error(&format!("read {named}"), &error);
        let (namespace, name) = (&at.namespace, &at.name);
        match &key.by {
            KubeConfig::Secret(wanted) => {
                let secret = context.secrets.get(namespace, name).await.map_err(unread)?;
                let secret = secret.ok_or_else(|| missing(key))?;
                let found = match &wanted.key {
                    Some(wanted) => content(&secret, wanted),
                    None => KEYS.iter().find_map(|wanted| content(&secret, wanted)),
                };
                let lacks = || {
                    let wanted = wanted.key.clone().unwrap_or_else(|| KEYS.join(" or "));
                    let message =
                        format!("{named}, which spec.kubeConfig names, has no key {wanted}: put the kubeconfig there");
                    ReconcileError::new(Reason::SecretInvalid, message).watching(&*named)
                };
                found.map(Self::Kubeconfig).ok_or_else(lacks)
            }
            KubeConfig::ConfigMap(_) => {
                let map = context.config_maps.get(namespace, name).await.map_err(unread)?;
                map.map(|map| Self::Map(counted(&map))).ok_or_else(|| missing(key))
            }
        }
    }

    /// What tells it from any other.
    pub(super) fn digest(&self) -> [u8; 32] {
        match self {
            Self::Kubeconfig(text) => Sha256::digest(text).into(),
            Self::Map(data) => Sha256::digest(serde_json::json!(data).to_string()).into(),
        }
    }

    /// How to connect, and whose tokens to show.
    pub(super) fn parse(
        &self,
        key: &ClusterKey,
        allowed: Allowed,
    ) -> Result<(Connection, Option<Identity>), ReconcileError> {
        match self {
            Self::Kubeconfig(text) => kubeconfig::parse(text, allowed).map(|connection| (connection, None)),
            Self::Map(data) => kubeconfig::of_config_map(data, allowed).map(|(how, whose)| (how, Some(whose))),
        }
        .map_err(|why| unusable(key, &why))
    }
}

/// What `key` names cannot be used.
pub(super) fn unusable(key: &ClusterKey, why: &str) -> ReconcileError {
    let named = key.named();
    let error = match key.by {
        KubeConfig::Secret(_) => {
            ReconcileError::new(Reason::SecretInvalid, format!("the kubeconfig in {named} cannot be used: {why}"))
        }
        KubeConfig::ConfigMap(_) => {
            let message = format!("{named}, which spec.kubeConfig names, cannot be used: {why}");
            ReconcileError::new(Reason::ConfigMapInvalid, message)
        }
    };
    error.watching(named)
}

/// What `key` names is not there.
pub(in crate::controller) fn missing(key: &ClusterKey) -> ReconcileError {
    let message = format!(
        "there is no {}, which spec.kubeConfig names: create it, or correct the name; both are noticed at once",
        key.named()
    );
    let reason = match key.by {
        KubeConfig::Secret(_) => Reason::SecretNotFound,
        KubeConfig::ConfigMap(_) => Reason::ConfigMapNotFound,
    };
    ReconcileError::new(reason, message)
}

fn content(secret: &Secret, key: &str) -> Option<Vec<u8>> {
    Some(secret.data.as_ref()?.get(key)?.0.clone())
}

fn counted(map: &ConfigMap) -> BTreeMap<String, String> {
    let mut data = map.data.clone().unwrap_or_default();
    data.retain(|key, _| kubeconfig::CONFIG_MAP_KEYS.contains(&key.as_str()));
    data
}
