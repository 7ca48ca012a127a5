//! First step of reading: bytes to characters. Byte order marks, UTF-16, and what may not appear.
//!
//! go-yaml reads its input in pieces of [`PIECE`] bytes and checks a whole piece when it needs the
//! first byte of it. A text with a bad character is therefore fine as long as nothing beyond the
//! preceding piece is needed; [`Source::flaw`] keeps that error until the scanner gets there.

use std::borrow::Cow;

/// How many raw bytes go-yaml reads at once.
const PIECE: usize = 512;
/// How many bytes are looked at together.
const BLOCK: usize = 32;
/// What is said about a character of which the input has the beginning only.
const INCOMPLETE: &str = "incomplete UTF-8 octet sequence";

/// The characters of a YAML stream.
pub(super) struct Source<'a> {
    /// The text, without a leading byte order mark, cut before the first piece with a flaw.
    pub(super) text: Cow<'a, str>,
    /// What is wrong with the next piece.
    pub(super) flaw: Option<&'static str>,
}

impl<'a> Source<'a> {
    /// Decodes the bytes of a stream.
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        match bytes {
            [0xFF, 0xFE, rest @ ..] => Self::utf16(rest, u16::from_le_bytes),
            [0xFE, 0xFF, rest @ ..] => Self::utf16(rest, u16::from_be_bytes),
            [0xEF, 0xBB, 0xBF, rest @ ..] => Self::utf8(rest),
            _ => Self::utf8(bytes),
        }
    }

    fn utf8(bytes: &'a [u8]) -> Self {
        let Err((flaw_at, flaw)) = check(bytes) else {
            return match std::str::from_utf8(bytes) {
                Ok(text) => Self { text: Cow::Borrowed(text), flaw: None },
                Err(_) => Self { text: Cow::Borrowed(""), flaw: Some("invalid Unicode character") },
            };
        };
        if flaw == INCOMPLETE {
            // Only after asking for more does go-yaml know that there is none.
            return Self {
                text: Cow::Borrowed(std::str::from_utf8(&bytes[..flaw_at]).unwrap_or_default()),
                flaw: Some(flaw),
            };
        }
        let mut start = 0;
        while start + PIECE <= flaw_at {
            let mut end = start + PIECE;
            while bytes[end] & 0xC0 == 0x80 && end > start {
                end -= 1;
            }
            start = end;
        }
        let text = std::str::from_utf8(&bytes[..start]).unwrap_or_default();
        Self { text: Cow::Borrowed(text), flaw: Some(flaw) }
    }

    fn utf16(bytes: &[u8], unit: fn([u8; 2]) -> u16) -> Self {
        let mut text = String::with_capacity(bytes.len());
        let units = bytes.chunks(2).map(|pair| <[u8; 2]>::try_from(pair).map(unit));
        let mut units = units.peekable();
        let flaw = loop {
            let Some(first) = units.next() else {
                break None;
            };
            let Ok(first) = first else {
                break Some("incomplete UTF-16 character");
            };
            let scalar = match first {
                0xDC00..=0xDFFF => break Some("unexpected low surrogate area"),
                0xD800..=0xDBFF => match units.next() {
                    Some(Ok(low @ 0xDC00..=0xDFFF)) => {
                        0x1_0000 + ((u32::from(first) & 0x3FF) << 10) + (u32::from(low) & 0x3FF)
                    }
                    Some(Ok(_)) => break Some("expected low surrogate area"),
                    Some(Err(_)) | None => break Some("incomplete UTF-16 surrogate pair"),
                },
                _ => u32::from(first),
            };
            match char::from_u32(scalar).filter(|c| is_allowed(*c)) {
                Some(character) => text.push(character),
                None => break Some("control characters are not allowed"),
            }
        };
        Self { text: Cow::Owned(text), flaw }
    }
}

/// Finds the first byte offset at which go-yaml refuses the text, and what it says.
fn check(bytes: &[u8]) -> Result<(), (usize, &'static str)> {
    let mut at = 0;
    while at < bytes.len() {
        if bytes[at..].first_chunk().is_some_and(is_plain) {
            at += BLOCK;
            continue;
        }
        let end = bytes.len().min(at + BLOCK);
        while at < end {
            match bytes[at] {
                b'\t' | b'\n' | b'\r' | 0x20..=0x7E => at += 1,
                0..=0x7F => return Err((at, "control characters are not allowed")),
                _ => at += sequence(&bytes[at..]).map_err(|problem| (at, problem))?,
            }
        }
    }
    Ok(())
}

/// Whether a block is nothing but printable ASCII, tabs and line breaks. Without a branch, so that it vectorises.
fn is_plain(block: &[u8; BLOCK]) -> bool {
    let is_strange = |byte: u8| {
        let is_white = u8::from(byte == b'\t') | u8::from(byte == b'\n') | u8::from(byte == b'\r');
        u8::from(byte.wrapping_sub(b' ') > b'~' - b' ') & (is_white ^ 1)
    };
    block.iter().fold(0, |strange, byte| strange | is_strange(*byte)) == 0
}

/// Checks the multi-byte sequence at the start of `bytes` and gives its length.
fn sequence(bytes: &[u8]) -> Result<usize, &'static str> {
    let (width, lead) = match bytes[0] {
        lead @ 0xC0..=0xDF => (2, lead & 0x1F),
        lead @ 0xE0..=0xEF => (3, lead & 0x0F),
        lead @ 0xF0..=0xF7 => (4, lead & 0x07),
        _ => return Err("invalid leading UTF-8 octet"),
    };
    let Some(rest) = bytes.get(1..width) else {
        return Err(INCOMPLETE);
    };
    let mut scalar = u32::from(lead);
    for octet in rest {
        if octet & 0xC0 != 0x80 {
            return Err("invalid trailing UTF-8 octet");
        }
        scalar = (scalar << 6) | u32::from(octet & 0x3F);
    }
    let shortest = [0, 0, 0x80, 0x800, 0x1_0000][width];
    if scalar < shortest {
        return Err("invalid length of a UTF-8 sequence");
    }
    let character = char::from_u32(scalar).ok_or("invalid Unicode character")?;
    if is_allowed(character) { Ok(width) } else { Err("control characters are not allowed") }
}

/// Whether a character may stand in a YAML stream.
pub(super) fn is_allowed(character: char) -> bool {
    matches!(character,
        '\t' | '\n' | '\r' | ' '..='~' | '\u{85}' | '\u{A0}'..='\u{D7FF}' | '\u{E000}'..='\u{FFFD}' | '\u{10000}'..='\u{10FFFF}')
}
