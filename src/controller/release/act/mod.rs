//! Carrying out one step of the plan. Every write can be the last one before a crash: the next reconcile finds in
//! Helm's history how far this one came, and goes on from there.
//!
//! | killed after | the next reconcile |
//! |---|---|
//! | nothing recorded yet | plans the same step |
//! | `pending-*` was recorded | resumes that revision from its own record: same manifest, hooks that succeeded stay done |
//! | the old revision became `superseded` | the same |
//! | the new one became `deployed` | keeps it |
//! | `uninstalling` was recorded | ends the uninstall |

mod apply;
mod hooks;
mod prepare;
mod record;
pub(super) mod uninstall;

use std::time::{Duration, Instant};

use super::plan::{Plan, Step};
use super::trace::Trace;
use super::validate::{Action, DesiredRelease};
use crate::api::{HelmRelease, Reason};
use crate::controller::context::{Context, Turn};
use crate::controller::halt::Halt;
use crate::registry::Resolved;

/// Whether the step was taken, or the object's next generation came between.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Progress {
    /// The step was taken; plan again.
    Done,
    /// Another generation was declared.
    Superseded,
}

/// What a step is about.
pub(super) struct Job<'a> {
    /// The object.
    pub(super) release: &'a HelmRelease,
    /// What it declares.
    pub(super) desired: &'a DesiredRelease,
    /// The chart's version.
    pub(super) resolved: &'a Resolved,
    /// The digest of what the manifest depends on.
    pub(super) inputs: &'a str,
    /// The turn in which it works.
    pub(super) turn: &'a Turn,
    /// Handles.
    pub(super) context: &'a Context,
}

/// Takes one step.
pub(super) async fn act(plan: Plan, job: &Job<'_>, trace: &mut Trace) -> Result<Progress, Halt> {
    match plan {
        Plan::Keep { .. } => Ok(Progress::Done),
        Plan::Release(step) => release(&step, job, trace).await,
        Plan::Resume(step) => {
            let record = record::get(job, step.revision).await?;
            let prepared = prepare::resume(&step, record, job).await?;
            apply::carry_out(&step, prepared, job, trace).await
        }
        Plan::Abandon { revision } => {
            let record = record::get(job, revision).await?;
            record::fail(record, "ended before it was complete, and taken up again by another revision", job).await?;
            Ok(Progress::Done)
        }
        Plan::FinishUninstall { .. } => {
            uninstall::finish(job.release, job.context, trace).await?;
            Ok(Progress::Done)
        }
        Plan::AwaitOther { revision, remaining } => Err(Halt {
            reason: Reason::PendingRelease,
            message: format!(
                "somebody else's Helm is at work on revision {revision}; it is waited for, and taken for gone after 15 minutes"
            ),
            retry_after: Some(remaining.min(Duration::from_secs(30))),
        }),
    }
}

async fn release(step: &Step, job: &Job<'_>, trace: &mut Trace) -> Result<Progress, Halt> {
    match prepare::prepare(step, job, trace).await? {
        prepare::Ready::Adopted => Ok(Progress::Done),
        prepare::Ready::Superseded => Ok(Progress::Superseded),
        prepare::Ready::Recorded(prepared) => apply::carry_out(step, *prepared, job, trace).await,
    }
}

/// The point in time at which an action has used up its timeout.
#[derive(Debug, Clone, Copy)]
struct Deadline(Instant);

impl Deadline {
    fn of(action: &Action) -> Self {
        Self(Instant::now() + action.timeout)
    }

    fn remaining(self) -> Duration {
        self.0.saturating_duration_since(Instant::now())
    }
}
