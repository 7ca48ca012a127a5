//! Steps that are shown before they are taken, and taken once they are approved.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::GoDuration;

/// Whether installs and upgrades are shown first, and wait for approval. Uninstalls, rollbacks after an approved upgrade that
/// failed, tests and corrections of drift need none.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct PlanPolicy {
    /// Whether they wait. Default: `Auto`.
    pub mode: Option<PlanMode>,
    /// The digest of the plan that may be carried out, as in `status.plan.digest`. The annotation
    /// `helm-operator.ketches.cn/approve` says the same; one of the two suffices. The digest of another plan approves nothing.
    #[schemars(regex(pattern = r"^sha256:[0-9a-f]{64}$"))]
    pub approved: Option<String>,
    /// For how long a plan can be approved. One that is approved later is made anew, and waits again. A Go duration. Default: `72h`.
    pub expire_after: Option<GoDuration>,
}

/// Whether installs and upgrades wait for approval. Default: `Auto`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum PlanMode {
    /// They are carried out at once.
    Auto,
    /// The next one is rendered, compared with the cluster, and kept as it is: `status.plan` shows it. Nothing else is written
    /// until it is approved; then just that is carried out, unless the release or an object that it changes is another by then.
    Manual,
}

/// The step that waits for approval.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PlanStatus {
    /// What approves it. Each plan has another.
    pub digest: String,
    /// When it was made.
    pub made: Time,
    /// Until when it can be approved.
    pub expires: Time,
    /// The revision that it makes.
    pub revision: i64,
    /// Its chart, as `name-version`.
    pub chart: String,
    /// How much it changes.
    pub changes: PlannedChanges,
    /// Why there is a plan, where what it changes does not say it: one more revision is asked for, or records move.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
    /// The digest of the difference that `helm-operator diff` shows: it is a part of what is approved.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub diff_digest: Option<String>,
    /// What it changes, 200 objects at most; `helm-operator diff` shows all of it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub objects: Vec<PlannedObject>,
}

/// How many objects a plan changes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PlannedChanges {
    /// Objects that it makes.
    pub created: i64,
    /// Objects that it changes, or makes anew.
    pub changed: i64,
    /// Objects that it deletes.
    pub deleted: i64,
    /// Objects that stay as they are.
    pub unchanged: i64,
    /// Hooks that it runs.
    pub hooks: i64,
}

/// An object that a plan changes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PlannedObject {
    /// What becomes of it.
    pub action: PlannedAction,
    /// Its API group; absent for the core group.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub group: String,
    /// Its kind.
    pub kind: String,
    /// Its namespace; absent for a cluster-scoped object.
    pub namespace: Option<String>,
    /// Its name.
    pub name: String,
    /// Which fields change, as JSON pointers; 16 at most.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub paths: Vec<String>,
}

/// What becomes of an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum PlannedAction {
    /// It is made.
    Create,
    /// It is changed.
    Change,
    /// It is deleted and made anew, since a field of it cannot be changed.
    Replace,
    /// It is deleted.
    Delete,
    /// It is run as a hook.
    Run,
}
