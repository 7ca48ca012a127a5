//! Answers that many callers ask for at once: one request in flight per key, its answer kept for a while.
//!
//! A caller that arrives while the same question is being asked waits for that answer, failure included; so does one
//! that comes within seconds of a failure, unless it wants an answer of now. When the asking caller is dropped (its deadline passed, its object changed),
//! the next in the queue asks. Failures are shared only between callers with the same access.

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::credentials::AccessKey;
use super::error::Error;

/// How long a failure answers callers that would take an older answer as well.
const FAILURE_AGE: Duration = Duration::from_secs(5);

/// Answers by key, within bounds.
pub(super) struct Flights<K, V> {
    bounds: Bounds<V>,
    slots: Mutex<BTreeMap<K, Entry<V>>>,
}

/// How much is kept.
pub(super) struct Bounds<V> {
    /// Most answers.
    pub(super) count: usize,
    /// Most bytes of all answers together; with none, nothing is kept.
    pub(super) bytes: usize,
    /// About how many bytes an answer takes.
    pub(super) weigh: fn(&V) -> usize,
}

struct Entry<V> {
    slot: Arc<Slot<V>>,
    used: Instant,
    bytes: usize,
}

type Slot<V> = tokio::sync::Mutex<Option<Landing<V>>>;

/// The last answer to one question.
struct Landing<V> {
    at: Instant,
    by: AccessKey,
    answer: Result<V, Error>,
}

impl<K: Ord + Clone, V: Clone> Flights<K, V> {
    /// Keeps answers within `bounds`; those longest unused go first.
    pub(super) fn new(bounds: Bounds<V>) -> Self {
        Self { bounds, slots: Mutex::default() }
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
                Err(error) if last.by == *by && (while_waiting || last.at.elapsed() < max_age.min(FAILURE_AGE)) => {
                    return Err(error.clone());
                }
                Ok(_) | Err(_) => {}
            }
        }
        // Boxed: the requests' futures are large, and would make every caller's as large.
        let answer = Box::pin(fetch).await;
        *landing = Some(Landing { at: Instant::now(), by: by.clone(), answer: answer.clone() });
        self.landed(key, &slot, answer.as_ref().map_or(0, self.bounds.weigh));
        answer
    }

    fn slot(&self, key: &K, now: Instant) -> Arc<Slot<V>> {
        let mut slots = self.lock();
        if !slots.contains_key(key) && slots.len() >= self.bounds.count {
            evict(&mut slots);
        }
        let entry = slots.entry(key.clone()).or_insert_with(|| Entry { slot: Arc::default(), used: now, bytes: 0 });
        entry.used = now;
        Arc::clone(&entry.slot)
    }

    /// Counts an answer of so many bytes, and makes room for it. Where nothing is kept its slot goes from the map;
    /// callers that wait on it still find the answer in it.
    fn landed(&self, key: &K, slot: &Arc<Slot<V>>, bytes: usize) {
        let mut slots = self.lock();
        let Some(entry) = slots.get_mut(key).filter(|entry| Arc::ptr_eq(&entry.slot, slot)) else { return };
        entry.bytes = bytes;
        if bytes > self.bounds.bytes || self.bounds.bytes == 0 {
            slots.remove(key);
            return;
        }
        let mut total: usize = slots.values().map(|entry| entry.bytes).sum();
        while total > self.bounds.bytes {
            let Some(freed) = evict(&mut slots) else { return };
            total -= freed;
        }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<K, Entry<V>>> {
        self.slots.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Removes the idle entry that was used longest ago, and tells its size; entries in flight stay.
fn evict<K: Ord + Clone, V>(slots: &mut BTreeMap<K, Entry<V>>) -> Option<usize> {
    let oldest = slots
        .iter()
        .filter(|(_, entry)| Arc::strong_count(&entry.slot) == 1)
        .min_by_key(|(_, entry)| entry.used)
        .map(|(key, _)| key.clone());
    slots.remove(&oldest?).map(|entry| entry.bytes)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;
    use crate::registry::{Access, Action, Attempt};

    fn flights(count: usize) -> Flights<u8, u8> {
        Flights::new(Bounds { count, bytes: 1000, weigh: |_| 1 })
    }

    fn failure() -> Error {
        Error::DigestNotFound { attempt: Attempt::new(Action::Resolve, &"x") }
    }

    #[tokio::test]
    async fn callers_at_the_same_time_share_one_request_and_its_failure() {
        let flights = flights(4);
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
        let flights = flights(4);
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
    async fn what_is_kept_is_bounded_by_its_bytes() {
        let flights = Flights::<u8, usize>::new(Bounds { count: 100, bytes: 100, weigh: |value| *value });
        let by = Access::default().key();
        let hour = Duration::from_hours(1);
        let put = async |key: u8, value: usize| flights.run(&key, &by, hour, std::future::ready(Ok(value))).await.ok();
        put(1, 60).await;
        put(2, 40).await;
        assert_eq!((put(1, 1).await, put(2, 2).await), (Some(60), Some(40)), "both fit");
        put(3, 50).await;
        assert_eq!((put(2, 2).await, put(3, 3).await), (Some(40), Some(50)), "the oldest made room");
        assert_eq!(put(4, 101).await, Some(101));
        assert_eq!(put(4, 7).await, Some(7), "what does not fit is given and not kept");
        let nothing = Flights::<u8, u8>::new(Bounds { count: 100, bytes: 0, weigh: |_| 0 });
        for value in [1, 2] {
            assert_eq!(nothing.run(&1, &by, hour, std::future::ready(Ok(value))).await.ok(), Some(value));
        }
    }

    #[tokio::test]
    async fn an_answer_of_now_serves_those_who_would_take_an_older_one() {
        let flights = flights(4);
        let by = Access::default().key();
        let ask = async |max_age: Duration, answer: Result<u8, Error>| {
            flights.run(&1, &by, max_age, std::future::ready(answer)).await.ok()
        };
        let minute = Duration::from_mins(1);
        assert_eq!(ask(Duration::ZERO, Ok(1)).await, Some(1), "a probe asks anew");
        assert_eq!(ask(minute, Ok(2)).await, Some(1), "and what it learned is kept");
        assert_eq!(ask(Duration::ZERO, Err(failure())).await, None);
        assert_eq!(ask(minute, Ok(3)).await, None, "a failure, too, for a moment");
        assert_eq!(ask(Duration::ZERO, Ok(4)).await, Some(4), "but not to who wants to know it now");
    }

    #[tokio::test]
    async fn an_answer_is_kept_for_its_age_and_no_longer_than_there_is_room() {
        let flights = flights(2);
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
        let flights = flights(2);
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
