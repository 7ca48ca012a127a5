//! The end of a release: hooks, objects, history; and only then the finalizer.
//!
//! What there is to remove is found by the records of the release that were made for the object, and by the inventory
//! in its status, which holds what the records held though they are gone or cannot be read.

use std::collections::BTreeSet;

use helm::manifest::HookEvent;
use helm::release::Status;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::Api;
use kube::core::CustomResourceExt as _;

use super::hooks::{self, Course};
use super::leftovers::spare;
use super::{Deadline, Doing, prepare, record, spared, storage};
use crate::api::{DeletionPolicy, DeletionPropagation, HelmRelease, InventoryEntry, Reason};
use crate::cluster::{
    DeleteOptions, Object, ObjectRef, Owner as Marked, Propagation, Removal as Removed, SecretValues, Whose, distinct,
};
use crate::controller::causes::api_error;
use crate::controller::context::Context;
use crate::controller::error::ReconcileError;
use crate::controller::matching::Key;
use crate::controller::ownership::{self, Evidence, Owner};
use crate::controller::place::Place;
use crate::controller::release::dereference;
use crate::controller::release::plan;
use crate::controller::release::removal::{Leaving, Removal};
use crate::controller::release::rivals;
use crate::controller::release::trace::Trace;
use crate::controller::release::validate::Identity;
use crate::controller::target;
use crate::history::{Marks, Record, RecordMeta, ReleaseKey};

/// Uninstalls what a deleted object had installed in a place; or, where there is a reason to, leaves it with that in the
/// trace.
pub(super) async fn uninstall(
    leaving: &Leaving,
    stays: Option<&str>,
    place: &Place,
    trace: &mut Trace,
) -> Result<(), ReconcileError> {
    let owned = leave_taken_over(owned(leaving, place), leaving, place, trace).await?;
    if let Some(why) = stays {
        let left = owned;
        for release in &left {
            Box::pin(unlock(release, leaving, place)).await?;
        }
        let left: Vec<String> = left.iter().map(|release| place.target(release).to_string()).collect();
        trace.left(&left, why);
        return Ok(());
    }
    for release in &Box::pin(delete_partial_copies(owned, place)).await? {
        match Box::pin(remove(release, leaving, place, trace)).await {
            Err(error) if error.reason == Reason::Forbidden => {
                // Where its bindings still stand a service account that is gone may do all of it.
                let Some(account) = place.missing_account().await? else { return Err(error) };
                Box::pin(unlock(release, leaving, place)).await?;
                let why = format!(
                    "the service account {account}, as which it is carried out, does not exist: {}",
                    error.message
                );
                trace.left(&[place.target(release).to_string()], &why);
            }
            ended => drop(ended?),
        }
    }
    Ok(())
}

/// `owned` without those that objects of other clusters have by now: these are left to them, with a word.
async fn leave_taken_over(
    owned: Vec<ReleaseKey>,
    leaving: &Leaving,
    place: &Place,
    trace: &mut Trace,
) -> Result<Vec<ReleaseKey>, ReconcileError> {
    let mut ours = Vec::with_capacity(owned.len());
    for release in owned {
        match place.made_elsewhere(&release, &leaving.uid).await?.and_then(|newest| newest.marks) {
            Some(marks) => {
                let why = format!("it belongs to {}", rivals::maker(&marks));
                trace.left(&[place.target(&release).to_string()], &why);
            }
            None => ours.push(release),
        }
    }
    Ok(ours)
}

/// Of records that were being moved each place has a part: those of a place go that has none which tells more. By one that was left
/// alone the release would be uninstalled once more, with its hooks.
pub(super) async fn delete_partial_copies(
    owned: Vec<ReleaseKey>,
    place: &Place,
) -> Result<Vec<ReleaseKey>, ReconcileError> {
    let (partial, complete): (Vec<&ReleaseKey>, Vec<&ReleaseKey>) =
        owned.iter().partition(|it| is_partial_copy(it, &owned, place));
    for meta in partial.into_iter().flat_map(|part| place.revisions.of(part)) {
        record::delete(place, &meta).await?;
    }
    Ok(complete.into_iter().cloned().collect())
}

