//! Integers, floats, dates and times.

use gotmpl::Value;

use super::Error;
use super::read::{Moment, Reader};

/// Reads what starts with a digit or a sign.
pub(super) fn read(reader: &mut Reader<'_>) -> Result<Value, Error> {
    let start = reader.at;
    if reader.take("+") || reader.take("-") {
        return signed(reader, start);
    }
    for (prefix, radix, name) in [("0b", 2, "a binary"), ("0o", 8, "an octal"), ("0x", 16, "a hexadecimal")] {
        if reader.take(prefix) {
            let next = reader.peek()?.unwrap_or('\0');
            if !next.is_digit(radix) {
                return reader.error(format!("not {name} number: '{prefix}{next}'"));
            }
            reader.run(|c| c == '_' || c.is_digit(radix));
            return integer(reader, start, radix);
        }
    }
    reader.run(|c| c.is_ascii_digit());
    if reader.rest().starts_with(['-', ':']) {
        return moment(reader, start);
    }
    decimal(reader, start)
}

fn signed(reader: &mut Reader<'_>, start: usize) -> Result<Value, Error> {
    let negative = reader.text[start..].starts_with('-');
    if reader.take("inf") {
        return Ok(Value::Float64(if negative { f64::NEG_INFINITY } else { f64::INFINITY }));
    }
    if reader.take("nan") {
        return Ok(Value::Float64(f64::NAN.copysign(if negative { -1.0 } else { 1.0 })));
    }
    match reader.peek()? {
        Some('0'..='9') => {}
        Some('.') => return reader.error("floats must start with a digit, not '.'"),
        Some(letter @ ('i' | 'n')) => {
            let sign = if negative { '-' } else { '+' };
            return reader.error(format!("invalid float: '{sign}{letter}'"));
        }
        other => {
            let found = crate::go::quote_rune(other.unwrap_or('\0'));
            return reader.error(format!("expected a digit but got {found}"));
        }
    }
    if let [b'0', base @ (b'b' | b'o' | b'x'), ..] = reader.rest().as_bytes() {
        let (sign, base) = (if negative { '-' } else { '+' }, char::from(*base));
        return reader.error(format!("cannot use sign with non-decimal numbers: '{sign}0{base}'"));
    }
    decimal(reader, start)
}

fn decimal(reader: &mut Reader<'_>, start: usize) -> Result<Value, Error> {
    reader.run(|c| c == '_' || c.is_ascii_digit());
    if reader.rest().starts_with(['.', 'e', 'E']) {
        reader.run(|c| matches!(c, '0'..='9' | '_' | '.' | '-' | '+' | 'e' | 'E'));
        return float(reader, start);
    }
    integer(reader, start, 10)
}

fn integer(reader: &Reader<'_>, start: usize, radix: u32) -> Result<Value, Error> {
    let text = &reader.text[start..reader.at];
    if !underscores_fit(text) {
        return reader.error(format!("Invalid integer {text:?}: underscores must be surrounded by digits"));
    }
    if radix == 10 && has_leading_zero(text) {
        return reader.error(format!("Invalid integer {text:?}: cannot have leading zeroes"));
    }
    let digits = text.replace('_', "");
    match i64::from_str_radix(if radix == 10 { &digits } else { &digits[2..] }, radix) {
        Ok(value) => Ok(Value::Int64(value)),
        Err(_) => reader.error(format!("{text} is out of range for int64")),
    }
}

fn float(reader: &Reader<'_>, start: usize) -> Result<Value, Error> {
    let text = &reader.text[start..reader.at];
    let parts: Vec<&str> = text.split(['.', 'e', 'E']).filter(|part| !part.is_empty()).collect();
    if !parts.iter().all(|part| underscores_fit(part)) {
        return reader.error(format!("Invalid float {text:?}: underscores must be surrounded by digits"));
    }
    if parts.first().is_some_and(|part| has_leading_zero(part)) {
        return reader.error(format!("Invalid float {text:?}: cannot have leading zeroes"));
    }
    let digit_follows = |after: &str| after.starts_with(|c: char| c.is_ascii_digit());
    if !text.split('.').skip(1).all(digit_follows) {
        return reader.error(format!("Invalid float {text:?}: '.' must be followed by one or more digits"));
    }
    match text.replace('_', "").parse::<f64>() {
        Ok(value) if value.is_finite() => Ok(Value::Float64(value)),
        Ok(_) => reader.error(format!("{text} is out of range for float64")),
        Err(_) => reader.error(format!("Invalid float value: {text:?}")),
    }
}

