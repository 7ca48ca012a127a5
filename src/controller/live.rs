//! The objects of releases that are deployed, as the watches show them: what becomes of them is noticed at once, and costs no
//! request while nothing does.
//!
//! What is kept of an object is which of its fields the release managed when it was applied. Where that is not known, as of
//! records that others made, it counts as applied as it is first seen.

mod inspection;
mod object;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use kube::ResourceExt as _;
use tokio::task::spawn_local;
use tokio::time::Instant;

pub(crate) use self::inspection::{Finding, NotLookedAt, Suspect};
use self::object::Object;
use super::context::Context;
use super::matching::Key;
use super::waits::RevisionRef;
use super::watch;
use crate::api::HelmRelease;
use crate::cluster::{Cluster, Fingerprint, HealthChecks, LiveObjects, ObjectRef, Resource, Sighting};

/// How long after the first change of a release's objects it is looked at: others follow mostly, and what is known of its
/// history by then tells whether it is Helm that changes them.
const SETTLE: Duration = Duration::from_millis(250);

/// The shortest between two looks at a release: what changes in a burst is looked at, and told of, together.
const GATHER: Duration = Duration::from_secs(2);

/// How long after an object could not be looked at, or not be corrected, that is tried again; twice as long each time.
const AGAIN: Duration = Duration::from_secs(5);

/// The longest between two such tries.
const LONGEST: Duration = Duration::from_mins(30);

/// How long after a watch was lost it is begun anew.
const RENEWED: Duration = Duration::from_mins(1);

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
    first: usize,
    objects: Vec<Object>,
    watch: Watch,
    /// Objects that are not watched.
    left_out: Vec<ObjectRef>,
    /// How many objects have not been seen yet.
    unseen: usize,
    /// When its status is to be told anew, where it is.
    refresh: Option<Instant>,
    /// When it is woken next, and was last.
    waking: Option<Instant>,
    woken: Option<Instant>,
    /// How often something could not be looked at or corrected in a row, and whether that is tried again in a while.
    failed: (u32, bool),
}

/// How the objects of a revision are watched.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Watch {
    /// The revision.
    pub(crate) of: RevisionRef,
    /// What is declared of drift, in a number: defaults may change it, and not the generation.
    pub(crate) declared: u64,
    /// Whether it matters what others do to the objects.
    pub(crate) compares: bool,
    /// Whether the status tells of trouble that may be over.
    pub(crate) is_in_doubt: bool,
}

/// How the objects of a release are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Standing {
    /// The revision that they are of.
    pub(crate) revision: u32,
    /// What was found of those that are not as they were applied.
    pub(crate) told: Vec<String>,
    /// Whether it matters what others do to them, all that are watched have been seen, and what was to be looked at was.
    pub(crate) is_compared: bool,
    /// Those that are not watched: their kind is not served, or they may not be read.
    pub(crate) unwatched: Vec<String>,
    /// What is told of those that do not do their work.
    pub(crate) troubles: Vec<String>,
    /// Whether some are in trouble that is not told yet.
    pub(crate) is_troubled: bool,
    /// Whether all have been seen that are watched.
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

/// The objects of a revision.
#[derive(Default)]
pub(crate) struct Watched {
    /// Those that can be watched, each with its resource and the fields that were applied, where they are known.
    pub(crate) objects: Vec<(Resource, ObjectRef, Option<Fingerprint>)>,
    /// Those that cannot: their kind is not served, or they may not be read.
    pub(crate) left_out: Vec<ObjectRef>,
}

/// That the objects of a revision began to be watched: another beginning is another.
pub(crate) struct Begun {
    uid: String,
    first: usize,
}

impl LiveReleases {
    /// Whether the objects of this revision of the object with this uid are watched, for what is declared of drift.
    pub(crate) fn covers(&self, uid: &str, of: RevisionRef, declared: u64) -> bool {
        self.lock().releases.get(uid).is_some_and(|it| it.watch.of == of && it.watch.declared == declared)
    }

