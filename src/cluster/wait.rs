//! Waiting until objects are ready, complete or gone: by watch, woken by the hub, ended at once when dropped.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::checks::Judge;
use super::object::ObjectRef;
use super::ready::Verdict;
use super::watch::{Look, Marks, Refusal, Seen, Subscription, Waiter};
use super::{Cluster, Resource};

/// What to wait for.
#[derive(Debug, Clone, Copy)]
pub struct WaitOptions {
    /// For how long.
    pub timeout: Duration,
    /// The timeout that was declared, of which [`Self::timeout`] is what is left: what a person is told.
    pub declared: Duration,
    /// Whether Jobs must be complete; else it is enough that they run.
    pub jobs: bool,
}

/// One object that is not ready.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unready {
    /// The object.
    pub object: ObjectRef,
    /// What is outstanding, `Available: 0/1`.
    pub message: String,
    /// What its pods and events say about it.
    pub why: Vec<String>,
}

impl fmt::Display for Unready {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.object, self.message)?;
        if self.why.is_empty() { Ok(()) } else { write!(f, " ({})", self.why.join("; ")) }
    }
}

/// Why a wait ended without everything being ready.
#[derive(Debug, thiserror::Error)]
pub enum WaitError {
    /// Time is up.
    #[error("not ready within {}s: {}", .after.as_secs(), list(.objects))]
    Timeout {
        /// The timeout that was declared.
        after: Duration,
        /// What is not ready.
        objects: Vec<Unready>,
    },
    /// Nothing has moved for long.
    #[error("nothing moved for {}s, the progress deadline: {}", .after.as_secs(), list(.objects))]
    Stuck {
        /// The progress deadline.
        after: Duration,
        /// What is not ready.
        objects: Vec<Unready>,
    },
    /// Some objects will not become ready by themselves.
    #[error("will not become ready: {}", list(.objects))]
    Failed {
        /// What failed.
        objects: Vec<Unready>,
    },
    /// The objects cannot be watched.
    #[error("failed to watch {object}: {message}")]
    Watch {
        /// One of the objects.
        object: ObjectRef,
        /// The server's words.
        message: String,
    },
}

/// Most objects that a message names.
const NAMED: usize = 5;

fn list(objects: &[Unready]) -> String {
    let named: Vec<_> = objects.iter().take(NAMED).map(ToString::to_string).collect();
    let more = objects.len().saturating_sub(NAMED);
    match more {
        0 => named.join("; "),
        more => format!("{}; and {more} more", named.join("; ")),
    }
}

/// The question asked of an object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Question {
    /// Is it ready, as of this version of it? An object that `vanishes` once done was ready when gone.
    Ready(AsOf, Vanishes),
    /// Has it done its work, as of this version of it? An object that `vanishes` once done has done it when gone.
    Complete(AsOf, Vanishes),
    /// Is the object with this uid gone?
    Gone { uid: String },
}

impl Question {
    /// Whether `seen` is the object as of the version that is asked about.
    fn is_answered_by(&self, seen: &Seen) -> bool {
        match self {
            Self::Ready(version, _) | Self::Complete(version, _) => !is_older(seen, version),
            Self::Gone { .. } => false,
        }
    }

    fn is_of_absence(&self) -> bool {
        matches!(self, Self::Gone { .. })
    }
}

/// Whether a Job removes itself when it is done (`ttlSecondsAfterFinished`).
pub(super) type Vanishes = bool;

/// A version of an object: what was seen is as new if its resource version is not lower.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct AsOf {
    pub(super) resource_version: String,
    pub(super) generation: i64,
    /// Since when the version before it was past its progress deadline: that is no failure of this one.
    pub(super) overdue: Option<Box<str>>,
}

/// An object that is waited for.
pub(super) struct Target {
    pub(super) object: ObjectRef,
    pub(super) resource: Resource,
    pub(super) marks: Marks,
    /// By what it is told whether it is ready.
    pub(super) judge: Judge,
    pub(super) question: Question,
}

/// How one target stands.
#[derive(Debug, PartialEq, Eq)]
enum Standing {
    Done,
    Pending(String),
    Failed(String),
}

/// How a wait for several targets ended.
pub(super) enum Unsettled {
    /// Time is up; what is outstanding of which target.
    Late(Vec<(Target, String)>),
    /// Some failed.
    Failed(Vec<(Target, String)>),
    /// They cannot be watched.
    Unwatchable(ObjectRef, String),
}

