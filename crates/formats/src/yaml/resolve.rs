//! What a scalar's text means: YAML 1.1's types, in the spelling go-yaml v2 accepts.
//!
//! Reading resolves with it; printing asks it whether a string would be taken for something else.

use std::borrow::Cow;

use base64::Engine;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig};

use super::error::Error;
use super::timestamp::is_timestamp;

const LONG_TAG: &str = "tag:yaml.org,2002:";

/// Go's `base64.StdEncoding`: padding is required, bits behind the data are ignored.
const BASE64: GeneralPurpose =
    GeneralPurpose::new(&base64::alphabet::STANDARD, GeneralPurposeConfig::new().with_decode_allow_trailing_bits(true));

/// A resolved scalar. Integers and floats are told apart, because keys and error texts differ.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Scalar<'a> {
    Null,
    Bool(bool),
    Int(i64),
    /// An integer beyond `i64`.
    Uint(u64),
    Float(f64),
    Text(Cow<'a, str>),
}

/// The type of an untagged plain scalar.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Implicit {
    Null,
    Bool(bool),
    Int(i64),
    Uint(u64),
    Float(f64),
    Timestamp,
    Text,
}

impl Implicit {
    /// The short tag of the type.
    fn tag(self) -> &'static str {
        match self {
            Self::Null => "!!null",
            Self::Bool(_) => "!!bool",
            Self::Int(_) | Self::Uint(_) => "!!int",
            Self::Float(_) => "!!float",
            Self::Timestamp => "!!timestamp",
            Self::Text => "!!str",
        }
    }

    fn scalar(self, text: Cow<'_, str>) -> Scalar<'_> {
        match self {
            Self::Null => Scalar::Null,
            Self::Bool(value) => Scalar::Bool(value),
            Self::Int(value) => Scalar::Int(value),
            Self::Uint(value) => Scalar::Uint(value),
            Self::Float(value) => Scalar::Float(value),
            Self::Timestamp | Self::Text => Scalar::Text(text),
        }
    }
}

/// Resolves a plain scalar without a tag.
pub(super) fn plain(text: Cow<'_, str>) -> Scalar<'_> {
    implicit(&text).scalar(text)
}

/// Resolves a scalar by its tag, given in its long form.
pub(super) fn tagged<'a>(tag: &str, text: Cow<'a, str>) -> Result<Scalar<'a>, Error> {
    let found = match tag.strip_prefix(LONG_TAG) {
        Some("timestamp") => implicit(&text),
        Some("bool" | "int" | "float" | "null") => match implicit(&text) {
            Implicit::Timestamp => Implicit::Text,
            other => other,
        },
        Some("binary") => return binary(&text),
        _ => return Ok(Scalar::Text(text)),
    };
    let wanted = tag.replacen(LONG_TAG, "!!", 1);
    #[expect(clippy::cast_precision_loss, reason = "Go converts the integer to the float the tag asks for")]
    match found {
        Implicit::Int(value) if wanted == "!!float" => Ok(Scalar::Float(value as f64)),
        _ if found.tag() == wanted => Ok(found.scalar(text)),
        _ => Err(Error::compose(format!("cannot decode {} `{text}` as a {wanted}", found.tag()))),
    }
}

fn binary(text: &str) -> Result<Scalar<'static>, Error> {
    let digits: Vec<u8> = text.bytes().filter(|byte| !matches!(byte, b'\r' | b'\n')).collect();
    match BASE64.decode(digits) {
        Ok(bytes) => Ok(Scalar::Text(Cow::Owned(crate::go::utf8(&bytes).into_owned()))),
        Err(_) => Err(Error::compose("!!binary value contains invalid base64 data")),
    }
}

/// The type that an untagged plain scalar's text has.
pub(super) fn implicit(text: &str) -> Implicit {
    match text.as_bytes().first() {
        None => Implicit::Null,
        Some(b'y' | b'Y' | b'n' | b'N' | b't' | b'T' | b'f' | b'F' | b'o' | b'O' | b'~') => word(text),
        Some(b'.') => match text {
            ".nan" | ".NaN" | ".NAN" => Implicit::Float(f64::NAN),
            ".inf" | ".Inf" | ".INF" => Implicit::Float(f64::INFINITY),
            _ => fraction(text).map_or(Implicit::Text, Implicit::Float),
        },
        Some(b'+' | b'-' | b'0'..=b'9') => match text {
            "+.inf" | "+.Inf" | "+.INF" => Implicit::Float(f64::INFINITY),
            "-.inf" | "-.Inf" | "-.INF" => Implicit::Float(f64::NEG_INFINITY),
            _ if is_timestamp(text) => Implicit::Timestamp,
            _ if text.contains('_') => number(&text.replace('_', "")),
            _ => number(text),
        },
        Some(_) => Implicit::Text,
    }
}

