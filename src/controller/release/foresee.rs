//! What applying an object would change: the stages of a reconcile, as far as they write nothing.

use std::sync::Arc;

use kube::{Resource as _, ResourceExt as _};

use super::act::{Task, storage};
use super::plan::Prompt;
use super::trace::Trace;
use super::{act, dereference, facts, fetch, observe, plan, validate};
use crate::api::HelmRelease;
use crate::cluster::SecretValues;
use crate::controller::context::{Context, Slot};
use crate::controller::defaults::Effective;
use crate::controller::error::ReconcileError;
use crate::controller::matching::Key;
use crate::controller::place::{Place, Whereabouts};

/// What changes, if anything does, and what to know besides.
pub(in crate::controller) async fn foresee(
    release: &HelmRelease,
    effective: &Effective,
    context: &Arc<Context>,
) -> Result<(Option<String>, Vec<String>), ReconcileError> {
    let mut trace = Trace::default();
    let declared = effective.release.as_deref().unwrap_or(release);
    let found = Box::pin(look_ahead(declared, effective, context, &mut trace)).await;
    let found = found.map_err(|error| effective.explain(trace.masked(error)))?;
    let source = trace.source.take().map(|error| {
        let error = trace.masked(error);
        format!("{}: what was resolved before is looked at", error.message)
    });
    let warnings = trace.warnings.into_iter().map(|(_, message)| message);
    Ok((found, trace.notices.into_iter().chain(warnings).chain(source).collect()))
}

async fn look_ahead(
    release: &HelmRelease,
    effective: &Effective,
    context: &Arc<Context>,
    trace: &mut Trace,
) -> Result<Option<String>, ReconcileError> {
    if release.meta().deletion_timestamp.is_some() {
        trace.notice(format!("HelmRelease {} is being deleted: nothing is made of it", Key::of(release)));
        return Ok(None);
    }
    if release.spec.suspend {
        trace.notice("spec.suspend is true: the operator changes nothing".to_owned());
        return Ok(None);
    }
    effective.check()?;
    // As the person who asks, whomever the operator would be.
    let whose = Whereabouts { account: None, ..Whereabouts::of(release) };
    let place = Place::at(&whose, whose.declared.as_ref(), context).await?;
    let slot = Slot::new(release, context);
    dereference::admit(release, &place)?;
    let mut references = Box::pin(dereference::dereference(release, (&place, &slot), trace)).await?;
    let _room = references.room.take();
    let mut desired = Box::new(validate::validate(release, references)?);
    trace.secrets = SecretValues::of_all(&desired.secrets).await;
    // Records that are to move are looked at where they are.
    desired.identity = storage::where_it_is(&desired.identity, &place)?;
    let resolved = Box::pin(fetch::resolve(&desired, release, context, trace)).await?;
    let observed = observe::observe(release, &desired, &resolved, &place).await?;
    if let Some(blocked) = &observed.blocked {
        trace.notice(format!("it waits at first: {}", blocked.why));
    }
    if desired.gate.is_some() {
        trace.notice(
            "spec.plan.mode is Manual: what changes is shown as a plan first, and waits for approval".to_owned(),
        );
    }
    let step = plan::foreseen(&facts(&desired, &observed, release, (Prompt::default(), context)));
    let (resolved, inputs) = (&resolved, observed.inputs.as_str());
    let (desired, slot, place, moves) = (&*desired, &slot, &place, observed.moves.as_ref());
    let task = Task { release, desired, resolved, inputs, blocked: None, slot, place, planned: None, moves };
    let name = format!("HelmRelease {}/{}", release.namespace().unwrap_or_default(), release.name_any());
    Box::pin(act::foreseen(step.as_ref(), &name, &task, trace)).await
}
