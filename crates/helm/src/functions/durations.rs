//! Durations: Go's `time.Duration` and Helm's conversions of it.

use std::fmt;
use std::rc::Rc;

use gotmpl::{FuncError, Function, Kind, Object, Signature, Str, Type, Value};

use super::arguments::{any, float_to_int, int_to_float};
use super::{dates, numbers, pure};
use crate::host::Host;

/// Nanoseconds of a second.
pub(super) const NANOS_PER_SECOND: i64 = 1_000_000_000;

const MINUTE: i64 = 60 * NANOS_PER_SECOND;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;

const UNITS: &[(&[u8], u64)] = &[
    (b"ns", 1),
    (b"us", 1_000),
    ("\u{b5}s".as_bytes(), 1_000),
    ("\u{3bc}s".as_bytes(), 1_000),
    (b"ms", 1_000_000),
    (b"s", NANOS_PER_SECOND.cast_unsigned()),
    (b"m", MINUTE.cast_unsigned()),
    (b"h", HOUR.cast_unsigned()),
];

const ONE: &[Type] = &[Type::Any];
const TWO: &[Type] = &[Type::Any, Type::Any];

pub(super) const TABLE: &[Function<Host>] = &[
    pure("duration", ONE, |args| {
        let seconds = match any(args, 0) {
            Value::String(text) => seconds_in(text.as_bytes()),
            Value::Int64(seconds) => *seconds,
            _ => 0,
        };
        Ok(Value::string(Duration(seconds.wrapping_mul(NANOS_PER_SECOND)).to_string()))
    }),
    pure("durationDays", ONE, |args| Ok(Value::Float64(count(args, HOUR) / 24.0))),
    pure("durationHours", ONE, |args| Ok(Value::Float64(count(args, HOUR)))),
    pure("durationMicroseconds", ONE, |args| Ok(Value::Int64(nanos_or_zero(args) / 1_000))),
    pure("durationMilliseconds", ONE, |args| Ok(Value::Int64(nanos_or_zero(args) / 1_000_000))),
    pure("durationMinutes", ONE, |args| Ok(Value::Float64(count(args, MINUTE)))),
    pure("durationNanoseconds", ONE, |args| Ok(Value::Int64(nanos_or_zero(args)))),
    pure("durationRoundTo", TWO, |args| Ok(to_multiple(args, round))),
    pure("durationSeconds", ONE, |args| Ok(Value::Float64(count(args, NANOS_PER_SECOND)))),
    pure("durationTruncateTo", TWO, |args| Ok(to_multiple(args, truncate))),
    pure("durationWeeks", ONE, |args| Ok(Value::Float64(count(args, HOUR) / 24.0 / 7.0))),
    pure("mustToDuration", ONE, |args| {
        let nanos = nanos_of(any(args, 0)).map_err(|error| FuncError::new(error.to_string()))?;
        Ok(Duration(nanos).into_value())
    }),
];

/// Why a value is no duration, in Go's and Helm's words.
#[derive(Debug, thiserror::Error)]
pub(super) enum Error {
    #[error("time: invalid duration {0}")]
    ParseDuration(String),
    #[error("time: missing unit in duration {0}")]
    FindUnit(String),
    #[error("time: unknown unit {unit} in duration {duration}")]
    KnowUnit { unit: String, duration: String },
    #[error("empty duration")]
    ReadEmpty,
    #[error("invalid duration")]
    ReadNil,
    #[error("could not parse duration {0}")]
    ReadText(String),
    #[error("duration seconds overflow: {0}")]
    FitSeconds(String),
    #[error("invalid duration seconds: {0}")]
    CountSeconds(String),
    #[error("duration nanoseconds overflow: {0}")]
    FitNanoseconds(String),
    #[error("unsupported duration type {0}")]
    ReadType(String),
}

/// A `time.Duration` in nanoseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Duration(pub(super) i64);

impl Duration {
    pub(super) fn into_value(self) -> Value {
        Value::Object(Rc::new(self))
    }

