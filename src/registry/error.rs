//! Every trouble with a registry, one variant each.
//!
//! A message says what was tried, on what, what came back, and, where a person must act, what to do. Texts that a
//! registry sent are cut to one short line and stripped of the caller's credentials before they get here.
//! Errors are `Clone`, because callers that waited for the same request share its failure.

mod words;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use super::reference::{Digest, ReferenceError};
pub use words::{Denial, Detail, Mismatch, Wait};
use words::{late, names, neighbours, no_permission, plain_http, prereleases, what_exists, when, which_files};

/// What was being done when a trouble came, and on what: `list the tags of oci://host/repository`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attempt {
    action: Action,
    target: Arc<str>,
}

/// The verb of an [`Attempt`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// Ask whether an OCI registry answers and takes the credentials.
    Probe,
    /// List the tags of a repository.
    ListTags,
    /// Ask for the digest, or the document, of a manifest.
    ReadManifest,
    /// Choose a version.
    Resolve,
    /// Download the chart's archive.
    Download,
    /// Read a file of an artifact.
    ReadFile,
}

impl Attempt {
    /// `action` on `target`, which is printed as it is: never an URL with user-info or a signed query.
    pub(super) fn new(action: Action, target: &impl ToString) -> Self {
        Self { action, target: target.to_string().into() }
    }
}

impl fmt::Display for Attempt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let verb = match self.action {
            Action::Probe => "reach the registry",
            Action::ListTags => "list the tags of",
            Action::ReadManifest => "read the manifest of",
            Action::Resolve => "choose a version of",
            Action::Download => "download the chart",
            Action::ReadFile => "read a file of",
        };
        write!(f, "{verb} {}", self.target)
    }
}

