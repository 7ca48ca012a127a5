//! A Helm release that was there before the object which declares it: whether it may be taken over, and whether anything has to
//! be done for that.

use std::collections::BTreeMap;

use helm::release::Release;
use serde_json::Value;

use super::Task;
use crate::api::Reason;
use crate::cluster::{Existing, ObjectRef};
use crate::controller::error::ReconcileError;
use crate::controller::release::trace::Trace;
use crate::history::Record;

/// The labels by which Flux marks what it applied: the name and namespace of its `HelmRelease`.
const FLUX: [&str; 2] = ["helm.toolkit.fluxcd.io/name", "helm.toolkit.fluxcd.io/namespace"];

/// Whether no revision of the release bears an operator's marks.
pub(super) fn is_first(task: &Task<'_>) -> bool {
    task.place.revisions.of(&task.desired.identity.release).iter().all(|meta| meta.marks.is_none())
}

/// Whether the newest revision that bears an operator's marks was made for this very object.
fn is_own(task: &Task<'_>) -> bool {
    let revisions = task.place.revisions.of(&task.desired.identity.release);
    let newest = revisions.iter().rev().find_map(|meta| meta.marks.as_ref());
    newest.is_some_and(|marks| marks.uid == task.desired.identity.uid)
}

/// Refuses to take over the release of another chart, unless that is declared.
pub(super) fn admit_chart(there: Option<&Record>, declared: &str, task: &Task<'_>) -> Result<(), ReconcileError> {
    let (identity, namespace) = (&task.desired.identity, there.map(|there| there.release.namespace.as_str()));
    if let Some(namespace) = namespace.filter(|it| is_first(task) && *it != identity.namespace) {
        let message = format!(
            "the records of {} in namespace {} are of a release in namespace {namespace}, and this object declares one in namespace {}: set \
             spec.release.namespace to {namespace} to take that one over, or choose another name in spec.release.name, or another spec.storageNamespace",
            identity.release.name, identity.release.namespace, identity.namespace
        );
        return Err(ReconcileError::new(Reason::AdoptionRefused, message));
    }
    let Some(there) = there.filter(|_| !is_own(task) && !task.release.spec.adopt) else { return Ok(()) };
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
    let found = if task.place.reach().covers(&object) {
        task.place.cluster.look_up(&object).await.map_err(ReconcileError::from)
    } else {
        Err(ReconcileError::new(Reason::Forbidden, "it is out of reach (--no-cross-namespace-refs)"))
    };
    match found {
        Ok(Some(owner)) if owner["spec"]["suspend"] != true => {
            let message = format!(
                "the release {release} is looked after by Flux, as its HelmRelease {namespace}/{name} declares: suspend that (flux suspend \
                 helmrelease {name} --namespace {namespace}), and delete it once this one is ready; while it is suspended Flux leaves the release in place"
            );
            Err(ReconcileError::new(Reason::AdoptionRefused, message))
        }
        Ok(_) => Ok(()),
        // Who may not read it cannot know.
        Err(error) if error.reason == Reason::Forbidden => {
            let message = format!(
                "the release {release} bears the labels of Flux's HelmRelease {namespace}/{name}, and whether that is suspended cannot be read: {}",
                error.message
            );
            trace.warn(Reason::AdoptionIgnored, message);
            Ok(())
        }
        Err(error) => Err(error),
    }
}

/// Whether what is deployed is what is wanted but for Flux's labels: nothing has to be done then.
pub(super) fn is_same(deployed: &Release, wanted: &Release) -> bool {
    let hooks = |release: &Release| -> Option<Vec<_>> {
        release.hooks.iter().map(|hook| Some((hook.path.clone(), bare(&hook.manifest)?))).collect()
    };
    let (there, made) = (bare(&deployed.manifest), bare(&wanted.manifest));
    is_same_chart(deployed, wanted) && there.is_some() && there == made && hooks(deployed) == hooks(wanted)
}

/// Whether two releases are of the same chart in the same version, with the same values.
pub(super) fn is_same_chart(deployed: &Release, wanted: &Release) -> bool {
    let version = |release: &Release| release.chart.version().split('+').next().unwrap_or_default().to_owned();
    deployed.chart.name() == wanted.chart.name()
        && version(deployed) == version(wanted)
        && deployed.config == wanted.config
}

/// The objects of a manifest without Flux's labels, by what names them; none where it cannot be read.
pub(super) fn bare(manifest: &str) -> Option<BTreeMap<String, Value>> {
    let documents = formats::yaml::parse_all(manifest.as_bytes()).ok()?;
    let objects = documents.iter().map(formats::json::to_serde).filter(Value::is_object).map(|mut object| {
        if let Some(metadata) = object.get_mut("metadata").and_then(Value::as_object_mut) {
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
        (format!("{} {} {}", object["apiVersion"], object["kind"], object["metadata"]["name"]), object)
    });
    Some(objects.collect())
}
