//! Values given as lines, in Helm's `--set` language: `a.b=c,list[0].x=1,other={p,q}`.
//!
//! Each function sets what one line says in a map that may have values already. The languages differ in
//! what stands to the right of `=`: typed words, strings, JSON, the name of something to read, or the
//! rest of the line as it is.

mod parser;
mod target;

use formats::{go, json};
use gotmpl::{Map, Str, Value};

use parser::{Parser, Right};

/// The greatest index a list may be set at.
const INDEX: i64 = 65_536;
/// How many names may be nested with `.`.
const NAMES: usize = 30;
/// How many names and indexes together may be nested; Helm has no limit for indexes.
const DEPTH: usize = 500;

/// What is wrong with a line; `Display` is Helm's text.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The line ends within a key.
    #[error("key {} has no value", go::quote(.0))]
    NoValue(String),
    /// A comma follows a key.
    #[error("key {} has no value (cannot end with ,)", go::quote(.0))]
    Comma(String),
    /// Nothing was set below a name.
    #[error("key map {} has no value", go::quote(.0))]
    EmptyMap(String),
    /// Too many names follow each other.
    #[error("value name nested level is greater than maximum supported nested level of {NAMES}")]
    NestedNames,
    /// Too many names and indexes follow each other.
    #[error("value nesting is greater than maximum supported nesting of {DEPTH}")]
    NestedIndexes,
    /// An index is no number.
    #[error("error parsing index: strconv.Atoi: parsing {}: {problem}", go::quote(text))]
    ParseIndex {
        /// The index as given.
        text: String,
        /// What Go says about it.
        problem: &'static str,
    },
    /// Something stands between an index and what must follow it.
    #[error("unexpected data at end of array index: {0}")]
    AfterIndex(String),
    /// An index is below zero.
    #[error("negative {0} index not allowed")]
    NegativeIndex(i64),
    /// An index is too great.
    #[error("index of {0} is greater than maximum supported index of {INDEX}")]
    IndexRange(i64),
    /// A list in braces does not end.
    #[error("list must terminate with '}}'")]
    OpenList,
    /// A name or an index is used on something else than a map or a list.
    #[error("unable to parse key: interface conversion: interface {{}} is {found}, not {wanted}")]
    WrongType {
        /// The Go type that is there.
        found: String,
        /// The Go type that would have to be there.
        wanted: &'static str,
    },
    /// A JSON value is not right.
    #[error("{0}")]
    Json(#[source] json::Error),
    /// A JSON value is not complete.
    #[error("unexpected EOF")]
    JsonEnd,
    /// What a value names could not be read.
    #[error("{0}")]
    Read(String),
}

/// Sets the values of a `--set` line: `true`, `false`, `null` and integers mean what they say.
pub fn parse_into(line: &str, into: &Map) -> Result<(), Error> {
    Parser::new(line, Right::Typed).parse(into)
}

/// Sets the values of a `--set-string` line: all of them are strings.
pub fn parse_string_into(line: &str, into: &Map) -> Result<(), Error> {
    Parser::new(line, Right::Read(&mut |text| Ok(Value::string(text)))).parse(into)
}

/// Sets the values of a `--set-json` line of keys: each value is JSON.
///
/// Helm takes a line that starts with `{` for one JSON object instead; that is not done here.
pub fn parse_json_into(line: &str, into: &Map) -> Result<(), Error> {
    Parser::new(line, Right::Json).parse(into)
}

/// Sets the values of a `--set-file` line: `read` is asked for each, by what the line says about it.
pub fn parse_file_into(
    line: &str,
    into: &Map,
    read: &mut dyn FnMut(&str) -> Result<Value, String>,
) -> Result<(), Error> {
    Parser::new(line, Right::Read(read)).parse(into)
}

/// Sets the value of a `--set-literal` line: everything behind the `=` as it is.
pub fn parse_literal_into(line: &str, into: &Map) -> Result<(), Error> {
    Parser::new(line, Right::Literal).parse(into)
}

/// What a word means in a `--set` line.
fn typed(word: &str) -> Value {
    if word.eq_ignore_ascii_case("true") {
        Value::Bool(true)
    } else if word.eq_ignore_ascii_case("false") {
        Value::Bool(false)
    } else if word.eq_ignore_ascii_case("null") {
        Value::Nil
    } else if word == "0" {
        Value::Int64(0)
    } else {
        // A leading zero may matter, as in a telephone number.
        let number = if word.starts_with('0') { None } else { word.parse().ok() };
        number.map_or_else(|| Value::String(Str::from(word)), Value::Int64)
    }
}
