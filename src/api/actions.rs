//! How a release is installed, upgraded, rolled back, tested and uninstalled.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::GoDuration;

/// How the release is installed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
#[expect(clippy::struct_excessive_bools, reason = "each is a field of the API")]
pub struct Install {
    /// Limit of the whole install, hooks and waiting included. A Go duration. Default: `spec.timeout`, else `10m`.
    pub timeout: Option<GoDuration>,
    /// Wait until the objects are ready. Default: true.
    pub wait: bool,
    /// While waiting, wait for Jobs to complete too. Default: true.
    pub wait_for_jobs: bool,
    /// Take over objects that exist and are another Helm release's or nobody's, instead of failing.
    pub take_ownership: bool,
    /// Take over fields that other managers own of objects that exist, instead of failing with a conflict.
    pub force: bool,
    /// Helm's `--replace`. It changes nothing here: a name whose release was uninstalled with its history kept, or whose installs
    /// failed, is always used again.
    pub replace: bool,
    /// Do not install what is in the chart's `crds/`: the same as `crds: Skip`. Ignored where `crds` is set.
    #[serde(rename = "skipCRDs")]
    pub skip_crds: bool,
    /// What becomes of the definitions in the chart's `crds/`. Default: `Create`.
    pub crds: Option<CrdPolicy>,
    /// Do not run the chart's hooks.
    pub disable_hooks: bool,
    /// Do not check the values by the chart's values.schema.json, and fetch no schemas that it refers to.
    pub disable_schema_validation: bool,
    /// What is done when it fails.
    pub remediation: Option<InstallRemediation>,
    /// How it is tried again when it fails.
    pub strategy: Option<Strategy>,
    /// While waiting, give up when nothing has moved for so long. A Go duration. Default: only the timeout counts.
    pub progress_deadline: Option<GoDuration>,
}

impl Default for Install {
    fn default() -> Self {
        Self {
            timeout: None,
            wait: true,
            wait_for_jobs: true,
            take_ownership: false,
            force: false,
            replace: false,
            skip_crds: false,
            crds: None,
            disable_hooks: false,
            remediation: None,
            strategy: None,
            progress_deadline: None,
            disable_schema_validation: false,
        }
    }
}

/// What becomes of the definitions in a chart's `crds/`. None is ever deleted. Default: `Create` at installs, `Skip` at
/// upgrades, as Helm's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum CrdPolicy {
    /// Nothing.
    Skip,
    /// Those that are missing are made.
    Create,
    /// Those that are there become as the chart has them, too; unless a version would go in which objects are stored, or
    /// fields that objects may have (`force` lets those go), or the definition belongs to another Helm release.
    CreateReplace,
}

/// How the release is upgraded.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
#[expect(clippy::struct_excessive_bools, reason = "each is a field of the API")]
pub struct Upgrade {
    /// Limit of the whole upgrade, hooks and waiting included. A Go duration. Default: `spec.timeout`, else `10m`.
    pub timeout: Option<GoDuration>,
    /// Wait until the objects are ready. Default: true.
    pub wait: bool,
    /// While waiting, wait for Jobs to complete too. Default: true.
    pub wait_for_jobs: bool,
    /// Take over objects that exist and are another Helm release's or nobody's, instead of failing.
    pub take_ownership: bool,
    /// Take over fields that other managers own, instead of failing with a conflict.
    pub force: bool,
    /// Lay `values` over those of what is deployed, as Helm's `--reuse-values`: values that are taken out of this object stay, and
    /// the default values are those of the chart that is deployed, not of the new one. Default: false.
    pub reuse_values: bool,
    /// The same as `reuseValues`, by the name that Flux has for it.
    pub preserve_values: bool,
    /// Use `values` and the chart's default values alone, whatever is deployed: so it is by default. It wins over `reuseValues`.
    pub reset_values: bool,
    /// Delete the pods of the chart's `Deployment`s, `StatefulSet`s, `DaemonSet`s and `ReplicaSet`s once an upgrade is applied, so that
    /// all of them start anew, as with a changed `ConfigMap` that they read. Default: false.
    pub recreate: bool,
    /// After a failed upgrade delete the objects that it created. Default: false, as Helm's: what is deleted and made
    /// anew at the next try may hold data.
    pub cleanup_on_fail: bool,
    /// What becomes of the definitions in the chart's `crds/`. Default: `Skip`, as Helm's.
    pub crds: Option<CrdPolicy>,
    /// Do not run the chart's hooks.
    pub disable_hooks: bool,
    /// Do not check the values by the chart's values.schema.json, and fetch no schemas that it refers to.
    pub disable_schema_validation: bool,
    /// How many revisions Helm's history keeps; 0 means the default of 10. Ignored where `spec.maxHistory` is set.
    #[schemars(range(min = 0))]
    pub max_history: i32,
    /// What is done when it fails.
    pub remediation: Option<UpgradeRemediation>,
    /// How it is tried again when it fails.
    pub strategy: Option<Strategy>,
    /// While waiting, give up when nothing has moved for so long. A Go duration. Default: only the timeout counts.
    pub progress_deadline: Option<GoDuration>,
}

