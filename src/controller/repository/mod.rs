//! `HelmRepository`: is the registry there, does it accept the credentials, what tags do the charts in use have?
//!
//! ```text
//! HelmRepository → validate → dereference → probe → report → status
//! ```

mod probe;
mod report;

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt as _;
use k8s_openapi::jiff::Timestamp;
use kube::runtime::controller::Action;
use kube::{Resource as _, ResourceExt as _};

use super::causes::panicked;
use super::context::Context;
use super::error::ReconcileError;
use super::events::Severity;
use super::finalizer;
use super::guarded::Guarded;
use super::matching::Key;
use super::status::{self, Sent};
use crate::api::{HelmRepository, HelmRepositoryStatus, REPOSITORY_FINALIZER};
use crate::registry::{ChartReference, RepositoryUrl};

pub(super) use self::probe::KnownCharts;

/// Asks the registry, and tells.
pub(super) async fn reconcile(
    guarded: Arc<Guarded<HelmRepository>>,
    context: Arc<Context>,
) -> Result<Action, status::Error> {
    let repository = match &guarded.0 {
        Ok(repository) => repository,
        Err(invalid) => return status::undecodable::<HelmRepository>(&context, invalid).await,
    };
    if repository.finalizers().iter().any(|name| name == REPOSITORY_FINALIZER) {
        // Nothing is left behind by a repository; earlier operators held them all the same.
        finalizer::remove(repository, REPOSITORY_FINALIZER, &context).await?;
    }
    if repository.meta().deletion_timestamp.is_some() {
        context.forget(&repository.uid().unwrap_or_default());
        return Ok(Action::await_change());
    }
    let started = context.now();
    let outcome = AssertUnwindSafe(probe::probe(repository, &context)).catch_unwind().await;
    let mut outcome = outcome.unwrap_or_else(|_| Err(panicked("probed the registry")));
    if let Err(error) = &mut outcome {
        context.retries.failed(repository, error, repository.spec.interval.at_least_a_second(), context.now());
    }
    let status = report::report(repository, &outcome, context.now());
    tell(repository, &status, &outcome, &context).await?;
    count(repository, &outcome, started, &context);
    Ok(next(repository, &outcome, &context))
}

/// What a probe found.
pub(super) enum Outcome {
    /// The registry answered as it should.
    Answered(Answered),
    /// Not asked.
    Suspended,
}

/// What a registry answered.
pub(super) struct Answered {
    /// Where it was asked.
    url: RepositoryUrl,
    /// Whether it was asked with credentials.
    with_credentials: bool,
    /// Whether releases use charts through this repository.
    in_use: bool,
    /// Those of them that it does not have.
    missing: Vec<ChartReference>,
}

async fn tell(
    repository: &HelmRepository,
    status: &HelmRepositoryStatus,
    outcome: &Result<Outcome, ReconcileError>,
    context: &Context,
) -> Result<(), status::Error> {
    let before = repository.status.as_ref();
    let sent = context.statuses.write::<HelmRepository, _>(&context.client, repository, before, status).await?;
    if sent != Sent::Written {
        return Ok(());
    }
    let was = before.and_then(|before| status::readiness(&before.conditions));
    let is = status::readiness(&status.conditions);
    let was_ready = before.is_some_and(|before| status::is_ready(&before.conditions));
    // Which charts are in use is nothing that happened to the repository.
    if was == is || was_ready && status::is_ready(&status.conditions) {
        return Ok(());
    }
    let reason = report::reason(outcome);
    let severity = if outcome.is_ok() { Severity::Normal } else { Severity::Warning };
    let message = is.map(|ready| ready.message).unwrap_or_default();
    context.events.record(repository.object_ref(&()), (severity, reason), message, context.now());
    if matches!(outcome, Ok(Outcome::Answered(_))) && was.is_some() {
        // What failed for want of this registry need not wait for its own next try.
        context.wake.releases_of(&Key::of(repository), context);
    }
    Ok(())
}

/// Counts a probe, and logs it.
fn count(
    repository: &HelmRepository,
    outcome: &Result<Outcome, ReconcileError>,
    started: Timestamp,
    context: &Context,
) {
    let took = Duration::try_from(context.now().duration_since(started)).unwrap_or_default();
    let (object, result) = (Key::of(repository), report::reason(outcome).to_string());
    match outcome {
        Ok(_) => tracing::debug!(%object, %result, ?took, "repository reconciled"),
        Err(error) => tracing::warn!(%object, %result, ?took, error = %error.message, "repository not ready"),
    }
    context.metrics.reconciled("helmrepository", result, took);
}

fn next(repository: &HelmRepository, outcome: &Result<Outcome, ReconcileError>, context: &Context) -> Action {
    match outcome {
        Ok(Outcome::Suspended) => Action::await_change(),
        Ok(Outcome::Answered(_)) => context.retries.settled(repository, repository.spec.interval.at_least_a_second()),
        Err(error) => error.action(context.now()),
    }
}
