//! Lines of several keys, with `\` before characters that mean themselves; or of one key, in which nothing is escaped
//! and everything behind `=` is the value.

use formats::{go, json};
use gotmpl::{Map, Value};

use super::target::{items_at, items_in, list, map_at, map_in, place, set, set_item};
use super::{DEPTH, Error, NAMES, typed};

/// What stands to the right of `=`.
pub(super) enum Right<'a> {
    /// Typed words, or a list of them in braces.
    Typed,
    /// Words that are asked for.
    Read(&'a mut dyn FnMut(&str) -> Result<Value, String>),
    /// JSON.
    Json,
    /// Everything up to the end of the line, as it is.
    Literal,
}

/// Why a part of a line was left.
enum Stop {
    /// The line has ended. Helm does not mind where.
    End,
    /// The line is wrong.
    Error(Error),
}

impl From<Error> for Stop {
    fn from(error: Error) -> Self {
        Self::Error(error)
    }
}

/// Characters up to one that ends them, or up to the end of the line.
struct Run {
    text: String,
    end: Option<char>,
}

/// How far the current place is from the root.
#[derive(Clone, Copy, Default)]
struct Level {
    /// Names, as Helm counts them.
    names: usize,
    /// Names and indexes.
    all: usize,
}

impl Level {
    /// One name further in.
    fn name(self) -> Result<Self, Error> {
        if self.names == NAMES {
            return Err(Error::NestedNames);
        }
        Ok(Self { names: self.names + 1, ..self.deeper()? })
    }

    /// One index further in.
    fn deeper(self) -> Result<Self, Error> {
        if self.all == DEPTH {
            return Err(Error::NestedIndexes);
        }
        Ok(Self { all: self.all + 1, ..self })
    }
}

/// Reads one line.
pub(super) struct Parser<'a> {
    rest: &'a str,
    right: Right<'a>,
}

impl<'a> Parser<'a> {
    pub(super) fn new(line: &'a str, right: Right<'a>) -> Self {
        Self { rest: line, right }
    }

    /// Sets everything the line says.
    pub(super) fn parse(mut self, into: &Map) -> Result<(), Error> {
        loop {
            match self.key(into, Level::default()) {
                Ok(()) => {}
                Err(Stop::End) => return Ok(()),
                Err(Stop::Error(error)) => return Err(error),
            }
        }
    }

    fn next(&mut self) -> Option<char> {
        let mut characters = self.rest.chars();
        let next = characters.next();
        self.rest = characters.as_str();
        next
    }

    fn until(&mut self, stops: &[char]) -> Run {
        let mut text = String::new();
        while let Some(character) = self.next() {
            if stops.contains(&character) {
                return Run { text, end: Some(character) };
            }
            if character != '\\' || matches!(self.right, Right::Literal) {
                text.push(character);
            } else if let Some(escaped) = self.next() {
                text.push(escaped);
            }
        }
        Run { text, end: None }
    }

    /// Reads a key, and what is to be set under it.
    fn key(&mut self, map: &Map, level: Level) -> Result<(), Stop> {
        let stops: &[char] = if let Right::Literal = self.right { &['=', '[', '.'] } else { &['=', '[', ',', '.'] };
        let Run { text: name, end } = self.until(stops);
        match end {
            None if name.is_empty() => Err(Stop::End),
            None => Err(Error::NoValue(name).into()),
            Some('[') => {
                let index = self.index()?;
                let mut items = items_at(map, &name)?;
                let result = self.item(&mut items, index, level);
                set(map, &name, list(items));
                result
            }
            Some('=') => self.entry_value(map, &name),
            Some('.') => {
                let level = level.name()?;
                let inner = map_at(map, &name)?;
                let result = self.key(&inner, level);
                let empty = inner.borrow().is_empty();
                if empty && result.is_ok() {
                    return Err(Error::EmptyMap(name).into());
                }
                if !empty {
                    set(map, &name, inner.into());
                }
                result
            }
            Some(_) => Err(Error::Comma(name).into()),
        }
    }

    fn entry_value(&mut self, map: &Map, name: &str) -> Result<(), Stop> {
        if let Right::Json = self.right {
            let (value, result) = self.json()?;
            set(map, name, value);
            return result;
        }
        match self.value() {
            Ok(value) => {
                set(map, name, value);
                Ok(())
            }
            Err(Stop::End) => {
                set(map, name, Value::string(""));
                Err(Stop::End)
            }
            Err(stop) => Err(stop),
        }
    }

