//! A revision that waits for approval: shown and kept as it is, with nothing else written, and carried out as it was approved.
//!
//! ```text
//! propose: fetch, render, claim, preview ──► the plan, in a Secret beside the object ──► the status tells of it
//! approved: the plan, read again ──► previewed again: still the same? ──► namespace, definitions, record, apply
//! ```
//!
//! | killed after | the next reconcile |
//! |---|---|
//! | the plan was kept | makes it anew: nobody was told of it |
//! | the namespace or definitions were made | finds the plan approved, and goes on: they may be as they are wanted |
//! | the revision was recorded | resumes it from its own record, and discards the plan |

use std::collections::BTreeSet;

use helm::manifest::HookEvent;
use helm::release::Release;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::{Resource as _, ResourceExt as _};

use super::definitions::{self, Definitions};
use super::outlook::{self, Outlook};
use super::prepare::{self, Prepared, Proposal, Writes};
use super::{Task, deployed, record};
use crate::api::{FORCE_AT, HelmRelease, PlanStatus, PlannedAction, PlannedChanges, PlannedObject, Reason};
use crate::cluster::{Foreseen, Preview};
use crate::controller::context::Context;
use crate::controller::error::{ReconcileError, Retry, retry};
use crate::controller::release::approval::{Gate, Standing};
use crate::controller::release::fetch;
use crate::controller::release::inputs;
use crate::controller::release::plan::Step;
use crate::controller::release::trace::Trace;
use crate::history::{FrozenPlan, PlanKey, Planned, Record, shown};

/// Most objects that a status lists.
const LISTED: usize = 200;

/// Most fields of one object that it lists.
const PATHS: usize = 16;

/// Most objects that a message names.
const NAMED: usize = 5;

/// Where the plan of an object is.
pub(in crate::controller::release) fn key(release: &HelmRelease) -> PlanKey {
    PlanKey {
        namespace: release.namespace().unwrap_or_default(),
        name: release.name_any(),
        uid: release.uid().unwrap_or_default(),
    }
}

/// Deletes the plan of an object, where its status tells of one, or it may have one.
pub(in crate::controller::release) async fn discard(
    release: &HelmRelease,
    context: &Context,
) -> Result<(), ReconcileError> {
    if release.status.as_ref().is_some_and(|status| status.plan.is_some()) || is_manual(release) {
        context.plans().discard_plan(&key(release)).await?;
    }
    Ok(())
}

/// Deletes the plan that the status tells of: it is carried out, or no longer needed.
pub(super) async fn end(task: &Task<'_>) -> Result<(), ReconcileError> {
    if task.release.status.as_ref().is_some_and(|status| status.plan.is_some()) {
        Box::pin(discard(task.release, &task.place.context)).await?;
    }
    Ok(())
}

fn is_manual(release: &HelmRelease) -> bool {
    release.spec.plan.as_ref().is_some_and(|plan| plan.mode == Some(crate::api::PlanMode::Manual))
}

/// Makes the plan of a step, in place of the one that there is. Nothing is done of it. Where it cannot be made, the one that there
/// is waits no more, unless the trouble passes by itself and it is what is declared.
pub(super) async fn propose(step: &Step, task: &Task<'_>, trace: &mut Trace) -> Result<(), ReconcileError> {
    let Some(gate) = &task.desired.gate else { return Ok(()) };
    let made = Box::pin(make(step, gate, task, trace)).await;
    let Err(error) = made else { return Ok(()) };
    let standing = task.planned.map(|before| gate.judge(before, task.inputs, task.place.context.now()));
    let is_over = standing.is_none_or(|standing| matches!(standing, Standing::Outdated | Standing::Late));
    if is_over || stays(&error) {
        withdraw(task, trace).await?;
    }
    Err(error)
}

/// Whether what is wrong stays until somebody changes something.
fn stays(error: &ReconcileError) -> bool {
    retry(error.reason) == Retry::OnChange
}

/// Deletes a plan that nobody is to approve any more.
async fn withdraw(task: &Task<'_>, trace: &mut Trace) -> Result<(), ReconcileError> {
    trace.withdrawn = true;
    if task.planned.is_none() {
        return Ok(());
    }
    discard(task.release, &task.place.context).await
}

