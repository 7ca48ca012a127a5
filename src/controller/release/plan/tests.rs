use std::time::Duration;

use k8s_openapi::jiff::Timestamp;

use super::{FOREIGN_LOCK, Plan, Step, StepKind, plan};
use crate::history::{Marks, RecordMeta};

const OWNER: &str = "apps/web";
const NOW: i64 = 1_000_000;

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_second(seconds).expect("a small number of seconds")
}

/// A history from `status` words, one revision each: `deployed` is somebody's, `deployed=inputs` ours for these inputs,
/// `deployed@age` somebody's of that age in seconds.
fn history(words: &str) -> Vec<RecordMeta> {
    words
        .split_whitespace()
        .enumerate()
        .map(|(index, word)| meta(u32::try_from(index).expect("small") + 1, word))
        .collect()
}

fn meta(revision: u32, word: &str) -> RecordMeta {
    let (word, age) = word.split_once('@').unwrap_or((word, "100000"));
    let (status, inputs) = word.split_once('=').map_or((word, None), |(status, inputs)| (status, Some(inputs)));
    let marks = inputs.map(|inputs| Marks {
        owner: OWNER.to_owned(),
        uid: "uid".to_owned(),
        generation: 1,
        inputs: inputs.to_owned(),
        ..Marks::default()
    });
    RecordMeta {
        revision,
        status: status.into(),
        marks,
        created_at: Some(at(NOW - age.parse::<i64>().expect("an age"))),
        namespace: "apps".to_owned(),
        release: "web".to_owned(),
        resource_version: "1".to_owned(),
    }
}

fn step(kind: StepKind, revision: u32, replaces: &[u32]) -> Step {
    Step { kind, revision, replaces: replaces.to_vec() }
}

#[test]
fn every_history_has_one_next_step() {
    use StepKind::{Install, Upgrade};
    let lock = |revision, remaining| Plan::AwaitOther { revision, remaining: Duration::from_secs(remaining) };
    for (words, expected) in [
        ("", Plan::Release(step(Install, 1, &[]))),
        // Settled, and not.
        ("deployed=now", Plan::Keep { revision: 1 }),
        ("superseded=old deployed=now", Plan::Keep { revision: 2 }),
        ("deployed=old", Plan::Release(step(Upgrade, 2, &[1]))),
        ("deployed", Plan::Release(step(Upgrade, 2, &[1]))),
        ("superseded=now superseded=old deployed", Plan::Release(step(Upgrade, 4, &[3]))),
        // Failures: an install until something was deployed; objects of failed revisions are replaced too.
        ("failed=now", Plan::Release(step(Install, 2, &[1]))),
        ("failed=now failed=now", Plan::Release(step(Install, 3, &[1, 2]))),
        ("deployed=old failed=now failed=now", Plan::Release(step(Upgrade, 4, &[1, 2, 3]))),
        ("superseded=old", Plan::Release(step(Upgrade, 2, &[1]))),
        // Killed in the middle.
        ("pending-install=now", Plan::Resume(step(Install, 1, &[]))),
        ("failed=old pending-install=now", Plan::Resume(step(Install, 2, &[1]))),
        ("deployed=old pending-upgrade=now", Plan::Resume(step(Upgrade, 2, &[1]))),
        ("pending-install=old", Plan::Abandon { revision: 1 }),
        ("deployed=old pending-upgrade=older@1", Plan::Abandon { revision: 2 }),
        ("uninstalling=old@1", Plan::FinishUninstall { revision: 1 }),
        // Somebody else at work, and somebody who never came back.
        ("pending-install@60", lock(1, FOREIGN_LOCK.as_secs() - 60)),
        ("deployed=now pending-rollback@0", lock(2, FOREIGN_LOCK.as_secs())),
        ("deployed=now uninstalling@0", lock(2, FOREIGN_LOCK.as_secs())),
        ("deployed=now pending-upgrade@900", Plan::Abandon { revision: 2 }),
        ("uninstalling@900", Plan::FinishUninstall { revision: 1 }),
        // Uninstalled with its history kept: nothing of it is left to replace.
        ("superseded=old uninstalled=now", Plan::Release(step(Install, 3, &[]))),
        ("deployed=old uninstalled=now failed=now", Plan::Release(step(Install, 4, &[3]))),
        ("unknown", Plan::Release(step(Install, 2, &[1]))),
    ] {
        assert_eq!(plan(OWNER, "now", &history(words), at(NOW)), expected, "{words:?}");
    }
}

#[test]
fn a_revision_of_another_object_is_not_ours() {
    assert_eq!(
        plan("apps/other", "now", &history("deployed=now"), at(NOW)),
        Plan::Release(step(StepKind::Upgrade, 2, &[1]))
    );
}
