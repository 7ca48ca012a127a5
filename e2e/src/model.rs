//! What Helm's history of a release may look like over time, whatever happens to those who write it. Pure.
//!
//! [`check`] reads the recorded events of all release Secrets and says what of this does not hold:
//!
//! - Revisions rise one by one from 1, and no number is given twice. When the last record is gone, counting begins anew.
//! - A revision begins as `pending-*`, and not while another is pending.
//! - Statuses change as Helm's do: `pending-*` to `deployed`, `failed` or (when something else was declared meanwhile)
//!   `superseded`; `deployed` to `superseded`; anything that may have objects to `uninstalling`, that to `uninstalled`.
//! - At no moment two revisions are `deployed`: the old one is superseded before the new one is deployed. In between none
//!   is, and that is why the end counts, too: there, one is `deployed` if one ever was and the release was not uninstalled.
//! - The `deployed` record, and a pending one, are deleted with the whole release only.
//! - At the end none is pending, and no uninstall is half done.
//! - A hook whose success is recorded is not run again for the same event ([`hooks_run_again`]).
//! - Of a release that is gone, all objects are gone ([`remains`] says which those are).
//!
//! Records that move to another namespace (`spec.storageNamespace`) are copies: they begin as what they are copies of, and those
//! may be deleted whatever they are, once they were copied.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use helm::release::Status;

/// The namespace and the name of a Helm release.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Release {
    /// Where its records are.
    pub namespace: String,
    /// Its name.
    pub name: String,
}

impl fmt::Display for Release {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.namespace, self.name)
    }
}

/// An object of a manifest. The namespace is that of the document, or the release's; cluster-scoped kinds ignore it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Named {
    /// `v1`, `apps/v1`.
    pub api_version: String,
    /// `ConfigMap`.
    pub kind: String,
    /// Where it is, if its kind is namespaced.
    pub namespace: String,
    /// Its name.
    pub name: String,
}

impl fmt::Display for Named {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}/{}", self.kind, self.namespace, self.name)
    }
}

/// A hook as a record has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hook {
    /// The name of its object, a Job.
    pub name: String,
    /// When it runs, in Helm's words.
    pub events: Vec<String>,
    /// How far its last run is, in Helm's words.
    pub phase: String,
    /// When its last run began.
    pub started_at: Option<String>,
}

/// A record as it was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Written {
    /// Where the revision stands.
    pub status: Status,
    /// Helm's words for that.
    pub description: String,
    /// Our annotations, without their prefix; none if a person's Helm wrote it.
    pub marks: BTreeMap<String, String>,
    /// Its hooks.
    pub hooks: Vec<Hook>,
    /// What its manifest puts into the cluster, but for what is to be kept.
    pub objects: BTreeSet<Named>,
}

/// What happened to a record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum What {
    /// It was created or changed.
    Written(Box<Written>),
    /// It was deleted.
    Deleted,
}

/// One event of a release Secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// The resource version: the order of all writes in the cluster.
    pub at: u64,
    /// Which release.
    pub release: Release,
    /// Which revision.
    pub revision: u32,
    /// The Secret's uid.
    pub uid: String,
    /// What happened.
    pub what: What,
}

/// A Job that was created.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JobMade {
    /// The resource version of its creation.
    pub at: u64,
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
}

/// Something that must not be.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Violation {
    /// Whose history.
    pub release: Release,
    /// What.
    pub fault: Fault,
}