impl Cluster {
    pub(super) async fn unready(&self, targets: Vec<(Target, String)>) -> Vec<Unready> {
        let mut objects = Vec::with_capacity(targets.len());
        for (position, (target, message)) in targets.into_iter().enumerate() {
            let explained = position < NAMED;
            let why = if explained { self.diagnose(&target.resource, &target.object).await } else { Vec::new() };
            objects.push(Unready { object: target.object, message, why });
        }
        objects
    }

    /// Waits until each target's question is answered with yes. What it costs grows with what changes, not with what
    /// is waited for, and it gives way to others after each [`BATCH`].
    pub(super) async fn settle(&self, targets: Vec<Target>, timeout: Duration) -> Result<(), Unsettled> {
        let deadline = Instant::now() + timeout;
        let mut open = self.open(targets).await;
        if open.settle_until(self, deadline).await? { Ok(()) } else { Err(Unsettled::Late(open.into_outstanding())) }
    }

    /// Begins to watch targets.
    pub(super) async fn open(&self, targets: Vec<Target>) -> Open {
        let waiter = Arc::new(Waiter::default());
        let mut pending = BTreeMap::new();
        for (number, target) in targets.into_iter().enumerate() {
            let subscription = self.subscribe(&target, &waiter, number);
            pending.insert(number, Pending { target, subscription, outstanding: NOT_SEEN.to_owned(), seen: false });
            if number % BATCH == 0 {
                tokio::task::yield_now().await;
            }
        }
        Open { waiter, pending }
    }

    fn subscribe(&self, target: &Target, waiter: &Arc<Waiter>, number: usize) -> Subscription {
        self.hub.subscribe(&target.resource, &target.object, (target.marks, &target.judge), &(waiter.clone(), number))
    }
}

/// Targets that are watched, and what of each is outstanding.
pub(super) struct Open {
    waiter: Arc<Waiter>,
    pending: BTreeMap<usize, Pending>,
}

impl Open {
    /// Waits until no target is left, or for the deadline: then the answer is `false`, and the wait may be gone on with.
    pub(super) async fn settle_until(&mut self, cluster: &Cluster, deadline: Instant) -> Result<bool, Unsettled> {
        while !self.pending.is_empty() {
            let Ok(woken) = tokio::time::timeout_at(deadline, self.waiter.woken(BATCH)).await else {
                return Ok(false);
            };
            let is_batch = woken.len() == BATCH;
            let failed = self.look(woken, cluster)?;
            if !failed.is_empty() {
                return Err(Unsettled::Failed(failed));
            }
            if is_batch {
                tokio::task::yield_now().await;
            }
        }
        Ok(true)
    }

    /// What is outstanding of which target.
    pub(super) fn into_outstanding(self) -> Vec<(Target, String)> {
        self.pending.into_values().map(|pending| (pending.target, pending.outstanding)).collect()
    }

    /// Changes with whatever is outstanding of any target.
    pub(super) fn progress(&self) -> u64 {
        let mut hash = DefaultHasher::new();
        for (number, pending) in &self.pending {
            (number, &pending.outstanding).hash(&mut hash);
        }
        hash.finish()
    }

    /// The first target that is outstanding, what of it is, and how many others are.
    pub(super) fn first(&self) -> Option<(&ObjectRef, &str, usize)> {
        let first = self.pending.values().next()?;
        Some((&first.target.object, &first.outstanding, self.pending.len() - 1))
    }

    /// Looks at the targets that changed: what is done is no longer open, what failed is returned.
    fn look(&mut self, woken: BTreeSet<usize>, cluster: &Cluster) -> Result<Vec<(Target, String)>, Unsettled> {
        let mut failed = Vec::new();
        for number in woken {
            let Some(mut pending) = self.pending.remove(&number) else { continue };
            let look = pending.subscription.look();
            let is_deleted = pending.seen && matches!(look, Look::Absent(_));
            pending.seen |= matches!(&look, Look::Seen(seen) if pending.target.question.is_answered_by(seen));
            let standing = match look {
                Look::Lost(_) if pending.subscription.has_alternative() => {
                    pending.subscription = cluster.subscribe(&pending.target, &self.waiter, number);
                    Standing::Pending(NOT_SEEN.to_owned())
                }
                // With its kind an object is gone, too.
                Look::Lost(Refusal { code: 404, .. }) if pending.target.question.is_of_absence() => Standing::Done,
                Look::Lost(refusal) => return Err(Unsettled::Unwatchable(pending.target.object, refusal.message)),
                Look::Absent(_) if is_deleted && matches!(pending.target.question, Question::Complete(_, false)) => {
                    Standing::Failed("somebody deleted it before it was complete".to_owned())
                }
                look => standing(&pending.target.question, &look),
            };
            match standing {
                Standing::Done => {}
                Standing::Pending(outstanding) => drop(self.pending.insert(number, Pending { outstanding, ..pending })),
                Standing::Failed(reason) => failed.push((pending.target, reason)),
            }
        }
        Ok(failed)
    }
}

