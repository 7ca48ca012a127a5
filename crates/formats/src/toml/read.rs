//! Reading: lines of keys and table headers, and values by their first character.

use gotmpl::{List, Map, Str, Value};

use super::tables::{Document, Key, Node};
use super::{Error, number, string};

/// How deeply values may nest; the library has no limit.
const DEPTH: usize = 200;

/// How many values a document may have: as in YAML, 100 MiB of memory.
const NODES: usize = 500_000;

/// Reads a document.
///
/// Integers become `int64`, floats `float64`, an array of tables a `[]map[string]interface {}`. Dates and
/// times become strings in the form JSON gives them, where Go has a `time.Time`.
pub fn parse(bytes: &[u8]) -> Result<Value, Error> {
    parse_with(bytes, |moment| Value::string(moment.text))
}

/// A date, a time, or both.
pub struct Moment {
    /// In the form of RFC 3339. What is missing is the start of the year 0, in UTC.
    pub text: String,
    /// Go's name for its zone, if none is written.
    pub local: Option<&'static str>,
}

/// Like [`parse`], but dates and times become what `moments` makes of them.
pub fn parse_with(bytes: &[u8], moments: fn(Moment) -> Value) -> Result<Value, Error> {
    let bytes = bytes.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(bytes);
    if bytes.iter().take(6).any(|byte| *byte == 0) {
        let problem = "files cannot contain NULL bytes; probably using UTF-16; TOML files must be UTF-8";
        return Err(Error::Syntax { line: 1, key: String::new(), problem: problem.to_owned() });
    }
    let (text, rest) = match std::str::from_utf8(bytes) {
        Ok(text) => (text, None),
        Err(error) => {
            let (valid, rest) = bytes.split_at(error.valid_up_to());
            (std::str::from_utf8(valid).unwrap_or_default(), rest.first().copied())
        }
    };
    let mut reader = Reader { text, at: 0, invalid: rest, moments, document: Document::default(), depth: 0, nodes: 0 };
    reader.document()?;
    Ok(reader.document.finish())
}

/// Reads one text.
pub(super) struct Reader<'a> {
    pub(super) text: &'a str,
    pub(super) at: usize,
    /// The byte behind the text that is not UTF-8.
    invalid: Option<u8>,
    pub(super) moments: fn(Moment) -> Value,
    document: Document,
    depth: usize,
    /// Values read.
    nodes: usize,
}

impl<'a> Reader<'a> {
    // --- characters ---

    /// The next character, checked, or `None` at the end.
    pub(super) fn peek(&self) -> Result<Option<char>, Error> {
        let mut rest = self.rest().chars();
        match (rest.next(), self.invalid) {
            (None, Some(byte)) => self.error(format!("invalid UTF-8 byte: 0x{byte:02x}")),
            (None, None) => Ok(None),
            (Some('\r'), _) if rest.next() != Some('\n') => self.control('\r'),
            (Some(control @ ('\0'..='\u{08}' | '\u{0B}' | '\u{0C}' | '\u{0E}'..='\u{1F}' | '\u{7F}')), _) => {
                self.control(control)
            }
            (next, _) => Ok(next),
        }
    }

    fn control<T>(&self, character: char) -> Result<T, Error> {
        let code = u32::from(character);
        self.error(format!("TOML files cannot contain control characters: '0x{code:02x}'"))
    }

    /// The next character, taken.
    pub(super) fn next(&mut self) -> Result<Option<char>, Error> {
        let next = self.peek()?;
        self.at += next.map_or(0, char::len_utf8);
        Ok(next)
    }

