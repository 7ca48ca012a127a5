//! Charts from registries: a reference and a version to an archive, on the terms that the flags set.
//!
//! With [`super::schemas`] the only step that needs a runtime and TLS: both start when an `oci://` reference is given.

use std::time::Duration;

use bytes::Bytes;

use super::login;
use super::read::read;
use super::refusal;
use super::wanted::Wanted;
use super::{Error, RegistryOptions};
use crate::registry::{Access, ChartArchive, Registry, Resolved, Settings};

/// Most bytes of a chart's archive.
const CHART_BYTES: u64 = helm::chart::Limits::ARCHIVE_BYTES;

/// How old a list of tags may be: the process is younger.
const TAGS_AGE: Duration = Duration::from_hours(1);

/// All versions, pre-releases included.
const ANY: &str = ">0.0.0-0";

/// What certificates in PEM begin with.
const CERTIFICATE: &[u8] = b"-----BEGIN CERTIFICATE-----";

/// What was being asked for when a trouble came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stage {
    /// Which versions there are.
    Tags,
    /// The manifest of one version.
    Manifest,
    /// The archive.
    Archive,
}

/// The certificates of `--ca-file`. Helm reads them whatever the chart is.
pub(super) fn authority(options: &RegistryOptions) -> Result<Option<Vec<u8>>, Error> {
    let file = options.ca_file.as_deref().filter(|file| !file.as_os_str().is_empty());
    let Some(file) = file else { return Ok(None) };
    let pem = read(file).map_err(|source| Error::ReadAuthority { path: file.to_owned(), source })?;
    if pem.windows(CERTIFICATE.len()).any(|window| window == CERTIFICATE) {
        Ok(Some(pem))
    } else {
        Err(Error::NoCertificates)
    }
}

/// The archive of the chart that `url` means. What was pulled goes to `notices`, as Helm tells it.
pub(super) fn pull(
    url: &str,
    authority: Option<Vec<u8>>,
    options: &RegistryOptions,
    notices: &mut Vec<String>,
) -> Result<Bytes, Error> {
    let version = options.version.as_deref().unwrap_or_default().trim();
    let wanted = Wanted::new(url, if version.is_empty() && options.devel { ANY } else { version })?;
    let access = Access {
        credentials: login::credentials(options, &wanted.reference)?,
        // Helm's client speaks HTTPS as soon as anything is said about certificates.
        plain_http: options.plain_http && authority.is_none() && !options.insecure_skip_tls_verify,
        ca_pem: authority,
        insecure_skip_verify: options.insecure_skip_tls_verify,
        ..Access::default()
    };
    let (resolved, archive) = fetch(&wanted, &access)?;
    let reference = &resolved.reference;
    let name = match reference.tag() {
        Some(tag) if wanted.reference.digest().is_none() => format!(":{tag}"),
        Some(_) | None => format!("@{}", resolved.digest),
    };
    notices.push(format!("Pulled: {}/{}{name}", reference.host(), reference.repository()));
    notices.push(format!("Digest: {}", resolved.digest));
    Ok(archive.bytes)
}

fn fetch(wanted: &Wanted, access: &Access) -> Result<(Resolved, ChartArchive), Error> {
    let runtime = runtime().map_err(Error::StartClient)?;
    let registry = Registry::new(&no_cache());
    let refused = |stage| {
        move |error| Error::Pull { words: refusal::words(&error, stage, wanted, access), source: Box::new(error) }
    };
    runtime.block_on(async {
        if !wanted.is_exact() && wanted.reference.digest().is_none() {
            registry.tags(&wanted.reference, access, TAGS_AGE).await.map_err(refused(Stage::Tags))?;
        }
        let resolved = registry.resolve(&wanted.reference, &wanted.request, access, TAGS_AGE).await;
        let resolved = resolved.map_err(refused(Stage::Manifest))?;
        let archive = registry.pull(&resolved, access).await.map_err(refused(Stage::Archive))?;
        Ok((resolved, archive))
    })
}

/// What a client needs: a runtime, and a TLS library.
pub(super) fn runtime() -> std::io::Result<tokio::runtime::Runtime> {
    // Fails where somebody has installed one before.
    drop(rustls::crypto::ring::default_provider().install_default());
    tokio::runtime::Builder::new_current_thread().enable_all().build()
}

/// Nothing is kept: a cache of no bytes writes no file, and needs no folder.
pub(super) fn no_cache() -> Settings {
    Settings::new("/nonexistent", 0, CHART_BYTES)
}
