//! What follows a failure: a rollback, the next attempt when it is due, or nothing more.

use std::time::Duration;

use k8s_openapi::jiff::{SignedDuration, Timestamp};

use super::{Facts, Plan, Step, StepKind, Stop, is_asked, release, replaced, standing, written};
use crate::api::Reason;
use crate::controller::error::{self, NextAttempt};
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
    let mut deployed = before.iter().rev().filter(|meta| meta.was_deployed());
    let wanted = deployed.clone().find(|meta| Some(meta.revision) == declared.to_revision);
    // As Flux: what failed its tests is no better, where that counts.
    let is_good = |meta: &&RecordMeta| !declared.tests || !has_failed_tests(meta);
    let good = wanted.or_else(|| deployed.find(is_good)).filter(|_| kind == StepKind::Upgrade)?;
    let is_last = declared.upgrade_retries.is_some_and(|retries| marks.attempt > retries);
    // An earlier attempt may have come further.
    let is_hooked = facts.revisions.iter().rev().take_while(|meta| !meta.was_deployed()).any(RecordMeta::is_hooked);
    let is_barred = ((is_hooked || marks.hooked) && !declared.after_hooks) || marks.unremedied;
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

fn has_failed_tests(meta: &RecordMeta) -> bool {
    let tested = meta.marks.as_ref().and_then(|marks| marks.tested.as_ref());
    tested.is_some_and(|tested| tested.outcome == Outcome::Failed)
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
