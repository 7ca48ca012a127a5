//! What a person asks for, and what tests that fail lead to.

use super::failures::remedied;
use super::*;

fn forced(words: &str, answered: Option<&str>) -> Plan {
    let identity = identity(OWNER);
    let mut revisions = history(words);
    if let Some(marks) = revisions.last_mut().and_then(|last| last.marks.as_mut()) {
        marks.forced = answered.map(str::to_owned);
    }
    plan(&Facts { force: Some("again"), ..facts(&identity, &revisions, Prompt::default(), Progress::Unknown) })
}

#[test]
fn a_demand_for_one_more_revision_is_answered_once() {
    let more = |kind, revision, replaces: &[u32]| {
        Plan::Release(Step { forced: Some("again".to_owned()), ..step(kind, revision, replaces) })
    };
    assert_eq!(forced("deployed=now", None), more(StepKind::Upgrade, 2, &[1]));
    assert_eq!(forced("deployed=now", Some("before")), more(StepKind::Upgrade, 2, &[1]));
    assert_eq!(forced("deployed=now", Some("again")), Plan::Keep { revision: 1 });
    assert_eq!(forced("", None), more(StepKind::Install, 1, &[]));
    // What goes on ends first; what failed is tried again at once, and then no more than others.
    assert_eq!(forced("pending-install=now", None), resumed(StepKind::Install, 1, &[]));
    assert!(matches!(forced("failed=now:NotReady:3@0", None), Plan::Release(Step { attempt: 4, .. })));
    assert!(matches!(forced("failed=now:NotReady:3@0", Some("again")), Plan::Stop(Stop::BackOff { .. })));
}

#[test]
fn tests_that_fail_are_a_reason_to_go_back_where_that_is_declared() {
    let identity = identity(OWNER);
    let wanted = Tests::default();
    let failed = |asked: &str| {
        let mut revisions = history("superseded=old deployed=now");
        let tested = Tested { outcome: Outcome::Failed, ran: 1, declared: wanted.declared(), asked: asked.to_owned() };
        let marks = revisions[1].marks.as_mut().expect("marks");
        (marks.tested, marks.applied) = (Some(tested), true);
        revisions
    };
    let next = |revisions: &[RecordMeta], remedies: Remedies, asked: Option<&str>| {
        let mut tests = Tests::default();
        tests.asked = asked.map(str::to_owned);
        plan(&Facts {
            tests: Some(&tests),
            remedies,
            ..facts(&identity, revisions, Prompt::default(), Progress::Unknown)
        })
    };
    let back = Remedies { rollback: true, rollback_last: true, tests: true, ..Remedies::default() };
    let told = Plan::Stop(Stop::TestsFailed { revision: 2 });
    let Plan::Release(Step { kind, remedies: Some(remedied), .. }) = next(&failed(""), back, None) else {
        panic!("no rollback")
    };
    assert_eq!((kind, remedied.to, remedied.reason.as_str()), (StepKind::Rollback, 1, "TestFailed"));
    assert_eq!(next(&failed(""), Remedies { tests: false, ..back }, None), told);
    assert_eq!(next(&failed(""), Remedies { rollback: false, ..back }, None), told);
    // A run that a person asked for.
    assert_eq!(next(&failed("now"), back, Some("now")), told);
    // What was gone back to is not gone back from, whatever its tests say.
    let mut back_already = failed("");
    let of = Remedied {
        failed: 1,
        to: 1,
        attempt: 1,
        reason: "TestFailed".to_owned(),
        declared: String::new(),
        inputs: "now".to_owned(),
    };
    back_already[1].marks.as_mut().expect("marks").remedies = Some(of);
    assert_eq!(next(&back_already, back, None), told);
    // Nor what was only found to be as declared.
    let mut adopted = failed("");
    adopted[1].marks.as_mut().expect("marks").applied = false;
    assert_eq!(next(&adopted, back, None), told);
    let mut hooked = failed("");
    hooked[1].marks.as_mut().expect("marks").hooked = true;
    assert_eq!(next(&hooked, back, None), told);
}

#[test]
fn a_rollback_goes_where_it_is_declared_to_go() {
    let to = |words: &str, revision: u32| {
        let next = remedied(&history(words), None, Remedies { to_revision: Some(revision), ..Remedies::default() });
        let Plan::Release(Step { remedies: Some(remedied), .. }) = next else { panic!("{next:?}") };
        remedied.to
    };
    assert_eq!(to("superseded=a superseded=b deployed=c failed=now:NotReady", 1), 1);
    // What is gone, or never was deployed, is nothing to go back to.
    assert_eq!(to("superseded=a superseded=b deployed=c failed=now:NotReady", 9), 3);
    assert_eq!(to("superseded=a failed=b:NotReady deployed=c failed=now:NotReady", 2), 3);
}
