mod approval;
mod asked;
mod failures;

use std::time::Duration;

use k8s_openapi::jiff::Timestamp;

use super::{
    FOREIGN_LOCK, Facts, MOST_LATELY, MOST_MADE, MOST_STANDING, Plan, Prompt, Step, StepKind, Stop, plan, standing,
};
use crate::api::Reason;
use crate::controller::error::NextAttempt;
use crate::controller::release::approval::Gate;
use crate::controller::release::remediation::{Remedies, Tests};
use crate::controller::release::validate::Identity;
use crate::controller::waits::Progress;
use crate::history::{Made, Marks, Outcome, Planned, RecordMeta, ReleaseKey, Remedied, Tested};

const OWNER: &str = "apps/web";
const NOW: i64 = 1_000_000;
const GENERATION: i64 = 5;

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_second(seconds).expect("a small number of seconds")
}

fn identity(owner: &str) -> Identity {
    Identity {
        release: ReleaseKey::new("apps", "web"),
        namespace: "apps".to_owned(),
        cluster: None,
        owner: owner.to_owned(),
        uid: "uid".to_owned(),
        generation: GENERATION,
    }
}

/// A history from `status` words, one revision each: `deployed` is somebody's, `deployed=inputs` ours for these inputs,
/// `deployed@age` one that was last written so many seconds ago; `failed=inputs:Reason:attempt` tells how it ended.
fn history(words: &str) -> Vec<RecordMeta> {
    words.split_whitespace().zip(1..).map(|(word, revision)| meta(revision, word)).collect()
}

fn meta(revision: u32, word: &str) -> RecordMeta {
    let (word, age) = word.split_once('@').unwrap_or((word, "100000"));
    let (status, marked) = word.split_once('=').map_or((word, None), |(status, marked)| (status, Some(marked)));
    let marks = marked.map(|marked| {
        let mut words = marked.split(':');
        Marks {
            owner: OWNER.to_owned(),
            uid: "uid".to_owned(),
            generation: GENERATION,
            inputs: words.next().unwrap_or_default().to_owned(),
            ended: words.next().map(str::to_owned),
            attempt: words.next().map_or(1, |attempt| attempt.parse().expect("an attempt")),
            ..Marks::default()
        }
    });
    let written = Some(at(NOW - age.parse::<i64>().expect("an age")));
    RecordMeta {
        revision,
        status: status.into(),
        marks,
        // A release that was deployed long ago may be worked on now.
        created_at: Some(at(0)),
        modified_at: written,
        resource_version: "1".to_owned(),
        ..RecordMeta::new(ReleaseKey::new("apps", "web"))
    }
}

fn step(kind: StepKind, revision: u32, replaces: &[u32]) -> Step {
    Step {
        kind,
        revision,
        replaces: replaces.to_vec(),
        attempt: 1,
        made: Made { since: at(NOW), revisions: 1 },
        remedies: None,
        forced: None,
    }
}

fn resumed(kind: StepKind, revision: u32, replaces: &[u32]) -> Plan {
    Plan::Resume(Step { made: Made::default(), ..step(kind, revision, replaces) })
}

fn taking_over(words: &str) -> Plan {
    let (revisions, identity) = (history(words), identity("apps/other"));
    plan(&Facts { takes_over: true, ..facts(&identity, &revisions, Prompt::default(), Progress::Unknown) })
}

fn planned(owner: &str, revisions: &[RecordMeta], prompt: Prompt) -> Plan {
    waiting(owner, revisions, prompt, Progress::Unknown)
}

fn waiting(owner: &str, revisions: &[RecordMeta], prompt: Prompt, wait: Progress) -> Plan {
    plan(&facts(&identity(owner), revisions, prompt, wait))
}

fn facts<'a>(identity: &'a Identity, revisions: &'a [RecordMeta], prompt: Prompt, wait: Progress) -> Facts<'a> {
    let interval = Duration::from_mins(30);
    Facts {
        identity,
        inputs: "now",
        revisions,
        takes_over: false,
        is_blocked: false,
        has_suspects: false,
        interval,
        force: None,
        moves: false,
        prompt,
        tests: None,
        remedies: Remedies::default(),
        wait,
        gate: None,
        planned: None,
        now: at(NOW),
    }
}

