//! Where the records of a release are kept: they move when another namespace is declared.
//!
//! All are copied, the oldest first, before the first is deleted, the newest last: whenever the operator dies, the next one finds
//! what is left to be moved, and goes on with that before anything else. Objects are not touched.

use helm::release::Status;

use super::{prepare, record};
use crate::api::Reason;
use crate::controller::error::ReconcileError;
use crate::controller::place::Place;
use crate::controller::release::plan;
use crate::controller::release::validate::{DesiredRelease, Identity};
use crate::history::{Marks, RecordMeta, ReleaseKey};

/// Moves the records to where they are declared to be; where that has to be approved, they stay, and are looked at, where they are.
pub(in crate::controller::release) async fn settle(
    desired: &mut DesiredRelease,
    place: &Place,
) -> Result<(), ReconcileError> {
    stays(&desired.identity, place)?;
    if desired.gate.is_none() || is_begun(&desired.identity, place) {
        return Box::pin(gather(desired, place)).await;
    }
    desired.identity = where_it_is(&desired.identity, place)?;
    Ok(())
}

/// Moves the records of the release that are kept elsewhere.
pub(in crate::controller::release) async fn gather(
    desired: &DesiredRelease,
    place: &Place,
) -> Result<(), ReconcileError> {
    let identity = &desired.identity;
    let (complete, partial) = sources(identity, place);
    // The release's own namespace is made by an install, which comes after.
    let is_own = identity.release.namespace == identity.namespace;
    if desired.maintenance.create_namespace && is_own && !complete.is_empty() {
        Box::pin(place.cluster.ensure_namespace(&identity.namespace)).await?;
    }
    for meta in partial.iter().flat_map(|part| place.revisions.of(part)) {
        record::delete(place, &meta).await?;
    }
    for from in &complete {
        Box::pin(gather_from(from, identity, place)).await?;
    }
    Ok(())
}

async fn gather_from(from: &ReleaseKey, identity: &Identity, place: &Place) -> Result<(), ReconcileError> {
    let to = &identity.release;
    admit(from, identity, place)?;
    place.admit(to).await?;
    tracing::info!(object = %identity.owner, "the records of release {from} move to namespace {}", to.namespace);
    let (known, revisions) = (place.revisions.of(to), place.revisions.of(from));
    let now = place.context.now();
    if let Some(last) = revisions.last().filter(|last| plan::is_anothers_work(last, now)) {
        let message = format!(
            "the records of release {from} move to namespace {} once a helm command has ended that works on revision {} of it",
            to.namespace, last.revision
        );
        return Err(ReconcileError::new(Reason::PendingRelease, message));
    }
    for meta in &revisions {
        let copy = known.iter().find(|other| is_pair(other, meta));
        if copy.is_some_and(|copy| !is_outdated(copy, meta)) {
            continue;
        }
        let Some(mut read) = record::read(place, from, meta.revision).await? else { continue };
        if let Some(outdated) = copy {
            // Somebody wrote it since: what is there is what counts.
            record::delete(place, outdated).await?;
        }
        read.marks = read.marks.map(|marks| Marks { namespace: identity.namespace_mark(), ..marks });
        record::copy(place, read, to, &identity.owner).await?;
    }
    if place.revisions.of(from).iter().any(|meta| revisions.iter().all(|known| known.revision != meta.revision)) {
        let message = format!("a revision of {from} was made while its records were moved: they are looked at again");
        return Err(ReconcileError::new(Reason::PendingRelease, message));
    }
    for meta in &revisions {
        record::delete(place, meta).await?;
    }
    Ok(())
}

/// Where else there are records of the release, and of these places those that have nothing which another one has not: what a move left
/// that was cut off, or called off.
fn sources(identity: &Identity, place: &Place) -> (Vec<ReleaseKey>, Vec<ReleaseKey>) {
    let (mut complete, mut partial) = (elsewhere(identity, place), Vec::new());
    let is_part = |part: &ReleaseKey, of: &ReleaseKey| {
        part != of && is_within(&place.revisions.of(part), &place.revisions.of(of))
    };
    while let Some(at) = complete.iter().position(|part| complete.iter().any(|of| is_part(part, of))) {
        partial.push(complete.remove(at));
    }
    (complete, partial)
}

