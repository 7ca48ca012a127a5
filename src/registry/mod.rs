//! OCI registries: resolve a version, pull a chart, by digest.
//!
//! ```text
//! RepositoryUrl, ChartReference, VersionRequest, Access     parsed by the caller (reference, resolve, credentials)
//!   → probe     does a registry answer, and take the credentials
//!   → resolve   tags → choose (pure) → the digest that the tag has now
//!   → pull      manifest → chart layer → bytes, verified, kept on disk (manifest, pull, cache)
//! ```
//!
//! [`Registry`] is the handle to all of it; cloning shares connections, tokens and caches. Answers are kept by
//! repository *and* access: a chart in the shared cache is given only to who has resolved it with credentials of
//! their own, at most `max_age` ago. Callers that ask the same at the same time share one request.

mod cache;
mod credentials;
mod error;
mod flight;
mod manifest;
mod pull;
mod reference;
mod resolve;
mod stats;
mod tags;
mod transport;

use std::fmt;
use std::future::Future;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use reqwest::StatusCode;

pub use self::credentials::{Access, AccessKey, Credentials, CredentialsError};
pub use self::error::{Action, Attempt, Detail, Error};
pub use self::pull::ChartArchive;
pub use self::reference::{ChartReference, Digest, ReferenceError, RepositoryUrl};
pub use self::resolve::{Resolved, VersionRequest, VersionRequestError};
pub use self::stats::{Counter, Stats};

use self::cache::Cache;
use self::flight::Flights;
use self::transport::Transport;

/// Most tag lists kept.
const MAX_TAG_LISTS: usize = 256;

/// Most digests of tags kept.
const MAX_DIGESTS: usize = 4096;

/// Most pulls in flight that can be shared.
const MAX_PULLS: usize = 1024;

/// What a [`Registry`] may use.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Folder for pulled content; made when needed, and disposable.
    pub cache_dir: PathBuf,
    /// Most bytes in that folder.
    pub cache_bytes: u64,
    /// Most bytes of one chart's archive.
    pub chart_bytes: u64,
}

/// The handle to all registries.
#[derive(Clone)]
pub struct Registry {
    shared: Arc<Shared>,
}

type PerRepository = (String, String, AccessKey);

struct Shared {
    transport: Transport,
    cache: Cache,
    chart_bytes: u64,
    tags: Flights<PerRepository, Arc<[String]>>,
    digests: Flights<(ChartReference, AccessKey), Digest>,
    pulls: Flights<ChartReference, ChartArchive>,
}

impl fmt::Debug for Registry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Registry")
    }
}

impl Registry {
    /// A handle with empty caches in memory; what is on disk in `settings.cache_dir` is used.
    pub fn new(settings: &Settings) -> Self {
        Self {
            shared: Arc::new(Shared {
                transport: Transport::new(),
                cache: Cache::new(&settings.cache_dir, settings.cache_bytes),
                chart_bytes: settings.chart_bytes,
                tags: Flights::new(MAX_TAG_LISTS),
                digests: Flights::new(MAX_DIGESTS),
                pulls: Flights::new(MAX_PULLS),
            }),
        }
    }

    /// What was asked of registries so far.
    pub fn stats(&self) -> &Stats {
        self.shared.transport.stats()
    }

    /// Asks whether an OCI registry answers at `url` and takes the credentials of `access`.
    ///
    /// Without credentials a registry that offers tokens to strangers is fine: which repositories it lets them read
    /// shows only when one is asked for ([`Self::tags`]).
    pub async fn probe(&self, url: &RepositoryUrl, access: &Access) -> Result<(), Error> {
        let attempt = Attempt::new(Action::Probe, &format!("oci://{}", url.host()));
        within(access, &attempt, url.host(), async {
            let session = self.shared.transport.session(access, url.host(), None, attempt.clone())?;
            if access.credentials.is_none() {
                let answer = session.challenge().await?;
                if answer.status() == StatusCode::UNAUTHORIZED && answer.offers_tokens() {
                    return Ok(());
                }
                return answer.api().await;
            }
            session.get("", "*/*").await?.api().await
        })
        .await
    }

    /// The tags of `reference`'s repository, not older than `max_age`.
    pub async fn tags(
        &self,
        reference: &ChartReference,
        access: &Access,
        max_age: Duration,
    ) -> Result<Arc<[String]>, Error> {
        let attempt = Attempt::new(Action::ListTags, &reference.untagged());
        let key = access.key();
        let question = (reference.host().to_owned(), reference.repository().to_owned(), key.clone());
        let fetch = async {
            let repository = reference.repository();
            let session = self.shared.transport.session(access, reference.host(), Some(repository), attempt.clone())?;
            tags::list(&session, repository).await
        };
        let answer = self.shared.tags.run(&question, &key, max_age, fetch);
        within(access, &attempt, reference.host(), answer).await
    }

    /// The tag and digest that `request` means in `reference`'s repository, by answers not older than `max_age`.
    ///
    /// A tag in `reference` is a request for it. A digest in `reference` is a pin: the tag must have it, else
    /// [`Error::DigestMismatch`]; where the tag is gone the pinned content still counts, as in Helm.
    pub async fn resolve(
        &self,
        reference: &ChartReference,
        request: &VersionRequest,
        access: &Access,
        max_age: Duration,
    ) -> Result<Resolved, Error> {
        let attempt = Attempt::new(Action::Resolve, reference);
        let resolving = Box::pin(self.resolve_within(reference, request, access, max_age));
        within(access, &attempt, reference.host(), resolving).await
    }

