//! Taking over fields that Helm set before us, so that a field which leaves the chart leaves the object.
//!
//! Helm 3 wrote with manager `helm` and operation `Update`. Server-side apply with the same name is another manager to
//! the server: what an `Update` owns stays when an `Apply` no longer mentions it. Operators that have Helm built in sign
//! with their own names, and what they own would be a conflict, though they are gone. So those entries become part of the
//! `Apply` entry once, before the first apply. Pure.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{FieldsV1, ManagedFieldsEntry};
use serde_json::{Map, Value, json};

use super::request::FIELD_MANAGER;

/// The names of the Go operator of this API, of Flux, and of k3s.
const FORMER: [&str; 3] = ["helm-operator", "helm-controller", "helm_v3"];

/// Who makes objects from files, and would make them anew: kubectl, and Argo CD. They give up their claim on an object that becomes a
/// release's: what the chart sets of it is the chart's alone from then on, and leaves with it; what no chart sets stays in the object, and
/// is nobody's. What a person sets with kubectl otherwise (`kubectl-edit`, `kubectl-patch`, ...) stays that person's.
const CLIENTS: [&str; 5] =
    ["kubectl-client-side-apply", "kubectl-create", "kubectl-replace", "before-first-apply", "argocd-controller"];

/// The managers who applied objects of `group` for the release that owns them now.
pub(super) fn former_managers(group: &str) -> &'static [&'static str] {
    // On its own kinds that name is an operator's, which holds them by a finalizer.
    if group == "helm-operator.ketches.cn" { &[] } else { &FORMER }
}

/// Whether somebody of this name applies objects for releases.
pub(super) fn signs_for_releases(manager: &str) -> bool {
    manager == FIELD_MANAGER || FORMER.contains(&manager)
}

/// Whether an entry is of one who applied the object for a release.
pub(super) fn is_of_release(entry: &ManagedFieldsEntry) -> bool {
    is_of_object(entry) && signs_for_releases(entry.manager.as_deref().unwrap_or_default())
}

/// The managed fields after the take-over, from managers of these names, too; `None` when there is nothing to take over.
pub(super) fn taken_over(entries: &[ManagedFieldsEntry], former: &[&str]) -> Option<Vec<ManagedFieldsEntry>> {
    let same_program = |entry: &ManagedFieldsEntry| {
        let program = program(entry);
        program.is_some() && entries.iter().any(|other| marked_it(other) && self::program(other) == program)
    };
    // An object that no Helm has applied yet becomes the release's.
    let is_first = !former.is_empty() && !entries.iter().any(is_of_release);
    let is_given_up =
        |entry: &ManagedFieldsEntry| is_first && CLIENTS.contains(&entry.manager.as_deref().unwrap_or_default());
    let is_before = |entry: &ManagedFieldsEntry| {
        let manager = entry.manager.as_deref().unwrap_or_default();
        let is_of_helm = manager == FIELD_MANAGER && entry.operation.as_deref() == Some("Update");
        let is_former = former.contains(&manager) || (!former.is_empty() && is_embedded(entry));
        is_of_object(entry)
            && (is_of_helm || is_given_up(entry) || is_former && (marked_it(entry) || same_program(entry)))
    };
    let (before, mut kept): (Vec<_>, Vec<_>) = entries.iter().cloned().partition(is_before);
    let latest = before.last()?.clone();
    let position = kept.iter().position(is_ours).unwrap_or_else(|| {
        let (manager, operation) = (Some(FIELD_MANAGER.to_owned()), Some("Apply".to_owned()));
        kept.push(ManagedFieldsEntry { manager, operation, fields_v1: None, ..latest });
        kept.len() - 1
    });
    let mut fields = kept[position].fields_v1.take().map_or_else(Value::default, |fields| fields.0);
    for entry in before.into_iter().filter(|entry| !is_given_up(entry)) {
        union(&mut fields, without_bonds(entry.fields_v1.map_or_else(Value::default, |fields| fields.0)));
    }
    if !fields.is_object() {
        // An object without any managers is one whose fields are somebody's whom nobody knows: what every apply of ours sets.
        fields = json!({ "f:metadata": { "f:labels": { "f:app.kubernetes.io/managed-by": {} } } });
    }
    kept[position].fields_v1 = Some(FieldsV1(fields));
    Some(kept)
}

/// The managed fields without our claim on `spec.replicas`; `None` where there is none. An apply that no longer sets the field would
/// have the API server put 1 there, while an autoscaler is only about to take over
/// (<https://kubernetes.io/docs/reference/using-api/server-side-apply/#transferring-ownership>).
pub(super) fn without_replicas(entries: &[ManagedFieldsEntry]) -> Option<Vec<ManagedFieldsEntry>> {
    let mut entries = entries.to_vec();
    let own = entries.iter_mut().find(|entry| is_ours(entry))?;
    own.fields_v1.as_mut()?.0.get_mut("f:spec")?.as_object_mut()?.remove("f:replicas")?;
    Some(entries)
}

