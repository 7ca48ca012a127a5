//! Reading an instant from a text in a layout, with Go's error texts.

use super::format::{MONTHS, WEEKDAYS};
use super::instant::{Civil, Instant, Zone, days_from_epoch, days_in, is_leap};
use super::layout::{Element, OffsetStyle, Pad, next_piece};

/// Why a text is not a date in the layout.
#[derive(Debug, thiserror::Error)]
pub(super) enum Error {
    #[error("parsing time {value} as {layout}: cannot parse {at} as {element}")]
    Read { value: String, layout: String, at: String, element: String },
    #[error("parsing time {value}: {reason}")]
    Accept { value: String, reason: String },
}

/// Why an element cannot be read.
enum Fault {
    /// The text is something else.
    Syntax,
    /// The named number is too large.
    Range(&'static str),
}

type Read<T> = Result<T, Fault>;

/// `time.ParseInLocation`: a text without a zone is in `local`.
pub(super) fn parse(layout: &[u8], value: &[u8], local: &Zone) -> Result<Instant, Error> {
    let mut reading = Reading { rest: value, ..Reading::default() };
    let mut layout_rest = layout;
    let refuse = |at: &[u8], element: &[u8]| {
        let [value, layout, at, element] = [value, layout, at, element].map(quote);
        Error::Read { value, layout, at, element }
    };
    let reject = |reason: String| Error::Accept { value: quote(value), reason };
    while let Some(piece) = next_piece(layout_rest) {
        reading.skip(piece.literal).map_err(|at| refuse(at, piece.literal))?;
        let before = reading.rest;
        let next_is_fraction =
            matches!(next_piece(piece.rest), Some(next) if matches!(next.element, Element::Fraction { .. }));
        reading.read(piece.element, next_is_fraction).map_err(|fault| match fault {
            Fault::Syntax => refuse(before, piece.text),
            Fault::Range(what) => reject(format!("{what} out of range")),
        })?;
        layout_rest = piece.rest;
    }
    reading.skip(layout_rest).map_err(|at| refuse(at, layout_rest))?;
    if !reading.rest.is_empty() {
        return Err(reject(format!("extra text: {}", quote(reading.rest))));
    }
    let civil = reading.civil().map_err(|reason| reject(reason.to_owned()))?;
    Ok(reading.locate(civil, local))
}

/// What has been read so far.
#[derive(Default)]
struct Reading<'a> {
    rest: &'a [u8],
    year: i64,
    month: Option<i64>,
    day: Option<i64>,
    year_day: Option<i64>,
    hour: i64,
    minute: i64,
    second: i64,
    nanos: u32,
    /// Whether a text said `PM` (or else `AM`).
    afternoon: Option<bool>,
    utc: bool,
    offset: Option<i64>,
    zone_name: &'a [u8],
}

