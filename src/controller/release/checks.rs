//! What is declared of when objects are ready: the expressions of `healthCheckExprs` and `dependsOn`, compiled. Pure.

use std::sync::Arc;

use kube::ResourceExt as _;

use crate::api::{DependencyReference, HealthCheckExpressions, HelmRelease, Reason, WaitStrategy, WaitStrategyName};
pub(crate) use crate::cluster::HealthChecks;
use crate::cluster::{Expression, HealthCheck, Wanted};
use crate::controller::error::ReconcileError;
use crate::controller::matching;

/// The variables of a `readyExpr`.
const VARIABLES: [&str; 2] = ["self", "dep"];

/// What of the dependencies of a release has to be read to be known: objects of other kinds, and what expressions speak of.
#[derive(Debug, Clone)]
pub(crate) struct ReadDependency {
    /// Where it is declared, for messages.
    pub(crate) field: String,
    /// The object.
    pub(crate) wanted: Wanted,
    /// Whether it has to be ready by what is known of its kind. Of releases that is known without reading them.
    pub(crate) is_judged: bool,
    /// Whether it is a release of the same namespace, which the operator shows its neighbours.
    pub(crate) is_neighbour: bool,
    /// What has to be true of it.
    pub(crate) expression: Option<Expression>,
}

/// Which objects are ready when.
pub(super) fn health(release: &HelmRelease) -> Result<HealthChecks, ReconcileError> {
    let check = |(at, declared): (usize, &HealthCheckExpressions)| {
        let HealthCheckExpressions { api_version, kind, in_progress, failed, current } = declared;
        let field = format!("spec.healthCheckExprs[{at}]");
        let compiled = |text: &Option<String>, name: &str| {
            text.as_ref().map(|text| compile(text, &format!("{field}.{name}"), &[])).transpose()
        };
        Ok(Arc::new(HealthCheck {
            group: api_version.rsplit_once('/').map_or("", |(group, _)| group).to_owned(),
            kind: kind.clone(),
            in_progress: compiled(in_progress, "inProgress")?,
            failed: compiled(failed, "failed")?,
            current: compile(current, &format!("{field}.current"), &[])?,
            field,
        }))
    };
    let declared = &release.spec.health_check_exprs;
    Ok(HealthChecks {
        by_kind: declared.iter().enumerate().map(check).collect::<Result<_, ReconcileError>>()?,
        legacy: strategy(release) == WaitStrategyName::Legacy,
    })
}

/// How objects are waited for.
pub(super) fn strategy(release: &HelmRelease) -> WaitStrategyName {
    release.spec.wait_strategy.map(|WaitStrategy { name }| name).unwrap_or_default()
}

/// Which of the dependencies of a release have to be read.
pub(super) fn dependencies(release: &HelmRelease) -> Result<Vec<ReadDependency>, ReconcileError> {
    let own = release.namespace().unwrap_or_default();
    let mut read = Vec::new();
    for (at, declared) in release.spec.depends_on.iter().enumerate() {
        let field = format!("spec.dependsOn[{at}]");
        let expression = declared.ready_expr.as_ref();
        let expression = expression.map(|text| compile(text, &format!("{field}.readyExpr"), &VARIABLES)).transpose()?;
        let is_release = matching::is_release(declared);
        if is_release && expression.is_none() {
            continue;
        }
        let DependencyReference { api_version, kind, name, namespace, ready_only_expr, ready_expr: _ } = declared;
        let namespace = namespace.clone().unwrap_or_else(|| own.clone());
        if is_release && namespace != own && release.spec.kube_config.is_some() {
            let message = format!(
                "{field}.readyExpr: a HelmRelease of another namespace is read with the rights of the service account of this one, which a release of \
                 another cluster (spec.kubeConfig) does not have in this one: leave the expression out"
            );
            return Err(ReconcileError::new(Reason::AccessDenied, message));
        }
        read.push(ReadDependency {
            field,
            is_judged: !(is_release || *ready_only_expr && expression.is_some()),
            is_neighbour: is_release && namespace == own,
            wanted: Wanted {
                api_version: api_version.clone().unwrap_or_else(|| matching::API_VERSION.to_owned()),
                kind: kind.clone().unwrap_or_else(|| "HelmRelease".to_owned()),
                namespace,
                name: name.clone(),
            },
            expression,
        });
    }
    Ok(read)
}

fn compile(text: &str, field: &str, variables: &[&str]) -> Result<Expression, ReconcileError> {
    Expression::compile(text, variables).map_err(|malformed| {
        ReconcileError::new(Reason::ConfigurationError, format!("{field} is no expression in CEL: {malformed}"))
    })
}
