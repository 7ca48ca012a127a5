//! Charts: what a package of templates holds, loaded from an archive or a folder.
//!
//! ```text
//! .tgz ──archive──┐
//! folder ─directory┴─► files ──assemble──► Chart (metadata, templates, values, schema, files, dependencies)
//! Chart + values ──dependency──► ActiveChart (what is enabled, under its alias, with imported values)
//! ```
//!
//! A [`Chart`] is what was packed: loading depends on nothing but its bytes.

pub mod archive;
mod assemble;
mod decode;
pub mod directory;
mod error;
pub mod ignore;
mod limits;
mod metadata;
pub(crate) mod path;
mod pattern;

use std::sync::Arc;

use serde_json::{Map, Value};

pub use decode::Error as DecodeError;
pub use error::{Error, ErrorKind};
pub use limits::{Excess, Limits};
pub use metadata::{Dependency, Lock, Maintainer, Metadata, ValidationError};
pub use pattern::{BadPattern, matches};

/// A loaded chart. Immutable, and cheap to share between threads behind an [`Arc`].
#[derive(Debug, Clone, Default)]
pub struct Chart {
    /// `Chart.yaml`.
    pub metadata: Metadata,
    /// `Chart.lock` or `requirements.lock`.
    pub lock: Option<Lock>,
    /// The files in `templates/`, in the order of the archive.
    pub templates: Vec<File>,
    /// The default values.
    pub values: Map<String, Value>,
    /// Bytes of `values.yaml`.
    pub values_size: usize,
    /// `values.schema.json`.
    pub schema: Option<Arc<[u8]>>,
    /// All other files, `crds/` included, in the order of the archive.
    pub files: Vec<File>,
    /// The charts in `charts/`, by the names of their files or folders there.
    pub dependencies: Vec<Self>,
    /// When `Chart.yaml` was last changed.
    pub modified: Option<jiff::Timestamp>,
    /// When `values.schema.json` was last changed.
    pub schema_modified: Option<jiff::Timestamp>,
}

/// A file of a chart.
#[derive(Clone, PartialEq, Eq)]
pub struct File {
    /// Its path in the chart.
    pub name: String,
    /// Its bytes, without a byte order mark.
    pub data: Arc<[u8]>,
    /// When it was last changed, if the archive says so.
    pub modified: Option<jiff::Timestamp>,
}

impl File {
    /// A file as it was read, without its byte order mark.
    fn new(name: String, data: Arc<[u8]>, modified: Option<jiff::Timestamp>) -> Self {
        let data = data.strip_prefix(b"\xef\xbb\xbf").map(Arc::from).unwrap_or(data);
        Self { name, data, modified }
    }
}

impl std::fmt::Debug for File {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "File({:?}, {} bytes)", self.name, self.data.len())
    }
}

/// A file of custom resource definitions, which is applied as it is, before anything is rendered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Crd {
    /// The path in its own chart: `crds/x.yaml`.
    pub name: String,
    /// The path from the root chart: `parent/charts/child/crds/x.yaml`.
    pub filename: String,
    /// Its bytes: one or more YAML documents.
    pub data: Arc<[u8]>,
}

impl Chart {
    /// The chart's name.
    pub fn name(&self) -> &str {
        &self.metadata.name
    }

    /// The files in `crds/` of all packed charts: its own first, then those of its dependencies.
    ///
    /// Whether a dependency is enabled depends on values: see [`crate::engine::Rendered::crds`].
    pub fn crds(&self) -> Vec<Crd> {
        let mut crds = Vec::new();
        self.collect_crds(self.name(), &mut crds);
        crds
    }

    /// About how many bytes of memory it takes, its dependencies included.
    pub fn memory(&self) -> usize {
        /// A parsed value takes about this many bytes per byte of its text.
        const VALUES_FACTOR: usize = 6;
        let files = self.templates.iter().chain(&self.files);
        let files: usize = files.map(|file| file.data.len() + file.name.len() + size_of::<File>()).sum();
        let texts = self.schema.as_ref().map_or(0, |schema| schema.len()) + self.values_size * VALUES_FACTOR;
        let dependencies: usize = self.dependencies.iter().map(Self::memory).sum();
        size_of::<Self>() + files + texts + dependencies
    }

    fn collect_crds(&self, path: &str, crds: &mut Vec<Crd>) {
        crds.extend(self.own_crds(path));
        for dependency in &self.dependencies {
            dependency.collect_crds(&format!("{path}/charts/{}", dependency.name()), crds);
        }
    }

    /// The files in its own `crds/`, if the chart lies at `path` from the root.
    pub(crate) fn own_crds(&self, path: &str) -> impl Iterator<Item = Crd> {
        let files = self.files.iter().filter(|file| is_crd_file(&file.name));
        files.map(move |file| Crd {
            name: file.name.clone(),
            filename: path::join(path, &file.name),
            data: Arc::clone(&file.data),
        })
    }
}

fn is_crd_file(name: &str) -> bool {
    let extension = path::ext(name);
    name.starts_with("crds/") && [".yaml", ".yml", ".json"].iter().any(|known| extension.eq_ignore_ascii_case(known))
}
