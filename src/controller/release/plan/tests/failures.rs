//! What is done about revisions that failed.

use super::*;
use crate::controller::release::plan::{Barred, barred};

pub(super) fn remedied(revisions: &[RecordMeta], retries: Option<u32>, more: Remedies) -> Plan {
    let identity = identity(OWNER);
    let remedies = Remedies { rollback: true, rollback_last: true, upgrade_retries: retries, ..more };
    plan(&Facts { remedies, ..facts(&identity, revisions, Prompt::default(), Progress::Unknown) })
}

/// `words`, and a rollback to `to` after that, as `status`, which is the remedy for the last of them.
fn rolled_back(words: &str, to: u32, status: &str) -> Vec<RecordMeta> {
    let mut revisions = history(words);
    let failed = revisions.last().cloned().expect("a failed one");
    let marks = failed.marks.expect("marks");
    let mut rollback = meta(failed.revision + 1, &format!("{status}=old@1"));
    rollback.marks.as_mut().expect("marks").remedies = Some(Remedied {
        failed: failed.revision,
        to,
        attempt: marks.attempt,
        reason: marks.ended.expect("a reason"),
        declared: marks.declared,
        inputs: marks.inputs,
    });
    revisions.push(rollback);
    revisions
}

fn is_rollback(plan: &Plan, to: u32) -> bool {
    match plan {
        Plan::Release(Step { kind: StepKind::Rollback, remedies: Some(remedied), .. }) => remedied.to == to,
        _ => false,
    }
}

#[test]
fn nothing_goes_back_to_what_failed_its_tests_nor_behind_a_hook_that_was_completed() {
    let none = Remedies::default;
    let failed = history("superseded=older deployed=old failed=now:NotReady:1@0");
    let mut untested = failed.clone();
    let asked = String::new();
    untested[1].marks.as_mut().expect("marks").tested =
        Some(Tested { outcome: Outcome::Failed, ran: 1, declared: String::new(), asked });
    assert!(is_rollback(&remedied(&untested, None, Remedies { tests: true, ..none() }), 1));
    assert!(is_rollback(&remedied(&untested, None, none()), 2));
    let to_revision = Some(2);
    assert!(is_rollback(&remedied(&untested, None, Remedies { tests: true, to_revision, ..none() }), 2));
    // But for one that a person asked for.
    untested[1].marks.as_mut().and_then(|marks| marks.tested.as_mut()).expect("tests").asked = "now".to_owned();
    assert!(is_rollback(&remedied(&untested, None, Remedies { tests: true, ..none() }), 2));
    untested[1].marks.as_mut().and_then(|marks| marks.tested.as_mut()).expect("tests").asked.clear();
    // It stays deployed since a hook had completed: nothing goes back behind that.
    untested[1].marks.as_mut().expect("marks").hooked = true;
    let tests = Remedies { tests: true, ..none() };
    assert!(matches!(remedied(&untested, None, tests), Plan::Stop(Stop::BackOff { .. })));
    assert_eq!(barred(&untested, &Remedies { rollback: true, ..tests }), Some(Barred::Hooked(2)));
    assert_eq!(barred(&untested[1..], &Remedies { rollback: true, ..tests }), Some(Barred::Untested(2)));
    assert_eq!(barred(&failed, &Remedies { rollback: true, ..tests }), None);
    assert!(is_rollback(&remedied(&untested, None, Remedies { after_hooks: true, ..tests }), 1));
    // Where a person names the revision, that is known; not what came after the last that was deployed.
    let named = Remedies { to_revision: Some(1), ..tests };
    assert!(is_rollback(&remedied(&untested, None, named), 1));
    untested[2].marks.as_mut().expect("marks").hooked = true;
    assert!(matches!(remedied(&untested, None, named), Plan::Stop(Stop::BackOff { .. })));
}

