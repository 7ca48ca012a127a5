//! Delete: only what is still ours and not to be kept, kinds in uninstall order, then wait until it is gone.

use std::time::Duration;

use jiff::Timestamp;

use kube::core::params::{DeleteParams, Preconditions, PropagationPolicy};

use super::checks::Judge;
use super::hooks::is_of_run;
use super::object::{Object, ObjectRef};
use super::order::{concurrently, uninstall_groups};
use super::ownership::{self, Holder};
use super::refusal::CONVERSION;
use super::request::{Deletion, Metadata, check_segments};
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
    /// Whose they must be.
    pub whose: Whose,
    /// What becomes of dependents.
    pub propagation: Propagation,
    /// How long to wait until everything is gone; `None` returns when all deletions are accepted.
    pub timeout: Option<Duration>,
}

/// Whose objects are deleted; others are left.
#[derive(Debug, Clone)]
pub enum Whose {
    /// What bears the marks of a release.
    Release(Owner),
    /// What hooks made, which bear no marks: all but what bears those of another release.
    Hook {
        /// The release of the hooks.
        of: Owner,
        /// But for what the run of a hook made that began then.
        but_for_run: Option<Timestamp>,
    },
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
    /// finalizers hold is [`Error::NotGone`] at the deadline; calling again goes on waiting. What is refused of one object
    /// is told when all others were tried.
    pub async fn delete(&self, objects: &[Object], options: &DeleteOptions) -> Result<Vec<Removal>, Error> {
        let (mut removals, mut remaining, mut refused) = (Vec::with_capacity(objects.len()), Vec::new(), None);
        for group in uninstall_groups(objects) {
            let tried = concurrently(&group, |object| async move {
                match self.delete_one(object, options).await {
                    // As Helm: one that somebody keeps must not keep the others.
                    Err(error) if is_of_one_object(&error) => Ok(Err(error)),
                    outcome => outcome.map(Ok),
                }
            });
            for (object, outcome) in group.iter().zip(tried.await?) {
                match outcome {
                    Ok((removed, rest)) => {
                        removals.push(Removal { object: object.reference().clone(), removed });
                        remaining.extend(rest);
                    }
                    Err(error) => refused = refused.or(Some(error)),
                }
            }
        }
        if let Some(refused) = refused {
            return Err(refused);
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
        // What converts it may have been deleted with the rest: in the version in which it is stored it needs nobody.
        if matches!(&outcome, Err(Error::WebhookUnreachable { webhook, .. }) if webhook.starts_with(CONVERSION)) {
            for resource in self.other_versions(object.resource()).await? {
                match self.delete_as(&resource, object, options).await {
                    Err(Error::WebhookUnreachable { .. } | Error::UnknownKind { .. }) => {}
                    other => return other,
                }
            }
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
        if check_segments(reference).is_err() {
            // Nothing ever had such a name.
            return Ok((Removed::Absent, None));
        }
        let Some(metadata) = self.requests.metadata(resource, reference).await? else {
            return Ok((Removed::Absent, None));
        };
        if !object.is_uid(metadata.uid.as_deref()) {
            return Ok((Removed::NotOurs(None), None));
        }
        if let Some(left) = left(object, &metadata, &options.whose) {
            return Ok((left, None));
        }
        let uid = metadata.uid.unwrap_or_default();
        let deletion = self.requests.delete(resource, reference, &params(options.propagation, &uid)).await;
        let pending = match deletion {
            Ok(Deletion::Pending) => Some(Target {
                object: reference.clone(),
                resource: resource.clone(),
                marks: if matches!(options.whose, Whose::Release(_)) { Marks::Helm } else { Marks::Unknown },
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

/// Whether others may be deleted though this one was refused.
fn is_of_one_object(error: &Error) -> bool {
    matches!(error, Error::Forbidden { .. } | Error::Webhook { .. } | Error::Invalid { .. } | Error::Refused { .. })
}

/// What becomes of an object with this `metadata` that is not to be deleted; none of one that is.
fn left(object: &Object, metadata: &Metadata, whose: &Whose) -> Option<Removed> {
    let theirs = |release, namespace| Some(Removed::NotOurs(Some(Owner { release, namespace })));
    match whose {
        // Helm deletes a hook by its own policies alone.
        Whose::Release(_) if is_kept(object, metadata) => Some(Removed::Kept),
        Whose::Release(owner) => match ownership::claim(metadata, owner) {
            Holder::Ours => None,
            Holder::Nobody { .. } => Some(Removed::NotOurs(None)),
            Holder::Theirs { release, namespace } => theirs(release, namespace),
        },
        Whose::Hook { but_for_run: Some(run), .. } if is_of_run(metadata, *run) => Some(Removed::NotOurs(None)),
        Whose::Hook { of, .. } => match ownership::claim(metadata, of) {
            Holder::Theirs { release, namespace } => theirs(release, namespace),
            Holder::Ours | Holder::Nobody { .. } => None,
        },
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
