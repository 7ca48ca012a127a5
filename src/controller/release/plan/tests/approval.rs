//! Steps that wait for approval.

use std::time::Duration;

use super::*;

/// What is planned where installs and upgrades wait for approval, and only `yes` has it.
fn gated(words: &str, planned: Option<&Planned>, asked: bool, has_suspects: bool) -> Plan {
    let (revisions, identity, gate) = (history(words), identity(OWNER), gate());
    let prompt = Prompt { asked, ..Prompt::default() };
    let facts = facts(&identity, &revisions, prompt, Progress::Unknown);
    plan(&Facts { gate: Some(&gate), planned, has_suspects, ..facts })
}

fn gate() -> Gate {
    Gate { approved: vec!["yes".to_owned()], expire_after: Duration::from_secs(100), ..Gate::default() }
}

fn kept(digest: &str, inputs: &str, revision: u32, age: i64) -> Planned {
    Planned {
        digest: digest.to_owned(),
        basis: gate().basis(inputs),
        revision,
        made: at(NOW - age),
        shown: "sha256:1".to_owned(),
    }
}

#[test]
fn a_step_that_has_to_be_approved_is_planned_first() {
    use StepKind::{Install, Upgrade};
    let (waiting, approved) = (kept("no", "now", 2, 10), kept("yes", "now", 2, 10));
    let upgrade = || step(Upgrade, 2, &[1]);
    for (words, planned, asked, expected) in [
        ("", None, false, Plan::Propose(step(Install, 1, &[]))),
        ("deployed=old", None, false, Plan::Propose(upgrade())),
        ("deployed=old", Some(waiting.clone()), false, Plan::Stop(Stop::AwaitApproval(waiting.clone()))),
        ("deployed=old", Some(approved.clone()), false, Plan::CarryOut(upgrade())),
        // A person asks: a plan that waits is made anew, one that is approved is carried out.
        ("deployed=old", Some(waiting.clone()), true, Plan::Propose(upgrade())),
        ("deployed=old", Some(approved.clone()), true, Plan::CarryOut(upgrade())),
        // For other inputs, for another revision, too late.
        ("deployed=old", Some(kept("yes", "old", 2, 10)), false, Plan::Propose(upgrade())),
        ("deployed=old", Some(kept("yes", "now", 3, 10)), false, Plan::Propose(upgrade())),
        ("deployed=old", Some(kept("yes", "now", 2, 100)), false, Plan::Propose(upgrade())),
        ("deployed=old", Some(kept("yes", "now", 2, 99)), false, Plan::CarryOut(upgrade())),
        // Of one of an older operator it is not known what was shown.
        (
            "deployed=old",
            Some(Planned { shown: String::new(), ..kept("yes", "now", 2, 10) }),
            false,
            Plan::Propose(upgrade()),
        ),
        // One that waits for too long stays: somebody may look at it.
        (
            "deployed=old",
            Some(kept("no", "now", 2, 100)),
            false,
            Plan::Stop(Stop::AwaitApproval(kept("no", "now", 2, 100))),
        ),
        // What was begun is gone on with, and what is settled needs nothing.
        ("deployed=old pending-upgrade=now", Some(approved.clone()), false, resumed(Upgrade, 2, &[1])),
        ("deployed=now", None, false, Plan::Keep { revision: 1 }),
    ] {
        assert_eq!(gated(words, planned.as_ref(), asked, false), expected, "{words} {planned:?} {asked}");
    }
    // Drift is set right before anything is planned, and while it waits.
    for planned in [None, Some(&waiting)] {
        assert_eq!(gated("deployed=old", planned, false, true), Plan::Inspect { revision: 1 });
    }
}

#[test]
fn what_was_approved_is_gone_on_with_in_the_ways_that_were_approved_alone() {
    let gone_on_with = |basis: &str, gate: Option<&Gate>| {
        let (mut revisions, identity) = (history("deployed=old pending-upgrade=now"), identity(OWNER));
        let marks = revisions[1].marks.as_mut().expect("marks");
        (marks.planned, marks.basis) = (Some("yes".to_owned()), basis.to_owned());
        plan(&Facts { gate, ..facts(&identity, &revisions, Prompt::default(), Progress::Open) })
    };
    let other = Gate { ways: "force".to_owned(), ..gate() };
    let supersede = Plan::Supersede { revision: 2 };
    for (basis, gate, expected) in [
        (gate().basis("now"), Some(&gate()), None),
        (gate().basis("now"), Some(&other), Some(&supersede)),
        // Nothing has to be approved any more; or the record is of an operator that did not write it.
        (gate().basis("now"), None, None),
        (String::new(), Some(&other), None),
    ] {
        let planned = gone_on_with(&basis, gate);
        match expected {
            Some(expected) => assert_eq!(planned, *expected, "{basis} {gate:?}"),
            None => assert!(matches!(planned, Plan::Await(_)), "{planned:?}"),
        }
    }
}

#[test]
fn the_remedy_of_an_approved_upgrade_needs_no_approval() {
    let (revisions, identity, gate) = (history("deployed=old failed=now:NotReady:1"), identity(OWNER), gate());
    let facts = facts(&identity, &revisions, Prompt::default(), Progress::Unknown);
    let remedies = Remedies { rollback: true, rollback_last: true, ..Remedies::default() };
    let planned = plan(&Facts { gate: Some(&gate), remedies, ..facts });
    assert!(matches!(&planned, Plan::Release(step) if step.kind == StepKind::Rollback), "{planned:?}");
}

#[test]
fn records_that_are_to_move_wait_for_approval_though_nothing_else_changes() {
    let (revisions, identity, gate) = (history("deployed=now"), identity(OWNER), gate());
    let facts = facts(&identity, &revisions, Prompt::default(), Progress::Unknown);
    let upgrade = step(StepKind::Upgrade, 2, &[1]);
    let planned = |planned: Option<&Planned>| plan(&Facts { gate: Some(&gate), moves: true, planned, ..facts });
    assert_eq!(planned(None), Plan::Propose(upgrade.clone()));
    assert_eq!(planned(Some(&kept("yes", "now", 2, 10))), Plan::CarryOut(upgrade));
}

#[test]
fn an_approval_that_fits_no_plan_is_told_unless_it_was_carried_out() {
    let told = |approved: &str, planned: Option<&str>| {
        let mut revisions = history("deployed=old");
        revisions[0].marks.as_mut().expect("marks").planned = planned.map(str::to_owned);
        let gate = Gate { approved: vec![approved.to_owned()], ..Gate::default() };
        gate.unfit("sha256:this", &revisions).unwrap_or_default()
    };
    let other = format!("sha256:{}", "0a".repeat(32));
    assert!(told(&other, None).contains("is not this plan"));
    assert_eq!(told(&other, Some(&other)), "");
    assert_eq!(told("sha256:this", None), "");
    assert!(told("yes", None).contains("its whole digest"));
}
