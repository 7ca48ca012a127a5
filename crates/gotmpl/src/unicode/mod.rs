//! Code points as Go sees them: decoding of bytes that may not be UTF-8, and the two character classes
//! on which Go's Unicode version (15.0) shows.

mod tables;

/// The code point `text` starts with and its width in bytes; U+FFFD of width 1 for an invalid byte, and
/// of width 0 for an empty text.
#[inline]
pub(crate) fn decode(text: &[u8]) -> (char, usize) {
    match text.first() {
        None => ('\u{FFFD}', 0),
        Some(byte) if byte.is_ascii() => (char::from(*byte), 1),
        Some(_) => decode_wide(text),
    }
}

fn decode_wide(text: &[u8]) -> (char, usize) {
    let window = &text[..text.len().min(4)];
    let valid = match std::str::from_utf8(window) {
        Ok(valid) => valid,
        Err(error) => std::str::from_utf8(&window[..error.valid_up_to()]).unwrap_or_default(),
    };
    valid.chars().next().map_or(('\u{FFFD}', 1), |c| (c, c.len_utf8()))
}

/// The code points of `text` with their widths, as Go's `range` over a string.
pub(crate) fn chars(mut text: &[u8]) -> impl Iterator<Item = (char, usize)> {
    std::iter::from_fn(move || {
        let (c, width) = decode(text);
        text = &text[width..];
        (width > 0).then_some((c, width))
    })
}

/// How many code points `text` has, counting each invalid byte as one.
pub(crate) fn count(text: &[u8]) -> usize {
    if text.is_ascii() { text.len() } else { chars(text).count() }
}

/// Whether Go prints `c` as it is within quotes.
pub fn is_printable(c: char) -> bool {
    if c.is_ascii() { (' '..='~').contains(&c) } else { contains(tables::PRINTABLE, c) }
}

/// Whether `c` may be part of a name in a template.
pub(crate) fn is_name(c: char) -> bool {
    u8::try_from(c).is_ok_and(is_ascii_name) || !c.is_ascii() && contains(tables::NAME, c)
}

/// As [`is_name`], for a byte that is a code point of its own.
#[inline]
pub(crate) fn is_ascii_name(byte: u8) -> bool {
    const NAMES: [bool; 256] = {
        let mut names = [false; 256];
        let mut byte = 0_u8;
        while byte < 128 {
            names[byte as usize] = byte.is_ascii_alphanumeric() || byte == b'_';
            byte += 1;
        }
        names
    };
    NAMES[usize::from(byte)]
}

fn contains(borders: &[u32], c: char) -> bool {
    borders.partition_point(|border| *border <= u32::from(c)) % 2 == 1
}

/// How many lines end in `text`.
pub(crate) fn lines(text: &[u8]) -> usize {
    memchr::memchr_iter(b'\n', text).count()
}
