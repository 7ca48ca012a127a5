//! One object of a deployed release, as the watch shows it: whether it is as it was applied, and whether it does its work.

use std::time::Duration;

use tokio::time::Instant;

use super::{CORRECTIONS, FOUGHT_WITHIN, SETTLE};
use crate::cluster::{Glance, Health, Live, Sighting};

/// How long an object that is on its way may be so before it is told of: a pod that is moved to another node, a few more pods,
/// are no trouble.
const PATIENCE: Duration = Duration::from_mins(1);

/// The same of one that has failed.
const FAILED: Duration = Duration::from_secs(5);

/// An object that is watched.
pub(super) struct Object {
    pub(super) live: Live,
    pub(super) applied: Sighting,
    pub(super) known: Known,
    /// Whether it is to be looked at.
    pub(super) suspect: bool,
    pub(super) corrected: u8,
    pub(super) corrected_since: Instant,
    /// When it was first seen not to do its work.
    troubled: Option<(Instant, Health)>,
    /// Why, in words.
    pub(super) trouble: Option<String>,
}

/// What is known of an object beside how it was applied.
pub(super) enum Known {
    /// Nothing.
    Nothing,
    /// What was found of it as it was seen like this; nothing that is to be told, or that, in words.
    Found(Glance, Option<String>),
    /// It was applied again, which the watch may not have shown yet.
    AppliedAgain(u64),
}

impl Object {
    /// One that was applied like this, where that is known.
    pub(super) fn new(live: Live, applied: Sighting) -> Self {
        Self {
            live,
            applied,
            known: Known::Nothing,
            suspect: false,
            corrected: 0,
            corrected_since: Instant::now(),
            troubled: None,
            trouble: None,
        }
    }

    /// Looks at an object that changed; how soon its release is to be looked at for what was done to it, and for what it does,
    /// if at all. What was done to it counts only where `compares` says so.
    pub(super) fn look(&mut self, compares: bool) -> [Option<Duration>; 2] {
        let glance = self.live.look();
        let is_news = compares && self.compare(glance);
        [is_news.then_some(SETTLE), self.examine(glance)]
    }

    /// Whether somebody changed or deleted it; or no longer does, where that was told.
    fn compare(&mut self, glance: Glance) -> bool {
        let seen = glance.sighting;
        let is_news = match (seen, &self.known) {
            (Sighting::Unseen | Sighting::Leaving | Sighting::Unwatchable, _) => return false,
            // What is shown is older than what was applied again.
            (Sighting::Present(_), Known::AppliedAgain(since)) if glance.version < *since => return false,
            _ if self.applied == Sighting::Unseen && seen != Sighting::Absent => {
                self.applied = seen;
                false
            }
            _ if self.applied == seen => {
                let was_told = self.is_told();
                (self.known, self.suspect) = (Known::Nothing, false);
                return was_told;
            }
            // Of fields that the release manages no longer only that tells.
            (_, Known::Found(before, _)) => (before.sighting, before.state) != (seen, glance.state),
            _ => true,
        };
        self.suspect |= is_news;
        is_news
    }

    /// Whether it does its work: a trouble that goes on is told of after a while, one that is over at once.
    fn examine(&mut self, glance: Glance) -> Option<Duration> {
        let is_present = matches!(glance.sighting, Sighting::Present(_));
        let health = if is_present { glance.health } else { Health::Good };
        match (health, self.troubled) {
            (Health::Good, None) => None,
            (Health::Good, Some(_)) => {
                (self.troubled, self.trouble) = (None, None);
                Some(SETTLE)
            }
            (health, Some((_, before))) if health == before => None,
            (health, before) => {
                // What fails has mostly been on its way before.
                let since = before.map_or_else(Instant::now, |(since, _)| since);
                (self.troubled, self.trouble) = (Some((since, health)), None);
                Some(patience(health).saturating_sub(since.elapsed()).max(SETTLE))
            }
        }
    }

    /// Whether it has not done its work for a moment.
    pub(super) fn is_troubled(&self) -> bool {
        self.troubled.is_some()
    }

    /// Whether it has not done its work for so long that it is to be told.
    pub(super) fn is_in_trouble(&self) -> bool {
        self.troubled.is_some_and(|(since, health)| since.elapsed() >= patience(health))
    }

    pub(super) fn is_told(&self) -> bool {
        matches!(self.known, Known::Found(_, Some(_)))
    }

    pub(super) fn is_fought_over(&mut self) -> bool {
        if self.corrected_since.elapsed() > FOUGHT_WITHIN {
            (self.corrected, self.corrected_since) = (0, Instant::now());
        }
        self.corrected >= CORRECTIONS
    }
}

fn patience(health: Health) -> Duration {
    if health == Health::Failed { FAILED } else { PATIENCE }
}
