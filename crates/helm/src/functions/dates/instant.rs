//! Go's `time.Time`: an instant and the zone to show it in.

use std::rc::Rc;

use gotmpl::{FuncError, Kind, Object, Signature, Str, Type, Value};
use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::super::arguments;
use super::super::durations::{Duration, NANOS_PER_SECOND};
use super::encode;
use super::format::format;
use super::location::Location;

/// Seconds of a day.
const DAY: i64 = 86_400;

/// Unix seconds of Go's zero time, the start of the year 1.
const ZERO: i64 = -62_135_596_800;

/// Changes of a zone's rules that are looked at: the past and a century of summer time.
const MAX_TRANSITIONS: usize = 500;

/// What `%v` prints.
const DISPLAY_LAYOUT: &[u8] = b"2006-01-02 15:04:05.999999999 -0700 MST";

/// A time zone.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Zone {
    /// A zone with rules, UTC included.
    Rules(TimeZone),
    /// What a parsed text said of its zone: a name, which may be empty, and seconds east of UTC.
    Fixed(Str, i64),
}

impl Zone {
    pub(super) fn utc() -> Self {
        Self::Rules(TimeZone::UTC)
    }

    /// The abbreviation and the seconds east of UTC at an instant.
    pub(super) fn at(&self, seconds: i64) -> (Str, i64) {
        match self {
            Self::Fixed(name, offset) => (name.clone(), *offset),
            Self::Rules(zone) => {
                // Beyond the years jiff knows, the rules of the nearest one go on.
                let nearest = seconds.clamp(Timestamp::MIN.as_second(), Timestamp::MAX.as_second());
                let timestamp = Timestamp::from_second(nearest).unwrap_or_default();
                let info = zone.to_offset_info(timestamp);
                (info.abbreviation().into(), i64::from(info.offset().seconds()))
            }
        }
    }
}

impl Zone {
    /// Whether clocks are set to summer time at an instant.
    fn is_summer_time(&self, seconds: i64) -> bool {
        match (self, Timestamp::from_second(seconds)) {
            (Self::Rules(zone), Ok(timestamp)) => zone.to_offset_info(timestamp).dst().is_dst(),
            _ => false,
        }
    }

    /// The offset an abbreviation stands for at an instant that is `wall` on the clock: that of the zone's rules in
    /// force if it is theirs, else what it ever meant there.
    pub(super) fn offset_of(&self, name: &[u8], wall: i64) -> Option<i64> {
        let known = self.abbreviations();
        let mut meant = known.iter().filter(|(known, _)| known.as_bytes() == name).map(|(_, offset)| *offset);
        let in_force = meant.clone().find(|offset| self.at(wall - offset).0.as_bytes() == name);
        in_force.or_else(|| meant.next())
    }

    /// The abbreviations the zone has had, each with the offset it stood for, oldest first.
    fn abbreviations(&self) -> Vec<(Str, i64)> {
        let Self::Rules(zone) = self else { return Vec::new() };
        let mut known = vec![self.at(Timestamp::MIN.as_second())];
        for transition in zone.following(Timestamp::MIN).take(MAX_TRANSITIONS) {
            let entry = (Str::from(transition.abbreviation()), i64::from(transition.offset().seconds()));
            if !known.contains(&entry) {
                known.push(entry);
            }
        }
        known
    }
}

/// An instant in a zone.
#[derive(Debug, Clone)]
pub(super) struct Instant {
    /// Unix time.
    pub(super) seconds: i64,
    pub(super) nanos: u32,
    pub(super) zone: Zone,
}

/// A date and time of day as a calendar shows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Civil {
    pub(super) year: i64,
    pub(super) month: i64,
    pub(super) day: i64,
    pub(super) hour: i64,
    pub(super) minute: i64,
    pub(super) second: i64,
}

pub(super) fn is_leap(year: i64) -> bool {
    year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
}