impl<'a> Reading<'a> {
    /// Skips the literal part of a layout; blanks match any number of blanks. Where it fails if it does.
    fn skip(&mut self, literal: &[u8]) -> Result<(), &'a [u8]> {
        let mut expected = literal;
        while let Some((first, others)) = expected.split_first() {
            if *first == b' ' {
                if !self.rest.is_empty() && !self.rest.starts_with(b" ") {
                    return Err(self.rest);
                }
                expected = without_blanks(expected);
                self.rest = without_blanks(self.rest);
            } else {
                self.rest = self.rest.strip_prefix(std::slice::from_ref(first)).ok_or(self.rest)?;
                expected = others;
            }
        }
        Ok(())
    }

    fn read(&mut self, element: Element, next_is_fraction: bool) -> Read<()> {
        match element {
            Element::Year => self.year = self.year(4)?,
            Element::ShortYear => {
                let year = self.year(2)?;
                self.year = if year >= 69 { 1900 } else { 2000 } + year;
            }
            Element::Month(pad) => self.month = Some(in_range(self.number(2, pad)?, 1..=12, "month")?),
            Element::MonthName => self.month = Some(self.name(MONTHS, usize::MAX)? + 1),
            Element::ShortMonthName => self.month = Some(self.name(MONTHS, 3)? + 1),
            Element::Day(pad) => self.day = Some(self.number(2, pad)?),
            Element::YearDay(pad) => self.year_day = Some(self.number(3, pad)?),
            Element::Weekday => drop(self.name(WEEKDAYS, usize::MAX)?),
            Element::ShortWeekday => drop(self.name(WEEKDAYS, 3)?),
            Element::Hour => self.hour = in_range(self.number(2, Pad::None)?, 0..=23, "hour")?,
            Element::Hour12(pad) => self.hour = in_range(self.number(2, pad)?, 0..=12, "hour")?,
            Element::Minute(pad) => self.minute = in_range(self.number(2, pad)?, 0..=59, "minute")?,
            Element::Second(pad) => {
                self.second = in_range(self.number(2, pad)?, 0..=59, "second")?;
                if !next_is_fraction {
                    self.fraction()?;
                }
            }
            Element::Half => self.half(b"AM", b"PM")?,
            Element::SmallHalf => self.half(b"am", b"pm")?,
            Element::ZoneName => self.zone_name()?,
            Element::Offset(style) => self.offset(style)?,
            Element::Fraction { trim: true, .. } => self.fraction()?,
            Element::Fraction { digits, .. } => {
                let text = self.take(1 + digits)?;
                self.nanos = nanos(text)?;
            }
        }
        Ok(())
    }

    fn take(&mut self, length: usize) -> Read<&'a [u8]> {
        let (taken, rest) = self.rest.split_at_checked(length).ok_or(Fault::Syntax)?;
        self.rest = rest;
        Ok(taken)
    }

    fn year(&mut self, digits: usize) -> Read<i64> {
        let signed = digits == 2;
        let text = self.take(digits)?;
        if !signed && !text[0].is_ascii_digit() {
            return Err(Fault::Syntax);
        }
        super::super::numbers::parse_int(text, 10).ok_or(Fault::Syntax)
    }

    /// A number of up to `width` digits; one that is filled up with zeros must have them all.
    fn number(&mut self, width: usize, pad: Pad) -> Read<i64> {
        if pad == Pad::Space {
            for _ in 1..width {
                self.rest = self.rest.strip_prefix(b" ").unwrap_or(self.rest);
            }
        }
        let digits = self.rest.iter().take(width).take_while(|byte| byte.is_ascii_digit()).count();
        if digits == 0 || (pad == Pad::Zero && digits != width) {
            return Err(Fault::Syntax);
        }
        let text = self.take(digits)?;
        Ok(text.iter().fold(0, |number, digit| number * 10 + i64::from(digit - b'0')))
    }

    /// The index of the name, of which the first `letters` count, that comes next in any case.
    fn name(&mut self, names: &[&str], letters: usize) -> Read<i64> {
        let starts = |name: &&str| {
            let name = &name.as_bytes()[..letters.min(name.len())];
            self.rest.get(..name.len()).is_some_and(|start| start.eq_ignore_ascii_case(name))
        };
        let index = names.iter().position(starts).ok_or(Fault::Syntax)?;
        self.take(letters.min(names[index].len()))?;
        i64::try_from(index).map_err(|_| Fault::Syntax)
    }

    /// The digits of a second, if any come next.
    fn fraction(&mut self) -> Read<()> {
        if let [b'.' | b',', digits @ ..] = self.rest {
            let count = digits.iter().take_while(|byte| byte.is_ascii_digit()).count();
            if count > 0 {
                let text = self.take(1 + count)?;
                self.nanos = nanos(text)?;
            }
        }
        Ok(())
    }

    fn half(&mut self, morning: &[u8], afternoon: &[u8]) -> Read<()> {
        let text = self.take(2)?;
        if text != morning && text != afternoon {
            return Err(Fault::Syntax);
        }
        // In a text that says both, PM wins.
        self.afternoon = Some(self.afternoon == Some(true) || text == afternoon);
        Ok(())
    }

    fn zone_name(&mut self) -> Read<()> {
        if let Some(rest) = self.rest.strip_prefix(b"UTC") {
            self.utc = true;
            self.rest = rest;
            return Ok(());
        }
        let length = zone_name_length(self.rest).ok_or(Fault::Syntax)?;
        self.zone_name = self.take(length)?;
        Ok(())
    }

    fn offset(&mut self, style: OffsetStyle) -> Read<()> {
        if style.zulu
            && let Some(rest) = self.rest.strip_prefix(b"Z")
        {
            self.utc = true;
            self.rest = rest;
            return Ok(());
        }
        let step = if style.colons { 3 } else { 2 };
        let text = self.take(1 + step * style.parts - usize::from(style.colons))?;
        let numbers = (0..style.parts).map(|index| {
            let start = 1 + step * index;
            let colon = index == 0 || !style.colons || text[start - 1] == b':';
            let digits = [text[start], text[start + 1]];
            (
                colon,
                digits
                    .iter()
                    .all(u8::is_ascii_digit)
                    .then(|| i64::from(digits[0] - b'0') * 10 + i64::from(digits[1] - b'0')),
            )
        });
        let numbers: Vec<(bool, Option<i64>)> = numbers.collect();
        if numbers.iter().any(|(colon, _)| !colon) {
            return Err(Fault::Syntax);
        }
        // A number out of range is worse than what follows it being no number.
        let mut parts = [0; 3];
        for (part, number) in parts.iter_mut().zip(numbers.iter().map_while(|(_, number)| *number)) {
            *part = number;
        }
        let [hours, minutes, seconds] = parts;
        in_range(seconds, 0..=60, "time zone offset second")?;
        in_range(minutes, 0..=60, "time zone offset minute")?;
        in_range(hours, 0..=24, "time zone offset hour")?;
        if numbers.iter().any(|(_, number)| number.is_none()) {
            return Err(Fault::Syntax);
        }
        let east = (hours * 60 + minutes) * 60 + seconds;
        self.offset = match text[0] {
            b'+' => Some(east),
            b'-' => Some(-east),
            _ => return Err(Fault::Syntax),
        };
        Ok(())
    }

    /// The date and time read, or why there is no such date.
    fn civil(&self) -> Result<Civil, &'static str> {
        let (month, day) = match self.year_day {
            Some(year_day) => self.date_of_year_day(year_day)?,
            None => (self.month.unwrap_or(1), self.day.unwrap_or(1)),
        };
        if day < 1 || day > days_in(month, self.year) {
            return Err("day out of range");
        }
        let hour = match self.afternoon {
            Some(true) if self.hour < 12 => self.hour + 12,
            Some(false) if self.hour == 12 => 0,
            _ => self.hour,
        };
        Ok(Civil { year: self.year, month, day, hour, minute: self.minute, second: self.second })
    }

    fn date_of_year_day(&self, year_day: i64) -> Result<(i64, i64), &'static str> {
        if year_day < 1 || year_day > 365 + i64::from(is_leap(self.year)) {
            return Err("day-of-year out of range");
        }
        let before = |month: i64| days_from_epoch(self.year, month, 1) - days_from_epoch(self.year, 1, 1);
        let month = (1..=12).rev().find(|month| before(*month) < year_day).unwrap_or(1);
        let day = year_day - before(month);
        if self.month.is_some_and(|read| read != month) {
            return Err("day-of-year does not match month");
        }
        if self.day.is_some_and(|read| read != day) {
            return Err("day-of-year does not match day");
        }
        Ok((month, day))
    }

    /// The instant at which clocks show `civil`, in the zone that was read or else in `local`.
    fn locate(&self, civil: Civil, local: &Zone) -> Instant {
        if self.utc {
            return Instant::from_civil(civil, self.nanos, Zone::utc());
        }
        let name = self.zone_name;
        let in_utc = civil.to_unix();
        // Go keeps -1 for "none", so an offset of one second west is lost.
        if let Some(offset) = self.offset.filter(|offset| *offset != -1) {
            let seconds = in_utc - offset;
            let (local_name, local_offset) = local.at(seconds);
            let is_local = local_offset == offset && (name.is_empty() || local_name.as_bytes() == name);
            let zone = if is_local { local.clone() } else { Zone::Fixed(name.into(), offset) };
            return Instant { seconds, nanos: self.nanos, zone };
        }
        if name.is_empty() {
            return Instant::from_civil(civil, self.nanos, local.clone());
        }
        if let Some(local_offset) = local.offset_of(name, in_utc) {
            return Instant { seconds: in_utc - local_offset, nanos: self.nanos, zone: local.clone() };
        }
        let hours = name.strip_prefix(b"GMT").and_then(|hours| super::super::numbers::parse_int(hours, 10));
        let zone = Zone::Fixed(name.into(), hours.unwrap_or(0) * 3_600);
        Instant { seconds: in_utc, nanos: self.nanos, zone }
    }
}

