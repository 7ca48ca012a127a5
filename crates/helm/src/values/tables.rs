//! Tables, Helm's word for maps in values: looked up by path, copied and merged into each other.

use gotmpl::{List, Map, Value};

/// Whether nulls are kept for a later coalescing, or act now: a null deletes the default below it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Nulls {
    Keep,
    Delete,
}

/// The table at a dotted path.
pub(crate) fn table(values: &Map, path: &str) -> Option<Map> {
    let mut current = values.clone();
    for key in path.split('.') {
        let Some(Value::Map(next)) = current.get(key.as_bytes()) else { return None };
        current = next;
    }
    Some(current)
}

/// The value at a dotted path, if there is one that is no table.
pub(crate) fn scalar(values: &Map, path: &str) -> Option<Value> {
    let (parent, key) = match path.rsplit_once('.') {
        Some((parent, key)) => (table(values, parent)?, key),
        None => (values.clone(), path),
    };
    parent.get(key.as_bytes()).filter(|value| !matches!(value, Value::Map(_)))
}

/// A table of its own, nested tables and lists included.
pub(super) fn deep_copy(map: &Map) -> Map {
    let entries = map.borrow();
    Map::new(map.ty, entries.iter().map(|(key, value)| (key.clone(), copy_value(value))).collect())
}

fn copy_value(value: &Value) -> Value {
    match value {
        Value::Map(map) => deep_copy(map).into(),
        Value::List(list) => List::new(list.element, list.items().iter().map(copy_value).collect()).into(),
        scalar => scalar.clone(),
    }
}

/// A table of its own whose nested tables are shared.
pub(super) fn shallow_copy(map: &Map) -> Map {
    Map::new(map.ty, map.borrow().clone())
}

/// Removes nulls at every depth.
pub(super) fn remove_nulls(map: &Map) {
    map.borrow_mut().retain(|_, value| !matches!(value, Value::Nil));
    for value in map.borrow().values() {
        if let Value::Map(nested) = value {
            remove_nulls(nested);
        }
    }
}

/// Merges `from` into `into`, whose values win. Tables of `from` may become part of `into`, and `from` may change.
pub(super) fn merge_tables(into: &Map, from: &Map, nulls: Nulls) {
    let defaults = from.borrow().clone();
    for (key, value) in into.borrow().iter() {
        if matches!(value, Value::Nil) {
            from.insert(key.clone(), Value::Nil);
        }
    }
    let merged = from.borrow().clone();
    for (key, value) in merged {
        let has_default = defaults.get(&key).is_some_and(|value| !matches!(value, Value::Nil));
        match (into.get(key.as_bytes()), value) {
            (Some(Value::Nil), _) if nulls == Nulls::Delete && has_default => {
                into.borrow_mut().remove(key.as_bytes());
            }
            (None, value) => into.insert(key, value),
            (Some(Value::Map(above)), Value::Map(below)) => merge_tables(&above, &below, nulls),
            // A table and something else do not mix: what is above wins, as Helm warns.
            (Some(_), _) => {}
        }
    }
}
