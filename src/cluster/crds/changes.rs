//! Whether a definition may take the place of the one that a cluster has: what objects hold must not be lost. Pure.

use serde_json::Value;

/// Most fields that a message names.
const NAMED: usize = 3;

/// What taking the place of a definition costs.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Nothing.
    Safe,
    /// Fields of objects, if there are any that have them: these, in words.
    LosesFields(String),
    /// It cannot be: this, in words.
    Refused(String),
}

/// Compares the definition `wanted` with the `live` one.
pub(super) fn compare(live: &Value, wanted: &Value) -> Verdict {
    for field in ["/spec/group", "/spec/scope", "/spec/names/kind", "/spec/names/plural"] {
        let (before, after) = (live.pointer(field), wanted.pointer(field));
        if before != after {
            let path = field.trim_start_matches('/').replace('/', ".");
            let shown = |value: Option<&Value>| value.map_or_else(|| "nothing".to_owned(), Value::to_string);
            return Verdict::Refused(format!("{path} would change from {} to {}", shown(before), shown(after)));
        }
    }
    let stored = live["status"]["storedVersions"].as_array().into_iter().flatten();
    if let Some(stored) = stored.filter_map(Value::as_str).find(|stored| version(wanted, stored).is_none()) {
        return Verdict::Refused(format!(
            "it has no version {stored} any more, in which objects are stored (status.storedVersions): migrate them first"
        ));
    }
    let mut lost = Vec::new();
    let keeps_all = |definition: &Value| definition["spec"]["preserveUnknownFields"].as_bool();
    if keeps_all(live) == Some(true) && keeps_all(wanted) == Some(false) {
        lost.push("whatever its schemas do not name (spec.preserveUnknownFields)".to_owned());
    }
    for before in live["spec"]["versions"].as_array().into_iter().flatten() {
        let name = before["name"].as_str().unwrap_or_default();
        if let Some(after) = version(wanted, name) {
            let schema = |version: &Value| version["schema"]["openAPIV3Schema"].clone();
            removed(&schema(before), &schema(after), name, &mut lost);
        }
    }
    if lost.is_empty() {
        return Verdict::Safe;
    }
    let more = lost.len().saturating_sub(NAMED);
    let named = lost.iter().take(NAMED).map(String::as_str).collect::<Vec<_>>().join(", ");
    Verdict::LosesFields(if more > 0 { format!("{named} and {more} more") } else { named })
}

fn version<'a>(definition: &'a Value, name: &str) -> Option<&'a Value> {
    definition["spec"]["versions"].as_array()?.iter().find(|version| version["name"] == name)
}

/// The fields of a schema that another one would drop from objects, as paths.
///
/// What keeps unknown fields keeps those that its schema does not name; within those that it names, pruning goes on.
fn removed(before: &Value, after: &Value, path: &str, lost: &mut Vec<String>) {
    let (kept, keeps) = (is_keeping(before), is_keeping(after));
    if kept && !keeps {
        lost.push(format!("{path} (it kept unknown fields)"));
        return;
    }
    for (name, property) in before["properties"].as_object().into_iter().flatten() {
        let path = format!("{path}.{name}");
        match after["properties"].get(name) {
            Some(still) => removed(property, still, &path, lost),
            None if keeps || is_open(after) => {}
            None => lost.push(path),
        }
    }
    if kept {
        // What was not named held anything.
        let named = after["properties"].as_object().into_iter().flatten();
        let is_new = |name: &str| before["properties"].get(name).is_none();
        let pruned = named.filter(|(name, schema)| is_new(name) && prunes(schema));
        lost.extend(pruned.map(|(name, _)| format!("{path}.{name} (it kept unknown fields)")));
    }
    if is_open(before) && !is_open(after) && !keeps {
        lost.push(format!("{path}.* (it took any key)"));
        return;
    }
    for (part, suffix) in [("items", "[]"), ("additionalProperties", ".*")] {
        if before[part].is_object() && after[part].is_object() {
            removed(&before[part], &after[part], &format!("{path}{suffix}"), lost);
        }
    }
}

/// Whether objects that a schema describes lose what it does not name.
fn prunes(schema: &Value) -> bool {
    let inner = || ["items", "additionalProperties"].iter().filter_map(|part| schema.get(part)).any(prunes);
    let is_closed = schema["type"] == "object" && !is_open(schema);
    !is_keeping(schema) && (is_closed || inner())
}

/// The mark of a schema that keeps what it does not name.
const KEEPS: &str = "x-kubernetes-preserve-unknown-fields";

fn is_keeping(schema: &Value) -> bool {
    schema[KEEPS] == true
}

