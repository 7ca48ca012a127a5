//! Reading a function's arguments, and the Go conversions (spf13/cast) most functions share.
//!
//! The evaluator has checked arguments against the declared types before a call, so the accessors fail only
//! when a function is called around it.

use gotmpl::{FuncError, Kind, List, ListType, Map, MapType, Str, Value};

/// What every function body returns.
pub(super) type Outcome = Result<Value, FuncError>;

/// Go's panic on a method call through a nil interface, which Sprig's list functions run into.
pub(super) const NIL_POINTER: &str = "runtime error: invalid memory address or nil pointer dereference";

/// Go's panic on writing to a nil map.
pub(super) const NIL_MAP: &str = "assignment to entry in nil map";

/// Bytes a single function may produce, far beyond any manifest: repeat, indent, wrap and their like stop here.
pub(super) const MAX_TEXT_BYTES: usize = 16 << 20;

fn mismatch(index: usize, expected: &str) -> FuncError {
    FuncError::new(format!("argument {} is not a {expected}", index + 1))
}

/// The argument at `index`, nil if absent.
pub(super) fn any(args: &[Value], index: usize) -> &Value {
    args.get(index).unwrap_or(&Value::Nil)
}

/// The arguments from `index` on: what a variadic parameter received.
pub(super) fn variadic(args: &[Value], index: usize) -> &[Value] {
    args.get(index..).unwrap_or_default()
}

/// A `string` argument.
pub(super) fn text(args: &[Value], index: usize) -> Result<&[u8], FuncError> {
    match any(args, index) {
        Value::String(text) => Ok(text.as_bytes()),
        _ => Err(mismatch(index, "string")),
    }
}

/// An `int`, `int64` or `uint32` argument.
pub(super) fn int(args: &[Value], index: usize) -> Result<i64, FuncError> {
    match any(args, index) {
        Value::Int(number) | Value::Int64(number) => Ok(*number),
        Value::Uint64(number) => i64::try_from(*number).map_err(|_| mismatch(index, "int")),
        Value::Uint8(number) => Ok(i64::from(*number)),
        _ => Err(mismatch(index, "int")),
    }
}

/// A `bool` argument.
pub(super) fn boolean(args: &[Value], index: usize) -> Result<bool, FuncError> {
    match any(args, index) {
        Value::Bool(flag) => Ok(*flag),
        _ => Err(mismatch(index, "bool")),
    }
}

/// A `map[string]interface {}` argument; the literal nil is the nil map.
pub(super) fn map(args: &[Value], index: usize) -> Result<Map, FuncError> {
    as_map(any(args, index)).ok_or_else(|| mismatch(index, "map"))
}

/// `value` as a map parameter takes it.
pub(super) fn as_map(value: &Value) -> Option<Map> {
    match value {
        // A named map type becomes the plain one when it is passed.
        Value::Map(map) => Some(map.retyped(MapType::Any)),
        Value::Nil => Some(Map::nil(MapType::Any)),
        _ => None,
    }
}

/// A `[]interface {}` argument; the literal nil is the nil slice.
pub(super) fn list(args: &[Value], index: usize) -> Result<List, FuncError> {
    match any(args, index) {
        Value::List(list) => Ok(list.clone()),
        Value::Nil => Ok(List::nil(ListType::Any)),
        _ => Err(mismatch(index, "list")),
    }
}

/// A count that Go takes as `int`: how often, how wide, how many. Negative ones are 0.
pub(super) fn size(number: i64) -> usize {
    usize::try_from(number).unwrap_or(0)
}

/// The text of a value as Sprig's `toString` has it: strings and bytes as they are, others as `%v`.
pub(super) fn string_of(value: &Value) -> Str {
    match value {
        Value::String(text) => text.clone(),
        Value::List(list) if list.element == ListType::Byte => list.to_bytes(),
        _ => gotmpl::display(value),
    }
}

/// The texts of a value as Sprig's `toStrings` has them: nil items are left out, a scalar is one text.
pub(super) fn strings_of(value: &Value) -> Vec<Str> {
    match value {
        Value::List(list) => list.items().iter().filter(|item| !matches!(item, Value::Nil)).map(string_of).collect(),
        Value::Nil => Vec::new(),
        Value::Object(object) if object.kind() == Kind::Slice => {
            object.underlying().map_or_else(Vec::new, |list| strings_of(&list))
        }
        scalar => vec![string_of(scalar)],
    }
}

