//! Who manages which fields of an object, as `metadata.managedFields` tells. Pure.

use std::num::NonZeroU32;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ManagedFieldsEntry;
use serde_json::Value;

use super::pointers::{escaped, tokens};
use super::request::{FIELD_MANAGER, Metadata};
use super::{managed_fields, ownership};

/// Which fields of an object a release manages, in four bytes: it changes when somebody else sets one of them to something
/// else, and by nothing that the release does not mind.
///
/// The server takes a field from its manager when another one changes it, and adds what webhooks change of an apply to the
/// apply.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Fingerprint(NonZeroU32);

impl Fingerprint {
    /// As a number, which is never 0.
    pub fn number(self) -> u32 {
        self.0.get()
    }

    /// From its number; none from 0.
    pub fn from_number(number: u32) -> Option<Self> {
        NonZeroU32::new(number).map(Self)
    }

    /// Of the fields that a release manages, and of whose release it is.
    fn of<'a>(owner: Option<&str>, entries: impl Iterator<Item = &'a Value>) -> Option<Self> {
        let mut hash = Fnv::default();
        serde_json::to_writer(&mut hash, &owner).unwrap_or_default();
        let mut entries = entries.peekable();
        entries.peek()?;
        // Keys are sorted, and memory does not fail.
        entries.for_each(|fields| serde_json::to_writer(&mut hash, fields).unwrap_or_default());
        let folded = u32::try_from((hash.0 ^ (hash.0 >> 32)) & u64::from(u32::MAX)).unwrap_or_default();
        Some(Self(NonZeroU32::new(folded).unwrap_or(NonZeroU32::MIN)))
    }
}

/// FNV-1a: a change is to be seen, not an attack.
struct Fnv(u64);

impl Default for Fnv {
    fn default() -> Self {
        Self(0xcbf2_9ce4_8422_2325)
    }
}

