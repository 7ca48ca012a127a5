//! The `regex…` functions: Go's regular expressions on the `regex` crate, which guarantees the same linear time.
//!
//! ```text
//! pattern ──syntax, class──► tree (or Go's error) ──compile──► regex (cached) ──► match, find, replace, split
//! ```

mod class;
mod compile;
mod syntax;

use std::borrow::Cow;
use std::sync::Arc;

use gotmpl::{FuncError, Function, List, ListType, Str, Type, Value};
use regex::Captures;

use super::arguments::{Outcome, int, size, text};
use super::pure;
use super::runes::{decode, is_digit, is_letter, runes};
use crate::engine::Host;
use compile::{Compiled, compile};

const PATTERN_TEXT: &[Type] = &[Type::String, Type::String];
const PATTERN_TEXT_COUNT: &[Type] = &[Type::String, Type::String, Type::Int];
const PATTERN_TEXT_REPLACEMENT: &[Type] = &[Type::String, Type::String, Type::String];

/// Why Go would not compile a pattern; nothing if it would.
pub(crate) fn pattern_error(pattern: &str) -> Option<String> {
    compile(pattern.as_bytes()).err().map(|error| error.to_string())
}

pub(super) const TABLE: &[Function<Host>] = &[
    pure("mustRegexFind", PATTERN_TEXT, |args| find(args, Strictness::Must)),
    pure("mustRegexFindAll", PATTERN_TEXT_COUNT, |args| find_all(args, Strictness::Must)),
    pure("mustRegexMatch", PATTERN_TEXT, |args| {
        let expression = Strictness::Must.compile(args)?;
        Ok(Value::Bool(expression.regex.is_match(&subject(text(args, 1)?).text)))
    }),
    pure("mustRegexReplaceAll", PATTERN_TEXT_REPLACEMENT, |args| replace_all(args, Strictness::Must)),
    pure("mustRegexReplaceAllLiteral", PATTERN_TEXT_REPLACEMENT, |args| replace_literally(args, Strictness::Must)),
    pure("mustRegexSplit", PATTERN_TEXT_COUNT, |args| split(args, Strictness::Must)),
    pure("regexFind", PATTERN_TEXT, |args| find(args, Strictness::Panic)),
    pure("regexFindAll", PATTERN_TEXT_COUNT, |args| find_all(args, Strictness::Panic)),
    pure("regexMatch", PATTERN_TEXT, |args| {
        let Ok(expression) = compile(text(args, 0)?) else { return Ok(Value::Bool(false)) };
        Ok(Value::Bool(expression.regex.is_match(&subject(text(args, 1)?).text)))
    }),
    pure("regexQuoteMeta", &[Type::String], |args| Ok(Value::string(quote_meta(text(args, 0)?)))),
    pure("regexReplaceAll", PATTERN_TEXT_REPLACEMENT, |args| replace_all(args, Strictness::Panic)),
    pure("regexReplaceAllLiteral", PATTERN_TEXT_REPLACEMENT, |args| replace_literally(args, Strictness::Panic)),
    pure("regexSplit", PATTERN_TEXT_COUNT, |args| split(args, Strictness::Panic)),
];

/// How a function words a bad pattern.
#[derive(Clone, Copy)]
enum Strictness {
    /// It returns Go's error.
    Must,
    /// It panics as Go's `MustCompile`, with the pattern in front.
    Panic,
}

impl Strictness {
    fn compile(self, args: &[Value]) -> Result<Arc<Compiled>, FuncError> {
        let pattern = text(args, 0)?;
        compile(pattern).map_err(|error| match self {
            Self::Must => FuncError::new(error.to_string()),
            Self::Panic => FuncError::new(format!("regexp: Compile({}): {error}", quote(pattern))),
        })
    }
}

/// `pattern` in backquotes if it can be, else as `%q` prints it.
fn quote(pattern: &[u8]) -> String {
    let raw =
        |letter: char| letter != '`' && letter != '\u{7f}' && letter != '\u{feff}' && (letter >= ' ' || letter == '\t');
    match std::str::from_utf8(pattern) {
        Ok(plain) if plain.chars().all(raw) => format!("`{plain}`"),
        _ => gotmpl::quote(pattern).to_lossy().into_owned(),
    }
}

/// A text to search, in which each invalid byte is U+FFFD, as Go reads it.
struct Subject<'a> {
    bytes: &'a [u8],
    text: Cow<'a, str>,
    /// For each replaced byte, its offset in `text`.
    replaced: Vec<usize>,
}

fn subject(bytes: &[u8]) -> Subject<'_> {
    if let Ok(text) = std::str::from_utf8(bytes) {
        return Subject { bytes, text: text.into(), replaced: Vec::new() };
    }
    let mut text = String::new();
    let mut replaced = Vec::new();
    for (rune, original) in runes(bytes) {
        if original.len() < rune.len_utf8() {
            replaced.push(text.len());
        }
        text.push(rune);
    }
    Subject { bytes, text: text.into(), replaced }
}

impl Subject<'_> {
    /// The original offset of an offset in the text: each replacement before it is two bytes longer.
    fn original(&self, offset: usize) -> usize {
        offset - 2 * self.replaced.partition_point(|replaced| *replaced < offset)
    }

    fn slice(&self, range: std::ops::Range<usize>) -> &[u8] {
        &self.bytes[self.original(range.start)..self.original(range.end)]
    }
}

fn find(args: &[Value], strictness: Strictness) -> Outcome {
    let expression = strictness.compile(args)?;
    let subject = subject(text(args, 1)?);
    let found = expression.regex.find(&subject.text);
    Ok(Value::string(found.map_or(&b""[..], |found| subject.slice(found.range()))))
}

