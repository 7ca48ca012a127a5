//! Go's quoting (`strconv.Quote` and its relatives) and the inverse for template literals.

use crate::unicode;
use crate::value::Str;

/// `text` as a double-quoted Go string literal (`strconv.Quote`).
pub fn quote(text: &[u8]) -> Str {
    let mut out = Vec::with_capacity(text.len() + 2);
    append(&mut out, text, false);
    out.into()
}

/// Like [`quote`], as text for messages.
pub(crate) fn lossy(text: &[u8]) -> String {
    quote(text).to_lossy().into_owned()
}

/// Appends `text` as a double-quoted literal; with `ascii`, everything else is escaped.
pub(crate) fn append(out: &mut Vec<u8>, text: &[u8], ascii: bool) {
    out.push(b'"');
    let mut at = 0;
    for (c, width) in unicode::chars(text) {
        if width == 1 && c == '\u{FFFD}' {
            out.extend_from_slice(format!("\\x{:02x}", text[at]).as_bytes());
        } else {
            append_escaped(out, c, '"', ascii);
        }
        at += width;
    }
    out.push(b'"');
}

/// Appends `c` as a single-quoted literal.
pub(crate) fn append_char(out: &mut Vec<u8>, c: char, ascii: bool) {
    out.push(b'\'');
    append_escaped(out, c, '\'', ascii);
    out.push(b'\'');
}

fn append_escaped(out: &mut Vec<u8>, c: char, quote: char, ascii: bool) {
    let escape = match c {
        '\\' => "\\\\".to_owned(),
        _ if c == quote => format!("\\{c}"),
        _ if unicode::is_printable(c) && (c.is_ascii() || !ascii) => c.to_string(),
        '\x07' => "\\a".to_owned(),
        '\x08' => "\\b".to_owned(),
        '\x0c' => "\\f".to_owned(),
        '\n' => "\\n".to_owned(),
        '\r' => "\\r".to_owned(),
        '\t' => "\\t".to_owned(),
        '\x0b' => "\\v".to_owned(),
        _ if c < ' ' || c == '\x7f' => format!("\\x{:02x}", u32::from(c)),
        _ if c < '\u{10000}' => format!("\\u{:04x}", u32::from(c)),
        _ => format!("\\U{:08x}", u32::from(c)),
    };
    out.extend_from_slice(escape.as_bytes());
}

/// `c` as `%#U` prints it: `U+0021 '!'`.
pub(crate) fn code_point(c: char) -> String {
    let number = format!("U+{:04X}", u32::from(c));
    if unicode::is_printable(c) { format!("{number} '{c}'") } else { number }
}

/// Whether `text` can stand between backquotes unchanged (`strconv.CanBackquote`).
pub(crate) fn can_backquote(text: &[u8]) -> bool {
    unicode::chars(text).all(|(c, width)| match c {
        '\u{FEFF}' | '`' | '\x7f' => false,
        '\u{FFFD}' => width > 1,
        _ => c >= ' ' || c == '\t',
    })
}

/// What a template's string literal, with its quotes, stands for; `None` if its escapes are wrong.
pub(crate) fn unquote(literal: &[u8]) -> Option<Str> {
    let quote = *literal.first()?;
    let mut body = literal.get(1..literal.len().checked_sub(1)?)?;
    let plain = if quote == b'`' { memchr::memchr(b'\r', body).is_none() } else { is_plain(body, quote) };
    if plain {
        return Some(body.into());
    }
    if quote == b'`' {
        return Some(body.iter().copied().filter(|byte| *byte != b'\r').collect::<Vec<u8>>().into());
    }
    let mut out = Vec::with_capacity(body.len());
    while !body.is_empty() {
        let (piece, rest) = unquote_char(body, quote)?;
        match piece {
            Piece::Byte(byte) => out.push(byte),
            Piece::Char(c) => out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()),
        }
        body = rest;
    }
    Some(out.into())
}

/// Whether the inside of a literal stands for itself.
fn is_plain(body: &[u8], quote: u8) -> bool {
    memchr::memchr2(b'\\', quote, body).is_none() && std::str::from_utf8(body).is_ok()
}

/// One element of a literal: `\xff` is a byte, all else is a code point.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Piece {
    Byte(u8),
    Char(char),
}

/// The first element of the inside of a literal, and what follows it.
pub(crate) fn unquote_char(text: &[u8], quote: u8) -> Option<(Piece, &[u8])> {
    let (first, width) = unicode::decode(text);
    match first {
        _ if width == 0 || text[0] == quote => None,
        '\\' => unquote_escape(text.get(1..)?, quote),
        _ => Some((Piece::Char(first), &text[width..])),
    }
}

fn unquote_escape(text: &[u8], quote: u8) -> Option<(Piece, &[u8])> {
    let (&kind, rest) = text.split_first()?;
    let simple = |c: char| Some((Piece::Char(c), rest));
    match kind {
        b'a' => simple('\x07'),
        b'b' => simple('\x08'),
        b'f' => simple('\x0c'),
        b'n' => simple('\n'),
        b'r' => simple('\r'),
        b't' => simple('\t'),
        b'v' => simple('\x0b'),
        b'\\' => simple('\\'),
        b'\'' | b'"' if kind == quote => simple(char::from(kind)),
        b'x' => byte_escape(rest, 2, 16),
        b'0'..=b'7' => byte_escape(text, 3, 8),
        b'u' => char_escape(rest, 4),
        b'U' => char_escape(rest, 8),
        _ => None,
    }
}

fn digits(text: &[u8], count: usize, radix: u32) -> Option<(u32, &[u8])> {
    let (digits, rest) = text.split_at_checked(count)?;
    let value = digits
        .iter()
        .try_fold(0_u32, |value, digit| Some(value.wrapping_mul(radix) | char::from(*digit).to_digit(radix)?))?;
    Some((value, rest))
}

fn byte_escape(text: &[u8], count: usize, radix: u32) -> Option<(Piece, &[u8])> {
    let (value, rest) = digits(text, count, radix)?;
    Some((Piece::Byte(u8::try_from(value).ok()?), rest))
}

fn char_escape(text: &[u8], count: usize) -> Option<(Piece, &[u8])> {
    let (value, rest) = digits(text, count, 16)?;
    Some((Piece::Char(char::from_u32(value)?), rest))
}