#[test]
fn every_history_has_one_next_step() {
    use StepKind::{Install, Upgrade};
    let lock =
        |revision, remaining| Plan::Stop(Stop::AwaitOther { revision, remaining: Duration::from_secs(remaining) });
    for (words, expected) in [
        ("", Plan::Release(step(Install, 1, &[]))),
        // Settled, and not.
        ("deployed=now", Plan::Keep { revision: 1 }),
        ("superseded=old deployed=now", Plan::Keep { revision: 2 }),
        ("deployed=old", Plan::Release(step(Upgrade, 2, &[1]))),
        ("deployed", Plan::Release(step(Upgrade, 2, &[1]))),
        ("superseded=now superseded=old deployed", Plan::Release(step(Upgrade, 4, &[3]))),
        // Failures: an install until something was deployed; objects of failed revisions are replaced too.
        ("failed=old", Plan::Release(step(Install, 2, &[1]))),
        ("failed=old failed", Plan::Release(step(Install, 3, &[1, 2]))),
        ("deployed=old failed=older failed=older", Plan::Release(step(Upgrade, 4, &[1, 2, 3]))),
        ("superseded=old", Plan::Release(step(Upgrade, 2, &[1]))),
        // One that was ended before it was complete was never deployed.
        ("superseded=old:Superseded", Plan::Release(step(Install, 2, &[1]))),
        ("deployed=old superseded=older:Superseded", Plan::Release(step(Upgrade, 3, &[1, 2]))),
        // Killed in the middle.
        ("pending-install=now", resumed(Install, 1, &[])),
        ("failed=old pending-install=now", resumed(Install, 2, &[1])),
        ("deployed=old pending-upgrade=now", resumed(Upgrade, 2, &[1])),
        ("pending-install=old", Plan::Supersede { revision: 1 }),
        ("deployed=old pending-upgrade=older@1", Plan::Supersede { revision: 2 }),
        ("uninstalling=old@1", Plan::FinishUninstall { revision: 1 }),
        // Somebody else at work, and somebody who never came back.
        ("pending-install@60", lock(1, FOREIGN_LOCK.as_secs() - 60)),
        ("deployed=now pending-rollback@0", lock(2, FOREIGN_LOCK.as_secs())),
        ("deployed=now uninstalling@0", lock(2, FOREIGN_LOCK.as_secs())),
        ("deployed=now pending-upgrade@900", Plan::Abandon { revision: 2 }),
        ("uninstalling@900", Plan::FinishUninstall { revision: 1 }),
        // Uninstalled with its history kept: nothing of it is left to replace.
        ("superseded=old uninstalled=now", Plan::Release(step(Install, 3, &[]))),
        ("deployed=old uninstalled=now failed=old", Plan::Release(step(Install, 4, &[3]))),
        ("unknown", Plan::Release(step(Install, 2, &[1]))),
    ] {
        assert_eq!(planned(OWNER, &history(words), Prompt::default()), expected, "{words:?}");
    }
}

#[test]
fn a_revision_that_becomes_ready_is_waited_for_and_then_ended() {
    use StepKind::Upgrade;
    let next = |words: &str, wait| waiting(OWNER, &history(words), Prompt::default(), wait);
    let going_on = || Step { made: Made::default(), ..step(Upgrade, 2, &[1]) };
    let pending = "deployed=old pending-upgrade=now";
    assert_eq!(next(pending, Progress::Open), Plan::Await(going_on()));
    assert_eq!(next(pending, Progress::Ended), Plan::Finish(going_on()));
    // Something else is declared meanwhile.
    assert_eq!(next("deployed=old pending-upgrade=older", Progress::Open), Plan::Supersede { revision: 2 });
    assert_eq!(next("deployed=old pending-upgrade=older", Progress::Ended), Plan::Supersede { revision: 2 });
    // Somebody else ended it.
    assert_eq!(next("superseded=old deployed=now", Progress::Ended), Plan::Keep { revision: 2 });
}

