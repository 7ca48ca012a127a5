//! Carrying out one step of the plan. Every write can be the last one before a crash: the next reconcile finds in
//! Helm's history how far this one came, and goes on from there (`docs/architecture.md`, "When it is killed").
//!
//! The same holds when the object changes in the middle of a step: the pending revision is gone on with where it is still
//! what is declared, and ended as superseded where it is not. Neither is a failure, and neither deletes anything.

mod adopt;
mod apply;
pub(super) mod clusters;
mod definitions;
mod deployed;
mod drift;
mod health;
mod helm_tests;
mod hook_logs;
mod hooks;
mod leftovers;
mod outlook;
pub(super) mod planning;
mod prepare;
mod random;
mod record;
mod rollback;
mod spared;
mod stop;
pub(super) mod storage;
pub(super) mod uninstall;

pub(super) use self::outlook::foreseen;
pub(super) use self::stop::maintain;

use std::time::Duration;

use helm::release::{Release, Status};
use kube::ResourceExt as _;
use tokio::sync::watch;
use tokio::time::Instant;

use super::blocked::Blocked;
use super::dereference;
use super::plan::{self, Plan, Stop};
use super::removal::Leaving;
use super::trace::Trace;
use super::validate::{self, Action, DesiredRelease, Identity, Maintenance};
use crate::api::{ADOPT, FORCE_AT, HelmRelease, Reason};
use crate::cluster::{self, SecretValues, Source};
use crate::controller::context::Slot;
use crate::controller::error::{ReconcileError, chain};
use crate::controller::ownership;
use crate::controller::place::Place;
use crate::controller::target;
use crate::history::{Planned, Record};
use crate::registry::Resolved;

/// What a step is about.
pub(super) struct Task<'a> {
    /// The object.
    pub(super) release: &'a HelmRelease,
    /// What it declares.
    pub(super) desired: &'a DesiredRelease,
    /// The chart's version.
    pub(super) resolved: &'a Resolved,
    /// The digest of what the manifest depends on.
    pub(super) inputs: &'a str,
    /// Why it waits for something that it depends on, where it does.
    pub(super) blocked: Option<&'a Blocked>,
    /// The slot in which it works.
    pub(super) slot: &'a Slot<'a>,
    /// Where it is carried out.
    pub(super) place: &'a Place,
    /// The plan that waits for approval, or has it.
    pub(super) planned: Option<&'a Planned>,
    /// From which namespace to which the records are to move once that is approved.
    pub(super) moves: Option<&'a [String; 2]>,
}

impl Task<'_> {
    /// What is looked after, whatever becomes of the step.
    fn deployed(&self) -> DeployedRelease<'_> {
        let &Self { release, desired, slot, place, .. } = self;
        DeployedRelease { release, identity: &desired.identity, maintenance: &desired.maintenance, slot, place }
    }
}

/// A release that is deployed and looked after, whatever becomes of what is declared.
#[derive(Clone, Copy)]
pub(super) struct DeployedRelease<'a> {
    /// The object.
    pub(super) release: &'a HelmRelease,
    /// Which release of it.
    pub(super) identity: &'a Identity,
    /// How it is looked after.
    pub(super) maintenance: &'a Maintenance,
    /// The slot in which that is done.
    pub(super) slot: &'a Slot<'a>,
    /// Where it is.
    pub(super) place: &'a Place,
}

/// What a step does at the moment, where it takes a while: for the status.
pub(super) type Doing = watch::Sender<Option<String>>;