    pub(super) fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }

    pub(super) fn take(&mut self, wanted: &str) -> bool {
        let found = self.rest().starts_with(wanted);
        self.at += if found { wanted.len() } else { 0 };
        found
    }

    /// Takes characters as long as they are wanted.
    pub(super) fn run(&mut self, wanted: impl Fn(char) -> bool) -> &'a str {
        let rest = self.rest();
        let end = rest.find(|character| !wanted(character)).unwrap_or(rest.len());
        self.at += end;
        &rest[..end]
    }

    fn blanks(&mut self) {
        self.run(|character| matches!(character, ' ' | '\t'));
    }

    /// Takes white space, line breaks and comments.
    fn space(&mut self) -> Result<(), Error> {
        loop {
            match self.peek()? {
                Some(' ' | '\t' | '\r' | '\n') => self.at += 1,
                Some('#') => self.comment()?,
                _ => return Ok(()),
            }
        }
    }

    fn comment(&mut self) -> Result<(), Error> {
        while !matches!(self.peek()?, None | Some('\r' | '\n')) {
            self.next()?;
        }
        Ok(())
    }

    // --- errors ---

    /// An error at the current place.
    pub(super) fn error<T>(&self, problem: impl Into<String>) -> Result<T, Error> {
        Err(Error::Syntax { line: self.line(), key: self.document.place(), problem: problem.into() })
    }

    fn excess<T>(&self, excess: String) -> Result<T, Error> {
        Err(Error::TooLarge { line: self.line(), excess })
    }

    fn line(&self) -> usize {
        1 + self.text[..self.at].matches('\n').count()
    }

    /// An error about the end of the text: it is on the last line that has something.
    pub(super) fn error_at_end<T>(&mut self, problem: &str) -> Result<T, Error> {
        if self.text.ends_with('\n') {
            self.at = self.text.len() - 1;
        }
        self.error(problem)
    }

    /// An error about the next character, on its line.
    fn unexpected<T>(&self, expected: &str) -> Result<T, Error> {
        let found = crate::go::quote_rune(self.peek()?.unwrap_or('\0'));
        self.error(format!("{expected} {found} instead"))
    }

    /// An error about the next character, on the line after it.
    fn unexpected_taken<T>(&mut self, expected: &str) -> Result<T, Error> {
        let Some(found) = self.next()? else {
            return self.error_at_end(&format!("{expected} '\\x00' instead"));
        };
        let found = crate::go::quote_rune(found);
        self.error(format!("{expected} {found} instead"))
    }

    // --- lines ---

    fn document(&mut self) -> Result<(), Error> {
        loop {
            self.count()?;
            self.space()?;
            match self.peek()? {
                None => return Ok(()),
                Some('[') => self.header()?,
                Some(_) => self.key_value()?,
            }
            self.blanks();
            match self.peek()? {
                None | Some('\r' | '\n' | '#') => {}
                Some(_) => {
                    return self
                        .unexpected("expected a top-level item to end with a newline, comment, or EOF, but got");
                }
            }
        }
    }

    fn header(&mut self) -> Result<(), Error> {
        self.at += 1;
        let array = self.take("[");
        let mut key = Key::new();
        loop {
            self.blanks();
            match self.peek()? {
                Some(']') | None => return self.error("unexpected end of table name (table names cannot be empty)"),
                Some('.') => return self.error("unexpected table separator (table names cannot be empty)"),
                Some(_) => key.push(self.name()?),
            }
            self.blanks();
            if self.take("]") {
                break;
            }
            if !self.take(".") {
                return self.unexpected_taken("expected '.' or ']' to end table name, but got");
            }
        }
        if array && !self.take("]") {
            return self.unexpected_taken("expected end of table array name delimiter ']', but got");
        }
        self.document.enter(&key, array).or_else(|problem| self.error(problem))?;
        self.document.mark("", false);
        Ok(())
    }

    /// Reads a bare or quoted name.
    fn name(&mut self) -> Result<String, Error> {
        match self.peek()? {
            Some('"') => {
                self.at += 1;
                string::basic(self)
            }
            Some('\'') => {
                self.at += 1;
                string::literal(self)
            }
            _ => Ok(self.run(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-').to_owned()),
        }
    }

    /// Reads `a.b.c = value` into the current table, which is the same afterwards.
    fn key_value(&mut self) -> Result<(), Error> {
        let outer = self.document.context.clone();
        self.named_value()?;
        self.document.context = outer;
        self.document.current.clear();
        Ok(())
    }

    /// Reads `a.b.c = value` and defines it: gives the tables it lies in, its name and the value.
    fn named_value(&mut self) -> Result<(Key, String, Value), Error> {
        let mut key = self.key()?;
        let name = key.pop().unwrap_or_default();
        self.document.current.clone_from(&name);
        for part in &key {
            self.document.enter_implicit(part).or_else(|problem| self.error(problem))?;
        }
        self.blanks();
        let value = self.value(false)?;
        self.define(&name, value.clone())?;
        Ok((key, name, value))
    }

    fn define(&mut self, name: &str, value: Value) -> Result<(), Error> {
        let array = matches!(value, Value::List(_));
        self.document.set(name, Node::Value(value)).or_else(|problem| self.error(problem))?;
        self.document.mark(name, array);
        Ok(())
    }

    fn key(&mut self) -> Result<Key, Error> {
        let mut key = Key::new();
        loop {
            self.blanks();
            match self.peek()? {
                Some('=') | None if key.is_empty() => return self.error("unexpected '=': key name appears blank"),
                Some('=') | None => return self.error("unexpected '='"),
                Some('.') if key.is_empty() => return self.error("unexpected '.': keys cannot start with a '.'"),
                Some('.') => return self.error("unexpected '.'"),
                Some(_) => key.push(self.name()?),
            }
            self.blanks();
            if self.take("=") {
                return Ok(key);
            }
            if self.peek()?.is_none() {
                return self.error_at_end("unexpected EOF; expected key separator '='");
            }
            if !self.take(".") {
                return self.unexpected("expected '.' or '=', but got");
            }
        }
    }

    // --- values ---

    fn count(&mut self) -> Result<(), Error> {
        self.nodes += 1;
        if self.nodes > NODES {
            return self.excess(format!("document has more than {NODES} values"));
        }
        Ok(())
    }

    fn value(&mut self, in_array: bool) -> Result<Value, Error> {
        self.count()?;
        Ok(match self.peek()? {
            Some('[') => return self.nested(Self::array),
            Some('{') => return self.nested(|reader| reader.inline_table(in_array)),
            Some('"') if self.take("\"\"\"") => Value::string(string::basic_lines(self)?),
            Some('"') => {
                self.at += 1;
                Value::string(string::basic(self)?)
            }
            Some('\'') if self.take("'''") => Value::string(string::literal_lines(self)?),
            Some('\'') => {
                self.at += 1;
                Value::string(string::literal(self)?)
            }
            Some('0'..='9' | '+' | '-') => number::read(self)?,
            Some('.') => return self.error("floats must start with a digit, not '.'"),
            Some(_) if self.take("inf") => Value::Float64(f64::INFINITY),
            Some(_) if self.take("nan") => Value::Float64(f64::NAN),
            Some(letter) if letter.is_alphabetic() => match self.run(char::is_alphabetic) {
                "true" => Value::Bool(true),
                "false" => Value::Bool(false),
                word => return self.error(format!("expected value but found {} instead", crate::go::quote(word))),
            },
            Some(_) => return self.unexpected("expected value but found"),
            None => return self.error_at_end("unexpected EOF; expected value"),
        })
    }

    fn nested(&mut self, read: impl FnOnce(&mut Self) -> Result<Value, Error>) -> Result<Value, Error> {
        self.at += 1;
        self.depth += 1;
        if self.depth > DEPTH {
            return self.excess(format!("exceeded max depth of {DEPTH}"));
        }
        let value = read(self)?;
        self.depth -= 1;
        Ok(value)
    }

    fn array(&mut self) -> Result<Value, Error> {
        let current = self.document.current.clone();
        self.document.mark(&current, true);
        let mut items = Vec::new();
        loop {
            self.space()?;
            if self.take("]") {
                break;
            }
            if self.peek()? == Some(',') {
                return self.error("unexpected comma");
            }
            items.push(self.value(true)?);
            self.space()?;
            if self.take("]") {
                break;
            }
            if !self.take(",") {
                let found = self.end_or_character()?;
                return self.error(format!("expected a comma (',') or array terminator (']'), but got {found}"));
            }
        }
        Ok(List::any(items).into())
    }

    fn end_or_character(&self) -> Result<String, Error> {
        Ok(self.peek()?.map_or_else(|| "end of file".to_owned(), |found| format!("'{found}'")))
    }

    fn inline_table(&mut self, in_array: bool) -> Result<Value, Error> {
        let outer = (self.document.context.clone(), self.document.current.clone());
        self.document.context.push(std::mem::take(&mut self.document.current));
        let context = self.document.context.clone();
        self.document.make_implicit();
        self.document.enter(&context, in_array).or_else(|problem| self.error(problem))?;
        let table = Map::any([].into());
        loop {
            self.space()?;
            if self.take("}") {
                break;
            }
            if self.peek()? == Some(',') {
                return self.error("unexpected comma");
            }
            self.inline_entry(&table)?;
            self.document.context.clone_from(&context);
            self.space()?;
            if self.take("}") {
                break;
            }
            if !self.take(",") {
                let found = self.end_or_character()?;
                let expected = "expected a comma or an inline table terminator '}', but got";
                return self.error(format!("{expected} {found} instead"));
            }
        }
        (self.document.context, self.document.current) = outer;
        Ok(table.into())
    }

    fn inline_entry(&mut self, table: &Map) -> Result<(), Error> {
        let (key, name, value) = self.named_value()?;
        let mut table = table.clone();
        for part in &key {
            let inner = table.get(part.as_bytes()).unwrap_or_else(|| Map::any([].into()).into());
            let Value::Map(map) = &inner else {
                let place = super::join(&self.document.context);
                return self.error(format!("{} is not a table", crate::go::quote(&place)));
            };
            table.insert(Str::from(part.as_str()), inner.clone());
            table = map.clone();
        }
        table.insert(name, value);
        Ok(())
    }
}
