//! What follows a failure: a rollback, the next attempt when it is due, or nothing more.

use std::time::Duration;

use k8s_openapi::jiff::{SignedDuration, Timestamp};

use super::{Facts, Plan, Step, StepKind, Stop, is_asked, is_its_own, release, replaced, standing, written};
use crate::api::Reason;
use crate::controller::error::{self, NextAttempt};
use crate::controller::release::remediation::Remedies;
use crate::history::{Outcome, RecordMeta, Remedied};

/// The failure that a revision is the remedy for, where it failed at what is declared now.
pub(super) fn remedied<'m>(meta: &'m RecordMeta, facts: &Facts<'_>) -> Option<&'m Remedied> {
    let marks = meta.marks.as_ref().filter(|marks| marks.generation == facts.identity.generation)?;
    marks.remedies.as_ref().filter(|remedied| remedied.inputs == facts.inputs)
}

/// The rollback of an upgrade that failed, where one is declared and can be.
pub(super) fn remedy(last: &RecordMeta, facts: &Facts<'_>) -> Option<Plan> {
    let marks = last.marks.as_ref().filter(|marks| marks.generation == facts.identity.generation)?;
    let declared = &facts.remedies;
    let before = &facts.revisions[..facts.revisions.len() - 1];
    let (kind, _) = replaced(before);
    let good = target(before, declared).filter(|_| kind == StepKind::Upgrade)?;
    let is_last = declared.upgrade_retries.is_some_and(|retries| marks.attempt > retries);
    let is_barred = hooked_since(good.revision, facts.revisions, declared).is_some() || marks.unremedied;
    if !declared.rollback || is_barred || (is_last && !declared.rollback_last) {
        return None;
    }
    let remedied = Remedied {
        failed: last.revision,
        to: good.revision,
        attempt: marks.attempt,
        // One that is deployed failed its tests.
        reason: marks.ended.clone().unwrap_or_else(|| Reason::TestFailed.to_string()),
        declared: marks.declared.clone(),
        inputs: facts.inputs.to_owned(),
    };
    // It is no loop of its own: it is as often as what fails, and neither counted nor held back.
    let (revision, made) = (last.revision.saturating_add(1), marks.made);
    let replaces = standing(facts.revisions);
    Some(Plan::Release(Step {
        kind: StepKind::Rollback,
        revision,
        replaces,
        attempt: 1,
        made,
        remedies: Some(remedied),
        forced: None,
    }))
}

/// The revision that would be gone back to: the one that is declared, where it was deployed, else the last that was. As with Flux,
/// none whose tests failed, where that counts; a test that a person asked for says nothing of the revision's upgrade.
fn target<'m>(before: &'m [RecordMeta], declared: &Remedies) -> Option<&'m RecordMeta> {
    let mut deployed = before.iter().enumerate().rev().filter(|(_, meta)| meta.was_deployed());
    let wanted = deployed.clone().find(|(_, meta)| Some(meta.revision) == declared.to_revision);
    let good = wanted.or_else(|| deployed.find(|(at, _)| !declared.tests || !has_failed_tests(&before[..=*at])));
    good.map(|(_, meta)| meta)
}

/// Whether the newest of `revisions` failed its own tests.
fn has_failed_tests(revisions: &[RecordMeta]) -> bool {
    let newest = revisions.last().and_then(|newest| newest.marks.as_ref()?.tested.as_ref());
    newest.is_some_and(|tested| tested.outcome == Outcome::Failed && is_its_own(tested, revisions))
}

/// The newest revision after `target` of which a hook before the upgrade was completed, where that keeps from going back: an earlier
/// attempt may have come further than the last, and one in between may be deployed for just that reason.
fn hooked_since(target: u32, revisions: &[RecordMeta], declared: &Remedies) -> Option<u32> {
    let (last, before) = revisions.split_last()?;
    // Who names a revision knows what was deployed after it.
    let is_named = declared.to_revision == Some(target);
    let deployed = before.iter().rfind(|meta| meta.was_deployed()).filter(|_| is_named);
    let first = deployed.map_or(target, |meta| meta.revision);
    let since = before.iter().filter(|meta| meta.revision > first).chain([last]);
    since.rev().find(|meta| meta.is_hooked()).map(|meta| meta.revision).filter(|_| !declared.after_hooks)
}

/// Why a revision that failed is not rolled back though that is declared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::controller::release) enum Barred {
    /// A hook of this revision was completed.
    Hooked(u32),
    /// Of those that were deployed, of which this is the last, each failed its tests.
    Untested(u32),
}

