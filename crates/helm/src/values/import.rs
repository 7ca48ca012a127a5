//! `import-values`: parents take over values of their dependencies, below their own.

use std::collections::BTreeMap;

use gotmpl::{Map, Value};

use super::ActiveChart;
use super::active::Defaults;
use super::coalesce::coalesce_keeping;
use super::tables::{Nulls, Path, Room, deep_copy, merge_tables, table};
use crate::chart::Dependency;
use crate::given::{Error, check_typed_levels};
use crate::warning::{Log, Warning};

/// Imports values at every level, from the bottom up.
pub(super) fn import(chart: &mut ActiveChart<'_>, log: &Log) -> Result<(), Error> {
    for dependency in &mut chart.dependencies {
        import(dependency, log)?;
    }
    if chart.metadata.dependencies.is_empty() {
        return Ok(());
    }
    let values = coalesce_keeping(chart, &Map::any(BTreeMap::new()), Nulls::Keep, log)?;
    let (imported, room) = (Map::any(BTreeMap::new()), Room::new(log));
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
        merge_tables(&values, &imported, (Nulls::Keep, Path::Top), &room)?;
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
    let path = format!("{}.{child}", dependency.name);
    let Some(exported) = table(values, &path) else {
        room.log.add(|_| Warning::ImportMissing {
            chart: (parent != ".").then(|| dependency.name.clone()),
            missing: first_missing(values, &path).to_owned(),
        });
        return Ok(());
    };
    merge_tables(into, &at_path(parent, exported), (Nulls::Keep, Path::Top), room)
}

/// The first part of a dotted path that is no table.
fn first_missing<'p>(values: &Map, path: &'p str) -> &'p str {
    let ends = path.match_indices('.').map(|(at, _)| at).chain([path.len()]);
    let missing = ends.map(|end| &path[..end]).find(|start| table(values, start).is_none());
    missing.map_or(path, |start| start.rsplit('.').next().unwrap_or(start))
}

/// The table nested in new tables so that it lies at a dotted path.
fn at_path(path: &str, table: Map) -> Map {
    if path == "." {
        return table;
    }
    path.rsplit('.').fold(table, |inner, key| Map::any(BTreeMap::from([(key.into(), Value::Map(inner))])))
}