/// Why a registry could not be asked, or why its answer is no chart.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Error {
    /// The reference or the version cannot be one.
    #[error("failed to {attempt}: the reference is not valid")]
    Reference {
        /// What was tried.
        attempt: Attempt,
        /// What is wrong with it.
        #[source]
        source: ReferenceError,
    },
    /// 401: the credentials are wrong, or none were given where some are needed.
    #[error("failed to {attempt}: {why}{detail}")]
    Unauthorized {
        /// What was tried.
        attempt: Attempt,
        /// Whether no credentials were given.
        anonymous: bool,
        /// What is wrong with the credentials, as far as it is known.
        why: Denial,
        /// What the registry said.
        detail: Detail,
    },
    /// 403, or a token without the right that was asked for.
    #[error("failed to {attempt}: {}{detail}", no_permission(*.anonymous))]
    Forbidden {
        /// What was tried.
        attempt: Attempt,
        /// Whether no credentials were given.
        anonymous: bool,
        /// What the registry said.
        detail: Detail,
    },
    /// The registry does not know the repository.
    #[error("failed to {attempt}: the registry has no such repository; check the path, or push there first{detail}")]
    RepositoryNotFound {
        /// What was tried.
        attempt: Attempt,
        /// What the registry said.
        detail: Detail,
    },
    /// The repository exists, the tag does not.
    #[error("failed to {attempt}: the repository has no tag {tag:?}; {}", neighbours(.nearest))]
    TagNotFound {
        /// What was tried.
        attempt: Attempt,
        /// The missing tag, in the registry's spelling.
        tag: String,
        /// The versions nearest to it, nearest first; empty when the repository has none, or may not be listed.
        nearest: Vec<String>,
    },
    /// The manifest that a digest names is gone.
    #[error(
        "failed to {attempt}: the repository holds nothing with this digest; it may have been deleted, or pushed elsewhere"
    )]
    DigestNotFound {
        /// What was tried.
        attempt: Attempt,
    },
    /// No tag satisfies the constraint.
    #[error(
        "failed to {attempt}: no version matches {constraint:?}; {}{}", what_exists(.existing, *.total), prereleases(.hint.as_ref())
    )]
    NoMatchingVersion {
        /// What was tried.
        attempt: Attempt,
        /// The constraint as written, or `newest stable`.
        constraint: String,
        /// The newest versions that exist, newest first, at most ten.
        existing: Vec<String>,
        /// How many versions exist.
        total: usize,
        /// The constraint that matches, where only pre-releases do.
        hint: Option<String>,
    },
    /// The tag in the reference and the version asked for are not the same.
    #[error(
        "failed to {attempt}: the reference is tagged {tag:?} but the version asked for is {version:?}; give only one of them"
    )]
    VersionConflict {
        /// What was tried.
        attempt: Attempt,
        /// The tag of the reference.
        tag: String,
        /// The version asked for.
        version: String,
    },
    /// The artifact is something else: a container image, an index, a signature.
    #[error("failed to {attempt}: it is not a Helm chart but {media_type:?}; a chart is what helm push makes")]
    NotAChart {
        /// What was tried.
        attempt: Attempt,
        /// The media type that tells what it is.
        media_type: String,
    },
    /// The artifact has other files than the one that is wanted.
    #[error("failed to {attempt}: it has no file {file:?}{}", which_files(.files))]
    FileNotFound {
        /// What was tried.
        attempt: Attempt,
        /// The wanted file.
        file: String,
        /// Some that it has.
        files: Vec<String>,
    },
    /// What is stored there holds no files as they are: an image, an index, a packed folder.
    #[error(
        "failed to {attempt}: it holds no plain file but {media_type:?}; push the file itself, as oras push REFERENCE values.yaml does"
    )]
    NoFiles {
        /// What was tried.
        attempt: Attempt,
        /// The media type that tells what it is.
        media_type: String,
    },
    /// The bytes, or the tag, do not have the digest they must have.
    #[error("failed to {attempt}: expected {expected}, got {actual}; {kind}")]
    DigestMismatch {
        /// What was tried.
        attempt: Attempt,
        /// The digest that was asked for or pinned.
        expected: Digest,
        /// The digest found.
        actual: Digest,
        /// What does not fit with what.
        kind: Mismatch,
    },
    /// The server's certificate is signed by nobody we trust.
    #[error(
        "failed to {attempt}: the certificate of {host:?} is signed by an unknown authority; put the authority's certificate into ca.crt of the Secret in spec.auth.tls.secretRef of the HelmRepository"
    )]
    TlsUnknownCa {
        /// What was tried.
        attempt: Attempt,
        /// The host that presented the certificate.
        host: String,
    },
    /// The server's certificate has expired, or is not valid yet.
    #[error(
        "failed to {attempt}: the certificate of {host:?} has expired or is not valid yet ({detail}); renew it, or correct the clock"
    )]
    TlsExpired {
        /// What was tried.
        attempt: Attempt,
        /// The host that presented the certificate.
        host: String,
        /// The certificate's validity as rustls tells it.
        detail: String,
    },
    /// The server's certificate is for other names.
    #[error(
        "failed to {attempt}: the certificate is not valid for {host:?}{}; use a name that it holds, or renew it with this name", names(.presented)
    )]
    TlsWrongName {
        /// What was tried.
        attempt: Attempt,
        /// The host that was asked.
        host: String,
        /// The names in the certificate, where known.
        presented: Vec<String>,
    },
    /// TLS failed for another cause.
    #[error("failed to {attempt}: the TLS handshake with {host:?} failed; {hint}")]
    Tls {
        /// What was tried.
        attempt: Attempt,
        /// The host.
        host: String,
        /// What it may be, or what to do about it.
        hint: &'static str,
        /// The cause.
        #[source]
        source: Arc<rustls::Error>,
    },
    /// The given `ca.crt` cannot be used.
    #[error(
        "failed to {attempt}: the given CA certificates cannot be read; ca.crt must hold PEM certificates ({detail})"
    )]
    InvalidCa {
        /// What was tried.
        attempt: Attempt,
        /// What is wrong with them.
        detail: String,
    },
    /// HTTPS was spoken to a plain-HTTP server, or the reverse.
    #[error("failed to {attempt}: {}", plain_http(*.server_is_plain))]
    PlainHttp {
        /// What was tried.
        attempt: Attempt,
        /// Whether the server speaks plain HTTP (and HTTPS was asked), or the reverse.
        server_is_plain: bool,
    },
    /// The host name has no address.
    #[error(
        "failed to {attempt}: the host name {host:?} cannot be resolved ({detail}); check the name and the cluster's DNS"
    )]
    Dns {
        /// What was tried.
        attempt: Attempt,
        /// The name.
        host: String,
        /// What the resolver said.
        detail: String,
    },
    /// No connection, or it broke.
    #[error("failed to {attempt}: no connection to {host:?} ({detail}); check the host, its port and network policies")]
    Connect {
        /// What was tried.
        attempt: Attempt,
        /// The host.
        host: String,
        /// The operating system's words.
        detail: String,
    },
    /// The proxy refused or failed.
    #[error(
        "failed to {attempt}: the proxy did not let the connection to {host:?} through ({detail}); check HTTPS_PROXY and NO_PROXY of the operator"
    )]
    Proxy {
        /// What was tried.
        attempt: Attempt,
        /// The host behind the proxy.
        host: String,
        /// What went wrong.
        detail: String,
    },
    /// No answer in time.
    #[error("failed to {attempt}: {}", late(*.wait, .host, *.after))]
    Timeout {
        /// What was tried.
        attempt: Attempt,
        /// The host.
        host: String,
        /// What was waited for.
        wait: Wait,
        /// The limit that was reached.
        after: Duration,
    },
    /// The registry failed a moment ago, and is left alone for a while; nothing was asked of it now.
    #[error(
        "{last}; {host:?} has been failing since {since}: it is tried from time to time, and all that wait for it go on as soon as it answers"
    )]
    Paused {
        /// The host.
        host: String,
        /// When it began to fail.
        since: Timestamp,
        /// When to come back, from now.
        retry_after: Duration,
        /// The last failure, as if it had been this caller's.
        last: Arc<Self>,
    },
    /// The connection ended in the middle of an answer.
    #[error("failed to {attempt}: the connection to {host:?} ended in the middle of the answer ({detail})")]
    Interrupted {
        /// What was tried.
        attempt: Attempt,
        /// The host.
        host: String,
        /// What the HTTP client saw.
        detail: String,
    },
    /// 429: ask again later.
    #[error("failed to {attempt}: the registry limits the rate of requests (429); {}{detail}", when(*.retry_after))]
    RateLimited {
        /// What was tried.
        attempt: Attempt,
        /// How long the registry asks to wait, from now; at most an hour.
        retry_after: Option<Duration>,
        /// What the registry said.
        detail: Detail,
    },
    /// The answer is larger than the operator accepts.
    #[error("failed to {attempt}: {what} exceeds the limit of {limit} {unit}")]
    TooLarge {
        /// What was tried.
        attempt: Attempt,
        /// What is too large.
        what: &'static str,
        /// The limit.
        limit: u64,
        /// What the limit counts.
        unit: &'static str,
    },
    /// 5xx: the registry is in trouble.
    #[error("failed to {attempt}: the registry answered {status}{detail}")]
    ServerError {
        /// What was tried.
        attempt: Attempt,
        /// The HTTP status.
        status: u16,
        /// How long the registry asks to wait, where it does.
        retry_after: Option<Duration>,
        /// What the registry said.
        detail: Detail,
    },
    /// The answer is none that a registry gives: a web page, a wrong document, an odd status.
    #[error("failed to {attempt}: {host:?} answered with {what}{detail}")]
    Unexpected {
        /// What was tried.
        attempt: Attempt,
        /// The host that answered.
        host: String,
        /// What came, and what it may mean.
        what: String,
        /// What the registry said.
        detail: Detail,
    },
    /// A redirect, or a token realm, that must not be followed.
    #[error("failed to {attempt}: it points to {to:?}, {why}")]
    Redirect {
        /// What was tried.
        attempt: Attempt,
        /// Scheme and host of the target; never its path or query, which may be signed.
        to: String,
        /// Why it is not followed.
        why: &'static str,
    },
}