/// What keeps the newest of `revisions`, which failed, from being rolled back as is declared.
pub(in crate::controller::release) fn barred(revisions: &[RecordMeta], declared: &Remedies) -> Option<Barred> {
    let (_, before) = revisions.split_last().filter(|_| declared.rollback)?;
    match target(before, declared) {
        Some(good) => hooked_since(good.revision, revisions, declared).map(Barred::Hooked),
        None => before.iter().rfind(|meta| meta.was_deployed()).map(|last| Barred::Untested(last.revision)),
    }
}

/// What comes after a rollback: the next attempt at what failed, when it is due.
pub(super) fn after_remedy(last: &RecordMeta, facts: &Facts<'_>) -> Plan {
    let Some(remedied) = remedied(last, facts) else { return release(facts) };
    let (revision, failed) = (remedied.failed, remedied.attempt);
    if is_over(failed, facts.remedies.upgrade_retries, facts) {
        return Plan::Stop(Stop::Exhausted { revision, attempts: failed });
    }
    let due = || {
        let reason = Reason::parse(&remedied.reason)?;
        let delay = error::delay(reason, failed, facts.interval, &facts.identity.uid)?;
        let due = written(last, facts.now)?.checked_add(SignedDuration::try_from(delay).ok()?).ok()?;
        is_early(due, facts).then_some(Plan::Stop(Stop::BackOff {
            revision,
            reason,
            next: NextAttempt { failed, due },
        }))
    };
    due().unwrap_or_else(|| release(facts))
}

/// That no attempt is left after `last`, which failed at these inputs.
pub(super) fn exhausted(last: &RecordMeta, facts: &Facts<'_>) -> Option<Plan> {
    let marks = last.marks.as_ref().filter(|marks| marks.generation == facts.identity.generation)?;
    let retries = match replaced(&facts.revisions[..facts.revisions.len() - 1]).0 {
        StepKind::Install => facts.remedies.install_retries,
        StepKind::Upgrade | StepKind::Rollback => facts.remedies.upgrade_retries,
    };
    let (revision, attempts) = (last.revision, marks.attempt);
    is_over(attempts, retries, facts).then_some(Plan::Stop(Stop::Exhausted { revision, attempts }))
}

fn is_over(failed: u32, retries: Option<u32>, facts: &Facts<'_>) -> bool {
    retries.is_some_and(|retries| failed > retries) && !is_asked(facts)
}

fn is_early(due: Timestamp, facts: &Facts<'_>) -> bool {
    facts.now < due && !is_asked(facts) && !facts.prompt.cleared
}

/// The wait before the next attempt after `last`, which failed at these inputs. A new generation is tried at once:
/// its author may have mended what was wrong.
pub(super) fn back_off(last: &RecordMeta, facts: &Facts<'_>) -> Option<Plan> {
    let marks = last.marks.as_ref().filter(|marks| marks.generation == facts.identity.generation)?;
    let reason = marks.ended.as_deref().and_then(Reason::parse)?;
    let kind = replaced(&facts.revisions[..facts.revisions.len() - 1]).0;
    let pace = Pace { longest: facts.interval, fixed: facts.remedies.retried_after(kind) };
    let last = &RecordMeta { modified_at: written(last, facts.now), ..last.clone() };
    let next = next_attempt(last, pace, &facts.identity.uid)?;
    is_early(next.due, facts).then_some(Plan::Stop(Stop::BackOff { revision: last.revision, reason, next }))
}

/// How soon after a failure something is tried again.
#[derive(Debug, Clone, Copy)]
pub(in crate::controller::release) struct Pace {
    /// The longest between two attempts, which come ever later.
    pub(in crate::controller::release) longest: Duration,
    /// The time between them, where that is declared.
    pub(in crate::controller::release) fixed: Option<Duration>,
}

/// When what failed with the revision `failed` is tried again.
pub(in crate::controller::release) fn next_attempt(failed: &RecordMeta, pace: Pace, uid: &str) -> Option<NextAttempt> {
    let marks = failed.marks.as_ref()?;
    let reason = marks.ended.as_deref().and_then(Reason::parse)?;
    let delay = pace.fixed.or_else(|| error::delay(reason, marks.attempt, pace.longest, uid))?;
    let delay = SignedDuration::try_from(delay).ok()?;
    Some(NextAttempt { failed: marks.attempt, due: failed.modified_at?.checked_add(delay).ok()? })
}
