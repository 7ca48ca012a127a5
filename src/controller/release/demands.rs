//! What people ask for by annotations, each once. Pure.

use kube::ResourceExt as _;

use crate::api::{FORCE_AT, HelmRelease, HelmReleaseStatus, REQUESTED_AT};
use crate::history::RecordMeta;

/// Whether a person asked for a look that was not taken yet, as the status tells.
pub(super) fn is_requested(release: &HelmRelease) -> bool {
    let handled = release.status.as_ref().and_then(|status| status.last_handled_reconcile_at.as_ref());
    release.annotations().get(REQUESTED_AT).is_some_and(|requested| Some(requested) != handled)
}

/// The same, unless a revision answers it that the status does not tell of: one that cannot be written would ask for ever.
pub(super) fn is_unanswered(release: &HelmRelease, revisions: &[RecordMeta]) -> bool {
    let Some(requested) = release.annotations().get(REQUESTED_AT).filter(|_| is_requested(release)) else {
        return false;
    };
    let status = release.status.as_ref();
    let told = status.iter().flat_map(|status| &status.history).map(|entry| entry.revision).max();
    let asked = |meta: &RecordMeta| Some((i64::from(meta.revision), meta.marks.as_ref()?.asked.clone()?));
    let answered = revisions.iter().rev().find_map(asked).filter(|(revision, _)| told < Some(*revision));
    answered.is_none_or(|(_, answered)| answered != *requested)
}

/// A person's demand for one more revision, unless the status calls it answered, or it came with the object: a backup may have it.
pub(super) fn forced(release: &HelmRelease) -> Option<&str> {
    let handled = release.status.as_ref().filter(|_| !is_new(release))?.last_handled_force_at.as_ref();
    release.annotations().get(FORCE_AT).filter(|demand| Some(*demand) != handled).map(String::as_str)
}

/// Whether no reconcile of the object has ended yet: the API server gives it a status that says so.
fn is_new(release: &HelmRelease) -> bool {
    release.status.as_ref().and_then(|status| status.observed_generation).is_none_or(|generation| generation < 0)
}

/// The status as it was; what an object that is new came with is answered.
pub(super) fn status_before(release: &HelmRelease) -> HelmReleaseStatus {
    let mut before = release.status.clone().unwrap_or_default();
    if is_new(release) {
        before.last_handled_force_at = release.annotations().get(FORCE_AT).cloned();
    }
    before
}

/// Whether one of `revisions` was made because of that demand.
pub(super) fn is_answered(demand: &str, revisions: &[RecordMeta]) -> bool {
    revisions.iter().any(|meta| meta.marks.as_ref().is_some_and(|marks| marks.forced.as_deref() == Some(demand)))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::is_unanswered;
    use crate::history::{Marks, RecordMeta};

    fn revision(revision: u32, asked: Option<&str>) -> RecordMeta {
        let metadata = json!({
            "name": format!("sh.helm.release.v1.web.v{revision}"),
            "namespace": "apps",
            "labels": { "owner": "helm", "name": "web", "version": revision.to_string(), "status": "failed" },
        });
        let metadata = serde_json::from_value(metadata).expect("metadata");
        let marks = Marks { asked: asked.map(str::to_owned), ..Marks::default() };
        RecordMeta { marks: Some(marks), ..RecordMeta::from_metadata(&metadata).expect("a record") }
    }

    #[test]
    fn a_demand_is_answered_by_the_status_or_by_a_revision_that_the_status_does_not_tell_of() {
        let told = |handled: &str, revision: u32| json!({ "lastHandledReconcileAt": handled, "history": [{ "revision": revision, "status": "failed" }] });
        let made = [revision(1, Some("a")), revision(2, Some("b")), revision(3, None)];
        for (requested, status, revisions, expected) in [
            (None, Value::Null, &made[..], false),
            (Some("b"), Value::Null, &[][..], true),
            (Some("b"), told("b", 3), &made, false),
            // The status could not be written since; a rollback came after it.
            (Some("b"), told("a", 1), &made, false),
            (Some("b"), Value::Null, &made, false),
            (Some("c"), told("a", 1), &made, true),
            (Some("a"), told("", 1), &made, true),
            // It was written since: the word is asked once more.
            (Some("b"), told("a", 3), &made, true),
        ] {
            let annotations = requested.map(|requested| json!({ "helm-operator.ketches.cn/requestedAt": requested }));
            let release = serde_json::from_value(json!({
                "apiVersion": "helm-operator.ketches.cn/v1alpha1", "kind": "HelmRelease",
                "metadata": { "name": "web", "namespace": "apps", "annotations": annotations },
                "spec": { "chart": { "name": "web" } }, "status": status,
            }));
            let release = release.expect("an object");
            assert_eq!(is_unanswered(&release, revisions), expected, "{requested:?} {status}");
        }
    }
}
