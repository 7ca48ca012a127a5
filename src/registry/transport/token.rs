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
use crate::registry::credentials::{AccessKey, Credentials};
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
    Bearer { realm: String, service: Option<String>, scope: Option<String> },
    Basic,
    Other,
}

/// What a challenge asks for besides its realm.
struct Asked<'a> {
    service: Option<&'a str>,
    scope: Option<&'a str>,
}

/// Whether a stranger can go on from this 401 at all: a token server may serve them, basic cannot.
pub(super) fn offers_tokens(answer: &Answer<'_>) -> bool {
    matches!(demand(&challenges(answer)), Demand::Bearer { .. })
}

/// Whether a 401 says that the token was good but lacks the right (RFC 6750).
pub(super) fn lacks_scope(challenges: &[String]) -> bool {
    says(challenges, "insufficient_scope")
}

/// Whether a 401 says that the token is none, or no longer (RFC 6750).
pub(super) fn is_invalid(challenges: &[String]) -> bool {
    says(challenges, "invalid_token")
}

fn says(challenges: &[String], error: &str) -> bool {
    challenges
        .iter()
        .any(|header| parse(header).any(|challenge| parameter(&challenge, "error").as_deref() == Some(error)))
}

/// Authorization that answers the 401 `answer`.
pub(super) async fn obtain(session: &Session<'_>, answer: Answer<'_>) -> Result<Grant, Error> {
    match (demand(&challenges(&answer)), &session.access.credentials) {
        (Demand::Bearer { realm, service, scope }, _) => {
            let asked = Asked { service: service.as_deref(), scope: scope.as_deref() };
            fetch(session, &realm, &asked).await
        }
        (Demand::Basic, Some(credentials)) => grant(session, &credentials.basic(), MAX_LIFE, false),
        (Demand::Basic | Demand::Other, _) => Err(session.unauthorized(false, answer.detail().await)),
    }
}

/// The demand of the challenges: a token where one is offered, as Docker prefers it.
fn demand(headers: &[String]) -> Demand {
    let bearer = headers.iter().flat_map(|header| parse(header)).find_map(|challenge| {
        if !challenge.scheme.eq_ignore_ascii_case("bearer") {
            return None;
        }
        let [service, scope] = ["service", "scope"].map(|name| parameter(&challenge, name));
        Some(Demand::Bearer { realm: parameter(&challenge, "realm")?, service, scope })
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
    /// Seconds. Some servers write `300.0`, or a text.
    expires_in: Option<serde_json::Value>,
}

impl TokenAnswer {
    /// Some servers send both, one of them empty.
    fn token(&self) -> Option<&str> {
        [&self.token, &self.access_token].into_iter().flatten().map(String::as_str).find(|token| !token.is_empty())
    }

    fn life(&self) -> Duration {
        let seconds = self.expires_in.as_ref().and_then(|value| match value {
            serde_json::Value::String(text) => text.trim().parse().ok(),
            other => other.as_f64(),
        });
        let life = seconds.map(|seconds: f64| Duration::try_from_secs_f64(seconds.max(0.0)).unwrap_or(MAX_LIFE));
        life.unwrap_or(DEFAULT_LIFE)
    }
}

/// A token from `realm` for the session's repository (or for none, which only proves the credentials).
async fn fetch(session: &Session<'_>, realm: &str, asked: &Asked<'_>) -> Result<Grant, Error> {
    let realm = realm_url(session, realm)?;
    let host = realm.authority().to_owned();
    session.stats().tokens.add(1);
    let answer = session.follow(question(session, realm, asked)?).await?;
    if answer.status() == StatusCode::NOT_FOUND {
        return Err(session.unexpected(&host, "status 404 where the registry sends for a token"));
    }
    if !answer.status().is_success() {
        return Err(answer.token_trouble().await);
    }
    let body = answer.success().await?.body(MAX_TOKEN_BODY, "the token server's answer").await?;
    let answer: TokenAnswer = serde_json::from_slice(&body)
        .map_err(|_| session.unexpected(&host, "no token document where the registry sends for a token"))?;
    let Some(token) = answer.token() else {
        return Err(session.unexpected(&host, "a document without a token where the registry sends for one"));
    };
    grant(session, &format!("Bearer {token}"), answer.life(), true)
}

/// The realm as an URL. An HTTPS registry's realm over plain HTTP would hand the credentials to anybody.
fn realm_url(session: &Session<'_>, realm: &str) -> Result<Url, Error> {
    let url =
        Url::parse(realm).map_err(|_| session.unexpected(session.base.authority(), "a token realm that is no URL"))?;
    match (url.scheme(), session.base.scheme()) {
        ("https", _) | ("http", "http") => Ok(url),
        _ => Err(session.redirect(&url, "a token server without HTTPS, which must not get credentials")),
    }
}

/// The request for a token: `GET` as a user or a stranger, or `POST` to exchange an identity token (OAuth 2).
fn question(session: &Session<'_>, realm: Url, asked: &Asked<'_>) -> Result<Outgoing<'static>, Error> {
    let scope = session.repository.map(|repository| scope(repository, asked.scope));
    let subject = [("service", asked.service), ("scope", scope.as_deref())];
    let subject = subject.into_iter().filter_map(|(key, value)| Some((key, value?)));
    let credentials = session.access.credentials.as_ref();
    let accept = "application/json";
    if let Some(identity_token) = credentials.and_then(Credentials::identity_token) {
        let exchange =
            [("grant_type", "refresh_token"), ("client_id", "helm-operator"), ("refresh_token", identity_token)];
        let mut form = realm.clone();
        form.set_query(None);
        form.query_pairs_mut().extend_pairs(subject.chain(exchange));
        let form = form.query().map(str::to_owned);
        return Ok(Outgoing { method: Method::POST, url: realm, accept, authorization: None, form });
    }
    let mut url = realm;
    for (key, value) in subject {
        url.query_pairs_mut().append_pair(key, value);
    }
    let authorization = match credentials {
        Some(credentials) => Some(grant(session, &credentials.basic(), MAX_LIFE, false)?.authorization),
        None => None,
    };
    Ok(Outgoing { method: Method::GET, url, accept, authorization, form: None })
}

/// The right to pull from `repository`, and what a challenge `asked` for it besides: some registries (ACR) have a right of
/// its own to list tags. What it asks for other repositories, or to write, is not asked for.
fn scope(repository: &str, asked: Option<&str>) -> String {
    let of_repository = format!("repository:{repository}:");
    let actions = asked.into_iter().flat_map(str::split_whitespace).filter_map(|one| one.strip_prefix(&of_repository));
    let reads = ["metadata_read", "metadata/read"];
    let more = actions.flat_map(|actions| actions.split(',')).find(|action| reads.contains(action));
    more.map_or_else(|| format!("{of_repository}pull"), |more| format!("{of_repository}pull,{more}"))
}

/// The grant of a header value; a tenth of its life is left unused for clocks and slow requests.
fn grant(session: &Session<'_>, value: &str, life: Duration, bearer: bool) -> Result<Grant, Error> {
    let mut authorization = HeaderValue::from_str(value)
        .map_err(|_| session.unexpected(session.base.authority(), "a token that cannot stand in a header"))?;
    authorization.set_sensitive(true);
    let life = life.min(MAX_LIFE) * 9 / 10;
    Ok(Grant { authorization, bearer, life })
}
