//! Charts from registries: a reference and a version to an archive, on the terms that the flags set.
//!
//! The only step that needs a runtime and TLS: both start here, when an `oci://` reference is given.

use std::path::Path;

use bytes::Bytes;
use helm::semver::{Constraint, Version};

use super::login;
use super::read::read;
use super::refusal;
use super::{Error, Options, RegistryOptions};
use crate::registry::{Access, ChartArchive, ChartReference, Registry, Resolved, Settings, VersionRequest};

/// Most bytes of a chart's archive.
const CHART_BYTES: u64 = helm::chart::Limits::ARCHIVE_BYTES;

/// The certificates of `--ca-file`. Helm reads them whatever the chart is.
pub(super) fn authority(options: &RegistryOptions) -> Result<Option<Vec<u8>>, Error> {
    let file = options.ca_file.as_deref().filter(|file| !file.as_os_str().is_empty());
    let certificates =
        file.map(|file| read(file).map_err(|source| Error::ReadAuthority { path: file.to_owned(), source }));
    certificates.transpose()
}

/// The archive of the chart that `url` means. What was pulled goes to `notices`, as Helm tells it.
pub(super) fn pull(
    url: &str,
    authority: Option<Vec<u8>>,
    options: &Options,
    notices: &mut Vec<String>,
) -> Result<Bytes, Error> {
    let options = &options.registry;
    let wanted = Wanted::new(url, options.version.as_deref().unwrap_or_default().trim())?;
    let access = Access {
        credentials: login::credentials(options, &wanted.reference)?,
        // Helm's client speaks HTTPS as soon as anything is said about certificates.
        plain_http: options.plain_http && authority.is_none() && !options.insecure_skip_tls_verify,
        ca_pem: authority,
        insecure_skip_verify: options.insecure_skip_tls_verify,
        ..Access::default()
    };
    let (resolved, archive) = fetch(&wanted, &access)?;
    let tag = resolved.reference.tag().map_or_else(|| format!("@{}", resolved.digest), |tag| format!(":{tag}"));
    let (host, repository) = (resolved.reference.host(), resolved.reference.repository());
    notices.push(format!("Pulled: {host}/{repository}{tag}"));
    notices.push(format!("Digest: {}", resolved.digest));
    Ok(archive.bytes)
}

/// What is asked of a registry.
pub(super) struct Wanted {
    /// Where; without a tag, but with a digest if the chart is pinned to one.
    pub(super) reference: ChartReference,
    /// Which version.
    pub(super) request: VersionRequest,
    /// The version as given, by flag or by tag.
    pub(super) version: String,
}

impl Wanted {
    /// A tag counts as a version; so does one that is a constraint.
    fn new(url: &str, version: &str) -> Result<Self, Error> {
        let full = ChartReference::parse(url).map_err(|error| refusal::reference(url, &error))?;
        let version = match full.tag() {
            Some(tag) if version.is_empty() => tag,
            Some(tag) if tag != version => {
                return Err(Error::Pull(format!("chart reference and version mismatch: {version} is not {tag}")));
            }
            _ => version,
        };
        let request = request(version)?;
        let reference = match full.digest() {
            Some(digest) => full.untagged().with_digest(digest.clone()),
            None => full.untagged(),
        };
        Ok(Self { reference, request, version: version.to_owned() })
    }
}

/// What Helm takes for a version is asked for as it is, even if it is short: `1.2` is no range.
fn request(version: &str) -> Result<VersionRequest, Error> {
    if version.is_empty() {
        return Ok(VersionRequest::Newest);
    }
    if Version::parse_loose(version).is_ok() {
        return Ok(VersionRequest::Exact(version.to_owned()));
    }
    let constraint = Constraint::parse(version);
    constraint.map(VersionRequest::Constraint).map_err(|error| Error::Pull(error.to_string()))
}

fn fetch(wanted: &Wanted, access: &Access) -> Result<(Resolved, ChartArchive), Error> {
    // Whoever called before has installed the same provider.
    drop(rustls::crypto::ring::default_provider().install_default());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(Error::StartClient)?;
    let registry = Registry::new(&no_cache());
    let done: Result<_, crate::registry::Error> = runtime.block_on(async {
        let now = std::time::Duration::ZERO;
        let resolved = registry.resolve(&wanted.reference, &wanted.request, access, now).await?;
        let archive = registry.pull(&resolved, access).await?;
        Ok((resolved, archive))
    });
    done.map_err(|error| Error::Pull(refusal::words(&error, wanted, access)))
}

/// Nothing is kept: a cache of no bytes writes no file, and needs no folder.
fn no_cache() -> Settings {
    Settings { cache_dir: Path::new("/nonexistent").to_owned(), cache_bytes: 0, chart_bytes: CHART_BYTES }
}
