//! Words: abbreviating, wrapping, initials and the functions that change the case of single letters.
//!
//! The rules are those of Masterminds/goutils, which counts columns in bytes.

use gotmpl::{FuncError, Function, Type, Value};

use super::arguments::{MAX_TEXT_BYTES, any, int, size, text};
use super::{pure, runes};
use crate::host::Host;

const TEXT: &[Type] = &[Type::String];

/// The mark of an abbreviation.
const ELLIPSIS: &[u8] = b"...";

pub(super) const TABLE: &[Function<Host>] = &[
    pure("abbrev", &[Type::Int, Type::String], |args| {
        let width = int(args, 0)?;
        Ok(if width < 4 { any(args, 1).clone() } else { Value::string(abbreviate(text(args, 1)?, 0, size(width))) })
    }),
    pure("abbrevboth", &[Type::Int, Type::Int, Type::String], |args| {
        let (left, right) = (int(args, 0)?, int(args, 1)?);
        if right < 4 || (left > 0 && right < 7) {
            return Ok(any(args, 2).clone());
        }
        Ok(Value::string(abbreviate(text(args, 2)?, left, size(right))))
    }),
    pure("initials", TEXT, |args| Ok(Value::string(initials(text(args, 0)?)))),
    pure("nospace", TEXT, |args| Ok(Value::string(without_space(text(args, 0)?)))),
    pure("swapcase", TEXT, |args| Ok(Value::string(swap_case(text(args, 0)?)))),
    pure("title", TEXT, |args| Ok(Value::string(title(text(args, 0)?)))),
    pure("untitle", TEXT, |args| Ok(Value::string(untitle(text(args, 0)?)))),
    pure("wrap", &[Type::Int, Type::String], |args| {
        Ok(Value::string(
            Wrap { width: width(int(args, 0)?), line_break: b"\n", cut_words: false }.apply(text(args, 1)?)?,
        ))
    }),
    pure("wrapWith", &[Type::Int, Type::String, Type::String], |args| {
        let line_break = match text(args, 1)? {
            b"" => b"\n",
            given => given,
        };
        Ok(Value::string(Wrap { width: width(int(args, 0)?), line_break, cut_words: true }.apply(text(args, 2)?)?))
    }),
];

/// `text` cut to `width` bytes, from `offset` on if that is far enough from the start to be worth an ellipsis.
fn abbreviate(text: &[u8], offset: i64, width: usize) -> Vec<u8> {
    if text.len() <= width {
        return text.to_vec();
    }
    let kept = width - ELLIPSIS.len();
    let start = size(offset).min(text.len());
    let start = if text.len() - start < kept { text.len() - kept } else { start };
    if start <= 4 || offset < 0 {
        return [&text[..kept], ELLIPSIS].concat();
    }
    if width < 7 {
        return Vec::new();
    }
    if start + kept < text.len() {
        return [ELLIPSIS, &abbreviate(&text[start..], 0, kept)].concat();
    }
    [ELLIPSIS, &text[text.len() - kept..]].concat()
}

/// The first byte, as a Latin-1 letter, of each word.
fn initials(text: &[u8]) -> String {
    let mut after_gap = true;
    let letters = text.iter().map(|byte| char::from(*byte)).filter(|letter| {
        let gap = runes::is_space(*letter);
        let first = after_gap && !gap;
        after_gap = gap;
        first
    });
    letters.collect()
}

/// `text` without white space. Each byte is taken for a Latin-1 letter as soon as one of them is a space.
fn without_space(text: &[u8]) -> Vec<u8> {
    let kept: String = text.iter().map(|byte| char::from(*byte)).filter(|letter| !runes::is_space(*letter)).collect();
    if kept.chars().count() == text.len() { text.to_vec() } else { kept.into_bytes() }
}

/// Upper becomes lower and lower becomes upper, but title case at the start of a word.
fn swap_case(text: &[u8]) -> String {
    let mut word_start = true;
    runes::map_runes(text, |rune| {
        if runes::is_upper(rune) || runes::is_title(rune) {
            word_start = false;
            runes::to_lower(rune)
        } else if runes::is_lower(rune) {
            if std::mem::take(&mut word_start) { runes::to_title(rune) } else { runes::to_upper(rune) }
        } else {
            word_start = runes::is_space(rune);
            rune
        }
    })
}

/// The first letter of each word in title case (`strings.Title`).
fn title(text: &[u8]) -> String {
    let mut previous = ' ';
    runes::map_runes(text, |rune| {
        let mapped = if separates(previous) { runes::to_title(rune) } else { rune };
        previous = rune;
        mapped
    })
}

/// Whether a word may start after `rune`.
fn separates(rune: char) -> bool {
    if rune.is_ascii() {
        return !(rune.is_ascii_alphanumeric() || rune == '_');
    }
    !runes::is_letter(rune) && !runes::is_digit(rune) && runes::is_space(rune)
}

/// The first letter of each word in lower case.
fn untitle(text: &[u8]) -> String {
    let mut word_start = true;
    runes::map_runes(text, |rune| {
        if runes::is_space(rune) {
            word_start = true;
            rune
        } else if std::mem::take(&mut word_start) {
            runes::to_lower(rune)
        } else {
            rune
        }
    })
}

/// A width of text: at least one column.
fn width(columns: i64) -> usize {
    size(columns).max(1)
}

/// How to break a line of text into shorter ones.
struct Wrap<'a> {
    width: usize,
    line_break: &'a [u8],
    /// Whether a word longer than a line is cut; otherwise it sticks out.
    cut_words: bool,
}

impl Wrap<'_> {
    fn apply(&self, text: &[u8]) -> Result<Vec<u8>, FuncError> {
        let mut out = Vec::new();
        let mut rest = text;
        while rest.len() > self.width {
            if rest[0] == b' ' {
                rest = &rest[1..];
                continue;
            }
            let Some((line, skipped)) = self.line(rest) else { break };
            out.extend_from_slice(&rest[..line]);
            out.extend_from_slice(self.line_break);
            rest = &rest[line + skipped..];
            if out.len() > MAX_TEXT_BYTES {
                return Err(FuncError::new(format!("the wrapped text is longer than {MAX_TEXT_BYTES} bytes")));
            }
        }
        out.extend_from_slice(rest);
        Ok(out)
    }

    /// The length of the next line of `rest`, which is longer than a line, and how many blanks follow it;
    /// none if it has no place to break.
    fn line(&self, rest: &[u8]) -> Option<(usize, usize)> {
        let blank = |byte: &u8| *byte == b' ';
        match rest[..=self.width].iter().rposition(blank) {
            Some(at) => Some((at, 1)),
            None if self.cut_words => Some((self.width, 0)),
            None => rest[self.width..].iter().position(blank).map(|at| (self.width + at, 1)),
        }
    }
}
