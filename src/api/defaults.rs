//! Defaults of releases: one object for the releases of a namespace, one for those of the cluster.

use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    CommonMetadata, CrdPolicy, DriftDetection, GoDuration, InstallRemediation, PostRenderStrategy, PostRenderer,
    Strategy, UpgradeRemediation,
};

/// The name that an object of either kind must have: there is one for each namespace, and one for the cluster.
pub const DEFAULTS_NAME: &str = "default";

/// What every `HelmRelease` within reach gets where it does not set it itself.
///
/// The release's own fields count first, then those of the namespace's `HelmReleaseDefaults`, then those of the
/// `ClusterHelmReleaseDefaults`, then what is built in. Maps and objects are filled in field by field, down to single labels;
/// a list is taken as a whole, by a release that has none. A null counts as not set.
#[derive(CustomResource, Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[kube(
    group = "helm-operator.ketches.cn",
    version = "v1alpha1",
    kind = "HelmReleaseDefaults",
    plural = "helmreleasedefaults",
    singular = "helmreleasedefaults",
    shortname = "hreldef",
    category = "helm-operator",
    namespaced,
    doc = "What the HelmReleases of a namespace get where they do not set it themselves. Its name must be `default`.",
    printcolumn = r#"{"name":"Timeout","type":"string","jsonPath":".spec.timeout"}"#,
    printcolumn = r#"{"name":"MaxHistory","type":"integer","jsonPath":".spec.maxHistory"}"#,
    printcolumn = r#"{"name":"Drift","type":"string","jsonPath":".spec.driftDetection.mode"}"#,
    printcolumn = r#"{"name":"Age","type":"date","jsonPath":".metadata.creationTimestamp"}"#
)]
#[serde(rename_all = "camelCase", default)]
pub struct HelmReleaseDefaultsSpec {
    /// `spec.interval` of releases. A Go duration.
    pub interval: Option<GoDuration>,

    /// `spec.timeout` of releases. A Go duration.
    pub timeout: Option<GoDuration>,

    /// `spec.maxHistory` of releases; not of those whose `upgrade.maxHistory` is another number than its default 10, or 0.
    #[schemars(range(min = 0, max = 2_147_483_647), extend("format" = "int32"))]
    pub max_history: Option<u32>,

    /// `spec.postRenderers` of releases that have none. A change of them upgrades each of these releases.
    #[schemars(length(max = 16))]
    pub post_renderers: Vec<PostRenderer>,

    /// `spec.postRenderStrategy` of releases. A change of it upgrades releases whose hooks are changed by it.
    pub post_render_strategy: Option<PostRenderStrategy>,

    /// Labels and annotations that releases have in `spec.commonMetadata`, too; a release's own count where both name one. A
    /// change of them upgrades each release within reach, as many at a time as the operator's `--concurrent` says.
    pub common_metadata: Option<CommonMetadata>,

    /// `spec.install` of releases.
    pub install: Option<InstallDefaults>,

    /// `spec.upgrade` of releases.
    pub upgrade: Option<UpgradeDefaults>,

    /// `spec.rollback` of releases.
    pub rollback: Option<ActionDefaults>,

    /// `spec.test` of releases.
    pub test: Option<ActionDefaults>,

    /// `spec.uninstall` of releases.
    pub uninstall: Option<ActionDefaults>,

    /// `spec.driftDetection` of releases.
    pub drift_detection: Option<DriftDetection>,
}

/// The same for all releases of the cluster; a namespace's `HelmReleaseDefaults` counts before it.
#[derive(CustomResource, Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[kube(
    group = "helm-operator.ketches.cn",
    version = "v1alpha1",
    kind = "ClusterHelmReleaseDefaults",
    plural = "clusterhelmreleasedefaults",
    singular = "clusterhelmreleasedefaults",
    shortname = "chreldef",
    category = "helm-operator",
    doc = "What all HelmReleases of the cluster get where neither they nor the HelmReleaseDefaults of their namespace set it. Its name must be `default`.",
    printcolumn = r#"{"name":"Timeout","type":"string","jsonPath":".spec.timeout"}"#,
    printcolumn = r#"{"name":"MaxHistory","type":"integer","jsonPath":".spec.maxHistory"}"#,
    printcolumn = r#"{"name":"Drift","type":"string","jsonPath":".spec.driftDetection.mode"}"#,
    printcolumn = r#"{"name":"Age","type":"date","jsonPath":".metadata.creationTimestamp"}"#
)]
#[serde(transparent)]
pub struct ClusterHelmReleaseDefaultsSpec(pub HelmReleaseDefaultsSpec);

/// How releases are installed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct InstallDefaults {
    /// Limit of the whole install. Not for a release that sets `timeout`. A Go duration.
    pub timeout: Option<GoDuration>,
    /// What becomes of the definitions in charts' `crds/`. Not for a release that sets `install.skipCRDs`.
    pub crds: Option<CrdPolicy>,
    /// What is done when it fails.
    pub remediation: Option<InstallRemediation>,
    /// How it is tried again when it fails. Not for a release that sets `install.remediation`.
    pub strategy: Option<Strategy>,
    /// While waiting, give up when nothing has moved for so long. A Go duration.
    pub progress_deadline: Option<GoDuration>,
}

/// How releases are upgraded.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct UpgradeDefaults {
    /// Limit of the whole upgrade. Not for a release that sets `timeout`. A Go duration.
    pub timeout: Option<GoDuration>,
    /// What becomes of the definitions in charts' `crds/`.
    pub crds: Option<CrdPolicy>,
    /// What is done when it fails: the last revision that was deployed is gone back to.
    pub remediation: Option<UpgradeRemediation>,
    /// How it is tried again when it fails. Not for a release that sets `upgrade.remediation`.
    pub strategy: Option<Strategy>,
    /// While waiting, give up when nothing has moved for so long. A Go duration.
    pub progress_deadline: Option<GoDuration>,
}

/// How releases are rolled back, tested or uninstalled.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct ActionDefaults {
    /// Limit of the whole action. Not for a release that sets `timeout`. A Go duration.
    pub timeout: Option<GoDuration>,
}

/// Defaults that a release took, by the object they come from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TakenDefaults {
    /// `HelmReleaseDefaults` or `ClusterHelmReleaseDefaults`; its name is `default`.
    pub kind: String,
    /// The fields of `spec` that come from it.
    #[serde(default)]
    pub fields: Vec<String>,
}
