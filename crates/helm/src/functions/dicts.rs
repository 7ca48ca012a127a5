//! Dictionaries. `set`, `unset` and the merges change the map they are given, for every holder of it.

use std::collections::BTreeMap;

use gotmpl::{FuncError, Function, List, Map, MapType, Str, Type, Value};

use super::arguments::{self, NIL_MAP, Outcome, any, as_map, map, string_of, text};
use super::merging::{self, Overwrite};
use super::{copying, merging_into, pure, variadic};
use crate::host::Host;

/// Levels of nesting `deepCopy` follows.
const MAX_DEPTH: usize = 1_000;

const MAP: &[Type] = &[Type::Map];
const MAPS: &[Type] = &[Type::Map, Type::Map];
const MAP_KEY: &[Type] = &[Type::Map, Type::String];

pub(super) const TABLE: &[Function<Host>] = &[
    copying(pure("deepCopy", &[Type::Any], |args| {
        deep_copy(args).map_err(|error| FuncError::new(error.message().to_owned()))
    })),
    variadic("dict", &[Type::Any], dict),
    variadic("dig", &[Type::Any], dig),
    pure("get", MAP_KEY, |args| Ok(map(args, 0)?.get(text(args, 1)?).unwrap_or_else(|| Value::string("")))),
    pure("hasKey", MAP_KEY, |args| Ok(Value::Bool(map(args, 0)?.get(text(args, 1)?).is_some()))),
    variadic("keys", MAP, keys),
    merging_into(variadic("merge", MAPS, |args| merge(args, Overwrite::Empty))),
    merging_into(variadic("mergeOverwrite", MAPS, |args| merge(args, Overwrite::All))),
    copying(pure("mustDeepCopy", &[Type::Any], deep_copy)),
    merging_into(variadic("mustMerge", MAPS, |args| merge(args, Overwrite::Empty))),
    merging_into(variadic("mustMergeOverwrite", MAPS, |args| merge(args, Overwrite::All))),
    variadic("omit", MAP_KEY, |args| select(args, |named| !named)),
    variadic("pick", MAP_KEY, |args| select(args, |named| named)),
    variadic("pluck", &[Type::String, Type::Map], pluck),
    pure("set", &[Type::Map, Type::String, Type::Any], |args| {
        let map = map(args, 0)?;
        if map.is_nil() {
            return Err(FuncError::new(NIL_MAP));
        }
        map.insert(text(args, 1)?, any(args, 2).clone());
        Ok(map.into())
    }),
    pure("unset", MAP_KEY, |args| {
        let map = map(args, 0)?;
        map.borrow_mut().remove(text(args, 1)?);
        Ok(map.into())
    }),
    pure("values", MAP, |args| Ok(List::any(map(args, 0)?.borrow().values().cloned().collect()).into())),
];

fn dict(args: &[Value]) -> Outcome {
    let pair = |pair: &[Value]| (string_of(&pair[0]), pair.get(1).cloned().unwrap_or_else(|| Value::string("")));
    Ok(Map::any(args.chunks(2).map(pair).collect()).into())
}

/// The keys of each map, sorted: Go's order is random.
fn keys(args: &[Value]) -> Outcome {
    let mut keys: Vec<Str> = Vec::new();
    for map in args.iter().filter_map(as_map) {
        keys.extend(map.borrow().keys().cloned());
    }
    Ok(List::strings(keys).into())
}

fn pluck(args: &[Value]) -> Outcome {
    let key = text(args, 0)?;
    let maps = arguments::variadic(args, 1).iter().filter_map(as_map);
    Ok(List::any(maps.filter_map(|map| map.get(key)).collect()).into())
}

/// The entries for which `wanted` accepts whether their key is among the arguments.
fn select(args: &[Value], wanted: impl Fn(bool) -> bool) -> Outcome {
    let named: Vec<Str> = arguments::variadic(args, 1).iter().map(string_of).collect();
    let map = map(args, 0)?;
    let entries = map.borrow();
    let kept = entries.iter().filter(|(key, _)| wanted(named.contains(key)));
    Ok(Map::any(kept.map(|(key, value)| (key.clone(), value.clone())).collect()).into())
}

fn merge(args: &[Value], overwrite: Overwrite) -> Outcome {
    let mut target = map(args, 0)?;
    for source in arguments::variadic(args, 1).iter().filter_map(as_map) {
        if target.is_nil() && !source.is_nil() {
            target = Map::any(BTreeMap::new());
        }
        merging::merge(&target, &source, overwrite)?;
    }
    Ok(target.into())
}

/// `dig KEY... DEFAULT MAP`.
fn dig(args: &[Value]) -> Outcome {
    let [keys @ .., default, root] = args else {
        return Err(FuncError::new("dig needs at least three arguments"));
    };
    if keys.is_empty() {
        return Err(FuncError::new("dig needs at least three arguments"));
    }
    let mut map = plain_map(root)?;
    let mut path = Vec::new();
    for key in keys {
        match key {
            Value::String(key) => path.push(key),
            other => return Err(conversion(other, "string")),
        }
    }
    let Some((leaf, branches)) = path.split_last() else { return Ok(default.clone()) };
    for key in branches {
        match map.get(key.as_bytes()) {
            Some(next) => map = plain_map(&next)?,
            None => return Ok(default.clone()),
        }
    }
    Ok(map.get(leaf.as_bytes()).unwrap_or_else(|| default.clone()))
}

/// Go's type assertion `value.(map[string]interface {})`.
fn plain_map(value: &Value) -> Result<Map, FuncError> {
    match value {
        Value::Map(map) if map.ty == MapType::Any => Ok(map.clone()),
        other => Err(conversion(other, "map[string]interface {}")),
    }
}

fn conversion(value: &Value, wanted: &str) -> FuncError {
    let found = match value {
        Value::Nil => "nil".into(),
        other => gotmpl::type_name(other),
    };
    FuncError::new(format!("interface conversion: interface {{}} is {found}, not {wanted}"))
}

fn deep_copy(args: &[Value]) -> Outcome {
    match any(args, 0) {
        Value::Nil => Err(FuncError::new("reflect: call of reflect.Value.Type on zero Value")),
        value => copy(value, 0),
    }
}

fn copy(value: &Value, depth: usize) -> Outcome {
    if depth > MAX_DEPTH {
        return Err(FuncError::new(format!("the value is nested deeper than {MAX_DEPTH} levels")));
    }
    Ok(match value {
        Value::List(list) if !list.is_nil() => {
            let items = list.items().iter().map(|item| copy(item, depth + 1)).collect::<Result<_, _>>()?;
            List::new(list.element, items).into()
        }
        Value::Map(map) if !map.is_nil() => {
            let entries = map.borrow();
            let copied = entries.iter().map(|(key, item)| Ok((key.clone(), copy(item, depth + 1)?)));
            Map::new(map.ty, copied.collect::<Result<_, FuncError>>()?).into()
        }
        other => other.clone(),
    })
}
