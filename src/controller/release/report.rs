//! From how a reconcile ended to the status: [`report`] is pure; [`tell`] writes it, and tells of transitions.

use std::convert::Infallible;

use helm::release::Status;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use k8s_openapi::jiff::Timestamp;
use kube::{Resource as _, ResourceExt as _};

use super::plan::StepKind;
use super::trace::Trace;
use super::{Outcome, dereference};
use crate::api::ConditionType::{Ready, Reconciling, Released};
use crate::api::{
    Conditions, Failure, HelmRelease, HelmReleaseStatus, HistoryEntry, REQUESTED_AT, Reason, ReleaseState,
};
use crate::controller::context::Context;
use crate::controller::events::Severity;
use crate::controller::halt::Halt;
use crate::controller::status;
use crate::history::RecordMeta;

/// How many revisions, and how many failures, a status shows.
const SHOWN: usize = 5;

/// Writes the status, and an Event for what changed in it.
pub(super) async fn tell(
    release: &HelmRelease,
    outcome: &Result<Outcome, Halt>,
    trace: &Trace,
    context: &Context,
) -> Result<(), status::Error> {
    if matches!(outcome, Ok(Outcome::Gone | Outcome::Superseded)) {
        return Ok(());
    }
    let (namespace, name) = dereference::target(release);
    let revisions = context.revisions.of(&namespace, &name);
    let status = report(release, outcome, trace, &revisions, context.now());
    let before = release.status.as_ref();
    let written = context.statuses.write::<HelmRelease, _>(&context.client, release, before, &status).await?;
    for (reason, message) in &trace.warnings {
        context.events.record(release.object_ref(&()), (Severity::Warning, *reason), message, context.now());
    }
    let was = before.and_then(|before| status::readiness(&before.conditions));
    let is = status::readiness(&status.conditions);
    if written && was != is {
        let (severity, reason) = match outcome {
            Ok(_) => (Severity::Normal, reason(outcome, trace)),
            Err(halt) => (Severity::Warning, halt.reason),
        };
        let message = is.map(|ready| ready.message).unwrap_or_default();
        context.events.record(release.object_ref(&()), (severity, reason), message, context.now());
    }
    Ok(())
}

/// Writes that work goes on, once it has gone on for a moment: what is done at once needs no announcement.
pub(super) async fn announce(release: &HelmRelease, kind: StepKind, trace: &Trace, context: &Context) -> Infallible {
    tokio::time::sleep(std::time::Duration::from_millis(500)).await;
    let (reason, message) = match kind {
        StepKind::Install => (Reason::InstallStarted, "the release is being installed"),
        StepKind::Upgrade => (Reason::UpgradeStarted, "the release is being upgraded"),
    };
    let before = release.status.clone().unwrap_or_default();
    let generation = release.metadata.generation;
    let conditions = Conditions::default()
        .with(Ready, false, Reason::Progressing, message)
        .with(Reconciling, true, reason, message)
        .keeping(Released, &before.conditions)
        .build(&before.conditions, generation, context.now());
    let status = HelmReleaseStatus {
        observed_generation: generation,
        conditions,
        helm_release: trace.state.clone(),
        ..told(before.clone(), trace)
    };
    if let Err(error) = context.statuses.write::<HelmRelease, _>(&context.client, release, Some(&before), &status).await
    {
        tracing::warn!(release = %release.name_any(), error = %crate::controller::halt::chain(&error), "failed to announce an action");
    }
    std::future::pending().await
}

/// Counts a reconcile, and logs it if it was more than a look.
pub(super) fn count(outcome: &Result<Outcome, Halt>, release: &HelmRelease, started: Timestamp, context: &Context) {
    let took = std::time::Duration::try_from(context.now().duration_since(started)).unwrap_or_default();
    let result = match outcome {
        Ok(outcome) => format!("{outcome:?}"),
        Err(halt) => halt.reason.to_string(),
    };
    let object = format!("{}/{}", release.namespace().unwrap_or_default(), release.name_any());
    match outcome {
        Ok(_) => tracing::debug!(%object, %result, ?took, "reconciled"),
        Err(halt) => tracing::warn!(%object, %result, ?took, message = %halt.message, "halted"),
    }
    context.metrics.reconciled("helmrelease", result, took);
}

