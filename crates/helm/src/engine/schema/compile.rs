//! From the text of a schema to its validator, or to what Helm says of a schema that cannot be used.
//!
//! Nothing is fetched: other files do not exist for a schema, and addresses are not asked.

use jsonschema::error::ValidationErrorKind as Kind;
use jsonschema::{
    PatternOptions, ReferencingError, Retrieve, Uri, ValidationError, Validator, draft4, draft6, draft7, draft201909,
    draft202012,
};
use serde_json::Value;

use super::report;
use crate::{functions, json};

/// What Helm calls every schema.
const URL: &str = "file:///values.schema.json";

/// The validator of a schema, or what is wrong with the schema.
pub(super) fn compile(text: &[u8]) -> Result<Validator, String> {
    let schema: Value = serde_json::from_slice(text).map_err(|error| syntax_error(text, &error))?;
    if let Some(url) = unknown_dialect(&schema) {
        return Err(unloadable(url, &refusal(url)));
    }
    // Go's patterns, which Helm understands, need no backtracking either.
    let options = jsonschema::options().with_retriever(NoRetriever).with_pattern_options(PatternOptions::regex());
    let built = options.with_base_uri(URL).build(&schema);
    built.map_err(|error| against_metaschema(&schema).unwrap_or_else(|| build_error(&error, &schema)))
}

/// Go's words for a text that is no JSON: its decoder reads one value and looks at what follows.
fn syntax_error(text: &[u8], error: &serde_json::Error) -> String {
    if text.trim_ascii().is_empty() {
        return "EOF".to_owned();
    }
    match json::parse_prefix(text) {
        Ok(_) => "invalid character after top-level value".to_owned(),
        Err(json::Error::UnexpectedEnd) => "unexpected EOF".to_owned(),
        Err(json::Error::NumberRange { .. }) => error.to_string(),
        Err(other) => other.to_string(),
    }
}

/// A `$schema` that is none of those that everybody knows.
fn unknown_dialect(schema: &Value) -> Option<&str> {
    const KNOWN: [&str; 6] = [
        "draft-04/schema",
        "draft-06/schema",
        "draft-07/schema",
        "draft/2019-09/schema",
        "draft/2020-12/schema",
        "schema",
    ];
    let url = schema.get("$schema")?.as_str()?;
    let url = url.split('#').next().unwrap_or(url);
    let place = url.strip_prefix("http://json-schema.org/").or_else(|| url.strip_prefix("https://json-schema.org/"));
    (!place.is_some_and(|place| KNOWN.contains(&place))).then_some(url)
}

fn build_error(error: &ValidationError<'_>, schema: &Value) -> String {
    match error.kind() {
        Kind::Referencing(ReferencingError::Unretrievable { uri, source }) => {
            unloadable(uri.split('#').next().unwrap_or(uri), &source.to_string())
        }
        Kind::Referencing(ReferencingError::PointerToNowhere { pointer }) => {
            format!("json-pointer in \"{}\" not found", reference(schema, pointer))
        }
        Kind::Referencing(ReferencingError::NoSuchAnchor { anchor }) => {
            let place = reference(schema, anchor);
            let (document, _) = place.split_once('#').unwrap_or((&place, ""));
            format!("anchor in \"{place}\" not found in schema \"{document}\"")
        }
        _ => error.to_string(),
    }
}

/// The whole of a reference within the schema whose fragment is `fragment`.
fn reference(schema: &Value, fragment: &str) -> String {
    let base = schema.get("$id").and_then(Value::as_str).filter(|id| id.contains("://")).unwrap_or(URL);
    format!("{}#{fragment}", base.trim_end_matches('#'))
}

fn unloadable(url: &str, reason: &str) -> String {
    format!("failing loading \"{url}\": {reason}")
}

/// Why the schema at `url` is not had.
fn refusal(url: &str) -> String {
    match url.split_once(':') {
        Some(("file", path)) => {
            let path =
                path.strip_prefix("//").and_then(|path| path.find('/').map(|slash| &path[slash..])).unwrap_or(path);
            format!("open {path}: no such file or directory")
        }
        Some(("http" | "https", _)) => "schemas are not fetched from elsewhere".to_owned(),
        _ => format!("no URLLoader registered for \"{url}\""),
    }
}

/// What the schema of schemas says about a schema; nothing if it has no objection.
fn against_metaschema(schema: &Value) -> Option<String> {
    let dialect = schema.get("$schema").and_then(Value::as_str).unwrap_or_default();
    let (options, url) = match dialect {
        draft if draft.contains("draft-04") => (draft4::options(), "http://json-schema.org/draft-04/schema#"),
        draft if draft.contains("draft-06") => (draft6::options(), "http://json-schema.org/draft-06/schema#"),
        draft if draft.contains("draft-07") => (draft7::options(), "http://json-schema.org/draft-07/schema#"),
        draft if draft.contains("2019-09") => (draft201909::options(), "https://json-schema.org/draft/2019-09/schema#"),
        _ => (draft202012::options(), "https://json-schema.org/draft/2020-12/schema#"),
    };
    let is_pattern = |text: &str| functions::pattern_error(text).is_none();
    let options = options.should_validate_formats(true).with_format("regex", is_pattern);
    let meta = options.build(&serde_json::json!({ "$ref": url })).ok()?;
    let errors: Vec<_> = meta.iter_errors(schema).map(ValidationError::to_owned).collect();
    let report = report::report(&errors, schema);
    let head = format!("\"{URL}#\" is not valid against metaschema: jsonschema validation failed with");
    (!errors.is_empty()).then(|| format!("{head} '{url}'\n{report}"))
}

/// Fetches nothing: a chart must not make the operator ask addresses of its choice.
struct NoRetriever;

impl Retrieve for NoRetriever {
    fn retrieve(&self, uri: &Uri<String>) -> Result<Value, Box<dyn std::error::Error + Send + Sync>> {
        if uri.scheme().as_str() == "urn" {
            // As Helm, which knows no such names and lets anything pass.
            return Ok(Value::Bool(true));
        }
        Err(refusal(uri.as_str()).into())
    }
}
