//! What values cost in steps.
//!
//! Steps bound time and memory together. A function is charged for what it reads before it is called, and for what it
//! has made afterwards: four bytes a step, so that all that a render can hold is in proportion to its steps.
//! What lies deeper in a value is charged when it is made, or by the function that walks it.

use crate::value::{ListType, Value};

/// How much text a function may make for one step.
const BYTES_MADE: u64 = 4;
/// How much text a function may read for one step.
const BYTES_READ: u64 = 16;
/// How many items of a list may be looked at for one step.
const ITEMS_READ: u64 = 4;
/// What a collection takes before there is anything in it, and what each item and entry adds to it.
const COLLECTION: u64 = 16;
const ITEM: u64 = 6;
const ENTRY: u64 = 16;

/// The work of a function that gets `value`.
pub(super) fn reading(value: &Value) -> u64 {
    match value {
        Value::String(text) => text.len() as u64 / BYTES_READ,
        // Bytes become values as soon as somebody looks at them.
        Value::List(list) if list.element == ListType::Byte => list.len() as u64 * ITEM,
        Value::List(list) => list.len() as u64 / ITEMS_READ,
        _ => 0,
    }
}

/// The work of having made `value`; none for a collection that somebody else has as well.
pub(super) fn making(value: &Value) -> u64 {
    match value {
        Value::String(text) => text.len() as u64 / BYTES_MADE,
        Value::List(list) if list.is_shared() => 0,
        Value::List(list) if list.element == ListType::Byte => COLLECTION + list.len() as u64 / BYTES_MADE,
        Value::List(list) => COLLECTION + list.len() as u64 * ITEM,
        Value::Map(map) if !map.is_shared() => COLLECTION + map.borrow().len() as u64 * ENTRY,
        _ => 0,
    }
}
