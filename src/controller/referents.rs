//! Objects that others refer to, such as the Secrets that repositories name: read once, and kept until a watch says that they
//! changed, or there are too many of them. Of one that is not kept the version is, so that a change of it is known.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use kube::Resource;
use kube::api::Api;
use kube::core::NamespaceResourceScope;
use serde::de::DeserializeOwned;

use super::matching::Key;

/// The most bytes of objects of one kind that are kept.
const KEPT: usize = 16 << 20;

/// What is known of so many objects is kept in any case; beyond, it is asked now and then which of them are still in use.
const FEW: usize = 256;

/// The objects of one kind in use. Nothing is kept of any other.
pub(crate) struct Referents<K> {
    client: kube::Client,
    known: Mutex<Known<K>>,
    reads: AtomicU64,
}

/// What is known of the objects.
struct Known<K> {
    entries: BTreeMap<Key, Entry<K>>,
    /// How many bytes are kept.
    bytes: usize,
    /// Beyond so many entries it is asked which of them are in use.
    many: usize,
}

impl<K> Default for Known<K> {
    fn default() -> Self {
        Self { entries: BTreeMap::new(), bytes: 0, many: FEW }
    }
}

/// What is known of one object.
enum Entry<K> {
    /// Somebody reads it, by this number; the answer is not there yet.
    Reading(u64),
    /// There is none.
    Absent,
    /// It is there, at this version.
    There { version: Option<String>, kept: Option<Kept<K>> },
}

/// An object that is kept.
struct Kept<K> {
    object: Arc<K>,
    bytes: usize,
    /// When it was read, or used last, by a number.
    used: u64,
}

impl<K> Entry<K> {
    /// Whether this reader's answer is the one to keep: one that began later may have read something newer.
    fn is_read_by(&self, read: u64) -> bool {
        matches!(self, Self::Reading(number) if *number == read)
    }

    fn bytes(&self) -> usize {
        match self {
            Self::There { kept: Some(kept), .. } => kept.bytes,
            _ => 0,
        }
    }
}

impl<K> Known<K> {
    fn remove(&mut self, key: &Key) -> bool {
        let removed = self.entries.remove(key);
        self.bytes -= removed.as_ref().map_or(0, Entry::bytes);
        removed.is_some()
    }

    /// Keeps an object, and of those that were not used for the longest time the versions alone, where they are too large.
    fn keep(&mut self, key: &Key, version: Option<String>, kept: Kept<K>) {
        self.remove(key);
        if self.bytes + kept.bytes > KEPT {
            let mut used: Vec<(u64, Key)> = Vec::new();
            for (key, entry) in &self.entries {
                if let Entry::There { kept: Some(kept), .. } = entry {
                    used.push((kept.used, key.clone()));
                }
            }
            used.sort_unstable();
            // More than has to be, so that it is not done for each.
            for (_, key) in used {
                if self.bytes + kept.bytes <= KEPT / 2 {
                    break;
                }
                if let Some(Entry::There { kept, .. }) = self.entries.get_mut(&key) {
                    self.bytes -= kept.take().map_or(0, |kept| kept.bytes);
                }
            }
        }
        self.bytes += kept.bytes;
        self.entries.insert(key.clone(), Entry::There { version, kept: Some(kept) });
    }
}

/// About how many bytes an object has.
pub(crate) trait Weighed {
    /// That number.
    fn bytes(&self) -> usize;
}

impl Weighed for Secret {
    fn bytes(&self) -> usize {
        let data = self.data.iter().flatten().map(|(key, value)| key.len() + value.0.len());
        METADATA + data.sum::<usize>()
    }
}

impl Weighed for ConfigMap {
    fn bytes(&self) -> usize {
        let data = self.data.iter().flatten().map(|(key, value)| key.len() + value.len());
        let binary = self.binary_data.iter().flatten().map(|(key, value)| key.len() + value.0.len());
        METADATA + data.sum::<usize>() + binary.sum::<usize>()
    }
}

/// What an object has besides its data: annotations may be a quarter of a megabyte, and are a few lines.
const METADATA: usize = 2 << 10;

