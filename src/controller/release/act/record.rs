//! Helm's history, as the steps write it; what is written is known at once, before the watch brings it.

use helm::manifest::{Hook, HookEvent, HookPhase};
use helm::release::{Release, Status};
use tokio::task::spawn_local;

use super::{DeployedRelease, Task};
use crate::api::Reason;
use crate::controller::causes::panicked;
use crate::controller::error::ReconcileError;
use crate::controller::place::Place;
use crate::history::{Counted, HooksBegun, Marks, Outcome, Record, RecordMeta, ReleaseKey, surplus};

/// The mark of a revision that was ended without having failed.
const SUPERSEDED: &str = "Superseded";

/// The record of one revision, as it was when the step was decided.
pub(super) async fn get(deployed: &DeployedRelease<'_>, revision: u32) -> Result<Record, ReconcileError> {
    let (release, place) = (&deployed.identity.release, deployed.place);
    let decided = place.revisions.of(release).into_iter().find(|meta| meta.revision == revision);
    let Some(record) = read(place, release, revision).await? else {
        let message = format!("revision {revision} of {release} is gone: somebody deleted its Secret");
        return Err(ReconcileError::new(Reason::HistoryInvalid, message));
    };
    if decided.is_some_and(|decided| decided.resource_version != record.resource_version()) {
        let message = format!("revision {revision} of {release} was written by somebody else a moment ago");
        return Err(ReconcileError::new(Reason::PendingRelease, message));
    }
    Ok(record)
}

/// The records of several revisions, without those that are gone.
pub(super) async fn get_all(task: &Task<'_>, revisions: &[u32]) -> Result<Vec<Record>, ReconcileError> {
    let mut records = Vec::with_capacity(revisions.len());
    for revision in revisions {
        records.extend(read(task.place, &task.desired.identity.release, *revision).await?);
    }
    Ok(records)
}

/// Those of `revisions` that are deployed.
pub(super) fn deployed(task: &Task<'_>, revisions: &[u32]) -> Vec<u32> {
    let known = task.place.revisions.of(&task.desired.identity.release);
    let deployed = known.iter().filter(|meta| meta.status == Status::Deployed).map(|meta| meta.revision);
    deployed.filter(|revision| revisions.contains(revision)).collect()
}

/// The record of one revision, if it is there.
pub(super) async fn read(place: &Place, release: &ReleaseKey, revision: u32) -> Result<Option<Record>, ReconcileError> {
    Ok(place.history.get(release, revision).await?)
}

/// Writes a new revision.
pub(super) async fn create(release: Release, marks: Marks, task: &Task<'_>) -> Result<Record, ReconcileError> {
    let key = task.desired.identity.release.clone();
    let write = task.place.revisions.write_for(&marks.owner, key.clone(), release.version);
    let history = task.place.history.clone();
    let marks = Marks { home: task.place.home_mark(), ..marks };
    finished(async move {
        let record = history.create_in(&key.namespace, release, marks).await?;
        write.written(record.meta()?);
        Ok(record)
    })
    .await
}

/// Finishes a write once it is begun, though the reconcile that wants it is cancelled meanwhile: a request that was sent
/// may be carried out all the same, and the next reconcile has to know.
async fn finished<T: 'static>(
    write: impl Future<Output = Result<T, ReconcileError>> + 'static,
) -> Result<T, ReconcileError> {
    spawn_local(write).await.unwrap_or_else(|_| Err(panicked("wrote the release's record")))
}

/// Marks a revision as ours, made for these inputs.
pub(super) async fn adopt(record: &Record, marks: &Marks, task: &Task<'_>) -> Result<(), ReconcileError> {
    let mut record = record.clone();
    // What it put into the cluster stays true of it, and what its hooks and tests did there.
    let Marks { absent, fields, forced, hooked, hooks, tested, applied, remedies, .. } =
        record.marks.take().unwrap_or_default();
    // What was gone back to is not gone back from; nor is anything once its own tests are over: nothing was upgraded since.
    let is_open = tested.as_ref().is_none_or(|tested| tested.outcome == Outcome::Running);
    let applied = applied && remedies.is_none() && is_open;
    // As does the demand that it answers.
    let forced = marks.forced.clone().or(forced);
    record.marks = Some(Marks { applied, absent, hooked, tested, forced, fields, hooks, ..marks.clone() });
    update(task.place, record).await.map(drop)
}

