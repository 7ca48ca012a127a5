//! Finalizers: put on before the first thing is done, taken off after the last.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::api::{Api, PartialObjectMeta, Patch, PatchParams};
use kube::core::{NamespaceResourceScope, PartialObjectMetaExt as _};
use kube::runtime::controller::Action;
use kube::{Resource, ResourceExt as _};
use serde::de::DeserializeOwned;
use serde_json::json;

use super::MANAGER;
use super::context::Context;
use super::status::Error;

/// How often a finalizer is taken off that somebody writes beside.
const ATTEMPTS: u32 = 5;

/// Puts `finalizer` on `object`.
pub(crate) async fn add<K>(object: &K, finalizer: &str, context: &Context) -> Result<(), kube::Error>
where
    K: Resource<DynamicType = (), Scope = NamespaceResourceScope> + Clone + DeserializeOwned + std::fmt::Debug,
{
    let metadata = ObjectMeta {
        name: Some(object.name_any()),
        uid: object.uid(),
        finalizers: Some(vec![finalizer.to_owned()]),
        ..ObjectMeta::default()
    };
    let patch: PartialObjectMeta<K> = metadata.into_request_partial();
    let api = Api::<K>::namespaced(context.client.clone(), &object.namespace().unwrap_or_default());
    api.patch_metadata(&object.name_any(), &PatchParams::apply(MANAGER).force(), &Patch::Apply(patch)).await.map(drop)
}

/// Takes `finalizer` off `object`, whoever put it there.
pub(crate) async fn remove<K>(object: &K, finalizer: &str, context: &Context) -> Result<Action, Error>
where
    K: Resource<DynamicType = (), Scope = NamespaceResourceScope> + Clone + DeserializeOwned + std::fmt::Debug,
{
    let name = object.name_any();
    let full = format!("{} {}/{name}", K::kind(&()), object.namespace().unwrap_or_default());
    let failed = |source| Error::RemoveFinalizer { object: full.clone(), source };
    let api = Api::<K>::namespaced(context.client.clone(), &object.namespace().unwrap_or_default());
    for attempt in 1.. {
        let current = api.get_metadata_opt(&name).await.map_err(failed)?;
        // Another object of that name has a finalizer of its own.
        let Some(current) = current.filter(|current| current.uid() == object.uid()) else { break };
        let finalizers: Vec<&String> = current.finalizers().iter().filter(|name| *name != finalizer).collect();
        if finalizers.len() == current.finalizers().len() {
            break;
        }
        let patch = json!({ "metadata": { "finalizers": finalizers, "resourceVersion": current.resource_version() } });
        match api.patch_metadata(&name, &PatchParams::default(), &Patch::Merge(patch)).await {
            Ok(_) => break,
            Err(kube::Error::Api(status)) if status.code == 404 => break,
            // Written in between, perhaps by our own last status.
            Err(kube::Error::Api(status)) if status.code == 409 && attempt < ATTEMPTS => {}
            Err(source) => return Err(failed(source)),
        }
    }
    context.forget(&object.uid().unwrap_or_default());
    Ok(Action::await_change())
}
