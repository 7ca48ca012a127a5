//! Up to the record: fetch, render, find the objects, refuse what may not be touched, then write `pending-*`.
//!
//! Nothing of this leaves a trace in the cluster (but the namespace and CRDs that were asked for) until the last line. What
//! waits for approval leaves none at all (`planning`).

use std::time::Duration;

use helm::engine::Warning;
use helm::release::{ApplyMethod, Info, Release, Status};
use kube::ResourceExt as _;
use serde_json::{Map, Value};

use super::definitions::{Definitions, make_way};
use super::{Deadline, DeployedRelease, Task, adopt, deployed, random, record, rollback, uninstall};
use crate::api::{ADOPT, REQUESTED_AT, Reason};
use crate::cluster::{ApplyOptions, Existing, Object, Owner, Reach, Source};
use crate::controller::error::ReconcileError;
use crate::controller::matching::{self, Key};
use crate::controller::ownership;
use crate::controller::place::Place;
use crate::controller::release::fetch;
use crate::controller::release::plan::{self, Step, StepKind};
use crate::controller::release::rate;
use crate::controller::release::render::{self, Again};
use crate::controller::release::reuse::Given;
use crate::controller::release::rivals;
use crate::controller::release::trace::Trace;
use crate::controller::release::validate::{Action, Identity};
use crate::controller::target;
use crate::controller::watch;
use crate::history::{Marks, Planned, Record, RecordMeta, ReleaseKey};

/// Most objects that a record notes as new: annotations may have 256 KB in all.
const NOTED: usize = 10_000;

/// A revision that is recorded as pending, with everything needed to carry it out.
pub(super) struct Pending {
    /// Its record.
    pub(super) record: Record,
    /// The objects of its manifest, in install order, known to be free or ours.
    pub(super) objects: Vec<Object>,
    /// What is known of those objects as they are.
    pub(super) claims: Existing,
    /// The records of the revisions it replaces.
    pub(super) replaced: Vec<Record>,
    /// When the action ends.
    pub(super) deadline: Deadline,
    /// Whether nothing of it can have been applied before.
    pub(super) is_new: bool,
}

/// What came of the preparations.
pub(super) enum Prepared {
    /// Nothing is to be carried out: the deployed revision, made by somebody else or for an older Kubernetes, is just what
    /// would be made, and marked as ours; or it is held; or a rollback was given up. What comes next is planned anew.
    Adopted,
    /// A revision is pending.
    Recorded(Box<Pending>),
}

/// Prepares a new revision.
pub(super) async fn prepare(step: &Step, task: &Task<'_>, trace: &mut Trace) -> Result<Prepared, ReconcileError> {
    if let Some(remedied) = &step.remedies {
        return match Box::pin(rollback::prepare(step, remedied, task)).await {
            Ok(pending) => Ok(Prepared::Recorded(Box::new(pending))),
            Err(error) => Box::pin(rollback::give_up(remedied, error, task, trace)).await.map(|()| Prepared::Adopted),
        };
    }
    let proposal = Box::pin(propose(step, Writes::Allowed, task, trace)).await?;
    if Box::pin(deployed::is_there(step, &proposal, task, trace)).await? {
        return Ok(Prepared::Adopted);
    }
    warn_of_others(step, task, trace);
    Box::pin(commit(step, proposal, task, trace)).await.map(|pending| Prepared::Recorded(Box::new(pending)))
}

/// A revision that is not recorded yet.
pub(super) struct Proposal {
    /// What its record is to hold.
    pub(super) release: Release,
    /// The records of the revisions it replaces.
    pub(super) replaced: Vec<Record>,
    /// What another render made, where some of it is left to chance.
    pub(super) again: Option<Again>,
    /// The templates that make something else each time.
    pub(super) varies: Vec<String>,
    /// The definitions in the chart's `crds/`, where they are installed.
    pub(super) definitions: Definitions,
    /// The plan that it was approved by, if by one.
    pub(super) planned: Option<Planned>,
}

/// Whether anything may be written before a revision is recorded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Writes {
    /// The namespace and the definitions that were asked for: templates may look for them.
    Allowed,
    /// Nothing: templates find what there is, and the kinds of the definitions among the capabilities.
    Forbidden,
}

