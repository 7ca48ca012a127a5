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

use super::{Deadline, Doing, hooks, record};
use crate::api::{DeletionPolicy, DeletionPropagation, HelmRelease, InventoryEntry, Reason};
use crate::cluster::{DeleteOptions, Object, ObjectRef, Owner, Propagation, Removal as Removed, distinct};
use crate::controller::causes::api_error;
use crate::controller::context::Context;
use crate::controller::error::ReconcileError;
use crate::controller::matching::Key;
use crate::controller::ownership::Evidence;
use crate::controller::release::dereference;
use crate::controller::release::plan;
use crate::controller::release::removal::{Leaving, Place, Removal};
use crate::controller::release::trace::Trace;
use crate::history::{Record, RecordMeta};

/// Uninstalls what a deleted object had installed, as its policy says, or leaves it with the reason in the trace.
pub(in crate::controller::release) async fn uninstall(
    leaving: &Leaving,
    context: &Context,
    trace: &mut Trace,
) -> Result<(), ReconcileError> {
    if let Some(why) = stays(leaving, context).await? {
        let left = places(leaving, context);
        for place in &left {
            unlock(place, leaving, context).await?;
        }
        trace.left = Some((left, why)).filter(|(left, _)| !left.is_empty());
        return Ok(());
    }
    for place in places(leaving, context) {
        remove(&place, leaving, context, trace).await?;
    }
    Ok(())
}

/// Uninstalls what was made for an object that is gone already: what bears its uid.
pub(in crate::controller::release) async fn uninstall_gone(
    leaving: &Leaving,
    context: &Context,
    trace: &mut Trace,
) -> Result<(), ReconcileError> {
    if stays(leaving, context).await?.is_some() {
        return Ok(());
    }
    for place in context.revisions.owned_by(&leaving.owner, &leaving.uid) {
        remove(&place.into(), leaving, context, trace).await?;
    }
    Ok(())
}

/// Ends what goes on with a release that is left in the cluster, an uninstall that was called off too: nobody else would,
/// whoever goes on with the release would find it locked, and another object would end the uninstall.
async fn unlock(place: &Place, leaving: &Leaving, context: &Context) -> Result<(), ReconcileError> {
    let revisions = context.revisions.of(&place.namespace, &place.name);
    let is_ours = |last: &&RecordMeta| last.marks.as_ref().is_some_and(|marks| marks.owner == leaving.owner);
    let goes_on = |last: &&RecordMeta| plan::is_pending(last.status) || last.status == Status::Uninstalling;
    let Some(last) = revisions.last().filter(is_ours).filter(goes_on) else { return Ok(()) };
    match record::read(context, &place.namespace, &place.name, last.revision).await {
        // Somebody took it over meanwhile.
        Ok(Some(record)) if record.marks.as_ref().is_none_or(|marks| marks.owner != leaving.owner) => Ok(()),
        Ok(Some(record)) => end(record, context).await,
        Ok(None) => Ok(()),
        Err(error) => Err(error),
    }
    .or_else(|error| match error.reason {
        Reason::ClusterUnavailable | Reason::PendingRelease => Err(error),
        // What is to be left must not be held for what cannot be ended.
        _ => {
            tracing::warn!(object = %leaving.owner, error = %error.message, "failed to end what goes on with release {place}, which is left in the cluster");
            Ok(())
        }
    })
}

async fn end(record: Record, context: &Context) -> Result<(), ReconcileError> {
    hooks::end_running(&record, context).await?;
    let why = "the HelmRelease was deleted, and the release left in the cluster";
    record::supersede(record, why, context).await.map(drop)
}