#[test]
fn a_revision_of_another_object_is_not_ours() {
    let next = planned("apps/other", &history("deployed=now"), Prompt::default());
    assert_eq!(next, Plan::Release(step(StepKind::Upgrade, 2, &[1])));
}

/// What is planned where upgrades are rolled back, and tried again so often.
fn tests(asked: Option<&str>, ignore_failures: bool) -> Tests {
    let mut tests = Tests::default();
    (tests.asked, tests.ignore_failures) = (asked.map(str::to_owned), ignore_failures);
    tests
}

#[test]
fn tests_are_run_once_for_a_revision_and_again_for_each_demand() {
    let identity = identity(OWNER);
    let next = |tested: Option<(Outcome, &str)>, asked: Option<&str>, ignore_failures: bool| {
        let mut revisions = history("deployed=now");
        revisions[0].marks.as_mut().expect("marks").tested = tested.map(|(outcome, asked)| Tested {
            outcome,
            ran: 1,
            declared: tests(None, false).declared(),
            asked: asked.to_owned(),
        });
        let tests = tests(asked, ignore_failures);
        plan(&Facts { tests: Some(&tests), ..facts(&identity, &revisions, Prompt::default(), Progress::Unknown) })
    };
    let (test, keep, failed) =
        (Plan::Test { revision: 1 }, Plan::Keep { revision: 1 }, Plan::Stop(Stop::TestsFailed { revision: 1 }));
    for (tested, asked, ignore, expected) in [
        (None, None, false, &test),
        (Some((Outcome::Running, "")), None, false, &test),
        (Some((Outcome::Passed, "")), None, false, &keep),
        (Some((Outcome::Failed, "")), None, false, &failed),
        (Some((Outcome::Failed, "")), None, true, &keep),
        (Some((Outcome::Failed, "")), Some("again"), false, &test),
        (Some((Outcome::Passed, "again")), Some("again"), false, &keep),
        (Some((Outcome::Running, "again")), Some("again"), false, &test),
        // A demand that is withdrawn was answered all the same.
        (Some((Outcome::Passed, "again")), None, false, &keep),
    ] {
        assert_eq!(next(tested, asked, ignore), *expected, "{tested:?}, asked {asked:?}");
    }
    let tests = tests(None, false);
    let revisions = history("deployed=old");
    let facts = facts(&identity, &revisions, Prompt::default(), Progress::Unknown);
    assert!(matches!(plan(&Facts { tests: Some(&tests), ..facts }), Plan::Release(_)), "the old one is not tested");
}

#[test]
fn what_others_have_to_be_ready_for_is_a_new_revision_and_nothing_else() {
    let identity = identity(OWNER);
    let next = |words: &str| {
        let revisions = history(words);
        let facts = facts(&identity, &revisions, Prompt::default(), Progress::Unknown);
        plan(&Facts { is_blocked: true, ..facts })
    };
    for words in ["", "deployed=old", "failed=now:NotReady:1@3600"] {
        assert_eq!(next(words), Plan::Stop(Stop::AwaitDependencies), "{words}");
    }
    assert_eq!(next("deployed=now"), Plan::Keep { revision: 1 });
    assert_eq!(next("pending-install=now"), resumed(StepKind::Install, 1, &[]));
    assert_eq!(next("pending-install=old"), Plan::Supersede { revision: 1 });
}

/// Marks are an operator's, and whose release it is was decided before: nobody is waited for who is gone.
#[test]
fn what_another_object_left_on_its_way_is_ended_at_once() {
    let next = |words: &str| planned("apps/other", &history(words), Prompt::default());
    assert_eq!(next("deployed=now pending-upgrade=now@1"), Plan::Supersede { revision: 2 });
    assert_eq!(next("uninstalling=now@1"), Plan::FinishUninstall { revision: 1 });
}

