//! What Helm's history of each release looks like, from a watch on the metadata of release Secrets.
//!
//! It saves each reconcile a list, and tells when somebody else (the Helm CLI) wrote. Our own writes are no news, in
//! whatever order their answers and their watch events come: a write is registered before it is sent, what the watch
//! says of its record meanwhile is held until the answer, and only what the answer does not explain is news. A write
//! without a clear answer (a broken connection, a cancelled request) explains nothing: what was held is news then.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures::channel::mpsc::{UnboundedReceiver, UnboundedSender, unbounded};
use helm::release::Status;
use tokio::sync::Notify;

use crate::history::{RecordMeta, ReleaseKey};
use crate::metrics::HistoryBytes;

/// One record: a release and a revision.
type Key = (ReleaseKey, u32);

/// The revisions of every release in the cluster.
#[derive(Clone)]
pub(crate) struct Revisions {
    state: Arc<Mutex<State>>,
    news: UnboundedSender<ReleaseKey>,
    /// Notified whenever a write has ended.
    ended: Arc<Notify>,
}

#[derive(Default)]
struct State {
    releases: BTreeMap<ReleaseKey, BTreeMap<u32, Entry>>,
    /// The releases of which some revision is marked as made for an object (`namespace/name`), with how many are.
    owned: BTreeMap<String, BTreeMap<ReleaseKey, usize>>,
    /// Writes of ours that have no answer yet.
    writes: BTreeMap<Key, InFlight>,
    /// The uids of records that we deleted, and during which list, until the watch has told of it: what it says of them before
    /// is old.
    deleted: BTreeMap<Key, (String, u64)>,
    /// How many times the watch began a new list.
    lists: u64,
}

struct Entry {
    meta: RecordMeta,
    /// The list during which it was entered: one that was asked for earlier need not hold it.
    entered: u64,
}

/// Writes of one record that are under way, and the last thing the watch said of it meanwhile.
#[derive(Default)]
struct InFlight {
    writes: usize,
    /// For which objects (`namespace/name`).
    owners: BTreeSet<String>,
    held: Option<Seen>,
}

/// What the watch says of a record.
enum Seen {
    /// It is there, like this.
    Present(Box<RecordMeta>),
    /// The same in a list of all, with the number of that list.
    Listed(Box<RecordMeta>, u64),
    /// The one with this uid is gone.
    Gone(String),
}

impl Revisions {
    /// An empty store, and the releases that somebody else wrote, as they become known.
    pub(crate) fn new() -> (Self, UnboundedReceiver<ReleaseKey>) {
        let (news, told) = unbounded();
        (Self { state: Arc::default(), news, ended: Arc::default() }, told)
    }

    /// The revisions of one release, oldest first.
    pub(crate) fn of(&self, release: &ReleaseKey) -> Vec<RecordMeta> {
        let state = self.lock();
        state.releases.get(release).into_iter().flatten().map(|(_, entry)| entry.meta.clone()).collect()
    }

    /// The releases of that name, in whatever namespace their records are.
    pub(crate) fn named(&self, name: &str) -> Vec<ReleaseKey> {
        self.lock().releases.keys().filter(|release| release.name == name).cloned().collect()
    }

    /// The releases whose newest marked revision was made for the object `owner` (`namespace/name`) with this uid.
    pub(crate) fn owned_by(&self, owner: &str, uid: &str) -> Vec<ReleaseKey> {
        let state = self.lock();
        let is_newest = |release: &&ReleaseKey| {
            let revisions = state.releases.get(*release).into_iter().flatten();
            let mut marked = revisions.filter_map(|(_, entry)| entry.meta.marks.as_ref());
            marked.next_back().is_some_and(|marks| marks.owner == owner && marks.uid == uid)
        };
        state.owned.get(owner).into_iter().flat_map(BTreeMap::keys).filter(is_newest).cloned().collect()
    }

    /// Those of them that were not uninstalled, and their history kept.
    pub(crate) fn there(&self, owner: &str, uid: &str) -> Vec<ReleaseKey> {
        let mut releases = self.owned_by(owner, uid);
        releases.retain(|release| self.of(release).last().is_some_and(|last| last.status != Status::Uninstalled));
        releases
    }

