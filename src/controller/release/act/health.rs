//! Objects of a deployed revision that no longer do their work: told of, with what their pods and events say.

use super::{DeployedRelease, masked, record};
use crate::api::Reason;
use crate::controller::error::ReconcileError;
use crate::controller::release::trace::Trace;

/// Most objects of which it is asked why; the others are told of all the same.
const EXPLAINED: usize = 5;

/// Finds out why objects have not done their work for a while. What cannot be found out keeps nothing from being done.
pub(super) async fn examine(
    revision: u32,
    deployed: &DeployedRelease<'_>,
    trace: &Trace,
) -> Result<(), ReconcileError> {
    let &DeployedRelease { identity, place, .. } = deployed;
    let live = &place.context.live;
    let ailing = live.ailing(&identity.uid);
    if ailing.is_empty() {
        return Ok(());
    }
    // What their events say may quote a Secret of the release.
    let Some(record) = record::read(place, &identity.release, revision).await? else { return Ok(()) };
    for (at, ailing) in ailing.into_iter().enumerate() {
        let words = if at < EXPLAINED {
            let words = ailing.words.clone();
            place.cluster.explain(&ailing.resource, &ailing.object, words).await.to_string()
        } else {
            format!("{}: {}", ailing.object, ailing.words)
        };
        let error = masked(ReconcileError::new(Reason::HealthCheckFailed, words), &record.release).await;
        live.diagnosed(&identity.uid, &ailing, trace.without_secrets(error.message));
    }
    Ok(())
}