impl Default for Upgrade {
    fn default() -> Self {
        Self {
            timeout: None,
            wait: true,
            wait_for_jobs: true,
            take_ownership: false,
            force: false,
            reuse_values: false,
            preserve_values: false,
            reset_values: false,
            recreate: false,
            cleanup_on_fail: false,
            crds: None,
            disable_hooks: false,
            disable_schema_validation: false,
            remediation: None,
            strategy: None,
            progress_deadline: None,
            max_history: 10,
        }
    }
}

/// How a failed install or upgrade is tried again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Strategy {
    /// `RemediateOnFailure`: ever later, and as `remediation` says. `RetryOnFailure`: every `retryInterval`, without going back to
    /// what was deployed before, whatever `remediation` says.
    pub name: StrategyName,
    /// With `RetryOnFailure`: how long after a failure it is tried again. A Go duration. Default: `5m`.
    pub retry_interval: Option<GoDuration>,
    /// With `RetryOnFailure`: how often it is tried again before the release is `Stalled`; negative for without end. Default:
    /// without end.
    pub retries: Option<i32>,
}

/// How a failed install or upgrade is tried again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum StrategyName {
    /// Ever later, and as `remediation` says.
    RemediateOnFailure,
    /// Every `retryInterval`.
    RetryOnFailure,
}

/// What is done about an install that fails. It is tried again, ever later; what once was deployed is never uninstalled.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct InstallRemediation {
    /// How often it is tried again before the release is `Stalled`; negative for without end. Default: without end.
    pub retries: Option<i32>,
}

/// What is done about an upgrade that fails: the last revision that was deployed is gone back to, and the upgrade tried again,
/// ever later.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct UpgradeRemediation {
    /// How often it is tried again before the release is `Stalled`; negative for without end. Default: without end (in Flux: not
    /// at all). What fails before a revision is made, such as rendering, does not count.
    pub retries: Option<i32>,
    /// Go back after the last attempt, too. Default: true (in Flux: where it is tried again).
    pub remediate_last_failure: Option<bool>,
    /// Do not go back because the chart's tests fail (`spec.test`). Default: `test.ignoreFailures`.
    pub ignore_test_failures: Option<bool>,
    /// What is done: nothing but `rollback` is known, since an uninstall would take away what is deployed.
    pub strategy: RemediationStrategy,
}

/// What is done about a failed upgrade.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum RemediationStrategy {
    /// The last revision that was deployed is gone back to.
    #[default]
    Rollback,
}

/// How a release goes back to a revision that was deployed, after an upgrade that failed, or whose tests failed. Without it, and without
/// `upgrade.remediation`, what a failed upgrade left stays until the next attempt.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
#[expect(clippy::struct_excessive_bools, reason = "each is a field of the API")]
pub struct Rollback {
    /// Go back.
    pub enabled: bool,
    /// The revision that is gone back to, which the history keeps. Default: 0, the last one that was deployed; so it is, too, where
    /// this revision was never deployed, or is gone.
    #[schemars(range(min = 0))]
    pub to_revision: i32,
    /// Limit of the whole rollback, hooks and waiting included. A Go duration. Default: `spec.timeout`, else `10m`.
    pub timeout: Option<GoDuration>,
    /// Wait until the objects are ready, and Jobs complete. Default: true.
    pub wait: bool,
    /// Take over fields that other managers own, instead of failing with a conflict.
    pub force: bool,
    /// After a rollback that failed delete the objects that it created. Default: false, as Helm's.
    pub cleanup_on_fail: bool,
    /// Do not run the chart's hooks.
    pub disable_hooks: bool,
    /// Roll back although a pre-upgrade hook completed. It may have changed what the previous version uses, such as a database.
    /// Default: false.
    pub after_hooks: bool,
}

