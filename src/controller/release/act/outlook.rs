//! What a step would make of the cluster, asked of it and written nowhere: what a plan shows, and `helm-operator diff`.

use helm::manifest::HookEvent;
use helm::manifest::hook::in_run_order;
use helm::release::Release;

use super::definitions;
use super::deployed::{self, Deployed};
use super::leftovers::{LeftChart, left_chart};
use super::prepare::{self, Proposal, Writes};
use super::{Task, masked, uninstall};
use crate::api::PlannedAction;
use crate::cluster::{Foreseen, Preview, SecretValues, Source};
use crate::controller::error::ReconcileError;
use crate::controller::release::inputs;
use crate::controller::release::plan::{Step, StepKind};
use crate::controller::release::trace::Trace;
use crate::controller::release::values;

/// What a step would make of the cluster.
pub(super) struct Outlook {
    /// The namespace and the definitions.
    before: Vec<Preview>,
    /// What is applied.
    applied: Vec<Preview>,
    /// What is deleted.
    ended: Vec<Preview>,
    /// The hooks that are run.
    pub(super) hooks: Vec<(HookEvent, usize)>,
    /// What the Secrets among the objects hold, new and old, and what was read from Secrets for the revisions before.
    secrets: [SecretValues; 3],
}

/// What a step would change, and the move of the records from one namespace to another, for people; none where nothing changes.
pub(in crate::controller::release) async fn foreseen(
    step: Option<&Step>,
    name: &str,
    task: &Task<'_>,
    trace: &mut Trace,
) -> Result<Option<String>, ReconcileError> {
    let moves =
        task.moves.map(|[from, to]| format!("\n# move the records of the release from namespace {from} to {to}\n"));
    let proposal = match step {
        Some(step) => Some((step, Box::pin(prepare::propose(step, Writes::Forbidden, task, trace)).await?)),
        None => None,
    };
    let Some((step, proposal)) = proposal else { return Ok(moves.map(|moves| format!("# {name}\n{moves}"))) };
    match Box::pin(deployed::compare(step, &proposal, task, trace)).await? {
        Deployed::Other => {}
        Deployed::Same(_) => return Ok(moves.map(|moves| format!("# {name}\n{moves}"))),
        Deployed::Held(held) => {
            trace.notice(format!(
                "revision {} was made by somebody else, with helm perhaps, and is held: the release stays as it is",
                held.revision()
            ));
            return Ok(None);
        }
    }
    prepare::warn_of_others(step, task, trace);
    let outlook = Box::pin(look(step, &proposal, task, trace)).await?;
    let chart = &proposal.release.chart;
    let mut header = format!("# {name}: revision {}, {} {}\n", step.revision, chart.name(), chart.version());
    header.extend(moves);
    for former in uninstall::former(&task.desired.identity, task.place) {
        header.extend([format!(
            "\n# uninstall the release {former}, which this object had before, once this one is deployed\n"
        )]);
    }
    if outlook.all().next().is_none() {
        header.push_str("\n# no object changes: the revision is recorded\n");
    }
    let diff = outlook.diff(&proposal, trace).await?;
    Ok(Some(header + &diff))
}

/// Asks the cluster what the step would make of it, and refuses what may not be touched.
pub(super) async fn look(
    step: &Step,
    proposal: &Proposal,
    task: &Task<'_>,
    trace: &mut Trace,
) -> Result<Outlook, ReconcileError> {
    let Proposal { release, replaced, definitions, .. } = proposal;
    let (cluster, definitions) = (&task.place.cluster, definitions.sources());
    let (action, options) =
        (prepare::action(step, task), prepare::options(prepare::action(step, task), &task.deployed()));
    let source = Source { origin: release.chart.name(), text: &release.manifest };
    let objects = cluster.objects_beside(&[source], &definitions, &release.namespace).await?;
    task.place.reach().admit(&objects)?;
    cluster.admit_crds(&definitions, &task.desired.identity.namespace, &task.place.reach()).await?;
    let claims = cluster.claim(&objects, &options).await?;
    Box::pin(prepare::admit(&claims, replaced, task, trace)).await?;
    let mut old = Vec::new();
    for record in replaced {
        old.extend(task.place.objects_of(record).await?);
    }
    let LeftChart { gone, .. } = left_chart(&old, &objects, action, task).await?;
    let namespace = definitions::makes_namespace(step, task).then_some(release.namespace.as_str());
    let asked = async {
        let before =
            cluster.preview_before(namespace, &definitions, definitions::existing_crds(action), &options.owner).await?;
        let applied = cluster.preview(&objects, &options).await?;
        Ok::<_, ReconcileError>((before, applied, cluster.preview_deletion(&gone, &options.owner).await?))
    };
    let (before, applied, ended) = match Box::pin(asked).await {
        Ok(asked) => asked,
        // A webhook may quote what it was shown.
        Err(error) => return Err(masked(error, release).await),
    };
    let hooks = if action.hooks { hooks(step, release) } else { Vec::new() };
    let known = &task.desired.secrets;
    let former = replaced.iter().flat_map(|record| values::former(known, &record.release.config));
    let former: Vec<_> = former.cloned().collect();
    let (new, old) = (SecretValues::in_secrets(&objects).await, SecretValues::in_secrets(&old).await);
    let secrets = [new, old, SecretValues::of_all(&former).await];
    Ok(Outlook { before, applied, ended, hooks, secrets })
}

