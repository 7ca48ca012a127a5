//! Cutting, testing, trimming and repeating strings. Strings are bytes; where Go looks at runes, so do these.

use std::collections::BTreeSet;

use gotmpl::{FuncError, Function, List, Map, MapType, Str, Type, Value};

use super::arguments::{MAX_TEXT_BYTES, Outcome, any, int, list_of_texts, size, text};
use super::{deep, numbers, pure, runes};
use crate::host::Host;

const TEXT: &[Type] = &[Type::String];
const TWO_TEXTS: &[Type] = &[Type::String, Type::String];
const COUNT_TEXT: &[Type] = &[Type::Int, Type::String];

pub(super) const TABLE: &[Function<Host>] = &[
    pure("atoi", TEXT, |args| Ok(Value::Int(numbers::atoi(text(args, 0)?)))),
    pure("contains", TWO_TEXTS, |args| Ok(Value::Bool(find(text(args, 1)?, text(args, 0)?).is_some()))),
    pure("hasPrefix", TWO_TEXTS, |args| Ok(Value::Bool(text(args, 1)?.starts_with(text(args, 0)?)))),
    pure("hasSuffix", TWO_TEXTS, |args| Ok(Value::Bool(text(args, 1)?.ends_with(text(args, 0)?)))),
    pure("indent", COUNT_TEXT, |args| Ok(Value::string(indent(int(args, 0)?, text(args, 1)?, b"")?))),
    pure("lower", TEXT, |args| Ok(Value::string(runes::map_runes(text(args, 0)?, runes::to_lower)))),
    pure("nindent", COUNT_TEXT, |args| Ok(Value::string(indent(int(args, 0)?, text(args, 1)?, b"\n")?))),
    pure("plural", &[Type::String, Type::String, Type::Int], |args| {
        Ok(any(args, usize::from(int(args, 2)? != 1)).clone())
    }),
    pure("repeat", COUNT_TEXT, |args| Ok(Value::string(repeat(text(args, 1)?, int(args, 0)?)?))),
    pure("replace", &[Type::String, Type::String, Type::String], |args| {
        Ok(Value::string(replace(text(args, 2)?, text(args, 0)?, text(args, 1)?)?))
    }),
    pure("split", TWO_TEXTS, |args| Ok(numbered(split(text(args, 1)?, text(args, 0)?, None)))),
    pure("splitList", TWO_TEXTS, |args| Ok(List::strings(split(text(args, 1)?, text(args, 0)?, None)).into())),
    pure("splitn", &[Type::String, Type::Int, Type::String], |args| {
        let limit = int(args, 1)?;
        let limit = (limit >= 0).then(|| size(limit));
        Ok(numbered(split(text(args, 2)?, text(args, 0)?, limit)))
    }),
    pure("substr", &[Type::Int, Type::Int, Type::String], |args| {
        Ok(Value::string(substring(text(args, 2)?, int(args, 0)?, int(args, 1)?)?))
    }),
    deep(pure("toStrings", &[Type::Any], |args| Ok(list_of_texts(any(args, 0))))),
    pure("trim", TEXT, |args| Ok(Value::string(trim(text(args, 0)?, runes::is_space)))),
    pure("trimAll", TWO_TEXTS, trim_all),
    pure("trimPrefix", TWO_TEXTS, |args| {
        let whole = text(args, 1)?;
        Ok(Value::string(whole.strip_prefix(text(args, 0)?).unwrap_or(whole)))
    }),
    pure("trimSuffix", TWO_TEXTS, |args| {
        let whole = text(args, 1)?;
        Ok(Value::string(whole.strip_suffix(text(args, 0)?).unwrap_or(whole)))
    }),
    pure("trimall", TWO_TEXTS, trim_all),
    pure("trunc", COUNT_TEXT, |args| Ok(Value::string(truncate(text(args, 1)?, int(args, 0)?)))),
    pure("upper", TEXT, |args| Ok(Value::string(runes::map_runes(text(args, 0)?, runes::to_upper)))),
];

/// Where `needle` first occurs in `haystack`.
pub(super) fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    memchr::memmem::find(haystack, needle)
}

/// `text`, `count` times over; limited to [`MAX_TEXT_BYTES`].
pub(super) fn repeat(text: &[u8], count: i64) -> Result<Vec<u8>, FuncError> {
    if count < 0 {
        return Err(FuncError::new("strings: negative Repeat count"));
    }
    let fits = text.len().checked_mul(size(count)).is_some_and(|length| length <= MAX_TEXT_BYTES);
    if !fits {
        return Err(too_long());
    }
    Ok(text.repeat(size(count)))
}

fn too_long() -> FuncError {
    FuncError::new(format!("the result is longer than {MAX_TEXT_BYTES} bytes"))
}

