//! What to do next. Pure and total: from what is declared and what Helm's history says to one step.

mod failures;
mod steps;

use std::time::Duration;

use helm::release::Status;
use k8s_openapi::jiff::{SignedDuration, Timestamp};

pub(super) use self::failures::{Barred, Pace, barred, next_attempt};
use self::failures::{after_remedy, back_off, exhausted, remedied, remedy};
use super::approval::{Gate, Standing};
use super::demands;
use super::rate::{self, MOST_LATELY, MOST_MADE};
use super::remediation::{Remedies, Tests};
use super::validate::Identity;
use crate::controller::target;
use crate::controller::waits::Progress;
use crate::history::{self, MOST_STANDING, Outcome, Planned, RecordMeta, Tested};

pub(crate) use self::steps::{Plan, Step, StepKind, Stop};

/// How long somebody else's pending revision is left alone after it was last written: longer than Helm's own default
/// timeout of 5 minutes.
const FOREIGN_LOCK: Duration = Duration::from_mins(15);

/// How far clocks may be apart.
const SKEW: SignedDuration = SignedDuration::from_mins(1);

/// Why the history is looked at now, as far as it changes what may be done.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Prompt {
    /// A person asked for it (`requestedAt`): nothing is too early.
    pub(crate) asked: bool,
    /// What the last failure waited for has happened: the next attempt is not too early.
    pub(crate) cleared: bool,
    /// The objects that somebody changed have been looked at.
    pub(crate) inspected: bool,
}

/// What a decision depends on.
#[derive(Debug, Clone, Copy)]
#[expect(clippy::struct_excessive_bools, reason = "each is a fact")]
pub(crate) struct Facts<'a> {
    /// The release and the object that declares it.
    pub(crate) identity: &'a Identity,
    /// The digest of everything the manifest depends on.
    pub(crate) inputs: &'a str,
    /// Helm's history of the release, oldest first.
    pub(crate) revisions: &'a [RecordMeta],
    /// Whether the release is gone on with in another object's place.
    pub(crate) takes_over: bool,
    /// Whether something that the release depends on is not ready.
    pub(crate) is_blocked: bool,
    /// Whether somebody changed or deleted objects of what is deployed.
    pub(crate) has_suspects: bool,
    /// The longest between two attempts.
    pub(crate) interval: Duration,
    /// A person's demand for one more revision that the status does not call answered.
    pub(crate) force: Option<&'a str>,
    /// Whether the records are to move once that is approved.
    pub(crate) moves: bool,
    /// Why the history is looked at now.
    pub(crate) prompt: Prompt,
    /// Which tests are to be run, if any.
    pub(crate) tests: Option<&'a Tests>,
    /// What is done about failures.
    pub(crate) remedies: Remedies,
    /// How far the wait for the newest revision is, where there is one.
    pub(crate) wait: Progress,
    /// How installs and upgrades are approved, where they have to be.
    pub(crate) gate: Option<&'a Gate>,
    /// The plan that was made for approval, as far as it has been looked for.
    pub(crate) planned: Option<&'a Planned>,
    /// The time.
    pub(crate) now: Timestamp,
}

/// Decides the next step.
pub(crate) fn plan(facts: &Facts<'_>) -> Plan {
    let plan = regardless_of_drift(facts);
    let rests = match &plan {
        // Drift is set right first: what is planned is compared with the cluster.
        Plan::Keep { .. } | Plan::Propose(_) => true,
        Plan::Stop(stop) => stop.rests(),
        _ => false,
    };
    match history::deployed(facts.revisions) {
        Some(deployed)
            if rests && facts.has_suspects && (is_of(deployed, facts.identity) || is_held(deployed, facts)) =>
        {
            Plan::Inspect { revision: deployed.revision }
        }
        _ => plan,
    }
}