    /// Begins to watch the objects of a revision that is deployed, in place of any others of the same release.
    pub(crate) fn begin(
        &self,
        release: &HelmRelease,
        watch: Watch,
        Watched { objects, left_out }: Watched,
        (cluster, checks): (&Cluster, &HealthChecks),
    ) -> Begun {
        let uid = release.uid().unwrap_or_default();
        let mut open = self.lock();
        open.end(&uid);
        let first = open.next;
        open.next += objects.len().max(1);
        let watched = objects.into_iter().enumerate().map(|(at, (resource, object, fields))| {
            let live = cluster.live(&resource, &object, checks, (&self.all, first + at));
            Object::new(live, fields.map_or(Sighting::Unseen, |fields| Sighting::Present(Some(fields))))
        });
        let objects: Vec<Object> = watched.collect();
        let (key, unseen) = (Key::of(release), objects.len());
        let release = Release {
            key,
            first,
            objects,
            watch,
            left_out,
            unseen,
            refresh: None,
            waking: None,
            woken: None,
            failed: (0, false),
        };
        open.numbers.insert(first, uid.clone());
        open.releases.insert(uid.clone(), release);
        Begun { uid, first }
    }

    /// The object whose release is watched as it was begun then; none where it is not.
    fn key(&self, Begun { uid, first }: &Begun) -> Option<Key> {
        let open = self.lock();
        open.releases.get(uid).filter(|release| release.first == *first).map(|release| release.key.clone())
    }

    /// Ends the watch of a release's objects, if there is one.
    pub(crate) fn end(&self, uid: &str) {
        self.lock().end(uid);
    }

    /// Those of a revision's objects that are to be looked at: the caller does, or they are to be looked at still.
    pub(crate) fn suspects(&self, uid: &str, revision: u32) -> Vec<Suspect> {
        let mut open = self.lock();
        let release = open.releases.get_mut(uid).filter(|release| release.watch.of.revision == revision);
        let objects = release.into_iter().flat_map(|release| release.objects.iter_mut().enumerate());
        let suspects = objects.filter(|(_, object)| object.is_suspect());
        let suspect = |(at, object): (usize, &mut Object)| {
            let (is_fought_over, was_restored) = object.corrections();
            let was_foreign = object.is_foreign;
            Suspect { at, object: object.live.object(), seen: object.take(), is_fought_over, was_restored, was_foreign }
        };
        suspects.map(suspect).collect()
    }

    /// Keeps `suspects` of a revision to be looked at until that was done, though the caller is dropped before.
    pub(crate) fn until_looked_at<'a>(&'a self, uid: &'a str, revision: u32, suspects: &[Suspect]) -> NotLookedAt<'a> {
        NotLookedAt::new(self, (uid, revision), suspects)
    }

    /// Whether any of a revision's objects is to be looked at.
    pub(crate) fn has_suspects(&self, uid: &str, revision: u32) -> bool {
        let open = self.lock();
        let release = open.releases.get(uid).filter(|release| release.watch.of.revision == revision);
        release.is_some_and(|release| release.objects.iter().any(Object::is_suspect))
    }

    /// Notes what was found of an object; whether that is to be told, and is news.
    pub(crate) fn found(&self, uid: &str, suspect: &Suspect, finding: Finding) -> bool {
        let mut open = self.lock();
        let object = open.releases.get_mut(uid).and_then(|release| release.objects.get_mut(suspect.at));
        let Some(object) = object else { return false };
        match finding {
            Finding::Corrected(applied) => object.applied_again(&applied, suspect.seen),
            Finding::Unserved => object.not_found_out(),
            Finding::Early(words) => drop(object.failed(suspect.seen, words)),
            Finding::Nothing => drop(object.found(suspect.seen, None)),
            Finding::Told(words) => return object.found(suspect.seen, Some(words)),
            Finding::Foreign(words) => {
                object.is_foreign = true;
                return object.found(suspect.seen, Some(words));
            }
            Finding::Failed(words) => return object.failed(suspect.seen, words),
        }
        false
    }