/// What is wrong with a history.
#[expect(missing_docs, reason = "the fields are what each variant speaks of")]
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fault {
    /// A revision came after `after` that is not the next.
    Skipped { after: u32, revision: u32 },
    /// A number was given to a second record.
    Reused { revision: u32 },
    /// A revision did not begin as pending.
    BornAs { revision: u32, status: Status },
    /// A revision was begun while another was pending.
    Crossed { pending: u32, revision: u32 },
    /// A status changed as it may not.
    Transition { revision: u32, from: Status, to: Status },
    /// Two revisions are deployed.
    TwoDeployed { revisions: Vec<u32> },
    /// A record was deleted that had to stay.
    DeletedAs { revision: u32, status: Status },
    /// At the end a revision is still pending, or being uninstalled.
    Unfinished { revision: u32, status: Status },
    /// At the end nothing is deployed, and something was.
    NoneDeployed,
    /// A hook ran once more after its success was recorded.
    HookRanAgain { revision: u32, hook: String },
    /// The release is gone, its object is not.
    Remains { object: Named },
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.release)?;
        match &self.fault {
            Fault::Skipped { after, revision } => write!(f, "revision {revision} came after {after}"),
            Fault::Reused { revision } => write!(f, "revision {revision} was recorded a second time"),
            Fault::BornAs { revision, status } => write!(f, "revision {revision} began as {}", status.as_str()),
            Fault::Crossed { pending, revision } => {
                write!(f, "revision {revision} was begun while {pending} was pending")
            }
            Fault::Transition { revision, from, to } => {
                write!(f, "revision {revision} went from {} to {}", from.as_str(), to.as_str())
            }
            Fault::TwoDeployed { revisions } => write!(f, "revisions {revisions:?} are deployed at once"),
            Fault::DeletedAs { revision, status } => {
                write!(f, "revision {revision} was deleted while {}", status.as_str())
            }
            Fault::Unfinished { revision, status } => write!(f, "revision {revision} stays {}", status.as_str()),
            Fault::NoneDeployed => write!(f, "no revision is deployed at the end"),
            Fault::HookRanAgain { revision, hook } => {
                write!(f, "hook {hook} of revision {revision} ran again after its success was recorded")
            }
            Fault::Remains { object } => write!(f, "it is gone, and {object} is still there"),
        }
    }
}

/// Whether the events are all there will be, or the releases are still at work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// Everything has settled.
    Settled,
    /// More is to come: what must hold at the end is not asked.
    Open,
}

/// A record as it is now.
#[derive(Debug)]
struct Record {
    uid: String,
    written: Written,
}

/// A release from its first record to the last one's end.
#[derive(Debug, Default)]
struct Life {
    records: BTreeMap<u32, Record>,
    highest: u32,
    // Objects of all records of this life.
    objects: BTreeSet<Named>,
    // Whether something was deployed since the last uninstall.
    deployed: bool,
}

/// The mark of a record that says of which other one it is a copy.
const COPY_OF: &str = "copy-of";

/// All that does not hold of these events, in order.
pub fn check(events: &[Event], end: End) -> Vec<Violation> {
    let mut faults = Vec::new();
    let lives = replay(events, |release, fault| faults.push(Violation { release: release.clone(), fault }));
    if end == End::Settled {
        for (release, life) in &lives {
            faults.extend(life.unsettled().into_iter().map(|fault| Violation { release: release.clone(), fault }));
        }
    }
    faults
}

/// How many revisions each release made, over all its lives.
pub fn revisions(events: &[Event]) -> BTreeMap<Release, usize> {
    let mut uids = BTreeMap::<Release, BTreeSet<&str>>::new();
    for event in events {
        uids.entry(event.release.clone()).or_default().insert(&event.uid);
    }
    uids.into_iter().map(|(release, uids)| (release, uids.len())).collect()
}

/// The statuses of a release's records as they are at the end: `1 superseded, 2 deployed`.
pub fn history(events: &[Event], release: &Release) -> String {
    let lives = replay(events, |_, _| {});
    let records = lives.get(release).map(|life| &life.records);
    let told = records.into_iter().flatten().map(|(revision, is)| format!("{revision} {}", is.written.status.as_str()));
    told.collect::<Vec<_>>().join(", ")
}

/// The objects that must not exist at the end: those that releases had which are gone, and none has that is there.
pub fn remains(events: &[Event]) -> Vec<(Release, Named)> {
    let lives = replay(events, |_, _| {});
    let (gone, there): (Vec<_>, Vec<_>) = lives.iter().partition(|(_, life)| life.records.is_empty());
    let kept: BTreeSet<&Named> = there.iter().flat_map(|(_, life)| &life.objects).collect();
    let objects = gone.into_iter().flat_map(|(release, life)| life.objects.iter().map(move |object| (release, object)));
    objects
        .filter(|(_, object)| !kept.contains(object))
        .map(|(release, object)| (release.clone(), object.clone()))
        .collect()
}

