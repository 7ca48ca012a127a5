//! What Helm would say where a registry gives no chart.

use super::Error;
use super::error::quote;
use super::pull::Wanted;
use crate::registry::{self, Access, ReferenceError, VersionRequest};

/// A reference that is none.
pub(super) fn reference(url: &str, error: &ReferenceError) -> Error {
    let rest = url.strip_prefix("oci://").unwrap_or(url);
    Error::Pull(match error {
        ReferenceError::NoRepository { .. } => "invalid reference: missing registry or repository".to_owned(),
        ReferenceError::Component { .. } => {
            let (_, repository) = rest.split_once('/').unwrap_or_default();
            let repository = repository.split([':', '@']).next().unwrap_or(repository);
            format!("invalid reference: invalid repository {}", quote(repository))
        }
        ReferenceError::Tag { tag } => format!("invalid reference: invalid tag {}", quote(tag)),
        ReferenceError::Host { host } => format!("invalid reference: invalid registry {}", quote(host)),
        ReferenceError::NotOci { .. } | ReferenceError::UserInfo | ReferenceError::Digest { .. } => error.to_string(),
    })
}

/// The words for `error`, which came when `wanted` was asked for.
pub(super) fn words(error: &registry::Error, wanted: &Wanted, _access: &Access) -> String {
    use registry::Error as E;
    let Wanted { reference, request, version } = wanted;
    let exact = matches!(request, VersionRequest::Exact(_));
    match error {
        E::TagNotFound { .. } | E::RepositoryNotFound { .. } if exact => {
            let (host, repository) = (reference.host(), reference.repository());
            let tag = version.replace('+', "_");
            format!("failed to perform \"FetchReference\" on source: {host}/{repository}:{tag}: not found")
        }
        E::NoMatchingVersion { total: 0, .. } => {
            format!("unable to locate any tags in provided repository: {}", reference.untagged())
        }
        E::NoMatchingVersion { .. } => {
            format!("could not locate a version matching provided version string {version}")
        }
        other => other.to_string(),
    }
}
