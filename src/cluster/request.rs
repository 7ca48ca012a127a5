//! One request to the API server: sent, retried while that can help, its refusal explained.
//!
//! Retried: what the server says to retry (429, 503, 504, its own timeouts), lost and refused connections, so that
//! a restart of the API server in the middle of a release goes by unnoticed. Every request here is idempotent.

use std::sync::Arc;
use std::time::{Duration, Instant};

use http::{HeaderName, HeaderValue};
use kube::Client;
use kube::core::params::{DeleteParams, GetParams, ListParams, Patch, PatchParams};
use kube::core::subresource::LogParams;
use kube::core::{ObjectList, Request};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::object::ObjectRef;
use super::refusal::{self, Attempt};
use super::{Error, Resource};
use crate::client::jittered;
use crate::permits::Permits;

/// How long a request is retried against a server that is away or overloaded.
const PATIENCE: Duration = Duration::from_mins(1);

/// Requests in flight, and so connections, for all releases together. The API server does not become faster with more.
/// They are given out fairly to the namespaces on whose behalf they are sent, a quarter of them to those that have none in
/// flight: however many requests of one hang in a slow webhook, others are served.
const IN_FLIGHT: usize = 16;

const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// Says as whom a request is to be judged and carried out.
const IMPERSONATE_USER: HeaderName = HeaderName::from_static("impersonate-user");

/// The field manager of chart objects: Helm 4's own, so that people can take over with the CLI.
pub(super) const FIELD_MANAGER: &str = "helm";

/// The metadata of an object, and nothing of what it holds.
pub(super) type Metadata = k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

/// A metadata-only answer.
#[derive(serde::Deserialize)]
struct Partial {
    metadata: Metadata,
}

/// What came of a DELETE.
pub(super) enum Deletion {
    /// The object is gone.
    Gone,
    /// The server accepted, but finalizers or a grace period keep the object for now.
    Pending,
}

/// Sends requests with one client. Cheap to clone.
#[derive(Clone)]
pub(super) struct Requests {
    client: Client,
    in_flight: Permits,
    /// The namespace on whose behalf they are sent.
    behalf: Arc<str>,
    /// The user as whom they are sent, where that is not the client's own.
    user: Option<HeaderValue>,
}

impl Requests {
    pub(super) fn new(client: Client) -> Self {
        Self { client, in_flight: Permits::new(IN_FLIGHT), behalf: Arc::default(), user: None }
    }

    /// The same on behalf of a namespace.
    pub(super) fn on_behalf_of(&self, namespace: &str) -> Self {
        Self { behalf: namespace.into(), ..self.clone() }
    }

    /// The same as another user. The API server adds the groups of a service account itself.
    pub(super) fn as_user(&self, user: &str) -> Self {
        // What no header can hold is nobody's name: the server refuses it.
        let user = HeaderValue::from_str(user).unwrap_or(HeaderValue::from_static("system:anonymous"));
        Self { user: Some(user), ..self.clone() }
    }

    /// A list of objects of `resource`, in one namespace or in all.
    pub(super) async fn list<T: Clone + DeserializeOwned>(
        &self,
        resource: &Resource,
        namespace: Option<&str>,
        params: &ListParams,
    ) -> Result<ObjectList<T>, Error> {
        let objects = ObjectRef {
            group: resource.group.clone(),
            kind: resource.kind.clone(),
            namespace: namespace.map(str::to_owned),
            name: String::new(),
        };
        let build = || collection(resource, &objects).list(params);
        self.send("list", resource, &objects, build).await
    }

    pub(super) fn client(&self) -> &Client {
        &self.client
    }

    /// Metadata of an object, `None` if it does not exist.
    pub(super) async fn metadata(&self, resource: &Resource, object: &ObjectRef) -> Result<Option<Metadata>, Error> {
        let build = || collection(resource, object).get_metadata(&segment(&object.name), &GetParams::default());
        let partial: Option<Partial> = absent_is_none(self.send("get", resource, object, build).await)?;
        Ok(partial.map(|partial| partial.metadata))
    }

    /// The whole object, `None` if it does not exist.
    pub(super) async fn get(&self, resource: &Resource, object: &ObjectRef) -> Result<Option<Value>, Error> {
        let build = || collection(resource, object).get(&segment(&object.name), &GetParams::default());
        absent_is_none(self.send("get", resource, object, build).await)
    }

