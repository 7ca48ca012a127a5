//! How many revisions were made of late, and why: for the bound of them. Pure.

use std::time::Duration;

use k8s_openapi::jiff::{SignedDuration, Timestamp};

use super::plan;
use super::validate::Identity;
use crate::history::{Counted, Made, RecordMeta, Why};

/// The most revisions made for one generation of an object within [`MADE_WITHIN`]. Attempts that fail come ever later
/// and stay far below it; it ends loops of another kind, such as two writers that undo each other.
pub(super) const MOST_MADE: u32 = 60;

/// The same whatever the generation: what is declared may be what two writers undo. Far more than people, or what they have at
/// work for them, come to.
pub(super) const MOST_LATELY: u32 = 120;

/// The time within which they count.
const MADE_WITHIN: Duration = Duration::from_hours(1);

/// What the newest revision tells that was made for this generation of the object.
pub(super) fn last(revisions: &[RecordMeta], identity: &Identity) -> Option<(Made, Why)> {
    let told = |meta: &RecordMeta| match (&meta.marks, &meta.counted) {
        (Some(marks), _) => (marks.owner == identity.owner && marks.generation == identity.generation)
            .then(|| (marks.made, marks.why.clone())),
        (None, Some(Counted { owner, generation, made, why })) => {
            (*owner == identity.owner && *generation == identity.generation).then(|| (*made, why.clone()))
        }
        (None, None) => None,
    };
    // Of another generation nothing counts, whatever is older.
    revisions.iter().rev().find(|meta| meta.marks.is_some() || meta.counted.is_some()).and_then(told)
}

/// How many revisions were made of late for the object, whatever its generation: of another one nothing else counts.
pub(super) fn lately(revisions: &[RecordMeta], identity: &Identity, now: Timestamp) -> Option<Made> {
    let mut counted = revisions.iter().rev().filter_map(|meta| meta.marks.as_ref());
    // A rollback is not counted.
    let newest = counted.find(|marks| marks.owner == identity.owner && marks.lately.revisions > 0)?;
    Some(newest.lately).filter(|made| is_recent(made, now))
}

/// What was counted of late, with one more.
pub(super) fn with_one_more(made: Option<Made>, now: Timestamp) -> Made {
    match made {
        Some(made) => Made { revisions: made.revisions.saturating_add(1), ..made },
        None => Made { since: Timestamp::from_second(now.as_second()).unwrap_or(now), revisions: 1 },
    }
}

/// When the counting begins anew.
pub(super) fn end(made: &Made) -> Option<Timestamp> {
    made.since.checked_add(SignedDuration::try_from(MADE_WITHIN).ok()?).ok()
}

/// Whether the counting goes on. What began at a time that is yet to come was counted by a clock that is wrong.
pub(super) fn is_recent(made: &Made, now: Timestamp) -> bool {
    !plan::is_to_come(made.since, now) && end(made).is_some_and(|end| now < end)
}

/// Why a revision is made now for `parts` and `inputs`, and why those before it were that `made` counts.
pub(super) fn why(
    made: Made,
    revisions: &[RecordMeta],
    identity: &Identity,
    (inputs, parts): (&str, &[(String, String)]),
) -> Why {
    let before = last(revisions, identity).filter(|_| made.revisions > 1).map(|(_, why)| why);
    let otherwise = match revisions.last().map(|newest| &newest.marks) {
        Some(None) => "somebody else made a revision",
        Some(Some(marks)) if marks.ended.is_some() => "an attempt failed, or was ended",
        Some(Some(marks)) if marks.inputs != inputs => "Kubernetes has another version",
        _ => "something else happened to the release",
    };
    Why::next(before.as_ref(), parts, otherwise)
}

/// That, in words: `58 since the values from Secret x changed, 2 since somebody else made a revision`.
pub(super) fn told(why: &Why) -> String {
    let causes = why.causes();
    let told: Vec<String> =
        causes.iter().take(5).map(|(cause, revisions)| format!("{revisions} since {cause}")).collect();
    told.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::history::{Marks, ReleaseKey};

    const OWNER: &str = "apps/web";

    fn identity(generation: i64) -> Identity {
        let release = ReleaseKey::new("apps", "web");
        let namespace = release.namespace.clone();
        Identity { release, namespace, cluster: None, owner: OWNER.to_owned(), uid: String::new(), generation }
    }

    fn meta(revision: u32, marks: Option<Marks>, counted: Option<Counted>) -> RecordMeta {
        RecordMeta {
            revision,
            status: "superseded".into(),
            marks,
            counted,
            ..RecordMeta::new(ReleaseKey::new("apps", "web"))
        }
    }

    /// Somebody's Helm and the operator, one after the other: Helm takes our marks away each time.
    #[test]
    fn revisions_are_counted_though_somebody_elses_alternate_with_ours() {
        let (identity, parts) = (identity(3), [("the values changed".to_owned(), "1".to_owned())]);
        let mut revisions = Vec::new();
        let mut made = Made { revisions: 1, ..Made::default() };
        let mut counted = why(made, &revisions, &identity, ("a", &parts));
        for round in 0..3 {
            revisions.push(meta(2 * round + 1, None, None));
            let note = Counted { owner: OWNER.to_owned(), generation: 3, made, why: counted.clone() };
            revisions.push(meta(2 * round + 2, None, (round > 0).then_some(note)));
            made = Made { revisions: made.revisions + 1, ..made };
            counted = match last(&revisions, &identity) {
                Some(_) => why(made, &revisions, &identity, ("a", &parts)),
                None => why(Made { revisions: 1, ..made }, &revisions, &identity, ("a", &parts)),
            };
        }
        assert_eq!(told(&counted), "2 since somebody else made a revision");
        let mut other = identity.clone();
        other.generation = 4;
        assert!(last(&revisions, &other).is_none(), "another generation");
    }

    #[test]
    fn what_led_to_a_revision_is_told_by_what_changed() {
        let (identity, parts) = (identity(3), [("the values changed".to_owned(), "1".to_owned())]);
        let before = Why::next(None, &parts, "");
        let marks = |ended: Option<&str>, inputs: &str| Marks {
            owner: OWNER.to_owned(),
            generation: 3,
            ended: ended.map(str::to_owned),
            inputs: inputs.to_owned(),
            why: before.clone(),
            ..Marks::default()
        };
        let made = Made { revisions: 2, ..Made::default() };
        for (marks, digest, expected) in [
            (marks(None, "a"), "2", "1 since the values changed"),
            (marks(Some("NotReady"), "a"), "1", "1 since an attempt failed, or was ended"),
            (marks(None, "b"), "1", "1 since Kubernetes has another version"),
            (marks(None, "a"), "1", "1 since something else happened to the release"),
        ] {
            let parts = [("the values changed".to_owned(), digest.to_owned())];
            let why = why(made, &[meta(1, Some(marks), None)], &identity, ("a", &parts));
            assert_eq!(told(&why), expected);
        }
    }
}
