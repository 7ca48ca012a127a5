//! The only writer of `.status`: on every path, and only when something but a time has changed.

use std::collections::BTreeMap;
use std::marker::PhantomData;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use http::header::ACCEPT;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, ObjectMeta};
use kube::api::{GetParams, PartialObjectMeta, Patch, PatchParams};
use kube::core::{NamespaceResourceScope, Request};
use kube::runtime::controller::Action;
use kube::{Resource, ResourceExt};
use serde::Serialize;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::MANAGER;
use super::context::Context;
use super::guarded::Undecodable;
use crate::api::{ConditionType, Conditions, Reason};
use crate::client::METADATA_ONLY;
use crate::metrics::{Metrics, State};

/// A status could not be written.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// The API server refused, or was not there.
    #[error("failed to write the status of {object}")]
    WriteStatus {
        /// Whose status.
        object: String,
        /// Why.
        #[source]
        source: kube::Error,
    },
    /// The finalizer could not be removed.
    #[error("failed to remove the finalizer of {object}")]
    RemoveFinalizer {
        /// Whose finalizer.
        object: String,
        /// Why.
        #[source]
        source: kube::Error,
    },
    /// The reconcile itself broke off.
    #[error("the operator panicked while it worked on the object")]
    Defect(#[source] tokio::task::JoinError),
    /// The status is no JSON; a defect.
    #[error("failed to serialize the status of {object}")]
    Serialize {
        /// Whose status.
        object: String,
        /// Why.
        #[source]
        source: serde_json::Error,
    },
}

/// Whether an object is ready, and why: what an Event tells the change of.
#[derive(PartialEq, Eq)]
pub(crate) struct Readiness<'a> {
    status: &'a str,
    pub(crate) reason: &'a str,
    /// The words for it.
    pub(crate) message: &'a str,
}

impl Readiness<'_> {
    /// Whether it is ready.
    pub(crate) fn is_true(&self) -> bool {
        self.status == "True"
    }
}

/// What the condition `Ready` says, if it is there.
pub(crate) fn readiness(conditions: &[Condition]) -> Option<Readiness<'_>> {
    let ready = conditions.iter().find(|condition| condition.type_ == ConditionType::Ready.as_str())?;
    Some(Readiness { status: &ready.status, reason: &ready.reason, message: &ready.message })
}

/// Whether the condition `Ready` is true.
pub(crate) fn is_ready(conditions: &[Condition]) -> bool {
    readiness(conditions).is_some_and(|ready| ready.is_true())
}

/// Writes statuses, and remembers what it wrote last: the watch's view of an object may lag behind our own writes. Once
/// the watch has caught up it is believed, so that a status which somebody else changed is written again.
pub(crate) struct Writer {
    written: Mutex<BTreeMap<String, Last>>,
    metrics: Arc<Metrics>,
}

/// The last write of one object's status. It is held while a write goes on, so that two never overtake each other.
type Last = Arc<tokio::sync::Mutex<Option<Written>>>;

/// What was written, and the object's resource version since.
struct Written {
    status: Fingerprint,
    /// The types of its conditions.
    types: Vec<String>,
    resource_version: u64,
    at: Instant,
}

impl Written {
    fn now(fingerprint: Fingerprint, status: &Value, resource_version: u64) -> Self {
        Self { status: fingerprint, types: types(status), resource_version, at: Instant::now() }
    }
}

/// What came of a write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sent {
    /// The status said so already.
    Needless,
    /// It was written.
    Written,
    /// There is no such object any more.
    Gone,
}

/// How long the watch may lag behind a write of a status before what it shows is believed.
const LAG: Duration = Duration::from_secs(5);

/// A status in 32 bytes: ten thousand of them are remembered, not kept.
type Fingerprint = [u8; 32];

impl Writer {
    /// One that has written nothing, and counts in `metrics` what state it writes.
    pub(crate) fn new(metrics: Arc<Metrics>) -> Self {
        Self { written: Mutex::default(), metrics }
    }

