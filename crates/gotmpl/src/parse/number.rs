//! Numeric constants: which Go types can represent one, and which it has by default.

use super::{Failure, Parser, Result};
use crate::ast::{Ideal, Number};
use crate::complex::Complex;
use crate::lex::{Kind, Token};
use crate::quote::{self, Piece};

impl Parser<'_> {
    pub(super) fn parse_number(&self, token: Token) -> Result<Number> {
        let text = self.text(token.span);
        let number = |int, float, ideal| Number { literal: token.span, int, float, ideal };
        if token.kind == Kind::CharConstant {
            let code = i64::from(self.char_constant(text)?);
            #[expect(clippy::cast_precision_loss, reason = "code points are exact in a float")]
            return Ok(number(Some(code), Some(code as f64), Ideal::Int(code)));
        }
        let text = std::str::from_utf8(text).unwrap_or_default();
        if token.kind == Kind::Complex {
            return Ok(complex(parse_complex(text).map_err(|problem| self.error(problem))?, number));
        }
        if let Some(imaginary) = text.strip_suffix('i').and_then(parse_float) {
            return Ok(complex(Complex { real: 0.0, imaginary }, number));
        }
        if let Some(int) = parse_integer(text) {
            return Ok(integer(int, text, number));
        }
        let Some(float) = parse_float(text) else {
            return Err(self.number_error("illegal number syntax", text.as_bytes()));
        };
        if !has_float_syntax(text) {
            return Err(self.number_error("integer overflow", text.as_bytes()));
        }
        Ok(number(whole(float), Some(float), Ideal::Float(float)))
    }

    fn number_error(&self, what: &str, text: &[u8]) -> Failure {
        self.error(format!("{what}: {}", quote::lossy(text)))
    }

    fn char_constant(&self, literal: &[u8]) -> Result<u32> {
        let Some((piece, rest)) = quote::unquote_char(&literal[1..], b'\'') else {
            return Err(self.error("invalid syntax"));
        };
        if rest != b"'" {
            let literal = String::from_utf8_lossy(literal);
            return Err(self.error(format!("malformed character constant: {literal}")));
        }
        Ok(match piece {
            Piece::Byte(byte) => u32::from(byte),
            Piece::Char(c) => u32::from(c),
        })
    }
}

#[expect(clippy::cast_precision_loss, reason = "Go converts the same way")]
fn integer(value: i128, text: &str, number: impl Fn(Option<i64>, Option<f64>, Ideal) -> Number) -> Number {
    let int = i64::try_from(value).ok();
    let float = value as f64;
    let is_hex = text.starts_with("0x") || text.starts_with("0X");
    // Go looks at the letters: -0x1e is a float by default because there is an "e" in it.
    let ideal =
        if has_float_syntax(text) && !is_hex { Ideal::Float(float) } else { int.map_or(Ideal::Overflow, Ideal::Int) };
    number(int, Some(float), ideal)
}

/// A complex constant; one without an imaginary part can be given where a float or an integer is asked for.
fn complex(value: Complex, number: impl Fn(Option<i64>, Option<f64>, Ideal) -> Number) -> Number {
    let float = (value.imaginary == 0.0).then_some(value.real);
    number(float.and_then(whole), float, Ideal::Complex(value))
}

fn has_float_syntax(text: &str) -> bool {
    text.contains(['.', 'e', 'E', 'p', 'P'])
}

#[expect(clippy::cast_possible_truncation, reason = "checked to be a whole number in range")]
fn whole(float: f64) -> Option<i64> {
    const LIMIT: f64 = 9_223_372_036_854_775_808.0;
    (float.fract() == 0.0 && (-LIMIT..LIMIT).contains(&float)).then_some(float as i64)
}

/// Go's integer syntax with any base prefix, within the range of `int64` and `uint64` together. A plus
/// sign makes it a signed number.
fn parse_integer(text: &str) -> Option<i128> {
    let (sign, digits) = split_sign(text);
    let (base, body) = match digits.as_bytes() {
        [b'0', b'x' | b'X', _, ..] => (16, &digits[2..]),
        [b'0', b'o' | b'O', _, ..] => (8, &digits[2..]),
        [b'0', b'b' | b'B', _, ..] => (2, &digits[2..]),
        [b'0', ..] => (8, &digits[1..]),
        [_, ..] => (10, digits),
        [] => return None,
    };
    if !underscores_separate(digits) {
        return None;
    }
    let mut value = 0_i128;
    for digit in body.chars().filter(|c| *c != '_') {
        value = value * i128::from(base) + i128::from(digit.to_digit(base)?);
        if value > i128::from(u64::MAX) {
            return None;
        }
    }
    let limit = match sign {
        None => i128::from(u64::MAX),
        Some('-') => -i128::from(i64::MIN),
        Some(_) => i128::from(i64::MAX),
    };
    let signed = if sign == Some('-') { -value } else { value };
    (value <= limit).then_some(signed)
}

