use super::*;

fn release(name: &str) -> Release {
    Release { namespace: "ns".to_owned(), name: name.to_owned() }
}

fn object(name: &str) -> Named {
    let text = str::to_owned;
    Named { api_version: text("v1"), kind: text("ConfigMap"), namespace: text("ns"), name: text(name) }
}

fn written(status: Status, ours: bool, objects: &[&str]) -> Written {
    let marks = if ours { BTreeMap::from([("owner".to_owned(), "ns/r".to_owned())]) } else { BTreeMap::new() };
    let objects = objects.iter().map(|name| object(name)).collect();
    Written { status, description: String::new(), marks, hooks: Vec::new(), objects }
}

/// Events from words: `2=deployed` writes revision 2, `2=superseded!` does so as a person's Helm would, `-2` deletes it,
/// `2'=failed` writes a second Secret of that number. Each record holds an object of its revision's name.
fn events(name: &str, words: &str) -> Vec<Event> {
    let event = |(at, word): (u64, &str)| {
        let (number, what) = match word.strip_prefix('-') {
            Some(number) => (number, None),
            None => word.split_once('=').map(|(number, status)| (number, Some(status))).expect("number=status"),
        };
        let revision = number.trim_end_matches('\'').parse().expect("a number");
        let what = what.map_or(What::Deleted, |status| {
            let (ours, status) = (!status.ends_with('!'), status.trim_end_matches('!'));
            let status = match status {
                "pending" => Status::PendingUpgrade,
                status => Status::from(status),
            };
            What::Written(Box::new(written(status, ours, &[&format!("{name}-{revision}")])))
        });
        Event { at, release: release(name), revision, uid: format!("{name}-{number}"), what }
    };
    (1..).zip(words.split_whitespace()).map(event).collect()
}

fn faults(words: &str, end: End) -> Vec<String> {
    let told = check(&events("r", words), end).into_iter().map(|violation| violation.to_string());
    told.map(|told| told.replace("ns/r: ", "")).collect()
}

const INSTALLED: &str = "1=pending 1=pending 1=deployed";

#[test]
fn lives_as_they_should_be_have_no_fault() {
    for words in [
        "",
        INSTALLED,
        "1=pending 1=deployed 2=pending 1=superseded 2=deployed 3=pending 2=superseded 3=deployed -1",
        "1=pending 1=failed 2=pending 2=failed -1 3=pending 3=deployed -2",
        "1=pending 1=deployed 2=pending 2=failed 3=pending 3=failed",
        "1=pending 1=deployed 2=pending 2=superseded 3=pending 1=superseded 3=deployed",
        "1=pending 1=deployed 1=uninstalling -1 1'=pending 1'=deployed",
        "1=pending 1=deployed 2=pending 2=failed 2=uninstalling -1 -2",
        "1=pending 1=uninstalling -1",
        "1=pending 1=deployed 1=uninstalling 1=uninstalled 2=pending 2=deployed",
        // A person: upgrades what only failed, replaces what was uninstalled, rolls back.
        "1=pending! 1=failed! 2=pending! 1=superseded! 2=deployed!",
        "1=pending! 1=uninstalling! 1=uninstalled! 2=pending! 1=superseded! 2=deployed!",
        "1=pending 1=deployed 2=pending-rollback! 1=superseded! 2=deployed! 2=deployed",
    ] {
        assert_eq!(faults(words, End::Settled), Vec::<String>::new(), "{words}");
    }
}

#[test]
fn each_fault_is_seen() {
    for (words, fault) in [
        ("2=pending 2=deployed", "revision 2 came after 0"),
        ("1=pending 1=failed 3=pending 3=deployed", "revision 3 came after 1"),
        ("1=pending 1=failed 1'=pending 1'=deployed", "revision 1 was recorded a second time"),
        ("1=pending 1=deployed 2=pending 2=failed -2 2'=pending 2'=failed", "revision 2 was recorded a second time"),
        ("1=deployed", "revision 1 began as deployed"),
        ("1=pending 2=pending 1=failed 2=deployed", "revision 2 was begun while 1 was pending"),
        ("1=pending 1=failed 1=deployed", "revision 1 went from failed to deployed"),
        ("1=pending 1=deployed 1=failed 2=pending 2=deployed", "revision 1 went from deployed to failed"),
        ("1=pending 1=deployed 2=pending 1=superseded 2=deployed 1=deployed 1=superseded", "superseded to deployed"),
        ("1=pending 1=failed 2=pending 1=superseded 2=deployed", "revision 1 went from failed to superseded"),
        ("1=pending 1=deployed 2=pending 2=deployed 1=superseded", "revisions [1, 2] are deployed at once"),
        ("1=pending 1=deployed 2=pending 2=failed -1", "revision 1 was deleted while deployed"),
        ("1=pending 1=deployed 2=pending -2", "revision 2 was deleted while pending-upgrade"),
        ("1=pending", "revision 1 stays pending-upgrade"),
        ("1=pending 1=deployed 1=uninstalling", "revision 1 stays uninstalling"),
        ("1=pending 1=deployed 2=pending 1=superseded 2=failed", "no revision is deployed at the end"),
    ] {
        let found = faults(words, End::Settled);
        assert!(found.iter().any(|found| found.contains(fault)), "{words}: {found:?}");
    }
}

#[test]
fn what_must_hold_at_the_end_is_not_asked_before() {
    for words in ["1=pending", "1=pending 1=deployed 2=pending 1=superseded", "1=pending 1=deployed 1=uninstalling"] {
        assert_eq!(faults(words, End::Open), Vec::<String>::new(), "{words}");
        assert!(!faults(words, End::Settled).is_empty(), "{words}");
    }
}

