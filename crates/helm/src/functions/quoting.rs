//! Putting values into text: quoting, concatenating, joining.

use gotmpl::{Function, Str, Type, Value};

use super::arguments::{any, string_of, strings_of, text};
use super::{pure, variadic};
use crate::engine::Host;

pub(super) const TABLE: &[Function<Host>] = &[
    variadic("cat", &[Type::Any], |args| Ok(Value::string(present(args, gotmpl::display)))),
    pure("hello", &[], |_| Ok(Value::string("Hello!"))),
    pure("join", &[Type::String, Type::Any], |args| {
        let parts = strings_of(any(args, 1));
        Ok(Value::string(parts.iter().map(Str::as_bytes).collect::<Vec<_>>().join(text(args, 0)?)))
    }),
    variadic("quote", &[Type::Any], |args| {
        Ok(Value::string(present(args, |value| gotmpl::quote(string_of(value).as_bytes()))))
    }),
    variadic("squote", &[Type::Any], |args| {
        Ok(Value::string(present(args, |value| [b"'", gotmpl::display(value).as_bytes(), b"'"].concat().into())))
    }),
    pure("toString", &[Type::Any], |args| Ok(Value::String(string_of(any(args, 0))))),
];

/// What `write` makes of each value that is not nil, with blanks between.
fn present(values: &[Value], write: impl Fn(&Value) -> Str) -> Vec<u8> {
    let parts: Vec<Str> = values.iter().filter(|value| !matches!(value, Value::Nil)).map(write).collect();
    parts.iter().map(Str::as_bytes).collect::<Vec<_>>().join(&b' ')
}
