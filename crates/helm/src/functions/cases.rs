//! `snakecase`, `kebabcase` and `camelcase`, by the word rules of huandu/xstrings.

use gotmpl::{Function, Type, Value};

use super::arguments::text;
use super::hosted;
use super::runes::{self, INVALID};
use crate::host::Host;

pub(super) const TABLE: &[Function<Host>] = &[
    hosted("camelcase", &[Type::String], |interp, args| {
        interp.charge(text(args, 0)?.len() as u64)?;
        Ok(Value::string(pascal_case(text(args, 0)?)))
    }),
    hosted("kebabcase", &[Type::String], |interp, args| {
        interp.charge(text(args, 0)?.len() as u64)?;
        Ok(Value::string(connected(text(args, 0)?, '-')))
    }),
    hosted("snakecase", &[Type::String], |interp, args| {
        interp.charge(text(args, 0)?.len() as u64)?;
        Ok(Value::string(connected(text(args, 0)?, '_')))
    }),
];

fn is_connector(rune: char) -> bool {
    matches!(rune, '-' | '_') || runes::is_space(rune)
}

/// A letter that has words in this sense: not a CJK character.
fn is_alphabetic(rune: char) -> bool {
    runes::is_letter(rune)
        && !matches!(rune, '\u{3400}'..='\u{4d85}' | '\u{4e00}'..='\u{9fcc}' | '\u{20000}'..='\u{2b81d}')
}

/// Words joined in capitals (`some_words` becomes `SomeWords`); leading and doubled connectors stay.
fn pascal_case(text: &[u8]) -> String {
    let letters: Vec<char> = runes::runes(text).map(|(rune, _)| rune).collect();
    let start = letters.iter().position(|rune| !is_connector(*rune));
    // Of a text without words the last connector comes out twice.
    let Some(start) = start else { return letters.iter().chain(letters.last()).collect() };
    let mut out: String = letters[..start].iter().collect();
    let mut in_capitals = runes::is_upper(letters[start]);
    let mut previous = runes::to_upper(letters[start]);
    for &rune in &letters[start + 1..] {
        let mut current = rune;
        match (is_connector(rune), is_connector(previous)) {
            (true, true) => out.push(previous),
            (_, true) => {
                in_capitals = runes::is_upper(rune);
                current = runes::to_upper(rune);
            }
            _ => {
                in_capitals = in_capitals && runes::is_upper(rune);
                if in_capitals {
                    current = runes::to_lower(rune);
                }
                out.push(previous);
            }
        }
        previous = current;
    }
    out.push(previous);
    out
}

/// What a word is made of.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// Bytes that are no text.
    Invalid,
    Number,
    /// Starts with a capital.
    Capital,
    /// Starts with another letter.
    Letter,
    Connector,
    Punctuation,
    Other,
}

struct Word<'a> {
    kind: Kind,
    text: &'a [u8],
}

impl Word<'_> {
    /// Appends the word in lower case, with its connectors unified.
    fn write(&self, out: &mut Vec<u8>, connector: char) {
        if !matches!(self.kind, Kind::Capital | Kind::Connector) {
            out.extend_from_slice(self.text);
            return;
        }
        let lowered = runes::map_runes(self.text, |rune| match rune {
            rune if is_connector(rune) => connector,
            rune if runes::is_upper(rune) => runes::to_lower(rune),
            rune => rune,
        });
        out.extend_from_slice(lowered.as_bytes());
    }
}

/// The first valid rune of `text` with the length up to its end; `previous` if there is none.
fn next_valid(text: &[u8], previous: char) -> (char, usize) {
    let mut skipped = 0;
    for (rune, bytes) in runes::runes(text) {
        skipped += bytes.len();
        if rune != INVALID {
            return (rune, skipped);
        }
    }
    (previous, skipped)
}

/// The length of the run at the start of `text` whose runes `belongs` accepts, the last accepted rune's length
/// and the rune that ended the run.
struct Run {
    length: usize,
    last: usize,
    end: char,
}

fn run(text: &[u8], first: char, belongs: impl Fn(char) -> bool) -> Run {
    let mut run = Run { length: 0, last: 0, end: first };
    while run.length < text.len() {
        let (rune, length) = next_valid(&text[run.length..], run.end);
        run.end = rune;
        if !belongs(rune) {
            break;
        }
        run.length += length;
        run.last = length;
    }
    run
}

fn small_letter(rune: char) -> bool {
    is_alphabetic(rune) && !runes::is_upper(rune)
}

