//! Reading JSON text.

use std::borrow::Cow;
use std::collections::BTreeMap;

use gotmpl::{List, Map, Str, Value};

use super::{DEPTH, Error, NODES};

/// Reads a text as `json.Unmarshal` does into an `interface {}`.
///
/// Every number becomes a `float64`, of equal keys the last one counts, and what is not UTF-8 in a string
/// becomes U+FFFD. Errors are Go's; nesting is limited to 500 levels.
pub fn parse(bytes: &[u8]) -> Result<Value, Error> {
    let mut reader = Reader { bytes, at: 0, depth: 0, range: None, nodes: 0 };
    reader.blanks();
    let value = reader.value()?;
    reader.blanks();
    match reader.peek() {
        Some(found) => Err(Error::InvalidCharacter { found, expected: "after top-level value" }),
        None => reader.range.map_or(Ok(value), |number| Err(Error::NumberRange { number })),
    }
}

/// Reads the value a text begins with, as Go's `json.Decoder` does, and tells where it ends.
pub fn parse_prefix(bytes: &[u8]) -> Result<(Value, usize), Error> {
    let mut reader = Reader { bytes, at: 0, depth: 0, range: None, nodes: 0 };
    reader.blanks();
    match reader.value() {
        // A decoder expects more where a text is known to be complete.
        Err(_) if reader.at >= bytes.len() => Err(Error::UnexpectedEnd),
        Err(error) => Err(error),
        Ok(value) => match reader.range {
            Some(number) => Err(Error::NumberRange { number }),
            None => Ok((value, reader.at)),
        },
    }
}

struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
    depth: usize,
    /// The first number without a `float64`; Go tells of it only if the text is well-formed.
    range: Option<String>,
    /// Values read.
    nodes: usize,
}

