//! Objects that stand in the way, or are missing: noticed when that changes.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::object::ObjectRef;
use super::watch::{Look, Marks, Subscription, Waiter};
use super::{Cluster, Error};

/// An object whose coming or going is awaited.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Awaited {
    /// The object.
    pub object: ObjectRef,
    /// Whether it is there now.
    pub exists: bool,
}

impl Awaited {
    /// It stands in the way until it goes, or another takes its name.
    pub fn gone(object: ObjectRef) -> Self {
        Self { object, exists: true }
    }

    /// It is missing until it comes.
    pub fn present(object: ObjectRef) -> Self {
        Self { object, exists: false }
    }
}

/// What a subscription knows of an object that is awaited.
struct Watched {
    awaited: Awaited,
    subscription: Subscription,
    /// The uid that it was first seen with.
    uid: Option<String>,
}

impl Cluster {
    /// Resolves when one of `awaited` comes, goes or is replaced by another object of its name; never for objects of
    /// kinds that the cluster does not serve or does not let us watch.
    pub async fn changed(&self, awaited: Vec<Awaited>) -> Result<(), Error> {
        let kinds = self.discovery.kinds_with(std::iter::empty()).await?;
        let waiter = Arc::new(Waiter::default());
        let subscribe = |(number, awaited): (usize, Awaited)| {
            let resource = kinds.any_version(&awaited.object.group, &awaited.object.kind)?;
            // It may be anybody's object: a feed of its own.
            let waiting = (Arc::clone(&waiter), number);
            let subscription = self.hub.subscribe(resource, &awaited.object, Marks::Unknown, &waiting);
            // A feed that runs already may have told all it knows before this.
            waiter.wake(number);
            Some((number, Watched { awaited, subscription, uid: None }))
        };
        let mut watched: BTreeMap<usize, Watched> = awaited.into_iter().enumerate().filter_map(subscribe).collect();
        loop {
            for number in waiter.woken(usize::MAX).await {
                if watched.get_mut(&number).is_some_and(Watched::has_changed) {
                    return Ok(());
                }
            }
        }
    }
}

impl Watched {
    fn has_changed(&mut self) -> bool {
        match self.subscription.look() {
            Look::NotYet | Look::Lost(_) => false,
            Look::Absent => self.awaited.exists,
            Look::Seen(seen) => {
                let first = self.uid.get_or_insert_with(|| seen.uid.clone());
                !self.awaited.exists || *first != seen.uid
            }
        }
    }
}
