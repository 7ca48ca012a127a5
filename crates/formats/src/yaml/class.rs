//! The character classes of YAML 1.1, asked of bytes.
//!
//! The end of the text reads as NUL, which the reader never lets through as a character.

/// The byte at `at`, or NUL past the end.
#[inline]
pub(super) fn byte(text: &[u8], at: usize) -> u8 {
    text.get(at).copied().unwrap_or(0)
}

/// Length of the line break at `at`, 0 if there is none. CR LF counts as one break of two bytes.
#[inline]
pub(super) fn break_len(text: &[u8], at: usize) -> usize {
    match byte(text, at) {
        b'\r' if byte(text, at + 1) == b'\n' => 2,
        b'\n' | b'\r' => 1,
        0xC2 if byte(text, at + 1) == 0x85 => 2,
        0xE2 if byte(text, at + 1) == 0x80 && matches!(byte(text, at + 2), 0xA8 | 0xA9) => 3,
        _ => 0,
    }
}

/// Space or tab.
#[inline]
pub(super) fn is_blank(byte: u8) -> bool {
    byte == b' ' || byte == b'\t'
}

/// A line break, or the end of the text.
#[inline]
pub(super) fn is_breakz(text: &[u8], at: usize) -> bool {
    byte(text, at) == 0 || break_len(text, at) > 0
}

/// Space, tab, line break or the end of the text.
#[inline]
pub(super) fn is_blankz(text: &[u8], at: usize) -> bool {
    let first = byte(text, at);
    // Almost every byte of a manifest is a letter or a digit: one comparison settles those.
    if first > b' ' && first < 0x80 {
        return false;
    }
    is_blank(first) || is_breakz(text, at)
}

/// A character of anchors, tag handles and directive names.
#[inline]
pub(super) fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-'
}

/// Length of the UTF-8 sequence a leading byte announces, 0 for a byte that cannot lead.
#[inline]
pub(super) fn width(leading: u8) -> usize {
    match leading {
        0..=0x7F => 1,
        0xC0..=0xDF => 2,
        0xE0..=0xEF => 3,
        0xF0..=0xF7 => 4,
        _ => 0,
    }
}

/// Whether the document indicator made of three `mark` bytes stands at `at`.
#[inline]
pub(super) fn is_document_mark(text: &[u8], at: usize, mark: u8) -> bool {
    byte(text, at) == mark && byte(text, at + 1) == mark && byte(text, at + 2) == mark && is_blankz(text, at + 3)
}
