//! What becomes of differences between what a release applied and what is there.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What becomes of a deployed release's objects that somebody changed or deleted. They are watched, and cost no requests.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct DriftDetection {
    /// What is done. Default: objects that are missing are made anew (but for Jobs, bare Pods,
    /// certificate signing requests, volumes and their claims), and changed fields are told
    /// of in the condition `Drifted` and an Event.
    pub mode: Option<DriftMode>,
    /// Which fields others may change without being told of, or corrected.
    #[schemars(length(max = 64))]
    pub ignore: Vec<IgnoreRule>,
}

/// What is done about objects that were changed or deleted. Default: those that are missing are made anew, and changes are told
/// of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum DriftMode {
    /// They are made as they were applied, each for itself, without a new revision and without hooks.
    Enabled,
    /// They are told of, and left as they are.
    Warn,
    /// They are not looked at.
    Disabled,
}

/// Fields that others may change while a release is deployed. In an upgrade a rule of `spec.conflicts` about the same field goes
/// before.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct IgnoreRule {
    /// JSON pointers, such as `/spec/replicas`; `*` stands for each element of a list or map. The empty text means the whole object.
    #[schemars(length(min = 1, max = 64), inner(length(max = 512), regex(pattern = "^(/.*)?$")))]
    pub paths: Vec<String>,
    /// Which objects. Default: all.
    pub target: Option<ObjectSelector>,
}

/// What becomes of fields that both the chart and somebody else set, at installs, upgrades and corrections. Where nothing is said,
/// they are a conflict, and the apply fails, unless its `force` is set; but what was written by `/scale`, as an autoscaler or
/// `kubectl scale` do, is left as it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ConflictRule {
    /// JSON pointers, such as `/spec/replicas`; `*` stands for each element of a list or map. The empty text means the whole object.
    #[schemars(length(min = 1, max = 64), inner(length(max = 512), regex(pattern = "^(/.*)?$")))]
    pub paths: Vec<String>,
    /// Which objects. Default: all.
    pub target: Option<ObjectSelector>,
    /// What becomes of them. Of several rules about one field the last counts. A rule that changes counts from the next revision on,
    /// which the annotation `forceAt` asks for.
    pub policy: ConflictPolicy,
}

/// What becomes of a field that both the chart and somebody else set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum ConflictPolicy {
    /// Where the two differ the apply fails.
    Fail,
    /// It becomes as the chart has it.
    Force,
    /// It stays as the other one has it, for as long as the other one sets it.
    Yield,
}

/// Some of a release's objects; what is not set chooses all.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct ObjectSelector {
    /// A regular expression that the whole API group has to match, such as `apps`.
    #[schemars(length(max = 256))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    /// A regular expression that the whole version in the group has to match, such as `v1`.
    #[schemars(length(max = 256))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// A regular expression that the whole kind has to match, such as `Deployment`.
    #[schemars(length(max = 256))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// A regular expression that the whole namespace has to match.
    #[schemars(length(max = 256))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    /// A regular expression that the whole name has to match.
    #[schemars(length(max = 256))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Its labels, as `kubectl -l` takes them: `tier=front,app in (a,b),!canary`.
    #[schemars(length(max = 1024))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub label_selector: Option<String>,
    /// Its annotations, in the same words.
    #[schemars(length(max = 1024))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub annotation_selector: Option<String>,
}