    /// The nanoseconds of a duration or integer, else 0.
    pub(super) fn of(value: &Value) -> i64 {
        match value {
            Value::Int(nanos) | Value::Int64(nanos) => *nanos,
            Value::Object(object) => object.as_any().downcast_ref::<Self>().map_or(0, |duration| duration.0),
            _ => 0,
        }
    }
}

/// `Duration.String`: `1h2m3.5s`, or a smaller unit below a second.
impl fmt::Display for Duration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let nanos = self.0.unsigned_abs();
        let sign = if self.0 < 0 { "-" } else { "" };
        let decimal = |unit: u64, digits: usize| {
            let (whole, part) = (nanos / unit, nanos % unit);
            let part = format!("{part:0digits$}");
            let part = part.trim_end_matches('0');
            if part.is_empty() { (whole, String::new()) } else { (whole, format!(".{part}")) }
        };
        let (unit, digits, name) = match nanos {
            0 => return f.write_str("0s"),
            1..1_000 => return write!(f, "{sign}{nanos}ns"),
            1_000..1_000_000 => (1_000, 3, "\u{b5}s"),
            1_000_000..1_000_000_000 => (1_000_000, 6, "ms"),
            _ => (NANOS_PER_SECOND.cast_unsigned(), 9, "s"),
        };
        let (whole, part) = decimal(unit, digits);
        match (name, whole / 3_600, whole / 60) {
            ("s", 0, 0) => write!(f, "{sign}{whole}{part}s"),
            ("s", 0, minutes) => write!(f, "{sign}{minutes}m{}{part}s", whole % 60),
            ("s", hours, minutes) => write!(f, "{sign}{hours}h{}m{}{part}s", minutes % 60, whole % 60),
            _ => write!(f, "{sign}{whole}{part}{name}"),
        }
    }
}

/// The parameters of a method, if there is one of that name.
fn parameters(method: &str) -> Option<&'static [Type]> {
    match method {
        "Round" | "Truncate" => Some(&[Type::NamedInt64("time.Duration")]),
        "Abs" | "Hours" | "Microseconds" | "Milliseconds" | "Minutes" | "Nanoseconds" | "Seconds" | "String" => {
            Some(&[])
        }
        _ => None,
    }
}

impl Object for Duration {
    fn type_name(&self) -> &'static str {
        "time.Duration"
    }

    fn kind(&self) -> Kind {
        Kind::Int64
    }

    fn has_method(&self, name: &str) -> bool {
        parameters(name).is_some()
    }

    fn signature(&self, name: &str) -> Option<Signature> {
        parameters(name).map(|params| Signature { params, variadic: false })
    }

    fn call(&self, name: &str, args: &[Value]) -> Result<Value, FuncError> {
        let multiple = args.first().map_or(0, Self::of);
        Ok(match name {
            "Abs" => Self(self.0.checked_abs().unwrap_or(i64::MAX)).into_value(),
            "Hours" => Value::Float64(in_units(self.0, HOUR)),
            "Minutes" => Value::Float64(in_units(self.0, MINUTE)),
            "Seconds" => Value::Float64(in_units(self.0, NANOS_PER_SECOND)),
            "Milliseconds" => Value::Int64(self.0 / 1_000_000),
            "Microseconds" => Value::Int64(self.0 / 1_000),
            "Nanoseconds" => Value::Int64(self.0),
            "Round" => Self(round(self.0, multiple)).into_value(),
            "Truncate" => Self(truncate(self.0, multiple)).into_value(),
            _ => Value::String(self.display()),
        })
    }

    fn underlying(&self) -> Option<Value> {
        Some(Value::Int64(self.0))
    }

    fn display(&self) -> Str {
        self.to_string().into()
    }

    fn to_value(&self) -> Value {
        Value::Int64(self.0)
    }

    fn truthy(&self) -> bool {
        self.0 != 0
    }

    fn as_any(&self) -> &dyn std::any::Any {
        self
    }
}

/// `strconv.ParseInt` with its error ignored: a number out of range is the nearest in range.
fn seconds_in(text: &[u8]) -> i64 {
    let digits = text.strip_prefix(b"-").or_else(|| text.strip_prefix(b"+")).unwrap_or(text);
    match numbers::parse_int(text, 10) {
        Some(seconds) => seconds,
        None if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) => 0,
        None if text.starts_with(b"-") => i64::MIN,
        None => i64::MAX,
    }
}

