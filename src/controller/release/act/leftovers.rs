//! What a step takes away: what left the chart, and what revisions made that are gone back from.

use kube::ResourceExt as _;

use super::{Task, prepare, record};
use crate::api::{CrdPolicy, Reason};
use crate::cluster::{DeleteOptions, Object, Propagation, left_behind};
use crate::controller::error::ReconcileError;
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
    for object in left_behind(old, objects) {
        if contains_release(&object, task) {
            left.kept.push((object, "with it the release would be deleted"));
        } else if action.crds != CrdPolicy::Skip && object.reference().defines_kinds() {
            // It may be in the chart's `crds/` by now, of which none is deleted.
            left.kept.push((object, "definitions are looked after (spec.upgrade.crds), and none is deleted"));
        } else if task.place.cluster.is_in_use(&object).await? {
            left.kept.push((object, "with it all objects of the kind that it defines would be deleted"));
        } else {
            left.gone.push(object);
        }
    }
    Ok(left)
}

/// Whether the release, its records or its object would go with an object.
fn contains_release(object: &Object, task: &Task<'_>) -> bool {
    let (identity, reference) = (&task.desired.identity, object.reference());
    let own = task.release.namespace().unwrap_or_default();
    let is_namespace = reference.group.is_empty() && reference.kind == "Namespace";
    is_namespace && [&identity.namespace, &identity.release.namespace, &own].contains(&&reference.name)
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
        owner: Some(prepare::owner(&task.desired.identity)),
        propagation: Propagation::Background,
        timeout: None,
        but_for_run: None,
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
