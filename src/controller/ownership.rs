//! Which object owns a Helm release: one decision, for who may change it and for who may uninstall it. Pure.
//!
//! Each revision that the operator made is marked with the object it was made for. The newest marked revision whose object
//! is still there decides. Where the marks are lost (the Helm CLI drops them when it writes a record), the status of an
//! object that installed the release does. The age of the objects decides only where neither tells anything.
//!
//! An object of the same namespace that declares the release and names the owner in its annotation
//! [`ADOPT`](crate::api::ADOPT) takes its place: so an object is renamed without an uninstall in between, whichever of the
//! two is seen first.

use helm::release::Status;
use k8s_openapi::jiff::{SignedDuration, Timestamp};
use kube::{Resource as _, ResourceExt as _};

use super::guarded::Guarded;
use super::matching::{self, Key};
use super::target::Target;
use crate::api::{HelmRelease, ReleaseState};
use crate::history::RecordMeta;

/// A revision's record is made within this time of the deployment that the status tells of. A record of that number that
/// is younger was made by somebody else, after ours was gone.
const SAME_DEPLOYMENT: SignedDuration = SignedDuration::from_mins(10);

/// An object that may own a release.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Candidate {
    /// The object.
    pub(crate) key: Key,
    uid: String,
    created: Option<Timestamp>,
    declares: Declares,
    leaving: bool,
    /// Whether it is in the namespace of the release.
    local: bool,
    adopts: Option<Key>,
    installed: Option<Installed>,
}

/// Whether an object declares the release in question.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Declares {
    This,
    /// Another one: if it made the newest revision, it is about to move away.
    Another,
    /// It cannot be decoded.
    Unknown,
}

/// That an object installed the release, as its status tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Installed {
    revision: i64,
    at: Option<Timestamp>,
}

impl Candidate {
    /// What `object` candidates of the release `target`.
    pub(crate) fn of(object: &Guarded<HelmRelease>, target: &Target) -> Self {
        let declares = match &object.0 {
            Ok(release) if matching::target(release) == *target => Declares::This,
            Ok(_) => Declares::Another,
            Err(_) => Declares::Unknown,
        };
        let state = object.0.as_ref().ok().and_then(|release| release.status.as_ref()?.helm_release.as_ref());
        let namespace = object.namespace().unwrap_or_default();
        let is_here = |state: &&ReleaseState| matching::told(state, &namespace) == *target;
        Self {
            key: Key::of(object),
            uid: object.uid().unwrap_or_default(),
            created: object.creation_timestamp().map(|time| time.0),
            declares,
            local: namespace == target.release.namespace,
            leaving: object.meta().deletion_timestamp.is_some(),
            adopts: Key::adopted_by(object),
            installed: state.filter(is_here).map(|state| Installed {
                revision: state.revision,
                at: state.last_deployed.as_ref().map(|time| time.0),
            }),
        }
    }
}

/// The object that owns a release.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Owner {
    /// The object.
    pub(crate) key: Key,
    /// Its uid.
    pub(crate) uid: String,
    /// What shows that.
    pub(crate) evidence: Evidence,
    /// Whether it declares another release by now: it leaves this one.
    pub(crate) leaves: bool,
    /// Whose place it took, by [`ADOPT`](crate::api::ADOPT); the evidence is about that one.
    pub(crate) adopted: Option<Key>,
}

/// What shows that an object owns a release.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Evidence {
    /// It made this revision.
    Revision(u32),
    /// Its status tells of this revision, whose record has lost its marks.
    Status(u32),
    /// Of those that declare the release it was created first. It has installed nothing yet.
    Age,
}

impl Owner {
    /// Whether it has put the release into the cluster, and so may take it out of there. Who adopted it has not, until it
    /// marked the newest revision as its own.
    pub(crate) fn has_installed(&self) -> bool {
        self.evidence != Evidence::Age && self.adopted.is_none()
    }
}

/// Those of a release that is there: what was uninstalled belongs to nobody, though its history is kept.
fn since_uninstalled(revisions: &[RecordMeta]) -> &[RecordMeta] {
    let since = revisions.iter().rposition(|meta| meta.status == Status::Uninstalled).map_or(0, |at| at + 1);
    &revisions[since..]
}

/// The object for which it is asked whose a release is.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Viewer<'a> {
    /// Its uid.
    pub(crate) uid: &'a str,
    /// The uid of its cluster, where that is known.
    pub(crate) home: Option<&'a str>,
    /// Whether the release is in another cluster.
    pub(crate) is_remote: bool,
}

/// The newest marked revision (of these, oldest first), where an operator of another cluster made it than that of `viewer`: for an object
/// that is not known here, and that a name or a uid of one here says nothing about.
pub(crate) fn made_elsewhere<'m>(revisions: &'m [RecordMeta], viewer: Viewer<'_>) -> Option<&'m RecordMeta> {
    let newest = since_uninstalled(revisions).iter().rev().find(|meta| meta.marks.is_some())?;
    let marks = newest.marks.as_ref()?;
    let is_of_another = match (marks.home.as_str(), viewer.home) {
        // What an operator makes in its own cluster names neither that nor a way there.
        ("", _) => viewer.is_remote && marks.cluster.is_empty() && marks.uid != viewer.uid,
        (home, Some(own)) => home != own,
        (_, None) => marks.uid != viewer.uid,
    };
    is_of_another.then_some(newest)
}

