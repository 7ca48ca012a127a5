//! The objects of releases that are deployed, as the watches show them: what becomes of them is noticed at once, and costs no
//! request while nothing does.
//!
//! What is kept of an object is which of its fields the release managed when it was applied. Where that is not known, as of
//! records that others made, it counts as applied as it is first seen.

mod object;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use kube::ResourceExt as _;
use tokio::task::spawn_local;
use tokio::time::Instant;

use self::object::{Known, Object};
use super::context::Context;
use super::matching::Key;
use super::waits::For;
use super::watch;
use crate::api::HelmRelease;
use crate::cluster::{Applied, Cluster, Fingerprint, Glance, LiveObjects, ObjectRef, Resource, Sighting};

/// How long after the first change of a release's objects it is looked at: others follow mostly, and what is known of its
/// history by then tells whether it is Helm that changes them.
const SETTLE: Duration = Duration::from_millis(250);

/// How long after an object could not be looked at, or not be corrected, that is tried again.
const AGAIN: Duration = Duration::from_mins(1);

/// How often an object is corrected within [`FOUGHT_WITHIN`] before it is left to whoever changes it again each time.
pub(crate) const CORRECTIONS: u8 = 5;

/// The time within which [`CORRECTIONS`] count.
pub(crate) const FOUGHT_WITHIN: Duration = Duration::from_mins(10);

/// Objects looked at in one go.
const BATCH: usize = 500;

/// The objects of all releases that are deployed.
#[derive(Default)]
pub(crate) struct LiveReleases {
    all: LiveObjects,
    open: Mutex<Open>,
}

#[derive(Default)]
struct Open {
    /// By the uid of the object that declares the release.
    releases: BTreeMap<String, Release>,
    /// The uid by the number of the first of the release's objects.
    numbers: BTreeMap<usize, String>,
    next: usize,
}

struct Release {
    key: Key,
    of: For,
    first: usize,
    objects: Vec<Object>,
    /// Whether it matters what others do to its objects.
    compares: bool,
    /// When it is woken next.
    waking: Option<Instant>,
}

/// What is found of an object that was looked at.
pub(crate) enum Finding {
    /// Nothing that is to be told.
    Nothing,
    /// Others changed what they may change: it counts as applied.
    Let,
    /// This, in words.
    Told(String),
    /// This, in words; and it is looked at again later.
    Failed(String),
    /// It was applied again.
    Corrected(Box<Applied>),
}

/// What is to be looked at.
pub(crate) struct Suspect {
    /// Its position among the release's objects.
    pub(crate) at: usize,
    /// Which object.
    pub(crate) object: ObjectRef,
    seen: Glance,
    /// Whether it was corrected so often of late that it is left alone.
    pub(crate) is_fought_over: bool,
}

/// How the objects of a release are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Standing {
    /// The revision that they are of.
    pub(crate) revision: u32,
    /// What was found of those that are not as they were applied.
    pub(crate) told: Vec<String>,
    /// Whether it matters what others do to them, all have been seen, and what was to be looked at was.
    pub(crate) is_compared: bool,
    /// What is told of those that do not do their work; how many more are in trouble for a moment, or were not seen yet.
    pub(crate) troubles: Vec<String>,
    /// Whether some are in trouble that is not told yet.
    pub(crate) is_troubled: bool,
    /// Whether all have been seen.
    pub(crate) is_seen: bool,
}

/// An object that has not done its work for a while.
pub(crate) struct Ailing {
    /// Its position among the release's objects.
    pub(crate) at: usize,
    /// Which object.
    pub(crate) object: ObjectRef,
    /// Its resource.
    pub(crate) resource: Resource,
    /// What is outstanding, in words.
    pub(crate) words: String,
}

impl LiveReleases {
    /// Whether the objects of this revision of the object with this uid are watched.
    pub(crate) fn covers(&self, uid: &str, of: For) -> bool {
        self.lock().releases.get(uid).is_some_and(|release| release.of == of)
    }