/// Sprig's `empty`: zero numbers, false, nil, and whatever has length 0. Structs never are.
pub(super) fn is_empty(value: &Value) -> bool {
    match value {
        Value::Object(object) => object.kind() != Kind::Struct && !object.truthy(),
        other => !other.truthy(),
    }
}

/// `reflect.Kind`'s name.
pub(super) fn kind_name(kind: Kind) -> &'static str {
    match kind {
        Kind::Invalid => "invalid",
        Kind::Bool => "bool",
        Kind::Int => "int",
        Kind::Int64 => "int64",
        Kind::Uint8 => "uint8",
        Kind::Uint64 => "uint64",
        Kind::Float64 => "float64",
        Kind::Complex128 => "complex128",
        Kind::String => "string",
        Kind::Slice => "slice",
        Kind::Map => "map",
        Kind::Struct => "struct",
        Kind::Ptr => "ptr",
        Kind::Func => "func",
    }
}

/// The types over `int` that cast takes for numbers.
const CALENDAR_TYPES: &[&str] = &["time.Month", "time.Weekday"];

/// `cast.ToInt64`: what cannot be converted is 0.
pub(super) fn cast_int(value: &Value) -> i64 {
    match value {
        Value::Bool(flag) => i64::from(*flag),
        Value::Int(number) | Value::Int64(number) => *number,
        Value::Uint8(number) => i64::from(*number),
        Value::Uint64(number) => number.cast_signed(),
        Value::Float64(number) => float_to_int(*number),
        Value::String(text) => super::numbers::parse_int(without_zero_decimals(text.as_bytes()), 0).unwrap_or(0),
        Value::Object(object) if CALENDAR_TYPES.contains(&object.type_name()) => cast_int(&object.to_value()),
        Value::Nil | Value::List(_) | Value::Map(_) | Value::Object(_) => 0,
    }
}

/// `cast.ToFloat64`: what cannot be converted is 0.
pub(super) fn cast_float(value: &Value) -> f64 {
    match value {
        Value::Bool(flag) => f64::from(u8::from(*flag)),
        Value::Int(number) | Value::Int64(number) => int_to_float(*number),
        Value::Uint8(number) => f64::from(*number),
        Value::Uint64(number) => uint_to_float(*number),
        Value::Float64(number) => *number,
        Value::String(text) => super::numbers::parse_float(text.as_bytes()).unwrap_or(0.0),
        Value::Object(object) if CALENDAR_TYPES.contains(&object.type_name()) => cast_float(&object.to_value()),
        Value::Nil | Value::List(_) | Value::Map(_) | Value::Object(_) => 0.0,
    }
}

/// The first integer above Go's `int64`.
const TWO_TO_63: f64 = 9_223_372_036_854_775_808.0;

/// Go's `int64(float64)` on amd64: truncation, and the smallest integer for what does not fit.
#[expect(clippy::cast_possible_truncation, reason = "the range is checked, truncation toward zero is Go's rule")]
pub(super) fn float_to_int(number: f64) -> i64 {
    if (-TWO_TO_63..TWO_TO_63).contains(&number) { number as i64 } else { i64::MIN }
}

/// Go's `float64(int64)`.
#[expect(clippy::cast_precision_loss, reason = "Go rounds the same way")]
pub(super) fn int_to_float(number: i64) -> f64 {
    number as f64
}

#[expect(clippy::cast_precision_loss, reason = "Go rounds the same way")]
fn uint_to_float(number: u64) -> f64 {
    number as f64
}

/// `text` without a decimal part of zeros (`1.00`), which cast drops before it parses an integer.
fn without_zero_decimals(text: &[u8]) -> &[u8] {
    let zeros = text.iter().rev().take_while(|byte| **byte == b'0').count();
    match text[..text.len() - zeros].split_last() {
        Some((b'.', whole)) if zeros > 0 => whole,
        _ => text,
    }
}

/// Sprig's `toStrings`: a `[]string`.
pub(super) fn list_of_texts(value: &Value) -> Value {
    List::strings(strings_of(value)).into()
}
