//! Values as they are given: read from YAML, merged, bounded.
//!
//! Outside of a render, values are `serde_json` maps; within it they are template values, whose maps are shared.

mod documents;

use std::collections::BTreeMap;

use formats::{json, yaml};
use gotmpl::{Map, Value};

/// Values as the world outside of a render has them.
pub type ValuesMap = serde_json::Map<String, serde_json::Value>;

/// How many values one release may have, or copy when they are coalesced: 500 000, which take 40 MiB each time they are
/// held.
pub(crate) const NODES: usize = 500_000;

/// How many levels values may have, their own table being the first: what YAML may have. A record of them can be read.
pub const LEVELS: usize = 500;

/// As how many values a table counts beside its entries, for the memory it takes.
pub(crate) const TABLE: usize = 8;

/// How many bytes of a text that is copied count as one more value.
pub(crate) const TEXT: usize = 80;

/// Levels of tables that are copied and merged. What is read nests less; imports may add to it, without end.
pub(crate) const DEPTH: usize = 1_000;

/// Charts of one release, those counted each time that have several aliases: a chart of a hundred aliases of a chart
/// of a hundred aliases must end.
pub(crate) const CHARTS: usize = 1_000;

/// Why values cannot be read or put together, in Helm's words.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A line starts with `---` but has something else behind it.
    #[error("error reading yaml document: invalid Yaml document separator: {after}")]
    Separator {
        /// What stands behind the dashes.
        after: String,
    },
    /// The text is no YAML.
    #[error("cannot unmarshal yaml document: {0}")]
    Yaml(yaml::Error),
    /// The document is no mapping.
    #[error(
        "cannot unmarshal yaml document: error unmarshaling JSON: while decoding JSON: json: cannot unmarshal {found} \
         into Go value of type map[string]interface {{}}"
    )]
    NotAMap {
        /// The JSON type of what it is.
        found: &'static str,
    },
    /// There are more values than [`NODES`]; Helm has no limit.
    #[error("there are more than {NODES} values, each map counted as {TABLE} more")]
    TooMany,
    /// Charts of one release take more than [`NODES`] values from each other; Helm has no limit.
    #[error("more than {NODES} values are copied from chart to chart")]
    TooManyCopies,
    /// The values of a release, or those that a chart has after imports, nest more deeply than [`LEVELS`]; Helm reads
    /// 10 000 levels.
    #[error("the values nest more than {LEVELS} levels")]
    Nested,
    /// Tables nest more deeply than [`DEPTH`]; Helm would overflow its stack if there is no end.
    #[error("values nest more than {} levels", DEPTH)]
    TooDeep,
    /// More charts are enabled than [`CHARTS`]; Helm has no limit.
    #[error("more than {} charts are enabled, aliases included", CHARTS)]
    TooManyCharts,
    /// The value under a dependency's name is no table.
    #[error("type mismatch on {chart}: {value}")]
    NotATable {
        /// The dependency.
        chart: String,
        /// The value, as Go prints one of the wrong type.
        value: String,
    },
}

/// Reads values from the text of a `values.yaml`. Several documents are merged, later ones win.
pub fn parse(text: &str) -> Result<ValuesMap, Error> {
    parse_bytes(text.as_bytes())
}

/// Reads values from bytes that should be YAML, as [`parse`].
pub(crate) fn parse_bytes(text: &[u8]) -> Result<ValuesMap, Error> {
    parse_typed(text).map(|values| to_values(&values))
}

/// As [`parse`], from bytes that should be YAML to values as templates see them.
pub fn parse_typed(text: &[u8]) -> Result<Map, Error> {
    let mut values = Map::any(BTreeMap::new());
    let mut total = 0;
    for document in documents::split(text)? {
        match yaml::parse(&document).map_err(Error::Yaml)? {
            Value::Nil => {}
            Value::Map(document) => {
                total += nodes_of_typed(&Value::Map(document.clone()));
                if total > NODES {
                    return Err(Error::TooMany);
                }
                if values.borrow().is_empty() {
                    values = document;
                } else {
                    merge_typed(&values, &document);
                }
            }
            other => return Err(Error::NotAMap { found: yaml::typed::json_type(&other) }),
        }
    }
    Ok(values)
}