/// Targets looked at in one go.
const BATCH: usize = 500;

/// A target that is waited for.
struct Pending {
    target: Target,
    subscription: Subscription,
    outstanding: String,
    /// Whether it was there once.
    seen: bool,
}

const NOT_SEEN: &str = "its state could not be read yet";

fn standing(question: &Question, look: &Look) -> Standing {
    match (question, look) {
        (_, Look::NotYet | Look::Lost(_)) => Standing::Pending(NOT_SEEN.to_owned()),
        (Question::Gone { .. }, Look::Absent(_)) => Standing::Done,
        (Question::Ready(_, false) | Question::Complete(_, false), Look::Absent(_)) => {
            Standing::Pending("it does not exist any more".to_owned())
        }
        (Question::Ready(version, true) | Question::Complete(version, true), Look::Absent(absence)) => {
            match &absence.last {
                Some(last) if !is_older(last, version) => ended(question, last),
                _ if absence.is_certain => Standing::Done,
                // One of that name that was there before may have gone, and the new one not be known yet.
                _ => Standing::Pending(NOT_SEEN.to_owned()),
            }
        }
        (Question::Gone { uid }, Look::Seen(seen)) if *uid != seen.uid => Standing::Done,
        (Question::Gone { .. }, Look::Seen(seen)) => Standing::Pending(holders(seen)),
        (Question::Ready(version, _) | Question::Complete(version, _), Look::Seen(seen)) if is_older(seen, version) => {
            Standing::Pending("the change has not been seen yet".to_owned())
        }
        (Question::Ready(version, _), Look::Seen(seen))
            if version.overdue.is_some()
                && version.overdue == seen.assessment.overdue
                && matches!(seen.assessment.ready, Verdict::Failed(_)) =>
        {
            Standing::Pending("it has not moved since the change".to_owned())
        }
        (Question::Ready(..), Look::Seen(seen)) => seen.assessment.ready.clone().into(),
        (Question::Complete(..), Look::Seen(seen)) => seen.assessment.complete.clone().into(),
    }
}

/// How a Job that removed itself had ended.
fn ended(question: &Question, last: &Seen) -> Standing {
    match (question, &last.assessment.complete) {
        (Question::Complete(..), Verdict::InProgress(_)) => {
            Standing::Failed("it is gone, and was not seen to complete".to_owned())
        }
        (Question::Complete(..), complete) => complete.clone().into(),
        _ => Standing::Done,
    }
}

impl From<Verdict> for Standing {
    fn from(verdict: Verdict) -> Self {
        match verdict {
            Verdict::Current => Self::Done,
            Verdict::InProgress(outstanding) => Self::Pending(outstanding),
            Verdict::Failed(reason) => Self::Failed(reason),
        }
    }
}

/// Resource versions of one kind are numbers that grow (Kubernetes 1.35 promises it); a server that has others is
/// compared by generation.
fn is_older(seen: &Seen, version: &AsOf) -> bool {
    match (seen.resource_version.parse::<u64>(), version.resource_version.parse::<u64>()) {
        (Ok(seen), Ok(wanted)) => seen < wanted,
        _ => seen.generation < version.generation,
    }
}

