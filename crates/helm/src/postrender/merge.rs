//! Strategic merge, as `kubectl patch` and kustomize know it: maps are merged, lists of built-in kinds as the API server's schema
//! says, other lists replaced, and what is null goes. Items of the patch come first, in its order, as with kustomize.

use serde_json::{Map, Value};

use super::schema::{Field, List, Type};

/// Says what becomes of a map or an item.
const DIRECTIVE: &str = "$patch";

/// Merges `patch` into `object`, which is of the type `of`; lists are replaced whole where that is not known. `false` where the patch
/// deletes the object.
pub(super) fn merge(object: &mut Value, patch: &Value, of: Option<Type>) -> Result<bool, String> {
    match directive(patch)? {
        Some(Directive::Delete) => return Ok(false),
        Some(Directive::Replace) => *object = without_directive(patch),
        None => merge_value(object, patch, Field { of, ..Field::default() })?,
    }
    Ok(true)
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Directive {
    Delete,
    Replace,
}

fn directive(patch: &Value) -> Result<Option<Directive>, String> {
    match patch.get(DIRECTIVE).and_then(Value::as_str) {
        Some("delete") => Ok(Some(Directive::Delete)),
        Some("replace") => Ok(Some(Directive::Replace)),
        Some("merge") | None => Ok(None),
        Some(other) => Err(format!("{DIRECTIVE}: {other} is not known")),
    }
}

fn without_directive(patch: &Value) -> Value {
    let mut patch = patch.clone();
    patch.as_object_mut().map(|map| map.remove(DIRECTIVE));
    patch
}

fn merge_value(object: &mut Value, patch: &Value, field: Field) -> Result<(), String> {
    match (&mut *object, patch, field.list) {
        (Value::Object(into), Value::Object(from), _) => return merge_maps(into, from, field.of),
        (Value::Array(into), Value::Array(from), List::By(keys)) if is_named(keys, into, from) => {
            return merge_items(into, from, (keys, field.of));
        }
        (Value::Array(into), Value::Array(from), List::Set) => {
            into.extend(from.iter().filter(|item| !into.contains(item)).cloned().collect::<Vec<_>>());
            return Ok(());
        }
        _ => {}
    }
    *object = settled(patch, field)?;
    Ok(())
}

fn merge_maps(into: &mut Map<String, Value>, from: &Map<String, Value>, of: Option<Type>) -> Result<(), String> {
    for (key, patch) in from {
        match (key.as_str(), patch) {
            (DIRECTIVE, _) => {}
            ("$retainKeys", Value::Array(kept)) => into.retain(|key, _| kept.contains(&Value::from(key.as_str()))),
            (key, _) if key.starts_with("$setElementOrder/") => {}
            (_, Value::Null) => drop(into.remove(key)),
            _ => match (directive(patch)?, into.get_mut(key)) {
                (Some(Directive::Delete), _) => drop(into.remove(key)),
                (Some(Directive::Replace), _) => drop(into.insert(key.clone(), without_directive(patch))),
                (None, Some(there)) => merge_value(there, patch, Field::of(of, key))?,
                (None, None) => drop(into.insert(key.clone(), settled(patch, Field::of(of, key))?)),
            },
        }
    }
    Ok(())
}

/// What a patch leaves where there was nothing: nulls and directives have nothing to take away.
fn settled(patch: &Value, field: Field) -> Result<Value, String> {
    match (patch, field.list) {
        (Value::Object(from), _) => {
            let mut made = Map::new();
            merge_maps(&mut made, from, field.of)?;
            Ok(Value::Object(made))
        }
        (Value::Array(from), List::By(keys)) if is_named(keys, &[], from) => {
            let mut made = Vec::new();
            merge_items(&mut made, from, (keys, field.of))?;
            Ok(Value::Array(made))
        }
        _ => Ok(patch.clone()),
    }
}

/// Whether all items have the first of the fields that tell them from each other.
fn is_named(keys: &str, into: &[Value], from: &[Value]) -> bool {
    let key = first(keys);
    let items = from.iter().chain(into).filter(|item| item.get(DIRECTIVE).is_none());
    items.into_iter().all(|item| item.get(key).is_some())
}

fn first(keys: &str) -> &str {
    keys.split(',').next().unwrap_or_default()
}

/// Whether two items of a list are the same one, by the fields that tell them from each other.
fn is_same(one: &Value, other: &Value, keys: &str) -> bool {
    keys.split(',').enumerate().all(|(at, key)| match (one.get(key), other.get(key)) {
        (Some(one), Some(other)) => one == other,
        // The default of all ports.
        (Some(one), None) | (None, Some(one)) if key == "protocol" => one == "TCP",
        // Who does not say which means any.
        _ => at > 0,
    })
}

/// Merges lists whose items are of the type `of`, and told from each other by the fields `keys`.
fn merge_items(into: &mut Vec<Value>, from: &[Value], (keys, of): (&str, Option<Type>)) -> Result<(), String> {
    let key = first(keys);
    let item_of = Field { of, ..Field::default() };
    if from.iter().any(|item| item.get(key).is_none() && item[DIRECTIVE] == "replace") {
        into.clear();
    }
    let mut merged = Vec::new();
    for patch in from {
        if patch.get(key).is_none() {
            continue;
        }
        let there = into.iter().position(|item| is_same(item, patch, keys)).map(|at| into.remove(at));
        match (directive(patch)?, there) {
            (Some(Directive::Delete), _) => {}
            (None, Some(mut item)) => {
                merge_value(&mut item, patch, item_of)?;
                merged.push(item);
            }
            (Some(Directive::Replace), _) | (None, None) => {
                merged.push(settled(&without_directive(patch), item_of)?);
            }
        }
    }
    merged.append(into);
    *into = merged;
    Ok(())
}