impl Default for Rollback {
    fn default() -> Self {
        Self {
            enabled: false,
            to_revision: 0,
            timeout: None,
            wait: true,
            force: false,
            cleanup_on_fail: false,
            disable_hooks: false,
            after_hooks: false,
        }
    }
}

/// Helm's tests: hooks of a chart that are run against what is deployed. The release is ready when they have passed. They run
/// once for each revision, and again for each new value of the annotation `helm-operator.ketches.cn/testAt`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Test {
    /// Run them.
    pub enable: bool,
    /// Limit of all of them together. A Go duration. Default: `spec.timeout`, else `10m`.
    pub timeout: Option<GoDuration>,
    /// Treat the release as ready although tests fail; the condition `TestSuccess` and an Event still say so.
    pub ignore_failures: bool,
    /// Which of them are run: those that are named, or all but those that are excluded. Default: all.
    pub filters: Vec<TestFilter>,
}

/// A test by the name of its object.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TestFilter {
    /// The name.
    #[schemars(length(min = 1, max = 253))]
    pub name: String,
    /// Leave it out, instead of running it.
    #[serde(default)]
    pub exclude: bool,
}

/// How the release is uninstalled.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Uninstall {
    /// Limit of the whole uninstall, hooks included. A Go duration. Default: `spec.timeout`, else `5m`.
    pub timeout: Option<GoDuration>,
    /// Do not run the chart's hooks.
    pub disable_hooks: bool,
    /// Keep the history, with the release marked as uninstalled.
    pub keep_history: bool,
    /// Do not wait until the objects are gone.
    pub disable_wait: bool,
    /// What becomes of the objects' dependents. Default: `background`.
    pub deletion_propagation: DeletionPropagation,
    /// Whether the release is uninstalled at all when this object is deleted. Default: `Uninstall`, but `Orphan` while
    /// the object is suspended.
    pub deletion_policy: Option<DeletionPolicy>,
    /// Whether the uninstall waits for the releases that depend on this one. Default: `Ignore`.
    pub dependents: Option<Dependents>,
}

/// Whether an uninstall waits for the releases that depend on the one that goes. Default: `Ignore`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Dependents {
    /// It does not.
    Ignore,
    /// It begins once those of its own namespace whose `dependsOn` names this one are gone, or name it no more; but for those on
    /// which this one depends itself.
    Wait,
}

/// What becomes of the dependents of a deleted object.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum DeletionPropagation {
    /// The garbage collector deletes them afterwards.
    #[default]
    Background,
    /// They are deleted before the object.
    Foreground,
    /// They stay.
    Orphan,
}

/// Whether the release is uninstalled with its `HelmRelease`. Default: `Uninstall`, but `Orphan` while the object is suspended.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum DeletionPolicy {
    /// Helm's uninstall.
    #[default]
    Uninstall,
    /// The release and its objects stay, for Helm or another operator to go on with.
    Orphan,
}

/// What becomes of objects of a kind with a field that cannot be changed once they exist.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = [
    {"rule": "self.policy != 'ExpandVolumes' || self.kind == 'StatefulSet'",
     "message": "ExpandVolumes is for StatefulSets alone"}
]))]
pub struct OnImmutable {
    /// The kind, such as `StatefulSet`. Volumes and their claims are not deleted, whatever is said
    /// here; but what belongs to a deleted object goes with it, such as the claims of a `StatefulSet` that says so in its
    /// `persistentVolumeClaimRetentionPolicy`: `OrphanRecreate` keeps them.
    #[schemars(length(min = 1, max = 63))]
    pub kind: String,
    /// What becomes of them.
    pub policy: ImmutablePolicy,
}

/// What becomes of an object with a field that cannot be changed once it exists.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum ImmutablePolicy {
    /// It stays, and the upgrade fails.
    Fail,
    /// It is deleted with what belongs to it, and made anew.
    Recreate,
    /// It is deleted without what belongs to it, and made anew: the pods of a `StatefulSet` go on running, and the new one adopts
    /// them. Where its selector is another it does not: what it leaves then runs on until somebody deletes it.
    OrphanRecreate,
    /// The volume claims that a `StatefulSet` has made grow to the size that its templates have now, where their storage class lets
    /// them; then as `OrphanRecreate`.
    ExpandVolumes,
}
