//! The revisions of one release, and what follows from them. Pure.

use std::collections::BTreeSet;

use helm::release::Status;

use super::RecordMeta;

/// Most revisions since the one that was deployed last that are kept, and read, for what they may have left in the cluster.
/// Each is read whole when the next is made.
pub const MOST_STANDING: usize = 16;

impl RecordMeta {
    /// Whether nothing of it can stand in the cluster: it ended before anything of it was applied.
    pub fn left_nothing(&self) -> bool {
        self.marks.as_ref().is_some_and(|marks| marks.unapplied && !marks.applied && marks.ended.is_some())
    }

    /// Whether a hook before it was completed, which may have changed anything.
    pub fn is_hooked(&self) -> bool {
        self.marks.as_ref().is_some_and(|marks| marks.hooked)
    }

    /// Whether the revision was deployed once. One that we ended before it was complete never was, though Helm's word
    /// for it is the same as for one that another replaced.
    pub fn was_deployed(&self) -> bool {
        match self.status {
            Status::Deployed => true,
            Status::Superseded => self.marks.as_ref().is_none_or(|marks| marks.ended.is_none()),
            _ => false,
        }
    }
}

/// The revision of `revisions` (oldest first) whose objects are in the cluster, and meant to be: the last that left anything there, where
/// that is deployed. What a hook that was completed has changed, or taken away, is left as it is: a database may be migrated by half.
pub fn deployed(revisions: &[RecordMeta]) -> Option<&RecordMeta> {
    let last = revisions.iter().rfind(|meta| !meta.left_nothing() || meta.is_hooked());
    last.filter(|meta| meta.status == Status::Deployed)
}

/// The revisions to delete so that at most `max` of `revisions` (oldest first) are left; 0 means no limit.
///
/// Kept beyond the limit: the newest, which tells how the last attempt went; every deployed one; the last that was
/// deployed once, to which a rollback goes; of those since then the last of which a hook was completed; and of those whose objects may stand in the cluster one for
/// each set of inputs, since it alone tells what they are. Once a later revision was applied whole, what an earlier
/// one had and it does not have was deleted. Of those the last [`MOST_STANDING`]: a release that fails at each of a thousand
/// commits fails at the same objects.
pub fn surplus(revisions: &[RecordMeta], max: u32) -> Vec<u32> {
    let surplus = match usize::try_from(max) {
        Ok(max @ 1..) => revisions.len().saturating_sub(max),
        Ok(0) | Err(_) => 0,
    };
    let kept = kept(revisions);
    revisions.iter().map(|meta| meta.revision).filter(|revision| !kept.contains(revision)).take(surplus).collect()
}