    /// Writes `status` unless it says what `before` (the status as watched), or our last write, says already.
    /// An object that is gone needs no status.
    ///
    /// A write that was begun is finished though its caller is dropped: it could not be taken back, and would arrive
    /// after what is written next.
    pub(crate) async fn write<K, S>(
        &self,
        client: &kube::Client,
        object: &impl ResourceExt,
        before: Option<&S>,
        status: &S,
    ) -> Result<Sent, Error>
    where
        K: Resource<DynamicType = (), Scope = NamespaceResourceScope> + 'static,
        S: Serialize,
    {
        let name = object.name_any();
        let full = format!("{} {}/{name}", K::kind(&()), object.namespace().unwrap_or_default());
        let serialize = |source| Error::Serialize { object: full.clone(), source };
        let status = without_nulls(serde_json::to_value(status).map_err(serialize)?);
        self.metrics.object_is(&K::kind(&()), &object.uid().unwrap_or_default(), state(&status["conditions"]));
        let before = without_nulls(serde_json::to_value(before).map_err(serialize)?);
        let lingering = lingering(&before, &status);
        let watched = Written::now(fingerprint(&before), &before, version(object.meta()));
        let last_write = Arc::clone(self.lock().entry(object.uid().unwrap_or_default()).or_default());
        let write = Write::<K> {
            client: client.clone(),
            namespace: object.namespace().unwrap_or_default(),
            uid: object.uid(),
            name: name.clone(),
            kind: PhantomData,
        };
        let written = tokio::task::spawn_local(async move {
            let mut last = last_write.lock().await;
            let new = fingerprint(&status);
            // The watch is behind our write as long as it shows an older version of the object.
            let is_newer =
                |last: &&Written| watched.resource_version < last.resource_version && last.at.elapsed() < LAG;
            let known = last.as_ref().filter(is_newer).unwrap_or(&watched);
            if known.status == new {
                return Ok(Sent::Needless);
            }
            if last.as_ref().is_none_or(|last| !is_newer(&last)) {
                write.remove(&of_others(lingering, last.as_ref())).await?;
            }
            let resource_version = write.send(&status).await?;
            *last = resource_version.map(|version| Written::now(new, &status, version));
            Ok(last.as_ref().map_or(Sent::Gone, |_| Sent::Written))
        });
        match written.await {
            Ok(Ok(Sent::Gone)) => {
                self.forget(&object.uid().unwrap_or_default());
                Ok(Sent::Gone)
            }
            Ok(Ok(sent)) => Ok(sent),
            Ok(Err(source)) => Err(Error::WriteStatus { object: full, source }),
            Err(defect) => Err(Error::Defect(defect)),
        }
    }

    /// Whether `object`, as the watch shows it, is older than our last write of its status: what the status tells would be
    /// taken for what there is, and what was added to it for lost.
    pub(crate) fn is_ahead_of(&self, object: &impl ResourceExt) -> bool {
        let slot = self.lock().get(&object.uid().unwrap_or_default()).cloned();
        let Some(slot) = slot else { return false };
        // Where a write is under way the watch cannot know of it.
        let Ok(last) = slot.try_lock() else { return true };
        last.as_ref().is_some_and(|last| version(object.meta()) < last.resource_version && last.at.elapsed() < LAG)
    }

