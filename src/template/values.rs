//! The third step: values from files and flags, put together in Helm's order.

use formats::json;
use gotmpl::{Map, Value};
use helm::{strvals, values};

use super::read::read_named;
use super::{Error, StringSlice, ValueOptions};

/// The values of the release. Integers of flags stay integers, and contents of files may be any bytes.
pub(super) fn merge(options: &ValueOptions) -> Result<Map, Error> {
    let all = Map::any([].into());
    for file in StringSlice::joined(&options.files) {
        let bytes = read_named(file).map_err(Error::Read)?;
        let parsed = values::parse_typed(&bytes);
        let parsed = parsed.map_err(|source| Error::ParseValues { path: file.to_owned(), source })?;
        values::merge_typed(&all, &parsed);
    }
    for text in &options.json {
        set_json(text, &all)?;
    }
    set("--set", &options.typed, |line| strvals::parse_into(line, &all))?;
    set("--set-string", &options.strings, |line| strvals::parse_string_into(line, &all))?;
    set("--set-file", &options.contents, |line| {
        strvals::parse_file_into(line, &all, &mut |path| {
            read_named(path).map(Value::string).map_err(|error| error.to_string())
        })
    })?;
    set("--set-literal", &options.literals, |line| strvals::parse_literal_into(line, &all))?;
    Ok(all)
}

fn set(
    flag: &'static str,
    lines: &[String],
    mut parse: impl FnMut(&str) -> Result<(), strvals::Error>,
) -> Result<(), Error> {
    lines.iter().try_for_each(|line| parse(line).map_err(|source| Error::ParseSet { flag, source }))
}

/// One object of all values, or keys with JSON values.
fn set_json(text: &str, into: &Map) -> Result<(), Error> {
    let object = text.trim();
    if !object.starts_with('{') {
        let refuse = |_| Error::ParseSetJson { text: text.to_owned() };
        return strvals::parse_json_into(text, into).map_err(refuse);
    }
    match json::parse(object.as_bytes()) {
        Ok(Value::Map(object)) => {
            values::merge_typed(into, &object);
            Ok(())
        }
        _ => Err(Error::ParseSetJson { text: format!("JSON: {text}") }),
    }
}