/// Splits the first word off `text`.
fn next_word(text: &[u8]) -> (Word<'_>, &[u8]) {
    let (first, size) = next_valid(text, INVALID);
    let after = &text[size..];
    let (kind, length) = match first {
        INVALID => (Kind::Invalid, 0),
        rune if is_connector(rune) => (Kind::Connector, run(after, rune, is_connector).length),
        rune if runes::is_punctuation(rune) => (Kind::Punctuation, run(after, rune, runes::is_punctuation).length),
        rune if runes::is_upper(rune) => (Kind::Capital, capital_length(after, rune)),
        rune if is_alphabetic(rune) => (Kind::Letter, run(after, rune, small_letter).length),
        rune if runes::is_number(rune) => (Kind::Number, run(after, rune, runes::is_number).length),
        rune => {
            let other = |next: char| {
                !(is_connector(next) || is_alphabetic(next) || runes::is_number(next) || runes::is_punctuation(next))
            };
            (Kind::Other, run(after, rune, other).length)
        }
    };
    let (word, rest) = text.split_at(size + length);
    (Word { kind, text: word }, rest)
}

/// The length of the rest of a word after its first capital: `Http`, or the `HTTP` of `HTTPServer`.
fn capital_length(after: &[u8], first: char) -> usize {
    let capitals = run(after, first, runes::is_upper);
    if capitals.length == 0 {
        return run(after, first, small_letter).length;
    }
    let more = capitals.length < after.len();
    if more && is_alphabetic(capitals.end) { capitals.length - capitals.last } else { capitals.length }
}

/// The words of a text, in order, with what is joined to what.
struct Joiner<'a> {
    rest: &'a [u8],
    word: Word<'a>,
    connector: char,
    out: Vec<u8>,
}

impl<'a> Joiner<'a> {
    /// Makes the next word current and returns the one before.
    fn advance(&mut self) -> Word<'a> {
        let (word, rest) = next_word(self.rest);
        self.rest = rest;
        std::mem::replace(&mut self.word, word)
    }

    fn write_word(&mut self) {
        self.word.write(&mut self.out, self.connector);
    }

    /// Writes the connector unless the current word is of one of `kinds`.
    fn connect_unless(&mut self, kinds: &[Kind]) {
        if !kinds.contains(&self.word.kind) {
            self.out.extend_from_slice(self.connector.encode_utf8(&mut [0; 4]).as_bytes());
        }
    }

    /// Writes letters and numbers that belong to a number before them, such as the `x` of `20x`.
    fn write_tail_of_number(&mut self) {
        while matches!(self.word.kind, Kind::Letter | Kind::Number) {
            self.write_word();
            self.advance();
        }
    }

    /// Joins a number that follows a word: `http2xx` is `http_2xx`, but `Bld4Floor` is `bld4_floor`.
    fn join_number(&mut self) {
        if self.rest.is_empty() {
            return;
        }
        let number = self.advance();
        if self.word.kind == Kind::Letter {
            self.out.extend_from_slice(self.connector.encode_utf8(&mut [0; 4]).as_bytes());
            number.write(&mut self.out, self.connector);
            self.write_tail_of_number();
            self.connect_unless(&[Kind::Invalid, Kind::Connector, Kind::Punctuation]);
        } else {
            number.write(&mut self.out, self.connector);
            self.connect_unless(&[Kind::Connector, Kind::Punctuation]);
        }
    }

    fn join_next(&mut self) {
        if self.word.kind != Kind::Connector {
            self.write_word();
        }
        let previous = self.advance();
        match previous.kind {
            Kind::Number => {
                self.write_tail_of_number();
                self.connect_unless(&[Kind::Invalid, Kind::Punctuation, Kind::Connector]);
            }
            Kind::Connector => previous.write(&mut self.out, self.connector),
            Kind::Punctuation => {}
            Kind::Invalid | Kind::Capital | Kind::Letter | Kind::Other => match self.word.kind {
                Kind::Number => self.join_number(),
                _ => self.connect_unless(&[Kind::Connector, Kind::Punctuation]),
            },
        }
    }
}

/// The words of `text` in lower case with `connector` between them.
fn connected(text: &[u8], connector: char) -> Vec<u8> {
    let (word, rest) = next_word(text);
    let mut joiner = Joiner { rest, word, connector, out: Vec::new() };
    while !joiner.rest.is_empty() {
        joiner.join_next();
    }
    joiner.write_word();
    joiner.out
}