/// Whether the newest record of the same release, in another place, tells more of it.
fn is_partial_copy(release: &ReleaseKey, owned: &[ReleaseKey], place: &Place) -> bool {
    let newest = |release: &ReleaseKey| place.revisions.of(release).last().cloned();
    let (marks, own) = (prepare::marked(release, place), newest(release));
    let is_before = |other: &ReleaseKey| match (&own, newest(other)) {
        // Where all are copied already, and none is deleted, the copies go on.
        (Some(own), Some(other)) if own.revision == other.revision => storage::is_copied(own, &other),
        (own, other) => other.map(|other| other.revision) > own.as_ref().map(|own| own.revision),
    };
    owned.iter().any(|other| prepare::marked(other, place) == marks && is_before(other))
}

/// Whether a record is of a revision that was made for the object.
fn is_still(meta: &RecordMeta, leaving: &Leaving, place: &Place) -> bool {
    meta.marks.as_ref().is_some_and(|marks| marks.owner == leaving.owner)
        && ownership::made_elsewhere(std::slice::from_ref(meta), place.viewer(&leaving.uid)).is_none()
}

/// Uninstalls what was made for an object that is gone already: what bears its uid.
pub(super) async fn uninstall_gone(leaving: &Leaving, place: &Place, trace: &mut Trace) -> Result<(), ReconcileError> {
    if stays(leaving, &place.context).await?.is_some() {
        return Ok(());
    }
    let owned = place.owned_by(&leaving.owner, &leaving.uid);
    for release in Box::pin(delete_partial_copies(owned, place)).await? {
        Box::pin(remove(&release, leaving, place, trace)).await?;
    }
    Ok(())
}

/// Ends what goes on with a release that is left in the cluster, an uninstall that was called off too: nobody else would,
/// whoever goes on with the release would find it locked, and another object would end the uninstall.
async fn unlock(release: &ReleaseKey, leaving: &Leaving, place: &Place) -> Result<(), ReconcileError> {
    let revisions = place.revisions.of(release);
    let is_ours = |last: &&RecordMeta| last.marks.as_ref().is_some_and(|marks| marks.owner == leaving.owner);
    let goes_on = |last: &&RecordMeta| plan::is_pending(last.status) || last.status == Status::Uninstalling;
    let Some(last) = revisions.last().filter(is_ours).filter(goes_on) else { return Ok(()) };
    match record::read(place, release, last.revision).await {
        // Somebody took it over meanwhile.
        Ok(Some(record)) if !is_still(&record.meta()?, leaving, place) => Ok(()),
        Ok(Some(record)) => Box::pin(end(record, place)).await,
        Ok(None) => Ok(()),
        Err(error) => Err(error),
    }
    .or_else(|error| match error.reason {
        Reason::ClusterUnavailable | Reason::PendingRelease => Err(error),
        // What is to be left must not be held for what cannot be ended.
        _ => {
            tracing::warn!(object = %leaving.owner, error = %error.message, "failed to end what goes on with release {release}, which is left in the cluster");
            Ok(())
        }
    })
}

async fn end(mut record: Record, place: &Place) -> Result<(), ReconcileError> {
    hooks::end_running(&mut record, place).await?;
    let why = "the HelmRelease was deleted, and the release left in the cluster";
    record::supersede(record, why, place).await.map(drop)
}

