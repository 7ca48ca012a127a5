//! What a step takes away: what left the chart, and what revisions made that are gone back from.

use std::collections::BTreeSet;

use kube::ResourceExt as _;

use super::{Task, prepare, record};
use crate::api::{CrdPolicy, Reason};
use crate::cluster::{DeleteOptions, Object, ObjectRef, Owner, Propagation, Whose, left_behind};
use crate::controller::error::ReconcileError;
use crate::controller::place::Place;
use crate::controller::release::removal::Leaving;
use crate::controller::release::trace::Trace;
use crate::controller::release::validate::Action;
use crate::history::{Record, RecordMeta};

/// What left the chart with an upgrade.
pub(super) struct LeftChart {
    /// What is deleted, as with Helm.
    pub(super) gone: Vec<Object>,
    /// What is left, since more would go with it than was asked for; and why.
    pub(super) kept: Vec<(Object, &'static str)>,
}

/// Sorts the objects of `old` that `objects` no longer has.
pub(super) async fn left_chart(
    old: &[Object],
    objects: &[Object],
    action: &Action,
    task: &Task<'_>,
) -> Result<LeftChart, ReconcileError> {
    let mut left = LeftChart { gone: Vec::new(), kept: Vec::new() };
    let (identity, own) = (&task.desired.identity, task.release.namespace().unwrap_or_default());
    let namespaces = [&*identity.namespace, &*identity.release.namespace, &*own];
    for object in left_behind(old, objects) {
        if action.crds != CrdPolicy::Skip && object.reference().defines_kinds() {
            // It may be in the chart's `crds/` by now, of which none is deleted.
            left.kept.push((object, "definitions are looked after (spec.upgrade.crds), and none is deleted"));
        } else if let Some(why) = goes_with_more(&object, &namespaces, task.place).await? {
            left.kept.push((object, why));
        } else {
            left.gone.push(object);
        }
    }
    Ok(left)
}

/// Why an object that nobody asked to delete by itself is left: more would go with it. `namespaces` are those of the release, of its
/// records, and of its object.
pub(super) async fn goes_with_more(
    object: &Object,
    namespaces: &[&str],
    place: &Place,
) -> Result<Option<&'static str>, ReconcileError> {
    let reference = object.reference();
    let is_namespace = reference.group.is_empty() && reference.kind == "Namespace";
    if is_namespace && namespaces.contains(&&*reference.name) {
        return Ok(Some("with it the release would be deleted"));
    }
    let is_in_use = place.cluster.is_in_use(object).await?;
    Ok(is_in_use.then_some("with it all objects of the kind that it defines would be deleted"))
}

/// `objects` without those with which more would go than is asked for, which are told: of an object that stays, and goes on without
/// the release; else of what the newest revision does not have any more, and an upgrade may have left.
pub(super) async fn spare(
    objects: Vec<Object>,
    newest: Option<&Record>,
    (leaving, owner): (&Leaving, &Owner),
    place: &Place,
) -> Result<(Vec<Object>, Vec<String>), ReconcileError> {
    let in_newest = match newest.filter(|_| leaving.deleted.is_some()) {
        Some(newest) => place.objects_of(newest).await?,
        None if leaving.deleted.is_some() => return Ok((objects, Vec::new())),
        None => Vec::new(),
    };
    let in_newest: BTreeSet<&ObjectRef> = in_newest.iter().map(Object::reference).collect();
    let declared = leaving.target.as_ref().map(|target| &*target.release.namespace);
    let own = leaving.owner.split('/').next();
    let current = leaving.state.as_ref().map(|state| &*state.namespace);
    let namespaces: Vec<&str> = [declared, current, own, Some(&*owner.namespace)].into_iter().flatten().collect();
    let (mut gone, mut kept) = (Vec::with_capacity(objects.len()), Vec::new());
    for object in objects {
        let is_asked = in_newest.contains(object.reference());
        match if is_asked { None } else { goes_with_more(&object, &namespaces, place).await? } {
            Some(why) => kept.push(format!("{} is left: {why}", object.reference())),
            None => gone.push(object),
        }
    }
    Ok((gone, kept))
}

