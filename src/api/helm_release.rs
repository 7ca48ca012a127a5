//! `HelmRelease`: a chart, a version and values that are to be installed in the cluster.

use std::time::Duration;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    CommonMetadata, ConflictRule, DependencyReference, DriftDetection, GoDuration, HealthCheckExpressions, Install,
    KubeConfig, OnImmutable, PlanPolicy, PlanStatus, PostRenderStrategy, PostRenderer, Rollback, TakenDefaults, Test,
    Uninstall, Upgrade, ValuesArtifact, ValuesReference, WaitStrategy,
};

/// A Helm release as it should be.
#[derive(CustomResource, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[kube(
    group = "helm-operator.ketches.cn",
    version = "v1alpha1",
    kind = "HelmRelease",
    plural = "helmreleases",
    shortname = "hrel",
    category = "helm-operator",
    namespaced,
    status = "HelmReleaseStatus",
    doc = "A Helm release as it should be: a chart from an OCI registry, its version, its values.",
    printcolumn = r#"{"name":"Chart","type":"string","jsonPath":".spec.chart.name"}"#,
    printcolumn = r#"{"name":"Version","type":"string","jsonPath":".spec.chart.version"}"#,
    printcolumn = r#"{"name":"Ready","type":"string","jsonPath":".status.conditions[?(@.type==\"Ready\")].status"}"#,
    printcolumn = r#"{"name":"Status","type":"string","jsonPath":".status.conditions[?(@.type==\"Ready\")].message"}"#,
    printcolumn = r#"{"name":"Age","type":"date","jsonPath":".metadata.creationTimestamp"}"#,
    printcolumn = r#"{"name":"Reason","type":"string","priority":1,"jsonPath":".status.conditions[?(@.type==\"Ready\")].reason"}"#,
    printcolumn = r#"{"name":"Healthy","type":"string","priority":1,"jsonPath":".status.conditions[?(@.type==\"Healthy\")].status"}"#,
    printcolumn = r#"{"name":"Drifted","type":"string","priority":1,"jsonPath":".status.conditions[?(@.type==\"Drifted\")].status"}"#,
    printcolumn = r#"{"name":"Deployed","type":"string","priority":1,"jsonPath":".status.helmRelease.chart"}"#,
    printcolumn = r#"{"name":"Revision","type":"integer","priority":1,"jsonPath":".status.helmRelease.revision"}"#
)]
#[serde(rename_all = "camelCase")]
pub struct HelmReleaseSpec {
    /// Which chart, from where, in which version.
    pub chart: ChartSource,

    /// Name and namespace of the Helm release. Default: those of this object.
    #[serde(default)]
    pub release: ReleaseTarget,

    /// The values, as an object or as YAML text (read as Helm reads a values file). A null takes away what the chart
    /// sets. `kubectl apply` loses the nulls of an object: use `kubectl apply --server-side`, or write them in a text.
    #[serde(default)]
    #[schemars(schema_with = "any_value")]
    pub values: Option<serde_json::Value>,

    /// Other `HelmRelease`s, and objects of other kinds, that have to be ready before this one is installed or upgraded. A release
    /// that is deployed as it is declared stays as it is, whatever becomes of them.
    #[serde(default)]
    #[schemars(length(max = 64))]
    pub depends_on: Vec<DependencyReference>,

    /// Values from `ConfigMap`s and Secrets of this object's namespace, which are watched, and from OCI artifacts, whose tags are
    /// resolved again at each interval. Those without `targetPath` are merged in their order, as files given to Helm by `-f`,
    /// and `values` last; then those with `targetPath` are set in their order, as by `--set`. They hold 4 MiB in all at most.
    #[serde(default)]
    #[schemars(length(max = 64))]
    pub values_from: Vec<ValuesReference>,

    /// The service account, in the namespace of this object, as which the release is carried out: everything that its
    /// charts contain and look up is applied, read and deleted with its rights. Default: the operator's
    /// `--default-service-account`; without that the operator acts with its own rights.
    #[schemars(length(min = 1, max = 253), regex(pattern = r"^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$"))]
    pub service_account_name: Option<String>,

