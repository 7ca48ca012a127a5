//! Objects whose change the API server refuses in place: made anew where that is declared, and never a volume.

use serde_json::Value;

use super::apply::TERMINATED;
use super::{Applied, ApplyOptions, Cluster, DeleteOptions, Error, Object, Propagation, Removed};

/// What becomes of an object with a field that cannot be changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Immutable {
    /// It stays, and the apply fails.
    Fail,
    /// It is deleted with what belongs to it, and made anew.
    Recreate,
    /// It is deleted without what belongs to it, such as its pods, which the new one adopts.
    OrphanRecreate,
}

/// Kinds that people keep data in.
const VOLUMES: [&str; 2] = ["PersistentVolumeClaim", "PersistentVolume"];

impl Cluster {
    /// Makes an object anew that `refused` to be changed in place, where `options` say so. A Job that is finished is without
    /// being named: it has done its work, and nothing of it goes on.
    ///
    /// Killed after it was deleted, the next apply makes it: it is missing then.
    pub(super) async fn replace(
        &self,
        object: &Object,
        options: &ApplyOptions,
        refused: Error,
    ) -> Result<Applied, Error> {
        let kind = object.reference().kind.as_str();
        let policy = match options.immutable.get(kind) {
            _ if VOLUMES.contains(&kind) => Immutable::Fail,
            Some(policy) => *policy,
            None if kind == "Job" && self.is_finished(object).await? => Immutable::Recreate,
            None => Immutable::Fail,
        };
        let propagation = match policy {
            Immutable::Fail => return Err(refused),
            Immutable::Recreate => Propagation::Background,
            Immutable::OrphanRecreate => Propagation::Orphan,
        };
        let deletion = DeleteOptions {
            // Only what is this release's, and what nobody asked to keep.
            owner: Some(options.owner.clone()),
            propagation,
            timeout: Some(TERMINATED),
            made_before: None,
        };
        let removed = self.delete(std::slice::from_ref(object), &deletion).await?;
        if removed.iter().any(|it| matches!(it.removed, Removed::Kept | Removed::NotOurs(_))) {
            return Err(refused);
        }
        self.apply_one(object, None, options.how()).await
    }

    async fn is_finished(&self, job: &Object) -> Result<bool, Error> {
        let live = self.requests.get(job.resource(), job.reference()).await?;
        let conditions = live.as_ref().and_then(|live| live["status"]["conditions"].as_array());
        let ends = |condition: &&Value| {
            condition["status"] == "True" && (condition["type"] == "Complete" || condition["type"] == "Failed")
        };
        Ok(conditions.into_iter().flatten().any(|condition| ends(&condition)))
    }
}
