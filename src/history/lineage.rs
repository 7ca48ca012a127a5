//! The revisions of one release, and what follows from them. Pure.

use helm::release::Status;

use super::RecordMeta;

/// The revisions of one release in order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Lineage {
    /// From the oldest to the newest.
    records: Vec<RecordMeta>,
}

impl Lineage {
    /// Takes the revisions of one release in any order.
    pub fn new(mut records: Vec<RecordMeta>) -> Self {
        records.sort_by_key(|record| record.revision);
        Self { records }
    }

    /// The revisions from the oldest to the newest.
    pub fn records(&self) -> &[RecordMeta] {
        &self.records
    }

    /// The newest revision, whatever its status.
    pub fn newest(&self) -> Option<&RecordMeta> {
        self.records.last()
    }

    /// The newest revision that is deployed. There can be more than one if operations crossed.
    pub fn deployed(&self) -> Option<&RecordMeta> {
        self.records.iter().rev().find(|record| record.status == Status::Deployed)
    }

    /// The number of the revision to make next.
    pub fn next_revision(&self) -> u32 {
        self.newest().map_or(1, |newest| newest.revision.saturating_add(1))
    }

    /// The revision to go back to when `failed` did not work out: the newest before it that once was deployed.
    pub fn last_good_before(&self, failed: u32) -> Option<&RecordMeta> {
        let was_deployed = |record: &&RecordMeta| matches!(record.status, Status::Deployed | Status::Superseded);
        self.records.iter().rev().filter(|record| record.revision < failed).find(was_deployed)
    }

    /// The revisions to mark as superseded once `revision` is deployed: all others that are.
    pub fn superseded_by(&self, revision: u32) -> Vec<u32> {
        let others = self.records.iter().filter(|record| record.revision != revision);
        others.filter(|record| record.status == Status::Deployed).map(|record| record.revision).collect()
    }

    /// The revisions to delete so that at most `max` are left: the oldest, but never the last deployed one nor the
    /// newest, which tells how the last attempt went. 0 means no limit.
    pub fn surplus(&self, max: u32) -> Vec<u32> {
        let surplus = match usize::try_from(max) {
            Ok(max @ 1..) => self.records.len().saturating_sub(max),
            Ok(0) | Err(_) => 0,
        };
        let kept = [self.deployed(), self.newest()].map(|record| record.map(|record| record.revision));
        let revisions = self.records.iter().map(|record| record.revision);
        revisions.filter(|revision| !kept.contains(&Some(*revision))).take(surplus).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A lineage from its statuses, revisions counted from 1.
    fn lineage(statuses: &str) -> Lineage {
        let records = statuses.split_whitespace().zip(1..).map(|(status, revision)| RecordMeta {
            namespace: "default".to_owned(),
            release: "demo".to_owned(),
            revision,
            status: status.into(),
            marks: None,
            resource_version: String::new(),
            created_at: None,
        });
        let mut records: Vec<_> = records.collect();
        records.reverse();
        Lineage::new(records)
    }

    fn revision(record: Option<&RecordMeta>) -> Option<u32> {
        record.map(|record| record.revision)
    }

    #[test]
    fn an_empty_history_begins_at_one() {
        let empty = lineage("");
        assert_eq!((empty.next_revision(), empty.newest(), empty.deployed()), (1, None, None));
    }

    #[test]
    fn the_newest_and_the_deployed_are_told_apart() {
        for (statuses, newest, deployed) in [
            ("deployed", 1, Some(1)),
            ("superseded deployed failed", 3, Some(2)),
            ("deployed deployed pending-upgrade", 3, Some(2)),
            ("failed", 1, None),
        ] {
            let lineage = lineage(statuses);
            assert_eq!(revision(lineage.newest()), Some(newest), "{statuses}");
            assert_eq!(revision(lineage.deployed()), deployed, "{statuses}");
            assert_eq!(lineage.next_revision(), newest + 1);
        }
    }

    #[test]
    fn going_back_skips_what_never_worked() {
        for (statuses, failed, target) in [
            ("superseded deployed failed", 3, Some(2)),
            ("superseded failed pending-upgrade failed", 4, Some(1)),
            ("failed failed", 2, None),
            ("superseded uninstalled failed", 3, Some(1)),
            ("deployed", 1, None),
        ] {
            assert_eq!(revision(lineage(statuses).last_good_before(failed)), target, "{statuses}");
        }
    }

    #[test]
    fn success_supersedes_every_other_deployed_revision() {
        assert_eq!(lineage("deployed failed deployed pending-upgrade").superseded_by(4), [1, 3]);
        assert_eq!(lineage("deployed deployed").superseded_by(2), [1]);
        assert_eq!(lineage("superseded deployed").superseded_by(2), Vec::<u32>::new());
    }

    #[test]
    fn the_oldest_go_first_and_the_last_deployed_and_the_newest_stay() {
        for (statuses, max, surplus) in [
            ("superseded superseded deployed", 2, vec![1]),
            ("superseded superseded deployed", 3, vec![]),
            ("deployed failed failed failed", 2, vec![2, 3]),
            ("deployed failed failed", 1, vec![2]),
            ("deployed deployed failed", 1, vec![1]),
            ("failed failed", 1, vec![1]),
            ("failed failed", 0, vec![]),
        ] {
            assert_eq!(lineage(statuses).surplus(max), surplus, "{statuses}, at most {max}");
        }
    }
}
