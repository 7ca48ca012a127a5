//! Whether a schema is plainly one. Most are, and need not be applied to the schema of schemas, which costs more than
//! applying them to the values.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use super::draft::Draft;
use super::format;

/// What schemas of schemas have rules for, besides the keywords that [`is_plain_keyword`] knows.
const OTHER_KEYWORDS: [&str; 23] = [
    "$anchor",
    "$comment",
    "$dynamicAnchor",
    "$dynamicRef",
    "$recursiveAnchor",
    "$recursiveRef",
    "$vocabulary",
    "contentEncoding",
    "contentMediaType",
    "contentSchema",
    "dependencies",
    "dependentRequired",
    "dependentSchemas",
    "deprecated",
    "exclusiveMaximum",
    "exclusiveMinimum",
    "id",
    "maxContains",
    "minContains",
    "readOnly",
    "unevaluatedItems",
    "unevaluatedProperties",
    "writeOnly",
];

/// Whether the schema of schemas of a draft certainly has nothing to say against `schema`; otherwise nothing is known.
pub(super) fn is_plain(schema: &Value, draft: Draft) -> bool {
    match schema {
        Value::Object(keywords) => {
            keywords.iter().all(|(keyword, value)| is_plain_keyword((keyword.as_str(), value), draft))
        }
        Value::Bool(_) => draft > Draft::Four,
        _ => false,
    }
}

fn is_plain_keyword((keyword, value): (&str, &Value), draft: Draft) -> bool {
    match keyword {
        "$schema" => value.as_str().is_some_and(|url| Draft::of_url(url).is_some()),
        "$id" => is_format("uri-reference", value) && !value.as_str().is_some_and(|id| id.contains('#')),
        "$ref" => is_format("uri-reference", value),
        "pattern" => is_format("regex", value),
        "title" | "description" | "format" => value.is_string(),
        "uniqueItems" => value.is_boolean(),
        "minimum" | "maximum" => value.is_number(),
        "exclusiveMinimum" | "exclusiveMaximum" if draft > Draft::Four => value.is_number(),
        "multipleOf" => value.as_f64().is_some_and(|number| number > 0.0),
        "minLength" | "maxLength" | "minItems" | "maxItems" | "minProperties" | "maxProperties" => value.is_u64(),
        "type" => is_type(value) || value.as_array().is_some_and(|types| types.iter().all(is_type)) && are_names(value),
        "required" => are_names(value) || value.as_array().is_some_and(Vec::is_empty) && draft > Draft::Four,
        "enum" => are_names(value) || value.is_array() && draft > Draft::Seven,
        "examples" => value.is_array(),
        "properties" | "definitions" | "$defs" => is_map(value, |(_, schema)| is_plain(schema, draft)),
        "patternProperties" => {
            is_map(value, |(pattern, schema)| format::check("regex", pattern).is_ok() && is_plain(schema, draft))
        }
        "additionalProperties" | "additionalItems" => value.is_boolean() || is_plain(value, draft),
        "not" | "if" | "then" | "else" | "contains" | "propertyNames" => is_plain(value, draft),
        "items" => is_plain(value, draft) || draft < Draft::Y2020 && are_plain(value, draft),
        "allOf" | "anyOf" | "oneOf" | "prefixItems" => are_plain(value, draft),
        other => !OTHER_KEYWORDS.contains(&other),
    }
}

fn is_format(format: &str, value: &Value) -> bool {
    value.as_str().is_some_and(|text| format::check(format, text).is_ok())
}

fn is_type(value: &Value) -> bool {
    let is_one = |name| matches!(name, "null" | "boolean" | "number" | "integer" | "string" | "array" | "object");
    value.as_str().is_some_and(is_one)
}

/// Whether it is a list of texts, none of them twice.
fn are_names(value: &Value) -> bool {
    let mut seen = BTreeSet::new();
    let names = value.as_array().filter(|names| !names.is_empty());
    names.is_some_and(|names| names.iter().all(|name| name.as_str().is_some_and(|name| seen.insert(name))))
}

fn is_map<'v>(value: &'v Value, entry: impl Fn((&'v String, &'v Value)) -> bool) -> bool {
    value.as_object().is_some_and(|entries: &Map<_, _>| entries.iter().all(entry))
}

fn are_plain(value: &Value, draft: Draft) -> bool {
    let schemas = value.as_array().filter(|schemas| !schemas.is_empty());
    schemas.is_some_and(|schemas| schemas.iter().all(|schema| is_plain(schema, draft)))
}

#[cfg(test)]
mod tests {
    use super::super::library::metaschema;
    use super::*;

    /// All keywords that a document of a schema of schemas has something to say of.
    fn keywords(document: &Value, into: &mut BTreeSet<(String, bool)>) {
        for (name, rule) in document.get("properties").and_then(Value::as_object).into_iter().flatten() {
            let is_free = rule == &Value::Bool(true)
                || rule
                    .as_object()
                    .is_some_and(|rule| !rule.contains_key("type") && rule.keys().all(|key| key == "default"));
            into.insert((name.clone(), is_free));
        }
    }

    #[test]
    fn no_keyword_with_a_rule_is_overlooked() {
        for draft in Draft::ALL {
            let mut known = BTreeSet::new();
            let vocabularies = [
                "core",
                "applicator",
                "unevaluated",
                "validation",
                "meta-data",
                "format",
                "format-annotation",
                "content",
            ];
            let base = draft.url().trim_end_matches("schema");
            let parts = vocabularies.iter().map(|name| format!("{base}meta/{name}"));
            for url in std::iter::once(draft.url().to_owned()).chain(parts) {
                if let Some((document, _)) = metaschema(&url) {
                    keywords(document, &mut known);
                }
            }
            assert!(known.len() > 30, "{draft:?}: {known:?}");
            for (keyword, is_free) in known {
                let is_plain = is_plain_keyword((&keyword, &Value::Null), draft);
                assert!(is_free || !is_plain, "{keyword} in {draft:?}");
            }
        }
    }

    #[test]
    fn what_is_rare_is_looked_at_closely() {
        let is_plain = |text: &str, draft| is_plain(&serde_json::from_str(text).expect("it is JSON"), draft);
        let good = r##"{"$schema": "http://json-schema.org/draft-07/schema#", "title": "x", "x-kind": 1, "default": null,
            "properties": {"a": {"type": ["string", "null"], "enum": ["x", "y"]}, "b": {"$ref": "#/definitions/c"}},
            "definitions": {"c": {"items": {"pattern": "^a"}}}, "required": ["a"], "additionalProperties": false}"##;
        assert!(is_plain(good, Draft::Seven));
        assert!(is_plain(good, Draft::Four));
        for bad in [
            r#"{"type": "text"}"#,
            r#"{"type": []}"#,
            r#"{"type": ["string", "string"]}"#,
            r#"{"enum": []}"#,
            r#"{"enum": [1, 1]}"#,
            r#"{"required": ["a", "a"]}"#,
            r#"{"required": []}"#,
            r#"{"pattern": "("}"#,
            r#"{"patternProperties": {"(": {}}}"#,
            r#"{"minLength": -1}"#,
            r#"{"minLength": 1.5}"#,
            r#"{"multipleOf": 0}"#,
            r#"{"exclusiveMinimum": 1}"#,
            r#"{"properties": {"a": true}}"#,
            r#"{"properties": {"a": {"allOf": []}}}"#,
            r#"{"items": []}"#,
            r#"{"$id": "a#b"}"#,
            "[]",
        ] {
            assert!(!is_plain(bad, Draft::Four), "{bad}");
        }
    }
}