/// Why the release stays in the cluster though its object goes.
async fn stays(leaving: &Leaving, context: &Context) -> Result<Option<&'static str>, ReconcileError> {
    if leaving.unclear {
        return Ok(Some("spec.suspend and spec.uninstall.deletionPolicy cannot be read"));
    }
    match leaving.removal.policy {
        Some(DeletionPolicy::Orphan) => return Ok(Some("uninstall.deletionPolicy is Orphan")),
        None if leaving.suspended => {
            return Ok(Some("it was suspended, and uninstall.deletionPolicy is not set"));
        }
        None | Some(DeletionPolicy::Uninstall) => {}
    }
    // A definition that goes takes every object of its kind with it, which nobody means to uninstall all of a cluster.
    let definitions = Api::<CustomResourceDefinition>::all(context.client.clone());
    match definitions.get_metadata_opt(HelmRelease::crd_name()).await {
        Ok(Some(definition)) if definition.metadata.deletion_timestamp.is_none() => Ok(None),
        Ok(_) => Ok(Some("the CustomResourceDefinition of HelmRelease is being deleted")),
        // An operator that may not read definitions cannot know.
        Err(kube::Error::Api(status)) if status.code == 403 => Ok(None),
        Err(error) => Err(api_error("read the CustomResourceDefinition of HelmRelease", &error)),
    }
}

/// Where the object has a release that it owns: by the marks of the records, and by its status where the marks were lost.
/// What somebody else owns by now, or what was never installed for this object, is not its to take away.
fn places(leaving: &Leaving, context: &Context) -> Vec<Place> {
    let marked = context.revisions.owned_by(&leaving.owner, &leaving.uid).into_iter().map(Place::from);
    let told = leaving.state.iter().map(|state| Place { namespace: state.namespace.clone(), name: state.name.clone() });
    let candidates: BTreeSet<Place> = marked.chain(told).chain(leaving.target.clone()).collect();
    candidates.into_iter().filter(|place| owns(leaving, place, context)).collect()
}

fn owns(leaving: &Leaving, place: &Place, context: &Context) -> bool {
    let target = (place.namespace.clone(), place.name.clone());
    // Where the whole history is gone only the inventory tells of the release, and it holds the uids of its objects.
    let forgotten = leaving.is_at(place) && context.revisions.of(&place.namespace, &place.name).is_empty();
    let owner = dereference::owner_of(&target, context);
    forgotten || owner.is_some_and(|owner| owner.key.to_string() == leaving.owner && owner.has_installed())
}

/// Uninstalls the releases under the names and in the namespaces that the object declared before, once the release that
/// takes their place is there.
pub(in crate::controller::release) async fn leave_old_places(
    current: &Place,
    leaving: &Leaving,
    context: &Context,
    trace: &mut Trace,
) -> Result<(), ReconcileError> {
    for place in old_places(current, (&leaving.owner, &leaving.uid), context) {
        remove(&place, leaving, context, trace).await?;
    }
    Ok(())
}

/// The places other than `current` of the object with this name and uid.
pub(super) fn old_places(current: &Place, (owner, uid): (&str, &str), context: &Context) -> Vec<Place> {
    let places = context.revisions.owned_by(owner, uid).into_iter().map(Place::from);
    // One that another object took over is not this one's any more, though the marks still say so.
    let is_ours = |place: &Place| {
        let now = dereference::owner_of(&(place.namespace.clone(), place.name.clone()), context);
        now.is_none_or(|now| now.key.to_string() == owner)
    };
    places.filter(|place| place != current && is_ours(place)).collect()
}

/// Whether another object has the release at `place` by now. Who queues for an uninstall may have waited for long.
fn is_taken(place: &Place, leaving: &Leaving, context: &Context) -> bool {
    let owner = dereference::owner_of(&(place.namespace.clone(), place.name.clone()), context);
    // Who only declares it has nothing there yet.
    owner.is_some_and(|owner| owner.key.to_string() != leaving.owner && owner.evidence != Evidence::Age)
}

