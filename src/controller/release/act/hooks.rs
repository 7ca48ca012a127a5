//! Hooks: one after the other, each awaited, each cleaned up by its delete policies.

use std::time::Duration;

use helm::manifest::hook::in_run_order;
use helm::manifest::{DeletePolicy, Hook, HookEvent, HookPhase};
use helm::release::Release;
use k8s_openapi::jiff::{SignedDuration, Timestamp};

use super::{Deadline, Doing, hook_logs, masked, record};
use crate::api::Reason;
use crate::cluster;
use crate::cluster::{
    DeleteOptions, HookOutcome, HookRun, HookStanding, Object, Owner, Propagation, SecretValues, Source, Whose,
};
use crate::controller::error::ReconcileError;
use crate::controller::place::Place;
use crate::history::{HooksBegun, Record};

/// The events of one action, which one revision sees one after the other.
const ACTIONS: [&[HookEvent]; 5] = [
    &[HookEvent::PreInstall, HookEvent::PostInstall],
    &[HookEvent::PreUpgrade, HookEvent::PostUpgrade],
    &[HookEvent::PreRollback, HookEvent::PostRollback],
    &[HookEvent::Test],
    &[HookEvent::PreDelete, HookEvent::PostDelete],
];

/// How hooks of an event are run.
pub(super) struct Course<'a> {
    /// When they have to have ended.
    pub(super) deadline: Deadline,
    /// Hears of each that is waited for.
    pub(super) doing: &'a Doing,
    /// Whether one of this name is to run.
    pub(super) wanted: &'a dyn Fn(&str) -> bool,
    /// The values that come from Secrets: nothing that is told of a log holds one.
    pub(super) secrets: SecretValues,
}

impl<'a> Course<'a> {
    /// All of them.
    pub(super) fn new(deadline: Deadline, doing: &'a Doing, secrets: SecretValues) -> Self {
        Self { deadline, doing, wanted: &|_| true, secrets }
    }
}

/// That hooks of `event` are begun now, with nothing done of them.
pub(super) fn begin(event: HookEvent, now: Timestamp) -> HooksBegun {
    HooksBegun { event, since: now }
}

/// Runs the hooks of `event`; those that succeeded before a crash are not run again, and what was running then is
/// waited for. The record tells how each went.
///
/// A hook of several events has only its last run in the record; a mark tells whose hooks were begun last, and so for
/// which of the events that run was.
///
/// At the end, also of one that failed, all that succeeded are deleted where their policy says so.
/// `record` is at each moment what was last written, also when the run is dropped in the middle.
pub(super) async fn run(
    event: &HookEvent,
    record: &mut Record,
    course: &Course<'_>,
    place: &Place,
) -> Result<(), ReconcileError> {
    if is_over(event, hooks_begun(record)) {
        return Ok(());
    }
    let &Course { deadline, doing, wanted, ref secrets } = course;
    let due: Vec<(String, String)> =
        in_run_order(&record.release.hooks, event).into_iter().filter(|hook| wanted(&hook.name)).map(key).collect();
    let mut succeeded = Vec::new();
    let mut failure = None;
    for due in due {
        let Some(at) = record.release.hooks.iter().position(|hook| key(hook) == due) else { continue };
        let hook = record.release.hooks[at].clone();
        let told = (&record.release, hooks_begun(record));
        if !is_done(&hook, event, told) {
            let earlier = begun(&hook, event, told);
            let of = owner(record);
            let began = match earlier {
                Some(earlier) => earlier,
                None => note(record, at, (event, HookPhase::Running), place).await?,
            };
            let run = HookRun { of: &of, began, is_resumed: earlier.is_some() };
            let what = format!("{} {:?} of {}", hook.kind, hook.name, hook.path);
            doing.send_replace(Some(format!("running the {} hook {what}", event.as_str())));
            let outcome = run_one(&hook, run, record, (deadline, secrets), place).await;
            doing.send_replace(None);
            if let Err(error @ ReconcileError { reason: Reason::ClusterUnavailable, .. }) = outcome {
                // The hook itself may have begun, and go on: the record goes on saying so.
                return Err(error);
            }
            let phase = if outcome.is_ok() { HookPhase::Succeeded } else { HookPhase::Failed };
            note(record, at, (event, phase), place).await?;
            if let Err(error) = outcome {
                // The hook's own failure is what a person has to read, whatever becomes of its remains.
                drop(delete(&hook, (&DeletePolicy::HookFailed, None), record, deadline, place).await);
                failure = Some(error);
                break;
            }
        }
        succeeded.push(hook);
    }
    for hook in succeeded.iter().rev() {
        let deleted = delete(hook, (&DeletePolicy::HookSucceeded, None), record, deadline, place).await;
        if failure.is_none() {
            deleted?;
        }
    }
    match failure {
        None => Ok(()),
        Some(error) => Err(masked(error, &record.release).await),
    }
}

