//! Permits to work, or to send a request, shared fairly between namespaces.
//!
//! Of a thousand releases that were declared at once a few are worked on; the others queue. Who is next is decided
//! between namespaces, not between releases: next is the namespace that was at work for the shortest time so far. One that
//! comes late begins at the time of the one served last, so that it neither waits for what others did before nor owes them
//! anything. Before all of them go those who gave their permit back to wait for something, and go on now.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

/// A number of permits, and who waits for one. Cloning shares them.
#[derive(Clone)]
pub(crate) struct Permits {
    shared: Arc<Mutex<Shared>>,
}

struct Shared {
    free: usize,
    /// So many are given to namespaces alone that hold none: what is held is held until its work is done, and one
    /// namespace's work may take long.
    reserved: usize,
    /// Those who go on with what they began: they have it in memory until they are done.
    going_on: VecDeque<(String, oneshot::Sender<()>)>,
    /// The time of the namespace served last.
    floor: Duration,
    namespaces: BTreeMap<String, Share>,
}

/// Where one queues.
#[derive(Clone, Copy)]
enum Place {
    /// Before all who have not begun.
    Front,
    /// Where the namespace's turn is.
    Back,
}

/// A namespace's part.
#[derive(Default)]
struct Share {
    /// How long it was at work.
    used: Duration,
    /// Permits that are out.
    held: usize,
    queue: VecDeque<oneshot::Sender<()>>,
}

/// One permit; dropping it gives it back.
pub(crate) struct Permit {
    permits: Permits,
    namespace: String,
    since: Instant,
}

/// A place in the queue. One that is left after the permit was granted hands it on.
struct Queued<'a> {
    permits: &'a Permits,
    namespace: &'a str,
    granted: oneshot::Receiver<()>,
}

impl Permits {
    /// So many permits, at least one.
    pub(crate) fn new(number: usize) -> Self {
        let shared = Shared {
            free: number.max(1),
            reserved: number / 4,
            going_on: VecDeque::new(),
            floor: Duration::ZERO,
            namespaces: BTreeMap::new(),
        };
        Self { shared: Arc::new(Mutex::new(shared)) }
    }

    /// Waits for a permit for work in `namespace`. Dropping the future leaves the queue.
    pub(crate) async fn acquire(&self, namespace: &str) -> Permit {
        self.queue(namespace, Place::Back).await
    }

    /// As [`Self::acquire`], before all who have not begun yet.
    pub(crate) async fn go_on(&self, namespace: &str) -> Permit {
        self.queue(namespace, Place::Front).await
    }

    async fn queue(&self, namespace: &str, place: Place) -> Permit {
        let queued = self.lock().enter(namespace, place);
        if let Some(granted) = queued {
            let mut queued = Queued { permits: self, namespace, granted };
            // Never closed without a grant: whoever queues is taken out of the queue by one only.
            drop((&mut queued.granted).await);
        }
        Permit { permits: self.clone(), namespace: namespace.to_owned(), since: Instant::now() }
    }

