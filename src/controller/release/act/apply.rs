//! From the pending record to the deployed one: hooks, apply, prune, wait, hooks, record.

use std::collections::BTreeMap;
use std::time::Duration;

use helm::manifest::HookEvent;
use helm::release::Status;

use super::hooks::{self, Course};
use super::leftovers::{LeftChart, clean_up, deletion, left_chart, made_since, not_cleaned};
use super::prepare::{self, Pending};
use super::{Deadline, Doing, GRACE, Task, masked, planning, record, rollback};
use crate::api::Reason;
use crate::cluster::{Applied, Change, Existing, Fingerprint, Object, Readiness, SecretValues};
use crate::controller::error::ReconcileError;
use crate::controller::release::plan::{self, Pace, Step, StepKind};
use crate::controller::release::publish;
use crate::controller::release::trace::Trace;
use crate::controller::release::validate::Action;
use crate::controller::waits::{self, RevisionRef, Until};
use crate::history::Record;

/// Most objects of which the fields that were applied are noted: 40 KB of the 256 KB that annotations may have.
const NOTED: usize = 5000;

/// How soon an attempt is gone on with that met a webhook which does not answer.
const COLD_START: Duration = Duration::from_secs(5);

/// How long a revision is waited for with all of it in memory, where not too many others are: most are ready by then, at
/// the cost of no further write.
const INLINE_WAIT: Duration = Duration::from_secs(2);

/// Carries a pending revision out, and records how it ended, or that it is applied where it becomes ready later.
///
/// It stays pending, for the next reconcile to go on with or to end, after a crash, while the API server is away, when
/// somebody else wrote its record, and when the object changes meanwhile: what becomes of it then depends on what is
/// declared, which is not known here.
pub(super) async fn carry_out(
    step: &Step,
    pending: Pending,
    task: &Task<'_>,
    trace: &mut Trace,
) -> Result<(), ReconcileError> {
    // The record has all of it.
    planning::end(task).await?;
    trace.begun(&pending.record, &pending.objects).await;
    let release = &pending.record.release;
    let (chart, version, revision) = (release.chart.name(), release.chart.version(), pending.record.revision());
    tracing::info!(object = %task.desired.identity.owner, revision, "applying {chart} {version} as release {}/{}", release.namespace, release.name);
    secure_inventory(&pending, task, trace).await?;
    let mut run = Run { is_new: pending.is_new, ..Run::new(step, task, pending.deadline, pending.record) };
    let mut replaced = pending.replaced;
    let doing = run.doing.subscribe();
    let ended = tokio::select! {
        ended = Box::pin(run.steps(pending.objects, pending.claims, &mut replaced)) => ended,
        never = publish::announce(task.release, step, (trace, doing), &task.place.context) => match never {},
    };
    trace.applied(&run.applied);
    let ended = match ended {
        Ok(Some(readiness)) => return Box::pin(run.wait_apart(readiness)).await,
        Ok(None) => Ok(()),
        Err(error) => Err(error),
    };
    Box::pin(run.end(ended, replaced, trace)).await
}

/// Ends a revision whose wait is over.
pub(super) async fn finish(step: &Step, task: &Task<'_>, trace: &mut Trace) -> Result<(), ReconcileError> {
    let Some(waited) = task.place.context.waits.take(&task.desired.identity.uid) else { return Ok(()) };
    task.slot.resume().await;
    let record = record::get(&task.deployed(), step.revision).await?;
    trace.resumed(task.release, &record, task.place).await?;
    let replaced = record::get_all(task, &record::deployed(task, &step.replaces)).await?;
    let mut run = Run::new(step, task, prepare::deadline(step, &record, task), record);
    let doing = run.doing.subscribe();
    let ended = match waited {
        Ok(()) => tokio::select! {
            ended = run.hooks(run.events().1) => ended.map(drop),
            never = publish::announce(task.release, step, (trace, doing), &task.place.context) => match never {},
        },
        Err(error) => Err(error),
    };
    Box::pin(run.end(ended, replaced, trace)).await
}

