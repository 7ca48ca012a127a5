//! Our annotations on a record: for what we made it, and how it went.

use std::collections::BTreeMap;

use helm::manifest::HookEvent;
use jiff::Timestamp;

use super::{CopyOf, Counted, Why};

const OWNER: &str = "helm-operator.ketches.cn/owner";
const UID: &str = "helm-operator.ketches.cn/uid";
const GENERATION: &str = "helm-operator.ketches.cn/generation";
const INPUTS: &str = "helm-operator.ketches.cn/inputs";
const DECLARED: &str = "helm-operator.ketches.cn/declared";
const CHART: &str = "helm-operator.ketches.cn/chart";
const DIGEST: &str = "helm-operator.ketches.cn/digest";
const ATTEMPT: &str = "helm-operator.ketches.cn/attempt";
const MADE: &str = "helm-operator.ketches.cn/made";
const APPLIED: &str = "helm-operator.ketches.cn/applied";
const UNAPPLIED: &str = "helm-operator.ketches.cn/unapplied";
const ENDED: &str = "helm-operator.ketches.cn/ended";
const ABSENT: &str = "helm-operator.ketches.cn/absent";
const REMEDIES: &str = "helm-operator.ketches.cn/remedies";
const UNREMEDIED: &str = "helm-operator.ketches.cn/unremedied";
const VARIES: &str = "helm-operator.ketches.cn/varies";
const HOOKED: &str = "helm-operator.ketches.cn/hooked";
const TESTED: &str = "helm-operator.ketches.cn/tested";
const HOOKS: &str = "helm-operator.ketches.cn/hooks";
const CLUSTER: &str = "helm-operator.ketches.cn/cluster";
const NAMESPACE: &str = "helm-operator.ketches.cn/namespace";
const HELD: &str = "helm-operator.ketches.cn/held";
const COPY_OF: &str = "helm-operator.ketches.cn/copy-of";
const COPY_FIRST: &str = "helm-operator.ketches.cn/copy-first";
const COPIED_VERSION: &str = "helm-operator.ketches.cn/copied-version";
const PLANNED: &str = "helm-operator.ketches.cn/planned";
const FORCED: &str = "helm-operator.ketches.cn/forced";
const FIELDS: &str = "helm-operator.ketches.cn/fields";
const WHY: &str = "helm-operator.ketches.cn/why";
const COUNTED: &str = "helm-operator.ketches.cn/counted";
const BYTES: &str = "helm-operator.ketches.cn/bytes";
const HOME: &str = "helm-operator.ketches.cn/home";
const ASKED: &str = "helm-operator.ketches.cn/asked";
const BASIS: &str = "helm-operator.ketches.cn/basis";
const LATELY: &str = "helm-operator.ketches.cn/lately";

/// All of them.
const KEYS: [&str; 29] = [
    OWNER, UID, GENERATION, INPUTS, DECLARED, CHART, DIGEST, ATTEMPT, MADE, APPLIED, ENDED, ABSENT, REMEDIES, HOOKED,
    CLUSTER, FIELDS, FORCED, HOOKS, NAMESPACE, PLANNED, TESTED, UNAPPLIED, UNREMEDIED, VARIES, WHY, HOME, ASKED, BASIS,
    LATELY,
];

