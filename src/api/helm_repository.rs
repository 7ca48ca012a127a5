//! `HelmRepository`: an OCI registry, or a path in one, with the credentials and the trust it needs.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, LabelSelector, Time};
use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::GoDuration;

/// An OCI registry, or a path in one, that holds Helm charts.
#[derive(CustomResource, Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[kube(
    group = "helm-operator.ketches.cn",
    version = "v1alpha1",
    kind = "HelmRepository",
    plural = "helmrepositories",
    shortname = "hrepo",
    category = "helm-operator",
    namespaced,
    status = "HelmRepositoryStatus",
    doc = "An OCI registry, or a path in one, that holds Helm charts, with the credentials and the trust it needs.",
    printcolumn = r#"{"name":"URL","type":"string","jsonPath":".spec.url"}"#,
    printcolumn = r#"{"name":"Ready","type":"string","jsonPath":".status.conditions[?(@.type==\"Ready\")].status"}"#,
    printcolumn = r#"{"name":"Status","type":"string","jsonPath":".status.conditions[?(@.type==\"Ready\")].message"}"#,
    printcolumn = r#"{"name":"Age","type":"date","jsonPath":".metadata.creationTimestamp"}"#,
    printcolumn = r#"{"name":"Reason","type":"string","priority":1,"jsonPath":".status.conditions[?(@.type==\"Ready\")].reason"}"#,
    printcolumn = r#"{"name":"Last Sync","type":"date","priority":1,"jsonPath":".status.lastSyncTime"}"#
)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = [
    {"rule": "!has(self.insecure) || !self.insecure || self.url.startsWith('oci://')",
     "message": "insecure: true asks an OCI registry over plain HTTP, so it needs an oci:// url",
     "fieldPath": ".insecure"}
]))]
pub struct HelmRepositorySpec {
    /// Where the charts are: `oci://host[:port][/path]`, a registry, a path in one, or one chart's repository.
    /// Releases whose chart lies below it use its credentials. An `http(s)://` URL is accepted but not served:
    /// the status says how to reach the same charts over OCI.
    #[schemars(regex(pattern = r"^(https?|oci)://.*"), length(min = 1))]
    pub url: String,

    /// `oci` or `helm`; an `oci://` URL decides alone. Default: `helm`.
    #[serde(default, rename = "type")]
    pub repository_type: RepositoryType,

    /// How often the registry is asked whether it answers, and whether tags have changed. A Go duration; some jitter is
    /// added. Default: `30m`.
    #[serde(default = "default_interval")]
    pub interval: GoDuration,

    /// Limit of each call to the registry. A Go duration. Default: `5m`.
    #[serde(default = "default_timeout")]
    pub timeout: GoDuration,

    /// Stop asking the registry. Releases go on using the credentials.
    #[serde(default)]
    pub suspend: bool,

    /// Speak plain HTTP to the registry. For registries on a trusted network only.
    #[serde(default)]
    pub insecure: bool,

    /// Credentials, and what certificates to trust.
    pub auth: Option<Auth>,

    /// Which namespaces' releases may use this repository. Its own namespace always may. Absent: all namespaces; but a
    /// release of another one that does not name the repository gets its credentials only, and `insecure` and `auth.tls`
    /// where a selector here selects its namespace.
    pub access_from: Option<AccessFrom>,
}

/// Kinds of repository.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum RepositoryType {
    /// An index of charts over HTTP.
    #[default]
    Helm,
    /// An OCI registry.
    Oci,
}

/// Credentials, and what certificates to trust.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Auth {
    /// A user name and password, or a Docker configuration.
    pub basic: Option<BasicAuth>,
    /// Whose certificate the registry may show.
    pub tls: Option<TlsConfig>,
}

/// A user name and password, preferably from a Secret.
#[derive(Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct BasicAuth {
    /// A Secret with the keys `username` and `password` (type `Opaque` or `kubernetes.io/basic-auth`), or of type
    /// `kubernetes.io/dockerconfigjson`, matched as Docker does. It is watched: a corrected Secret is used at once.
    pub secret_ref: Option<SecretReference>,
    /// The user name, readable by everybody who may read this object: prefer `secretRef`.
    pub username: Option<String>,
    /// The password, readable by everybody who may read this object: prefer `secretRef`.
    pub password: Option<String>,
}

impl std::fmt::Debug for BasicAuth {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("BasicAuth").field("secret_ref", &self.secret_ref).finish_non_exhaustive()
    }
}

/// The TLS settings for the registry.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TlsConfig {
    /// Accept any certificate. It gives the credentials to whoever answers: prefer `secretRef` with a `ca.crt`.
    #[serde(default)]
    pub insecure_skip_verify: bool,
    /// A Secret with the key `ca.crt`: certificates (PEM) to trust besides the system's.
    pub secret_ref: Option<SecretReference>,
}

/// The name of a Secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SecretReference {
    /// Its name.
    pub name: String,
    /// Its namespace. Default: the namespace of this object. A Secret of another namespace has to allow this one by its
    /// annotation `helm-operator.ketches.cn/allowed-namespaces`: names separated by commas, or `*`.
    pub namespace: Option<String>,
}

/// Which namespaces may use an object.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AccessFrom {
    /// A namespace that any of these selects may use the object.
    pub namespace_selectors: Vec<NamespaceSelector>,
}

/// Selects namespaces by their labels.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct NamespaceSelector {
    /// Labels that the namespace has, with these values. Empty: every namespace.
    #[serde(default)]
    pub match_labels: std::collections::BTreeMap<String, String>,
}

impl From<NamespaceSelector> for LabelSelector {
    fn from(selector: NamespaceSelector) -> Self {
        Self { match_labels: Some(selector.match_labels), match_expressions: None }
    }
}

/// What is known of the repository.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct HelmRepositoryStatus {
    /// The generation of the spec that this status speaks of.
    pub observed_generation: Option<i64>,
    /// `Ready`, and while they apply `Reconciling` and `Stalled`.
    #[serde(default)]
    #[schemars(extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["type"]))]
    pub conditions: Vec<Condition>,
    /// When the registry last answered as it should.
    pub last_sync_time: Option<Time>,
    /// The last value of the annotation `helm-operator.ketches.cn/requestedAt` that was honoured.
    pub last_handled_reconcile_at: Option<String>,
    /// The URL that was asked.
    pub url: Option<String>,
}

fn default_interval() -> GoDuration {
    GoDuration(std::time::Duration::from_mins(30))
}

fn default_timeout() -> GoDuration {
    GoDuration(std::time::Duration::from_mins(5))
}
