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
//! their own, at most `max_age` ago, and only for a repository that gave its bytes once. Callers that ask the same at
//! the same time share one request.
//!
//! Each host has its own queue and its own pause after a failure ([`hosts`]); what was answered is known after a
//! restart ([`memory`]).

mod cache;
mod credentials;
mod error;
mod flight;
mod hosts;
mod manifest;
mod memory;
mod pull;
mod reference;
mod resolve;
mod schemas;
mod stats;
mod tags;
mod transport;
mod trust;

use std::fmt;
use std::future::Future;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use helm::semver::Constraint;
use reqwest::StatusCode;
use tokio::sync::broadcast;

pub use self::credentials::{Access, AccessKey, Credentials, CredentialsError};
pub use self::error::{Action, Attempt, Denial, Detail, Error, Mismatch, Wait};
pub use self::pull::ChartArchive;
pub use self::reference::{ChartReference, Digest, ReferenceError, RepositoryUrl};
pub use self::resolve::{Resolved, VersionRequest, VersionRequestError};
pub use self::schemas::{MAX_BYTES as SCHEMA_BYTES, SchemaError, Schemas};
pub use self::stats::{Counter, Stats};
pub use self::trust::{CaBundle, CaError, Trust};

use self::cache::Cache;
use self::flight::{Bounds, Flights};
use self::manifest::Content;
use self::memory::Memory;
use self::pull::Store;
use self::transport::Transport;

/// Most tag lists kept, failures included.
const MAX_TAG_LISTS: usize = 4096;

/// Most bytes of all tag lists that are kept.
const MAX_TAG_BYTES: usize = 32 << 20;

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
    /// Authorities that are trusted besides the system's (or the bundled ones), for every registry.
    pub ca: Option<CaBundle>,
    /// How long a registry is waited for, and how much is asked of it at once.
    pub limits: Limits,
}

impl Settings {
    /// A cache of at most `cache_bytes` in `cache_dir`, charts of at most `chart_bytes`; no authorities but the
    /// system's, the usual limits.
    pub fn new(cache_dir: impl Into<PathBuf>, cache_bytes: u64, chart_bytes: u64) -> Self {
        Self { cache_dir: cache_dir.into(), cache_bytes, chart_bytes, ca: None, limits: Limits::default() }
    }
}

