//! Taking over fields that Helm set by client-side apply, so that a field which leaves the chart leaves the object.
//!
//! Helm 3 wrote with manager `helm` and operation `Update`. Server-side apply with the same name is another manager to
//! the server: what an `Update` owns stays when an `Apply` no longer mentions it. So those entries become part of the
//! `Apply` entry once, before the first apply. Pure.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{FieldsV1, ManagedFieldsEntry};
use serde_json::{Map, Value};

use super::request::FIELD_MANAGER;

/// The managed fields after the take-over; `None` when there is nothing to take over.
pub(super) fn taken_over(entries: &[ManagedFieldsEntry]) -> Option<Vec<ManagedFieldsEntry>> {
    let (updates, mut kept): (Vec<_>, Vec<_>) = entries.iter().cloned().partition(is_client_side);
    let latest = updates.last()?.clone();
    let position = kept.iter().position(is_server_side).unwrap_or_else(|| {
        kept.push(ManagedFieldsEntry { operation: Some("Apply".to_owned()), fields_v1: None, ..latest });
        kept.len() - 1
    });
    let mut fields = kept[position].fields_v1.take().map_or_else(Value::default, |fields| fields.0);
    for update in updates {
        union(&mut fields, update.fields_v1.map_or_else(Value::default, |fields| fields.0));
    }
    kept[position].fields_v1 = Some(FieldsV1(fields));
    Some(kept)
}

fn is_client_side(entry: &ManagedFieldsEntry) -> bool {
    is_ours(entry) && entry.operation.as_deref() == Some("Update")
}

fn is_server_side(entry: &ManagedFieldsEntry) -> bool {
    is_ours(entry) && entry.operation.as_deref() == Some("Apply")
}

/// An entry of a subresource (`status`, `scale`) is no part of what a chart sets.
fn is_ours(entry: &ManagedFieldsEntry) -> bool {
    entry.manager.as_deref() == Some(FIELD_MANAGER) && entry.subresource.as_deref().unwrap_or_default().is_empty()
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
