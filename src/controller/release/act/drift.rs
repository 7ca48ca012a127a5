//! Objects of a deployed revision that somebody changed or deleted: told of, or made as they were, each for itself, without a
//! new revision and without hooks.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use futures::StreamExt as _;
use helm::release::Release;
use serde_json::json;
use tokio::time::Instant;

use super::{DeployedRelease, masked, prepare, record};
use crate::api::{ConditionType, HelmReleaseStatus, REQUESTED_AT, ReleaseState};
use crate::cluster::{
    Applied, Cluster, Deviation, Drift, Error, Fingerprint, HealthChecks, Object, ObjectRef, Resource,
};
use crate::controller::error::ReconcileError;
use crate::controller::live::{self, CORRECTIONS, FOUGHT_WITHIN, Finding, Suspect, Watch, Watched};
use crate::controller::matching::{self, Key};
use crate::controller::release::differences::Tolerance;
use crate::controller::release::trace::Trace;
use crate::controller::waits::RevisionRef;
use crate::history::{self, Record};

/// Objects that are looked at at the same time.
const AT_ONCE: usize = 8;

/// Most objects of one release that are watched.
const WATCHED: usize = 5000;

/// Most fields of one object that are named.
const NAMED: usize = 8;

/// Has the objects of a revision that is deployed watched.
pub(super) async fn watch(revision: u32, deployed: &DeployedRelease<'_>, trace: &Trace) -> Result<(), ReconcileError> {
    let (live, identity) = (&deployed.place.context.live, deployed.identity);
    let of = RevisionRef { revision, generation: identity.generation };
    let declared = declared(deployed);
    if live.covers(&identity.uid, of, declared) {
        return Ok(());
    }
    let objects = match listed(revision, deployed, trace) {
        Some(objects) => objects,
        None => match record::read(deployed.place, &identity.release, revision).await? {
            Some(record) => {
                deployed.place.objects_of(&record).await?.iter().map(|object| object.reference().clone()).collect()
            }
            None => return Ok(()),
        },
    };
    if objects.len() > WATCHED {
        live.end(&identity.uid);
        return Ok(());
    }
    let revisions = deployed.place.revisions.of(&identity.release);
    let marks = revisions.iter().find(|meta| meta.revision == revision).and_then(|meta| meta.marks.as_ref());
    let fields = marks.map(|marks| marks.fields.as_slice()).filter(|fields| fields.len() == objects.len());
    let fields = |at: usize| fields.and_then(|fields| Fingerprint::from_number(fields[at]));
    let (resources, reach) = (deployed.place.cluster.resources_of(&objects).await?, deployed.place.reach());
    let judge = Judge {
        cluster: deployed.place.cluster.clone(),
        checks: deployed.maintenance.checks.clone(),
        has_account: deployed.place.subject.account.is_some(),
    };
    let mut watched = Watched::default();
    // What is out of reach is none of the release's business, though a record says so.
    for (at, (object, resource)) in objects.into_iter().zip(resources).enumerate().filter(|it| reach.covers(&it.1.0)) {
        match resource {
            Some(resource) if judge.may_judge(&object, &resource).await => {
                watched.objects.push((resource, object, fields(at)));
            }
            _ => watched.left_out.push(object),
        }
    }
    let conditions = deployed.release.status.as_ref().map(|status| status.conditions.as_slice()).unwrap_or_default();
    let is_not =
        |kind: ConditionType, good: &str| conditions.iter().any(|it| it.type_ == kind.as_str() && it.status != good);
    let watch = Watch {
        of,
        declared,
        compares: deployed.maintenance.differences.drift.watched,
        is_in_doubt: !watched.left_out.is_empty()
            || deployed.release.spec.drift_detection.is_some()
            || is_not(ConditionType::Drifted, "False")
            || is_not(ConditionType::Healthy, "True"),
    };
    let left_out = watched.left_out.clone();
    let begun = live.begin(deployed.release, watch, watched, (&deployed.place.cluster, &deployed.maintenance.checks));
    if !left_out.is_empty() {
        let is_there = async move || judge.may_judge_any(&left_out).await;
        live::watch_when_there(begun, is_there, &deployed.place.context);
    }
    Ok(())
}

/// Which objects may be looked at on behalf of the release: an expression of the object's own tells of whatever it is asked of, so it
/// is asked only of what the release's account may read.
struct Judge {
    cluster: Cluster,
    checks: HealthChecks,
    has_account: bool,
}

impl Judge {
    async fn may_judge(&self, object: &ObjectRef, resource: &Resource) -> bool {
        !self.has_account
            || self.checks.is_by_kind(&object.group, &object.kind)
            || self.cluster.may_read(object, resource).await.unwrap_or(false)
    }

    /// Whether one of `objects` can be watched now.
    async fn may_judge_any(&self, objects: &[ObjectRef]) -> bool {
        let resources = self.cluster.resources_now(objects).await.unwrap_or_default();
        for (object, resource) in objects.iter().zip(resources) {
            if let Some(resource) = resource
                && self.may_judge(object, &resource).await
            {
                return true;
            }
        }
        false
    }
}

