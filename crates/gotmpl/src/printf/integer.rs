//! Integers in all bases, as characters and as code points.

use super::pad::Flags;
use crate::quote;
use crate::unicode;

/// An integer and how it is to be shown.
#[derive(Debug, Clone, Copy)]
pub(super) struct Integer {
    pub(super) magnitude: u64,
    pub(super) negative: bool,
    pub(super) base: u64,
    pub(super) upper: bool,
    /// `%O`: with the prefix `0o`.
    pub(super) octal_prefix: bool,
}

impl Integer {
    /// Appends it; a precision or zero padding asks for leading zeros.
    pub(super) fn append(&self, out: &mut Vec<u8>, flags: &Flags) {
        let signed = self.negative || flags.plus || flags.space;
        let least = match flags.precision {
            Some(0) if self.magnitude == 0 => {
                // Nothing is printed but the padding.
                return Flags { zero: false, ..*flags }.padding(out, flags.width.unwrap_or(0));
            }
            Some(precision) => precision,
            None if flags.zero && !flags.minus => flags.width.unwrap_or(0).saturating_sub(usize::from(signed)),
            None => 0,
        };
        let mut reversed = self.digits(least);
        if flags.sharp {
            self.push_prefix(&mut reversed);
        }
        if self.octal_prefix {
            reversed.extend_from_slice(b"o0");
        }
        match (self.negative, flags.plus, flags.space) {
            (true, _, _) => reversed.push(b'-'),
            (_, true, _) => reversed.push(b'+'),
            (_, _, true) => reversed.push(b' '),
            (false, false, false) => {}
        }
        reversed.reverse();
        flags.pad_with_spaces(out, &reversed);
    }

    /// At least `least` digits, the last one first.
    fn digits(&self, least: usize) -> Vec<u8> {
        let alphabet = if self.upper { b"0123456789ABCDEF" } else { b"0123456789abcdef" };
        let mut reversed = Vec::with_capacity(least.max(24));
        let mut rest = self.magnitude;
        loop {
            reversed.push(alphabet[usize::try_from(rest % self.base).unwrap_or_default()]);
            rest /= self.base;
            if rest == 0 {
                break;
            }
        }
        if reversed.len() < least {
            reversed.resize(least, b'0');
        }
        reversed
    }

    fn push_prefix(&self, reversed: &mut Vec<u8>) {
        match self.base {
            2 => reversed.extend_from_slice(b"b0"),
            8 if reversed.last() != Some(&b'0') => reversed.push(b'0'),
            16 if self.upper => reversed.extend_from_slice(b"X0"),
            16 => reversed.extend_from_slice(b"x0"),
            _ => {}
        }
    }
}

/// The character of a code point; U+FFFD if there is none.
fn character(code: u64) -> char {
    u32::try_from(code).ok().and_then(char::from_u32).unwrap_or('\u{FFFD}')
}

/// `%c`
pub(super) fn append_char(out: &mut Vec<u8>, code: u64, flags: &Flags) {
    flags.pad(out, character(code).encode_utf8(&mut [0; 4]).as_bytes());
}

/// `%q`
pub(super) fn append_quoted(out: &mut Vec<u8>, code: u64, flags: &Flags) {
    let mut quoted = Vec::new();
    quote::append_char(&mut quoted, character(code), flags.plus);
    flags.pad(out, &quoted);
}

/// `%U`
pub(super) fn append_code_point(out: &mut Vec<u8>, code: u64, flags: &Flags) {
    let least = flags.precision.unwrap_or(0).max(4);
    let figures = format!("{code:X}");
    let mut text = b"U+".to_vec();
    text.resize(2 + least.saturating_sub(figures.len()), b'0');
    text.extend_from_slice(figures.as_bytes());
    let c = u32::try_from(code).ok().and_then(char::from_u32).filter(|c| unicode::is_printable(*c));
    if let Some(c) = c.filter(|_| flags.sharp) {
        text.extend_from_slice(format!(" '{c}'").as_bytes());
    }
    flags.pad_with_spaces(out, &text);
}