async fn make(step: &Step, gate: &Gate, task: &Task<'_>, trace: &mut Trace) -> Result<(), ReconcileError> {
    let proposal = Box::pin(prepare::propose(step, Writes::Forbidden, task, trace)).await?;
    // Records that are to move wait for approval though nothing else changes.
    if task.moves.is_none() && Box::pin(deployed::is_there(step, &proposal, task, trace)).await? {
        return Ok(());
    }
    if let Some(why) = task.planned.and_then(|before| outdated(before, gate, task)) {
        trace.warn(Reason::PlanOutdated, why);
    }
    let outlook = Box::pin(outlook::look(step, &proposal, task, trace)).await?;
    let made = task.place.context.now();
    let (basis, foreseen) = (gate.basis(task.inputs), outlook.foreseen());
    let diff = outlook.diff(&proposal, trace).await?;
    let planned = Planned { digest: String::new(), basis, revision: step.revision, made, shown: shown(&diff) };
    let planned = Planned { digest: digest(step, &proposal, &planned, &foreseen), ..planned };
    let note = note(step, &outlook, task);
    let status = PlanStatus { note, ..status(&planned, &proposal, &outlook, gate, task) };
    let plan = FrozenPlan { planned, release: proposal.release, foreseen, varies: proposal.varies, diff: Some(diff) };
    let owner = task.release.owner_ref(&()).unwrap_or_default();
    task.place.context.plans().keep_plan(&key(task.release), owner, plan).await?;
    trace.plan = Some(status);
    Ok(())
}

/// Why an approval that was given is of no use, if one was.
fn outdated(before: &Planned, gate: &Gate, task: &Task<'_>) -> Option<String> {
    let Planned { digest, made, .. } = before;
    let standing = gate.judge(before, task.inputs, task.place.context.now());
    let made = made.strftime("%Y-%m-%d %H:%M:%S UTC");
    gate.approved.contains(digest).then(|| match standing {
        Standing::Late => format!(
            "the plan {digest} was approved later than spec.plan.expireAfter allows, and is not carried out: it was made at {made}; another is made"
        ),
        _ => format!(
            "the plan {digest} is approved, and is not carried out: since it was made, at {made}, something else is declared, or the chart, the values \
             or the release are others; another is made"
        ),
    })
}

/// Prepares the revision of the plan that is approved, just as it was made.
pub(super) async fn prepare(step: &Step, task: &Task<'_>, trace: &mut Trace) -> Result<Prepared, ReconcileError> {
    // It holds a whole record.
    task.slot.resume().await;
    let found = task.place.context.plans().plan(&key(task.release)).await?;
    let is_this = |release: &Release| {
        let identity = &task.desired.identity;
        (release.name.as_str(), release.namespace.as_str(), release.version)
            == (identity.release.name.as_str(), identity.namespace.as_str(), step.revision)
    };
    let Some(plan) = found.filter(|plan| Some(&plan.planned) == task.planned && is_this(&plan.release)) else {
        return give_up(None, task, trace).await;
    };
    let (action, identity) = (prepare::action(step, task), &task.desired.identity);
    task.place.admit(&identity.release).await?;
    let replaced = Box::pin(record::get_all(task, &step.replaces)).await?;
    let definitions = if action.crds == crate::api::CrdPolicy::Skip {
        Definitions::default()
    } else {
        let context = &task.place.context;
        let chart = Box::pin(fetch::fetch(task.desired, task.resolved, task.slot, context, trace)).await?;
        Definitions::of(&chart, &prepare::given(step, &replaced, task), action)?
    };
    let (planned, foreseen) = (plan.planned, plan.foreseen);
    let is_shown = plan.diff.is_none_or(|diff| shown(&diff) == planned.shown);
    let mut proposal =
        Proposal { release: plan.release, replaced, again: None, varies: plan.varies, definitions, planned: None };
    let outlook = match Box::pin(outlook::look(step, &proposal, task, trace)).await {
        Err(error) if stays(&error) => {
            let digest = &planned.digest;
            trace.warn(
                Reason::PlanOutdated,
                format!("the plan {digest} is approved, and is withdrawn: as things are now it cannot be carried out"),
            );
            withdraw(task, trace).await?;
            return Err(error);
        }
        outlook => outlook?,
    };
    let now = outlook.foreseen();
    let expected = outlook::expected(&foreseen, &now);
    let is_same = is_shown && planned.digest == digest(step, &proposal, &planned, &foreseen);
    if !is_same || !expected.iter().copied().eq(&now) {
        let why = format!(
            "the plan {} is approved, and is not carried out: {}; another is made",
            planned.digest,
            moved(&expected, &now)
        );
        return give_up(Some(why), task, trace).await;
    }
    tracing::info!(object = %identity.owner, digest = %planned.digest, "carrying out the plan that was approved");
    prepare::warn_of_others(step, task, trace);
    Box::pin(definitions::make_way(step, &proposal.definitions, task)).await?;
    begin_now(&mut proposal.release, task);
    proposal.planned = Some(planned);
    Box::pin(prepare::commit(step, proposal, task, trace)).await.map(|pending| Prepared::Recorded(Box::new(pending)))
}