/// What a rollback to revision `to`, as revision `until`, takes away: of those that the revisions in between made themselves, whether
/// they failed, were ended or were deployed, all but what people keep data in. What they only took over stays.
pub(super) async fn made_since(to: u32, until: u32, task: &Task<'_>) -> Result<Vec<Object>, ReconcileError> {
    let revisions = task.place.revisions.of(&task.desired.identity.release);
    let has_made =
        |meta: &&RecordMeta| meta.marks.as_ref().and_then(|it| it.absent.as_ref()).is_some_and(|it| !it.is_empty());
    let between = revisions.iter().filter(|meta| meta.revision > to && meta.revision < until);
    let mut objects = Vec::new();
    for meta in between.filter(has_made) {
        if let Some(record) = record::read(task.place, &meta.release, meta.revision).await? {
            objects.extend(made_by(&record, task).await?);
        }
    }
    Ok(objects)
}

async fn made_by(record: &Record, task: &Task<'_>) -> Result<Vec<Object>, ReconcileError> {
    let absent = record.marks.as_ref().and_then(|marks| marks.absent.as_deref()).unwrap_or_default();
    let objects = match prepare::manifest(&record.release, task).await {
        Ok(objects) => objects,
        // Which object stands where cannot be told any more.
        Err(error) if error.reason == Reason::UnknownKind => {
            tracing::warn!(revision = record.revision(), error = %error.message, "what a revision made is left");
            return Ok(Vec::new());
        }
        Err(error) => return Err(error),
    };
    Ok(made(absent, &objects))
}

/// Those of a manifest's objects that were `absent` before it was applied, by their positions, but for what data goes with.
fn made(absent: &[usize], objects: &[Object]) -> Vec<Object> {
    let made = absent.iter().filter_map(|at| objects.get(*at));
    made.filter(|object| !object.reference().deletion_loses_data()).cloned().collect()
}

/// That something was not cleaned up.
pub(super) fn not_cleaned(error: &ReconcileError) -> String {
    format!("failed to delete what the failed revision created: {}", error.message)
}

/// Cleans up after a revision that failed before. What cannot be cleaned up is told, and must not keep what is declared
/// now from being installed.
pub(super) async fn clean_up_later(
    mut record: Record,
    task: &Task<'_>,
    trace: &mut Trace,
) -> Result<(), ReconcileError> {
    match clean_up(record.clone(), task).await {
        Err(error) if !matches!(error.reason, Reason::ClusterUnavailable | Reason::PendingRelease) => {
            trace.warn(Reason::UpgradeFailed, not_cleaned(&error));
            if let Some(marks) = &mut record.marks {
                marks.absent = None;
            }
            record::update(task.place, record).await.map(drop)
        }
        ended => ended,
    }
}

/// Only what is this release's, and without waiting for its end.
pub(super) fn deletion(task: &Task<'_>) -> DeleteOptions {
    DeleteOptions {
        whose: Whose::Release(prepare::owner(&task.desired.identity)),
        propagation: Propagation::Background,
        timeout: None,
    }
}

/// Deletes what a failed revision created, where that is declared, but for what people keep data in; and notes that it is
/// done.
pub(super) async fn clean_up(mut record: Record, task: &Task<'_>) -> Result<(), ReconcileError> {
    let Some(absent) = record.marks.as_mut().and_then(|marks| marks.absent.take()) else { return Ok(()) };
    let is_rollback = record.marks.as_ref().is_some_and(|marks| marks.remedies.is_some());
    let declared = if is_rollback { &task.desired.rollback } else { &task.desired.maintenance.upgrade };
    if declared.cleanup_on_fail && !absent.is_empty() {
        let objects = prepare::manifest(&record.release, task).await?;
        task.place.cluster.delete(&made(&absent, &objects), &deletion(task)).await?;
    }
    record::update(task.place, record).await.map(drop)
}