/// The hooks that a step runs, by their place among all of them, in their order.
fn hooks(step: &Step, release: &Release) -> Vec<(HookEvent, usize)> {
    let events = match step.kind {
        StepKind::Install => [HookEvent::PreInstall, HookEvent::PostInstall],
        StepKind::Upgrade => [HookEvent::PreUpgrade, HookEvent::PostUpgrade],
        StepKind::Rollback => [HookEvent::PreRollback, HookEvent::PostRollback],
    };
    let place = |hook: &helm::manifest::Hook| release.hooks.iter().position(|it| std::ptr::eq(it, hook));
    let of = |event: HookEvent| {
        let ordered: Vec<_> = in_run_order(&release.hooks, &event).into_iter().filter_map(place).collect();
        ordered.into_iter().map(move |at| (event.clone(), at))
    };
    events.into_iter().flat_map(of).collect()
}

impl Outlook {
    /// All that changes.
    pub(super) fn all(&self) -> impl Iterator<Item = &Preview> {
        let all = self.before.iter().chain(&self.applied).chain(&self.ended);
        all.filter(|preview| preview.foreseen != Foreseen::Unchanged)
    }

    /// What the plan rests on, a line for each: what it makes of the namespace, of definitions and of each object of the release, and
    /// how that is now.
    pub(super) fn foreseen(&self) -> Vec<String> {
        let line = |preview: &Preview| {
            let Preview { object, foreseen, paths, stands, diff: _ } = preview;
            let parts = [format!("{foreseen:?}"), paths.join(" "), stands.to_string()];
            format!("{object}\t{}", inputs::digest(&parts.each_ref().map(String::as_str)))
        };
        let before = self.before.iter().filter(|preview| preview.foreseen != Foreseen::Unchanged);
        let before = before.map(|preview| line(preview) + BEFORE);
        before.chain(self.applied.iter().chain(&self.ended).map(line)).collect()
    }

    /// Of how many objects one of these is foreseen.
    pub(super) fn count(&self, wanted: &[Foreseen]) -> usize {
        let all = self.before.iter().chain(&self.applied).chain(&self.ended);
        all.filter(|preview| wanted.contains(&preview.foreseen)).count()
    }

    /// The whole difference, for people. Holds no value of a Secret.
    pub(super) async fn diff(&self, proposal: &Proposal, trace: &Trace) -> Result<String, ReconcileError> {
        let release = &proposal.release;
        let mut text = String::new();
        for preview in self.all() {
            text.extend(["\n# ", action(preview.foreseen).1, " ", &preview.object.to_string(), "\n", &preview.diff]);
        }
        for (event, at) in &self.hooks {
            let hook = &release.hooks[*at];
            text.extend([format!(
                "\n# run {} {:?} of {} as a {} hook\n",
                hook.kind,
                hook.name,
                hook.path,
                event.as_str()
            )]);
            let is_secret = hook.kind == "Secret";
            let lines = hook.manifest.trim().lines().filter(|_| !is_secret);
            lines.for_each(|line| text.extend(["+", line, "\n"]));
        }
        let sources: Vec<Source<'_>> = release.hooks.iter().map(Source::from).collect();
        let in_hooks = SecretValues::in_texts(&sources).await?;
        let all = self.secrets.iter().chain([&in_hooks, &trace.secrets]).cloned().collect();
        Ok(SecretValues::masked_by_all(text, all).await)
    }
}

/// The end of the lines of what is made before the revision is recorded.
const BEFORE: &str = "\tbefore";

/// Of the lines of a plan those that the lines of another look have to be, `now`. The namespace and the definitions may be as they are
/// wanted by then, as after a crash: nothing more is done to them.
pub(super) fn expected<'a>(planned: &'a [String], now: &[String]) -> Vec<&'a String> {
    planned.iter().filter(|line| !line.ends_with(BEFORE) || now.contains(line)).collect()
}

/// What is done with an object, as the API names it and in a word for people.
pub(super) fn action(foreseen: Foreseen) -> (Option<PlannedAction>, &'static str) {
    match foreseen {
        Foreseen::Created => (Some(PlannedAction::Create), "create"),
        Foreseen::Changed => (Some(PlannedAction::Change), "change"),
        Foreseen::Replaced => (Some(PlannedAction::Replace), "replace"),
        Foreseen::Deleted => (Some(PlannedAction::Delete), "delete"),
        Foreseen::Unchanged => (None, "keep"),
    }
}

#[cfg(test)]
mod tests {
    use super::expected;

    #[test]
    fn definitions_may_be_as_they_are_wanted_by_the_second_look_and_not_otherwise() {
        let lines = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
        let planned = lines(&["A\t1\tbefore", "B\t1\tbefore", "C\t1"]);
        for (now, is_same) in [
            (&["A\t1\tbefore", "B\t1\tbefore", "C\t1"][..], true),
            (&["B\t1\tbefore", "C\t1"], true),
            (&["C\t1"], true),
            // Changed by somebody, or one that was as it is wanted.
            (&["A\t2\tbefore", "C\t1"], false),
            (&["D\t1\tbefore", "C\t1"], false),
            (&["A\t1\tbefore", "B\t1\tbefore"], false),
        ] {
            let now = lines(now);
            assert_eq!(expected(&planned, &now).into_iter().eq(&now), is_same, "{now:?}");
        }
    }
}