    /// The namespace, which has to exist, in which Helm's records are kept: `helm -n` lists the release there. When it changes,
    /// they move, and the objects stay as they are. Default: the namespace of the release.
    #[schemars(length(min = 1, max = 63), regex(pattern = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"))]
    pub storage_namespace: Option<String>,

    /// The other cluster in which the release is carried out: it, its history and its objects are there, with the rights of the
    /// kubeconfig; with `serviceAccountName`, as that account of the other cluster. When it changes, the release is uninstalled
    /// in the cluster before once it is deployed in the new one. Default: the operator's own cluster.
    pub kube_config: Option<KubeConfig>,

    /// How often the version is resolved again and the release is looked at. A Go duration. Default: `30m`.
    pub interval: Option<GoDuration>,

    /// Leave the release as it is, with what the status says of it. A release that is deleted while it is suspended is
    /// left in the cluster, unless `uninstall.deletionPolicy` is set.
    #[serde(default)]
    pub suspend: bool,

    /// Limit of each Helm action where `install`, `upgrade`, `rollback`, `test` or `uninstall` sets none. A Go duration. Default:
    /// `5m` for uninstalls, else `10m`.
    pub timeout: Option<GoDuration>,

    /// How many revisions Helm's history keeps; 0 keeps all. Default: `upgrade.maxHistory`, else 10.
    #[schemars(range(min = 0, max = 2_147_483_647), extend("format" = "int32"))]
    pub max_history: Option<u32>,

    /// Changes of what the chart renders, before it is applied and recorded, in their order.
    #[serde(default)]
    #[schemars(length(max = 16))]
    pub post_renderers: Vec<PostRenderer>,

    /// What of the chart `postRenderers` and `commonMetadata` change. Default: `combined`.
    pub post_render_strategy: Option<PostRenderStrategy>,

    /// Labels and annotations that every object gets after the `postRenderers`.
    pub common_metadata: Option<CommonMetadata>,

    /// Whether installs and upgrades are shown first, and wait for approval.
    pub plan: Option<PlanPolicy>,

    /// How the release is installed.
    pub install: Option<Install>,

    /// How the release is upgraded.
    pub upgrade: Option<Upgrade>,

    /// When objects of some kinds are ready, where that is not known, or known wrongly: for waits, for the condition `Healthy` and for
    /// `dependsOn`.
    #[serde(default)]
    #[schemars(length(max = 32))]
    pub health_check_exprs: Vec<HealthCheckExpressions>,

    /// How installs, upgrades and rollbacks wait for objects. Default: `poller`.
    pub wait_strategy: Option<WaitStrategy>,

    /// What becomes of objects with a field that cannot be changed once they exist, by their kind. Those of kinds that are not
    /// named stay, and the upgrade fails; but a Job that is finished is made anew.
    #[serde(default)]
    #[schemars(length(max = 32))]
    pub on_immutable: Vec<OnImmutable>,

    /// What becomes of fields that both the chart and somebody else set.
    #[serde(default)]
    #[schemars(length(max = 64))]
    pub conflicts: Vec<ConflictRule>,

    /// Take over a Helm release of this name that exists and is one of another chart, instead of failing: what it consists of is
    /// replaced. One of the same chart is taken over as it is.
    #[serde(default)]
    pub adopt: bool,

    /// What becomes of a revision that somebody else makes, as with `helm rollback` or `helm upgrade`, where it differs from what
    /// is declared. Default: a rollback is held, anything else is reverted.
    pub on_foreign_change: Option<ForeignChange>,

    /// What becomes of objects that somebody changed or deleted while the release is deployed.
    pub drift_detection: Option<DriftDetection>,

    /// Whether, and how, the last revision that was deployed is gone back to when an upgrade fails.
    pub rollback: Option<Rollback>,

    /// Whether, and how, the chart's tests are run after an install or upgrade.
    pub test: Option<Test>,

    /// How the release is uninstalled when this object is deleted.
    pub uninstall: Option<Uninstall>,
}

