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
mod token;
mod verifier;

use reqwest::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderValue, LOCATION, WWW_AUTHENTICATE};
use reqwest::{Client, Method, StatusCode, Url};

pub(super) use self::answer::Answer;
use self::clients::Clients;
use self::token::Tokens;
use super::credentials::{Access, AccessKey};
use super::error::{Attempt, Detail, Error};
use super::reference::endpoint;
use super::stats::Stats;

/// Most redirects followed for one request.
const MAX_REDIRECTS: usize = 5;

/// What all sessions share: connections, tokens, counters.
pub(super) struct Transport {
    clients: Clients,
    tokens: Tokens,
    stats: Stats,
}

impl Transport {
    pub(super) fn new() -> Self {
        Self { clients: Clients::default(), tokens: Tokens::default(), stats: Stats::default() }
    }

    pub(super) fn stats(&self) -> &Stats {
        &self.stats
    }

    /// A session with `host` for one `attempt`; `repository` is what a token is asked for.
    pub(super) fn session<'a>(
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
        Ok(Session {
            client: self.clients.get(access, &attempt)?,
            transport: self,
            access,
            key: access.key(),
            base,
            repository,
            attempt,
        })
    }
}

/// One attempt's conversation with one registry.
pub(super) struct Session<'a> {
    transport: &'a Transport,
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
        let url = self.url(path)?;
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

    /// `path` under `/v2/`, or the absolute path or URL of a `Link`, which must stay with the registry.
    fn url(&self, path: &str) -> Result<Url, Error> {
        match self.base.join(path) {
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
        let lacks_scope = grant.bearer && token::lacks_scope(&answer);
        let (anonymous, attempt) = (self.anonymous(), self.attempt.clone());
        let detail = answer.detail().await;
        if lacks_scope && !anonymous {
            Error::Forbidden { attempt, anonymous, detail }
        } else {
            Error::Unauthorized { attempt, anonymous, detail }
        }
    }

    /// Credentials are for the registry: a 401 of a host that it redirected to is not answered.
    fn refuse_foreign_challenge(&self, answer: &Answer<'_>) -> Result<(), Error> {
        let url = answer.url();
        if url.origin() == self.base.origin() {
            return Ok(());
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
            self.stats().requests.add(1);
            let response = request.send().await.map_err(|error| {
                self.stats().failures.add(1);
                diagnose::failure(error, self, &url)
            })?;
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

    /// The URL that `location` means, if it may be followed from `url`.
    fn next_hop(&self, url: &Url, location: &HeaderValue) -> Result<Url, Error> {
        let next = location.to_str().ok().and_then(|text| url.join(text).ok());
        let Some(next) = next else {
            return Err(self.unexpected(url.authority(), "a redirect without a usable Location"));
        };
        match (url.scheme(), next.scheme()) {
            ("https", "http") => Err(self.redirect(&next, "over plain HTTP, which is never followed from HTTPS")),
            ("http", "https") if next.host() == url.host() => {
                Err(Error::PlainHttp { attempt: self.attempt.clone(), server_is_plain: false })
            }
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
