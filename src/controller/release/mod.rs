//! `HelmRelease`: one sentence, and its stages.
//!
//! ```text
//! HelmRelease → dereference → validate → resolve → observe → plan → act (fetch, render, record, apply, wait, record) → report → status
//! ```
//!
//! A reconcile may be killed at any instruction: each stage begins from what the cluster and Helm's history hold.

mod act;
mod approval;
mod artifact;
mod blocked;
mod checks;
mod claims;
mod demands;
mod dependencies;
mod dereference;
pub(super) mod differences;
mod fetch;
pub(super) mod foresee;
mod inputs;
mod observe;
mod plan;
pub(super) mod postrender;
mod publish;
mod rate;
mod remediation;
mod removal;
mod render;
mod report;
mod reuse;
mod rivals;
mod trace;
mod validate;
mod values;

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt as _;
use kube::runtime::controller::Action;
use kube::{Resource as _, ResourceExt as _};
use tokio::task::spawn_local;

use self::plan::{Plan, Prompt, Step};
use self::removal::Leaving;
use self::trace::Trace;
use self::validate::Identity;
use super::awaits;
use super::causes::{api_error, panicked};
use super::context::{Context, Slot};
use super::defaults::Effective;
use super::error::ReconcileError;
use super::finalizer;
use super::guarded::{Guarded, Undecodable};
use super::matching::Key;
use super::place::Place;
use super::status;
use super::waits::{Progress, RevisionRef};
use crate::api::{HelmRelease, RELEASE_FINALIZER, Reason};
use crate::cluster::SecretValues;
use crate::history::{Planned, RecordMeta};
use crate::permits::Permit;
use crate::registry::Resolved;

/// How soon an object is looked at again whose watch is behind our own write of its status.
const CATCH_UP: Duration = Duration::from_millis(50);

/// After so many steps in one reconcile something undoes what we do.
const MAX_STEPS: usize = 6;

/// How a reconcile ended that did not fail.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Outcome {
    /// The release is as declared.
    Deployed,
    /// It is applied, and becomes ready: the wait wakes it.
    Waiting(Step),
    /// `spec.suspend`.
    Suspended,
    /// Another generation was declared meanwhile; it is reconciled next.
    Superseded,
    /// The object is being deleted, and nothing of ours is left.
    Gone,
}

/// Brings the release nearer to what is declared, and tells.
pub(super) async fn reconcile(
    guarded: Arc<Guarded<HelmRelease>>,
    context: Arc<Context>,
) -> Result<Action, status::Error> {
    let declared = match &guarded.0 {
        Ok(release) => release,
        Err(undecodable) => return Box::pin(reconcile_undecodable(&guarded, undecodable, &context)).await,
    };
    // All that follows sees the release with its defaults.
    let effective = context.defaults.of(declared);
    let release = effective.release.as_deref().unwrap_or(declared);
    if context.statuses.is_ahead_of(release) {
        return Ok(Action::requeue(CATCH_UP));
    }
    let started = context.now();
    let known = effective.trouble.is_none();
    let mut trace = Trace { defaults: known.then(|| effective.taken.clone()), ..Trace::default() };
    let mut outcome = tokio::select! {
        // A defect is told as any other trouble, and costs its own object.
        outcome = AssertUnwindSafe(advance(release, &effective, &context, &mut trace)).catch_unwind() => {
            outcome.unwrap_or_else(|_| Err(panicked("reconciled this object")))
        }
        // Whatever goes on is dropped at once, as by a crash: what was recorded is gone on with, or ended, next.
        () = superseded(release, &context) => Ok(Outcome::Superseded),
    };
    outcome = outcome.map_err(|error| effective.explain(trace.masked(error)));
    settle(release, &mut outcome, &mut trace, &context);
    Box::pin(publish::publish(release, &outcome, &trace, &context)).await?;
    publish::count(&outcome, release, started, &context);
    next(&guarded, release, (&outcome, &trace), &context).await
}

