//! Objects whose change the API server refuses in place: made anew where that is declared, and never a volume.

use k8s_openapi::api::core::v1::PersistentVolumeClaim;
use kube::core::params::ListParams;
use serde_json::{Value, json};

use super::apply::TERMINATED;
use super::{Applied, ApplyOptions, Cluster, DeleteOptions, Error, Object, ObjectRef, Propagation, Removed, Whose};

/// What becomes of an object with a field that cannot be changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Immutable {
    /// It stays, and the apply fails.
    Fail,
    /// It is deleted with what belongs to it, and made anew.
    Recreate,
    /// It is deleted without what belongs to it, such as its pods, which the new one adopts.
    OrphanRecreate,
    /// The volume claims that a `StatefulSet` has made grow to the size that its templates have now, then as `OrphanRecreate`.
    ExpandVolumes,
}

impl Cluster {
    /// Makes an object anew that `refused` to be changed in place, where `options` say so. A Job that is finished is without
    /// being named: it has done its work, and nothing of it goes on.
    ///
    /// Killed after it was deleted, the next apply makes it: it is missing then.
    pub(super) async fn replace(
        &self,
        object: &Object,
        options: &ApplyOptions,
        refused: Error,
    ) -> Result<Applied, Error> {
        let propagation = match self.policy(object, options).await? {
            Immutable::Fail => return Err(refused),
            Immutable::Recreate => Propagation::Background,
            Immutable::OrphanRecreate => Propagation::Orphan,
            Immutable::ExpandVolumes => {
                self.expand_volumes(object).await?;
                Propagation::Orphan
            }
        };
        let deletion = DeleteOptions {
            // Only what is this release's, and what nobody asked to keep.
            whose: Whose::Release(options.owner.clone()),
            propagation,
            timeout: Some(TERMINATED),
        };
        let removed = self.delete(std::slice::from_ref(object), &deletion).await?;
        if removed.iter().any(|it| matches!(it.removed, Removed::Kept | Removed::NotOurs(_))) {
            return Err(refused);
        }
        self.apply_one(object, None, options.how()).await
    }

    async fn policy(&self, object: &Object, options: &ApplyOptions) -> Result<Immutable, Error> {
        let kind = object.reference().kind.as_str();
        Ok(match options.immutable.get(kind) {
            _ if object.reference().is_volume() => Immutable::Fail,
            Some(policy) => *policy,
            None if kind == "Job" && self.is_finished(object).await? => Immutable::Recreate,
            None => Immutable::Fail,
        })
    }

    /// Whether an object that cannot be changed in place is made anew.
    pub(super) async fn is_replaced(&self, object: &Object, options: &ApplyOptions) -> Result<bool, Error> {
        Ok(self.policy(object, options).await? != Immutable::Fail)
    }

    /// Has the claims that a `StatefulSet` made from its templates grow to the templates' size. One that has that size, or is larger,
    /// is left; whether its storage can grow the API server decides.
    async fn expand_volumes(&self, set: &Object) -> Result<(), Error> {
        let reference = set.reference();
        let templates = set.content().get("spec").and_then(|spec| spec["volumeClaimTemplates"].as_array());
        let Some(namespace) = reference.namespace.as_deref() else { return Ok(()) };
        let kinds = self.discovery.kinds_with(std::iter::empty()).await?;
        let Some(claims) = kinds.any_version("", "PersistentVolumeClaim") else { return Ok(()) };
        let there =
            self.requests.list::<PersistentVolumeClaim>(claims, Some(namespace), &ListParams::default()).await?;
        for template in templates.into_iter().flatten() {
            let name = template["metadata"]["name"].as_str().unwrap_or_default();
            let Some(wanted) = template.pointer("/spec/resources/requests/storage") else { continue };
            let made = format!("{name}-{}-", reference.name);
            let is_made = |claim: &&PersistentVolumeClaim| {
                let ordinal = claim.metadata.name.as_deref().and_then(|name| name.strip_prefix(&made));
                ordinal
                    .is_some_and(|ordinal| !ordinal.is_empty() && ordinal.bytes().all(|digit| digit.is_ascii_digit()))
            };
            for claim in there.items.iter().filter(is_made) {
                let requests = claim.spec.as_ref().and_then(|spec| spec.resources.as_ref()?.requests.as_ref());
                let size = requests.and_then(|requests| requests.get("storage")).map(|size| size.0.clone());
                if size.as_deref().and_then(bytes) >= wanted.as_str().and_then(bytes) {
                    continue;
                }
                let object = ObjectRef {
                    group: String::new(),
                    kind: "PersistentVolumeClaim".to_owned(),
                    namespace: Some(namespace.to_owned()),
                    name: claim.metadata.name.clone().unwrap_or_default(),
                };
                let grown = json!({ "spec": { "resources": { "requests": { "storage": wanted } } } });
                self.requests.merge((claims, &object), &grown).await?;
            }
        }
        Ok(())
    }

    async fn is_finished(&self, job: &Object) -> Result<bool, Error> {
        let live = self.requests.get(job.resource(), job.reference()).await?;
        let conditions = live.as_ref().and_then(|live| live["status"]["conditions"].as_array());
        let ends = |condition: &&Value| {
            condition["status"] == "True" && (condition["type"] == "Complete" || condition["type"] == "Failed")
        };
        Ok(conditions.into_iter().flatten().any(|condition| ends(&condition)))
    }
}

/// A quantity of bytes as a number, `1.5Gi`; `None` where it is none.
fn bytes(quantity: &str) -> Option<f64> {
    const UNITS: [(&str, f64); 11] = [
        ("Ki", 1024.0),
        ("Mi", 1_048_576.0),
        ("Gi", 1_073_741_824.0),
        ("Ti", 1_099_511_627_776.0),
        ("Pi", 1_125_899_906_842_624.0),
        ("k", 1e3),
        ("M", 1e6),
        ("G", 1e9),
        ("T", 1e12),
        ("P", 1e15),
        ("m", 1e-3),
    ];
    let (number, unit) = UNITS
        .iter()
        .find_map(|(unit, factor)| Some((quantity.strip_suffix(unit)?, *factor)))
        .unwrap_or((quantity, 1.0));
    Some(number.parse::<f64>().ok()? * unit)
}

#[cfg(test)]
mod tests {
    use super::bytes;

    #[test]
    fn sizes_are_compared_as_numbers() {
        assert!(bytes("1Gi") > bytes("1G") && bytes("1Gi") == bytes("1024Mi") && bytes("1500M") == bytes("1.5G"));
        assert!(bytes("1e9") == bytes("1G") && bytes("much").is_none());
    }
}
