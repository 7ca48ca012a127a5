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
mod source;
mod step;
mod walk;
mod words;

use std::fmt::Write as _;

use formats::json;
use gotmpl::{Map, Value};

pub use source::{SchemaCheck, SchemaFetchError, SchemaSource};

use crate::values::ActiveChart;
use crate::warning::Log;
use source::Elsewhere;

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

/// Checks the values of a chart and its dependencies, and tells `log` what could not be checked.
pub(super) fn check(
    chart: &ActiveChart<'_>,
    values: &Map,
    (schemas, log): (SchemaCheck<'_>, &Log),
) -> Result<(), Error> {
    if matches!(schemas, SchemaCheck::Skip) {
        return Ok(());
    }
    let mut check = Check { schemas, log, error: Error { report: String::new(), paths: Vec::new() } };
    check.chart(chart, values);
    if check.error.report.is_empty() { Ok(()) } else { Err(check.error) }
}

struct Check<'c> {
    schemas: SchemaCheck<'c>,
    log: &'c Log,
    error: Error,
}

impl Check<'_> {
    fn chart(&mut self, chart: &ActiveChart<'_>, values: &Map) {
        if let Some(schema) = &chart.chart.schema {
            self.one(chart.name(), schema, values);
        }
        for dependency in &chart.dependencies {
            let name = dependency.name();
            match values.get(name.as_bytes()) {
                None | Some(Value::Nil) => {}
                Some(Value::Map(values)) => self.chart(dependency, &values),
                Some(other) => {
                    let found = gotmpl::type_name(&other);
                    let text = format!("{name}:\ninvalid type for values: expected object (map), got {found}\n");
                    self.error.report.push_str(&text);
                }
            }
        }
    }

    fn one(&mut self, name: &str, schema: &[u8], values: &Map) {
        let values = json::to_serde(&values.clone().into());
        let elsewhere = Elsewhere::new(self.schemas, name);
        let outcome = check_values(schema, &values, (&elsewhere, &mut self.error.paths));
        elsewhere.into_warnings().into_iter().for_each(|warning| self.log.add(|_| warning));
        let Err(complaint) = outcome else { return };
        write!(self.error.report, "{name}:\n{complaint}").expect("writing to a string does not fail");
    }
}

/// Checks values by the text of a schema, and notes where in them the trouble is.
fn check_values(
    schema: &[u8],
    values: &serde_json::Value,
    (elsewhere, paths): (&Elsewhere<'_>, &mut Vec<String>),
) -> Result<(), String> {
    let schema = compile::read(schema)?;
    let compiled = compile::compile(&schema, elsewhere)?;
    let outcome = walk::apply(&compiled, values, (walk::Formats::AsTheDraftSays, walk::Steps::default()));
    outcome.map_err(|complaints| {
        paths.extend(complaints.places());
        complaints.to_string() + "\n"
    })
}

#[cfg(test)]
mod tests;
