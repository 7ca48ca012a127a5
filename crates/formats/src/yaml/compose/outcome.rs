//! What JSON says about the finished value, and values in Go's syntax for error texts.

use gotmpl::{Str, Value};

use super::super::error::Error;
use super::keys::POISON;
use crate::go;

/// Fails for keys and numbers that JSON has not. Keys come first, as they are converted first. Numbers at paths of
/// keys that `is_text` knows have become texts before that.
pub(super) fn check(value: &Value, is_text: &dyn Fn(&[Str]) -> bool) -> Result<(), Error> {
    check_keys(value)?;
    check_numbers(value, &mut Vec::new(), is_text)
}

fn check_keys(value: &Value) -> Result<(), Error> {
    match value {
        Value::List(list) => list.items().iter().try_for_each(check_keys),
        Value::Map(map) => map.borrow().iter().try_for_each(|(key, value)| match key.as_bytes() {
            [POISON, description @ ..] => {
                let description = String::from_utf8_lossy(description);
                let value = if matches!(value, Value::Nil) { "<nil>".to_owned() } else { go_syntax(value) };
                Err(Error::Json { problem: format!("unsupported map key of type: {description}, value: {value}") })
            }
            _ => check_keys(value),
        }),
        _ => Ok(()),
    }
}

fn check_numbers(value: &Value, path: &mut Vec<Str>, is_text: &dyn Fn(&[Str]) -> bool) -> Result<(), Error> {
    match value {
        Value::List(list) => list.items().iter().try_for_each(|item| check_numbers(item, path, is_text)),
        Value::Map(map) => map.borrow().iter().try_for_each(|(key, value)| {
            path.push(key.clone());
            let outcome = check_numbers(value, path, is_text);
            path.pop();
            outcome
        }),
        Value::Float64(number) if !number.is_finite() && !is_text(path) => {
            Err(Error::Json { problem: format!("json: unsupported value: {}", go::general(*number)) })
        }
        _ => Ok(()),
    }
}

/// A value as Go's `%#v` prints what go-yaml had made of it.
pub(super) fn go_syntax(value: &Value) -> String {
    let mut out = String::new();
    write_go_syntax(value, &mut out);
    out
}

fn write_go_syntax(value: &Value, out: &mut String) {
    match value {
        Value::Bool(value) => out.push_str(if *value { "true" } else { "false" }),
        Value::Int(number) => out.push_str(&number.to_string()),
        Value::Uint64(number) => out.extend(format!("{number:#x}").chars()),
        Value::Float64(number) => out.push_str(&go::general(*number)),
        Value::String(text) => out.push_str(&go::quote(&text.to_lossy())),
        Value::List(list) => {
            out.push_str("[]interface {}{");
            for (index, item) in list.items().iter().enumerate() {
                out.push_str(if index == 0 { "" } else { ", " });
                write_go_syntax(item, out);
            }
            out.push('}');
        }
        Value::Map(map) => {
            out.push_str("map[interface {}]interface {}{");
            for (index, (key, value)) in map.borrow().iter().enumerate() {
                out.push_str(if index == 0 { "" } else { ", " });
                match key.as_bytes() {
                    [POISON, syntax @ ..] => out.push_str(&String::from_utf8_lossy(syntax)),
                    name => out.push_str(&go::quote(&String::from_utf8_lossy(name))),
                }
                out.push(':');
                write_go_syntax(value, out);
            }
            out.push('}');
        }
        _ => out.push_str("interface {}(nil)"),
    }
}
