//! First stage: everything a release refers to, read; nothing judged but that it exists and may be used.

use std::collections::BTreeSet;
use std::sync::Arc;

use bytes::Bytes;
use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use kube::ResourceExt as _;

use super::artifact;
use super::claims;
use super::dependencies::{self, Dependency};
use super::rivals::{conflict, takes_from_elsewhere};
use super::trace::Trace;
use super::values::{self, Referenced};
use crate::api::{HelmRelease, Reason, ValuesKind, ValuesReference, shortened};
use crate::controller::access::{self, DereferencedRepository};
use crate::controller::causes::api_error;
use crate::controller::context::{Context, Slot};
use crate::controller::error::ReconcileError;
use crate::controller::matching::{self, Key, Wanted, dependencies};
use crate::controller::ownership::{self, Candidate, Owner, Viewer};
use crate::controller::place::Place;
use crate::controller::revisions::Revisions;
use crate::controller::source::Source;
use crate::controller::status;
use crate::controller::target::{ClusterKey, Target};
use crate::controller::watch;
use crate::history::{RecordMeta, ReleaseKey};
use crate::permits::Permit;
use crate::registry::ChartReference;

pub(crate) use crate::controller::matching::target;

/// A release's references, read.
pub(crate) struct DereferencedRelease {
    /// The chart's reference, without the version.
    pub(crate) chart: ChartReference,
    /// The repository whose credentials and trust are used; without one the registry is asked anonymously.
    pub(crate) repository: Option<DereferencedRepository>,
    /// The same in words, for messages.
    pub(crate) source: Source,
    /// What `valuesFrom` names.
    pub(crate) values: Vec<Referenced>,
    /// Where that is much: one of the few places in memory for so much, to be held as long as it is.
    pub(crate) room: Option<Permit>,
}

