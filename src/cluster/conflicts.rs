//! Fields that the chart sets and others, too: who wins is declared by path. Pure.

use helm::selector::{self, Chosen, Selector};
use serde_json::{Map, Value};

use super::apply::How;
use super::object::Object;
use super::request::Metadata;
use super::{Error, FieldPath, ObjectRef, Resource};
use super::{fields, pointers};

/// What becomes of fields that both the chart and somebody else set.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum ConflictPolicy {
    /// The apply fails where the two differ.
    #[default]
    Fail,
    /// They become as the chart has them.
    Force,
    /// They stay as the other one has them, and the release gives them up.
    Yield,
}

/// Fields of some objects.
#[derive(Debug, Clone, Default)]
pub struct Paths {
    /// Which objects.
    pub target: Selector,
    /// Which fields of them: JSON pointers, in which `*` stands for each element of a list or map. Empty text for all.
    pub paths: Vec<String>,
}

impl Paths {
    /// Those of the fields that are meant of an object with this `metadata` in the chart.
    pub(super) fn of<'a>(&'a self, (resource, object): (&Resource, &ObjectRef), metadata: &Value) -> &'a [String] {
        let chosen = Chosen {
            group: &object.group,
            version: &resource.version,
            kind: &object.kind,
            namespace: object.namespace.as_deref().unwrap_or_default(),
            name: &object.name,
            labels: selector::texts(metadata, "labels"),
            annotations: selector::texts(metadata, "annotations"),
        };
        if self.target.matches(&chosen) { &self.paths } else { &[] }
    }
}

/// What becomes of some fields of one object, where several rules are about a field by the last one; and what of all others.
pub(super) struct Rules<'a>(Vec<(&'a str, ConflictPolicy)>, ConflictPolicy);

impl<'a> Rules<'a> {
    /// Those that are about `object`.
    pub(super) fn of(object: &Object, how: How<'a>) -> Self {
        let How { conflicts: declared, other_conflicts: others, .. } = how;
        let metadata = object.content().get("metadata").unwrap_or(&Value::Null);
        let about = declared.iter().flat_map(|(paths, policy)| {
            let of_object = paths.of((object.resource(), object.reference()), metadata);
            of_object.iter().map(|path| (path.as_str(), *policy))
        });
        Self(about.collect(), others)
    }

    fn policy(&self, pointer: &str) -> Option<ConflictPolicy> {
        self.0.iter().rev().find(|(path, _)| pointers::covers(path, pointer)).map(|(_, policy)| *policy)
    }

    /// Takes those fields out of what is to be applied that are left to others who set them: those that are declared so,
    /// and what was written by `/scale` where nothing else is declared of it.
    pub(super) fn give_way(&self, content: &mut Map<String, Value>, existing: &Metadata) {
        /// What makes an object this object.
        const IDENTITY: [&str; 4] = ["/apiVersion", "/kind", "/metadata/name", "/metadata/namespace"];
        let scaled = fields::scaled(existing);
        let mut left: Vec<String> =
            scaled.into_iter().filter(|pointer| self.policy(pointer).is_none_or(is_yield)).collect();
        let yielded = self.0.iter().filter(|(_, policy)| is_yield(*policy));
        if left.is_empty() && self.0.is_empty() {
            return;
        }
        let mut object = Value::Object(std::mem::take(content));
        for pointer in yielded.flat_map(|(path, _)| pointers::expanded(&object, path)) {
            for (_, others) in fields::of_others(existing) {
                // Only what they set, not all that lies beside it.
                let held = fields::held_below(others, &object, &pointer).into_iter();
                // Where it is part of what they set as a whole that goes.
                let policy = |field: &str| self.policy(if field.len() < pointer.len() { &pointer } else { field });
                left.extend(held.filter(|field| policy(field).is_some_and(is_yield)));
            }
        }
        left.retain(|field| !IDENTITY.contains(&field.as_str()));
        pointers::remove_all(&mut object, left);
        if let Value::Object(rest) = object {
            *content = rest;
        }
    }