fn regardless_of_drift(facts: &Facts<'_>) -> Plan {
    let Some(last) = facts.revisions.last() else { return release(facts) };
    let revision = last.revision;
    let ours = is_of(last, facts.identity);
    let made_for_this = ours && last.marks.as_ref().is_some_and(|marks| marks.inputs == facts.inputs);
    match last.status {
        _ if facts.takes_over && !(ours && is_alive(last, facts.identity)) && last.marks.is_some() => {
            Plan::Mark { revision }
        }
        Status::Deployed if is_held(last, facts) && (facts.prompt.asked || is_forced(facts)) => {
            Plan::EndHold { revision }
        }
        Status::Deployed if is_held(last, facts) => Plan::Stop(Stop::Hold { revision }),
        Status::Deployed if made_for_this && !is_alive(last, facts.identity) => Plan::Mark { revision },
        Status::Deployed if ours && (is_forced(facts) || facts.moves) => release(facts),
        Status::Deployed if made_for_this => tests(last, facts).unwrap_or(Plan::Keep { revision }),
        Status::Failed if ours && is_to_be_cleaned(last, facts) => Plan::CleanUp { revision },
        Status::Deployed | Status::Failed if ours && remedied(last, facts).is_some() => after_remedy(last, facts),
        Status::PendingInstall | Status::PendingUpgrade | Status::PendingRollback
            if (made_for_this && is_as_approved(last, facts)) || (ours && remedied(last, facts).is_some()) =>
        {
            match facts.wait {
                Progress::Unknown => Plan::Resume(resumed(facts, last)),
                Progress::Open => Plan::Await(resumed(facts, last)),
                Progress::Ended => Plan::Finish(resumed(facts, last)),
            }
        }
        // Marks are an operator's. That the release is this object's has been decided: whoever it was made for is gone.
        status if is_pending(status) && last.marks.is_some() => Plan::Supersede { revision },
        Status::PendingInstall | Status::PendingUpgrade | Status::PendingRollback => {
            let lock = foreign_lock(last, facts.now);
            lock.map_or(Plan::Abandon { revision }, |remaining| Plan::Stop(Stop::AwaitOther { revision, remaining }))
        }
        Status::Uninstalling if last.marks.is_some() => Plan::FinishUninstall { revision },
        Status::Uninstalling => {
            let lock = foreign_lock(last, facts.now);
            lock.map_or(Plan::FinishUninstall { revision }, |remaining| {
                Plan::Stop(Stop::AwaitOther { revision, remaining })
            })
        }
        Status::Failed if made_for_this => {
            let remedy = remedy(last, facts).or_else(|| exhausted(last, facts));
            remedy.or_else(|| back_off(last, facts)).unwrap_or_else(|| release(facts))
        }
        Status::Deployed | Status::Failed | Status::Superseded | Status::Uninstalled | Status::Unknown => {
            release(facts)
        }
    }
}

/// Whether a pending revision is carried out in the ways that were approved, where it had to be: they are those of the plan.
fn is_as_approved(last: &RecordMeta, facts: &Facts<'_>) -> bool {
    let approved = last.marks.as_ref().filter(|marks| marks.planned.is_some() && !marks.basis.is_empty());
    match (approved, facts.gate) {
        (Some(marks), Some(gate)) => marks.basis == gate.basis(facts.inputs),
        (None, _) | (_, None) => true,
    }
}

/// Whether a person asked: nothing is too early, or too often, then.
fn is_asked(facts: &Facts<'_>) -> bool {
    facts.prompt.asked || is_forced(facts)
}

/// Whether a person asks for one more revision that was not made yet.
fn is_forced(facts: &Facts<'_>) -> bool {
    facts.force.is_some_and(|demand| !demands::is_answered(demand, facts.revisions))
}

/// Whether what a failed revision created is still to be deleted, or noted that it stays. A rollback takes away what an upgrade
/// made.
fn is_to_be_cleaned(last: &RecordMeta, facts: &Facts<'_>) -> bool {
    let marks = last.marks.as_ref().filter(|marks| marks.absent.is_some());
    marks.is_some_and(|marks| !facts.remedies.rollback || marks.remedies.is_some())
}

/// Whether a revision of somebody else's is held at this generation of the object.
fn is_held(last: &RecordMeta, facts: &Facts<'_>) -> bool {
    last.marks.is_none() && last.held == Some(facts.identity.generation)
}

/// Whether a revision was made for the object that `identity` names.
pub(super) fn is_of(meta: &RecordMeta, identity: &Identity) -> bool {
    meta.marks.as_ref().is_some_and(|marks| marks.owner == identity.owner)
}

/// Whether the object that a revision was made for is the one that `identity` names, not just one of its name, and in the
/// cluster as that one names it.
fn is_alive(meta: &RecordMeta, identity: &Identity) -> bool {
    let cluster = target::mark(identity.cluster.as_ref());
    meta.marks.as_ref().is_some_and(|marks| marks.uid == identity.uid && marks.cluster == cluster)
}