/// Uninstalls the release at `place`, or ends an uninstall of it that was begun.
pub(super) async fn remove(
    place: &Place,
    leaving: &Leaving,
    context: &Context,
    trace: &mut Trace,
) -> Result<(), ReconcileError> {
    let permit = context.bounds.removals.acquire(&place.namespace).await;
    let revisions = context.revisions.of(&place.namespace, &place.name);
    if revisions.last().is_some_and(|last| last.status == Status::Uninstalled) || is_taken(place, leaving, context) {
        return Ok(());
    }
    let (mut records, damaged) = read(place, &revisions, context).await?;
    let inventory = if leaving.is_at(place) { leaving.inventory.as_slice() } else { &[] };
    if let (true, Some(why)) = (records.is_empty() && inventory.is_empty(), damaged) {
        let message = format!(
            "nothing tells what the release {place} consists of: {}. To let the HelmRelease go and leave its objects, delete that Secret, or set \
             spec.uninstall.deletionPolicy to Orphan",
            why.message
        );
        return Err(ReconcileError::new(Reason::HistoryInvalid, message));
    }
    // Only the newest revision tells of the uninstall; where it is gone or damaged, no other is written in its place.
    let is_newest = |record: &Record| revisions.last().is_some_and(|last| last.revision == record.revision());
    let newest = match records.pop_if(|record| is_newest(record)) {
        Some(newest) => Some(begin(newest, revisions.last(), context).await?),
        None => None,
    };
    tracing::info!(object = %leaving.owner, "uninstalling release {place}");
    if let Some(newest) = newest.as_ref().filter(|_| leaving.target.as_ref() == Some(place)) {
        trace.record(newest);
    }
    let objects = objects(newest.iter().chain(&records), inventory, context).await?;
    drop(permit);
    let last = revisions.last().map_or(0, |last| last.revision);
    let uninstall = Uninstall { place, removal: &leaving.removal, last, doing: &trace.doing };
    let removed = Box::pin(take_down(newest, &objects, &uninstall, context)).await?;
    trace.removed(place, &removed);
    wake_waiting(place, leaving, context);
    Ok(())
}

/// Wakes the other objects that declare a release which is free now.
fn wake_waiting(place: &Place, leaving: &Leaving, context: &Context) {
    let target = (place.namespace.clone(), place.name.clone());
    let waiting: Vec<Key> = context.index().declaring(&target).cloned().collect();
    context.wake.releases(waiting.iter().filter(|other| other.to_string() != leaving.owner));
}

/// The records of what may stand in the cluster, oldest first, and why one of them cannot be read.
async fn read(
    place: &Place,
    revisions: &[RecordMeta],
    context: &Context,
) -> Result<(Vec<Record>, Option<ReconcileError>), ReconcileError> {
    let (mut records, mut damaged) = (Vec::new(), None);
    for revision in plan::standing(revisions) {
        match record::read(context, &place.namespace, &place.name, revision).await {
            Ok(record) => records.extend(record),
            Err(error) if error.reason == Reason::HistoryInvalid => damaged = Some(error),
            Err(error) => return Err(error),
        }
    }
    Ok((records, damaged))
}

/// Records that the uninstall goes on, unless it does already. A record that another object has marked as its own since
/// it was decided is that one's.
async fn begin(mut newest: Record, decided: Option<&RecordMeta>, context: &Context) -> Result<Record, ReconcileError> {
    let info = &mut newest.release.info;
    if info.status == Status::Uninstalling {
        return Ok(newest);
    }
    let known = decided.and_then(|decided| decided.marks.as_ref()).map(|marks| &marks.owner);
    if let Some(marks) = newest.marks.as_ref().filter(|marks| known != Some(&marks.owner)) {
        let message = format!("HelmRelease {} has taken the release over meanwhile", marks.owner);
        return Err(ReconcileError::new(Reason::PendingRelease, message));
    }
    info.status = Status::Uninstalling;
    info.deleted = Some(context.now());
    info.description = "Deletion in progress".into();
    record::update(context, newest).await
}

/// One uninstall.
struct Uninstall<'a> {
    place: &'a Place,
    removal: &'a Removal,
    /// The newest revision when it was begun.
    last: u32,
    /// Hears of what is waited for.
    doing: &'a Doing,
}