/// Reads what `release` refers to: its repository, and that one's Secrets. The slot is held at the end where values were read.
pub(crate) async fn dereference(
    release: &HelmRelease,
    (place, slot): (&Place, &Slot<'_>),
    trace: &mut Trace,
) -> Result<DereferencedRelease, ReconcileError> {
    let context = &*place.context;
    let own = Key::of(release);
    let wanted = Wanted::of(release)?;
    let choice = context.index().choose(&wanted)?;
    let (chart, used) = (choice.chart.clone(), choice.used.clone());
    let repository = match used {
        Some(used) => Some(access::dereference(used.repository, used.gives, context).await?),
        None => None,
    };
    let (values, room) = match Box::pin(values(release, (context, slot), trace)).await {
        // What it depends on may be what makes them.
        Err(error) if error.reason == Reason::ValuesNotFound => {
            let why = blocked(release, context)?.map(|why| ReconcileError::new(Reason::DependencyNotReady, why));
            return Err(why.unwrap_or(error));
        }
        values => values?,
    };
    Ok(DereferencedRelease { chart, repository, source: Source::new(own.namespace, choice), values, room })
}

/// Refuses a release that is another object's, or further away than the operator lets anybody reach.
pub(super) fn admit(release: &HelmRelease, place: &Place) -> Result<(), ReconcileError> {
    stays_within(release, &place.context)?;
    takes_over(release, Known::at(place)).map(drop)
}

/// Refuses what reaches into another namespace where the operator lets nobody do that.
pub(super) fn stays_within(release: &HelmRelease, context: &Context) -> Result<(), ReconcileError> {
    let Target { cluster, release: ReleaseKey { namespace: records, .. } } = target(release);
    let (own, namespace) = (release.namespace().unwrap_or_default(), matching::namespace(release));
    // Into another cluster it may with the rights of its kubeconfig.
    if !context.policy.no_cross_namespace_refs || cluster.is_some() {
        return Ok(());
    }
    let message = if namespace != own {
        format!(
            "spec.release.namespace is {namespace:?}, and the operator runs with --no-cross-namespace-refs: a HelmRelease installs into its own namespace {own:?} only"
        )
    } else if records != own {
        format!(
            "spec.storageNamespace is {records:?}, and the operator runs with --no-cross-namespace-refs: leave it out"
        )
    } else {
        return Ok(());
    };
    Err(ReconcileError::new(Reason::AccessDenied, message))
}

/// The values of a release that come from Secrets, as far as they can be read.
pub(crate) async fn secret_values(release: &HelmRelease, context: &Context) -> Vec<serde_json::Value> {
    let (mut referenced, mut room) = (Vec::new(), None);
    for reference in release.spec.values_from.iter().filter(|reference| reference.kind == ValuesKind::Secret) {
        let Ok(Ok(held)) = contents(reference, release, context).await else { continue };
        let text = held.get(values::key(reference)).unwrap_or_default();
        if values::check_size(&referenced, text.len()).is_err() {
            break;
        }
        if room.is_none() && values::size(&referenced) + text.len() > values::ORDINARY {
            room = Some(context.bounds.large_values.acquire(&release.namespace().unwrap_or_default()).await);
        }
        referenced.push(Referenced { reference: reference.clone(), content: Some(text.to_vec()) });
    }
    values::merge(None, &referenced).map(|merged| merged.secrets).unwrap_or_default()
}

/// Reads what `valuesFrom` names: within a slot, and what is much once there is room for it.
async fn values(
    release: &HelmRelease,
    (context, slot): (&Context, &Slot<'_>),
    trace: &mut Trace,
) -> Result<(Vec<Referenced>, Option<Permit>), ReconcileError> {
    let references = &release.spec.values_from;
    let mut found: Vec<Referenced> = Vec::with_capacity(references.len());
    let (mut artifacts, mut room) = (Vec::new(), None);
    while let Some(reference) = references.get(found.len()) {
        let at = found.len();
        let (artifact, held) = if let Some(url) = &reference.url {
            // A registry may take its time.
            slot.pause();
            let read = Box::pin(artifact::read(at, (url, reference), release, context, trace)).await?;
            let (artifact, file) = read.unzip();
            (artifact, file.map(Held::File))
        } else {
            slot.resume().await;
            let held = contents(reference, release, context).await?;
            (None, required(held, reference, at)?)
        };
        let text = held.as_ref().and_then(|held| held.get(values::key(reference)));
        let bytes = text.map_or(0, <[u8]>::len);
        // Many large ones are not all held before they are found to be too many.
        values::check_size(&found, bytes)?;
        if room.is_none() && values::size(&found) + bytes > values::ORDINARY {
            // Nothing is held meanwhile that others could have.
            drop(held);
            slot.pause();
            room = Some(context.bounds.large_values.acquire(&release.namespace().unwrap_or_default()).await);
            continue;
        }
        artifacts.extend(artifact);
        found.push(Referenced { reference: reference.clone(), content: text.map(<[u8]>::to_vec) });
    }
    trace.artifacts = Some(artifacts);
    context.forget_unused();
    Ok((found, room))
}

/// An object that holds values, as it is kept.
enum Held {
    ConfigMap(Arc<ConfigMap>),
    Secret(Arc<Secret>),
    /// A file of an artifact.
    File(Bytes),
}

impl Held {
    /// What a key of it holds.
    fn get(&self, key: &str) -> Option<&[u8]> {
        match self {
            Self::ConfigMap(map) => {
                let text = map.data.as_ref().and_then(|data| data.get(key)).map(String::as_bytes);
                text.or_else(|| Some(map.binary_data.as_ref()?.get(key)?.0.as_slice()))
            }
            Self::Secret(secret) => Some(secret.data.as_ref()?.get(key)?.0.as_slice()),
            Self::File(bytes) => Some(bytes),
        }
    }
}

/// What a reference led to; none where it is optional, and there is none.
fn required(
    held: Result<Held, String>,
    reference: &ValuesReference,
    at: usize,
) -> Result<Option<Held>, ReconcileError> {
    match held {
        Ok(held) => Ok(Some(held)),
        Err(_) if reference.optional => Ok(None),
        Err(missing) => {
            let message = format!(
                "{missing}, which spec.valuesFrom[{at}] names: create it, or set optional: true there; it is noticed at once"
            );
            Err(ReconcileError::new(Reason::ValuesNotFound, message))
        }
    }
}

/// The object that `reference` names, which has the key that it names; or what is missing.
async fn contents(
    reference: &ValuesReference,
    release: &HelmRelease,
    context: &Context,
) -> Result<Result<Held, String>, ReconcileError> {
    let (kind, wanted) = (reference.kind, values::key(reference));
    let key =
        &Key { namespace: release.namespace().unwrap_or_default(), name: reference.name.clone().unwrap_or_default() };
    let Key { namespace, name } = key;
    let unread = |error| api_error(&format!("read {} {key}", kind.as_str()), &error);
    let held = match kind {
        ValuesKind::ConfigMap => context.config_maps.get(namespace, name).await.map_err(unread)?.map(Held::ConfigMap),
        ValuesKind::Secret => context.secrets.get(namespace, name).await.map_err(unread)?.map(Held::Secret),
        // From before the API server asked for one.
        ValuesKind::OciArtifact => return Ok(Err("an OCIArtifact without url".to_owned())),
    };
    Ok(match held {
        Some(held) if held.get(wanted).is_none() => Err(format!("{} {key} has no key {wanted:?}", kind.as_str())),
        Some(held) => Ok(held),
        None => Err(format!("there is no {} {key}", kind.as_str())),
    })
}

/// Why `release` has to wait for others, if it has to.
///
/// # Errors
///
/// It depends on one of another namespace, which is forbidden.
pub(crate) fn blocked(release: &HelmRelease, context: &Context) -> Result<Option<String>, ReconcileError> {
    let own = Key::of(release);
    let wanted: Vec<(Key, bool)> = dependencies(release).collect();
    if let Some((stranger, _)) =
        wanted.iter().find(|(key, _)| context.policy.no_cross_namespace_refs && key.namespace != own.namespace)
    {
        let message = format!(
            "spec.dependsOn names HelmRelease {stranger}, and the operator runs with --no-cross-namespace-refs: depend on releases of namespace {} only",
            own.namespace
        );
        return Err(ReconcileError::new(Reason::AccessDenied, message));
    }
    Ok(dependencies::blocked(&own, &wanted, |key| {
        let found = context.releases.get(&watch::reference(key));
        if key.namespace != own.namespace {
            // Whoever may not read it is not to learn more of it here than what the release waits for.
            let ready = found.as_ref().and_then(|found| found.0.as_ref().ok()).filter(|other| super::is_ready(other));
            let depends_on = ready.map(keys).unwrap_or_default();
            return Some(Dependency {
                depends_on,
                unready: ready.is_none().then(|| "it is of another namespace".to_owned()),
            });
        }
        let found = found?;
        Some(match &found.0 {
            Ok(release) => Dependency { depends_on: keys(release), unready: unready(release) },
            Err(_) => Dependency { unready: Some("it cannot be read".to_owned()), ..Dependency::default() },
        })
    }))
}

/// The releases that `release` depends on.
pub(crate) fn keys(release: &HelmRelease) -> Vec<Key> {
    dependencies(release).map(|(key, _)| key).collect()
}

/// How much of the message of a release others repeat that wait for it, in bytes.
const TOLD: usize = 256;

fn unready(release: &HelmRelease) -> Option<String> {
    if super::is_ready(release) {
        return None;
    }
    let conditions = release.status.as_ref().map(|status| status.conditions.as_slice()).unwrap_or_default();
    let told =
        status::readiness(conditions).filter(|ready| !ready.is_true()).map(|ready| shortened(ready.message, TOLD));
    Some(told.unwrap_or_else(|| "its last change is not carried out yet".to_owned()))
}

/// What is known of Helm's history: in a place by that one, since a connection to its cluster that was made anew meanwhile knows
/// nothing at first, and whose a release is would be decided by less.
#[derive(Clone, Copy)]
pub(crate) struct Known<'a> {
    pub(super) context: &'a Context,
    place: Option<&'a Place>,
}

impl<'a> Known<'a> {
    /// What is known in `place`.
    pub(crate) fn at(place: &'a Place) -> Self {
        Self { context: &place.context, place: Some(place) }
    }

    /// What is known by the connections that are open.
    pub(crate) fn by(context: &'a Context) -> Self {
        Self { context, place: None }
    }

    /// The history in a cluster, where it is connected to.
    pub(super) fn revisions(self, cluster: Option<&ClusterKey>) -> Option<Revisions> {
        let here = self.place.filter(|place| place.key.as_ref() == cluster);
        here.map_or_else(|| self.context.revisions(cluster), |place| Some(place.revisions.clone()))
    }

    /// The history of a release, oldest first; empty where its cluster is not connected to.
    pub(super) fn of(self, target: &Target) -> Vec<RecordMeta> {
        self.revisions(target.cluster.as_ref()).map(|known| known.of(&target.release)).unwrap_or_default()
    }
}

/// Whether `release` has the Helm release that it declares in another object's place, whose marks the history still bears.
///
/// # Errors
///
/// Another object has it.
pub(crate) fn takes_over(release: &HelmRelease, known: Known<'_>) -> Result<bool, ReconcileError> {
    let (own, uid) = (Key::of(release), release.uid().unwrap_or_default());
    let target = target(release);
    let revisions = known.of(&target);
    match owner_of(&target, &revisions, known.context) {
        Some(rival) if rival.key != own => {
            Err(ReconcileError::new(Reason::ReleaseNameConflict, conflict(&rival, release, known)))
        }
        owner => {
            claims::shares_objects(release, known)?;
            if let Some(newest) = ownership::made_elsewhere(&revisions, viewer(&uid, &target, known.context)) {
                return takes_from_elsewhere(release, newest, &revisions);
            }
            Ok(owner.is_some_and(|owner| owner.adopted.is_some()))
        }
    }
}

/// The history of the Helm release that `release` declares, oldest first, where that is known to be its own: another's is not told.
pub(crate) fn own_revisions(release: &HelmRelease, context: &Context) -> Option<Vec<RecordMeta>> {
    let (own, target) = (Key::of(release), target(release));
    let revisions = context.revisions_of(&target);
    let owner = owner_of(&target, &revisions, context).filter(|owner| owner.key == own)?;
    // Whose Helm's own records are that nobody has taken over yet is not known, but to those in whose namespace they are.
    let is_local = target.cluster.is_none() && target.release.namespace == own.namespace;
    (owner.has_installed() || is_local || revisions.is_empty()).then_some(revisions)
}

/// Whether an object of another cluster has the release, and none here.
pub(crate) fn is_elsewhere(release: &HelmRelease, context: &Context) -> bool {
    let target = target(release);
    let (revisions, own) = (context.revisions_of(&target), Key::of(release));
    let uid = release.uid().unwrap_or_default();
    let is_here = owner_of(&target, &revisions, context).is_some_and(|owner| owner.key != own);
    !is_here && ownership::made_elsewhere(&revisions, viewer(&uid, &target, context)).is_some()
}

/// The object with this uid, as one for which it is asked whose `target` is.
fn viewer<'a>(uid: &'a str, target: &Target, context: &'a Context) -> Viewer<'a> {
    Viewer { uid, home: context.own_cluster.uid(), is_remote: target.cluster.is_some() }
}

/// The object that owns the Helm release `target`, which has these revisions, of all that are there.
pub(crate) fn owner_of(target: &Target, revisions: &[RecordMeta], context: &Context) -> Option<Owner> {
    let marked = revisions.iter().filter_map(|meta| Key::parse(&meta.marks.as_ref()?.owner));
    let keys: BTreeSet<Key> = context.index().declaring(target).cloned().chain(marked).collect();
    let objects = keys.iter().filter_map(|key| context.releases.get(&watch::reference(key)));
    let candidates: Vec<Candidate> = objects.map(|object| Candidate::of(&object, target)).collect();
    ownership::owner(revisions, &candidates)
}
