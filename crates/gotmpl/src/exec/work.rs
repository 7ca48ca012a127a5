//! What values cost in steps.
//!
//! Steps bound time and memory together. A function is charged for what it reads before it is called, and for what it
//! has made afterwards: four bytes a step, so that all that a render can hold is in proportion to its steps.
//! What lies deeper in a value is charged when it is made, or by the function that walks it.

use crate::error::Limit;
use crate::func::Reach;
use crate::interp::Interp;
use crate::printf::MAX_DEPTH;
use crate::value::{ListType, Value};

/// How much text a function may make for one step.
const BYTES_MADE: u64 = 4;
/// How much text a function may read for one step.
const BYTES_READ: u64 = 16;
/// How much text may be copied for one step, once what it takes is charged.
const BYTES_COPIED: u64 = 256;
/// How much of an object, such as the files of a chart, goes for one step where a function may only look at parts.
const OBJECT_BYTES: u64 = 256;
/// How many items of a list may be looked at for one step.
const ITEMS_READ: u64 = 4;
/// What a value within another costs whoever looks at it, and whoever copies it.
const NODE_READ: u64 = 2;
const NODE_COPIED: u64 = 12;
/// What a collection takes before there is anything in it, and what each item and entry adds to it.
const COLLECTION: u64 = 16;
const ITEM: u64 = 10;
const ENTRY: u64 = 24;

/// The work of a function that gets `value`.
pub(super) fn reading(value: &Value) -> u64 {
    match value {
        Value::String(text) => text.len() as u64 / BYTES_READ,
        // Bytes become values as soon as somebody looks at them.
        Value::List(list) if list.element == ListType::Byte => list.len() as u64 * ITEM,
        Value::List(list) => list.len() as u64 / ITEMS_READ,
        Value::Object(object) => object.size() / OBJECT_BYTES,
        _ => 0,
    }
}

/// Charges for all that `value` contains, each time it is there: what is shared is printed and copied again and again.
pub(super) fn walk<H>(interp: &mut Interp<'_, H>, value: &Value, reach: Reach) -> Result<(), Limit> {
    walk_level(interp, value, (reach, 0))
}

fn walk_level<H>(interp: &mut Interp<'_, H>, value: &Value, (reach, depth): (Reach, usize)) -> Result<(), Limit> {
    let cost = if matches!(reach, Reach::Copy | Reach::CopyOthers) { NODE_COPIED } else { NODE_READ };
    match value {
        _ if depth > MAX_DEPTH && reach == Reach::Deep => Err(Limit::Nesting),
        // Other functions give up by themselves, in words of their own.
        _ if depth > MAX_DEPTH => Ok(()),
        Value::String(text) => interp.spend(cost + text.len() as u64 / BYTES_READ),
        Value::List(list) if list.element == ListType::Byte => interp.spend(cost + list.len() as u64 / BYTES_READ),
        Value::List(list) => {
            interp.spend(cost)?;
            list.items().iter().try_for_each(|item| walk_level(interp, item, (reach, depth + 1)))
        }
        Value::Map(map) => {
            interp.spend(cost)?;
            map.borrow().values().try_for_each(|item| walk_level(interp, item, (reach, depth + 1)))
        }
        Value::Object(object) => interp.spend(cost + object.size() / BYTES_READ),
        _ => interp.spend(cost),
    }
}

/// What a list was charged for that can be extended in its place; nothing for other values.
pub(super) fn extending(value: &Value) -> u64 {
    match value {
        Value::List(list) if list.element != ListType::Byte => making(value),
        _ => 0,
    }
}

/// The time of having copied `text`, which is charged apart from the memory: that may be free again soon.
pub(super) fn copying(text: &Value) -> u64 {
    if let Value::String(text) = text { text.len() as u64 / BYTES_COPIED } else { 0 }
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