    /// Reads what follows an index.
    fn item(&mut self, items: &mut Vec<Value>, index: i64, level: Level) -> Result<(), Stop> {
        let at = place(index)?;
        let level = level.deeper()?;
        let Run { text, end } = self.until(&['[', '.', '=']);
        if !text.is_empty() {
            return Err(Error::AfterIndex(quote_runes(&text)).into());
        }
        match end {
            None => Err(Stop::End),
            Some('=') => self.item_value(items, index),
            Some('[') => {
                let next = self.index()?;
                let mut inner = items_in(items, at)?;
                self.item(&mut inner, next, level)?;
                Ok(set_item(items, index, list(inner))?)
            }
            Some(_) => {
                let inner = map_in(items, at);
                self.key(&inner, level)?;
                Ok(set_item(items, index, inner.into())?)
            }
        }
    }

    fn item_value(&mut self, items: &mut Vec<Value>, index: i64) -> Result<(), Stop> {
        if let Right::Json = self.right {
            let (value, result) = self.json()?;
            set_item(items, index, value)?;
            return result;
        }
        let value = match self.value() {
            Err(Stop::End) => Value::string(""),
            value => value?,
        };
        Ok(set_item(items, index, value)?)
    }

    fn index(&mut self) -> Result<i64, Stop> {
        let Run { text, end } = self.until(&[']']);
        if end.is_none() {
            return Err(Stop::End);
        }
        Ok(parse_index(text)?)
    }

    /// Reads a word, or a list in braces. The end of the line is one only if nothing is there.
    fn value(&mut self) -> Result<Value, Stop> {
        if let Right::Literal = self.right {
            return Ok(Value::string(std::mem::take(&mut self.rest)));
        }
        if self.rest.is_empty() {
            return Err(Stop::End);
        }
        if let Some(rest) = self.rest.strip_prefix('{') {
            self.rest = rest;
            return Ok(list(self.braces()?));
        }
        let word = self.until(&[',']).text;
        Ok(self.read(&word)?)
    }

    fn braces(&mut self) -> Result<Vec<Value>, Error> {
        let mut items = Vec::new();
        loop {
            let Run { text, end } = self.until(&[',', '}']);
            if end.is_none() {
                return Err(Error::OpenList);
            }
            items.push(self.read(&text)?);
            if end == Some('}') {
                self.rest = self.rest.strip_prefix(',').unwrap_or(self.rest);
                return Ok(items);
            }
        }
    }

    fn read(&mut self, word: &str) -> Result<Value, Error> {
        match &mut self.right {
            Right::Read(read) => read(word).map_err(Error::Read),
            Right::Typed | Right::Json | Right::Literal => Ok(typed(word)),
        }
    }

    /// Reads a JSON value and the comma after it. No value is null.
    fn json(&mut self) -> Result<(Value, Result<(), Stop>), Stop> {
        if self.nothing() {
            return Ok((Value::Nil, Ok(())));
        }
        let (value, length) = json::parse_prefix(self.rest.as_bytes()).map_err(|error| match error {
            json::Error::UnexpectedEnd => Error::JsonEnd,
            error => Error::Json(error),
        })?;
        self.rest = &self.rest[length..];
        self.nothing();
        Ok((value, Ok(())))
    }

    /// Moves to the next value. Says whether there is nothing before the next comma.
    fn nothing(&mut self) -> bool {
        self.rest = self.rest.trim_start();
        match self.rest.strip_prefix(',') {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => self.rest.is_empty(),
        }
    }
}

/// Reads an index as `strconv.Atoi` does.
fn parse_index(text: String) -> Result<i64, Error> {
    use std::num::IntErrorKind::{NegOverflow, PosOverflow};
    text.parse::<i64>().map_err(|error| match error.kind() {
        PosOverflow | NegOverflow => Error::ParseIndex { text, problem: "value out of range" },
        _ => Error::ParseIndex { text, problem: "invalid syntax" },
    })
}

/// Characters as Go's `%q` prints a slice of runes.
fn quote_runes(text: &str) -> String {
    let quoted: Vec<String> = text.chars().map(go::quote_rune).collect();
    format!("[{}]", quoted.join(" "))
}
