//! Delete: only what is still ours and not to be kept, kinds in uninstall order, then wait until it is gone.

use std::time::Duration;

use jiff::Timestamp;

use kube::core::params::{DeleteParams, Preconditions, PropagationPolicy};

use super::checks::Judge;
use super::hooks::is_of_run;
use super::object::{Object, ObjectRef};
use super::order::{concurrently, uninstall_groups};
use super::ownership::{self, Holder};
use super::request::{Deletion, Metadata};
use super::wait::{Question, Target, Unsettled};
use super::watch::Marks;
use super::{Cluster, Error, Owner, Resource};

/// Annotation that protects an object from removal.
const RESOURCE_POLICY: &str = "helm.sh/resource-policy";

/// What becomes of the objects that a deleted object owns (its pods, for instance).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Propagation {
    /// They are deleted afterwards.
    #[default]
    Background,
    /// They are deleted first.
    Foreground,
    /// They stay.
    Orphan,
}

/// How a set of objects is deleted.
#[derive(Debug, Clone)]
pub struct DeleteOptions {
    /// The release they must belong to. `None` for hooks, which carry no marks.
    pub owner: Option<Owner>,
    /// What becomes of dependents.
    pub propagation: Propagation,
    /// How long to wait until everything is gone; `None` returns when all deletions are accepted.
    pub timeout: Option<Duration>,
    /// But for what the run of a hook made that began then.
    pub but_for_run: Option<Timestamp>,
}

/// What became of one object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Removed {
    /// Deleted by this call.
    Deleted,
    /// It did not exist.
    Absent,
    /// Left: `helm.sh/resource-policy: keep`, on the object or in the manifest.
    Kept,
    /// Left: it is not this release's (any more). `None`: no release's.
    NotOurs(Option<Owner>),
}

/// An object and what became of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Removal {
    /// The object.
    pub object: ObjectRef,
    /// What became of it.
    pub removed: Removed,
}

impl Cluster {
    /// Deletes `objects`, kinds in Helm's uninstall order, and waits until they are gone if there is a timeout.
    ///
    /// Kept and left alone: what has the keep policy and what is not the owner's. Absent is success. An object that
    /// finalizers hold is [`Error::NotGone`] at the deadline; calling again goes on waiting.
    pub async fn delete(&self, objects: &[Object], options: &DeleteOptions) -> Result<Vec<Removal>, Error> {
        let (mut removals, mut remaining) = (Vec::with_capacity(objects.len()), Vec::new());
        for group in uninstall_groups(objects) {
            let outcomes = concurrently(&group, |object| self.delete_one(object, options)).await?;
            for (object, (removed, rest)) in group.iter().zip(outcomes) {
                removals.push(Removal { object: object.reference().clone(), removed });
                remaining.extend(rest);
            }
        }
        if objects.iter().any(|object| object.reference().kind == "CustomResourceDefinition") {
            self.discovery.invalidate();
        }
        if let Some(timeout) = options.timeout {
            self.wait_gone(remaining, timeout).await?;
        }
        Ok(removals)
    }

    pub(super) async fn wait_gone(&self, remaining: Vec<Target>, timeout: Duration) -> Result<(), Error> {
        match self.settle(remaining, timeout).await {
            Ok(()) => Ok(()),
            Err(Unsettled::Late(targets) | Unsettled::Failed(targets)) => {
                let objects = targets.into_iter().map(|(target, why)| (target.object, why)).collect();
                Err(Error::NotGone { objects, waited: timeout })
            }
            Err(Unsettled::Unwatchable(object, message)) => Err(Error::Unwatched { object: Box::new(object), message }),
        }
    }

    /// Deletes one object; the target to wait for if it is not gone at once. With its kind an object is gone, too.
    async fn delete_one(&self, object: &Object, options: &DeleteOptions) -> Result<(Removed, Option<Target>), Error> {
        let mut outcome = self.delete_as(object.resource(), object, options).await;
        if matches!(outcome, Err(Error::UnknownKind { .. }))
            && let Some(resource) = self.moved(object.resource()).await?
        {
            outcome = self.delete_as(&resource, object, options).await;
        }
        match outcome {
            Err(Error::UnknownKind { .. }) => Ok((Removed::Absent, None)),
            outcome => outcome,
        }
    }

    /// Deletes one object by the API resource that serves it.
    async fn delete_as(
        &self,
        resource: &Resource,
        object: &Object,
        options: &DeleteOptions,
    ) -> Result<(Removed, Option<Target>), Error> {
        let reference = object.reference();
        let Some(metadata) = self.requests.metadata(resource, reference).await? else {
            return Ok((Removed::Absent, None));
        };
        if !object.is_uid(metadata.uid.as_deref()) {
            return Ok((Removed::NotOurs(None), None));
        }
        if options.but_for_run.is_some_and(|run| is_of_run(&metadata, run)) {
            return Ok((Removed::NotOurs(None), None));
        }
        // Helm deletes a hook by its own policies alone.
        if options.owner.is_some() && is_kept(object, &metadata) {
            return Ok((Removed::Kept, None));
        }
        match options.owner.as_ref().map(|owner| ownership::claim(&metadata, owner)) {
            None | Some(Holder::Ours) => {}
            Some(Holder::Nobody { .. }) => return Ok((Removed::NotOurs(None), None)),
            Some(Holder::Theirs { release, namespace }) => {
                return Ok((Removed::NotOurs(Some(Owner { release, namespace })), None));
            }
        }
        let uid = metadata.uid.unwrap_or_default();
        let deletion = self.requests.delete(resource, reference, &params(options.propagation, &uid)).await;
        let pending = match deletion {
            Ok(Deletion::Pending) => Some(Target {
                object: reference.clone(),
                resource: resource.clone(),
                marks: if options.owner.is_some() { Marks::Helm } else { Marks::Unknown },
                judge: Judge::default(),
                question: Question::Gone { uid },
            }),
            // Of a conflict: the uid we saw is gone; what has the name now is somebody else's new object.
            Ok(Deletion::Gone) | Err(Error::Refused { code: 409, .. }) => None,
            Err(error) => return Err(error),
        };
        Ok((Removed::Deleted, pending))
    }
}

/// Whether an object is not to be deleted, as the manifest says, or the object with this `metadata` itself.
pub(super) fn is_kept(object: &Object, metadata: &Metadata) -> bool {
    let live_policy = metadata.annotations.as_ref().and_then(|annotations| annotations.get(RESOURCE_POLICY));
    is_keep(object.annotation(RESOURCE_POLICY)) || is_keep(live_policy.map(String::as_str))
}

/// Helm compares without case and surrounding space.
fn is_keep(policy: Option<&str>) -> bool {
    policy.is_some_and(|policy| policy.trim().eq_ignore_ascii_case("keep"))
}

fn params(propagation: Propagation, uid: &str) -> DeleteParams {
    DeleteParams {
        propagation_policy: Some(match propagation {
            Propagation::Background => PropagationPolicy::Background,
            Propagation::Foreground => PropagationPolicy::Foreground,
            Propagation::Orphan => PropagationPolicy::Orphan,
        }),
        preconditions: Some(Preconditions { uid: Some(uid.to_owned()), resource_version: None }),
        ..DeleteParams::default()
    }
}