    /// Forgets an object that is gone.
    pub(crate) fn forget(&self, uid: &str) {
        self.metrics.object_is_gone(uid);
        self.lock().remove(uid);
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Last>> {
        self.written.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One write of a status.
struct Write<K> {
    client: kube::Client,
    namespace: String,
    name: String,
    uid: Option<String>,
    kind: PhantomData<K>,
}

impl<K: Resource<DynamicType = (), Scope = NamespaceResourceScope>> Write<K> {
    /// Takes away conditions that another manager set, such as an earlier operator: an apply leaves them, whatever it says. Where
    /// they are not there any more nothing is taken away; the next write sees what there is.
    async fn remove(&self, lingering: &[(usize, String)]) -> Result<(), kube::Error> {
        if lingering.is_empty() {
            return Ok(());
        }
        let operations = lingering.iter().flat_map(|(at, kind)| {
            let path = format!("/status/conditions/{at}");
            let test = json!({ "op": "test", "path": format!("{path}/type"), "value": kind });
            [test, json!({ "op": "remove", "path": path })]
        });
        let operations: Vec<Value> = operations.collect();
        let collection = Request::new(K::url_path(&(), Some(&self.namespace)));
        let patch = serde_json::from_value(json!(operations)).map_err(kube::Error::SerdeError)?;
        let patch = Patch::<()>::Json(patch);
        let mut request = collection
            .patch_subresource("status", &self.name, &PatchParams::default(), &patch)
            .map_err(kube::Error::BuildRequest)?;
        request.headers_mut().insert(ACCEPT, METADATA_ONLY);
        match self.client.request::<PartialObjectMeta<K>>(request).await {
            Ok(_) => Ok(()),
            Err(kube::Error::Api(status)) if matches!(status.code, 404 | 409 | 422) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Applies the status; the object's resource version then, or `None` if it is gone.
    ///
    /// Only metadata is asked for: the object itself may be one that cannot be decoded.
    async fn send(&self, status: &Value) -> Result<Option<u64>, kube::Error> {
        let patch = json!({
            "apiVersion": K::api_version(&()),
            "kind": K::kind(&()),
            "metadata": { "name": self.name, "uid": self.uid },
            "status": status,
        });
        let collection = Request::new(K::url_path(&(), Some(&self.namespace)));
        let parameters = PatchParams::apply(MANAGER).force();
        let mut request = collection
            .patch_subresource("status", &self.name, &parameters, &Patch::Apply(patch))
            .map_err(kube::Error::BuildRequest)?;
        request.headers_mut().insert(ACCEPT, METADATA_ONLY);
        match self.client.request::<PartialObjectMeta<K>>(request).await {
            Ok(object) => Ok(Some(version(&object.metadata))),
            Err(kube::Error::Api(status)) if status.code == 404 => Ok(None),
            // It is said of another object of that name, and of one on which the API server gave up against other writes.
            Err(kube::Error::Api(status)) if status.code == 409 && self.is_gone().await? => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Whether there is no object of that uid.
    async fn is_gone(&self) -> Result<bool, kube::Error> {
        let collection = Request::new(K::url_path(&(), Some(&self.namespace)));
        let request = collection.get_metadata(&self.name, &GetParams::default()).map_err(kube::Error::BuildRequest)?;
        match self.client.request::<PartialObjectMeta<K>>(request).await {
            Ok(object) => Ok(object.metadata.uid != self.uid),
            Err(kube::Error::Api(status)) if status.code == 404 => Ok(true),
            Err(error) => Err(error),
        }
    }
}

/// The conditions of `before` that `status` does not have: by their place, the last first, and their type.
fn lingering(before: &Value, status: &Value) -> Vec<(usize, String)> {
    let now = types(status);
    types(before).into_iter().enumerate().rev().filter(|(_, kind)| !now.contains(kind)).collect()
}

/// Those that the last write did not have: they are there all the same, and so not ours to take away by an apply.
fn of_others(lingering: Vec<(usize, String)>, last: Option<&Written>) -> Vec<(usize, String)> {
    let is_ours = |kind: &String| last.is_some_and(|last| last.types.contains(kind));
    lingering.into_iter().filter(|(_, kind)| !is_ours(kind)).collect()
}

/// The types of the conditions of a status, in their order.
fn types(status: &Value) -> Vec<String> {
    let conditions = status["conditions"].as_array().map(Vec::as_slice).unwrap_or_default();
    conditions.iter().map(|condition| condition["type"].as_str().unwrap_or_default().to_owned()).collect()
}

/// Kubernetes promises since 1.35 that resource versions of one kind compare as numbers.
fn version(metadata: &ObjectMeta) -> u64 {
    metadata.resource_version.as_deref().and_then(|version| version.parse().ok()).unwrap_or(0)
}

/// Tells of an object that cannot be decoded, in its own status: it costs itself, and nothing else.
pub(crate) async fn undecodable<K>(context: &Context, invalid: &Undecodable) -> Result<Action, Error>
where
    K: Resource<DynamicType = (), Scope = NamespaceResourceScope> + 'static,
{
    let object = PartialObjectMeta::<K> { types: None, metadata: invalid.metadata.clone(), _phantom: PhantomData };
    let generation = invalid.metadata.generation;
    let message = format!(
        "the object cannot be read: {}; correct the spec, or apply the CustomResourceDefinitions of this version of the operator",
        invalid.error
    );
    let conditions = Conditions::default()
        .with(ConditionType::Ready, false, Reason::ConfigurationError, message.clone())
        .with(ConditionType::Stalled, true, Reason::ConfigurationError, message);
    // What the status told before stays: it is what tells what the release consists of.
    let before = invalid.status.get("conditions").cloned().unwrap_or_default();
    let before: Vec<Condition> = serde_json::from_value(before).unwrap_or_default();
    let mut status = invalid.status.clone();
    status.insert("observedGeneration".to_owned(), json!(generation));
    status.insert("conditions".to_owned(), json!(conditions.build(&before, generation, context.now())));
    context.statuses.write::<K, _>(&context.client, &object, Some(&invalid.status), &status).await?;
    Ok(Action::await_change())
}

/// What conditions make of an object.
fn state(conditions: &Value) -> State {
    let conditions = conditions.as_array().map(Vec::as_slice).unwrap_or_default();
    let is = |kind: ConditionType| {
        conditions.iter().any(|condition| condition["type"] == kind.as_str() && condition["status"] == "True")
    };
    match (is(ConditionType::Ready), is(ConditionType::Stalled), is(ConditionType::Reconciling)) {
        (true, ..) => State::Ready,
        (_, true, _) => State::Stalled,
        (_, _, true) => State::Reconciling,
        _ => State::NotReady,
    }
}

fn fingerprint(status: &Value) -> Fingerprint {
    Sha256::digest(status.to_string()).into()
}

/// An absent field and a null one are the same to a reader; to server-side apply a null is a value to store.
fn without_nulls(value: Value) -> Value {
    match value {
        Value::Object(map) => Value::Object(
            map.into_iter()
                .filter(|(_, value)| !value.is_null())
                .map(|(key, value)| (key, without_nulls(value)))
                .collect(),
        ),
        Value::Array(items) => Value::Array(items.into_iter().map(without_nulls).collect()),
        scalar => scalar,
    }
}