/// What is declared of drift, in a number.
fn declared(deployed: &DeployedRelease<'_>) -> u64 {
    let mut hasher = DefaultHasher::new();
    json!(deployed.release.spec.drift_detection).to_string().hash(&mut hasher);
    hasher.finish()
}

/// The objects of a revision, in its order, as they are known without its record.
fn listed(revision: u32, deployed: &DeployedRelease<'_>, trace: &Trace) -> Option<Vec<ObjectRef>> {
    // After an upgrade that failed it is not the newest.
    let is_this = |state: &ReleaseState| state.revision == i64::from(revision);
    let inventory = match (&trace.contents, &deployed.release.status) {
        (Some(contents), _) if trace.state.as_ref().is_some_and(is_this) => &contents.inventory,
        (_, Some(HelmReleaseStatus { helm_release: Some(state), inventory: Some(inventory), .. }))
            if is_this(state)
                && matching::told(state, &Key::of(deployed.release).namespace) == deployed.identity.target() =>
        {
            inventory
        }
        _ => return None,
    };
    let is_whole = usize::try_from(inventory.objects).is_ok_and(|objects| objects == inventory.entries.len());
    is_whole.then(|| inventory.entries.iter().cloned().map(ObjectRef::from).collect())
}

/// Looks at the objects of a deployed revision of which the watches showed something, and does about it what is declared.
/// What fails is told, and keeps nothing else from being done.
pub(super) async fn inspect(
    revision: u32,
    deployed: &DeployedRelease<'_>,
    trace: &mut Trace,
) -> Result<(), ReconcileError> {
    let (context, identity) = (&deployed.place.context, deployed.identity);
    let (live, of) = (&context.live, RevisionRef { revision, generation: identity.generation });
    deployed.slot.resume().await;
    let Ok((record, objects)) = objects_of(revision, deployed).await else {
        live::retry_later(identity.uid.clone(), of, context);
        return Ok(());
    };
    // What comes now waits for the API server, and may do so for long.
    deployed.slot.pause();
    let objects: BTreeMap<&ObjectRef, &Object> = objects.iter().map(|object| (object.reference(), object)).collect();
    let (options, tolerance) =
        (prepare::options(&deployed.maintenance.upgrade, deployed), &deployed.maintenance.differences.drift);
    let inspection = Inspection {
        objects: &objects,
        drift: Drift { options: &options, ignore: &tolerance.ignore },
        tolerance,
        release: &record.release,
        deployed,
    };
    let look = async |suspect: Suspect| match objects.get(&suspect.object) {
        Some(object) => (Some(deployed.place.cluster.deviation(object, inspection.drift).await), suspect),
        // Its kind is served no more.
        None => (None, suspect),
    };
    let suspects = live.suspects(&identity.uid, revision);
    let mut left = live.until_looked_at(&identity.uid, revision, &suspects);
    let looked: Vec<_> = futures::stream::iter(suspects).map(look).buffered(AT_ONCE).collect().await;
    let deadline = Instant::now() + deployed.maintenance.upgrade.timeout;
    let mut has_failed = false;
    // In the order in which they are installed.
    for (deviation, suspect) in looked {
        let finding = match deviation {
            None => Finding::Unserved,
            Some(Err(error @ Error::Invalid { .. })) => Finding::Failed(format!(
                "{}, so that no apply can undo what somebody changed: put it back, or delete the object, which is then made anew",
                inspection.words(error, trace).await
            )),
            Some(Err(error)) => {
                Finding::Failed(format!("{}: {}", suspect.object, inspection.words(error, trace).await))
            }
            Some(Ok(deviation)) => inspection.settle(objects[&suspect.object], deviation, &suspect, trace).await,
        };
        let is_failure = matches!(finding, Finding::Failed(_));
        has_failed |= is_failure || matches!(finding, Finding::Early(_));
        left.without(&suspect);
        let (told, is_news) = (finding.told(), live.found(&identity.uid, &suspect, finding));
        if let Some((reason, words)) = told.filter(|_| is_news) {
            trace.warn(reason, words);
        }
        // What comes next was decided by a record that is no longer the newest; or would fail, too, each in its time.
        if !inspection.is_current(&record) || (is_failure && Instant::now() >= deadline) {
            break;
        }
    }
    drop(left);
    if has_failed {
        live::retry_later(identity.uid.clone(), of, context);
    } else {
        live.succeeded(&identity.uid);
    }
    live::wake_when_due(&identity.uid, context);
    Ok(())
}

/// The record of a deployed revision, and its objects. Helm writes the record before it touches an object: one that somebody wrote
/// a moment ago is planned for anew.
async fn objects_of(revision: u32, deployed: &DeployedRelease<'_>) -> Result<(Record, Vec<Object>), ReconcileError> {
    let read = async {
        let record = record::get(deployed, revision).await?;
        let objects = deployed.place.objects_of(&record).await?;
        Ok((record, objects))
    };
    let told = |error: &ReconcileError| {
        let object = &deployed.identity.owner;
        tracing::warn!(%object, error = %error.message, "failed to read the record of objects that changed; trying again");
    };
    read.await.inspect_err(told)
}

