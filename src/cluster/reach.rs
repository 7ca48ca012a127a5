//! What a release may touch and read of the cluster. Pure.

use super::object::{Object, ObjectRef};
use super::{Error, Resource};

/// Kinds without a namespace that charts look up to fit the cluster, and that hold nothing of anybody's.
const PUBLIC: [(&str, &str); 5] = [
    ("storage.k8s.io", "StorageClass"),
    ("networking.k8s.io", "IngressClass"),
    ("node.k8s.io", "RuntimeClass"),
    ("scheduling.k8s.io", "PriorityClass"),
    ("apiextensions.k8s.io", "CustomResourceDefinition"),
];

/// How far a release reaches: a bound below the rights of the identity that acts.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Reach {
    /// As far as those rights.
    #[default]
    Cluster,
    /// Objects of this namespace, and of no other, and none that have no namespace.
    Namespace(String),
}

impl Reach {
    /// Refuses the first of `objects` that is out of reach, with [`Error::OutOfReach`].
    pub fn admit(&self, objects: &[Object]) -> Result<(), Error> {
        let stranger = objects.iter().map(Object::reference).find(|object| !self.covers(object));
        match (self, stranger) {
            (Self::Namespace(own), Some(object)) => Err(out_of_reach(object.to_string(), own)),
            _ => Ok(()),
        }
    }

    /// Whether an object is within reach.
    pub fn covers(&self, object: &ObjectRef) -> bool {
        match self {
            Self::Cluster => true,
            Self::Namespace(own) => object.namespace.as_deref() == Some(own),
        }
    }

    /// Refuses to look up what is out of reach: other namespaces, lists of all namespaces, and kinds without a
    /// namespace but the release's own Namespace and the classes that a cluster offers to everybody.
    pub(super) fn admit_lookup(&self, resource: &Resource, namespace: &str, name: &str) -> Result<(), Error> {
        let Self::Namespace(own) = self else { return Ok(()) };
        let is_own = if resource.namespaced {
            namespace == own
        } else {
            let public = PUBLIC.contains(&(resource.group.as_str(), resource.kind.as_str()));
            public || (resource.group.is_empty() && resource.kind == "Namespace" && name == own)
        };
        if is_own {
            return Ok(());
        }
        let what = match (name, namespace) {
            ("", "") => format!("the list of all {}", resource.qualified()),
            ("", namespace) => format!("the list of {} in namespace {namespace:?}", resource.qualified()),
            (name, "") => format!("{} {name:?}", resource.kind),
            (name, namespace) => format!("{} {name:?} in namespace {namespace:?}", resource.kind),
        };
        Err(out_of_reach(what, own))
    }
}

fn out_of_reach(what: String, own: &str) -> Error {
    Error::OutOfReach { what, namespace: own.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::Reach;
    use crate::cluster::Resource;

    fn resource(group: &str, kind: &str, namespaced: bool) -> Resource {
        Resource {
            group: group.to_owned(),
            version: "v1".to_owned(),
            kind: kind.to_owned(),
            plural: format!("{}s", kind.to_lowercase()),
            namespaced,
        }
    }

    #[test]
    fn a_confined_release_looks_up_its_own_and_what_is_everybodys() {
        let (secret, namespace) = (resource("", "Secret", true), resource("", "Namespace", false));
        let (class, node) = (resource("storage.k8s.io", "StorageClass", false), resource("", "Node", false));
        let cases = [
            (&secret, "own", "a", true),
            (&secret, "own", "", true),
            (&secret, "other", "a", false),
            (&secret, "", "", false),
            (&namespace, "", "own", true),
            (&namespace, "", "other", false),
            (&namespace, "", "", false),
            (&class, "", "", true),
            (&node, "", "n", false),
        ];
        let confined = Reach::Namespace("own".to_owned());
        for (resource, namespace, name, admitted) in cases {
            let answer = confined.admit_lookup(resource, namespace, name);
            assert_eq!(answer.is_ok(), admitted, "{} {namespace:?} {name:?}: {answer:?}", resource.kind);
            assert!(Reach::Cluster.admit_lookup(resource, namespace, name).is_ok());
        }
    }
}
