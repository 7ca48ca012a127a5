//! From a resolved reference to the bytes of the chart, by digest all the way.

use bytes::Bytes;
use reqwest::StatusCode;

use super::cache::Cache;
use super::error::Error;
use super::manifest;
use super::reference::{ChartReference, Digest};
use super::transport::Session;

/// Most bytes of a manifest that is taken from the cache.
const MAX_CACHED_MANIFEST: u64 = 4 * 1024 * 1024;

/// A chart's archive, verified against its digests.
#[derive(Debug, Clone)]
pub struct ChartArchive {
    /// The digest of the manifest.
    pub digest: Digest,
    /// The digest of the archive, the manifest's layer.
    pub chart_digest: Digest,
    /// The archive, a gzipped tar.
    pub bytes: Bytes,
}

/// The archive of `reference`, which names a digest; nothing is asked of the registry that the cache holds.
/// `limit` bounds the archive, in bytes.
pub(super) async fn archive(
    session: &Session<'_>,
    cache: &Cache,
    reference: &ChartReference,
    digest: &Digest,
    limit: u64,
) -> Result<ChartArchive, Error> {
    let manifest = match cache.get(digest, MAX_CACHED_MANIFEST).await {
        Some(manifest) => manifest,
        None => fetch_manifest(session, cache, reference).await?,
    };
    let (chart_digest, size) = manifest::chart_layer(&manifest, session.attempt())?;
    if size > limit {
        return Err(too_large(session, limit));
    }
    let bytes = match cache.get(&chart_digest, limit).await {
        Some(bytes) => {
            session.stats().cache_hits.add(1);
            bytes
        }
        None => fetch_layer(session, cache, reference, &chart_digest, limit).await?,
    };
    Ok(ChartArchive { digest: digest.clone(), chart_digest, bytes })
}

async fn fetch_manifest(session: &Session<'_>, cache: &Cache, reference: &ChartReference) -> Result<Bytes, Error> {
    let fetched = manifest::fetch(session, reference).await?;
    let Some((digest, document)) = fetched else {
        return Err(Error::DigestNotFound { attempt: session.attempt().clone() });
    };
    cache.put(&digest, &document).await;
    Ok(document)
}

async fn fetch_layer(
    session: &Session<'_>,
    cache: &Cache,
    reference: &ChartReference,
    digest: &Digest,
    limit: u64,
) -> Result<Bytes, Error> {
    let path = format!("{}/blobs/{digest}", reference.repository());
    let answer = session.get(&path, "application/octet-stream, */*").await?;
    if answer.status() == StatusCode::NOT_FOUND && !answer.is_web_page() {
        return Err(Error::DigestNotFound { attempt: session.attempt().clone() });
    }
    let bytes = answer.success().await?.body(limit, "the chart's archive").await?;
    let digest = manifest::verify(&bytes, digest.clone(), session.attempt())?;
    session.stats().downloads.add(1);
    session.stats().downloaded_bytes.add(bytes.len() as u64);
    cache.put(&digest, &bytes).await;
    Ok(bytes)
}

fn too_large(session: &Session<'_>, limit: u64) -> Error {
    Error::TooLarge { attempt: session.attempt().clone(), what: "the chart's archive", limit, unit: "bytes" }
}