/// What follows from how a reconcile ended: what is looked at again and when, what is waited for and watched, and what is not any
/// more.
fn settle(
    release: &HelmRelease,
    outcome: &mut Result<Outcome, ReconcileError>,
    trace: &mut Trace,
    context: &Arc<Context>,
) {
    trace.source = trace.source.take().map(|error| trace.masked(error));
    trace.drift = context.live.standing(&release.uid().unwrap_or_default());
    for error in outcome.as_mut().err().into_iter().chain(&mut trace.source) {
        context.retries.failed(release, error, release.spec.interval(), context.now());
    }
    match outcome {
        Ok(Outcome::Superseded) => {}
        Ok(Outcome::Waiting(_)) => context.awaits.end(release),
        Ok(ended @ (Outcome::Deployed | Outcome::Suspended | Outcome::Gone)) => {
            if !matches!(ended, Outcome::Deployed) {
                // Nor is anything told of what is not looked at any more.
                trace.drift = None;
                context.live.end(&release.uid().unwrap_or_default());
            }
            context.awaits.end(release);
            context.waits.end(&release.uid().unwrap_or_default());
        }
        Err(error) => {
            if error.reason == Reason::ReleaseNameConflict {
                trace.is_elsewhere = dereference::is_elsewhere(release, context);
                // What was asked before somebody knew of that, or was restored with the object, asks for nothing of another's.
                if trace.is_elsewhere && !rivals::knows_of_another(release) {
                    trace.demand = demands::forced(release).map(str::to_owned);
                }
                // The release is somebody else's: it is no longer waited for.
                trace.drift = None;
                context.waits.end(&release.uid().unwrap_or_default());
                context.live.end(&release.uid().unwrap_or_default());
            }
            awaits::watch(release, error, context);
        }
    }
}

/// When the object is reconciled next.
async fn next(
    guarded: &Guarded<HelmRelease>,
    release: &HelmRelease,
    (outcome, trace): (&Result<Outcome, ReconcileError>, &Trace),
    context: &Context,
) -> Result<Action, status::Error> {
    match (outcome, &trace.source) {
        (Ok(Outcome::Gone), _) => Box::pin(finalizer::remove(guarded, RELEASE_FINALIZER, context)).await,
        (Ok(Outcome::Deployed), Some(source)) => Ok(source.action(context.now())),
        // While it waits, too: a new version may come that mends what it waits for.
        (Ok(Outcome::Deployed), None) | (Ok(Outcome::Waiting(_)), _) => {
            Ok(context.retries.settled(release, release.spec.interval()))
        }
        (Ok(Outcome::Suspended), _) => Ok(Action::await_change()),
        (Ok(Outcome::Superseded), _) => Ok(Action::requeue(Duration::ZERO)),
        (Err(error), _) => Ok(error.action(context.now())),
    }
}

/// An object that cannot be read says so; when it is deleted, its releases are uninstalled by what the history tells.
async fn reconcile_undecodable(
    guarded: &Guarded<HelmRelease>,
    undecodable: &Undecodable,
    context: &Arc<Context>,
) -> Result<Action, status::Error> {
    if undecodable.metadata.deletion_timestamp.is_none() {
        return status::undecodable::<HelmRelease>(context, undecodable).await;
    }
    let leaving = Leaving::of_undecodable(undecodable);
    context.waits.end(&leaving.uid);
    let mut trace = Trace::default();
    match Box::pin(act::clusters::uninstall(&leaving, context, &mut trace)).await {
        Ok(()) => {
            publish::notices(guarded, &trace, context);
            finalizer::remove(guarded, RELEASE_FINALIZER, context).await
        }
        Err(mut error) => {
            context.retries.failed(guarded, &mut error, UNDECODABLE_INTERVAL, context.now());
            tracing::warn!(object = %leaving.owner, error = %error.message, "failed to uninstall the release of an object that cannot be read");
            Ok(error.action(context.now()))
        }
    }
}

