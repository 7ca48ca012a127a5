//! A rollback: the objects of a revision that was deployed once are applied again, as a revision of its own.

use std::time::Duration;

use helm::manifest::{Hook, HookRun};
use helm::release::{Info, Release, Status};

use super::prepare::{self, Pending};
use super::{Deadline, Task, record};
use crate::api::Reason;
use crate::controller::error::ReconcileError;
use crate::controller::release::plan::{self, Barred, Step};
use crate::controller::release::rate;
use crate::controller::release::trace::Trace;
use crate::controller::target;
use crate::history::{Marks, Record, Remedied};

/// Prepares it: nothing is fetched or rendered, for that the record of the old revision has all of it.
pub(super) async fn prepare(step: &Step, remedied: &Remedied, task: &Task<'_>) -> Result<Pending, ReconcileError> {
    task.place.admit(&task.desired.identity.release).await?;
    task.slot.resume().await;
    let target = record::get(&task.deployed(), remedied.to).await?;
    let action = prepare::action(step, task);
    let (release, mut marks) = (pending(step, &target, task), marks(step, remedied, &target, task));
    let (objects, claims) = Box::pin(prepare::objects(&release, action, task)).await?;
    marks.absent = action.cleanup_on_fail.then(|| prepare::absent(&objects, &claims)).flatten();
    let replaced = Box::pin(record::get_all(task, &step.replaces)).await?;
    let deadline = Deadline::of(action);
    let record = Box::pin(record::create(release, marks, task)).await?;
    Ok(Pending { record, objects, claims, replaced, deadline, is_new: true })
}

/// Notes that a rollback cannot be, so that the upgrade is tried again without one; what passes by itself is no reason to.
pub(super) async fn give_up(
    remedied: &Remedied,
    error: ReconcileError,
    task: &Task<'_>,
    trace: &mut Trace,
) -> Result<(), ReconcileError> {
    if matches!(error.reason, Reason::ClusterUnavailable | Reason::PendingRelease) {
        return Err(error);
    }
    let mut failed = record::get(&task.deployed(), remedied.failed).await?;
    let context = &task.place.context;
    let since = failed.meta()?.modified_at.unwrap_or_default().max(context.began);
    let age = Duration::try_from(context.now().duration_since(since)).unwrap_or_default();
    // What is missing may be on its way, for as long as the rollback may take.
    let passes = matches!(
        error.reason,
        Reason::WebhookUnavailable
            | Reason::AdmissionDenied
            | Reason::Forbidden
            | Reason::ServiceAccountNotFound
            | Reason::QuotaExceeded
            | Reason::NamespaceNotFound
            | Reason::UnknownKind
    );
    if passes && age < task.desired.rollback.timeout {
        return Err(error);
    }
    if let Some(marks) = &mut failed.marks {
        marks.unremedied = true;
    }
    record::update(task.place, failed).await?;
    let (failed, to, why) = (remedied.failed, remedied.to, error.message);
    trace.warn(
        Reason::RollbackFailed,
        format!("revision {failed} failed, and cannot be rolled back to revision {to}: {why}"),
    );
    Ok(())
}

/// Tells why `revision`, the newest, which failed, is not gone back from though that is declared.
pub(super) fn tell_skipped(revision: u32, task: &Task<'_>, trace: &mut Trace) {
    let revisions = task.place.revisions.of(&task.desired.identity.release);
    let why = match plan::barred(&revisions, &task.desired.remedies) {
        None => return,
        Some(Barred::Hooked(hooked)) => {
            let of = if hooked == revision { String::new() } else { format!(" of revision {hooked}") };
            format!(
                "a pre-upgrade hook{of} had completed, and may have changed what the previous version uses. Set spec.rollback.afterHooks: true to roll \
                 back anyway"
            )
        }
        Some(Barred::Untested(last)) => format!(
            "revision {last}, which was deployed before, failed its tests, and so did any before it. Name one by spec.rollback.toRevision to go back to it \
             all the same"
        ),
    };
    trace.warn(Reason::RollbackSkipped, format!("revision {revision} failed and is not rolled back: {why}"));
}

fn pending(step: &Step, target: &Record, task: &Task<'_>) -> Release {
    let before = &target.release;
    let hooks = before.hooks.iter().map(|hook| Hook { last_run: HookRun::default(), ..hook.clone() });
    Release {
        version: step.revision,
        info: Info {
            first_deployed: before.info.first_deployed,
            last_deployed: Some(task.place.context.now()),
            description: format!("Rollback to {}", before.version),
            status: Status::PendingRollback,
            notes: before.info.notes.clone(),
            ..Info::default()
        },
        hooks: hooks.collect(),
        ..before.clone()
    }
}

/// Those of the old revision: it is what is deployed then. What it is the remedy for stands beside.
fn marks(step: &Step, remedied: &Remedied, target: &Record, task: &Task<'_>) -> Marks {
    let identity = &task.desired.identity;
    let before = target.marks.clone().unwrap_or_default();
    let why = rate::last(&task.place.revisions.of(&identity.release), identity).map(|(_, why)| why);
    Marks {
        owner: identity.owner.clone(),
        uid: identity.uid.clone(),
        generation: identity.generation,
        inputs: before.inputs,
        declared: before.declared,
        chart: before.chart,
        digest: before.digest,
        attempt: 1,
        made: step.made,
        why: why.unwrap_or_default(),
        remedies: Some(remedied.clone()),
        cluster: target::mark(identity.cluster.as_ref()),
        namespace: identity.namespace_mark(),
        varies: before.varies,
        ..Marks::default()
    }
}

/// What the newest revision has done about the failure that is told, in words.
pub(super) fn told(task: &Task<'_>) -> Option<String> {
    let revisions = task.place.revisions.of(&task.desired.identity.release);
    let newest = revisions.last()?;
    let Remedied { to, .. } = newest.marks.as_ref()?.remedies.as_ref()?;
    let revision = newest.revision;
    Some(match newest.status {
        Status::Deployed => format!("revision {to} is deployed again, as revision {revision}"),
        _ => format!("the rollback to revision {to} failed, too, as revision {revision}"),
    })
}
