//! Authorization as the registry demands it: basic, or a bearer token from the realm that it names.
//!
//! Docker's rules: credentials go to the registry and to the realm of its challenge, which may be another host. The
//! realm of an HTTPS registry must be HTTPS too. Tokens are kept per registry, repository and access until shortly
//! before they expire.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use http_auth::{ChallengeParser, ChallengeRef};
use reqwest::header::HeaderValue;
use reqwest::{Method, StatusCode, Url};
use serde::Deserialize;

use super::{Answer, Outgoing, Session, challenges};
use crate::registry::credentials::AccessKey;
use crate::registry::error::Error;

/// Most tokens kept.
const MAX_TOKENS: usize = 1024;

/// Most bytes of a token server's answer.
const MAX_TOKEN_BODY: u64 = 256 * 1024;

/// How long a token lasts that does not say it: the token specification's default.
const DEFAULT_LIFE: Duration = Duration::from_mins(1);

/// Longest time that a token, or the knowledge that a registry wants basic, is kept.
const MAX_LIFE: Duration = Duration::from_hours(1);

/// Authorization that a registry should accept, and how long it may be kept.
pub(super) struct Grant {
    /// The header's value, marked sensitive so that it never shows in `Debug`.
    pub(super) authorization: HeaderValue,
    /// Whether it is a token rather than the credentials themselves.
    pub(super) bearer: bool,
    life: Duration,
}

/// What a token is for.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Key {
    origin: String,
    repository: Option<String>,
    access: AccessKey,
}

impl Key {
    pub(super) fn of(session: &Session<'_>) -> Self {
        Self {
            origin: session.base.origin().ascii_serialization(),
            repository: session.repository.map(str::to_owned),
            access: session.key.clone(),
        }
    }
}

/// Granted authorizations, at most [`MAX_TOKENS`].
#[derive(Default)]
pub(super) struct Tokens {
    kept: Mutex<BTreeMap<Key, (HeaderValue, Instant)>>,
}

impl Tokens {
    pub(super) fn get(&self, key: &Key) -> Option<HeaderValue> {
        let kept = self.lock();
        let (authorization, until) = kept.get(key)?;
        (*until > Instant::now()).then(|| authorization.clone())
    }

    pub(super) fn forget(&self, key: &Key) {
        self.lock().remove(key);
    }

