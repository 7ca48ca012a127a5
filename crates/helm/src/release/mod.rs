//! Helm's release record: what was rendered from which chart and values, and how it went.
//!
//! ```text
//! Release ──codec::encode──► bytes of Secret data["release"], under storage::secret_name with storage::labels
//! ```
//!
//! Helm 3 and Helm 4 write slightly different JSON; both are read, and what is written here both can read.

mod chart;
pub mod codec;
mod name;
mod recorded;
mod slim;
mod status;
pub mod storage;

use std::collections::BTreeMap;
use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

pub use chart::{ChartFile, ReleaseChart};
pub use name::{NameError, ReleaseName};
pub use slim::{Sizes, Spare};
pub use status::Status;

use crate::manifest::Hook;
use crate::wire;

/// One revision of a release.
///
/// `Debug` shows what identifies it and how it went, none of what was rendered or configured.
#[derive(Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Release {
    /// The release's name.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub name: String,
    /// How it went.
    #[serde(deserialize_with = "wire::null_is_default")]
    pub info: Info,
    /// The chart it was rendered from, without its dependencies.
    #[serde(deserialize_with = "wire::null_is_default")]
    pub chart: ReleaseChart,
    /// The values given by the user, over those of the chart.
    #[serde(deserialize_with = "wire::null_is_default", skip_serializing_if = "Map::is_empty")]
    pub config: Map<String, Value>,
    /// The rendered manifests without hooks, in install order.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub manifest: String,
    /// The rendered hooks.
    #[serde(deserialize_with = "wire::null_is_default", skip_serializing_if = "Vec::is_empty")]
    pub hooks: Vec<Hook>,
    /// The revision, from 1.
    pub version: u32,
    /// The namespace of the release and of its record.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub namespace: String,
    /// How the objects were applied.
    #[serde(skip_serializing_if = "wire::is_default")]
    pub apply_method: ApplyMethod,
    /// Labels of the user's own on the record. They are stored as labels of the Secret, not in it.
    #[serde(skip)]
    pub labels: BTreeMap<String, String>,
}

impl fmt::Debug for Release {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Release")
            .field("name", &self.name)
            .field("namespace", &self.namespace)
            .field("version", &self.version)
            .field("chart", &self.chart)
            .field("info", &self.info)
            .finish_non_exhaustive()
    }
}

/// How a revision went.
///
/// `Debug` leaves the notes out: charts print passwords there.
#[derive(Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Info {
    /// When the first revision of the release was made.
    #[serde(with = "wire::time", skip_serializing_if = "Option::is_none")]
    pub first_deployed: Option<Timestamp>,
    /// When this revision was made.
    #[serde(with = "wire::time", skip_serializing_if = "Option::is_none")]
    pub last_deployed: Option<Timestamp>,
    /// When the release was uninstalled.
    #[serde(with = "wire::time", skip_serializing_if = "Option::is_none")]
    pub deleted: Option<Timestamp>,
    /// One line for `helm history`, such as `Upgrade complete`.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub description: String,
    /// Where this revision stands.
    pub status: Status,
    /// The revision this one brought back; 0 if it is not a rollback.
    #[serde(skip_serializing_if = "wire::is_default")]
    pub rollback_revision: u32,
    /// The rendered `NOTES.txt`.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub notes: String,
}

impl fmt::Debug for Info {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Info")
            .field("status", &self.status)
            .field("description", &self.description)
            .field("first_deployed", &self.first_deployed)
            .field("last_deployed", &self.last_deployed)
            .field("deleted", &self.deleted)
            .finish_non_exhaustive()
    }
}

/// How the objects of a revision were sent to the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum ApplyMethod {
    /// Not recorded, as by Helm 3: the client computed the patches.
    #[default]
    #[serde(rename = "")]
    Unsaid,
    /// The client computed the patches.
    #[serde(rename = "csa")]
    ClientSide,
    /// The server merged what was applied.
    #[serde(rename = "ssa")]
    ServerSide,
}

#[cfg(test)]
mod tests;