/// What is to be done about the tests of a revision that is deployed as declared.
fn tests(last: &RecordMeta, facts: &Facts<'_>) -> Option<Plan> {
    let (tests, revision) = (facts.tests?, last.revision);
    let tested = last.marks.as_ref().and_then(|marks| marks.tested.as_ref());
    let is_answered = |tested: &&Tested| {
        tested.outcome != Outcome::Running && tests.asked.as_ref().is_none_or(|asked| *asked == tested.asked)
    };
    match tested.filter(is_answered) {
        Some(tested) if !tests.is_answered_by(tested) => Some(Plan::Test { revision }),
        Some(tested @ Tested { outcome: Outcome::Failed, .. }) => {
            // What was gone back to is not gone back from, nor what has only been found to be as declared: nothing was upgraded.
            let is_upgrade = last.marks.as_ref().is_some_and(|marks| marks.remedies.is_none() && marks.applied);
            let to_remedy =
                Some(last).filter(|_| facts.remedies.tests && is_upgrade && is_its_own(tested, facts.revisions));
            let told = (!tests.ignore_failures).then_some(Plan::Stop(Stop::TestsFailed { revision }));
            to_remedy.and_then(|last| remedy(last, facts)).or(told)
        }
        Some(_) => None,
        None => Some(Plan::Test { revision }),
    }
}

/// Whether a run of tests belongs to the newest of `revisions`: one that a person asked for is no reason to go back.
pub(super) fn is_its_own(tested: &Tested, revisions: &[RecordMeta]) -> bool {
    let earlier = revisions.iter().rev().skip(1).filter_map(|meta| meta.marks.as_ref()?.tested.as_ref());
    tested.asked.is_empty() || earlier.into_iter().any(|earlier| earlier.asked == tested.asked)
}

/// Whether a revision was begun and not ended.
pub(super) fn is_pending(status: Status) -> bool {
    matches!(status, Status::PendingInstall | Status::PendingUpgrade | Status::PendingRollback)
}

/// Whether somebody else's Helm works on a revision.
pub(super) fn is_anothers_work(last: &RecordMeta, now: Timestamp) -> bool {
    let is_begun = is_pending(last.status) || last.status == Status::Uninstalling;
    is_begun && last.marks.is_none() && foreign_lock(last, now).is_some()
}

/// How long to leave a revision that somebody else works on alone; `None` for one left by somebody gone.
fn foreign_lock(last: &RecordMeta, now: Timestamp) -> Option<Duration> {
    last.modified_at?;
    let age = Duration::try_from(now.duration_since(written(last, now).unwrap_or(now))).unwrap_or_default();
    FOREIGN_LOCK.checked_sub(age).filter(|remaining| !remaining.is_zero())
}

/// When a revision was last written. A time that is yet to come is of a clock that is wrong, and is not waited for: then it
/// is when the API server says that the record was made.
fn written(meta: &RecordMeta, now: Timestamp) -> Option<Timestamp> {
    [meta.modified_at, meta.created_at].into_iter().flatten().find(|time| !is_to_come(*time, now))
}

pub(super) fn is_to_come(time: Timestamp, now: Timestamp) -> bool {
    time.duration_since(now) > SKEW
}

/// The revisions whose objects may stand in the cluster: the deployed one, and all since. Oldest first.
pub(crate) fn standing(revisions: &[RecordMeta]) -> Vec<u32> {
    replaced(revisions).1
}

/// A new revision, unless others have to be ready before, or there were too many of late.
fn release(facts: &Facts<'_>) -> Plan {
    if facts.is_blocked { Plan::Stop(Stop::AwaitDependencies) } else { next_step(facts) }
}

/// A new revision, unless there were too many of late.
fn next_step(facts: &Facts<'_>) -> Plan {
    let last_of_ours = facts.revisions.iter().rev().find(|meta| is_of(meta, facts.identity));
    let marks = last_of_ours.and_then(|meta| meta.marks.as_ref());
    let marks = marks.filter(|marks| marks.generation == facts.identity.generation);
    let last = rate::last(facts.revisions, facts.identity).map(|(made, _)| made);
    let recent = last.filter(|made| rate::is_recent(made, facts.now));
    let lately = rate::lately(facts.revisions, facts.identity, facts.now);
    for (made, most) in [(recent, MOST_MADE), (lately, MOST_LATELY)] {
        if let Some(made) = made.filter(|made| made.revisions >= most && !is_asked(facts)) {
            return Plan::Stop(Stop::TooMany { most, until: rate::end(&made).unwrap_or(facts.now) });
        }
    }
    let made = rate::with_one_more(recent, facts.now);
    let failed = |marks: &crate::history::Marks| match &marks.remedies {
        Some(remedied) => (remedied.inputs == facts.inputs).then_some(remedied.attempt),
        None => (marks.inputs == facts.inputs && marks.ended.is_some()).then_some(marks.attempt),
    };
    let attempt = marks.and_then(failed).map_or(1, |failed| failed.saturating_add(1));
    let (kind, replaces) = replaced(facts.revisions);
    let revision = facts.revisions.last().map_or(1, |last| last.revision.saturating_add(1));
    let forced = facts.force.filter(|_| is_forced(facts)).map(str::to_owned);
    gated(Step { kind, revision, replaces, attempt, made, remedies: None, forced }, facts)
}

