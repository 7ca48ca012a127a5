//! Truth and comparison: `not`, `eq` and the orderings.

use std::cmp::Ordering;
use std::rc::Rc;

use super::Result;
use crate::complex::Complex;
use crate::error::FuncError;
use crate::printf;
use crate::typed::{Cell, type_name};
use crate::value::{Kind, Value};

/// The kinds that can be compared; integers of one signedness compare whatever their size.
enum Basic {
    Bool(bool),
    Int(i64),
    Uint(u64),
    Float(f64),
    Complex(Complex),
    String(crate::Str),
}

impl Basic {
    fn of(value: &Value) -> Option<Self> {
        match value.underlying().as_ref() {
            Value::Bool(b) => Some(Self::Bool(*b)),
            Value::Int(n) | Value::Int64(n) => Some(Self::Int(*n)),
            Value::Uint8(n) => Some(Self::Uint(u64::from(*n))),
            Value::Uint64(n) => Some(Self::Uint(*n)),
            Value::Float64(n) => Some(Self::Float(*n)),
            Value::String(s) => Some(Self::String(s.clone())),
            Value::Object(_) => Complex::of(value).map(Self::Complex),
            Value::Nil | Value::List(_) | Value::Map(_) => None,
        }
    }
}

#[expect(clippy::unnecessary_wraps, reason = "the type of a builtin's result")]
fn truth(value: bool) -> Result {
    Ok(Cell::plain(Value::Bool(value)))
}

pub(super) fn not(args: &[Cell]) -> Result {
    truth(!args[0].value.truthy())
}

/// Whether the first argument equals any of the others.
pub(super) fn eq(args: &[Cell]) -> Result {
    let Some((first, others)) = args.split_first().filter(|(_, others)| !others.is_empty()) else {
        return Err(FuncError::new("missing argument for comparison"));
    };
    for other in others {
        if equal(&first.value, &other.value)? {
            return truth(true);
        }
    }
    truth(false)
}

pub(super) fn ne(args: &[Cell]) -> Result {
    truth(!equal(&args[0].value, &args[1].value)?)
}

pub(super) fn lt(args: &[Cell]) -> Result {
    truth(less(&args[0].value, &args[1].value)?)
}

pub(super) fn le(args: &[Cell]) -> Result {
    truth(less_or_equal(&args[0].value, &args[1].value)?)
}

pub(super) fn gt(args: &[Cell]) -> Result {
    truth(!less_or_equal(&args[0].value, &args[1].value)?)
}

pub(super) fn ge(args: &[Cell]) -> Result {
    truth(!less(&args[0].value, &args[1].value)?)
}

fn less_or_equal(a: &Value, b: &Value) -> std::result::Result<bool, FuncError> {
    Ok(less(a, b)? || equal(a, b)?)
}

#[expect(clippy::float_cmp, reason = "Go compares floats exactly")]
fn equal(a: &Value, b: &Value) -> std::result::Result<bool, FuncError> {
    match (Basic::of(a), Basic::of(b)) {
        (Some(Basic::Bool(a)), Some(Basic::Bool(b))) => Ok(a == b),
        (Some(Basic::Int(a)), Some(Basic::Int(b))) => Ok(a == b),
        (Some(Basic::Uint(a)), Some(Basic::Uint(b))) => Ok(a == b),
        (Some(Basic::Float(a)), Some(Basic::Float(b))) => Ok(a == b),
        (Some(Basic::Complex(a)), Some(Basic::Complex(b))) => Ok(a == b),
        (Some(Basic::String(a)), Some(Basic::String(b))) => Ok(a == b),
        (Some(Basic::Int(a)), Some(Basic::Uint(b))) | (Some(Basic::Uint(b)), Some(Basic::Int(a))) => {
            Ok(u64::try_from(a) == Ok(b))
        }
        (None, None) => equal_composite(a, b),
        _ if matches!(a, Value::Nil) || matches!(b, Value::Nil) => Ok(false),
        _ => Err(incompatible(a, b)),
    }
}

fn equal_composite(a: &Value, b: &Value) -> std::result::Result<bool, FuncError> {
    let (kind_a, kind_b) = (a.kind(), b.kind());
    if kind_a != kind_b && kind_a != Kind::Invalid && kind_b != Kind::Invalid {
        return Err(FuncError::new(format!(
            "non-comparable types {}: {}, {}: {}",
            printf::printf(b"%s", std::slice::from_ref(a)),
            type_name(a),
            type_name(b),
            printf::printf(b"%v", std::slice::from_ref(b)),
        )));
    }
    if a.is_nil() || b.is_nil() {
        return Ok(a.is_nil() && b.is_nil());
    }
    match (a, b) {
        (Value::Object(a), Value::Object(b)) if a.kind() == Kind::Ptr => Ok(Rc::ptr_eq(a, b) || a.same(b.as_ref())),
        (Value::Object(a), Value::Object(b)) if a.kind() == Kind::Struct => {
            Ok(a.type_name() == b.type_name() && a.display() == b.display())
        }
        _ => Err(FuncError::new(format!(
            "non-comparable type {}: {}",
            printf::printf(b"%s", std::slice::from_ref(b)),
            type_name(b)
        ))),
    }
}

fn less(a: &Value, b: &Value) -> std::result::Result<bool, FuncError> {
    let bad = || FuncError::new("invalid type for comparison");
    let order = match (Basic::of(a).ok_or_else(bad)?, Basic::of(b).ok_or_else(bad)?) {
        (Basic::Bool(_), Basic::Bool(_)) | (Basic::Complex(_), Basic::Complex(_)) => return Err(bad()),
        (Basic::Int(a), Basic::Int(b)) => a.cmp(&b),
        (Basic::Uint(a), Basic::Uint(b)) => a.cmp(&b),
        (Basic::Float(a), Basic::Float(b)) => return Ok(a < b),
        (Basic::String(a), Basic::String(b)) => a.cmp(&b),
        (Basic::Int(a), Basic::Uint(b)) => i128::from(a).cmp(&i128::from(b)),
        (Basic::Uint(a), Basic::Int(b)) => i128::from(a).cmp(&i128::from(b)),
        _ => return Err(incompatible(a, b)),
    };
    Ok(order == Ordering::Less)
}

fn incompatible(a: &Value, b: &Value) -> FuncError {
    FuncError::new(format!("incompatible types for comparison: {} and {}", type_name(a), type_name(b)))
}