    /// Takes a permit back that was held for so long, and hands it to the namespace that is next.
    fn release(&self, namespace: &str, held: Duration) {
        let mut shared = self.lock();
        if let Some(share) = shared.namespaces.get_mut(namespace) {
            share.used += held;
            share.held = share.held.saturating_sub(1);
        }
        shared.free += 1;
        while shared.free > 0 {
            let Some((namespace, grant)) = shared.next() else { return };
            // Who has left the queue takes none.
            if grant.send(()).is_ok() {
                shared.take(&namespace);
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Shared> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Shared {
    /// A permit at once, or a place in the queue.
    fn enter(&mut self, namespace: &str, place: Place) -> Option<oneshot::Receiver<()>> {
        let share = self.namespaces.entry(namespace.to_owned()).or_default();
        share.used = share.used.max(self.floor);
        if self.free > if share.held == 0 { 0 } else { self.reserved } {
            self.take(namespace);
            return None;
        }
        let (grant, granted) = oneshot::channel();
        match place {
            Place::Front => self.going_on.push_back((namespace.to_owned(), grant)),
            Place::Back => share.queue.push_back(grant),
        }
        Some(granted)
    }

    /// One permit goes out to `namespace`.
    fn take(&mut self, namespace: &str) {
        self.free = self.free.saturating_sub(1);
        self.namespaces.entry(namespace.to_owned()).or_default().held += 1;
    }

    /// Who is next, taken out of the queue.
    fn next(&mut self) -> Option<(String, oneshot::Sender<()>)> {
        let is_open = self.free > self.reserved;
        let holds_none = |namespace: &str| self.namespaces.get(namespace).is_none_or(|share| share.held == 0);
        let going_on = self.going_on.iter().position(|(namespace, _)| is_open || holds_none(namespace));
        if let Some(next) = going_on.and_then(|at| self.going_on.remove(at)) {
            return Some(next);
        }
        let floor = self.floor;
        self.namespaces.retain(|_, share| !share.queue.is_empty() || share.held > 0 || share.used > floor);
        let may = |share: &Share| !share.queue.is_empty() && (is_open || share.held == 0);
        let waiting = self.namespaces.iter_mut().filter(|(_, share)| may(share));
        let (namespace, share) = waiting.min_by_key(|(_, share)| share.used)?;
        self.floor = self.floor.max(share.used);
        Some((namespace.clone(), share.queue.pop_front()?))
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.permits.release(&self.namespace, self.since.elapsed());
    }
}

impl Drop for Queued<'_> {
    fn drop(&mut self) {
        self.granted.close();
        if self.granted.try_recv().is_ok() {
            self.permits.release(self.namespace, Duration::ZERO);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use futures::FutureExt as _;

    use super::{Permit, Permits};

    /// A permit that was held for so long.
    fn held(mut permit: Permit, seconds: u64) -> Permit {
        permit.since = permit.since.checked_sub(Duration::from_secs(seconds)).expect("the machine runs for a while");
        permit
    }

    #[tokio::test]
    async fn turns_go_round_among_namespaces_and_not_among_releases() {
        let permits = Permits::new(1);
        let first = permits.acquire("many").await;
        let mut many: Vec<_> = (0..3).map(|_| Box::pin(permits.acquire("many"))).collect();
        assert!(many.iter_mut().all(|queued| queued.now_or_never().is_none()));
        let mut few = Box::pin(permits.acquire("few"));
        assert!((&mut few).now_or_never().is_none());
        drop(held(first, 1));
        let few = few.now_or_never().expect("three were there before it, of a namespace that was served");
        assert!(many.iter_mut().all(|queued| queued.now_or_never().is_none()));
        drop(held(few, 60));
        let mut second = (&mut many[0]).now_or_never().expect("nobody else waits");
        let mut few = Box::pin(permits.acquire("few"));
        assert!((&mut few).now_or_never().is_none());
        for next in &mut many[1..] {
            drop(held(second, 10));
            second = next.now_or_never().expect("who cost a minute waits until others cost as much");
        }
        assert!((&mut few).now_or_never().is_none());
        drop(second);
        assert!(few.now_or_never().is_some());
    }

    #[tokio::test]
    async fn no_namespace_holds_all() {
        let permits = Permits::new(4);
        let mut many = Vec::new();
        for _ in 0..3 {
            many.push(permits.acquire("many").now_or_never().expect("three are for anybody"));
        }
        let mut next = Box::pin(permits.acquire("many"));
        assert!((&mut next).now_or_never().is_none(), "the fourth is for a namespace that has none");
        let few = permits.acquire("few").now_or_never().expect("it is free");
        drop(many.pop());
        let again = (&mut next).now_or_never();
        assert!(again.is_none(), "of one free permit none is for who holds two");
        let goes_on = permits.go_on("many").now_or_never();
        assert!(goes_on.is_none(), "nor for who goes on there");
        drop(few);
        assert!(next.now_or_never().is_some());
    }

    #[tokio::test]
    async fn who_goes_on_goes_before_those_who_have_not_begun() {
        let permits = Permits::new(1);
        let first = permits.acquire("a").await;
        let mut begins = Box::pin(permits.acquire("b"));
        let mut goes_on = Box::pin(permits.go_on("a"));
        assert!((&mut begins).now_or_never().is_none() && (&mut goes_on).now_or_never().is_none());
        drop(held(first, 60));
        let going_on = (&mut goes_on).now_or_never().expect("though its namespace was at work the longest");
        assert!((&mut begins).now_or_never().is_none());
        drop(going_on);
        assert!(begins.now_or_never().is_some());
    }

    #[tokio::test]
    async fn who_leaves_the_queue_costs_nobody_a_permit() {
        let permits = Permits::new(1);
        let first = permits.acquire("a").await;
        let mut gone = Box::pin(permits.acquire("a"));
        let mut granted = Box::pin(permits.acquire("b"));
        let mut last = Box::pin(permits.acquire("c"));
        assert!((&mut gone).now_or_never().is_none());
        assert!((&mut granted).now_or_never().is_none());
        assert!((&mut last).now_or_never().is_none());
        drop(gone);
        drop(held(first, 1));
        // Granted, and dropped before anybody saw it.
        drop(granted);
        let last = last.now_or_never().expect("the permit is handed on");
        assert!(permits.acquire("d").now_or_never().is_none());
        drop(last);
        assert!(permits.acquire("d").now_or_never().is_some());
    }
}
