//! Durations as Go writes them: `1h30m`, `90s`, `1.5h`.

use std::borrow::Cow;
use std::fmt;
use std::time::Duration;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// A duration written as Go does, in units `ms`, `s`, `m` and `h`.
///
/// The API server takes what lies from a second to a year. Objects from before it did may say anything, so a longer one
/// is read as a year: a time that far away can still be added to now. A shorter one stays what it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct GoDuration(pub Duration);

/// The longest duration: no interval and no timeout means more.
const LONGEST: Duration = Duration::from_hours(24 * 365);

/// The longest text of a duration; what people write has a quarter of it.
const LONGEST_TEXT: u32 = 64;

/// What the API server checks. It must come to a yes or a no for every text: a "no" lets an object from before the rule
/// live on, and have a status, while what cannot be evaluated, such as a duration of more than 292 years, lets nothing pass.
const RULE: &str = "self.matches('^([0-9]{1,5}([.][0-9]{1,9})?h|[0-9]{1,7}([.][0-9]{1,9})?m|[0-9]{1,8}([.][0-9]{1,9})?s\
    |[0-9]{1,11}([.][0-9]{1,9})?ms)+$') && duration(self) >= duration('1s') && duration(self) <= duration('8760h')";

impl GoDuration {
    /// Reads one or more `<number><unit>`; `None` for anything else.
    pub fn parse(text: &str) -> Option<Self> {
        let mut rest = text;
        let mut total = Duration::ZERO;
        while !rest.is_empty() {
            let number_len = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
            let number: f64 = rest[..number_len].parse().ok()?;
            rest = &rest[number_len..];
            let (unit, seconds) = [("ms", 0.001), ("s", 1.0), ("m", 60.0), ("h", 3600.0)]
                .into_iter()
                .find(|(unit, _)| rest.starts_with(unit))?;
            rest = &rest[unit.len()..];
            let part = Duration::try_from_secs_f64(number * seconds).unwrap_or(LONGEST);
            total = total.saturating_add(part).min(LONGEST);
        }
        (!text.is_empty()).then_some(Self(total))
    }

    /// As a limit or a rhythm, which is never shorter than a second.
    pub fn at_least_a_second(self) -> Duration {
        self.0.max(Duration::from_secs(1))
    }
}

impl fmt::Display for GoDuration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let millis = self.0.as_millis();
        let parts =
            [(millis / 3_600_000, "h"), (millis / 60_000 % 60, "m"), (millis / 1000 % 60, "s"), (millis % 1000, "ms")];
        if millis == 0 {
            return f.write_str("0s");
        }
        parts.into_iter().filter(|(n, _)| *n > 0).try_for_each(|(n, unit)| write!(f, "{n}{unit}"))
    }
}

impl Serialize for GoDuration {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for GoDuration {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Cow::<str>::deserialize(deserializer)?;
        Self::parse(&text).ok_or_else(|| de::Error::custom(format!("{text:?} is not a duration such as 1h30m")))
    }
}

impl JsonSchema for GoDuration {
    fn schema_name() -> Cow<'static, str> {
        "GoDuration".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "pattern": r"^([0-9]+(\.[0-9]+)?(ms|s|m|h))+$",
            "maxLength": LONGEST_TEXT,
            "x-kubernetes-validations": [{
                "rule": RULE,
                "message": "a duration from 1s to 8760h (a year) is needed",
            }],
        })
    }
}

#[cfg(test)]
mod tests {
    use super::GoDuration;

    #[test]
    fn go_durations_are_read_and_written() {
        for (text, millis, written) in [
            ("10m", 600_000, "10m"),
            ("1h30m", 5_400_000, "1h30m"),
            ("1.5h", 5_400_000, "1h30m"),
            ("90s", 90_000, "1m30s"),
            ("250ms", 250, "250ms"),
            ("0s", 0, "0s"),
            ("8760h", 31_536_000_000, "8760h"),
            ("3000000000000000h", 31_536_000_000, "8760h"),
            ("8760h1ms", 31_536_000_000, "8760h"),
        ] {
            let duration = GoDuration::parse(text).expect(text);
            assert_eq!(duration.0.as_millis(), millis, "{text}");
            assert_eq!(duration.to_string(), written);
        }
        let digits = format!("{}h", "9".repeat(400));
        assert_eq!(GoDuration::parse(&digits).map(|duration| duration.0), Some(super::LONGEST));
        for text in ["", "10", "m", "5d", "1h ", "-1s", "1..5s"] {
            assert_eq!(GoDuration::parse(text), None, "{text:?}");
        }
    }
}
