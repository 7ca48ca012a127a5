//! Names of things in registries, parsed once: a repository's URL, a chart's reference, a digest.
//!
//! Everything after this module carries the proof that a host, a repository path, a tag and a digest are
//! well-formed, so that they can be put into a request's path as they are. No input ever holds credentials:
//! an URL with user-info is refused without quoting it.

use std::fmt;
use std::str::FromStr;

use sha2::{Digest as _, Sha256, Sha512};

/// The host that Docker Hub's API answers on; `docker.io` itself serves web pages.
const DOCKER_HUB_API: &str = "registry-1.docker.io";

/// Longest tag of the distribution specification.
const TAG_MAX: usize = 128;

/// Why a text is not a reference to an OCI repository or chart.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReferenceError {
    /// The scheme is not `oci://`.
    #[error(
        "{url:?} does not begin with oci://: only OCI registries are supported, so push the charts to one (helm push) and use its oci:// URL"
    )]
    NotOci {
        /// The text as given.
        url: String,
    },
    /// The URL carries user-info, which is not quoted because it may be a password.
    #[error("the URL holds a user name or password before the host: put credentials into a Secret and name it in auth")]
    UserInfo,
    /// The host or port is malformed.
    #[error("{host:?} is not a registry host: expected host or host:port")]
    Host {
        /// The text between `oci://` and the first slash.
        host: String,
    },
    /// No repository follows the host of a chart reference.
    #[error("{url:?} names a registry but no chart: expected oci://host/path/chart")]
    NoRepository {
        /// The text as given.
        url: String,
    },
    /// A part of the repository path breaks the distribution specification's grammar.
    #[error(
        "{component:?} is not allowed in the repository of {url:?}: each part is lower-case letters and digits, separated by one of . _ __ or -"
    )]
    Component {
        /// The offending path part.
        component: String,
        /// The text as given.
        url: String,
    },
    /// The tag breaks the specification's grammar.
    #[error("{tag:?} is not a tag: at most 128 letters, digits, '.', '_', '-' (and '+', kept as '_')")]
    Tag {
        /// The text after the colon.
        tag: String,
    },
    /// The digest is not `sha256:` or `sha512:` with lower-case hexadecimal digits.
    #[error("{digest:?} is not a digest: expected sha256: and 64 lower-case hexadecimal digits")]
    Digest {
        /// The text after the `@`.
        digest: String,
    },
}

/// A content address: `sha256:` (or `sha512:`) and its hexadecimal digits.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Digest(String);

impl Digest {
    /// The SHA-256 digest of `bytes`.
    pub fn of(bytes: &[u8]) -> Self {
        Self(format!("sha256:{}", hex(&Sha256::digest(bytes))))
    }

    /// The digest as text, algorithm first.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The digest of `bytes` by this digest's own algorithm, to compare with it.
    pub(super) fn rehash(&self, bytes: &[u8]) -> Self {
        match self.0.split_once(':') {
            Some(("sha512", _)) => Self(format!("sha512:{}", hex(&Sha512::digest(bytes)))),
            Some(_) | None => Self::of(bytes),
        }
    }
}

impl FromStr for Digest {
    type Err = ReferenceError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let digits = match text.split_once(':') {
            Some(("sha256", digits)) if digits.len() == 64 => digits,
            Some(("sha512", digits)) if digits.len() == 128 => digits,
            Some(_) | None => "",
        };
        let hexadecimal = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
        if digits.is_empty() || !digits.bytes().all(hexadecimal) {
            return Err(ReferenceError::Digest { digest: text.to_owned() });
        }
        Ok(Self(text.to_owned()))
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A registry, or a path in one: what `HelmRepository.spec.url` names.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RepositoryUrl {
    host: String,
    path: String,
}

impl RepositoryUrl {
    /// Reads `oci://host[:port][/path]`; a trailing slash is dropped.
    ///
    /// Upper case in the path is let through: guides write `PROJECT_ID`, and the registry behind it answers all the
    /// same. It fails where a chart below is asked for ([`Self::join`]), since no repository can have such a name.
    pub fn parse(url: &str) -> Result<Self, ReferenceError> {
        let (host, path) = split_host(url)?;
        if !path.is_empty() {
            check_path(&path.to_ascii_lowercase(), url)?;
        }
        Ok(Self { host, path: path.to_owned() })
    }