/// "This revision was made by us for that."
///
/// Helm writes whole Secrets and drops annotations when it does: a record that a person touched with `helm`, by a
/// rollback say, comes back without marks.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "each is an annotation of its own")]
pub struct Marks {
    /// The object that declares the release, as `namespace/name`.
    pub owner: String,
    /// That object's uid: one of the same name made later is another.
    pub uid: String,
    /// That object's generation when the revision was made.
    pub generation: i64,
    /// The SHA-256 of everything the rendering depends on.
    pub inputs: String,
    /// The SHA-256 of what the object declares of it: chart, version and values, without what a registry answered.
    /// Empty in records of operators that did not write it.
    pub declared: String,
    /// The chart, as `name-version`.
    pub chart: String,
    /// The digest of the chart's manifest in the registry.
    pub digest: String,
    /// Which attempt in a row at these inputs of this generation the revision is, from 1. A restart goes on counting.
    pub attempt: u32,
    /// How many revisions were made for this generation, this one included, and since when.
    pub made: Made,
    /// How many were made of late whatever the generation, this one included, and since when.
    pub lately: Made,
    /// Why they were.
    pub why: Why,
    /// Whether all objects of the manifest were applied.
    pub applied: bool,
    /// For a revision that ended: whether none of them was, since the hooks before did not all succeed.
    pub unapplied: bool,
    /// Why it did not end well: the reason that the object's condition gives. `None` while it goes on, and after success.
    pub ended: Option<String>,
    /// Which objects of the manifest, by their position in it, were not there before: what may be deleted when the revision
    /// fails, by cleaning up or by a rollback. `None` where neither is declared, and once it is done.
    pub absent: Option<Vec<usize>>,
    /// For a rollback: the failure that it is the remedy for.
    pub remedies: Option<Remedied>,
    /// Whether a hook before the upgrade that runs something was completed.
    pub hooked: bool,
    /// For a revision that failed: whether its rollback cannot be prepared.
    pub unremedied: bool,
    /// How the chart's tests went; none before they are begun.
    pub tested: Option<Tested>,
    /// The demand of a person that it answers, by that person's word for it, where it was made though nothing had changed.
    pub forced: Option<String>,
    /// The demand of a person for a look that it answers, by that person's word for it: what was asked for when it was made.
    pub asked: Option<String>,
    /// The digest of the plan that was approved, where it is the revision of one.
    pub planned: Option<String>,
    /// What that plan rests on of what is declared, and of how it is carried out. Empty in records of operators that did not write it.
    pub basis: String,
    /// Which fields of each object of the manifest were applied, by a number for each in its order; 0 where that is not known.
    pub fields: Vec<u32>,
    /// Whose hooks were begun last: a hook of several events has one record of its last run for all of them.
    pub hooks: Option<HooksBegun>,
    /// The cluster, as the object that declares the release names it; empty for the operator's own. One cluster may have two
    /// names: a record that is seen in a cluster is of another name's where this says so.
    pub cluster: String,
    /// The operator's own cluster, by the uid of its namespace `kube-system`, where the record is in another one. Empty in records of
    /// the operator's own cluster, and where it is not known.
    pub home: String,
    /// The namespace of the release, where its records are in another one; empty where they are not.
    pub namespace: String,
    /// The templates that make something else each time they are rendered.
    pub varies: Vec<String>,
}

/// Revisions counted since a moment.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Made {
    /// When the counting began, to the second.
    pub since: Timestamp,
    /// How many were made since.
    pub revisions: u32,
}

impl Made {
    /// `seconds/count`, as written.
    fn parse(text: &str) -> Option<Self> {
        let (since, revisions) = text.split_once('/')?;
        Some(Self { since: Timestamp::from_second(since.parse().ok()?).ok()?, revisions: revisions.parse().ok()? })
    }

    fn text(self) -> String {
        format!("{}/{}", self.since.as_second(), self.revisions)
    }
}

/// A failed upgrade that was rolled back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Remedied {
    /// The revision that failed.
    pub failed: u32,
    /// The revision that is deployed again.
    pub to: u32,
    /// Which attempt in a row it was.
    pub attempt: u32,
    /// Why it failed: the reason that the object's condition gave.
    pub reason: String,
    /// What was declared of it, without what a registry answers.
    pub declared: String,
    /// The inputs it was made for.
    pub inputs: String,
}

impl Remedied {
    /// `failed/to/attempt/reason/declared/inputs`, as written.
    fn parse(text: &str) -> Option<Self> {
        let mut parts = text.splitn(6, '/');
        let mut number = || parts.next()?.parse().ok();
        let (failed, to, attempt) = (number()?, number()?, number()?);
        let mut text = || parts.next().map(str::to_owned);
        Some(Self { failed, to, attempt, reason: text()?, declared: text()?, inputs: text()? })
    }

    fn text(&self) -> String {
        let Self { failed, to, attempt, reason, declared, inputs } = self;
        format!("{failed}/{to}/{attempt}/{reason}/{declared}/{inputs}")
    }
}

/// A run of the chart's tests.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tested {
    /// How far it is.
    pub outcome: Outcome,
    /// How many tests were run.
    pub ran: usize,
    /// What was declared of the tests, in a few letters.
    pub declared: String,
    /// The demand that it answers, by a person's word for it; empty for the run that belongs to the revision.
    pub asked: String,
}

/// How a run of tests went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It goes on.
    Running,
    /// All passed.
    Passed,
    /// One failed.
    Failed,
}

impl Outcome {
    const ALL: [Self; 3] = [Self::Running, Self::Passed, Self::Failed];

    fn as_str(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Passed => "passed",
            Self::Failed => "failed",
        }
    }
}