fn is_ours(entry: &ManagedFieldsEntry) -> bool {
    let is_apply = entry.operation.as_deref() == Some("Apply");
    is_of_object(entry) && entry.manager.as_deref() == Some(FIELD_MANAGER) && is_apply
}

/// An entry of a subresource (`status`, `scale`) is no part of what a chart sets.
fn is_of_object(entry: &ManagedFieldsEntry) -> bool {
    entry.subresource.as_deref().unwrap_or_default().is_empty()
}

/// Whether an entry is of a program with Helm built in, which signs with a name of its own. A person's kubectl is none.
fn is_embedded(entry: &ManagedFieldsEntry) -> bool {
    let is_kubectl = entry.manager.as_deref().is_some_and(|manager| manager.starts_with("kubectl"));
    entry.operation.as_deref() == Some("Update") && !is_kubectl
}

/// The program that an entry is of, where it signs with its version (`terraform-provider-helm_v2.12.1_x5`): the next version of it is
/// another manager.
fn program(entry: &ManagedFieldsEntry) -> Option<&str> {
    let (program, version) = entry.manager.as_deref()?.split_once("_v")?;
    version.starts_with(|first: char| first.is_ascii_digit()).then_some(program).filter(|_| is_embedded(entry))
}

/// Whether it was this manager that wrote the object for its release. One that only works on it, as Flux on a `HelmRelease`
/// of its own that a chart holds, did not.
fn marked_it(entry: &ManagedFieldsEntry) -> bool {
    let fields = entry.fields_v1.as_ref().map(|fields| &fields.0);
    fields.is_some_and(|fields| fields["f:metadata"]["f:annotations"].get("f:meta.helm.sh/release-name").is_some())
}

/// The fields without those that tie an object to a controller: they would go with our next apply.
fn without_bonds(mut fields: Value) -> Value {
    if let Some(metadata) = fields.get_mut("f:metadata").and_then(Value::as_object_mut) {
        metadata.remove("f:finalizers");
        metadata.remove("f:ownerReferences");
    }
    fields
}

