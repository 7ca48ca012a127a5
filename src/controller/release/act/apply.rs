//! From the pending record to the deployed one: hooks, apply, prune, wait, hooks, record.

use helm::manifest::HookEvent;
use helm::release::Status;

use super::prepare::{self, Prepared};
use super::{Deadline, Job, Progress, hooks, record};
use crate::api::Reason;
use crate::cluster::{
    Applied, ApplyOptions, Change, Claims, DeleteOptions, Object, Propagation, WaitOptions, left_behind,
};
use crate::controller::halt::Halt;
use crate::controller::release::plan::{Step, StepKind};
use crate::controller::release::report;
use crate::controller::release::trace::Trace;
use crate::controller::release::validate::Action;
use crate::history::Record;

/// Carries a pending revision out, and records how it ended. A crash, and an API server that is away, leave it pending.
pub(super) async fn carry_out(
    step: &Step,
    prepared: Prepared,
    job: &Job<'_>,
    trace: &mut Trace,
) -> Result<Progress, Halt> {
    trace.begun(&prepared.record, &prepared.objects);
    let mut run = Run {
        step,
        action: prepare::action(step, job),
        job,
        deadline: prepared.deadline,
        record: prepared.record,
        applied: Vec::new(),
    };
    let ended = tokio::select! {
        ended = run.steps(&prepared.objects, &prepared.claims, &prepared.replaced) => Some(ended),
        () = job.context.superseded(job.release) => None,
        never = report::announce(job.release, step.kind, trace, job.context) => match never {},
    };
    match ended {
        Some(Ok(())) => {
            trace.record(&run.succeed(prepared.replaced).await?);
            Ok(Progress::Done)
        }
        Some(Err(halt)) if halt.reason == Reason::ClusterUnavailable => Err(halt),
        Some(Err(halt)) => {
            trace.record(&run.fail(&halt.message, &prepared.objects).await?);
            Err(halt)
        }
        None => {
            let why = "another generation of the object was declared meanwhile";
            trace.record(&run.fail(why, &prepared.objects).await?);
            Ok(Progress::Superseded)
        }
    }
}

/// A revision on its way.
struct Run<'a> {
    step: &'a Step,
    action: &'a Action,
    job: &'a Job<'a>,
    deadline: Deadline,
    record: Record,
    applied: Vec<Applied>,
}

impl Run<'_> {
    async fn steps(&mut self, objects: &[Object], claims: &Claims, replaced: &[Record]) -> Result<(), Halt> {
        let (before, after) = match self.step.kind {
            StepKind::Install => (HookEvent::PreInstall, HookEvent::PostInstall),
            StepKind::Upgrade => (HookEvent::PreUpgrade, HookEvent::PostUpgrade),
        };
        self.hooks(before).await?;
        self.job.turn.resume().await;
        self.apply(objects, claims, replaced).await?;
        self.job.turn.pause();
        if self.action.wait {
            let options = WaitOptions { timeout: self.deadline.remaining(), jobs: self.action.wait_for_jobs };
            self.job.context.cluster.wait_ready(&self.applied, &options).await?;
        }
        self.hooks(after).await
    }

    async fn hooks(&mut self, event: HookEvent) -> Result<(), Halt> {
        if !self.action.hooks || !self.record.release.hooks.iter().any(|hook| hook.runs_at(&event)) {
            return Ok(());
        }
        self.job.turn.pause();
        hooks::run(event, &mut self.record, self.deadline, self.job.context).await
    }

    async fn apply(&mut self, objects: &[Object], claims: &Claims, replaced: &[Record]) -> Result<(), Halt> {
        let context = self.job.context;
        let options =
            ApplyOptions { owner: prepare::owner(self.job), take_ownership: false, force_conflicts: self.action.force };
        self.applied = context.cluster.apply_claimed(objects, claims, &options).await?;
        let mut old = Vec::new();
        for record in replaced {
            old.extend(context.objects_of(record).await?);
        }
        let gone = left_behind(&old, objects);
        if gone.is_empty() {
            return Ok(());
        }
        // As Helm: what left the manifest is deleted, and its end not waited for.
        let options = DeleteOptions {
            owner: Some(prepare::owner(self.job)),
            propagation: Propagation::Background,
            timeout: None,
        };
        context.cluster.delete(&gone, &options).await?;
        Ok(())
    }

    /// The old revision is superseded before the new one is deployed: killed in between, the new one is still pending
    /// and is resumed; the other way round two revisions would stay deployed.
    async fn succeed(mut self, replaced: Vec<Record>) -> Result<Record, Halt> {
        let context = self.job.context;
        for mut old in replaced.into_iter().filter(|record| record.release.info.status == Status::Deployed) {
            old.release.info.status = Status::Superseded;
            record::update(context, old).await?;
        }
        self.record.release.info.status = Status::Deployed;
        self.record.release.info.description = match self.step.kind {
            StepKind::Install => "Install complete".into(),
            StepKind::Upgrade => "Upgrade complete".into(),
        };
        let record = record::update(context, self.record).await?;
        record::prune(self.job, self.job.desired.max_history).await?;
        Ok(record)
    }

    async fn fail(self, why: &str, objects: &[Object]) -> Result<Record, Halt> {
        if self.action.cleanup_on_fail && self.step.kind == StepKind::Upgrade {
            let created: Vec<Object> = objects
                .iter()
                .filter(|object| {
                    self.applied
                        .iter()
                        .any(|applied| applied.change == Change::Created && applied.object == *object.reference())
                })
                .cloned()
                .collect();
            let options = DeleteOptions {
                owner: Some(prepare::owner(self.job)),
                propagation: Propagation::Background,
                timeout: None,
            };
            self.job.context.cluster.delete(&created, &options).await?;
        }
        let record = record::fail(self.record, why, self.job).await?;
        record::prune(self.job, self.job.desired.max_history).await?;
        Ok(record)
    }
}
