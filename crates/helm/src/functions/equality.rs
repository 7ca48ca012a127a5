//! `reflect.DeepEqual`: equal types, equal contents.

use std::cmp::Ordering;

use gotmpl::{List, Map, Value};

/// Levels of nesting that are compared; functions do not get values that are deeper.
const MAX_DEPTH: usize = 1_000;

/// Whether both have the same type and contents: `1` as int and as int64 differ, and so do nil and empty slices.
pub(super) fn deep_equal(left: &Value, right: &Value) -> bool {
    equal(left, right, 0)
}

fn equal(left: &Value, right: &Value, depth: usize) -> bool {
    match (left, right) {
        (Value::Nil, Value::Nil) => true,
        (Value::Bool(a), Value::Bool(b)) => a == b,
        (Value::Int(a), Value::Int(b)) | (Value::Int64(a), Value::Int64(b)) => a == b,
        (Value::Uint8(a), Value::Uint8(b)) => a == b,
        (Value::Uint64(a), Value::Uint64(b)) => a == b,
        (Value::Float64(a), Value::Float64(b)) => a.partial_cmp(b) == Some(Ordering::Equal),
        (Value::String(a), Value::String(b)) => a == b,
        (Value::List(a), Value::List(b)) => depth < MAX_DEPTH && lists_equal(a, b, depth + 1),
        (Value::Map(a), Value::Map(b)) => depth < MAX_DEPTH && maps_equal(a, b, depth + 1),
        (Value::Object(a), Value::Object(b)) => {
            std::rc::Rc::ptr_eq(a, b) || (a.type_name() == b.type_name() && a.display() == b.display())
        }
        _ => false,
    }
}

fn lists_equal(left: &List, right: &List, depth: usize) -> bool {
    let (a, b) = (left.items(), right.items());
    left.element == right.element
        && left.is_nil() == right.is_nil()
        && a.len() == b.len()
        && a.iter().zip(b).all(|(a, b)| equal(a, b, depth))
}

fn maps_equal(left: &Map, right: &Map, depth: usize) -> bool {
    if left.ty != right.ty || left.is_nil() != right.is_nil() {
        return false;
    }
    if left.same(right) {
        return true;
    }
    let (a, b) = (left.borrow(), right.borrow());
    a.len() == b.len() && a.iter().zip(b.iter()).all(|((a, x), (b, y))| a == b && equal(x, y, depth))
}
