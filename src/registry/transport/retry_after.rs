//! How long a registry asks to wait: `Retry-After` in all the forms that registries send.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use jiff::Timestamp;
use jiff::fmt::{rfc2822, strtime};

/// Shortest wait: a registry that says "now" while it refuses is not asked in a loop.
const SHORTEST: Duration = Duration::from_secs(1);

/// Longest wait taken over.
const LONGEST: Duration = Duration::from_hours(1);

/// From this number on, seconds are a time since 1970, as Docker Hub sends it, and no delay: 31 years would be none.
const TIMESTAMP: f64 = 1e9;

/// The wait that `text` means, from now; `None` where it means nothing.
///
/// `date` is the answer's own `Date`: times are counted from it where it is there, so clocks do not matter.
pub(super) fn wait(text: &str, date: Option<&str>) -> Option<Duration> {
    let text = text.trim();
    let now = date.and_then(parse_date).unwrap_or_else(SystemTime::now);
    let wait = match text.parse::<f64>() {
        Ok(seconds) if !seconds.is_finite() || seconds < 0.0 => return None,
        Ok(seconds) if seconds >= TIMESTAMP => {
            let until = UNIX_EPOCH.checked_add(Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX));
            until.map_or(LONGEST, |until| until.duration_since(now).unwrap_or_default())
        }
        Ok(seconds) => Duration::try_from_secs_f64(seconds.ceil()).unwrap_or(LONGEST),
        Err(_) => parse_date(text)?.duration_since(now).unwrap_or_default(),
    };
    Some(wait.clamp(SHORTEST, LONGEST))
}

/// A date of HTTP: as it is sent today, and in the two older forms that are still to be read.
fn parse_date(text: &str) -> Option<SystemTime> {
    let text = text.trim();
    if let Ok(date) = rfc2822::parse(text) {
        return Some(date.timestamp().into());
    }
    let older = ["%A, %d-%b-%y %H:%M:%S GMT", "%a %b %e %H:%M:%S %Y"];
    older.iter().find_map(|form| {
        let civil = strtime::parse(form, text).ok()?.to_datetime().ok()?;
        let timestamp: Timestamp = civil.to_zoned(jiff::tz::TimeZone::UTC).ok()?.timestamp();
        Some(timestamp.into())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_gives_a_bounded_wait_or_none() {
        let date = "Wed, 21 Oct 2015 07:28:00 GMT";
        let cases = [
            ("0", Some(1)),
            ("1", Some(1)),
            ("120", Some(120)),
            (" 7 ", Some(7)),
            ("1.5", Some(2)),
            ("3601", Some(3600)),
            ("999999999", Some(3600)),
            ("99999999999999999999999999", Some(3600)),
            // 07:28:30 of that day, as a time since 1970.
            ("1445412510", Some(30)),
            ("1445412000", Some(1)),
            ("Wed, 21 Oct 2015 07:28:30 GMT", Some(30)),
            ("Wed, 21 Oct 2015 07:27:00 GMT", Some(1)),
            ("Mon, 21 Oct 2115 07:28:00 GMT", Some(3600)),
            ("Wednesday, 21-Oct-15 07:28:30 GMT", Some(30)),
            ("Wed Oct 21 07:28:30 2015", Some(30)),
            ("-5", None),
            ("", None),
            ("soon", None),
            ("NaN", None),
            ("inf", None),
            ("120, 240", None),
            ("Wed, 99 Oct 2015 07:28:30 GMT", None),
        ];
        for (text, expected) in cases {
            assert_eq!(wait(text, Some(date)), expected.map(Duration::from_secs), "{text:?}");
        }
    }

    #[test]
    fn without_a_date_of_the_answer_the_own_clock_counts() {
        let until = SystemTime::now() + Duration::from_mins(1);
        let seconds = until.duration_since(UNIX_EPOCH).expect("after 1970").as_secs();
        for date in [None, Some("nonsense")] {
            let told = wait(&seconds.to_string(), date).expect("a time");
            assert!(told > Duration::from_secs(50) && told <= Duration::from_mins(1), "{told:?}");
        }
        assert_eq!(wait("Wed, 21 Oct 2015 07:28:30 GMT", None), Some(SHORTEST));
    }
}
