//! Printing values as JSON text.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use gotmpl::{Kind, List, ListType, Map, Value};

use super::{BYTES, DEPTH, Error, contains_itself};
use crate::go;

/// Prints a value as `json.Marshal` does: on one line, keys sorted, safe inside HTML.
///
/// Fails for what JSON cannot express: infinities, NaN, and maps that contain themselves.
pub fn emit(value: &Value) -> Result<Vec<u8>, Error> {
    print(value, Style { html: true, pretty: false })
}

/// Like [`emit`], but with a line per item and an indentation of two spaces.
pub fn emit_pretty(value: &Value) -> Result<Vec<u8>, Error> {
    print(value, Style { html: true, pretty: true })
}

/// Like [`emit`], but with `<`, `>` and `&` as they are.
pub fn emit_raw(value: &Value) -> Result<Vec<u8>, Error> {
    print(value, Style { html: false, pretty: false })
}

#[derive(Clone, Copy)]
struct Style {
    html: bool,
    pretty: bool,
}

fn print(value: &Value, style: Style) -> Result<Vec<u8>, Error> {
    let mut writer = Writer { out: Vec::new(), style, depth: 0 };
    match writer.value(value) {
        Ok(()) => Ok(writer.out),
        Err(_) if writer.depth > DEPTH && !contains_itself(value) => Err(Error::TooDeep),
        Err(error) => Err(error),
    }
}

struct Writer {
    out: Vec<u8>,
    style: Style,
    depth: usize,
}

impl Writer {
    fn value(&mut self, value: &Value) -> Result<(), Error> {
        if self.out.len() > BYTES {
            return Err(Error::TooLong);
        }
        match value {
            Value::Nil => self.text("null"),
            Value::Bool(value) => self.text(if *value { "true" } else { "false" }),
            Value::Int(value) | Value::Int64(value) => self.text(&value.to_string()),
            Value::Uint8(value) => self.text(&value.to_string()),
            Value::Uint64(value) => self.text(&value.to_string()),
            Value::Float64(value) if value.is_finite() => self.text(&go::json_number(*value)),
            Value::Float64(value) => return Err(Error::UnsupportedValue(go::general(*value))),
            Value::String(text) => self.string(text.as_bytes()),
            Value::List(list) if list.element == ListType::Byte && !list.is_nil() => self.bytes(list),
            Value::List(list) => return self.list(list),
            Value::Map(map) => return self.map(map),
            Value::Object(object) if object.kind() == Kind::Complex128 => {
                return Err(Error::UnsupportedType(object.type_name().to_owned()));
            }
            Value::Object(object) => match object.json_fields() {
                Some(fields) => return self.structure(&fields),
                None => return self.value(&object.to_value()),
            },
        }
        Ok(())
    }

    fn text(&mut self, text: &str) {
        self.out.extend_from_slice(text.as_bytes());
    }

    fn open(&mut self, bracket: u8, value: &str) -> Result<(), Error> {
        self.out.push(bracket);
        self.depth += 1;
        if self.depth > DEPTH {
            return Err(Error::UnsupportedValue(format!("encountered a cycle via {value}")));
        }
        Ok(())
    }

    fn close(&mut self, bracket: u8, empty: bool) {
        self.depth -= 1;
        if !empty {
            self.new_line();
        }
        self.out.push(bracket);
    }

    fn new_line(&mut self) {
        if self.style.pretty {
            self.out.push(b'\n');
            self.out.extend(std::iter::repeat_n(b' ', 2 * self.depth));
        }
    }

    /// Starts an item or an entry.
    fn item(&mut self, first: bool) {
        if !first {
            self.out.push(b',');
        }
        self.new_line();
    }

    fn list(&mut self, list: &List) -> Result<(), Error> {
        if list.is_nil() {
            self.text("null");
            return Ok(());
        }
        self.open(b'[', "[]interface {}")?;
        for (index, item) in list.items().iter().enumerate() {
            self.item(index == 0);
            self.value(item)?;
        }
        self.close(b']', list.items().is_empty());
        Ok(())
    }

    fn map(&mut self, map: &Map) -> Result<(), Error> {
        if map.is_nil() {
            self.text("null");
            return Ok(());
        }
        self.open(b'{', "map[string]interface {}")?;
        let entries = map.borrow();
        for (index, (key, value)) in entries.iter().enumerate() {
            self.entry(index == 0, key.as_bytes(), value)?;
        }
        self.close(b'}', entries.is_empty());
        Ok(())
    }

    fn structure(&mut self, fields: &[(&str, Value)]) -> Result<(), Error> {
        self.open(b'{', "struct")?;
        for (index, (name, value)) in fields.iter().enumerate() {
            self.entry(index == 0, name.as_bytes(), value)?;
        }
        self.close(b'}', fields.is_empty());
        Ok(())
    }

    fn entry(&mut self, first: bool, key: &[u8], value: &Value) -> Result<(), Error> {
        self.item(first);
        self.string(key);
        self.text(if self.style.pretty { ": " } else { ":" });
        self.value(value)
    }

    fn bytes(&mut self, list: &List) {
        self.out.push(b'"');
        self.text(&STANDARD.encode(list.to_bytes().as_bytes()));
        self.out.push(b'"');
    }

    fn string(&mut self, bytes: &[u8]) {
        self.out.push(b'"');
        for chunk in bytes.utf8_chunks() {
            self.escaped(chunk.valid().as_bytes());
            for _ in chunk.invalid() {
                self.text("\\ufffd");
            }
        }
        self.out.push(b'"');
    }

    fn escaped(&mut self, text: &[u8]) {
        let mut rest = text;
        while let Some(at) = rest.iter().position(|byte| self.is_special(*byte)) {
            self.out.extend_from_slice(&rest[..at]);
            let length = self.escape(&rest[at..]);
            rest = &rest[at + length..];
        }
        self.out.extend_from_slice(rest);
    }

    /// Whether a byte, or the character it leads, may need an escape.
    fn is_special(&self, byte: u8) -> bool {
        match byte {
            b'"' | b'\\' | 0..=0x1F | 0xE2 => true,
            b'<' | b'>' | b'&' => self.style.html,
            _ => false,
        }
    }

    /// Writes the special character at the start of `rest` and gives its length.
    fn escape(&mut self, rest: &[u8]) -> usize {
        match rest {
            [0xE2, 0x80, last @ (0xA8 | 0xA9), ..] => {
                self.text(if *last == 0xA8 { "\\u2028" } else { "\\u2029" });
                return 3;
            }
            [byte @ (b'"' | b'\\'), ..] => self.out.extend([b'\\', *byte]),
            [0x08, ..] => self.text("\\b"),
            [0x0C, ..] => self.text("\\f"),
            [b'\n', ..] => self.text("\\n"),
            [b'\r', ..] => self.text("\\r"),
            [b'\t', ..] => self.text("\\t"),
            [0xE2, ..] => self.out.push(0xE2),
            [byte, ..] => self.text(&format!("\\u{byte:04x}")),
            [] => return 0,
        }
        1
    }
}
