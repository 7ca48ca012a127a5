//! The only writer of `.status`: on every path, and only when something but a time has changed.

use std::collections::BTreeMap;
use std::marker::PhantomData;
use std::sync::{Mutex, PoisonError};

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::api::{Api, PartialObjectMeta, Patch, PatchParams};
use kube::core::NamespaceResourceScope;
use kube::core::error_boundary::InvalidObject;
use kube::runtime::controller::Action;
use kube::{Resource, ResourceExt};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::MANAGER;
use super::context::Context;
use crate::api::{ConditionType, Conditions, Reason};

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
    /// The reconcile itself broke off.
    #[error("a defect ended the reconcile")]
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
    reason: &'a str,
    /// The words for it.
    pub(crate) message: &'a str,
}

/// What the condition `Ready` says, if it is there.
pub(crate) fn readiness(conditions: &[Condition]) -> Option<Readiness<'_>> {
    let ready = conditions.iter().find(|condition| condition.type_ == ConditionType::Ready.as_str())?;
    Some(Readiness { status: &ready.status, reason: &ready.reason, message: &ready.message })
}

/// Writes statuses, and remembers what it wrote: the watch's view of an object may lag behind our own writes.
#[derive(Default)]
pub(crate) struct Writer {
    written: Mutex<BTreeMap<String, Fingerprint>>,
}

/// What was written, in 32 bytes: ten thousand statuses are remembered, not kept.
type Fingerprint = [u8; 32];

impl Writer {
    /// Writes `status` unless it says what `before` (the status as watched), or our last write, says already.
    /// Returns whether it was written. An object that is gone needs no status.
    pub(crate) async fn write<K, S>(
        &self,
        client: &kube::Client,
        object: &impl ResourceExt,
        before: Option<&S>,
        status: &S,
    ) -> Result<bool, Error>
    where
        K: Resource<DynamicType = (), Scope = NamespaceResourceScope> + Clone + DeserializeOwned + std::fmt::Debug,
        S: Serialize,
    {
        let name = object.name_any();
        let serialize = |source| Error::Serialize { object: name.clone(), source };
        let uid = object.uid().unwrap_or_default();
        let status = without_nulls(serde_json::to_value(status).map_err(serialize)?);
        let known = match self.last(&uid) {
            Some(written) => written,
            None => fingerprint(&without_nulls(serde_json::to_value(before).map_err(serialize)?)),
        };
        let new = fingerprint(&status);
        if known == new {
            return Ok(false);
        }
        let patch = json!({
            "apiVersion": K::api_version(&()),
            "kind": K::kind(&()),
            "metadata": { "name": name, "uid": object.uid() },
            "status": status,
        });
        let api = Api::<K>::namespaced(client.clone(), &object.namespace().unwrap_or_default());
        match api.patch_status(&name, &PatchParams::apply(MANAGER).force(), &Patch::Apply(patch)).await {
            Ok(_) => {
                self.remember(uid, new);
                Ok(true)
            }
            Err(kube::Error::Api(status)) if status.code == 404 || status.code == 409 => {
                self.forget(&uid);
                Ok(false)
            }
            Err(source) => Err(Error::WriteStatus { object: name, source }),
        }
    }

    /// Forgets an object that is gone.
    pub(crate) fn forget(&self, uid: &str) {
        self.written.lock().unwrap_or_else(PoisonError::into_inner).remove(uid);
    }

    fn last(&self, uid: &str) -> Option<Fingerprint> {
        self.written.lock().unwrap_or_else(PoisonError::into_inner).get(uid).copied()
    }

    fn remember(&self, uid: String, status: Fingerprint) {
        self.written.lock().unwrap_or_else(PoisonError::into_inner).insert(uid, status);
    }
}

/// Tells of an object that cannot be decoded, in its own status: it costs itself, and nothing else.
pub(crate) async fn undecodable<K>(context: &Context, invalid: &InvalidObject) -> Result<Action, Error>
where
    K: Resource<DynamicType = (), Scope = NamespaceResourceScope> + Clone + DeserializeOwned + std::fmt::Debug,
{
    let object = PartialObjectMeta::<K> { types: None, metadata: invalid.metadata.clone(), _phantom: PhantomData };
    let generation = invalid.metadata.generation;
    let message = format!("the object cannot be read: {}", invalid.error);
    let conditions = Conditions::default()
        .with(ConditionType::Ready, false, Reason::ConfigurationError, message.clone())
        .with(ConditionType::Stalled, true, Reason::ConfigurationError, message);
    let status =
        json!({ "observedGeneration": generation, "conditions": conditions.build(&[], generation, context.now()) });
    context.statuses.write::<K, _>(&context.client, &object, None, &status).await?;
    Ok(Action::await_change())
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
