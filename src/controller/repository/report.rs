//! From what a probe found to the status. Pure.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use k8s_openapi::jiff::Timestamp;

use super::{Answered, Outcome};
use crate::api::ConditionType::Ready;
use crate::api::{Conditions, HelmRepository, HelmRepositoryStatus, REQUESTED_AT, Reason};
use crate::controller::error::ReconcileError;
use crate::registry::ChartReference;

/// The status of `repository` after a probe.
pub(super) fn report(
    repository: &HelmRepository,
    outcome: &Result<Outcome, ReconcileError>,
    now: Timestamp,
) -> HelmRepositoryStatus {
    let before = repository.status.clone().unwrap_or_default();
    let generation = repository.metadata.generation;
    let conditions = match outcome {
        Ok(Outcome::Answered(answered)) => {
            Conditions::default().with(Ready, true, Reason::SyncCompleted, ready_message(answered))
        }
        Ok(Outcome::Suspended) => Conditions::default().with(
            Ready,
            false,
            Reason::Suspended,
            "spec.suspend is set: the registry is not asked",
        ),
        Err(error) => error.conditions(),
    };
    HelmRepositoryStatus {
        observed_generation: generation,
        conditions: conditions.build(&before.conditions, generation, now),
        last_sync_time: match outcome {
            Ok(Outcome::Answered(_)) => Some(Time(now)),
            _ => before.last_sync_time,
        },
        last_handled_reconcile_at: repository
            .metadata
            .annotations
            .as_ref()
            .and_then(|all| all.get(REQUESTED_AT))
            .cloned(),
        url: Some(repository.spec.url.clone()),
    }
}

/// What the registry answered, and what that does not tell.
fn ready_message(answered: &Answered) -> String {
    let Answered { url, with_credentials, in_use, missing } = answered;
    let accepts = if *with_credentials { "the registry accepts the credentials" } else { "the registry answers" };
    if !url.allows_charts() {
        return format!(
            "{accepts}, but no chart can be below {url}: repository names are in lower case; correct spec.url (a placeholder?)"
        );
    }
    match (in_use, missing.as_slice()) {
        (false, _) => format!("{accepts}; no release uses a chart below {url} yet"),
        (true, []) => format!("{accepts} and has the charts that releases use"),
        (true, missing) => {
            format!("{accepts}, but does not have all charts that releases use: {} not found", list(missing))
        }
    }
}

/// The first few, and how many more there are.
fn list(charts: &[ChartReference]) -> String {
    const SHOWN: usize = 3;
    let names: Vec<String> = charts.iter().take(SHOWN).map(ToString::to_string).collect();
    let more = charts.len().saturating_sub(SHOWN);
    if more == 0 { names.join(", ") } else { format!("{} and {more} more", names.join(", ")) }
}

/// The reason an Event of this outcome gives.
pub(super) fn reason(outcome: &Result<Outcome, ReconcileError>) -> Reason {
    match outcome {
        Ok(Outcome::Answered(_)) => Reason::SyncCompleted,
        Ok(Outcome::Suspended) => Reason::Suspended,
        Err(error) => error.reason,
    }
}
