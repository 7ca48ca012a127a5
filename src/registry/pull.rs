//! From a resolved reference to the bytes of the chart, or of a file, by digest all the way.

use bytes::Bytes;
use reqwest::StatusCode;

use super::cache::Cache;
use super::error::{Attempt, Error};
use super::manifest::{self, Content};
use super::memory::Memory;
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

/// What is kept of pulled content, and who has shown that they hold it.
///
/// The cache is shared by all, so what is in it is given only for a repository that gave the same bytes before.
pub(super) struct Store<'a> {
    pub(super) cache: &'a Cache,
    pub(super) memory: &'a Memory,
    /// Which layer is wanted.
    pub(super) content: Content,
    /// Most bytes of it.
    pub(super) limit: u64,
}

impl Store<'_> {
    /// The wanted layer of `reference`, which has `digest`, where nothing needs to be asked for it.
    pub(super) async fn kept(
        &self,
        reference: &ChartReference,
        digest: &Digest,
        attempt: &Attempt,
    ) -> Result<Option<ChartArchive>, Error> {
        let Some(manifest) = self.get(reference, digest, MAX_CACHED_MANIFEST).await else { return Ok(None) };
        let (chart_digest, size) = self.content.layer(&manifest, attempt)?;
        if size > self.limit {
            return Err(self.too_large(attempt));
        }
        let bytes = self.get(reference, &chart_digest, self.limit).await;
        Ok(bytes.map(|bytes| ChartArchive { digest: digest.clone(), chart_digest, bytes }))
    }

    /// The wanted layer of `reference`, which names `digest`. The manifest is asked for in any case where `anew`, so that
    /// the registry itself lets the session read it.
    pub(super) async fn fetch(
        &self,
        session: &Session<'_>,
        reference: &ChartReference,
        digest: &Digest,
        anew: bool,
    ) -> Result<ChartArchive, Error> {
        let kept = if anew { None } else { self.get(reference, digest, MAX_CACHED_MANIFEST).await };
        let manifest = if let Some(manifest) = kept {
            manifest
        } else {
            let manifest = twice(async || fetch_manifest(session, reference).await).await?;
            self.keep(reference, digest, &manifest).await;
            manifest
        };
        let (chart_digest, size) = self.content.layer(&manifest, session.attempt())?;
        if size > self.limit {
            return Err(self.too_large(session.attempt()));
        }
        let bytes = if let Some(bytes) = self.get(reference, &chart_digest, self.limit).await {
            bytes
        } else {
            let layer = async || self.fetch_layer(session, reference, &chart_digest).await;
            let bytes = twice(layer).await?;
            self.keep(reference, &chart_digest, &bytes).await;
            bytes
        };
        Ok(ChartArchive { digest: digest.clone(), chart_digest, bytes })
    }

    /// What `reference`'s repository gave, verified.
    pub(super) async fn keep(&self, reference: &ChartReference, digest: &Digest, content: &Bytes) {
        self.cache.put(digest, content).await;
        self.memory.gave(reference, digest);
    }

    async fn get(&self, reference: &ChartReference, digest: &Digest, max: u64) -> Option<Bytes> {
        if !self.memory.holds(reference, digest) {
            return None;
        }
        self.cache.get(digest, max).await
    }

    fn too_large(&self, attempt: &Attempt) -> Error {
        let (attempt, limit) = (attempt.clone(), self.limit);
        Error::TooLarge { attempt, what: self.content.name(), limit, unit: "bytes" }
    }

    async fn fetch_layer(
        &self,
        session: &Session<'_>,
        reference: &ChartReference,
        digest: &Digest,
    ) -> Result<Bytes, Error> {
        let path = format!("{}/blobs/{digest}", reference.repository());
        let answer = session.get(&path, "application/octet-stream, */*").await?;
        if answer.status() == StatusCode::NOT_FOUND && !answer.is_web_page() {
            return Err(Error::DigestNotFound { attempt: session.attempt().clone() });
        }
        let bytes = answer.success().await?.body(self.limit, self.content.name()).await?;
        manifest::verify(&bytes, digest.clone(), session.attempt())?;
        session.stats().downloads.add(1);
        session.stats().downloaded_bytes.add(bytes.len() as u64);
        Ok(bytes)
    }
}

/// What `ask` gets, asked once more where it came damaged: a flipped bit is gone the next time.
pub(super) async fn twice<T>(ask: impl AsyncFn() -> Result<T, Error>) -> Result<T, Error> {
    match ask().await {
        Err(error) if error.is_damage() => ask().await,
        result => result,
    }
}

async fn fetch_manifest(session: &Session<'_>, reference: &ChartReference) -> Result<Bytes, Error> {
    let fetched = manifest::fetch(session, reference).await?;
    let document = fetched.map(|(_, document)| document);
    document.ok_or_else(|| Error::DigestNotFound { attempt: session.attempt().clone() })
}
