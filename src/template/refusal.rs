//! What Helm would say where a registry gives no chart.
//!
//! Its texts name the request that failed. Where they end in an excerpt of the registry's answer ours end before it, and
//! troubles for which Helm has no sentence of its own keep those of [`crate::registry`].

use formats::go::quote;

use super::Error;
use super::pull::Stage;
use super::wanted::Wanted;
use crate::registry::{Access, Error as RegistryError, Mismatch, ReferenceError};

/// A reference that is none.
pub(super) fn reference(url: &str, source: ReferenceError) -> Error {
    let words = match &source {
        ReferenceError::NoRepository { .. } => "invalid reference: missing registry or repository".to_owned(),
        ReferenceError::Component { .. } => {
            let rest = url.strip_prefix("oci://").unwrap_or(url);
            let repository = rest.split_once('/').map_or(rest, |(_, repository)| repository);
            let repository = repository.split([':', '@']).next().unwrap_or(repository);
            format!("invalid reference: invalid repository {}", quote(repository))
        }
        ReferenceError::Tag { tag } => format!("invalid reference: invalid tag {}", quote(tag)),
        ReferenceError::Host { host } => format!("invalid reference: invalid registry {}", quote(host)),
        ReferenceError::NotOci { .. } | ReferenceError::UserInfo | ReferenceError::Digest { .. } => source.to_string(),
    };
    Error::Reference { words, source }
}

/// The words for `error`, which came at some stage of getting what is `wanted`.
pub(super) fn words(error: &RegistryError, stage: Stage, wanted: &Wanted, access: &Access) -> String {
    if let Some(words) = about_versions(error, wanted) {
        return words;
    }
    let scheme = if access.plain_http { "http" } else { "https" };
    let (host, repository) = (wanted.reference.host(), wanted.reference.repository());
    let (prefix, path) = match stage {
        Stage::Tags => ("", "tags/list".to_owned()),
        Stage::Manifest => ("failed to perform \"FetchReference\" on source: ", format!("manifests/{}", wanted.name())),
        Stage::Archive => return error.to_string(),
    };
    let url = quote(&format!("{scheme}://{host}/v2/{repository}/{path}"));
    if let Some(answer) = answer(error) {
        return format!("{prefix}GET {url}: {answer}");
    }
    match no_answer(error) {
        Some(trouble) => format!("{prefix}Get {url}: {trouble}"),
        None => error.to_string(),
    }
}

/// The registry answers, but has not what is wanted.
fn about_versions(error: &RegistryError, wanted: &Wanted) -> Option<String> {
    let reference = wanted.reference.untagged();
    let version = &wanted.version;
    let (host, repository, name) = (reference.host(), reference.repository(), wanted.name());
    Some(match error {
        RegistryError::NoMatchingVersion { total: 0, .. } => {
            format!("unable to locate any tags in provided repository: {reference}")
        }
        RegistryError::NoMatchingVersion { .. } => {
            format!("could not locate a version matching provided version string {version}")
        }
        RegistryError::DigestMismatch { expected, actual, kind, .. } if *kind != Mismatch::Content => {
            format!("chart reference digest mismatch: {actual} is not {expected}")
        }
        RegistryError::TagNotFound { .. } => {
            format!("failed to perform \"FetchReference\" on source: {host}/{repository}:{name}: not found")
        }
        RegistryError::RepositoryNotFound { .. } if wanted.is_exact() => {
            format!("failed to perform \"FetchReference\" on source: {host}/{repository}:{name}: not found")
        }
        RegistryError::DigestNotFound { .. } => {
            format!("failed to perform \"FetchReference\" on source: {host}/{repository}@{name}: not found")
        }
        _ => return None,
    })
}

/// What the registry answers.
fn answer(error: &RegistryError) -> Option<String> {
    let status = |text: &str| Some(format!("response status code {text}"));
    match error {
        RegistryError::Unauthorized { anonymous: true, .. } => Some("basic credential not found".to_owned()),
        RegistryError::Unauthorized { anonymous: false, .. } => status("401: unauthorized: authentication required"),
        RegistryError::Forbidden { .. } => status("403: denied: requested access to the resource is denied"),
        RegistryError::RepositoryNotFound { .. } => status("404: name unknown: repository name not known to registry"),
        RegistryError::PlainHttp { server_is_plain: false, .. } => status("400: Bad Request"),
        RegistryError::RateLimited { .. } => status("429: Too Many Requests"),
        RegistryError::ServerError { status: code, .. } => {
            let reason = http::StatusCode::from_u16(*code).ok().and_then(|code| code.canonical_reason());
            status(&format!("{code}: {}", reason.unwrap_or_default()))
        }
        _ => None,
    }
}

/// Why there is no answer.
fn no_answer(error: &RegistryError) -> Option<String> {
    let certificate = |problem: &str| Some(format!("tls: failed to verify certificate: x509: {problem}"));
    match error {
        RegistryError::PlainHttp { server_is_plain: true, .. } => {
            Some("http: server gave HTTP response to HTTPS client".to_owned())
        }
        RegistryError::Connect { host, detail, .. } if detail.contains("refused") => {
            Some(format!("dial tcp {host}: connect: connection refused"))
        }
        RegistryError::Connect { host, detail, .. } => Some(format!("dial tcp {host}: {detail}")),
        RegistryError::Dns { host, .. } => {
            let name = host.rsplit_once(':').map_or(host.as_str(), |(name, _)| name);
            Some(format!("dial tcp: lookup {name}: no such host"))
        }
        RegistryError::TlsUnknownCa { .. } => certificate("certificate signed by unknown authority"),
        RegistryError::TlsExpired { .. } => certificate("certificate has expired or is not yet valid"),
        RegistryError::TlsWrongName { host, presented, .. } => {
            let name = host.rsplit_once(':').map_or(host.as_str(), |(name, _)| name);
            let names: Vec<&str> = presented.iter().map(|name| bare(name)).collect();
            certificate(&match names.join(", ") {
                none if none.is_empty() => {
                    format!("certificate is not valid for any names, but wanted to match {name}")
                }
                names => format!("certificate is valid for {names}, not {name}"),
            })
        }
        RegistryError::Tls { hint, .. } => {
            Some(format!("tls: handshake failed: {}", hint.replace("ca.crt", "--ca-file")))
        }
        _ => None,
    }
}

/// A name of a certificate without what kind of name it is: `DnsName("x")`, `IpAddress(1.2.3.4)`.
fn bare(name: &str) -> &str {
    let inner = name.split_once('(').and_then(|(_, rest)| rest.strip_suffix(')')).unwrap_or(name);
    inner.trim_matches('"')
}