fn holders(seen: &Seen) -> String {
    match seen.finalizers.as_slice() {
        [] => "it is still terminating".to_owned(),
        finalizers => format!("held by finalizers {}", finalizers.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::{AsOf, Question, Standing, standing};
    use crate::cluster::ready::{Assessment, Verdict};
    use crate::cluster::watch::{Absence, Look, Seen};

    fn seen(resource_version: &str) -> Look {
        Look::Seen(Seen {
            uid: "u1".to_owned(),
            resource_version: resource_version.to_owned(),
            generation: 2,
            state: 0,
            fields: None,
            deleting: false,
            finalizers: vec!["example.com/hold".to_owned()],
            assessment: Assessment {
                ready: Verdict::Current,
                complete: Verdict::InProgress("runs".to_owned()),
                overdue: None,
            },
        })
    }

    fn version(resource_version: &str) -> AsOf {
        AsOf { resource_version: resource_version.to_owned(), generation: 2, overdue: None }
    }

    #[test]
    fn an_older_view_of_an_object_proves_nothing() {
        let ready = Question::Ready(version("100"), false);
        assert!(matches!(standing(&ready, &seen("99")), Standing::Pending(_)));
        assert_eq!(standing(&ready, &seen("100")), Standing::Done);
        assert_eq!(standing(&ready, &seen("101")), Standing::Done);
        assert!(matches!(standing(&ready, &Look::NotYet), Standing::Pending(_)));
        // Opaque versions: the generation decides.
        assert_eq!(standing(&Question::Ready(version("x"), false), &seen("y")), Standing::Done);
    }

    #[test]
    fn absence_is_what_a_deletion_waits_for_and_what_a_vanishing_job_ends_with() {
        let gone = Question::Gone { uid: "u1".to_owned() };
        let absent = || Look::Absent(Absence::default());
        let certain = Look::Absent(Absence { is_certain: true, last: None });
        assert_eq!(standing(&gone, &absent()), Standing::Done);
        assert_eq!(standing(&gone, &seen("1")), Standing::Pending("held by finalizers example.com/hold".to_owned()));
        assert_eq!(standing(&Question::Gone { uid: "u0".to_owned() }, &seen("1")), Standing::Done);
        for question in [Question::Complete(version("1"), true), Question::Ready(version("1"), true)] {
            assert_eq!(standing(&question, &certain), Standing::Done);
            // The feed may not have heard of it yet.
            assert!(matches!(standing(&question, &absent()), Standing::Pending(_)));
        }
        for question in [Question::Complete(version("1"), false), Question::Ready(version("1"), false)] {
            assert!(matches!(standing(&question, &certain), Standing::Pending(_)));
        }
    }

    #[test]
    fn a_job_that_removed_itself_ended_as_it_was_last_seen() {
        let gone = |resource_version: &str, complete: Verdict| {
            let Look::Seen(seen) = seen(resource_version) else { unreachable!() };
            let assessment = Assessment { complete, ..seen.assessment };
            Look::Absent(Absence { last: Some(Seen { assessment, ..seen }), is_certain: false })
        };
        let complete = Question::Complete(version("100"), true);
        let failed = || Verdict::Failed("Job Failed".to_owned());
        assert_eq!(standing(&complete, &gone("101", Verdict::Current)), Standing::Done);
        assert_eq!(standing(&complete, &gone("101", failed())), Standing::Failed("Job Failed".to_owned()));
        let running = gone("101", Verdict::InProgress("runs".to_owned()));
        assert!(matches!(standing(&complete, &running), Standing::Failed(_)));
        // The one before it proves nothing.
        for before in [Verdict::Current, failed()] {
            assert!(matches!(standing(&complete, &gone("99", before)), Standing::Pending(_)));
        }
    }

    #[test]
    fn a_deadline_that_was_missed_before_the_change_is_no_failure_of_it() {
        let late = |since: &str| {
            let Look::Seen(seen) = seen("100") else { unreachable!() };
            let ready = Verdict::Failed("Progress deadline exceeded".to_owned());
            Look::Seen(Seen {
                assessment: Assessment { ready, overdue: Some(since.into()), ..seen.assessment },
                ..seen
            })
        };
        let changed = Question::Ready(AsOf { overdue: Some("10:00".into()), ..version("100") }, false);
        assert!(matches!(standing(&changed, &late("10:00")), Standing::Pending(_)));
        assert!(matches!(standing(&changed, &late("10:05")), Standing::Failed(_)));
        assert_eq!(standing(&changed, &seen("101")), Standing::Done);
        // Paused, it is looked at no more, and the condition stays.
        let Look::Seen(paused) = late("10:00") else { unreachable!() };
        let assessment = Assessment { ready: Verdict::Current, ..paused.assessment };
        assert_eq!(standing(&changed, &Look::Seen(Seen { assessment, ..paused })), Standing::Done);
        assert!(matches!(standing(&Question::Ready(version("100"), false), &late("10:00")), Standing::Failed(_)));
    }

    #[test]
    fn completion_is_more_than_readiness() {
        let complete = Question::Complete(version("1"), false);
        assert_eq!(standing(&complete, &seen("1")), Standing::Pending("runs".to_owned()));
    }
}