/// Whether all records of `part` are in `whole`, too, as they are or newer.
fn is_within(part: &[RecordMeta], whole: &[RecordMeta]) -> bool {
    // A copy that was written since is what counts.
    let is_as_it_was = |meta: &RecordMeta| meta.copied_version.is_some();
    let stands_for = |other: &RecordMeta, meta: &RecordMeta| {
        is_pair(other, meta) && if copies(other, meta) { !is_outdated(other, meta) } else { is_as_it_was(meta) }
    };
    part.iter().all(|meta| whole.iter().any(|other| stands_for(other, meta)))
}

/// Refuses to mix the records that would come from `from` with a history that is there already.
fn admit(from: &ReleaseKey, identity: &Identity, place: &Place) -> Result<(), ReconcileError> {
    let to = &identity.release;
    // What Helm made has no marks, and is told by what it is a copy of, though the original may be gone already.
    let is_strange = |meta: &RecordMeta| !is_own(meta, identity) && meta.copy_of.is_none();
    let revisions = place.revisions.of(from);
    // What was made here for this object after a move is its own, and so is what was copied from here by a move that was called off;
    // anything else, and another record of a number that moves, is a history that no move may be mixed with.
    let is_other = |meta: &RecordMeta| {
        let takes_number = revisions.iter().any(|other| other.revision == meta.revision);
        revisions.iter().all(|other| !is_pair(meta, other)) && (is_strange(meta) || takes_number)
    };
    if place.revisions.of(to).iter().any(is_other) {
        let message = format!(
            "the records of the release are in namespace {}, and spec.storageNamespace is {}, where there is another history of that name: \
             declare another namespace, or delete that history",
            from.namespace, to.namespace
        );
        return Err(ReconcileError::new(Reason::ConfigurationError, message));
    }
    Ok(())
}

/// Whether a record was made for the object.
fn is_own(meta: &RecordMeta, identity: &Identity) -> bool {
    meta.marks.as_ref().is_some_and(|marks| marks.owner == identity.owner)
}

/// Whether one of the two is a copy of the other, or both are of a third.
fn is_pair(one: &RecordMeta, other: &RecordMeta) -> bool {
    copies(one, other) || copies(other, one) || first(one) == first(other)
}

/// The first of a row of copies.
fn first(meta: &RecordMeta) -> &str {
    meta.copy_of.as_ref().map_or(&meta.uid, |copy| &copy.first)
}

/// Whether `other` goes on in the place of a record of the same number.
pub(super) fn is_copied(meta: &RecordMeta, other: &RecordMeta) -> bool {
    copies(other, meta) || (!copies(meta, other) && is_pair(meta, other) && other.release < meta.release)
}

/// Whether a copy is of an older version of its original.
fn is_outdated(copy: &RecordMeta, of: &RecordMeta) -> bool {
    copies(copy, of) && copy.copied_version.as_ref().is_some_and(|version| *version != of.resource_version)
}

fn copies(meta: &RecordMeta, of: &RecordMeta) -> bool {
    meta.copy_of.as_ref().is_some_and(|copy| copy.secret == of.uid)
}

/// Whether records of the release were copied to where they are to be, and others are left behind: nobody is asked again.
fn is_begun(identity: &Identity, place: &Place) -> bool {
    let known = place.revisions.of(&identity.release);
    let is_copied = |meta: &RecordMeta| known.iter().any(|other| is_pair(other, meta));
    elsewhere(identity, place).iter().any(|from| place.revisions.of(from).iter().any(is_copied))
}

/// `identity` with its records where they are, which is elsewhere while they are to be moved.
pub(in crate::controller::release) fn where_it_is(
    identity: &Identity,
    place: &Place,
) -> Result<Identity, ReconcileError> {
    let Some(from) = sources(identity, place).0.into_iter().next() else { return Ok(identity.clone()) };
    admit(&from, identity, place)?;
    Ok(Identity { release: from, ..identity.clone() })
}

/// Refuses another namespace for the objects of a release whose records stay where they are: one history is of one namespace, and
/// an upgrade would leave what is in the other.
fn stays(identity: &Identity, place: &Place) -> Result<(), ReconcileError> {
    let Identity { release, namespace, .. } = identity;
    let known = place.revisions.of(release);
    let is_there = known.last().is_some_and(|last| last.status != Status::Uninstalled);
    // One that Helm made since has no marks.
    let newest = known.iter().rev().find(|meta| meta.marks.is_some());
    let was = prepare::marked(release, place).namespace;
    if !is_there || newest.is_none_or(|newest| !is_own(newest, identity)) || was == *namespace {
        return Ok(());
    }
    let message = format!(
        "the release is in namespace {was}, which its records in namespace {} tell of, and spec.release.namespace is {namespace}: to move it, declare \
         another spec.storageNamespace together with that, or leave it out; to leave it where it is, declare {was} again",
        release.namespace
    );
    Err(ReconcileError::new(Reason::ConfigurationError, message))
}

