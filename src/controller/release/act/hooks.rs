//! Hooks: one after the other, each awaited, each cleaned up by its delete policies.

use helm::manifest::hook::in_run_order;
use helm::manifest::{DeletePolicy, Hook, HookEvent, HookPhase};

use super::{Deadline, record};
use crate::api::Reason;
use crate::cluster::{DeleteOptions, HookOutcome, Object, Propagation, Source};
use crate::controller::context::Context;
use crate::controller::halt::Halt;
use crate::history::Record;

/// Runs the hooks of `event`; those that succeeded before a crash are not run again. The record tells how each went.
///
/// `record` is at each moment what was last written, also when the run is dropped in the middle.
pub(super) async fn run(
    event: HookEvent,
    record: &mut Record,
    deadline: Deadline,
    context: &Context,
) -> Result<(), Halt> {
    let due: Vec<(String, String)> = in_run_order(&record.release.hooks, &event).into_iter().map(key).collect();
    let mut ran = Vec::new();
    for due in due {
        let Some(at) = record.release.hooks.iter().position(|hook| key(hook) == due) else { continue };
        // Of a hook with several events the record cannot tell which of them its last run was for.
        let hook = &record.release.hooks[at];
        if hook.last_run.phase == HookPhase::Succeeded && hook.events.len() == 1 {
            continue;
        }
        let hook = hook.clone();
        note(record, at, HookPhase::Running, context).await?;
        let outcome = run_one(&hook, &record.release.namespace, deadline, context).await;
        let phase = if outcome.is_ok() { HookPhase::Succeeded } else { HookPhase::Failed };
        note(record, at, phase, context).await?;
        if let Err(halt) = outcome {
            // The hook's own failure is what a person has to read, whatever becomes of its remains.
            drop(delete(&hook, &DeletePolicy::HookFailed, &record.release.namespace, deadline, context).await);
            return Err(halt);
        }
        ran.push(hook);
    }
    for hook in ran.iter().rev() {
        delete(hook, &DeletePolicy::HookSucceeded, &record.release.namespace, deadline, context).await?;
    }
    Ok(())
}

/// Writes into the record how far a hook is.
async fn note(record: &mut Record, at: usize, phase: HookPhase, context: &Context) -> Result<(), Halt> {
    let run = &mut record.release.hooks[at].last_run;
    let now = Some(context.now());
    if phase == HookPhase::Running {
        (run.started_at, run.completed_at) = (now, None);
    } else {
        run.completed_at = now;
    }
    run.phase = phase;
    *record = record::update(context, record.clone()).await?;
    Ok(())
}

fn key(hook: &Hook) -> (String, String) {
    (hook.path.clone(), hook.name.clone())
}

async fn run_one(hook: &Hook, namespace: &str, deadline: Deadline, context: &Context) -> Result<(), Halt> {
    delete(hook, &DeletePolicy::BeforeHookCreation, namespace, deadline, context).await?;
    for object in objects(hook, namespace, context).await? {
        let (said, object) =
            (context.cluster.run_hook(&object, deadline.remaining()).await?, object.reference().clone());
        match said {
            HookOutcome::Succeeded => {}
            HookOutcome::Failed(why) => {
                return Err(Halt::new(Reason::HookFailed, format!("hook {object} of {} failed: {why}", hook.path)));
            }
            HookOutcome::TimedOut(why) => {
                return Err(Halt::new(
                    Reason::HookFailed,
                    format!("hook {object} of {} did not end in time: {why}", hook.path),
                ));
            }
        }
    }
    Ok(())
}

async fn delete(
    hook: &Hook,
    policy: &DeletePolicy,
    namespace: &str,
    deadline: Deadline,
    context: &Context,
) -> Result<(), Halt> {
    // As Helm: a definition that other objects depend on is never deleted as a hook.
    if hook.kind == "CustomResourceDefinition" || !hook.effective_delete_policies().contains(policy) {
        return Ok(());
    }
    let options =
        DeleteOptions { owner: None, propagation: Propagation::Background, timeout: Some(deadline.remaining()) };
    context.cluster.delete(&objects(hook, namespace, context).await?, &options).await?;
    Ok(())
}

async fn objects(hook: &Hook, namespace: &str, context: &Context) -> Result<Vec<Object>, Halt> {
    Ok(context.cluster.objects(&[Source { origin: &hook.path, text: &hook.manifest }], namespace).await?)
}
