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
fn removed(before: &Value, after: &Value, path: &str, lost: &mut Vec<String>) {
    // What keeps unknown fields drops none.
    if after["x-kubernetes-preserve-unknown-fields"] == true {
        return;
    }
    if before["x-kubernetes-preserve-unknown-fields"] == true {
        lost.push(format!("{path} (it kept unknown fields)"));
        return;
    }
    for (name, property) in before["properties"].as_object().into_iter().flatten() {
        let path = format!("{path}.{name}");
        match after["properties"].get(name) {
            Some(still) => removed(property, still, &path, lost),
            None if after["additionalProperties"].is_object() || after["additionalProperties"] == true => {}
            None => lost.push(path),
        }
    }
    let is_open = |schema: &Value| schema["additionalProperties"].is_object() || schema["additionalProperties"] == true;
    if is_open(before) && !is_open(after) {
        lost.push(format!("{path}.* (it took any key)"));
        return;
    }
    for (part, suffix) in [("items", "[]"), ("additionalProperties", ".*")] {
        if before[part].is_object() && after[part].is_object() {
            removed(&before[part], &after[part], &format!("{path}{suffix}"), lost);
        }
    }
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
        ] {
            let expected = lost.map_or(Verdict::Safe, |lost| Verdict::LosesFields(lost.to_owned()));
            assert_eq!(compare(&definition(&[("v1", before)]), &definition(&[("v1", after)])), expected);
        }
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
