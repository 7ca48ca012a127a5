//! Pods that are deleted so that their workloads start them anew: Helm 3's `--recreate-pods`.

use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use kube::core::Selector;
use kube::core::params::{DeleteParams, ListParams, Preconditions};

use super::diagnose::core;
use super::{Cluster, Error, Object, ObjectRef};

/// Kinds whose pods come again when they are deleted.
const WORKLOADS: [&str; 4] = ["Deployment", "StatefulSet", "DaemonSet", "ReplicaSet"];

/// A pod, and its uid: one of the same name made later is another.
#[derive(Debug)]
pub struct RunningPod(ObjectRef, Option<String>);

impl Cluster {
    /// The pods of the workloads among `objects` that are not ending.
    pub async fn pods_of(&self, objects: &[Object]) -> Result<Vec<RunningPod>, Error> {
        let mut found = Vec::new();
        for object in objects.iter().filter(|object| is_workload(object.reference())) {
            let selector = object.content().get("spec").and_then(|spec| spec.get("selector")).cloned();
            let selector = selector.and_then(|selector| serde_json::from_value::<LabelSelector>(selector).ok());
            let selector = selector.and_then(|selector| Selector::try_from(selector).ok());
            let Some(selector) = selector.filter(|selector| !selector.selects_all()) else { continue };
            let (namespace, params) =
                (object.reference().namespace.clone(), ListParams::default().labels_from(&selector));
            let pods = self.requests.list::<Pod>(&core("Pod", "pods"), namespace.as_deref(), &params).await?;
            for metadata in pods.items.into_iter().map(|pod| pod.metadata) {
                if metadata.deletion_timestamp.is_none() {
                    let (group, kind, name) = (String::new(), "Pod".to_owned(), metadata.name.unwrap_or_default());
                    found.push(RunningPod(ObjectRef { group, kind, namespace: namespace.clone(), name }, metadata.uid));
                }
            }
        }
        Ok(found)
    }

    /// Deletes pods, without waiting for their end. One that is gone is none's loss.
    pub async fn delete_pods(&self, pods: Vec<RunningPod>) -> Result<(), Error> {
        for RunningPod(pod, uid) in pods {
            let preconditions = Some(Preconditions { uid, resource_version: None });
            let params = DeleteParams { preconditions, ..DeleteParams::default() };
            match self.requests.delete(&core("Pod", "pods"), &pod, &params).await {
                // Of a conflict: another pod has the name by now.
                Ok(_) | Err(Error::Refused { code: 409, .. }) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

fn is_workload(object: &ObjectRef) -> bool {
    object.group == "apps" && WORKLOADS.contains(&object.kind.as_str())
}
