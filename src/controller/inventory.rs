//! Objects as a status lists them.

use crate::api::InventoryEntry;
use crate::cluster::ObjectRef;

impl From<ObjectRef> for InventoryEntry {
    /// Without its uid, which is not known before it was applied.
    fn from(ObjectRef { group, kind, namespace, name }: ObjectRef) -> Self {
        Self { group, kind, namespace, name, uid: None }
    }
}

impl From<InventoryEntry> for ObjectRef {
    fn from(InventoryEntry { group, kind, namespace, name, uid: _ }: InventoryEntry) -> Self {
        Self { group, kind, namespace, name }
    }
}
