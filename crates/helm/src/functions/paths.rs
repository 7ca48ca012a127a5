//! Slash-separated paths: Go's `path`, and `path/filepath` on Linux, which differ in nothing templates can see.

use gotmpl::{Function, Type, Value};

use super::arguments::text;
use super::pure;
use crate::host::Host;

const PATH: &[Type] = &[Type::String];

pub(super) const TABLE: &[Function<Host>] = &[
    pure("base", PATH, |args| Ok(Value::string(base(text(args, 0)?)))),
    pure("clean", PATH, |args| Ok(Value::string(clean(text(args, 0)?)))),
    pure("dir", PATH, |args| Ok(Value::string(dir(text(args, 0)?)))),
    pure("ext", PATH, |args| Ok(Value::string(ext(text(args, 0)?)))),
    pure("isAbs", PATH, |args| Ok(Value::Bool(text(args, 0)?.starts_with(b"/")))),
    pure("osBase", PATH, |args| Ok(Value::string(base(text(args, 0)?)))),
    pure("osClean", PATH, |args| Ok(Value::string(clean(text(args, 0)?)))),
    pure("osDir", PATH, |args| Ok(Value::string(dir(text(args, 0)?)))),
    pure("osExt", PATH, |args| Ok(Value::string(ext(text(args, 0)?)))),
    pure("osIsAbs", PATH, |args| Ok(Value::Bool(text(args, 0)?.starts_with(b"/")))),
];

/// The part up to and with the last slash, and the part behind it.
fn split(path: &[u8]) -> (&[u8], &[u8]) {
    path.split_at(path.iter().rposition(|byte| *byte == b'/').map_or(0, |slash| slash + 1))
}

fn base(path: &[u8]) -> &[u8] {
    let end = path.iter().rposition(|byte| *byte != b'/').map_or(0, |last| last + 1);
    match split(&path[..end]).1 {
        _ if path.is_empty() => b".",
        b"" => b"/",
        name => name,
    }
}

fn dir(path: &[u8]) -> Vec<u8> {
    clean(split(path).0)
}

fn ext(path: &[u8]) -> &[u8] {
    let name = split(path).1;
    name.iter().rposition(|byte| *byte == b'.').map_or(b"", |dot| &name[dot..])
}

/// The shortest path that means the same: no `.`, no `..` but at the start, no doubled slash.
fn clean(path: &[u8]) -> Vec<u8> {
    let rooted = path.starts_with(b"/");
    let mut parts: Vec<&[u8]> = Vec::new();
    for part in path.split(|byte| *byte == b'/') {
        match (part, parts.last()) {
            (b"" | b".", _) => {}
            (b"..", None) if rooted => {}
            (b"..", Some(last)) if *last != b".." => drop(parts.pop()),
            _ => parts.push(part),
        }
    }
    let joined = parts.join(&b'/');
    match (rooted, joined.is_empty()) {
        (true, _) => [b"/", joined.as_slice()].concat(),
        (false, true) => b".".to_vec(),
        (false, false) => joined,
    }
}
