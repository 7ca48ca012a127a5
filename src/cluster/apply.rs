//! Apply: ownership of everything is checked first, then kinds go in install order by server-side apply.

use std::collections::BTreeMap;
use std::time::Duration;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ManagedFieldsEntry;
use serde_json::Value;

use super::checks::Judge;
use super::conflicts::{ConflictPolicy, Paths, Rules};
use super::content;
use super::fields::{self, Fingerprint};
use super::managed_fields;
use super::object::{Object, ObjectRef};
use super::order::{concurrently, install_groups};
use super::ownership;
use super::ready::{self, Assessment, Subject, Verdict};
use super::request::Metadata;
use super::wait::{Question, Target};
use super::watch::Marks;
use super::{Cluster, Error, Immutable, Owner, Resource};

/// How long a kind may take to be served once its definition is applied.
pub(super) const DEFINED: Duration = Duration::from_mins(1);

/// How long an object that is being deleted is waited for before it is made anew.
pub(super) const TERMINATED: Duration = Duration::from_mins(1);

/// How a set of objects is applied.
#[derive(Debug, Clone)]
pub struct ApplyOptions {
    /// The release that will own them.
    pub owner: Owner,
    /// Whether objects that exist without being this release's are taken over instead of refused.
    pub take_ownership: bool,
    /// Whether fields of other managers are overwritten instead of being a conflict.
    pub force_conflicts: bool,
    /// Releases that this one takes the place of: what is theirs may be taken over.
    pub previous: Vec<Owner>,
    /// What becomes of objects with a field that cannot be changed, by their kind.
    pub immutable: BTreeMap<String, Immutable>,
    /// What becomes of fields that others set, too.
    pub conflicts: Vec<(Paths, ConflictPolicy)>,
    /// What becomes of those of which nothing else is said.
    pub other_conflicts: ConflictPolicy,
}

/// How one object is applied.
#[derive(Clone, Copy, Default)]
pub(super) struct How<'a> {
    /// Whose marks are written; none for what is no part of a release.
    pub(super) owner: Option<&'a Owner>,
    /// Whether fields of other managers are overwritten.
    pub(super) force: bool,
    /// What becomes of fields that others set, too.
    pub(super) conflicts: &'a [(Paths, ConflictPolicy)],
    /// What becomes of those of which nothing else is said.
    pub(super) other_conflicts: ConflictPolicy,
}

impl ApplyOptions {
    pub(super) fn how(&self) -> How<'_> {
        How {
            owner: Some(&self.owner),
            force: self.force_conflicts,
            conflicts: &self.conflicts,
            other_conflicts: self.other_conflicts,
        }
    }
}

/// What an apply did to one object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// It did not exist.
    Created,
    /// It existed and is different now.
    Updated,
    /// It was so already.
    Unchanged,
}

/// An object as the server has it after our apply.
#[derive(Debug, Clone)]
pub struct Applied {
    /// Its identity.
    pub object: ObjectRef,
    /// What the apply changed.
    pub change: Change,
    /// `metadata.uid`.
    pub uid: String,
    pub(super) resource: Resource,
    pub(super) resource_version: String,
    pub(super) generation: i64,
    pub(super) assessment: Assessment,
    /// Whether the shared watches see it: an admission webhook may have taken the label away.
    pub(super) marks: Marks,
    /// A Job that removes itself when it is done.
    pub(super) vanishes: bool,
    /// Which of its fields the release manages.
    pub fields: Option<Fingerprint>,
}

/// What is known of the objects that existed when they were claimed.
#[derive(Debug, Default)]
pub struct Existing(std::collections::BTreeMap<ObjectRef, Metadata>);

impl Existing {
    /// Whether the object existed.
    pub fn contains(&self, object: &ObjectRef) -> bool {
        self.0.contains_key(object)
    }

    /// Whether the object existed, and was not `owner`'s.
    pub fn is_foreign(&self, object: &ObjectRef, owner: &Owner) -> bool {
        self.0.get(object).is_some_and(|metadata| !ownership::is_of(metadata, owner))
    }

    /// Whether the object existed, and was one of these others'.
    pub fn is_of(&self, object: &ObjectRef, others: &[Owner]) -> bool {
        self.0.get(object).is_some_and(|metadata| others.iter().any(|other| ownership::is_of(metadata, other)))
    }

    /// The value that the first of them has which bears the label `key`.
    pub fn label(&self, key: &str) -> Option<&str> {
        self.0.values().find_map(|metadata| metadata.labels.as_ref()?.get(key).map(String::as_str))
    }