/// An object is gone. It should be held until its release is: but the API server may delete one in the very moment in which
/// it gets its finalizer. What was installed for it meanwhile is uninstalled then.
pub(super) fn gone(release: &HelmRelease, context: &Arc<Context>) {
    // One that was let go has no finalizer at its end, or was asked to end before.
    if !has_finalizer(release) || release.meta().deletion_timestamp.is_some() {
        return;
    }
    let effective = context.defaults.of(release);
    let release = effective.release.as_deref().unwrap_or(release);
    let leaving = Leaving { deleted: Some(context.now()), ..Leaving::of(release) };
    let (context, release) = (Arc::clone(context), Box::new(release.clone()));
    spawn_local(async move {
        let mut pause = FIRST_PAUSE;
        // Nothing else remembers it.
        loop {
            let mut trace = Trace::default();
            match Box::pin(act::clusters::uninstall_gone(&leaving, &context, &mut trace)).await {
                Ok(()) => return publish::notices(&*release, &trace, &context),
                Err(error) => {
                    tracing::warn!(object = %leaving.owner, error = %error.message, "failed to uninstall the release of an object that was deleted while it got its finalizer; trying again");
                }
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(UNDECODABLE_INTERVAL);
        }
    });
}

/// The longest between two attempts to uninstall what an object declared that cannot be read, or is gone.
const UNDECODABLE_INTERVAL: Duration = Duration::from_mins(30);

/// The first pause between two attempts to uninstall what an object declared that is gone.
const FIRST_PAUSE: Duration = Duration::from_secs(5);

/// The stages, in order.
async fn advance(
    release: &HelmRelease,
    effective: &Effective,
    context: &Arc<Context>,
    trace: &mut Trace,
) -> Result<Outcome, ReconcileError> {
    if release.meta().deletion_timestamp.is_some() {
        return Box::pin(remove(release, context, trace)).await;
    }
    let place = match Box::pin(Place::of(release, context)).await {
        Ok(place) => place,
        // It is left as it is, whatever becomes of its cluster.
        Err(_) if release.spec.suspend => return Ok(Outcome::Suspended),
        Err(error) => return Err(error),
    };
    let done = tokio::select! {
        done = Box::pin(bring_nearer(release, effective, &place, trace)) => done,
        // What goes on is dropped, as by a crash: it would hold what others could have until its requests are given up.
        error = place.lost() => Err(error),
    };
    done.map_err(|error| place.told(error))
}

/// Holds a release that stays, and takes it over where it is another object's, before anything is done in its place.
async fn enter(release: &HelmRelease, slot: &Slot<'_>, place: &Place, trace: &mut Trace) -> Result<(), ReconcileError> {
    let context = &place.context;
    let records = dereference::target(release).release;
    place.revisions.quiet(Some(&records), &removal::owner(release.meta())).await;
    let elsewhere = place.made_elsewhere(&records, &release.uid().unwrap_or_default()).await?;
    if !release.spec.suspend || act::is_adopter(release, place) {
        add_finalizer(release, slot, context).await?;
        Box::pin(act::clusters::enter(release, place, trace)).await?;
    }
    // Asked again: it may have queued for long.
    if act::is_adopter(release, place) {
        // Before anything of the other's is written, or told.
        dereference::stays_within(release, context)?;
        place.admit(&records).await?;
        // Suspended or not: whose place it takes is about to go.
        let is_taken = Box::pin(act::take_over(release, place, trace)).await?;
        if elsewhere.is_some() && is_taken {
            // Before anything else: one demand takes it once.
            trace.demand = demands::forced(release).map(str::to_owned);
            Box::pin(publish::progress(release, trace, context)).await?;
        }
    }
    Ok(())
}

/// The stages of a release that stays, in its place.
async fn bring_nearer(
    release: &HelmRelease,
    effective: &Effective,
    place: &Place,
    trace: &mut Trace,
) -> Result<Outcome, ReconcileError> {
    let context = &place.context;
    let slot = Slot::new(release, context);
    Box::pin(enter(release, &slot, place, trace)).await?;
    if release.spec.suspend {
        Box::pin(act::pause(release, place, trace)).await?;
        return Ok(Outcome::Suspended);
    }
    effective.check()?;
    dereference::admit(release, place)?;
    let (mut desired, resolved, _room) = match Box::pin(declared(release, &slot, place, trace)).await {
        Ok(declared) => declared,
        Err(error) => {
            Box::pin(maintain(release, &slot, place, trace)).await;
            return Err(error);
        }
    };
    let asked = demands::is_unanswered(release, &place.revisions.of(&desired.identity.release));
    if asked {
        context.live.again(&desired.identity.uid);
    }
    let mut prompt = Prompt { asked, cleared: context.awaits.take_cleared(release), inspected: false };
    for _ in 0..MAX_STEPS {
        let mut observed = observe::observe(release, &desired, &resolved, place).await?;
        let (plan, planned) = Box::pin(decide(&mut observed, &desired, release, (prompt, place))).await?;
        let observe::Observed { inputs, blocked, .. } = &observed;
        let (blocked, planned, moves) = (blocked.as_ref(), planned.as_deref(), observed.moves.as_ref());
        if moves.is_some() && matches!(plan, Plan::CarryOut(_)) {
            desired.identity = validate::identity(release)?;
            Box::pin(act::storage::gather(&desired, place)).await?;
            trace.records = None;
            continue;
        }
        let (desired, resolved, slot) = (&*desired, &resolved, &slot);
        let task = act::Task { release, desired, resolved, inputs, blocked, slot, place, planned, moves };
        match plan {
            Plan::Keep { revision } => {
                Box::pin(act::keep(revision, &task, trace)).await?;
                return Ok(Outcome::Deployed);
            }
            Plan::Await(step) => return Ok(Outcome::Waiting(step)),
            plan => {
                match &plan {
                    // It is answered by one attempt.
                    Plan::Release(step) if step.remedies.is_none() => prompt = Prompt::default(),
                    Plan::Propose(_) | Plan::CarryOut(_) => {
                        prompt = Prompt { inspected: prompt.inspected, ..Prompt::default() }
                    }
                    // What the watches show of it comes later.
                    Plan::Inspect { .. } => prompt.inspected = true,
                    _ => {}
                }
                Box::pin(act::act(plan, &task, trace)).await?;
            }
        }
    }
    let message = "the history of the release was changed by somebody else as often as the operator changed it: \
                   find out what else writes release Secrets of this name";
    Err(ReconcileError::new(Reason::PendingRelease, message))
}

/// What is deployed is looked after though it cannot be learnt what is declared: what the object refers to is missing, say, or there
/// is no such version.
async fn maintain(release: &HelmRelease, slot: &Slot<'_>, place: &Place, trace: &mut Trace) {
    let identity = validate::identity(release).and_then(|identity| act::storage::where_it_is(&identity, place));
    let (Ok(identity), Ok(maintenance)) = (&identity, &validate::Maintenance::of(release)) else { return };
    slot.pause();
    Box::pin(act::maintain(&act::DeployedRelease { release, identity, maintenance, slot, place }, trace)).await;
}

/// What is to be installed, of which version of the chart, and the place in memory that its values have where they are large.
async fn declared(
    release: &HelmRelease,
    slot: &Slot<'_>,
    place: &Place,
    trace: &mut Trace,
) -> Result<(Box<validate::DesiredRelease>, Resolved, Option<Permit>), ReconcileError> {
    let mut references = Box::pin(dereference::dereference(release, (place, slot), trace)).await?;
    let room = references.room.take();
    let mut desired = Box::new(validate::validate(release, references)?);
    slot.pause();
    if let Some(gate) = &mut desired.gate {
        gate.ways.push_str(place.address());
    }
    trace.secrets = SecretValues::of_all(&desired.secrets).await;
    Box::pin(act::storage::settle(&mut desired, place)).await?;
    trace.records = Some(desired.identity.target());
    let resolved = Box::pin(fetch::resolve(&desired, release, &place.context, trace)).await?;
    Ok((desired, resolved, room))
}

/// The object is being deleted: what it installed goes, or stays as it says, and its plan goes.
async fn remove(release: &HelmRelease, context: &Arc<Context>, trace: &mut Trace) -> Result<Outcome, ReconcileError> {
    context.waits.end(&release.uid().unwrap_or_default());
    context.live.end(&release.uid().unwrap_or_default());
    if let Some(waits) = blocked::by_dependents(release, context) {
        return Err(waits);
    }
    // A hook that fails may quote them.
    trace.secrets = SecretValues::of_all(&Box::pin(dereference::secret_values(release, context)).await).await;
    let (leaving, doing) = (Leaving::of(release), trace.doing.subscribe());
    tokio::select! {
        ended = Box::pin(act::clusters::uninstall(&leaving, context, trace)) => ended?,
        never = Box::pin(publish::announce_removal(release, doing, context)) => match never {},
    }
    Box::pin(act::planning::discard(release, context)).await?;
    Ok(Outcome::Gone)
}

/// Decides what is done next, and by which plan. What the release depends on, and the plan that was made for approval, are read
/// only where a new revision would be made.
async fn decide(
    observed: &mut observe::Observed,
    desired: &validate::DesiredRelease,
    release: &HelmRelease,
    (prompt, place): (Prompt, &Place),
) -> Result<(Plan, Option<Box<Planned>>), ReconcileError> {
    let context = &*place.context;
    let mut plan = plan::plan(&facts(desired, observed, release, (prompt, context)));
    let is_new = matches!(&plan, Plan::Release(step) | Plan::Propose(step) if step.remedies.is_none());
    if is_new && !desired.dependencies.is_empty() {
        observed.blocked = blocked::by_objects(release, desired, place).await?;
        if observed.blocked.is_some() {
            plan = plan::plan(&facts(desired, observed, release, (prompt, context)));
        }
    }
    if !matches!(plan, Plan::Propose(_)) {
        return Ok((plan, None));
    }
    let planned = context.plans().planned(&act::planning::key(release)).await?.map(Box::new);
    let known = plan::Facts { planned: planned.as_deref(), ..facts(desired, observed, release, (prompt, context)) };
    let plan = plan::plan(&known);
    Ok((plan, planned))
}

/// What the next step is decided by.
fn facts<'a>(
    desired: &'a validate::DesiredRelease,
    observed: &'a observe::Observed,
    release: &'a HelmRelease,
    (prompt, context): (Prompt, &Context),
) -> plan::Facts<'a> {
    plan::Facts {
        identity: &desired.identity,
        inputs: &observed.inputs,
        revisions: &observed.revisions,
        takes_over: observed.takes_over,
        is_blocked: observed.blocked.is_some(),
        has_suspects: observed.has_suspects && !prompt.inspected,
        interval: release.spec.interval(),
        force: demands::forced(release),
        moves: observed.moves.is_some(),
        prompt,
        tests: desired.tests.as_ref(),
        remedies: desired.remedies,
        wait: wait(&desired.identity, &observed.revisions, context),
        gate: desired.gate.as_ref(),
        planned: None,
        now: context.now(),
    }
}

