//! One hook: applied, then waited for until it has done its work. Its delete policies are the caller's, by delete.

use std::time::Duration;

use super::object::Object;
use super::wait::{Question, Target, Unready, Unsettled, Version};
use super::watch::Marks;
use super::{Cluster, Error};

/// How a hook ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HookOutcome {
    /// The Job is complete, the Pod succeeded; any other kind was applied.
    Succeeded,
    /// The Job or Pod failed.
    Failed(Unready),
    /// It has not ended in time.
    TimedOut(Unready),
}

impl Cluster {
    /// Applies one hook object, without ownership marks as Helm does, and waits until it has ended: Jobs and Pods;
    /// every other kind has ended when it is applied.
    pub async fn run_hook(&self, hook: &Object, timeout: Duration) -> Result<HookOutcome, Error> {
        let applied = self.apply_one(hook, None, None, true).await?;
        let ends =
            matches!((applied.object.group.as_str(), applied.object.kind.as_str()), ("batch", "Job") | ("", "Pod"));
        if !ends {
            return Ok(HookOutcome::Succeeded);
        }
        let version = Version { resource_version: applied.resource_version.clone(), generation: applied.generation };
        let target = Target {
            object: applied.object,
            resource: applied.resource,
            marks: Marks::Unknown,
            question: Question::Complete(version, applied.vanishes),
        };
        match self.settle(vec![target], timeout).await {
            Ok(()) => Ok(HookOutcome::Succeeded),
            Err(Unsettled::Failed(targets)) => Ok(self.ended_badly(targets, HookOutcome::Failed).await),
            Err(Unsettled::Late(targets)) => Ok(self.ended_badly(targets, HookOutcome::TimedOut).await),
            Err(Unsettled::Unwatchable(object, message)) => {
                Err(Error::Refused { verb: "watch", target: object.to_string(), code: 403, message })
            }
        }
    }

    async fn ended_badly(
        &self,
        targets: Vec<(Target, String)>,
        outcome: impl FnOnce(Unready) -> HookOutcome,
    ) -> HookOutcome {
        let mut unready = self.unready(targets).await;
        outcome(unready.swap_remove(0))
    }
}
