use std::collections::BTreeMap;

use super::*;
use crate::chart::{Chart, Metadata};
use crate::values::ValuesMap;

/// What Helm 4.3.1 prints below the chart's name for these values.
fn complaint(schema: &serde_json::Value, values: &serde_json::Value) -> String {
    let metadata = Metadata { name: "web".to_owned(), version: "1.0.0".to_owned(), ..Metadata::default() };
    let chart = Chart { metadata, schema: Some(schema.to_string().into_bytes().into()), ..Chart::default() };
    let active = ActiveChart::new(&chart, &ValuesMap::new()).expect("no dependencies");
    let values = match json::from_serde(values) {
        Value::Map(map) => map,
        _ => Map::any(BTreeMap::new()),
    };
    match check(&active, &values, (SchemaCheck::Enforce, &Log::default())) {
        Ok(()) => String::new(),
        Err(error) => {
            let text = error.to_string();
            let (head, rest) = text.split_once("web:\n").expect("the chart is named");
            let expected = "values don't meet the specifications of the schema(s) in the following chart(s):\n";
            assert_eq!(head, expected);
            rest.to_owned()
        }
    }
}

#[test]
fn broken_rules_are_told_in_helms_words() {
    let number = serde_json::json!({"properties": {"x": {"type": "integer", "minimum": 2}}});
    for (schema, values, expected) in [
        (number.clone(), serde_json::json!({"x": 3}), ""),
        (number.clone(), serde_json::json!({"x": "3"}), "- at '/x': got string, want integer\n"),
        (number, serde_json::json!({"x": 1}), "- at '/x': minimum: got 1, want 2\n"),
        (serde_json::json!({"required": ["a", "b"]}), serde_json::json!({}), "- at '': missing properties 'a', 'b'\n"),
        (
            serde_json::json!({"required": ["a"], "properties": {"b": {"enum": ["x", 1]}}}),
            serde_json::json!({"b": "y"}),
            "- at '': missing property 'a'\n- at '/b': value must be one of 'x', 1\n",
        ),
        (
            serde_json::json!({"additionalProperties": false, "properties": {"a": {}}}),
            serde_json::json!({"a": 1, "b": 1}),
            "- at '': additional properties 'b' not allowed\n",
        ),
        (
            serde_json::json!({"required": ["b"], "properties": {"a": {"type": "object", "required": ["x"], "minProperties": 2}}}),
            serde_json::json!({"a": {}}),
            "- at '': missing property 'b'\n- at '/a': validation failed\n  - at '/a': minProperties: got 0, want 2\n  - at '/a': missing property 'x'\n",
        ),
        (
            serde_json::json!({"properties": {"a": {"anyOf": [{"type": "string"}, {"type": "null"}]}}}),
            serde_json::json!({"a": 1}),
            "- at '/a': 'anyOf' failed\n  - at '/a': got number, want string\n  - at '/a': got number, want null\n",
        ),
        (
            serde_json::json!({"properties": {"a": {"$ref": "#/$defs/s"}}, "$defs": {"s": {"type": ["string", "null"]}}}),
            serde_json::json!({"a": 1}),
            "- at '/a': got number, want null or string\n",
        ),
    ] {
        let found = complaint(&schema, &values);
        assert_eq!(found, expected, "{schema} on {values}");
    }
}

#[test]
fn schemas_are_never_fetched() {
    let schema = serde_json::json!({"$ref": "https://example.com/schema.json"});
    assert!(complaint(&schema, &serde_json::json!({})).contains("schemas are not fetched from elsewhere"));
}
