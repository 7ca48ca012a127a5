//! Objects that others refer to, such as the Secrets that repositories name: read once, and kept until a watch says that they
//! changed.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use kube::Resource;
use kube::api::Api;
use kube::core::NamespaceResourceScope;
use serde::de::DeserializeOwned;

use super::matching::Key;

/// The objects of one kind in use. Nothing is kept of any other.
pub(crate) struct Referents<K> {
    client: kube::Client,
    known: Mutex<BTreeMap<Key, Entry<K>>>,
    reads: AtomicU64,
}

/// What is known of one object.
enum Entry<K> {
    /// Somebody reads it, by this number; the answer is not there yet.
    Reading(u64),
    /// The answer: the object, or that there is none.
    Known(Option<Arc<K>>),
}

impl<K> Entry<K> {
    /// Whether this reader's answer is the one to keep: one that began later may have read something newer.
    fn is_read_by(&self, read: u64) -> bool {
        matches!(self, Self::Reading(number) if *number == read)
    }
}

impl<K> Referents<K>
where
    K: Resource<DynamicType = (), Scope = NamespaceResourceScope> + Clone + DeserializeOwned + std::fmt::Debug,
{
    /// An empty store.
    pub(crate) fn new(client: kube::Client) -> Self {
        Self { client, known: Mutex::default(), reads: AtomicU64::default() }
    }

    /// The object, or `None` if there is none.
    pub(crate) async fn get(&self, namespace: &str, name: &str) -> Result<Option<Arc<K>>, kube::Error> {
        let key = Key { namespace: namespace.to_owned(), name: name.to_owned() };
        if let Some(Entry::Known(object)) = self.lock().get(&key) {
            return Ok(object.clone());
        }
        // Noted before it is read: a change that arrives in between takes the note away again, and the answer,
        // which may be the old one, is then not kept.
        let read = self.reads.fetch_add(1, Ordering::Relaxed);
        self.lock().insert(key.clone(), Entry::Reading(read));
        let object = Api::<K>::namespaced(self.client.clone(), namespace).get_opt(name).await;
        let mut known = self.lock();
        match object {
            Ok(object) => {
                let object = object.map(Arc::new);
                if let Some(entry) = known.get_mut(&key).filter(|entry| entry.is_read_by(read)) {
                    *entry = Entry::Known(object.clone());
                }
                Ok(object)
            }
            Err(error) => {
                known.extract_if(.., |at, entry| *at == key && entry.is_read_by(read)).for_each(drop);
                Err(error)
            }
        }
    }

    /// Forgets an object that changed; whether it was known.
    pub(crate) fn forget(&self, key: &Key) -> bool {
        self.lock().remove(key).is_some()
    }

    /// Whether anything is known of an object.
    pub(crate) fn knows(&self, key: &Key) -> bool {
        self.lock().contains_key(key)
    }

    /// After a gap in the watch: forgets and returns those that are not as they are listed, by resource version.
    pub(crate) fn retain(&self, listed: &BTreeMap<Key, Option<String>>) -> Vec<Key> {
        let is_listed = |key: &Key, entry: &Entry<K>| match (entry, listed.get(key)) {
            (Entry::Known(Some(object)), Some(version)) => object.meta().resource_version == *version,
            (Entry::Known(None), None) => true,
            _ => false,
        };
        self.lock().extract_if(.., |key, entry| !is_listed(key, entry)).map(|(key, _)| key).collect()
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<Key, Entry<K>>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
