//! JSON schemas that charts refer to by URL.
//!
//! Helm fetches them from wherever a chart says. The operator stands inside a cluster, so a chart must not choose whom
//! it asks: only `https`, only public addresses (the address that was checked is the one connected to, on each
//! redirect, too), nothing with credentials in it, at most [`MAX_BYTES`] within [`TIME`]. A list of allowed hosts lifts
//! the rule of addresses for them. Behind a proxy names are not resolved here, so there a host must be on the list.
//!
//! What was fetched is kept on disk by URL and asked for again, by its `ETag`, after [`FRESH`]. While the host cannot be
//! reached the kept copy counts.

mod address;

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use hyper_util::client::proxy::matcher::Matcher;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::header::{ACCEPT, ETAG, HeaderValue, IF_NONE_MATCH, LOCATION};
use reqwest::{Client, Response, StatusCode, Url};
use serde::{Deserialize, Serialize};
use tokio::runtime::Handle;
use tokio::sync::Semaphore;

use super::cache::Cache;
use super::reference::Digest;
use super::transport::{cause, tls_config};
use super::trust::Roots;
use address::is_public;

/// Most bytes of one schema.
pub const MAX_BYTES: usize = 2 << 20;

/// How long one schema may take, redirects included.
const TIME: Duration = Duration::from_secs(10);

/// How long a kept schema is taken without asking.
const FRESH: Duration = Duration::from_hours(1);

/// How long a failure is told without asking again.
const FAILED: Duration = Duration::from_mins(1);

/// Most bytes kept on disk.
const CACHE_BYTES: u64 = 32 << 20;

/// Most failures remembered.
const MAX_FAILURES: usize = 1024;

/// Most redirects followed.
const MAX_REDIRECTS: usize = 5;

/// How many schemas are fetched at the same time.
const AT_ONCE: usize = 4;

/// Why a schema is not there.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SchemaError {
    /// It must not be asked for. Asking again gives the same answer until the chart or the operator's flags change.
    #[error("{url:?} is not fetched: {why}")]
    Refused {
        /// What was to be fetched, or what it redirects to; without query.
        url: String,
        /// The rule, and what lifts it.
        why: String,
    },
    /// It was asked for and did not come.
    #[error("failed to fetch {url:?}: {why}")]
    Unavailable {
        /// What was asked for; without query.
        url: String,
        /// What came back.
        why: String,
    },
}

impl SchemaError {
    fn refused(url: &Url, why: impl Into<String>) -> Self {
        Self::Refused { url: shown(url), why: why.into() }
    }

    fn unavailable(url: &Url, why: impl Into<String>) -> Self {
        Self::Unavailable { url: shown(url), why: why.into() }
    }

    /// Whether nobody was asked, by rule.
    pub fn is_refusal(&self) -> bool {
        matches!(self, Self::Refused { .. })
    }
}

/// An URL without what may be secret in it.
fn shown(url: &Url) -> String {
    format!("{}{}", url.origin().ascii_serialization(), url.path())
}

/// Fetches schemas; cloning shares the copies.
#[derive(Clone)]
pub struct Schemas {
    shared: Arc<Shared>,
}

struct Shared {
    allowed: Vec<String>,
    roots: Arc<Roots>,
    cache: Cache,
    proxies: Matcher,
    clients: OnceLock<Result<Clients, String>>,
    turns: Semaphore,
    failures: Mutex<BTreeMap<String, (Instant, SchemaError)>>,
}

struct Clients {
    /// Connects to public addresses only, and through no proxy.
    public: Client,
    /// For the hosts on the list.
    allowed: Client,
}

/// What a kept file begins with, in one line.
#[derive(Serialize, Deserialize)]
struct Head {
    url: String,
    etag: Option<String>,
}

struct Kept {
    head: Head,
    body: Arc<[u8]>,
    written: SystemTime,
}

impl Kept {
    fn is_fresh(&self) -> bool {
        SystemTime::now().duration_since(self.written).unwrap_or_default() < FRESH
    }
}

enum Answer {
    Body { body: Arc<[u8]>, etag: Option<String> },
    Unchanged,
}

impl std::fmt::Debug for Schemas {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Schemas")
    }
}

impl Schemas {
    pub(super) fn new(folder: &std::path::Path, keep: bool, roots: Arc<Roots>, allowed: Vec<String>) -> Self {
        let shared = Shared {
            allowed: allowed.into_iter().map(|host| host.to_ascii_lowercase()).collect(),
            roots,
            cache: Cache::new(folder, if keep { CACHE_BYTES } else { 0 }),
            proxies: Matcher::from_env(),
            clients: OnceLock::new(),
            turns: Semaphore::new(AT_ONCE),
            failures: Mutex::default(),
        };
        Self { shared: Arc::new(shared) }
    }

    /// The document at `url`; its fragment is not part of the question.
    ///
    /// # Errors
    /// [`SchemaError::Refused`] where a rule forbids it, [`SchemaError::Unavailable`] where nothing, or nothing usable,
    /// comes and no copy is kept. That the document is JSON is not looked at.
    pub async fn fetch(&self, url: &str) -> Result<Arc<[u8]>, SchemaError> {
        let mut parsed = Url::parse(url)
            .map_err(|error| SchemaError::Refused { url: String::new(), why: format!("it is no URL ({error})") })?;
        parsed.set_fragment(None);
        self.shared.route(&parsed)?;
        self.shared.get(&parsed).await
    }

