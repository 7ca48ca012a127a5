//! When objects are ready: what a release depends on, what is waited for, and what of it is said by expressions.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// An object that has to be ready before a release is installed or upgraded: a `HelmRelease`, or one of any other kind.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = [
    {"rule": "!has(self.kind) || self.kind == 'HelmRelease' || has(self.apiVersion)",
     "message": "a kind other than HelmRelease needs its apiVersion"},
    {"rule": "!has(self.apiVersion) || has(self.kind)", "message": "apiVersion needs a kind"},
    {"rule": "!has(self.readyOnlyExpr) || !self.readyOnlyExpr || has(self.readyExpr)",
     "message": "readyOnlyExpr needs a readyExpr"}
]))]
pub struct DependencyReference {
    /// The API of its kind, such as `postgresql.cnpg.io/v1`, or `v1`. Default: that of `HelmRelease`.
    #[schemars(length(min = 1, max = 317), regex(pattern = r"^([a-z0-9]([-a-z0-9.]*[a-z0-9])?/)?v[a-z0-9]+$"))]
    pub api_version: Option<String>,
    /// Its kind. Default: `HelmRelease`. An object of another kind is read as the service account of this release.
    #[schemars(length(min = 1, max = 63), regex(pattern = r"^[A-Za-z][A-Za-z0-9]*$"))]
    pub kind: Option<String>,
    /// Its name.
    #[schemars(length(min = 1, max = 253), regex(pattern = r"^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$"))]
    pub name: String,
    /// Its namespace, where its kind has one. Default: the namespace of this object.
    #[schemars(length(min = 1, max = 63), regex(pattern = r"^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$"))]
    pub namespace: Option<String>,
    /// An expression in CEL that has to be true, too: of `dep`, the object that is depended on, and `self`, this one. Such as
    /// `dep.spec.values.version == self.spec.values.version`.
    #[schemars(length(min = 1, max = 2048))]
    pub ready_expr: Option<String>,
    /// Whether `readyExpr` alone says that it is ready, as in Flux, and not what is known of its kind.
    #[serde(default)]
    pub ready_only_expr: bool,
}

/// How it is told whether objects of a kind are ready: by expressions in CEL over the object, such as
/// `status.phase == 'Ready'`. An object whose `status.observedGeneration` is not its generation is in progress; then they are
/// asked in the order `inProgress`, `failed`, `current`, and the first that is true counts. Where none is, the object is in
/// progress. One that cannot be evaluated, since a field is missing perhaps, is not true; an `inProgress` like that counts as
/// true.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct HealthCheckExpressions {
    /// The API of the kind, such as `bitnami.com/v1alpha1`. Its version does not count.
    #[schemars(length(min = 1, max = 317), regex(pattern = r"^([a-z0-9]([-a-z0-9.]*[a-z0-9])?/)?v[a-z0-9]+$"))]
    pub api_version: String,
    /// The kind. Default: all kinds of that API group which no other entry names.
    #[schemars(length(min = 1, max = 63), regex(pattern = r"^[A-Za-z][A-Za-z0-9]*$"))]
    pub kind: Option<String>,
    /// True of an object that is on its way.
    #[schemars(length(min = 1, max = 2048))]
    pub in_progress: Option<String>,
    /// True of an object that will not become ready by itself: the wait for it ends at once.
    #[schemars(length(min = 1, max = 2048))]
    pub failed: Option<String>,
    /// True of an object that is ready.
    #[schemars(length(min = 1, max = 2048))]
    pub current: String,
}

/// How objects are waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct WaitStrategy {
    /// The name of the strategy. Objects are always watched, never polled.
    pub name: WaitStrategyName,
}

/// The strategies of Flux and of Helm 4, by their names.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum WaitStrategyName {
    /// Until each object is ready as kstatus, and what is known of common custom resources, has it. The name is Flux's.
    #[default]
    Poller,
    /// The same. The name is Helm's.
    Watcher,
    /// As Helm 3: until Pods, workloads, claims, Services, Jobs and definitions are ready; any other object is ready as soon as it
    /// exists, unless `healthCheckExprs` say when it is.
    Legacy,
    /// Only until hooks have ended, whatever `wait` says.
    HookOnly,
}