/// A set of fields is a tree of maps; a leaf is an empty map.
fn union(into: &mut Value, other: Value) {
    let Value::Object(other) = other else { return };
    if !into.is_object() {
        *into = Value::Object(Map::new());
    }
    let into = into.as_object_mut().expect("it was just made a map");
    for (field, below) in other {
        union(into.entry(field).or_insert_with(|| Value::Object(Map::new())), below);
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::needless_pass_by_value, reason = "JSON literals read better unborrowed")]

    use serde_json::{Value, json};

    use super::{former_managers, taken_over, without_replicas};

    fn entry(manager: &str, operation: &str, fields: Value) -> Value {
        json!({ "manager": manager, "operation": operation, "apiVersion": "v1", "fieldsType": "FieldsV1", "fieldsV1": fields })
    }

    fn after(entries: Value) -> Option<Value> {
        let entries: Vec<_> = serde_json::from_value(entries).expect("managed fields");
        taken_over(&entries, &[]).map(|entries| json!(entries))
    }

    #[test]
    fn what_an_operator_set_that_is_gone_is_taken_over_where_the_object_is_the_releases() {
        let marks = json!({ "f:meta.helm.sh/release-name": {} });
        let fields = json!({ "f:metadata": { "f:annotations": marks }, "f:spec": { "f:replicas": {} } });
        let mut bound = fields.clone();
        bound["f:metadata"]["f:finalizers"] = json!({ ".": {} });
        let only_works_on_it =
            json!([entry("helm-controller", "Update", json!({ "f:metadata": { "f:finalizers": {} } }))]);
        let parsed: Vec<_> = serde_json::from_value(only_works_on_it).expect("managed fields");
        assert_eq!(taken_over(&parsed, former_managers("apps")), None);
        for (manager, operation) in [("helm-operator", "Update"), ("helm-controller", "Apply"), ("helm_v3", "Update")] {
            let entries = json!([entry(manager, operation, bound.clone())]);
            let parsed: Vec<_> = serde_json::from_value(entries.clone()).expect("managed fields");
            let taken = taken_over(&parsed, former_managers("apps")).map(|entries| json!(entries));
            assert_eq!(taken, Some(json!([entry("helm", "Apply", fields.clone())])), "{manager}");
            assert_eq!(taken_over(&parsed, former_managers("helm-operator.ketches.cn")), None, "{manager}");
            assert_eq!(after(entries), None, "{manager}");
        }
    }

    #[test]
    fn only_our_own_claim_on_replicas_is_given_up() {
        let replicas = || json!({ "f:spec": { "f:replicas": {}, "f:paused": {} } });
        let given_up = |entries: Value| {
            let entries: Vec<_> = serde_json::from_value(entries).expect("managed fields");
            without_replicas(&entries).map(|entries| json!(entries))
        };
        let other = entry("kubectl-edit", "Update", replicas());
        let rest = entry("helm", "Apply", json!({ "f:spec": { "f:paused": {} } }));
        assert_eq!(given_up(json!([other, entry("helm", "Apply", replicas())])), Some(json!([other, rest])));
        assert_eq!(given_up(json!([other, rest])), None);
    }

    #[test]
    fn a_program_that_signs_with_its_version_is_one_whatever_its_version() {
        let marks = json!({ "f:metadata": { "f:annotations": { "f:meta.helm.sh/release-name": {} } } });
        let image = || json!({ "f:spec": { "f:image": {} } });
        let entries = json!([
            entry("terraform-provider-helm_v2.9.0_x5", "Update", marks.clone()),
            entry("terraform-provider-helm_v2.12.1_x5", "Update", image()),
            entry("other_v2.12.1", "Update", image()),
        ]);
        let parsed: Vec<_> = serde_json::from_value(entries).expect("managed fields");
        let taken = taken_over(&parsed, former_managers("apps")).map(|entries| json!(entries));
        let mut ours = marks;
        ours["f:spec"] = json!({ "f:image": {} });
        assert_eq!(taken, Some(json!([entry("other_v2.12.1", "Update", image()), entry("helm", "Apply", ours)])));
        // helm_v3 is a name, and no version of a program.
        let other = json!([entry("helm_v3", "Update", image())]);
        let parsed: Vec<_> = serde_json::from_value(other).expect("managed fields");
        assert_eq!(taken_over(&parsed, former_managers("apps")), None);
    }

    #[test]
    fn what_helm_updated_becomes_what_helm_applied() {
        let updated = json!({ "f:data": { "f:a": {}, "f:b": {} } });
        let other = entry("kubectl-edit", "Update", json!({ "f:data": { "f:c": {} } }));
        let taken = after(json!([entry("helm", "Update", updated.clone()), other]));
        assert_eq!(taken, Some(json!([other, entry("helm", "Apply", updated)])));
    }

    #[test]
    fn it_joins_what_helm_has_applied_already() {
        let applied = entry("helm", "Apply", json!({ "f:data": { "f:a": { "f:x": {} } } }));
        let updated = entry("helm", "Update", json!({ "f:data": { "f:a": { "f:y": {} }, "f:b": {} } }));
        let both = json!({ "f:data": { "f:a": { "f:x": {}, "f:y": {} }, "f:b": {} } });
        assert_eq!(after(json!([applied, updated])), Some(json!([entry("helm", "Apply", both)])));
    }

    #[test]
    fn what_made_an_object_from_files_has_no_claim_on_it_once_it_is_a_releases() {
        let fields = json!({ "f:data": { "f:a": {}, "f:b": {} } });
        let person = entry("kubectl-edit", "Update", json!({ "f:data": { "f:c": {} } }));
        let taken = |entries: Value, group: &str| {
            let entries: Vec<_> = serde_json::from_value(entries).expect("managed fields");
            taken_over(&entries, former_managers(group)).map(|entries| json!(entries))
        };
        for manager in ["kubectl-client-side-apply", "kubectl-create", "kubectl-replace", "argocd-controller"] {
            let made = entry(manager, "Update", fields.clone());
            let label = json!({ "f:metadata": { "f:labels": { "f:app.kubernetes.io/managed-by": {} } } });
            let expected = json!([person, entry("helm", "Apply", label)]);
            assert_eq!(taken(json!([made, person]), "apps"), Some(expected), "{manager}");
            // Once it is, a person may have made something of it.
            let ours = entry("helm", "Apply", json!({ "f:data": { "f:b": {} } }));
            assert_eq!(taken(json!([made, ours]), "apps"), None, "{manager}");
            // A hook's.
            assert_eq!(after(json!([made])), None, "{manager}");
        }
        assert_eq!(taken(json!([person]), "apps"), None);
    }

    #[test]
    fn other_managers_subresources_and_applied_objects_are_left() {
        let mut status = entry("helm", "Update", json!({ "f:status": {} }));
        status["subresource"] = "status".into();
        let kubectl = entry("kubectl-client-side-apply", "Update", json!({ "f:data": {} }));
        let applied = entry("helm", "Apply", json!({ "f:data": {} }));
        assert_eq!(after(json!([status, kubectl, applied])), None);
    }
}
