//! From a chart in use to the chart inside a record.

use base64::prelude::{BASE64_STANDARD, Engine as _};
use serde_json::{Map, Value};

use super::{ChartFile, ReleaseChart};
use crate::chart::{Chart, File, Metadata};
use crate::values::{ActiveChart, ValuesMap};

impl From<&ActiveChart<'_>> for ReleaseChart {
    /// As Helm records it: enabled dependencies under their aliases, imported values among the defaults.
    fn from(active: &ActiveChart<'_>) -> Self {
        record(active.chart, &active.metadata, active.default_values())
    }
}

impl From<&Chart> for ReleaseChart {
    /// The chart as it was packed. Where values enable, alias or import dependencies, Helm records the [`ActiveChart`].
    fn from(chart: &Chart) -> Self {
        record(chart, &chart.metadata, chart.values.clone())
    }
}

fn record(chart: &Chart, metadata: &Metadata, values: ValuesMap) -> ReleaseChart {
    ReleaseChart {
        metadata: match to_json(metadata) {
            Value::Object(metadata) => metadata,
            _ => Map::new(),
        },
        lock: chart.lock.as_ref().map_or(Value::Null, to_json),
        templates: chart.templates.iter().map(record_file).collect(),
        values,
        schema: chart.schema.as_ref().map(|schema| BASE64_STANDARD.encode(schema)),
        schema_modified: chart.schema_modified,
        files: chart.files.iter().map(record_file).collect(),
        modified: chart.modified,
    }
}

fn record_file(file: &File) -> ChartFile {
    ChartFile::new(&file.name, &file.data, file.modified)
}

fn to_json(part: &impl serde::Serialize) -> Value {
    serde_json::to_value(part).expect("metadata consists of texts, lists and maps with text keys")
}
