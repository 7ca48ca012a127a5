//! From what a probe found to the status. Pure.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use k8s_openapi::jiff::Timestamp;

use super::Outcome;
use crate::api::ConditionType::Ready;
use crate::api::{Conditions, HelmRepository, HelmRepositoryStatus, REQUESTED_AT, Reason};
use crate::controller::halt::Halt;

/// The status of `repository` after a probe.
pub(super) fn report(
    repository: &HelmRepository,
    outcome: &Result<Outcome, Halt>,
    now: Timestamp,
) -> HelmRepositoryStatus {
    let before = repository.status.clone().unwrap_or_default();
    let generation = repository.metadata.generation;
    let conditions = match outcome {
        Ok(Outcome::Answered) => Conditions::default().with(
            Ready,
            true,
            Reason::SyncCompleted,
            "The registry answers, and lets the operator in",
        ),
        Ok(Outcome::Suspended) => {
            Conditions::default().with(Ready, false, Reason::Suspended, "Repository sync is suspended")
        }
        Err(halt) => halt.conditions(),
    };
    HelmRepositoryStatus {
        observed_generation: generation,
        conditions: conditions.build(&before.conditions, generation, now),
        last_sync_time: match outcome {
            Ok(Outcome::Answered) => Some(Time(now)),
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

/// The reason an Event of this outcome gives.
pub(super) fn reason(outcome: &Result<Outcome, Halt>) -> Reason {
    match outcome {
        Ok(Outcome::Answered) => Reason::SyncCompleted,
        Ok(Outcome::Suspended) => Reason::Suspended,
        Err(halt) => halt.reason,
    }
}
