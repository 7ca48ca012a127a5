//! What can go wrong with a record, and in which of these cases it is whose turn.

use std::fmt;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

use helm::release::Sizes;

use super::codec;

/// The most bytes a Secret may hold, by the API's validation.
pub(super) const MAX_SECRET_BYTES: usize = 1 << 20;

/// Where a record is: its Secret. For a list the name is empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SecretRef {
    /// The namespace.
    pub namespace: String,
    /// The Secret's name.
    pub name: String,
}

impl SecretRef {
    pub(super) fn new(namespace: &str, name: &str) -> Self {
        Self { namespace: namespace.to_owned(), name: name.to_owned() }
    }

    pub(super) fn of(metadata: &ObjectMeta) -> Self {
        let text = |field: &Option<String>| field.clone().unwrap_or_default();
        Self { namespace: text(&metadata.namespace), name: text(&metadata.name) }
    }
}

impl fmt::Display for SecretRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { namespace, name } = self;
        if name.is_empty() {
            write!(f, "release secrets in namespace {namespace:?}")
        } else {
            write!(f, "release secret {:?}", format!("{namespace}/{name}"))
        }
    }
}

/// What was tried on a Secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verb {
    /// Reading one record.
    Get,
    /// Reading the metadata of many.
    List,
    /// Writing a new record.
    Create,
    /// Writing a record again.
    Update,
    /// Deleting a record.
    Delete,
}

impl fmt::Display for Verb {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Get => "get",
            Self::List => "list",
            Self::Create => "create",
            Self::Update => "update",
            Self::Delete => "delete",
        })
    }
}

/// Why a record could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The revision was recorded by somebody else in the meantime: observe again.
    #[error("{secret} exists already: another revision was made at the same time")]
    Exists {
        /// The Secret.
        secret: SecretRef,
    },
    /// Somebody wrote the record since it was read: observe again.
    #[error("{secret} was changed since it was read")]
    Conflict {
        /// The Secret.
        secret: SecretRef,
    },
    /// Somebody deleted the record since it was read: observe again.
    #[error("{secret} was deleted since it was read")]
    Gone {
        /// The Secret.
        secret: SecretRef,
    },
    /// The record does not fit a Secret, though all was left out of it that Helm can do without.
    #[error(
        "{secret} would be {bytes} bytes, more than the {most} that are left for it, though the chart's templates, schema and other files are left out; \
         packed, its parts are: manifest {}, hooks {}, values {}, the chart's own values {}, notes {} bytes. Make several releases of it, or \
         keep large files (dashboards, scripts, data) in objects that the chart does not render",
        sizes.manifest, sizes.hooks, sizes.values, sizes.chart, sizes.notes
    )]
    TooLarge {
        /// The Secret.
        secret: SecretRef,
        /// The size of the encoded record.
        bytes: usize,
        /// The most that it may be.
        most: usize,
        /// How large its parts are.
        sizes: Sizes,
    },
    /// The namespace does not exist.
    #[error(
        "failed to create {secret}: the namespace does not exist: create it, {}",
        if *.is_own { "or set spec.release.createNamespace to true" } else { "or correct spec.storageNamespace" }
    )]
    NoNamespace {
        /// The Secret.
        secret: SecretRef,
        /// Whether it is the release's own, and not one for records alone.
        is_own: bool,
    },
    /// The namespace is being deleted and takes nothing new.
    #[error("failed to create {secret}: the namespace is being deleted; it is tried again once it is gone")]
    NamespaceTerminating {
        /// The Secret.
        secret: SecretRef,
    },
    /// A quota of the namespace does not allow one more.
    #[error("failed to {verb} {secret}: {message}")]
    Quota {
        /// What was tried.
        verb: Verb,
        /// The Secret.
        secret: SecretRef,
        /// The server's words.
        message: String,
    },
    /// The account may not do this.
    #[error("failed to {verb} {secret}: {message}")]
    Forbidden {
        /// What was tried.
        verb: Verb,
        /// The Secret.
        secret: SecretRef,
        /// The server's words.
        message: String,
    },
    /// The server or an admission webhook finds the Secret wrong.
    #[error("{secret} is refused: {message}")]
    Refused {
        /// The Secret.
        secret: SecretRef,
        /// The server's words.
        message: String,
    },
    /// The record cannot be written down.
    #[error("failed to encode {secret}")]
    Encode {
        /// The Secret.
        secret: SecretRef,
        /// Why not.
        #[source]
        source: codec::Error,
    },
    /// The record cannot be read. It is an error and not skipped, since an older revision would then pass as the newest.
    #[error("failed to decode {secret}")]
    Decode {
        /// The Secret.
        secret: SecretRef,
        /// Why not.
        #[source]
        source: codec::Error,
    },
    /// A Secret is labelled as a record and lacks what a record has.
    #[error("{secret} is no release record: it has no valid {missing}")]
    NotARecord {
        /// The Secret.
        secret: SecretRef,
        /// What it lacks, such as `label "version"`.
        missing: &'static str,
    },
    /// The server could not be asked, or answered in a way that fits none of the above.
    #[error("failed to {verb} {secret}")]
    Request {
        /// What was tried.
        verb: Verb,
        /// The Secret.
        secret: SecretRef,
        /// Why not.
        #[source]
        source: Box<kube::Error>,
    },
}

impl Error {
    /// The same of a record of a release of `namespace`.
    pub(super) fn of_release(self, namespace: &str) -> Self {
        match self {
            Self::NoNamespace { secret, .. } => {
                let is_own = secret.namespace == namespace;
                Self::NoNamespace { secret, is_own }
            }
            other => other,
        }
    }

    /// Tells apart why the server refused.
    pub(super) fn of_request(verb: Verb, secret: SecretRef, source: kube::Error) -> Self {
        let kube::Error::Api(status) = &source else {
            return Self::Request { verb, secret, source: Box::new(source) };
        };
        let message = status.message.clone();
        let is_terminating = || {
            let causes = status.details.iter().flat_map(|details| &details.causes);
            causes.into_iter().any(|cause| cause.reason == "NamespaceTerminating")
        };
        match verb {
            Verb::Create if status.is_already_exists() => Self::Exists { secret },
            Verb::Create if status.is_not_found() => Self::NoNamespace { secret, is_own: true },
            Verb::Create if is_terminating() => Self::NamespaceTerminating { secret },
            Verb::Update | Verb::Delete if status.is_conflict() => Self::Conflict { secret },
            Verb::Update if status.is_not_found() => Self::Gone { secret },
            _ if status.is_forbidden() && message.contains("exceeded quota") => Self::Quota { verb, secret, message },
            _ if message.contains("admission webhook") => Self::Refused { secret, message },
            _ if status.is_forbidden() => Self::Forbidden { verb, secret, message },
            _ if status.is_invalid() => Self::Refused { secret, message },
            _ => Self::Request { verb, secret, source: Box::new(source) },
        }
    }
}
