//! Where the records of a release are kept: they move when another namespace is declared.
//!
//! All are copied, the oldest first, before the first is deleted, the newest last: whenever the operator dies, the next one finds
//! what is left to be moved, and goes on with that before anything else. Objects are not touched.

use super::{prepare, record};
use crate::api::Reason;
use crate::controller::error::ReconcileError;
use crate::controller::place::Place;
use crate::controller::release::validate::Identity;
use crate::history::{Marks, RecordMeta, ReleaseKey};

/// Moves the records of the release that are kept elsewhere.
pub(in crate::controller::release) async fn gather(identity: &Identity, place: &Place) -> Result<(), ReconcileError> {
    for from in elsewhere(identity, place) {
        let to = &identity.release;
        let is_strange = |meta: &RecordMeta| meta.marks.as_ref().is_none_or(|marks| marks.owner != identity.owner);
        let known = place.revisions.of(to);
        let revisions = place.revisions.of(&from);
        let copies = |meta: &RecordMeta, of: &RecordMeta| meta.copy_of.as_deref() == Some(of.uid.as_str());
        // What was made here for this object after a move is its own; anything else, and another record of a number that moves, is a
        // history that no move may be mixed with.
        let is_other = |meta: &RecordMeta| {
            let takes_number = revisions.iter().any(|other| other.revision == meta.revision);
            revisions.iter().all(|other| !copies(meta, other)) && (is_strange(meta) || takes_number)
        };
        if known.iter().any(is_other) {
            let message = format!(
                "the records of the release are in namespace {}, and spec.storageNamespace is {}, where there is another history of that name: \
                 declare another namespace, or delete that history",
                from.namespace, to.namespace
            );
            return Err(ReconcileError::new(Reason::ConfigurationError, message));
        }
        place.admit(to).await?;
        tracing::info!(object = %identity.owner, "the records of release {from} move to namespace {}", to.namespace);
        for meta in revisions.iter().filter(|meta| known.iter().all(|other| !copies(other, meta))) {
            let Some(mut read) = record::read(place, &from, meta.revision).await? else { continue };
            read.marks = read.marks.map(|marks| Marks { namespace: identity.namespace_mark(), ..marks });
            record::copy(place, read, to).await?;
        }
        for meta in &revisions {
            record::delete(place, meta).await?;
        }
    }
    Ok(())
}

/// Where the records of the release are, which `identity` then names, and where they are to be; none where they are there.
pub(in crate::controller::release) fn moved(identity: &mut Identity, place: &Place) -> Option<[String; 2]> {
    let from = elsewhere(identity, place).into_iter().next()?;
    let to = std::mem::replace(&mut identity.release, from);
    Some([identity.release.namespace.clone(), to.namespace])
}

/// Where else there are records of the release whose objects are those that are declared.
fn elsewhere(identity: &Identity, place: &Place) -> Vec<ReleaseKey> {
    let owned = place.revisions.owned_by(&identity.owner, &identity.uid).into_iter();
    let is_same = |release: &ReleaseKey| {
        let marked = prepare::marked(release, place);
        marked.release == identity.release.name && marked.namespace == identity.namespace
    };
    owned.filter(|release| *release != identity.release && is_same(release)).collect()
}
