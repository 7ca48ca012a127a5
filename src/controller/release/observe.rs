//! What is there: Helm's history of the release, and what a render would depend on.

use super::validate::DesiredRelease;
use crate::controller::context::Context;
use crate::controller::error::ReconcileError;
use crate::history::RecordMeta;
use crate::registry::Resolved;

/// What is there.
pub(crate) struct Observed {
    /// The revisions, oldest first.
    pub(crate) revisions: Vec<RecordMeta>,
    /// The digest of everything the manifest depends on: chart, values, Kubernetes version.
    pub(crate) inputs: String,
}

/// Looks at the release that is desired. Costs no request: the history is watched, the cluster's version known.
pub(crate) async fn observe(
    desired: &DesiredRelease,
    resolved: &Resolved,
    context: &Context,
) -> Result<Observed, ReconcileError> {
    let kubernetes = context.cluster.capabilities().await?.kube_version;
    let minor = format!("{}.{}", kubernetes.major, kubernetes.minor);
    Ok(Observed {
        revisions: context.revisions.of(&desired.identity.namespace, desired.identity.name.as_str()),
        inputs: desired.inputs(&resolved.digest, &minor),
    })
}