/// Why the release stays in the cluster though its object goes.
pub(super) async fn stays(leaving: &Leaving, context: &Context) -> Result<Option<String>, ReconcileError> {
    if leaving.unclear {
        return Ok(Some("spec.suspend and spec.uninstall.deletionPolicy cannot be read".to_owned()));
    }
    match leaving.removal.policy {
        Some(DeletionPolicy::Orphan) => return Ok(Some("spec.uninstall.deletionPolicy is Orphan".to_owned())),
        None if leaving.suspended => {
            return Ok(Some("it was suspended, and spec.uninstall.deletionPolicy is not set".to_owned()));
        }
        None | Some(DeletionPolicy::Uninstall) => {}
    }
    // A definition that goes takes every object of its kind with it, which nobody means to uninstall all of a cluster.
    let definitions = Api::<CustomResourceDefinition>::all(context.client.clone());
    match definitions.get_metadata_opt(HelmRelease::crd_name()).await {
        Ok(Some(definition)) if definition.metadata.deletion_timestamp.is_none() => Ok(None),
        Ok(_) => Ok(Some("the CustomResourceDefinition of HelmRelease is being deleted".to_owned())),
        // An operator that may not read definitions cannot know.
        Err(kube::Error::Api(status)) if status.code == 403 => Ok(None),
        Err(error) => Err(api_error("read the CustomResourceDefinition of HelmRelease", &error)),
    }
}

/// Where the object has a release that it owns: by the marks of the records, and by its status where the marks were lost.
/// What somebody else owns by now, or what was never installed for this object, is not its to take away.
fn owned(leaving: &Leaving, place: &Place) -> Vec<ReleaseKey> {
    let marked = releases_made_here(leaving, place).into_iter();
    let told = leaving.told().into_iter().chain(leaving.target.clone());
    let here = told.filter(|told| told.cluster == place.key).map(|told| told.release);
    let candidates: BTreeSet<ReleaseKey> = marked.chain(here).collect();
    candidates.into_iter().filter(|release| owns(leaving, release, place)).collect()
}

/// The releases that were made for the object in a place. Where it declares another one by now, only what was made for it
/// there by that name: two Secrets may lead to one cluster, and what the other made is not to be left.
pub(super) fn releases_made_here(leaving: &Leaving, place: &Place) -> Vec<ReleaseKey> {
    let releases = place.owned_by(&leaving.owner, &leaving.uid).into_iter();
    let (is_declared, mark) = (leaving.whose.declared == place.key, target::mark(place.key.as_ref()));
    let is_by_this_name = |release: &ReleaseKey| {
        let revisions = place.revisions.of(release);
        revisions.iter().rev().find_map(|meta| meta.marks.as_ref()).is_some_and(|marks| marks.cluster == mark)
    };
    releases.filter(|release| is_declared || is_by_this_name(release)).collect()
}

fn owns(leaving: &Leaving, release: &ReleaseKey, place: &Place) -> bool {
    // Where the whole history is gone only the inventory tells of the release, and it holds the uids of its objects.
    let forgotten = leaving.tells_of(&place.target(release)) && place.revisions.of(release).is_empty();
    let owner = owner_of(release, place);
    let is_elsewhere = ownership::made_elsewhere(&place.revisions.of(release), place.viewer(&leaving.uid)).is_some();
    (is_elsewhere && leaving.tells_of(&place.target(release)))
        || forgotten
        || owner.is_some_and(|owner| owner.key.to_string() == leaving.owner && owner.has_installed())
}

pub(super) fn owner_of(release: &ReleaseKey, place: &Place) -> Option<Owner> {
    dereference::owner_of(&place.target(release), &place.revisions.of(release), &place.context)
}

/// Uninstalls the releases under the names and in the namespaces that the object declared before, once the release that
/// takes their place is there.
pub(in crate::controller::release) async fn leave_former(
    identity: &Identity,
    leaving: &Leaving,
    place: &Place,
    trace: &mut Trace,
) -> Result<(), ReconcileError> {
    for release in &Box::pin(delete_partial_copies(former(identity, place), place)).await? {
        let told = trace.left.len();
        let is_spared = Box::pin(remove(release, leaving, place, trace)).await?.is_some();
        let what = (&*leaving.uid, place.target(release).to_string());
        if is_spared && place.context.unlisted_records.news(what, [release.clone()].into()).is_empty() {
            // It was told before: it is looked at each time.
            trace.left.truncate(told);
        }
    }
    Ok(())
}

