//! Times as bytes, and as the Go expression that makes them.

use gotmpl::{FuncError, List, ListType, Value};
use jiff::tz::TimeZone;

use super::format::{MONTHS, format};
use super::instant::{Instant, Zone};

/// RFC 3339 with as many decimals as there are.
pub(super) const RFC3339: &[u8] = b"2006-01-02T15:04:05.999999999Z07:00";

/// How the binary form stands for UTC.
const UTC_MINUTES: i64 = -1;

/// The result of a method that answers with bytes, `text` appended to its first argument if it is an `Append…`.
pub(super) fn bytes(method: &str, args: &[Value], text: impl AsRef<[u8]>) -> Value {
    let mut all = match args.first() {
        Some(Value::List(list)) if method.starts_with("Append") => list.to_bytes().as_bytes().to_vec(),
        _ => Vec::new(),
    };
    all.extend_from_slice(text.as_ref());
    match args.first() {
        Some(Value::Nil) if all.is_empty() => List::nil(ListType::Byte).into(),
        _ => List::bytes(all).into(),
    }
}

/// RFC 3339, as strict as the standard; `method` is named in errors.
pub(super) fn text(instant: &Instant, method: &str) -> Result<Vec<u8>, FuncError> {
    let refused = |problem: &str| Err(FuncError::new(format!("Time.{method}: {problem}")));
    if !(0..=9_999).contains(&instant.civil().year) {
        return refused("year outside of range [0,9999]");
    }
    if instant.zone.at(instant.seconds).1.abs() >= 24 * 3_600 {
        return refused("timezone hour outside of range [0,23]");
    }
    Ok(format(instant, RFC3339))
}

/// Go's own encoding: a version, the seconds since the year 1, nanoseconds, and minutes east of UTC. Only the second
/// version has seconds for zones that are no whole minutes away.
pub(super) fn binary(instant: &Instant) -> Result<Vec<u8>, FuncError> {
    let offset = instant.zone.at(instant.seconds).1;
    let minutes = if instant.zone == Zone::utc() { UTC_MINUTES } else { offset / 60 };
    let (Ok(east), Ok(seconds)) = (i16::try_from(minutes), i8::try_from(offset % 60)) else {
        return Err(FuncError::new("Time.MarshalBinary: unexpected zone offset"));
    };
    if minutes == UTC_MINUTES && instant.zone != Zone::utc() {
        return Err(FuncError::new("Time.MarshalBinary: unexpected zone offset"));
    }
    let mut bytes = vec![if seconds == 0 { 1 } else { 2 }];
    bytes.extend(instant.since_year_one().to_be_bytes());
    bytes.extend(instant.nanos.to_be_bytes());
    bytes.extend(east.to_be_bytes());
    if seconds != 0 {
        bytes.extend(seconds.to_be_bytes());
    }
    Ok(bytes)
}

/// `time.Date(2024, time.February, 29, 0, 0, 0, 0, time.UTC)`
pub(super) fn expression(instant: &Instant) -> String {
    let civil = instant.civil();
    let month = usize::try_from(civil.month - 1).ok().and_then(|index| MONTHS.get(index)).copied().unwrap_or_default();
    let zone = match &instant.zone {
        Zone::Rules(zone) if *zone == TimeZone::UTC => "time.UTC".to_owned(),
        // No other zone with rules is ever given to a template.
        Zone::Rules(_) => "time.Local".to_owned(),
        Zone::Fixed(name, _) => format!("time.Location({})", gotmpl::quote(name.as_bytes())),
    };
    format!(
        "time.Date({}, time.{month}, {}, {}, {}, {}, {}, {zone})",
        civil.year, civil.day, civil.hour, civil.minute, civil.second, instant.nanos
    )
}
