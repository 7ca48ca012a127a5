//! How lists in built-in kinds are merged: what the API server's schema says (`x-kubernetes-patch-strategy` and
//! `x-kubernetes-patch-merge-key`), by kind and field.
//!
//! It is recorded in `merge_keys.txt`, which a test of the end-to-end suite compares with a real API server. Of other kinds
//! nothing is known: their lists are replaced, as kustomize and the API server itself have it.

use std::collections::BTreeMap;
use std::sync::LazyLock;

/// `kind group kind type scope` of each kind (the core group is `core`), and `field type field type list` of each field in which
/// something is merged (`-` is no type): the list is `-`, `set`, or what tells its items from each other, parted by commas.
const RECORDED: &str = include_str!("merge_keys.txt");

/// The name of no type, and of no way to merge.
const NONE: &str = "-";

static SCHEMA: LazyLock<Schema> = LazyLock::new(|| Schema::parse(RECORDED));

#[derive(Default)]
struct Schema {
    kinds: BTreeMap<(&'static str, &'static str), Kind>,
    fields: BTreeMap<(&'static str, &'static str), Field>,
}

struct Kind {
    of: Type,
    is_cluster_scoped: bool,
}

/// The type of a map.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Type(&'static str);

/// What is known of a field, and of what is in it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Field {
    /// The type of what is in it, or of the items of its list; none where nothing in it is merged.
    pub(super) of: Option<Type>,
    /// How its list is merged.
    pub(super) list: List,
}

/// How a list is merged with another.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum List {
    /// The other takes its place.
    #[default]
    Replaced,
    /// What it does not hold yet is added.
    Set,
    /// Items are merged that have the same value in the first of these fields, and in the others, parted by commas, as far as both
    /// have them.
    By(&'static str),
}

impl Schema {
    fn parse(text: &'static str) -> Self {
        let mut schema = Self::default();
        let of = |name: &'static str| (name != NONE).then_some(Type(name));
        for line in text.lines().filter(|line| !line.starts_with('#')) {
            match line.split(' ').collect::<Vec<_>>()[..] {
                ["kind", group, kind, name, scope] => {
                    let group = if group == "core" { "" } else { group };
                    let kinds = Kind { of: Type(name), is_cluster_scoped: scope == "cluster" };
                    schema.kinds.insert((group, kind), kinds);
                }
                ["field", name, field, inner, list] => {
                    let list = match list {
                        NONE => List::Replaced,
                        "set" => List::Set,
                        key => List::By(key),
                    };
                    schema.fields.insert((name, field), Field { of: of(inner), list });
                }
                _ => {}
            }
        }
        schema
    }
}

impl Type {
    /// The type of a built-in kind, of whatever version.
    pub(super) fn of_kind(group: &str, kind: &str) -> Option<Self> {
        SCHEMA.kinds.get(&(group, kind)).map(|kind| kind.of)
    }
}

/// Whether a built-in kind is in no namespace.
pub(super) fn is_cluster_scoped(group: &str, kind: &str) -> bool {
    SCHEMA.kinds.get(&(group, kind)).is_some_and(|kind| kind.is_cluster_scoped)
}

impl Field {
    /// The field of what is of type `of`; nothing is known of those that the schema does not name.
    pub(super) fn of(of: Option<Type>, name: &str) -> Self {
        of.and_then(|Type(of)| SCHEMA.fields.get(&(of, name)).copied()).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The field at a path of a kind.
    fn at(group: &str, kind: &str, path: &[&str]) -> Field {
        let whole = Field { of: Type::of_kind(group, kind), ..Field::default() };
        path.iter().fold(whole, |field, name| Field::of(field.of, name))
    }

    #[test]
    fn a_list_is_merged_by_what_its_own_kind_says() {
        let pod = ["spec", "template", "spec"];
        let in_pod = |path: &[&'static str]| [&pod[..], path].concat();
        let cases = [
            ("apps", "Deployment", in_pod(&["containers"]), List::By("name")),
            ("apps", "StatefulSet", in_pod(&["containers", "ports"]), List::By("containerPort,protocol")),
            ("apps", "DaemonSet", in_pod(&["tolerations"]), List::Replaced),
            ("", "Service", vec!["spec", "ports"], List::By("port,protocol")),
            ("", "ConfigMap", vec!["metadata", "finalizers"], List::Set),
            ("", "ServiceAccount", vec!["secrets"], List::By("name")),
            ("networking.k8s.io", "NetworkPolicy", vec!["spec", "ingress", "ports"], List::Replaced),
            ("apps", "StatefulSet", vec!["spec", "volumeClaimTemplates"], List::Replaced),
            ("admissionregistration.k8s.io", "MutatingWebhookConfiguration", vec!["webhooks"], List::By("name")),
            ("example.com", "Deployment", in_pod(&["containers"]), List::Replaced),
        ];
        for (group, kind, path, list) in cases {
            assert_eq!(at(group, kind, &path).list, list, "{kind} {path:?}");
        }
        let scoped =
            [("", "Namespace"), ("rbac.authorization.k8s.io", "ClusterRole"), ("", "Secret"), ("example.com", "Thing")];
        assert_eq!(scoped.map(|(group, kind)| is_cluster_scoped(group, kind)), [true, true, false, false]);
    }
}