fn word(text: &str) -> Implicit {
    match text {
        "~" | "null" | "Null" | "NULL" => Implicit::Null,
        "y" | "Y" | "yes" | "Yes" | "YES" | "true" | "True" | "TRUE" | "on" | "On" | "ON" => Implicit::Bool(true),
        "n" | "N" | "no" | "No" | "NO" | "false" | "False" | "FALSE" | "off" | "Off" | "OFF" => Implicit::Bool(false),
        _ => Implicit::Text,
    }
}

fn number(text: &str) -> Implicit {
    if let Some(value) = signed(text) {
        return Implicit::Int(value);
    }
    if let Some(value) = unsigned(text) {
        return Implicit::Uint(value);
    }
    if let Some(value) = decimal(text) {
        return Implicit::Float(value);
    }
    // What Go's own parser refused may still be a sign behind the prefix.
    let binary = match text.strip_prefix("0b") {
        Some(digits) => i64::from_str_radix(digits, 2).ok(),
        None => text.strip_prefix("-0b").and_then(|digits| i64::from_str_radix(&format!("-{digits}"), 2).ok()),
    };
    binary.map_or(Implicit::Text, Implicit::Int)
}

/// Go's `strconv.ParseInt(text, 0, 64)`.
fn signed(text: &str) -> Option<i64> {
    let (negative, digits) = match text.as_bytes() {
        [b'-', ..] => (true, &text[1..]),
        [b'+', ..] => (false, &text[1..]),
        _ => (false, text),
    };
    let magnitude = unsigned(digits)?;
    if negative { 0_i64.checked_sub_unsigned(magnitude) } else { i64::try_from(magnitude).ok() }
}

/// Go's `strconv.ParseUint(text, 0, 64)`.
fn unsigned(text: &str) -> Option<u64> {
    let (radix, digits) = match text.as_bytes() {
        [b'0', b'x' | b'X', ..] => (16, &text[2..]),
        [b'0', b'b' | b'B', ..] => (2, &text[2..]),
        [b'0', b'o' | b'O', ..] => (8, &text[2..]),
        [b'0', _, ..] => (8, &text[1..]),
        _ => (10, text),
    };
    // Rust's parser would take one more sign.
    if digits.starts_with(['+', '-']) { None } else { u64::from_str_radix(digits, radix).ok() }
}

/// A decimal float: an optional sign, digits with at most one point, an optional exponent.
fn decimal(text: &str) -> Option<f64> {
    let rest = text.strip_prefix(['+', '-']).unwrap_or(text).as_bytes();
    let digits = |bytes: &[u8]| bytes.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let whole = digits(rest);
    let mut at = whole;
    if rest.get(at) == Some(&b'.') {
        let fraction = digits(&rest[at + 1..]);
        if whole == 0 && fraction == 0 {
            return None;
        }
        at += 1 + fraction;
    } else if whole == 0 {
        return None;
    }
    if let Some(b'e' | b'E') = rest.get(at) {
        at += 1 + usize::from(matches!(rest.get(at + 1), Some(b'+' | b'-')));
        let exponent = digits(&rest[at..]);
        if exponent == 0 {
            return None;
        }
        at += exponent;
    }
    if at != rest.len() {
        return None;
    }
    text.parse().ok().filter(|value: &f64| value.is_finite())
}

/// Go's `strconv.ParseFloat` of a text that starts with a point: it lets `_` stand between two digits.
fn fraction(text: &str) -> Option<f64> {
    if !text.contains('_') {
        return decimal(text);
    }
    let bytes = text.as_bytes();
    let between = |at: usize| {
        let digit = |at: usize| bytes.get(at).is_some_and(u8::is_ascii_digit);
        digit(at - 1) && digit(at + 1)
    };
    let separated = (0..bytes.len()).filter(|at| bytes[*at] == b'_').all(between);
    separated.then(|| decimal(&text.replace('_', ""))).flatten()
}