fn in_range(number: i64, range: std::ops::RangeInclusive<i64>, what: &'static str) -> Read<i64> {
    if range.contains(&number) { Ok(number) } else { Err(Fault::Range(what)) }
}

fn without_blanks(text: &[u8]) -> &[u8] {
    &text[text.iter().take_while(|byte| **byte == b' ').count()..]
}

/// The nanoseconds of a separator and its digits, of which nine count.
fn nanos(text: &[u8]) -> Read<u32> {
    let [b'.' | b',', digits @ ..] = text else { return Err(Fault::Syntax) };
    let digits = &digits[..digits.len().min(9)];
    let number = std::str::from_utf8(digits).ok().and_then(|digits| digits.parse::<i32>().ok());
    let number = if digits.is_empty() { 0 } else { number.ok_or(Fault::Syntax)? };
    let number = u32::try_from(number).map_err(|_| Fault::Range("fractional second"))?;
    Ok((digits.len()..9).fold(number, |number, _| number * 10))
}

/// The length of the zone abbreviation at the start of `text`, by Go's idea of how one looks.
fn zone_name_length(text: &[u8]) -> Option<usize> {
    if text.starts_with(b"ChST") || text.starts_with(b"MeST") {
        return Some(4);
    }
    if let Some(rest) = text.strip_prefix(b"GMT") {
        return Some(3 + hour_offset_length(rest).unwrap_or(0));
    }
    if text.len() >= 3 && matches!(text[0], b'+' | b'-') {
        return hour_offset_length(text);
    }
    let capitals = text.iter().take(6).take_while(|byte| byte.is_ascii_uppercase()).count();
    match capitals {
        3 => Some(3),
        4 if text[3] == b'T' || text.starts_with(b"WITA") => Some(4),
        5 if text[4] == b'T' => Some(5),
        _ => None,
    }
}

/// The length of a sign and a number of hours at the start of `text`.
fn hour_offset_length(text: &[u8]) -> Option<usize> {
    let [b'+' | b'-', digits @ ..] = text else { return None };
    let count = digits.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let hours: u64 = std::str::from_utf8(&digits[..count]).ok()?.parse().ok()?;
    (hours <= 23).then_some(1 + count)
}

/// `text` in quotes, as package `time` writes it in errors: all but plain ASCII as `\x..`.
pub(in super::super) fn quote(text: &[u8]) -> String {
    let mut quoted = String::from("\"");
    for byte in text {
        match byte {
            b'"' | b'\\' => quoted.extend(['\\', char::from(*byte)]),
            b' '..=0x7f => quoted.push(char::from(*byte)),
            other => quoted.extend(["\\x", &super::super::digests::hexadecimal(&[*other])]),
        }
    }
    quoted.push('"');
    quoted
}
