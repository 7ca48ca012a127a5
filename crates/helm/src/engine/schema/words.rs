//! One broken rule of a schema in the words of the Go library that Helm uses.

use jsonschema::error::{TypeKind, ValidationErrorKind as Kind};
use serde_json::Value;

use crate::functions;

/// What a rule says that `instance` breaks.
pub(super) fn words(kind: &Kind, instance: &Value) -> String {
    let size = |want: &u64| (instance_size(instance), *want);
    let limit = |name: &str, limit: &Value| format!("{name}: got {}, want {}", number(instance), number(limit));
    let count = |name: &str, (got, want): (usize, u64)| format!("{name}: got {got}, want {want}");
    match kind {
        Kind::AdditionalItems { limit } => {
            let extra = instance.as_array().map_or(0, Vec::len).saturating_sub(*limit);
            format!("last {extra} additionalItem(s) not allowed")
        }
        Kind::AdditionalProperties { unexpected } => additional(unexpected),
        Kind::AnyOf { .. } => "'anyOf' failed".to_owned(),
        Kind::Constant { expected_value } => match &**expected_value {
            Value::Array(_) | Value::Object(_) => "'const' failed".to_owned(),
            scalar => format!("value must be {}", display(scalar)),
        },
        Kind::Contains => "no items match contains schema".to_owned(),
        Kind::Enum { options } => enumeration(options),
        Kind::ExclusiveMaximum { limit: want } => limit("exclusiveMaximum", want),
        Kind::ExclusiveMinimum { limit: want } => limit("exclusiveMinimum", want),
        Kind::FalseSchema | Kind::UnevaluatedItems { .. } | Kind::UnevaluatedProperties { .. } => {
            "false schema".to_owned()
        }
        Kind::Format { format } if format == "regex" => {
            let reason = instance.as_str().and_then(functions::pattern_error).unwrap_or_default();
            format!("{} is not valid regex: {reason}", display(instance))
        }
        Kind::Format { format } => format!("{} is not valid {format}", display(instance)),
        Kind::MaxItems { limit } => count("maxItems", size(limit)),
        Kind::Maximum { limit: want } => limit("maximum", want),
        Kind::MaxLength { limit } => count("maxLength", size(limit)),
        Kind::MaxProperties { limit } => count("maxProperties", size(limit)),
        Kind::MinItems { limit } => count("minItems", size(limit)),
        Kind::Minimum { limit: want } => limit("minimum", want),
        Kind::MinLength { limit } => count("minLength", size(limit)),
        Kind::MinProperties { limit } => count("minProperties", size(limit)),
        Kind::MultipleOf { multiple_of } => format!("multipleOf: got {}, want {multiple_of}", number(instance)),
        Kind::Not { .. } => "'not' failed".to_owned(),
        Kind::OneOfMultipleValid { context } => one_of_matched(context),
        Kind::OneOfNotValid { .. } => "'oneOf' failed, none matched".to_owned(),
        Kind::Pattern { pattern } => format!("{} does not match pattern {}", display(instance), quote(pattern)),
        Kind::PropertyNames { error } => {
            format!("invalid propertyName {}", display(error.instance()))
        }
        Kind::Required { property } => format!("missing property {}", display(property)),
        Kind::Type { kind } => wrong_type(kind, instance),
        Kind::UniqueItems => unique_items(instance),
        Kind::ContentEncoding { content_encoding } => {
            format!("value is not {} encoded", quote(content_encoding))
        }
        Kind::ContentMediaType { content_media_type } => {
            format!("value is not of mediatype {}", quote(content_media_type))
        }
        Kind::Custom { message, .. } | Kind::RegexEngineFailure { message } => message.clone(),
        Kind::BacktrackLimitExceeded { error } => error.to_string(),
        Kind::FromUtf8 { error } => error.to_string(),
        Kind::Referencing(error) => error.to_string(),
    }
}

/// `additional properties 'a', 'b' not allowed`
pub(super) fn additional<S: AsRef<str>>(properties: &[S]) -> String {
    format!("additional properties {} not allowed", quote_all(properties))
}

/// `missing property 'a'` or `missing properties 'a', 'b'`.
pub(super) fn missing(properties: &[&str]) -> String {
    match properties {
        [one] => format!("missing property {}", quote(one)),
        several => format!("missing properties {}", quote_all(several)),
    }
}

fn instance_size(instance: &Value) -> usize {
    match instance {
        Value::String(text) => text.chars().count(),
        Value::Array(items) => items.len(),
        Value::Object(properties) => properties.len(),
        Value::Null | Value::Bool(_) | Value::Number(_) => 0,
    }
}

/// Numbers as Go prints a float64.
fn number(value: &Value) -> String {
    let number = value.as_f64().unwrap_or_default();
    gotmpl::display(&gotmpl::Value::Float64(number)).to_string()
}

fn display(value: &Value) -> String {
    match value {
        Value::String(text) => quote(text),
        Value::Null => "<nil>".to_owned(),
        Value::Bool(_) | Value::Number(_) => value.to_string(),
        Value::Array(_) | Value::Object(_) => "value".to_owned(),
    }
}

fn enumeration(options: &Value) -> String {
    let options = options.as_array().map(Vec::as_slice).unwrap_or_default();
    if options.iter().any(|option| option.is_array() || option.is_object()) {
        return "'enum' failed".to_owned();
    }
    let shown: Vec<_> = options.iter().map(display).collect();
    let one_of = if options.len() == 1 { "" } else { "one of " };
    format!("value must be {one_of}{}", shown.join(", "))
}

/// The first two alternatives that match: those without errors.
fn one_of_matched(context: &[Vec<jsonschema::ValidationError<'static>>]) -> String {
    let matched = context.iter().enumerate().filter(|(_, errors)| errors.is_empty());
    let matched: Vec<_> = matched.map(|(index, _)| index.to_string()).take(2).collect();
    format!("'oneOf' failed, subschemas {} matched", matched.join(", "))
}

fn wrong_type(kind: &TypeKind, instance: &Value) -> String {
    let wanted: Vec<String> = match kind {
        TypeKind::Single(one) => vec![one.to_string()],
        TypeKind::Multiple(several) => {
            // The order of Go's bit set.
            const ORDER: [&str; 7] = ["null", "boolean", "number", "integer", "string", "array", "object"];
            let names: Vec<String> = several.iter().map(|one| one.to_string()).collect();
            ORDER.iter().filter(|name| names.iter().any(|n| n == *name)).map(ToString::to_string).collect()
        }
    };
    format!("got {}, want {}", type_of(instance), wanted.join(" or "))
}

fn type_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

fn unique_items(instance: &Value) -> String {
    let items = instance.as_array().map(Vec::as_slice).unwrap_or_default();
    let equal = (1..items.len()).find_map(|j| (0..j).find(|i| items[*i] == items[j]).map(|i| (i, j)));
    let (i, j) = equal.unwrap_or_default();
    format!("items at {i} and {j} are equal")
}

/// In single quotes.
pub(super) fn quote(text: &str) -> String {
    let escaped = text.replace('\\', "\\\\").replace('\n', "\\n").replace('\t', "\\t").replace('\r', "\\r");
    format!("'{}'", escaped.replace('\'', "\\'"))
}

fn quote_all<S: AsRef<str>>(texts: &[S]) -> String {
    let quoted: Vec<_> = texts.iter().map(|text| quote(text.as_ref())).collect();
    quoted.join(", ")
}
