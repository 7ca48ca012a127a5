//! Character classes: `[a-z]`, `\d`, `[[:alpha:]]`, `\pL`, written in the notation of the `regex` crate.
//!
//! `\d`, `\s` and `\w` are ASCII in Go, so they are spelled out.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

use super::syntax::{Parser, SyntaxError};

/// The members of Go's POSIX classes.
const POSIX: &[(&str, &str)] = &[
    ("alnum", "0-9A-Za-z"),
    ("alpha", "A-Za-z"),
    ("ascii", r"\x00-\x7F"),
    ("blank", r"\t\x20"),
    ("cntrl", r"\x00-\x1F\x7F"),
    ("digit", "0-9"),
    ("graph", r"\x21-\x7E"),
    ("lower", "a-z"),
    ("print", r"\x20-\x7E"),
    ("punct", r"\x21-\x2F\x3A-\x40\x5B-\x60\x7B-\x7E"),
    ("space", r"\t\n\v\f\r\x20"),
    ("upper", "A-Z"),
    ("word", "0-9A-Za-z_"),
    ("xdigit", "0-9A-Fa-f"),
];

/// `letter` so that it means itself inside and outside a class.
pub(super) fn literal(letter: char) -> String {
    if letter.is_ascii_alphanumeric() { letter.to_string() } else { format!("\\x{{{:X}}}", u32::from(letter)) }
}

fn bracketed(members: &str, negated: bool) -> String {
    format!("[{}{members}]", if negated { "^" } else { "" })
}

impl Parser<'_> {
    /// Reads a bracketed class.
    pub(super) fn parse_class(&mut self) -> Result<String, SyntaxError> {
        let whole = self.rest;
        self.eat("[");
        let negated = self.eat("^");
        let mut members = String::new();
        let mut first = true;
        while first || !self.eat("]") {
            first = false;
            let member = match self.parse_posix_class()? {
                Some(class) => class,
                None => match self.parse_escaped_class()? {
                    Some(class) => class,
                    None => self.parse_range(whole)?,
                },
            };
            members.push_str(&member);
        }
        Ok(bracketed(&members, negated))
    }

    fn parse_range(&mut self, whole: &str) -> Result<String, SyntaxError> {
        let before = self.rest;
        let low = self.parse_member(whole)?;
        let is_range = self.rest.len() > 1 && self.rest.starts_with('-') && !self.rest.starts_with("-]");
        if !is_range {
            return Ok(literal(low));
        }
        self.eat("-");
        let high = self.parse_member(whole)?;
        if high < low {
            return Err(SyntaxError::new("invalid character class range", self.since(before)));
        }
        Ok(format!("{}-{}", literal(low), literal(high)))
    }

    fn parse_member(&mut self, whole: &str) -> Result<char, SyntaxError> {
        if self.rest.starts_with('\\') {
            return self.parse_escape();
        }
        self.next().ok_or_else(|| SyntaxError::new("missing closing ]", whole))
    }

    /// Reads `[:alpha:]` or `[:^alpha:]`, if that is next.
    fn parse_posix_class(&mut self) -> Result<Option<String>, SyntaxError> {
        let Some(end) = self.rest.strip_prefix("[:").and_then(|rest| rest.find(":]")) else { return Ok(None) };
        let before = self.rest;
        let name = &before[2..2 + end];
        self.rest = &before[end + 4..];
        let (name, negated) = name.strip_prefix('^').map_or((name, false), |name| (name, true));
        match POSIX.iter().find(|(known, _)| *known == name) {
            Some((_, members)) => Ok(Some(bracketed(members, negated))),
            None => Err(SyntaxError::new("invalid character class range", self.since(before))),
        }
    }

    /// Reads `\d` and its like or `\pL` and its like, if that is next.
    pub(super) fn parse_escaped_class(&mut self) -> Result<Option<String>, SyntaxError> {
        let (name, negated) = match self.rest.as_bytes() {
            [b'\\', b'd', ..] => ("0-9", false),
            [b'\\', b'D', ..] => ("0-9", true),
            [b'\\', b's', ..] => (r"\t\n\f\r\x20", false),
            [b'\\', b'S', ..] => (r"\t\n\f\r\x20", true),
            [b'\\', b'w', ..] => ("0-9A-Za-z_", false),
            [b'\\', b'W', ..] => ("0-9A-Za-z_", true),
            [b'\\', b'p' | b'P', ..] => return self.parse_unicode_class().map(Some),
            _ => return Ok(None),
        };
        self.rest = &self.rest[2..];
        Ok(Some(bracketed(name, negated)))
    }

    fn parse_unicode_class(&mut self) -> Result<String, SyntaxError> {
        let before = self.rest;
        let mut negated = before.starts_with("\\P");
        self.rest = &before[2..];
        let name = match self.next() {
            Some('{') => {
                let Some((name, rest)) = self.rest.split_once('}') else {
                    return Err(SyntaxError::new("invalid character class range", before));
                };
                self.rest = rest;
                name.to_owned()
            }
            letter => letter.map(String::from).unwrap_or_default(),
        };
        let name = match name.strip_prefix('^') {
            Some(name) => {
                negated = !negated;
                name
            }
            None => &name,
        };
        let class = bracketed(&format!("\\p{{{name}}}"), negated);
        let plain = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b' '));
        if !plain || !is_known(name) {
            return Err(SyntaxError::new("invalid character class range", self.since(before)));
        }
        Ok(class)
    }
}

/// Whether Unicode has a class of this name. A known one is remembered, for the only way to tell is to compile it.
fn is_known(name: &str) -> bool {
    static KNOWN: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());
    // The many ways to write a name must not become as many names.
    let plain: String = name.chars().filter(char::is_ascii_alphanumeric).map(|c| c.to_ascii_lowercase()).collect();
    let mut known = KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
    known.contains(&plain) || regex::Regex::new(&format!("\\p{{{name}}}")).is_ok() && known.insert(plain)
}