/// The object may have been read before its annotation was there, and the decision whose the release is falls after that.
#[test]
fn a_release_that_is_taken_over_is_marked_before_anything_else() {
    for words in ["deployed=now", "deployed=old", "deployed=old pending-upgrade=now", "failed=now:NotReady:1@0"] {
        let revision = history(words).last().expect("a revision").revision;
        assert_eq!(taking_over(words), Plan::Mark { revision }, "{words}");
    }
    // The marks are lost: nothing says whose it is, or for what it was made.
    assert_eq!(taking_over("deployed=old deployed"), Plan::Release(step(StepKind::Upgrade, 3, &[2])));
}

#[test]
fn what_a_failed_revision_created_is_cleaned_up_before_anything_else() {
    let mut revisions = history("deployed=old failed=now:NotReady:1@0");
    revisions[1].marks.as_mut().expect("marks").absent = Some(vec![1]);
    assert_eq!(planned(OWNER, &revisions, Prompt::default()), Plan::CleanUp { revision: 2 });
}

#[test]
fn a_restored_object_marks_its_release_anew() {
    let mut revisions = history("deployed=now");
    revisions[0].marks.as_mut().expect("marks").uid = "of-the-lost-one".to_owned();
    assert_eq!(planned(OWNER, &revisions, Prompt::default()), Plan::Mark { revision: 1 });
}

/// What comes after a failure: the attempt that is made, or the seconds until it is.
fn after(words: &str, prompt: Prompt) -> Result<u32, i64> {
    match planned(OWNER, &history(words), prompt) {
        Plan::Release(step) => Ok(step.attempt),
        Plan::Stop(Stop::BackOff { next: NextAttempt { due, .. }, .. }) => Err(due.as_second() - NOW),
        other => panic!("{words}: {other:?}"),
    }
}

#[test]
fn one_failure_is_one_attempt_whatever_looks_at_it() {
    let (idle, asked) = (Prompt::default(), Prompt { asked: true, cleared: false, inspected: false });
    let cleared = Prompt { cleared: true, ..idle };
    for (words, prompt, expected) in [
        // 5 s, then twice as long each time, 5 % more or less by the object.
        ("failed=now:NotReady:1@0", idle, Err(4)),
        ("failed=now:NotReady:1@6", idle, Ok(2)),
        ("failed=now:NotReady:2@6", idle, Err(3)),
        ("failed=now:NotReady:4@30", idle, Err(8)),
        ("failed=now:NotReady:20@1000", idle, Err(726)),
        // What somebody must mend is tried once an interval.
        ("failed=now:FieldConflict:1@60", idle, Err(1666)),
        ("failed=now:FieldConflict:1@1900", idle, Ok(2)),
        // Who mended it need not wait: by asking, by a change of what it waited for, of the inputs, of the object.
        ("failed=now:FieldConflict:7@1", asked, Ok(8)),
        ("failed=now:ImmutableField:7@1", cleared, Ok(8)),
        ("failed=old:NotReady:7@1", idle, Ok(1)),
        // Who says not how it ended is not ours.
        ("failed@1", idle, Ok(1)),
        ("failed=now@1", idle, Ok(1)),
    ] {
        assert_eq!(after(words, prompt), expected, "{words:?} {prompt:?}");
    }
    let mut revisions = history("failed=now:NotReady:7@1");
    revisions[0].marks.as_mut().expect("marks").generation = GENERATION - 1;
    assert_eq!(planned(OWNER, &revisions, idle), Plan::Release(step(StepKind::Install, 2, &[1])));
}

