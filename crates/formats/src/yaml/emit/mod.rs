//! Printing values as YAML, in the two dialects Helm has.
//!
//! `toYaml` is go-yaml v2 after a passage through JSON; `toYamlPretty` is yaml.v3 with the value as it is.
//! Both write block style and differ in indentation, folding, quoting and the order of keys.

mod order;
mod scalar;
mod writer;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use gotmpl::{Kind, List, ListType, Map, Str, Value};

use super::Error;
use crate::{go, json};
use scalar::{Style, analyze, wanted};
use writer::Writer;

/// How deeply a value may nest.
const DEPTH: usize = 500;
/// How many bytes a key may have without a `?` before it.
const SIMPLE_KEY: usize = 128;
/// A key of this many bytes could, escaped as JSON, be longer than go-yaml lets a key be.
const LONG_KEY: usize = 1024 / 6 - 1;

/// The two ways Helm prints YAML.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Dialect {
    /// go-yaml v2, as `toYaml` uses it.
    Plain,
    /// yaml.v3 with an indentation of two, as `toYamlPretty` uses it.
    Pretty,
}

/// Prints a value as `sigs.k8s.io/yaml` does: through JSON, then by go-yaml v2. Ends with a newline.
///
/// Fails for what JSON cannot express, and for what go-yaml would not read back from JSON: control
/// characters that JSON does not escape, and keys of more than 1024 characters.
pub fn try_emit(value: &Value) -> Result<Vec<u8>, Error> {
    let mut emitter = Emitter::new(Dialect::Plain);
    emitter.node(value, Place::Other).map_err(|error| in_a_cycle(error, value))?;
    if emitter.odd {
        return try_emit_odd(value);
    }
    Ok(emitter.finish())
}

/// Takes the passage through JSON literally, for values that do not survive it unchanged.
fn try_emit_odd(value: &Value) -> Result<Vec<u8>, Error> {
    let text = json::emit(value).map_err(Error::Marshal)?;
    let value = super::parse(&text).map_err(|error| match error {
        Error::Syntax { problem, line: Some(line) } => {
            Error::Unprintable { problem: format!("line {line}: {problem}") }
        }
        Error::Syntax { problem, line: None } => Error::Unprintable { problem },
        other => other,
    })?;
    let mut emitter = Emitter::new(Dialect::Plain);
    emitter.node(&value, Place::Other)?;
    Ok(emitter.finish())
}

/// Prints a value as yaml.v3 does with an indentation of two. Ends with a newline.
///
/// Fails only for values that nest too deeply.
pub fn try_emit_pretty(value: &Value) -> Result<Vec<u8>, Error> {
    let mut emitter = Emitter::new(Dialect::Pretty);
    emitter.node(value, Place::Other).map_err(|error| in_a_cycle(error, value))?;
    Ok(emitter.finish())
}

/// What Go says of a value that nests without end, and ours of one that only nests too deeply.
fn in_a_cycle(error: Error, value: &Value) -> Error {
    match error {
        Error::Marshal(json::Error::TooDeep) if json::contains_itself(value) => {
            let cycle = "encountered a cycle via map[string]interface {}".to_owned();
            Error::Marshal(json::Error::UnsupportedValue(cycle))
        }
        other => other,
    }
}

/// [`try_emit`] with Helm's answer to errors: nothing.
pub fn emit(value: &Value) -> Vec<u8> {
    try_emit(value).unwrap_or_default()
}

/// [`try_emit_pretty`] with Helm's answer to errors: nothing.
pub fn emit_pretty(value: &Value) -> Vec<u8> {
    try_emit_pretty(value).unwrap_or_default()
}

/// Where a node stands.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    /// A key without `?`.
    SimpleKey,
    /// The value of a key, or a key after `?`.
    Mapping,
    /// The root, or an item.
    Other,
}

struct Emitter {
    writer: Writer,
    dialect: Dialect,
    depth: usize,
    odd: bool,
}

impl Emitter {
    fn new(dialect: Dialect) -> Self {
        Self { writer: Writer::new(dialect == Dialect::Plain), dialect, depth: 0, odd: false }
    }

    fn finish(mut self) -> Vec<u8> {
        self.writer.indent = -1;
        self.writer.write_indent();
        self.writer.out
    }

    fn node(&mut self, value: &Value, place: Place) -> Result<(), Error> {
        if self.writer.out.len() > json::BYTES {
            return Err(Error::TooLong);
        }
        match value {
            Value::Nil => self.writer.word("null"),
            Value::Bool(value) => self.writer.word(if *value { "true" } else { "false" }),
            Value::Int(value) | Value::Int64(value) => self.writer.word(&value.to_string()),
            Value::Uint8(value) => self.writer.word(&value.to_string()),
            Value::Uint64(value) => self.writer.word(&value.to_string()),
            Value::Float64(value) => self.float(*value)?,
            Value::String(text) => self.string(text.as_bytes(), place),
            Value::List(list) if list.is_nil() && self.dialect == Dialect::Plain => self.writer.word("null"),
            Value::List(list) if list.element == ListType::Byte && self.dialect == Dialect::Plain => {
                let text = json::emit(value).map_err(Error::Marshal)?;
                self.string(text.trim_ascii().strip_prefix(b"\"").map_or(&[][..], |t| &t[..t.len() - 1]), place);
            }
            Value::Map(map) if map.is_nil() && self.dialect == Dialect::Plain => self.writer.word("null"),
            Value::List(list) if list.is_empty() => self.writer.word("[]"),
            Value::List(list) => return self.nested(|emitter| emitter.sequence(list, place)),
            Value::Map(map) if map.borrow().is_empty() => self.writer.word("{}"),
            Value::Map(map) => return self.nested(|emitter| emitter.mapping(map)),
            Value::Object(object) if object.kind() == Kind::Complex128 => {
                let name = object.type_name().to_owned();
                return Err(match self.dialect {
                    Dialect::Plain => Error::Marshal(json::Error::UnsupportedType(name)),
                    Dialect::Pretty => Error::UnsupportedType(name),
                });
            }
            Value::Object(object) if self.dialect == Dialect::Pretty && object.type_name() == "time.Time" => {
                self.writer.word(&gotmpl::display(&object.to_value()).to_lossy());
            }
            // A duration, which JSON shows as a number.
            Value::Object(object) if self.dialect == Dialect::Pretty && object.kind() == Kind::Int64 => {
                self.writer.word(&object.display().to_lossy());
            }
            Value::Object(object) => return self.node(&object.to_value(), place),
        }
        Ok(())
    }

