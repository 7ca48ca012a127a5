//! Objects of a deployed revision that somebody changed or deleted: told of, or made as they were, each for itself, without a
//! new revision and without hooks.

use std::collections::BTreeMap;

use futures::StreamExt as _;

use super::{Task, prepare, record};
use crate::api::{HelmReleaseStatus, Reason};
use crate::cluster::{Deviation, Drift, Fingerprint, Object, ObjectRef};
use crate::controller::error::{ReconcileError, chain};
use crate::controller::live::{self, CORRECTIONS, FOUGHT_WITHIN, Finding, Suspect};
use crate::controller::matching;
use crate::controller::release::differences::Tolerance;
use crate::controller::release::trace::Trace;
use crate::controller::waits::For;

/// Objects that are looked at at the same time.
const AT_ONCE: usize = 8;

/// Most fields of one object that are named.
const NAMED: usize = 8;

/// Kinds of what runs once: made anew it would run again.
const RUN_ONCE: [&str; 2] = ["Job", "Pod"];

/// Has the objects of a revision that is deployed watched.
pub(super) async fn watch(revision: u32, task: &Task<'_>, trace: &Trace) -> Result<(), ReconcileError> {
    let (live, identity) = (&task.place.context.live, &task.desired.identity);
    let of = For { revision, generation: identity.generation };
    if live.covers(&identity.uid, of) {
        return Ok(());
    }
    let objects = match listed(revision, task, trace) {
        Some(objects) => objects,
        None => match record::read(task.place, &identity.release, revision).await? {
            Some(record) => {
                task.place.objects_of(&record).await?.iter().map(|object| object.reference().clone()).collect()
            }
            None => return Ok(()),
        },
    };
    let revisions = task.place.revisions.of(&identity.release);
    let marks = revisions.iter().find(|meta| meta.revision == revision).and_then(|meta| meta.marks.as_ref());
    let fields = marks.map(|marks| marks.fields.as_slice()).filter(|fields| fields.len() == objects.len());
    let resources = task.place.cluster.resources_of(&objects).await?;
    let fields = |at: usize| fields.and_then(|fields| Fingerprint::from_number(fields[at]));
    let objects = objects.into_iter().zip(resources).enumerate();
    let objects = objects.filter_map(|(at, (object, resource))| Some((resource?, object, fields(at)))).collect();
    live.begin(task.release, (of, task.desired.differences.drift.watched), objects, &task.place.cluster);
    Ok(())
}

/// The objects of a revision, in its order, as they are known without its record.
fn listed(revision: u32, task: &Task<'_>, trace: &Trace) -> Option<Vec<ObjectRef>> {
    let inventory = match (&trace.contents, &task.release.status) {
        (Some(contents), _) => &contents.inventory,
        (None, Some(HelmReleaseStatus { helm_release: Some(state), inventory: Some(inventory), .. }))
            if state.revision == i64::from(revision) && matching::told(state) == task.desired.identity.release =>
        {
            inventory
        }
        _ => return None,
    };
    let is_whole = usize::try_from(inventory.objects).is_ok_and(|objects| objects == inventory.entries.len());
    let object = |entry: &crate::api::InventoryEntry| ObjectRef {
        group: entry.group.clone(),
        kind: entry.kind.clone(),
        namespace: entry.namespace.clone(),
        name: entry.name.clone(),
    };
    is_whole.then(|| inventory.entries.iter().map(object).collect())
}