    /// Whether all that an apply was refused for is declared to become as the chart has it.
    pub(super) fn force(&self, refused: &Error, content: &Value) -> bool {
        let Error::Conflict { conflicts, .. } = refused else { return false };
        let is_forced = |named: &FieldPath| {
            let pointer = fields::pointer_to(content, named.as_named());
            // Of a field that is not in the chart as the server names it nothing is declared.
            pointer.map_or(self.1, |pointer| self.policy(&pointer).unwrap_or(self.1)) == ConflictPolicy::Force
        };
        conflicts.iter().flat_map(|conflict| &conflict.fields).all(is_forced)
    }
}

fn is_yield(policy: ConflictPolicy) -> bool {
    policy == ConflictPolicy::Yield
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::ConflictPolicy::{Fail, Force, Yield};
    use super::{ConflictPolicy, Rules};
    use crate::cluster::{Error, FieldConflict, FieldPath, ObjectRef};

    fn left(rules: &[(&str, ConflictPolicy)], others: &Value) -> Value {
        let metadata = serde_json::from_value(json!({ "managedFields": others })).expect("metadata");
        let content = json!({ "spec": { "replicas": 2, "paused": true } });
        let mut content = content.as_object().expect("a map").clone();
        Rules(rules.to_vec(), Fail).give_way(&mut content, &metadata);
        content["spec"].clone()
    }

    #[test]
    fn what_was_scaled_is_left_unless_it_is_declared_otherwise() {
        let entry = |subresource: &str, fields: Value| {
            let mut entry = json!({ "manager": "x", "operation": "Update", "fieldsV1": { "f:spec": fields } });
            if !subresource.is_empty() {
                entry["subresource"] = subresource.into();
            }
            entry
        };
        let scaled = || json!([entry("scale", json!({ "f:replicas": {} }))]);
        let edited = || json!([entry("", json!({ "f:replicas": {} }))]);
        let whole = json!({ "replicas": 2, "paused": true });
        assert_eq!(left(&[], &scaled()), json!({ "paused": true }));
        assert_eq!(left(&[("/spec/replicas", Force)], &scaled()), whole);
        assert_eq!(left(&[("/spec/replicas", Fail)], &scaled()), whole);
        assert_eq!(left(&[], &edited()), whole);
        assert_eq!(left(&[("/spec/replicas", Yield)], &edited()), json!({ "paused": true }));
        assert_eq!(left(&[("/spec/*", Yield)], &edited()), json!({ "paused": true }));
        assert_eq!(left(&[("/spec/*", Yield), ("/spec/replicas", Fail)], &edited()), whole);
        assert_eq!(left(&[("/spec/paused", Yield)], &edited()), whole);
        assert_eq!(left(&[("", Yield)], &edited()), json!({ "paused": true }));
        assert_eq!(left(&[("", Yield), ("/spec/replicas", Force)], &edited()), whole);
    }

    #[test]
    fn an_apply_is_forced_where_all_that_it_was_refused_for_is() {
        let object = ObjectRef { group: String::new(), kind: String::new(), namespace: None, name: String::new() };
        let refused = |fields: &[&str]| Error::Conflict {
            object: Box::new(object.clone()),
            conflicts: vec![FieldConflict {
                manager: "x".to_owned(),
                fields: fields.iter().copied().map(FieldPath::from).collect(),
            }],
        };
        let content = json!({ "spec": { "replicas": 2, "paused": true } });
        let rules = Rules(vec![("/spec/replicas", Force)], Fail);
        assert!(rules.force(&refused(&[".spec.replicas"]), &content));
        assert!(!rules.force(&refused(&[".spec.replicas", ".spec.paused"]), &content));
        assert!(!Rules(Vec::new(), Fail).force(&refused(&[".spec.replicas"]), &content));
        assert!(Rules(Vec::new(), Force).force(&refused(&[".spec.replicas"]), &content));
        assert!(!Rules(vec![("/spec/replicas", Fail)], Force).force(&refused(&[".spec.replicas"]), &content));
    }
}
