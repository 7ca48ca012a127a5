//! One object of a deployed release, as the watch shows it: whether it is as it was applied, and whether it does its work.

use std::time::Duration;

use tokio::time::Instant;

use super::{CORRECTIONS, FOUGHT_WITHIN, SETTLE};
use crate::cluster::{Applied, Glance, Health, Live, Sighting};

/// How long an object that is on its way may be so before it is told of: a pod that is moved to another node, a few more pods,
/// are no trouble.
const PATIENCE: Duration = Duration::from_mins(1);

/// The same of one that has failed.
const FAILED: Duration = Duration::from_secs(5);

/// How often an object that goes on changing is looked at before that is done ever more rarely.
const AT_ONCE: u32 = 3;

/// The longest between two looks at an object that goes on changing.
const RARELY: Duration = Duration::from_mins(5);

/// After so long without a look an object is looked at at once again.
const CALM: Duration = Duration::from_mins(10);

/// An object that is watched.
#[expect(clippy::struct_excessive_bools, reason = "each is a fact of its own")]
pub(super) struct Object {
    pub(super) live: Live,
    applied: Sighting,
    known: Known,
    /// When it is to be looked at, where it is.
    suspect: Option<Instant>,
    /// How often it was looked at, and when last.
    looks: (u32, Instant),
    /// How often it was corrected of late, since when, and whether it was ever made anew.
    corrected: (u8, Instant, bool),
    /// When it was first seen not to do its work, when it was first seen like this, and how that is.
    troubled: Option<(Instant, Instant, Health)>,
    /// Why, in words.
    trouble: Option<String>,
    /// Whether it was somebody else's when it was last looked at.
    pub(super) is_foreign: bool,
    /// Whether it could not be looked at, or not be corrected.
    pub(super) has_failed: bool,
    /// Whether the watch has shown how it is, or that it shows nothing.
    pub(super) is_seen: bool,
    /// Whether it may not be watched.
    is_unwatchable: bool,
    /// Whether its watch was lost, and is begun anew in a while.
    pub(super) is_lost: bool,
}

/// What is known of an object beside how it was applied.
enum Known {
    /// Nothing.
    Nothing,
    /// What was found of it as it was seen like this; nothing that is to be told, or that, in words.
    Found(Glance, Option<String>),
    /// It was applied again, which the watch may not have shown yet.
    AppliedAgain(u64),
    /// Its kind is served no more.
    Unserved,
}

impl Object {
    /// One that was applied like this, where that is known.
    pub(super) fn new(live: Live, applied: Sighting) -> Self {
        let now = Instant::now();
        Self {
            live,
            applied,
            known: Known::Nothing,
            suspect: None,
            looks: (0, now),
            corrected: (0, now, false),
            troubled: None,
            trouble: None,
            is_foreign: false,
            has_failed: false,
            is_seen: false,
            is_unwatchable: false,
            is_lost: false,
        }
    }

    /// Looks at an object that changed, where `compares` says so at what was done to it, too. Whether something that was told is
    /// over.
    pub(super) fn look(&mut self, compares: bool) -> bool {
        let glance = self.live.look();
        // While its watch is begun anew nothing else is known of it than before.
        if glance.sighting != Sighting::Unseen {
            (self.is_seen, self.is_unwatchable) = (true, glance.sighting == Sighting::Unwatchable);
        } else if !self.is_unwatchable {
            self.is_seen = false;
        }
        let was_told = compares && self.compare(glance);
        self.examine(glance) || was_told
    }

