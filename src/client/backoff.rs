//! How soon a watch that broke is begun again.

use std::hash::{BuildHasher as _, RandomState};
use std::time::{Duration, Instant};

use kube::runtime::utils::Backoff;

const FIRST: Duration = Duration::from_millis(500);

/// A cluster that is back is watched again within so long; kube's own default grows to a minute.
const LONGEST: Duration = Duration::from_secs(4);

/// A watch that has run for so long works: what breaks it then is a new trouble.
const STEADY: Duration = Duration::from_secs(5);

/// Pauses that double from half a second to four, with jitter, and begin anew after a watch that ran.
///
/// For [`kube::runtime::WatchStreamExt::backoff`]. The stream's own word for success is not believed: a watcher reports
/// the begin of a list before it has asked for it.
#[derive(Debug, Default)]
pub struct WatchBackoff {
    /// The pause before the last attempt, and when that began.
    last: Option<(Duration, Instant)>,
}

impl WatchBackoff {
    fn after(&mut self, now: Instant) -> Duration {
        let pause = match self.last {
            Some((pause, begun)) if now.saturating_duration_since(begun) < STEADY => (pause * 2).min(LONGEST),
            Some(_) | None => FIRST,
        };
        self.last = Some((pause, now + pause));
        pause
    }
}

impl Iterator for WatchBackoff {
    type Item = Duration;

    fn next(&mut self) -> Option<Duration> {
        Some(jittered(self.after(Instant::now())))
    }
}

impl Backoff for WatchBackoff {
    fn reset(&mut self) {}
}

/// Between half of `pause` and all of it, so that what failed together does not return together.
pub(crate) fn jittered(pause: Duration) -> Duration {
    let random = RandomState::new().hash_one(());
    #[expect(clippy::cast_precision_loss, reason = "a fraction for a pause needs no more than 52 bits")]
    let fraction = random as f64 / u64::MAX as f64;
    pause.mul_f64(0.5 + fraction / 2.0)
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::{LONGEST, STEADY, WatchBackoff};

    #[test]
    fn pauses_grow_to_a_bound_and_begin_anew_after_a_watch_that_ran() {
        let (mut backoff, mut now) = (WatchBackoff::default(), Instant::now());
        let mut pauses = Vec::new();
        // A server that is away for three minutes.
        while pauses.iter().sum::<Duration>() < Duration::from_mins(3) {
            let pause = backoff.after(now);
            now += pause;
            pauses.push(pause);
        }
        assert_eq!(pauses[..4], [500, 1000, 2000, 4000].map(Duration::from_millis));
        assert!(pauses.iter().all(|pause| *pause <= LONGEST), "{pauses:?}");
        // A list that fails a moment later is the same trouble; a watch that ran is not.
        now += Duration::from_secs(1);
        assert_eq!(backoff.after(now), LONGEST);
        now += LONGEST + STEADY;
        assert_eq!(backoff.after(now), pauses[0]);
    }

    #[test]
    fn jitter_only_shortens() {
        assert!(WatchBackoff::default().take(20).all(|pause| pause <= LONGEST));
    }
}
