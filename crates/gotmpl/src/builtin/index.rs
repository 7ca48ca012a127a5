//! Parts and sizes of collections: `index`, `slice`, `len`.

use super::Result;
use crate::error::FuncError;
use crate::typed::{Cell, type_name};
use crate::value::{List, Map, Value};

fn fail<T>(message: impl Into<String>) -> std::result::Result<T, FuncError> {
    Err(FuncError::new(message))
}

/// The type in messages about collections: Go follows pointers first.
fn pointee(value: &Value) -> String {
    let name = type_name(value);
    name.strip_prefix('*').unwrap_or(&name).to_owned()
}

/// `index x 1 "a"` is Go's `x[1]["a"]`.
pub(super) fn index(args: &[Cell]) -> Result {
    let Some((first, indexes)) = args.split_first() else {
        return fail("index of untyped nil");
    };
    let mut item = first.clone().unboxed();
    if item.is_invalid() {
        return fail("index of untyped nil");
    }
    for index in indexes {
        if item.is_nil_interface() {
            return fail("index of nil pointer");
        }
        item = element(&item.value, &index.value)?;
    }
    Ok(item)
}

fn element(item: &Value, index: &Value) -> Result {
    match item.underlying().as_ref() {
        Value::List(list) => {
            let at = position(index, list.len())?;
            list.cell(at).map_or_else(|| fail("reflect: slice index out of range"), Ok)
        }
        Value::String(text) => {
            let at = position(index, text.len())?;
            match text.as_bytes().get(at) {
                Some(byte) => Ok(Cell::plain(Value::Uint8(*byte))),
                None => fail("reflect: string index out of range"),
            }
        }
        Value::Map(map) => match (item, index) {
            // A type of the host's knows what a missing key reads as.
            (Value::Object(object), Value::String(key)) => {
                object.field(&key.to_lossy()).map_or_else(|| entry(map, index), |value| Ok(Cell::plain(value)))
            }
            _ => entry(map, index),
        },
        _ => fail(format!("can't index item of type {}", pointee(item))),
    }
}

fn entry(map: &Map, key: &Value) -> Result {
    match key {
        Value::String(key) => Ok(map.get(key.as_bytes()).map_or_else(|| map.ty.zero(), |value| map.ty.element(value))),
        Value::Nil => fail("value is nil; should be of type string"),
        other => fail(format!("value has type {}; should be string", type_name(other))),
    }
}

/// An index that Go accepts up to and including `limit`.
fn position(index: &Value, limit: usize) -> std::result::Result<usize, FuncError> {
    let at = match index.underlying().as_ref() {
        Value::Int(n) | Value::Int64(n) => *n,
        Value::Uint8(n) => i64::from(*n),
        Value::Uint64(n) => n.cast_signed(),
        Value::Nil => return fail("cannot index slice/array with nil"),
        _ => {
            return fail(format!("cannot index slice/array with type {}", type_name(index)));
        }
    };
    match usize::try_from(at) {
        Ok(position) if position <= limit => Ok(position),
        _ => fail(format!("index out of range: {at}")),
    }
}

/// `slice x 1 2` is Go's `x[1:2]`. The capacity of a list is its length.
pub(super) fn slice(args: &[Cell]) -> Result {
    let Some((item, indexes)) = args.split_first().filter(|(item, _)| !matches!(item.value, Value::Nil)) else {
        return fail("slice of untyped nil");
    };
    if indexes.len() > 3 {
        return fail(format!("too many slice indexes: {}", indexes.len()));
    }
    match item.value.underlying().as_ref() {
        Value::String(_) if indexes.len() == 3 => fail("cannot 3-index slice a string"),
        Value::String(text) => {
            let (from, to) = bounds(indexes, text.len())?;
            Ok(Cell::plain(Value::string(&text.as_bytes()[from..to])))
        }
        Value::List(list) => {
            let (from, to) = bounds(indexes, list.len())?;
            Ok(Cell::plain(Value::List(List::new(list.element, list.items()[from..to].to_vec()))))
        }
        _ => fail(format!("can't slice item of type {}", pointee(&item.value))),
    }
}

/// Unlike `index`, Go's `slice` does not take an index out of its interface.
fn bound(index: &Cell, length: usize) -> std::result::Result<usize, FuncError> {
    if index.boxed {
        return fail("cannot index slice/array with type interface {}");
    }
    position(&index.value, length)
}

fn bounds(indexes: &[Cell], length: usize) -> std::result::Result<(usize, usize), FuncError> {
    let positions: Vec<usize> =
        indexes.iter().map(|index| bound(index, length)).collect::<std::result::Result<_, _>>()?;
    let from = positions.first().copied().unwrap_or(0);
    let to = positions.get(1).copied().unwrap_or(length);
    let capacity = positions.get(2).copied().unwrap_or(length);
    match (from <= to, to <= capacity) {
        (false, _) => fail(format!("invalid slice index: {from} > {to}")),
        (true, false) => fail(format!("invalid slice index: {to} > {capacity}")),
        (true, true) => Ok((from, to)),
    }
}

pub(super) fn len(args: &[Cell]) -> Result {
    let item = &args[0];
    if item.is_nil_interface() {
        return fail("len of nil pointer");
    }
    let length = match item.value.underlying().as_ref() {
        Value::String(text) => text.len(),
        Value::List(list) => list.len(),
        Value::Map(map) => map.borrow().len(),
        // Go panics here, and its words for that are the error.
        Value::Nil => return fail("reflect: call of reflect.Value.Type on zero Value"),
        _ => return fail(format!("len of type {}", pointee(&item.value))),
    };
    Ok(Cell::plain(Value::Int(i64::try_from(length).unwrap_or(i64::MAX))))
}