/// Decides who owns a release with these revisions (oldest first), of the objects that declare it or are named by marks.
pub(crate) fn owner(revisions: &[RecordMeta], candidates: &[Candidate]) -> Option<Owner> {
    let revisions = since_uninstalled(revisions);
    let owner = by_marks(revisions, candidates)
        .or_else(|| heir(revisions, candidates))
        .or_else(|| by_status(revisions, candidates))
        .or_else(|| by_age(candidates))?;
    // What is being uninstalled is uninstalled to its end by whoever began it.
    let ends = revisions.last().is_some_and(|last| last.status == Status::Uninstalling);
    Some(adopter(&owner, candidates).filter(|_| !ends).unwrap_or(owner))
}

/// The object that takes the place of `owner`, where there is one: one that stays, and that was made after it, so that the
/// annotation may be left on an object that is itself adopted later.
fn adopter(owner: &Owner, candidates: &[Candidate]) -> Option<Owner> {
    let adopted = candidates.iter().find(|candidate| candidate.key == owner.key);
    let created = adopted.and_then(|adopted| adopted.created);
    let is_mutual =
        |candidate: &Candidate| adopted.is_some_and(|adopted| adopted.adopts.as_ref() == Some(&candidate.key));
    let takes = |candidate: &&Candidate| {
        candidate.declares == Declares::This
            && candidate.adopts.as_ref() == Some(&owner.key)
            && candidate.key != owner.key
            && !candidate.leaving
            // Times of creation are whole seconds.
            && (candidate.created > created
                || (candidate.created == created && !is_mutual(candidate))
                // Who goes leaves it to whoever asks for it.
                || adopted.is_some_and(|adopted| adopted.leaving))
    };
    let candidate = candidates.iter().filter(takes).min_by_key(|candidate| (candidate.created, &candidate.key))?;
    Some(Owner {
        key: candidate.key.clone(),
        uid: candidate.uid.clone(),
        adopted: Some(owner.key.clone()),
        leaves: false,
        evidence: owner.evidence,
    })
}

fn by_marks(revisions: &[RecordMeta], candidates: &[Candidate]) -> Option<Owner> {
    let marked = revisions.iter().rev().filter_map(|meta| Some((meta.revision, meta.marks.as_ref()?)));
    let mut newest = true;
    for (revision, marks) in marked {
        let candidate =
            Key::parse(&marks.owner).and_then(|owner| candidates.iter().find(|candidate| candidate.key == owner));
        let owns = |candidate: &&Candidate| match candidate.declares {
            // A uid of another object of that name: it was restored, or made anew, and declares the release again.
            Declares::This | Declares::Unknown => true,
            Declares::Another => newest && candidate.uid == marks.uid,
        };
        if let Some(candidate) = candidate.filter(owns) {
            let leaves = candidate.declares == Declares::Another;
            return Some(Owner {
                key: candidate.key.clone(),
                uid: candidate.uid.clone(),
                evidence: Evidence::Revision(revision),
                leaves,
                adopted: None,
            });
        }
        newest = false;
    }
    None
}

/// The object that takes the place of one that is gone already, and whose marks the newest revision still bears.
fn heir(revisions: &[RecordMeta], candidates: &[Candidate]) -> Option<Owner> {
    let mut marked = revisions.iter().rev().filter_map(|meta| Some((meta.revision, meta.marks.as_ref()?)));
    let (revision, marks) = marked.next()?;
    let gone = Key::parse(&marks.owner)?;
    let takes = |candidate: &&Candidate| {
        candidate.declares == Declares::This && !candidate.leaving && candidate.adopts.as_ref() == Some(&gone)
    };
    let candidate = candidates.iter().filter(takes).min_by_key(|candidate| (candidate.created, &candidate.key))?;
    Some(Owner {
        key: candidate.key.clone(),
        uid: candidate.uid.clone(),
        evidence: Evidence::Revision(revision),
        leaves: false,
        adopted: Some(gone),
    })
}

fn by_status(revisions: &[RecordMeta], candidates: &[Candidate]) -> Option<Owner> {
    let told = |candidate: &Candidate| {
        let installed = candidate.installed.filter(|_| candidate.declares == Declares::This)?;
        let meta = revisions.iter().find(|meta| i64::from(meta.revision) == installed.revision)?;
        let same = match (meta.created_at, installed.at) {
            (Some(created), Some(at)) => created.duration_since(at).abs() <= SAME_DEPLOYMENT,
            (None, _) | (_, None) => false,
        };
        (same && meta.marks.is_none()).then_some(meta.revision)
    };
    let newest = candidates
        .iter()
        .filter_map(|candidate| Some((told(candidate)?, candidate)))
        .max_by_key(|(revision, _)| *revision);
    newest.map(|(revision, candidate)| Owner {
        key: candidate.key.clone(),
        uid: candidate.uid.clone(),
        evidence: Evidence::Status(revision),
        leaves: false,
        adopted: None,
    })
}

fn by_age(candidates: &[Candidate]) -> Option<Owner> {
    let declaring = candidates.iter().filter(|candidate| candidate.declares == Declares::This);
    // One of another namespace takes no name away from those whose namespace it is.
    let oldest = declaring.min_by_key(|candidate| (!candidate.local, candidate.created, &candidate.key))?;
    let (key, uid) = (oldest.key.clone(), oldest.uid.clone());
    Some(Owner { key, uid, evidence: Evidence::Age, leaves: false, adopted: None })
}

#[cfg(test)]
mod tests;