/// `time.ParseDuration`, in nanoseconds.
pub(super) fn parse(text: &[u8]) -> Result<i64, Error> {
    let invalid = || Error::ParseDuration(dates::quote(text));
    let (negative, mut rest) = match text {
        [sign @ (b'-' | b'+'), rest @ ..] => (*sign == b'-', rest),
        _ => (false, text),
    };
    if rest == b"0" {
        return Ok(0);
    }
    if rest.is_empty() {
        return Err(invalid());
    }
    let mut total = 0_u64;
    while !rest.is_empty() {
        let (nanos, tail) = parse_term(rest, text)?;
        total = total.checked_add(nanos).filter(|total| *total <= 1 << 63).ok_or_else(invalid)?;
        rest = tail;
    }
    match (negative, i64::try_from(total)) {
        (true, Ok(nanos)) => Ok(-nanos),
        (true, Err(_)) => Ok(i64::MIN),
        (false, nanos) => nanos.map_err(|_| invalid()),
    }
}

/// Reads one number with its unit; `whole` is quoted in errors.
fn parse_term<'a>(text: &'a [u8], whole: &[u8]) -> Result<(u64, &'a [u8]), Error> {
    let invalid = || Error::ParseDuration(dates::quote(whole));
    let digits = |text: &[u8]| text.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let (integer, rest) = text.split_at(digits(text));
    let (fraction, rest) = match rest.strip_prefix(b".") {
        Some(rest) => rest.split_at(digits(rest)),
        None => (&b""[..], rest),
    };
    if integer.is_empty() && fraction.is_empty() {
        return Err(invalid());
    }
    let append = |number: u64, digit: &u8| number.checked_mul(10)?.checked_add(u64::from(digit - b'0'));
    let integer = integer.iter().try_fold(0_u64, append).filter(|number| *number <= 1 << 63).ok_or_else(invalid)?;
    let unit_length = rest.iter().take_while(|byte| **byte != b'.' && !byte.is_ascii_digit()).count();
    let (unit, rest) = rest.split_at(unit_length);
    if unit.is_empty() {
        return Err(Error::FindUnit(dates::quote(whole)));
    }
    let known = UNITS.iter().find(|(name, _)| *name == unit);
    let Some((_, nanos)) = known else {
        return Err(Error::KnowUnit { unit: dates::quote(unit), duration: dates::quote(whole) });
    };
    let value = integer.checked_mul(*nanos).filter(|value| *value <= 1 << 63).ok_or_else(invalid)?;
    let value = value.checked_add(fraction_of(fraction, *nanos)).filter(|value| *value <= 1 << 63);
    Ok((value.ok_or_else(invalid)?, rest))
}

/// The nanoseconds of decimal digits of a unit; digits beyond 63 bits do not count.
fn fraction_of(digits: &[u8], unit: u64) -> u64 {
    let mut number = 0_i64;
    let mut scale = 1.0;
    for digit in digits {
        let Some(next) = number.checked_mul(10).and_then(|number| number.checked_add(i64::from(digit - b'0'))) else {
            break;
        };
        number = next;
        scale *= 10.0;
    }
    let nanos = int_to_float(number) * (int_to_float(unit.cast_signed()) / scale);
    u64::try_from(float_to_int(nanos)).unwrap_or(0)
}

/// Helm's reading of a value as a duration: a text with units, or a number of seconds.
fn nanos_of(value: &Value) -> Result<i64, Error> {
    match value {
        Value::String(text) => nanos_in_text(text),
        Value::Nil => Err(Error::ReadNil),
        Value::Int(seconds) | Value::Int64(seconds) => whole_seconds(*seconds),
        Value::Uint8(seconds) => whole_seconds(i64::from(*seconds)),
        Value::Uint64(seconds) => {
            i64::try_from(*seconds).map_or_else(|_| Err(Error::FitSeconds(seconds.to_string())), whole_seconds)
        }
        Value::Float64(seconds) => float_seconds(*seconds),
        Value::Object(object) => match object.as_any().downcast_ref::<Duration>() {
            Some(duration) => Ok(duration.0),
            None if object.kind() == Kind::Int => nanos_of(&object.to_value()),
            None => Err(Error::ReadType(object.type_name().to_owned())),
        },
        Value::Bool(_) | Value::List(_) | Value::Map(_) => Err(Error::ReadType(gotmpl::type_name(value).into_owned())),
    }
}

