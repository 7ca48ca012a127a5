//! What a value is: its Go type and kind, and whether two are deeply equal.

use std::borrow::Cow;

use gotmpl::{Function, Type, Value};

use super::arguments::{any, kind_name, text};
use super::equality::deep_equal;
use super::{deep, pure};
use crate::host::Host;

const NAME_VALUE: &[Type] = &[Type::String, Type::Any];

pub(super) const TABLE: &[Function<Host>] = &[
    deep(pure("deepEqual", &[Type::Any, Type::Any], |args| Ok(Value::Bool(deep_equal(any(args, 0), any(args, 1)))))),
    pure("kindIs", NAME_VALUE, |args| Ok(Value::Bool(text(args, 0)? == kind_of(args, 1).as_bytes()))),
    pure("kindOf", &[Type::Any], |args| Ok(Value::string(kind_of(args, 0)))),
    pure("typeIs", NAME_VALUE, |args| Ok(Value::Bool(text(args, 0)? == type_of(args, 1).as_bytes()))),
    pure("typeIsLike", NAME_VALUE, |args| {
        let found = type_of(args, 1);
        let wanted = text(args, 0)?;
        Ok(Value::Bool(found.as_bytes() == wanted || found.as_bytes().strip_prefix(b"*") == Some(wanted)))
    }),
    pure("typeOf", &[Type::Any], |args| Ok(Value::string(type_of(args, 0).as_ref()))),
];

fn kind_of(args: &[Value], index: usize) -> &'static str {
    kind_name(any(args, index).kind())
}

/// `%T`.
fn type_of(args: &[Value], index: usize) -> Cow<'_, str> {
    gotmpl::type_name(any(args, index))
}
