//! An object as watched: decoded, or the reason why it cannot be. One that cannot be decoded costs itself only.
//!
//! `kube::core::DeserializeGuard` reads each object into a tree of values first, and fails the whole list when that
//! fails: on an object that nests deeper than the parser goes, say. Here each object is first taken as its raw text,
//! which no depth stops, and decoded alone.

use std::borrow::Cow;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::Resource;
use serde::de::{DeserializeOwned, Deserializer, Error as _};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

/// An object, or what is known of one that cannot be decoded.
#[derive(Debug, Clone)]
pub(crate) struct Guarded<K>(pub(crate) Result<K, Undecodable>);

/// An object that cannot be decoded.
#[derive(Debug, Clone)]
pub(crate) struct Undecodable {
    /// Why, in the parser's words.
    pub(crate) error: String,
    /// Its metadata.
    pub(crate) metadata: ObjectMeta,
}

/// All that is read of an object that cannot be decoded.
#[derive(Deserialize)]
struct MetadataOnly {
    metadata: ObjectMeta,
}

impl<'de, K: DeserializeOwned> Deserialize<'de> for Guarded<K> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let raw = Box::<RawValue>::deserialize(deserializer)?;
        let error = match serde_json::from_str(raw.get()) {
            Ok(object) => return Ok(Self(Ok(object))),
            Err(error) => error.to_string(),
        };
        let MetadataOnly { metadata } = serde_json::from_str(raw.get()).map_err(D::Error::custom)?;
        Ok(Self(Err(Undecodable { error, metadata })))
    }
}

/// Only for the bounds of kube's watcher: nothing of it is ever written.
impl<K: Serialize> Serialize for Guarded<K> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match &self.0 {
            Ok(object) => object.serialize(serializer),
            Err(undecodable) => undecodable.metadata.serialize(serializer),
        }
    }
}

impl<K: Resource> Resource for Guarded<K> {
    type DynamicType = K::DynamicType;
    type Scope = K::Scope;

    fn kind(dynamic: &K::DynamicType) -> Cow<'_, str> {
        K::kind(dynamic)
    }

    fn group(dynamic: &K::DynamicType) -> Cow<'_, str> {
        K::group(dynamic)
    }

    fn version(dynamic: &K::DynamicType) -> Cow<'_, str> {
        K::version(dynamic)
    }

    fn plural(dynamic: &K::DynamicType) -> Cow<'_, str> {
        K::plural(dynamic)
    }

    fn meta(&self) -> &ObjectMeta {
        self.0.as_ref().map_or_else(|undecodable| &undecodable.metadata, K::meta)
    }

    fn meta_mut(&mut self) -> &mut ObjectMeta {
        self.0.as_mut().map_or_else(|undecodable| &mut undecodable.metadata, K::meta_mut)
    }
}

#[cfg(test)]
mod tests {
    use kube::api::ObjectList;
    use kube::core::WatchEvent;
    use serde_json::json;

    use super::Guarded;
    use crate::api::HelmRelease;

    /// A release as JSON whose values nest so deep.
    fn release(name: &str, depth: usize) -> String {
        let release = json!({
            "apiVersion": "helm-operator.ketches.cn/v1alpha1",
            "kind": "HelmRelease",
            "metadata": { "name": name },
            "spec": { "chart": { "name": "web" }, "values": "VALUES" },
        });
        release.to_string().replace(r#""VALUES""#, &format!("{}1{}", "[".repeat(depth), "]".repeat(depth)))
    }

    #[test]
    fn one_object_that_nests_too_deep_costs_a_list_nothing_else() {
        let list = format!(
            r#"{{"kind":"HelmReleaseList","apiVersion":"helm-operator.ketches.cn/v1alpha1","metadata":{{}},"items":[{},{},{}]}}"#,
            release("a", 3),
            release("deep", 100_000),
            release("b", 100),
        );
        let list: ObjectList<Guarded<HelmRelease>> = serde_json::from_str(&list).expect("the list is read");
        let told: Vec<_> = list
            .items
            .iter()
            .map(|item| {
                item.0.as_ref().map(|release| release.metadata.name.clone()).map_err(|it| it.metadata.name.clone())
            })
            .collect();
        let name = |name: &str| Some(name.to_owned());
        assert_eq!(told, [Ok(name("a")), Err(name("deep")), Ok(name("b"))]);
    }

    #[test]
    fn nor_does_it_end_a_watch() {
        for (depth, decoded) in [(3, true), (500, false)] {
            let event = format!(r#"{{"type":"ADDED","object":{}}}"#, release("a", depth));
            let WatchEvent::Added(guarded) =
                serde_json::from_str::<WatchEvent<Guarded<HelmRelease>>>(&event).expect("an event")
            else {
                panic!("it was added");
            };
            assert_eq!(guarded.0.is_ok(), decoded, "{depth}");
        }
    }
}