    /// Host and port as written, in lower case.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The host that answers the API: references under this URL have the same one, whatever name they give the host.
    pub fn endpoint(&self) -> &str {
        endpoint(&self.host)
    }

    /// The path in the registry without surrounding slashes; empty for the whole registry.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// Whether `reference` lies under this URL. Borders are path segments: `charts` is no prefix of `charts-old/x`.
    pub fn is_prefix_of(&self, reference: &ChartReference) -> bool {
        let under = |rest: &str| self.path.is_empty() || rest.is_empty() || rest.starts_with('/');
        endpoint(&self.host) == endpoint(&reference.host)
            && reference.repository.strip_prefix(&self.path).is_some_and(under)
    }

    /// Whether a repository can lie under this URL. Upper case in its path is the one thing that [`Self::parse`] takes and
    /// no repository has.
    pub fn allows_charts(&self) -> bool {
        !self.path.bytes().any(|byte| byte.is_ascii_uppercase())
    }

    /// The reference of the chart `name` under this URL, without tag and digest.
    pub fn join(&self, name: &str) -> Result<ChartReference, ReferenceError> {
        let separator = if self.path.is_empty() { "" } else { "/" };
        let repository = format!("{}{separator}{name}", self.path);
        check_path(&repository, &format!("oci://{}/{repository}", self.host))?;
        Ok(ChartReference { host: self.host.clone(), repository, tag: None, digest: None })
    }
}

impl fmt::Display for RepositoryUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let separator = if self.path.is_empty() { "" } else { "/" };
        write!(f, "oci://{}{separator}{}", self.host, self.path)
    }
}

/// One chart's repository, optionally at a tag, a digest, or both.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ChartReference {
    host: String,
    repository: String,
    tag: Option<String>,
    digest: Option<Digest>,
}

impl ChartReference {
    /// Reads `oci://host[:port]/path/chart[:tag][@digest]`. A `+` of the tag becomes `_`, as Helm stores it.
    pub fn parse(url: &str) -> Result<Self, ReferenceError> {
        let (host, rest) = split_host(url)?;
        let (rest, digest) = match rest.split_once('@') {
            Some((rest, digest)) => (rest, Some(digest.parse()?)),
            None => (rest, None),
        };
        let (repository, tag) = match rest.split_once(':') {
            Some((repository, tag)) => (repository, Some(version_tag(tag)?)),
            None => (rest, None),
        };
        if repository.is_empty() {
            return Err(ReferenceError::NoRepository { url: url.to_owned() });
        }
        check_path(repository, url)?;
        Ok(Self { host, repository: repository.to_owned(), tag, digest })
    }

    /// Host and port as written, in lower case.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The host that answers the API, which for Docker Hub is not the one in its references.
    pub fn endpoint(&self) -> &str {
        endpoint(&self.host)
    }

    /// The repository in the registry, `path/chart`.
    pub fn repository(&self) -> &str {
        &self.repository
    }

    /// The last part of the repository: by Helm's convention the chart's name.
    pub fn name(&self) -> &str {
        self.repository.rsplit_once('/').map_or(self.repository.as_str(), |(_, name)| name)
    }

    /// The tag, in the registry's spelling (`_` for `+`).
    pub fn tag(&self) -> Option<&str> {
        self.tag.as_deref()
    }

    /// The digest of the manifest.
    pub fn digest(&self) -> Option<&Digest> {
        self.digest.as_ref()
    }

    /// The same repository at `version`; a `+` becomes `_`.
    pub fn with_tag(&self, version: &str) -> Result<Self, ReferenceError> {
        Ok(Self { tag: Some(version_tag(version)?), ..self.clone() })
    }

    /// The same reference pinned to `digest`.
    #[must_use]
    pub fn with_digest(&self, digest: Digest) -> Self {
        Self { digest: Some(digest), ..self.clone() }
    }