/// Keeps what is deployed, and uninstalls the releases under the names and in the namespaces that the object declared
/// before.
pub(super) async fn keep(revision: u32, task: &Task<'_>, trace: &mut Trace) -> Result<(), ReconcileError> {
    Box::pin(trace.keep(task.release, &task.desired.identity.release, revision, task.place)).await?;
    planning::end(task).await?;
    Box::pin(observe(revision, &task.deployed(), trace)).await?;
    let identity = &task.desired.identity;
    let leaving = Leaving::of(task.release);
    if uninstall::former(identity, task.place).is_empty() {
        return Box::pin(clusters::leave(&leaving, revision, task, trace)).await;
    }
    // A move that was called off had begun to take over what both have: it would go with the other place.
    task.slot.resume().await;
    Box::pin(prepare::take_back(revision, task)).await?;
    // It may run hooks, and waits until objects are gone.
    task.slot.pause();
    Box::pin(uninstall::leave_former(identity, &leaving, task.place, trace)).await?;
    Box::pin(clusters::leave(&leaving, revision, task, trace)).await
}

/// Watches the objects of a deployed revision, and finds out what ails those that do not do their work.
async fn observe(revision: u32, deployed: &DeployedRelease<'_>, trace: &mut Trace) -> Result<(), ReconcileError> {
    Box::pin(drift::watch(revision, deployed, trace)).await?;
    Box::pin(health::examine(revision, deployed, trace)).await?;
    trace.is_observed = true;
    Ok(())
}

/// Takes one step; then it is planned again.
pub(super) async fn act(plan: Plan, task: &Task<'_>, trace: &mut Trace) -> Result<(), ReconcileError> {
    let done = match plan {
        // Hundreds may queue in it.
        Plan::Release(_) | Plan::CarryOut(_) => Box::pin(release(plan, task, trace)).await,
        Plan::Propose(step) => Box::pin(planning::propose(&step, task, trace)).await,
        Plan::Resume(_) | Plan::Finish(_) => Box::pin(go_on(plan, task, trace)).await,
        other => return Box::pin(go_on(other, task, trace)).await,
    };
    if done.is_err() {
        Box::pin(stop::maintain(&task.deployed(), trace)).await;
    }
    done
}

/// Takes a step with a revision that is there already.
async fn go_on(plan: Plan, task: &Task<'_>, trace: &mut Trace) -> Result<(), ReconcileError> {
    // A history elsewhere may be another's until its account is known to be let there: what it says is neither told nor changed.
    let is_strange = matches!(
        plan,
        Plan::Supersede { .. } | Plan::Mark { .. } | Plan::EndHold { .. } | Plan::Stop(Stop::Hold { .. })
    );
    if is_strange && task.release.namespace().as_ref() != Some(&task.desired.identity.release.namespace) {
        task.place.admit(&task.desired.identity.release).await?;
    }
    match plan {
        Plan::EndHold { revision } => record::end_hold(record::get(&task.deployed(), revision).await?, task).await,
        Plan::Inspect { revision } => Box::pin(drift::inspect(revision, &task.deployed(), trace)).await,
        Plan::Test { revision } => {
            // Whatever they say, the revision is deployed.
            Box::pin(drift::watch(revision, &task.deployed(), trace)).await?;
            Box::pin(helm_tests::run(revision, task, trace)).await
        }
        Plan::Mark { revision } => {
            let record = record::get(&task.deployed(), revision).await?;
            mark(record, &task.desired.identity, task.place).await.map(drop)
        }
        Plan::Resume(step) => {
            // After a restart there may be hundreds: of their records, too, only a few are in memory at once.
            task.slot.resume().await;
            let record = record::get(&task.deployed(), step.revision).await?;
            match Box::pin(prepare::resume(&step, record, task)).await {
                Ok(prepared) => Box::pin(apply::carry_out(&step, prepared, task, trace)).await,
                Err(error) => Box::pin(apply::end_late(&step, error, task, trace)).await,
            }
        }
        Plan::Finish(step) => Box::pin(apply::finish(&step, task, trace)).await,
        Plan::Supersede { revision } => {
            let why = "the HelmRelease declares something else now";
            let mut record = record::get(&task.deployed(), revision).await?;
            Box::pin(hooks::end_running(&mut record, task.place)).await?;
            trace.record(&record::supersede(record, why, task.place).await?);
            Ok(())
        }
        Plan::Abandon { revision } => {
            task.place.admit(&task.desired.identity.release).await?;
            let why = "whoever began it has not gone on with it for 15 minutes, and another revision takes its place";
            let record = record::get(&task.deployed(), revision).await?;
            let why = ReconcileError::new(Reason::PendingRelease, why);
            record::fail(record, (&why, false), task.place).await.map(drop)
        }
        Plan::CleanUp { revision } => {
            let record = record::get(&task.deployed(), revision).await?;
            Box::pin(leftovers::clean_up_later(record, task, trace)).await
        }
        Plan::FinishUninstall { .. } => {
            let release = &task.desired.identity.release;
            task.place.admit(release).await?;
            let left = Box::pin(uninstall::remove(release, &Leaving::of(task.release), task.place, trace)).await?;
            let Some(why) = left else { return Ok(()) };
            let message = format!("the uninstall that was begun of the release {release} is not ended: {why}");
            Err(ReconcileError::new(Reason::OwnershipConflict, message))
        }
        Plan::Stop(stop) => Box::pin(stop::stop(stop, task, trace)).await,
        // The others are taken by those who plan.
        Plan::Release(_) | Plan::CarryOut(_) | Plan::Propose(_) | Plan::Keep { .. } | Plan::Await(_) => Ok(()),
    }
}

