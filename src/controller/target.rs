//! What a release is, and where: a cluster, and a name and namespace in it. Pure.
//!
//! A cluster is known by the Secret whose kubeconfig leads there, or by the `ConfigMap` that does. Two of them may lead to the same
//! cluster; what must not depend on that is decided by the uids of records.

use std::fmt;

use super::matching::Key;
use crate::api::KubeConfig;
use crate::history::ReleaseKey;

/// Another cluster than the operator's own: what says how to reach it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct ClusterKey {
    /// The namespace: that of the objects which name it.
    pub(crate) namespace: String,
    /// The Secret, and the key in it; or the `ConfigMap`.
    pub(crate) by: KubeConfig,
}

impl ClusterKey {
    /// The cluster that an object of `namespace` names by `config`.
    pub(crate) fn new(namespace: &str, config: &KubeConfig) -> Self {
        Self { namespace: namespace.to_owned(), by: config.clone() }
    }

    /// The Secret, or the `ConfigMap`.
    pub(crate) fn object(&self) -> Key {
        Key { namespace: self.namespace.clone(), name: self.by.name().to_owned() }
    }

    /// The same in words, with its kind.
    pub(crate) fn named(&self) -> String {
        format!("{} {}", self.by.kind(), self.object())
    }

    /// Whether `other` is named by the same object, by whichever key in it.
    pub(crate) fn is_beside(&self, other: &Self) -> bool {
        (&self.namespace, self.by.kind(), self.by.name()) == (&other.namespace, other.by.kind(), other.by.name())
    }
}

impl fmt::Display for ClusterKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the cluster of {}", self.named())?;
        self.by.key().iter().try_for_each(|key| write!(f, " (key {key:?})"))
    }
}

/// A Helm release in a cluster.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Target {
    /// The cluster; none for the operator's own.
    pub(crate) cluster: Option<ClusterKey>,
    /// The release there.
    pub(crate) release: ReleaseKey,
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.release)?;
        self.cluster.iter().try_for_each(|cluster| write!(f, " in {cluster}"))
    }
}

/// As a mark of a record, and a status, name a cluster; empty for the operator's own.
pub(crate) fn mark(cluster: Option<&ClusterKey>) -> String {
    cluster.map(|cluster| cluster.by.to_string()).unwrap_or_default()
}
