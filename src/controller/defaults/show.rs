//! The command that prints a release as it is carried out: with its defaults.

use std::collections::BTreeMap;
use std::sync::Arc;

use kube::api::Api;
use kube::{Client, ResourceExt as _};
use serde_json::{Value, json};

use super::{Defaults, Kind};
use crate::api::{ClusterHelmReleaseDefaults, DEFAULTS_NAME, HelmRelease, HelmReleaseDefaults};

/// A release cannot be shown.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// One of the objects could not be read.
    #[error("failed to read {what}")]
    Read {
        /// Which.
        what: String,
        /// What the API server answered.
        #[source]
        source: kube::Error,
    },
    /// The release is no JSON; a defect.
    #[error("failed to serialize the release")]
    Serialize(#[from] serde_json::Error),
}

/// The release `name` of `namespace` as it is carried out, as YAML: its spec with the defaults that the
/// cluster has for it now, each with the object it comes from in a comment.
///
/// # Errors
///
/// What cannot be read: the release, or one of the two objects of defaults.
pub async fn effective(client: Client, namespace: &str, name: &str) -> Result<String, Error> {
    let namespace = namespace.to_owned();
    let read = |what: String| move |source| Error::Read { what, source };
    let releases = Api::<HelmRelease>::namespaced(client.clone(), &namespace);
    let release = releases.get(name).await.map_err(read(format!("HelmRelease {namespace}/{name}")))?;
    let defaults = Defaults::default();
    let near = Api::<HelmReleaseDefaults>::namespaced(client.clone(), &namespace);
    let near =
        near.get_opt(DEFAULTS_NAME).await.map_err(read(format!("HelmReleaseDefaults of namespace {namespace}")))?;
    let far = Api::<ClusterHelmReleaseDefaults>::all(client).get_opt(DEFAULTS_NAME).await;
    let far = far.map_err(read("ClusterHelmReleaseDefaults".to_owned()))?;
    enter(&defaults, namespace, near);
    enter(&defaults, String::new(), far);
    print(&release, &defaults)
}

/// Enters what one object of a kind declares, or that there is none.
pub(crate) fn enter<K: Kind>(defaults: &Defaults, place: String, object: Option<K>) {
    let declared = object.map(|object| (place, Ok(Arc::new(object.declared()))));
    defaults.listed(K::NAME, declared.into_iter().collect::<BTreeMap<_, _>>());
}

fn print(declared: &HelmRelease, defaults: &Defaults) -> Result<String, Error> {
    let effective = defaults.of(declared);
    let release = effective.release.as_deref().unwrap_or(declared);
    let shown = json!({
        "apiVersion": "helm-operator.ketches.cn/v1alpha1",
        "kind": "HelmRelease",
        "metadata": { "name": release.name_any(), "namespace": release.namespace() },
        "spec": serde_json::to_value(&release.spec)?,
    });
    let mut text = String::new();
    for taken in &effective.taken {
        for field in &taken.fields {
            text.extend(["# spec.", field, ": from ", &taken.kind, " ", DEFAULTS_NAME, "\n"]);
        }
    }
    let yaml = formats::yaml::emit(&formats::json::from_serde(&without_nothing(shown)));
    text.push_str(&String::from_utf8_lossy(&yaml));
    Ok(text)
}

/// Without what says nothing: nulls, and lists and objects that are empty but for those in the values.
fn without_nothing(value: Value) -> Value {
    let says_nothing = |value: &Value| {
        value.is_null()
            || value.as_array().is_some_and(Vec::is_empty)
            || value.as_object().is_some_and(serde_json::Map::is_empty)
    };
    match value {
        Value::Object(map) => {
            let entry = |(key, value): (String, Value)| {
                if key == "values" && !value.is_null() {
                    return Some((key, value));
                }
                let value = without_nothing(value);
                (!says_nothing(&value)).then_some((key, value))
            };
            Value::Object(map.into_iter().filter_map(entry).collect())
        }
        Value::Array(items) => Value::Array(items.into_iter().map(without_nothing).collect()),
        scalar => scalar,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::sync::Arc;

    use serde_json::json;

    use super::{Defaults, print};
    use crate::api::HelmRelease;

    #[test]
    fn the_effective_release_is_shown_with_where_it_comes_from() {
        let release = json!({
            "metadata": { "name": "web", "namespace": "apps" },
            "spec": { "chart": { "name": "web", "repositoryURL": "oci://r.example" }, "values": { "kept": null, "list": [] } },
        });
        let release: HelmRelease = serde_json::from_value(release).expect("a release");
        let defaults = Defaults::default();
        let given = serde_json::from_value(json!({ "timeout": "3m" })).expect("defaults");
        defaults.listed("ClusterHelmReleaseDefaults", BTreeMap::from([(String::new(), Ok(Arc::new(given)))]));
        let text = print(&release, &defaults).expect("it prints");
        let (comments, yaml) = text.split_at(text.find("apiVersion").expect("YAML"));
        assert_eq!(comments, "# spec.timeout: from ClusterHelmReleaseDefaults default\n");
        for line in ["  timeout: 3m", "    kept: null", "    list: []", "    repositoryURL: oci://r.example"] {
            assert!(yaml.lines().any(|known| known == line), "{line} is not in\n{yaml}");
        }
        assert!(!yaml.contains("postRenderers") && !yaml.contains("maxHistory"), "{yaml}");
    }
}