/// Fetches and renders.
pub(super) async fn propose(
    step: &Step,
    writes: Writes,
    task: &Task<'_>,
    trace: &mut Trace,
) -> Result<Proposal, ReconcileError> {
    let action = action(step, task);
    // Here it queues, as hundreds may: what comes later is made when it is needed.
    let chart = Box::pin(fetch::fetch(task.desired, task.resolved, task.slot, &task.place.context, trace)).await?;
    task.place.admit(&task.desired.identity.release).await?;
    let replaced = Box::pin(record::get_all(task, &step.replaces)).await?;
    adopt::admit_chart(replaced.last(), &chart.chart.metadata.name, task)?;
    let given = given(step, &replaced, task);
    let config = (*given.values).clone();
    let definitions = Definitions::of(&chart, &given, action)?;
    let mut missing = definitions.sources();
    if writes == Writes::Allowed {
        Box::pin(make_way(step, &definitions, task)).await?;
        missing.clear();
    }
    let mut rendered = Box::pin(render::render(step, (&chart, given), (action, &missing), task)).await?;
    for warning in &rendered.warnings {
        let (reason, message) = warned(warning);
        trace.warn(reason, message);
    }
    let again = rendered.again.take();
    let (varies, release) = (random::named(again.as_ref()), pending(step, task, (rendered, config), &replaced));
    Ok(Proposal { release, replaced, again, varies, definitions, planned: None })
}

/// What the chart is rendered with.
pub(super) fn given(step: &Step, replaced: &[Record], task: &Task<'_>) -> Given {
    match step.kind {
        StepKind::Upgrade if task.desired.reuse_values => Given::reusing(&task.desired.values, replaced),
        _ => Given::declared(&task.desired.values),
    }
}

/// Refuses what may not be touched, then records what is proposed as pending.
pub(super) async fn commit(
    step: &Step,
    Proposal { release, replaced, again, varies, definitions: _, planned }: Proposal,
    task: &Task<'_>,
    trace: &mut Trace,
) -> Result<Pending, ReconcileError> {
    let action = action(step, task);
    let (objects, claims) = Box::pin(objects(&release, action, task)).await?;
    Box::pin(admit(&claims, &replaced, task, trace)).await?;
    let basis = planned.as_ref().map(|planned| planned.basis.clone()).unwrap_or_default();
    let planned = planned.map(|planned| planned.digest);
    let mut marks = Marks { planned, basis, varies, ..marks(step, task) };
    drop(again);
    // What did not exist before is what cleaning up, or a rollback, may take away.
    if (action.cleanup_on_fail || task.desired.remedies.rollback) && step.kind == StepKind::Upgrade {
        marks.absent = absent(&objects, &claims);
    }
    // Time in queues, and what a registry took, is not the action's.
    let deadline = Deadline::of(action);
    let record = Box::pin(record::create(release, marks, task)).await?;
    Ok(Pending { record, objects, claims, replaced, deadline, is_new: true })
}

/// Which objects are not there, by their position. Where they are too many to be noted, none of them is taken away later.
pub(super) fn absent(objects: &[Object], claims: &Existing) -> Option<Vec<usize>> {
    let is_absent = |(at, object): (usize, &Object)| (!claims.contains(object.reference())).then_some(at);
    let absent: Vec<usize> = objects.iter().enumerate().filter_map(is_absent).collect();
    (absent.len() <= NOTED).then_some(absent)
}

/// Refuses to go on with what somebody else looks after, or keeps the history of elsewhere.
pub(super) async fn admit(
    claims: &Existing,
    replaced: &[Record],
    task: &Task<'_>,
    trace: &mut Trace,
) -> Result<(), ReconcileError> {
    if adopt::is_first(task) {
        Box::pin(adopt::admit(claims, task, trace)).await?;
    }
    if replaced.is_empty() && claims.any_of(&owner(&task.desired.identity)) {
        Box::pin(refuse_other_drivers(task)).await?;
    }
    Ok(())
}