/// Days of a month.
pub(super) fn days_in(month: i64, year: i64) -> i64 {
    match month {
        2 => 28 + i64::from(is_leap(year)),
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Days from 1970-01-01 to a date; days and months out of range carry over.
pub(super) fn days_from_epoch(year: i64, month: i64, day: i64) -> i64 {
    // Years begin in March here, so that the leap day is the last of its year.
    let months = year * 12 + month - 3;
    let (year, month) = (months.div_euclid(12), months.rem_euclid(12));
    let century = year.div_euclid(100);
    let days_of_years = year * 365 + year.div_euclid(4) - century + century.div_euclid(4);
    days_of_years + (month * 153 + 2) / 5 + day - 1 - 719_468
}

/// The date that is so many days after 1970-01-01.
fn date_from_days(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let (era, day_of_era) = (days.div_euclid(146_097), days.rem_euclid(146_097));
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * day_of_year + 2) / 153;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    (year, month, day_of_year - (153 * shifted + 2) / 5 + 1)
}

impl Civil {
    /// Unix seconds of this date and time in UTC.
    pub(super) fn to_unix(self) -> i64 {
        let days = days_from_epoch(self.year, self.month, self.day);
        days * DAY + self.hour * 3_600 + self.minute * 60 + self.second
    }

    /// 1 for the first of January.
    pub(super) fn year_day(self) -> i64 {
        days_from_epoch(self.year, self.month, self.day) - days_from_epoch(self.year, 1, 1) + 1
    }

    /// 0 for Sunday.
    pub(super) fn weekday(self) -> i64 {
        (days_from_epoch(self.year, self.month, self.day) + 4).rem_euclid(7)
    }
}

impl Instant {
    /// Go's zero time.
    pub(super) fn zero() -> Self {
        Self { seconds: ZERO, nanos: 0, zone: Zone::utc() }
    }

    pub(super) fn from_zoned(zoned: &jiff::Zoned) -> Self {
        let timestamp = zoned.timestamp();
        let seconds = timestamp.as_second();
        let nanos = timestamp.as_nanosecond() - i128::from(seconds) * i128::from(NANOS_PER_SECOND);
        let instant = Self { seconds, nanos: 0, zone: Zone::Rules(zoned.time_zone().clone()) };
        instant.plus(i64::try_from(nanos).unwrap_or(0))
    }

    /// The instant at which clocks of `zone` show `civil`. In a gap or overlap of the zone's clocks, Go's choice.
    pub(super) fn from_civil(civil: Civil, nanos: u32, zone: Zone) -> Self {
        let local = civil.to_unix();
        // The offset at the wall clock's reading, taken for UTC, is wrong only near a change of clocks.
        let seconds = match zone.at(local).1 {
            0 => local,
            guess => local - zone.at(local - guess).1,
        };
        Self { seconds, nanos, zone }
    }

    /// Date and time in the instant's zone.
    pub(super) fn civil(&self) -> Civil {
        let local = self.seconds.saturating_add(self.zone.at(self.seconds).1);
        let (days, rest) = (local.div_euclid(DAY), local.rem_euclid(DAY));
        let (year, month, day) = date_from_days(days);
        Civil { year, month, day, hour: rest / 3_600, minute: rest / 60 % 60, second: rest % 60 }
    }

    /// `nanos` nanoseconds later.
    pub(super) fn plus(&self, nanos: i64) -> Self {
        let total = i128::from(self.nanos) + i128::from(nanos);
        let per_second = i128::from(NANOS_PER_SECOND);
        let carried = i64::try_from(total.div_euclid(per_second)).unwrap_or(0);
        let nanos = u32::try_from(total.rem_euclid(per_second)).unwrap_or(0);
        Self { seconds: self.seconds.saturating_add(carried), nanos, zone: self.zone.clone() }
    }

    /// Nanoseconds from `other` to here, as long as they fit a `time.Duration`.
    pub(super) fn since(&self, other: &Self) -> i64 {
        let seconds = i128::from(self.seconds) - i128::from(other.seconds);
        let nanos = seconds * i128::from(NANOS_PER_SECOND) + i128::from(self.nanos) - i128::from(other.nanos);
        i64::try_from(nanos).unwrap_or(if nanos < 0 { i64::MIN } else { i64::MAX })
    }

    /// The same instant shown in another zone.
    pub(super) fn in_zone(&self, zone: Zone) -> Self {
        Self { zone, ..self.clone() }
    }

    pub(super) fn into_value(self) -> Value {
        Value::Object(Rc::new(self))
    }

    /// Seconds since Go's zero time.
    pub(super) fn since_year_one(&self) -> i64 {
        self.seconds.wrapping_sub(ZERO)
    }

    /// What remains of the time since Go's zero time after whole multiples of a duration.
    fn rest(&self, args: &[Value]) -> i64 {
        let multiple = args.first().map_or(0, Duration::of);
        if multiple <= 0 {
            return 0;
        }
        let seconds = i128::from(self.seconds) - i128::from(ZERO);
        let nanos = seconds * i128::from(NANOS_PER_SECOND) + i128::from(self.nanos);
        i64::try_from(nanos.rem_euclid(i128::from(multiple))).unwrap_or(0)
    }

    fn unix(&self, per_second: i64) -> Value {
        let fraction = i64::from(self.nanos) / (NANOS_PER_SECOND / per_second);
        Value::Int64(self.seconds.wrapping_mul(per_second).wrapping_add(fraction))
    }
}

const DURATION: Type = Type::NamedInt64("time.Duration");
const TIME: Type = Type::Named("time.Time");
const LOCATION: Type = Type::Named("*time.Location");
const BYTES: Type = Type::Named("[]uint8");

/// The parameters of a method, if there is one of that name.
fn parameters(method: &str) -> Option<&'static [Type]> {
    Some(match method {
        "Add" | "Round" | "Truncate" => &[DURATION],
        "AddDate" => &[Type::Int, Type::Int, Type::Int],
        "After" | "Before" | "Compare" | "Equal" | "Sub" => &[TIME],
        "Format" => &[Type::String],
        "In" => &[LOCATION],
        "AppendFormat" => &[BYTES, Type::String],
        "AppendBinary" | "AppendText" => &[BYTES],
        "Day" | "GoString" | "GobEncode" | "Hour" | "IsDST" | "IsZero" | "Location" | "MarshalBinary"
        | "MarshalJSON" | "MarshalText" | "Minute" | "Month" | "Nanosecond" | "Second" | "String" | "UTC" | "Unix"
        | "UnixMicro" | "UnixMilli" | "UnixNano" | "Weekday" | "Year" | "YearDay" => &[],
        name if excess(name).is_some() => &[],
        _ => return None,
    })
}

