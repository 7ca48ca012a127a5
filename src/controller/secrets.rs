//! The Secrets that repositories name, read once and kept until a watch says they changed.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use k8s_openapi::api::core::v1::Secret;
use kube::api::Api;

use super::matching::Key;

/// The Secrets in use. Nothing is kept of any other Secret.
#[derive(Clone)]
pub(crate) struct Secrets {
    client: kube::Client,
    known: Arc<Mutex<BTreeMap<Key, Entry>>>,
    reads: Arc<AtomicU64>,
}

/// What is known of one Secret.
enum Entry {
    /// Somebody reads it, by this number; the answer is not there yet.
    Reading(u64),
    /// The answer: the Secret, or that there is none.
    Known(Option<Arc<Secret>>),
}

impl Entry {
    /// Whether this reader's answer is the one to keep: one that began later may have read something newer.
    fn is_read_by(&self, read: u64) -> bool {
        matches!(self, Self::Reading(number) if *number == read)
    }
}

impl Secrets {
    /// An empty store.
    pub(crate) fn new(client: kube::Client) -> Self {
        Self { client, known: Arc::default(), reads: Arc::default() }
    }

    /// The Secret, or `None` if there is none.
    pub(crate) async fn get(&self, namespace: &str, name: &str) -> Result<Option<Arc<Secret>>, kube::Error> {
        let key = Key { namespace: namespace.to_owned(), name: name.to_owned() };
        if let Some(Entry::Known(secret)) = self.lock().get(&key) {
            return Ok(secret.clone());
        }
        // Noted before it is read: a change that arrives in between takes the note away again, and the answer,
        // which may be the old one, is then not kept.
        let read = self.reads.fetch_add(1, Ordering::Relaxed);
        self.lock().insert(key.clone(), Entry::Reading(read));
        let secret = Api::<Secret>::namespaced(self.client.clone(), namespace).get_opt(name).await;
        let mut known = self.lock();
        match secret {
            Ok(secret) => {
                let secret = secret.map(Arc::new);
                if let Some(entry) = known.get_mut(&key).filter(|entry| entry.is_read_by(read)) {
                    *entry = Entry::Known(secret.clone());
                }
                Ok(secret)
            }
            Err(error) => {
                known.extract_if(.., |at, entry| *at == key && entry.is_read_by(read)).for_each(drop);
                Err(error)
            }
        }
    }

    /// Forgets a Secret that changed; whether it was known.
    pub(crate) fn forget(&self, key: &Key) -> bool {
        self.lock().remove(key).is_some()
    }

    /// Whether anything is known of a Secret.
    pub(crate) fn knows(&self, key: &Key) -> bool {
        self.lock().contains_key(key)
    }

    /// After a gap in the watch: forgets and returns those that are not as they are listed, by resource version.
    pub(crate) fn retain(&self, listed: &BTreeMap<Key, Option<String>>) -> Vec<Key> {
        let is_listed = |key: &Key, entry: &Entry| match (entry, listed.get(key)) {
            (Entry::Known(Some(secret)), Some(version)) => secret.metadata.resource_version == *version,
            (Entry::Known(None), None) => true,
            _ => false,
        };
        self.lock().extract_if(.., |key, entry| !is_listed(key, entry)).map(|(key, _)| key).collect()
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<Key, Entry>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