/// The releases of the object other than the one that it declares.
pub(super) fn former(identity: &Identity, place: &Place) -> Vec<ReleaseKey> {
    let (current, owner) = (&identity.release, identity.owner.as_str());
    let releases = place.owned_by(owner, &identity.uid).into_iter();
    // Whose records are elsewhere, and whose objects are those of the current one, is no other.
    let has_others = |release: &ReleaseKey| {
        let marked = prepare::marked(release, place);
        marked.release != current.name || marked.namespace != identity.namespace
    };
    // One that another object took over is not this one's any more, though the marks still say so.
    let is_ours = |release: &ReleaseKey| {
        let now = owner_of(release, place);
        now.is_none_or(|now| now.key.to_string() == owner)
    };
    let is_there = |release: &ReleaseKey| {
        place.revisions.of(release).last().is_some_and(|last| last.status != Status::Uninstalled)
    };
    let is_former =
        |release: &ReleaseKey| release != current && is_there(release) && is_ours(release) && has_others(release);
    releases.filter(is_former).collect()
}

/// Whether another object has the release by now. Who queues for an uninstall may have waited for long.
fn is_taken(release: &ReleaseKey, leaving: &Leaving, place: &Place) -> bool {
    let owner = owner_of(release, place);
    let is_other = |owner: &Owner| owner.key.to_string() != leaving.owner || owner.uid != leaving.uid;
    // Who only declares it has nothing there yet.
    owner.is_some_and(|owner| is_other(&owner) && owner.evidence != Evidence::Age)
}

/// Uninstalls a release, or ends an uninstall of it that was begun; or tells why its records are left as they are.
pub(super) async fn remove(
    release: &ReleaseKey,
    leaving: &Leaving,
    place: &Place,
    trace: &mut Trace,
) -> Result<Option<String>, ReconcileError> {
    let permit = place.context.bounds.removals.acquire(&release.namespace).await;
    // Asked again: it may have queued for long.
    if leave_taken_over(vec![release.clone()], leaving, place, trace).await?.is_empty() {
        return Ok(None);
    }
    let revisions = place.revisions.of(release);
    if revisions.last().is_some_and(|last| last.status == Status::Uninstalled) || is_taken(release, leaving, place) {
        return Ok(None);
    }
    let (mut records, damaged) = read(release, &revisions, place).await?;
    let inventory = if leaving.tells_of(&place.target(release)) { leaving.inventory.as_slice() } else { &[] };
    if let (true, Some(why)) = (records.is_empty() && inventory.is_empty(), damaged) {
        let message = format!(
            "nothing tells what the release {release} consists of: {}. To let the HelmRelease go and leave its objects, delete that Secret, or set \
             spec.uninstall.deletionPolicy to Orphan",
            why.message
        );
        return Err(ReconcileError::new(Reason::HistoryInvalid, message));
    }
    let owner = spared::owner(release, leaving, place);
    if let Some(why) = records.last().and_then(|record| spared::why(release, record, &owner, (leaving, place))) {
        trace.spared(&place.target(release), &why);
        return Ok(Some(why));
    }
    // Only the newest revision tells of the uninstall; where it is gone or damaged, no other is written in its place.
    let is_newest = |record: &Record| revisions.last().is_some_and(|last| last.revision == record.revision());
    let newest = match records.pop_if(|record| is_newest(record)) {
        Some(newest) => Some(begin(newest, revisions.last(), place).await?),
        None => None,
    };
    tracing::info!(object = %leaving.owner, "uninstalling release {release}");
    if let Some(newest) = newest.as_ref().filter(|_| leaving.target.as_ref() == Some(&place.target(release))) {
        trace.record(newest);
    }
    let mut objects = objects(newest.iter().chain(&records), inventory, place).await?;
    let reach = place.reach();
    objects.retain(|object| reach.covers(object.reference()));
    let (objects, kept) = spare(objects, newest.as_ref(), (leaving, &owner), place).await?;
    drop(permit);
    let last = revisions.last().map_or(0, |last| last.revision);
    let (removal, doing, secrets) = (&leaving.removal, &trace.doing, &trace.secrets);
    let uninstall = Uninstall { release, owner, removal, last, doing, secrets };
    let removed = Box::pin(take_down(newest, &objects, &uninstall, place)).await?;
    trace.removed(&place.target(release), &removed, &kept);
    wake_waiting(release, leaving, place);
    Ok(None)
}

