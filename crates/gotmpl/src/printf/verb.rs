//! One value under one verb.

use super::float;
use super::integer::{self, Integer};
use super::pad::Flags;
use super::{MAX_DEPTH, MAX_OUTPUT};
use crate::complex::Complex;
use crate::error::Limit;
use crate::object::Object;
use crate::quote;
use crate::typed::type_name;
use crate::value::{Kind, List, ListType, Map, Value};

/// Prints values with the flags of a directive.
#[derive(Default)]
pub(super) struct Printer {
    pub(super) out: Vec<u8>,
    pub(super) flags: Flags,
    /// Within a complaint about a verb, methods of the host's types are not asked.
    complaining: bool,
    depth: usize,
    /// The limit at which printing stopped.
    pub(super) cut: Option<Limit>,
}

impl Printer {
    /// Appends text as it is.
    pub(super) fn text(&mut self, text: &str) {
        self.out.extend_from_slice(text.as_bytes());
    }

    fn pad(&mut self, text: &[u8]) {
        self.flags.pad(&mut self.out, text);
    }

    /// An argument of the call.
    pub(super) fn argument(&mut self, value: &Value, verb: char) {
        match (value, verb) {
            (Value::Nil, 'T' | 'v') => self.pad(b"<nil>"),
            (Value::Nil, _) => self.text(&format!("%!{verb}(<nil>)")),
            (_, 'T') => self.string(type_name(value).as_bytes(), 's'),
            (_, 'p') => self.pointer(value),
            (Value::List(list), _) if list.element == ListType::Byte => {
                self.bytes(list, verb, "[]byte");
            }
            (_, 'w') => self.bad_verb(value, verb),
            _ => self.value(value, verb),
        }
    }

    fn value(&mut self, value: &Value, verb: char) {
        if self.out.len() > MAX_OUTPUT {
            self.cut = Some(Limit::Output);
        } else if self.depth > MAX_DEPTH {
            self.cut = Some(Limit::Nesting);
        }
        if self.cut.is_none() {
            self.depth += 1;
            self.any_value(value, verb);
            self.depth -= 1;
        }
    }

    fn any_value(&mut self, value: &Value, verb: char) {
        match value {
            Value::Nil if self.flags.sharp_v => self.text("interface {}(nil)"),
            Value::Nil => self.text("<nil>"),
            Value::Bool(b) if accepts(value, verb) => {
                self.pad(if *b { b"true" } else { b"false" });
            }
            Value::Int(n) | Value::Int64(n) => self.integer(value, n.unsigned_abs(), *n < 0, verb),
            Value::Uint8(n) => self.integer(value, u64::from(*n), false, verb),
            Value::Uint64(n) => self.integer(value, *n, false, verb),
            Value::Float64(n) if matches!(verb, 'v' | 'b' | 'g' | 'G' | 'x' | 'X' | 'f' | 'F' | 'e' | 'E') => {
                float::append(&mut self.out, *n, verb, &self.flags);
            }
            Value::String(text) if matches!(verb, 'v' | 's' | 'x' | 'X' | 'q') => {
                self.string(text.as_bytes(), verb);
            }
            Value::List(list) => self.list(list, verb),
            Value::Map(map) => self.map(map, verb),
            Value::Object(object) => self.object(value, object.as_ref(), verb),
            Value::Bool(_) | Value::Float64(_) | Value::String(_) => self.bad_verb(value, verb),
        }
    }

    fn bad_verb(&mut self, value: &Value, verb: char) {
        self.complaining = true;
        self.text(&format!("%!{verb}({}=", type_name(value)));
        self.value(value, 'v');
        self.text(")");
        self.complaining = false;
    }

    /// Go prints addresses, which are different each time; here all are the same.
    fn pointer(&mut self, value: &Value) {
        if !matches!(value.kind(), Kind::Slice | Kind::Map | Kind::Ptr) {
            return self.bad_verb(value, 'p');
        }
        let address = Integer {
            magnitude: if value.is_nil() { 0 } else { 0xc000_0000_0000 },
            negative: false,
            base: 16,
            upper: false,
            octal_prefix: false,
        };
        address.append(&mut self.out, &Flags { sharp: !self.flags.sharp, ..self.flags });
    }

