//! Escaping for other languages: `html`, `js`, `urlquery`.

use super::Result;
use crate::error::Limit;
use crate::printf;
use crate::typed::Cell;
use crate::unicode;
use crate::value::{Str, Value};

/// The arguments as `print` has them, except that nil is printed as by an action.
fn joined(args: &[Cell]) -> std::result::Result<Str, Limit> {
    if let [Cell { value: Value::String(text), .. }] = args {
        return Ok(text.clone());
    }
    let values: Vec<Value> = args
        .iter()
        .map(|cell| match &cell.value {
            Value::Nil => Value::string("<no value>"),
            value => value.clone(),
        })
        .collect();
    printf::printed(&values).complete()
}

#[expect(clippy::unnecessary_wraps, reason = "the type of a builtin's result")]
fn text(bytes: Vec<u8>) -> Result {
    Ok(Cell::plain(Value::String(bytes.into())))
}

pub(super) fn html(args: &[Cell]) -> Result {
    let mut out = Vec::new();
    for byte in joined(args)?.as_bytes() {
        match byte {
            0 => out.extend_from_slice("\u{FFFD}".as_bytes()),
            b'"' => out.extend_from_slice(b"&#34;"),
            b'\'' => out.extend_from_slice(b"&#39;"),
            b'&' => out.extend_from_slice(b"&amp;"),
            b'<' => out.extend_from_slice(b"&lt;"),
            b'>' => out.extend_from_slice(b"&gt;"),
            other => out.push(*other),
        }
    }
    text(out)
}

pub(super) fn js(args: &[Cell]) -> Result {
    let source = joined(args)?;
    let mut out = Vec::new();
    let mut at = 0;
    for (c, width) in unicode::chars(source.as_bytes()) {
        match c {
            '\\' | '\'' | '"' => out.extend_from_slice(format!("\\{c}").as_bytes()),
            '<' | '>' | '&' | '=' | '\0'..=' ' if c != ' ' => {
                out.extend_from_slice(format!("\\u{:04X}", u32::from(c)).as_bytes());
            }
            _ if c.is_ascii() || unicode::is_printable(c) => {
                out.extend_from_slice(&source.as_bytes()[at..at + width]);
            }
            _ => out.extend_from_slice(format!("\\u{:04X}", u32::from(c)).as_bytes()),
        }
        at += width;
    }
    text(out)
}

pub(super) fn urlquery(args: &[Cell]) -> Result {
    let mut out = Vec::new();
    for byte in joined(args)?.as_bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => out.push(*byte),
            b' ' => out.push(b'+'),
            other => out.extend_from_slice(format!("%{other:02X}").as_bytes()),
        }
    }
    text(out)
}