/// Whether the object takes the place of another whose release it declares, and has not marked it as its own yet.
pub(super) fn is_adopter(release: &HelmRelease, place: &Place) -> bool {
    let asks = |annotation: &str| release.annotations().contains_key(annotation);
    (asks(ADOPT) || asks(FORCE_AT) || release.spec.adopt)
        && matches!(dereference::takes_over(release, dereference::Known::at(place)), Ok(true))
}

/// Marks the newest revision of a release that the object adopts as the object's own, before anything else: from then on
/// it is gone on with, or ended, as what it is. Whether it was: one without marks is taken over by the next revision.
pub(super) async fn take_over(release: &HelmRelease, place: &Place, trace: &mut Trace) -> Result<bool, ReconcileError> {
    let identity = validate::identity(release)?;
    let revisions = place.revisions.of(&identity.release);
    let Some(newest) = revisions.last() else { return Ok(false) };
    let Some(record) = record::read(place, &identity.release, newest.revision).await? else { return Ok(false) };
    let Some(marked) = mark(record, &identity, place).await? else { return Ok(false) };
    trace.record(&marked);
    Ok(true)
}

/// Marks a revision as made for the object that `identity` names. One without marks is left as it is.
async fn mark(mut record: Record, identity: &Identity, place: &Place) -> Result<Option<Record>, ReconcileError> {
    if record.release.info.status == Status::Uninstalling {
        let message = format!("the release {} is being uninstalled, and is free once it is gone", identity.release);
        return Err(ReconcileError::new(Reason::PendingRelease, message));
    }
    let Some(marks) = &mut record.marks else { return Ok(None) };
    marks.owner.clone_from(&identity.owner);
    marks.uid.clone_from(&identity.uid);
    marks.cluster = target::mark(identity.cluster.as_ref());
    marks.home = place.home_mark();
    record::update(place, record).await.map(Some)
}