impl Tested {
    /// `outcome/number/declared/demand`, as written.
    fn parse(text: &str) -> Option<Self> {
        let mut parts = text.splitn(4, '/');
        let outcome = parts.next()?;
        let outcome = Outcome::ALL.into_iter().find(|known| known.as_str() == outcome)?;
        let ran = parts.next()?.parse().ok()?;
        Some(Self { outcome, ran, declared: parts.next()?.to_owned(), asked: parts.next()?.to_owned() })
    }

    fn text(&self) -> String {
        let Self { outcome, ran, declared, asked } = self;
        format!("{}/{ran}/{declared}/{asked}", outcome.as_str())
    }
}

/// The hooks of one event, on their way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HooksBegun {
    /// The event.
    pub event: HookEvent,
    /// When the first of them was begun.
    pub since: Timestamp,
}

impl HooksBegun {
    /// `event/time`, as written.
    fn parse(text: &str) -> Option<Self> {
        let (event, since) = text.split_once('/')?;
        Some(Self { event: event.to_owned().into(), since: since.parse().ok()? })
    }
}

/// Numbers of eight hexadecimal digits each, without anything between them.
fn numbers(text: &str) -> Vec<u32> {
    let digits = text.as_bytes().chunks(8).filter_map(|digits| std::str::from_utf8(digits).ok());
    digits.map(|digits| u32::from_str_radix(digits, 16).unwrap_or_default()).collect()
}

fn digits(numbers: &[u32]) -> String {
    numbers.iter().fold(String::new(), |text, it| text + &format!("{it:08x}"))
}

fn lines(text: &str) -> Vec<String> {
    text.lines().map(str::to_owned).collect()
}

/// For which generation of the object that declares the release a revision that somebody else made is held.
pub(super) fn held(annotations: &BTreeMap<String, String>) -> Option<i64> {
    annotations.get(HELD)?.parse().ok()
}

/// What was counted until a revision of somebody else's was replaced.
pub(super) fn counted(annotations: &BTreeMap<String, String>) -> Option<Counted> {
    let why = annotations.get(WHY).map(|why| Why::parse(why)).unwrap_or_default();
    Counted::parse(annotations.get(COUNTED)?, why)
}

/// Puts that among the other annotations, or takes it away.
pub(super) fn note_count(counted: Option<&Counted>, annotations: &mut BTreeMap<String, String>) {
    annotations.remove(COUNTED);
    let Some(counted) = counted else { return };
    annotations.insert(COUNTED.to_owned(), counted.text());
    annotations.extend(counted.why.text().map(|why| (WHY.to_owned(), why)));
}

/// How many bytes a record had when we wrote it.
pub(super) fn bytes(annotations: &BTreeMap<String, String>) -> Option<u64> {
    annotations.get(BYTES)?.parse().ok()
}

/// Puts that among the other annotations.
pub(super) fn note_bytes(bytes: usize, annotations: &mut BTreeMap<String, String>) {
    annotations.insert(BYTES.to_owned(), bytes.to_string());
}

/// The Secret in another namespace that a record is a copy of, while records move.
pub(super) fn copy_of(annotations: &BTreeMap<String, String>) -> Option<CopyOf> {
    let secret = annotations.get(COPY_OF)?;
    let first = annotations.get(COPY_FIRST).unwrap_or(secret);
    Some(CopyOf { secret: secret.clone(), first: first.clone() })
}

/// The version of that Secret that was copied.
pub(super) fn copied_version(annotations: &BTreeMap<String, String>) -> Option<String> {
    annotations.get(COPIED_VERSION).cloned()
}

/// Notes of which Secret, and of which version of it, a record is a copy.
pub(super) fn note_copy(of: Option<String>, version: Option<String>, annotations: &mut BTreeMap<String, String>) {
    let first = copy_of(annotations).map(|copy| copy.first).or_else(|| of.clone());
    annotations.extend(first.map(|uid| (COPY_FIRST.to_owned(), uid)));
    annotations.extend(of.map(|uid| (COPY_OF.to_owned(), uid)));
    annotations.extend(version.map(|version| (COPIED_VERSION.to_owned(), version)));
}

/// Notes that a copy is written for itself, and so is of no version of the other Secret any more.
pub(super) fn note_own_write(annotations: &mut BTreeMap<String, String>) {
    annotations.remove(COPIED_VERSION);
}

/// Puts that among the other annotations, or takes it away.
pub(super) fn hold(held: Option<i64>, annotations: &mut BTreeMap<String, String>) {
    annotations.remove(HELD);
    annotations.extend(held.map(|generation| (HELD.to_owned(), generation.to_string())));
}