/// Resolves as soon as `release` is no longer what is declared: changed, suspended or being deleted; or its Helm release
/// no longer its own, where it was.
async fn superseded(release: &HelmRelease, context: &Context) {
    let watched = context.changes.watch(Key::of(release));
    let is_own = || dereference::takes_over(release, dereference::Known::by(context)).is_ok();
    let was_own = is_own();
    while context.is_current(release) && (!was_own || is_own()) {
        watched.changed().await;
    }
}

/// How far the wait for the newest revision is.
fn wait(identity: &Identity, revisions: &[RecordMeta], context: &Context) -> Progress {
    let newest = revisions.last().map_or(0, |last| last.revision);
    context.waits.progress(&identity.uid, RevisionRef { revision: newest, generation: identity.generation })
}

/// Whether the status says that the release is ready, as it is declared.
pub(super) fn is_ready(release: &HelmRelease) -> bool {
    release.status.as_ref().is_some_and(|status| {
        status.observed_generation == release.metadata.generation && status::is_ready(&status.conditions)
    })
}

fn has_finalizer(release: &HelmRelease) -> bool {
    release.finalizers().iter().any(|finalizer| finalizer == RELEASE_FINALIZER)
}

/// Before anything is installed the object is held, so that nothing is left behind when it is deleted.
async fn add_finalizer(release: &HelmRelease, slot: &Slot<'_>, context: &Context) -> Result<(), ReconcileError> {
    if has_finalizer(release) {
        return Ok(());
    }
    // Of a thousand that are new at once a few begin, and not all of them with a request.
    slot.resume().await;
    let held = Box::pin(finalizer::add(release, RELEASE_FINALIZER, context)).await;
    slot.pause();
    held.map_err(|error| api_error(&format!("put the finalizer on HelmRelease {}", Key::of(release)), &error))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::{act, reconcile};
    use crate::api::HelmRelease;
    use crate::controller::context::Context;
    use crate::controller::guarded::Guarded;

    fn size<F: Future>(_: fn(Arc<Guarded<HelmRelease>>, Arc<Context>) -> F) -> usize {
        size_of::<F>()
    }

    fn size_of_step<A, B, C, F: Future>(_: fn(A, B, C) -> F) -> usize {
        size_of::<F>()
    }

    /// Thousands of reconciles may queue for a slot at the same time.
    #[test]
    fn a_reconcile_that_queues_is_small() {
        assert!(size(reconcile) <= 8 << 10, "{} bytes", size(reconcile));
        assert!(size_of_step(act::act) <= 1 << 10, "{} bytes", size_of_step(act::act));
    }
}
