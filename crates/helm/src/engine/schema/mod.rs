//! `values.schema.json`: values are checked before anything is rendered, those of dependencies by their own schemas.
//!
//! ```text
//! text ──compile (draft, glance, library: what references lead to)──► Compiled ──walk (parts, format)──► complaints ──words──► text
//! ```
//!
//! A validator of its own, since what is said of values must be what Helm says: its rules are looked at in the order of
//! the Go library that Helm uses, and their complaints make the same tree.

mod compile;
mod complaint;
mod draft;
mod format;
mod glance;
mod library;
mod parts;
mod step;
mod walk;
mod words;

use std::fmt::Write as _;

use gotmpl::{Map, Value};

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
    let Err(complaint) = check_values(schema, &values, &mut into.paths) else { return };
    write!(into.report, "{name}:\n{complaint}").expect("writing to a string does not fail");
}

/// Checks values by the text of a schema, and notes where in them the trouble is.
fn check_values(schema: &[u8], values: &serde_json::Value, paths: &mut Vec<String>) -> Result<(), String> {
    let schema = compile::read(schema)?;
    let compiled = compile::compile(&schema)?;
    let outcome = walk::apply(&compiled, values, (walk::Formats::AsTheDraftSays, walk::Steps::default()));
    outcome.map_err(|complaints| {
        paths.extend(complaints.places());
        complaints.to_string() + "\n"
    })
}

#[cfg(test)]
mod tests;
