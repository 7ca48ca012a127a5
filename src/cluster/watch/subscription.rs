//! What one who waits, or looks, knows of an object by its feed.

use std::sync::Arc;

use super::super::live::{Glance, Health, Sighting};
use super::super::ready::Verdict;
use super::super::{ObjectRef, Resource};
use super::{Feed, Hub, Look, Marks, Place, Refusal, Scope, Waiting, lock};

/// A place in the list of those whom a feed wakes; dropping it gives the place up.
pub(in crate::cluster) struct Subscription {
    pub(super) feed: Arc<Feed>,
    pub(super) place: Place,
    pub(super) waiter: Waiting,
    /// How many lists the feed had begun when it was subscribed to.
    pub(super) lists: u64,
}

impl Subscription {
    /// What the feed knows of the object now.
    pub(in crate::cluster) fn look(&self) -> Look {
        let state = lock(&self.feed.state);
        match (&state.lost, state.seen.get(&self.place)) {
            (Some(refusal), _) => Look::Lost(refusal.clone()),
            (None, Some(seen)) => Look::Seen(seen.clone()),
            (None, None) if state.synced => Look::Absent(state.absence(&self.place, self.lists)),
            (None, None) => Look::NotYet,
        }
    }

    /// What the feed knows of the object now, in a few words.
    pub(in crate::cluster) fn sight(&self) -> Glance {
        let state = lock(&self.feed.state);
        let seen = state.seen.get(&self.place);
        let sighting = match (&state.lost, seen) {
            // With its kind an object is gone, too.
            (Some(Refusal { code: 404, .. }), _) => Sighting::Absent,
            (Some(_), _) => Sighting::Unwatchable,
            (None, Some(seen)) if seen.deleting => Sighting::Leaving,
            (None, Some(seen)) => Sighting::Present(seen.fields),
            (None, None) if state.synced => Sighting::Absent,
            (None, None) => Sighting::Unseen,
        };
        let version = seen.and_then(|seen| seen.resource_version.parse().ok()).unwrap_or_default();
        let health = seen.map_or(Health::Good, |seen| match seen.assessment.ready {
            Verdict::Current => Health::Good,
            Verdict::InProgress(_) => Health::Progressing,
            Verdict::Failed(_) => Health::Failed,
        });
        Glance { sighting, version, state: seen.map_or(0, |seen| seen.state), health }
    }

    /// Whether the feed was refused, and tells nothing any more.
    pub(in crate::cluster) fn is_lost(&self) -> bool {
        lock(&self.feed.state).lost.is_some()
    }

    /// The resource that serves the object.
    pub(in crate::cluster) fn resource(&self) -> &Resource {
        &self.feed.key.0
    }

    /// The object that is watched.
    pub(in crate::cluster) fn object(&self) -> ObjectRef {
        let resource = &self.feed.key.0;
        ObjectRef {
            group: resource.group.clone(),
            kind: resource.kind.clone(),
            namespace: self.place.0.clone(),
            name: self.place.1.clone(),
        }
    }

    /// The same of another feed.
    pub(in crate::cluster) fn renewed(&self, hub: &Arc<Hub>, marks: Marks) -> Self {
        hub.subscribe(&self.feed.key.0, &self.object(), (marks, &self.feed.key.2), &self.waiter)
    }

    /// Whether another feed may serve where this one was refused.
    pub(in crate::cluster) fn has_alternative(&self) -> bool {
        self.feed.key.1 == Scope::Everywhere && self.feed.key.0.namespaced
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        let mut state = lock(&self.feed.state);
        if let Some(waiters) = state.waiting.get_mut(&self.place) {
            if let Some(position) = waiters
                .iter()
                .position(|(waiter, number)| Arc::ptr_eq(waiter, &self.waiter.0) && *number == self.waiter.1)
            {
                waiters.swap_remove(position);
            }
            if waiters.is_empty() {
                state.waiting.remove(&self.place);
            }
        }
        drop(state);
        self.feed.subscribers.send_modify(|count| *count -= 1);
    }
}