    /// How many bytes they take, as far as that is known.
    pub(crate) fn bytes(&self) -> HistoryBytes {
        let state = self.lock();
        let of_release = |revisions: &BTreeMap<u32, Entry>| revisions.values().map(|entry| entry.meta.bytes).sum();
        let releases: Vec<u64> = state.releases.values().map(of_release).collect();
        HistoryBytes { all: releases.iter().sum(), largest: releases.iter().copied().max().unwrap_or_default() }
    }

    /// Registers a write of a record that is about to be sent. End it with [`Write::written`] or [`Write::deleted`];
    /// dropped, its outcome counts as unknown.
    pub(crate) fn write_for(&self, owner: &str, release: ReleaseKey, revision: u32) -> Write {
        let key = (release, revision);
        let mut state = self.lock();
        let in_flight = state.writes.entry(key.clone()).or_default();
        in_flight.writes += 1;
        in_flight.owners.insert(owner.to_owned());
        Write { revisions: self.clone(), key: Some(key) }
    }

    /// Resolves when no write of a record of this release, or for this object (`namespace/name`) wherever else, is under way: what a
    /// cancelled reconcile began is known then.
    pub(crate) async fn quiet(&self, release: Option<&ReleaseKey>, owner: &str) {
        loop {
            let ended = self.ended.notified();
            let concerns = |((written, _), in_flight): (&Key, &InFlight)| {
                Some(written) == release || in_flight.owners.contains(owner)
            };
            if !self.lock().writes.iter().any(concerns) {
                return;
            }
            ended.await;
        }
    }

    /// The watch shows a record.
    pub(crate) fn seen(&self, meta: RecordMeta) {
        let key = (meta.release.clone(), meta.revision);
        self.take(key, Seen::Present(Box::new(meta)));
    }

    /// The list that is under way holds a record.
    pub(crate) fn listed(&self, meta: RecordMeta) {
        let key = (meta.release.clone(), meta.revision);
        let list = self.lock().lists;
        self.take(key, Seen::Listed(Box::new(meta), list));
    }

    /// The watch says that a record is gone.
    pub(crate) fn gone(&self, meta: RecordMeta) {
        self.take((meta.release, meta.revision), Seen::Gone(meta.uid));
    }

    /// The watch begins a new list.
    pub(crate) fn list_begins(&self) {
        self.lock().lists += 1;
    }

    /// The list has ended: takes out what it did not hold, but for what we wrote since it was asked for.
    pub(crate) fn list_ended(&self, listed: &BTreeMap<ReleaseKey, Vec<u32>>) {
        let mut lost = Vec::new();
        let mut state = self.lock();
        let State { releases, owned, writes, deleted, lists } = &mut *state;
        deleted.clear();
        releases.retain(|release, revisions| {
            let before = revisions.len();
            revisions.retain(|revision, entry| {
                let stays = listed.get(release).is_some_and(|listed| listed.contains(revision))
                    || entry.entered == *lists
                    || writes.contains_key(&(release.clone(), *revision));
                if !stays {
                    disown(owned, release, &entry.meta);
                }
                stays
            });
            if revisions.len() < before {
                lost.push(release.clone());
            }
            !revisions.is_empty()
        });
        drop(state);
        for release in lost {
            self.tell(release);
        }
    }

    fn take(&self, key: Key, seen: Seen) {
        let mut state = self.lock();
        if let Some(in_flight) = state.writes.get_mut(&key) {
            in_flight.held = Some(seen);
            return;
        }
        let news = state.apply(&key, seen);
        drop(state);
        if news {
            self.tell(key.0);
        }
    }

    /// One write of `key` has ended: `outcome` is what its answer says, if it was clear.
    fn ended(&self, key: Key, outcome: Option<Seen>) {
        self.settle(key, outcome);
        self.ended.notify_waiters();
    }

    fn settle(&self, key: Key, outcome: Option<Seen>) {
        let mut state = self.lock();
        match outcome {
            Some(Seen::Present(meta) | Seen::Listed(meta, _)) => drop(state.enter(&key, *meta, None)),
            Some(Seen::Gone(_)) => {
                if let Some(uid) = state.uid(&key) {
                    let during = state.lists;
                    state.deleted.insert(key.clone(), (uid, during));
                }
                state.remove(&key);
            }
            None => {}
        }
        let Some(in_flight) = state.writes.get_mut(&key) else { return };
        in_flight.writes -= 1;
        if in_flight.writes > 0 {
            return;
        }
        let held = state.writes.remove(&key).and_then(|in_flight| in_flight.held);
        let news = held.is_some_and(|seen| state.apply(&key, seen));
        drop(state);
        if news {
            self.tell(key.0);
        }
    }

