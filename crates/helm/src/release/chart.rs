//! The chart inside a record.

use std::fmt;

use base64::prelude::{BASE64_STANDARD, Engine as _};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::wire;

/// A chart as it is recorded: its own files, not those of its dependencies, so that it cannot be rendered again.
///
/// `Debug` shows its name and version alone.
#[derive(Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct ReleaseChart {
    /// `Chart.yaml`, under the names Helm gives its fields.
    #[serde(deserialize_with = "wire::null_is_default")]
    pub metadata: Map<String, Value>,
    /// `Chart.lock`; `null` when the chart has none.
    pub lock: Value,
    /// The files of `templates/`.
    #[serde(deserialize_with = "wire::null_is_default")]
    pub templates: Vec<ChartFile>,
    /// The chart's own values.
    #[serde(deserialize_with = "wire::null_is_default")]
    pub values: Map<String, Value>,
    /// `values.schema.json` in base64.
    pub schema: Option<String>,
    /// When the schema was last changed.
    #[serde(rename = "schemamodtime", with = "wire::time", skip_serializing_if = "Option::is_none")]
    pub schema_modified: Option<Timestamp>,
    /// All other files.
    #[serde(deserialize_with = "wire::null_is_default")]
    pub files: Vec<ChartFile>,
    /// When `Chart.yaml` was last changed.
    #[serde(rename = "modtime", with = "wire::time", skip_serializing_if = "Option::is_none")]
    pub modified: Option<Timestamp>,
}

impl ReleaseChart {
    /// The chart's name; empty if the record lacks it.
    pub fn name(&self) -> &str {
        self.text("name")
    }

    /// The chart's version; empty if the record lacks it.
    pub fn version(&self) -> &str {
        self.text("version")
    }

    /// The version of what the chart installs; empty if the chart does not say.
    pub fn app_version(&self) -> &str {
        self.text("appVersion")
    }

    fn text(&self, field: &str) -> &str {
        self.metadata.get(field).and_then(Value::as_str).unwrap_or_default()
    }
}

impl fmt::Debug for ReleaseChart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReleaseChart")
            .field("name", &self.name())
            .field("version", &self.version())
            .finish_non_exhaustive()
    }
}

/// A file of a recorded chart. Its bytes stay in base64, since records are copied more often than read.
#[derive(Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct ChartFile {
    /// The path in the chart.
    pub name: String,
    /// The content in base64.
    #[serde(deserialize_with = "wire::null_is_default")]
    pub data: String,
    /// When the file was last changed.
    #[serde(rename = "modtime", with = "wire::time", skip_serializing_if = "Option::is_none")]
    pub modified: Option<Timestamp>,
}

impl ChartFile {
    /// A file with these bytes.
    pub fn new(name: &str, bytes: &[u8], modified: Option<Timestamp>) -> Self {
        Self { name: name.to_owned(), data: BASE64_STANDARD.encode(bytes), modified }
    }
}

impl fmt::Debug for ChartFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ChartFile").field("name", &self.name).finish_non_exhaustive()
    }
}
