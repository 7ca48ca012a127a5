//! Who waits for several objects, and is woken for those that changed.

use std::collections::BTreeSet;
use std::sync::Mutex;

use tokio::sync::Notify;

use super::lock;

/// One who waits for several targets: woken for those that changed.
#[derive(Default)]
pub(in crate::cluster) struct Waiter {
    woken: Mutex<BTreeSet<usize>>,
    notify: Notify,
}

impl Waiter {
    /// Wakes for the target with this number.
    pub(in crate::cluster) fn wake(&self, number: usize) {
        lock(&self.woken).insert(number);
        self.notify.notify_one();
    }

    /// The targets that changed since they were last told, at least one and at most `limit` at a time.
    pub(in crate::cluster) async fn woken(&self, limit: usize) -> BTreeSet<usize> {
        loop {
            let woken = self.take(limit);
            if !woken.is_empty() {
                return woken;
            }
            self.notify.notified().await;
        }
    }

    fn take(&self, limit: usize) -> BTreeSet<usize> {
        let mut woken = lock(&self.woken);
        let rest = woken.iter().nth(limit).copied().map(|first| woken.split_off(&first)).unwrap_or_default();
        std::mem::replace(&mut *woken, rest)
    }
}