/// What objects are looked at with.
struct Inspection<'a> {
    /// The objects of the revision.
    objects: &'a BTreeMap<&'a ObjectRef, &'a Object>,
    drift: Drift<'a>,
    tolerance: &'a Tolerance,
    release: &'a Release,
    deployed: &'a DeployedRelease<'a>,
}

impl Inspection<'_> {
    /// Does what is declared about what became of an object.
    async fn settle(&self, object: &Object, deviation: Deviation, suspect: &Suspect, trace: &mut Trace) -> Finding {
        let (words, is_wanted) = match deviation {
            Deviation::None | Deviation::Leaving => return Finding::Nothing,
            // It removed itself when it was done.
            Deviation::Missing if object.vanishes() => return Finding::Nothing,
            Deviation::Missing if suspect.was_restored && !self.is_made_anew(suspect) => {
                let words = format!(
                    "{} is missing again, after it was made anew; annotate this object with {REQUESTED_AT} to have it made anew once more",
                    suspect.object
                );
                (words, false)
            }
            Deviation::Missing => (format!("{} is missing", suspect.object), self.is_made_anew(suspect)),
            Deviation::Changed { paths, by } => {
                (format!("{}: {}", suspect.object, changes(&paths, &by)), self.tolerance.correct)
            }
            Deviation::Foreign { release: Some(release) } => {
                return Finding::Foreign(format!("{} belongs to release {release} now", suspect.object));
            }
            Deviation::Foreign { release: None } => {
                let words = format!("{} was made anew by somebody else, and is no release's", suspect.object);
                return Finding::Foreign(words);
            }
        };
        if suspect.was_foreign {
            return Finding::Told(format!("{words}; it was somebody else's"));
        }
        if !is_wanted {
            return Finding::Told(words);
        }
        if suspect.is_fought_over {
            return Finding::Told(format!(
                "{words}; it was corrected {CORRECTIONS} times within {} minutes, and changed again each time: find out what else writes \
                 it, or allow it in spec.driftDetection.ignore",
                FOUGHT_WITHIN.as_secs() / 60
            ));
        }
        match self.correct(object).await {
            Ok(applied) => {
                trace.corrected.push(words);
                Finding::Corrected(Box::new(applied))
            }
            // The watch that shows it to be gone may be later than this object's.
            Err(Error::NamespaceMissing { namespace, .. }) if self.makes_namespace(&namespace) => Finding::Early(words),
            Err(error) => {
                let error = self.words(error, trace).await;
                Finding::Failed(format!("{words}, and could not be made as it was: {error}"))
            }
        }
    }

    /// Makes an object as it was applied, with its namespace where that went, too, and is the release's to make.
    async fn correct(&self, object: &Object) -> Result<Applied, Error> {
        let &DeployedRelease { identity, maintenance, place, .. } = self.deployed;
        let cluster = &place.cluster;
        match cluster.correct(object, self.drift).await {
            Err(Error::NamespaceMissing { namespace, .. })
                if maintenance.create_namespace && namespace == identity.namespace =>
            {
                cluster.ensure_namespace(&namespace).await?;
                cluster.correct(object, self.drift).await
            }
            corrected => corrected,
        }
    }

    /// Whether a namespace is an object of the release.
    fn makes_namespace(&self, name: &str) -> bool {
        let is_it = |object: &ObjectRef| object.group.is_empty() && object.kind == "Namespace" && object.name == name;
        self.objects.keys().any(|object| is_it(object))
    }

    /// Whether an object that is missing is made anew.
    fn is_made_anew(&self, suspect: &Suspect) -> bool {
        let ObjectRef { group, .. } = &suspect.object;
        let by_default = !suspect.object.runs_once() && !suspect.object.is_volume();
        // What a controller we do not know takes away when it is done would be done again and again.
        let is_known = by_default && (!group.contains('.') || group.ends_with(".k8s.io"));
        self.tolerance.restore && (self.tolerance.correct || by_default) && (is_known || !suspect.was_restored)
    }

    /// Whether the record is still that of what is deployed, as it was read.
    fn is_current(&self, record: &Record) -> bool {
        let revisions = self.deployed.place.revisions.of(&self.deployed.identity.release);
        history::deployed(&revisions).is_some_and(|known| {
            known.revision == record.revision() && known.resource_version == record.resource_version()
        })
    }

    /// What the cluster said, without what the Secrets of the release hold.
    async fn words(&self, error: Error, trace: &Trace) -> String {
        trace.masked(masked(ReconcileError::from(error), self.release).await).message
    }
}

/// Which fields were changed, and who did, as far as the object tells.
fn changes(paths: &[String], by: &[String]) -> String {
    let named = paths.iter().take(NAMED).map(String::as_str).collect::<Vec<_>>().join(", ");
    let more = match paths.len().saturating_sub(NAMED) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    let by = match by {
        [] => String::new(),
        by => format!(" by {}", by.join(", ")),
    };
    format!("{named}{more} changed{by}")
}