    /// Looks at everything again that is not as it was applied, however often it was corrected: a person asked for it.
    pub(crate) fn again(&self, uid: &str) {
        let mut open = self.lock();
        let objects = open.releases.get_mut(uid).into_iter().flat_map(|release| &mut release.objects);
        objects.for_each(Object::begin_anew);
    }

    /// How the objects of a release are; none where they are not watched.
    pub(crate) fn standing(&self, uid: &str) -> Option<Standing> {
        let open = self.lock();
        let release = open.releases.get(uid)?;
        let objects = &release.objects;
        let unknown = objects.iter().filter(|object| object.is_unknown()).map(|object| object.live.object());
        Some(Standing {
            revision: release.watch.of.revision,
            told: objects.iter().filter_map(|object| object.told().map(str::to_owned)).collect(),
            is_compared: release.watch.compares && release.unseen == 0 && !objects.iter().any(Object::is_unclear),
            unwatched: release.left_out.iter().cloned().chain(unknown).map(|object| object.to_string()).collect(),
            troubles: objects.iter().filter_map(|object| object.trouble().map(str::to_owned)).collect(),
            is_troubled: objects.iter().any(Object::is_troubled),
            is_seen: release.unseen == 0,
        })
    }

    /// Those of a release's objects that have not done their work for a while, and of which that is not told yet.
    pub(crate) fn ailing(&self, uid: &str) -> Vec<Ailing> {
        let open = self.lock();
        let objects = open.releases.get(uid).into_iter().flat_map(|release| release.objects.iter().enumerate());
        let ailing = objects.filter(|(_, object)| object.is_troubled() && object.is_in_trouble());
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
        if let Some(object) = object {
            object.explain(words);
        }
    }

    /// Looks at the object with this number, which changed: whose it is, and whether its watch was lost just now.
    fn look(&self, number: usize) -> Option<(String, bool)> {
        let mut open = self.lock();
        let (_, uid) = open.numbers.range(..=number).next_back()?;
        let uid = uid.clone();
        let release = open.releases.get_mut(&uid)?;
        let object = release.objects.get_mut(number.checked_sub(release.first)?)?;
        let (was_seen, was_unknown) = (object.is_seen, object.is_unknown());
        let is_over = object.look(release.watch.compares);
        // The status tells which are not watched.
        let is_news = was_unknown != object.is_unknown();
        match (was_seen, object.is_seen) {
            (false, true) => release.unseen = release.unseen.saturating_sub(1),
            (true, false) => release.unseen += 1,
            _ => {}
        }
        let is_lost = object.live.is_lost() && !std::mem::replace(&mut object.is_lost, true);
        // What was told before this process is over, perhaps.
        let is_clear = release.unseen == 0 && std::mem::take(&mut release.watch.is_in_doubt);
        if is_over || is_clear || is_news {
            release.refresh.get_or_insert_with(|| Instant::now() + SETTLE);
        }
        Some((uid, is_lost))
    }

    /// Begins a watch anew that was lost.
    fn renew(&self, number: usize) {
        let mut open = self.lock();
        let uid = open.numbers.range(..=number).next_back().map(|(_, uid)| uid.clone());
        let Some(release) = uid.and_then(|uid| open.releases.get_mut(&uid)) else { return };
        let at = number.checked_sub(release.first);
        if let Some(object) = at.and_then(|at| release.objects.get_mut(at)).filter(|object| object.is_lost) {
            object.is_lost = false;
            object.live.renew();
        }
    }

    /// When a release is to be woken, unless that is sooner already.
    fn next(&self, uid: &str) -> Option<Instant> {
        let mut open = self.lock();
        let release = open.releases.get_mut(uid)?;
        // What is overdue waits for the release to come to rest.
        let now = Instant::now();
        let dues = release.objects.iter().flat_map(Object::dues).chain(release.refresh);
        let due = dues.filter(|due| *due > now).min()?;
        let due = release.woken.map_or(due, |woken| due.max(woken + GATHER));
        let is_sooner = release.waking.is_none_or(|waking| due < waking);
        is_sooner.then(|| *release.waking.insert(due))
    }

