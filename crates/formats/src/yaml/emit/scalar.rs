//! How a string can be written: what its characters allow, and what its text would be taken for.

use super::super::class::{break_len, byte, is_blank, is_blankz, width};
use super::super::resolve::{Implicit, implicit};
use super::Dialect;

/// The ways to write a scalar.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Style {
    Plain,
    SingleQuoted,
    DoubleQuoted,
    Literal,
}

/// What the characters of a text allow.
#[derive(Debug, Clone, Copy)]
#[expect(clippy::struct_excessive_bools, reason = "each is one independent answer")]
pub(super) struct Analysis {
    pub(super) multiline: bool,
    plain: bool,
    single_quoted: bool,
    block: bool,
    /// It has characters that do not pass through JSON into YAML unchanged.
    pub(super) odd: bool,
}

/// What was seen in a text.
#[derive(Default)]
#[expect(clippy::struct_excessive_bools, reason = "each is one independent observation")]
struct Seen {
    indicator: bool,
    line_break: bool,
    special: bool,
    tab: bool,
    leading: bool,
    trailing: bool,
    trailing_space: bool,
    space_after_break: bool,
    break_after_space: bool,
    odd: bool,
}

/// Looks at the characters of a text.
pub(super) fn analyze(text: &str, dialect: Dialect) -> Analysis {
    let bytes = text.as_bytes();
    if bytes.is_empty() {
        return Analysis { multiline: false, plain: true, single_quoted: true, block: false, odd: false };
    }
    let seen = look(bytes, dialect);
    let bad_quote = seen.space_after_break || seen.break_after_space || seen.special || seen.tab;
    Analysis {
        multiline: seen.line_break,
        plain: !(bad_quote || seen.indicator || seen.line_break || seen.leading || seen.trailing),
        single_quoted: !bad_quote,
        block: !(seen.trailing_space || seen.break_after_space || seen.special),
        odd: seen.odd,
    }
}

/// Whether a text is one word of letters, digits and harmless signs, as most keys and many values are.
fn is_word(bytes: &[u8]) -> bool {
    let inner = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.' | b'/');
    bytes[0].is_ascii_alphanumeric() && bytes.iter().all(inner)
}

fn look(bytes: &[u8], dialect: Dialect) -> Seen {
    if is_word(bytes) {
        return Seen::default();
    }
    let mut seen = Seen { indicator: bytes.starts_with(b"---") || bytes.starts_with(b"..."), ..Seen::default() };
    let (mut after_blank, mut after_space, mut after_break) = (true, false, false);
    let mut at = 0;
    while at < bytes.len() {
        let first = bytes[at];
        let next = at + width(first).max(1);
        let before_blank = next >= bytes.len() || is_blank(bytes[next]);
        seen.indicator |= is_indicator(first, at == 0, after_blank, before_blank);
        if first == b'\t' && dialect == Dialect::Pretty {
            seen.tab = true;
        } else if !is_printable(bytes, at) {
            seen.special = true;
            seen.odd |= is_odd(bytes, at);
        }
        let space = first == b' ';
        let line_break = break_len(bytes, at) > 0;
        seen.line_break |= line_break;
        seen.leading |= at == 0 && (space || line_break);
        seen.trailing |= next >= bytes.len() && (space || line_break);
        seen.trailing_space |= next >= bytes.len() && space;
        seen.space_after_break |= space && after_break;
        seen.break_after_space |= line_break && after_space;
        (after_space, after_break) = (space, line_break);
        after_blank = is_blankz(bytes, at);
        at = next;
    }
    seen
}

/// Whether a character would mean something at its place in a plain scalar.
fn is_indicator(character: u8, first: bool, after_blank: bool, before_blank: bool) -> bool {
    match character {
        b':' => before_blank,
        b'#' => after_blank,
        b'?' | b'-' => first && before_blank,
        b',' | b'[' | b']' | b'{' | b'}' | b'&' | b'*' | b'!' | b'|' | b'>' | b'\'' | b'"' | b'%' | b'@' | b'`' => {
            first
        }
        _ => false,
    }
}

/// Whether go-yaml writes the character at `at` as it is. It takes all beyond the basic plane for unprintable.
pub(super) fn is_printable(text: &[u8], at: usize) -> bool {
    match (byte(text, at), byte(text, at + 1), byte(text, at + 2)) {
        (0xC2, second, _) => second >= 0xA0,
        (0xED, second, _) => second < 0xA0,
        (0xEF, 0xBB, 0xBF) | (0xEF, 0xBF, 0xBE | 0xBF) => false,
        (first, _, _) => matches!(first, b'\n' | 0x20..=0x7E | 0xC3..=0xEF),
    }
}

/// Whether the character at `at` stands unescaped in JSON, but means something else to YAML, or nothing.
fn is_odd(text: &[u8], at: usize) -> bool {
    match (byte(text, at), byte(text, at + 1), byte(text, at + 2)) {
        (0xC2, second, _) => second < 0xA0,
        (0xEF, 0xBF, 0xBE | 0xBF) => true,
        (first, _, _) => first == 0x7F,
    }
}

impl Analysis {
    /// The style for a text that is wanted in some style, in a key or elsewhere.
    pub(super) fn choose(self, wanted: Style, empty: bool, simple_key: bool) -> Style {
        let mut style = if simple_key && self.multiline { Style::DoubleQuoted } else { wanted };
        if style == Style::Plain && (!self.plain || (empty && simple_key)) {
            style = Style::SingleQuoted;
        }
        if style == Style::SingleQuoted && !self.single_quoted {
            style = Style::DoubleQuoted;
        }
        if style == Style::Literal && (!self.block || simple_key) {
            style = Style::DoubleQuoted;
        }
        style
    }
}

/// The style in which a string stays a string.
pub(super) fn wanted(text: &str, dialect: Dialect) -> Style {
    if text.contains('\n') {
        Style::Literal
    } else if is_plain_string(text, dialect) {
        Style::Plain
    } else {
        Style::DoubleQuoted
    }
}

fn is_plain_string(text: &str, dialect: Dialect) -> bool {
    match implicit(text) {
        Implicit::Text => !(is_base60(text) || dialect == Dialect::Pretty && is_signed_octal(text)),
        Implicit::Null
        | Implicit::Bool(_)
        | Implicit::Int(_)
        | Implicit::Uint(_)
        | Implicit::Float(_)
        | Implicit::Timestamp => false,
    }
}

/// A number in base 60, such as `1:30`: not read as one, but quoted for older readers.
fn is_base60(text: &str) -> bool {
    let text = text.strip_prefix(['+', '-']).unwrap_or(text);
    let (numbers, fraction) = text.split_once('.').unwrap_or((text, ""));
    let mut parts = numbers.split(':');
    let first = parts.next().unwrap_or_default();
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'_');
    let sixtieth = |part: &str| match part.as_bytes() {
        [digit] | [b'0'..=b'5', digit] => digit.is_ascii_digit(),
        _ => false,
    };
    first.starts_with(|c: char| c.is_ascii_digit())
        && digits(first)
        && digits(fraction)
        && numbers.contains(':')
        && parts.all(sixtieth)
}

/// yaml.v3 takes a sign behind `0o` for part of a number.
fn is_signed_octal(text: &str) -> bool {
    let plain = text.replace('_', "");
    let digits = plain.strip_prefix("0o").or_else(|| plain.strip_prefix("-0o"));
    digits.is_some_and(|digits| i64::from_str_radix(digits, 8).is_ok())
}