/// Where else there are records of the release whose objects are those that are declared.
fn elsewhere(identity: &Identity, place: &Place) -> Vec<ReleaseKey> {
    let owned = place.owned_by(&identity.owner, &identity.uid).into_iter();
    let is_same = |release: &ReleaseKey| {
        let marked = prepare::marked(release, place);
        marked.release == identity.release.name && marked.namespace == identity.namespace
    };
    let known = place.revisions.of(&identity.release);
    owned
        .filter(|release| {
            *release != identity.release && is_same(release) && is_moving(release, &known, identity, place)
        })
        .collect()
}

/// Whether records elsewhere are to be moved to where the release has the history `known`. A history of its own that is whole does not
/// give way to what somebody copied to another namespace, or wrote there.
fn is_moving(from: &ReleaseKey, known: &[RecordMeta], identity: &Identity, place: &Place) -> bool {
    let Some(newest) = known.last().filter(|newest| is_own(newest, identity)) else { return true };
    let revisions = place.revisions.of(from);
    let is_paired = revisions.iter().any(|meta| known.iter().any(|other| is_pair(other, meta)));
    // Copies of what is deleted already go before what is left to be moved.
    let is_begun = newest.copy_of.is_some() && revisions.last().is_some_and(|last| last.revision > newest.revision);
    is_paired || is_begun
}

#[cfg(test)]
mod tests {
    use super::{is_pair, is_within};
    use crate::history::{CopyOf, RecordMeta, ReleaseKey};

    /// `uid@version`; `uid@version<secret/first@version` for a copy, without the last version for one that was written since.
    fn records(words: &str) -> Vec<RecordMeta> {
        let meta = |(word, revision): (&str, u32)| {
            let (own, of) = word.split_once('<').map_or((word, None), |(own, of)| (own, Some(of)));
            let (uid, version) = own.split_once('@').expect("a uid and a version");
            let of = of.map(|of| of.split_once('@').map_or((of, None), |(of, version)| (of, Some(version))));
            let copy = of.and_then(|(of, _)| of.split_once('/'));
            RecordMeta {
                revision,
                uid: uid.to_owned(),
                resource_version: version.to_owned(),
                copy_of: copy.map(|(secret, first)| CopyOf { secret: secret.to_owned(), first: first.to_owned() }),
                copied_version: of.and_then(|(_, version)| version).map(str::to_owned),
                ..RecordMeta::new(ReleaseKey::new("default", "demo"))
            }
        };
        words.split_whitespace().zip(1..).map(meta).collect()
    }

    #[test]
    fn what_another_place_has_as_well_is_a_part_of_it() {
        for (part, whole, expected) in [
            // Copies of the first, or of all, that were not written since.
            ("a1@5<b1/b1@1", "b1@1 b2@2", true),
            ("a1@5<b1/b1@1 a2@6<b2/b2@2", "b1@1 b2@2", true),
            ("b1@1 b2@2", "a1@5<b1/b1@1 a2@6<b2/b2@2", true),
            ("b1@1 b2@2", "a1@5<b1/b1@1", false),
            // The original was written since, or the copy was.
            ("b1@7", "a1@5<b1/b1@1", false),
            ("a1@5<b1/b1@1", "b1@7", true),
            ("a1@9<b1/b1", "b1@1", false),
            ("b1@1", "a1@9<b1/b1", true),
            // Copies of one third.
            ("a1@5<b1/b1@1", "c1@6<b1/b1@1", true),
            ("c1@6<a1/b1@5", "b1@1", true),
            ("a1@5<b1/b1@1", "c1@1", false),
            ("a1@1", "b1@1", false),
        ] {
            assert_eq!(is_within(&records(part), &records(whole)), expected, "{part} in {whole}");
        }
    }

    #[test]
    fn a_copy_of_a_copy_is_known_by_the_first_of_them() {
        let [copy, original] = [&records("c1@9<a1/b1@5")[0], &records("b1@1")[0]];
        assert!(is_pair(copy, original) && is_pair(original, copy));
        assert!(!is_pair(copy, &records("b2@1")[0]));
    }
}
