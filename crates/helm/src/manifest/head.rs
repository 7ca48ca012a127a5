//! The few fields of an object that decide where it goes, read as Go reads them.

use std::collections::BTreeMap;

use gotmpl::{Map, Value};

/// What Helm reads of a document. Fields that are absent or null are empty.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Head {
    pub(super) api_version: String,
    pub(super) kind: String,
    pub(super) name: String,
    pub(super) annotations: BTreeMap<String, String>,
}

/// A field whose value has a wrong type, in the words of Go's JSON decoder.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("error unmarshaling JSON: while decoding JSON: json: cannot unmarshal {found} into Go {place}")]
pub struct Mismatch {
    /// What was found: `array`, `string`, ….
    found: &'static str,
    /// The field and the type it must have.
    place: &'static str,
}

const DOCUMENT: &str = "value of type util.SimpleHead";
const API_VERSION: &str = "struct field SimpleHead.apiVersion of type string";
const KIND: &str = "struct field SimpleHead.kind of type string";
const METADATA: &str = "struct field SimpleHead.metadata of type \
                        struct { Name string \"json:\\\"name\\\"\"; \
                        Annotations map[string]string \"json:\\\"annotations\\\"\" }";
const NAME: &str = "struct field .metadata.name of type string";
const ANNOTATIONS: &str = "struct field .metadata.annotations of type map[string]string";
const ANNOTATION: &str = "struct field .metadata.annotations of type string";

impl Head {
    /// Reads the head of a document. Go ignores the case of field names; of several spellings the last counts.
    pub(super) fn of(document: &Value) -> Result<Self, Mismatch> {
        let mut head = Self::default();
        each_entry(document, DOCUMENT, |key, value| {
            match key.to_ascii_lowercase().as_str() {
                "apiversion" => set(&mut head.api_version, value, API_VERSION)?,
                "kind" => set(&mut head.kind, value, KIND)?,
                "metadata" => head.read_metadata(value)?,
                _ => {}
            }
            Ok(())
        })?;
        Ok(head)
    }

    fn read_metadata(&mut self, metadata: &Value) -> Result<(), Mismatch> {
        each_entry(metadata, METADATA, |key, value| match key.to_ascii_lowercase().as_str() {
            "name" => set(&mut self.name, value, NAME),
            "annotations" => self.read_annotations(value),
            _ => Ok(()),
        })
    }

    fn read_annotations(&mut self, annotations: &Value) -> Result<(), Mismatch> {
        each_entry(annotations, ANNOTATIONS, |key, value| {
            set(self.annotations.entry(key.to_owned()).or_default(), value, ANNOTATION)
        })
    }
}

/// Visits the entries of a map in the order of their keys. A null has none.
fn each_entry(
    value: &Value,
    place: &'static str,
    mut visit: impl FnMut(&str, &Value) -> Result<(), Mismatch>,
) -> Result<(), Mismatch> {
    let map: &Map = match value {
        Value::Nil => return Ok(()),
        Value::Map(map) => map,
        other => return Err(Mismatch { found: json_type(other), place }),
    };
    map.borrow().iter().try_for_each(|(key, value)| visit(&key.to_lossy(), value))
}

/// Sets a text field. Numbers and booleans become text, a null changes nothing.
fn set(field: &mut String, value: &Value, place: &'static str) -> Result<(), Mismatch> {
    *field = match value {
        Value::Nil => return Ok(()),
        Value::String(text) => text.to_lossy().into_owned(),
        Value::Bool(flag) => flag.to_string(),
        Value::Float64(number) => number_text(*number),
        other => return Err(Mismatch { found: json_type(other), place }),
    };
    Ok(())
}

/// A number as the text of a field: integers in full, others with the shortest digits of 32 bits and, when they are very
/// large or small, an exponent.
#[expect(clippy::cast_possible_truncation, reason = "sigs.k8s.io/yaml prints 32 bits of a float")]
fn number_text(number: f64) -> String {
    const EXACT: f64 = 9_007_199_254_740_992.0;
    if number.fract() == 0.0 && number.abs() <= EXACT {
        return format!("{number:.0}");
    }
    let narrow = number as f32;
    let scientific = format!("{narrow:e}");
    match scientific.split_once('e').map(|(digits, exponent)| (digits, exponent.parse::<i32>())) {
        Some((digits, Ok(exponent @ (..-4 | 6..)))) => {
            let sign = if exponent < 0 { '-' } else { '+' };
            format!("{digits}e{sign}{:02}", exponent.unsigned_abs())
        }
        Some(_) | None => narrow.to_string(),
    }
}

fn json_type(value: &Value) -> &'static str {
    match value {
        Value::Nil => "null",
        Value::Bool(_) => "bool",
        Value::Int(_) | Value::Int64(_) | Value::Uint8(_) | Value::Uint64(_) | Value::Float64(_) => "number",
        Value::String(_) => "string",
        Value::List(_) => "array",
        Value::Map(_) | Value::Object(_) => "object",
    }
}
