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

use gotmpl::{FuncError, Function, Interp, List, ListType, Str, Type, Value};
use regex::Captures;

use super::arguments::{MAX_TEXT_BYTES, Outcome, int, size, text};
use super::runes::{decode, is_digit, is_letter, runes};
use super::{hosted, pure};
use crate::host::Host;
use compile::{Compiled, compile};

const PATTERN_TEXT: &[Type] = &[Type::String, Type::String];
const PATTERN_TEXT_COUNT: &[Type] = &[Type::String, Type::String, Type::Int];
const PATTERN_TEXT_REPLACEMENT: &[Type] = &[Type::String, Type::String, Type::String];

/// Why Go would not compile a pattern; nothing if it would.
pub(crate) fn pattern_error(pattern: &str) -> Option<String> {
    compile(pattern.as_bytes()).err().map(|error| error.to_string())
}

/// About how many states matching with a pattern can be in at once.
pub(crate) fn pattern_weight(pattern: &str) -> u64 {
    compile(pattern.as_bytes()).map_or(0, |expression| expression.weight)
}

/// About how many states compiling a pattern makes.
pub(crate) fn pattern_states(pattern: &str) -> u64 {
    compile::states(pattern.as_bytes())
}

/// Whether a pattern that Go compiles matches somewhere in a text.
pub(crate) fn pattern_matches(pattern: &str, text: &str) -> bool {
    compile(pattern.as_bytes()).is_ok_and(|expression| expression.regex.is_match(text))
}

/// A regular expression as Go reads it, compiled; what each step costs can be told before it is taken.
#[derive(Clone)]
pub struct Pattern(Arc<Compiled>);

impl Pattern {
    /// Why a text is no regular expression, in Go's words. Compiles nothing.
    pub fn check(text: &str) -> Result<(), String> {
        compile::check(text.as_bytes()).map_err(|error| error.to_string())
    }

    /// About how many states compiling a text makes; none of one that is no regular expression.
    pub fn states(text: &str) -> u64 {
        pattern_states(text)
    }

    /// Compiles a text; or says, in Go's words, why it is no regular expression.
    pub fn compile(text: &str) -> Result<Self, String> {
        compile(text.as_bytes()).map(Self).map_err(|error| error.to_string())
    }

    /// About how many states a search can be in at once: what each byte of a text costs at the most.
    pub fn weight(&self) -> u64 {
        self.0.weight
    }

    /// Whether it matches somewhere in a text.
    pub fn matches(&self, text: &str) -> bool {
        self.0.regex.is_match(text)
    }
}

pub(super) const TABLE: &[Function<Host>] = &[
    hosted("mustRegexFind", PATTERN_TEXT, |interp, args| find(interp, args, Strictness::Must)),
    hosted("mustRegexFindAll", PATTERN_TEXT_COUNT, |interp, args| find_all(interp, args, Strictness::Must)),
    hosted("mustRegexMatch", PATTERN_TEXT, |interp, args| {
        let expression = Strictness::Must.compile(interp, args)?;
        Ok(Value::Bool(expression.regex.is_match(&subject(text(args, 1)?).text)))
    }),
    hosted("mustRegexReplaceAll", PATTERN_TEXT_REPLACEMENT, |interp, args| replace_all(interp, args, Strictness::Must)),
    hosted("mustRegexReplaceAllLiteral", PATTERN_TEXT_REPLACEMENT, |interp, args| {
        replace_literally(interp, args, Strictness::Must)
    }),
    hosted("mustRegexSplit", PATTERN_TEXT_COUNT, |interp, args| split(interp, args, Strictness::Must)),
    hosted("regexFind", PATTERN_TEXT, |interp, args| find(interp, args, Strictness::Panic)),
    hosted("regexFindAll", PATTERN_TEXT_COUNT, |interp, args| find_all(interp, args, Strictness::Panic)),
    hosted("regexMatch", PATTERN_TEXT, |interp, args| {
        let expression = match charged(interp, text(args, 0)?)? {
            Ok(expression) => expression,
            Err(error) if error.is_limit() => return Err(Strictness::Must.refuse(text(args, 0)?, &error)),
            // Helm takes a bad pattern for one that does not match.
            Err(_) => return Ok(Value::Bool(false)),
        };
        charge_search(interp, &expression, text(args, 1)?)?;
        Ok(Value::Bool(expression.regex.is_match(&subject(text(args, 1)?).text)))
    }),
    pure("regexQuoteMeta", &[Type::String], |args| Ok(Value::string(quote_meta(text(args, 0)?)))),
    hosted("regexReplaceAll", PATTERN_TEXT_REPLACEMENT, |interp, args| replace_all(interp, args, Strictness::Panic)),
    hosted("regexReplaceAllLiteral", PATTERN_TEXT_REPLACEMENT, |interp, args| {
        replace_literally(interp, args, Strictness::Panic)
    }),
    hosted("regexSplit", PATTERN_TEXT_COUNT, |interp, args| split(interp, args, Strictness::Panic)),
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
    /// Compiles the first argument, and charges for a search in the second.
    fn compile(self, interp: &mut Interp<'_, Host>, args: &[Value]) -> Result<Arc<Compiled>, FuncError> {
        let pattern = text(args, 0)?;
        let compiled = charged(interp, pattern)?.map_err(|error| self.refuse(pattern, &error))?;
        charge_search(interp, &compiled, text(args, 1)?)?;
        Ok(compiled)
    }

    fn refuse(self, pattern: &[u8], error: &compile::Error) -> FuncError {
        match self {
            Self::Must => FuncError::new(error.to_string()),
            Self::Panic => FuncError::new(format!("regexp: Compile({}): {error}", quote(pattern))),
        }
    }
}