/// Ends a revision that cannot be gone on with since a webhook stays away, once its time is over: until then it stays pending.
pub(super) async fn end_late(
    step: &Step,
    error: ReconcileError,
    task: &Task<'_>,
    trace: &mut Trace,
) -> Result<(), ReconcileError> {
    if error.reason != Reason::WebhookUnavailable {
        return Err(error);
    }
    let record = record::get(&task.deployed(), step.revision).await?;
    let mut run = Run::new(step, task, prepare::deadline(step, &record, task), record);
    if run.has_time() {
        return Err(error);
    }
    if let Err(error) = hooks::end_running(&mut run.record, task.place).await {
        tracing::warn!(object = %task.desired.identity.owner, error = %error.message, "failed to end the hooks of a revision that ends");
    }
    Box::pin(run.end(Err(error), Vec::new(), trace)).await
}

/// What lies outside the release's namespace outlives it, and with it Helm's history: it is noted in the status before
/// it is made, so that it is found again.
async fn secure_inventory(pending: &Pending, task: &Task<'_>, trace: &Trace) -> Result<(), ReconcileError> {
    let namespace = Some(task.desired.identity.namespace.as_str());
    let is_outside = |object: &Object| object.reference().namespace.as_deref() != namespace;
    if pending.objects.iter().any(is_outside) {
        publish::progress(task.release, trace, &task.place.context).await?;
    }
    Ok(())
}

/// A revision on its way.
struct Run<'a> {
    step: &'a Step,
    action: &'a Action,
    task: &'a Task<'a>,
    deadline: Deadline,
    record: Record,
    applied: Vec<Applied>,
    /// Whether the record as it is stored says that all is applied.
    noted: bool,
    /// Whether all that it changed in the cluster is in `applied`.
    is_new: bool,
    doing: Doing,
}

impl<'a> Run<'a> {
    fn new(step: &'a Step, task: &'a Task<'a>, deadline: Deadline, record: Record) -> Self {
        Self {
            step,
            action: prepare::action(step, task),
            task,
            deadline,
            noted: record.marks.as_ref().is_some_and(|marks| marks.applied),
            record,
            applied: Vec::new(),
            is_new: false,
            doing: Doing::new(None),
        }
    }

    /// The events before and after the apply.
    fn events(&self) -> (HookEvent, HookEvent) {
        match self.step.kind {
            StepKind::Install => (HookEvent::PreInstall, HookEvent::PostInstall),
            StepKind::Upgrade => (HookEvent::PreUpgrade, HookEvent::PostUpgrade),
            StepKind::Rollback => (HookEvent::PreRollback, HookEvent::PostRollback),
        }
    }

    /// All of it; or up to the wait, which is returned where it takes longer than a moment. Of what is replaced, what was
    /// deployed is left.
    async fn steps(
        &mut self,
        objects: Vec<Object>,
        mut claims: Existing,
        replaced: &mut Vec<Record>,
    ) -> Result<Option<Readiness>, ReconcileError> {
        let (before, after) = self.events();
        if self.noted {
            self.restore(&objects, &claims).await?;
        } else {
            if !self.action.hooks {
                hooks::leave_out(&before, &mut self.record, self.task.place).await?;
            } else if self.hooks(before).await? {
                claims = self.claim_again(&objects).await?;
            }
            self.task.slot.go_on().await;
            self.apply(&objects, &claims, replaced).await?;
        }
        // While it waits no more of it stays in memory than is needed afterwards.
        drop((objects, claims));
        replaced.retain(|record| record.release.info.status == Status::Deployed);
        self.task.slot.pause();
        if self.action.wait {
            let mut readiness = self
                .task
                .place
                .cluster
                .readiness(&self.applied, &self.task.desired.maintenance.checks, self.action.wait_for_jobs)
                .await;
            let moment = self.task.place.context.bounds.moments.try_acquire().ok().filter(|_| !self.noted);
            let briefly = moment.as_ref().map_or(Duration::ZERO, |_| self.deadline.remaining().min(INLINE_WAIT));
            if !readiness.ready_within(briefly).await? {
                return Ok(Some(readiness));
            }
        }
        self.hooks(after).await?;
        Ok(None)
    }

    /// Notes that all is applied, and leaves the wait to itself.
    async fn wait_apart(mut self, readiness: Readiness) -> Result<(), ReconcileError> {
        let place = self.task.place;
        if !self.noted {
            self.record = record::update(place, self.record).await?;
        }
        let what = RevisionRef { revision: self.step.revision, generation: self.task.desired.identity.generation };
        let (declared, progress) = (self.action.timeout, self.action.progress_deadline);
        let until = Until { deadline: self.deadline.0, declared, progress };
        waits::begin(self.task.release, what, until, readiness, &self.task.place.context);
        Ok(())
    }