/// Notes that a revision which somebody else made stays while the object is as it is.
pub(super) async fn hold(record: &Record, task: &Task<'_>) -> Result<(), ReconcileError> {
    let mut record = record.clone();
    record.held = Some(task.desired.identity.generation);
    update(task.place, record).await.map(drop)
}

/// Notes that a revision which somebody else made was held, and no longer is.
pub(super) async fn end_hold(mut record: Record, task: &Task<'_>) -> Result<(), ReconcileError> {
    // Of a generation that no object has.
    record.held = Some(0);
    update(task.place, record).await.map(drop)
}

/// Writes a changed record. Fails with `PendingRelease` when somebody wrote it since it was read: what was decided from
/// it then no longer holds, and nothing follows from it but to look again.
pub(super) async fn update(place: &Place, record: Record) -> Result<Record, ReconcileError> {
    let owner = record.marks.as_ref().map(|marks| marks.owner.as_str()).unwrap_or_default();
    let write = place.revisions.write_for(owner, record.key(), record.release.version);
    let history = place.history.clone();
    finished(async move {
        let record = history.update(record).await?;
        write.written(record.meta()?);
        Ok(record)
    })
    .await
}

/// Records a revision in another namespace as well, for the object `owner` (`namespace/name`).
pub(super) async fn copy(place: &Place, record: Record, to: &ReleaseKey, owner: &str) -> Result<(), ReconcileError> {
    let write = place.revisions.write_for(owner, to.clone(), record.release.version);
    let (history, namespace) = (place.history.clone(), to.namespace.clone());
    finished(async move {
        let record = history.copy(record, &namespace).await?;
        write.written(record.meta()?);
        Ok(())
    })
    .await
}

/// Records that a revision failed, with Helm's words for it, so that `helm history` reads as ever; and whether that was before
/// anything in the cluster was changed.
pub(super) async fn fail(
    mut record: Record,
    (error, changed_nothing): (&ReconcileError, bool),
    place: &Place,
) -> Result<Record, ReconcileError> {
    let name = &record.release.name;
    record.release.info.description = match record.release.info.status {
        Status::PendingInstall => format!("Release {name:?} failed: {}", error.message),
        Status::PendingRollback => format!("Rollback {name:?} failed: {}", error.message),
        _ => format!("Upgrade {name:?} failed: {}", error.message),
    };
    record.release.info.status = Status::Failed;
    record.release.chart.slim();
    note_hooks(&mut record);
    let unapplied = changed_nothing || is_in_hooks(record.marks.as_ref(), &record.release.hooks);
    if let Some(marks) = &mut record.marks {
        marks.ended = Some(error.reason.to_string());
        marks.unapplied = unapplied;
    }
    update(place, record).await
}

/// Marks that a hook before the upgrade was completed, where one was. That stays so: the record has only the last run of a hook, which
/// may be one after the upgrade.
pub(super) fn note_hooks(record: &mut Record) {
    // Those that run something: what is only applied has migrated nothing.
    let runs = |hook: &Hook| matches!(hook.kind.as_str(), "Job" | "Pod") && hook.runs_at(&HookEvent::PreUpgrade);
    let completed = |hook: &Hook| runs(hook) && hook.last_run.phase == HookPhase::Succeeded;
    let hooked = record.release.hooks.iter().any(completed);
    // A rollback runs hooks of its own, some of which may be those of an upgrade, too.
    if let Some(marks) = record.marks.as_mut().filter(|marks| marks.remedies.is_none()) {
        marks.hooked |= hooked;
    }
}

/// Whether a revision did not get beyond the hooks before its apply: they are begun, and did not all succeed.
fn is_in_hooks(marks: Option<&Marks>, hooks: &[Hook]) -> bool {
    let Some(Marks { hooks: Some(HooksBegun { event, .. }), applied, .. }) = marks else { return false };
    let is_before = matches!(event, HookEvent::PreInstall | HookEvent::PreUpgrade | HookEvent::PreRollback);
    let is_open = |hook: &Hook| hook.runs_at(event) && hook.last_run.phase != HookPhase::Succeeded;
    is_before && !applied && hooks.iter().any(is_open)
}

/// Why a failed revision failed, in the words that were told then.
pub(super) fn why(record: &Record) -> &str {
    let description = &record.release.info.description;
    description.split_once(" failed: ").map_or(description, |(_, why)| why)
}

