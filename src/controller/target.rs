//! What a release is, and where: a cluster, and a name and namespace in it. Pure.
//!
//! A cluster is known by the Secret whose kubeconfig leads there. Two Secrets may lead to the same cluster; what must not
//! depend on that is decided by the uids of records.

use std::fmt;

use super::matching::Key;
use crate::api::KubeConfigSecret;
use crate::history::ReleaseKey;

/// Another cluster than the operator's own: the Secret with its kubeconfig.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct ClusterKey {
    /// The Secret's namespace: that of the objects which name it.
    pub(crate) namespace: String,
    /// The Secret, and the key in it.
    pub(crate) secret: KubeConfigSecret,
}

impl ClusterKey {
    /// The cluster that an object of `namespace` names by `secret`.
    pub(crate) fn new(namespace: &str, secret: &KubeConfigSecret) -> Self {
        Self { namespace: namespace.to_owned(), secret: secret.clone() }
    }

    /// The Secret.
    pub(crate) fn secret(&self) -> Key {
        Key { namespace: self.namespace.clone(), name: self.secret.name.clone() }
    }
}

impl fmt::Display for ClusterKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the cluster of Secret {}", self.secret())?;
        self.secret.key.iter().try_for_each(|key| write!(f, " (key {key:?})"))
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
    cluster.map(|cluster| cluster.secret.to_string()).unwrap_or_default()
}
