//! From how a reconcile ended to the status. Pure.

use helm::release::Status;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use k8s_openapi::jiff::Timestamp;
use kube::ResourceExt as _;

use super::Outcome as Ended;
use super::demands;
use super::plan::{Step, StepKind};
use super::trace::Trace;
use crate::api::ConditionType::{
    Drifted, Healthy, Held, Ready, Reconciling, Released, Remediated, SourceReady, Stalled, TestSuccess,
};
use crate::api::{
    Conditions, DriftMode, FORCE_AT, Failure, HelmRelease, HelmReleaseStatus, HistoryEntry, REQUESTED_AT, Reason,
    ReleaseState,
};
use crate::controller::error::ReconcileError;
use crate::controller::live::Standing;
use crate::controller::waits::Outstanding;
use crate::history::{Outcome, RecordMeta};

/// How many revisions, and how many failures, a status shows.
const SHOWN: usize = 5;

/// The status of `release` as far as it is known, while work on it goes on.
pub(super) fn so_far(release: &HelmRelease, trace: &Trace) -> HelmReleaseStatus {
    carried_over(demands::status_before(release), trace)
}

/// What goes on.
#[derive(Clone, Copy)]
pub(super) enum Progress<'a> {
    /// Something that does not take long.
    AtWork,
    /// This, in words.
    Doing(&'a str),
    /// A wait for what is outstanding.
    Waiting(&'a Outstanding),
}

/// What goes on, in words.
fn in_words(progress: Progress<'_>, at_work: &str, now: Timestamp) -> String {
    match progress {
        Progress::Waiting(Outstanding { objects, until }) => {
            format!("all objects are applied; waiting until {} for {objects}", until.strftime("%Y-%m-%d %H:%M:%S UTC"))
        }
        Progress::Doing(what) => format!("{what}, since {}", now.strftime("%Y-%m-%d %H:%M:%S UTC")),
        Progress::AtWork => format!("{at_work}, seen at {}", now.strftime("%Y-%m-%d %H:%M:%S UTC")),
    }
}

/// The status of `release` while it is being uninstalled.
pub(super) fn removal(release: &HelmRelease, progress: Progress<'_>, now: Timestamp) -> HelmReleaseStatus {
    let before = demands::status_before(release);
    at_work(release, before, format!("uninstalling; {}", in_words(progress, "deleting objects", now)), now)
}

/// The status of `release` while its tests are run.
pub(super) fn testing(
    release: &HelmRelease,
    progress: Progress<'_>,
    trace: &Trace,
    now: Timestamp,
) -> HelmReleaseStatus {
    at_work(
        release,
        so_far(release, trace),
        format!("testing; {}", in_words(progress, "running the chart's tests", now)),
        now,
    )
}

fn at_work(release: &HelmRelease, before: HelmReleaseStatus, message: String, now: Timestamp) -> HelmReleaseStatus {
    let conditions = Conditions::default()
        .with(Ready, false, Reason::Progressing, &message)
        .with(Reconciling, true, Reason::Progressing, message)
        .keeping(Released, &before.conditions);
    HelmReleaseStatus {
        observed_generation: release.metadata.generation,
        conditions: conditions.build(&before.conditions, release.metadata.generation, now),
        ..before
    }
}

/// The status of `release` while `step` goes on for a while.
pub(super) fn progress(
    release: &HelmRelease,
    step: &Step,
    progress: Progress<'_>,
    trace: &Trace,
    now: Timestamp,
) -> HelmReleaseStatus {
    let before = demands::status_before(release);
    let generation = release.metadata.generation;
    let state = trace.state.as_ref().or(before.helm_release.as_ref());
    let chart = state.and_then(|state| state.chart.as_deref()).unwrap_or("the chart").to_owned();
    let (reason, verb) = match step.kind {
        StepKind::Install => (Reason::InstallStarted, "installing"),
        StepKind::Upgrade => (Reason::UpgradeStarted, "upgrading to"),
        StepKind::Rollback => (Reason::Progressing, "rolling back to"),
    };
    let attempt = if step.attempt > 1 { format!(", attempt {}", step.attempt) } else { String::new() };
    let doing = in_words(progress, "applying", now);
    let message = format!("{verb} {chart} as revision {}{attempt}; {doing}", step.revision);
    let conditions = Conditions::default().with(Reconciling, true, reason, &message);
    let failed_before = before.observed_generation == generation && is(&before.conditions, Ready, "False");
    let conditions = if failed_before && step.attempt > 1 {
        // Why the attempt before it failed is not hidden by the next one.
        conditions.keeping(Ready, &before.conditions)
    } else {
        conditions.with(Ready, false, Reason::Progressing, message)
    };
    let conditions = source(conditions, trace, &before.conditions).keeping(Released, &before.conditions);
    HelmReleaseStatus {
        observed_generation: generation,
        conditions: conditions.build(&before.conditions, generation, now),
        // A request to look again has been answered when the wait goes on.
        last_handled_reconcile_at: match progress {
            Progress::Waiting(_) => release.annotations().get(REQUESTED_AT).cloned(),
            Progress::AtWork | Progress::Doing(_) => before.last_handled_reconcile_at.clone(),
        },
        ..carried_over(before, trace)
    }
}

fn is(conditions: &[Condition], kind: crate::api::ConditionType, status: &str) -> bool {
    conditions.iter().any(|condition| condition.type_ == kind.as_str() && condition.status == status)
}

/// The status of `release` after a reconcile.
pub(super) fn report(
    release: &HelmRelease,
    outcome: &Result<Ended, ReconcileError>,
    trace: &Trace,
    revisions: Option<&[RecordMeta]>,
    now: Timestamp,
) -> HelmReleaseStatus {
    let before = demands::status_before(release);
    // Nothing is known of a history in a cluster that was not reached yet.
    let told = revisions.filter(|revisions| release.spec.kube_config.is_none() || !revisions.is_empty());
    let revisions = told.unwrap_or_default();
    let generation = release.metadata.generation;
    let conditions = match outcome {
        Ok(Ended::Deployed) => {
            let message = ready_message(trace.state.as_ref());
            let reason = reason(outcome, trace);
            Conditions::default().with(Ready, true, reason, &message).with(Released, true, reason, message)
        }
        Ok(Ended::Suspended) => suspended(&before, told),
        Ok(Ended::Waiting(_) | Ended::Superseded | Ended::Gone) => Conditions::default(),
        Err(error) => failed(error, trace, &before),
    };
    let conditions = tests(source(conditions, trace, &before.conditions), release, revisions);
    let conditions = remediated(conditions, revisions, outcome.is_err());
    let conditions = drifted(conditions, release, trace, &before.conditions);
    let conditions = healthy(conditions, trace, &before.conditions);
    let so_far = carried_over(before.clone(), trace);
    let conditions = conditions.build(&before.conditions, generation, now);
    // As with Flux: who waits for what is declared waits until it is carried out.
    let is_left = matches!(outcome, Ok(Ended::Suspended)) && is(&conditions, Ready, "True");
    HelmReleaseStatus {
        observed_generation: if is_left { before.observed_generation } else { generation },
        conditions,
        last_handled_reconcile_at: release.annotations().get(REQUESTED_AT).cloned(),
        last_handled_force_at: handled_force(release, revisions).or_else(|| so_far.last_handled_force_at.clone()),
        last_attempted_generation: if trace.attempted.is_some() {
            generation
        } else {
            before.last_attempted_generation
        },
        last_applied_revision: last_applied(outcome, trace, &before),
        plan: if matches!(outcome, Ok(Ended::Deployed)) { None } else { so_far.plan.clone() },
        history: told.map_or_else(|| before.history.clone(), history),
        random_templates: told.map_or_else(|| before.random_templates.clone(), random_templates),
        failures: failures(&before.failures, outcome, now),
        ..so_far
    }
}

/// The version of what is deployed; while the registry is away, the one that is gone on with.
fn last_applied(outcome: &Result<Ended, ReconcileError>, trace: &Trace, before: &HelmReleaseStatus) -> Option<String> {
    let is_deployed = match outcome {
        Ok(ended) => matches!(ended, Ended::Deployed),
        Err(error) => error.reason == Reason::TestFailed,
    };
    let chosen = trace.attempted.as_ref().map(|attempted| &attempted.version).or(trace.kept.as_ref());
    if is_deployed { chosen.cloned() } else { before.last_applied_revision.clone() }
}

/// The demand for one more revision that one of `revisions` answers.
fn handled_force(release: &HelmRelease, revisions: &[RecordMeta]) -> Option<String> {
    let demand = release.annotations().get(FORCE_AT)?;
    let answers = |meta: &RecordMeta| meta.marks.as_ref().is_some_and(|marks| marks.forced.as_ref() == Some(demand));
    revisions.iter().any(answers).then(|| demand.clone())
}

/// What `Ready` tells besides of a release that is suspended.
const NOT_CARRIED_OUT: &str = "; suspended: what is declared since then is not carried out";

/// Suspending changes neither the release nor what is said of it; only what was under way is no longer.
fn suspended(before: &HelmReleaseStatus, revisions: Option<&[RecordMeta]>) -> Conditions {
    let at = before.helm_release.as_ref();
    let was_deployed = at.filter(|state| state.status == "deployed").map(|state| state.revision);
    let is_there = |revision: i64| {
        let mut known = revisions.into_iter().flatten();
        revisions.is_none() || known.any(|meta| i64::from(meta.revision) == revision && meta.status == Status::Deployed)
    };
    let ready = before.conditions.iter().find(|condition| condition.type_ == Ready.as_str());
    let newest = revisions.and_then(<[RecordMeta]>::last);
    let is_midway =
        newest.is_some_and(|last| last.status == Status::Superseded && !last.was_deployed() && !last.left_nothing());
    let told = |message: String| Conditions::default().with(Ready, false, Reason::Suspended, message);
    match (was_deployed, ready) {
        (Some(revision), _) if !is_there(revision) => {
            let message = format!(
                "the release is suspended, and its revision {revision} is no longer deployed: somebody else changed or uninstalled it"
            );
            told(message.clone()).with(Released, false, Reason::Suspended, message)
        }
        (_, None) if revisions.is_some_and(|revisions| !revisions.is_empty()) => told(
            "the release was suspended in the middle of an install, or before this object had taken it over".to_owned(),
        ),
        (_, None) => told("the release is suspended, and was never installed".to_owned()),
        (_, Some(ready)) if is_midway || ready.reason == Reason::Progressing.to_string() => {
            told("the release was suspended in the middle of an install or upgrade".to_owned())
                .keeping(Released, &before.conditions)
        }
        (_, Some(ready)) if ready.status == "True" && !ready.message.ends_with(NOT_CARRIED_OUT) => {
            let message = format!("{}{NOT_CARRIED_OUT}", ready.message);
            let reason = Reason::parse(&ready.reason).unwrap_or(Reason::Suspended);
            Conditions::default().with(Ready, true, reason, message).keeping(Released, &before.conditions)
        }
        (_, Some(_)) => Conditions::default()
            .keeping(Ready, &before.conditions)
            .keeping(Stalled, &before.conditions)
            .keeping(Released, &before.conditions),
    }
}

/// Whether the registry answers and has the chart: as the reconcile learnt it, else as it was.
fn source(conditions: Conditions, trace: &Trace, before: &[Condition]) -> Conditions {
    match (&trace.source, &trace.attempted) {
        (Some(error), _) => conditions.with(SourceReady, false, error.reason, &error.message),
        (None, Some(attempted)) => conditions.with(
            SourceReady,
            true,
            Reason::SyncCompleted,
            format!("the registry has {}", attempted.reference),
        ),
        (None, None) => conditions.keeping(SourceReady, before),
    }
}

/// Whether somebody changed or deleted objects of what is deployed.
fn drifted(conditions: Conditions, release: &HelmRelease, trace: &Trace, before: &[Condition]) -> Conditions {
    let Some(standing) = &trace.drift else { return conditions };
    let declared = release.spec.drift_detection.as_ref();
    let Standing { revision, told, is_compared, unwatched, .. } = standing;
    match told.as_slice() {
        [] if *is_compared && !unwatched.is_empty() => match declared {
            Some(_) => {
                let message = format!(
                    "the objects that are watched are as applied by revision {revision}; {}",
                    not_watched(unwatched)
                );
                conditions.unknown(Drifted, Reason::NotWatched, message)
            }
            None => conditions,
        },
        [] if !is_compared => match declared.and_then(|declared| declared.mode) {
            Some(DriftMode::Disabled) => conditions,
            // Of a revision that is replaced nothing is told any more, nor of one of which something changed and was not looked at.
            _ if trace.acted || !trace.knows_how_it_is() => conditions,
            _ => conditions.keeping(Drifted, before),
        },
        [] if declared.is_some() => {
            let message = format!("all objects are as applied by revision {revision}");
            conditions.with(Drifted, false, Reason::NoDriftDetected, message)
        }
        [] => conditions,
        told => {
            let advice = match declared.and_then(|declared| declared.mode) {
                Some(DriftMode::Enabled) => "",
                _ => {
                    "; set spec.driftDetection.mode to enabled to have such changes undone, or allow the fields in spec.driftDetection.ignore"
                }
            };
            let message = format!("differs from what revision {revision} applied: {}{advice}", listed(told));
            conditions.with(Drifted, true, Reason::DriftDetected, message)
        }
    }
}

/// Whether the objects of what is deployed do their work. `Ready` does not depend on it: that says that they once did.
fn healthy(conditions: Conditions, trace: &Trace, before: &[Condition]) -> Conditions {
    if let Some(failed) = trace.half_way {
        let message = format!(
            "revision {failed} failed half-way: what it, or a hook of it, has changed in the cluster is not what was deployed before, and the \
             objects are neither watched nor set right until an upgrade or a rollback succeeds"
        );
        return conditions.unknown(Healthy, Reason::UpgradeFailed, message);
    }
    let Some(standing) = &trace.drift else { return conditions };
    let Standing { revision, troubles, is_troubled, is_seen, unwatched, .. } = standing;
    // That an upgrade had failed half-way is over.
    let is_over = |it: &Condition| it.reason == Reason::UpgradeFailed.to_string();
    let was_doubtful = before.iter().any(|it| it.type_ == Healthy.as_str() && it.status != "True" && !is_over(it));
    match troubles.as_slice() {
        // Nobody looked why.
        [] if *is_troubled && !trace.knows_how_it_is() => conditions,
        [] if *is_troubled || (was_doubtful && !is_seen) => conditions.keeping(Healthy, before),
        [] if *is_seen && !unwatched.is_empty() => {
            let message = format!(
                "the objects of revision {revision} that are watched do their work; {}",
                not_watched(unwatched)
            );
            conditions.unknown(Healthy, Reason::NotWatched, message)
        }
        [] => {
            let message = format!("the objects of revision {revision} do their work");
            conditions.with(Healthy, true, Reason::HealthCheckSucceeded, message)
        }
        troubles => conditions.with(Healthy, false, Reason::HealthCheckFailed, listed(troubles)),
    }
}

fn not_watched(objects: &[String]) -> String {
    format!("how these are is not known, since their kind is not served, or they may not be read: {}", listed(objects))
}

/// The first of many things.
pub(super) fn listed(things: &[String]) -> String {
    let named = things.iter().take(SHOWN).map(String::as_str).collect::<Vec<_>>().join("; ");
    match things.len().saturating_sub(SHOWN) {
        0 => named,
        more => format!("{named}; and {more} more"),
    }
}

/// What was done about an upgrade that failed.
fn remediated(conditions: Conditions, revisions: &[RecordMeta], has_failed: bool) -> Conditions {
    let newest = revisions.last().and_then(|last| Some((last, last.marks.as_ref()?.remedies.as_ref()?)));
    let Some((last, remedied)) = newest else { return conditions };
    let (failed, to, revision) = (remedied.failed, remedied.to, last.revision);
    match last.status {
        Status::Deployed => {
            let message =
                format!("revision {failed} failed, and revision {to} is deployed again, as revision {revision}");
            let conditions =
                if has_failed { conditions.with(Released, false, Reason::UpgradeFailed, &message) } else { conditions };
            conditions.with(Remediated, true, Reason::RolledBack, message)
        }
        Status::Failed => {
            let message =
                format!("revision {failed} failed, and so did the rollback to revision {to}, as revision {revision}");
            conditions.with(Remediated, false, Reason::RollbackFailed, message)
        }
        _ => conditions,
    }
}

/// How the tests of the newest revision went, where they are run.
fn tests(conditions: Conditions, release: &HelmRelease, revisions: &[RecordMeta]) -> Conditions {
    let is_tested = release.spec.test.as_ref().is_some_and(|test| test.enable);
    let newest = revisions.last().filter(|last| is_tested && last.status == Status::Deployed);
    let tested = newest.and_then(|last| Some((last.revision, last.marks.as_ref()?.tested.as_ref()?)));
    let Some((revision, tested)) = tested else { return conditions };
    let (passed, message) = match (tested.outcome, tested.ran) {
        (Outcome::Passed, 0) => (true, format!("revision {revision} has no tests to run")),
        (Outcome::Passed, ran) => (true, format!("the tests of revision {revision} passed, {ran} in all")),
        (Outcome::Failed, _) => (false, format!("the tests of revision {revision} failed")),
        (Outcome::Running, _) => return conditions,
    };
    let reason = if passed { Reason::TestSucceeded } else { Reason::TestFailed };
    conditions.with(TestSuccess, passed, reason, message)
}

/// What the status keeps, and what the reconcile learnt instead.
fn carried_over(before: HelmReleaseStatus, trace: &Trace) -> HelmReleaseStatus {
    let (attempted, contents) = (trace.attempted.as_ref(), trace.contents.as_ref());
    HelmReleaseStatus {
        last_attempted_revision: attempted
            .map(|attempted| attempted.version.clone())
            .or(before.last_attempted_revision),
        last_attempted_digest: attempted.map(|attempted| attempted.digest.to_string()).or(before.last_attempted_digest),
        last_handled_force_at: trace.demand.clone().or(before.last_handled_force_at),
        defaults: trace.defaults.clone().unwrap_or(before.defaults),
        values_artifacts: trace.artifacts.clone().unwrap_or(before.values_artifacts),
        // Once a revision of it is recorded it waits no more.
        plan: trace.plan.clone().or_else(|| before.plan.filter(|_| !trace.withdrawn)).filter(|_| !trace.acted),
        helm_release: trace.state.clone().or(before.helm_release),
        kube_configs: trace.kube_configs.clone().unwrap_or(before.kube_configs),
        record_namespaces: trace.record_namespaces.clone().unwrap_or(before.record_namespaces),
        inventory: contents.map(|contents| contents.inventory.clone()).or(before.inventory),
        notes: contents.map_or(before.notes, |contents| contents.notes.clone()),
        ..before
    }
}

fn failed(error: &ReconcileError, trace: &Trace, before: &HelmReleaseStatus) -> Conditions {
    let mut conditions = error.conditions();
    if error.reason == Reason::ReleaseHeld {
        conditions = conditions.with(Held, true, error.reason, &error.message);
    }
    if trace.is_elsewhere {
        // Until it is this object's again, whatever else fails meanwhile.
        return conditions.with(Released, false, error.reason, &error.message);
    }
    if trace.state.as_ref().is_some_and(|state| state.status == "deployed") && trace.acted {
        // What failed is not the revision: a test, say.
        let reason = if trace.upgraded { Reason::UpgradeCompleted } else { Reason::InstallCompleted };
        return conditions.with(Released, true, reason, ready_message(trace.state.as_ref()));
    }
    match (trace.acted, trace.upgraded) {
        (true, false) => conditions.with(Released, false, Reason::InstallFailed, &error.message),
        (true, true) => conditions.with(Released, false, Reason::UpgradeFailed, &error.message),
        (false, _) => conditions.keeping(Released, &before.conditions),
    }
}

pub(super) fn reason(outcome: &Result<Ended, ReconcileError>, trace: &Trace) -> Reason {
    match outcome {
        Ok(Ended::Suspended) => Reason::Suspended,
        Ok(_) if trace.upgraded => Reason::UpgradeCompleted,
        Ok(_) => Reason::InstallCompleted,
        Err(error) => error.reason,
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
    let newest = revisions.iter().rev().take(SHOWN);
    // However many attempts have failed since, what is deployed is shown.
    let deployed = revisions.iter().rev().skip(SHOWN).find(|meta| meta.status == Status::Deployed);
    newest.chain(deployed).map(entry).collect()
}

/// The templates of what is deployed that make something else each time.
fn random_templates(revisions: &[RecordMeta]) -> Vec<String> {
    let deployed = revisions.iter().rev().find(|meta| meta.status == Status::Deployed);
    deployed.and_then(|deployed| deployed.marks.as_ref()).map(|marks| marks.varies.clone()).unwrap_or_default()
}

/// Failures since the release was last ready, newest first, each once.
fn failures(before: &[Failure], outcome: &Result<Ended, ReconcileError>, now: Timestamp) -> Vec<Failure> {
    match outcome {
        Ok(Ended::Deployed) => Vec::new(),
        Ok(_) => before.to_vec(),
        // To wait for others, or leave to them, is no failure.
        Err(error) if error.is_a_wait() => before.to_vec(),
        Err(error) => {
            let reason = error.reason.to_string();
            let same = before.iter().find(|known| known.reason == reason && known.message == error.message).cloned();
            let failure = same.unwrap_or_else(|| Failure { time: Time(now), reason, message: error.message.clone() });
            let others =
                before.iter().filter(|known| known.message != failure.message || known.reason != failure.reason);
            std::iter::once(failure.clone()).chain(others.cloned()).take(SHOWN).collect()
        }
    }
}