/// Looks at the objects of a deployed revision of which the watches showed something, and does about it what is declared.
/// What fails is told, and keeps nothing else from being done.
pub(super) async fn inspect(revision: u32, task: &Task<'_>, trace: &mut Trace) -> Result<(), ReconcileError> {
    let (context, identity) = (&task.place.context, &task.desired.identity);
    task.slot.resume().await;
    let of = For { revision, generation: identity.generation };
    let later = || live::retry_later(identity.uid.clone(), of, context);
    // Helm writes the record before it touches an object: one that somebody wrote a moment ago is planned for anew.
    let objects = match record::get(task, revision).await {
        Ok(record) => task.place.objects_of(&record).await,
        Err(error) => Err(error),
    };
    let objects = match objects {
        Ok(objects) => objects,
        Err(error) => {
            tracing::warn!(object = %identity.owner, error = %error.message, "failed to look at objects that changed; trying again");
            later();
            return Ok(());
        }
    };
    let objects: BTreeMap<&ObjectRef, &Object> = objects.iter().map(|object| (object.reference(), object)).collect();
    let options = prepare::options(&task.desired.upgrade, task);
    let tolerance = &task.desired.differences.drift;
    let drift = Drift { options: &options, ignore: &tolerance.ignore };
    let suspects = context.live.suspects(&identity.uid, revision);
    let look = async |suspect: Suspect| match objects.get(&suspect.object) {
        Some(object) => (Some(task.place.cluster.deviation(object, drift).await), suspect),
        // Its kind is served no more.
        None => (None, suspect),
    };
    let looked: Vec<_> = futures::stream::iter(suspects).map(look).buffered(AT_ONCE).collect().await;
    let mut has_failed = false;
    // In the order in which they are installed.
    for (deviation, suspect) in looked {
        let finding = match deviation {
            None => Finding::Nothing,
            Some(Err(error)) => Finding::Failed(format!("{}: {}", suspect.object, chain(&error))),
            Some(Ok(deviation)) => {
                let object = objects[&suspect.object];
                settle(object, deviation, &suspect, (drift, tolerance), (task, trace)).await
            }
        };
        has_failed |= matches!(finding, Finding::Failed(_));
        let told = match &finding {
            Finding::Told(words) => Some((Reason::DriftDetected, words.clone())),
            Finding::Failed(words) => Some((Reason::DriftCorrectionFailed, words.clone())),
            Finding::Nothing | Finding::Let | Finding::Corrected(_) => None,
        };
        let is_news = context.live.found(&identity.uid, &suspect, finding);
        if let Some((reason, words)) = told.filter(|_| is_news) {
            trace.warn(reason, words);
        }
    }
    if has_failed {
        later();
    }
    Ok(())
}

/// Does what is declared about what became of an object.
async fn settle(
    object: &Object,
    deviation: Deviation,
    suspect: &Suspect,
    (drift, tolerance): (Drift<'_>, &Tolerance),
    (task, trace): (&Task<'_>, &mut Trace),
) -> Finding {
    let kind = suspect.object.kind.as_str();
    let (words, is_wanted) = match deviation {
        Deviation::None | Deviation::Leaving => return Finding::Nothing,
        Deviation::Let => return Finding::Let,
        // It removed itself when it was done.
        Deviation::Missing if object.vanishes() => return Finding::Nothing,
        Deviation::Missing => {
            let restores = tolerance.restore && (tolerance.correct || !RUN_ONCE.contains(&kind));
            (format!("{} is missing", suspect.object), restores)
        }
        Deviation::Changed { paths, by } => {
            (format!("{}: {}", suspect.object, changes(&paths, &by)), tolerance.correct)
        }
        Deviation::Foreign { release: Some(release) } => {
            return Finding::Told(format!("{} belongs to release {release} now", suspect.object));
        }
        Deviation::Foreign { release: None } => {
            let words = format!("{} was made anew by somebody else, and is no release's", suspect.object);
            return Finding::Told(words);
        }
    };
    if !is_wanted {
        return Finding::Told(words);
    }
    if suspect.is_fought_over {
        return Finding::Told(format!(
            "{words}; it was corrected {CORRECTIONS} times within {} minutes, and changed again each time: find out what else writes \
             it, or let it by spec.driftDetection.ignore",
            FOUGHT_WITHIN.as_secs() / 60
        ));
    }
    match task.place.cluster.correct(object, drift).await {
        Ok(applied) => {
            trace.corrected.push(words);
            Finding::Corrected(Box::new(applied))
        }
        Err(error) => {
            let error = trace.masked(ReconcileError::from(error));
            Finding::Failed(format!("{words}, and could not be made as it was: {}", error.message))
        }
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