    fn integer(&mut self, value: &Value, magnitude: u64, negative: bool, verb: char) {
        let unsigned = matches!(value, Value::Uint8(_) | Value::Uint64(_));
        let (base, upper) = match verb {
            'v' if self.flags.sharp_v && unsigned => {
                return self.hex_integer(magnitude);
            }
            'v' | 'd' => (10, false),
            'b' => (2, false),
            'o' | 'O' => (8, false),
            'x' => (16, false),
            'X' => (16, true),
            'c' | 'q' | 'U' => {
                let code = if negative { magnitude.wrapping_neg() } else { magnitude };
                return self.code_point(code, verb);
            }
            _ => return self.bad_verb(value, verb),
        };
        let integer = Integer { magnitude, negative, base, upper, octal_prefix: verb == 'O' };
        integer.append(&mut self.out, &self.flags);
    }

    /// Both parts as a float each would be printed, the second with its sign.
    fn complex(&mut self, value: &Value, number: Complex, verb: char) {
        if !accepts(value, verb) {
            return self.bad_verb(value, verb);
        }
        self.text("(");
        float::append(&mut self.out, number.real, verb, &self.flags);
        float::append(&mut self.out, number.imaginary, verb, &Flags { plus: true, ..self.flags });
        self.text("i)");
    }

    fn code_point(&mut self, code: u64, verb: char) {
        match verb {
            'c' => integer::append_char(&mut self.out, code, &self.flags),
            'q' => integer::append_quoted(&mut self.out, code, &self.flags),
            _ => integer::append_code_point(&mut self.out, code, &self.flags),
        }
    }

    /// `0x1f`, as `%#v` prints unsigned numbers.
    fn hex_integer(&mut self, magnitude: u64) {
        let integer = Integer { magnitude, negative: false, base: 16, upper: false, octal_prefix: false };
        integer.append(&mut self.out, &Flags { sharp: true, ..self.flags });
    }

    fn string(&mut self, text: &[u8], verb: char) {
        match verb {
            'x' | 'X' => self.hex(text, verb == 'X'),
            'q' => self.quoted(text),
            'v' if self.flags.sharp_v => self.quoted(text),
            _ => {
                let text = self.flags.truncate(text);
                self.flags.pad(&mut self.out, text);
            }
        }
    }

    fn quoted(&mut self, text: &[u8]) {
        let text = self.flags.truncate(text);
        let mut quoted = Vec::with_capacity(text.len() + 2);
        if self.flags.sharp && quote::can_backquote(text) {
            quoted.push(b'`');
            quoted.extend_from_slice(text);
            quoted.push(b'`');
        } else {
            quote::append(&mut quoted, text, self.flags.plus);
        }
        self.pad(&quoted);
    }

    /// `%x` of a text: its bytes in hexadecimal, apart from each other with the flag space.
    fn hex(&mut self, text: &[u8], upper: bool) {
        let text = &text[..text.len().min(self.flags.precision.unwrap_or(usize::MAX))];
        let prefix = match (self.flags.sharp, upper) {
            (false, _) => "",
            (true, false) => "0x",
            (true, true) => "0X",
        };
        let mut hex = String::with_capacity(text.len() * 2);
        for (index, byte) in text.iter().enumerate() {
            if index > 0 && self.flags.space {
                hex.push(' ');
            }
            if index == 0 || self.flags.space {
                hex.push_str(prefix);
            }
            for nibble in [byte >> 4, byte & 15] {
                let digit = char::from_digit(u32::from(nibble), 16).unwrap_or_default();
                hex.push(if upper { digit.to_ascii_uppercase() } else { digit });
            }
        }
        self.pad(hex.as_bytes());
    }

    fn bytes(&mut self, list: &List, verb: char, ty: &str) {
        match verb {
            'v' | 'd' if self.flags.sharp_v => self.items(list, verb, ty),
            'v' | 'd' => self.items(list, 'd', ""),
            's' | 'x' | 'X' | 'q' => {
                let bytes: Vec<u8> = list
                    .items()
                    .iter()
                    .filter_map(|item| if let Value::Uint8(byte) = item { Some(*byte) } else { None })
                    .collect();
                self.string(&bytes, verb);
            }
            _ => self.items(list, verb, list.element.type_name()),
        }
    }

    fn list(&mut self, list: &List, verb: char) {
        if list.element == ListType::Byte && matches!(verb, 's' | 'x' | 'X' | 'q') {
            return self.bytes(list, verb, "[]uint8");
        }
        self.items(list, verb, list.element.type_name());
    }