    /// Begins to watch the objects of a revision that is deployed, in place of any others of the same release. Of each its
    /// resource and the fields that were applied, where they are known. What others do to them is told of only where `compares`
    /// says so.
    pub(crate) fn begin(
        &self,
        release: &HelmRelease,
        (of, compares): (For, bool),
        objects: Vec<(Resource, ObjectRef, Option<Fingerprint>)>,
        cluster: &Cluster,
    ) {
        let uid = release.uid().unwrap_or_default();
        let mut open = self.lock();
        open.end(&uid);
        let first = open.next;
        open.next += objects.len().max(1);
        let watched = objects.into_iter().enumerate().map(|(at, (resource, object, fields))| {
            let live = cluster.live(&resource, &object, (&self.all, first + at));
            Object::new(live, fields.map_or(Sighting::Unseen, |fields| Sighting::Present(Some(fields))))
        });
        let objects = watched.collect();
        let release = Release { key: Key::of(release), of, first, objects, compares, waking: None };
        open.numbers.insert(first, uid.clone());
        open.releases.insert(uid, release);
    }

    /// Ends the watch of a release's objects, if there is one.
    pub(crate) fn end(&self, uid: &str) {
        self.lock().end(uid);
    }

    /// Those of a revision's objects that are to be looked at.
    pub(crate) fn suspects(&self, uid: &str, revision: u32) -> Vec<Suspect> {
        let mut open = self.lock();
        let Some(release) = open.releases.get_mut(uid).filter(|release| release.of.revision == revision) else {
            return Vec::new();
        };
        let suspects = release.objects.iter_mut().enumerate().filter(|(_, object)| object.suspect);
        let suspect = |(at, object): (usize, &mut Object)| Suspect {
            at,
            object: object.live.object(),
            seen: object.live.look(),
            is_fought_over: object.is_fought_over(),
        };
        suspects.map(suspect).collect()
    }

    /// Whether any of a revision's objects is to be looked at.
    pub(crate) fn has_suspects(&self, uid: &str, revision: u32) -> bool {
        let open = self.lock();
        let release = open.releases.get(uid).filter(|release| release.of.revision == revision);
        release.is_some_and(|release| release.objects.iter().any(|object| object.suspect))
    }

    /// Notes what was found of an object; whether that is to be told, and is news.
    pub(crate) fn found(&self, uid: &str, suspect: &Suspect, finding: Finding) -> bool {
        let mut open = self.lock();
        let object = open.releases.get_mut(uid).and_then(|release| release.objects.get_mut(suspect.at));
        let Some(object) = object else { return false };
        object.suspect = false;
        let told = match finding {
            Finding::Corrected(applied) => {
                object.corrected = object.corrected.saturating_add(1);
                object.applied = Sighting::Present(applied.fields);
                object.known = Known::AppliedAgain(applied.version());
                return false;
            }
            Finding::Let => {
                (object.applied, object.known) = (suspect.seen.sighting, Known::Nothing);
                return false;
            }
            Finding::Nothing => None,
            Finding::Told(words) | Finding::Failed(words) => Some(words),
        };
        let is_news = told.is_some() && !matches!(&object.known, Known::Found(_, known) if *known == told);
        object.known = Known::Found(suspect.seen, told);
        is_news
    }

    /// Looks at everything again that is not as it was applied, however often it was corrected: a person asked for it.
    pub(crate) fn again(&self, uid: &str) {
        let mut open = self.lock();
        for object in open.releases.get_mut(uid).into_iter().flat_map(|release| &mut release.objects) {
            object.corrected = 0;
            object.suspect |= object.is_told();
        }
    }

    /// How the objects of a release are; none where they are not watched.
    pub(crate) fn standing(&self, uid: &str) -> Option<Standing> {
        let mut open = self.lock();
        let release = open.releases.get_mut(uid)?;
        let told = release.objects.iter().filter_map(|object| match &object.known {
            Known::Found(_, told) => told.clone(),
            Known::Nothing | Known::AppliedAgain(_) => None,
        });
        let told = told.collect();
        let troubles: Vec<String> = release.objects.iter().filter_map(|object| object.trouble.clone()).collect();
        let is_untold = |object: &Object| object.is_troubled() && object.trouble.is_none();
        let is_seen = |object: &mut Object| object.live.look().sighting != Sighting::Unseen;
        let is_seen = release.objects.iter_mut().all(is_seen);
        Some(Standing {
            revision: release.of.revision,
            told,
            is_compared: release.compares && is_seen && !release.objects.iter().any(|object| object.suspect),
            is_troubled: release.objects.iter().any(is_untold),
            troubles,
            is_seen,
        })
    }