/// Wakes the other objects that declare a release which is free now.
fn wake_waiting(release: &ReleaseKey, leaving: &Leaving, place: &Place) {
    let waiting: Vec<Key> = place.context.index().declaring(&place.target(release)).cloned().collect();
    place.context.wake.releases(waiting.iter().filter(|other| other.to_string() != leaving.owner));
}

/// The records of what may stand in the cluster, oldest first, and why one of them cannot be read.
async fn read(
    release: &ReleaseKey,
    revisions: &[RecordMeta],
    place: &Place,
) -> Result<(Vec<Record>, Option<ReconcileError>), ReconcileError> {
    let (mut records, mut damaged) = (Vec::new(), None);
    for revision in plan::standing(revisions) {
        match record::read(place, release, revision).await {
            Ok(record) => records.extend(record),
            Err(error) if error.reason == Reason::HistoryInvalid => damaged = Some(error),
            Err(error) => return Err(error),
        }
    }
    Ok((records, damaged))
}

/// Records that the uninstall goes on, unless it does already. A record that another object has marked as its own since
/// it was decided is that one's.
async fn begin(mut newest: Record, decided: Option<&RecordMeta>, place: &Place) -> Result<Record, ReconcileError> {
    if newest.release.info.status == Status::Uninstalling {
        return Ok(newest);
    }
    let made_for = |marks: &Marks| (marks.owner.clone(), marks.uid.clone());
    let known = decided.and_then(|decided| decided.marks.as_ref()).map(made_for);
    if let Some(marks) = newest.marks.as_ref().filter(|marks| known != Some(made_for(marks))) {
        let message = format!("HelmRelease {} has taken the release over meanwhile", marks.owner);
        return Err(ReconcileError::new(Reason::PendingRelease, message));
    }
    // What a clock ahead of this one told of hooks is no run of the uninstall's.
    let now = hooks::after_all_of(&newest, place.context.now());
    if plan::is_pending(newest.release.info.status) {
        // Of what goes on being uninstalled the status tells no more that it never was deployed.
        record::give_up(&mut newest);
    }
    let info = &mut newest.release.info;
    info.status = Status::Uninstalling;
    info.deleted = Some(now);
    info.description = "Deletion in progress".into();
    record::update(place, newest).await
}

/// One uninstall.
struct Uninstall<'a> {
    release: &'a ReleaseKey,
    /// How its objects are marked.
    owner: Marked,
    removal: &'a Removal,
    /// The newest revision when it was begun.
    last: u32,
    /// Hears of what is waited for.
    doing: &'a Doing,
    /// The values that come from Secrets.
    secrets: &'a SecretValues,
}