/// `newest` is the record of the uninstall, where it can be read.
async fn take_down(
    mut newest: Option<Record>,
    objects: &[Object],
    &Uninstall { place, removal, last, doing }: &Uninstall<'_>,
    context: &Context,
) -> Result<Vec<Removed>, ReconcileError> {
    let deadline = Deadline::after(removal.timeout);
    if let Some(newest) = &newest {
        hooks::end_running(newest, context).await?;
    }
    if let Some(newest) = newest.as_mut().filter(|_| removal.hooks) {
        hooks::run(HookEvent::PreDelete, newest, (deadline, doing), context).await.map_err(with_way_out)?;
    }
    let options = DeleteOptions {
        owner: Some(Owner { release: place.name.clone(), namespace: place.namespace.clone() }),
        propagation: propagation(removal.propagation),
        timeout: Some(deadline.remaining()),
    };
    doing.send_replace(Some(format!("waiting until the objects of release {place} are gone")));
    let removed = context.cluster.delete(objects, &options).await?;
    doing.send_replace(None);
    if let Some(newest) = newest.as_mut().filter(|_| removal.hooks) {
        hooks::run(HookEvent::PostDelete, newest, (deadline, doing), context).await.map_err(with_way_out)?;
    }
    match newest {
        Some(mut newest) if removal.keep_history => {
            newest.release.info.status = Status::Uninstalled;
            newest.release.info.description = "Uninstallation complete".into();
            supersede_others(&newest, place, context).await?;
            record::update(context, newest).await?;
        }
        // The newest goes last: killed in between, it still says that an uninstall is to be ended.
        _ => {
            let revisions = context.revisions.of(&place.namespace, &place.name);
            if let Some(later) = revisions.iter().find(|meta| meta.revision > last) {
                let message = format!(
                    "revision {} of {place} was made while the release was being uninstalled: its objects are uninstalled, too",
                    later.revision
                );
                return Err(ReconcileError::new(Reason::PendingRelease, message));
            }
            for meta in revisions {
                record::delete(context, &place.namespace, &place.name, meta.revision).await?;
            }
        }
    }
    Ok(removed)
}

/// A hook that failed, and how the uninstall goes on without it.
fn with_way_out(error: ReconcileError) -> ReconcileError {
    if error.reason != Reason::HookFailed {
        return error;
    }
    let message = format!("{}; spec.uninstall.disableHooks: true uninstalls without hooks", error.message);
    ReconcileError { message, ..error }
}

/// In a history that is kept nothing stays `deployed`: after a failed upgrade that was an older revision than the newest.
async fn supersede_others(newest: &Record, place: &Place, context: &Context) -> Result<(), ReconcileError> {
    let revisions = context.revisions.of(&place.namespace, &place.name);
    let others = revisions.iter().filter(|meta| meta.revision != newest.revision() && meta.status == Status::Deployed);
    for meta in others {
        if let Some(mut record) = record::read(context, &place.namespace, &place.name, meta.revision).await? {
            record.release.info.status = Status::Superseded;
            record::update(context, record).await?;
        }
    }
    Ok(())
}

/// What the records describe, and what the inventory has besides.
async fn objects(
    records: impl Iterator<Item = &Record>,
    inventory: &[InventoryEntry],
    context: &Context,
) -> Result<Vec<Object>, ReconcileError> {
    let mut manifests = Vec::new();
    for record in records {
        manifests.push(context.objects_of(record).await?);
    }
    let mut objects = distinct(manifests);
    let known: BTreeSet<ObjectRef> = objects.iter().map(|object| object.reference().clone()).collect();
    let entries = inventory.iter().map(|entry| (reference(entry), entry.uid.clone()));
    let others = entries.filter(|(reference, _)| !known.contains(reference)).collect();
    objects.extend(context.cluster.known_objects(others).await?);
    Ok(objects)
}

fn reference(entry: &InventoryEntry) -> ObjectRef {
    let InventoryEntry { group, kind, namespace, name, uid: _ } = entry.clone();
    ObjectRef { group, kind, namespace, name }
}

fn propagation(declared: DeletionPropagation) -> Propagation {
    match declared {
        DeletionPropagation::Background => Propagation::Background,
        DeletionPropagation::Foreground => Propagation::Foreground,
        DeletionPropagation::Orphan => Propagation::Orphan,
    }
}