/// Lays `over` over `base`, as several values files of one release: tables are merged, everything else is replaced.
///
/// A null in `over` is kept: it deletes the chart's default when values are coalesced.
pub fn merge(base: &mut ValuesMap, over: ValuesMap) {
    for (key, value) in over {
        match (base.get_mut(&key), value) {
            (Some(serde_json::Value::Object(below)), serde_json::Value::Object(above)) => {
                merge(below, above);
            }
            (_, value) => {
                base.insert(key, value);
            }
        }
    }
}

/// As [`merge`], for values as templates see them. `base` shares the values of `over` from then on.
pub fn merge_typed(base: &Map, over: &Map) {
    for (key, value) in over.borrow().iter() {
        match (base.get(key.as_bytes()), value) {
            (Some(Value::Map(below)), Value::Map(above)) => merge_typed(&below, above),
            (_, value) => base.insert(key.clone(), value.clone()),
        }
    }
}

/// Refuses values that nest more deeply than [`LEVELS`].
///
/// # Errors
/// [`Error::Nested`].
pub fn check_levels(values: &ValuesMap) -> Result<(), Error> {
    fn fits(value: &serde_json::Value, levels: usize) -> bool {
        match value {
            serde_json::Value::Object(map) => levels > 0 && map.values().all(|value| fits(value, levels - 1)),
            serde_json::Value::Array(items) => levels > 0 && items.iter().all(|item| fits(item, levels - 1)),
            _ => true,
        }
    }
    if values.values().all(|value| fits(value, LEVELS - 1)) { Ok(()) } else { Err(Error::Nested) }
}

/// As [`check_levels`], for values as templates see them.
pub(crate) fn check_typed_levels(values: &Map) -> Result<(), Error> {
    fn fits(value: &Value, levels: usize) -> bool {
        match value {
            Value::Map(map) => levels > 0 && map.borrow().values().all(|value| fits(value, levels - 1)),
            Value::List(list) => levels > 0 && list.items().iter().all(|item| fits(item, levels - 1)),
            _ => true,
        }
    }
    if values.borrow().values().all(|value| fits(value, LEVELS - 1)) { Ok(()) } else { Err(Error::Nested) }
}

/// How many values a map holds, at every depth.
pub(crate) fn nodes(values: &ValuesMap) -> usize {
    TABLE + values.values().map(nodes_of).sum::<usize>()
}

fn nodes_of(value: &serde_json::Value) -> usize {
    1 + match value {
        serde_json::Value::Object(map) => nodes(map),
        serde_json::Value::Array(items) => items.iter().map(nodes_of).sum(),
        _ => 0,
    }
}

/// The same of a value that was just read, so that no part of it is shared.
fn nodes_of_typed(value: &Value) -> usize {
    1 + match value {
        Value::Map(map) => TABLE + map.borrow().values().map(nodes_of_typed).sum::<usize>(),
        Value::List(list) => list.items().iter().map(nodes_of_typed).sum(),
        _ => 0,
    }
}

/// Values as templates see them.
pub fn to_map(values: &ValuesMap) -> Map {
    let entries = values.iter().map(|(key, value)| (key.as_str().into(), json::from_serde(value)));
    Map::any(entries.collect::<BTreeMap<_, _>>())
}

/// Values as the world outside of a render has them.
pub fn to_values(map: &Map) -> ValuesMap {
    match json::to_serde(&map.clone().into()) {
        serde_json::Value::Object(values) => values,
        _ => ValuesMap::new(),
    }
}

#[cfg(test)]
mod tests;
