//! Coalescing: the values of a release over the defaults of its chart, down through all dependencies.
//!
//! What is above wins, tables are merged, everything else is replaced, and a null above deletes the default below.
//! `global` is handed down to every dependency.

use gotmpl::{Map, Value};

use super::ActiveChart;
use super::tables::{Nulls, Path, Room, deep_copy, merge_tables, remove_nulls, shallow_copy};
use crate::given::Error;
use crate::warning::{Log, Warning};

const GLOBAL: &str = "global";

/// The values of `chart` and, under their names, of its dependencies, for a release with `values`.
pub(crate) fn coalesce(chart: &ActiveChart<'_>, values: &Map, log: &Log) -> Result<Map, Error> {
    coalesce_keeping(chart, values, Nulls::Delete, log)
}

/// As [`coalesce`], with a choice about nulls.
pub(super) fn coalesce_keeping(chart: &ActiveChart<'_>, values: &Map, nulls: Nulls, log: &Log) -> Result<Map, Error> {
    let room = Room::new(log);
    let values = deep_copy(values, &room)?;
    coalesce_into(chart, &values, (nulls, chart.name()), &room)?;
    Ok(values)
}

/// `path` is that of the chart, in dots.
fn coalesce_into(
    chart: &ActiveChart<'_>,
    values: &Map,
    (nulls, path): (Nulls, &str),
    room: &Room,
) -> Result<(), Error> {
    coalesce_defaults(chart, values, (nulls, path), room)?;
    for dependency in &chart.dependencies {
        let table = dependency_table(dependency.name(), values)?;
        hand_down_globals(values, &table, path, room)?;
        let path = format!("{path}.{}", dependency.name());
        coalesce_into(dependency, &table, (nulls, &path), room)?;
    }
    Ok(())
}

/// The values of a dependency within those of its parent.
fn dependency_table(name: &str, values: &Map) -> Result<Map, Error> {
    match values.get(name.as_bytes()) {
        Some(Value::Map(table)) => Ok(table),
        Some(other) => Err(Error::NotATable {
            chart: name.to_owned(),
            value: gotmpl::printf(b"%t", &[other]).to_lossy().into_owned(),
        }),
        None => {
            let table = Map::any(std::collections::BTreeMap::new());
            values.insert(name, table.clone().into());
            Ok(table)
        }
    }
}

/// Lays `values` over the chart's own defaults.
fn coalesce_defaults(
    chart: &ActiveChart<'_>,
    values: &Map,
    (nulls, path): (Nulls, &str),
    room: &Room,
) -> Result<(), Error> {
    // A copy, for what is taken over from the defaults is changed later on.
    let defaults = chart.values.copy(room)?.take();
    for (key, default) in defaults {
        match (values.get(key.as_bytes()), default) {
            (None, Value::Nil) if nulls == Nulls::Delete => {}
            (None, default) => {
                if let (Value::Map(table), Nulls::Delete) = (&default, nulls) {
                    remove_nulls(table);
                }
                values.insert(key, default);
            }
            (Some(Value::Nil), _) if nulls == Nulls::Delete => {
                values.borrow_mut().remove(key.as_bytes());
            }
            (Some(Value::Map(above)), Value::Map(below)) => {
                // Nulls in a dependency's table must survive until its own defaults are coalesced.
                let is_dependency = chart.dependencies.iter().any(|d| d.name().as_bytes() == key.as_bytes());
                let nulls = if is_dependency { Nulls::Keep } else { nulls };
                if nulls == Nulls::Delete {
                    remove_nulls(&below);
                }
                let place = Path::Chart(path);
                merge_tables(&above, &below, (nulls, Path::Below(&place, &key)), room)?;
            }
            (Some(Value::Map(_)), default) if !matches!(default, Value::Nil) => {
                let path = format!("{path}.{key}");
                room.log.add(|_| Warning::DefaultSkipped { path });
            }
            (Some(_), _) => {}
        }
    }
    Ok(())
}

/// Copies the parent's globals into those of a dependency; the parent's win.
///
/// Each table in `global` becomes the dependency's own, but the tables in it are shared with the parent.
fn hand_down_globals(parent: &Map, dependency: &Map, path: &str, room: &Room) -> Result<(), Error> {
    let (own, from) = (globals(dependency), globals(parent));
    let (Some(own), Some(from)) = (&own, &from) else {
        room.log.add(|_| Warning::GlobalsSkipped { of_dependency: own.is_none() });
        return Ok(());
    };
    let inherited = from.borrow().clone();
    for (key, value) in inherited {
        room.take_all(&value)?;
        match (own.get(key.as_bytes()), value) {
            (None, Value::Map(table)) => own.insert(key, shallow_copy(&table).into()),
            (Some(Value::Map(below)), Value::Map(table)) => {
                let table = shallow_copy(&table);
                let place = Path::Chart(path);
                merge_tables(&table, &below, (Nulls::Keep, Path::Below(&place, &key)), room)?;
                own.insert(key, table.into());
            }
            // A table and something else do not mix: the dependency keeps its own.
            (Some(own), value @ Value::Map(_)) | (Some(own @ Value::Map(_)), value) => {
                let (key, of_dependency) = (key.to_string(), matches!(own, Value::Map(_)));
                // Only one of them is a table.
                debug_assert_ne!(of_dependency, matches!(value, Value::Map(_)));
                room.log.add(|_| Warning::GlobalSkipped { key, of_dependency });
            }
            (_, value) => own.insert(key, value),
        }
    }
    dependency.insert(GLOBAL, own.clone().into());
    Ok(())
}

/// The table of globals; an empty one if there is none yet; nothing if it is no table.
fn globals(values: &Map) -> Option<Map> {
    match values.get(GLOBAL.as_bytes()) {
        None => Some(Map::any(std::collections::BTreeMap::new())),
        Some(Value::Map(table)) => Some(table),
        Some(_) => None,
    }
}
