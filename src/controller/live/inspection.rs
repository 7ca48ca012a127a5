//! Objects that are to be looked at, and what is found of them.

use std::collections::BTreeSet;

use super::LiveReleases;
use crate::api::Reason;
use crate::cluster::{Applied, Glance, ObjectRef};

/// What is found of an object that was looked at.
pub(crate) enum Finding {
    /// Nothing that is to be told.
    Nothing,
    /// It cannot be looked at: its kind is served no more.
    Unserved,
    /// This, in words.
    Told(String),
    /// It is somebody else's now, in words.
    Foreign(String),
    /// This, in words; and it is looked at again later.
    Failed(String),
    /// This, in words; but its namespace is missing, too, and comes before it: it is looked at again later, and that is no news.
    Early(String),
    /// It was applied again.
    Corrected(Box<Applied>),
}

impl Finding {
    /// What of it is told, where it is news, and as what.
    pub(crate) fn told(&self) -> Option<(Reason, String)> {
        match self {
            Self::Told(words) | Self::Foreign(words) => Some((Reason::DriftDetected, words.clone())),
            Self::Failed(words) => Some((Reason::DriftCorrectionFailed, words.clone())),
            Self::Nothing | Self::Unserved | Self::Early(_) | Self::Corrected(_) => None,
        }
    }
}

/// What is to be looked at.
pub(crate) struct Suspect {
    /// Its position among the release's objects.
    pub(crate) at: usize,
    /// Which object.
    pub(crate) object: ObjectRef,
    /// How it was seen.
    pub(super) seen: Glance,
    /// Whether it was corrected so often of late that it is left alone.
    pub(crate) is_fought_over: bool,
    /// Whether it was made anew before.
    pub(crate) was_restored: bool,
    /// Whether it was somebody else's when it was last looked at.
    pub(crate) was_foreign: bool,
}

/// Objects that were to be looked at, and have not been.
pub(crate) struct NotLookedAt<'a> {
    live: &'a LiveReleases,
    uid: &'a str,
    revision: u32,
    positions: BTreeSet<usize>,
}

impl<'a> NotLookedAt<'a> {
    pub(super) fn new(live: &'a LiveReleases, (uid, revision): (&'a str, u32), suspects: &[Suspect]) -> Self {
        Self { live, uid, revision, positions: suspects.iter().map(|suspect| suspect.at).collect() }
    }

    /// One of them was looked at.
    pub(crate) fn without(&mut self, suspect: &Suspect) {
        self.positions.remove(&suspect.at);
    }
}

impl Drop for NotLookedAt<'_> {
    fn drop(&mut self) {
        let mut open = self.live.lock();
        let release = open.releases.get_mut(self.uid).filter(|release| release.watch.of.revision == self.revision);
        let objects = release.into_iter().flat_map(|release| release.objects.iter_mut().enumerate());
        objects.filter(|(at, _)| self.positions.contains(at)).for_each(|(_, object)| object.suspect());
    }
}