    fn nested(&mut self, collection: impl FnOnce(&mut Self) -> Result<(), Error>) -> Result<(), Error> {
        if self.depth == DEPTH {
            return Err(Error::Marshal(json::Error::TooDeep));
        }
        self.depth += 1;
        let indent = self.writer.indent;
        collection(self)?;
        self.writer.indent = indent;
        self.depth -= 1;
        Ok(())
    }

    fn increase_indent(&mut self) {
        self.writer.indent = if self.writer.indent < 0 { 0 } else { self.writer.indent + 2 };
    }

    fn sequence(&mut self, list: &List, place: Place) -> Result<(), Error> {
        let indentless = self.dialect == Dialect::Plain && place == Place::Mapping && !self.writer.indention;
        if !indentless || self.writer.indent < 0 {
            self.increase_indent();
        }
        for item in list.items() {
            self.writer.write_indent();
            self.writer.entry_indicator(b'-');
            self.node(item, Place::Other)?;
        }
        Ok(())
    }

    fn mapping(&mut self, map: &Map) -> Result<(), Error> {
        self.increase_indent();
        let entries = map.borrow();
        let named = entries.iter().map(|(key, value)| (go::utf8(key.as_bytes()), key, value)).collect();
        for (name, key, value) in order::sort(named, self.dialect, &|(name, ..)| name) {
            self.writer.write_indent();
            self.odd |= name.len() > LONG_KEY;
            if self.is_simple_key(&name, key) {
                self.string(key.as_bytes(), Place::SimpleKey);
                self.writer.value_indicator();
            } else {
                self.writer.entry_indicator(b'?');
                self.string(key.as_bytes(), Place::Mapping);
                self.writer.write_indent();
                self.writer.entry_indicator(b':');
            }
            self.node(value, Place::Mapping)?;
        }
        Ok(())
    }

    fn is_simple_key(&self, name: &str, key: &Str) -> bool {
        if self.dialect == Dialect::Pretty && key.as_str().is_none() {
            let digits = base64_lines(key.as_bytes());
            return digits.len() + "!!binary".len() <= SIMPLE_KEY && !digits.contains('\n');
        }
        name.len() <= SIMPLE_KEY && !analyze(name, self.dialect).multiline
    }

    fn float(&mut self, value: f64) -> Result<(), Error> {
        let text = match (self.dialect, value) {
            (Dialect::Pretty, f64::INFINITY) => ".inf".to_owned(),
            (Dialect::Pretty, f64::NEG_INFINITY) => "-.inf".to_owned(),
            (Dialect::Pretty, value) if value.is_nan() => ".nan".to_owned(),
            (Dialect::Pretty, value) => go::general(value),
            (Dialect::Plain, value) if !value.is_finite() => {
                return Err(Error::Marshal(json::Error::UnsupportedValue(go::general(value))));
            }
            (Dialect::Plain, value) => number_through_json(value),
        };
        self.writer.word(&text);
        Ok(())
    }

    fn string(&mut self, bytes: &[u8], place: Place) {
        let text = go::utf8(bytes);
        if self.dialect == Dialect::Pretty && matches!(text, std::borrow::Cow::Owned(_)) {
            self.writer.word("!!binary");
            let digits = base64_lines(bytes);
            return self.scalar(&digits, if digits.contains('\n') { Style::Literal } else { Style::Plain }, place);
        }
        self.scalar(&text, wanted(&text, self.dialect), place);
    }

    fn scalar(&mut self, text: &str, wanted: Style, place: Place) {
        let analysis = analyze(text, self.dialect);
        self.odd |= analysis.odd;
        let simple_key = place == Place::SimpleKey;
        let outer = self.writer.indent;
        self.writer.indent = if outer < 0 { 2 } else { outer + 2 };
        match analysis.choose(wanted, text.is_empty(), simple_key) {
            Style::Plain => self.writer.plain(text, !simple_key),
            Style::SingleQuoted => self.writer.single_quoted(text, !simple_key),
            Style::DoubleQuoted => self.writer.double_quoted(text, !simple_key),
            Style::Literal => self.writer.literal(text),
        }
        self.writer.indent = outer;
    }
}

/// A number as it comes out of JSON, YAML and go-yaml's encoder: JSON writes it without an exponent up to
/// 1e21, what is then an integer of 64 bits stays one, and all else is printed by Go's `%g`.
fn number_through_json(value: f64) -> String {
    let text = go::json_number(value);
    if value == 0.0 {
        return "0".to_owned();
    }
    if text.parse::<i64>().is_ok() || text.parse::<u64>().is_ok() { text } else { go::general(value) }
}

/// Base64 as go-yaml wraps it.
fn base64_lines(bytes: &[u8]) -> String {
    const LINE: usize = 70;
    let digits = STANDARD.encode(bytes);
    if digits.len() < LINE {
        return digits;
    }
    digits.as_bytes().chunks(LINE).map(|line| String::from_utf8_lossy(line).into_owned() + "\n").collect()
}