fn kept(revisions: &[RecordMeta]) -> BTreeSet<u32> {
    let last_good = revisions.iter().rposition(RecordMeta::was_deployed);
    let deployed = revisions.iter().filter(|meta| meta.status == Status::Deployed);
    let mut kept: BTreeSet<u32> = deployed.map(|meta| meta.revision).collect();
    kept.extend(last_good.map(|at| revisions[at].revision));
    kept.extend(revisions.last().map(|meta| meta.revision));
    let mut known = BTreeSet::new();
    let since = revisions[last_good.map_or(0, |at| at + 1)..].iter().rev();
    // It keeps what is deployed from being gone back to.
    kept.extend(since.clone().find(|meta| meta.is_hooked()).map(|meta| meta.revision));
    for meta in since.filter(|meta| !meta.left_nothing() || meta.is_hooked()).take(MOST_STANDING) {
        let Some(marks) = &meta.marks else {
            kept.insert(meta.revision);
            continue;
        };
        if known.insert(marks.inputs.clone()) {
            kept.insert(meta.revision);
        }
        if marks.applied {
            break;
        }
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::history::{Marks, ReleaseKey};

    /// Revisions counted from 1: `failed` is somebody's, `failed=a` ours for inputs `a`, `failed=a+` one whose objects
    /// were all applied, `superseded!=a` one that we ended, `failed!=a-` one that ended before anything was applied.
    fn revisions(words: &str) -> Vec<RecordMeta> {
        let meta = |(word, revision): (&str, u32)| {
            let (status, inputs) = word.split_once('=').map_or((word, None), |(status, inputs)| (status, Some(inputs)));
            let (status, ended) = status.strip_suffix('!').map_or((status, None), |status| (status, Some("x")));
            let marks = inputs.map(|inputs| Marks {
                inputs: inputs.trim_end_matches(['+', '-']).to_owned(),
                unapplied: inputs.ends_with('-'),
                applied: inputs.ends_with('+'),
                ended: ended.map(str::to_owned),
                ..Marks::default()
            });
            RecordMeta { revision, status: status.into(), marks, ..RecordMeta::new(ReleaseKey::new("default", "demo")) }
        };
        words.split_whitespace().zip(1..).map(meta).collect()
    }

    #[test]
    fn a_revision_that_we_ended_was_never_deployed() {
        for (word, was_deployed) in [
            ("deployed", true),
            ("superseded", true),
            ("superseded=a", true),
            ("superseded!=a", false),
            ("failed", false),
            ("pending-upgrade=a", false),
            ("uninstalled", false),
        ] {
            assert_eq!(revisions(word)[0].was_deployed(), was_deployed, "{word}");
        }
    }

    #[test]
    fn deployed_is_what_is_behind_what_left_nothing() {
        for (words, expected) in [
            ("", None),
            ("superseded deployed=a", Some(2)),
            ("deployed=a failed!=b- superseded!=c-", Some(1)),
            // Something of it may have been applied; or it goes on.
            ("deployed=a failed!=b failed!=c-", None),
            ("deployed=a failed!=b+", None),
            ("deployed=a failed", None),
            ("deployed=a pending-upgrade=b-", None),
            ("deployed=a uninstalled", None),
        ] {
            assert_eq!(deployed(&revisions(words)).map(|meta| meta.revision), expected, "{words:?}");
        }
        let mut hooked = revisions("deployed=a failed!=b-");
        hooked[1].marks.as_mut().expect("marks").hooked = true;
        assert_eq!(deployed(&hooked), None);
        hooked.extend(
            revisions("failed!=c- failed!=d- failed!=e-")
                .into_iter()
                .map(|meta| RecordMeta { revision: meta.revision + 2, ..meta }),
        );
        assert_eq!((deployed(&hooked), surplus(&hooked, 2)), (None, vec![3, 4]));
        // Also behind one that was applied whole, or had the same inputs.
        let mut hooked = revisions("deployed=a failed!=b failed!=b+ failed!=b");
        hooked[1].marks.as_mut().expect("marks").hooked = true;
        assert_eq!(surplus(&hooked, 2), vec![3]);
    }

    #[test]
    fn the_oldest_go_first_and_what_may_stand_or_is_gone_back_to_stays() {
        for (words, max, expected) in [
            ("superseded superseded deployed", 2, vec![1]),
            ("superseded superseded deployed", 3, vec![]),
            ("superseded superseded deployed", 0, vec![]),
            // Attempts at the same inputs have the same objects: one record tells of them.
            ("deployed=a failed=b failed=b failed=b", 2, vec![2, 3]),
            ("failed=b failed=b", 1, vec![1]),
            // Others may have left other objects behind.
            ("deployed=a failed=b failed=c failed=d", 2, vec![]),
            ("failed=a failed=b", 1, vec![]),
            // What was applied whole has replaced what was there before it.
            ("deployed=a failed=b failed=c+ failed=d", 2, vec![2]),
            ("superseded superseded=a superseded!=b+ failed=c", 1, vec![1]),
            // Of a record without marks nobody knows what it has in common with others.
            ("deployed failed failed failed=c", 1, vec![]),
            // Killed between superseding the old one and deploying the new one: the old one is what was good last.
            ("superseded superseded=a failed=b failed=b", 1, vec![1, 3]),
            ("deployed deployed failed=a", 1, vec![]),
            // What ended in its hooks left nothing; the last tells how it went.
            ("deployed=a failed!=b- failed!=c- failed!=d-", 2, vec![2, 3]),
            ("failed!=b- failed!=c failed!=d-", 1, vec![1]),
        ] {
            assert_eq!(surplus(&revisions(words), max), expected, "{words}, at most {max}");
        }
    }

    #[test]
    fn a_release_that_fails_at_each_of_many_inputs_keeps_a_bounded_number() {
        let failed: Vec<String> = (0..500).map(|at| format!("failed!=i{at}")).collect();
        let surplus = surplus(&revisions(&format!("deployed=a {}", failed.join(" "))), 10);
        assert_eq!(surplus, (2..=501 - u32::try_from(MOST_STANDING).expect("a number")).collect::<Vec<_>>());
    }
}
