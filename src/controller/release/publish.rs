//! From a report to what people see: the status is written, transitions become Events and log lines, results are counted.

use std::convert::Infallible;
use std::time::Duration;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use k8s_openapi::jiff::Timestamp;
use kube::{Resource, ResourceExt as _};
use tokio::sync::watch;

use super::plan::Step;
use super::report::Progress;
use super::report::listed;
use super::trace::Trace;
use super::{Outcome, dereference, report};
use crate::api::{ConditionType, HelmRelease, HelmReleaseStatus, Reason};
use crate::controller::context::Context;
use crate::controller::error::{ReconcileError, chain};
use crate::controller::events::Severity;
use crate::controller::matching::Key;
use crate::controller::status::{self, Sent};

/// Between two announcements of one action.
const ANNOUNCED_AGAIN: Duration = Duration::from_secs(2);

/// What is done at once needs no announcement: most is ready within the moment that it is waited for.
const ANNOUNCE_AFTER: Duration = Duration::from_millis(2500);

/// The same for a hook, or objects that have to go.
const ANNOUNCE_SOON: Duration = Duration::from_millis(500);

/// Writes the status after a reconcile, and an Event and a log line for what changed in it.
pub(super) async fn publish(
    release: &HelmRelease,
    outcome: &Result<Outcome, ReconcileError>,
    trace: &Trace,
    context: &Context,
) -> Result<(), status::Error> {
    notices(release, trace, context);
    if matches!(outcome, Ok(Outcome::Gone | Outcome::Superseded)) {
        return Ok(());
    }
    if let Ok(Outcome::Waiting(step)) = outcome {
        let mut waiting = context.waits.outstanding(&release.uid().unwrap_or_default());
        if let Some(waiting) = &mut waiting {
            waiting.objects = trace.without_secrets(std::mem::take(&mut waiting.objects));
        }
        let progress = waiting.as_ref().map_or(Progress::AtWork, Progress::Waiting);
        let status = report::progress(release, step, progress, trace, context.now());
        return write(release, &status, context).await.map(drop);
    }
    let revisions = match &trace.records {
        Some(records) => Some(context.revisions_of(records)),
        // What was not known to be this object's may be anybody's.
        None => dereference::own_revisions(release, context),
    };
    let status = report::report(release, outcome, trace, revisions.as_deref(), context.now());
    if write(release, &status, context).await? != Sent::Written {
        return Ok(());
    }
    let before = release.status.as_ref();
    if matches!(outcome, Ok(Outcome::Suspended))
        && before.is_none_or(|it| it.observed_generation != status.observed_generation)
    {
        record(release, (Severity::Normal, Reason::Suspended), "the release is suspended, and left as it is", context);
    }
    health_events(release, &status, context);
    let was = before.and_then(|before| status::readiness(&before.conditions));
    let is = status::readiness(&status.conditions);
    if was != is && !matches!(outcome, Ok(Outcome::Suspended)) {
        let (severity, reason) = match outcome {
            Ok(_) => (Severity::Normal, report::reason(outcome, trace)),
            Err(error) if error.is_a_wait() => (Severity::Normal, error.reason),
            Err(error) => (Severity::Warning, error.reason),
        };
        record(release, (severity, reason), is.map(|ready| ready.message).unwrap_or_default(), context);
    }
    Ok(())
}

/// An Event where objects that did their work no longer do, or do again.
fn health_events(release: &HelmRelease, status: &HelmReleaseStatus, context: &Context) {
    let of = |status: Option<&HelmReleaseStatus>| {
        let conditions = status.map(|status| status.conditions.as_slice()).unwrap_or_default();
        let is_known = |it: &&Condition| it.type_ == ConditionType::Healthy.as_str() && it.status != "Unknown";
        conditions.iter().find(is_known).cloned()
    };
    let was_healthy = of(release.status.as_ref()).map(|was| was.status == "True");
    let Some(is) = of(Some(status)) else { return };
    match (was_healthy, is.status == "True") {
        (None | Some(true), false) => {
            record(release, (Severity::Warning, Reason::HealthCheckFailed), &is.message, context);
        }
        (Some(false), true) => {
            record(release, (Severity::Normal, Reason::HealthCheckSucceeded), &is.message, context);
        }
        _ => {}
    }
}

/// Tells of what happened on the way, whatever came of it.
pub(super) fn notices(object: &impl Resource<DynamicType = ()>, trace: &Trace, context: &Context) {
    for (reason, message) in &trace.warnings {
        record(object, (Severity::Warning, *reason), message, context);
    }
    if !trace.corrected.is_empty() {
        let message = format!("drift corrected: {}", listed(&trace.corrected));
        record(object, (Severity::Normal, Reason::DriftCorrected), &message, context);
    }
    for removed in &trace.removed {
        record(object, (Severity::Normal, Reason::UninstallCompleted), removed, context);
    }
    for left in &trace.left {
        record(object, (Severity::Warning, Reason::UninstallSkipped), left, context);
    }
}

