//! Answers that many callers ask for at once: one request in flight per key, its answer kept for a while.
//!
//! A caller that arrives while the same question is being asked waits for that answer, failure included; the next
//! caller after a failure asks anew. When the asking caller is dropped (its deadline passed, its object changed),
//! the next in the queue asks. Failures are shared only between callers with the same access.

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::credentials::AccessKey;
use super::error::Error;

/// Answers by key, at most `capacity` of them.
pub(super) struct Flights<K, V> {
    capacity: usize,
    slots: Mutex<BTreeMap<K, Entry<V>>>,
}

struct Entry<V> {
    slot: Arc<Slot<V>>,
    used: Instant,
}

type Slot<V> = tokio::sync::Mutex<Option<Landing<V>>>;

/// The last answer to one question.
struct Landing<V> {
    at: Instant,
    by: AccessKey,
    answer: Result<V, Error>,
}

impl<K: Ord + Clone, V: Clone> Flights<K, V> {
    /// Keeps at most `capacity` answers; those longest unused go first.
    pub(super) fn new(capacity: usize) -> Self {
        Self { capacity, slots: Mutex::default() }
    }

    /// The answer for `key`: one not older than `max_age`, the one being fetched, or the one that `fetch` gives.
    pub(super) async fn run<F>(&self, key: &K, by: &AccessKey, max_age: Duration, fetch: F) -> Result<V, Error>
    where
        F: Future<Output = Result<V, Error>>,
    {
        let arrived = Instant::now();
        let slot = self.slot(key, arrived);
        let mut landing = slot.lock().await;
        if let Some(last) = landing.as_ref() {
            let while_waiting = last.at >= arrived;
            match &last.answer {
                Ok(value) if while_waiting || last.at.elapsed() < max_age => return Ok(value.clone()),
                Err(error) if while_waiting && last.by == *by => return Err(error.clone()),
                Ok(_) | Err(_) => {}
            }
        }
        // Boxed: the requests' futures are large, and would make every caller's as large.
        let answer = Box::pin(fetch).await;
        *landing = Some(Landing { at: Instant::now(), by: by.clone(), answer: answer.clone() });
        if answer.is_err() || max_age.is_zero() {
            self.forget(key, &slot);
        }
        answer
    }

    fn slot(&self, key: &K, now: Instant) -> Arc<Slot<V>> {
        let mut slots = self.lock();
        if !slots.contains_key(key) && slots.len() >= self.capacity {
            evict(&mut slots);
        }
        let entry = slots.entry(key.clone()).or_insert_with(|| Entry { slot: Arc::default(), used: now });
        entry.used = now;
        Arc::clone(&entry.slot)
    }

    /// Drops the slot from the map; callers that wait on it still find the answer in it.
    fn forget(&self, key: &K, slot: &Arc<Slot<V>>) {
        let mut slots = self.lock();
        if slots.get(key).is_some_and(|entry| Arc::ptr_eq(&entry.slot, slot)) {
            slots.remove(key);
        }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<K, Entry<V>>> {
        self.slots.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Removes the idle entry that was used longest ago; entries in flight stay.
fn evict<K: Ord + Clone, V>(slots: &mut BTreeMap<K, Entry<V>>) {
    let oldest = slots
        .iter()
        .filter(|(_, entry)| Arc::strong_count(&entry.slot) == 1)
        .min_by_key(|(_, entry)| entry.used)
        .map(|(key, _)| key.clone());
    if let Some(key) = oldest {
        slots.remove(&key);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;
    use crate::registry::{Access, Action, Attempt};

    fn failure() -> Error {
        Error::DigestNotFound { attempt: Attempt::new(Action::Resolve, &"x") }
    }

    #[tokio::test]
    async fn callers_at_the_same_time_share_one_request_and_its_failure() {
        let flights = Flights::<u8, u8>::new(4);
        let asked = AtomicUsize::new(0);
        let by = Access::default().key();
        let ask = || {
            flights.run(&1, &by, Duration::ZERO, async {
                asked.fetch_add(1, Ordering::Relaxed);
                tokio::task::yield_now().await;
                Err(failure())
            })
        };
        let (first, second, third) = tokio::join!(ask(), ask(), ask());
        assert!(first.is_err() && second.is_err() && third.is_err());
        assert_eq!(asked.load(Ordering::Relaxed), 1);
        assert!(ask().await.is_err());
        assert_eq!(asked.load(Ordering::Relaxed), 2, "a later caller asks anew");
    }

    #[tokio::test]
    async fn a_failure_of_other_credentials_is_not_mine() {
        let flights = Flights::<u8, u8>::new(4);
        let mine = Access::default().key();
        let theirs = Access { plain_http: true, ..Access::default() }.key();
        let refused = flights.run(&1, &theirs, Duration::ZERO, async {
            tokio::task::yield_now().await;
            Err(failure())
        });
        let allowed = flights.run(&1, &mine, Duration::ZERO, async { Ok(7) });
        let (refused, allowed) = tokio::join!(refused, allowed);
        assert!(refused.is_err());
        assert_eq!(allowed.ok(), Some(7));
    }

    #[tokio::test]
    async fn an_answer_is_kept_for_its_age_and_no_longer_than_there_is_room() {
        let flights = Flights::<u8, u8>::new(2);
        let by = Access::default().key();
        let hour = Duration::from_hours(1);
        let put = async |key: u8, value: u8| flights.run(&key, &by, hour, std::future::ready(Ok(value))).await.ok();
        assert_eq!(put(1, 10).await, Some(10));
        assert_eq!(put(1, 11).await, Some(10), "kept");
        put(2, 20).await;
        put(3, 30).await;
        assert_eq!(put(1, 12).await, Some(12), "the oldest went");
    }

    #[tokio::test]
    async fn when_the_asking_caller_goes_away_the_next_one_asks() {
        let flights = Flights::<u8, u8>::new(2);
        let by = Access::default().key();
        let hung = flights.run(&1, &by, Duration::ZERO, std::future::pending());
        let next = async { flights.run(&1, &by, Duration::ZERO, async { Ok(1) }).await };
        let both = async {
            let gone = tokio::time::timeout(Duration::from_millis(1), hung);
            tokio::join!(gone, next)
        };
        let (gone, next) = both.await;
        assert!(gone.is_err());
        assert_eq!(next.ok(), Some(1));
    }
}
