//! `values.schema.json`: values are checked before anything is rendered, those of dependencies by their own schemas.

mod report;
mod words;

use std::fmt::Write as _;

use gotmpl::{Map, Value};
use jsonschema::{Retrieve, Uri};

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
        Ok(validator) => report::report(&validator, &values, &mut into.paths),
        Err(trouble) => Some(trouble),
    };
    if let Some(complaint) = complaint {
        write!(into.report, "{name}:\n{complaint}").expect("writing to a string does not fail");
    }
}

fn compile(schema: &[u8]) -> Result<jsonschema::Validator, String> {
    let schema = schema.strip_prefix(b"\xef\xbb\xbf").unwrap_or(schema);
    let schema: serde_json::Value = serde_json::from_slice(schema).map_err(|error| error.to_string())?;
    let options =
        jsonschema::options().with_retriever(NoRetriever).with_pattern_options(jsonschema::PatternOptions::regex());
    options.build(&schema).map_err(|error| format!("{error}\n"))
}

/// Fetches nothing: a chart must not make the operator ask addresses of its choice.
struct NoRetriever;

impl Retrieve for NoRetriever {
    fn retrieve(&self, uri: &Uri<String>) -> Result<serde_json::Value, Box<dyn std::error::Error + Send + Sync>> {
        Err(format!("schemas are not fetched from elsewhere: {uri}").into())
    }
}

#[cfg(test)]
mod tests;
