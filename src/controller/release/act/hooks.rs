//! Hooks: one after the other, each awaited, each cleaned up by its delete policies.

use helm::manifest::hook::in_run_order;
use helm::manifest::{DeletePolicy, Hook, HookEvent, HookPhase};
use helm::release::Release;
use k8s_openapi::jiff::Timestamp;

use super::{Deadline, record};
use crate::api::Reason;
use crate::cluster::{DeleteOptions, HookOutcome, Object, Propagation, Reach, Source};
use crate::controller::context::Context;
use crate::controller::halt::Halt;
use crate::history::Record;

/// The events of one action, which one revision sees one after the other.
const ACTIONS: [[HookEvent; 2]; 4] = [
    [HookEvent::PreInstall, HookEvent::PostInstall],
    [HookEvent::PreUpgrade, HookEvent::PostUpgrade],
    [HookEvent::PreRollback, HookEvent::PostRollback],
    [HookEvent::PreDelete, HookEvent::PostDelete],
];

/// Runs the hooks of `event`; those that succeeded before a crash are not run again, and what was running then is
/// waited for. The record tells how each went.
///
/// At the end, also of one that failed, all that succeeded are deleted where their policy says so.
/// `record` is at each moment what was last written, also when the run is dropped in the middle.
pub(super) async fn run(
    event: HookEvent,
    record: &mut Record,
    deadline: Deadline,
    context: &Context,
) -> Result<(), Halt> {
    let due: Vec<(String, String)> = in_run_order(&record.release.hooks, &event).into_iter().map(key).collect();
    let mut succeeded = Vec::new();
    let mut failure = None;
    for due in due {
        let Some(at) = record.release.hooks.iter().position(|hook| key(hook) == due) else { continue };
        let hook = record.release.hooks[at].clone();
        if !is_done(&hook, &event, &record.release) {
            let begun = begun(&hook, &record.release);
            if begun.is_none() {
                note(record, at, HookPhase::Running, context).await?;
            }
            let outcome = run_one(&hook, begun, record, deadline, context).await;
            let phase = if outcome.is_ok() { HookPhase::Succeeded } else { HookPhase::Failed };
            note(record, at, phase, context).await?;
            if let Err(halt) = outcome {
                // The hook's own failure is what a person has to read, whatever becomes of its remains.
                drop(delete(&hook, &DeletePolicy::HookFailed, record, deadline, context).await);
                failure = Some(halt);
                break;
            }
        }
        succeeded.push(hook);
    }
    for hook in succeeded.iter().rev() {
        let deleted = delete(hook, &DeletePolicy::HookSucceeded, record, deadline, context).await;
        if failure.is_none() {
            deleted?;
        }
    }
    failure.map_or(Ok(()), Err)
}

/// Ends the Jobs and Pods of hooks that were running when their run was given up: superseded, or its release deleted.
pub(super) async fn end_running(record: &Record, context: &Context) -> Result<(), Halt> {
    for hook in record.release.hooks.iter().filter(|hook| hook.last_run.phase == HookPhase::Running) {
        let Some(begun) = hook.last_run.started_at else { continue };
        let mut standing = Vec::new();
        for object in objects(hook, record, context).await? {
            if context.cluster.hook_stands(&object, begun).await? {
                standing.push(object);
            }
        }
        let options = DeleteOptions { owner: None, propagation: Propagation::Background, timeout: None };
        context.cluster.delete(&standing, &options).await?;
    }
    Ok(())
}

/// Whether the record tells that `hook` has run for `event`. It tells only how the last run went: where that may have
/// been for another event of the same action, it tells nothing.
fn is_done(hook: &Hook, event: &HookEvent, release: &Release) -> bool {
    let events = ACTIONS.iter().find(|events| events.contains(event));
    let of_action = events.map_or(0, |events| events.iter().filter(|event| hook.runs_at(event)).count());
    let run = &hook.last_run;
    run.phase == HookPhase::Succeeded && of_action == 1 && run.started_at >= action_begun(event, release)
}

/// When the hook's run began that was not seen to end.
fn begun(hook: &Hook, release: &Release) -> Option<Timestamp> {
    let run = &hook.last_run;
    // A run of the install is over when the uninstall begins, whatever the record says.
    run.started_at.filter(|begun| run.phase == HookPhase::Running && Some(*begun) >= release.info.deleted)
}

