//! Steps that end the reconcile with a reason: nothing is done until its time comes, or something changes.

use std::time::Duration;

use helm::manifest::{Hook, HookEvent, HookPhase};
use helm::release::Status;
use k8s_openapi::jiff::{SignedDuration, Timestamp};
use kube::ResourceExt as _;

use super::{DeployedRelease, Task, drift, helm_tests, keep, observe, planning, record, rollback, uninstall};
use crate::api::{APPROVE, PlannedChanges, REQUESTED_AT, Reason};
use crate::controller::error::{self, NextAttempt, ReconcileError};
use crate::controller::matching::Key;
use crate::controller::release::plan::{self, Stop};
use crate::controller::release::rate::{self, MOST_MADE};
use crate::controller::release::trace::Trace;
use crate::history::{self, Planned};

/// Tells why nothing is done now.
pub(super) async fn stop(stop: Stop, task: &Task<'_>, trace: &mut Trace) -> Result<(), ReconcileError> {
    let stays_as_it_is = matches!(
        stop,
        Stop::AwaitDependencies
            | Stop::AwaitApproval(_)
            | Stop::BackOff { .. }
            | Stop::Exhausted { .. }
            | Stop::TooMany { .. }
    );
    if stays_as_it_is {
        Box::pin(watch_deployed(&task.deployed(), trace)).await?;
    }
    match stop {
        Stop::TestsFailed { revision } => {
            Box::pin(keep(revision, task, trace)).await?;
            Err(helm_tests::failed(revision, task, trace))
        }
        Stop::Hold { revision } => {
            Box::pin(trace.keep(task.release, &task.desired.identity.release, revision, task.place)).await?;
            Box::pin(observe(revision, &task.deployed(), trace)).await?;
            let release = &task.desired.identity.release;
            let message = format!(
                "revision {revision} of {release} was made by somebody else, with helm perhaps, and is not what is declared: the release stays as \
                 it is. Change this object, or annotate it with {REQUESTED_AT}, to go on with what is declared; spec.onForeignChange: Revert \
                 undoes such changes at once"
            );
            Err(ReconcileError::new(Reason::ReleaseHeld, message))
        }
        Stop::AwaitDependencies => task.blocked.map_or(Ok(()), |blocked| Err(blocked.error())),
        Stop::AwaitApproval(planned) => Box::pin(await_approval(&planned, task, trace)).await,
        Stop::BackOff { revision, reason, next } => {
            Err(ReconcileError { next: Some(next), ..ReconcileError::new(reason, why(revision, task).await?) })
        }
        Stop::Exhausted { revision, attempts } => {
            let message = format!(
                "{}; all {attempts} attempts failed that the retries of its remediation, or strategy, allow: change the \
                 release, or annotate it with {REQUESTED_AT}, to try again",
                why(revision, task).await?
            );
            Err(ReconcileError::new(Reason::RetriesExhausted, message))
        }
        Stop::TooMany { most, until } => Err(too_many(most, until, task)),
        Stop::AwaitOther { revision, remaining } => Err(await_other(revision, remaining, task)),
    }
}

/// What is deployed is looked after, and set right, though what is declared could not take its place. What fails of that is told
/// by what could not be done itself.
pub(in crate::controller::release) async fn maintain(deployed: &DeployedRelease<'_>, trace: &mut Trace) {
    let looked = async {
        let watched = Box::pin(watch_deployed(deployed, trace)).await?;
        let live = &deployed.place.context.live;
        if let Some(revision) = watched.filter(|revision| live.has_suspects(&deployed.identity.uid, *revision)) {
            Box::pin(drift::inspect(revision, deployed, trace)).await?;
        }
        Ok::<_, ReconcileError>(())
    };
    if let Err(error) = looked.await {
        tracing::debug!(error = %error.message, "what is deployed could not be looked at");
    }
}

fn too_many(most: u32, until: Timestamp, task: &Task<'_>) -> ReconcileError {
    let identity = &task.desired.identity;
    let message = if most == MOST_MADE {
        let last = rate::last(&task.place.revisions.of(&identity.release), identity);
        let why = last.map(|(_, why)| rate::told(&why)).filter(|why| !why.is_empty());
        format!(
            "{most} revisions were made for this generation of the object within an hour{}: find out what keeps changing that, or writes the \
             release; change the object, or annotate it with {REQUESTED_AT}, to go on at once",
            why.map(|why| format!(", {why}")).unwrap_or_default()
        )
    } else {
        format!(
            "{most} revisions were made within an hour, since the object changed again and again (it is at generation {}): find out what keeps \
             changing it, such as two tools that undo each other's edits; annotate it with {REQUESTED_AT} to go on at once",
            identity.generation
        )
    };
    let next = Some(NextAttempt { failed: most, due: until });
    ReconcileError { next, ..ReconcileError::new(Reason::TooManyRevisions, message) }
}

