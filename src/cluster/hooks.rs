//! One hook: created, then waited for until it has done its work. Its delete policies are the caller's, by delete.

use std::time::Duration;

use jiff::Timestamp;
use serde_json::Value;
use tokio::time::Instant;

use super::apply::{How, prepared, vanishes};
use super::checks::Judge;
use super::object::{Object, ObjectRef};
use super::ownership::{self, Holder};
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

/// How far the run of a hook is that was not waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HookStanding {
    /// It has done its work.
    Completed,
    /// It goes on, or has failed.
    Open,
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
    /// this hook's ([`Error::HookExists`]). But one that a run which is resumed has made is the one to wait for. Nor is
    /// an object of another kind touched that is another release's.
    ///
    /// What may not be watched is looked at, and what may not be read either counts as running: until the time is over.
    pub async fn run_hook(&self, hook: &Object, run: HookRun<'_>, timeout: Duration) -> Result<HookOutcome, Error> {
        let hook = &hook.annotated(RUN, made_for(run.of) + &run.began.to_string());
        let deadline = Instant::now() + timeout;
        if !ends(hook.reference()) {
            let existing = self.requests.metadata(hook.resource(), hook.reference()).await?;
            if let of @ Some(_) = existing.as_ref().and_then(|existing| other_release(existing, run.of)) {
                return Err(Error::HookExists { object: Box::new(hook.reference().clone()), of });
            }
            self.apply_one(hook, existing.as_ref(), How::default()).await?;
            return Ok(HookOutcome::Succeeded);
        }
        let left = match self.left_in_time(hook, run, deadline).await? {
            Ok(left) => left,
            Err(unknown) => return Ok(HookOutcome::TimedOut(unknown)),
        };
        let begun = match left {
            Some(live) => Begun::of(&live),
            None => self.create_hook(hook, run.of, until(deadline)).await?,
        };
        let target = Target {
            object: hook.reference().clone(),
            resource: hook.resource().clone(),
            marks: Marks::Unknown,
            judge: Judge::Strict,
            question: Question::Complete(begun.version, begun.vanishes),
        };
        match self.settle(vec![target], until(deadline)).await {
            Ok(()) => Ok(HookOutcome::Succeeded),
            Err(Unsettled::Failed(targets)) => Ok(self.ended_badly(targets, HookOutcome::Failed).await),
            Err(Unsettled::Late(targets)) => Ok(self.ended_badly(targets, HookOutcome::TimedOut).await),
            Err(Unsettled::Unwatchable(_, message)) => {
                let unwatched = failed(hook, format!("it may not be watched: {message}"), Vec::new());
                self.seen_to_end(hook, run, (deadline, unwatched)).await
            }
        }
    }

    /// What is there of a run that is resumed. Where that may not be read the run may go on: it is asked again until the time is over.
    async fn left_in_time(
        &self,
        hook: &Object,
        run: HookRun<'_>,
        deadline: Instant,
    ) -> Result<Result<Option<Value>, Unready>, Error> {
        if !run.is_resumed {
            return Ok(Ok(None));
        }
        loop {
            match self.left_by(hook, run.began).await {
                Err(unknown) if is_refused(&unknown) && Instant::now() >= deadline => {
                    return Ok(Err(failed(hook, format!("it is not known whether it goes on: {unknown}"), Vec::new())));
                }
                Err(unknown) if is_refused(&unknown) => tokio::time::sleep(LOOK).await,
                left => return left.map(Ok),
            }
        }
    }

    /// How the run of a hook ends that may not be watched: it is looked at, again and again. `unknown` tells why it was not seen.
    async fn seen_to_end(
        &self,
        hook: &Object,
        run: HookRun<'_>,
        (deadline, unknown): (Instant, Unready),
    ) -> Result<HookOutcome, Error> {
        let reference = hook.reference();
        loop {
            let live = match self.left_by(hook, run.began).await {
                Ok(Some(live)) => Some(live),
                // Also one that removes itself: whether it failed is not known, and an upgrade must not go on over that.
                Ok(None) => {
                    let why = format!("it is gone, and was not seen to complete; {}", unknown.message);
                    return Ok(HookOutcome::Failed(failed(hook, why, Vec::new())));
                }
                Err(refused) if is_refused(&refused) => None,
                Err(error) => return Err(error),
            };
            let verdict = live.map(|live| {
                Judge::Strict.assess(&reference.group, &reference.kind, &Subject::of(&live), Value::default).complete
            });
            let is_late = Instant::now() >= deadline;
            match verdict {
                Some(Verdict::Current) => return Ok(HookOutcome::Succeeded),
                Some(Verdict::Failed(message)) => {
                    let why = self.diagnose(hook.resource(), reference).await;
                    return Ok(HookOutcome::Failed(failed(hook, message, why)));
                }
                Some(Verdict::InProgress(message)) if is_late => {
                    let why = self.diagnose(hook.resource(), reference).await;
                    return Ok(HookOutcome::TimedOut(failed(hook, format!("{message}; {}", unknown.message), why)));
                }
                None if is_late => return Ok(HookOutcome::TimedOut(unknown)),
                Some(Verdict::InProgress(_)) | None => tokio::time::sleep(LOOK).await,
            }
        }
    }

    /// How the Job or Pod stands that the run of a hook made which began at `began`; none where nothing stands of it.
    pub async fn hook_standing(&self, hook: &Object, began: Timestamp) -> Result<Option<HookStanding>, Error> {
        let reference = hook.reference();
        let live = if ends(reference) { self.left_by(hook, began).await? } else { None };
        Ok(live.map(|live| {
            let verdict = Judge::Strict.assess(&reference.group, &reference.kind, &Subject::of(&live), Value::default);
            match verdict.complete {
                Verdict::Current => HookStanding::Completed,
                Verdict::InProgress(_) | Verdict::Failed(_) => HookStanding::Open,
            }
        }))
    }

    /// The hook's object, if that run made it and nobody deletes it.
    async fn left_by(&self, hook: &Object, began: Timestamp) -> Result<Option<Value>, Error> {
        let Some(live) = self.requests.get(hook.resource(), hook.reference()).await? else { return Ok(None) };
        let metadata: Metadata = serde_json::from_value(live["metadata"].clone()).unwrap_or_default();
        let is_left = is_of_run(&metadata, began) && metadata.deletion_timestamp.is_none();
        Ok(is_left.then_some(live))
    }

    async fn create_hook(&self, hook: &Object, owner: &Owner, timeout: Duration) -> Result<Begun, Error> {
        let (resource, reference) = (hook.resource(), hook.reference());
        if let Some(existing) = self.requests.metadata(resource, reference).await? {
            if existing.deletion_timestamp.is_none() {
                let of = other_release(&existing, owner);
                return Err(Error::HookExists { object: Box::new(reference.clone()), of });
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
            tracing::warn!(object = %reference, "{doubled} is set twice in the chart: the last counts");
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

/// The release that an object is of, where that is another than `owner`.
fn other_release(existing: &Metadata, owner: &Owner) -> Option<String> {
    match ownership::claim(existing, owner) {
        Holder::Theirs { release, namespace } => Some(format!("{namespace}/{release}")),
        Holder::Ours | Holder::Nobody { .. } => None,
    }
}

fn until(deadline: Instant) -> Duration {
    deadline.saturating_duration_since(Instant::now())
}

/// Whether the server does not let us know.
fn is_refused(error: &Error) -> bool {
    matches!(error, Error::Forbidden { .. } | Error::Unauthorized { .. })
}

fn failed(hook: &Object, message: String, why: Vec<String>) -> Unready {
    Unready { object: hook.reference().clone(), message, why }
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
