//! YAML, JSON and TOML to and from values. The readers put an error into their result instead of failing, as Helm's do;
//! the `must…` forms fail.

use formats::{json, toml, yaml};
use gotmpl::{FuncError, Function, Kind, List, ListType, Map, MapType, Str, Type, Value};

use super::arguments::{Outcome, any, text};
use super::{dates, document, pure};
use crate::host::Host;

const TEXT: &[Type] = &[Type::String];
const ANYTHING: &[Type] = &[Type::Any];

pub(super) const TABLE: &[Function<Host>] = &[
    pure("fromJson", TEXT, |args| Ok(json_document(args)?.into_map())),
    pure("fromJsonArray", TEXT, |args| Ok(json_document(args)?.into_list())),
    pure("fromToml", TEXT, |args| Ok(toml_document(args)?.into_map())),
    pure("fromYaml", TEXT, |args| Ok(yaml_document(args)?.into_map())),
    pure("fromYamlArray", TEXT, |args| Ok(yaml_document(args)?.into_list())),
    pure("mustFromJson", TEXT, |args| json::parse(text(args, 0)?).map_err(in_words)),
    document(pure("mustToJson", ANYTHING, |args| encoded(json::emit(any(args, 0))))),
    document(pure("mustToPrettyJson", ANYTHING, |args| encoded(json::emit_pretty(any(args, 0))))),
    document(pure("mustToRawJson", ANYTHING, |args| encoded(json::emit_raw(any(args, 0))))),
    document(pure("mustToToml", ANYTHING, |args| encoded(toml::emit(not_nil(args)?)))),
    document(pure("mustToYaml", ANYTHING, |args| encoded(yaml::try_emit(any(args, 0)).map(without_last_break)))),
    document(pure("toJson", ANYTHING, |args| or_nothing(json::emit(any(args, 0))))),
    document(pure("toPrettyJson", ANYTHING, |args| or_nothing(json::emit_pretty(any(args, 0))))),
    document(pure("toRawJson", ANYTHING, |args| encoded(json::emit_raw(any(args, 0))))),
    // Unlike the others it puts the error in place of the text.
    document(pure("toToml", ANYTHING, |args| match toml::emit(not_nil(args)?) {
        Err(error) if !error.is_limit() => Ok(Value::string(error.to_string())),
        text => encoded(text),
    })),
    document(pure("toYaml", ANYTHING, |args| or_nothing(yaml::try_emit(any(args, 0)).map(without_last_break)))),
    document(pure("toYamlPretty", ANYTHING, |args| {
        match yaml::try_emit_pretty(any(args, 0)).map(without_last_break) {
            // Go's library panics of it.
            Err(error @ yaml::Error::UnsupportedType(_)) => Err(in_words(error)),
            text => or_nothing(text),
        }
    })),
];

fn in_words<E: std::fmt::Display>(error: E) -> FuncError {
    FuncError::new(error.to_string())
}

fn encoded<E: std::fmt::Display>(text: Result<Vec<u8>, E>) -> Outcome {
    text.map(Value::string).map_err(in_words)
}

/// The argument of a TOML function; Go panics on nil.
fn not_nil(args: &[Value]) -> Result<&Value, FuncError> {
    match any(args, 0) {
        Value::Nil => Err(FuncError::new("reflect: call of reflect.Value.Type on zero Value")),
        value => Ok(value),
    }
}

/// What Helm does with an error: it is an empty text, or has a place in the result. Limits that Helm has not are no part
/// of that, for a template would go on with what is not there.
trait Trouble: std::fmt::Display + Sized {
    fn is_limit(&self) -> bool;
}

impl Trouble for json::Error {
    fn is_limit(&self) -> bool {
        Self::is_limit(self)
    }
}

impl Trouble for yaml::Error {
    fn is_limit(&self) -> bool {
        Self::is_limit(self)
    }
}

impl Trouble for toml::Error {
    fn is_limit(&self) -> bool {
        Self::is_limit(self)
    }
}

/// An error leaves an empty text.
fn or_nothing<E: Trouble>(text: Result<Vec<u8>, E>) -> Outcome {
    match text {
        Err(error) if !error.is_limit() => Ok(Value::string("")),
        text => encoded(text),
    }
}

/// An error becomes part of the result.
fn or_words<E: Trouble>(content: Result<Value, E>) -> Result<Result<Value, String>, FuncError> {
    match content {
        Ok(value) => Ok(Ok(value)),
        Err(error) if error.is_limit() => Err(in_words(error)),
        Err(error) => Ok(Err(error.to_string())),
    }
}

fn without_last_break(mut text: Vec<u8>) -> Vec<u8> {
    text.pop_if(|last| *last == b'\n');
    text
}

/// What becomes of a null: Go's JSON reader makes a nil of it, Helm's YAML reader leaves what was there.
#[derive(Clone, Copy)]
enum Null {
    Nil,
    Empty,
}

impl Null {
    fn map(self) -> Map {
        match self {
            Self::Nil => Map::nil(MapType::Any),
            Self::Empty => Map::any(std::collections::BTreeMap::new()),
        }
    }

    fn list(self) -> List {
        match self {
            Self::Nil => List::nil(ListType::Any),
            Self::Empty => List::any(Vec::new()),
        }
    }
}

/// What a text contained, or why it could not be read.
struct Document {
    content: Result<Value, String>,
    null: Null,
    /// What stands before a complaint about the content's type.
    complaint: &'static str,
}

fn json_document(args: &[Value]) -> Result<Document, FuncError> {
    let content = match json::parse(text(args, 0)?) {
        // A number alone has the wrong type before it is too large.
        Err(json::Error::NumberRange { number }) if number.as_bytes() == text(args, 0)?.trim_ascii() => {
            Ok(Value::Float64(f64::INFINITY))
        }
        content => or_words(content)?,
    };
    Ok(Document { content, null: Null::Nil, complaint: "" })
}

fn toml_document(args: &[Value]) -> Result<Document, FuncError> {
    let content = or_words(toml::parse_with(text(args, 0)?, dates::of_toml))?;
    Ok(Document { content, null: Null::Empty, complaint: "" })
}

fn yaml_document(args: &[Value]) -> Result<Document, FuncError> {
    let content = or_words(yaml::parse(text(args, 0)?))?;
    Ok(Document { content, null: Null::Empty, complaint: "error unmarshaling JSON: while decoding JSON: " })
}

impl Document {
    /// The map it contains; an error is its entry `Error`.
    fn into_map(self) -> Value {
        let error = match self.content {
            Ok(map @ Value::Map(_)) => return map,
            Ok(Value::Nil) => return self.null.map().into(),
            Ok(other) => mismatch(self.complaint, &other, "map[string]interface {}"),
            Err(error) => error,
        };
        Map::any([(Str::from("Error"), Value::string(error))].into()).into()
    }

    /// The list it contains; an error is its only item.
    fn into_list(self) -> Value {
        let error = match self.content {
            Ok(list @ Value::List(_)) => return list,
            Ok(Value::Nil) => return self.null.list().into(),
            Ok(other) => mismatch(self.complaint, &other, "[]interface {}"),
            Err(error) => error,
        };
        List::any(vec![Value::string(error)]).into()
    }
}

fn mismatch(complaint: &str, value: &Value, wanted: &str) -> String {
    let found = match value.kind() {
        Kind::Bool => "bool",
        Kind::String => "string",
        Kind::Slice => "array",
        Kind::Map => "object",
        _ => "number",
    };
    format!("{complaint}json: cannot unmarshal {found} into Go value of type {wanted}")
}
