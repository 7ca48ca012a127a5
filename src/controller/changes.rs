//! Tells a reconcile that its object changed while it goes on.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use super::matching::Key;

/// The reconciles that go on, by their object. A change concerns one of them: of thousands that wait for their slot the
/// others are not woken.
#[derive(Default)]
pub(crate) struct Changes {
    watched: Mutex<BTreeMap<Key, Arc<Notify>>>,
}

/// Hears of the changes of one object, for as long as it lives.
pub(crate) struct Watched<'a> {
    changes: &'a Changes,
    key: Key,
    notify: Arc<Notify>,
}

impl Changes {
    /// Begins to hear of the changes of an object. There is one reconcile for an object at a time.
    pub(crate) fn watch(&self, key: Key) -> Watched<'_> {
        let notify = Arc::new(Notify::new());
        self.lock().insert(key.clone(), Arc::clone(&notify));
        Watched { changes: self, key, notify }
    }

    /// An object changed, and what is known of it has been brought up to date.
    pub(crate) fn changed(&self, key: &Key) {
        if let Some(notify) = self.lock().get(key) {
            notify.notify_one();
        }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<Key, Arc<Notify>>> {
        self.watched.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Watched<'_> {
    /// Resolves after the next change, at once if there was one since the last call.
    pub(crate) async fn changed(&self) {
        self.notify.notified().await;
    }
}

impl Drop for Watched<'_> {
    fn drop(&mut self) {
        let mut watched = self.changes.lock();
        if watched.get(&self.key).is_some_and(|notify| Arc::ptr_eq(notify, &self.notify)) {
            watched.remove(&self.key);
        }
    }
}