fn replay(events: &[Event], mut fault: impl FnMut(&Release, Fault)) -> BTreeMap<Release, Life> {
    let mut ordered: Vec<&Event> = events.iter().collect();
    ordered.sort_by_key(|event| event.at);
    let mut lives = BTreeMap::<Release, Life>::new();
    // The uids of records that were copied.
    let mut copied = BTreeSet::<&str>::new();
    for event in ordered {
        let life = lives.entry(event.release.clone()).or_default();
        match &event.what {
            What::Written(written) => {
                copied.extend(written.marks.get(COPY_OF).map(String::as_str));
                life.write(event, written, &mut |found| fault(&event.release, found));
            }
            What::Deleted if copied.contains(event.uid.as_str()) => life.forget(event.revision),
            What::Deleted => life.delete(event, &mut |found| fault(&event.release, found)),
        }
    }
    lives
}

impl Life {
    fn write(&mut self, event: &Event, written: &Written, fault: &mut dyn FnMut(Fault)) {
        let revision = event.revision;
        match self.records.get(&revision) {
            Some(before) if before.uid == event.uid => {
                let (from, to) = (before.written.status, written.status);
                if !may_become(from, to, written.marks.is_empty()) {
                    fault(Fault::Transition { revision, from, to });
                }
            }
            Some(_) => fault(Fault::Reused { revision }),
            None => self.begin(revision, written, fault),
        }
        if self.records.is_empty() {
            self.objects.clear();
        }
        self.objects.extend(written.objects.iter().cloned());
        self.records.insert(revision, Record { uid: event.uid.clone(), written: written.clone() });
        match written.status {
            Status::Deployed => self.deployed = true,
            Status::Uninstalling | Status::Uninstalled => self.deployed = false,
            _ => {}
        }
        let deployed = self.with(|status| status == Status::Deployed);
        if written.status == Status::Deployed && deployed.len() > 1 {
            fault(Fault::TwoDeployed { revisions: deployed });
        }
    }

    fn begin(&mut self, revision: u32, written: &Written, fault: &mut dyn FnMut(Fault)) {
        let is_copy = written.marks.contains_key(COPY_OF);
        if self.records.is_empty() {
            // The oldest of a history that moves is the oldest that was kept.
            self.highest = if is_copy { revision.saturating_sub(1) } else { 0 };
        }
        if revision <= self.highest {
            fault(Fault::Reused { revision });
        } else if revision != self.highest + 1 {
            fault(Fault::Skipped { after: self.highest, revision });
        }
        if !written.status.is_pending() && !is_copy {
            fault(Fault::BornAs { revision, status: written.status });
        }
        if let Some(pending) = self.with(Status::is_pending).first() {
            fault(Fault::Crossed { pending: *pending, revision });
        }
        self.highest = self.highest.max(revision);
    }

    fn delete(&mut self, event: &Event, fault: &mut dyn FnMut(Fault)) {
        let Some(record) = self.records.remove(&event.revision) else { return };
        let status = record.written.status;
        let uninstalls = self.records.values().any(|other| other.written.status == Status::Uninstalling);
        let must_stay = status == Status::Deployed || status.is_pending();
        if must_stay && !uninstalls {
            fault(Fault::DeletedAs { revision: event.revision, status });
        }
        if self.records.is_empty() {
            self.deployed = false;
        }
    }

    /// A record that was copied is deleted.
    fn forget(&mut self, revision: u32) {
        self.records.remove(&revision);
        if self.records.is_empty() {
            self.deployed = false;
        }
    }

    fn unsettled(&self) -> Vec<Fault> {
        let unfinished = |status: Status| status.is_pending() || status == Status::Uninstalling;
        let records = self.records.iter().filter(|(_, record)| unfinished(record.written.status));
        let mut faults: Vec<Fault> = records
            .map(|(revision, record)| Fault::Unfinished { revision: *revision, status: record.written.status })
            .collect();
        if self.deployed && self.with(|status| status == Status::Deployed).is_empty() {
            faults.push(Fault::NoneDeployed);
        }
        faults
    }

    fn with(&self, condition: impl Fn(Status) -> bool) -> Vec<u32> {
        let records = self.records.iter().filter(|(_, record)| condition(record.written.status));
        records.map(|(revision, _)| *revision).collect()
    }
}