    /// Server-side apply; the answer is the object, or its metadata alone when that suffices.
    pub(super) async fn apply(
        &self,
        (resource, object): (&Resource, &ObjectRef),
        content: &Value,
        force: bool,
        metadata_only: bool,
    ) -> Result<Value, Error> {
        let mut params = PatchParams::apply(FIELD_MANAGER).validation_strict();
        params.force = force;
        let patch = Patch::Apply(content);
        let build = || {
            let collection = collection(resource, object);
            if metadata_only {
                collection.patch_metadata(&segment(&object.name), &params, &patch)
            } else {
                collection.patch(&segment(&object.name), &params, &patch)
            }
        };
        self.send("patch", resource, object, build).await
    }

    /// What an apply would make of the object: nothing is carried out.
    pub(super) async fn dry_apply(
        &self,
        (resource, object): (&Resource, &ObjectRef),
        content: &Value,
        force: bool,
    ) -> Result<Value, Error> {
        let mut params = PatchParams::apply(FIELD_MANAGER).validation_strict().dry_run();
        params.force = force;
        let patch = Patch::Apply(content);
        let build = || collection(resource, object).patch(&segment(&object.name), &params, &patch);
        self.send("patch", resource, object, build).await
    }

    /// Changes an object by a merge patch: for what no apply can say.
    pub(super) async fn merge(&self, (resource, object): (&Resource, &ObjectRef), patch: &Value) -> Result<(), Error> {
        let params = PatchParams { field_manager: Some(FIELD_MANAGER.to_owned()), ..PatchParams::default() };
        let patch = Patch::Merge(patch);
        let build = || collection(resource, object).patch_metadata(&segment(&object.name), &params, &patch);
        self.send::<Partial, _>("patch", resource, object, build).await.map(|_| ())
    }

    /// Replaces the managed fields of the object as it was at `resource_version`.
    pub(super) async fn replace_managed_fields(
        &self,
        (resource, object): (&Resource, &ObjectRef),
        resource_version: &str,
        managed_fields: &Value,
    ) -> Result<(), Error> {
        let patch = serde_json::json!({
            "metadata": { "resourceVersion": resource_version, "managedFields": managed_fields },
        });
        let (params, patch) = (PatchParams::default(), Patch::Merge(&patch));
        let build = || collection(resource, object).patch_metadata(&segment(&object.name), &params, &patch);
        self.send::<Partial, _>("patch", resource, object, build).await.map(|_| ())
    }

    /// Deletes an object; absent is gone.
    pub(super) async fn delete(
        &self,
        resource: &Resource,
        object: &ObjectRef,
        params: &DeleteParams,
    ) -> Result<Deletion, Error> {
        let build = || collection(resource, object).delete(&segment(&object.name), params);
        let answer: Option<Value> = absent_is_none(self.send("delete", resource, object, build).await)?;
        // The server answers with a Status when nothing is left, with the object while something holds it.
        Ok(match answer {
            Some(answer) if answer["kind"] != "Status" => Deletion::Pending,
            Some(_) | None => Deletion::Gone,
        })
    }

    /// The log of a pod.
    pub(super) async fn log(&self, resource: &Resource, pod: &ObjectRef, params: &LogParams) -> Result<String, Error> {
        self.send_for_text("get the log of", resource, pod, || {
            collection(resource, pod).logs(&segment(&pod.name), params)
        })
        .await
    }

    pub(super) async fn send<T: DeserializeOwned, B>(
        &self,
        verb: &'static str,
        resource: &Resource,
        object: &ObjectRef,
        build: B,
    ) -> Result<T, Error>
    where
        B: Fn() -> Result<http::Request<Vec<u8>>, kube::core::request::Error>,
    {
        Ok(self.send_measured(verb, resource, object, build).await?.0)
    }

    /// As [`Self::send`], with the answer's length in bytes.
    pub(super) async fn send_measured<T: DeserializeOwned, B>(
        &self,
        verb: &'static str,
        resource: &Resource,
        object: &ObjectRef,
        build: B,
    ) -> Result<(T, usize), Error>
    where
        B: Fn() -> Result<http::Request<Vec<u8>>, kube::core::request::Error>,
    {
        // The text is parsed here, not by kube, which logs a text that it cannot parse: it may be a Secret.
        let text = self.send_for_text(verb, resource, object, build).await?;
        let read = |source| Error::ReadAnswer { verb, target: object.to_string(), source };
        Ok((serde_json::from_str(&text).map_err(read)?, text.len()))
    }

