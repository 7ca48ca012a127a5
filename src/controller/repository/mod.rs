//! `HelmRepository`: is the registry there, does it let us in, what tags do the charts in use have?
//!
//! ```text
//! HelmRepository → validate → dereference → probe → report → status
//! ```

mod probe;
mod report;

use std::sync::Arc;

use kube::runtime::controller::Action;
use kube::{Resource as _, ResourceExt as _};

use super::context::Context;
use super::events::Severity;
use super::finalizer;
use super::guarded::Guarded;
use super::halt::Halt;
use super::status;
use crate::api::{HelmRepository, HelmRepositoryStatus, REPOSITORY_FINALIZER};

/// Asks the registry, and tells.
pub(super) async fn reconcile(
    guarded: Arc<Guarded<HelmRepository>>,
    context: Arc<Context>,
) -> Result<Action, status::Error> {
    let repository = match &guarded.0 {
        Ok(repository) => repository,
        Err(invalid) => return status::undecodable::<HelmRepository>(&context, invalid).await,
    };
    if repository.meta().deletion_timestamp.is_some()
        || repository.finalizers().iter().any(|name| name == REPOSITORY_FINALIZER)
    {
        // Nothing is left behind by a repository; earlier operators held them all the same.
        return finalizer::remove(repository, REPOSITORY_FINALIZER, &context).await;
    }
    let mut outcome = probe::probe(repository, &context).await;
    if let Err(halt) = &mut outcome {
        context.retries.halted(repository, halt, repository.spec.interval.0, context.now());
    }
    let status = report::report(repository, &outcome, context.now());
    tell(repository, &status, &outcome, &context).await?;
    Ok(next(repository, &outcome, &context))
}

/// What a probe found.
pub(super) enum Outcome {
    /// The registry answered, and has tags for the charts in use.
    Answered,
    /// Not asked.
    Suspended,
}

async fn tell(
    repository: &HelmRepository,
    status: &HelmRepositoryStatus,
    outcome: &Result<Outcome, Halt>,
    context: &Context,
) -> Result<(), status::Error> {
    let before = repository.status.as_ref();
    if !context.statuses.write::<HelmRepository, _>(&context.client, repository, before, status).await? {
        return Ok(());
    }
    let was = before.and_then(|before| status::readiness(&before.conditions));
    let is = status::readiness(&status.conditions);
    if was == is {
        return Ok(());
    }
    let reason = report::reason(outcome);
    let severity = if outcome.is_ok() { Severity::Normal } else { Severity::Warning };
    let message = is.map(|ready| ready.message).unwrap_or_default();
    context.events.record(repository.object_ref(&()), (severity, reason), message, context.now());
    if matches!(outcome, Ok(Outcome::Answered)) && was.is_some() {
        // What failed for want of this registry need not wait for its own next try.
        context.wake.releases_of(repository, context);
    }
    Ok(())
}

fn next(repository: &HelmRepository, outcome: &Result<Outcome, Halt>, context: &Context) -> Action {
    match outcome {
        Ok(Outcome::Suspended) => Action::await_change(),
        Ok(Outcome::Answered) => context.retries.settled(repository, repository.spec.interval.0),
        Err(halt) => halt.next.map_or_else(Action::await_change, |next| next.action(context.now())),
    }
}