/// What a person did that the new revision undoes, or that has no effect.
pub(super) fn warn_of_others(step: &Step, task: &Task<'_>, trace: &mut Trace) {
    let identity = &task.desired.identity;
    let revisions = task.place.revisions.of(&identity.release);
    if let Some(last) = revisions.last()
        && last.marks.is_none()
        && matches!(last.status, Status::Deployed | Status::Failed)
        && revisions.iter().any(|meta| plan::is_of(meta, identity))
    {
        let message = format!(
            "revision {} was made by somebody else, with helm perhaps: revision {} puts the release back to what is declared",
            last.revision, step.revision
        );
        trace.warn(Reason::ForeignRevision, message);
    }
    let adopted = Key::adopted_by(task.release).filter(|_| step.kind == StepKind::Install);
    let Some(adopted) = adopted else { return };
    let object = task.place.context.releases.get(&watch::reference(&adopted));
    let declares = object.as_ref().and_then(|object| object.0.as_ref().ok()).map(matching::target);
    let own = matching::target(task.release);
    if let Some(declared) = declares.filter(|declares| *declares != own) {
        let message = format!(
            "the annotation {ADOPT} has no effect: {} declares the Helm release {declared}, and this object {own}: set \
             spec.release.name to {} to take it over",
            adopted.name, declared.release.name
        );
        trace.warn(Reason::AdoptionIgnored, message);
    }
}

/// Objects of a release without a history: it may be kept where we do not read it, and would be begun anew over it.
async fn refuse_other_drivers(task: &Task<'_>) -> Result<(), ReconcileError> {
    let release = &task.desired.identity.release;
    let name = &release.name;
    let identity = &task.desired.identity;
    let own = ReleaseKey::new(&identity.namespace, name);
    let is_there = |meta: &RecordMeta| meta.status != Status::Uninstalled;
    if own != *release && task.place.revisions.of(&own).last().is_some_and(is_there) {
        let message = format!(
            "the objects of the release are there, and so is a history of it in its own namespace, {own}, while spec.storageNamespace is {}: leave that \
             field out to go on with the history that is there",
            release.namespace
        );
        return Err(ReconcileError::new(Reason::OwnershipConflict, message));
    }
    if let Some((other, marks)) = history_elsewhere(task) {
        let message = format!(
            "the objects of the release are there, and so is a history of it in namespace {}, made for {}: declare that spec.storageNamespace to take that one over, or have it uninstalled",
            other.namespace,
            rivals::maker(&marks)
        );
        return Err(ReconcileError::new(Reason::OwnershipConflict, message));
    }
    if !task.place.history.is_in_config_maps(release).await? {
        return Ok(());
    }
    let message = format!(
        "the history of the release {release} is kept in ConfigMaps (HELM_DRIVER=configmap), which the operator does not read, and its objects are there: \
         turn each ConfigMap sh.helm.release.v1.{name}.vN into a Secret of the same name, labels and data with the type helm.sh/release.v1, or delete them all \
         to begin the history anew with the objects as they are"
    );
    Err(ReconcileError::new(Reason::HistoryInvalid, message))
}

/// A history of the same release with its records elsewhere in another cluster, which an object made that is not known here. In the
/// operator's own cluster the objects that are there tell who has it.
fn history_elsewhere(task: &Task<'_>) -> Option<(ReleaseKey, Marks)> {
    let (identity, place) = (&task.desired.identity, task.place);
    place.key.as_ref()?;
    let others = place.revisions.named(&identity.release.name).into_iter();
    others.filter(|other| *other != identity.release).find_map(|other| {
        let newest = ownership::made_elsewhere(&place.revisions.of(&other), place.viewer(&identity.uid)).cloned()?;
        let marks = newest.marks.clone().filter(|_| newest.namespace() == identity.namespace)?;
        Some((other, marks))
    })
}

/// Takes a pending revision up again, from its own record: what was rendered once is not rendered again.
pub(super) async fn resume(step: &Step, mut record: Record, task: &Task<'_>) -> Result<Pending, ReconcileError> {
    let action = action(step, task);
    let deadline = deadline(step, &record, task);
    let (objects, claims) = objects(&record.release, action, task).await?;
    forget_foreign(&mut record, &objects, &claims, task);
    let replaced = record::get_all(task, &step.replaces).await?;
    Ok(Pending { record, objects, claims, replaced, deadline, is_new: false })
}