impl std::io::Write for Fnv {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        for byte in bytes {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// A number that changes with what is declared of the object with this `metadata`: with its generation, labels and annotations;
/// with everything where its kind has no generation.
pub(super) fn state(metadata: &Metadata) -> u64 {
    let Some(generation) = metadata.generation.filter(|generation| *generation > 0) else {
        return metadata.resource_version.as_deref().and_then(|version| version.parse().ok()).unwrap_or_default();
    };
    let mut hash = Fnv::default();
    serde_json::to_writer(&mut hash, &(generation, &metadata.labels, &metadata.annotations)).unwrap_or_default();
    hash.0
}

/// The fields that a release manages of the object with this `metadata`; `None` where it manages none. What Helm 3, or an
/// operator with Helm built in, set for it counts, too.
pub(super) fn fingerprint(metadata: &Metadata) -> Option<Fingerprint> {
    let own = entries(metadata).filter(|entry| managed_fields::is_of_release(entry));
    Fingerprint::of(
        ownership::release_of(metadata).as_deref(),
        own.filter_map(|entry| Some(&entry.fields_v1.as_ref()?.0)),
    )
}

/// The same of an object as the server answered it.
pub(super) fn fingerprint_of(object: &Value) -> Option<Fingerprint> {
    let is_own = |entry: &&Value| {
        let manager = entry["manager"].as_str().unwrap_or_default();
        managed_fields::signs_for_releases(manager) && entry.get("subresource").is_none()
    };
    let own = object["metadata"]["managedFields"].as_array()?.iter().filter(is_own);
    let owner = ownership::release_named(&object["metadata"]["annotations"]);
    Fingerprint::of(owner.as_deref(), own.filter_map(|entry| entry.get("fieldsV1")))
}

fn entries(metadata: &Metadata) -> impl Iterator<Item = &ManagedFieldsEntry> {
    metadata.managed_fields.iter().flatten()
}

fn is_own(entry: &ManagedFieldsEntry) -> bool {
    entry.manager.as_deref() == Some(FIELD_MANAGER)
        && entry.operation.as_deref() == Some("Apply")
        && entry.subresource.as_deref().unwrap_or_default().is_empty()
}

/// The fields of others than the release, and who they are.
pub(super) fn of_others(metadata: &Metadata) -> impl Iterator<Item = (&str, &Value)> {
    let others = entries(metadata).filter(|entry| !is_own(entry));
    others.filter_map(|entry| Some((entry.manager.as_deref().unwrap_or_default(), &entry.fields_v1.as_ref()?.0)))
}

/// Where those fields are that were written by `/scale`, as an autoscaler and `kubectl scale` do.
pub(super) fn scaled(metadata: &Metadata) -> Vec<String> {
    let of_scale = entries(metadata).filter(|entry| entry.subresource.as_deref() == Some("scale"));
    let mut found = Vec::new();
    for fields in of_scale.filter_map(|entry| entry.fields_v1.as_ref()) {
        leaves(&fields.0, String::new(), &mut found);
    }
    // What a scale writes beside the number of replicas is no field that a chart sets.
    found.retain(|pointer| pointer.starts_with("/spec/"));
    found
}

fn leaves(fields: &Value, at: String, found: &mut Vec<String>) {
    let below: Vec<_> = fields.as_object().into_iter().flatten().collect();
    if below.is_empty() {
        found.push(at);
        return;
    }
    for (field, below) in below {
        if let Some(name) = field.strip_prefix("f:") {
            leaves(below, format!("{at}/{}", escaped(name)), found);
        }
    }
}

/// Whether `fields` hold what `pointer` leads to in `object`, what it is part of, or a part of it.
pub(super) fn hold(fields: &Value, object: &Value, pointer: &str) -> bool {
    let tokens: Vec<String> = tokens(pointer).collect();
    holds(fields, object, &tokens)
}

fn holds(fields: &Value, object: &Value, tokens: &[String]) -> bool {
    let (Some((token, rest)), Some(fields)) = (tokens.split_first(), fields.as_object().filter(|it| !it.is_empty()))
    else {
        return true;
    };
    match object {
        Value::Array(items) => {
            let item = token.parse().ok().and_then(|at: usize| items.get(at));
            let is_of = |(field, _): &(&String, &Value)| item.is_some_and(|item| names(field, item));
            let found = fields.iter().find(is_of);
            found.is_some_and(|(_, below)| holds(below, item.unwrap_or(&Value::Null), rest))
        }
        _ => fields.get(&format!("f:{token}")).is_some_and(|below| holds(below, &object[token], rest)),
    }
}

/// The fields below `pointer` in `object` that `fields` hold: the smallest, and those that are held as a whole. What names an
/// item of a list is none.
pub(super) fn held_below(fields: &Value, object: &Value, pointer: &str) -> Vec<String> {
    let (mut node, mut value, mut at) = (fields, object, String::new());
    for token in tokens(pointer) {
        if node.as_object().is_none_or(serde_json::Map::is_empty) {
            break;
        }
        let Some((_, below, item)) = below_fields(node, value).find(|(own, ..)| *own == token) else {
            return Vec::new();
        };
        (node, value, at) = (below, item, format!("{at}/{}", escaped(&token)));
    }
    let mut found = Vec::new();
    collect_held(node, value, at, &mut found);
    found
}

/// What of `value` has fields of its own: the token of each, its fields, and the value.
fn below_fields<'a>(
    fields: &'a Value,
    value: &'a Value,
) -> Box<dyn Iterator<Item = (String, &'a Value, &'a Value)> + 'a> {
    let Some(fields) = fields.as_object() else { return Box::new(std::iter::empty()) };
    match value {
        Value::Array(items) => Box::new(items.iter().enumerate().filter_map(|(at, item)| {
            let (_, below) = fields.iter().find(|(field, _)| names(field, item))?;
            Some((at.to_string(), below, item))
        })),
        Value::Object(map) => Box::new(map.iter().filter_map(|(key, value)| {
            let below = fields.get(&format!("f:{key}"))?;
            Some((key.clone(), below, value))
        })),
        _ => Box::new(std::iter::empty()),
    }
}