    pub(super) fn keep(&self, key: Key, grant: Grant) {
        let now = Instant::now();
        let mut kept = self.lock();
        if kept.len() >= MAX_TOKENS {
            kept.retain(|_, (_, until)| *until > now);
        }
        if kept.len() < MAX_TOKENS {
            kept.insert(key, (grant.authorization, now + grant.life));
        }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<Key, (HeaderValue, Instant)>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What a 401 demands.
enum Demand {
    Bearer { realm: String, service: Option<String> },
    Basic,
    Other,
}

/// Whether a stranger can go on from this 401 at all: a token server may serve them, basic cannot.
pub(super) fn offers_tokens(answer: &Answer<'_>) -> bool {
    matches!(demand(&challenges(answer)), Demand::Bearer { .. })
}

/// Whether a 401 says that the token was good but lacks the right (RFC 6750).
pub(super) fn lacks_scope(answer: &Answer<'_>) -> bool {
    challenges(answer).iter().any(|header| {
        parse(header).any(|challenge| parameter(&challenge, "error").as_deref() == Some("insufficient_scope"))
    })
}

/// Authorization that answers the 401 `answer`.
pub(super) async fn obtain(session: &Session<'_>, answer: Answer<'_>) -> Result<Grant, Error> {
    match (demand(&challenges(&answer)), &session.access.credentials) {
        (Demand::Bearer { realm, service }, _) => fetch(session, &realm, service.as_deref()).await,
        (Demand::Basic, Some(credentials)) => grant(session, &credentials.basic(), MAX_LIFE, false),
        (Demand::Basic | Demand::Other, _) => Err(Error::Unauthorized {
            attempt: session.attempt.clone(),
            anonymous: session.anonymous(),
            detail: answer.detail().await,
        }),
    }
}

/// The demand of the challenges: a token where one is offered, as Docker prefers it.
fn demand(headers: &[String]) -> Demand {
    let bearer = headers.iter().flat_map(|header| parse(header)).find_map(|challenge| {
        if !challenge.scheme.eq_ignore_ascii_case("bearer") {
            return None;
        }
        Some(Demand::Bearer { realm: parameter(&challenge, "realm")?, service: parameter(&challenge, "service") })
    });
    let basic = || {
        let mut challenges = headers.iter().flat_map(|header| parse(header));
        challenges.any(|challenge| challenge.scheme.eq_ignore_ascii_case("basic"))
    };
    match bearer {
        Some(bearer) => bearer,
        None if basic() => Demand::Basic,
        None => Demand::Other,
    }
}

/// The challenges of one header. Parts that are malformed are skipped: others in it may be of use.
fn parse(header: &str) -> impl Iterator<Item = ChallengeRef<'_>> {
    ChallengeParser::new(header).take_while(Result::is_ok).filter_map(Result::ok)
}

fn parameter(challenge: &ChallengeRef<'_>, name: &str) -> Option<String> {
    let mut parameters = challenge.params.iter();
    let (_, value) = parameters.find(|(key, _)| key.eq_ignore_ascii_case(name))?;
    Some(value.to_unescaped())
}

#[derive(Deserialize)]
struct TokenAnswer {
    token: Option<String>,
    access_token: Option<String>,
    expires_in: Option<u64>,
}

/// A token from `realm` for the session's repository (or for none, which only proves the credentials).
async fn fetch(session: &Session<'_>, realm: &str, service: Option<&str>) -> Result<Grant, Error> {
    let url = realm_url(session, realm, service)?;
    let host = url.authority().to_owned();
    let credentials = session.access.credentials.as_ref();
    let authorization = match credentials {
        Some(credentials) => Some(grant(session, &credentials.basic(), MAX_LIFE, false)?.authorization),
        None => None,
    };
    session.stats().tokens.add(1);
    let outgoing = Outgoing { method: Method::GET, url, accept: "application/json", authorization };
    let answer = session.follow(outgoing).await?;
    if answer.status() == StatusCode::NOT_FOUND {
        return Err(session.unexpected(&host, "status 404 where the registry sends for a token"));
    }
    let body = answer.success().await?.body(MAX_TOKEN_BODY, "the token server's answer").await?;
    let answer: TokenAnswer = serde_json::from_slice(&body)
        .map_err(|_| session.unexpected(&host, "no token document where the registry sends for a token"))?;
    let token = answer.token.or(answer.access_token).filter(|token| !token.is_empty());
    let Some(token) = token else {
        return Err(session.unexpected(&host, "a document without a token where the registry sends for one"));
    };
    let life = answer.expires_in.map_or(DEFAULT_LIFE, Duration::from_secs);
    grant(session, &format!("Bearer {token}"), life, true)
}

/// The realm with its query. An HTTPS registry's realm over plain HTTP would hand the credentials to anybody.
fn realm_url(session: &Session<'_>, realm: &str, service: Option<&str>) -> Result<Url, Error> {
    let host = session.base.authority();
    let mut url = Url::parse(realm).map_err(|_| session.unexpected(host, "a token realm that is no URL"))?;
    match url.scheme() {
        "https" => {}
        "http" if session.base.scheme() == "http" => {}
        _ => return Err(session.redirect(&url, "a token server without HTTPS, which must not get credentials")),
    }
    let mut query = url.query_pairs_mut();
    if let Some(service) = service {
        query.append_pair("service", service);
    }
    if let Some(repository) = session.repository {
        query.append_pair("scope", &format!("repository:{repository}:pull"));
    }
    drop(query);
    // Without any pair the URL would end in a bare question mark.
    if url.query() == Some("") {
        url.set_query(None);
    }
    Ok(url)
}

/// The grant of a header value; a tenth of its life is left unused for clocks and slow requests.
fn grant(session: &Session<'_>, value: &str, life: Duration, bearer: bool) -> Result<Grant, Error> {
    let mut authorization = HeaderValue::from_str(value)
        .map_err(|_| session.unexpected(session.base.authority(), "a token that cannot stand in a header"))?;
    authorization.set_sensitive(true);
    let life = life.min(MAX_LIFE) * 9 / 10;
    Ok(Grant { authorization, bearer, life })
}
