//! Helm's history, as the steps write it; what is written is known at once, before the watch brings it.

use helm::release::Status;

use super::Job;
use crate::api::Reason;
use crate::controller::context::Context;
use crate::controller::halt::Halt;
use crate::controller::release::validate::Identity;
use crate::history::{Lineage, Marks, Record};

/// The record of one revision.
pub(super) async fn get(job: &Job<'_>, revision: u32) -> Result<Record, Halt> {
    let identity = &job.desired.identity;
    read(job.context, identity, revision).await?.ok_or_else(|| {
        let message = format!(
            "revision {revision} of {}/{} is gone: somebody deleted its Secret",
            identity.namespace, identity.name
        );
        Halt::new(Reason::HistoryInvalid, message)
    })
}

/// The records of several revisions, without those that are gone.
pub(super) async fn get_all(job: &Job<'_>, revisions: &[u32]) -> Result<Vec<Record>, Halt> {
    let mut records = Vec::with_capacity(revisions.len());
    for revision in revisions {
        records.extend(read(job.context, &job.desired.identity, *revision).await?);
    }
    Ok(records)
}

/// The record of one revision, if it is there.
pub(super) async fn read(context: &Context, identity: &Identity, revision: u32) -> Result<Option<Record>, Halt> {
    Ok(context.history.get(&identity.namespace, identity.name.as_str(), revision).await?)
}

/// Writes a new revision.
pub(super) async fn create(release: helm::release::Release, marks: &Marks, job: &Job<'_>) -> Result<Record, Halt> {
    let record = job.context.history.create(&release, marks).await?;
    enter(job.context, &record);
    Ok(record)
}

/// Marks a revision as ours, made for these inputs.
pub(super) async fn adopt(record: &Record, marks: &Marks, job: &Job<'_>) -> Result<(), Halt> {
    let mut record = record.clone();
    record.marks = Some(marks.clone());
    update(job.context, record).await.map(drop)
}

/// Writes a changed record.
pub(super) async fn update(context: &Context, record: Record) -> Result<Record, Halt> {
    let record = context.history.update(&record).await?;
    enter(context, &record);
    Ok(record)
}

/// Records that a revision failed. An action that was dropped in the middle of a write may hold an older record than
/// the one in the cluster: then that one is read, and marked.
pub(super) async fn fail(record: Record, why: &str, job: &Job<'_>) -> Result<Record, Halt> {
    let revision = record.release.version;
    match update(job.context, failed(record, why)).await {
        Err(halt) if halt.reason == Reason::PendingRelease => {
            let current = get(job, revision).await?;
            update(job.context, failed(current, why)).await
        }
        result => result,
    }
}

/// With Helm's words for it, so that `helm history` reads as ever.
fn failed(mut record: Record, why: &str) -> Record {
    let name = &record.release.name;
    record.release.info.description = match record.release.info.status {
        Status::PendingInstall => format!("Release {name:?} failed: {why}"),
        _ => format!("Upgrade {name:?} failed: {why}"),
    };
    record.release.info.status = Status::Failed;
    record
}

/// Deletes one revision.
pub(super) async fn delete(context: &Context, identity: &Identity, revision: u32) -> Result<(), Halt> {
    context.history.delete(&identity.namespace, identity.name.as_str(), revision).await?;
    context.revisions.remove(&(identity.namespace.clone(), identity.name.to_string()), revision);
    Ok(())
}

/// Deletes the oldest revisions beyond `max` (0: none).
pub(super) async fn prune(job: &Job<'_>, max: u32) -> Result<(), Halt> {
    let identity = &job.desired.identity;
    let revisions = job.context.revisions.of(&identity.namespace, identity.name.as_str());
    for revision in Lineage::new(revisions).surplus(max) {
        delete(job.context, identity, revision).await?;
    }
    Ok(())
}

fn enter(context: &Context, record: &Record) {
    let release = (record.release.namespace.clone(), record.release.name.clone());
    match record.meta() {
        Ok(meta) => drop(context.revisions.enter(release, meta)),
        // The watch brings it all the same.
        Err(error) => tracing::warn!(%error, "what was written cannot be read back"),
    }
}