/// Whether a record may go from one status to another; a person's Helm may a little more than we.
fn may_become(from: Status, to: Status, person: bool) -> bool {
    use Status::{Deployed, Failed, Superseded, Uninstalled, Uninstalling};
    match (from, to) {
        // Progress of hooks, and marks.
        _ if from == to => true,
        (_, Deployed | Failed | Superseded | Uninstalling) if from.is_pending() => true,
        (Deployed, Superseded) | (Deployed | Failed | Superseded, Uninstalling) | (Uninstalling, Uninstalled) => true,
        // `helm upgrade` on what only failed, `helm install --replace`.
        (Failed | Uninstalled, Superseded) => person,
        _ => false,
    }
}

/// Hooks that ran once more than their revision has events for them, after their success was recorded.
pub fn hooks_run_again(events: &[Event], jobs: &[JobMade]) -> Vec<Violation> {
    let mut faults = Vec::new();
    let mut runs = BTreeMap::<(Release, u32, bool, String), Runs>::new();
    let mut current = BTreeMap::<Release, (u32, bool)>::new();
    let uids: BTreeMap<&str, &Release> = events.iter().map(|event| (event.uid.as_str(), &event.release)).collect();
    for moment in moments(events, jobs) {
        match moment {
            Moment::Written(event, written) => {
                // What was copied goes on where the copy is.
                let moved = written.marks.get(COPY_OF).and_then(|of| uids.get(of.as_str()));
                moved.map(|from| current.remove(*from));
                let removing = written.status == Status::Uninstalling;
                if current.get(&event.release).is_none_or(|(revision, _)| *revision <= event.revision) {
                    current.insert(event.release.clone(), (event.revision, removing));
                }
                for hook in &written.hooks {
                    let key = (event.release.clone(), event.revision, removing, hook.name.clone());
                    runs.entry(key).or_default().note(hook, family(written.status));
                }
            }
            Moment::Made(job) => {
                for (release, (revision, removing)) in &current {
                    let key = (release.clone(), *revision, *removing, job.name.clone());
                    let again = release.namespace == job.namespace && runs.get(&key).is_some_and(Runs::all_done);
                    if again {
                        let fault = Fault::HookRanAgain { revision: *revision, hook: job.name.clone() };
                        faults.push(Violation { release: release.clone(), fault });
                    }
                }
            }
        }
    }
    faults
}

enum Moment<'a> {
    Written(&'a Event, &'a Written),
    Made(&'a JobMade),
}

fn moments<'a>(events: &'a [Event], jobs: &'a [JobMade]) -> Vec<Moment<'a>> {
    let written = events.iter().filter_map(|event| match &event.what {
        What::Written(written) => Some((event.at, Moment::Written(event, written))),
        What::Deleted => None,
    });
    let made = jobs.iter().map(|job| (job.at, Moment::Made(job)));
    let mut moments: Vec<_> = written.chain(made).collect();
    moments.sort_by_key(|(at, _)| *at);
    moments.into_iter().map(|(_, moment)| moment).collect()
}

/// The events that a revision in this status goes through.
fn family(status: Status) -> Option<&'static str> {
    match status {
        Status::PendingInstall => Some("-install"),
        Status::PendingUpgrade => Some("-upgrade"),
        Status::PendingRollback => Some("-rollback"),
        Status::Uninstalling => Some("-delete"),
        _ => None,
    }
}

/// The runs of one hook within one revision.
#[derive(Debug, Default)]
struct Runs {
    due: usize,
    succeeded: BTreeSet<String>,
    // When the run began that the first record of this family still tells of: it was for an event before.
    before: Option<String>,
    begun: bool,
}

impl Runs {
    fn note(&mut self, hook: &Hook, family: Option<&str>) {
        if let Some(family) = family {
            self.due = hook.events.iter().filter(|event| event.ends_with(family)).count();
        }
        if !self.begun {
            (self.before, self.begun) = (hook.started_at.clone(), true);
        }
        if hook.phase == "Succeeded" && hook.started_at != self.before {
            self.succeeded.extend(hook.started_at.clone());
        }
    }

    fn all_done(&self) -> bool {
        self.due > 0 && self.succeeded.len() >= self.due
    }
}

#[cfg(test)]
mod tests;
