//! Defaults and choices: which of several values counts.

use gotmpl::{Function, Type, Value};

use super::arguments::{any, boolean, is_empty};
use super::{pure, variadic};
use crate::host::Host;

const ANYTHING: &[Type] = &[Type::Any];

pub(super) const TABLE: &[Function<Host>] = &[
    variadic("all", ANYTHING, |args| Ok(Value::Bool(!args.iter().any(is_empty)))),
    variadic("any", ANYTHING, |args| Ok(Value::Bool(!args.iter().all(is_empty)))),
    variadic("coalesce", ANYTHING, |args| {
        Ok(args.iter().find(|value| !is_empty(value)).cloned().unwrap_or(Value::Nil))
    }),
    variadic("default", &[Type::Any, Type::Any], |args| {
        let given = any(args, 1);
        Ok(if is_empty(given) { any(args, 0) } else { given }.clone())
    }),
    pure("empty", ANYTHING, |args| Ok(Value::Bool(is_empty(any(args, 0))))),
    pure("ternary", &[Type::Any, Type::Any, Type::Bool], |args| Ok(any(args, usize::from(!boolean(args, 2)?)).clone())),
];