/// What others made since a revision was recorded is theirs, and was not created by it.
pub(super) fn forget_foreign(record: &mut Record, objects: &[Object], claims: &Existing, task: &Task<'_>) {
    let owner = owner(&task.desired.identity);
    let is_foreign = |at: &usize| objects.get(*at).is_some_and(|object| claims.is_foreign(object.reference(), &owner));
    if let Some(absent) = record.marks.as_mut().and_then(|marks| marks.absent.as_mut()) {
        absent.retain(|at| !is_foreign(at));
    }
}

/// When the action ends that a record says was begun.
pub(super) fn deadline(step: &Step, record: &Record, task: &Task<'_>) -> Deadline {
    let began = record.release.info.last_deployed.unwrap_or_else(|| task.place.context.now());
    let age = Duration::try_from(task.place.context.now().duration_since(began)).unwrap_or_default();
    Deadline::resumed(action(step, task).timeout, age)
}

/// The declared way to take this step.
pub(super) fn action<'a>(step: &Step, task: &Task<'a>) -> &'a Action {
    match step.kind {
        StepKind::Install => &task.desired.install,
        StepKind::Upgrade => &task.desired.maintenance.upgrade,
        StepKind::Rollback => &task.desired.rollback,
    }
}

/// The owner that the objects of this release name.
pub(super) fn owner(identity: &Identity) -> Owner {
    let Identity { release, namespace, .. } = identity;
    Owner { release: release.name.clone(), namespace: namespace.clone() }
}

/// How the objects of a release are marked, as far as its records' metadata tells.
pub(super) fn marked(release: &ReleaseKey, place: &Place) -> Owner {
    let revisions = place.revisions.of(release);
    // Whoever may reach no other namespace has no records elsewhere than where the objects are.
    let newest = revisions.iter().rev().find(|meta| meta.marks.is_some() && place.reach() == Reach::Cluster);
    let namespace = newest.map_or(release.namespace.as_str(), RecordMeta::namespace).to_owned();
    Owner { release: release.name.clone(), namespace }
}

/// How the objects of this release are applied. What belongs to a release of the same object under its former name or in
/// its former namespace is taken over: that one is uninstalled once this one is deployed.
pub(super) fn options(action: &Action, deployed: &DeployedRelease<'_>) -> ApplyOptions {
    let &DeployedRelease { identity, place, .. } = deployed;
    let former = uninstall::former(identity, place);
    let differences = &deployed.maintenance.differences;
    let (conflicts, other_conflicts) = differences.on_apply();
    ApplyOptions {
        owner: owner(identity),
        take_ownership: action.take_ownership,
        force_conflicts: action.force,
        previous: former.iter().map(|former| marked(former, place)).collect(),
        immutable: differences.immutable.clone(),
        conflicts,
        other_conflicts,
    }
}

/// Applies again what a deployed revision consists of and a former place of the same object took over. What is somebody
/// else's is not looked at.
pub(super) async fn take_back(revision: u32, task: &Task<'_>) -> Result<(), ReconcileError> {
    let record = record::get(&task.deployed(), revision).await?;
    let objects = task.place.objects_of(&record).await?;
    let options = ApplyOptions { take_ownership: true, ..options(&task.desired.maintenance.upgrade, &task.deployed()) };
    let claims = task.place.cluster.claim(&objects, &options).await?;
    let reach = task.place.reach();
    let taken = objects.iter().filter(|object| claims.is_of(object.reference(), &options.previous));
    let taken = taken.filter(|object| reach.covers(object.reference()));
    let taken: Vec<Object> = taken.cloned().collect();
    Ok(task.place.cluster.apply_claimed(&taken, &claims, &options, &mut Vec::new()).await?)
}

/// Looks again at which objects are there: hooks that ran since may have taken any time, and others made some of them.
pub(super) async fn claim_again(
    objects: &[Object],
    action: &Action,
    task: &Task<'_>,
) -> Result<Existing, ReconcileError> {
    Ok(task.place.cluster.claim(objects, &options(action, &task.deployed())).await?)
}

