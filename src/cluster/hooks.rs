//! One hook: created, then waited for until it has done its work. Its delete policies are the caller's, by delete.

use std::time::Duration;

use jiff::Timestamp;
use serde_json::Value;
use tokio::time::Instant;

use super::apply::{How, prepared, vanishes};
use super::checks::Judge;
use super::object::{Object, ObjectRef};
use super::ready::{Subject, Verdict};
use super::request::Metadata;
use super::wait::{AsOf, Question, Target, Unready, Unsettled};
use super::watch::Marks;
use super::{Cluster, Error, Owner};

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

/// The annotation of a hook's object that says which run of the hook made it, and for which release:
/// `namespace/name@time`. Hooks bear no other marks, as with Helm.
const RUN: &str = "helm-operator.ketches.cn/hook-run";

/// Between two looks at a hook that may not be watched.
const LOOK: Duration = Duration::from_secs(5);

/// One run of a hook.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HookRun<'a> {
    /// The release.
    pub of: &'a Owner,
    /// When it began, by the clock of whoever began it, which need not be the API server's. No two runs of a hook begin at the same time.
    pub began: Timestamp,
    /// Whether another process began it, and may have made its object.
    pub is_resumed: bool,
}

/// A Job or Pod that a run of its hook has made.
struct Begun {
    version: AsOf,
    /// Whether a Job removes itself when it is done.
    vanishes: bool,
}

impl Cluster {
    /// Creates one hook object, without ownership marks as Helm does, and waits until it has ended: Jobs and Pods;
    /// every other kind has ended when it is applied.
    ///
    /// A Job or Pod that exists is not touched: it has run, or runs, for something else, and its end would be taken for
    /// this hook's ([`Error::HookExists`]). But one that a run which is resumed has made is the one to wait for.
    ///
    /// Where it may neither be watched nor looked at it goes on, and the run is to be resumed ([`Error::Unwatched`]).
    pub async fn run_hook(&self, hook: &Object, run: HookRun<'_>, timeout: Duration) -> Result<HookOutcome, Error> {
        let hook = &hook.annotated(RUN, made_for(run.of) + &run.began.to_string());
        if !ends(hook.reference()) {
            let existing = self.requests.metadata(hook.resource(), hook.reference()).await?;
            self.apply_one(hook, existing.as_ref(), How::default()).await?;
            return Ok(HookOutcome::Succeeded);
        }
        let left = if run.is_resumed { self.left_by(hook, run.began).await? } else { None };
        let begun = match left {
            Some(left) => left,
            None => self.create_hook(hook, timeout).await?,
        };
        let deadline = Instant::now() + timeout;
        let target = Target {
            object: hook.reference().clone(),
            resource: hook.resource().clone(),
            marks: Marks::Unknown,
            judge: Judge::Strict,
            question: Question::Complete(begun.version, begun.vanishes),
        };
        match self.settle(vec![target], timeout).await {
            Ok(()) => Ok(HookOutcome::Succeeded),
            Err(Unsettled::Failed(targets)) => Ok(self.ended_badly(targets, HookOutcome::Failed).await),
            Err(Unsettled::Late(targets)) => Ok(self.ended_badly(targets, HookOutcome::TimedOut).await),
            Err(Unsettled::Unwatchable(object, message)) => {
                let unknown = Error::Unwatched { object: Box::new(object), message };
                self.seen_to_end(hook, begun.vanishes, (deadline, unknown)).await
            }
        }
    }

    /// How a hook ends that may not be watched: it is looked at, again and again; `unknown` where that may not be either.
    async fn seen_to_end(
        &self,
        hook: &Object,
        vanishes: bool,
        (deadline, unknown): (Instant, Error),
    ) -> Result<HookOutcome, Error> {
        let reference = hook.reference();
        let failed = |message: String, why| Unready { object: reference.clone(), message, why };
        loop {
            let Ok(live) = self.requests.get(hook.resource(), reference).await else { return Err(unknown) };
            let Some(live) = live else {
                // It removes itself when it is done; that it failed would have been seen, mostly.
                let deleted = || failed("somebody deleted it before it was complete".to_owned(), Vec::new());
                return Ok(if vanishes { HookOutcome::Succeeded } else { HookOutcome::Failed(deleted()) });
            };
            let verdict = Judge::Strict.assess(&reference.group, &reference.kind, &Subject::of(&live), Value::default);
            let is_late = Instant::now() >= deadline;
            match verdict.complete {
                Verdict::Current => return Ok(HookOutcome::Succeeded),
                Verdict::InProgress(_) if !is_late => tokio::time::sleep(LOOK).await,
                Verdict::InProgress(message) => {
                    let why = self.diagnose(hook.resource(), reference).await;
                    return Ok(HookOutcome::TimedOut(failed(format!("{message}; {unknown}"), why)));
                }
                Verdict::Failed(message) => {
                    let why = self.diagnose(hook.resource(), reference).await;
                    return Ok(HookOutcome::Failed(failed(message, why)));
                }
            }
        }
    }