/// `newest` is the record of the uninstall, where it can be read.
async fn take_down(
    mut newest: Option<Record>,
    objects: &[Object],
    &Uninstall { release, ref owner, removal, last, doing, secrets }: &Uninstall<'_>,
    place: &Place,
) -> Result<Vec<Removed>, ReconcileError> {
    let deadline = Deadline::after(removal.timeout);
    let course = Course::new(deadline, doing, secrets.clone());
    if let Some(newest) = &mut newest {
        if removal.hooks {
            hooks::end_interrupted(newest, place).await?;
        } else {
            hooks::end_running(newest, place).await?;
        }
    }
    if let Some(newest) = newest.as_mut().filter(|_| removal.hooks) {
        ignore_missing_namespace(hooks::run(&HookEvent::PreDelete, newest, &course, place).await, release)?;
    }
    let options = DeleteOptions {
        whose: Whose::Release(owner.clone()),
        propagation: propagation(removal.propagation),
        timeout: removal.wait.then(|| deadline.remaining()),
    };
    doing.send_replace(Some(format!("waiting until the objects of release {release} are gone")));
    let removed = place.cluster.delete(objects, &options).await?;
    doing.send_replace(None);
    if let Some(newest) = newest.as_mut().filter(|_| removal.hooks) {
        ignore_missing_namespace(hooks::run(&HookEvent::PostDelete, newest, &course, place).await, release)?;
    }
    match newest {
        Some(mut newest) if removal.keep_history => {
            newest.release.info.status = Status::Uninstalled;
            newest.release.info.description = "Uninstallation complete".into();
            record::supersede_others(&newest, release, place).await?;
            record::update(place, newest).await?;
        }
        // What a history says that cannot be read is not known to be done with.
        None if removal.keep_history => {}
        // The newest goes last: killed in between, it still says that an uninstall is to be ended.
        _ => {
            let revisions = place.revisions.of(release);
            if let Some(later) = revisions.iter().find(|meta| meta.revision > last) {
                let message = format!(
                    "revision {} of {release} was made while the release was being uninstalled: its objects are uninstalled, too",
                    later.revision
                );
                return Err(ReconcileError::new(Reason::PendingRelease, message));
            }
            for meta in revisions {
                record::delete(place, &meta).await?;
            }
        }
    }
    Ok(removed)
}

/// The end of the hooks of an uninstall: where their namespace is gone, or goes, they have nothing to do any more.
fn ignore_missing_namespace(ended: Result<(), ReconcileError>, release: &ReleaseKey) -> Result<(), ReconcileError> {
    match ended {
        Err(error) if error.reason == Reason::NamespaceNotFound => {
            tracing::warn!(%release, error = %error.message, "a hook of the uninstall is left out: its namespace is gone");
            Ok(())
        }
        ended => ended.map_err(with_way_out),
    }
}

/// A hook that failed or cannot be made, and how the uninstall goes on without it.
fn with_way_out(error: ReconcileError) -> ReconcileError {
    if matches!(error.reason, Reason::ClusterUnavailable | Reason::PendingRelease | Reason::HistoryInvalid) {
        return error;
    }
    let message = format!("{}; spec.uninstall.disableHooks: true uninstalls without hooks", error.message);
    ReconcileError { message, ..error }
}

/// What the records describe, and what the inventory has besides.
async fn objects(
    records: impl Iterator<Item = &Record>,
    inventory: &[InventoryEntry],
    place: &Place,
) -> Result<Vec<Object>, ReconcileError> {
    let mut manifests = Vec::new();
    for record in records {
        manifests.push(place.objects_of(record).await?);
    }
    let mut objects = distinct(manifests);
    let known: BTreeSet<ObjectRef> = objects.iter().map(|object| object.reference().clone()).collect();
    let entries = inventory.iter().map(|entry| (ObjectRef::from(entry.clone()), entry.uid.clone()));
    let others = entries.filter(|(reference, _)| !known.contains(reference)).collect();
    objects.extend(place.cluster.known_objects(others).await?);
    Ok(objects)
}

fn propagation(declared: DeletionPropagation) -> Propagation {
    match declared {
        DeletionPropagation::Background => Propagation::Background,
        DeletionPropagation::Foreground => Propagation::Foreground,
        DeletionPropagation::Orphan => Propagation::Orphan,
    }
}