impl<'a> Reader<'a> {
    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    fn blanks(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\r' | b'\n')) {
            self.at += 1;
        }
    }

    fn unexpected<T>(&self, expected: &'static str) -> Result<T, Error> {
        match self.peek() {
            Some(found) => Err(Error::InvalidCharacter { found, expected }),
            None => Err(Error::UnexpectedEnd),
        }
    }

    /// Like [`Self::unexpected`] inside a word, a number or an escape, where Go takes the end for a space.
    fn broken<T>(&self, expected: &'static str) -> Result<T, Error> {
        let found = self.peek().unwrap_or(b' ');
        Err(Error::InvalidCharacter { found, expected })
    }

    fn value(&mut self) -> Result<Value, Error> {
        self.nodes += 1;
        if self.nodes > NODES {
            return Err(Error::TooLarge);
        }
        match self.peek() {
            Some(b'{') => self.nested(Self::object),
            Some(b'[') => self.nested(Self::array),
            Some(b'"') => Ok(Value::string(&*self.string()?)),
            Some(b'-' | b'0'..=b'9') => self.number(),
            Some(b't') => self.literal(&LITERALS[0], Value::Bool(true)),
            Some(b'f') => self.literal(&LITERALS[1], Value::Bool(false)),
            Some(b'n') => self.literal(&LITERALS[2], Value::Nil),
            _ => self.unexpected("looking for beginning of value"),
        }
    }

    fn nested(&mut self, collection: fn(&mut Self) -> Result<Value, Error>) -> Result<Value, Error> {
        self.depth += 1;
        if self.depth > DEPTH {
            return Err(Error::DeepText { found: self.bytes[self.at] });
        }
        self.at += 1;
        self.blanks();
        let value = collection(self)?;
        self.depth -= 1;
        Ok(value)
    }

    fn object(&mut self) -> Result<Value, Error> {
        let mut entries = BTreeMap::new();
        if self.take(b'}') {
            return Ok(Map::any(entries).into());
        }
        loop {
            if self.peek() != Some(b'"') {
                return self.unexpected("looking for beginning of object key string");
            }
            let key = Str::from(&*self.string()?);
            self.blanks();
            if !self.take(b':') {
                return self.unexpected("after object key");
            }
            self.blanks();
            let value = self.value()?;
            entries.insert(key, value);
            self.blanks();
            if self.take(b'}') {
                return Ok(Map::any(entries).into());
            }
            if !self.take(b',') {
                return self.unexpected("after object key:value pair");
            }
            self.blanks();
        }
    }

    fn array(&mut self) -> Result<Value, Error> {
        let mut items = Vec::new();
        if self.take(b']') {
            return Ok(List::any(items).into());
        }
        loop {
            items.push(self.value()?);
            self.blanks();
            if self.take(b']') {
                return Ok(List::any(items).into());
            }
            if !self.take(b',') {
                return self.unexpected("after array element");
            }
            self.blanks();
        }
    }

    fn take(&mut self, wanted: u8) -> bool {
        let found = self.peek() == Some(wanted);
        self.at += usize::from(found);
        found
    }

    fn literal(&mut self, (word, expected): &(&str, [&'static str; 5]), value: Value) -> Result<Value, Error> {
        for (letter, expected) in word.bytes().zip(expected) {
            if !self.take(letter) {
                return self.broken(expected);
            }
        }
        Ok(value)
    }

    fn number(&mut self) -> Result<Value, Error> {
        let start = self.at;
        self.take(b'-');
        if !self.take(b'0') && self.digits() == 0 {
            return self.broken("in numeric literal");
        }
        if self.take(b'.') && self.digits() == 0 {
            return self.broken("after decimal point in numeric literal");
        }
        if self.take(b'e') || self.take(b'E') {
            let _signed = self.take(b'+') || self.take(b'-');
            if self.digits() == 0 {
                return self.broken("in exponent of numeric literal");
            }
        }
        let text = std::str::from_utf8(&self.bytes[start..self.at]).unwrap_or_default();
        let number = text.parse().unwrap_or(f64::INFINITY);
        if !number.is_finite() {
            self.range.get_or_insert_with(|| text.to_owned());
        }
        Ok(Value::Float64(number))
    }

    fn digits(&mut self) -> usize {
        let count = self.bytes[self.at..].iter().take_while(|byte| byte.is_ascii_digit()).count();
        self.at += count;
        count
    }

    // --- strings ---

    fn string(&mut self) -> Result<Cow<'a, str>, Error> {
        self.at += 1;
        let bytes = self.bytes;
        let mut text: Option<String> = None;
        loop {
            let start = self.at;
            let length = bytes[start..].iter().position(|byte| matches!(byte, b'"' | b'\\' | 0..=0x1F));
            self.at = length.map_or(bytes.len(), |length| start + length);
            let run = crate::go::utf8(&bytes[start..self.at]);
            match self.peek() {
                Some(b'"') => {
                    self.at += 1;
                    return Ok(match text {
                        None => run,
                        Some(text) => Cow::Owned(text + &run),
                    });
                }
                Some(b'\\') => {
                    self.at += 1;
                    let text = text.get_or_insert_default();
                    text.push_str(&run);
                    text.push(self.escape()?);
                }
                _ => return self.unexpected("in string literal"),
            }
        }
    }

    fn escape(&mut self) -> Result<char, Error> {
        let character = match self.peek() {
            Some(b'b') => '\u{08}',
            Some(b'f') => '\u{0C}',
            Some(b'n') => '\n',
            Some(b'r') => '\r',
            Some(b't') => '\t',
            Some(quoted @ (b'\\' | b'/' | b'"')) => char::from(quoted),
            Some(b'u') => {
                self.at += 1;
                return self.unicode();
            }
            _ => return self.broken("in string escape code"),
        };
        self.at += 1;
        Ok(character)
    }

    /// Reads the digits of `\u`, and of the other half of a surrogate pair.
    fn unicode(&mut self) -> Result<char, Error> {
        let unit = self.hex()?;
        let after = self.at;
        if (0xD800..0xDC00).contains(&unit) && self.bytes[after..].starts_with(b"\\u") {
            self.at += 2;
            let low = self.hex()?;
            if (0xDC00..0xE000).contains(&low) {
                let scalar = 0x1_0000 + ((unit & 0x3FF) << 10) + (low & 0x3FF);
                return Ok(char::from_u32(scalar).unwrap_or('\u{FFFD}'));
            }
            // The second one stands for itself.
            self.at = after;
        }
        Ok(char::from_u32(unit).unwrap_or('\u{FFFD}'))
    }

    fn hex(&mut self) -> Result<u32, Error> {
        let mut unit = 0;
        for _ in 0..4 {
            match self.peek().and_then(|byte| char::from(byte).to_digit(16)) {
                Some(digit) => unit = (unit << 4) | digit,
                None => return self.broken("in \\u hexadecimal character escape"),
            }
            self.at += 1;
        }
        Ok(unit)
    }
}

const LITERALS: [(&str, [&str; 5]); 3] = [
    (
        "true",
        [
            "",
            "in literal true (expecting 'r')",
            "in literal true (expecting 'u')",
            "in literal true (expecting 'e')",
            "",
        ],
    ),
    (
        "false",
        [
            "",
            "in literal false (expecting 'a')",
            "in literal false (expecting 'l')",
            "in literal false (expecting 's')",
            "in literal false (expecting 'e')",
        ],
    ),
    (
        "null",
        [
            "",
            "in literal null (expecting 'u')",
            "in literal null (expecting 'l')",
            "in literal null (expecting 'l')",
            "",
        ],
    ),
];