    /// Whether the object of a hook is a Job or Pod that the run made which began at `began`.
    pub async fn hook_stands(&self, hook: &Object, began: Timestamp) -> Result<bool, Error> {
        Ok(ends(hook.reference()) && self.left_by(hook, began).await?.is_some())
    }

    /// The hook's object, if that run made it and nobody deletes it.
    async fn left_by(&self, hook: &Object, began: Timestamp) -> Result<Option<Begun>, Error> {
        let live = match self.requests.get(hook.resource(), hook.reference()).await {
            // Whether it goes on is not known.
            Err(refused @ Error::Forbidden { .. }) => {
                let (object, message) = (Box::new(hook.reference().clone()), refused.to_string());
                return Err(Error::Unwatched { object, message });
            }
            live => live?,
        };
        let Some(live) = live else { return Ok(None) };
        let metadata: Metadata = serde_json::from_value(live["metadata"].clone()).unwrap_or_default();
        let is_left = is_of_run(&metadata, began) && metadata.deletion_timestamp.is_none();
        Ok(is_left.then(|| Begun::of(&live)))
    }

    async fn create_hook(&self, hook: &Object, timeout: Duration) -> Result<Begun, Error> {
        let (resource, reference) = (hook.resource(), hook.reference());
        if let Some(existing) = self.requests.metadata(resource, reference).await? {
            if existing.deletion_timestamp.is_none() {
                return Err(Error::HookExists { object: Box::new(reference.clone()) });
            }
            let target = Target {
                object: reference.clone(),
                resource: resource.clone(),
                marks: Marks::Unknown,
                judge: Judge::Strict,
                question: Question::Gone { uid: existing.uid.unwrap_or_default() },
            };
            self.wait_gone(vec![target], timeout).await?;
        }
        let (content, _, doubled) = prepared(hook, None, How::default());
        for doubled in doubled {
            tracing::warn!(object = %reference, "the environment variable {doubled} is set twice in the chart: the last counts");
        }
        let live = self.requests.apply((resource, reference), &content, false, false).await?;
        Ok(Begun::of(&live))
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

impl Begun {
    fn of(live: &Value) -> Self {
        let metadata = &live["metadata"];
        Self {
            version: AsOf {
                resource_version: metadata["resourceVersion"].as_str().unwrap_or_default().to_owned(),
                generation: metadata["generation"].as_i64().unwrap_or_default(),
                overdue: None,
            },
            vanishes: vanishes(live.get("spec")),
        }
    }
}

/// Whether the run that began at `began` made the object. Objects of earlier versions of the operator do not say by which run they
/// were made: of those, it is what is not older, in whole seconds as the server tells them.
pub(super) fn is_of_run(metadata: &Metadata, began: Timestamp) -> bool {
    match metadata.annotations.as_ref().and_then(|annotations| annotations.get(RUN)) {
        Some(run) => run.rsplit('@').next().and_then(|run| run.parse().ok()) == Some(began),
        None => metadata.creation_timestamp.as_ref().is_some_and(|created| created.0.as_second() >= began.as_second()),
    }
}

/// Whether a hook of the release made the object. A chart may have the same object among those of the release, too, as Helm allows.
pub(super) fn is_made_for(metadata: &Metadata, owner: &Owner) -> bool {
    let annotations = metadata.annotations.as_ref();
    annotations.and_then(|annotations| annotations.get(RUN)).is_some_and(|run| run.starts_with(&made_for(owner)))
}

fn made_for(owner: &Owner) -> String {
    format!("{}/{}@", owner.namespace, owner.release)
}

/// Whether a hook of this kind is waited for until it ends.
fn ends(object: &ObjectRef) -> bool {
    matches!((object.group.as_str(), object.kind.as_str()), ("batch", "Job") | ("", "Pod"))
}