/// Ends the Jobs and Pods of hooks that were running when their run was given up: superseded, or its release left alone. Before, it is
/// written into `record` which of them were completed.
pub(super) async fn end_running(record: &mut Record, place: &Place) -> Result<(), ReconcileError> {
    end(record, |_, _| true, place).await
}

/// The same at an uninstall, whose own hooks are gone on with.
pub(super) async fn end_interrupted(record: &mut Record, place: &Place) -> Result<(), ReconcileError> {
    end(record, |hook, told| !is_of_removal(hook, told), place).await
}

/// Whether a hook was begun for the uninstall of its release.
fn is_of_removal(hook: &Hook, told: Told<'_>) -> bool {
    [HookEvent::PreDelete, HookEvent::PostDelete].iter().any(|event| begun(hook, event, told).is_some())
}

async fn end(
    record: &mut Record,
    is_meant: impl Fn(&Hook, Told<'_>) -> bool,
    place: &Place,
) -> Result<(), ReconcileError> {
    let (mut standing, mut completed) = (Vec::new(), Vec::new());
    for (at, hook) in record.release.hooks.iter().enumerate() {
        let running = hook.last_run.started_at.filter(|_| hook.last_run.phase == HookPhase::Running);
        let told = (&record.release, hooks_begun(record));
        let Some(begun) = running.filter(|_| is_meant(hook, told)) else { continue };
        let mut open = false;
        for object in objects(hook, record, place).await? {
            match place.cluster.hook_standing(&object, begun).await? {
                Some(how) => {
                    open |= how == HookStanding::Open;
                    standing.push(object);
                }
                // What removes itself when it is done may be.
                None => open |= !object.vanishes(),
            }
        }
        completed.extend((!open).then_some(at));
    }
    if !completed.is_empty() {
        // Nobody saw them end. What tells of it is gone in a moment.
        for at in completed {
            record.release.hooks[at].last_run.phase = HookPhase::Succeeded;
        }
        record::note_hooks(record);
        *record = record::update(place, record.clone()).await?;
    }
    place.cluster.delete(&standing, &deletion(record, None, None)).await?;
    Ok(())
}

/// The deletion of what hooks of a release made, but for what the run made that began at `but_for_run`.
fn deletion(record: &Record, but_for_run: Option<Timestamp>, timeout: Option<Duration>) -> DeleteOptions {
    let whose = Whose::Hook { of: owner(record), but_for_run };
    DeleteOptions { whose, propagation: Propagation::Background, timeout }
}

fn owner(record: &Record) -> Owner {
    Owner { release: record.release.name.clone(), namespace: record.release.namespace.clone() }
}

/// Goes on without the hooks before the apply, where a person has them left out while they run: what is running ends, and from then
/// on objects may be applied.
pub(super) async fn leave_out(event: &HookEvent, record: &mut Record, place: &Place) -> Result<(), ReconcileError> {
    if hooks_begun(record).is_none_or(|begun| begun.event != *event) {
        return Ok(());
    }
    end_running(record, place).await?;
    if let Some(marks) = &mut record.marks {
        marks.hooks = None;
    }
    *record = record::update(place, record.clone()).await?;
    Ok(())
}

/// What a record tells of its hooks besides their last runs.
type Told<'a> = (&'a Release, Option<&'a HooksBegun>);

fn hooks_begun(record: &Record) -> Option<&HooksBegun> {
    record.marks.as_ref().and_then(|marks| marks.hooks.as_ref())
}

/// Whether the hooks of a later event of the same action were begun.
fn is_over(event: &HookEvent, begun: Option<&HooksBegun>) -> bool {
    let at = |events: &[HookEvent], event: &HookEvent| events.iter().position(|other| other == event);
    let is_before = |events: &&[HookEvent], later: &HookEvent| match (at(events, event), at(events, later)) {
        (Some(this), Some(later)) => this < later,
        _ => false,
    };
    begun.is_some_and(|begun| ACTIONS.iter().any(|events| is_before(events, &begun.event)))
}

/// Whether the record tells that `hook` has run for `event`.
fn is_done(hook: &Hook, event: &HookEvent, told: Told<'_>) -> bool {
    let events = ACTIONS.iter().find(|events| events.contains(event));
    let of_action = events.map_or(0, |events| events.iter().filter(|event| hook.runs_at(event)).count());
    hook.last_run.phase == HookPhase::Succeeded && was_for(hook, event, told).unwrap_or(of_action == 1)
}

/// When the hook's run for `event` began that was not seen to end.
fn begun(hook: &Hook, event: &HookEvent, told: Told<'_>) -> Option<Timestamp> {
    let run = &hook.last_run;
    run.started_at.filter(|_| run.phase == HookPhase::Running && was_for(hook, event, told).unwrap_or(true))
}

/// Whether the last run of a hook was for `event`; `None` where only its action is known, as in records without marks.
fn was_for(hook: &Hook, event: &HookEvent, (release, begun): Told<'_>) -> Option<bool> {
    let started = hook.last_run.started_at;
    // A run of the install is over when the uninstall begins, whatever the record says.
    if started < action_begun(event, release) {
        return Some(false);
    }
    let is_of_action =
        |begun: &&HooksBegun| ACTIONS.iter().any(|events| events.contains(event) && events.contains(&begun.event));
    begun.filter(is_of_action).map(|begun| begun.event == *event && started >= Some(begun.since))
}

/// When the action that `event` belongs to began on this revision.
fn action_begun(event: &HookEvent, release: &Release) -> Option<Timestamp> {
    match event {
        HookEvent::PreDelete | HookEvent::PostDelete => release.info.deleted,
        _ => release.info.last_deployed,
    }
}

/// Writes into the record how far a hook is with its run for an event.
async fn note(
    record: &mut Record,
    at: usize,
    (event, phase): (&HookEvent, HookPhase),
    place: &Place,
) -> Result<Timestamp, ReconcileError> {
    let now = after_all_of(record, place.context.now());
    let run = &mut record.release.hooks[at].last_run;
    if phase == HookPhase::Running {
        (run.started_at, run.completed_at) = (Some(now), None);
    } else {
        run.completed_at = Some(now);
    }
    run.phase = phase;
    if let Some(marks) = &mut record.marks
        && marks.hooks.as_ref().is_none_or(|begun| begun.event != *event)
    {
        marks.hooks = Some(HooksBegun { event: event.clone(), since: now });
    }
    record::note_hooks(record);
    *record = record::update(place, record.clone()).await?;
    Ok(now)
}

/// `now`, but after all that the record tells of: another process, whose clock was ahead, may have written it, and by these times
/// runs are told from each other.
pub(super) fn after_all_of(record: &Record, now: Timestamp) -> Timestamp {
    after_all(now, (&record.release, hooks_begun(record)))
}

fn after_all(now: Timestamp, (release, begun): Told<'_>) -> Timestamp {
    let Release { info, hooks, .. } = release;
    let runs = hooks.iter().map(|hook| hook.last_run.started_at);
    let since = begun.map(|begun| begun.since);
    let told = [info.last_deployed, info.deleted, since].into_iter().chain(runs).flatten().max();
    let next = told.and_then(|told| told.checked_add(SignedDuration::from_micros(1)).ok());
    next.map_or(now, |next| next.max(now))
}

fn key(hook: &Hook) -> (String, String) {
    (hook.path.clone(), hook.name.clone())
}

/// Runs one hook, or goes on with its run.
async fn run_one(
    hook: &Hook,
    run: HookRun<'_>,
    record: &Record,
    (deadline, secrets): (Deadline, &SecretValues),
    place: &Place,
) -> Result<(), ReconcileError> {
    let objects = objects(hook, record, place).await?;
    let mut stands = false;
    for object in objects.iter().filter(|_| run.is_resumed) {
        stands |= match place.cluster.hook_standing(object, run.began).await {
            // It may: that is waited for.
            Err(cluster::Error::Forbidden { .. } | cluster::Error::Unauthorized { .. }) => true,
            standing => standing?.is_some(),
        };
    }
    if !stands {
        // Who goes on with a run of another process may find that process alive.
        let but_for = run.is_resumed.then_some(run.began);
        delete(hook, (&DeletePolicy::BeforeHookCreation, but_for), record, deadline, place).await?;
    }
    let limit = deadline.remaining().as_secs_f64().ceil();
    for object in &objects {
        let outcome = match place.cluster.run_hook(object, run, deadline.remaining()).await {
            // What was there before was just deleted: another process goes on with this very run. Or it was not, since it could not be
            // read whether the run goes on.
            Err(cluster::Error::HookExists { .. }) if is_cleared(hook) => {
                if run.is_resumed {
                    delete(hook, (&DeletePolicy::BeforeHookCreation, Some(run.began)), record, deadline, place).await?;
                }
                let run = HookRun { is_resumed: true, ..run };
                place.cluster.run_hook(object, run, deadline.remaining()).await?
            }
            outcome => outcome?,
        };
        let reference = object.reference();
        let message = match outcome {
            HookOutcome::Succeeded => continue,
            HookOutcome::Failed(why) => format!("hook {reference} of {} failed: {why}", hook.path),
            HookOutcome::TimedOut(why) => {
                format!("hook {reference} of {} did not end within {limit}s: {why}", hook.path)
            }
        };
        let log = Box::pin(hook_logs::end(object, record, secrets, place)).await;
        return Err(ReconcileError::new(Reason::HookFailed, message + &log));
    }
    Box::pin(hook_logs::succeeded(hook, &objects, record, secrets, place)).await;
    Ok(())
}

/// Whether what an earlier run left is deleted before a run begins.
fn is_cleared(hook: &Hook) -> bool {
    hook.effective_delete_policies().contains(&DeletePolicy::BeforeHookCreation)
}

async fn delete(
    hook: &Hook,
    (policy, but_for_run): (&DeletePolicy, Option<Timestamp>),
    record: &Record,
    deadline: Deadline,
    place: &Place,
) -> Result<(), ReconcileError> {
    // As Helm: a definition that other objects depend on is never deleted as a hook.
    if hook.kind == "CustomResourceDefinition" || !hook.effective_delete_policies().contains(policy) {
        return Ok(());
    }
    let options = deletion(record, but_for_run, Some(deadline.remaining()));
    place.cluster.delete(&objects(hook, record, place).await?, &options).await?;
    Ok(())
}

/// The objects of a hook, which are as far in reach as those of the release.
async fn objects(hook: &Hook, record: &Record, place: &Place) -> Result<Vec<Object>, ReconcileError> {
    let source = Source { origin: &hook.path, text: &hook.manifest };
    let objects = place.cluster.objects(&[source], &record.release.namespace).await?;
    place.reach().admit(&objects)?;
    Ok(objects)
}

#[cfg(test)]
mod tests {
    use helm::manifest::{Hook, HookEvent, HookPhase};
    use helm::release::Release;
    use k8s_openapi::jiff::Timestamp;

    use super::{HooksBegun, after_all, begun, is_done, is_of_removal, is_over};

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).expect("a time")
    }

    fn hook(events: &[HookEvent], phase: HookPhase, started: i64) -> Hook {
        let mut hook = Hook { events: events.to_vec(), ..Hook::default() };
        hook.last_run.phase = phase;
        hook.last_run.started_at = Some(at(started));
        hook
    }

    fn hooks_begun(event: &HookEvent, since: i64) -> HooksBegun {
        HooksBegun { event: event.clone(), since: at(since) }
    }

    /// Deployed at 100, uninstalled from 200 on.
    fn release(deleted: bool) -> Release {
        let mut release = Release::default();
        release.info.last_deployed = Some(at(100));
        release.info.deleted = deleted.then(|| at(200));
        release
    }

    #[test]
    fn without_marks_a_hook_is_done_for_the_event_that_its_last_run_must_have_been_for() {
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
            let told = (&release(deleted), None);
            let done = is_done(&hook(events, HookPhase::Succeeded, started), &event, told);
            assert_eq!(done, expected, "{events:?} at {started} for {event:?}");
            assert!(!is_done(&hook(events, HookPhase::Failed, started), &event, told), "{events:?}");
        }
    }

    #[test]
    fn a_hook_of_several_events_is_done_for_those_whose_hooks_were_begun_before_its_last_run() {
        use HookEvent::{PostDelete, PostInstall, PreDelete, PreInstall};
        const BOTH: &[HookEvent] = &[PreInstall, PostInstall];
        const ENDS: &[HookEvent] = &[PostInstall, PreDelete, PostDelete];
        // The hook's events, and when it ran.
        type Ran = (&'static [HookEvent], i64);
        // With what was begun when, and whether it is done for an event.
        let cases: [(Ran, (HookEvent, i64), HookEvent, bool); 9] = [
            ((BOTH, 110), (PreInstall, 110), PreInstall, true),
            ((BOTH, 110), (PreInstall, 110), PostInstall, false),
            // Another hook of the later event was begun, and this one has not run for it.
            ((BOTH, 110), (PostInstall, 120), PostInstall, false),
            ((BOTH, 120), (PostInstall, 120), PostInstall, true),
            ((BOTH, 130), (PostInstall, 120), PostInstall, true),
            // The install is over, also where it ended with this hook.
            ((ENDS, 120), (PostInstall, 120), PreDelete, false),
            ((ENDS, 210), (PreDelete, 210), PreDelete, true),
            ((ENDS, 210), (PreDelete, 210), PostDelete, false),
            ((ENDS, 230), (PostDelete, 220), PostDelete, true),
        ];
        for ((events, started), (begun_event, since), event, expected) in cases {
            let deleted = matches!(event, PreDelete | PostDelete);
            let (release, told) = (release(deleted), hooks_begun(&begun_event, since));
            let case = format!("{events:?} at {started} for {event:?}, {begun_event:?} begun at {since}");
            let succeeded = hook(events, HookPhase::Succeeded, started);
            assert_eq!(is_done(&succeeded, &event, (&release, Some(&told))), expected, "{case}");
            let running = hook(events, HookPhase::Running, started);
            assert_eq!(begun(&running, &event, (&release, Some(&told))).is_some(), expected, "{case}");
        }
    }

    #[test]
    fn an_event_is_over_once_the_hooks_of_the_next_one_were_begun() {
        use HookEvent::{PostInstall, PreDelete, PreInstall, PreUpgrade};
        assert!(is_over(&PreInstall, Some(&hooks_begun(&PostInstall, 110))));
        for (event, begun) in [(PreInstall, PreInstall), (PostInstall, PostInstall), (PreDelete, PostInstall)] {
            assert!(!is_over(&event, Some(&hooks_begun(&begun, 110))), "{event:?} after {begun:?}");
        }
        assert!(!is_over(&PreUpgrade, None));
    }

    #[test]
    fn a_run_goes_on_within_its_own_action() {
        use HookEvent::{PostInstall, PreDelete};
        let running = hook(&[PostInstall, PreDelete], HookPhase::Running, 110);
        assert_eq!(begun(&running, &PostInstall, (&release(false), None)), Some(at(110)));
        assert_eq!(begun(&running, &PreDelete, (&release(true), None)), None);
        // What an uninstall finds running it ends, but for what it began itself before it was interrupted.
        let own = hook(&[PostInstall, PreDelete], HookPhase::Running, 210);
        for marks in [None, Some(hooks_begun(&PreDelete, 210))] {
            assert!(!is_of_removal(&running, (&release(true), marks.as_ref())), "{marks:?}");
            assert!(is_of_removal(&own, (&release(true), marks.as_ref())), "{marks:?}");
        }
    }

    #[test]
    fn a_clock_that_is_behind_begins_no_run_before_what_is_told() {
        let told = |started| {
            let hooks = vec![hook(&[HookEvent::PreInstall], HookPhase::Running, started)];
            Release { hooks, ..release(false) }
        };
        assert_eq!(after_all(at(150), (&told(120), None)), at(150));
        for (now, started) in [(90, 90), (150, 160), (150, 150)] {
            let began = after_all(at(now), (&told(started), None));
            assert!(began > at(100) && began > at(started), "{began} at {now} with {started}");
        }
        // Whichever hook it was: the uninstall that begins so runs it once more.
        let ran = hook(&[HookEvent::PostInstall, HookEvent::PreDelete], HookPhase::Succeeded, 160);
        let hooks = vec![hook(&[HookEvent::PreInstall], HookPhase::Succeeded, 90), ran.clone()];
        let mut installed = Release { hooks, ..release(false) };
        installed.info.deleted = Some(after_all(at(150), (&installed, None)));
        assert!(!is_done(&ran, &HookEvent::PreDelete, (&installed, None)));
    }
}
