//! Which records are no history by which an object's release is uninstalled, though they say so: copies, and what somebody wrote.
//!
//! Whoever may write Secrets in a namespace of the object could have another release taken down by them.

use helm::release::Status;

use super::{prepare, uninstall};
use crate::cluster::{Owner as Marked, Reach};
use crate::controller::matching::Key;
use crate::controller::place::Place;
use crate::controller::release::claims;
use crate::controller::release::dereference::Known;
use crate::controller::release::removal::Leaving;
use crate::history::{Record, RecordMeta, ReleaseKey};

/// How the objects of a release are marked: as its records say; where none is left, or Helm has dropped the marks of all of them, as
/// the status of the object does.
pub(super) fn owner(release: &ReleaseKey, leaving: &Leaving, place: &Place) -> Marked {
    let is_unmarked = place.revisions.of(release).iter().all(|meta| meta.marks.is_none());
    let tells = is_unmarked && place.reach() == Reach::Cluster && leaving.tells_of(&place.target(release));
    match leaving.state.as_ref().filter(|_| tells) {
        Some(state) => Marked { release: release.name.clone(), namespace: state.namespace.clone() },
        None => prepare::marked(release, place),
    }
}

/// Why records are no history of a release to be uninstalled, though their marks say whose they are: somebody copied them from another
/// namespace, as a backup does, or wrote them.
pub(super) fn why(
    release: &ReleaseKey,
    newest: &Record,
    owner: &Marked,
    (leaving, place): (&Leaving, &Place),
) -> Option<String> {
    let told = (newest.release.name.as_str(), newest.release.namespace.as_str());
    if told != (owner.release.as_str(), owner.namespace.as_str()) {
        return Some(format!("they are of release {}/{}, and copies of them are no release", told.1, told.0));
    }
    let own = ReleaseKey { namespace: owner.namespace.clone(), name: owner.release.clone() };
    // What is there of this object is what a move of its records has left.
    if own == *release || place.owned_by(&leaving.owner, &leaving.uid).contains(&own) {
        return None;
    }
    if let Some(other) = has_others(&own, leaving, place) {
        return Some(format!("release {own} is that of HelmRelease {other}, which has another history of it"));
    }
    let has_other = uninstall::owner_of(&own, place)
        .is_some_and(|other| other.key.to_string() != leaving.owner && other.has_installed());
    let stands = has_other || may_stand(&place.revisions.of(&own));
    stands.then(|| format!("release {own} has a history in its own namespace, and that is not this object's"))
}

/// The object that has the objects of the release by a history in yet another namespace.
fn has_others(own: &ReleaseKey, leaving: &Leaving, place: &Place) -> Option<Key> {
    claims::has_them(&place.target(own), &Key::parse(&leaving.owner)?, Known::at(place))
}

/// Whether something may stand in the cluster by a history (oldest first): not where it was uninstalled and its history kept, nor
/// where no install of it ever came to its end.
fn may_stand(revisions: &[RecordMeta]) -> bool {
    let since = revisions.iter().rposition(|meta| meta.status == Status::Uninstalled).map_or(0, |at| at + 1);
    revisions[since..].iter().any(|meta| meta.was_deployed() || !is_over(meta.status))
}

fn is_over(status: Status) -> bool {
    matches!(status, Status::Failed | Status::Superseded)
}

#[cfg(test)]
mod tests {
    use super::may_stand;
    use crate::history::{Marks, RecordMeta, ReleaseKey};

    fn revisions(words: &str) -> Vec<RecordMeta> {
        let meta = |(word, revision): (&str, u32)| RecordMeta {
            revision,
            status: word.trim_end_matches('!').into(),
            marks: word.ends_with('!').then(|| Marks { ended: Some("x".to_owned()), ..Marks::default() }),
            ..RecordMeta::new(ReleaseKey::new("default", "demo"))
        };
        words.split_whitespace().zip(1..).map(meta).collect()
    }

    #[test]
    fn nothing_stands_by_what_was_uninstalled_or_never_came_to_its_end() {
        for (words, expected) in [
            ("", false),
            ("superseded uninstalled", false),
            ("failed failed", false),
            ("superseded! failed!", false),
            ("uninstalled failed", false),
            ("deployed", true),
            ("uninstalled deployed", true),
            ("superseded failed", true),
            ("pending-install", true),
            ("failed uninstalling", true),
        ] {
            assert_eq!(may_stand(&revisions(words)), expected, "{words}");
        }
    }
}