#[test]
fn a_loop_ends_after_so_many_revisions() {
    let made = |revisions, since| {
        let mut history = history("superseded=old deployed");
        history[0].marks.as_mut().expect("marks").made = Made { since: at(since), revisions };
        history
    };
    let next = |history: &[RecordMeta], prompt| match planned(OWNER, history, prompt) {
        Plan::Release(step) => Ok((step.made.since.as_second(), step.made.revisions)),
        Plan::Stop(Stop::TooMany { until, .. }) => Err(until.as_second()),
        other => panic!("{other:?}"),
    };
    let (idle, asked) = (Prompt::default(), Prompt { asked: true, cleared: false, inspected: false });
    assert_eq!(next(&made(MOST_MADE - 1, NOW - 10), idle), Ok((NOW - 10, MOST_MADE)));
    assert_eq!(next(&made(MOST_MADE, NOW - 10), idle), Err(NOW - 10 + 3600));
    assert_eq!(next(&made(MOST_MADE, NOW - 3600), idle), Ok((NOW, 1)));
    assert_eq!(next(&made(MOST_MADE, NOW - 10), asked), Ok((NOW - 10, MOST_MADE + 1)));
    let mut of_an_older_generation = made(MOST_MADE, NOW - 10);
    of_an_older_generation[0].marks.as_mut().expect("marks").generation = GENERATION - 1;
    assert_eq!(next(&of_an_older_generation, idle), Ok((NOW, 1)));
    // Of whatever generation, with a rollback in between.
    let lately = |revisions, since| {
        let mut history = history("superseded=older superseded=old superseded=old deployed");
        let marks = history[1].marks.as_mut().expect("marks");
        (marks.generation, marks.lately) = (GENERATION - 1, Made { since: at(since), revisions });
        history[2].marks.as_mut().expect("marks").generation = GENERATION - 1;
        history
    };
    assert_eq!(next(&lately(MOST_LATELY - 1, NOW - 10), idle), Ok((NOW, 1)));
    assert_eq!(next(&lately(MOST_LATELY, NOW - 10), idle), Err(NOW - 10 + 3600));
    assert_eq!(next(&lately(MOST_LATELY, NOW - 3600), idle), Ok((NOW, 1)));
    assert_eq!(next(&lately(MOST_LATELY, NOW - 10), asked), Ok((NOW, 1)));
}

#[test]
fn a_time_that_is_yet_to_come_is_not_waited_for() {
    let month = 30 * 24 * 3600;
    let ahead = |words: &str, made_ago: i64| {
        let mut history = history(words);
        let last = history.last_mut().expect("a revision");
        (last.created_at, last.modified_at) = (Some(at(NOW - made_ago)), Some(at(NOW + month)));
        history
    };
    let idle = Prompt::default();
    let lock = FOREIGN_LOCK.as_secs();
    for (made_ago, left) in [(60, Some(lock - 60)), (i64::try_from(lock).expect("seconds") + 1, None)] {
        let is_left = match planned(OWNER, &ahead("deployed=now pending-upgrade@0", made_ago), idle) {
            Plan::Stop(Stop::AwaitOther { remaining, .. }) => Some(remaining.as_secs()),
            _ => None,
        };
        assert_eq!(is_left, left, "made {made_ago} seconds ago");
    }
    let failed = "deployed=old failed=now:NotReady:1@0";
    let Plan::Stop(Stop::BackOff { next, .. }) = planned(OWNER, &ahead(failed, 1), idle) else { panic!("too early") };
    assert!(next.due < at(NOW + 3600), "{}", next.due);
    let due = planned(OWNER, &ahead(failed, 100_000), idle);
    assert!(matches!(due, Plan::Release(_)), "{due:?}");
    let mut many = history("superseded=old deployed");
    many[0].marks.as_mut().expect("marks").made = Made { since: at(NOW + month), revisions: MOST_MADE };
    assert!(matches!(planned(OWNER, &many, idle), Plan::Release(Step { made: Made { revisions: 1, .. }, .. })));
}

#[test]
fn every_reason_can_be_read_back_from_a_record() {
    for reason in Reason::ALL {
        assert_eq!(Reason::parse(&reason.to_string()), Some(*reason));
    }
    assert_eq!(Reason::parse("Superseded"), None);
}

#[test]
fn a_new_revision_replaces_what_may_stand_and_no_more_than_fits() {
    let mut revisions = history("deployed=old failed=a failed=b failed=c");
    for meta in [1, 3] {
        let marks = revisions[meta].marks.as_mut().expect("marks");
        (marks.unapplied, marks.ended) = (true, Some("HookFailed".to_owned()));
    }
    assert_eq!(super::standing(&revisions), [1, 3, 4], "the last is read, though nothing of it stands");
    let many = history(&format!("superseded=old deployed=old {}", "failed=a ".repeat(100)));
    let standing = super::standing(&many);
    assert_eq!((standing.len(), standing[0], standing.last()), (MOST_STANDING + 2, 2, Some(&102)));
}

