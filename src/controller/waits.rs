//! Releases whose newest revision is applied and becomes ready: what is waited for, without what was applied.
//!
//! That a revision is applied stands in its record, so a wait may be lost at any time: after a restart its objects are
//! looked at, and the wait begins anew. Nothing of a chart, its manifest or its values is kept for it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use k8s_openapi::jiff::Timestamp;
use kube::ResourceExt as _;
use kube::runtime::reflector::ObjectRef;
use tokio::task::{AbortHandle, spawn_local};
use tokio::time::Instant;

use super::context::Context;
use super::error::ReconcileError;
use crate::api::HelmRelease;
use crate::cluster::{Readiness, WaitError};

/// How often it is told what is waited for, at most.
const REPORT_INTERVAL: Duration = Duration::from_secs(10);

/// How long a failure of a wait counts that is not taken.
const STALE: Duration = Duration::from_mins(1);

/// All waits, by the uid of the object.
#[derive(Default)]
pub(crate) struct Waits {
    open: Mutex<BTreeMap<String, Wait>>,
}

/// What a wait is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct RevisionRef {
    /// The revision that was applied.
    pub(crate) revision: u32,
    /// The generation of the object: another one may have another timeout.
    pub(crate) generation: i64,
}

/// How long a wait goes on.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Until {
    /// When it ends.
    pub(crate) deadline: Instant,
    /// The timeout that was declared: what a person is told.
    pub(crate) declared: Duration,
    /// How long nothing may move.
    pub(crate) progress: Option<Duration>,
}

struct Wait {
    what: RevisionRef,
    told: Outstanding,
    ended: Option<(Result<(), ReconcileError>, Instant)>,
    task: AbortHandle,
}

/// What is still waited for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Outstanding {
    /// The objects that are not ready, in words.
    pub(crate) objects: String,
    /// When the wait ends at the latest.
    pub(crate) until: Timestamp,
}

/// How far a wait is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Progress {
    /// Nothing is known of it: it was lost with the process, or never begun.
    #[default]
    Unknown,
    /// It goes on.
    Open,
    /// All is ready, or will never be.
    Ended,
}

impl Waits {
    /// How far the wait for `what` is. A wait of that object for something else ends.
    pub(crate) fn progress(&self, uid: &str, what: RevisionRef) -> Progress {
        let mut open = self.lock();
        match open.get(uid) {
            Some(wait) if wait.what == what && !wait.is_stale() && !wait.is_broken() => {
                if wait.ended.is_some() {
                    Progress::Ended
                } else {
                    Progress::Open
                }
            }
            Some(_) => {
                end(open.remove(uid));
                Progress::Unknown
            }
            None => Progress::Unknown,
        }
    }

    /// What the object with this uid waits for.
    pub(crate) fn outstanding(&self, uid: &str) -> Option<Outstanding> {
        self.lock().get(uid).map(|wait| wait.told.clone())
    }

    /// How the wait ended; it is forgotten with that.
    pub(crate) fn take(&self, uid: &str) -> Option<Result<(), ReconcileError>> {
        self.lock().remove(uid)?.ended.map(|(ended, _)| ended)
    }

    /// Ends the wait of an object, if there is one.
    pub(crate) fn end(&self, uid: &str) {
        end(self.lock().remove(uid));
    }

    fn change(&self, uid: &str, change: impl FnOnce(&mut Wait)) {
        if let Some(wait) = self.lock().get_mut(uid) {
            change(wait);
        }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Wait>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Wait {
    /// Whether it ended in failure so long ago that its objects may be ready since: something else kept the release from
    /// being ended. They are looked at again.
    fn is_stale(&self) -> bool {
        self.ended.as_ref().is_some_and(|(ended, at)| ended.is_err() && at.elapsed() > STALE)
    }

    /// Whether its task ended without saying how, as by a defect.
    fn is_broken(&self) -> bool {
        self.ended.is_none() && self.task.is_finished()
    }
}

fn end(wait: Option<Wait>) {
    if let Some(wait) = wait {
        wait.task.abort();
    }
}

/// Begins the wait of `release` for `what`, in place of any other of it. The release is woken when it ends, and when
/// something else is waited for.
pub(crate) fn begin(
    release: &HelmRelease,
    what: RevisionRef,
    until: Until,
    readiness: Readiness,
    context: &Arc<Context>,
) {
    let uid = release.uid().unwrap_or_default();
    let reference = ObjectRef::new(&release.name_any()).within(&release.namespace().unwrap_or_default());
    let left = until.deadline.saturating_duration_since(Instant::now());
    let told = Outstanding {
        objects: readiness.outstanding(),
        until: context.now().checked_add(left).unwrap_or(Timestamp::MAX),
    };
    let task = {
        let (uid, context) = (uid.clone(), Arc::clone(context));
        spawn_local(async move {
            let news = |objects: String| {
                context.waits.change(&uid, |wait| wait.told.objects = objects);
                context.wake.release(reference.clone());
            };
            let ended = follow(readiness, until, news).await.map_err(ReconcileError::from);
            context.waits.change(&uid, |wait| wait.ended = Some((ended, Instant::now())));
            context.wake.release(reference.clone());
        })
    };
    let wait = Wait { what, told, ended: None, task: task.abort_handle() };
    end(context.waits.lock().insert(uid, wait));
}

/// Waits to the end, and tells whenever something else is outstanding.
async fn follow(mut readiness: Readiness, until: Until, news: impl Fn(String)) -> Result<(), WaitError> {
    let (mut told, mut progress, mut moved) = (readiness.outstanding(), readiness.progress(), Instant::now());
    loop {
        let stuck = until.progress.map(|progress| moved + progress);
        let end = stuck.map_or(until.deadline, |stuck| stuck.min(until.deadline));
        let left = end.saturating_duration_since(Instant::now());
        if readiness.ready_within(left.min(REPORT_INTERVAL)).await? {
            return Ok(());
        }
        let outstanding = readiness.outstanding();
        if Instant::now() >= until.deadline {
            return Err(readiness.give_up(until.declared).await);
        }
        if std::mem::replace(&mut progress, readiness.progress()) != progress {
            moved = Instant::now();
        } else if let Some(deadline) = until.progress.filter(|deadline| moved.elapsed() >= *deadline) {
            return Err(readiness.give_up_stuck(deadline).await);
        }
        if outstanding != told {
            told.clone_from(&outstanding);
            news(outstanding);
        }
    }
}