    /// Those of a release's objects that have not done their work for a while, and of which that is not told yet.
    pub(crate) fn ailing(&self, uid: &str) -> Vec<Ailing> {
        let open = self.lock();
        let objects = open.releases.get(uid).into_iter().flat_map(|release| release.objects.iter().enumerate());
        let ailing = objects.filter(|(_, object)| object.trouble.is_none() && object.is_in_trouble());
        let told = |(at, object): (usize, &Object)| Ailing {
            at,
            object: object.live.object(),
            resource: object.live.resource().clone(),
            words: object.live.outstanding(),
        };
        ailing.map(told).collect()
    }

    /// Notes why an object does not do its work.
    pub(crate) fn diagnosed(&self, uid: &str, ailing: &Ailing, words: String) {
        let mut open = self.lock();
        let object = open.releases.get_mut(uid).and_then(|release| release.objects.get_mut(ailing.at));
        if let Some(object) = object.filter(|object| object.is_in_trouble()) {
            object.trouble = Some(words);
        }
    }

    /// Looks at the object with this number, which changed: the release to be woken, and when.
    fn look(&self, number: usize) -> Option<(String, Key, Vec<Instant>)> {
        let mut open = self.lock();
        let (_, uid) = open.numbers.range(..=number).next_back()?;
        let uid = uid.clone();
        let release = open.releases.get_mut(&uid)?;
        let object = release.objects.get_mut(number.checked_sub(release.first)?)?;
        let mut wakes = Vec::new();
        for due in object.look(release.compares).into_iter().flatten().map(|delay| Instant::now() + delay) {
            // What is woken before is looked at whole.
            if release.waking.is_none_or(|waking| due < waking) {
                release.waking = Some(due);
                wakes.push(due);
            }
        }
        Some((uid, release.key.clone(), wakes))
    }

    fn woken(&self, uid: &str, due: Instant) {
        if let Some(release) = self.lock().releases.get_mut(uid) {
            release.waking.take_if(|waking| *waking == due);
        }
    }

    /// Has the objects looked at again that could not be looked at, or not be corrected; whether there are any.
    fn retry(&self, uid: &str, of: For) -> Option<Key> {
        let mut open = self.lock();
        let release = open.releases.get_mut(uid).filter(|release| release.of == of)?;
        release.objects.iter_mut().for_each(|object| object.suspect |= object.is_told());
        Some(release.key.clone())
    }

    fn lock(&self) -> MutexGuard<'_, Open> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Open {
    fn end(&mut self, uid: &str) {
        if let Some(release) = self.releases.remove(uid) {
            self.numbers.remove(&release.first);
        }
    }
}

/// Wakes the releases whose objects change, until the process ends.
pub(crate) async fn follow(context: Arc<Context>) {
    loop {
        for number in context.live.all.changed(BATCH).await {
            let Some((uid, key, wakes)) = context.live.look(number) else { continue };
            for due in wakes {
                let (context, uid, key) = (Arc::clone(&context), uid.clone(), key.clone());
                spawn_local(async move {
                    tokio::time::sleep_until(due).await;
                    context.live.woken(&uid, due);
                    context.wake.release(watch::reference(&key));
                });
            }
        }
        tokio::task::yield_now().await;
    }
}

/// Has those objects of a revision looked at again in a while that could not be looked at, or not be corrected.
pub(crate) fn retry_later(uid: String, of: For, context: &Arc<Context>) {
    let context = Arc::clone(context);
    spawn_local(async move {
        tokio::time::sleep(AGAIN).await;
        if let Some(key) = context.live.retry(&uid, of) {
            context.wake.release(watch::reference(&key));
        }
    });
}