impl Error {
    /// How long the registry asked to wait before the next request, where it did.
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Paused { retry_after, .. } => Some(*retry_after),
            Self::RateLimited { retry_after, .. } | Self::ServerError { retry_after, .. } => *retry_after,
            _ => None,
        }
    }
}

impl Error {
    /// The failure itself, where this is one that was passed on.
    pub fn cause(&self) -> &Self {
        match self {
            Self::Paused { last, .. } => last,
            other => other,
        }
    }

    /// Whether it may pass without anybody's doing: the registry cannot be reached, is in trouble, or what it sent was
    /// damaged on the way. What was known before is then as good as it was.
    pub fn is_outage(&self) -> bool {
        match self.cause() {
            Self::Dns { .. }
            | Self::Connect { .. }
            | Self::Proxy { .. }
            | Self::Timeout { .. }
            | Self::RateLimited { .. }
            | Self::ServerError { .. } => true,
            error => error.is_damage(),
        }
    }

    /// Whether an answer came that was damaged or cut on the way.
    pub(super) fn is_damage(&self) -> bool {
        matches!(self, Self::Interrupted { .. } | Self::DigestMismatch { kind: Mismatch::Content, .. })
    }

    /// This failure of somebody's request as the answer to another's: with what the other tried, and without the words
    /// that the registry sent to the first.
    pub(super) fn passed_on(&self, to: &Attempt) -> Self {
        let mut error = self.clone();
        match &mut error {
            Self::Dns { attempt, .. }
            | Self::Connect { attempt, .. }
            | Self::Proxy { attempt, .. }
            | Self::Timeout { attempt, .. }
            | Self::Interrupted { attempt, .. } => attempt.clone_from(to),
            Self::ServerError { attempt, detail, .. } | Self::RateLimited { attempt, detail, .. } => {
                attempt.clone_from(to);
                *detail = Detail::default();
            }
            _ => {}
        }
        error
    }
}
