//! Who owns an object: Helm's label and annotations, written on every object we apply and checked before we touch
//! one that exists.

use helm::postrender::map_at;
use serde_json::{Map, Value};

use super::Owner;
use super::error::Error;
use super::hooks::is_made_for;
use super::object::ObjectRef;
use super::request::Metadata;

/// Label that Helm sets on everything of a release.
pub(super) const MANAGED_BY: &str = "app.kubernetes.io/managed-by";
/// Its value. `app.kubernetes.io/managed-by=Helm` is therefore what our watches select.
pub(super) const HELM: &str = "Helm";
const RELEASE_NAME: &str = "meta.helm.sh/release-name";
const RELEASE_NAMESPACE: &str = "meta.helm.sh/release-namespace";

/// Whose an existing object is.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Holder {
    /// This release's.
    Ours,
    /// Another release's.
    Theirs { release: String, namespace: String },
    /// No release's; which marks are missing.
    Nobody { missing: String },
}

impl Holder {
    /// Whether the object is that other release's.
    pub(super) fn is_of(&self, other: &Owner) -> bool {
        matches!(self, Self::Theirs { release, namespace } if *release == other.release && *namespace == other.namespace)
    }
}

/// Whether the object with this `metadata` is `owner`'s.
pub(super) fn is_of(metadata: &Metadata, owner: &Owner) -> bool {
    claim(metadata, owner) == Holder::Ours
}

/// The release whose marks an object bears, as `namespace/name`.
pub(super) fn release_of(metadata: &Metadata) -> Option<String> {
    let annotations = metadata.annotations.as_ref()?;
    Some(format!("{}/{}", annotations.get(RELEASE_NAMESPACE)?, annotations.get(RELEASE_NAME)?))
}

/// The same by the annotations as the server answered them.
pub(super) fn release_named(annotations: &Value) -> Option<String> {
    Some(format!("{}/{}", annotations[RELEASE_NAMESPACE].as_str()?, annotations[RELEASE_NAME].as_str()?))
}

/// Whose the object with this `metadata` is, as seen by `owner`.
pub(super) fn claim(metadata: &Metadata, owner: &Owner) -> Holder {
    let annotation = |key: &str| metadata.annotations.as_ref()?.get(key).map(String::as_str);
    let label = metadata.labels.as_ref().and_then(|labels| labels.get(MANAGED_BY)).map(String::as_str);
    let (release, namespace) = (annotation(RELEASE_NAME), annotation(RELEASE_NAMESPACE));
    match (label, release, namespace) {
        (Some(HELM), Some(release), Some(namespace)) if release == owner.release && namespace == owner.namespace => {
            Holder::Ours
        }
        (_, Some(release), Some(namespace)) if release != owner.release || namespace != owner.namespace => {
            Holder::Theirs { release: release.to_owned(), namespace: namespace.to_owned() }
        }
        _ if is_made_for(metadata, owner) => Holder::Ours,
        _ => {
            let marks = [(MANAGED_BY, label), (RELEASE_NAME, release), (RELEASE_NAMESPACE, namespace)];
            Holder::Nobody { missing: describe(marks) }
        }
    }
}

fn describe(marks: [(&str, Option<&str>); 3]) -> String {
    let described: Vec<_> = marks
        .iter()
        .filter(|(key, value)| value.is_none() || (*key == MANAGED_BY && *value != Some(HELM)))
        .map(|(key, value)| match value {
            None => format!("{key} is missing"),
            Some(value) => format!("{key} is {value:?}"),
        })
        .collect();
    described.join(", ")
}

/// The refusal to touch an object of others, in words.
pub(super) fn refuse(object: &ObjectRef, claim: Holder, owner: &Owner) -> Result<(), Error> {
    let object = Box::new(object.clone());
    match claim {
        Holder::Ours => Ok(()),
        Holder::Theirs { release, namespace } => Err(Error::Owned { object, release, namespace }),
        Holder::Nobody { missing } => {
            Err(Error::Unowned { object, missing, release: owner.release.clone(), namespace: owner.namespace.clone() })
        }
    }
}

/// Writes `owner`'s marks into an object that will be applied, over whatever the chart wrote there.
pub(super) fn mark(content: &mut Map<String, Value>, owner: &Owner) {
    let metadata = map_at(content, "metadata");
    map_at(metadata, "labels").insert(MANAGED_BY.to_owned(), HELM.into());
    let annotations = map_at(metadata, "annotations");
    annotations.insert(RELEASE_NAME.to_owned(), owner.release.as_str().into());
    annotations.insert(RELEASE_NAMESPACE.to_owned(), owner.namespace.as_str().into());
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::{Holder, claim, mark};
    use crate::cluster::Owner;

    fn owner() -> Owner {
        Owner { release: "shop".to_owned(), namespace: "web".to_owned() }
    }

    fn claimed(metadata: Value) -> Holder {
        claim(&serde_json::from_value(metadata).expect("metadata"), &owner())
    }

    fn marked(managed_by: &str, release: &str, namespace: &str) -> Value {
        json!({
            "labels": { "app.kubernetes.io/managed-by": managed_by },
            "annotations": { "meta.helm.sh/release-name": release, "meta.helm.sh/release-namespace": namespace },
        })
    }

    #[test]
    fn an_object_is_ours_only_with_all_marks() {
        let theirs = |release: &str, namespace: &str| Holder::Theirs {
            release: release.to_owned(),
            namespace: namespace.to_owned(),
        };
        assert_eq!(claimed(marked("Helm", "shop", "web")), Holder::Ours);
        assert_eq!(claimed(marked("Helm", "other", "web")), theirs("other", "web"));
        assert_eq!(claimed(marked("Helm", "shop", "elsewhere")), theirs("shop", "elsewhere"));
        let missing = r#"app.kubernetes.io/managed-by is "flux""#.to_owned();
        assert_eq!(claimed(marked("flux", "shop", "web")), Holder::Nobody { missing });
        let Holder::Nobody { missing } = claimed(json!({})) else { panic!("it is somebody's") };
        assert_eq!(missing.matches("is missing").count(), 3, "{missing}");
    }

    #[test]
    fn marks_replace_what_the_chart_wrote() {
        let mut object =
            json!({ "metadata": { "labels": null, "annotations": { "a": "b", "meta.helm.sh/release-name": "x" } } });
        mark(object.as_object_mut().expect("a map"), &owner());
        let mut expected = marked("Helm", "shop", "web");
        expected["annotations"]["a"] = "b".into();
        assert_eq!(object["metadata"], expected);
    }
}
