//! What to do next. Pure and total: from what is declared and what Helm's history says to one step.

use std::time::Duration;

use helm::release::Status;
use k8s_openapi::jiff::Timestamp;

use crate::history::RecordMeta;

/// How long somebody else's pending revision is left alone: longer than Helm's own default timeout of 5 minutes.
const FOREIGN_LOCK: Duration = Duration::from_mins(15);

/// One step towards the declared release.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Plan {
    /// The newest revision is deployed, and was made for these inputs.
    Keep {
        /// That revision.
        revision: u32,
    },
    /// Make a new revision.
    Release(Step),
    /// Go on with our own pending revision, which was made for these inputs.
    Resume(Step),
    /// End a pending revision that nobody will end: our own for other inputs, or somebody's who is gone. Then plan again.
    Abandon {
        /// That revision.
        revision: u32,
    },
    /// Somebody else's Helm is at work; wait for it.
    AwaitOther {
        /// The revision it works on.
        revision: u32,
        /// When it will be taken for gone.
        remaining: Duration,
    },
    /// An uninstall was begun and not ended: end it. Then plan again.
    FinishUninstall {
        /// The revision that is being uninstalled.
        revision: u32,
    },
}

/// An install or an upgrade.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Step {
    /// Which of the two: an install until a revision was once deployed.
    pub(crate) kind: StepKind,
    /// The revision it makes.
    pub(crate) revision: u32,
    /// The revisions whose objects it replaces: the deployed one, and those that failed since.
    pub(crate) replaces: Vec<u32>,
}

/// Install or upgrade: which hooks run, and what `.Release.IsInstall` says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum StepKind {
    /// No revision was ever deployed, or the release was uninstalled.
    Install,
    /// Something is deployed.
    Upgrade,
}

/// Decides the next step for the release that `owner` declares with these `inputs`, whose history is `revisions`
/// (oldest first).
pub(crate) fn plan(owner: &str, inputs: &str, revisions: &[RecordMeta], now: Timestamp) -> Plan {
    let Some(last) = revisions.last() else { return Plan::Release(next(revisions)) };
    let ours = last.marks.as_ref().filter(|marks| marks.owner == owner);
    let made_for_this = ours.is_some_and(|marks| marks.inputs == inputs);
    match last.status {
        Status::Deployed if made_for_this => Plan::Keep { revision: last.revision },
        Status::PendingInstall | Status::PendingUpgrade if made_for_this => Plan::Resume(resumed(revisions, last)),
        Status::PendingInstall | Status::PendingUpgrade | Status::PendingRollback => {
            pending(last, ours.is_some(), now).map_or(Plan::Abandon { revision: last.revision }, |remaining| {
                Plan::AwaitOther { revision: last.revision, remaining }
            })
        }
        Status::Uninstalling => {
            pending(last, ours.is_some(), now).map_or(Plan::FinishUninstall { revision: last.revision }, |remaining| {
                Plan::AwaitOther { revision: last.revision, remaining }
            })
        }
        Status::Deployed | Status::Failed | Status::Superseded | Status::Uninstalled | Status::Unknown => {
            Plan::Release(next(revisions))
        }
    }
}

/// How long to leave a revision that somebody works on alone; `None` for our own, and for one left by somebody gone.
fn pending(last: &RecordMeta, ours: bool, now: Timestamp) -> Option<Duration> {
    let touched = last.created_at.filter(|_| !ours)?;
    let age = Duration::try_from(now.duration_since(touched)).unwrap_or_default();
    FOREIGN_LOCK.checked_sub(age).filter(|remaining| !remaining.is_zero())
}

/// The revisions whose objects may stand in the cluster: the deployed one, and all since. Oldest first.
pub(crate) fn standing(revisions: &[RecordMeta]) -> Vec<u32> {
    let last = revisions.last().map_or(0, |last| last.revision);
    step(revisions, last + 1).replaces
}

fn next(revisions: &[RecordMeta]) -> Step {
    let revision = revisions.last().map_or(1, |last| last.revision + 1);
    step(revisions, revision)
}

fn resumed(revisions: &[RecordMeta], last: &RecordMeta) -> Step {
    let before = &revisions[..revisions.len() - 1];
    let kind = if last.status == Status::PendingInstall { StepKind::Install } else { StepKind::Upgrade };
    Step { kind, ..step(before, last.revision) }
}

fn step(before: &[RecordMeta], revision: u32) -> Step {
    let uninstalled = before.iter().rposition(|meta| meta.status == Status::Uninstalled).map_or(0, |at| at + 1);
    let since = &before[uninstalled..];
    let deployed = since.iter().rposition(|meta| matches!(meta.status, Status::Deployed | Status::Superseded));
    let kind = if deployed.is_some() { StepKind::Upgrade } else { StepKind::Install };
    let replaces = since[deployed.unwrap_or(0)..].iter().map(|meta| meta.revision).collect();
    Step { kind, revision, replaces }
}

#[cfg(test)]
mod tests;