fn find_all(args: &[Value], strictness: Strictness) -> Outcome {
    let expression = strictness.compile(args)?;
    let subject = subject(text(args, 1)?);
    let limit = int(args, 2)?;
    let limit = if limit < 0 { usize::MAX } else { size(limit) };
    let matches = expression.regex.find_iter(&subject.text).take(limit);
    let found: Vec<Str> = matches.map(|found| Str::from(subject.slice(found.range()))).collect();
    Ok(if found.is_empty() { List::nil(ListType::String) } else { List::strings(found) }.into())
}

fn split(args: &[Value], strictness: Strictness) -> Outcome {
    let expression = strictness.compile(args)?;
    let subject = subject(text(args, 1)?);
    let limit = int(args, 2)?;
    if limit == 0 {
        return Ok(List::nil(ListType::String).into());
    }
    let limit = if limit < 0 { usize::MAX } else { size(limit) };
    if subject.bytes.is_empty() && !text(args, 0)?.is_empty() {
        return Ok(List::strings([""]).into());
    }
    let mut parts: Vec<Str> = Vec::new();
    let (mut begin, mut end) = (0, 0);
    for found in expression.regex.find_iter(&subject.text) {
        if parts.len() + 1 >= limit {
            break;
        }
        end = found.start();
        // An empty match at the very start separates nothing.
        if found.end() != 0 {
            parts.push(subject.slice(begin..end).into());
        }
        begin = found.end();
    }
    if end != subject.text.len() {
        parts.push(subject.slice(begin..subject.text.len()).into());
    }
    Ok(if parts.is_empty() { List::nil(ListType::String) } else { List::strings(parts) }.into())
}

fn replace_literally(args: &[Value], strictness: Strictness) -> Outcome {
    let expression = strictness.compile(args)?;
    let replacement = text(args, 2)?;
    Ok(Value::string(replaced(&expression, text(args, 1)?, |_, _, out| out.extend_from_slice(replacement))))
}

fn replace_all(args: &[Value], strictness: Strictness) -> Outcome {
    let expression = strictness.compile(args)?;
    let template = text(args, 2)?;
    let expand = |subject: &Subject<'_>, groups: &Captures<'_>, out: &mut Vec<u8>| {
        Expansion { names: &expression.names, subject, groups }.write(template, out);
    };
    Ok(Value::string(replaced(&expression, text(args, 1)?, expand)))
}

/// `bytes` with each match replaced by what `write` appends.
fn replaced(expression: &Compiled, bytes: &[u8], write: impl Fn(&Subject<'_>, &Captures<'_>, &mut Vec<u8>)) -> Vec<u8> {
    let subject = subject(bytes);
    let mut out = Vec::with_capacity(bytes.len());
    let mut copied = 0;
    for groups in expression.regex.captures_iter(&subject.text) {
        let Some(whole) = groups.get(0) else { continue };
        out.extend_from_slice(subject.slice(copied..whole.start()));
        write(&subject, &groups, &mut out);
        copied = whole.end();
    }
    out.extend_from_slice(subject.slice(copied..subject.text.len()));
    out
}

/// One match, for the `$1`, `${name}` and `$$` of a replacement.
struct Expansion<'a> {
    names: &'a [String],
    subject: &'a Subject<'a>,
    groups: &'a Captures<'a>,
}

impl Expansion<'_> {
    fn write(&self, template: &[u8], out: &mut Vec<u8>) {
        let mut rest = template;
        while let Some(dollar) = rest.iter().position(|byte| *byte == b'$') {
            out.extend_from_slice(&rest[..dollar]);
            rest = &rest[dollar + 1..];
            if let Some(after) = rest.strip_prefix(b"$") {
                out.push(b'$');
                rest = after;
                continue;
            }
            match reference(rest) {
                Some((name, after)) => {
                    out.extend_from_slice(self.group(name));
                    rest = after;
                }
                None => out.push(b'$'),
            }
        }
        out.extend_from_slice(rest);
    }

    /// What the group of this number or name matched.
    fn group(&self, name: &[u8]) -> &[u8] {
        let numbered = name.iter().all(u8::is_ascii_digit) && (name.len() == 1 || !name.starts_with(b"0"));
        let found = if numbered {
            std::str::from_utf8(name).ok().and_then(|number| self.groups.get(number.parse().ok()?))
        } else {
            let same_name = |index: &usize| self.names[*index].as_bytes() == name;
            (0..self.names.len()).filter(same_name).find_map(|index| self.groups.get(index))
        };
        found.map_or(b"", |found| self.subject.slice(found.range()))
    }
}

/// The group name behind a `$`, as long as it can be, and what follows it.
fn reference(template: &[u8]) -> Option<(&[u8], &[u8])> {
    let braced = template.strip_prefix(b"{");
    let start = braced.unwrap_or(template);
    let mut end = 0;
    loop {
        let (rune, length) = decode(&start[end..]);
        if length == 0 || !(is_letter(rune) || is_digit(rune) || rune == '_') {
            break;
        }
        end += length;
    }
    let (name, rest) = start.split_at(end);
    let rest = if braced.is_some() { rest.strip_prefix(b"}")? } else { rest };
    (!name.is_empty()).then_some((name, rest))
}

/// `regexp.QuoteMeta`.
fn quote_meta(text: &[u8]) -> Vec<u8> {
    let escape = |byte: &u8| [Some(b'\\').filter(|_| br"\.+*?()|[]{}^$".contains(byte)), Some(*byte)];
    text.iter().flat_map(escape).flatten().collect()
}