/// Discards a plan that cannot be carried out: another is made then.
async fn give_up(why: Option<String>, task: &Task<'_>, trace: &mut Trace) -> Result<Prepared, ReconcileError> {
    if let Some(why) = why {
        trace.warn(Reason::PlanOutdated, why);
    }
    task.place.context.plans().discard_plan(&key(task.release)).await?;
    Ok(Prepared::Adopted)
}

/// The times of a revision are those of its making, not of its planning.
fn begin_now(release: &mut Release, task: &Task<'_>) {
    let (info, now) = (&mut release.info, Some(task.place.context.now()));
    if info.first_deployed == info.last_deployed {
        info.first_deployed = now;
    }
    info.last_deployed = now;
}

/// Which objects are not as they were when the plan was made.
fn moved(before: &[&String], now: &[String]) -> String {
    let (before, now): (BTreeSet<_>, BTreeSet<_>) = (before.iter().copied().collect(), now.iter().collect());
    let object = |line: &&String| line.split('\t').next().unwrap_or_default().to_owned();
    let moved: BTreeSet<String> = before.symmetric_difference(&now).map(object).collect();
    if moved.is_empty() {
        return "the Secret that it is kept in was changed".to_owned();
    }
    let named = moved.iter().take(NAMED).cloned().collect::<Vec<_>>().join(", ");
    let more = moved.len().saturating_sub(NAMED);
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    format!("{named}{more} changed since it was made")
}

/// Why there is a plan, where what it changes does not say it.
fn note(step: &Step, outlook: &Outlook, task: &Task<'_>) -> Option<String> {
    let changes_nothing = outlook.all().next().is_none();
    let moves = task.moves.map(|[from, to]| {
        let only = if changes_nothing { "; no object changes" } else { "" };
        format!("the records of the release move from namespace {from} to {to}, as spec.storageNamespace says{only}")
    });
    let forced = step.forced.as_ref().map(|_| {
        let though = if changes_nothing { ", though nothing changes" } else { "" };
        format!("the annotation {FORCE_AT} asks for one more revision{though}")
    });
    let notes: Vec<String> = moves.into_iter().chain(forced).collect();
    (!notes.is_empty()).then(|| notes.join("; "))
}