fn underscores_fit(text: &str) -> bool {
    let mut after_digit = false;
    for character in text.chars() {
        if character == '_' && !after_digit {
            return false;
        }
        after_digit = character.is_ascii_hexdigit();
    }
    after_digit
}

fn has_leading_zero(text: &str) -> bool {
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    unsigned.len() > 1 && unsigned.starts_with('0')
}

/// Reads a date, a time, or both, with or without an offset.
fn moment(reader: &mut Reader<'_>, start: usize) -> Result<Value, Error> {
    reader.run(|c| matches!(c, '0'..='9' | '-' | ':' | 'T' | 't' | ' ' | '.' | 'Z' | 'z' | '+'));
    let text = reader.text[start..reader.at].trim_ascii_end();
    let text = text.replace('z', "Z").replace(['t', ' '], "T");
    match rfc3339(&text) {
        Some(moment) => Ok((reader.moments)(Moment { text: moment, local: local(&text) })),
        None => reader.error(format!("invalid datetime: {text:?}")),
    }
}

/// What Go's library calls the zone of a date or time, whose text this is, that names none.
fn local(text: &str) -> Option<&'static str> {
    match text.split_once('T') {
        Some((_, time)) => (!time.contains(['Z', '+', '-'])).then_some("datetime-local"),
        None if text.contains('-') => Some("date-local"),
        None => Some("time-local"),
    }
}

/// The moment as Go's `time.Time` shows itself in JSON. What is missing is the start of the year 0, in UTC.
fn rfc3339(text: &str) -> Option<String> {
    let (date, time) = match text.split_once('T') {
        Some((date, time)) => (date, Some(time)),
        None if text.contains(':') && !text.contains('-') => ("0000-01-01", Some(text)),
        None => (text, None),
    };
    check_date(date)?;
    let Some(time) = time else {
        return Some(format!("{date}T00:00:00Z"));
    };
    let zone_at = time.find(['Z', '+', '-']).unwrap_or(time.len());
    let (clock, zone) = time.split_at(zone_at);
    if date == "0000-01-01" && !text.contains('T') && !zone.is_empty() {
        return None;
    }
    let clock = check_clock(clock)?;
    Some(format!("{date}T{clock}{}", if zone.is_empty() { "Z" } else { check_zone(zone)? }))
}

fn two_digits(text: &str, most: u32) -> Option<u32> {
    let digits = text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|number| digits && *number <= most)
}

fn check_date(date: &str) -> Option<()> {
    let date: jiff::civil::Date =
        (date.len() == 10 && date.bytes().filter(|b| *b == b'-').count() == 2).then(|| date.parse().ok()).flatten()?;
    (date.year() >= 0).then_some(())
}

/// Checks hours, minutes, seconds and a fraction; seconds are added if there are none.
fn check_clock(clock: &str) -> Option<String> {
    let (whole, fraction) = clock.split_once('.').unwrap_or((clock, ""));
    if clock.contains('.') && (fraction.is_empty() || !fraction.bytes().all(|byte| byte.is_ascii_digit())) {
        return None;
    }
    let parts: Vec<&str> = whole.split(':').collect();
    two_digits(parts.first()?, 23)?;
    two_digits(parts.get(1)?, 59)?;
    let whole = match parts.get(2) {
        Some(second) => two_digits(second, 59).map(|_| whole.to_owned())?,
        None if fraction.is_empty() => format!("{whole}:00"),
        None => return None,
    };
    let fraction = fraction.get(..9).unwrap_or(fraction).trim_end_matches('0');
    let point = if fraction.is_empty() { "" } else { "." };
    (parts.len() <= 3).then(|| format!("{whole}{point}{fraction}"))
}

fn check_zone(zone: &str) -> Option<&str> {
    if zone == "Z" || zone == "+00:00" || zone == "-00:00" {
        return Some("Z");
    }
    let (hours, minutes) = zone.get(1..)?.split_once(':')?;
    two_digits(hours, 24)?;
    two_digits(minutes, 60)?;
    Some(zone)
}
