//! Strategic merge, as `kubectl patch` and kustomize know it: maps are merged, lists of built-in kinds by what names their items,
//! other lists replaced, and what is null goes. Items of the patch come first, in its order, as with kustomize.

use serde_json::{Map, Value};

/// By which field the items of a list are told from each other, in built-in kinds: `x-kubernetes-patch-merge-key` of the API
/// server's schema.
const KEYS: [(&str, &[&str]); 17] = [
    ("containers", &["name"]),
    ("initContainers", &["name"]),
    ("ephemeralContainers", &["name"]),
    ("volumes", &["name"]),
    ("env", &["name"]),
    ("imagePullSecrets", &["name"]),
    ("secrets", &["name"]),
    ("resourceClaims", &["name"]),
    ("schedulingGates", &["name"]),
    ("webhooks", &["name"]),
    ("volumeMounts", &["mountPath"]),
    ("volumeDevices", &["devicePath"]),
    ("hostAliases", &["ip"]),
    ("topologySpreadConstraints", &["topologyKey"]),
    ("conditions", &["type"]),
    ("ownerReferences", &["uid"]),
    // Of a container, and of a Service.
    ("ports", &["containerPort", "port"]),
];

/// Lists of single values that are merged.
const SETS: [&str; 1] = ["finalizers"];

/// Says what becomes of a map or an item.
const DIRECTIVE: &str = "$patch";

/// Merges `patch` into `object`; lists are replaced whole where `is_custom` says that nothing is known of them. `false` where the
/// patch deletes the object.
pub(super) fn merge(object: &mut Value, patch: &Value, is_custom: bool) -> Result<bool, String> {
    match directive(patch)? {
        Some(Directive::Delete) => return Ok(false),
        Some(Directive::Replace) => *object = without_directive(patch),
        None => merge_value(object, patch, "", is_custom)?,
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

fn merge_value(object: &mut Value, patch: &Value, field: &str, is_custom: bool) -> Result<(), String> {
    match (&mut *object, patch) {
        (Value::Object(into), Value::Object(from)) => return merge_maps(into, from, is_custom),
        (Value::Array(into), Value::Array(from)) if !is_custom => {
            if let Some(key) = key_of(field, into, from) {
                return merge_items(into, from, key);
            }
            if SETS.contains(&field) {
                into.extend(from.iter().filter(|item| !into.contains(item)).cloned().collect::<Vec<_>>());
                return Ok(());
            }
        }
        _ => {}
    }
    *object = settled(patch, field, is_custom)?;
    Ok(())
}

fn merge_maps(into: &mut Map<String, Value>, from: &Map<String, Value>, is_custom: bool) -> Result<(), String> {
    for (key, patch) in from {
        match (key.as_str(), patch) {
            (DIRECTIVE, _) => {}
            ("$retainKeys", Value::Array(kept)) => into.retain(|key, _| kept.contains(&Value::from(key.as_str()))),
            (key, _) if key.starts_with("$setElementOrder/") => {}
            (_, Value::Null) => drop(into.remove(key)),
            _ => match (directive(patch)?, into.get_mut(key)) {
                (Some(Directive::Delete), _) => drop(into.remove(key)),
                (Some(Directive::Replace), _) => drop(into.insert(key.clone(), without_directive(patch))),
                (None, Some(there)) => merge_value(there, patch, key, is_custom)?,
                (None, None) => drop(into.insert(key.clone(), settled(patch, key, is_custom)?)),
            },
        }
    }
    Ok(())
}

/// What a patch leaves where there was nothing: nulls and directives have nothing to take away.
fn settled(patch: &Value, field: &str, is_custom: bool) -> Result<Value, String> {
    match patch {
        Value::Object(from) => {
            let mut made = Map::new();
            merge_maps(&mut made, from, is_custom)?;
            Ok(Value::Object(made))
        }
        Value::Array(from) if !is_custom && key_of(field, &[], from).is_some() => {
            let mut made = Vec::new();
            let key = key_of(field, &[], from).unwrap_or_default();
            merge_items(&mut made, from, key)?;
            Ok(Value::Array(made))
        }
        _ => Ok(patch.clone()),
    }
}

/// The field that names the items of a list.
fn key_of(field: &str, into: &[Value], from: &[Value]) -> Option<&'static str> {
    let (_, keys) = KEYS.iter().find(|(known, _)| *known == field)?;
    let is_named = |key: &&&str| {
        from.iter().chain(into).filter(|item| item.get("$patch").is_none()).all(|item| item.get(**key).is_some())
    };
    keys.iter().find(is_named).copied()
}

fn merge_items(into: &mut Vec<Value>, from: &[Value], key: &str) -> Result<(), String> {
    if from.iter().any(|item| item.get(key).is_none() && item[DIRECTIVE] == "replace") {
        into.clear();
    }
    let mut merged = Vec::new();
    for patch in from {
        let Some(name) = patch.get(key) else { continue };
        let there = into.iter().position(|item| item.get(key) == Some(name)).map(|at| into.remove(at));
        match (directive(patch)?, there) {
            (Some(Directive::Delete), _) => {}
            (None, Some(mut item)) => {
                merge_value(&mut item, patch, "", false)?;
                merged.push(item);
            }
            (Some(Directive::Replace), _) | (None, None) => {
                merged.push(settled(&without_directive(patch), "", false)?);
            }
        }
    }
    merged.append(into);
    *into = merged;
    Ok(())
}