fn split_sign(text: &str) -> (Option<char>, &str) {
    match text.strip_prefix(['+', '-']) {
        Some(rest) => (text.chars().next(), rest),
        None => (None, text),
    }
}

/// Whether each underscore stands between digits or after a base prefix. `digits` has no sign.
fn underscores_separate(digits: &str) -> bool {
    let bytes = digits.as_bytes();
    let prefixed = matches!(bytes, [b'0', b'b' | b'B' | b'o' | b'O' | b'x' | b'X', ..]);
    let hex = matches!(bytes, [b'0', b'x' | b'X', ..]);
    let mut after_digit = prefixed;
    let mut after_underscore = false;
    for byte in &bytes[if prefixed { 2 } else { 0 }..] {
        let is_digit = byte.is_ascii_digit() || hex && byte.is_ascii_hexdigit();
        let is_underscore = *byte == b'_';
        if is_underscore && !after_digit || after_underscore && !is_digit {
            return false;
        }
        after_digit = is_digit;
        after_underscore = is_underscore;
    }
    !after_underscore
}

/// `1+2i`, as Go scans it from a text: no base prefix but that of hexadecimal floats has a meaning here.
fn parse_complex(text: &str) -> std::result::Result<Complex, String> {
    let (real, rest) = text.split_at(scan_float(text));
    let imaginary = rest.split_at(scan_float(rest));
    if rest.starts_with(['+', '-']) && imaginary.1 == "i" {
        return Ok(Complex { real: scanned(real)?, imaginary: scanned(imaginary.0)? });
    }
    Err("syntax error scanning complex number".to_owned())
}

/// How much of `text` Go takes for a float before it looks whether that is one.
fn scan_float(text: &str) -> usize {
    let mut at = usize::from(text.starts_with(['+', '-']));
    let run = |at: usize, allowed: fn(u8) -> bool| text.bytes().skip(at).take_while(|byte| allowed(*byte)).count();
    // It might have become an `inf`.
    at += usize::from(text[at..].starts_with(['i', 'I']));
    let is_hex = text[at..].starts_with("0x") || text[at..].starts_with("0X");
    let digit: fn(u8) -> bool = if is_hex {
        |byte| byte.is_ascii_hexdigit() || byte == b'_'
    } else {
        |byte| byte.is_ascii_digit() || byte == b'_'
    };
    at += if is_hex { 2 } else { 0 };
    at += run(at, digit);
    if text[at..].starts_with('.') {
        at += 1;
        at += run(at, digit);
    }
    if text[at..].starts_with(['p', 'P']) || !is_hex && text[at..].starts_with(['e', 'E']) {
        at += 1;
        at += usize::from(text[at..].starts_with(['+', '-']));
        at += run(at, |byte| byte.is_ascii_digit() || byte == b'_');
    }
    at
}

/// The float that a part of a complex constant is, or what `strconv` says about it.
fn scanned(text: &str) -> std::result::Result<f64, String> {
    let problem = match read_float(text) {
        Some(float) if float.is_finite() => return Ok(float),
        Some(_) => "value out of range",
        None => "invalid syntax",
    };
    Err(format!("strconv.ParseFloat: parsing {}: {problem}", quote::lossy(text.as_bytes())))
}

/// A finite float: `None` if it is none or out of range.
fn parse_float(text: &str) -> Option<f64> {
    read_float(text).filter(|float| float.is_finite())
}

/// Go's float syntax, decimal or hexadecimal; infinite if it is out of range.
fn read_float(text: &str) -> Option<f64> {
    let (sign, digits) = split_sign(text);
    if !underscores_separate(digits) {
        return None;
    }
    let plain: String = digits.chars().filter(|c| *c != '_').collect();
    let value = match plain.strip_prefix("0x").or_else(|| plain.strip_prefix("0X")) {
        Some(hex) => parse_hex_float(hex)?,
        None if plain.starts_with(|c: char| c.is_ascii_digit() || c == '.') => plain.parse().ok()?,
        None => return None,
    };
    Some(if sign == Some('-') { -value } else { value })
}

/// `1.8p3` without its `0x`: the exponent is required.
fn parse_hex_float(text: &str) -> Option<f64> {
    let (mantissa, exponent) = text.split_once(['p', 'P'])?;
    let exponent: i32 = exponent.parse().ok()?;
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    if whole.is_empty() && fraction.is_empty() {
        return None;
    }
    let mut value = 0.0_f64;
    for digit in whole.chars().chain(fraction.chars()) {
        value = value * 16.0 + f64::from(digit.to_digit(16)?);
    }
    let shift = i32::try_from(fraction.len()).ok()?.checked_mul(4)?;
    // In two steps, so that the scale itself neither over- nor underflows.
    let scale = exponent.checked_sub(shift)?;
    Some(value * 2.0_f64.powi(scale / 2) * 2.0_f64.powi(scale - scale / 2))
}
