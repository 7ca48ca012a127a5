//! The custom resources of `helm-operator.ketches.cn/v1alpha1`, as pure data.
//!
//! What a field's documentation says here is what `kubectl explain` prints. Nothing in this module
//! needs a client; turning strings into meaning (URLs, versions, values) is `validate`'s work.

mod actions;
mod condition;
mod defaults;
mod differences;
mod duration;
mod helm_release;
mod helm_repository;
mod kube_config;
mod plan;
mod postrender;
mod readiness;
mod reason;
mod values_from;

pub use actions::{
    CrdPolicy, DeletionPolicy, DeletionPropagation, Dependents, ImmutablePolicy, Install, InstallRemediation,
    OnImmutable, RemediationStrategy, Rollback, Strategy, StrategyName, Test, TestFilter, Uninstall, Upgrade,
    UpgradeRemediation,
};
pub(crate) use condition::shortened;
pub use condition::{ConditionType, Conditions};
pub use defaults::{
    ActionDefaults, ClusterHelmReleaseDefaults, ClusterHelmReleaseDefaultsSpec, DEFAULTS_NAME, HelmReleaseDefaults,
    HelmReleaseDefaultsSpec, InstallDefaults, TakenDefaults, UpgradeDefaults,
};
pub use differences::{ConflictPolicy, ConflictRule, DriftDetection, DriftMode, IgnoreRule, ObjectSelector};
pub use duration::GoDuration;
pub use helm_release::{
    ChartSource, ChartSourceRepository, Failure, ForeignChange, HelmRelease, HelmReleaseSpec, HelmReleaseStatus,
    HistoryEntry, Inventory, InventoryEntry, ReleaseState, ReleaseTarget,
};
pub use helm_repository::{
    AccessFrom, Auth, BasicAuth, HelmRepository, HelmRepositorySpec, HelmRepositoryStatus, NamespaceSelector,
    RepositoryType, SecretReference, TlsConfig,
};
pub use kube_config::{KubeConfig, KubeConfigMap, KubeConfigSecret};
pub use plan::{PlanMode, PlanPolicy, PlanStatus, PlannedAction, PlannedChanges, PlannedObject};
pub use postrender::{CommonMetadata, Kustomize, KustomizeImage, KustomizePatch, PostRenderStrategy, PostRenderer};
pub use readiness::{DependencyReference, HealthCheckExpressions, WaitStrategy, WaitStrategyName};
pub use reason::Reason;
pub use values_from::{ValuesArtifact, ValuesKind, ValuesReference};

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{
    CustomResourceDefinition, JSON, JSONSchemaProps, JSONSchemaPropsOrArray, ValidationRule,
};
use kube::CustomResourceExt as _;

/// Holds a `HelmRelease` until what it installed is gone.
pub const RELEASE_FINALIZER: &str = "helm-operator.ketches.cn/release-finalizer";

/// Kept on a `HelmRepository` by earlier operators; taken off wherever it is met, since nothing is left behind by one.
pub const REPOSITORY_FINALIZER: &str = "helm-operator.ketches.cn/repository-finalizer";

/// Annotation whose every new value asks for a reconcile now.
pub const REQUESTED_AT: &str = "helm-operator.ketches.cn/requestedAt";

/// Annotation on a `HelmRelease` whose every new value asks for one more revision, though nothing has changed.
pub const FORCE_AT: &str = "helm-operator.ketches.cn/forceAt";

/// Annotation on a `HelmRelease`: the name of another one in its namespace whose Helm release it takes over as it is. For
/// objects that are renamed, in one change or in two.
pub const ADOPT: &str = "helm-operator.ketches.cn/adopt";

/// Annotation on a `HelmRelease` whose every new value asks for its tests to be run again.
pub const TEST_AT: &str = "helm-operator.ketches.cn/testAt";

/// Annotation on a `HelmRelease`: the digest of the plan that may be carried out.
pub const APPROVE: &str = "helm-operator.ketches.cn/approve";