fn collect_held(fields: &Value, value: &Value, at: String, found: &mut Vec<String>) {
    if fields.as_object().is_none_or(serde_json::Map::is_empty) || !(value.is_array() || value.is_object()) {
        found.push(at);
        return;
    }
    for (token, below, item) in below_fields(fields, value) {
        let naming: Vec<String> = match value {
            Value::Array(_) => naming_keys(fields, item),
            _ => Vec::new(),
        };
        let mut held = Vec::new();
        collect_held(below, item, format!("{at}/{}", escaped(&token)), &mut held);
        let is_naming =
            |pointer: &String| naming.iter().any(|key| *pointer == format!("{at}/{token}/{}", escaped(key)));
        found.extend(held.into_iter().filter(|pointer| !is_naming(pointer)));
    }
}

/// The keys by which an item of a list is told from others.
fn naming_keys(fields: &Value, item: &Value) -> Vec<String> {
    let of = fields.as_object().into_iter().flatten().find(|(field, _)| names(field, item));
    let keys = of.and_then(|(field, _)| serde_json::from_str::<Value>(field.strip_prefix("k:")?).ok());
    keys.iter().filter_map(Value::as_object).flat_map(|keys| keys.keys().cloned()).collect()
}

/// Whether a field of a list, as `k:{"name":"web"}` or `v:"a"`, is this item. A key that the item leaves out has its default.
fn names(field: &str, item: &Value) -> bool {
    let json = |text: &str| serde_json::from_str::<Value>(text).ok();
    match field.split_once(':') {
        Some(("k", keys)) => json(keys).is_some_and(|keys| {
            keys.as_object().is_some_and(|keys| keys.iter().all(|(key, value)| is_key(item, key, value)))
        }),
        Some(("v", value)) => json(value).as_ref() == Some(item),
        _ => false,
    }
}

/// The pointer to a field that the server names as in `.spec.template.spec.containers[name="web"].image`, in `object`.
pub(super) fn pointer_to(object: &Value, named: &str) -> Option<String> {
    let (mut at, mut value, mut rest) = (String::new(), object, named);
    while !rest.is_empty() {
        match value {
            Value::Object(map) => {
                let tail = rest.strip_prefix('.')?;
                // A key may hold dots: the longest that fits is meant.
                let fits = |key: &&String| {
                    tail.strip_prefix(key.as_str())
                        .is_some_and(|after| after.is_empty() || after.starts_with(['.', '[']))
                };
                let key = map.keys().filter(fits).max_by_key(|key| key.len())?;
                at = format!("{at}/{}", escaped(key));
                (value, rest) = (&map[key], &tail[key.len()..]);
            }
            Value::Array(items) => {
                let (inside, after) = rest.strip_prefix('[')?.split_once(']')?;
                let index = items.iter().position(|item| is_named(item, inside))?;
                at = format!("{at}/{index}");
                (value, rest) = (&items[index], after);
            }
            _ => return None,
        }
    }
    Some(at)
}

/// Whether `inside`, as `containerPort=80,protocol="TCP"` or `="a"`, is about this item of a list.
fn is_named(item: &Value, inside: &str) -> bool {
    let json = |text: &str| serde_json::from_str::<Value>(text).ok();
    if let Some(value) = inside.strip_prefix('=') {
        return json(value).as_ref() == Some(item);
    }
    let named = |part: &str| {
        let (key, value) = part.split_once('=')?;
        Some(is_key(item, key, &json(value)?))
    };
    inside.split(',').all(|part| named(part) == Some(true))
}

