//! A Helm release that was there before the object which declares it: whether it may be taken over, and whether anything has to
//! be done for that.

use std::collections::BTreeMap;

use helm::release::Release;
use serde_json::{Map, Value};

use super::{Task, prepare};
use crate::api::Reason;
use crate::cluster::{Existing, Object, ObjectRef};
use crate::controller::error::ReconcileError;
use crate::controller::release::trace::Trace;
use crate::history::Record;

/// The labels by which Flux marks what it applied: the name and namespace of its `HelmRelease`.
const FLUX: [&str; 2] = ["helm.toolkit.fluxcd.io/name", "helm.toolkit.fluxcd.io/namespace"];

/// Whether no revision of the release bears an operator's marks.
pub(super) fn is_first(task: &Task<'_>) -> bool {
    task.place.revisions.of(&task.desired.identity.release).iter().all(|meta| meta.marks.is_none())
}

/// Refuses to take over the release of another chart, unless that is declared.
pub(super) fn admit_chart(there: Option<&Record>, declared: &str, task: &Task<'_>) -> Result<(), ReconcileError> {
    let Some(there) = there.filter(|_| is_first(task) && !task.release.spec.adopt) else { return Ok(()) };
    let (release, there) = (&task.desired.identity.release, there.release.chart.name());
    if there == declared {
        return Ok(());
    }
    let message = format!(
        "the release {release} exists already, and is one of the chart {there}, not {declared}: choose another name in spec.release.name, or set \
         spec.adopt to true to replace what it consists of"
    );
    Err(ReconcileError::new(Reason::AdoptionRefused, message))
}

/// Refuses to take over a release that Flux looks after.
pub(super) async fn admit(claims: &Existing, task: &Task<'_>, trace: &mut Trace) -> Result<(), ReconcileError> {
    let release = &task.desired.identity.release;
    let (Some(name), Some(namespace)) = (claims.label(FLUX[0]), claims.label(FLUX[1])) else { return Ok(()) };
    let object = ObjectRef {
        group: "helm.toolkit.fluxcd.io".to_owned(),
        kind: "HelmRelease".to_owned(),
        namespace: Some(namespace.to_owned()),
        name: name.to_owned(),
    };
    match task.place.cluster.look_up(&object).await {
        Ok(Some(owner)) if owner["spec"]["suspend"] != true => {
            let message = format!(
                "the release {release} is looked after by Flux, as its HelmRelease {namespace}/{name} declares: suspend that (flux suspend \
                 helmrelease {name} --namespace {namespace}), and delete it once this one is ready; while it is suspended Flux leaves the release in place"
            );
            Err(ReconcileError::new(Reason::AdoptionRefused, message))
        }
        Ok(_) => Ok(()),
        Err(error) => {
            let error = ReconcileError::from(error);
            let message = format!(
                "the release {release} bears the labels of Flux's HelmRelease {namespace}/{name}, and whether that is suspended cannot be read: {}",
                error.message
            );
            trace.warn(Reason::AdoptionIgnored, message);
            Ok(())
        }
    }
}

/// Whether what is deployed is what is wanted but for Flux's labels: nothing has to be done then.
pub(super) async fn is_same(deployed: &Release, wanted: &Release, task: &Task<'_>) -> Result<bool, ReconcileError> {
    let is_chart = deployed.chart.name() == wanted.chart.name();
    if !is_chart || deployed.config != wanted.config || deployed.hooks.len() != wanted.hooks.len() {
        return Ok(false);
    }
    let (there, wanted) = (prepare::manifest(deployed, task).await?, prepare::manifest(wanted, task).await?);
    Ok(bare(&there) == bare(&wanted))
}

/// The objects without Flux's labels.
fn bare(objects: &[Object]) -> BTreeMap<&ObjectRef, Map<String, Value>> {
    let bare = |object: &Object| {
        let mut content = object.content().clone();
        let metadata = content.get_mut("metadata").and_then(Value::as_object_mut);
        if let Some(metadata) = metadata {
            let labels = metadata.get_mut("labels").and_then(Value::as_object_mut);
            let is_empty = labels.is_some_and(|labels| {
                labels.retain(|label, _| !FLUX.contains(&label.as_str()));
                labels.is_empty()
            });
            if is_empty {
                metadata.remove("labels");
            }
            // What Flux writes down of it.
            metadata.remove("namespace");
        }
        content
    };
    objects.iter().map(|object| (object.reference(), bare(object))).collect()
}
