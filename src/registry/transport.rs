//! HTTP with one registry: URLs, redirects, authorization. Everything above it sees answers and typed errors only.
//!
//! The requests are `reqwest`'s, not `oci_client::Client`'s, because that client (0.18, read in source):
//! drops the failure of the token flow and goes on without a token; keeps the first credentials it saw for a host
//! for everybody; ignores a token's `expires_in`; sends credentials to a plain-HTTP realm of an HTTPS registry;
//! reads tag lists, manifests and error pages without a bound; does not follow `Link`; and folds 403, 404, 429 and
//! web pages into one error without headers. Its manifest and error documents are used as they are.
//!
//! Rules kept here: `Authorization` goes only to the origin (scheme, host, port) that it was made for, redirects are
//! followed by hand for that reason, and an HTTPS exchange never continues over plain HTTP.

mod answer;
mod clients;
mod diagnose;
mod retry_after;
mod token;
mod verifier;

use std::sync::Arc;
use std::time::{Duration, Instant};

use reqwest::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderValue, LOCATION, WWW_AUTHENTICATE};
use reqwest::{Client, Method, RequestBuilder, Response, StatusCode, Url};
use tokio::sync::broadcast;

pub(super) use self::answer::Answer;
use self::clients::Clients;
pub(super) use self::clients::tls_config;
pub(super) use self::diagnose::{find as cause, innermost};
use self::token::Tokens;
use super::credentials::{Access, AccessKey};
use super::error::{Attempt, Denial, Detail, Error, Wait};
use super::hosts::{Asker, Hosts, Pass, Sign};
use super::reference::endpoint;
use super::stats::Stats;
use super::trust::{Roots, Trust};
use super::{Limits, Settings};

/// Most redirects followed for one request.
const MAX_REDIRECTS: usize = 5;

/// What all sessions share: connections, tokens, counters.
pub(super) struct Transport {
    clients: Clients,
    hosts: Hosts,
    limits: Limits,
    tokens: Tokens,
    stats: Stats,
}

impl Transport {
    pub(super) fn new(settings: &Settings) -> Self {
        let limits = settings.limits;
        let clients = Clients::new(Arc::new(Roots::new(settings.ca.clone())), limits.connect);
        Self { clients, hosts: Hosts::new(limits), limits, tokens: Tokens::default(), stats: Stats::default() }
    }

    pub(super) fn roots(&self) -> Arc<Roots> {
        self.clients.roots()
    }

    pub(super) fn trust(&self) -> Trust {
        self.clients.trust()
    }

    pub(super) fn recoveries(&self) -> broadcast::Receiver<String> {
        self.hosts.recoveries()
    }

    pub(super) fn stats(&self) -> &Stats {
        &self.stats
    }

    /// A session with `host` for one `attempt`, when it is this attempt's turn there; `repository` is what a token is
    /// asked for.
    pub(super) async fn session<'a>(
        &'a self,
        access: &'a Access,
        host: &str,
        repository: Option<&'a str>,
        attempt: Attempt,
    ) -> Result<Session<'a>, Error> {
        let scheme = if access.plain_http { "http" } else { "https" };
        let base = format!("{scheme}://{}/v2/", endpoint(host));
        let base = Url::parse(&base).map_err(|_| Error::Unexpected {
            attempt: attempt.clone(),
            host: host.to_owned(),
            what: "no request: the host does not form an URL".to_owned(),
            detail: Detail::default(),
        })?;
        let client = self.clients.get(access, &attempt)?;
        let key = access.key();
        let asker = Asker {
            origin: base.origin().ascii_serialization(),
            host: host.to_owned(),
            repository: repository.map(str::to_owned),
            access: key.clone(),
        };
        Ok(Session {
            client,
            pass: self.hosts.enter(asker, &attempt).await?,
            transport: self,
            access,
            key,
            base,
            repository,
            attempt,
        })
    }
}

/// One attempt's conversation with one registry.
pub(super) struct Session<'a> {
    transport: &'a Transport,
    pass: Pass<'a>,
    access: &'a Access,
    key: AccessKey,
    client: Client,
    base: Url,
    repository: Option<&'a str>,
    attempt: Attempt,
}

/// A request before redirects.
struct Outgoing<'a> {
    method: Method,
    url: Url,
    accept: &'a str,
    authorization: Option<HeaderValue>,
    /// A form to send; it holds a secret, so such a request follows no redirect.
    form: Option<String>,
}