    /// Records how it ended.
    async fn end(
        self,
        ended: Result<(), ReconcileError>,
        replaced: Vec<Record>,
        trace: &mut Trace,
    ) -> Result<(), ReconcileError> {
        // A record is packed whole: a hundred that become ready in one moment would be a hundred of them in memory.
        self.task.slot.go_on().await;
        match ended {
            Ok(()) => {
                trace.record(&Box::pin(self.succeed(replaced)).await?);
                Ok(())
            }
            Err(error) if matches!(error.reason, Reason::ClusterUnavailable | Reason::PendingRelease) => Err(error),
            // What serves the webhook may be on its way, as all is when a cluster starts: the attempt goes on.
            Err(error) if error.reason == Reason::WebhookUnavailable && self.has_time() => {
                let error = trace.masked(masked(error, &self.record.release).await);
                Err(ReconcileError { retry_after: Some(COLD_START), ..error })
            }
            Err(error) => {
                let error = trace.masked(masked(error, &self.record.release).await);
                Box::pin(self.fail(error, trace)).await
            }
        }
    }

    /// Whether the action's timeout leaves time, however often it was taken up again.
    fn has_time(&self) -> bool {
        let context = &self.task.place.context;
        let age = |since| Duration::try_from(context.now().duration_since(since)).unwrap_or_default();
        let began = self.record.release.info.last_deployed.unwrap_or_else(|| context.now());
        // What it waits for may have been down as long as the operator was.
        age(began) < self.action.timeout || age(context.began) < GRACE
    }

    /// Runs the hooks of an event; whether there are any.
    async fn hooks(&mut self, event: HookEvent) -> Result<bool, ReconcileError> {
        if !self.action.hooks || !self.record.release.hooks.iter().any(|hook| hook.runs_at(&event)) {
            return Ok(false);
        }
        self.task.slot.pause();
        let secrets = SecretValues::of_all(&self.task.desired.secrets).await;
        let course = Course::new(self.deadline, &self.doing, secrets);
        hooks::run(&event, &mut self.record, &course, self.task.place).await?;
        Ok(true)
    }

    /// Looks again after hooks ran.
    async fn claim_again(&mut self, objects: &[Object]) -> Result<Existing, ReconcileError> {
        let claims = prepare::claim_again(objects, self.action, self.task).await?;
        prepare::forget_foreign(&mut self.record, objects, &claims, self.task);
        Ok(claims)
    }

    async fn apply(
        &mut self,
        objects: &[Object],
        claims: &Existing,
        replaced: &[Record],
    ) -> Result<(), ReconcileError> {
        let place = self.task.place;
        let options = prepare::options(self.action, &self.task.deployed());
        let pods = if self.action.recreate { place.cluster.pods_of(objects).await? } else { Vec::new() };
        // What is made anew is deleted first; a Job that is finished is without being named.
        self.is_new &= options.immutable.is_empty() && !objects.iter().any(|object| object.reference().kind == "Job");
        place.cluster.apply_claimed(objects, claims, &options, &mut self.applied).await?;
        let mut old = Vec::new();
        if let Some(remedied) = &self.step.remedies {
            old = made_since(remedied.to, self.record.revision(), self.task).await?;
        } else {
            for record in replaced {
                old.extend(place.objects_of(record).await?);
            }
        }
        self.is_new = false;
        let LeftChart { gone, kept } = left_chart(&old, objects, self.action, self.task).await?;
        for (object, why) in kept {
            let message = format!("{} has left the chart, and is left: {why}", object.reference());
            publish::warn(self.task.release, (Reason::ChartWarning, &message), &place.context);
        }
        if !gone.is_empty() {
            // As Helm: what left the manifest is deleted, and its end not waited for.
            place.cluster.delete(&gone, &deletion(self.task)).await?;
        }
        // Killed before that is noted, some start anew twice.
        place.cluster.delete_pods(pods).await?;
        if let Some(marks) = &mut self.record.marks {
            // Written with the next write of the record.
            marks.applied = true;
        }
        self.note_fields(objects, 0);
        Ok(())
    }

