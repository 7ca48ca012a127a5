//! Writing an instant in a layout.

use super::instant::Instant;
use super::layout::{Element, OffsetStyle, Pad, next_piece};

pub(super) const MONTHS: &[&str] = &[
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];

pub(super) const WEEKDAYS: &[&str] = &["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"];

/// `Time.Format`.
pub(super) fn format(instant: &Instant, layout: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut rest = layout;
    while let Some(piece) = next_piece(rest) {
        out.extend_from_slice(piece.literal);
        out.extend_from_slice(&element(instant, piece.element));
        rest = piece.rest;
    }
    out.extend_from_slice(rest);
    out
}

fn number(number: i64, width: usize, pad: Pad) -> Vec<u8> {
    let sign = if number < 0 { "-" } else { "" };
    let digits = number.unsigned_abs();
    match pad {
        Pad::None => format!("{sign}{digits}"),
        Pad::Zero => format!("{sign}{digits:0width$}"),
        Pad::Space => format!("{number:width$}"),
    }
    .into_bytes()
}

fn name(names: &[&str], index: i64, letters: usize) -> Vec<u8> {
    let name = usize::try_from(index).ok().and_then(|index| names.get(index)).copied().unwrap_or("");
    name.bytes().take(letters).collect()
}

fn element(instant: &Instant, element: Element) -> Vec<u8> {
    let civil = instant.civil();
    let hour12 = (civil.hour + 11) % 12 + 1;
    let afternoon = civil.hour >= 12;
    match element {
        Element::Year => number(civil.year, 4, Pad::Zero),
        Element::ShortYear => number(civil.year.max(0) % 100, 2, Pad::Zero),
        Element::Month(pad) => number(civil.month, 2, pad),
        Element::MonthName => name(MONTHS, civil.month - 1, usize::MAX),
        Element::ShortMonthName => name(MONTHS, civil.month - 1, 3),
        Element::Day(pad) => number(civil.day, 2, pad),
        Element::YearDay(pad) => number(civil.year_day(), 3, pad),
        Element::Weekday => name(WEEKDAYS, civil.weekday(), usize::MAX),
        Element::ShortWeekday => name(WEEKDAYS, civil.weekday(), 3),
        Element::Hour => number(civil.hour, 2, Pad::Zero),
        Element::Hour12(pad) => number(hour12, 2, pad),
        Element::Minute(pad) => number(civil.minute, 2, pad),
        Element::Second(pad) => number(civil.second, 2, pad),
        Element::Half => if afternoon { b"PM" } else { b"AM" }.to_vec(),
        Element::SmallHalf => if afternoon { b"pm" } else { b"am" }.to_vec(),
        Element::ZoneName => zone_name(instant),
        Element::Offset(style) => offset(instant.zone.at(instant.seconds).1, style),
        Element::Fraction { separator, digits, trim } => fraction(instant.nanos, separator, digits, trim),
    }
}

/// The zone's abbreviation, or its offset if it has none.
fn zone_name(instant: &Instant) -> Vec<u8> {
    let (name, seconds) = instant.zone.at(instant.seconds);
    if name.is_empty() {
        return offset(seconds, OffsetStyle { zulu: false, colons: false, parts: 2 });
    }
    name.as_bytes().to_vec()
}

fn offset(seconds: i64, style: OffsetStyle) -> Vec<u8> {
    if style.zulu && seconds == 0 {
        return b"Z".to_vec();
    }
    // Go takes the sign of the minutes: less than a minute west of UTC counts as east.
    let minutes = seconds / 60;
    let sign = if minutes < 0 { "-" } else { "+" };
    let parts = [minutes.abs() / 60, minutes.abs() % 60, seconds.abs() % 60];
    let texts: Vec<String> = parts.iter().take(style.parts).map(|part| format!("{part:02}")).collect();
    format!("{sign}{}", texts.join(if style.colons { ":" } else { "" })).into_bytes()
}

fn fraction(nanos: u32, separator: u8, digits: usize, trim: bool) -> Vec<u8> {
    if trim && nanos == 0 {
        return Vec::new();
    }
    let all = format!("{nanos:09}");
    let kept = &all[..digits.min(9)];
    let kept = if trim { kept.trim_end_matches('0') } else { kept };
    if trim && kept.is_empty() {
        return Vec::new();
    }
    [&[separator], kept.as_bytes()].concat()
}
