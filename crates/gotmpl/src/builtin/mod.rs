//! The functions every template has. A host may override them by name.

mod compare;
mod escape;
mod index;

use crate::error::FuncError;
use crate::func::{Signature, Type};
use crate::printf::{self, Printed};
use crate::typed::Cell;
use crate::value::Value;

type Result = std::result::Result<Cell, FuncError>;

/// A function of the language. Unlike a host's, it sees which arguments come in an interface.
pub(crate) struct Builtin {
    pub(crate) name: &'static str,
    pub(crate) signature: Signature,
    pub(crate) body: Body,
}

/// What a builtin does.
pub(crate) enum Body {
    /// Stops at the first false argument.
    And,
    /// Stops at the first true argument.
    Or,
    /// Calls its first argument.
    Call,
    Plain(Plain),
}

/// A function's body that only sees its arguments.
pub(crate) type Plain = fn(&[Cell]) -> Result;

const ONE: &[Type] = &[Type::Any];
const TWO: &[Type] = &[Type::Any, Type::Any];

const fn fixed(name: &'static str, params: &'static [Type], body: Plain) -> Builtin {
    Builtin { name, signature: Signature { params, variadic: false }, body: Body::Plain(body) }
}

const fn variadic(name: &'static str, params: &'static [Type], body: Body) -> Builtin {
    Builtin { name, signature: Signature { params, variadic: true }, body }
}

/// All of them.
pub(crate) static TABLE: &[Builtin] = &[
    variadic("and", TWO, Body::And),
    variadic("call", TWO, Body::Call),
    variadic("eq", TWO, Body::Plain(compare::eq)),
    fixed("ge", TWO, compare::ge),
    fixed("gt", TWO, compare::gt),
    variadic("html", ONE, Body::Plain(escape::html)),
    variadic("index", TWO, Body::Plain(index::index)),
    variadic("js", ONE, Body::Plain(escape::js)),
    fixed("le", TWO, compare::le),
    fixed("len", ONE, index::len),
    fixed("lt", TWO, compare::lt),
    fixed("ne", TWO, compare::ne),
    fixed("not", ONE, compare::not),
    variadic("or", TWO, Body::Or),
    variadic("print", ONE, Body::Plain(|args| text(printf::printed(&values(args))))),
    variadic("printf", &[Type::String, Type::Any], Body::Plain(format)),
    variadic("println", ONE, Body::Plain(|args| text(printf::printed_line(&values(args))))),
    variadic("slice", TWO, Body::Plain(index::slice)),
    variadic("urlquery", ONE, Body::Plain(escape::urlquery)),
];

fn text(printed: Printed) -> Result {
    Ok(Cell::plain(Value::String(printed.complete()?)))
}

/// The longest format that is not read for what it costs.
const SHORT: usize = 256;

/// Whether `name` does nothing with these arguments but to copy texts next to each other.
pub(crate) fn only_copies(name: &str, args: &[Cell]) -> bool {
    let scalar = |cell: &Cell| {
        matches!(cell.value, Value::Bool(_) | Value::Int(_) | Value::Int64(_) | Value::Float64(_) | Value::String(_))
    };
    let plain = match (name, args.first().map(|cell| &cell.value)) {
        ("print", _) => true,
        ("printf", Some(Value::String(format))) => is_plain(format.as_bytes()),
        _ => false,
    };
    plain && args.iter().all(scalar)
}

/// Whether a format has no verbs but `%s`, `%d` and `%v`.
fn is_plain(format: &[u8]) -> bool {
    let verbs = format.split(|byte| *byte == b'%').skip(1);
    format.len() <= SHORT && verbs.into_iter().all(|verb| matches!(verb.first(), Some(b's' | b'd' | b'v')))
}

fn values(args: &[Cell]) -> Vec<Value> {
    args.iter().map(|cell| cell.value.clone()).collect()
}

fn format(args: &[Cell]) -> Result {
    let args = values(args);
    match args.split_first() {
        Some((Value::String(format), args)) => text(printf::formatted(format.as_bytes(), args)),
        _ => Err(FuncError::new("printf without a format")),
    }
}