    /// The release that is woken now, unless it was to be woken sooner.
    fn due(&self, uid: &str, due: Instant) -> Option<Key> {
        let mut open = self.lock();
        let release = open.releases.get_mut(uid)?;
        release.waking.take_if(|waking| *waking == due)?;
        release.woken = Some(due);
        release.refresh.take_if(|refresh| *refresh <= Instant::now());
        Some(release.key.clone())
    }

    /// How long until what could not be looked at, or not be corrected, is tried again, unless it is already.
    fn failed(&self, uid: &str, of: RevisionRef) -> Option<Duration> {
        let mut open = self.lock();
        let release = open.releases.get_mut(uid).filter(|release| release.watch.of == of)?;
        let (failed, is_retried) = &mut release.failed;
        let delay = AGAIN.saturating_mul(1 << (*failed).min(9)).min(LONGEST);
        *failed = failed.saturating_add(1);
        (!std::mem::replace(is_retried, true)).then_some(delay)
    }

    /// Notes that everything could be looked at, and be corrected.
    pub(crate) fn succeeded(&self, uid: &str) {
        if let Some(release) = self.lock().releases.get_mut(uid) {
            release.failed.0 = 0;
        }
    }

    /// Has the objects looked at again that could not be looked at, or not be corrected.
    fn retry(&self, uid: &str, of: RevisionRef) {
        let mut open = self.lock();
        let Some(release) = open.releases.get_mut(uid).filter(|release| release.watch.of == of) else { return };
        release.failed.1 = false;
        release.refresh = Some(Instant::now() + SETTLE);
        release.objects.iter_mut().filter(|object| object.has_failed).for_each(Object::suspect);
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
            let Some((uid, is_lost)) = context.live.look(number) else { continue };
            if is_lost {
                let context = Arc::clone(&context);
                spawn_local(async move {
                    tokio::time::sleep(RENEWED).await;
                    context.live.renew(number);
                });
            }
            wake_when_due(&uid, &context);
        }
        tokio::task::yield_now().await;
    }
}

/// Has a release woken when there is something to do about its objects.
pub(crate) fn wake_when_due(uid: &str, context: &Arc<Context>) {
    let Some(mut due) = context.live.next(uid) else { return };
    let (context, uid) = (Arc::clone(context), uid.to_owned());
    spawn_local(async move {
        loop {
            tokio::time::sleep_until(due).await;
            let Some(key) = context.live.due(&uid, due) else { return };
            context.wake.release(watch::reference(&key));
            match context.live.next(&uid) {
                Some(next) => due = next,
                None => return,
            }
        }
    });
}

/// Has the objects of a revision watched anew, and its release woken, once one can be watched that was left out: `is_there` tells.
pub(crate) fn watch_when_there(begun: Begun, is_there: impl AsyncFn() -> bool + 'static, context: &Arc<Context>) {
    let context = Arc::clone(context);
    spawn_local(async move {
        let mut pause = RENEWED;
        loop {
            tokio::time::sleep(pause).await;
            let Some(key) = context.live.key(&begun) else { return };
            if is_there().await && context.live.key(&begun).is_some() {
                context.live.end(&begun.uid);
                context.wake.release(watch::reference(&key));
                return;
            }
            pause = (pause * 2).min(LONGEST);
        }
    });
}

/// Has those objects of a revision looked at again in a while that could not be looked at, or not be corrected.
pub(crate) fn retry_later(uid: String, of: RevisionRef, context: &Arc<Context>) {
    let Some(delay) = context.live.failed(&uid, of) else { return };
    let context = Arc::clone(context);
    spawn_local(async move {
        tokio::time::sleep(delay).await;
        context.live.retry(&uid, of);
        wake_when_due(&uid, &context);
    });
}