impl Marks {
    /// The marks among a Secret's annotations; none unless the first four are there.
    pub(super) fn of(annotations: &BTreeMap<String, String>) -> Option<Self> {
        let text = |key| annotations.get(key).cloned();
        Some(Self {
            owner: text(OWNER)?,
            uid: text(UID)?,
            generation: annotations.get(GENERATION)?.parse().ok()?,
            inputs: text(INPUTS)?,
            declared: text(DECLARED).unwrap_or_default(),
            chart: text(CHART).unwrap_or_default(),
            digest: text(DIGEST).unwrap_or_default(),
            attempt: annotations.get(ATTEMPT).and_then(|attempt| attempt.parse().ok()).unwrap_or(1),
            made: annotations.get(MADE).and_then(|made| Made::parse(made)).unwrap_or_default(),
            lately: annotations.get(LATELY).and_then(|made| Made::parse(made)).unwrap_or_default(),
            why: annotations.get(WHY).map(|why| Why::parse(why)).unwrap_or_default(),
            applied: annotations.contains_key(APPLIED),
            unapplied: annotations.contains_key(UNAPPLIED),
            ended: text(ENDED),
            absent: annotations.get(ABSENT).map(|list| list.split(',').filter_map(|at| at.parse().ok()).collect()),
            remedies: annotations.get(REMEDIES).and_then(|remedies| Remedied::parse(remedies)),
            hooked: annotations.contains_key(HOOKED),
            unremedied: annotations.contains_key(UNREMEDIED),
            tested: annotations.get(TESTED).and_then(|tested| Tested::parse(tested)),
            forced: text(FORCED),
            asked: text(ASKED),
            planned: text(PLANNED),
            basis: text(BASIS).unwrap_or_default(),
            fields: annotations.get(FIELDS).map(|fields| numbers(fields)).unwrap_or_default(),
            hooks: annotations.get(HOOKS).and_then(|hooks| HooksBegun::parse(hooks)),
            cluster: text(CLUSTER).unwrap_or_default(),
            home: text(HOME).unwrap_or_default(),
            namespace: text(NAMESPACE).unwrap_or_default(),
            varies: annotations.get(VARIES).map(|varies| lines(varies)).unwrap_or_default(),
        })
    }

    /// Puts the marks among the other annotations, or takes them away.
    pub(super) fn put(marks: Option<&Self>, annotations: &mut BTreeMap<String, String>) {
        for key in KEYS {
            annotations.remove(key);
        }
        // None is forgotten: what is written is read in the tests, with all of them set.
        let Some(marks) = marks.cloned() else { return };
        let marks = [
            (OWNER, Some(marks.owner)),
            (UID, Some(marks.uid)),
            (GENERATION, Some(marks.generation.to_string())),
            (INPUTS, Some(marks.inputs)),
            (DECLARED, Some(marks.declared)),
            (CHART, Some(marks.chart)),
            (DIGEST, Some(marks.digest)),
            (ATTEMPT, Some(marks.attempt.to_string())),
            (MADE, Some(marks.made.text())),
            (LATELY, (marks.lately != Made::default()).then(|| marks.lately.text())),
            (WHY, marks.why.text()),
            (APPLIED, marks.applied.then(|| "true".to_owned())),
            (UNAPPLIED, marks.unapplied.then(|| "true".to_owned())),
            (ENDED, marks.ended),
            (ABSENT, marks.absent.map(|absent| absent.iter().map(usize::to_string).collect::<Vec<_>>().join(","))),
            (REMEDIES, marks.remedies.map(|remedied| remedied.text())),
            (HOOKED, marks.hooked.then(|| "true".to_owned())),
            (UNREMEDIED, marks.unremedied.then(|| "true".to_owned())),
            (TESTED, marks.tested.map(|tested| tested.text())),
            (FORCED, marks.forced),
            (ASKED, marks.asked),
            (PLANNED, marks.planned),
            (BASIS, (!marks.basis.is_empty()).then_some(marks.basis)),
            (FIELDS, (!marks.fields.is_empty()).then(|| digits(&marks.fields))),
            (VARIES, (!marks.varies.is_empty()).then(|| marks.varies.join("\n"))),
            (HOOKS, marks.hooks.map(|HooksBegun { event, since }| format!("{event}/{since}"))),
            (CLUSTER, (!marks.cluster.is_empty()).then_some(marks.cluster)),
            (HOME, (!marks.home.is_empty()).then_some(marks.home)),
            (NAMESPACE, (!marks.namespace.is_empty()).then_some(marks.namespace)),
        ];
        annotations.extend(marks.into_iter().filter_map(|(key, value)| Some((key.to_owned(), value?))));
    }
}
