//! Helm's tests of what is deployed: hooks that are run once for a revision, and again whenever a person asks.

use std::time::Duration;

use helm::manifest::HookEvent;

use super::hooks::{self, Course};
use super::{Deadline, Doing, Task, record, rollback};
use crate::api::Reason;
use crate::cluster::SecretValues;
use crate::controller::error::ReconcileError;
use crate::controller::place::Place;
use crate::controller::release::plan;
use crate::controller::release::publish;
use crate::controller::release::remediation::Tests;
use crate::controller::release::trace::Trace;
use crate::controller::status;
use crate::history::{Outcome, Record, RecordMeta, Tested};

/// Runs the tests of a revision, or goes on with them where a run was interrupted, and records how they went.
pub(super) async fn run(revision: u32, task: &Task<'_>, trace: &mut Trace) -> Result<(), ReconcileError> {
    let Some(tests) = &task.desired.tests else { return Ok(()) };
    trace.keep(task.release, &task.desired.identity.release, revision, task.place).await?;
    task.slot.resume().await;
    let mut record = begun(record::get(&task.deployed(), revision).await?, tests, task).await?;
    task.slot.pause();
    let doing = Doing::new(None);
    let begun = record.marks.as_ref().and_then(|marks| marks.hooks.as_ref()).map(|hooks| hooks.since);
    let now = task.place.context.now();
    let age = begun.and_then(|begun| Duration::try_from(now.duration_since(begun)).ok()).unwrap_or_default();
    let deadline = Deadline::resumed(tests.timeout, age);
    let secrets = SecretValues::of_all(&task.desired.secrets).await;
    let course = Course { wanted: &|name| tests.wants(name), ..Course::new(deadline, &doing, secrets) };
    let ended = tokio::select! {
        ended = Box::pin(hooks::run(&HookEvent::Test, &mut record, &course, task.place)) => ended,
        never = publish::announce_tests(task.release, (&*trace, doing.subscribe()), &task.place.context) => match never {},
    };
    let outcome = match &ended {
        Ok(()) => Outcome::Passed,
        Err(error) if error.reason == Reason::HookFailed => Outcome::Failed,
        // No test has failed: something keeps them from being run, and they are gone on with.
        Err(_) => return ended,
    };
    let ran =
        record.release.hooks.iter().filter(|hook| hook.runs_at(&HookEvent::Test) && tests.wants(&hook.name)).count();
    if let Some(tested) = record.marks.as_mut().and_then(|marks| marks.tested.as_mut()) {
        (tested.outcome, tested.ran) = (outcome, ran);
    }
    task.slot.go_on().await;
    trace.record(&record::update(task.place, record).await?);
    // What follows is planned: it is told, or gone back.
    if let Err(error) = ended {
        let revisions = task.place.revisions.of(&task.desired.identity.release);
        let newest = revisions.last().and_then(|newest| newest.marks.as_ref()?.tested.as_ref());
        if task.desired.remedies.tests && newest.is_some_and(|tested| plan::is_its_own(tested, &revisions)) {
            rollback::tell_skipped(revision, task, trace);
        }
        let told = told(revision, &error.message);
        if tests.ignore_failures {
            trace.warn(Reason::TestFailed, told.clone());
        }
        trace.tests = Some(told);
    }
    Ok(())
}

/// The record of a run of its tests, which is begun unless it was.
async fn begun(mut record: Record, tests: &Tests, task: &Task<'_>) -> Result<Record, ReconcileError> {
    // A run of the tests that a clock ahead of this one told of is over.
    let now = hooks::after_all_of(&record, task.place.context.now());
    let Some(marks) = &mut record.marks else { return Ok(record) };
    let tested = Tested {
        outcome: Outcome::Running,
        ran: 0,
        declared: tests.declared(),
        asked: tests.asked.clone().unwrap_or_default(),
    };
    if marks.tested.as_ref() == Some(&tested) {
        return Ok(record);
    }
    marks.tested = Some(tested);
    marks.hooks = Some(hooks::begin(HookEvent::Test, now));
    record::update(task.place, record).await
}

/// That the tests failed, where it was told in the status before.
pub(super) fn failed(revision: u32, task: &Task<'_>, trace: &mut Trace) -> ReconcileError {
    if let Some(told) = trace.tests.take() {
        return ReconcileError::new(Reason::TestFailed, told);
    }
    let status = task.release.status.as_ref();
    let ready = status.and_then(|status| status::readiness(&status.conditions));
    let told_before = ready.filter(|ready| *ready.reason == Reason::TestFailed.to_string());
    let message = told_before.map_or_else(|| told(revision, "its record says so"), |ready| ready.message.to_owned());
    ReconcileError::new(Reason::TestFailed, message)
}

fn told(revision: u32, why: &str) -> String {
    format!(
        "the tests of revision {revision} failed: {why}. The revision stays deployed; change the release, or annotate it with {} to \
         test it again",
        crate::api::TEST_AT
    )
}

/// Whether tests of a revision go on, or were cut off.
pub(super) fn goes_on(revision: &RecordMeta) -> bool {
    let tested = revision.marks.as_ref().and_then(|marks| marks.tested.as_ref());
    tested.is_some_and(|tested| tested.outcome == Outcome::Running)
}

/// Ends the tests of a revision that another one replaces, or whose release is suspended.
pub(super) async fn end(revision: &RecordMeta, place: &Place) -> Result<(), ReconcileError> {
    match record::read(place, &revision.release, revision.revision).await? {
        Some(mut record) => hooks::end_running(&mut record, place).await,
        None => Ok(()),
    }
}
