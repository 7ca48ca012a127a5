//! Whose the objects are that two objects declare, each with a history of its own, by what they are marked with.

use k8s_openapi::jiff::Timestamp;
use kube::ResourceExt as _;

use super::dereference::{Known, stays_within, target};
use crate::api::{HelmRelease, Reason};
use crate::controller::context::Context;
use crate::controller::error::ReconcileError;
use crate::controller::matching::{self, Key};
use crate::controller::place::Whereabouts;
use crate::controller::target::Target;
use crate::controller::watch;
use crate::history::ReleaseKey;

/// Refuses a release whose objects are those of another one, since only their records are kept apart.
pub(super) fn shares_objects(release: &HelmRelease, known: Known<'_>) -> Result<(), ReconcileError> {
    let marked = matching::marked(release);
    let is_elsewhere = |other: &HelmRelease| target(other) != target(release);
    let is_first = |other: &HelmRelease| is_elsewhere(other) && Claim::goes_first((other, release), &marked, known);
    let Some(other) = sharing_objects(&marked, &Key::of(release), known.context).into_iter().find(is_first) else {
        return Ok(());
    };
    let message = format!(
        "the objects of the Helm release {} belong to HelmRelease {first}, whose records are in namespace {}: two histories of one release \
         would undo each other. Set another spec.release.name or spec.release.namespace in {}, or delete {first}",
        marked.release,
        target(&other).release.namespace,
        release.name_any(),
        first = Key::of(&other),
    );
    Err(ReconcileError::new(Reason::OwnershipConflict, message))
}

/// The object other than `own` that has objects which are marked like that, by another history than the one that `own` has of them.
pub(super) fn has_them(marked: &Target, own: &Key, known: Known<'_>) -> Option<Key> {
    let object = known.context.releases.get(&watch::reference::<HelmRelease>(own));
    let object = object.as_deref().and_then(|object| object.0.as_ref().ok());
    let has = |other: &HelmRelease| match object {
        Some(object) => {
            has_objects((other, object), marked, known) && Claim::goes_first((other, object), marked, known)
        }
        None => has_objects((other, other), marked, known),
    };
    sharing_objects(marked, own, known.context).into_iter().find(has).map(|other| Key::of(&other))
}

/// The objects other than `own` that declare objects which are marked like that, and may.
fn sharing_objects(marked: &Target, own: &Key, context: &Context) -> Vec<HelmRelease> {
    let others: Vec<Key> = context.index().sharing_objects(marked).filter(|other| *other != own).cloned().collect();
    let others = others.iter().filter_map(|other| context.releases.get(&watch::reference::<HelmRelease>(other)));
    let others = others.filter_map(|other| other.0.as_ref().ok().cloned());
    // Whoever may not reach there has nothing there, and takes a name from nobody.
    others.filter(|other| stays_within(other, context).is_ok()).collect()
}

/// What an object has for its claim to objects: that of two that is less goes first.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Claim {
    has_none: bool,
    /// One of another namespace takes no name away from those whose namespace it is.
    is_far: bool,
    created: Option<Timestamp>,
    object: Key,
}

impl Claim {
    /// Whether the first of two objects goes before the other.
    fn goes_first((one, other): (&HelmRelease, &HelmRelease), marked: &Target, known: Known<'_>) -> bool {
        Self::of((one, other), marked, known) < Self::of((other, one), marked, known)
    }

    fn of((object, against): (&HelmRelease, &HelmRelease), marked: &Target, known: Known<'_>) -> Self {
        Self {
            has_none: !has_objects((object, against), marked, known),
            is_far: is_far(object, marked),
            created: object.creation_timestamp().map(|time| time.0),
            object: Key::of(object),
        }
    }
}

fn is_far(object: &HelmRelease, marked: &Target) -> bool {
    object.namespace().as_ref() != Some(&marked.release.namespace)
}

/// Whether records of an object speak of objects that are marked like that. Against one of another namespace it does not count what
/// whoever may write Secrets in a namespace could have written for it: of objects elsewhere its status has to tell, too.
fn has_objects((object, against): (&HelmRelease, &HelmRelease), marked: &Target, known: Known<'_>) -> bool {
    let state = object.status.as_ref().and_then(|status| status.helm_release.as_ref());
    let tells = state.is_some_and(|state| {
        let ReleaseKey { namespace, name } = &marked.release;
        let cluster = matching::told(state, &object.namespace().unwrap_or_default()).cluster;
        (&state.namespace, &state.name, &cluster) == (namespace, name, &marked.cluster)
    });
    if object.namespace() != against.namespace() && is_far(object, marked) && !tells {
        return false;
    }
    let Some(known) = known.revisions(marked.cluster.as_ref()) else { return false };
    let records = Whereabouts::of(object).records;
    let speaks = |release: &ReleaseKey| {
        let newest = known.of(release).into_iter().rev().find(|meta| meta.marks.is_some());
        release.name == marked.release.name && newest.is_some_and(|it| it.namespace() == marked.release.namespace)
    };
    let mut owned = known.owned_by(&Key::of(object).to_string(), &object.uid().unwrap_or_default()).into_iter();
    owned.any(|release| records.contains(&release.namespace) && speaks(&release))
}
