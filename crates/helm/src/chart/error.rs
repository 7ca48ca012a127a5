//! Why a chart could not be loaded.

use std::path::PathBuf;

use super::decode;
use super::ignore;
use super::limits::Excess;
use super::metadata::ValidationError;
use crate::given;

/// Why a chart could not be loaded. Where Helm has a sentence for it, it is Helm's.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The bytes are not a gzip stream.
    #[error("chart archive is not a gzipped tar archive")]
    NotGzip,
    /// A packed dependency is not a gzip stream, or only the start of one.
    #[error("{0}")]
    DamagedSubchart(&'static str),
    /// The archive is cut short or damaged.
    #[error("failed to read the chart archive")]
    ReadArchive(#[source] std::io::Error),
    /// The archive holds no file.
    #[error("no files in chart archive")]
    EmptyArchive,
    /// `Chart.yaml` lies at the top of the archive and not in the chart's folder.
    #[error("chart yaml not in base directory")]
    ChartYamlAtTop,
    /// A path that leads to the parent of the chart's folder.
    #[error("chart illegally references parent directory")]
    ParentPath {
        /// The path as the archive has it.
        path: String,
    },
    /// A path that is not in the chart's folder.
    #[error("chart illegally contains content outside the base directory: {path:?}")]
    OutsidePath {
        /// The path as the archive has it.
        path: String,
    },
    /// A path that cannot be trusted for another reason.
    #[error("chart archive holds an unsafe path {path:?}: {reason}")]
    UnsafePath {
        /// The path as the archive has it.
        path: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// The chart is larger than its limits.
    #[error(transparent)]
    TooLarge(#[from] Excess),
    /// A file or folder cannot be read.
    #[error("failed to read {path:?}")]
    ReadFile {
        /// The file or folder.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// A symbolic link in the chart's folder leads nowhere.
    #[error("error evaluating symlink {}: lstat {}: {}", path.display(), missing.display(), go_error(reason))]
    BrokenLink {
        /// The link.
        path: PathBuf,
        /// The first part of its way that is not there.
        missing: PathBuf,
        /// Why it cannot be followed.
        reason: std::io::Error,
    },
    /// A symbolic link in the chart's folder leads out of it.
    #[error("{path:?} is a symbolic link out of the chart")]
    LinkOutside {
        /// The link.
        path: PathBuf,
    },
    /// A socket, device or the like in the chart's folder.
    #[error("cannot load irregular file {path:?}")]
    IrregularFile {
        /// The file.
        path: PathBuf,
    },
    /// The rules in `.helmignore` are malformed.
    #[error(transparent)]
    Ignore(ignore::Error),
    /// There is no folder of a chart where one should be.
    #[error("unable to detect chart at {path}: open {path}: no such file or directory", path = .0.display())]
    NoChart(PathBuf),
    /// There is no `Chart.yaml`.
    #[error("Chart.yaml file is missing")]
    ChartYamlMissing,
    /// `Chart.yaml`, `Chart.lock` or `requirements.yaml` does not say what it should.
    #[error("cannot load {file}: {reason}")]
    Decode {
        /// The file.
        file: &'static str,
        /// What is wrong in it.
        reason: decode::Error,
    },
    /// The chart's default values do not parse.
    #[error("cannot load values.yaml: {0}")]
    Values(given::Error),
    /// `Chart.yaml` has an API version that is not `v1` or `v2`.
    #[error("unsupported chart version")]
    ApiVersion {
        /// What it says.
        found: String,
    },
    /// `Chart.yaml` breaks a rule.
    #[error(transparent)]
    Validation(#[from] ValidationError),
    /// A packed dependency is not named after its file.
    #[error("error unpacking subchart tar in {parent}: expected {expected}, got {found}")]
    SubchartName {
        /// The parent chart.
        parent: String,
        /// The name of the archive.
        expected: String,
        /// The path found.
        found: String,
    },
    /// A dependency in `charts/` cannot be loaded.
    #[error("error unpacking subchart {name} in {parent}: {reason}")]
    Subchart {
        /// The file or folder in `charts/`.
        name: String,
        /// The parent chart.
        parent: String,
        /// Why.
        reason: Box<Self>,
    },
}

/// What is wrong with a chart, for those who react to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum ErrorKind {
    /// The archive or folder cannot be read, or is not safe to.
    Archive,
    /// It exceeds a limit.
    TooLarge,
    /// `Chart.yaml` or another file that says what the chart is does not make sense.
    Metadata,
}

impl Error {
    /// The kind of the error.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::NotGzip
            | Self::DamagedSubchart(_)
            | Self::ReadArchive(_)
            | Self::EmptyArchive
            | Self::ChartYamlAtTop
            | Self::ParentPath { .. }
            | Self::OutsidePath { .. }
            | Self::UnsafePath { .. }
            | Self::ReadFile { .. }
            | Self::BrokenLink { .. }
            | Self::LinkOutside { .. }
            | Self::IrregularFile { .. }
            | Self::SubchartName { .. } => ErrorKind::Archive,
            Self::TooLarge(_) => ErrorKind::TooLarge,
            Self::Ignore(_)
            | Self::NoChart(_)
            | Self::ChartYamlMissing
            | Self::Decode { .. }
            | Self::Values(_)
            | Self::ApiVersion { .. }
            | Self::Validation(_) => ErrorKind::Metadata,
            Self::Subchart { reason, .. } => reason.kind(),
        }
    }
}

/// The system's word for it, in lower case and without a number as Go prints it.
fn go_error(error: &std::io::Error) -> String {
    let text = error.to_string().to_lowercase();
    text.split(" (os error").next().unwrap_or(&text).to_owned()
}