/// The step that would be made for what is declared, were nothing in its way: too early, held, or not approved. None where the
/// newest revision is what is declared, or becomes it.
pub(super) fn foreseen(facts: &Facts<'_>) -> Option<Step> {
    let prompt = Prompt { asked: true, cleared: true, inspected: true };
    let free = Facts { gate: None, planned: None, is_blocked: false, moves: false, prompt, ..*facts };
    let is_new = |step: &Step| step.remedies.is_none();
    match plan(&free) {
        Plan::Release(step) if is_new(&step) => return Some(step),
        Plan::Keep { .. }
        | Plan::Test { .. }
        | Plan::Resume(_)
        | Plan::Await(_)
        | Plan::Finish(_)
        | Plan::Stop(Stop::TestsFailed { .. }) => return None,
        _ => {}
    }
    let last = facts.revisions.last();
    let is_made = last.is_some_and(|last| {
        last.status == Status::Deployed && last.marks.as_ref().is_some_and(|marks| marks.inputs == facts.inputs)
    });
    match next_step(&free) {
        Plan::Release(step) if !is_made => Some(step),
        _ => None,
    }
}

/// A new revision, once it is approved where it has to be.
fn gated(step: Step, facts: &Facts<'_>) -> Plan {
    let Some(gate) = facts.gate else { return Plan::Release(step) };
    match facts.planned.map(|planned| (planned, gate.judge(planned, facts.inputs, facts.now))) {
        Some((planned, standing)) if planned.revision == step.revision => match standing {
            Standing::Approved => Plan::CarryOut(step),
            Standing::Waiting if !facts.prompt.asked => Plan::Stop(Stop::AwaitApproval(planned.clone())),
            Standing::Waiting | Standing::Outdated | Standing::Late => Plan::Propose(step),
        },
        _ => Plan::Propose(step),
    }
}

fn resumed(facts: &Facts<'_>, last: &RecordMeta) -> Step {
    let before = &facts.revisions[..facts.revisions.len() - 1];
    let kind = match last.status {
        Status::PendingInstall => StepKind::Install,
        Status::PendingRollback => StepKind::Rollback,
        _ => StepKind::Upgrade,
    };
    let (attempt, made) = last.marks.as_ref().map(|marks| (marks.attempt, marks.made)).unwrap_or_default();
    let (remedies, forced) =
        last.marks.as_ref().map(|marks| (marks.remedies.clone(), marks.forced.clone())).unwrap_or_default();
    Step { kind, revision: last.revision, replaces: replaced(before).1, attempt, made, remedies, forced }
}

/// What comes after `before`, and the revisions whose objects it replaces: the one that was deployed, the last, and between
/// them the newest that may have left something.
fn replaced(before: &[RecordMeta]) -> (StepKind, Vec<u32>) {
    let uninstalled = before.iter().rposition(|meta| meta.status == Status::Uninstalled).map_or(0, |at| at + 1);
    let since = &before[uninstalled..];
    let deployed = since.iter().rposition(RecordMeta::was_deployed);
    // What it took the place of before its uninstall was begun, it still has.
    let deployed = leaving(since).or(deployed);
    let kind = if deployed.is_some() { StepKind::Upgrade } else { StepKind::Install };
    let Some((last, earlier)) = since[deployed.unwrap_or(0)..].split_last() else { return (kind, Vec::new()) };
    let (good, failed) = earlier.split_at(usize::from(deployed.is_some() && !earlier.is_empty()));
    let mut standing: Vec<&RecordMeta> = failed.iter().filter(|meta| !meta.left_nothing()).collect();
    standing.drain(..standing.len().saturating_sub(MOST_STANDING));
    let all = good.iter().chain(standing).chain([last]);
    (kind, all.map(|meta| meta.revision).collect())
}

/// Where a revision is that was deployed until its uninstall was begun, which Helm's history does not say of it: none before it is
/// deployed, and it did not fail.
fn leaving(revisions: &[RecordMeta]) -> Option<usize> {
    let (last, before) = revisions.split_last().filter(|(last, _)| last.status == Status::Uninstalling)?;
    let has_failed = last.marks.as_ref().is_some_and(|marks| marks.ended.is_some());
    let is_other = before.iter().any(|meta| meta.status == Status::Deployed);
    (!has_failed && !is_other).then_some(before.len())
}

#[cfg(test)]
mod tests;
