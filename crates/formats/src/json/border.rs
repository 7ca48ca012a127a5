//! The border between template values and `serde_json`, which API objects and release records use.

use gotmpl::{List, ListType, Map, Value};

use crate::go;

/// The value as `serde_json` holds it, with numbers as Go prints them: a float without a fraction becomes
/// an integer. What JSON cannot express becomes null.
pub fn to_serde(value: &Value) -> serde_json::Value {
    convert(value, 0)
}

/// Levels that are converted: more than values can have, also where those of a dependency are within its parent's.
const DEPTH: usize = 1_100;

fn convert(value: &Value, depth: usize) -> serde_json::Value {
    if depth > DEPTH {
        return serde_json::Value::Null;
    }
    match value {
        Value::Nil => serde_json::Value::Null,
        Value::Bool(value) => (*value).into(),
        Value::Int(value) | Value::Int64(value) => (*value).into(),
        Value::Uint8(value) => (*value).into(),
        Value::Uint64(value) => (*value).into(),
        Value::Float64(value) => number(*value),
        Value::String(text) => go::utf8(text.as_bytes()).into(),
        Value::List(list) if list.element == ListType::Byte => {
            super::emit(value).ok().and_then(|text| serde_json::from_slice(&text).ok()).unwrap_or_default()
        }
        Value::List(list) => list.items().iter().map(|item| convert(item, depth + 1)).collect(),
        Value::Map(map) => {
            let entries = map.borrow();
            let entries =
                entries.iter().map(|(key, value)| (go::utf8(key.as_bytes()).into_owned(), convert(value, depth + 1)));
            serde_json::Value::Object(entries.collect())
        }
        Value::Object(object) => convert(&object.to_value(), depth + 1),
    }
}

/// A number as it is after Go printed it and somebody read it as an integer where possible.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "the ranges are checked")]
fn number(value: f64) -> serde_json::Value {
    const I64_END: f64 = 9_223_372_036_854_775_808.0;
    const U64_END: f64 = 18_446_744_073_709_551_616.0;
    if value.fract() == 0.0 && (-I64_END..I64_END).contains(&value) {
        (value as i64).into()
    } else if value.fract() == 0.0 && (0.0..U64_END).contains(&value) {
        (value as u64).into()
    } else {
        value.into()
    }
}

/// The template value of a JSON value: every number becomes a `float64`, as in Go.
pub fn from_serde(value: &serde_json::Value) -> Value {
    made_of(value, &|number| Value::Float64(number.as_f64().unwrap_or_default()))
}

/// The same with integers that keep all their digits, for an API server.
pub fn from_serde_exact(value: &serde_json::Value) -> Value {
    made_of(value, &|number| match (number.as_i64(), number.as_u64()) {
        (Some(number), _) => Value::Int64(number),
        (None, Some(number)) => Value::Uint64(number),
        (None, None) => Value::Float64(number.as_f64().unwrap_or_default()),
    })
}

fn made_of(value: &serde_json::Value, number_of: &dyn Fn(&serde_json::Number) -> Value) -> Value {
    match value {
        serde_json::Value::Null => Value::Nil,
        serde_json::Value::Bool(value) => Value::Bool(*value),
        serde_json::Value::Number(number) => number_of(number),
        serde_json::Value::String(text) => Value::string(text.as_str()),
        serde_json::Value::Array(items) => {
            List::any(items.iter().map(|item| made_of(item, number_of)).collect()).into()
        }
        serde_json::Value::Object(entries) => {
            let entries = entries.iter().map(|(key, value)| (key.as_str().into(), made_of(value, number_of)));
            Map::any(entries.collect()).into()
        }
    }
}