/// A name for just this plan: of what is done, of what it rests on, and of when it was made.
fn digest(step: &Step, proposal: &Proposal, planned: &Planned, foreseen: &[String]) -> String {
    let Planned { digest: _, basis, revision: _, made, shown } = planned;
    let Proposal { release, replaced, definitions, varies, .. } = proposal;
    let replaced: Vec<String> = replaced.iter().map(|record: &Record| record.revision().to_string()).collect();
    let (made, replaced) = (made.to_string(), replaced.join(" "));
    let (kind, revision) = (format!("{:?}", step.kind), step.revision.to_string());
    let values = serde_json::to_string(&release.config).unwrap_or_default();
    // With their events and policies, beside the manifests that these are from.
    let hooks = serde_json::to_string(&release.hooks).unwrap_or_default();
    // What the record holds besides, and Helm goes by later: its status, notes and labels, and the chart's own values.
    let kept = [&release.info.status.as_str().to_owned(), &release.info.description, &release.info.notes]
        .map(String::as_str)
        .join("\n");
    let labels = serde_json::to_string(&release.labels).unwrap_or_default();
    let defaults = serde_json::to_string(&release.chart.values).unwrap_or_default();
    let varies = varies.join("\n");
    let chart = [release.chart.name(), release.chart.version()];
    let mut parts =
        vec![&*made, basis, &kind, &revision, &replaced, chart[0], chart[1], &values, &hooks, &release.manifest];
    parts.extend([&*kept, &labels, &defaults, &varies]);
    for definition in definitions.sources() {
        parts.extend(["definition", definition.text]);
    }
    parts.push("foreseen");
    parts.extend(foreseen.iter().map(String::as_str));
    parts.extend(["shown", shown]);
    inputs::digest(&parts)
}

/// What the object's status tells of a plan.
fn status(planned: &Planned, proposal: &Proposal, outlook: &Outlook, gate: &Gate, task: &Task<'_>) -> PlanStatus {
    let count = |wanted: &[Foreseen]| i64::try_from(outlook.count(wanted)).unwrap_or(i64::MAX);
    let object = |preview: &Preview| {
        let Preview { object, paths, .. } = preview;
        Some(PlannedObject {
            action: outlook::action(preview.foreseen).0?,
            group: object.group.clone(),
            kind: object.kind.clone(),
            namespace: object.namespace.clone(),
            name: object.name.clone(),
            paths: paths.iter().take(PATHS).cloned().collect(),
        })
    };
    let hook = |(_, at): &(HookEvent, usize)| {
        let hook = &proposal.release.hooks[*at];
        PlannedObject {
            action: PlannedAction::Run,
            group: String::new(),
            kind: hook.kind.clone(),
            namespace: None,
            name: hook.name.clone(),
            paths: Vec::new(),
        }
    };
    let objects = outlook.all().filter_map(object).chain(outlook.hooks.iter().map(hook));
    PlanStatus {
        digest: planned.digest.clone(),
        made: Time(planned.made),
        expires: Time(gate.expires(planned)),
        revision: i64::from(planned.revision),
        chart: format!("{}-{}", task.desired.chart_name, task.resolved.version),
        changes: PlannedChanges {
            created: count(&[Foreseen::Created]),
            changed: count(&[Foreseen::Changed, Foreseen::Replaced]),
            deleted: count(&[Foreseen::Deleted]),
            unchanged: count(&[Foreseen::Unchanged]),
            hooks: i64::try_from(outlook.hooks.len()).unwrap_or(i64::MAX),
        },
        objects: objects.take(LISTED).collect(),
        note: None,
        diff_digest: Some(planned.shown.clone()),
    }
}

/// What is told of the plan that waits: as this reconcile made it, or as the status has it. None of one that neither knows: it may be
/// anybody's who may write Secrets.
pub(super) fn told(planned: &Planned, task: &Task<'_>, trace: &Trace) -> Option<PlanStatus> {
    let gate = task.desired.gate.as_ref()?;
    let known = trace.plan.iter().chain(task.release.status.as_ref().and_then(|status| status.plan.as_ref()));
    let told = known.into_iter().find(|known| known.digest == planned.digest)?;
    Some(PlanStatus { expires: Time(gate.expires(planned)), ..told.clone() })
}

#[cfg(test)]
mod tests {
    use super::moved;

    #[test]
    fn what_moved_is_named_once() {
        let lines = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
        let before = lines(&["A\t1", "B\t1", "C\t1"]);
        assert_eq!(
            moved(&before.iter().collect::<Vec<_>>(), &lines(&["A\t1", "B\t2", "D\t1"])),
            "B, C, D changed since it was made"
        );
        assert_eq!(moved(&before.iter().collect::<Vec<_>>(), &before), "the Secret that it is kept in was changed");
        let many: Vec<String> = (0..9).map(|number| format!("{number}\t1")).collect();
        assert_eq!(moved(&[], &many), "0, 1, 2, 3, 4 and 4 more changed since it was made");
    }
}