impl std::fmt::Debug for HelmReleaseSpec {
    /// Without the values, which may hold secrets.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("HelmReleaseSpec")
            .field("chart", &self.chart)
            .field("release", &self.release)
            .finish_non_exhaustive()
    }
}

/// What becomes of a revision that somebody else makes. Default: a rollback is held, anything else is reverted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum ForeignChange {
    /// It stays, and is not ready, until this object changes or its annotation `helm-operator.ketches.cn/requestedAt` gets a new
    /// value.
    Hold,
    /// A new revision puts the release back to what is declared.
    Revert,
}

/// Where the chart is: `ociRepository`, else `repositoryURL`, else `repository`. Beside one of the others `repository` names the
/// `HelmRepository` whose credentials and TLS settings are used; it has to exist, and to be above the chart.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = [
    {"rule": "has(self.ociRepository) || has(self.repositoryURL) || has(self.repository)",
     "message": "one of ociRepository, repositoryURL or repository is needed"}
]))]
pub struct ChartSource {
    /// The chart's name.
    #[schemars(length(min = 1))]
    pub name: String,
    /// The whole reference of the chart: `oci://host/path/chart`, with `:tag` and `@sha256:…` where wanted.
    pub oci_repository: Option<String>,
    /// The `HelmRepository` the chart is in: its reference is the repository's URL, `/`, and `name`.
    pub repository: Option<ChartSourceRepository>,
    /// An `oci://` URL the chart is below, like `repository` but without an object.
    #[serde(rename = "repositoryURL")]
    pub repository_url: Option<String>,
    /// An exact version, a constraint such as `^1.2.0`, or nothing for the newest stable version.
    /// It is resolved again at each interval.
    pub version: Option<String>,
    /// Files in the chart that are its default values in place of its `values.yaml`, such as `values-prod.yaml`: merged in their
    /// order, later ones over earlier ones. `values.yaml` itself counts only where it is named.
    #[serde(default)]
    #[schemars(length(max = 32), inner(length(min = 1, max = 512)))]
    pub values_files: Vec<String>,
    /// Leave out those of `valuesFiles` that the chart does not have, instead of failing.
    #[serde(default)]
    pub ignore_missing_values_files: bool,
    /// The only digest (`sha256:…`) the chart may have. A tag that moves away from it is an error, never an upgrade.
    #[schemars(regex(pattern = r"^sha256:[0-9a-f]{64}$"))]
    pub digest: Option<String>,
}

/// The name of a `HelmRepository`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ChartSourceRepository {
    /// Its name.
    pub name: String,
    /// Its namespace. Default: the namespace of this object.
    pub namespace: Option<String>,
}

/// Name and namespace of the Helm release.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ReleaseTarget {
    /// The release's name. Default: the name of this object.
    pub name: Option<String>,
    /// Where the release and its objects live. Default: the namespace of this object.
    pub namespace: Option<String>,
    /// Create the namespace when it is missing. It is not deleted with the release.
    #[serde(default)]
    pub create_namespace: bool,
}