/// Whether an item of a list has this key, or leaves it out and has it by default.
fn is_key(item: &Value, key: &str, value: &Value) -> bool {
    match item.get(key) {
        Some(own) => own == value,
        None => key != "protocol" || value == "TCP",
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::{fingerprint, hold, pointer_to, scaled};
    use crate::cluster::request::Metadata;

    fn metadata(entries: &Value) -> Metadata {
        serde_json::from_value(json!({ "managedFields": entries })).expect("metadata")
    }

    fn deployment() -> Value {
        json!({
            "metadata": { "annotations": { "example.com/a.b": "x" } },
            "spec": { "replicas": 2, "template": { "spec": { "containers": [
                { "name": "side", "image": "a" },
                { "name": "web", "image": "b", "ports": [{ "containerPort": 80 }] },
            ] } } },
        })
    }

    #[test]
    fn what_a_release_manages_changes_by_what_others_take_from_it() {
        let own = |fields: Value| json!({ "manager": "helm", "operation": "Apply", "fieldsV1": fields });
        let other = json!({ "manager": "kubectl", "operation": "Update", "fieldsV1": { "f:data": { "f:b": {} } } });
        let applied = fingerprint(&metadata(&json!([own(json!({ "f:data": { "f:a": {} } }))])));
        assert!(applied.is_some());
        let beside = metadata(&json!([other, own(json!({ "f:data": { "f:a": {} } }))]));
        assert_eq!(fingerprint(&beside), applied);
        assert_ne!(fingerprint(&metadata(&json!([other, own(json!({ "f:data": {} }))]))), applied);
        assert_eq!(fingerprint(&metadata(&json!([other]))), None);
        let answer = json!({ "metadata": { "managedFields": [other, own(json!({ "f:data": { "f:a": {} } }))] } });
        assert_eq!(super::fingerprint_of(&answer), applied);
    }

    #[test]
    fn fields_hold_what_they_name_and_all_of_what_is_whole() {
        let fields = json!({ "f:spec": {
            "f:replicas": {},
            "f:template": { "f:spec": { "f:containers": { "k:{\"name\":\"web\"}": {
                ".": {}, "f:image": {}, "f:ports": { "k:{\"containerPort\":80,\"protocol\":\"TCP\"}": { "f:name": {} } },
            } } } },
        } });
        for (pointer, expected) in [
            ("/spec/replicas", true),
            ("/spec", true),
            ("/spec/paused", false),
            ("/spec/template/spec/containers/1/image", true),
            ("/spec/template/spec/containers/1/ports/0/name", true),
            ("/spec/template/spec/containers/1/env", false),
            ("/spec/template/spec/containers/0/image", false),
            ("/spec/template/spec/containers/7/image", false),
        ] {
            assert_eq!(hold(&fields, &deployment(), pointer), expected, "{pointer}");
        }
    }

    #[test]
    fn only_what_others_hold_is_held_and_never_what_names_an_item() {
        let fields = json!({
            "f:metadata": { "f:annotations": { "f:restartedAt": {} } },
            "f:spec": { "f:template": { "f:spec": { "f:containers": { "k:{\"name\":\"web\"}": {
                ".": {}, "f:name": {}, "f:image": {}, "f:ports": {},
            } } } } },
        });
        let mut object = deployment();
        object["metadata"]["annotations"]["restartedAt"] = json!("now");
        let ports = "/spec/template/spec/containers/1/ports";
        let image = "/spec/template/spec/containers/1/image";
        for (pointer, expected) in [
            ("/metadata/annotations", vec!["/metadata/annotations/restartedAt"]),
            ("/metadata/annotations/example.com~1a.b", vec![]),
            ("/spec/template", vec![image, ports]),
            ("/spec/template/spec/containers/1/ports/0/containerPort", vec![ports]),
            ("/spec/replicas", vec![]),
        ] {
            assert_eq!(super::held_below(&fields, &object, pointer), expected, "{pointer}");
        }
    }

    #[test]
    fn what_was_scaled_is_found() {
        let scale = json!([{
            "manager": "kubectl", "operation": "Update", "subresource": "scale", "fieldsV1": { "f:spec": { "f:replicas": {} } },
        }]);
        assert_eq!(scaled(&metadata(&scale)), ["/spec/replicas"]);
    }

    #[test]
    fn a_field_that_the_server_names_is_found() {
        for (named, expected) in [
            (".spec.replicas", Some("/spec/replicas")),
            (r#".spec.template.spec.containers[name="web"].image"#, Some("/spec/template/spec/containers/1/image")),
            (
                r#".spec.template.spec.containers[name="web"].ports[containerPort=80,protocol="TCP"].containerPort"#,
                Some("/spec/template/spec/containers/1/ports/0/containerPort"),
            ),
            (r#".spec.template.spec.containers[name="web"].ports[containerPort=80,protocol="UDP"]"#, None),
            (".metadata.annotations.example.com/a.b", Some("/metadata/annotations/example.com~1a.b")),
            (".spec.paused", None),
        ] {
            assert_eq!(pointer_to(&deployment(), named).as_deref(), expected, "{named}");
        }
    }
}