    /// Notes which fields were applied, of what was applied after the first `since` objects: what becomes of them while the release is deployed is seen by that.
    fn note_fields(&mut self, objects: &[Object], since: usize) {
        let applied = self.applied.iter().skip(since);
        let applied: BTreeMap<_, _> = applied.map(|applied| (&applied.object, applied.fields)).collect();
        let Some(marks) = &mut self.record.marks.as_mut().filter(|_| objects.len() <= NOTED) else { return };
        marks.fields.resize(objects.len(), 0);
        for (noted, object) in marks.fields.iter_mut().zip(objects) {
            if let Some(fields) = applied.get(object.reference()) {
                *noted = fields.map_or(0, Fingerprint::number);
            }
        }
    }

    /// Of what was applied before, by another process perhaps, what is gone is applied again.
    async fn restore(&mut self, objects: &[Object], claims: &Existing) -> Result<(), ReconcileError> {
        let options = prepare::options(self.action, &self.task.deployed());
        let (standing, lost) = claims.since_apply(objects, &options.owner);
        self.applied = standing;
        let standing = self.applied.len();
        self.task.place.cluster.apply_claimed(&lost, claims, &options, &mut self.applied).await?;
        // What the others have become meanwhile is not what was applied.
        self.note_fields(objects, standing);
        Ok(())
    }

    /// The old revision is superseded before the new one is deployed: killed in between, the new one is still pending
    /// and is resumed; the other way round two revisions would stay deployed.
    async fn succeed(mut self, replaced: Vec<Record>) -> Result<Record, ReconcileError> {
        let place = self.task.place;
        for old in replaced {
            record::replace(old, &self.record, place).await?;
        }
        self.record.release.info.status = Status::Deployed;
        record::note_hooks(&mut self.record);
        self.record.release.info.description = match self.step.kind {
            StepKind::Install => "Install complete".into(),
            StepKind::Upgrade => "Upgrade complete".into(),
            // It says to which revision.
            StepKind::Rollback => self.record.release.info.description,
        };
        let record = record::update(place, self.record).await?;
        record::prune(self.task).await?;
        Ok(record)
    }

    /// Whether a refusal for `reason` ended it before anything in the cluster was another: what was deployed before still is then.
    fn has_changed_nothing(&self, reason: Reason) -> bool {
        let is_refusal = matches!(
            reason,
            Reason::ImmutableField
                | Reason::FieldConflict
                | Reason::ObjectInvalid
                | Reason::AdmissionDenied
                | Reason::QuotaExceeded
                | Reason::Forbidden
        );
        let is_unchanged = self.applied.iter().all(|applied| applied.change == Change::Unchanged);
        is_refusal && self.is_new && is_unchanged
    }

    /// The failure is recorded before anything is cleaned up; what is to be cleaned stands in the record until it is done.
    async fn fail(self, error: ReconcileError, trace: &mut Trace) -> Result<(), ReconcileError> {
        let changed_nothing = self.has_changed_nothing(error.reason);
        let record = record::fail(self.record, (&error, changed_nothing), self.task.place).await?;
        trace.record(&record);
        let remedies = &self.task.desired.remedies;
        if self.step.kind == StepKind::Upgrade {
            rollback::tell_skipped(record.revision(), self.task, trace);
        }
        let pace = Pace { longest: self.task.release.spec.interval(), fixed: remedies.retried_after(self.step.kind) };
        let next = plan::next_attempt(&record.meta()?, pace, &self.task.desired.identity.uid);
        // A rollback takes away what the revision made.
        if (!remedies.rollback || self.action.cleanup_on_fail)
            && let Err(error) = clean_up(record, self.task).await
        {
            trace.warn(Reason::UpgradeFailed, not_cleaned(&error));
        }
        record::prune(self.task).await?;
        let is_bounded = match self.step.kind {
            StepKind::Install => remedies.install_retries.is_some(),
            StepKind::Upgrade => remedies.upgrade_retries.is_some() || remedies.rollback,
            StepKind::Rollback => true,
        };
        if is_bounded && error.awaits.is_empty() {
            // What is done about it is planned at once, and tells of it.
            return Ok(());
        }
        Err(ReconcileError { next, ..error })
    }
}
