//! What is there: Helm's history of the release, and what a render would depend on.

use super::blocked::Blocked;
use super::dereference;
use super::validate::DesiredRelease;
use crate::api::HelmRelease;
use crate::controller::error::ReconcileError;
use crate::controller::place::Place;
use crate::history::{self, RecordMeta};
use crate::registry::Resolved;

/// What is there.
pub(crate) struct Observed {
    /// From which namespace to which the records are to move once that is approved.
    pub(crate) moves: Option<[String; 2]>,
    /// The revisions, oldest first.
    pub(crate) revisions: Vec<RecordMeta>,
    /// Whether the release is gone on with in another object's place.
    pub(crate) takes_over: bool,
    /// Why it waits for something that it depends on, where it does.
    pub(crate) blocked: Option<Blocked>,
    /// Whether somebody changed or deleted objects of what is deployed.
    pub(crate) has_suspects: bool,
    /// The digest of everything the manifest depends on: chart, values, Kubernetes version.
    pub(crate) inputs: String,
}

/// Looks at the release that is desired. Costs no request: the history is watched, the cluster's version known.
pub(crate) async fn observe(
    release: &HelmRelease,
    desired: &DesiredRelease,
    resolved: &Resolved,
    place: &Place,
) -> Result<Observed, ReconcileError> {
    let kubernetes = place.cluster.capabilities().await?.kube_version;
    let minor = format!("{}.{}", kubernetes.major, kubernetes.minor);
    let revisions = place.revisions.of(&desired.identity.release);
    let deployed = history::deployed(&revisions).map(|deployed| deployed.revision);
    let live = &place.context.live;
    let (here, declared) = (&desired.identity.release.namespace, dereference::target(release).release.namespace);
    Ok(Observed {
        moves: (*here != declared).then(|| [here.clone(), declared]),
        // Asked again: it may have changed hands since the references were read, or the object was read before that.
        takes_over: dereference::takes_over(release, dereference::Known::at(place))?,
        blocked: dereference::blocked(release, &place.context)?.map(|why| Blocked { why, awaits: Vec::new() }),
        has_suspects: deployed.is_some_and(|revision| live.has_suspects(&desired.identity.uid, revision)),
        revisions,
        inputs: desired.inputs(&resolved.digest, &minor),
    })
}
