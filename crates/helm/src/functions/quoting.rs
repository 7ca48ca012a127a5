//! Putting values into text: quoting, concatenating, joining.

use gotmpl::{FuncError, Function, Str, Type, Value};

use super::arguments::{MAX_TEXT_BYTES, any, string_of, strings_of, text};
use super::{deep, pure, variadic};
use crate::host::Host;

pub(super) const TABLE: &[Function<Host>] = &[
    deep(variadic("cat", &[Type::Any], |args| Ok(Value::string(present(args, gotmpl::display))))),
    pure("hello", &[], |_| Ok(Value::string("Hello!"))),
    deep(pure("join", &[Type::String, Type::Any], |args| {
        let parts = strings_of(any(args, 1));
        let between = text(args, 0)?.len().saturating_mul(parts.len());
        if between > MAX_TEXT_BYTES {
            return Err(FuncError::new(format!("the result is longer than {MAX_TEXT_BYTES} bytes")));
        }
        Ok(Value::string(parts.iter().map(Str::as_bytes).collect::<Vec<_>>().join(text(args, 0)?)))
    })),
    deep(variadic("quote", &[Type::Any], |args| {
        Ok(Value::string(present(args, |value| gotmpl::quote(string_of(value).as_bytes()))))
    })),
    deep(variadic("squote", &[Type::Any], |args| {
        Ok(Value::string(present(args, |value| [b"'", gotmpl::display(value).as_bytes(), b"'"].concat().into())))
    })),
    deep(pure("toString", &[Type::Any], |args| Ok(Value::String(string_of(any(args, 0)))))),
];

/// What `write` makes of each value that is not nil, with blanks between.
fn present(values: &[Value], write: impl Fn(&Value) -> Str) -> Vec<u8> {
    let parts: Vec<Str> = values.iter().filter(|value| !matches!(value, Value::Nil)).map(write).collect();
    parts.iter().map(Str::as_bytes).collect::<Vec<_>>().join(&b' ')
}