/// How many states of an expression a character is compared with for one step.
const STATES_PER_STEP: u64 = 64;
/// How much of a text may be read for a match, for one step.
const BYTES_PER_STEP: u64 = 32;
/// What compiling costs in steps for each state, perhaps for nothing.
const COMPILATION: u64 = 14;
/// What a match costs in steps, for the text that is made of it.
const MATCH_STEPS: u64 = 12;
/// How much of a pattern is compiled for one step, at the least.
const PATTERN_BYTES_PER_STEP: u64 = 2;

/// Compiles a pattern, and charges for having tried to.
fn charged(interp: &mut Interp<'_, Host>, pattern: &[u8]) -> Result<Result<Arc<Compiled>, compile::Error>, FuncError> {
    interp.charge(pattern.len() as u64 / PATTERN_BYTES_PER_STEP)?;
    Ok(compile(pattern))
}

/// A first search costs the length of the text times the weight of the expression, at worst. Heavy expressions are not
/// kept, so they are compiled each time.
fn charge_search(interp: &mut Interp<'_, Host>, expression: &Compiled, searched: &[u8]) -> Result<(), FuncError> {
    let work = (searched.len() as u64).saturating_mul(expression.weight) / STATES_PER_STEP;
    interp.charge(work.saturating_add(expression.states.saturating_mul(COMPILATION)))
}

/// Charges for the matches in a text, one after the other.
struct Matches<'e> {
    expression: &'e Compiled,
    length: usize,
    /// Where the match before ended.
    at: usize,
}

impl<'e> Matches<'e> {
    fn of(expression: &'e Compiled, subject: &Subject<'_>) -> Self {
        Self { expression, length: subject.text.len(), at: 0 }
    }

    /// The text since the match before was read, perhaps all that is left.
    fn charge(&mut self, interp: &mut Interp<'_, Host>, end: usize) -> Result<(), FuncError> {
        let read = if self.expression.ends_near { end } else { self.length } - self.at;
        self.at = end;
        interp.charge(MATCH_STEPS + read as u64 / BYTES_PER_STEP)
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

fn find(interp: &mut Interp<'_, Host>, args: &[Value], strictness: Strictness) -> Outcome {
    let expression = strictness.compile(interp, args)?;
    let subject = subject(text(args, 1)?);
    let found = expression.regex.find(&subject.text);
    Ok(Value::string(found.map_or(&b""[..], |found| subject.slice(found.range()))))
}

fn find_all(interp: &mut Interp<'_, Host>, args: &[Value], strictness: Strictness) -> Outcome {
    let expression = strictness.compile(interp, args)?;
    let subject = subject(text(args, 1)?);
    let limit = int(args, 2)?;
    let limit = if limit < 0 { usize::MAX } else { size(limit) };
    let mut found: Vec<Str> = Vec::new();
    let mut matches = Matches::of(&expression, &subject);
    for one in expression.regex.find_iter(&subject.text).take(limit) {
        matches.charge(interp, one.end())?;
        found.push(Str::from(subject.slice(one.range())));
    }
    Ok(if found.is_empty() { List::nil(ListType::String) } else { List::strings(found) }.into())
}

fn split(interp: &mut Interp<'_, Host>, args: &[Value], strictness: Strictness) -> Outcome {
    let expression = strictness.compile(interp, args)?;
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
    let mut matches = Matches::of(&expression, &subject);
    for found in expression.regex.find_iter(&subject.text) {
        if parts.len() + 1 >= limit {
            break;
        }
        matches.charge(interp, found.end())?;
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

fn replace_literally(interp: &mut Interp<'_, Host>, args: &[Value], strictness: Strictness) -> Outcome {
    let expression = strictness.compile(interp, args)?;
    let replacement = text(args, 2)?;
    let write = |_: &Subject<'_>, _: &Captures<'_>, out: &mut Vec<u8>| out.extend_from_slice(replacement);
    Ok(Value::string(replaced(interp, &expression, text(args, 1)?, write)?))
}

fn replace_all(interp: &mut Interp<'_, Host>, args: &[Value], strictness: Strictness) -> Outcome {
    let expression = strictness.compile(interp, args)?;
    let template = text(args, 2)?;
    let expand = |subject: &Subject<'_>, groups: &Captures<'_>, out: &mut Vec<u8>| {
        Expansion { names: &expression.names, subject, groups }.write(template, out);
    };
    Ok(Value::string(replaced(interp, &expression, text(args, 1)?, expand)?))
}

/// `bytes` with each match replaced by what `write` appends.
fn replaced(
    interp: &mut Interp<'_, Host>,
    expression: &Compiled,
    bytes: &[u8],
    write: impl Fn(&Subject<'_>, &Captures<'_>, &mut Vec<u8>),
) -> Result<Vec<u8>, FuncError> {
    let subject = subject(bytes);
    let mut out = Vec::with_capacity(bytes.len());
    let mut copied = 0;
    let mut matches = Matches::of(expression, &subject);
    for groups in expression.regex.captures_iter(&subject.text) {
        let Some(whole) = groups.get(0) else { continue };
        matches.charge(interp, whole.end())?;
        out.extend_from_slice(subject.slice(copied..whole.start()));
        write(&subject, &groups, &mut out);
        copied = whole.end();
        if out.len() > MAX_TEXT_BYTES {
            return Err(FuncError::new(format!("the result is longer than {MAX_TEXT_BYTES} bytes")));
        }
    }
    out.extend_from_slice(subject.slice(copied..subject.text.len()));
    Ok(out)
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
