//! One patch: operations (RFC 6902) or an object to merge, and which objects it is for.

use json_patch::{AddOperation, PatchOperation, ReplaceOperation};
use serde_json::Value;

use super::merge::merge;
use super::schema::{self, Type};
use super::{Error, chosen, describe};
use crate::selector::Selector;

/// One patch.
#[derive(Debug, Clone)]
pub struct Patch {
    /// What errors call it.
    name: String,
    /// Which objects it is for; the one that it names, where it is none.
    target: Option<Selector>,
    change: Change,
}

#[derive(Debug, Clone)]
enum Change {
    Operations(json_patch::Patch),
    Merge(Value),
}

/// How large a patch may be, and an object into which it copies, in about the bytes of its text.
const BYTES: usize = 1 << 20;

/// About how many bytes of text a value has.
fn size(value: &Value) -> usize {
    match value {
        Value::Object(map) => 8 + map.iter().map(|(key, value)| key.len() + size(value)).sum::<usize>(),
        Value::Array(items) => 8 + items.iter().map(size).sum::<usize>(),
        Value::String(text) => 8 + text.len(),
        _ => 8,
    }
}

/// As kustomize has it, what is replaced in a map need not be there.
fn lenient(operation: &PatchOperation, object: &Value) -> PatchOperation {
    match operation {
        PatchOperation::Replace(ReplaceOperation { path, value }) if object.pointer(path.as_str()).is_none() => {
            let (path, value) = (path.clone(), value.clone());
            let parent = path.parent().and_then(|parent| object.pointer(parent.as_str()));
            match parent {
                Some(Value::Object(_)) => PatchOperation::Add(AddOperation { path, value }),
                _ => operation.clone(),
            }
        }
        operation => operation.clone(),
    }
}

impl Patch {
    /// Parses patches in YAML or JSON, one for each document: a list of operations, which needs a target, or an object to merge. `name`
    /// is what errors call them.
    pub fn parse(name: &str, text: &str, target: Option<&Selector>) -> Result<Vec<Self>, Error> {
        let wrong = |why: String| Error::Patch { patch: name.to_owned(), why };
        let documents = formats::yaml::parse_all(text.as_bytes()).map_err(|error| wrong(error.to_string()))?;
        let parsed = documents.iter().map(formats::json::to_serde).filter(|document| !document.is_null());
        let patches: Vec<Self> = parsed.map(|parsed| Self::of(name, parsed, target)).collect::<Result<_, _>>()?;
        if patches.is_empty() { Err(wrong("it is empty".to_owned())) } else { Ok(patches) }
    }

    fn of(name: &str, parsed: Value, target: Option<&Selector>) -> Result<Self, Error> {
        let wrong = |why: String| Error::Patch { patch: name.to_owned(), why };
        if size(&parsed) > BYTES {
            return Err(wrong(format!("it holds more than {BYTES} bytes")));
        }
        let change = match parsed {
            operations @ Value::Array(_) => {
                if target.is_none() {
                    return Err(wrong("a list of operations needs a target".to_owned()));
                }
                let parsed = serde_json::from_value(operations).map_err(|error| wrong(error.to_string()))?;
                Change::Operations(parsed)
            }
            object @ Value::Object(_) => {
                if target.is_none() && (chosen(&object).kind.is_empty() || chosen(&object).name.is_empty()) {
                    return Err(wrong("without a target it has to name its kind and metadata.name".to_owned()));
                }
                Change::Merge(object)
            }
            _ => return Err(wrong("it is a single value".to_owned())),
        };
        Ok(Self { name: name.to_owned(), target: target.cloned(), change })
    }

    /// What errors call it.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// Whether it is for this object of a release in `namespace`, which an object is in that names none.
    pub(super) fn is_for(&self, object: &Value, namespace: &str) -> bool {
        let mut there = chosen(object);
        if there.namespace.is_empty() && !schema::is_cluster_scoped(there.group, there.kind) {
            there.namespace = namespace;
        }
        match (&self.target, &self.change) {
            (Some(target), _) => target.matches(&there),
            (None, Change::Merge(patch)) => {
                let named = chosen(patch);
                // One that names no namespace is for the release's own, or for what is in none.
                let wanted = if named.namespace.is_empty() { namespace } else { named.namespace };
                let is_namespace = there.namespace.is_empty() || wanted == there.namespace;
                (named.group, named.kind, named.name) == (there.group, there.kind, there.name) && is_namespace
            }
            (None, Change::Operations(_)) => false,
        }
    }

    /// The object that has to be there for it, in words.
    pub(super) fn needed(&self) -> Option<String> {
        match (&self.target, &self.change) {
            (None, Change::Merge(patch)) => Some(describe(patch)),
            _ => None,
        }
    }

    /// Changes an object; `false` where the object is deleted by it. Fails with why it cannot be.
    pub(super) fn apply(&self, object: &mut Value) -> Result<bool, String> {
        match &self.change {
            Change::Operations(operations) => {
                for operation in operations.iter() {
                    // Each copy of a whole that holds its copies doubles it.
                    if matches!(operation, PatchOperation::Copy(_)) && size(object) > BYTES {
                        return Err(format!("its copies have made it larger than {BYTES} bytes"));
                    }
                    let operation = lenient(operation, object);
                    json_patch::patch(object, &[operation]).map_err(|error| error.to_string())?;
                }
                Ok(true)
            }
            Change::Merge(patch) => {
                let mut patch = patch.clone();
                let of = Type::of_kind(chosen(object).group, chosen(object).kind);
                // Whichever object it is for stays what it is.
                for field in ["apiVersion", "kind"] {
                    patch.as_object_mut().map(|patch| patch.remove(field));
                }
                if self.target.is_some()
                    && let Some(metadata) = patch.get_mut("metadata").and_then(Value::as_object_mut)
                {
                    metadata.remove("name");
                    metadata.remove("namespace");
                }
                merge(object, &patch, of)
            }
        }
    }
}
