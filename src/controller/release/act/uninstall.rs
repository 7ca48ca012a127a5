//! The end of a release: hooks, objects, history; and only then the finalizer.

use helm::manifest::HookEvent;
use helm::release::Status;

use super::{Deadline, hooks, record};
use crate::api::{DeletionPolicy, DeletionPropagation, HelmRelease};
use crate::cluster::{DeleteOptions, Object, Owner, Propagation};
use crate::controller::context::Context;
use crate::controller::halt::Halt;
use crate::controller::release::Outcome;
use crate::controller::release::plan;
use crate::controller::release::trace::Trace;
use crate::controller::release::validate::{self, Identity, Removal};
use crate::history::{Record, RecordMeta};

/// Uninstalls what a deleted object had installed, as its policy says.
pub(in crate::controller::release) async fn uninstall(
    release: &HelmRelease,
    context: &Context,
    trace: &mut Trace,
) -> Result<Outcome, Halt> {
    let removal = validate::removal(release);
    // A name that never was one installed nothing.
    if let (DeletionPolicy::Uninstall, Ok(identity)) = (removal.policy, validate::identity(release)) {
        remove(&identity, &removal, context, trace).await?;
        leave_old_place(release, context, trace).await?;
    }
    Ok(Outcome::Gone)
}

/// Ends an uninstall that was begun.
pub(super) async fn finish(release: &HelmRelease, context: &Context, trace: &mut Trace) -> Result<(), Halt> {
    remove(&validate::identity(release)?, &validate::removal(release), context, trace).await
}

/// Uninstalls the release under the name or in the namespace that the object declared before.
pub(in crate::controller::release) async fn leave_old_place(
    release: &HelmRelease,
    context: &Context,
    trace: &mut Trace,
) -> Result<(), Halt> {
    let Some(state) = release.status.as_ref().and_then(|status| status.helm_release.as_ref()) else { return Ok(()) };
    let identity = validate::identity(release)?;
    if state.namespace == identity.namespace && state.name == identity.name.as_str() {
        return Ok(());
    }
    let Ok(name) = helm::release::ReleaseName::parse(&state.name) else { return Ok(()) };
    let old = Identity { name, namespace: state.namespace.clone(), ..identity };
    remove(&old, &validate::removal(release), context, trace).await
}

async fn remove(identity: &Identity, removal: &Removal, context: &Context, trace: &mut Trace) -> Result<(), Halt> {
    let revisions = context.revisions.of(&identity.namespace, identity.name.as_str());
    let ours = |meta: &RecordMeta| meta.marks.as_ref().is_some_and(|marks| marks.owner == identity.owner);
    let Some(last) = revisions.last().filter(|_| revisions.iter().any(ours)) else { return Ok(()) };
    if last.status == Status::Uninstalled {
        return Ok(());
    }
    let mut records = Vec::new();
    for revision in plan::standing(&revisions) {
        records.extend(record::read(context, identity, revision).await?);
    }
    let Some(newest) = records.pop() else { return Ok(()) };
    let newest = begin(newest, context).await?;
    trace.record(&newest);
    take_down(newest, &records, (identity, removal), context).await
}

/// Records that the uninstall goes on, unless it does already.
async fn begin(mut newest: Record, context: &Context) -> Result<Record, Halt> {
    let info = &mut newest.release.info;
    if info.status == Status::Uninstalling {
        return Ok(newest);
    }
    info.status = Status::Uninstalling;
    info.deleted = Some(context.now());
    info.description = "Deletion in progress".into();
    record::update(context, newest).await
}

/// `newest` is the record of the uninstall; `others` are older revisions whose objects may still be there.
async fn take_down(
    mut newest: Record,
    others: &[Record],
    (identity, removal): (&Identity, &Removal),
    context: &Context,
) -> Result<(), Halt> {
    let deadline = Deadline(std::time::Instant::now() + removal.timeout);
    if removal.hooks {
        hooks::run(HookEvent::PreDelete, &mut newest, deadline, context).await?;
    }
    let options = DeleteOptions {
        owner: Some(Owner { release: identity.name.to_string(), namespace: identity.namespace.clone() }),
        propagation: propagation(removal.propagation),
        timeout: Some(deadline.remaining()),
    };
    context.cluster.delete(&objects(&newest, others, context).await?, &options).await?;
    if removal.hooks {
        hooks::run(HookEvent::PostDelete, &mut newest, deadline, context).await?;
    }
    if removal.keep_history {
        newest.release.info.status = Status::Uninstalled;
        newest.release.info.description = "Uninstallation complete".into();
        record::update(context, newest).await?;
        return Ok(());
    }
    // The newest goes last: killed in between, it still says that an uninstall is to be ended.
    for meta in context.revisions.of(&identity.namespace, identity.name.as_str()) {
        record::delete(context, identity, meta.revision).await?;
    }
    Ok(())
}

async fn objects(newest: &Record, others: &[Record], context: &Context) -> Result<Vec<Object>, Halt> {
    let records = std::iter::once(newest).chain(others);
    let mut objects: Vec<Object> = Vec::new();
    for record in records {
        for object in context.objects_of(record).await? {
            if !objects.iter().any(|known| known.reference() == object.reference()) {
                objects.push(object);
            }
        }
    }
    Ok(objects)
}

fn propagation(declared: DeletionPropagation) -> Propagation {
    match declared {
        DeletionPropagation::Background => Propagation::Background,
        DeletionPropagation::Foreground => Propagation::Foreground,
        DeletionPropagation::Orphan => Propagation::Orphan,
    }
}
