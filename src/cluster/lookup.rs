//! The template function `lookup`: reads objects while a chart renders.

use kube::core::Request;
use kube::core::params::ListParams;
use serde_json::{Value, json};
use tokio::runtime::Handle;

use super::discovery::Served;
use super::object::ObjectRef;
use super::{Cluster, Error, Resource};

/// Answers `lookup` from the cluster. Blocks the thread that renders: never one of the runtime's workers.
pub struct Lookup {
    cluster: Cluster,
    runtime: Handle,
}

impl Cluster {
    /// A `lookup` that waits on `runtime`; render on a blocking thread (`spawn_blocking`).
    pub fn lookup(&self, runtime: Handle) -> Lookup {
        Lookup { cluster: self.clone(), runtime }
    }

    /// The object, or the list of objects when `name` is empty (of all namespaces when `namespace` is, too). What does
    /// not exist is `{}`; no permission or an unknown kind is an error, as with Helm.
    async fn look_up(&self, api_version: &str, kind: &str, namespace: &str, name: &str) -> Result<Value, Error> {
        let kinds = self.discovery.kinds_with(std::iter::once((api_version, kind))).await?;
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
        let object = ObjectRef {
            group: resource.group.clone(),
            kind: kind.to_owned(),
            namespace: Some(namespace.to_owned()).filter(|namespace| resource.namespaced && !namespace.is_empty()),
            name: name.to_owned(),
        };
        match name {
            "" => self.list(resource, &object).await,
            _ => Ok(self.requests.get(resource, &object).await?.unwrap_or_else(|| json!({}))),
        }
    }

    async fn list(&self, resource: &Resource, objects: &ObjectRef) -> Result<Value, Error> {
        let path = resource.path(objects.namespace.as_deref());
        let build = || Request::new(path.clone()).list(&ListParams::default());
        self.requests.send("list", resource, objects, build).await
    }
}

impl helm::engine::Lookup for Lookup {
    fn lookup(
        &self,
        api_version: &str,
        kind: &str,
        namespace: &str,
        name: &str,
    ) -> Result<Value, helm::engine::LookupError> {
        let looked_up = self.runtime.block_on(self.cluster.look_up(api_version, kind, namespace, name));
        looked_up.map_err(helm::engine::LookupError::new)
    }
}