/// Annotation on a Secret: the namespaces, separated by commas, or `*` for all, whose repositories may use it.
pub const ALLOWED_NAMESPACES: &str = "helm-operator.ketches.cn/allowed-namespaces";

/// The definitions of all kinds, by the file name they have in `crds/`.
pub fn definitions() -> [(&'static str, CustomResourceDefinition); 4] {
    [
        ("clusterhelmreleasedefaults.yaml", one_of_a_name(ClusterHelmReleaseDefaults::crd())),
        ("helmreleasedefaults.yaml", one_of_a_name(HelmReleaseDefaults::crd())),
        ("helmreleases.yaml", HelmRelease::crd()),
        ("helmrepositories.yaml", HelmRepository::crd()),
    ]
    .map(|(name, definition)| (name, nulls_allowed(unobserved_at_first(definition))))
}

/// Lets the API server refuse objects of another name than [`DEFAULTS_NAME`]: of several that one could not tell which counts.
fn one_of_a_name(mut definition: CustomResourceDefinition) -> CustomResourceDefinition {
    let kind = definition.spec.names.kind.clone();
    for schema in definition.spec.versions.iter_mut().filter_map(|version| version.schema.as_mut()) {
        let rule = ValidationRule {
            rule: format!("self.metadata.name == '{DEFAULTS_NAME}'"),
            message: Some(format!("the name of a {kind} must be {DEFAULTS_NAME:?}: no other counts")),
            ..ValidationRule::default()
        };
        schema.open_api_v3_schema.get_or_insert_default().x_kubernetes_validations = Some(vec![rule]);
    }
    definition
}

/// Lets a field that may be null and has few values be null: tools that fill in templates write nulls for what is not set, and
/// the API server takes none for a field with an `enum`, whatever that lists. So the values stand in a pattern, which nulls
/// pass, and in the description.
fn nulls_allowed(mut definition: CustomResourceDefinition) -> CustomResourceDefinition {
    fn allow(schema: &mut JSONSchemaProps) {
        if let Some(values) = schema.enum_.take_if(|_| schema.nullable == Some(true)) {
            let values: Vec<&str> = values.iter().filter_map(|JSON(value)| value.as_str()).collect();
            schema.pattern = Some(format!("^({})$", values.join("|")));
            let description = schema.description.get_or_insert_default();
            description.extend([" One of: ", &values.join(", "), "."]);
        }
        schema.properties.iter_mut().flat_map(|properties| properties.values_mut()).for_each(allow);
        if let Some(JSONSchemaPropsOrArray::Schema(items)) = &mut schema.items {
            allow(items);
        }
    }
    let versions = definition.spec.versions.iter_mut().filter_map(|version| version.schema.as_mut());
    versions.filter_map(|schema| schema.open_api_v3_schema.as_mut()).for_each(allow);
    definition
}

/// Gives objects that the operator has not seen yet a status that says so. Tools that wait by kstatus (`helm --wait`,
/// Flux) take an object without a status for one that needs no waiting.
fn unobserved_at_first(mut definition: CustomResourceDefinition) -> CustomResourceDefinition {
    for version in &mut definition.spec.versions {
        let schema = version.schema.as_mut().and_then(|schema| schema.open_api_v3_schema.as_mut());
        let status = schema.and_then(|schema| schema.properties.as_mut()?.get_mut("status"));
        if let Some(status) = status {
            status.default = Some(JSON(serde_json::json!({ "observedGeneration": -1 })));
        }
    }
    definition
}

/// A definition as YAML, as it stands in `crds/`.
pub fn to_yaml(definition: &CustomResourceDefinition) -> Result<String, serde_json::Error> {
    let value = serde_json::to_value(definition)?;
    let yaml = formats::yaml::emit(&formats::json::from_serde(&value));
    Ok(String::from_utf8_lossy(&yaml).into_owned())
}
