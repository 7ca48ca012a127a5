//! Reading for Go structs: what `sigs.k8s.io/yaml` makes of scalars where a field is text.
//!
//! There an integer keeps all its digits, any other number has those of single precision, and an infinity, which JSON
//! has not, is a word like any other.

use gotmpl::{Str, Value};

use super::compose::{Composer, Numbers};
use super::error::Error;
use super::events::Events;
use super::source::Source;
use crate::go;

/// Reads the first document of a stream, with integers as they are. `is_text` says of a path of keys whether a struct
/// has a text there.
pub fn parse(bytes: &[u8], is_text: &dyn Fn(&[Str]) -> bool) -> Result<Value, Error> {
    let source = Source::new(bytes);
    let document = Composer::new(Events::new(&source), false, Numbers::Exact).typed_document(is_text)?;
    Ok(document.unwrap_or(Value::Nil))
}

/// A scalar as the text of a field; nothing for null and collections.
pub fn text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.to_lossy().into_owned()),
        Value::Bool(value) => Some(value.to_string()),
        Value::Int(number) | Value::Int64(number) => Some(number.to_string()),
        Value::Uint8(number) => Some(number.to_string()),
        Value::Uint64(number) => Some(number.to_string()),
        Value::Float64(number) => Some(single(*number)),
        Value::Nil | Value::List(_) | Value::Map(_) | Value::Object(_) => None,
    }
}

#[expect(clippy::cast_possible_truncation, reason = "sigs.k8s.io/yaml prints single precision")]
fn single(number: f64) -> String {
    match number as f32 {
        single if single.is_finite() => go::general32(single),
        other => go::general(f64::from(other)),
    }
}

/// What JSON calls the type of a value.
pub fn json_type(value: &Value) -> &'static str {
    match value {
        Value::Nil => "null",
        Value::Bool(_) => "bool",
        Value::Int(_) | Value::Int64(_) | Value::Uint8(_) | Value::Uint64(_) | Value::Float64(_) => "number",
        Value::String(_) => "string",
        Value::List(_) => "array",
        Value::Map(_) | Value::Object(_) => "object",
    }
}
