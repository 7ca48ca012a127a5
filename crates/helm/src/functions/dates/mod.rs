//! Dates: `now`, `date`, `toDate` and their like, with Go's layouts and zones.
//!
//! ```text
//! text ──parse(layout)──► Instant (time.Time) ──format(layout)──► text
//! ```
//!
//! "Local" is the zone of the host's clock. Zone rules come with the program, so a render does not depend on the
//! machine; an unknown zone is UTC, as in Sprig.

mod encode;
mod format;
mod instant;
mod layout;
mod location;
mod parse;

use formats::toml::Moment;
use gotmpl::{FuncError, Function, Interp, Type, Value};
use jiff::tz::{TimeZone, TimeZoneDatabase};

use super::arguments::{Outcome, any, text};
use super::durations::{self, Duration};
use super::{hosted, pure};
use crate::host::Host;
use instant::{Instant, Zone, instant_of};
pub(super) use parse::quote;

/// Go's type of a date argument.
const TIME: Type = Type::Named("time.Time");

/// What a byte of a layout costs in steps.
const LAYOUT_STEPS: u64 = 8;

const HTML_LAYOUT: &[u8] = b"2006-01-02";

/// Says in Go's words what is wrong with a text that should be a time of RFC 3339.
pub(crate) fn check_rfc3339(text: &[u8]) -> Result<(), String> {
    check_layout(b"2006-01-02T15:04:05Z07:00", text)
}

/// Says in Go's words what is wrong with a text that should be a date of RFC 3339.
pub(crate) fn check_date(text: &[u8]) -> Result<(), String> {
    check_layout(HTML_LAYOUT, text)
}

fn check_layout(layout: &[u8], text: &[u8]) -> Result<(), String> {
    match parse::parse(layout, text, &Zone::utc()) {
        Ok(_) => Ok(()),
        Err(error) => Err(error.to_string()),
    }
}

pub(super) const TABLE: &[Function<Host>] = &[
    hosted("ago", &[Type::Any], |interp, args| {
        let now = now(interp);
        let then = moment(any(args, 0)).unwrap_or_else(|| now.clone());
        Ok(Value::string(Duration(durations::round(now.since(&then), durations::NANOS_PER_SECOND)).to_string()))
    }),
    hosted("date", &[Type::String, Type::Any], |interp, args| show(interp, text(args, 0)?, any(args, 1), b"Local")),
    hosted("dateInZone", &[Type::String, Type::Any, Type::String], date_in_zone),
    pure("dateModify", &[Type::String, TIME], |args| {
        let date = date_argument(args)?;
        let moved = durations::parse(text(args, 0)?).map(|nanos| date.plus(nanos));
        Ok(moved.unwrap_or_else(|_| date.clone()).into_value())
    }),
    hosted("date_in_zone", &[Type::String, Type::Any, Type::String], date_in_zone),
    pure("date_modify", &[Type::String, TIME], |args| {
        let date = date_argument(args)?;
        let moved = durations::parse(text(args, 0)?).map(|nanos| date.plus(nanos));
        Ok(moved.unwrap_or_else(|_| date.clone()).into_value())
    }),
    hosted("durationRound", &[Type::Any], |interp, args| {
        let nanos = match any(args, 0) {
            Value::String(text) => durations::parse(text.as_bytes()).unwrap_or(0),
            Value::Int64(nanos) => *nanos,
            other => instant_of(other).map_or(0, |then| now(interp).since(then)),
        };
        Ok(Value::string(durations::largest_unit(nanos)))
    }),
    hosted("htmlDate", &[Type::Any], |interp, args| show(interp, HTML_LAYOUT, any(args, 0), b"Local")),
    hosted("htmlDateInZone", &[Type::Any, Type::String], |interp, args| {
        show(interp, HTML_LAYOUT, any(args, 0), text(args, 1)?)
    }),
    pure("mustDateModify", &[Type::String, TIME], must_date_modify),
    hosted("mustToDate", &[Type::String, Type::String], |interp, args| {
        interp.charge(LAYOUT_STEPS * text(args, 0)?.len() as u64)?;
        let parsed = parse::parse(text(args, 0)?, text(args, 1)?, &local(interp));
        parsed.map(Instant::into_value).map_err(|error| FuncError::new(error.to_string()))
    }),
    pure("must_date_modify", &[Type::String, TIME], must_date_modify),
    hosted("now", &[], |interp, _| Ok(now(interp).into_value())),
    hosted("toDate", &[Type::String, Type::String], |interp, args| {
        interp.charge(LAYOUT_STEPS * text(args, 0)?.len() as u64)?;
        let parsed = parse::parse(text(args, 0)?, text(args, 1)?, &local(interp));
        Ok(parsed.unwrap_or_else(|_| Instant::zero()).into_value())
    }),
    pure("unixEpoch", &[TIME], |args| match instant_of(any(args, 0)) {
        Some(instant) => Ok(Value::string(instant.seconds.to_string())),
        None => Err(not_a_time()),
    }),
];

