//! Waiting until applied objects are ready: in one go, or in parts between which nothing but their names is kept.

use std::fmt::Write as _;
use std::time::Duration;

use tokio::time::Instant;

use super::Cluster;
use super::apply::{Applied, Change};
use super::checks::{HealthChecks, Judge};
use super::object::ObjectRef;
use super::ready::Verdict;
use super::wait::{AsOf, Open, Question, Target, Unsettled, WaitError, WaitOptions};

/// A wait that goes on: the objects that are not ready yet, and watches of them.
pub struct Readiness {
    cluster: Cluster,
    open: Open,
}

impl Readiness {
    /// Waits until all is ready, as Helm 4 and Flux understand it, at most for `timeout`: then the answer is `false`, and
    /// the wait may be gone on with. The first failure ends it.
    pub async fn ready_within(&mut self, timeout: Duration) -> Result<bool, WaitError> {
        match self.open.settle_until(&self.cluster, Instant::now() + timeout).await {
            Ok(ready) => Ok(ready),
            Err(Unsettled::Unwatchable(object, message)) => Err(WaitError::Watch { object, message }),
            Err(Unsettled::Failed(targets) | Unsettled::Late(targets)) => {
                Err(WaitError::Failed { objects: self.cluster.unready(targets).await })
            }
        }
    }

    /// What is waited for, in words: one object, what of it is outstanding, and how many others there are.
    pub fn outstanding(&self) -> String {
        let Some((object, outstanding, others)) = self.open.first() else { return String::new() };
        let mut text = format!("{object}: {outstanding}");
        match others {
            0 => {}
            // Writing into a text cannot fail.
            1 => text.push_str(", and 1 other object"),
            others => write!(text, ", and {others} other objects").unwrap_or_default(),
        }
        text
    }

    /// The end of a wait whose time of `declared` is up: what is not ready, and what its pods and events say.
    pub async fn give_up(self, declared: Duration) -> WaitError {
        let objects = self.cluster.unready(self.open.into_outstanding()).await;
        WaitError::Timeout { after: declared, objects }
    }
}

impl Readiness {
    /// Changes with whatever moves of what is waited for.
    pub fn progress(&self) -> u64 {
        self.open.progress()
    }

    /// The end of a wait in which nothing has moved for so long.
    pub async fn give_up_stuck(self, progress: Duration) -> WaitError {
        let objects = self.cluster.unready(self.open.into_outstanding()).await;
        WaitError::Stuck { after: progress, objects }
    }
}

impl Cluster {
    /// Begins to wait until all of `objects` are ready as `checks` have it, Jobs complete if `jobs` says so.
    ///
    /// Objects that were ready in the answer to their apply cost nothing.
    pub async fn readiness(&self, objects: &[Applied], checks: &HealthChecks, jobs: bool) -> Readiness {
        let judge = |object: &ObjectRef| checks.judge(&object.group, &object.kind);
        let targets = objects.iter().filter_map(|applied| target(applied, judge(&applied.object), jobs)).collect();
        Readiness { cluster: self.clone(), open: self.open(targets).await }
    }

    /// Waits until all of `objects` are ready.
    ///
    /// The first failure ends the wait, and so does dropping the future. The error tells which objects are not ready and
    /// what their pods and events say.
    pub async fn wait_ready(&self, objects: &[Applied], options: &WaitOptions) -> Result<(), WaitError> {
        let mut readiness = self.readiness(objects, &HealthChecks::default(), options.jobs).await;
        if readiness.ready_within(options.timeout).await? {
            Ok(())
        } else {
            Err(readiness.give_up(options.declared).await)
        }
    }
}

fn target(applied: &Applied, judge: Judge, jobs: bool) -> Option<Target> {
    let complete = jobs && applied.object.kind == "Job" && applied.object.group == "batch";
    let verdict = if complete { &applied.assessment.complete } else { &applied.assessment.ready };
    // What another judge makes of it is seen by its feed.
    if *verdict == Verdict::Current && judge.is_by_kind() {
        return None;
    }
    // What was as it is now is late by now.
    let overdue = applied.assessment.overdue.clone().filter(|_| applied.change != Change::Unchanged);
    let (resource_version, generation) = (applied.resource_version.clone(), applied.generation);
    let version = AsOf { resource_version, generation, overdue };
    let vanishes = applied.vanishes;
    let question = if complete { Question::Complete(version, vanishes) } else { Question::Ready(version, vanishes) };
    let (object, resource) = (applied.object.clone(), applied.resource.clone());
    Some(Target { object, resource, marks: applied.marks, judge, question })
}