    /// Whether somebody changed or deleted it. The answer is whether one who did, which was told, no longer does.
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
                let was_told = self.told().is_some();
                (self.known, self.suspect, self.is_foreign) = (Known::Nothing, None, false);
                return was_told;
            }
            // Of fields that the release manages no longer only that tells.
            (_, Known::Found(before, _)) => (before.sighting, before.state) != (seen, glance.state),
            _ => true,
        };
        if is_news && self.suspect.is_none() {
            self.suspect = Some(self.next_look());
        }
        false
    }

    /// When it is looked at next: soon, and ever later where it goes on changing.
    fn next_look(&mut self) -> Instant {
        let (looks, last) = &mut self.looks;
        if last.elapsed() > CALM {
            *looks = 0;
        }
        let doublings = looks.saturating_sub(AT_ONCE).min(16);
        let pause = if *looks < AT_ONCE { SETTLE } else { (SETTLE * (2 << doublings)).min(RARELY) };
        (*last + pause).max(Instant::now() + SETTLE)
    }

    /// Whether it does its work: a trouble that goes on is told of after a while. The answer is whether one is over.
    fn examine(&mut self, glance: Glance) -> bool {
        let health = match glance.sighting {
            Sighting::Present(_) => glance.health,
            Sighting::Absent if !self.may_be_absent() => Health::Failed,
            _ => Health::Good,
        };
        match (health, self.troubled) {
            (Health::Good, before) => {
                (self.troubled, self.trouble) = (None, None);
                return before.is_some();
            }
            (health, Some((_, _, before))) if health == before => {}
            // What fails has mostly been on its way before.
            (health, before) => {
                let now = Instant::now();
                let since = before.map_or(now, |(since, ..)| since);
                (self.troubled, self.trouble) = (Some((since, now, health)), None);
            }
        }
        false
    }

    /// Whether it may be gone without being missed: it runs once, or was found to be there without Helm's label.
    fn may_be_absent(&self) -> bool {
        self.live.object().runs_once() || matches!(self.known, Known::Found(_, None))
    }

    /// When there is something to do about it.
    pub(super) fn dues(&self) -> impl Iterator<Item = Instant> {
        let untold = self.troubled.filter(|_| self.trouble.is_none());
        let told = untold.map(|(since, seen, health)| (since + patience(health)).max(seen + SETTLE));
        self.suspect.into_iter().chain(told)
    }

    /// Whether it is to be looked at by now.
    pub(super) fn is_suspect(&self) -> bool {
        self.suspect.is_some_and(|due| due <= Instant::now())
    }

    /// Whether it is to be looked at, now or later.
    pub(super) fn is_unclear(&self) -> bool {
        self.suspect.is_some()
    }

    /// It is looked at: what it becomes meanwhile is another matter. How it is seen at the moment.
    pub(super) fn take(&mut self) -> Glance {
        (self.suspect, self.has_failed) = (None, false);
        self.looks = (self.looks.0.saturating_add(1), Instant::now());
        self.live.look()
    }

    /// It is to be looked at, at once.
    pub(super) fn suspect(&mut self) {
        self.suspect = Some(Instant::now());
    }

    /// A person asks: however often it was looked at, or corrected.
    pub(super) fn begin_anew(&mut self) {
        let now = Instant::now();
        (self.looks, self.corrected, self.is_foreign) = ((0, now), (0, now, false), false);
        if self.told().is_some() {
            self.suspect();
        }
    }

    /// Notes what was found of it as it was `seen`. The answer is whether that is news.
    pub(super) fn found(&mut self, seen: Glance, words: Option<String>) -> bool {
        let is_news = words.is_some() && !matches!(&self.known, Known::Found(_, known) if *known == words);
        self.known = Known::Found(seen, words);
        is_news
    }

    /// Notes that it could not be found out: it is looked at again when it changes, or its watch is begun anew.
    pub(super) fn not_found_out(&mut self) {
        self.known = Known::Unserved;
    }

    /// Whether nothing is known of it, and nothing will be for now.
    pub(super) fn is_unknown(&self) -> bool {
        self.is_unwatchable || matches!(self.known, Known::Unserved)
    }

    /// Notes why it could not be looked at, or not be corrected. The answer is whether that is news.
    pub(super) fn failed(&mut self, seen: Glance, words: String) -> bool {
        self.has_failed = true;
        self.found(seen, Some(words))
    }

    /// It was applied again, after it was `seen` like this.
    pub(super) fn applied_again(&mut self, applied: &Applied, seen: Glance) {
        let (count, since, restored) = self.corrected;
        self.corrected = (count.saturating_add(1), since, restored || seen.sighting == Sighting::Absent);
        (self.applied, self.known) = (Sighting::Present(applied.fields), Known::AppliedAgain(applied.version()));
        // The watch may be further already.
        let glance = self.live.look();
        self.compare(glance);
    }

    /// Whether it was corrected so often of late that it is left alone; and whether it was ever made anew.
    pub(super) fn corrections(&mut self) -> (bool, bool) {
        let (count, since, ever) = &mut self.corrected;
        if since.elapsed() > FOUGHT_WITHIN {
            (*count, *since) = (0, Instant::now());
        }
        (*count >= CORRECTIONS, *ever)
    }

    /// What is told of what was done to it.
    pub(super) fn told(&self) -> Option<&str> {
        match &self.known {
            Known::Found(_, told) => told.as_deref(),
            Known::Nothing | Known::AppliedAgain(_) | Known::Unserved => None,
        }
    }

    /// What is told of its not doing its work.
    pub(super) fn trouble(&self) -> Option<&str> {
        self.trouble.as_deref()
    }

    /// Whether it has not done its work for a moment, and that is not told.
    pub(super) fn is_troubled(&self) -> bool {
        self.troubled.is_some() && self.trouble.is_none()
    }

    /// Whether it has not done its work for so long that it is to be told.
    pub(super) fn is_in_trouble(&self) -> bool {
        self.troubled.is_some_and(|(since, _, health)| since.elapsed() >= patience(health))
    }

    /// Notes why it does not do its work.
    pub(super) fn explain(&mut self, words: String) {
        if self.is_in_trouble() {
            self.trouble = Some(words);
        }
    }
}

fn patience(health: Health) -> Duration {
    if health == Health::Failed { FAILED } else { PATIENCE }
}