/// A date or time in a TOML text. Local ones are taken for UTC, so that they mean the same on every machine.
pub(super) fn of_toml(moment: Moment) -> Value {
    match parse::parse(b"2006-01-02T15:04:05Z07:00", moment.text.as_bytes(), &Zone::utc()) {
        Ok(instant) => match moment.local {
            Some(name) => instant.in_zone(Zone::Fixed(name.into(), 0)).into_value(),
            None => instant.into_value(),
        },
        Err(_) => Value::string(moment.text),
    }
}

fn now(interp: &Interp<'_, Host>) -> Instant {
    Instant::from_zoned(&interp.host.now())
}

fn local(interp: &Interp<'_, Host>) -> Zone {
    Zone::Rules(interp.host.time_zone())
}

fn not_a_time() -> FuncError {
    FuncError::new("the argument is not a time.Time")
}

fn date_argument(args: &[Value]) -> Result<&Instant, FuncError> {
    instant_of(any(args, 1)).ok_or_else(not_a_time)
}

fn must_date_modify(args: &[Value]) -> Outcome {
    let nanos = durations::parse(text(args, 0)?).map_err(|error| FuncError::new(error.to_string()))?;
    Ok(date_argument(args)?.plus(nanos).into_value())
}

/// The instant a value means: a time, or Unix seconds as an integer.
fn moment(value: &Value) -> Option<Instant> {
    match value {
        Value::Int(seconds) | Value::Int64(seconds) => Some(Instant { seconds: *seconds, nanos: 0, zone: Zone::utc() }),
        other => instant_of(other).cloned(),
    }
}

fn date_in_zone(interp: &mut Interp<'_, Host>, args: &[Value]) -> Outcome {
    show(interp, text(args, 0)?, any(args, 1), text(args, 2)?)
}

/// `date` in `layout`, in the named zone; the present if it is no date.
fn show(interp: &mut Interp<'_, Host>, layout: &[u8], date: &Value, zone: &[u8]) -> Outcome {
    interp.charge(LAYOUT_STEPS * layout.len() as u64)?;
    let instant = moment(date).unwrap_or_else(|| now(interp));
    let zone = match zone {
        b"Local" => local(interp),
        other => named_zone(other).unwrap_or_else(Zone::utc),
    };
    Ok(Value::string(format::format(&instant.in_zone(zone), layout)))
}

/// The zone of an IANA name, spelled exactly.
fn named_zone(name: &[u8]) -> Option<Zone> {
    let name = std::str::from_utf8(name).ok()?;
    if matches!(name, "" | "UTC") {
        return Some(Zone::utc());
    }
    let zone: TimeZone = TimeZoneDatabase::bundled().get(name).ok()?;
    (zone.iana_name() == Some(name)).then_some(Zone::Rules(zone))
}
