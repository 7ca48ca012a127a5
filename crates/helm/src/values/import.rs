//! `import-values`: parents take over values of their dependencies, below their own.

use std::collections::BTreeMap;

use gotmpl::{Map, Value};

use super::active::Defaults;
use super::coalesce::coalesce_keeping;
use super::tables::{Nulls, Room, deep_copy, merge_tables, table};
use super::{ActiveChart, Error, check_typed_levels};
use crate::chart::Dependency;

/// Imports values at every level, from the bottom up.
pub(super) fn import(chart: &mut ActiveChart<'_>) -> Result<(), Error> {
    for dependency in &mut chart.dependencies {
        import(dependency)?;
    }
    if chart.metadata.dependencies.is_empty() {
        return Ok(());
    }
    let values = coalesce_keeping(chart, &Map::any(BTreeMap::new()), Nulls::Keep)?;
    let (imported, room) = (Map::any(BTreeMap::new()), Room::default());
    for dependency in &mut chart.metadata.dependencies {
        let pairs: Vec<_> = dependency.import_values.iter().filter_map(pair).collect();
        for (child, parent) in &pairs {
            import_pair(dependency, (child, parent), (&values, &room), &imported)?;
        }
        dependency.import_values = pairs.into_iter().map(pair_to_json).collect();
    }
    let values = if imported.borrow().is_empty() {
        values
    } else {
        // Imported tables may be part of `values`, which must not change while they are merged.
        let values = deep_copy(&values, &room)?;
        merge_tables(&values, &imported, Nulls::Keep, &room)?;
        values
    };
    check_typed_levels(&values)?;
    chart.values = Defaults::Made(values);
    Ok(())
}

/// The paths in the child and in the parent.
fn pair(import: &serde_json::Value) -> Option<(String, String)> {
    match import {
        serde_json::Value::String(export) => Some((format!("exports.{export}"), ".".to_owned())),
        serde_json::Value::Object(paths) => {
            let path = |key: &str| match paths.get(key) {
                Some(serde_json::Value::String(path)) => path.clone(),
                Some(other) => other.to_string(),
                None => "<nil>".to_owned(),
            };
            Some((path("child"), path("parent")))
        }
        _ => None,
    }
}

fn pair_to_json((child, parent): (String, String)) -> serde_json::Value {
    serde_json::json!({ "child": child, "parent": parent })
}

/// A child's table that does not exist is passed over, as Helm warns.
fn import_pair(
    dependency: &Dependency,
    (child, parent): (&str, &str),
    (values, room): (&Map, &Room),
    into: &Map,
) -> Result<(), Error> {
    let Some(exported) = table(values, &format!("{}.{child}", dependency.name)) else { return Ok(()) };
    merge_tables(into, &at_path(parent, exported), Nulls::Keep, room)
}

/// The table nested in new tables so that it lies at a dotted path.
fn at_path(path: &str, table: Map) -> Map {
    if path == "." {
        return table;
    }
    path.rsplit('.').fold(table, |inner, key| Map::any(BTreeMap::from([(key.into(), Value::Map(inner))])))
}