#[test]
fn what_somebody_changed_is_looked_at_where_nothing_else_is_to_be_done() {
    let identity = identity(OWNER);
    for (words, expected) in [
        ("deployed=now", Some(1)),
        ("failed=old deployed=now", Some(2)),
        // The objects are those of a revision that is not deployed, or not ours, or about to be replaced.
        ("deployed=old failed=now:NotReady:1@1", None),
        ("deployed=old", None),
        ("deployed", None),
        ("pending-upgrade=now", None),
    ] {
        let revisions = history(words);
        let idle = facts(&identity, &revisions, Prompt::default(), Progress::Unknown);
        let planned = plan(&Facts { has_suspects: true, ..idle });
        match expected {
            Some(revision) => assert_eq!(planned, Plan::Inspect { revision }, "{words}"),
            None => assert_eq!(planned, plan(&idle), "{words}"),
        }
    }
    // What is declared now waits for others; what is deployed is looked at.
    let revisions = history("deployed=old");
    let blocked = Facts {
        has_suspects: true,
        is_blocked: true,
        ..facts(&identity, &revisions, Prompt::default(), Progress::Unknown)
    };
    assert_eq!(plan(&blocked), Plan::Inspect { revision: 1 });
    // So it is behind upgrades that ended before anything of them was applied, while the next is not due.
    for (unapplied, expected) in [(true, Some(1)), (false, None)] {
        let mut revisions = history("deployed=old failed=now:ChartRefused:1@1 failed=now:ChartRefused:2@1");
        for marks in revisions.iter_mut().skip(1).filter_map(|meta| meta.marks.as_mut()) {
            marks.unapplied = unapplied;
        }
        let idle = facts(&identity, &revisions, Prompt::default(), Progress::Unknown);
        assert!(matches!(plan(&idle), Plan::Stop(Stop::BackOff { revision: 3, .. })), "{:?}", plan(&idle));
        let planned = plan(&Facts { has_suspects: true, ..idle });
        assert_eq!(planned, expected.map_or_else(|| plan(&idle), |revision| Plan::Inspect { revision }), "{unapplied}");
    }
}

#[test]
fn what_somebody_else_made_is_held_for_one_generation_until_a_person_asks() {
    let identity = identity(OWNER);
    let planned = |held: Option<i64>, asked: bool| {
        let mut revisions = history("superseded=now deployed");
        revisions[1].held = held;
        let prompt = Prompt { asked, ..Prompt::default() };
        plan(&facts(&identity, &revisions, prompt, Progress::Unknown))
    };
    let goes_on = Plan::Release(step(StepKind::Upgrade, 3, &[2]));
    assert_eq!(planned(Some(GENERATION), false), Plan::Stop(Stop::Hold { revision: 2 }));
    assert_eq!(planned(Some(GENERATION), true), Plan::EndHold { revision: 2 });
    assert_eq!(planned(Some(0), true), goes_on);
    assert_eq!(planned(Some(GENERATION - 1), false), goes_on);
    assert_eq!(planned(None, false), goes_on);
}

#[test]
fn an_uninstall_that_is_taken_up_again_is_of_what_it_was_begun_with() {
    for (words, expected) in [
        ("superseded=a uninstalling=b", vec![2]),
        ("superseded=a uninstalling", vec![2]),
        ("superseded=a superseded=b deployed=c uninstalling=d:NotReady", vec![3, 4]),
        ("deployed=a uninstalling=b", vec![1, 2]),
        ("superseded=a superseded=b uninstalling=c:NotReady", vec![2, 3]),
        ("uninstalling=a", vec![1]),
    ] {
        assert_eq!(standing(&history(words)), expected, "{words}");
    }
}
