//! Objects that stand in the way, or are missing: noticed when that changes.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::checks::Judge;
use super::object::ObjectRef;
use super::ready::Verdict;
use super::watch::{Look, Marks, Subscription, Waiter};
use super::{Cluster, Error};

/// An object whose coming or going is awaited.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Awaited {
    /// The object.
    pub object: ObjectRef,
    /// What of it.
    pub change: Change,
    /// Whether it is in the operator's own cluster, and read with its own rights, wherever the release is that awaits it.
    pub home: bool,
}

/// What is awaited of an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// It stands in the way until it goes, or another takes its name.
    Gone,
    /// It is missing until it comes.
    Present,
    /// It is missing, or does not serve its kind yet.
    Serving,
    /// It is not ready at this resource version, until it has a later one, or is gone.
    Later(u64),
}

impl Awaited {
    /// It stands in the way until it goes, or another takes its name.
    pub fn gone(object: ObjectRef) -> Self {
        Self { object, change: Change::Gone, home: false }
    }

    /// It is missing until it comes.
    pub fn present(object: ObjectRef) -> Self {
        Self { object, change: Change::Present, home: false }
    }

    /// It is not ready as it is at this resource version: until it has another, or is gone.
    pub fn later(object: ObjectRef, resource_version: &str) -> Self {
        // Where versions are no numbers no change can be told from what is known: what waits is tried again now and then.
        Self { object, change: Change::Later(resource_version.parse().unwrap_or(u64::MAX)), home: false }
    }

    /// The definition of a kind in an API `group/version`, by the name that it has where its plural is the usual one, as
    /// kubectl guesses it. `None` for the core group, whose kinds nobody defines.
    pub fn definition(api_version: &str, kind: &str) -> Option<Self> {
        let (group, _) = api_version.split_once('/')?;
        let singular = kind.to_lowercase();
        let plural = match singular.as_bytes() {
            [.., b's' | b'x'] | [.., b'c' | b's', b'h'] => format!("{singular}es"),
            [.., before, b'y'] if !b"aeiou".contains(before) => format!("{}ies", &singular[..singular.len() - 1]),
            _ => format!("{singular}s"),
        };
        let object = ObjectRef {
            group: "apiextensions.k8s.io".to_owned(),
            kind: "CustomResourceDefinition".to_owned(),
            namespace: None,
            name: format!("{plural}.{group}"),
        };
        Some(Self { object, change: Change::Serving, home: false })
    }
}

impl std::fmt::Display for Awaited {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let change = match self.change {
            Change::Gone => "the deletion",
            Change::Present | Change::Serving => "the creation",
            Change::Later(_) => "a change",
        };
        write!(f, "{change} of {}", self.object)
    }
}

/// What a subscription knows of an object that is awaited.
struct Watched {
    awaited: Awaited,
    subscription: Subscription,
    /// The uid that it was first seen with.
    uid: Option<String>,
    /// Whether it was seen not to serve: one that does from the beginning is not what is missing.
    lacked: bool,
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
            let subscription =
                self.hub.subscribe(resource, &awaited.object, (Marks::Unknown, &Judge::Strict), &waiting);
            // A feed that runs already may have told all it knows before this.
            waiter.wake(number);
            Some((number, Watched { awaited, subscription, uid: None, lacked: false }))
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
        let change = self.awaited.change;
        match self.subscription.look() {
            Look::NotYet | Look::Lost(_) => false,
            Look::Absent(_) => {
                self.lacked = true;
                matches!(change, Change::Gone | Change::Later(_))
            }
            Look::Seen(seen) => match change {
                Change::Gone => *self.uid.get_or_insert_with(|| seen.uid.clone()) != seen.uid,
                Change::Present => true,
                Change::Later(version) => seen.resource_version.parse::<u64>().is_ok_and(|seen| seen > version),
                Change::Serving => {
                    let serves = seen.assessment.ready == Verdict::Current;
                    self.lacked |= !serves;
                    serves && self.lacked
                }
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Awaited;

    #[test]
    fn a_definition_is_known_by_the_usual_plural() {
        for (api_version, kind, expected) in [
            ("monitoring.coreos.com/v1", "ServiceMonitor", Some("servicemonitors.monitoring.coreos.com")),
            ("networking.istio.io/v1", "Gateway", Some("gateways.networking.istio.io")),
            ("example.com/v1", "NetworkPolicy", Some("networkpolicies.example.com")),
            ("gateway.networking.k8s.io/v1", "GatewayClass", Some("gatewayclasses.gateway.networking.k8s.io")),
            ("v1", "Pod", None),
        ] {
            let name = Awaited::definition(api_version, kind).map(|awaited| awaited.object.name);
            assert_eq!(name.as_deref(), expected);
        }
    }
}