/// When the action that `event` belongs to began on this revision.
fn action_begun(event: &HookEvent, release: &Release) -> Option<Timestamp> {
    match event {
        HookEvent::PreDelete | HookEvent::PostDelete => release.info.deleted,
        _ => release.info.last_deployed,
    }
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

/// Runs one hook, or goes on with a run that `begun` at that time.
async fn run_one(
    hook: &Hook,
    begun: Option<Timestamp>,
    record: &Record,
    deadline: Deadline,
    context: &Context,
) -> Result<(), Halt> {
    let objects = objects(hook, record, context).await?;
    let mut stands = false;
    for (object, begun) in objects.iter().zip(begun) {
        stands |= context.cluster.hook_stands(object, begun).await?;
    }
    if !stands {
        delete(hook, &DeletePolicy::BeforeHookCreation, record, deadline, context).await?;
    }
    for object in objects {
        let said = context.cluster.run_hook(&object, begun, deadline.remaining()).await?;
        let object = object.reference();
        let message = match said {
            HookOutcome::Succeeded => continue,
            HookOutcome::Failed(why) => format!("hook {object} of {} failed: {why}", hook.path),
            HookOutcome::TimedOut(why) => format!("hook {object} of {} did not end in time: {why}", hook.path),
        };
        return Err(Halt::new(Reason::HookFailed, message));
    }
    Ok(())
}

async fn delete(
    hook: &Hook,
    policy: &DeletePolicy,
    record: &Record,
    deadline: Deadline,
    context: &Context,
) -> Result<(), Halt> {
    // As Helm: a definition that other objects depend on is never deleted as a hook.
    if hook.kind == "CustomResourceDefinition" || !hook.effective_delete_policies().contains(policy) {
        return Ok(());
    }
    let options =
        DeleteOptions { owner: None, propagation: Propagation::Background, timeout: Some(deadline.remaining()) };
    context.cluster.delete(&objects(hook, record, context).await?, &options).await?;
    Ok(())
}

/// The objects of a hook, which are as far in reach as those of the release.
async fn objects(hook: &Hook, record: &Record, context: &Context) -> Result<Vec<Object>, Halt> {
    let source = Source { origin: &hook.path, text: &hook.manifest };
    let objects = context.cluster.objects(&[source], &record.release.namespace).await?;
    if context.policy.no_cross_namespace_refs {
        let owner = record.marks.as_ref().and_then(|marks| marks.owner.split_once('/'));
        let own = owner.map_or(record.release.namespace.as_str(), |(namespace, _)| namespace);
        Reach::Namespace(own.to_owned()).admit(&objects)?;
    }
    Ok(objects)
}

#[cfg(test)]
mod tests {
    use helm::manifest::{Hook, HookEvent, HookPhase};
    use helm::release::Release;
    use k8s_openapi::jiff::Timestamp;

    use super::{begun, is_done};

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).expect("a time")
    }

    fn hook(events: &[HookEvent], phase: HookPhase, started: i64) -> Hook {
        let mut hook = Hook { events: events.to_vec(), ..Hook::default() };
        hook.last_run.phase = phase;
        hook.last_run.started_at = Some(at(started));
        hook
    }

    /// Deployed at 100, uninstalled from 200 on.
    fn release(deleted: bool) -> Release {
        let mut release = Release::default();
        release.info.last_deployed = Some(at(100));
        release.info.deleted = deleted.then(|| at(200));
        release
    }

    #[test]
    fn a_hook_is_done_for_the_event_that_its_last_run_must_have_been_for() {
        use HookEvent::{PostInstall, PostUpgrade, PreDelete, PreInstall, PreUpgrade};
        let cases: [(&[HookEvent], i64, bool, HookEvent, bool); 6] = [
            (&[PreInstall], 110, false, PreInstall, true),
            // The other event belongs to another action, and so to another revision.
            (&[PreInstall, PreUpgrade], 110, false, PreInstall, true),
            (&[PreUpgrade, PostUpgrade], 110, false, PostUpgrade, false),
            // What ran for the install has not run for the uninstall.
            (&[PostInstall, PreDelete], 110, true, PreDelete, false),
            (&[PostInstall, PreDelete], 210, true, PreDelete, true),
            (&[PreDelete], 210, true, PreDelete, true),
        ];
        for (events, started, deleted, event, expected) in cases {
            let done = is_done(&hook(events, HookPhase::Succeeded, started), &event, &release(deleted));
            assert_eq!(done, expected, "{events:?} at {started} for {event:?}");
            assert!(!is_done(&hook(events, HookPhase::Failed, started), &event, &release(deleted)), "{events:?}");
        }
    }

    #[test]
    fn a_run_goes_on_within_its_own_action() {
        let running = hook(&[HookEvent::PostInstall, HookEvent::PreDelete], HookPhase::Running, 110);
        assert_eq!(begun(&running, &release(false)), Some(at(110)));
        assert_eq!(begun(&running, &release(true)), None);
    }
}