impl<K> Referents<K>
where
    K: Resource<DynamicType = (), Scope = NamespaceResourceScope>
        + Clone
        + DeserializeOwned
        + std::fmt::Debug
        + Weighed,
{
    /// An empty store.
    pub(crate) fn new(client: kube::Client) -> Self {
        Self { client, known: Mutex::default(), reads: AtomicU64::default() }
    }

    /// The object, or `None` if there is none.
    pub(crate) async fn get(&self, namespace: &str, name: &str) -> Result<Option<Arc<K>>, kube::Error> {
        let key = Key { namespace: namespace.to_owned(), name: name.to_owned() };
        // Noted before it is read: a change that arrives in between takes the note away again, and the answer,
        // which may be the old one, is then not kept.
        let read = self.reads.fetch_add(1, Ordering::Relaxed);
        match self.lock().entries.get_mut(&key) {
            Some(Entry::Absent) => return Ok(None),
            Some(Entry::There { kept: Some(kept), .. }) => {
                kept.used = read;
                return Ok(Some(Arc::clone(&kept.object)));
            }
            Some(Entry::There { kept: None, .. } | Entry::Reading(_)) | None => {}
        }
        let before = self.lock().entries.insert(key.clone(), Entry::Reading(read));
        let object = Api::<K>::namespaced(self.client.clone(), namespace).get_opt(name).await;
        let mut known = self.lock();
        let is_ours = known.entries.get(&key).is_some_and(|entry| entry.is_read_by(read));
        match object {
            Ok(Some(mut object)) => {
                object.meta_mut().managed_fields = None;
                let (version, bytes) = (object.meta().resource_version.clone(), object.bytes());
                let object = Arc::new(object);
                if is_ours {
                    known.keep(&key, version, Kept { object: Arc::clone(&object), bytes, used: read });
                }
                Ok(Some(object))
            }
            Ok(None) => {
                if is_ours {
                    known.entries.insert(key, Entry::Absent);
                }
                Ok(None)
            }
            Err(error) => {
                if is_ours {
                    // Nothing changed meanwhile.
                    known.entries.remove(&key);
                    known.entries.extend(before.map(|before| (key, before)));
                }
                Err(error)
            }
        }
    }

    /// Forgets an object that changed; whether it was known.
    pub(crate) fn forget(&self, key: &Key) -> bool {
        self.lock().remove(key)
    }

    /// Forgets what nobody names any more, where much is known: asked of each at most as often as there are new ones.
    pub(crate) fn forget_unused(&self, is_used: impl Fn(&Key) -> bool) {
        let known: Vec<Key> = {
            let known = self.lock();
            if known.entries.len() <= known.many {
                return;
            }
            known.entries.keys().cloned().collect()
        };
        let unused: Vec<&Key> = known.iter().filter(|key| !is_used(key)).collect();
        let mut known = self.lock();
        for key in unused {
            known.remove(key);
        }
        known.many = FEW.max(2 * known.entries.len());
    }

    /// Whether anything is known of an object.
    pub(crate) fn knows(&self, key: &Key) -> bool {
        self.lock().entries.contains_key(key)
    }

    /// After a gap in the watch: forgets and returns those that are not as they are listed, by resource version.
    pub(crate) fn retain(&self, listed: &BTreeMap<Key, Option<String>>) -> Vec<Key> {
        let is_listed = |key: &Key, entry: &Entry<K>| match (entry, listed.get(key)) {
            (Entry::There { version, .. }, Some(listed)) => version == listed,
            (Entry::Absent, None) => true,
            _ => false,
        };
        let mut known = self.lock();
        let others = known.entries.iter().filter(|(key, entry)| !is_listed(key, entry));
        let others: Vec<Key> = others.map(|(key, _)| key.clone()).collect();
        for key in &others {
            known.remove(key);
        }
        others
    }

    fn lock(&self) -> MutexGuard<'_, Known<K>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::{Entry, FEW, KEPT, Kept, Known};
    use crate::controller::matching::Key;

    fn key(at: usize) -> Key {
        Key { namespace: "apps".to_owned(), name: format!("map-{at:04}") }
    }

    fn keep(known: &mut Known<()>, at: usize, bytes: usize) {
        let kept = Kept { object: Arc::new(()), bytes, used: u64::try_from(at).expect("a number") };
        known.keep(&key(at), Some(format!("v{at}")), kept);
    }

    #[test]
    fn what_is_kept_is_bounded_and_versions_stay() {
        let mut known = Known::default();
        for at in 0..400 {
            keep(&mut known, at, 1 << 20);
            assert!(known.bytes <= KEPT);
        }
        let is_kept = |at| matches!(known.entries.get(&key(at)), Some(Entry::There { kept: Some(_), .. }));
        assert!(is_kept(399) && !is_kept(0), "those that were used last");
        assert!(known.entries.values().all(|entry| matches!(entry, Entry::There { version: Some(_), .. })));
        assert_eq!((known.entries.len(), known.many), (400, FEW));
        // The same again is no second one.
        let before = known.bytes;
        keep(&mut known, 399, 1 << 20);
        assert_eq!(known.bytes, before);
        for at in 0..400 {
            assert!(known.remove(&key(at)));
        }
        assert_eq!(known.bytes, 0);
    }
}
