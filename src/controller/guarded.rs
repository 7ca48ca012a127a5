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
use serde_json::{Map, Value};

use crate::api::{DeletionPolicy, KubeConfig};

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
    /// What it says of its own removal, where that can be read.
    pub(crate) removal: Option<DeclaredRemoval>,
    /// Its status, as far as that is JSON that nests no deeper than the parser goes.
    pub(crate) status: Map<String, Value>,
}

impl Undecodable {
    /// The Secrets of other clusters that its status lists.
    pub(crate) fn kube_configs(&self) -> Vec<String> {
        let listed = self.status.get("kubeConfigs").cloned().unwrap_or_default();
        serde_json::from_value(listed).unwrap_or_default()
    }

    /// The namespaces in which its status says that records are.
    pub(crate) fn record_namespaces(&self) -> Vec<String> {
        let listed = self.status.get("recordNamespaces").cloned().unwrap_or_default();
        let listed: Vec<String> = serde_json::from_value(listed).unwrap_or_default();
        let told = |field: &str| Some(self.status.get("helmRelease")?.get(field)?.as_str()?.to_owned());
        listed.into_iter().chain(told("namespace")).chain(told("storageNamespace")).collect()
    }
}

/// What an object says of its own removal.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct DeclaredRemoval {
    /// `spec.suspend`.
    pub(crate) suspend: bool,
    /// `spec.uninstall.deletionPolicy`.
    pub(crate) policy: Option<DeletionPolicy>,
    /// `spec.serviceAccountName`.
    pub(crate) service_account: Option<String>,
    /// `spec.kubeConfig`.
    pub(crate) kube_config: Option<KubeConfig>,
}

/// What must be readable of an object.
#[derive(Deserialize)]
struct MetadataOnly {
    metadata: ObjectMeta,
}

/// What decides whether anything is deleted with an object. Other fields are passed over, however deep they are.
#[derive(Deserialize)]
struct RemovalOnly {
    #[serde(default)]
    spec: RemovalSpec,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct RemovalSpec {
    suspend: Option<bool>,
    service_account_name: Option<String>,
    kube_config: Option<KubeConfig>,
    uninstall: Option<UninstallSpec>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct UninstallSpec {
    deletion_policy: Option<DeletionPolicy>,
}

#[derive(Deserialize)]
struct StatusOnly {
    #[serde(default)]
    status: Map<String, Value>,
}

impl From<RemovalOnly> for DeclaredRemoval {
    fn from(RemovalOnly { spec }: RemovalOnly) -> Self {
        let RemovalSpec { suspend, service_account_name, kube_config, uninstall } = spec;
        Self {
            suspend: suspend.unwrap_or_default(),
            policy: uninstall.and_then(|uninstall| uninstall.deletion_policy),
            service_account: service_account_name,
            kube_config,
        }
    }
}

impl<'de, K: DeserializeOwned> Deserialize<'de> for Guarded<K> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let raw = Box::<RawValue>::deserialize(deserializer)?;
        let error = match serde_json::from_str(raw.get()) {
            Ok(object) => return Ok(Self(Ok(object))),
            Err(error) => error.to_string(),
        };
        let MetadataOnly { metadata } = serde_json::from_str(raw.get()).map_err(D::Error::custom)?;
        let removal = serde_json::from_str::<RemovalOnly>(raw.get()).ok().map(DeclaredRemoval::from);
        let status = serde_json::from_str::<StatusOnly>(raw.get()).map(|it| it.status).unwrap_or_default();
        Ok(Self(Err(Undecodable { error, metadata, removal, status })))
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

    use super::{DeclaredRemoval, Guarded};
    use crate::api::{DeletionPolicy, HelmRelease};

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
    fn what_an_object_says_of_its_removal_is_read_whatever_else_is_in_it() {
        let removal = |spec: &str| {
            let deep = format!("{}1{}", "[".repeat(500), "]".repeat(500));
            let object = format!(
                r#"{{"metadata":{{"name":"a"}},"spec":{{"values":{deep},{spec}}},"status":{{"notes":"kept"}}}}"#
            );
            let guarded: Guarded<HelmRelease> = serde_json::from_str(&object).expect("it has metadata");
            let undecodable = guarded.0.map(drop).expect_err("it nests too deep");
            assert_eq!(undecodable.status["notes"], "kept");
            undecodable.removal
        };
        let declared = |suspend, policy| Some(DeclaredRemoval { suspend, policy, ..DeclaredRemoval::default() });
        assert_eq!(removal(r#""interval":"1m""#), declared(false, None));
        assert_eq!(removal(r#""suspend":true"#), declared(true, None));
        let orphan = r#""uninstall":{"deletionPolicy":"Orphan","timeout":7}"#;
        assert_eq!(removal(orphan), declared(false, Some(DeletionPolicy::Orphan)));
        assert_eq!(removal(r#""uninstall":{"deletionPolicy":"Perhaps"}"#), None);
        let account = removal(r#""serviceAccountName":"deployer""#).and_then(|declared| declared.service_account);
        assert_eq!(account.as_deref(), Some("deployer"));
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
