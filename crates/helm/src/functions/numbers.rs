//! Numbers in text, as Go's `strconv` reads them.

/// `strconv.ParseInt(text, base, 64)`; base 0 follows a `0x`, `0o`, `0b` or `0` prefix and allows `_` between digits.
/// `None` for anything Go refuses, out-of-range included.
pub(super) fn parse_int(text: &[u8], base: u32) -> Option<i64> {
    let (negative, magnitude) = match text.split_first()? {
        (b'-', rest) => (true, rest),
        (b'+', rest) => (false, rest),
        _ => (false, text),
    };
    let magnitude = i128::from(parse_magnitude(magnitude, base)?);
    i64::try_from(if negative { -magnitude } else { magnitude }).ok()
}

/// What Go's `strconv.Atoi` gives beside an error, or without one: 0 for what is no number, the nearest `int` for one
/// that is out of range. It is out of range as soon as 64 bits do not hold it, whatever comes behind.
pub(super) fn atoi(text: &[u8]) -> i64 {
    let digits = text.strip_prefix(b"-").or_else(|| text.strip_prefix(b"+")).unwrap_or(text);
    let nearest = if text.starts_with(b"-") { i64::MIN } else { i64::MAX };
    let mut number = 0_u64;
    for byte in digits {
        let Some(digit) = char::from(*byte).to_digit(10) else { return 0 };
        let next = number.checked_mul(10).and_then(|number| number.checked_add(u64::from(digit)));
        let Some(next) = next else { return nearest };
        number = next;
    }
    parse_int(text, 10).unwrap_or(if digits.is_empty() { 0 } else { nearest })
}

fn parse_magnitude(text: &[u8], base: u32) -> Option<u64> {
    if base != 0 {
        return digits(text, base);
    }
    let (base, prefix) = match text {
        [b'0', b'x' | b'X', _, ..] => (16, 2),
        [b'0', b'o' | b'O', _, ..] => (8, 2),
        [b'0', b'b' | b'B', _, ..] => (2, 2),
        [b'0', _, ..] => (8, 1),
        _ => (10, 0),
    };
    if text.contains(&b'_') && !underscores_separate_digits(text) {
        return None;
    }
    let plain: Vec<u8> = text[prefix..].iter().copied().filter(|byte| *byte != b'_').collect();
    digits(&plain, base)
}

fn digits(text: &[u8], base: u32) -> Option<u64> {
    if text.is_empty() {
        return None;
    }
    text.iter().try_fold(0_u64, |number, byte| {
        let digit = char::from(*byte).to_digit(base)?;
        number.checked_mul(u64::from(base))?.checked_add(u64::from(digit))
    })
}

/// Whether each `_` of an unsigned number stands between digits; a base prefix counts as one.
fn underscores_separate_digits(text: &[u8]) -> bool {
    let prefixed = matches!(text, [b'0', b'b' | b'B' | b'o' | b'O' | b'x' | b'X', ..]);
    let hexadecimal = matches!(text, [b'0', b'x' | b'X', ..]);
    let is_digit = |byte: u8| byte.is_ascii_digit() || (hexadecimal && byte.is_ascii_hexdigit());
    let digits = if prefixed { &text[2..] } else { text };
    let mut previous = if prefixed { b'0' } else { b'.' };
    for byte in digits {
        let joins = if *byte == b'_' { is_digit(previous) } else { previous != b'_' || is_digit(*byte) };
        if !joins {
            return false;
        }
        previous = *byte;
    }
    previous != b'_'
}

/// `strconv.ParseFloat(text, 64)`; `None` for anything Go refuses, overflow included.
pub(super) fn parse_float(text: &[u8]) -> Option<f64> {
    let text = std::str::from_utf8(text).ok()?;
    let (sign, unsigned) = match text.as_bytes().first()? {
        b'-' => (-1.0, &text[1..]),
        b'+' => (1.0, &text[1..]),
        _ => (1.0, text),
    };
    let mut lower = unsigned.to_ascii_lowercase();
    if lower.contains('_') {
        if !underscores_separate_digits(lower.as_bytes()) {
            return None;
        }
        lower.retain(|letter| letter != '_');
    }
    match lower.as_str() {
        "inf" | "infinity" => return Some(sign * f64::INFINITY),
        // Go reads a NaN without a sign only.
        "nan" => return (unsigned.len() == text.len()).then_some(f64::NAN),
        _ => {}
    }
    let number = match lower.strip_prefix("0x") {
        Some(hexadecimal) => parse_hexadecimal_float(hexadecimal)?,
        None if lower.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'.' | b'e' | b'+' | b'-')) => {
            lower.parse().ok()?
        }
        None => return None,
    };
    number.is_finite().then_some(sign * number)
}

/// A hexadecimal mantissa with its obligatory binary exponent (`1.8p3`), without the `0x`.
fn parse_hexadecimal_float(text: &str) -> Option<f64> {
    let (mantissa, exponent) = text.split_once('p')?;
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let exponent: i32 = exponent.parse().ok()?;
    let digits = format!("{whole}{fraction}");
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    // Fifteen hexadecimal digits fit a float's exponent range exactly; the rest only moves the exponent.
    let significant = digits.trim_start_matches('0');
    let (kept, dropped) = significant.split_at(significant.len().min(15));
    let value = if kept.is_empty() { 0 } else { i64::from_str_radix(kept, 16).ok()? };
    let dropped = i32::try_from(dropped.len()).ok()?;
    let places = i32::try_from(fraction.len()).ok()?;
    let scale = exponent.checked_sub(4 * places)?.checked_add(4 * dropped)?;
    Some(super::arguments::int_to_float(value) * 2_f64.powi(scale))
}