    async fn resolve_within(
        &self,
        reference: &ChartReference,
        request: &VersionRequest,
        access: &Access,
        max_age: Duration,
    ) -> Result<Resolved, Error> {
        let tagged = self.tagged(reference, request, access, max_age).await?;
        let pin = reference.digest();
        if tagged.tag().is_none() {
            // Only a digest is asked for; `tagged` then carries it.
            return Ok(resolved(&tagged, self.digest(&tagged, access, max_age).await?));
        }
        match (self.digest(&tagged, access, max_age).await, pin) {
            (Ok(actual), Some(pin)) if actual != *pin => Err(Error::DigestMismatch {
                attempt: Attempt::new(Action::Resolve, &tagged),
                expected: pin.clone(),
                actual,
                moved: true,
            }),
            (Ok(digest), _) => Ok(resolved(&tagged, digest)),
            (Err(Error::TagNotFound { .. }), Some(pin)) => {
                let pinned = tagged.untagged().with_digest(pin.clone());
                Ok(resolved(&tagged, self.digest(&pinned, access, max_age).await?))
            }
            (Err(Error::TagNotFound { attempt, tag, .. }), None) => {
                let nearest = self.nearest(&tagged, access, max_age).await?;
                Err(Error::TagNotFound { attempt, tag, nearest })
            }
            (Err(error), _) => Err(error),
        }
    }

    /// `reference` with the tag that `request` means and without digest, or with its digest alone.
    async fn tagged(
        &self,
        reference: &ChartReference,
        request: &VersionRequest,
        access: &Access,
        max_age: Duration,
    ) -> Result<ChartReference, Error> {
        let attempt = Attempt::new(Action::Resolve, reference);
        let at = |version: &str| {
            let tagged = reference.untagged().with_tag(version);
            tagged.map_err(|source| Error::Reference { attempt: attempt.clone(), source })
        };
        if let Some(tag) = reference.tag() {
            return if resolve::admits(request, tag) { at(tag) } else { Err(conflict(attempt, tag, request)) };
        }
        let constraint = match request {
            VersionRequest::Exact(version) => return at(version),
            VersionRequest::Newest if reference.digest().is_some() => return Ok(reference.clone()),
            VersionRequest::Newest => None,
            VersionRequest::Constraint(constraint) => Some(constraint),
        };
        let tags = self.tags(reference, access, max_age).await?;
        match resolve::choose(&tags, constraint) {
            Some(tag) => at(tag),
            None => Err(no_match(attempt, request, &tags)),
        }
    }

    /// The digest that `reference`'s tag has, or its own digest if it exists.
    async fn digest(&self, reference: &ChartReference, access: &Access, max_age: Duration) -> Result<Digest, Error> {
        let attempt = Attempt::new(Action::ReadManifest, reference);
        let key = access.key();
        let question = (reference.clone(), key.clone());
        let fetch = async {
            let repository = Some(reference.repository());
            let session = self.shared.transport.session(access, reference.host(), repository, attempt.clone())?;
            let digest = manifest::digest(&session, reference).await?;
            digest.ok_or_else(|| match reference.tag() {
                Some(tag) => Error::TagNotFound { attempt: attempt.clone(), tag: tag.to_owned(), nearest: Vec::new() },
                None => Error::DigestNotFound { attempt: attempt.clone() },
            })
        };
        self.shared.digests.run(&question, &key, max_age, fetch).await
    }

    /// The versions nearest to `missing`'s tag; an error when the tag is missing because its repository is.
    async fn nearest(
        &self,
        missing: &ChartReference,
        access: &Access,
        max_age: Duration,
    ) -> Result<Vec<String>, Error> {
        match self.tags(missing, access, max_age).await {
            Ok(tags) => Ok(resolve::nearest(&tags, missing.tag().unwrap_or_default())),
            Err(error @ Error::RepositoryNotFound { .. }) => Err(error),
            // Some registries let nobody list; the missing tag is the trouble all the same.
            Err(_) => Ok(Vec::new()),
        }
    }

    /// The archive of what was resolved; taken from the cache on disk when it is there.
    pub async fn pull(&self, resolved: &Resolved, access: &Access) -> Result<ChartArchive, Error> {
        let reference = resolved.reference.with_digest(resolved.digest.clone());
        let attempt = Attempt::new(Action::Download, &reference);
        let fetch = async {
            let repository = Some(reference.repository());
            let shared = &self.shared;
            let session = shared.transport.session(access, reference.host(), repository, attempt.clone())?;
            pull::archive(&session, &shared.cache, &reference, &resolved.digest, shared.chart_bytes).await
        };
        let key = access.key();
        let archive = self.shared.pulls.run(&reference, &key, Duration::ZERO, fetch);
        within(access, &attempt, reference.host(), archive).await
    }
}

/// Bounds `work` by the access's timeout.
async fn within<T>(
    access: &Access,
    attempt: &Attempt,
    host: &str,
    work: impl Future<Output = Result<T, Error>>,
) -> Result<T, Error> {
    match tokio::time::timeout(access.timeout, work).await {
        Ok(result) => result,
        Err(_) => Err(Error::Timeout { attempt: attempt.clone(), host: host.to_owned(), after: access.timeout }),
    }
}

fn resolved(reference: &ChartReference, digest: Digest) -> Resolved {
    Resolved {
        version: reference.tag().map(resolve::version_of).unwrap_or_default(),
        reference: reference.with_digest(digest.clone()),
        digest,
    }
}

fn conflict(attempt: Attempt, tag: &str, request: &VersionRequest) -> Error {
    Error::VersionConflict { attempt, tag: tag.to_owned(), version: request.to_string() }
}

fn no_match(attempt: Attempt, request: &VersionRequest, tags: &[String]) -> Error {
    let (existing, total) = resolve::existing(tags);
    Error::NoMatchingVersion { attempt, constraint: request.to_string(), existing, total }
}