    /// [`Self::fetch`] for a thread that renders: it waits on `runtime`, so never on one of the runtime's workers.
    ///
    /// # Errors
    /// As [`Self::fetch`].
    pub fn fetch_blocking(&self, url: &str, runtime: &Handle) -> Result<Arc<[u8]>, SchemaError> {
        runtime.block_on(self.fetch(url))
    }
}

impl Shared {
    async fn get(&self, url: &Url) -> Result<Arc<[u8]>, SchemaError> {
        match self.kept(url).await {
            Some(kept) if kept.is_fresh() => return Ok(kept.body),
            Some(kept) if self.known_failure(url).is_err() => return Ok(kept.body),
            Some(_) => {}
            None => self.known_failure(url)?,
        }
        let _turn = self.turns.acquire().await;
        // Whoever had the turn before may have asked for the same.
        let kept = match self.kept(url).await {
            Some(kept) if kept.is_fresh() => return Ok(kept.body),
            Some(kept) if self.known_failure(url).is_err() => return Ok(kept.body),
            kept => kept,
        };
        self.known_failure(url)?;
        let etag = kept.as_ref().and_then(|kept| kept.head.etag.as_deref());
        let late = || Err(SchemaError::unavailable(url, format!("no complete answer within {TIME:?}")));
        let answer = tokio::time::timeout(TIME, self.ask(url, etag)).await.unwrap_or_else(|_| late());
        match (answer, kept) {
            (Ok(Answer::Body { body, etag }), _) => {
                self.keep(url, etag, &body).await;
                Ok(body)
            }
            (Ok(Answer::Unchanged), Some(kept)) => {
                self.keep(url, kept.head.etag, &kept.body).await;
                Ok(kept.body)
            }
            (Ok(Answer::Unchanged), None) => Err(SchemaError::unavailable(url, "status 304 to a first question")),
            (Err(error @ SchemaError::Unavailable { .. }), Some(kept)) => {
                tracing::warn!(%error, "an older copy of the schema is used");
                self.remember(url, &error);
                Ok(kept.body)
            }
            (Err(error), _) => {
                self.remember(url, &error);
                Err(error)
            }
        }
    }

    /// Which client may ask for `url`, or why none may.
    fn route(&self, url: &Url) -> Result<bool, SchemaError> {
        if url.scheme() != "https" {
            return Err(SchemaError::refused(url, "only https is fetched"));
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(SchemaError::refused(url, "it holds a user name or password"));
        }
        let Some(host) = url.host_str() else {
            return Err(SchemaError::refused(url, "it has no host"));
        };
        if self.allows(host, url.port_or_known_default()) {
            return Ok(true);
        }
        if let Ok(address) = host.trim_matches(['[', ']']).parse::<IpAddr>()
            && !is_public(address)
        {
            return Err(SchemaError::refused(url, not_public(host, address)));
        }
        let destination = url.as_str().parse::<http::Uri>();
        if destination.is_ok_and(|destination| self.proxies.intercept(&destination).is_some()) {
            return Err(SchemaError::refused(
                url,
                format!("behind a proxy, which looks names up itself, {host:?} must be named in --remote-schema-hosts"),
            ));
        }
        Ok(false)
    }

    /// Whether `host` is on the list: as it is, with its port, or by `*.` and the domain above it.
    fn allows(&self, host: &str, port: Option<u16>) -> bool {
        let with_port = format!("{host}:{}", port.unwrap_or_default());
        let above = |pattern: &str| {
            pattern.strip_prefix('*').is_some_and(|domain| domain.starts_with('.') && host.ends_with(domain))
        };
        self.allowed.iter().any(|entry| *entry == host || *entry == with_port || above(entry))
    }

    /// Asks for `url` and follows its redirects by the same rules.
    async fn ask(&self, url: &Url, etag: Option<&str>) -> Result<Answer, SchemaError> {
        let clients = self.clients.get_or_init(|| self.build());
        let clients = clients.as_ref().map_err(|why| SchemaError::unavailable(url, why.clone()))?;
        let mut at = url.clone();
        for _ in 0..=MAX_REDIRECTS {
            let client = if self.route(&at)? { &clients.allowed } else { &clients.public };
            let mut request = client.get(at.clone()).header(ACCEPT, "application/schema+json, application/json, */*");
            if let Some(etag) = etag.and_then(|etag| HeaderValue::from_str(etag).ok()) {
                request = request.header(IF_NONE_MATCH, etag);
            }
            let response = request.send().await.map_err(|error| failure(&at, error))?;
            match (response.status(), response.headers().get(LOCATION)) {
                (StatusCode::NOT_MODIFIED, _) => return Ok(Answer::Unchanged),
                (status, Some(location)) if status.is_redirection() => {
                    let next = location.to_str().ok().and_then(|text| at.join(text).ok());
                    at = next.ok_or_else(|| SchemaError::unavailable(&at, "a redirect without a usable Location"))?;
                }
                (status, _) if status.is_success() => return body(&at, response).await,
                (status, _) => return Err(SchemaError::unavailable(&at, format!("status {}", status.as_u16()))),
            }
        }
        Err(SchemaError::unavailable(&at, "more than five redirects"))
    }