#[test]
fn events_are_judged_in_the_order_of_their_writes() {
    let mut mixed = events("r", INSTALLED);
    mixed.reverse();
    assert_eq!(check(&mixed, End::Settled), []);
}

#[test]
fn releases_are_told_apart_counted_and_told() {
    let mut both = events("a", "1=pending 1=deployed 2=pending 1=superseded 2=deployed");
    both.extend(events("b", "1=pending 1=failed -1 1'=pending 1'=failed"));
    let counted = revisions(&both);
    assert_eq!((counted[&release("a")], counted[&release("b")]), (2, 2));
    assert_eq!(history(&both, &release("a")), "1 superseded, 2 deployed");
    assert_eq!(history(&both, &release("b")), "1 failed");
    assert_eq!(history(&both, &release("c")), "");
    assert_eq!(check(&both, End::Settled), []);
}

#[test]
fn what_a_gone_release_had_must_be_gone_unless_another_has_it() {
    let all = "1=pending 1=deployed 2=pending 1=superseded 2=deployed 2=uninstalling -1 -2";
    let names = |events: &[Event]| remains(events).into_iter().map(|(_, object)| object.name).collect::<Vec<_>>();
    assert_eq!(names(&events("r", all)), ["r-1", "r-2"]);
    assert_eq!(names(&events("r", "1=pending 1=deployed")), Vec::<String>::new());
    assert_eq!(names(&events("r", &format!("{all} 1'=pending 1'=deployed"))), Vec::<String>::new());
    let mut moved = events("r", all);
    let mut heir = events("heir", INSTALLED);
    for event in &mut heir {
        if let What::Written(written) = &mut event.what {
            written.objects = BTreeSet::from([object("r-2")]);
        }
    }
    moved.extend(heir);
    assert_eq!(names(&moved), ["r-1"]);
}

#[test]
fn records_move_as_copies_and_what_was_not_copied_stays() {
    let copies = |copied: &str| {
        let mut all = events("r", "1=pending 1=deployed 2=pending 1=superseded 2=deployed");
        let from: Vec<(u32, String)> = all.iter().map(|event| (event.revision, event.uid.clone())).collect();
        for (revision, status) in [(1, Status::Superseded), (2, Status::Deployed)] {
            let mut moved = events("to", "1=pending").remove(0);
            let of = from.iter().find(|(number, _)| *number == revision).expect("it was written").1.clone();
            (moved.at, moved.revision, moved.uid) = (100 + u64::from(revision), revision, format!("to-{revision}"));
            let What::Written(written) = &mut moved.what else { panic!("it is written") };
            written.status = status;
            if copied.contains(&revision.to_string()) {
                written.marks.insert("copy-of".to_owned(), of);
            }
            all.push(moved);
        }
        for (revision, at) in [(1, 200), (2, 201)] {
            let mut gone = all.iter().find(|event| event.revision == revision).expect("it was written").clone();
            (gone.at, gone.what) = (at, What::Deleted);
            all.push(gone);
        }
        check(&all, End::Settled).len()
    };
    assert_eq!(copies("1 2"), 0);
    // The one that is deployed was begun as it may not, and deleted where it was.
    assert_eq!(copies("1"), 2);
}

/// A revision's story with one hook, from words: `run:T` and `ok:T` write the record with the hook's phase and start,
/// a status alone writes that, `job` creates the hook's Job.
fn hooked(hook_events: &[&str], words: &str) -> Vec<Violation> {
    let (mut events, mut jobs) = (Vec::new(), Vec::new());
    let mut hook = Hook {
        name: "hook".to_owned(),
        events: hook_events.iter().map(ToString::to_string).collect(),
        phase: String::new(),
        started_at: None,
    };
    let mut status = Status::PendingInstall;
    for (at, word) in (1..).zip(words.split_whitespace()) {
        match word.split_once(':') {
            Some((phase, start)) => {
                hook.phase = if phase == "ok" { "Succeeded" } else { "Running" }.to_owned();
                hook.started_at = Some(start.to_owned());
            }
            None if word == "job" => {
                jobs.push(JobMade { at, namespace: "ns".to_owned(), name: "hook".to_owned() });
                continue;
            }
            None => status = word.into(),
        }
        let written = Written { hooks: vec![hook.clone()], ..written(status, true, &[]) };
        let what = What::Written(Box::new(written));
        events.push(Event { at, release: release("r"), revision: 1, uid: "r-1".to_owned(), what });
    }
    hooks_run_again(&events, &jobs)
}

#[test]
fn a_hook_runs_once_for_each_of_its_events() {
    const ONE: &[&str] = &["pre-install", "pre-upgrade"];
    const TWO: &[&str] = &["pre-install", "post-install"];
    const LAST: &[&str] = &["post-install", "pre-delete"];
    for (events, words, again) in [
        (ONE, "pending-install run:1 job ok:1 deployed", 0),
        // Killed before the success was recorded: it may run again.
        (ONE, "pending-install run:1 job run:2 job ok:2 deployed", 0),
        (ONE, "pending-install run:1 job ok:1 run:2 job ok:2 deployed", 1),
        (TWO, "pending-install run:1 job ok:1 run:2 job ok:2 deployed", 0),
        (TWO, "pending-install run:1 job ok:1 run:2 job ok:2 run:3 job ok:3 deployed", 1),
        (LAST, "pending-install run:1 job ok:1 deployed uninstalling run:2 job ok:2", 0),
        (LAST, "pending-install run:1 job ok:1 deployed uninstalling run:2 job ok:2 run:3 job", 1),
    ] {
        assert_eq!(hooked(events, words).len(), again, "{events:?}: {words}");
    }
}
