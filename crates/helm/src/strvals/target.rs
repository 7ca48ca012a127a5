//! Where values go: entries of maps and items of lists, made when they are missing.

use gotmpl::{List, Map, Value};

use super::{Error, INDEX};

/// Sets an entry; an empty name sets nothing.
pub(super) fn set(map: &Map, name: &str, value: Value) {
    if !name.is_empty() {
        map.insert(name, value);
    }
}

/// The map under a name, for changing; a new one if there is nothing.
pub(super) fn map_at(map: &Map, name: &str) -> Result<Map, Error> {
    match map.get(name.as_bytes()) {
        None => Ok(Map::any([].into())),
        Some(Value::Map(inner)) => Ok(inner),
        Some(other) => Err(wrong_type(&other, "map[string]interface {}")),
    }
}

/// The items of the list under a name; none if there is nothing.
pub(super) fn items_at(map: &Map, name: &str) -> Result<Vec<Value>, Error> {
    match map.get(name.as_bytes()) {
        None => Ok(Vec::new()),
        Some(Value::List(list)) => Ok(list.items().to_vec()),
        Some(other) => Err(wrong_type(&other, "[]interface {}")),
    }
}

/// The items of the list in a list; none if there is nothing or null.
pub(super) fn items_in(items: &[Value], index: usize) -> Result<Vec<Value>, Error> {
    match items.get(index) {
        None | Some(Value::Nil) => Ok(Vec::new()),
        Some(Value::List(list)) => Ok(list.items().to_vec()),
        Some(other) => Err(wrong_type(other, "[]interface {}")),
    }
}

/// The map in a list, for changing; a new one replaces what is no map, but is not added to the list.
pub(super) fn map_in(items: &mut [Value], index: usize) -> Map {
    match items.get_mut(index) {
        None => Map::any([].into()),
        Some(Value::Map(inner)) => inner.clone(),
        Some(other) => {
            let inner = Map::any([].into());
            *other = inner.clone().into();
            inner
        }
    }
}

/// Sets an item, with nulls before it as needed.
pub(super) fn set_item(items: &mut Vec<Value>, index: i64, value: Value) -> Result<(), Error> {
    let place = place(index)?;
    if index > INDEX {
        return Err(Error::IndexRange(index));
    }
    if items.len() <= place {
        items.resize(place + 1, Value::Nil);
    }
    items[place] = value;
    Ok(())
}

/// An index as a place in a list.
pub(super) fn place(index: i64) -> Result<usize, Error> {
    usize::try_from(index).map_err(|_| Error::NegativeIndex(index))
}

/// A list of these items.
pub(super) fn list(items: Vec<Value>) -> Value {
    List::any(items).into()
}

fn wrong_type(value: &Value, wanted: &'static str) -> Error {
    let found = match value {
        Value::Nil => "nil".to_owned(),
        Value::Bool(_) => "bool".to_owned(),
        Value::Int(_) => "int".to_owned(),
        Value::Int64(_) => "int64".to_owned(),
        Value::Uint8(_) => "uint8".to_owned(),
        Value::Uint64(_) => "uint64".to_owned(),
        Value::Float64(_) => "float64".to_owned(),
        Value::String(_) => "string".to_owned(),
        Value::List(_) => "[]interface {}".to_owned(),
        Value::Map(_) => "map[string]interface {}".to_owned(),
        Value::Object(object) => object.type_name().to_owned(),
    };
    Error::WrongType { found, wanted }
}