/// Ends the pending revision of a release that is suspended, so that nobody finds it locked; what it applied stays.
pub(super) async fn pause(release: &HelmRelease, place: &Place, trace: &mut Trace) -> Result<(), ReconcileError> {
    let identity = validate::identity(release)?;
    if place.made_elsewhere(&identity.release, &identity.uid).await?.is_some() {
        return Ok(());
    }
    let revisions = place.revisions.of(&identity.release);
    let ours = revisions.last().filter(|last| plan::is_of(last, &identity));
    if let Some(tested) = ours.filter(|last| helm_tests::goes_on(last)) {
        Box::pin(helm_tests::end(tested, place)).await?;
    }
    let Some(pending) = ours.filter(|last| plan::is_pending(last.status)) else { return Ok(()) };
    let record = record::read(place, &identity.release, pending.revision).await?;
    let is_still = |record: &Record| {
        let meta = record.meta().ok().filter(|meta| plan::is_of(meta, &identity));
        meta.is_some_and(|meta| ownership::made_elsewhere(&[meta], place.viewer(&identity.uid)).is_none())
    };
    if let Some(mut record) = record.filter(is_still) {
        hooks::end_running(&mut record, place).await?;
        trace.record(&record::supersede(record, "the HelmRelease was suspended", place).await?);
    }
    Ok(())
}

/// What the Secrets hold that a release consists of.
async fn secrets_of(release: &Release) -> Result<SecretValues, cluster::Error> {
    let manifest = Source { origin: release.chart.name(), text: &release.manifest };
    let sources: Vec<Source<'_>> = std::iter::once(manifest).chain(release.hooks.iter().map(Source::from)).collect();
    SecretValues::in_texts(&sources).await
}

/// `error` without what the Secrets of the release hold: a webhook, an admission policy, an Event may quote anything that
/// they were shown. Where it cannot be known what that is, nothing of it is told.
async fn masked(error: ReconcileError, release: &Release) -> ReconcileError {
    let message = match secrets_of(release).await {
        Ok(secrets) => secrets.mask(&error.message).into_owned(),
        Err(unreadable) => format!(
            "what the cluster said is left out, since it may quote a Secret of the release, and the record of that cannot be read: {}",
            chain(&unreadable)
        ),
    };
    ReconcileError { message, ..error }
}

/// Makes a revision.
async fn release(plan: Plan, task: &Task<'_>, trace: &mut Trace) -> Result<(), ReconcileError> {
    let revisions = task.place.revisions.of(&task.desired.identity.release);
    if let Some(tested) = revisions.last().filter(|last| helm_tests::goes_on(last)) {
        Box::pin(helm_tests::end(tested, task.place)).await?;
    }
    if let Some(told) = trace.tests.take() {
        // It is gone back, and nothing else tells why.
        trace.warn(Reason::TestFailed, told);
    }
    let (step, prepared) = match plan {
        Plan::Release(step) => {
            let prepared = Box::pin(prepare::prepare(&step, task, trace)).await?;
            (step, prepared)
        }
        Plan::CarryOut(step) => {
            let prepared = Box::pin(planning::prepare(&step, task, trace)).await?;
            (step, prepared)
        }
        _ => return Ok(()),
    };
    match prepared {
        prepare::Prepared::Adopted => Ok(()),
        prepare::Prepared::Recorded(pending) => {
            // What becomes of the objects of the revision before is this one's doing.
            task.place.context.live.end(&task.desired.identity.uid);
            Box::pin(apply::carry_out(&step, *pending, task, trace)).await
        }
    }
}

/// The point in time at which an action has used up its timeout.
#[derive(Debug, Clone, Copy)]
struct Deadline(Instant);

/// After a restart so long is left at least, to see what has become of the objects meanwhile.
const GRACE: Duration = Duration::from_secs(30);

impl Deadline {
    /// So long from now; what is longer than a century is a century.
    fn after(timeout: Duration) -> Self {
        const CENTURY: Duration = Duration::from_hours(100 * 365 * 24);
        Self(Instant::now() + timeout.min(CENTURY))
    }

    fn of(action: &Action) -> Self {
        Self::after(action.timeout)
    }

    /// Of an action that went on for `age` already when it was taken up again.
    fn resumed(timeout: Duration, age: Duration) -> Self {
        Self::after(timeout.saturating_sub(age).max(GRACE.min(timeout)))
    }

    fn remaining(self) -> Duration {
        self.0.saturating_duration_since(Instant::now())
    }
}
