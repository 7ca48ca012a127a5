//! Merging one map into another by the rules of dario.cat/mergo, which Sprig's `merge` functions use.
//!
//! Maps that only the source has are not copied: afterwards both hold the same one, and a later `set` in the one
//! shows in the other, as in Helm.

use gotmpl::{FuncError, Kind, Map, Str, Value};

use super::arguments::is_empty;

/// Levels of nesting that are merged: Go would overflow its stack on a map that contains itself.
const MAX_DEPTH: usize = 1_000;

/// Which entries of the target give way to the source's.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Overwrite {
    /// The empty ones.
    Empty,
    /// All but maps, which are merged.
    All,
}

/// Merges `source` into `target`.
pub(super) fn merge(target: &Map, source: &Map, overwrite: Overwrite) -> Result<(), FuncError> {
    merge_level(target, source, overwrite, 0)
}

fn merge_level(target: &Map, source: &Map, overwrite: Overwrite, depth: usize) -> Result<(), FuncError> {
    if depth > MAX_DEPTH {
        return Err(FuncError::new(format!("the maps are nested deeper than {MAX_DEPTH} levels")));
    }
    // Both may be the same map, so no guard is held while one of them changes.
    let entries: Vec<(Str, Value)> = source.borrow().iter().map(|(key, value)| (key.clone(), value.clone())).collect();
    for (key, value) in entries {
        let known = target.get(key.as_bytes());
        if let (Some(Value::Map(known)), Value::Map(value)) = (&known, &value)
            && (!known.is_nil() || value.is_nil())
        {
            merge_level(known, value, overwrite, depth + 1)?;
        }
        if takes(known.as_ref(), &value, overwrite) {
            target.insert(key, value);
        }
    }
    Ok(())
}

/// Whether the target's entry `known` is replaced by `value`, maps having been merged before.
fn takes(known: Option<&Value>, value: &Value, overwrite: Overwrite) -> bool {
    let all = overwrite == Overwrite::All;
    match (known, value) {
        (_, Value::Nil) => all,
        (None, _) => true,
        (Some(known), _) if lacks_content(known) => true,
        (Some(Value::Map(_)), Value::Map(_)) => false,
        _ => all,
    }
}

/// mergo's idea of empty: structs and complex numbers never are.
fn lacks_content(value: &Value) -> bool {
    !matches!(value.kind(), Kind::Struct | Kind::Complex128) && is_empty(value)
}