/// Whether a schema is one of maps with any keys.
fn is_open(schema: &Value) -> bool {
    schema["additionalProperties"].is_object() || schema["additionalProperties"] == true
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::{Verdict, compare};

    fn definition(versions: &[(&str, Value)]) -> Value {
        let versions: Vec<Value> = versions
            .iter()
            .map(|(name, schema)| json!({ "name": name, "served": true, "schema": { "openAPIV3Schema": schema } }))
            .collect();
        json!({
            "spec": {
                "group": "example.com", "scope": "Namespaced", "names": { "kind": "Widget", "plural": "widgets" },
                "versions": versions,
            },
            "status": { "storedVersions": ["v1"] },
        })
    }

    fn object(properties: &Value) -> Value {
        json!({ "type": "object", "properties": properties })
    }

    #[test]
    fn fields_that_objects_would_lose_are_found_at_any_depth() {
        let spec = |inner: Value| object(&json!({ "spec": object(&inner) }));
        let text = json!({ "type": "string" });
        let any = json!({ "type": "object", "x-kubernetes-preserve-unknown-fields": true });
        let keeping = |inner: Value| {
            let mut schema = object(&inner);
            schema["x-kubernetes-preserve-unknown-fields"] = json!(true);
            schema
        };
        let list = |inner: Value| json!({ "type": "array", "items": object(&inner) });
        let map = |inner: Value| json!({ "type": "object", "additionalProperties": object(&inner) });
        for (before, after, lost) in [
            (spec(json!({ "a": text })), spec(json!({ "a": text, "b": text })), None),
            (spec(json!({ "a": text, "b": text })), spec(json!({ "a": text })), Some("v1.spec.b")),
            (
                spec(json!({ "l": list(json!({ "x": text })) })),
                spec(json!({ "l": list(json!({})) })),
                Some("v1.spec.l[].x"),
            ),
            (
                spec(json!({ "m": map(json!({ "x": text })) })),
                spec(json!({ "m": map(json!({})) })),
                Some("v1.spec.m.*.x"),
            ),
            (spec(json!({ "a": text })), object(&json!({ "spec": any })), None),
            (
                spec(json!({ "m": map(json!({ "x": text })) })),
                spec(json!({ "m": object(&json!({ "x": text })) })),
                Some("v1.spec.m.* (it took any key)"),
            ),
            (object(&json!({ "spec": any })), spec(json!({ "a": text })), Some("v1.spec (it kept unknown fields)")),
            // What is named below it is pruned all the same.
            (
                object(&json!({ "spec": keeping(json!({ "c": object(&json!({ "a": text, "b": text })) })) })),
                object(&json!({ "spec": keeping(json!({ "c": object(&json!({ "a": text })) })) })),
                Some("v1.spec.c.b"),
            ),
            (
                spec(json!({ "c": object(&json!({ "a": text, "b": text })), "d": text })),
                object(&json!({ "spec": keeping(json!({ "c": object(&json!({ "a": text })) })) })),
                Some("v1.spec.c.b"),
            ),
            (
                object(&json!({ "spec": keeping(json!({ "a": text })) })),
                object(
                    &json!({ "spec": keeping(json!({ "a": text, "b": text, "c": object(&json!({ "x": text })) })) }),
                ),
                Some("v1.spec.c (it kept unknown fields)"),
            ),
        ] {
            let expected = lost.map_or(Verdict::Safe, |lost| Verdict::LosesFields(lost.to_owned()));
            assert_eq!(compare(&definition(&[("v1", before)]), &definition(&[("v1", after)])), expected);
        }
    }

    #[test]
    fn a_definition_that_kept_all_that_is_unknown_loses_it() {
        let keeping = |keeps: bool| {
            let mut definition = definition(&[("v1", object(&json!({})))]);
            definition["spec"]["preserveUnknownFields"] = json!(keeps);
            definition
        };
        assert_eq!(compare(&keeping(false), &keeping(false)), Verdict::Safe);
        let Verdict::LosesFields(what) = compare(&keeping(true), &keeping(false)) else { panic!("it loses fields") };
        assert!(what.contains("spec.preserveUnknownFields"), "{what}");
    }

    #[test]
    fn a_stored_version_stays_and_what_a_definition_is_never_changes() {
        let schema = || object(&json!({}));
        let live = definition(&[("v1", schema())]);
        assert_eq!(compare(&live, &definition(&[("v1", schema()), ("v2", schema())])), Verdict::Safe);
        let Verdict::Refused(why) = compare(&live, &definition(&[("v2", schema())])) else { panic!("v1 is stored") };
        assert!(why.contains("no version v1"), "{why}");
        let mut other = definition(&[("v1", schema())]);
        other["spec"]["scope"] = json!("Cluster");
        let Verdict::Refused(why) = compare(&live, &other) else { panic!("the scope is another") };
        assert!(why.contains("spec.scope would change from \"Namespaced\" to \"Cluster\""), "{why}");
    }
}