fn nanos_in_text(text: &Str) -> Result<i64, Error> {
    let trimmed = super::strings::trim(text.as_bytes(), super::runes::is_space);
    if trimmed.is_empty() {
        return Err(Error::ReadEmpty);
    }
    match (parse(trimmed), numbers::parse_float(trimmed)) {
        (Ok(nanos), _) => Ok(nanos),
        (Err(_), Some(seconds)) => float_seconds(seconds),
        (Err(_), None) => {
            let quoted = gotmpl::quote(text.as_bytes());
            Err(Error::ReadText(quoted.to_lossy().into_owned()))
        }
    }
}

fn whole_seconds(seconds: i64) -> Result<i64, Error> {
    seconds.checked_mul(NANOS_PER_SECOND).ok_or_else(|| Error::FitSeconds(seconds.to_string()))
}

fn float_seconds(seconds: f64) -> Result<i64, Error> {
    let shown = |number: f64| gotmpl::display(&Value::Float64(number)).to_lossy().into_owned();
    if !seconds.is_finite() {
        return Err(Error::CountSeconds(shown(seconds)));
    }
    let limit = int_to_float(i64::MAX) / int_to_float(NANOS_PER_SECOND);
    if seconds.abs() > limit {
        return Err(Error::FitSeconds(shown(seconds)));
    }
    let nanos = seconds * int_to_float(NANOS_PER_SECOND);
    if nanos.abs() > int_to_float(i64::MAX) {
        return Err(Error::FitNanoseconds(shown(nanos)));
    }
    Ok(float_to_int(nanos))
}

fn nanos_or_zero(args: &[Value]) -> i64 {
    nanos_of(any(args, 0)).unwrap_or(0)
}

fn count(args: &[Value], unit: i64) -> f64 {
    in_units(nanos_or_zero(args), unit)
}

/// `Duration.Hours` and its like: whole units and the rest apart, to lose no precision.
fn in_units(nanos: i64, unit: i64) -> f64 {
    int_to_float(nanos / unit) + int_to_float(nanos % unit) / int_to_float(unit)
}

fn to_multiple(args: &[Value], operation: fn(i64, i64) -> i64) -> Value {
    let Ok(nanos) = nanos_of(any(args, 0)) else { return Duration(0).into_value() };
    Duration(nanos_of(any(args, 1)).map_or(nanos, |multiple| operation(nanos, multiple))).into_value()
}

/// `Duration.Truncate`: toward zero to a multiple.
fn truncate(nanos: i64, multiple: i64) -> i64 {
    if multiple <= 0 { nanos } else { nanos - nanos % multiple }
}

/// `Duration.Round`: to the nearest multiple, halves away from zero, at most the largest duration.
pub(super) fn round(nanos: i64, multiple: i64) -> i64 {
    if multiple <= 0 {
        return nanos;
    }
    let rest = nanos % multiple;
    if rest.unsigned_abs().saturating_mul(2) < multiple.unsigned_abs() {
        return nanos - rest;
    }
    let away = if nanos < 0 { (nanos - rest).checked_sub(multiple) } else { (nanos - rest).checked_add(multiple) };
    away.unwrap_or(if nanos < 0 { i64::MIN } else { i64::MAX })
}

/// Sprig's `durationRound`: the whole count of the largest unit that is exceeded.
pub(super) fn largest_unit(nanos: i64) -> String {
    let units = [(365 * DAY, "y"), (30 * DAY, "mo"), (DAY, "d"), (HOUR, "h"), (MINUTE, "m"), (NANOS_PER_SECOND, "s")];
    let nanos = nanos.unsigned_abs();
    let largest = units.iter().find(|(unit, _)| nanos > unit.unsigned_abs());
    largest.map_or_else(|| "0s".to_owned(), |(unit, name)| format!("{}{name}", nanos / unit.unsigned_abs()))
}