#[test]
fn an_upgrade_that_failed_is_rolled_back_once_and_tried_again_so_often() {
    let none = Remedies::default;
    let failed = history("superseded=older deployed=old failed=now:NotReady:1@0");
    let next = remedied(&failed, None, none());
    assert!(is_rollback(&next, 2), "{next:?}");
    let Plan::Release(step) = next else { panic!("a rollback") };
    assert_eq!((step.revision, step.replaces), (4, vec![2, 3]));
    // Not an install, not where a hook was completed, not twice, not the last where that is declared.
    let next = remedied(&history("failed=now:NotReady:1@0"), None, none());
    assert!(matches!(next, Plan::Stop(Stop::BackOff { .. })), "{next:?}");
    let mut hooked = failed.clone();
    hooked[2].marks.as_mut().expect("marks").hooked = true;
    assert!(matches!(remedied(&hooked, None, none()), Plan::Stop(Stop::BackOff { .. })));
    assert!(is_rollback(&remedied(&hooked, None, Remedies { after_hooks: true, ..none() }), 2));
    // Nor where one was in an earlier attempt.
    let mut again = history("deployed=old failed=now:HookFailed:1@100 failed=now:HookFailed:2@0");
    assert!(is_rollback(&remedied(&again, None, none()), 1));
    again[1].marks.as_mut().expect("marks").hooked = true;
    assert!(matches!(remedied(&again, None, none()), Plan::Stop(Stop::BackOff { .. })));
    let left = plan(&Facts {
        remedies: Remedies { rollback: true, rollback_last: false, upgrade_retries: Some(0), ..none() },
        ..facts(&identity(OWNER), &failed, Prompt::default(), Progress::Unknown)
    });
    assert_eq!(left, Plan::Stop(Stop::Exhausted { revision: 3, attempts: 1 }));

    let words = "deployed=old failed=now:NotReady:2@100";
    let back = rolled_back(words, 1, "deployed");
    assert!(matches!(
        remedied(&back, None, none()),
        Plan::Stop(Stop::BackOff { revision: 2, next: NextAttempt { failed: 2, .. }, .. })
    ));
    assert_eq!(remedied(&back, Some(1), none()), Plan::Stop(Stop::Exhausted { revision: 2, attempts: 2 }));
    let mut due = back.clone();
    due[2].modified_at = Some(at(NOW - 100_000));
    let Plan::Release(step) = remedied(&due, Some(2), none()) else { panic!("it is due") };
    assert_eq!((step.kind, step.attempt, step.replaces), (StepKind::Upgrade, 3, vec![3]));
    // A rollback that failed is none the second time; one that was cut off goes on.
    let back = rolled_back(words, 1, "failed");
    assert!(matches!(remedied(&back, None, none()), Plan::Stop(Stop::BackOff { revision: 2, .. })));
    let back = rolled_back(words, 1, "pending-rollback");
    assert!(matches!(remedied(&back, None, none()), Plan::Resume(Step { kind: StepKind::Rollback, revision: 3, .. })));
    // What is declared by then is another: the rollback is ended, and what it went back to kept where that is it.
    let mut other = back.clone();
    other[2].marks.as_mut().expect("marks").remedies.as_mut().expect("a remedy").inputs = "other".to_owned();
    assert_eq!(remedied(&other, None, none()), Plan::Supersede { revision: 3 });
    let mut wanted = rolled_back("deployed=old failed=other:NotReady:2@100", 1, "deployed");
    wanted[2].marks.as_mut().expect("marks").inputs = "now".to_owned();
    assert_eq!(remedied(&wanted, None, none()), Plan::Keep { revision: 3 });
}

#[test]
fn attempts_are_as_many_as_are_declared() {
    let identity = identity(OWNER);
    let next = |words: &str, prompt: Prompt| {
        let remedies = Remedies { install_retries: Some(1), upgrade_retries: Some(0), ..Remedies::default() };
        let revisions = history(words);
        plan(&Facts { remedies, ..facts(&identity, &revisions, prompt, Progress::Unknown) })
    };
    let idle = Prompt::default();
    assert!(matches!(next("failed=now:NotReady:1@0", idle), Plan::Stop(Stop::BackOff { .. })));
    assert_eq!(next("failed=now:NotReady:2@100000", idle), Plan::Stop(Stop::Exhausted { revision: 1, attempts: 2 }));
    assert_eq!(
        next("deployed=old failed=now:NotReady:1@0", idle),
        Plan::Stop(Stop::Exhausted { revision: 2, attempts: 1 })
    );
    let asked = Prompt { asked: true, cleared: false, inspected: false };
    assert!(matches!(next("deployed=old failed=now:NotReady:1@0", asked), Plan::Release(_)), "a person asks for it");
    assert!(
        matches!(next("deployed=old failed=other:NotReady:9@0", idle), Plan::Release(_)),
        "something else is declared"
    );
}