/// The objects of a release's manifest.
pub(super) async fn manifest(release: &Release, task: &Task<'_>) -> Result<Vec<Object>, ReconcileError> {
    let source = Source { origin: release.chart.name(), text: &release.manifest };
    Ok(task.place.cluster.objects(&[source], &release.namespace).await?)
}

/// The objects of a release's manifest, known to be within reach and free or ours.
pub(super) async fn objects(
    release: &Release,
    action: &Action,
    task: &Task<'_>,
) -> Result<(Vec<Object>, Existing), ReconcileError> {
    let objects = manifest(release, task).await?;
    task.place.reach().admit(&objects)?;
    let claims = task.place.cluster.claim(&objects, &options(action, &task.deployed())).await?;
    Ok((objects, claims))
}

/// What is told of something that a render passed over: never a value, which Helm's own words would quote.
fn warned(warning: &Warning) -> (Reason, String) {
    match warning {
        Warning::SchemaLeftOut { .. } => (Reason::SchemaUnavailable, warning.to_string()),
        Warning::TableKept { path, .. } => {
            let message =
                format!("the values set {path} to a map, where the chart's default is none: the default is ignored");
            (Reason::ChartWarning, message)
        }
        Warning::ValueKept { path, .. } => {
            let message = format!(
                "the values set {path} to something that is no map, where the chart's default is one: the default is ignored"
            );
            (Reason::ChartWarning, message)
        }
        _ => (Reason::ChartWarning, warning.to_string()),
    }
}

fn pending(
    step: &Step,
    task: &Task<'_>,
    (rendered, config): (render::Output, Map<String, Value>),
    replaced: &[Record],
) -> Release {
    let now = task.place.context.now();
    let first = replaced
        .iter()
        .find_map(|record| record.release.info.first_deployed)
        .filter(|_| step.kind == StepKind::Upgrade);
    let (status, description) = match step.kind {
        StepKind::Install => (Status::PendingInstall, "Initial install underway"),
        // A rollback has a record of its own making.
        StepKind::Upgrade | StepKind::Rollback => (Status::PendingUpgrade, "Preparing upgrade"),
    };
    Release {
        name: task.desired.identity.release.name.clone(),
        namespace: task.desired.identity.namespace.clone(),
        version: step.revision,
        info: Info {
            first_deployed: Some(first.unwrap_or(now)),
            last_deployed: Some(now),
            description: description.to_owned(),
            status,
            notes: rendered.notes,
            ..Info::default()
        },
        chart: rendered.chart,
        config,
        manifest: rendered.manifest,
        hooks: rendered.hooks,
        apply_method: ApplyMethod::ServerSide,
        ..Release::default()
    }
}

/// The marks of a revision that this step makes.
pub(super) fn marks(step: &Step, task: &Task<'_>) -> Marks {
    let identity = &task.desired.identity;
    let parts = task.desired.parts(&task.resolved.digest);
    let (revisions, now) = (task.place.revisions.of(&identity.release), task.place.context.now());
    Marks {
        owner: identity.owner.clone(),
        uid: identity.uid.clone(),
        generation: identity.generation,
        inputs: task.inputs.to_owned(),
        declared: task.desired.declared(),
        digest: task.resolved.digest.to_string(),
        chart: format!("{}-{}", task.desired.chart_name, task.resolved.version),
        attempt: step.attempt,
        made: step.made,
        lately: rate::with_one_more(rate::lately(&revisions, identity, now), now),
        why: rate::why(step.made, &revisions, identity, (task.inputs, &parts)),
        applied: false,
        unapplied: false,
        ended: None,
        absent: None,
        remedies: None,
        hooked: false,
        unremedied: false,
        tested: None,
        forced: step.forced.clone(),
        asked: task.release.annotations().get(REQUESTED_AT).cloned(),
        planned: None,
        basis: String::new(),
        fields: Vec::new(),
        hooks: None,
        cluster: target::mark(identity.cluster.as_ref()),
        home: task.place.home_mark(),
        namespace: identity.namespace_mark(),
        varies: Vec::new(),
    }
}