    /// Whether any of them is `owner`'s.
    pub fn any_of(&self, owner: &Owner) -> bool {
        self.0.values().any(|metadata| ownership::is_of(metadata, owner))
    }

    /// The objects of an earlier apply for `owner`: as they stand, and those that have to be applied again, since they are
    /// gone, go, or lost its marks. A Job that removes itself when it is done is done when it is gone.
    pub fn since_apply(&self, objects: &[Object], owner: &Owner) -> (Vec<Applied>, Vec<Object>) {
        let (mut standing, mut lost) = (Vec::new(), Vec::new());
        for object in objects {
            match self.0.get(object.reference()) {
                Some(metadata) if ownership::is_of(metadata, owner) && metadata.deletion_timestamp.is_none() => {
                    standing.push(Applied::unseen(object, metadata));
                }
                None if vanishes(object.content().get("spec")) => {}
                _ => lost.push(object.clone()),
            }
        }
        (standing, lost)
    }
}

impl Applied {
    /// Its resource version, as a number; 0 where it is none.
    pub fn version(&self) -> u64 {
        self.resource_version.parse().unwrap_or_default()
    }

    /// An object of which the metadata is known alone: whether it is ready is to be seen.
    fn unseen(object: &Object, metadata: &Metadata) -> Self {
        let ObjectRef { group, kind, .. } = object.reference();
        let unseen = || Verdict::InProgress("it was not seen yet".to_owned());
        let is_ready = ready::ready_by_existing(group, kind);
        Self {
            object: object.reference().clone(),
            change: Change::Unchanged,
            uid: metadata.uid.clone().unwrap_or_default(),
            resource: object.resource().clone(),
            resource_version: metadata.resource_version.clone().unwrap_or_default(),
            generation: metadata.generation.unwrap_or_default(),
            assessment: if is_ready {
                Assessment::CURRENT
            } else {
                Assessment { ready: unseen(), complete: unseen(), overdue: None }
            },
            marks: Marks::Helm,
            vanishes: vanishes(object.content().get("spec")),
            fields: fields::fingerprint(metadata),
        }
    }
}

/// Whether a Job removes itself when it is done.
pub(super) fn vanishes(spec: Option<&Value>) -> bool {
    spec.is_some_and(|spec| spec["ttlSecondsAfterFinished"].is_number())
}

impl Cluster {
    /// Reads which of `objects` exist, and refuses any that is not the owner's (unless `take_ownership` is set).
    ///
    /// Nothing is written. A caller that records what it is about to do claims first, records, then applies.
    pub async fn claim(&self, objects: &[Object], options: &ApplyOptions) -> Result<Existing, Error> {
        let existing = concurrently(objects, |object| self.claimed(object, options)).await?;
        let existing = objects.iter().map(|object| object.reference().clone()).zip(existing);
        Ok(Existing(existing.filter_map(|(object, metadata)| Some((object, metadata?))).collect()))
    }

    /// Claims and applies `objects`.
    pub async fn apply(&self, objects: &[Object], options: &ApplyOptions) -> Result<Vec<Applied>, Error> {
        let claims = self.claim(objects, options).await?;
        let mut applied = Vec::with_capacity(objects.len());
        self.apply_claimed(objects, &claims, options, &mut applied).await?;
        Ok(applied)
    }

    /// Applies `objects`, which were claimed, for `options.owner`: kinds in Helm's install order, objects of one kind
    /// at once. What was applied is added to `applied`, in the order of `objects`.
    ///
    /// After a failure no further object is begun; what was applied stays, and is in `applied`.
    pub async fn apply_claimed(
        &self,
        objects: &[Object],
        claims: &Existing,
        options: &ApplyOptions,
        applied: &mut Vec<Applied>,
    ) -> Result<(), Error> {
        let done = std::sync::Mutex::new(std::collections::BTreeMap::new());
        let done = &done;
        let mut outcome = Ok(());
        for group in install_groups(objects) {
            let applied = concurrently(&group, |object| async move {
                let existing = claims.0.get(object.reference());
                let applied = self.apply_one(object, existing, options.how()).await;
                let applied = match applied {
                    Err(refused @ Error::Immutable { .. }) => Box::pin(self.replace(object, options, refused)).await?,
                    applied => applied?,
                };
                self.wait_defined(object, &applied, objects, DEFINED).await?;
                let mut done = done.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
                done.insert(object.reference(), applied);
                Ok(())
            });
            outcome = applied.await.map(drop);
            if outcome.is_err() {
                break;
            }
        }
        if objects.iter().any(|object| object.reference().kind == "CustomResourceDefinition") {
            self.discovery.invalidate();
        }
        let mut done = done.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        applied.extend(objects.iter().filter_map(|object| done.remove(object.reference())));
        outcome
    }