/// Writes what became known so far, while work goes on, which rests on that.
pub(super) async fn progress(release: &HelmRelease, trace: &Trace, context: &Context) -> Result<(), ReconcileError> {
    let status = report::so_far(release, trace);
    match write(release, &status, context).await {
        Ok(Sent::Written | Sent::Needless) => Ok(()),
        Ok(Sent::Gone) => {
            let message = format!("HelmRelease {} is gone: nothing more is done for it", Key::of(release));
            Err(ReconcileError::new(Reason::ClusterUnavailable, message))
        }
        Err(error) => Err(ReconcileError::caused(Reason::ClusterUnavailable, &error)),
    }
}

/// Writes that work goes on, once it has gone on for a moment, and what it does whenever that changes.
pub(super) async fn announce(
    release: &HelmRelease,
    step: &Step,
    (trace, doing): (&Trace, watch::Receiver<Option<String>>),
    context: &Context,
) -> Infallible {
    let status = |progress: Progress<'_>| report::progress(release, step, progress, trace, context.now());
    tell_of(release, doing, status, context).await
}

/// Writes that the release is being uninstalled, and what that waits for.
pub(super) async fn announce_removal(
    release: &HelmRelease,
    doing: watch::Receiver<Option<String>>,
    context: &Context,
) -> Infallible {
    let status = |progress: Progress<'_>| report::removal(release, progress, context.now());
    tell_of(release, doing, status, context).await
}

/// Writes that the release is being tested, and which test runs.
pub(super) async fn announce_tests(
    release: &HelmRelease,
    (trace, doing): (&Trace, watch::Receiver<Option<String>>),
    context: &Context,
) -> Infallible {
    let status = |progress: Progress<'_>| report::testing(release, progress, trace, context.now());
    tell_of(release, doing, status, context).await
}

async fn tell_of(
    release: &HelmRelease,
    mut doing: watch::Receiver<Option<String>>,
    status: impl Fn(Progress<'_>) -> HelmReleaseStatus,
    context: &Context,
) -> Infallible {
    // What has a name may take a while. What `wait_for` returns locks the channel.
    let named = async { drop(doing.wait_for(Option::is_some).await) };
    if tokio::time::timeout(ANNOUNCE_AFTER, named).await.is_ok() {
        tokio::time::sleep(ANNOUNCE_SOON).await;
    }
    loop {
        let now = doing.borrow_and_update().clone();
        let status = status(now.as_deref().map_or(Progress::AtWork, Progress::Doing));
        if let Err(error) = write(release, &status, context).await {
            tracing::warn!(object = %Key::of(release), error = %chain(&error), "failed to write progress to the status");
        }
        tokio::time::sleep(ANNOUNCED_AGAIN).await;
        if doing.changed().await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

/// Counts a reconcile, and logs it if it was more than a look.
pub(super) fn count(
    outcome: &Result<Outcome, ReconcileError>,
    release: &HelmRelease,
    started: Timestamp,
    context: &Context,
) {
    let took = Duration::try_from(context.now().duration_since(started)).unwrap_or_default();
    let result = match outcome {
        Ok(Outcome::Waiting(_)) => "Waiting".to_owned(),
        Ok(outcome) => format!("{outcome:?}"),
        Err(error) => error.reason.to_string(),
    };
    let object = Key::of(release);
    match outcome {
        Ok(_) => tracing::debug!(%object, %result, ?took, "reconciled"),
        // The Event's line tells of it where it is news.
        Err(error) => tracing::debug!(%object, %result, ?took, error = %error.message, "release not ready"),
    }
    context.metrics.reconciled("helmrelease", result, took);
}

async fn write(release: &HelmRelease, status: &HelmReleaseStatus, context: &Context) -> Result<Sent, status::Error> {
    context.statuses.write::<HelmRelease, _>(&context.client, release, release.status.as_ref(), status).await
}

/// A Warning Event of a release, at once.
pub(super) fn warn(release: &HelmRelease, (reason, message): (Reason, &str), context: &Context) {
    record(release, (Severity::Warning, reason), message, context);
}

/// One Event and one log line.
fn record(
    object: &impl Resource<DynamicType = ()>,
    (severity, reason): (Severity, Reason),
    message: &str,
    context: &Context,
) {
    let name = Key::of(object);
    match severity {
        Severity::Normal => tracing::info!(object = %name, %reason, "{message}"),
        Severity::Warning => tracing::warn!(object = %name, %reason, "{message}"),
    }
    context.events.record(object.object_ref(&()), (severity, reason), message, context.now());
}