/// What was done for the release, and how it went.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct HelmReleaseStatus {
    /// The generation of the spec that this status speaks of.
    pub observed_generation: Option<i64>,
    /// `Ready`, `Released` and `SourceReady`, and while they apply `Reconciling`, `Stalled`, `Healthy`, `Drifted`, `Held`, `TestSuccess` and `Remediated`.
    #[serde(default)]
    #[schemars(extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["type"]))]
    pub conditions: Vec<Condition>,
    /// The release as Helm's newest record has it.
    pub helm_release: Option<ReleaseState>,
    /// The other clusters in which something of this object may be, by what `kubeConfig` names: `name` or `name/key` of a Secret,
    /// `ConfigMap/name`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub kube_configs: Vec<String>,
    /// The other namespaces in which Helm's records of this object may be. Records in any other one are not believed, whatever
    /// they say.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub record_namespaces: Vec<String>,
    /// The chart version that was last tried.
    pub last_attempted_revision: Option<String>,
    /// The digest of the chart that was last tried.
    pub last_attempted_digest: Option<String>,
    /// The generation that was last tried.
    pub last_attempted_generation: Option<i64>,
    /// What the release took from `HelmReleaseDefaults` and `ClusterHelmReleaseDefaults`, the nearer first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub defaults: Vec<TakenDefaults>,
    /// The OCI artifacts that values were last read from.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub values_artifacts: Vec<ValuesArtifact>,
    /// The chart version that was last deployed.
    pub last_applied_revision: Option<String>,
    /// The last value of the annotation `helm-operator.ketches.cn/requestedAt` that was honoured.
    pub last_handled_reconcile_at: Option<String>,
    /// The last value of the annotation `helm-operator.ketches.cn/forceAt` for which a revision was made.
    pub last_handled_force_at: Option<String>,
    /// The newest revisions, newest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub history: Vec<HistoryEntry>,
    /// The newest failures since the release was last ready, newest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub failures: Vec<Failure>,
    /// With `spec.plan.mode: Manual`: the install or upgrade that waits for approval.
    pub plan: Option<PlanStatus>,
    /// What the release consists of.
    pub inventory: Option<Inventory>,
    /// The beginning of the chart's notes.
    pub notes: Option<String>,
    /// Templates of what is deployed that make something else each time they are rendered, as of random text or the time:
    /// every upgrade changes what they make. Those that look up what they made before, and keep it, are not among them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub random_templates: Vec<String>,
}

/// A release as Helm's record has it.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ReleaseState {
    /// The release's name.
    pub name: String,
    /// The release's namespace.
    pub namespace: String,
    /// The namespace of its records; absent where that is the release's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub storage_namespace: Option<String>,
    /// The other cluster it is in, as in `kubeConfigs`; absent for the operator's own cluster.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kube_config: Option<String>,
    /// Its revision.
    pub revision: i64,
    /// Helm's status of it, such as `deployed` or `failed`.
    pub status: String,
    /// When the release was first deployed.
    pub first_deployed: Option<Time>,
    /// When this revision was deployed.
    pub last_deployed: Option<Time>,
    /// Helm's description of the revision.
    pub description: Option<String>,
    /// The chart, as `name-version`.
    pub chart: Option<String>,
    /// The version of the application in the chart.
    pub app_version: Option<String>,
    /// The digest of the chart's manifest in the registry.
    pub digest: Option<String>,
}

/// One revision of the release.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct HistoryEntry {
    /// Its number.
    pub revision: i64,
    /// Helm's status of it.
    pub status: String,
    /// The chart, as `name-version`, where the operator made the revision.
    pub chart: Option<String>,
    /// The digest of the chart, where the operator made the revision.
    pub digest: Option<String>,
}

/// One failure.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Failure {
    /// When it was first seen.
    pub time: Time,
    /// Its reason.
    pub reason: String,
    /// What happened.
    pub message: String,
}

/// The objects of a release.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Inventory {
    /// How many objects the manifest has.
    pub objects: i64,
    /// How many of each kind, such as `Deployment: 2`.
    #[serde(default)]
    pub kinds: std::collections::BTreeMap<String, i64>,
    /// Each of them, at most 2,000: what was put into the cluster is found again though Helm's history is lost.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub entries: Vec<InventoryEntry>,
}

/// One object of a release.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct InventoryEntry {
    /// Its API group; absent for the core group.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub group: String,
    /// Its kind.
    pub kind: String,
    /// Its namespace; absent for a cluster-scoped object.
    pub namespace: Option<String>,
    /// Its name.
    pub name: String,
    /// Its uid, once it is known: an object of the same name made later is another.
    pub uid: Option<String>,
}

impl HelmReleaseSpec {
    /// How long between two looks at the release.
    pub fn interval(&self) -> Duration {
        self.interval.map_or(Duration::from_mins(30), GoDuration::at_least_a_second)
    }
}

/// Any JSON: a string or an object, which no structural schema can say of one field; `validate` does.
fn any_value(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
    schemars::json_schema!({ "x-kubernetes-preserve-unknown-fields": true })
}