    /// The metadata of an object whose conversion webhook does not answer, if it exists, in the version in which it is stored, which
    /// needs none: what converts it may come up with the very apply that asks. None where it is not served in that version.
    async fn unconverted(&self, object: &Object) -> Result<Option<Option<Metadata>>, Error> {
        for resource in self.other_versions(object.resource()).await? {
            match self.requests.metadata(&resource, object.reference()).await {
                Err(Error::WebhookUnreachable { .. } | Error::UnknownKind { .. }) => {}
                metadata => return metadata.map(Some),
            }
        }
        Ok(None)
    }

    /// The metadata of the object if it exists, unless it is somebody else's.
    async fn claimed(&self, object: &Object, options: &ApplyOptions) -> Result<Option<Metadata>, Error> {
        let metadata = match self.requests.metadata(object.resource(), object.reference()).await {
            // Its definition is yet to be applied: if it exists, then in a version that is served already.
            Err(Error::UnknownKind { .. }) if object.awaits_definition() => {
                match self.moved(object.resource()).await? {
                    Some(resource) => self.requests.metadata(&resource, object.reference()).await?,
                    None => None,
                }
            }
            Err(away @ Error::WebhookUnreachable { .. }) => self.unconverted(object).await?.ok_or(away)?,
            metadata => metadata?,
        };
        if let Some(metadata) = metadata.as_ref().filter(|_| !options.take_ownership) {
            let claim = ownership::claim(metadata, &options.owner);
            if !options.previous.iter().any(|previous| claim.is_of(previous)) {
                ownership::refuse(object.reference(), claim, &options.owner)?;
            }
        }
        Ok(metadata)
    }

    /// Applies one object; `existing` is its metadata before.
    pub(super) async fn apply_one(
        &self,
        object: &Object,
        existing: Option<&Metadata>,
        how: How<'_>,
    ) -> Result<Applied, Error> {
        let (target, How { owner, force, .. }) = ((object.resource(), object.reference()), how);
        let existing = match existing {
            // It would take the change, and go all the same.
            Some(existing) if existing.deletion_timestamp.is_some() => {
                self.wait_terminated(object, existing).await?;
                None
            }
            existing => existing,
        };
        if let Some(existing) = existing {
            self.take_over_fields(object, existing, before(object, how)).await?;
        }
        // Of an object that no managers are known of, as after they were reset, the server names one that is nobody.
        let is_unmanaged = |existing: &Metadata| existing.managed_fields.as_ref().is_none_or(Vec::is_empty);
        let force = force || existing.is_some_and(is_unmanaged);
        let (content, rules, doubled) = prepared(object, existing, how);
        for doubled in doubled {
            tracing::warn!(object = %object.reference(), "{doubled} is set twice in the chart: the last counts");
        }
        let (group, kind) = (object.reference().group.as_str(), object.reference().kind.as_str());
        let metadata_only = ready::ready_by_existing(group, kind);
        let answer = self.requests.apply(target, &content, force, metadata_only).await;
        let (answer, force) = match answer {
            Err(refused) if rules.force(&refused, &content) => {
                (self.requests.apply(target, &content, true, metadata_only).await, true)
            }
            answer => (answer, force),
        };
        let answer = match answer {
            Err(refused) => match content::leftover_strategy(object.reference(), &content, &refused) {
                // The API server filled it in, so it is nobody's, and no apply takes it away.
                Some(patch) if existing.is_some() => {
                    self.requests.merge(target, &patch).await?;
                    self.requests.apply(target, &content, force, metadata_only).await
                }
                _ => Err(refused),
            },
            answer => answer,
        };
        if let Err(Error::UnknownKind { .. }) = &answer {
            // It was served when the kind was looked up: what we know is out of date.
            self.discovery.invalidate();
        }
        let answer = answer.map_err(|error| match error {
            Error::NamespaceMissing { object, namespace, .. } => {
                let is_own = owner.is_some_and(|owner| owner.namespace == namespace);
                Error::NamespaceMissing { object, namespace, is_own }
            }
            error => error,
        })?;
        let subject = Subject::of(&answer);
        let assessment = if metadata_only && !subject.deleting {
            Assessment::CURRENT
        } else {
            Judge::default().assess(group, kind, &subject, || answer.clone())
        };
        Ok(applied(object, existing, &answer, assessment))
    }