/// The status of `release` after a reconcile.
fn report(
    release: &HelmRelease,
    outcome: &Result<Outcome, Halt>,
    trace: &Trace,
    revisions: &[RecordMeta],
    now: Timestamp,
) -> HelmReleaseStatus {
    let before = release.status.clone().unwrap_or_default();
    let generation = release.metadata.generation;
    let conditions = match outcome {
        Ok(Outcome::Deployed) => {
            let message = ready_message(trace.state.as_ref());
            let reason = reason(outcome, trace);
            Conditions::default().with(Ready, true, reason, &message).with(Released, true, reason, message)
        }
        Ok(Outcome::Suspended) => Conditions::default()
            .with(Ready, false, Reason::Suspended, "Release is suspended")
            .keeping(Released, &before.conditions),
        Ok(Outcome::Superseded | Outcome::Gone) => Conditions::default(),
        Err(halt) => halted(halt, trace, &before),
    };
    HelmReleaseStatus {
        observed_generation: generation,
        conditions: conditions.build(&before.conditions, generation, now),
        last_handled_reconcile_at: release.annotations().get(REQUESTED_AT).cloned(),
        last_attempted_generation: if trace.attempted.is_some() {
            generation
        } else {
            before.last_attempted_generation
        },
        last_applied_revision: match outcome {
            Ok(Outcome::Deployed) => trace.attempted.as_ref().map(|attempted| attempted.version.clone()),
            _ => before.last_applied_revision.clone(),
        },
        history: history(revisions),
        failures: failures(&before.failures, outcome, now),
        ..told(before, trace)
    }
}

/// What the status keeps, and what the reconcile learnt instead.
fn told(before: HelmReleaseStatus, trace: &Trace) -> HelmReleaseStatus {
    let attempted = trace.attempted.as_ref();
    HelmReleaseStatus {
        last_attempted_revision: attempted
            .map(|attempted| attempted.version.clone())
            .or(before.last_attempted_revision),
        last_attempted_digest: attempted.map(|attempted| attempted.digest.to_string()).or(before.last_attempted_digest),
        helm_release: trace.state.clone().or(before.helm_release),
        inventory: trace.inventory.clone().or(before.inventory),
        notes: if trace.state.is_some() { trace.notes.clone() } else { before.notes },
        ..before
    }
}

fn halted(halt: &Halt, trace: &Trace, before: &HelmReleaseStatus) -> Conditions {
    let conditions = halt.conditions();
    match (trace.acted, trace.upgraded) {
        (true, false) => conditions.with(Released, false, Reason::InstallFailed, &halt.message),
        (true, true) => conditions.with(Released, false, Reason::UpgradeFailed, &halt.message),
        (false, _) => conditions.keeping(Released, &before.conditions),
    }
}

fn reason(outcome: &Result<Outcome, Halt>, trace: &Trace) -> Reason {
    match outcome {
        Ok(Outcome::Suspended) => Reason::Suspended,
        Ok(_) if trace.upgraded => Reason::UpgradeCompleted,
        Ok(_) => Reason::InstallCompleted,
        Err(halt) => halt.reason,
    }
}

fn ready_message(state: Option<&ReleaseState>) -> String {
    let Some(state) = state else { return "Release is ready".to_owned() };
    format!("Release is ready: {}, revision {}", state.chart.as_deref().unwrap_or(&state.name), state.revision)
}

fn history(revisions: &[RecordMeta]) -> Vec<HistoryEntry> {
    let entry = |meta: &RecordMeta| HistoryEntry {
        revision: i64::from(meta.revision),
        status: Status::as_str(meta.status).to_owned(),
        chart: meta.marks.as_ref().map(|marks| marks.chart.clone()),
        digest: meta.marks.as_ref().map(|marks| marks.digest.clone()),
    };
    revisions.iter().rev().take(SHOWN).map(entry).collect()
}

/// Failures since the release was last ready, newest first, each once.
fn failures(before: &[Failure], outcome: &Result<Outcome, Halt>, now: Timestamp) -> Vec<Failure> {
    match outcome {
        Ok(Outcome::Deployed) => Vec::new(),
        Ok(_) => before.to_vec(),
        Err(halt) => {
            let reason = halt.reason.to_string();
            let same = before.iter().find(|known| known.reason == reason && known.message == halt.message).cloned();
            let failure = same.unwrap_or_else(|| Failure { time: Time(now), reason, message: halt.message.clone() });
            let others =
                before.iter().filter(|known| known.message != failure.message || known.reason != failure.reason);
            std::iter::once(failure.clone()).chain(others.cloned()).take(SHOWN).collect()
        }
    }
}
