//! Why `helm-operator template` fails: Helm's sentences.

use std::collections::BTreeMap;
use std::path::PathBuf;

use formats::go::quote;
use gotmpl::{ExecError, ParseError};
use helm::engine::{self, ErrorKind, KubeVersionError};
use helm::release::NameError;
use helm::{chart, semver, strvals, values};

use super::read::ReadError;
use crate::registry::{self, ReferenceError};

/// Why the command failed. The text is what Helm prints after `Error: `.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// `--kube-version` is none.
    #[error("invalid kube version '{version}': {source}")]
    ParseKubeVersion {
        /// As given.
        version: String,
        /// What is wrong with it.
        source: KubeVersionError,
    },
    /// More than a name and a chart are given.
    #[error("expected at most two arguments, unexpected arguments: {}", .0.join(", "))]
    ManyArguments(Vec<String>),
    /// A name is given and is to be made, too.
    #[error("cannot set {0} and also specify a name")]
    TwoNames(&'static str),
    /// `--name-template` is no template.
    #[error("{0}")]
    ParseName(ParseError),
    /// `--name-template` does not render.
    #[error("{0}")]
    ExecuteName(ExecError),
    /// No chart lies at a path.
    #[error("path {} not found", quote(path))]
    FindChart {
        /// The path as given.
        path: String,
    },
    /// The reference is a word, which Helm would need the name of a chart repository for.
    #[error("non-absolute URLs should be in form of repo_name/path_to_chart, got: {reference}")]
    NoRepository {
        /// As given.
        reference: String,
    },
    /// The reference names a chart repository, and there are none here.
    #[error("repo {name} not found")]
    FindRepository {
        /// The repository.
        name: String,
    },
    /// The reference is the URL of something else than a registry. These words are our own.
    #[error("charts are taken from folders, archives and oci:// registries, not from {url:?}")]
    Scheme {
        /// As given.
        url: String,
    },
    /// A file of the terms on which the registry is spoken to cannot be read.
    #[error("missing registry client: can't create TLS config for client: can't read CA file: {}: {source}", quote(&path.to_string_lossy()))]
    ReadAuthority {
        /// The file.
        path: PathBuf,
        /// Why.
        source: ReadError,
    },
    /// The file of certificates holds none.
    #[error(
        "missing registry client: can't create TLS config for client: failed to append certificates from pem block"
    )]
    NoCertificates,
    /// The file of logins cannot be used. These words are our own: Helm passes over it.
    #[error("failed to read the logins in {path:?}: {problem}")]
    ReadLogins {
        /// The file.
        path: PathBuf,
        /// Why. It quotes nothing of the file.
        problem: String,
    },
    /// Standard input gives no password. These words are our own, as the flag is.
    #[error("failed to read the password from standard input: {0}")]
    ReadPassword(std::io::Error),
    /// Standard input is to give a password and values.
    #[error("--password-stdin and a values file - both read standard input")]
    ShareStandardInput,
    /// The `oci://` reference is none.
    #[error("{words}")]
    Reference {
        /// Helm's words for it.
        words: String,
        /// What is wrong with it.
        #[source]
        source: ReferenceError,
    },
    /// The reference has a tag, and `--version` is another.
    #[error("chart reference and version mismatch: {version} is not {tag}")]
    TwoVersions {
        /// The version.
        version: String,
        /// The tag.
        tag: String,
    },
    /// `--version` is neither a version nor a range.
    #[error("{0}")]
    ParseVersion(semver::Error),
    /// The registry does not give the chart.
    #[error("{words}")]
    Pull {
        /// Helm's words for it.
        words: String,
        /// Why.
        #[source]
        source: Box<registry::Error>,
    },
    /// The runtime or the TLS library does not start.
    #[error("failed to start the registry client: {0}")]
    StartClient(std::io::Error),
    /// A file cannot be read.
    #[error("{0}")]
    Read(ReadError),
    /// A values file is none.
    #[error("failed to parse {path}: {source}")]
    ParseValues {
        /// The file as given.
        path: String,
        /// What is wrong with it.
        source: values::Error,
    },
    /// A `--set…` flag is malformed.
    #[error("failed parsing {flag} data: {source}")]
    ParseSet {
        /// The flag.
        flag: &'static str,
        /// What is wrong with it.
        source: strvals::Error,
    },
    /// A `--set-json` flag is malformed.
    #[error("failed parsing --set-json data {text}")]
    ParseSetJson {
        /// As given.
        text: String,
    },
    /// The chart's file is no archive.
    #[error("file '{}' {problem}", path.display())]
    NoArchive {
        /// The file.
        path: PathBuf,
        /// What it is instead.
        problem: String,
    },
    /// The archive cannot be unpacked.
    #[error("unable to load chart archive")]
    Unpack(#[source] chart::Error),
    /// The archive holds no `Chart.yaml`.
    #[error("unable to detect chart version, no Chart.yaml found")]
    FindMetadata,
    /// The folder holds no `Chart.yaml`.
    #[error("unable to detect chart at {}: {source}", path.display())]
    ReadMetadata {
        /// Where it should be.
        path: PathBuf,
        /// Why it cannot be read.
        source: ReadError,
    },
    /// The chart cannot be loaded.
    #[error(transparent)]
    Load(chart::Error),
    /// No release can be called so.
    #[error("release name check failed: release name {}: {source}", quote(name))]
    CheckName {
        /// The name.
        name: String,
        /// What is wrong with it.
        source: NameError,
    },
    /// The chart cannot be rendered.
    #[error("{source}{}", hint(source, *debug))]
    Render {
        /// Why.
        source: engine::Error,
        /// Whether what was rendered is printed all the same.
        debug: bool,
    },
    /// No template that `--show-only` names has rendered anything.
    #[error("could not find template {template} in chart")]
    FindTemplate {
        /// As given.
        template: String,
    },
    /// A manifest cannot be written into `--output-dir`.
    #[error("{0}{HINT}")]
    WriteManifest(ReadError),
    /// A hook cannot be written into `--output-dir`.
    #[error("{0}")]
    Write(ReadError),
}

impl Error {
    /// What was rendered, be it nothing, where a chart could be rendered but not used.
    pub(super) fn left_over(&self) -> Option<&BTreeMap<String, String>> {
        static NOTHING: BTreeMap<String, String> = BTreeMap::new();
        match self {
            Self::Render { source: engine::Error::Manifest { files, .. }, .. } => Some(&files.0),
            Self::Render { source, .. } if has_release(source) => Some(&NOTHING),
            _ => None,
        }
    }
}

impl From<engine::Error> for Error {
    fn from(source: engine::Error) -> Self {
        Self::Render { source, debug: false }
    }
}

/// What Helm adds when there is a release, be it an empty one, that `--debug` would show.
const HINT: &str = "\n\nUse --debug flag to render out invalid YAML";

fn hint(error: &engine::Error, debug: bool) -> &'static str {
    if has_release(error) && !debug { HINT } else { "" }
}

/// Whether rendering had begun.
fn has_release(error: &engine::Error) -> bool {
    match error.kind() {
        ErrorKind::Template
        | ErrorKind::Fail
        | ErrorKind::Yaml
        | ErrorKind::KubeVersion
        | ErrorKind::Limit
        | ErrorKind::Defect => true,
        ErrorKind::Schema | ErrorKind::Values | ErrorKind::Dependency => false,
    }
}
