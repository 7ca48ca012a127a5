//! Records that say they are an object's, in namespaces in which none of it may be: they are not believed, and told of once.
//!
//! An operator that kept no list of the namespaces may have left them there, or somebody wrote or copied them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, PoisonError};

use crate::history::ReleaseKey;

/// What was told of each object, by its uid, in each cluster, as marks name it.
#[derive(Default)]
pub(crate) struct UnlistedRecords {
    told: Mutex<BTreeMap<(String, String), BTreeSet<ReleaseKey>>>,
}

impl UnlistedRecords {
    /// Those of `found` that are to be told of: all of them, where one is new.
    pub(crate) fn news(&self, (uid, cluster): (&str, String), found: BTreeSet<ReleaseKey>) -> BTreeSet<ReleaseKey> {
        let place = (uid.to_owned(), cluster);
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        if found.is_empty() {
            told.remove(&place);
            return found;
        }
        let before = told.insert(place, found.clone()).unwrap_or_default();
        if found.is_subset(&before) { BTreeSet::new() } else { found }
    }

    /// Forgets an object that is gone.
    pub(crate) fn forget(&self, uid: &str) {
        self.told.lock().unwrap_or_else(PoisonError::into_inner).retain(|(of, _), _| of != uid);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn they_are_told_once_for_each_that_is_new() {
        let unlisted_records = UnlistedRecords::default();
        let news = |namespaces: &[&str]| {
            let found = namespaces.iter().map(|namespace| ReleaseKey::new(namespace, "web")).collect();
            unlisted_records.news(("uid", String::new()), found).len()
        };
        assert_eq!([news(&["a"]), news(&["a"]), news(&["a", "b"]), news(&["b"]), news(&["b"])], [1, 0, 2, 0, 0]);
        assert_eq!([news(&["a", "b"]), news(&[]), news(&["a"])], [2, 0, 1]);
        unlisted_records.forget("uid");
        assert_eq!(news(&["a"]), 1);
    }
}