    fn items(&mut self, list: &List, verb: char, ty: &str) {
        if let Some(bytes) = list.as_bytes().filter(|_| matches!(verb, 'v' | 'd') && self.flags.are_plain())
            && self.out.len() + bytes.len() * "255 ".len() <= MAX_OUTPUT
        {
            return self.decimals(bytes);
        }
        let sharp = self.flags.sharp_v;
        if sharp {
            self.text(ty);
            if list.is_nil() {
                return self.text("(nil)");
            }
        }
        self.text(if sharp { "{" } else { "[" });
        for (index, item) in list.items().iter().enumerate() {
            self.separator(index);
            self.value(item, verb);
        }
        self.text(if sharp { "}" } else { "]" });
    }

    /// Bytes as numbers: a chart that prints its files has many.
    fn decimals(&mut self, bytes: &[u8]) {
        self.out.push(b'[');
        for (index, byte) in bytes.iter().enumerate() {
            self.separator(index);
            if *byte >= 100 {
                self.out.push(b'0' + byte / 100);
            }
            if *byte >= 10 {
                self.out.push(b'0' + byte / 10 % 10);
            }
            self.out.push(b'0' + byte % 10);
        }
        self.out.push(b']');
    }

    fn separator(&mut self, index: usize) {
        if index > 0 {
            self.text(if self.flags.sharp_v { ", " } else { " " });
        }
    }

    fn map(&mut self, map: &Map, verb: char) {
        if self.flags.sharp_v {
            self.text(map.ty.type_name());
            if map.is_nil() {
                return self.text("(nil)");
            }
        }
        self.text(if self.flags.sharp_v { "{" } else { "map[" });
        for (index, (key, value)) in map.borrow().iter().enumerate() {
            self.separator(index);
            self.value(&Value::String(key.clone()), verb);
            self.text(":");
            self.value(value, verb);
        }
        self.text(if self.flags.sharp_v { "}" } else { "]" });
    }

    /// A struct, or a pointer to one: its fields, by name if a flag says so.
    fn structure(&mut self, object: &dyn Object, fields: &[(&str, Value)], verb: char) {
        let sharp = self.flags.sharp_v;
        if object.kind() == Kind::Ptr {
            self.text("&");
        }
        if sharp {
            self.text(object.type_name().trim_start_matches('*'));
        }
        self.text("{");
        for (index, (name, value)) in fields.iter().enumerate() {
            self.separator(index);
            if sharp || self.flags.plus_v {
                self.text(name);
                self.text(":");
            }
            self.value(value, verb);
        }
        self.text("}");
    }

    /// A type of the host: text where text will do, else what it is made of.
    fn object(&mut self, value: &Value, object: &dyn Object, verb: char) {
        if let Some(number) = Complex::of(value) {
            return self.complex(value, number, verb);
        }
        if self.flags.sharp_v && !self.complaining && object.has_method("GoString") {
            if let Ok(Value::String(text)) = object.call("GoString", &[]) {
                let text = self.flags.truncate(text.as_bytes());
                self.pad(text);
            }
            return;
        }
        let collection = matches!(object.kind(), Kind::Slice | Kind::Map);
        let textual = matches!(verb, 'v' | 's' | 'x' | 'X' | 'q') && !self.complaining;
        if let Some(fields) = object.fields() {
            return self.structure(object, &fields, verb);
        }
        match object.underlying() {
            Some(inner) if collection || self.flags.sharp_v => self.value(&inner, verb),
            Some(inner) if !textual && accepts(&inner, verb) => self.value(&inner, verb),
            _ if textual || verb == 'v' => self.string(object.display().as_bytes(), verb),
            _ => self.bad_verb(value, verb),
        }
    }
}

/// Whether a verb makes sense for a value that is not a collection.
fn accepts(value: &Value, verb: char) -> bool {
    match value.kind() {
        Kind::Bool => matches!(verb, 't' | 'v'),
        Kind::Int | Kind::Int64 | Kind::Uint8 | Kind::Uint64 => {
            matches!(verb, 'v' | 'd' | 'b' | 'o' | 'O' | 'x' | 'X' | 'c' | 'q' | 'U')
        }
        Kind::Float64 | Kind::Complex128 => matches!(verb, 'v' | 'b' | 'g' | 'G' | 'x' | 'X' | 'f' | 'F' | 'e' | 'E'),
        Kind::String => matches!(verb, 'v' | 's' | 'x' | 'X' | 'q'),
        Kind::Invalid | Kind::Slice | Kind::Map | Kind::Struct | Kind::Ptr | Kind::Func => true,
    }
}
