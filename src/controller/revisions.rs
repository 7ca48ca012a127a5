//! What Helm's history of each release looks like, from a watch on the metadata of release Secrets.
//!
//! It saves each reconcile a list, and tells when somebody else (the Helm CLI) wrote. Our own writes are entered at
//! once, since the watch brings them later; an entry is never replaced by an older one.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::history::RecordMeta;

/// A release's namespace and name.
pub(crate) type Release = (String, String);

/// The revisions of every release in the cluster.
#[derive(Clone, Default)]
pub(crate) struct Revisions {
    releases: Arc<Mutex<BTreeMap<Release, BTreeMap<u32, RecordMeta>>>>,
}

impl Revisions {
    /// The revisions of one release, oldest first.
    pub(crate) fn of(&self, namespace: &str, name: &str) -> Vec<RecordMeta> {
        let key = (namespace.to_owned(), name.to_owned());
        self.lock().get(&key).map(|revisions| revisions.values().cloned().collect()).unwrap_or_default()
    }

    /// Enters a revision as written or as watched; whether that was news.
    pub(crate) fn enter(&self, release: Release, meta: RecordMeta) -> bool {
        let mut releases = self.lock();
        let revisions = releases.entry(release).or_default();
        let news = revisions.get(&meta.revision).is_none_or(|known| version(known) < version(&meta));
        if news {
            revisions.insert(meta.revision, meta);
        }
        news
    }

    /// Takes a revision out that was deleted; whether that was news.
    pub(crate) fn remove(&self, release: &Release, revision: u32) -> bool {
        let mut releases = self.lock();
        let Some(revisions) = releases.get_mut(release) else { return false };
        let news = revisions.remove(&revision).is_some();
        if revisions.is_empty() {
            releases.remove(release);
        }
        news
    }

    /// After a new list: takes out whatever it did not hold. Returns the releases that lost a revision.
    pub(crate) fn retain(&self, listed: &BTreeMap<Release, Vec<u32>>) -> Vec<Release> {
        let mut lost = Vec::new();
        self.lock().retain(|release, revisions| {
            let before = revisions.len();
            revisions.retain(|revision, _| listed.get(release).is_some_and(|listed| listed.contains(revision)));
            if revisions.len() < before {
                lost.push(release.clone());
            }
            !revisions.is_empty()
        });
        lost
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<Release, BTreeMap<u32, RecordMeta>>> {
        self.releases.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Kubernetes promises since 1.35 that resource versions of one kind compare as numbers.
fn version(meta: &RecordMeta) -> u64 {
    meta.resource_version.parse().unwrap_or(0)
}