impl Session<'_> {
    pub(super) fn attempt(&self) -> &Attempt {
        &self.attempt
    }

    pub(super) fn stats(&self) -> &Stats {
        &self.transport.stats
    }

    /// Whether no credentials are given.
    fn anonymous(&self) -> bool {
        self.access.credentials.is_none()
    }

    /// `GET`s `/v2/` + `path`, authorized as the registry demands. Any status but 401 is an answer.
    pub(super) async fn get(&self, path: &str, accept: &str) -> Result<Answer<'_>, Error> {
        self.get_at(self.url(path)?, accept).await
    }

    /// `GET`s `url`, which [`Self::url`] or [`Self::link`] gave.
    pub(super) async fn get_at(&self, url: Url, accept: &str) -> Result<Answer<'_>, Error> {
        // Boxed: reqwest's futures are large, and would make every caller's as large.
        Box::pin(self.authorized(Method::GET, url, accept)).await
    }

    /// `HEAD` of `/v2/` + `path`.
    pub(super) async fn head(&self, path: &str, accept: &str) -> Result<Answer<'_>, Error> {
        let url = self.url(path)?;
        Box::pin(self.authorized(Method::HEAD, url, accept)).await
    }

    /// `GET`s `/v2/` without credentials or token: what the registry demands of a stranger.
    pub(super) async fn challenge(&self) -> Result<Answer<'_>, Error> {
        self.follow(Outgoing {
            method: Method::GET,
            url: self.base.clone(),
            accept: "*/*",
            authorization: None,
            form: None,
        })
        .await
    }

    /// `path` under `/v2/`.
    pub(super) fn url(&self, path: &str) -> Result<Url, Error> {
        self.link(&self.base, path)
    }

    /// What the `Link` of the answer to `from` means, which must stay with the registry.
    pub(super) fn link(&self, from: &Url, link: &str) -> Result<Url, Error> {
        match from.join(link) {
            Ok(url) if url.origin() == self.base.origin() => Ok(url),
            Ok(url) => {
                Err(self.redirect(&url, "another host, for the rest of the answer: a registry must give it itself"))
            }
            Err(_) => Err(self.unexpected(self.base.authority(), "a link that is no URL")),
        }
    }

    async fn authorized(&self, method: Method, url: Url, accept: &str) -> Result<Answer<'_>, Error> {
        let outgoing =
            |authorization| Outgoing { method: method.clone(), url: url.clone(), accept, authorization, form: None };
        let token_key = token::Key::of(self);
        let kept = self.transport.tokens.get(&token_key);
        let answer = self.follow(outgoing(kept)).await?;
        if answer.status() != StatusCode::UNAUTHORIZED {
            return Ok(answer);
        }
        self.refuse_foreign_challenge(&answer)?;
        self.transport.tokens.forget(&token_key);
        let grant = token::obtain(self, answer).await?;
        let answer = self.follow(outgoing(Some(grant.authorization.clone()))).await?;
        if answer.status() != StatusCode::UNAUTHORIZED {
            self.transport.tokens.keep(token_key, grant);
            return Ok(answer);
        }
        self.refuse_foreign_challenge(&answer)?;
        Err(self.refused_with(&grant, answer).await)
    }

    /// A 401 after the token flow: a token that lacks the right is a question of permission, not of passwords.
    async fn refused_with(&self, grant: &token::Grant, answer: Answer<'_>) -> Error {
        let challenge = challenges(&answer);
        let lacks_scope = grant.bearer && token::lacks_scope(&challenge);
        let (anonymous, attempt) = (self.anonymous(), self.attempt.clone());
        let detail = answer.detail().await;
        if lacks_scope && !anonymous {
            Error::Forbidden { attempt, anonymous, detail }
        } else {
            self.unauthorized(grant.bearer && token::is_invalid(&challenge), detail)
        }
    }

    /// The credentials, or the lack of them, open nothing; `expired` when the registry says so.
    fn unauthorized(&self, expired: bool, detail: Detail) -> Error {
        let Access { credentials, docker_hosts, .. } = self.access;
        let why = match (credentials, docker_hosts) {
            (None, Some(hosts)) => Denial::NoEntry(hosts.clone()),
            (None, None) => Denial::NoCredentials,
            (Some(credentials), _) if credentials.ends_with_line_break() => Denial::LineBreak,
            (Some(_), _) if expired => Denial::Expired,
            (Some(_), _) => Denial::Refused,
        };
        Error::Unauthorized { attempt: self.attempt.clone(), anonymous: credentials.is_none(), why, detail }
    }

    /// Credentials are for the registry: a 401 of a host that it redirected to is not answered.
    fn refuse_foreign_challenge(&self, answer: &Answer<'_>) -> Result<(), Error> {
        let url = answer.url();
        if url.origin() == self.base.origin() {
            return Ok(());
        }
        if url.scheme() == "https" && self.base.scheme() == "http" && url.host() == self.base.host() {
            return Err(Error::PlainHttp { attempt: self.attempt.clone(), server_is_plain: false });
        }
        Err(self.redirect(
            url,
            "another host that asks for credentials; they are only sent to the registry they were given for",
        ))
    }

    /// Sends one request and follows its redirects; authorization stays with the first origin.
    async fn follow(&self, outgoing: Outgoing<'_>) -> Result<Answer<'_>, Error> {
        let first = outgoing.url.clone();
        let mut url = outgoing.url;
        for _ in 0..=MAX_REDIRECTS {
            let mut request = self.client.request(outgoing.method.clone(), url.clone());
            request = request.header(ACCEPT, outgoing.accept);
            if let Some(authorization) = &outgoing.authorization
                && url.origin() == first.origin()
            {
                request = request.header(AUTHORIZATION, authorization.clone());
            }
            if let Some(form) = &outgoing.form {
                request = request.header(CONTENT_TYPE, "application/x-www-form-urlencoded").body(form.clone());
            }
            let response = self.send(request, &url).await?;
            match redirect_target(&response) {
                None => return Ok(Answer::new(self, response)),
                Some(location) if outgoing.form.is_some() => {
                    let next = self.next_hop(&url, location)?;
                    return Err(self.redirect(&next, "for a token request, which holds a secret and is not passed on"));
                }
                Some(location) => url = self.next_hop(&url, location)?,
            }
        }
        Err(self.redirect(&url, "after five redirects already; the registry's redirects go in circles"))
    }

    /// Sends one request to `url`, and notes what it shows of the registry where there is no answer.
    async fn send(&self, request: RequestBuilder, url: &Url) -> Result<Response, Error> {
        self.stats().requests.add(1);
        let mut unanswered = Unanswered { session: self, url, since: Instant::now(), over: false };
        let limit = self.transport.limits.answer;
        let sent = tokio::time::timeout(limit, request.send()).await;
        unanswered.over = true;
        let error = match sent {
            Ok(Ok(response)) => return Ok(response),
            Ok(Err(error)) => diagnose::failure(error, self, url).await,
            Err(_) => self.late(url, Wait::Answer, limit),
        };
        self.stats().failures.add(1);
        self.note_failure(url, &error);
        Err(error)
    }

    fn late(&self, url: &Url, wait: Wait, after: Duration) -> Error {
        Error::Timeout { attempt: self.attempt.clone(), host: url.authority().to_owned(), wait, after }
    }

    /// No answer from `url`: the registry is down, or a host that it needs.
    fn note_failure(&self, url: &Url, error: &Error) {
        let outage = matches!(
            error,
            Error::Dns { .. }
                | Error::Connect { .. }
                | Error::Proxy { .. }
                | Error::Timeout { .. }
                | Error::Interrupted { .. }
        );
        if !outage {
            return;
        }
        let own = url.origin() == self.base.origin();
        self.pass.note(if own { Sign::Unreachable(error.clone()) } else { Sign::Troubled(error.clone()) });
    }

    /// The URL that `location` means, if it may be followed from `url`.
    fn next_hop(&self, url: &Url, location: &HeaderValue) -> Result<Url, Error> {
        let next = location.to_str().ok().and_then(|text| url.join(text).ok());
        let Some(next) = next else {
            return Err(self.unexpected(url.authority(), "a redirect without a usable Location"));
        };
        match (url.scheme(), next.scheme()) {
            ("https", "http") => Err(self.redirect(&next, "over plain HTTP, which is never followed from HTTPS")),
            (_, "http" | "https") => Ok(next),
            _ => Err(self.redirect(&next, "which is not HTTP")),
        }
    }

    fn redirect(&self, to: &Url, why: &'static str) -> Error {
        Error::Redirect { attempt: self.attempt.clone(), to: to.origin().ascii_serialization(), why }
    }

    fn unexpected(&self, host: &str, what: impl Into<String>) -> Error {
        Error::Unexpected {
            attempt: self.attempt.clone(),
            host: host.to_owned(),
            what: what.into(),
            detail: Detail::default(),
        }
    }
}

/// From this age on, a request that is given up before its answer tells that the host hangs.
const HANGING: Duration = Duration::from_secs(10);

/// A request that has no answer yet. Who has little time gives it up before its limit: that, too, is no answer.
struct Unanswered<'a> {
    session: &'a Session<'a>,
    url: &'a Url,
    since: Instant,
    over: bool,
}

impl Drop for Unanswered<'_> {
    fn drop(&mut self) {
        let waited = self.since.elapsed();
        if !self.over && waited >= HANGING {
            let error = self.session.late(self.url, Wait::Answer, waited);
            self.session.note_failure(self.url, &error);
        }
    }
}

fn redirect_target(response: &reqwest::Response) -> Option<&HeaderValue> {
    match response.status().as_u16() {
        301 | 302 | 303 | 307 | 308 => response.headers().get(LOCATION),
        _ => None,
    }
}

/// The challenges of a 401, one text per header.
fn challenges(answer: &Answer<'_>) -> Vec<String> {
    let headers = answer.headers().get_all(WWW_AUTHENTICATE).iter();
    headers.filter_map(|value| value.to_str().ok().map(str::to_owned)).collect()
}