/// Records that `by` takes the place of a revision that is deployed. It keeps what `helm rollback` needs, and no more: many such
/// records are kept, and the chart is often the most of one.
pub(super) async fn replace(mut record: Record, by: &Record, place: &Place) -> Result<Record, ReconcileError> {
    record.release.info.status = Status::Superseded;
    record.release.chart.slim();
    if let (None, Some(Marks { owner, generation, made, why, .. })) = (&record.marks, by.marks.clone()) {
        record.counted = Some(Counted { owner, generation, made, why });
    }
    update(place, record).await
}

/// Records that a revision was ended before it was complete, without having failed.
pub(super) async fn supersede(mut record: Record, why: &str, place: &Place) -> Result<Record, ReconcileError> {
    record.release.info.status = Status::Superseded;
    record.release.info.description = format!("Ended before it was complete: {why}");
    record.release.chart.slim();
    note_hooks(&mut record);
    let unapplied = is_in_hooks(record.marks.as_ref(), &record.release.hooks);
    if let Some(marks) = &mut record.marks {
        marks.unapplied = unapplied;
    }
    give_up(&mut record);
    update(place, record).await
}

/// In a history that is kept nothing stays `deployed`: after a failed upgrade that was an older revision than the newest.
pub(super) async fn supersede_others(
    newest: &Record,
    release: &ReleaseKey,
    place: &Place,
) -> Result<(), ReconcileError> {
    let revisions = place.revisions.of(release);
    let others = revisions.iter().filter(|meta| meta.revision != newest.revision() && meta.status == Status::Deployed);
    for meta in others {
        if let Some(mut record) = read(place, release, meta.revision).await? {
            record.release.info.status = Status::Superseded;
            update(place, record).await?;
        }
    }
    Ok(())
}

/// Marks that a revision was ended before it was complete; for the caller to write.
pub(super) fn give_up(record: &mut Record) {
    if let Some(marks) = &mut record.marks {
        marks.ended = Some(SUPERSEDED.to_owned());
    }
}

/// Deletes one revision; one that was made anew since under its number is another.
pub(super) async fn delete(place: &Place, meta: &RecordMeta) -> Result<(), ReconcileError> {
    let meta = meta.clone();
    let owner = meta.marks.as_ref().map(|marks| marks.owner.as_str()).unwrap_or_default();
    let write = place.revisions.write_for(owner, meta.release.clone(), meta.revision);
    let history = place.history.clone();
    finished(async move {
        history.delete(&meta).await?;
        write.deleted();
        Ok(())
    })
    .await
}

/// Deletes the oldest revisions beyond the number that is kept.
pub(super) async fn prune(task: &Task<'_>) -> Result<(), ReconcileError> {
    let revisions = task.place.revisions.of(&task.desired.identity.release);
    let surplus = surplus(&revisions, task.desired.max_history);
    let kept = task.desired.remedies.to_revision;
    for meta in revisions.iter().filter(|meta| surplus.contains(&meta.revision) && Some(meta.revision) != kept) {
        delete(task.place, meta).await?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use helm::manifest::{Hook, HookEvent, HookPhase};

    use super::is_in_hooks;
    use crate::history::{HooksBegun, Marks};

    #[test]
    fn a_revision_that_ends_in_its_first_hooks_has_applied_nothing() {
        let hook = |events: &[HookEvent], phase| {
            let mut hook = Hook { events: events.to_vec(), ..Hook::default() };
            hook.last_run.phase = phase;
            hook
        };
        let (before, after) = (HookEvent::PreUpgrade, HookEvent::PostUpgrade);
        let begun = |event: &HookEvent| Some(HooksBegun { event: event.clone(), since: jiff::Timestamp::UNIX_EPOCH });
        for (begun, phase, applied, expected) in [
            (begun(&before), HookPhase::Failed, false, true),
            (begun(&before), HookPhase::Running, false, true),
            // It was about to be applied, or was.
            (begun(&before), HookPhase::Succeeded, false, false),
            (begun(&before), HookPhase::Failed, true, false),
            (begun(&after), HookPhase::Failed, false, false),
            // Hooks are not run, or none was begun.
            (None, HookPhase::Unknown, false, false),
        ] {
            let told = format!("{begun:?} {phase:?} {applied}");
            let hooks =
                [hook(&[before.clone(), after.clone()], phase), hook(&[HookEvent::PreInstall], HookPhase::Unknown)];
            let marks = Marks { hooks: begun, applied, ..Marks::default() };
            assert_eq!(is_in_hooks(Some(&marks), &hooks), expected, "{told}");
        }
        assert!(!is_in_hooks(None, &[hook(&[before], HookPhase::Failed)]));
    }
}
