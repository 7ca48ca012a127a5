//! The template function `lookup`: reads objects while a chart renders. Bounded, and each question asked once.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use kube::core::params::ListParams;
use serde_json::{Value, json};
use tokio::runtime::Handle;

use super::discovery::Served;
use super::object::ObjectRef;
use super::request::collection;
use super::{Cluster, Error, Reach, Resource};

/// Different questions of one render. A chart that needs more lists instead.
const QUESTIONS: usize = 1000;

/// Bytes of all answers of one render.
const BYTES: usize = 32 << 20;

/// Objects per page of a list.
const PAGE: u32 = 250;

/// Answers `lookup` from the cluster for one render. Blocks the thread that renders: never one of the runtime's workers.
///
/// What was answered once is not asked again, so that a render sees one state of an object.
pub struct Lookup {
    cluster: Cluster,
    runtime: Handle,
    reach: Reach,
    answers: Mutex<Answers>,
    trouble: Mutex<Option<Error>>,
}

#[derive(Default)]
struct Answers {
    known: BTreeMap<Question, Value>,
    bytes: usize,
}

/// `apiVersion`, kind, namespace and name.
type Question = [String; 4];

impl Cluster {
    /// One object of a kind that the cluster may serve in any version; `None` where it serves none, or has no such object.
    pub async fn look_up(&self, object: &ObjectRef) -> Result<Option<Value>, Error> {
        let kinds = self.discovery.kinds_with(std::iter::empty()).await?;
        match kinds.any_version(&object.group, &object.kind) {
            Some(resource) => self.requests.get(resource, object).await,
            None => Ok(None),
        }
    }

    /// A `lookup` for one render that waits on `runtime`; render on a blocking thread (`spawn_blocking`).
    pub fn lookup(&self, runtime: Handle, reach: Reach) -> Lookup {
        Lookup { cluster: self.clone(), runtime, reach, answers: Mutex::default(), trouble: Mutex::default() }
    }
}

impl Lookup {
    /// Why a question was not answered, if one was not: a template has only the words of it.
    pub fn trouble(&self) -> Option<Error> {
        self.trouble.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    fn answer(&self, question: Question) -> Result<Value, Error> {
        let mut answers = self.answers.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = answers.known.get(&question) {
            return Ok(known.clone());
        }
        if answers.known.len() == QUESTIONS {
            return Err(Error::LookupLimit { limit: format!("{QUESTIONS} different objects or lists") });
        }
        let (answer, bytes) = self.runtime.block_on(self.ask(&question, BYTES - answers.bytes))?;
        answers.bytes += bytes;
        answers.known.insert(question, answer.clone());
        Ok(answer)
    }

    /// The object, or the list of objects when the name is empty (of all namespaces when the namespace is, too), and its
    /// size. What does not exist is `{}`; no permission or an unknown kind is an error, as with Helm.
    async fn ask(&self, [api_version, kind, namespace, name]: &Question, most: usize) -> Result<(Value, usize), Error> {
        let needed = (api_version.as_str(), kind.as_str());
        let kinds = self.cluster.discovery.kinds_with(std::iter::once(needed)).await?;
        let resource = match kinds.find(api_version, kind) {
            Served::Found(resource) => resource,
            Served::Stale => {
                let (api_version, object) = (api_version.to_owned(), "lookup".to_owned());
                return Err(Error::StaleGroup { api_version, object });
            }
            Served::Unknown { served } => {
                return Err(Error::UnknownKind {
                    api_version: api_version.to_owned(),
                    kind: kind.to_owned(),
                    object: "lookup".to_owned(),
                    origin: "the chart".to_owned(),
                    served,
                });
            }
        };
        self.reach.admit_lookup(resource, namespace, name)?;
        let object = ObjectRef {
            group: resource.group.clone(),
            kind: kind.to_owned(),
            namespace: Some(namespace.to_owned()).filter(|namespace| resource.namespaced && !namespace.is_empty()),
            name: name.to_owned(),
        };
        if name.is_empty() {
            return self.list(resource, &object, most).await;
        }
        let found = self.cluster.requests.get(resource, &object).await?.unwrap_or_else(|| json!({}));
        let bytes = found.to_string().len();
        if bytes > most { Err(too_much()) } else { Ok((found, bytes)) }
    }

    async fn list(&self, resource: &Resource, objects: &ObjectRef, most: usize) -> Result<(Value, usize), Error> {
        let mut params = ListParams::default().limit(PAGE);
        let (mut whole, mut bytes) = (None::<Value>, 0);
        loop {
            let build = || collection(resource, objects).list(&params);
            let (mut page, length) =
                self.cluster.requests.send_measured::<Value, _>("list", resource, objects, build).await?;
            bytes += length;
            if bytes > most {
                return Err(too_much());
            }
            let next = page["metadata"]["continue"].as_str().filter(|next| !next.is_empty()).map(str::to_owned);
            let items = page["items"].take();
            let list = whole.get_or_insert(page);
            match (&mut list["items"], items) {
                (Value::Array(all), Value::Array(more)) => all.extend(more),
                (all, items) => *all = items,
            }
            let Some(next) = next else { break };
            params.continue_token = Some(next);
        }
        let mut list = whole.unwrap_or_default();
        if let Some(metadata) = list["metadata"].as_object_mut() {
            metadata.retain(|key, _| key != "continue" && key != "remainingItemCount");
        }
        Ok((list, bytes))
    }
}

fn too_much() -> Error {
    Error::LookupLimit { limit: format!("{} MiB", BYTES >> 20) }
}

impl helm::engine::Lookup for Lookup {
    fn lookup(
        &self,
        api_version: &str,
        kind: &str,
        namespace: &str,
        name: &str,
    ) -> Result<Value, helm::engine::LookupError> {
        let question = [api_version, kind, namespace, name].map(str::to_owned);
        self.answer(question).map_err(|error| {
            let told = helm::engine::LookupError::new(&error);
            *self.trouble.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
            told
        })
    }
}