/// What is wrong with a method that has more results than a template can take.
fn excess(method: &str) -> Option<String> {
    let second = match method {
        "ISOWeek" | "Zone" => "int",
        "ZoneBounds" => "time.Time",
        "Clock" | "Date" => return Some(format!("function {method} has 3 return values; should be 1 or 2")),
        _ => return None,
    };
    Some(format!("invalid function signature for {method}: second return value should be error; is {second}"))
}

/// The instant in a method's or function's argument.
pub(super) fn instant_of(value: &Value) -> Option<&Instant> {
    match value {
        Value::Object(object) => object.as_any().downcast_ref(),
        _ => None,
    }
}

fn other(args: &[Value]) -> Result<&Instant, FuncError> {
    args.first().and_then(instant_of).ok_or_else(|| FuncError::new("the argument is not a time.Time"))
}

impl Object for Instant {
    fn type_name(&self) -> &'static str {
        "time.Time"
    }

    fn has_method(&self, name: &str) -> bool {
        parameters(name).is_some()
    }

    fn signature(&self, name: &str) -> Option<Signature> {
        parameters(name).map(|params| Signature { params, variadic: false })
    }

    fn call(&self, name: &str, args: &[Value]) -> Result<Value, FuncError> {
        let civil = self.civil();
        Ok(match name {
            "Add" => self.plus(args.first().map_or(0, Duration::of)).into_value(),
            "AddDate" => {
                let [years, months, days] = [0, 1, 2].map(|index| arguments::int(args, index));
                let moved =
                    Civil { year: civil.year + years?, month: civil.month + months?, day: civil.day + days?, ..civil };
                Self::from_civil(moved, self.nanos, self.zone.clone()).into_value()
            }
            "After" => Value::Bool(self.since(other(args)?) > 0),
            "Before" => Value::Bool(self.since(other(args)?) < 0),
            "Round" => {
                let (multiple, rest) = (args.first().map_or(0, Duration::of), self.rest(args));
                let up = i128::from(rest) * 2 >= i128::from(multiple) && multiple > 0;
                self.plus(if up { multiple - rest } else { -rest }).into_value()
            }
            "Truncate" => self.plus(-self.rest(args)).into_value(),
            "IsDST" => Value::Bool(self.zone.is_summer_time(self.seconds)),
            "Compare" => Value::Int(self.since(other(args)?).signum()),
            "Equal" => Value::Bool(self.since(other(args)?) == 0),
            "Sub" => Duration(self.since(other(args)?)).into_value(),
            "Format" => Value::string(format(self, arguments::text(args, 0)?)),
            "AppendFormat" => encode::bytes(name, args, format(self, arguments::text(args, 1)?)),
            "AppendText" | "MarshalText" => encode::bytes(name, args, encode::text(self, name)?),
            "MarshalJSON" => encode::bytes(name, args, [b"\"", &*encode::text(self, name)?, b"\""].concat()),
            "AppendBinary" | "GobEncode" | "MarshalBinary" => encode::bytes(name, args, encode::binary(self)?),
            "GoString" => Value::string(encode::expression(self)),
            "Location" => Location::value(&self.zone),
            "In" => {
                let zone = args.first().and_then(Location::zone_of);
                let zone = zone.ok_or_else(|| FuncError::new("time: missing Location in call to Time.In"))?;
                self.in_zone(zone.clone()).into_value()
            }
            "IsZero" => Value::Bool(self.seconds == ZERO && self.nanos == 0),
            "Year" => Value::Int(civil.year),
            "Month" => Named::value("time.Month", super::format::MONTHS, civil.month, civil.month - 1),
            "Day" => Value::Int(civil.day),
            "Hour" => Value::Int(civil.hour),
            "Minute" => Value::Int(civil.minute),
            "Second" => Value::Int(civil.second),
            "Nanosecond" => Value::Int(i64::from(self.nanos)),
            "YearDay" => Value::Int(civil.year_day()),
            "Weekday" => Named::value("time.Weekday", super::format::WEEKDAYS, civil.weekday(), civil.weekday()),
            "UTC" => self.in_zone(Zone::utc()).into_value(),
            "Unix" => Value::Int64(self.seconds),
            "UnixMilli" => self.unix(1_000),
            "UnixMicro" => self.unix(1_000_000),
            "UnixNano" => self.unix(NANOS_PER_SECOND),
            _ => Value::String(self.display()),
        })
    }

    fn uncallable(&self, name: &str) -> Option<String> {
        excess(name)
    }

    fn hides(&self, name: &str) -> bool {
        matches!(name, "ext" | "loc" | "wall")
    }

    fn display(&self) -> Str {
        format(self, DISPLAY_LAYOUT).into()
    }

    fn to_value(&self) -> Value {
        Value::string(format(self, encode::RFC3339))
    }

    fn as_any(&self) -> &dyn std::any::Any {
        self
    }
}

/// A `time.Month` or `time.Weekday`: an integer that prints its name.
struct Named {
    type_name: &'static str,
    name: &'static str,
    number: i64,
}

impl Named {
    fn value(type_name: &'static str, names: &[&'static str], number: i64, index: i64) -> Value {
        let name = usize::try_from(index).ok().and_then(|index| names.get(index)).copied().unwrap_or("");
        Value::Object(Rc::new(Self { type_name, name, number }))
    }
}

impl Object for Named {
    fn type_name(&self) -> &str {
        self.type_name
    }

    fn kind(&self) -> Kind {
        Kind::Int
    }

    fn has_method(&self, name: &str) -> bool {
        name == "String"
    }

    fn call(&self, _name: &str, _args: &[Value]) -> Result<Value, FuncError> {
        Ok(Value::String(self.display()))
    }

    fn underlying(&self) -> Option<Value> {
        Some(self.to_value())
    }

    fn display(&self) -> Str {
        self.name.into()
    }

    fn to_value(&self) -> Value {
        Value::Int(self.number)
    }

    fn truthy(&self) -> bool {
        self.number != 0
    }

    fn as_any(&self) -> &dyn std::any::Any {
        self
    }
}