    fn build(&self) -> Result<Clients, String> {
        let tls = tls_config(&self.roots, None)?;
        let client = || {
            Client::builder()
                .user_agent(concat!("helm-operator/", env!("CARGO_PKG_VERSION")))
                .redirect(reqwest::redirect::Policy::none())
                .tls_backend_preconfigured(tls.clone())
                .pool_max_idle_per_host(1)
        };
        let public = client().no_proxy().dns_resolver(PublicOnly).build();
        let allowed = client().build();
        match (public, allowed) {
            (Ok(public), Ok(allowed)) => Ok(Clients { public, allowed }),
            (Err(error), _) | (_, Err(error)) => Err(error.to_string()),
        }
    }

    async fn kept(&self, url: &Url) -> Option<Kept> {
        let (content, written) = self.cache.named(&name(url), MAX_BYTES as u64 + 8192).await?;
        let end = content.iter().position(|byte| *byte == b'\n')?;
        let head: Head = serde_json::from_slice(&content[..end]).ok()?;
        (head.url == url.as_str()).then(|| Kept { head, body: content[end + 1..].into(), written })
    }

    async fn keep(&self, url: &Url, etag: Option<String>, body: &[u8]) {
        let Ok(mut content) = serde_json::to_vec(&Head { url: url.as_str().to_owned(), etag }) else { return };
        content.push(b'\n');
        content.extend_from_slice(body);
        self.cache.put_named(&name(url), content.into()).await;
        self.failures.lock().unwrap_or_else(PoisonError::into_inner).remove(url.as_str());
    }

    fn known_failure(&self, url: &Url) -> Result<(), SchemaError> {
        let failures = self.failures.lock().unwrap_or_else(PoisonError::into_inner);
        match failures.get(url.as_str()) {
            Some((at, error)) if at.elapsed() < FAILED => Err(error.clone()),
            _ => Ok(()),
        }
    }

    fn remember(&self, url: &Url, error: &SchemaError) {
        let mut failures = self.failures.lock().unwrap_or_else(PoisonError::into_inner);
        if failures.len() >= MAX_FAILURES {
            failures.retain(|_, (at, _)| at.elapsed() < FAILED);
        }
        if failures.len() < MAX_FAILURES {
            failures.insert(url.as_str().to_owned(), (Instant::now(), error.clone()));
        }
    }
}

/// The file that keeps `url`.
fn name(url: &Url) -> String {
    Digest::of(url.as_str().as_bytes()).as_str().replace(':', "-")
}

async fn body(url: &Url, mut response: Response) -> Result<Answer, SchemaError> {
    let etag = response.headers().get(ETAG).and_then(|etag| etag.to_str().ok()).map(str::to_owned);
    let etag = etag.filter(|etag| etag.len() <= 1024);
    let mut body = Vec::new();
    while let Some(part) = response.chunk().await.map_err(|error| failure(url, error))? {
        if body.len() + part.len() > MAX_BYTES {
            return Err(SchemaError::unavailable(url, format!("it is larger than {MAX_BYTES} bytes")));
        }
        body.extend_from_slice(&part);
    }
    Ok(Answer::Body { body: body.into(), etag })
}

fn failure(url: &Url, error: reqwest::Error) -> SchemaError {
    let error = error.without_url();
    match cause::<NotPublic>(&error) {
        Some(refusal) => SchemaError::refused(url, refusal.to_string()),
        None => SchemaError::unavailable(url, super::transport::innermost(&error)),
    }
}

fn not_public(host: &str, address: IpAddr) -> String {
    let stands_for = if host.trim_matches(['[', ']']) == address.to_string() {
        format!("{address} is no public address")
    } else {
        format!("{host:?} is {address}, which is no public address")
    };
    format!("{stands_for}; name the host in --remote-schema-hosts to allow it")
}

/// The system's resolver, without the addresses that are not public.
struct PublicOnly;

/// A name that has no public address.
#[derive(Debug, thiserror::Error)]
#[error("{}", not_public(.host, *.address))]
struct NotPublic {
    host: String,
    address: IpAddr,
}

impl Resolve for PublicOnly {
    fn resolve(&self, name: Name) -> Resolving {
        Box::pin(async move {
            let host = name.as_str().to_owned();
            // Port 0 is replaced by the URL's.
            let found: Vec<SocketAddr> = tokio::net::lookup_host((host.as_str(), 0)).await?.collect();
            let public: Vec<SocketAddr> = found.iter().copied().filter(|found| is_public(found.ip())).collect();
            match (public.is_empty(), found.first()) {
                (true, Some(found)) => Err(NotPublic { host, address: found.ip() }.into()),
                _ => Ok(Box::new(public.into_iter()) as Addrs),
            }
        })
    }
}