    /// The repository alone, without tag and digest.
    #[must_use]
    pub fn untagged(&self) -> Self {
        Self { host: self.host.clone(), repository: self.repository.clone(), tag: None, digest: None }
    }
}

impl fmt::Display for ChartReference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "oci://{}/{}", self.host, self.repository)?;
        if let Some(tag) = &self.tag {
            write!(f, ":{tag}")?;
        }
        if let Some(digest) = &self.digest {
            write!(f, "@{digest}")?;
        }
        Ok(())
    }
}

/// The host that answers the API for `host`: Docker Hub's names differ from its endpoint, others are their own.
pub(super) fn endpoint(host: &str) -> &str {
    match host {
        "docker.io" | "index.docker.io" => DOCKER_HUB_API,
        other => other,
    }
}

/// The tag of a version: `+` cannot stand in a tag, Helm stores `_` instead.
fn version_tag(version: &str) -> Result<String, ReferenceError> {
    let tag = version.replace('+', "_");
    let word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    let starts = tag.bytes().next().is_some_and(word);
    let allowed = |byte: u8| word(byte) || byte == b'.' || byte == b'-';
    if !starts || tag.len() > TAG_MAX || !tag.bytes().all(allowed) {
        return Err(ReferenceError::Tag { tag: version.to_owned() });
    }
    Ok(tag)
}

/// Splits `oci://host/rest`, the host checked and lower-cased, the rest without surrounding slashes.
fn split_host(url: &str) -> Result<(String, &str), ReferenceError> {
    let rest = url.trim();
    let authority_end = |text: &str| text.find('/').unwrap_or(text.len());
    if let Some((_, after)) = rest.split_once("://")
        && after[..authority_end(after)].contains('@')
        && !rest.starts_with("oci://")
    {
        return Err(ReferenceError::UserInfo);
    }
    let Some(rest) = rest.strip_prefix("oci://") else {
        return Err(ReferenceError::NotOci { url: url.to_owned() });
    };
    let (host, path) = rest.split_at(authority_end(rest));
    if host.contains('@') {
        return Err(ReferenceError::UserInfo);
    }
    if !is_host(host) {
        return Err(ReferenceError::Host { host: host.to_owned() });
    }
    Ok((host.to_ascii_lowercase(), path.trim_matches('/')))
}

/// `name`, `name:port`, `1.2.3.4:port` or `[::1]:port`.
fn is_host(host: &str) -> bool {
    let (name, port) = match host.strip_prefix('[') {
        Some(rest) => match rest.split_once(']') {
            Some((address, "")) => (address, None),
            Some((address, port)) => (address, port.strip_prefix(':').or(Some(""))),
            None => return false,
        },
        None => match host.split_once(':') {
            Some((name, port)) => (name, Some(port)),
            None => (host, None),
        },
    };
    let name_is_valid = if host.starts_with('[') {
        name.parse::<std::net::Ipv6Addr>().is_ok()
    } else {
        let letter = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_');
        !name.is_empty() && !name.starts_with(['.', '-']) && name.bytes().all(letter)
    };
    name_is_valid && port.is_none_or(|port| port.parse::<u16>().is_ok_and(|port| port != 0))
}

fn check_path(path: &str, url: &str) -> Result<(), ReferenceError> {
    match path.split('/').find(|component| !is_component(component)) {
        None => Ok(()),
        Some(component) => Err(ReferenceError::Component { component: component.to_owned(), url: url.to_owned() }),
    }
}

/// The distribution specification's path component: `[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*`.
fn is_component(component: &str) -> bool {
    let alphanumeric = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    let separator = |run: &str| matches!(run, "" | "." | "_" | "__") || run.bytes().all(|b| b == b'-');
    component.starts_with(alphanumeric)
        && component.ends_with(alphanumeric)
        && component.split(alphanumeric).all(separator)
}

/// Lower-case hexadecimal digits of `bytes`.
pub(super) fn hex(bytes: &[u8]) -> String {
    use fmt::Write as _;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        write!(text, "{byte:02x}").expect("writing to a String cannot fail");
        text
    })
}

#[cfg(test)]
mod tests;