/// Has what is deployed watched, though something else is declared: which revision that is, where it was made for the object.
async fn watch_deployed(deployed: &DeployedRelease<'_>, trace: &mut Trace) -> Result<Option<u32>, ReconcileError> {
    let &DeployedRelease { release, identity, place, .. } = deployed;
    let revisions = place.revisions.of(&identity.release);
    let Some(known) = history::deployed(&revisions) else {
        let failed = |last: &&history::RecordMeta| last.status == Status::Failed && plan::is_of(last, identity);
        let is_upgrade = plan::standing(&revisions)
            .first()
            .is_some_and(|first| revisions.iter().any(|meta| meta.revision == *first && meta.was_deployed()));
        trace.half_way = revisions.last().filter(failed).filter(|_| is_upgrade).map(|failed| failed.revision);
        return Ok(None);
    };
    let owner = uninstall::owner_of(&identity.release, place);
    if !owner.is_some_and(|owner| owner.key == Key::of(release) && owner.has_installed()) {
        // Who is told to have a release uninstalls it.
        return Ok(None);
    }
    let revision = known.revision;
    // Somebody may have made another, with helm perhaps. Of an upgrade that failed the status tells.
    if revisions.last().is_some_and(|newest| newest.revision == revision) {
        Box::pin(trace.keep(release, &identity.release, revision, place)).await?;
    }
    if !plan::is_of(known, identity) {
        return Ok(None);
    }
    Box::pin(observe(revision, deployed, trace)).await?;
    Ok(Some(revision))
}

/// A plan waits, or is gone: then it is made anew.
async fn await_approval(planned: &Planned, task: &Task<'_>, trace: &mut Trace) -> Result<(), ReconcileError> {
    let told = planning::told(planned, task, trace);
    let (Some(plan), Some(gate)) = (told, &task.desired.gate) else {
        return planning::discard(task.release, &task.place.context).await;
    };
    let (identity, now) = (&task.desired.identity, task.place.context.now());
    let (digest, name, namespace) =
        (&plan.digest, task.release.name_any(), task.release.namespace().unwrap_or_default());
    let PlannedChanges { created, changed, deleted, unchanged: _, hooks } = plan.changes;
    let mut message = format!(
        "revision {} of {}, {}, is planned and waits for approval: it creates {created}, changes {changed} and deletes {deleted} objects, and runs \
         {hooks} hooks. `helm-operator diff {name} -n {namespace}` shows it",
        plan.revision, identity.release, plan.chart
    );
    message.extend(plan.note.iter().map(|note| format!("; {note}")));
    if plan.expires.0 > now {
        let expires = plan.expires.0.strftime("%Y-%m-%d %H:%M:%S UTC");
        message.extend([format!(
            "; `kubectl annotate helmrelease {name} -n {namespace} --overwrite {APPROVE}={digest}`, or spec.plan.approved, approves it until {expires}"
        )]);
    } else {
        message.extend([format!(
            "; it can no longer be approved: annotate this object with {REQUESTED_AT} to have it made anew"
        )]);
    }
    for former in uninstall::former(identity, task.place) {
        message.extend([format!(
            "; once it is deployed, the release {former}, which this object had before, is uninstalled"
        )]);
    }
    let revisions = task.place.revisions.of(&identity.release);
    message.extend(gate.unfit(digest, &revisions).map(|told| format!("; {told}")));
    if let Some(failed) = revisions.last().filter(|last| last.status == Status::Failed && plan::is_of(last, identity)) {
        message.extend([format!(
            "; revision {} failed before: {}",
            failed.revision,
            why(failed.revision, task).await?
        )]);
    }
    // Looked at again when it can no longer be approved, too.
    let pause =
        error::delay(Reason::ApprovalNeeded, 1, task.release.spec.interval(), &identity.uid).unwrap_or_default();
    let at = now.checked_add(SignedDuration::try_from(pause).unwrap_or_default()).unwrap_or(now);
    let due = if plan.expires.0 > now { at.min(plan.expires.0) } else { at };
    trace.plan = Some(plan);
    let next = Some(NextAttempt { failed: 0, due });
    Err(ReconcileError { next, ..ReconcileError::new(Reason::ApprovalNeeded, message) })
}

/// Why a revision failed, and what was done about it.
async fn why(revision: u32, task: &Task<'_>) -> Result<String, ReconcileError> {
    let record = record::read(task.place, &task.desired.identity.release, revision).await?;
    let why = match &record {
        Some(record) if record.release.info.status == Status::Failed => record::why(record).to_owned(),
        Some(record) => match record.release.hooks.iter().find(|hook| has_failed(hook)) {
            Some(test) => {
                format!("the tests of revision {revision} failed: {} {:?} of {} did", test.kind, test.name, test.path)
            }
            None => format!("the tests of revision {revision} failed"),
        },
        None => format!("revision {revision} failed"),
    };
    Ok(match rollback::told(task) {
        Some(done) => format!("{why}; {done}"),
        None => why,
    })
}

/// Whether a test failed when it ran last.
fn has_failed(hook: &Hook) -> bool {
    hook.runs_at(&HookEvent::Test) && hook.last_run.phase == HookPhase::Failed
}

/// Somebody else's Helm works on a revision.
fn await_other(revision: u32, remaining: Duration, task: &Task<'_>) -> ReconcileError {
    let identity = &task.desired.identity;
    let revisions = task.place.revisions.of(&identity.release);
    let message = if revisions.last().is_some_and(|last| last.status == Status::Uninstalling) {
        format!(
            "somebody else uninstalls revision {revision}: a helm uninstall runs, or was interrupted. The operator waits for it, and ends it \
             itself when the revision was not written for 15 minutes; then the release is installed anew"
        )
    } else {
        format!(
            "revision {revision} is pending, and was not made by this HelmRelease: a helm command runs, or was interrupted. The operator \
             waits for it, and goes on when the revision was not written for 15 minutes; `helm rollback` ends it at once"
        )
    };
    let retry_after = Some(remaining.min(Duration::from_secs(30)));
    ReconcileError { retry_after, ..ReconcileError::new(Reason::PendingRelease, message) }
}
