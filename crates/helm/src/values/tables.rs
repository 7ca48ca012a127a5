//! Tables, Helm's word for maps in values: looked up by path, copied and merged into each other.

use std::cell::Cell;
use std::fmt;

use gotmpl::{List, Map, Str, Value};

use crate::given::{DEPTH, Error, NODES, TABLE, TEXT, ValuesMap, to_map};
use crate::warning::{Log, Warning};

/// How many values may still be copied, and who is told of those that do not fit together.
pub(super) struct Room {
    left: Cell<usize>,
    pub(super) log: Log,
}

impl Room {
    pub(super) fn new(log: &Log) -> Self {
        Self { left: Cell::new(NODES), log: log.clone() }
    }

    fn take(&self, nodes: usize) -> Result<(), Error> {
        self.left.set(self.left.get().checked_sub(nodes).ok_or(Error::TooManyCopies)?);
        Ok(())
    }

    /// Counts a value with all that it contains, which may be shared now, but is not any more when the release is told
    /// its values.
    pub(super) fn take_all(&self, value: &Value) -> Result<(), Error> {
        match value {
            Value::Map(map) => {
                self.take(1 + TABLE)?;
                map.borrow().values().try_for_each(|value| self.take_all(value))
            }
            Value::List(list) => {
                self.take(1)?;
                list.items().iter().try_for_each(|value| self.take_all(value))
            }
            scalar => self.take(1 + text_weight(scalar)),
        }
    }
}

/// As how many values a text counts beside itself.
fn text_weight(value: &Value) -> usize {
    match value {
        Value::String(text) => text.len() / TEXT,
        _ => 0,
    }
}

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
pub(super) fn deep_copy(map: &Map, room: &Room) -> Result<Map, Error> {
    weigh_map(map, room, 0)?;
    Ok(copy_map(map))
}

fn weigh_map(map: &Map, room: &Room, depth: usize) -> Result<(), Error> {
    let entries = map.borrow();
    room.take(TABLE + entries.len())?;
    entries.values().try_for_each(|value| weigh(value, room, depth + 1))
}

fn weigh(value: &Value, room: &Room, depth: usize) -> Result<(), Error> {
    if depth > DEPTH {
        return Err(Error::TooDeep);
    }
    match value {
        Value::Map(map) => weigh_map(map, room, depth),
        Value::List(list) => {
            room.take(list.len())?;
            list.items().iter().try_for_each(|item| weigh(item, room, depth + 1))
        }
        scalar => room.take(text_weight(scalar)),
    }
}

fn copy_map(map: &Map) -> Map {
    Map::new(map.ty, map.borrow().iter().map(|(key, value)| (key.clone(), copy_value(value))).collect())
}

fn copy_value(value: &Value) -> Value {
    match value {
        Value::Map(map) => copy_map(map).into(),
        Value::List(list) => List::new(list.element, list.items().iter().map(copy_value).collect()).into(),
        scalar => scalar.clone(),
    }
}

/// As [`deep_copy`], of values as they are packed, which are no deeper than YAML can be.
pub(super) fn packed_copy(values: &ValuesMap, room: &Room) -> Result<Map, Error> {
    weigh_packed_map(values, room)?;
    Ok(to_map(values))
}

fn weigh_packed_map(values: &ValuesMap, room: &Room) -> Result<(), Error> {
    room.take(TABLE + values.len())?;
    values.values().try_for_each(|value| weigh_packed(value, room))
}

fn weigh_packed(value: &serde_json::Value, room: &Room) -> Result<(), Error> {
    match value {
        serde_json::Value::Object(map) => weigh_packed_map(map, room),
        serde_json::Value::Array(items) => {
            room.take(items.len())?;
            items.iter().try_for_each(|item| weigh_packed(item, room))
        }
        serde_json::Value::String(text) => room.take(text.len() / TEXT),
        _ => Ok(()),
    }
}

/// A table of its own whose nested tables are shared.
pub(super) fn shallow_copy(map: &Map) -> Map {
    Map::new(map.ty, map.borrow().clone())
}

/// Removes nulls at every depth. The table is a copy, so it ends.
pub(super) fn remove_nulls(map: &Map) {
    map.borrow_mut().retain(|_, value| !matches!(value, Value::Nil));
    for value in map.borrow().values() {
        if let Value::Map(nested) = value {
            remove_nulls(nested);
        }
    }
}

/// A place in values, for those who tell of it.
#[derive(Clone, Copy)]
pub(super) enum Path<'p> {
    /// The values themselves.
    Top,
    /// Those of a chart, by the dotted path that begins with the root chart.
    Chart(&'p str),
    /// A value of a table there.
    Below(&'p Self, &'p Str),
}

impl fmt::Display for Path<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Top => Ok(()),
            Self::Chart(path) => f.write_str(path),
            Self::Below(Self::Top, key) => write!(f, "{key}"),
            Self::Below(above, key) => write!(f, "{above}.{key}"),
        }
    }
}

/// Merges `from` into `into`, whose values win. Tables of `from` may become part of `into`, and `from` may change.
pub(super) fn merge_tables(into: &Map, from: &Map, (nulls, path): (Nulls, Path<'_>), room: &Room) -> Result<(), Error> {
    merge_level((into, from), nulls, (path, 0), room)
}

fn merge_level(
    (into, from): (&Map, &Map),
    nulls: Nulls,
    (path, depth): (Path<'_>, usize),
    room: &Room,
) -> Result<(), Error> {
    if depth > DEPTH {
        return Err(Error::TooDeep);
    }
    let defaults = from.borrow().clone();
    room.take(defaults.len())?;
    let is_nil = |(_, value): &(_, &Value)| matches!(value, Value::Nil);
    // Both may be the same table, so no guard is held while one of them changes.
    let absent: Vec<_> = into.borrow().iter().filter(is_nil).map(|(key, _)| key.clone()).collect();
    for key in absent {
        from.insert(key, Value::Nil);
    }
    let merged = from.borrow().clone();
    for (key, value) in merged {
        let has_default = defaults.get(&key).is_some_and(|value| !matches!(value, Value::Nil));
        match (into.get(key.as_bytes()), value) {
            (Some(Value::Nil), _) if nulls == Nulls::Delete && has_default => {
                into.borrow_mut().remove(key.as_bytes());
            }
            (None, value) => into.insert(key, value),
            (Some(Value::Map(above)), Value::Map(below)) => {
                merge_level((&above, &below), nulls, (Path::Below(&path, &key), depth + 1), room)?;
            }
            // A table and something else do not mix: what is above wins.
            (Some(Value::Map(_)), value) if !matches!(value, Value::Nil) => room
                .log
                .add(|log| Warning::TableKept { path: Path::Below(&path, &key).to_string(), value: log.quote(&value) }),
            (Some(above), table @ Value::Map(_)) if !matches!(above, Value::Nil) => room
                .log
                .add(|log| Warning::ValueKept { path: Path::Below(&path, &key).to_string(), table: log.quote(&table) }),
            (Some(_), _) => {}
        }
    }
    Ok(())
}