    async fn send_for_text<B>(
        &self,
        verb: &'static str,
        resource: &Resource,
        object: &ObjectRef,
        build: B,
    ) -> Result<String, Error>
    where
        B: Fn() -> Result<http::Request<Vec<u8>>, kube::core::request::Error>,
    {
        check_segments(object)?;
        let attempt = Attempt { verb, resource, object };
        let answer = self
            .patiently(async || {
                let mut request = build().map_err(kube::Error::BuildRequest)?;
                if let Some(user) = &self.user {
                    request.headers_mut().insert(IMPERSONATE_USER, user.clone());
                }
                self.client.request_text(request).await
            })
            .await;
        answer.map_err(|error| refusal::explain(&attempt, error))
    }

    /// Repeats `operation` with growing, jittered pauses while its failure is one that passes. It is repeated at least
    /// once: an attempt that got no answer within the client's limit may have met a connection that was dead.
    pub(super) async fn patiently<T>(
        &self,
        operation: impl AsyncFn() -> Result<T, kube::Error>,
    ) -> Result<T, kube::Error> {
        let started = Instant::now();
        let (mut pause, mut is_first) = (FIRST_PAUSE, true);
        loop {
            let outcome = self.attempt(&operation).await;
            let Err(error) = outcome else { return outcome };
            let Some(patience) = refusal::patience(&error, PATIENCE) else { return Err(error) };
            let pause_now = refusal::retry_after(&error).unwrap_or_else(|| jittered(pause));
            let used = if std::mem::replace(&mut is_first, false) { Duration::ZERO } else { started.elapsed() };
            if used + pause_now > patience {
                return Err(error);
            }
            tokio::time::sleep(pause_now).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    /// One attempt, when it is its turn. A pause between attempts holds nobody up.
    async fn attempt<T>(&self, operation: &impl AsyncFn() -> Result<T, kube::Error>) -> Result<T, kube::Error> {
        let _permit = self.in_flight.acquire(&self.behalf).await;
        operation().await
    }
}

/// The URL path of the collection that holds `object`.
pub(super) fn collection(resource: &Resource, object: &ObjectRef) -> Request {
    Request::new(resource.path(object.namespace.as_deref().map(segment).as_deref()))
}

/// What may stand in a segment of a path as it is (RFC 3986, `pchar`). Whatever else a chart writes into a name must not become
/// a part of the address: what does not exist under a name that cannot be the API server tells.
const ADDRESSED: &AsciiSet =
    &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~').remove(b':').remove(b'@');

/// A name as a segment of a path.
fn segment(name: &str) -> String {
    utf8_percent_encode(name, ADDRESSED).to_string()
}

/// Refuses names and namespaces that are no segment of a path however they are written: as client-go does.
pub(super) fn check_segments(object: &ObjectRef) -> Result<(), Error> {
    let is_bad = |text: &&str| matches!(*text, "." | "..") || text.contains(['/', '%']);
    let bad = [Some(&*object.name), object.namespace.as_deref()].into_iter().flatten().find(is_bad);
    let Some(bad) = bad else { return Ok(()) };
    let message = format!("{bad:?} is no name: it must not be `.` or `..`, nor contain `/` or `%`");
    Err(Error::Invalid { object: Box::new(object.clone()), message })
}

fn absent_is_none<T>(answer: Result<T, Error>) -> Result<Option<T>, Error> {
    match answer {
        Ok(found) => Ok(Some(found)),
        Err(Error::Refused { code: 404, .. } | Error::NamespaceMissing { .. }) => Ok(None),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::{ObjectRef, check_segments, segment};

    #[test]
    fn a_name_never_becomes_a_part_of_the_address() {
        for (name, expected) in [
            ("web-1.example", "web-1.example"),
            ("system:node-proxier", "system:node-proxier"),
            ("b?x=", "b%3Fx%3D"),
            ("?x=", "%3Fx%3D"),
            ("a#b", "a%23b"),
            ("my role", "my%20role"),
            ("straße", "stra%C3%9Fe"),
        ] {
            assert_eq!(segment(name), expected);
        }
        let object = |name: &str, namespace: &str| ObjectRef {
            group: String::new(),
            kind: "ConfigMap".to_owned(),
            namespace: Some(namespace.to_owned()),
            name: name.to_owned(),
        };
        for (name, namespace, is_fine) in [
            ("a", "b", true),
            ("", "b", true),
            ("a?", "b c", true),
            ("a/scale", "b", false),
            ("..", "b", false),
            ("a", "kube-system/configmaps", false),
            ("a%2fb", "b", false),
        ] {
            assert_eq!(check_segments(&object(name, namespace)).is_ok(), is_fine, "{namespace}/{name}");
        }
    }
}