/// How long a registry is waited for, and how much is asked of it at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// For a connection, TLS included.
    pub connect: Duration,
    /// From a request to the head of its answer.
    pub answer: Duration,
    /// Between two parts of an answer.
    pub idle: Duration,
    /// For a whole call of [`Registry`], the queue for the host included; an [`Access`] may say less.
    pub whole: Duration,
    /// How many calls ask one host at the same time; the others queue.
    pub per_host: usize,
    /// How long a registry that failed once is left alone. Doubled with each further failure in a row.
    pub first_pause: Duration,
    /// How long it is left alone at most.
    pub longest_pause: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(10),
            answer: Duration::from_secs(30),
            idle: Duration::from_secs(30),
            whole: Duration::from_mins(10),
            per_host: 8,
            first_pause: Duration::from_secs(1),
            longest_pause: Duration::from_secs(15),
        }
    }
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
    /// Where things are kept, if at all.
    cache_dir: Option<PathBuf>,
    chart_bytes: u64,
    limits: Limits,
    memory: Memory,
    tags: Flights<PerRepository, Arc<[String]>>,
    digests: Flights<(ChartReference, AccessKey), Digest>,
    pulls: Flights<(ChartReference, Content, AccessKey), ChartArchive>,
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
                transport: Transport::new(settings),
                cache: Cache::new(&settings.cache_dir, settings.cache_bytes),
                cache_dir: (settings.cache_bytes > 0).then(|| settings.cache_dir.clone()),
                chart_bytes: settings.chart_bytes,
                limits: settings.limits,
                memory: Memory::open((settings.cache_bytes > 0).then_some(settings.cache_dir.as_path())),
                tags: Flights::new(Bounds { count: MAX_TAG_LISTS, bytes: MAX_TAG_BYTES, weigh: weigh_tags }),
                digests: Flights::new(Bounds { count: MAX_DIGESTS, bytes: usize::MAX, weigh: |_| 1 }),
                // A chart is on disk, or wanted by nobody.
                pulls: Flights::new(Bounds { count: MAX_PULLS, bytes: 0, weigh: |archive| archive.bytes.len() }),
            }),
        }
    }

    /// What was asked of registries so far.
    pub fn stats(&self) -> &Stats {
        self.shared.transport.stats()
    }

    /// Whose certificates are trusted before a repository gives its own.
    pub fn trust(&self) -> Trust {
        self.shared.transport.trust()
    }

    /// Fetches JSON schemas that charts refer to, with this registry's authorities and beside its cache; from public
    /// addresses, and from `allowed` hosts (`name`, `name:port` or `*.domain`) whatever their addresses.
    pub fn schemas(&self, allowed: Vec<String>) -> Schemas {
        let folder = self.shared.cache_dir.as_ref().map(|folder| folder.join("schemas"));
        let keep = folder.is_some();
        Schemas::new(&folder.unwrap_or_default(), keep, self.shared.transport.roots(), allowed)
    }

    /// Names hosts, as references write them, that answer again after an outage: what failed for want of one of them
    /// need not wait for its own next try. A receiver that lags has missed some.
    pub fn recoveries(&self) -> broadcast::Receiver<String> {
        self.shared.transport.recoveries()
    }

    /// Asks whether an OCI registry answers at `url` and takes the credentials of `access`.
    ///
    /// Without credentials a registry that offers tokens to strangers is fine: which repositories it lets them read
    /// shows only when one is asked for ([`Self::tags`]).
    pub async fn probe(&self, url: &RepositoryUrl, access: &Access) -> Result<(), Error> {
        let attempt = Attempt::new(Action::Probe, &format!("oci://{}", url.host()));
        self.within(access, &attempt, url.host(), async {
            let session = self.shared.transport.session(access, url.host(), None, attempt.clone()).await?;
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
            let session =
                self.shared.transport.session(access, reference.host(), Some(repository), attempt.clone()).await?;
            tags::list(&session, repository).await
        };
        let answer = self.shared.tags.run(&question, &key, max_age, fetch);
        self.within(access, &attempt, reference.host(), answer).await
    }

    /// Bounds `work` by the access's timeout, and by that of all calls.
    async fn within<T>(
        &self,
        access: &Access,
        attempt: &Attempt,
        host: &str,
        work: impl Future<Output = Result<T, Error>>,
    ) -> Result<T, Error> {
        let after = access.timeout.min(self.shared.limits.whole);
        let late =
            || Error::Timeout { attempt: attempt.clone(), host: host.to_owned(), wait: Wait::WholeAnswer, after };
        tokio::time::timeout(after, work).await.unwrap_or_else(|_| Err(late()))
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
        let resolved = self.within(access, &attempt, reference.host(), resolving).await?;
        self.shared.memory.read(&resolved.reference, &resolved.digest, &access.key());
        Ok(resolved)
    }

    /// What a record says was resolved. It opens the cache only where the registry showed this very access once that it
    /// may read it: whoever can write the record could name any digest.
    pub fn recorded(&self, reference: &ChartReference, version: String, digest: Digest, access: &Access) -> Resolved {
        let key = access.key();
        let proof = self.shared.memory.has_read(reference, &digest, &key).then_some(key);
        Resolved { reference: reference.with_digest(digest.clone()), version, digest, proof }
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
            return Ok(resolved(&tagged, self.digest(&tagged, access, max_age).await?, access));
        }
        let answer = self.digest(&tagged, access, max_age).await;
        if let Ok(digest) = &answer {
            self.shared.memory.tagged(&tagged, digest);
        }
        match (answer, pin) {
            (Ok(actual), Some(pin)) if actual != *pin => Err(Error::DigestMismatch {
                attempt: Attempt::new(Action::Resolve, &tagged),
                expected: pin.clone(),
                actual,
                kind: self.mismatch(&tagged, pin, request, reference.tag().is_some()),
            }),
            (Ok(digest), _) => Ok(resolved(&tagged, digest, access)),
            (Err(Error::TagNotFound { .. }), Some(pin)) => {
                let pinned = tagged.untagged().with_digest(pin.clone());
                Ok(resolved(&tagged, self.digest(&pinned, access, max_age).await?, access))
            }
            (Err(Error::TagNotFound { attempt, tag, .. }), None) => {
                let nearest = self.nearest(&tagged, access, max_age).await?;
                Err(Error::TagNotFound { attempt, tag, nearest })
            }
            (Err(error), _) => Err(error),
        }
    }

    /// Why `tagged` has not the digest `pin`; `named` when the reference itself names the tag.
    fn mismatch(&self, tagged: &ChartReference, pin: &Digest, request: &VersionRequest, named: bool) -> Mismatch {
        if self.shared.memory.was_tagged(tagged, pin) {
            Mismatch::TagMoved
        } else if named || matches!(request, VersionRequest::Exact(_)) {
            Mismatch::Apart
        } else {
            Mismatch::Chosen
        }
    }

    fn store(&self, content: Content, limit: u64) -> Store<'_> {
        let Shared { cache, memory, .. } = &*self.shared;
        Store { cache, memory, content, limit }
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
            None => Err(no_match(attempt, request, &tags, constraint)),
        }
    }

    /// The digest that `reference`'s tag has, or its own digest if it exists.
    async fn digest(&self, reference: &ChartReference, access: &Access, max_age: Duration) -> Result<Digest, Error> {
        let attempt = Attempt::new(Action::ReadManifest, reference);
        let key = access.key();
        let question = (reference.clone(), key.clone());
        let fetch = async {
            let repository = Some(reference.repository());
            let session = self.shared.transport.session(access, reference.host(), repository, attempt.clone()).await?;
            let store = self.store(Content::Chart, self.shared.chart_bytes);
            let digest = manifest::digest(&session, &store, reference).await?;
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
    ///
    /// The cache is no way around the registry: what another access resolved is asked for again with this one.
    pub async fn pull(&self, resolved: &Resolved, access: &Access) -> Result<ChartArchive, Error> {
        self.content(Action::Download, resolved, access, self.store(Content::Chart, self.shared.chart_bytes)).await
    }

    /// A file of an artifact that was resolved, of at most `limit` bytes: the layer with that title, or without one the
    /// layer titled `values.yaml`, or the only one. Taken from the cache like a chart.
    pub async fn file(
        &self,
        resolved: &Resolved,
        title: Option<&str>,
        limit: u64,
        access: &Access,
    ) -> Result<Bytes, Error> {
        let store = self.store(Content::File(title.map(str::to_owned)), limit);
        Ok(self.content(Action::ReadFile, resolved, access, store).await?.bytes)
    }

    async fn content(
        &self,
        action: Action,
        resolved: &Resolved,
        access: &Access,
        store: Store<'_>,
    ) -> Result<ChartArchive, Error> {
        let reference = resolved.reference.with_digest(resolved.digest.clone());
        let attempt = Attempt::new(action, &reference);
        let key = access.key();
        let proven = resolved.is_proven(access);
        let question = (reference.clone(), store.content.clone(), key.clone());
        let fetch = async {
            if proven && let Some(archive) = store.kept(&reference, &resolved.digest, &attempt).await? {
                self.stats().cache_hits.add(1);
                return Ok(archive);
            }
            let repository = Some(reference.repository());
            let transport = &self.shared.transport;
            let session = transport.session(access, reference.host(), repository, attempt.clone()).await?;
            store.fetch(&session, &reference, &resolved.digest, !proven).await
        };
        let archive = self.shared.pulls.run(&question, &key, Duration::ZERO, fetch);
        self.within(access, &attempt, reference.host(), archive).await
    }
}

/// About how many bytes a list of tags takes.
fn weigh_tags(tags: &Arc<[String]>) -> usize {
    tags.iter().map(|tag| size_of::<String>() + tag.capacity() + 16).sum()
}

fn resolved(reference: &ChartReference, digest: Digest, access: &Access) -> Resolved {
    Resolved {
        proof: Some(access.key()),
        version: reference.tag().map(resolve::version_of).unwrap_or_default(),
        reference: reference.with_digest(digest.clone()),
        digest,
    }
}

fn conflict(attempt: Attempt, tag: &str, request: &VersionRequest) -> Error {
    Error::VersionConflict { attempt, tag: tag.to_owned(), version: request.to_string() }
}

fn no_match(attempt: Attempt, request: &VersionRequest, tags: &[String], constraint: Option<&Constraint>) -> Error {
    let (existing, total) = resolve::existing(tags);
    let hint = resolve::with_prereleases(tags, constraint);
    Error::NoMatchingVersion { attempt, constraint: request.to_string(), existing, total, hint }
}
