//! Whether what is proposed has to be made at all, or is deployed as it is, or has to leave what is deployed alone.

use helm::manifest::Hook;
use helm::release::{Release, Status};

use super::prepare::{self, Proposal};
use super::{Task, adopt, random, record};
use crate::api::ForeignChange;
use crate::controller::error::ReconcileError;
use crate::controller::matching::{self, Key};
use crate::controller::release::demands;
use crate::controller::release::plan::{self, Step};
use crate::controller::release::trace::Trace;
use crate::history::{Marks, Record};

/// What is deployed, beside what is proposed.
pub(super) enum Deployed<'a> {
    /// Something else, or nothing.
    Other,
    /// Just that.
    Same(&'a Record),
    /// Something else, which somebody else made, and which stays.
    Held(&'a Record),
}

/// Whether what is proposed needs no revision: it is deployed as it is, or what is deployed is held. Notes which.
pub(super) async fn is_there(
    step: &Step,
    proposal: &Proposal,
    task: &Task<'_>,
    trace: &mut Trace,
) -> Result<bool, ReconcileError> {
    match Box::pin(compare(step, proposal, task, trace)).await? {
        Deployed::Other => Ok(false),
        Deployed::Same(deployed) => {
            let marks = Marks { varies: proposal.varies.clone(), ..prepare::marks(step, task) };
            record::adopt(deployed, &marks, task).await.map(|()| true)
        }
        Deployed::Held(deployed) => record::hold(deployed, task).await.map(|()| true),
    }
}

/// Compares what is proposed with what is deployed. Writes nothing.
pub(super) async fn compare<'a>(
    step: &Step,
    proposal: &'a Proposal,
    task: &Task<'_>,
    trace: &mut Trace,
) -> Result<Deployed<'a>, ReconcileError> {
    if step.forced.is_some() {
        return Ok(Deployed::Other);
    }
    let deployed = proposal.replaced.iter().find(|record| record.release.info.status == Status::Deployed);
    let Some(deployed) = deployed.filter(|deployed| is_last(deployed, task)) else { return Ok(Deployed::Other) };
    let is_first = adopt::is_first(task);
    let is_same = same(&deployed.release, &proposal.release)
        || (is_first && adopt::is_same(&deployed.release, &proposal.release))
        || random::is_same(&deployed.release, &proposal.release, proposal.again.as_ref());
    if !is_same {
        return Ok(if is_to_be_held(deployed, task) { Deployed::Held(deployed) } else { Deployed::Other });
    }
    if is_first {
        let (_, claims) = Box::pin(prepare::objects(&deployed.release, prepare::action(step, task), task)).await?;
        Box::pin(adopt::admit(&claims, task, trace)).await?;
    }
    Ok(Deployed::Same(deployed))
}

/// Whether a revision that somebody else made after one of ours stays, though something else is declared. It is held once: what
/// ends that, a changed object or a person's request, is not to be held up again.
fn is_to_be_held(deployed: &Record, task: &Task<'_>) -> bool {
    let (identity, is_rollback) =
        (&task.desired.identity, deployed.release.info.description.starts_with("Rollback to "));
    let is_wanted = match task.desired.on_foreign_change {
        Some(ForeignChange::Hold) => true,
        Some(ForeignChange::Revert) => false,
        None => is_rollback,
    };
    let revisions = task.place.revisions.of(&identity.release);
    // Helm drops our marks from the revision that it supersedes: the status knows of it still.
    let state = task.release.status.as_ref().and_then(|status| status.helm_release.as_ref());
    let was_ours = state.is_some_and(|state| {
        matching::told(state, &Key::of(task.release).namespace) == identity.target()
            && state.revision < i64::from(deployed.revision())
    });
    let is_ours = was_ours || revisions.iter().any(|meta| plan::is_of(meta, identity));
    let is_foreign = deployed.marks.is_none() && is_ours;
    is_wanted && is_foreign && deployed.held.is_none() && !demands::is_unanswered(task.release, &revisions)
}

fn is_last(record: &Record, task: &Task<'_>) -> bool {
    let identity = &task.desired.identity;
    let revisions = task.place.revisions.of(&identity.release);
    revisions.last().is_some_and(|last| last.revision == record.release.version)
}

/// Whether two revisions would put the same into the cluster, and tell the Helm CLI the same.
fn same(deployed: &Release, wanted: &Release) -> bool {
    let definition = |hook: &Hook| (hook.path.clone(), hook.manifest.clone());
    deployed.manifest == wanted.manifest
        && deployed.config == wanted.config
        && deployed.chart.metadata == wanted.chart.metadata
        && deployed.hooks.iter().map(definition).eq(wanted.hooks.iter().map(definition))
}