/// `before`, then each line of `text` behind `spaces` blanks.
fn indent(spaces: i64, text: &[u8], before: &[u8]) -> Result<Vec<u8>, FuncError> {
    let pad = repeat(b" ", spaces)?;
    let lines = 1 + memchr::memchr_iter(b'\n', text).count();
    let length = lines.checked_mul(pad.len()).filter(|padding| *padding <= MAX_TEXT_BYTES).ok_or_else(too_long)?;
    let mut out = Vec::with_capacity(before.len() + text.len() + length);
    out.extend_from_slice(before);
    out.extend_from_slice(&pad);
    let mut line = 0;
    for end in memchr::memchr_iter(b'\n', text) {
        out.extend_from_slice(&text[line..=end]);
        out.extend_from_slice(&pad);
        line = end + 1;
    }
    out.extend_from_slice(&text[line..]);
    Ok(out)
}

/// `strings.ReplaceAll`: an empty `old` matches before each rune and at the end.
fn replace(text: &[u8], old: &[u8], new: &[u8]) -> Result<Vec<u8>, FuncError> {
    let mut out = Vec::with_capacity(text.len());
    let mut put = |part: &[u8], between: &[u8]| {
        out.extend_from_slice(part);
        out.extend_from_slice(between);
        if out.len() > MAX_TEXT_BYTES { Err(too_long()) } else { Ok(()) }
    };
    if old.is_empty() {
        put(b"", new)?;
        for (_, rune) in runes::runes(text) {
            put(rune, new)?;
        }
        return Ok(out);
    }
    let mut copied = 0;
    for found in memchr::memmem::find_iter(text, old) {
        put(&text[copied..found], new)?;
        copied = found + old.len();
    }
    put(&text[copied..], b"")?;
    Ok(out)
}

/// `strings.SplitN` (`strings.Split` without a limit): an empty separator splits into runes.
fn split(text: &[u8], separator: &[u8], limit: Option<usize>) -> Vec<Str> {
    let limit = limit.unwrap_or(usize::MAX);
    let mut parts = Vec::new();
    let mut rest = text;
    while parts.len() + 1 < limit {
        let (head, tail) = if separator.is_empty() {
            let (_, length) = runes::decode(rest);
            if length == rest.len() {
                break;
            }
            rest.split_at(length)
        } else {
            let Some(at) = find(rest, separator) else { break };
            (&rest[..at], &rest[at + separator.len()..])
        };
        parts.push(Str::from(head));
        rest = tail;
    }
    let nothing_left = separator.is_empty() && rest.is_empty();
    if limit > 0 && !nothing_left {
        parts.push(Str::from(rest));
    }
    parts
}

/// The parts under `_0`, `_1`, …, as Sprig's `split` answers.
fn numbered(parts: Vec<Str>) -> Value {
    let entries = parts.into_iter().enumerate().map(|(index, part)| (Str::from(format!("_{index}")), part.into()));
    Map::new(MapType::String, entries.collect()).into()
}

/// Sprig's `substr`: a negative start begins at 0, an end outside the text stops at its end.
fn substring(text: &[u8], start: i64, end: i64) -> Result<Vec<u8>, FuncError> {
    let length = i64::try_from(text.len()).unwrap_or(i64::MAX);
    let range = if start < 0 {
        if end < 0 {
            return Err(out_of_range(&format!(":{end}")));
        }
        if end > length {
            return Err(out_of_range(&format!(":{end}] with length {length}")));
        }
        0..size(end)
    } else {
        let end = if end < 0 || end > length { length } else { end };
        if start > end {
            return Err(out_of_range(&format!("{start}:{end}")));
        }
        size(start)..size(end)
    };
    Ok(text[range].to_vec())
}

/// Go's panic on a bad slice expression.
pub(super) fn out_of_range(bounds: &str) -> FuncError {
    let closing = if bounds.contains(']') { "" } else { "]" };
    FuncError::new(format!("runtime error: slice bounds out of range [{bounds}{closing}"))
}

/// Sprig's `trunc`: the first `count` bytes, or the last `-count`.
fn truncate(text: &[u8], count: i64) -> &[u8] {
    let kept = usize::try_from(count.unsigned_abs()).unwrap_or(usize::MAX);
    match count {
        _ if kept >= text.len() => text,
        0.. => &text[..kept],
        _ => &text[text.len() - kept..],
    }
}

/// `text` without the runes at both ends that `cut` accepts.
pub(super) fn trim(text: &[u8], cut: impl Fn(char) -> bool) -> &[u8] {
    let mut rest = text;
    loop {
        let (rune, length) = runes::decode(rest);
        if length == 0 || !cut(rune) {
            break;
        }
        rest = &rest[length..];
    }
    loop {
        let (rune, length) = runes::decode_last(rest);
        if length == 0 || !cut(rune) {
            return rest;
        }
        rest = &rest[..rest.len() - length];
    }
}

fn trim_all(args: &[Value]) -> Outcome {
    let cutset: BTreeSet<char> = runes::runes(text(args, 0)?).map(|(rune, _)| rune).collect();
    Ok(Value::string(trim(text(args, 1)?, |rune| cutset.contains(&rune))))
}