    fn tell(&self, release: ReleaseKey) {
        // A closed channel means that the process ends.
        drop(self.news.unbounded_send(release));
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Takes in what is said of a record; whether that was news.
    fn apply(&mut self, key: &Key, seen: Seen) -> bool {
        match seen {
            Seen::Present(meta) => self.enter(key, *meta, None),
            Seen::Listed(meta, list) => self.enter(key, *meta, Some(list)),
            // Another may have been made under its name since.
            Seen::Gone(uid) => {
                if self.deleted.get(key).is_some_and(|(deleted, _)| *deleted == uid) {
                    self.deleted.remove(key);
                }
                self.uid(key).is_some_and(|known| known == uid) && self.remove(key)
            }
        }
    }

    /// An entry is never replaced by an older one, but for one that stands in a list which was asked for after all that is
    /// known of the record was: then the cluster's store was put back to what it was before, and its versions with it.
    fn enter(&mut self, (release, revision): &Key, meta: RecordMeta, list: Option<u64>) -> bool {
        let is_before = |entered: u64| list.is_some_and(|list| entered < list);
        let deleted = self.deleted.get(&(release.clone(), *revision));
        if deleted.is_some_and(|(uid, during)| *uid == meta.uid && !is_before(*during)) {
            return false;
        }
        let entered = self.lists;
        let revisions = self.releases.entry(release.clone()).or_default();
        let news = revisions.get(revision).is_none_or(|known| {
            let is_another = version(&known.meta) != version(&meta) || known.meta.uid != meta.uid;
            version(&known.meta) < version(&meta) || is_another && is_before(known.entered)
        });
        if news {
            if let Some(marks) = &meta.marks {
                *self.owned.entry(marks.owner.clone()).or_default().entry(release.clone()).or_default() += 1;
            }
            if let Some(old) = revisions.insert(*revision, Entry { meta, entered }) {
                disown(&mut self.owned, release, &old.meta);
            }
        }
        news
    }

    fn remove(&mut self, (release, revision): &Key) -> bool {
        let Some(revisions) = self.releases.get_mut(release) else { return false };
        let removed = revisions.remove(revision);
        let news = removed.is_some();
        if let Some(old) = removed {
            disown(&mut self.owned, release, &old.meta);
        }
        if revisions.is_empty() {
            self.releases.remove(release);
        }
        news
    }

    fn uid(&self, (release, revision): &Key) -> Option<String> {
        Some(self.releases.get(release)?.get(revision)?.meta.uid.clone())
    }
}

/// A revision of `release` is no longer what `meta` says.
fn disown(owned: &mut BTreeMap<String, BTreeMap<ReleaseKey, usize>>, release: &ReleaseKey, meta: &RecordMeta) {
    let Some(marks) = &meta.marks else { return };
    let Some(releases) = owned.get_mut(&marks.owner) else { return };
    if let Some(count) = releases.get_mut(release) {
        *count -= 1;
        if *count == 0 {
            releases.remove(release);
        }
    }
    if releases.is_empty() {
        owned.remove(&marks.owner);
    }
}

/// A write of ours that is under way.
pub(crate) struct Write {
    revisions: Revisions,
    key: Option<Key>,
}

impl Write {
    /// The record is as `meta` says.
    pub(crate) fn written(mut self, meta: RecordMeta) {
        self.end(Some(Seen::Present(Box::new(meta))));
    }

    /// The record is gone.
    pub(crate) fn deleted(mut self) {
        // The watch has still to tell of it, or has already.
        self.end(Some(Seen::Gone(String::new())));
    }

    fn end(&mut self, outcome: Option<Seen>) {
        if let Some(key) = self.key.take() {
            self.revisions.ended(key, outcome);
        }
    }
}

impl Drop for Write {
    fn drop(&mut self) {
        self.end(None);
    }
}

/// Kubernetes promises since 1.35 that resource versions of one kind compare as numbers.
fn version(meta: &RecordMeta) -> u64 {
    meta.resource_version.parse().unwrap_or(0)
}

#[cfg(test)]
mod tests;