    /// Waits until an object that is being deleted is gone.
    async fn wait_terminated(&self, object: &Object, existing: &Metadata) -> Result<(), Error> {
        let target = Target {
            object: object.reference().clone(),
            resource: object.resource().clone(),
            marks: Marks::Unknown,
            judge: Judge::default(),
            question: Question::Gone { uid: existing.uid.clone().unwrap_or_default() },
        };
        self.wait_gone(vec![target], TERMINATED).await
    }

    /// An object changed by someone between our read and this patch is read again, a few times.
    async fn take_over_fields(&self, object: &Object, existing: &Metadata, before: &[&str]) -> Result<(), Error> {
        const ATTEMPTS: usize = 4;
        let target = (object.resource(), object.reference());
        let mut existing = existing.clone();
        for _ in 0..ATTEMPTS {
            let entries = existing.managed_fields.as_deref().unwrap_or_default();
            let taken = managed_fields::taken_over(entries, before);
            let given = hands_replicas_over(object, taken.as_deref().unwrap_or(entries));
            let Some(entries) = given.or(taken) else { return Ok(()) };
            let version = existing.resource_version.as_deref().unwrap_or_default();
            let entries = serde_json::json!(entries);
            match self.requests.replace_managed_fields(target, version, &entries).await {
                Err(Error::Refused { code: 409, .. }) => {}
                outcome => return outcome,
            }
            let Some(again) = self.requests.metadata(target.0, target.1).await? else { return Ok(()) };
            existing = again;
        }
        Ok(())
    }
}

/// The managers who applied an object for its release before us. Hooks are of no release: of them nothing is taken over.
fn before(object: &Object, how: How<'_>) -> &'static [&'static str] {
    if how.owner.is_some() { managed_fields::former_managers(&object.reference().group) } else { &[] }
}

/// The managed fields where the number of a workload's pods is no longer the chart's, and still ours.
pub(super) fn hands_replicas_over(object: &Object, entries: &[ManagedFieldsEntry]) -> Option<Vec<ManagedFieldsEntry>> {
    let ObjectRef { group, kind, .. } = object.reference();
    let is_scaled = group == "apps" && matches!(&**kind, "Deployment" | "StatefulSet" | "ReplicaSet");
    let is_set = object.content().get("spec").is_some_and(|spec| !spec["replicas"].is_null());
    if is_scaled && !is_set { managed_fields::without_replicas(entries) } else { None }
}

/// Whether fields of those who applied an object for its release before us are taken over before it is applied.
pub(super) fn takes_over(object: &Object, existing: &Metadata, how: How<'_>) -> bool {
    let entries = existing.managed_fields.as_deref().unwrap_or_default();
    managed_fields::taken_over(entries, before(object, how)).is_some()
}

/// What is applied of an object, the rules for what others set of it, and what of it a person should know.
pub(super) fn prepared<'a>(
    object: &Object,
    existing: Option<&Metadata>,
    how: How<'a>,
) -> (Value, Rules<'a>, Vec<String>) {
    let mut content = object.content().clone();
    let doubled = content::prepare(object.reference(), &mut content);
    let rules = Rules::of(object, how);
    if let Some(existing) = existing {
        let entries = existing.managed_fields.as_deref().unwrap_or_default();
        // What those before us set is the release's, not somebody else's.
        match managed_fields::taken_over(entries, before(object, how)) {
            Some(entries) => {
                let existing = Metadata { managed_fields: Some(entries), ..existing.clone() };
                rules.give_way(&mut content, &existing);
            }
            None => rules.give_way(&mut content, existing),
        }
    }
    if let Some(owner) = how.owner {
        ownership::mark(&mut content, owner);
    }
    (Value::Object(content), rules, doubled)
}

fn applied(object: &Object, existing: Option<&Metadata>, answer: &Value, assessment: Assessment) -> Applied {
    let metadata = &answer["metadata"];
    let text = |field: &str| metadata[field].as_str().unwrap_or_default().to_owned();
    let resource_version = text("resourceVersion");
    let change = match existing {
        None => Change::Created,
        Some(before) if before.resource_version.as_deref() == Some(&resource_version) => Change::Unchanged,
        Some(_) => Change::Updated,
    };
    let is_labelled = metadata["labels"][ownership::MANAGED_BY] == ownership::HELM;
    Applied {
        object: object.reference().clone(),
        change,
        uid: text("uid"),
        resource: object.resource().clone(),
        resource_version,
        generation: metadata["generation"].as_i64().unwrap_or_default(),
        assessment,
        marks: if is_labelled { Marks::Helm } else { Marks::Unknown },
        vanishes: vanishes(answer.get("spec")),
        fields: fields::fingerprint_of(answer),
    }
}
