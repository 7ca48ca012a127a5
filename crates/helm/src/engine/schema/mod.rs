//! `values.schema.json`: values are checked before anything is rendered, those of dependencies by their own schemas.

mod report;
mod words;

use std::fmt::Write as _;

use gotmpl::{Map, Value};
use jsonschema::{
    PatternOptions, Retrieve, Uri, ValidationError, Validator, draft4, draft6, draft7, draft201909, draft202012,
};

use crate::json;
use crate::values::ActiveChart;

/// Values that break the rules of their schemas, in Helm's words.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("values don't meet the specifications of the schema(s) in the following chart(s):\n{report}")]
pub struct Error {
    report: String,
    paths: Vec<String>,
}

impl Error {
    /// Where in the values the trouble is, as JSON pointers below the chart's own values.
    pub fn paths(&self) -> &[String] {
        &self.paths
    }
}

/// Checks the values of a chart and its dependencies.
pub(super) fn check(chart: &ActiveChart<'_>, values: &Map) -> Result<(), Error> {
    let mut error = Error { report: String::new(), paths: Vec::new() };
    check_chart(chart, values, &mut error);
    if error.report.is_empty() { Ok(()) } else { Err(error) }
}

fn check_chart(chart: &ActiveChart<'_>, values: &Map, into: &mut Error) {
    if let Some(schema) = &chart.chart.schema {
        check_one(chart.name(), schema, values, into);
    }
    for dependency in &chart.dependencies {
        let name = dependency.name();
        match values.get(name.as_bytes()) {
            None | Some(Value::Nil) => {}
            Some(Value::Map(values)) => check_chart(dependency, &values, into),
            Some(other) => {
                let found = gotmpl::type_name(&other);
                let text = format!("{name}:\ninvalid type for values: expected object (map), got {found}\n");
                into.report.push_str(&text);
            }
        }
    }
}

fn check_one(name: &str, schema: &[u8], values: &Map, into: &mut Error) {
    let values = json::to_serde(&values.clone().into());
    let complaint = match compile(schema) {
        Ok(validator) => {
            let errors: Vec<_> = validator.iter_errors(&values).map(ValidationError::to_owned).collect();
            if errors.is_empty() {
                return;
            }
            into.paths.extend(errors.iter().map(|error| error.instance_path().to_string()));
            report::report(&errors, &values) + "\n"
        }
        Err(trouble) => trouble,
    };
    write!(into.report, "{name}:\n{complaint}").expect("writing to a string does not fail");
}

/// The validator of a schema, or what is wrong with the schema.
fn compile(schema: &[u8]) -> Result<Validator, String> {
    let schema: serde_json::Value = serde_json::from_slice(schema)
        .map_err(|error| if error.is_eof() { "unexpected EOF".to_owned() } else { error.to_string() })?;
    // Go's patterns, which Helm understands, need no backtracking either.
    let options = jsonschema::options().with_retriever(NoRetriever).with_pattern_options(PatternOptions::regex());
    options.build(&schema).map_err(|error| against_metaschema(&schema).unwrap_or_else(|| error.to_string()))
}

/// What the schema of schemas says about a schema; nothing if it has no objection.
fn against_metaschema(schema: &serde_json::Value) -> Option<String> {
    let dialect = schema.get("$schema").and_then(serde_json::Value::as_str).unwrap_or_default();
    let (meta, url) = match dialect {
        draft if draft.contains("draft-04") => (draft4::meta::validator(), "http://json-schema.org/draft-04/schema#"),
        draft if draft.contains("draft-06") => (draft6::meta::validator(), "http://json-schema.org/draft-06/schema#"),
        draft if draft.contains("draft-07") => (draft7::meta::validator(), "http://json-schema.org/draft-07/schema#"),
        draft if draft.contains("2019-09") => {
            (draft201909::meta::validator(), "https://json-schema.org/draft/2019-09/schema#")
        }
        _ => (draft202012::meta::validator(), "https://json-schema.org/draft/2020-12/schema#"),
    };
    let errors: Vec<_> = meta.iter_errors(schema).map(ValidationError::to_owned).collect();
    let report = report::report(&errors, schema);
    let head = "\"file:///values.schema.json#\" is not valid against metaschema: jsonschema validation failed with";
    (!errors.is_empty()).then(|| format!("{head} '{url}'\n{report}"))
}

/// Fetches nothing: a chart must not make the operator ask addresses of its choice.
struct NoRetriever;

impl Retrieve for NoRetriever {
    fn retrieve(&self, uri: &Uri<String>) -> Result<serde_json::Value, Box<dyn std::error::Error + Send + Sync>> {
        if uri.scheme().as_str() == "urn" {
            // As Helm, which knows no such names and lets anything pass.
            return Ok(serde_json::Value::Bool(true));
        }
        Err(format!("schemas are not fetched from elsewhere: {uri}").into())
    }
}

#[cfg(test)]
mod tests;
