//! Why a chart could not be rendered.

use std::collections::BTreeMap;
use std::fmt;

use gotmpl::{ExecError, Limit, ParseError};

use super::schema;
use super::trace;
use crate::manifest;
use crate::values;

/// Why a chart could not be rendered. The text is what Helm prints after `Error: `.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The chart is a library, or of an unknown type.
    #[error("{chart_type} charts are not installable")]
    NotInstallable {
        /// Its type.
        chart_type: String,
    },
    /// `Chart.yaml` names dependencies that the chart does not hold.
    #[error(
        "an error occurred while checking for chart dependencies. You may need to run 'helm dependency build' to fetch \
         missing dependencies: found in Chart.yaml, but missing in charts/ directory: {}",
        names.join(", ")
    )]
    MissingDependencies {
        /// Their names.
        names: Vec<String>,
    },
    /// The values do not fit the chart's dependencies.
    #[error("chart dependencies processing failed: {0}")]
    Dependencies(values::Error),
    /// The values cannot be coalesced.
    #[error(transparent)]
    Values(values::Error),
    /// The values break the rules of a schema.
    #[error(transparent)]
    Schema(schema::Error),
    /// The chart wants another version of Kubernetes.
    #[error("chart requires kubeVersion: {required} which is incompatible with Kubernetes {found}")]
    KubeVersion {
        /// The constraint in `Chart.yaml`.
        required: String,
        /// The version of the cluster.
        found: String,
    },
    /// A template cannot be parsed.
    #[error("{}", trace::parse_error(.0))]
    Parse(ParseError),
    /// A template failed.
    #[error("{}", trace::execution(.0))]
    Execute(ExecError),
    /// A template gave up with `fail` or `required`.
    #[error("{}", trace::failure(.error, .message))]
    Fail {
        /// Where.
        error: ExecError,
        /// In the words of the chart.
        message: String,
    },
    /// A template used up a limit of the engine.
    #[error("rendering {template} stopped: {limit}")]
    Limit {
        /// The file being rendered.
        template: String,
        /// Which limit.
        limit: Limit,
    },
    /// The templates are larger than any that people write.
    #[error("the templates have more than {tokens} tokens")]
    TemplatesTooLarge {
        /// How many they may have.
        tokens: usize,
    },
    /// What was rendered is no manifest.
    #[error("{source}")]
    Manifest {
        /// What is wrong with it.
        source: manifest::Error,
        /// What was rendered.
        files: RenderedFiles,
    },
    /// The engine itself failed, which is a bug in it.
    #[error("rendering template failed: {message}")]
    Panic {
        /// What the panic said.
        message: String,
    },
}

/// Rendered files by their paths. `Debug` leaves the contents out, for they may hold secrets.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct RenderedFiles(pub BTreeMap<String, String>);

impl fmt::Debug for RenderedFiles {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

/// What went wrong, for those who react to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum ErrorKind {
    /// A template does not parse or failed.
    Template,
    /// A template gave up on purpose (`fail`, `required`): the user should read its message.
    Fail,
    /// The values break the chart's schema.
    Schema,
    /// The values cannot be used.
    Values,
    /// What was rendered is not YAML or no object.
    Yaml,
    /// The chart wants another version of Kubernetes.
    KubeVersion,
    /// The chart cannot be installed, or lacks dependencies.
    Dependency,
    /// A limit was reached, or the caller asked to stop.
    Limit,
    /// The engine panicked.
    Defect,
}

impl Error {
    /// The kind of the error.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::NotInstallable { .. } | Self::MissingDependencies { .. } => ErrorKind::Dependency,
            Self::Dependencies(_) | Self::Values(_) => ErrorKind::Values,
            Self::Schema(_) => ErrorKind::Schema,
            Self::KubeVersion { .. } => ErrorKind::KubeVersion,
            Self::Parse(_) | Self::Execute(_) => ErrorKind::Template,
            Self::Panic { .. } => ErrorKind::Defect,
            Self::Fail { .. } => ErrorKind::Fail,
            Self::Limit { .. } | Self::TemplatesTooLarge { .. } => ErrorKind::Limit,
            Self::Manifest { .. } => ErrorKind::Yaml,
        }
    }

    /// Where in the chart it happened, as `FILE:LINE` or `FILE:LINE:COLUMN`: for a template within others, the
    /// innermost one.
    pub fn location(&self) -> Option<String> {
        match self {
            Self::Parse(error) => Some(format!("{}:{}", error.name, error.line)),
            Self::Execute(error) | Self::Fail { error, .. } => {
                let innermost = error.chain().filter_map(ExecError::place).last();
                innermost.map(gotmpl::Place::location)
            }
            Self::Limit { template, .. } => Some(template.clone()),
            Self::NotInstallable { .. }
            | Self::MissingDependencies { .. }
            | Self::Dependencies(_)
            | Self::Values(_)
            | Self::Schema(_)
            | Self::KubeVersion { .. }
            | Self::Manifest { .. }
            | Self::TemplatesTooLarge { .. }
            | Self::Panic { .. } => None,
        }
    }

    /// The error of executing the file `template`.
    pub(super) fn execution(template: &str, error: ExecError) -> Self {
        if let Some(limit) = error.limit() {
            return Self::Limit { template: template.to_owned(), limit };
        }
        match error.failure().map(str::to_owned) {
            Some(message) => Self::Fail { error, message },
            None => Self::Execute(error),
        }
    }
}
