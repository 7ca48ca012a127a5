//! Releases that another object has: what is told of that, and when one is taken over that is an object's of another cluster.

use kube::ResourceExt as _;

use super::demands;
use super::dereference::{Known, owner_of, target};
use crate::api::{ADOPT, ConditionType, FORCE_AT, HelmRelease, KubeConfig, Reason};
use crate::controller::error::ReconcileError;
use crate::controller::guarded::Guarded;
use crate::controller::matching::{self, Key};
use crate::controller::ownership::{Evidence, Owner};
use crate::controller::place::Whereabouts;
use crate::controller::target;
use crate::controller::watch;
use crate::history::{Marks, RecordMeta};

/// Whether the status says that the release is an object's of another cluster.
pub(super) fn knows_of_another(release: &HelmRelease) -> bool {
    let conditions = release.status.iter().flat_map(|status| &status.conditions);
    let conflict = Reason::ReleaseNameConflict.to_string();
    conditions.into_iter().any(|it| it.type_ == ConditionType::Released.as_str() && it.reason == conflict)
}

/// For whom an operator of another cluster made a revision that bears these marks, in words.
pub(super) fn maker(marks: &Marks) -> String {
    let Marks { owner, home, .. } = marks;
    if home.is_empty() {
        return format!("HelmRelease {owner} of that cluster itself, where an operator runs, too");
    }
    format!("HelmRelease {owner} of another cluster, whose namespace kube-system has the uid {home}")
}

/// Whether `release` takes over what an object of another cluster has, which nothing here tells of but the record `newest`: once for
/// each demand of a person, so that two never take it from each other without end.
///
/// # Errors
///
/// It does not.
pub(super) fn takes_from_elsewhere(
    release: &HelmRelease,
    newest: &RecordMeta,
    revisions: &[RecordMeta],
) -> Result<bool, ReconcileError> {
    let target = target(release);
    let state = release.status.as_ref().and_then(|status| status.helm_release.as_ref());
    let had = state.is_some_and(|state| matching::told(state, &Key::of(release).namespace) == target);
    // Not by what it declares: that may be restored, or applied, in more clusters than one.
    let asks = demands::forced(release).is_some_and(|demand| !demands::is_answered(demand, revisions));
    let asks = asks && knows_of_another(release);
    if asks && !release.spec.suspend {
        return Ok(true);
    }
    let (name, revision) = (release.name_any(), newest.revision);
    let maker = newest.marks.as_ref().map(maker).unwrap_or_default();
    let theirs = format!("{maker}: the operator there made its revision {revision}");
    let message = if had {
        format!(
            "the Helm release {target}, which this object had, was taken over by {theirs}. It is left to that one: delete {name}, which leaves the \
             release as it is. To take it back, suspend that one, or delete it with spec.uninstall.deletionPolicy: Orphan, and give the annotation \
             {FORCE_AT} of {name} a new value"
        )
    } else {
        format!(
            "the Helm release {target} belongs to {theirs}. Set another spec.release.name or spec.release.namespace in {name}, or delete that one; \
             or, to take the release over, give the annotation {FORCE_AT} of {name} a new value, once that one is suspended, or deleted with \
             spec.uninstall.deletionPolicy: Orphan"
        )
    };
    Err(ReconcileError::new(Reason::ReleaseNameConflict, message))
}

/// By what a cluster was reached that a record names.
fn by_what(cluster: &str) -> String {
    if cluster.is_empty() {
        return "without a kubeconfig".to_owned();
    }
    let named = KubeConfig::parse(cluster);
    format!("by its {} {}", named.kind(), named.name())
}

/// Why `release` does not have the Helm release that it declares, which is `owner`'s, and what to do about it.
pub(super) fn conflict(owner: &Owner, release: &HelmRelease, known: Known<'_>) -> String {
    let target = target(release);
    let Owner { key, uid: _, evidence, leaves, adopted } = owner;
    if adopted.is_some() {
        return format!(
            "the Helm release {target} was taken over by HelmRelease {key}, whose annotation {ADOPT} says so: delete {}, which leaves the release as it is",
            release.name_any()
        );
    }
    let why = match evidence {
        Evidence::Revision(revision) => format!("which made its revision {revision}"),
        Evidence::Status(revision) => format!("whose status tells of its revision {revision}"),
        Evidence::Age => "which was created first".to_owned(),
    };
    if *leaves {
        return of_one_that_leaves(owner, &why, release, known);
    }
    let hand_over = if release.annotations().get(ADOPT) == Some(&key.name) {
        format!(
            "Its annotation {ADOPT} names {}, which was made later: delete {}, and {} goes on with the release",
            key.name,
            key.name,
            release.name_any()
        )
    } else if release.namespace().is_some_and(|own| own == key.namespace) {
        format!("To take the release over as it is, annotate {} with {ADOPT}={}", release.name_any(), key.name)
    } else {
        format!("To hand it over as it is, set spec.uninstall.deletionPolicy: Orphan in {key} before it is deleted")
    };
    format!(
        "the Helm release {target} belongs to HelmRelease {key}, {why}: set another spec.release.name or spec.release.namespace in {}, or delete {key}. \
         {hand_over}. All of it is noticed at once",
        release.name_any()
    )
}

/// The same where the owner declares another release by now.
fn of_one_that_leaves(owner: &Owner, why: &str, release: &HelmRelease, known: Known<'_>) -> String {
    let (target, context, key) = (target(release), known.context, &owner.key);
    let newest = known.of(&target).into_iter().rev().find_map(|meta| meta.marks);
    let here = target::mark(target.cluster.as_ref());
    if let Some(there) = newest.map(|marks| marks.cluster).filter(|there| *there != here) {
        let by = by_what(&there);
        return format!(
            "the Helm release {target} belongs to HelmRelease {key}, {why} in the same cluster, {by}: set another spec.release.name or \
             spec.release.namespace in {}, or delete {key}",
            release.name_any()
        );
    }
    let moves_here = |object: &Guarded<HelmRelease>| {
        let declared = object.0.as_ref().ok().map(matching::target);
        let next = declared.and_then(|it| owner_of(&it, &known.of(&it), context));
        next.is_some_and(|next| next.key == Key::of(release))
    };
    if context.releases.get(&watch::reference(key)).is_some_and(|other| moves_here(&other)) {
        return format!(
            "the Helm release {target} still belongs to HelmRelease {key}, {why}, which waits for the one that {} leaves: two that swap wait \
             for each other. Move one of them to a third name first",
            release.name_any()
        );
    }
    let other = context.releases.get(&watch::reference::<HelmRelease>(key));
    let is_believed = |object: &HelmRelease| Whereabouts::of(object).records.contains(&target.release.namespace);
    if other.as_deref().and_then(|other| other.0.as_ref().ok()).is_some_and(|other| !is_believed(other)) {
        return format!(
            "the records of the Helm release {target} say that they were made for HelmRelease {key}, {why}, and which has nothing there: they were copied, with their namespace perhaps. Delete them, and what was copied of its objects, to have the release of {} installed",
            release.name_any()
        );
    }
    format!(
        "the Helm release {target} still belongs to HelmRelease {key}, {why} and declares another one by now: it is free once that one has moved"
    )
}
