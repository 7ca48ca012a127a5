//! The few fields of an object that decide where it goes, read as Go reads them.

use std::collections::BTreeMap;

use formats::yaml::typed::{self, json_type};
use gotmpl::{Map, Str, Value};

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
    /// Whether the head has a text at a path of keys, so that any scalar there becomes one.
    pub(super) fn has_text_at(path: &[Str]) -> bool {
        let is = |key: &Str, name: &str| key.as_bytes().eq_ignore_ascii_case(name.as_bytes());
        match path {
            [key] => is(key, "apiVersion") || is(key, "kind"),
            [metadata, name] => is(metadata, "metadata") && is(name, "name"),
            [metadata, annotations, _] => is(metadata, "metadata") && is(annotations, "annotations"),
            _ => false,
        }
    }

    /// Whether an entry with this key, `depth` maps within a document, may be part of its head.
    pub(super) fn needs(depth: usize, key: &str) -> bool {
        let named = |names: &[&str]| names.iter().any(|name| key.eq_ignore_ascii_case(name));
        match depth {
            0 => named(&["apiVersion", "kind", "metadata"]),
            1 => named(&["name", "annotations"]),
            // All annotations, and nothing within them.
            depth => depth == 2,
        }
    }

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
    match typed::text(value) {
        Some(text) => *field = text,
        None if matches!(value, Value::Nil) => {}
        None => return Err(Mismatch { found: json_type(value), place }),
    }
    Ok(())
}
