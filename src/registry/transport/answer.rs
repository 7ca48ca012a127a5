//! A registry's answer: its body, read up to a bound, or the trouble that its status tells.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use oci_client::errors::{OciEnvelope, OciErrorCode};
use reqwest::header::{CONTENT_TYPE, DATE, HeaderMap, HeaderName, RETRY_AFTER};
use reqwest::{Response, StatusCode, Url};

use super::{Session, diagnose, retry_after, token};
use crate::registry::error::{Detail, Error, Wait};
use crate::registry::hosts::Sign;

/// Most bytes read of an error's body.
const MAX_ERROR_BODY: usize = 16 * 1024;

/// What Go's and nginx's TLS servers say to plain HTTP.
const SPOKEN_TO_TLS: [&str; 2] = ["HTTP request to an HTTPS server", "HTTP request was sent to HTTPS port"];

/// An answer of the registry, or of a host that it redirected to.
pub(in crate::registry) struct Answer<'a> {
    session: &'a Session<'a>,
    response: Response,
}

/// A failure as the distribution specification words it, or as much of its body as there is.
struct Refusal {
    code: Option<OciErrorCode>,
    text: String,
}

impl<'a> Answer<'a> {
    pub(super) fn new(session: &'a Session<'a>, response: Response) -> Self {
        let status = response.status();
        let asked = [StatusCode::UNAUTHORIZED, StatusCode::NOT_FOUND].contains(&status);
        if !asked && (status.is_client_error() || status.is_server_error()) {
            session.stats().failures.add(1);
        }
        match status.as_u16() {
            // Their bodies tell more; see `trouble`.
            429 | 500..=599 => {}
            401 => session.pass.note(Sign::Challenged),
            _ => session.pass.note(Sign::Answered),
        }
        Self { session, response }
    }

    pub(in crate::registry) fn status(&self) -> StatusCode {
        self.response.status()
    }

    pub(in crate::registry) fn headers(&self) -> &HeaderMap {
        self.response.headers()
    }

    /// The header as text, when it is there and is text.
    pub(in crate::registry) fn header(&self, name: &HeaderName) -> Option<&str> {
        self.headers().get(name).and_then(|value| value.to_str().ok())
    }

    /// Where the answer comes from, redirects followed.
    pub(in crate::registry) fn url(&self) -> &Url {
        self.response.url()
    }

    /// Host and port that answered.
    pub(in crate::registry) fn host(&self) -> String {
        self.url().authority().to_owned()
    }

    /// Whether the body is HTML.
    pub(in crate::registry) fn is_web_page(&self) -> bool {
        self.header(&CONTENT_TYPE).is_some_and(|media_type| media_type.trim_start().starts_with("text/html"))
    }

    /// The answer itself when its status is 2xx and it is no web page, else the trouble.
    pub(in crate::registry) async fn success(self) -> Result<Self, Error> {
        if self.status().is_success() && !self.is_web_page() {
            return Ok(self);
        }
        Err(self.trouble().await)
    }

    /// The whole body, at most `limit` bytes of it; `what` names it in the error.
    pub(in crate::registry) async fn body(mut self, limit: u64, what: &'static str) -> Result<Bytes, Error> {
        let too_large = || Error::TooLarge { attempt: self.session.attempt.clone(), what, limit, unit: "bytes" };
        let announced = self.response.content_length().unwrap_or_default();
        if announced > limit {
            return Err(too_large());
        }
        // A size that a server announces is taken as a hint for small bodies only.
        let expected = usize::try_from(announced.min(4 << 20)).unwrap_or_default();
        let mut body = BytesMut::with_capacity(expected);
        while let Some(chunk) = self.part().await? {
            if (body.len() + chunk.len()) as u64 > limit {
                return Err(too_large());
            }
            body.extend_from_slice(&chunk);
        }
        Ok(body.freeze())
    }

    /// The next part of the body.
    async fn part(&mut self) -> Result<Option<Bytes>, Error> {
        let session = self.session;
        let limit = session.transport.limits.idle;
        let url = self.response.url().clone();
        match tokio::time::timeout(limit, self.response.chunk()).await {
            Ok(Ok(chunk)) => Ok(chunk),
            Ok(Err(error)) => {
                session.stats().failures.add(1);
                Err(diagnose::failure(error, session, &url).await)
            }
            Err(_) => {
                session.stats().failures.add(1);
                Err(session.late(&url, Wait::NextPart, limit))
            }
        }
    }

    /// What the other side says about its refusal.
    pub(super) async fn detail(self) -> Detail {
        let session = self.session;
        session.detail(&self.refusal().await.text)
    }

    /// Whether this 401 points to a token server.
    pub(in crate::registry) fn offers_tokens(&self) -> bool {
        token::offers_tokens(self)
    }

    /// That this answer to `/v2/` is one of a registry.
    pub(in crate::registry) async fn api(self) -> Result<(), Error> {
        let (session, host) = (self.session, self.host());
        if self.status() == StatusCode::NOT_FOUND {
            return Err(session.unexpected(&host, "status 404 at /v2/; is it an OCI registry?"));
        }
        self.success().await.map(|_| ())
    }

    /// The trouble that a status other than 2xx, or a web page, means.
    pub(in crate::registry) async fn trouble(self) -> Error {
        let session = self.session;
        let error = self.classify().await;
        match &error {
            Error::RateLimited { .. } => session.pass.note(Sign::Limited(error.clone())),
            Error::ServerError { .. } => session.pass.note(Sign::Troubled(error.clone())),
            _ => {}
        }
        error
    }

    async fn classify(self) -> Error {
        let (session, status) = (self.session, self.status());
        let (web_page, retry_after) = (self.is_web_page(), self.retry_after());
        let host = self.host();
        let refusal = self.refusal().await;
        let (attempt, anonymous) = (session.attempt.clone(), session.anonymous());
        let detail = session.detail(&refusal.text);
        let limited = matches!(refusal.code, Some(OciErrorCode::Toomanyrequests));
        let expired = !anonymous && says_expired(&refusal.text);
        match status.as_u16() {
            429 => Error::RateLimited { attempt, retry_after, detail },
            _ if limited => Error::RateLimited { attempt, retry_after, detail },
            500..=599 => Error::ServerError { attempt, status: status.as_u16(), retry_after, detail },
            401 => session.unauthorized(expired, detail),
            403 if expired => session.unauthorized(true, detail),
            403 => Error::Forbidden { attempt, anonymous, detail },
            400 if SPOKEN_TO_TLS.iter().any(|words| refusal.text.contains(words)) => {
                Error::PlainHttp { attempt, server_is_plain: false }
            }
            code if web_page => Error::Unexpected {
                attempt,
                host,
                what: format!("a web page (status {code}); is it an OCI registry, and the path right?"),
                detail: Detail::default(),
            },
            404 => Error::RepositoryNotFound { attempt, detail },
            code => Error::Unexpected { attempt, host, what: format!("status {code}"), detail },
        }
    }

    async fn refusal(mut self) -> Refusal {
        let web_page = self.is_web_page();
        let mut body = Vec::new();
        // A body that breaks off still tells what came before.
        while let Ok(Some(chunk)) = self.part().await
            && body.len() < MAX_ERROR_BODY
        {
            body.extend_from_slice(&chunk);
        }
        let envelope = serde_json::from_slice::<OciEnvelope>(&body);
        if let Some(first) = envelope.ok().and_then(|envelope| envelope.errors.into_iter().next()) {
            return Refusal { code: Some(first.code), text: first.message };
        }
        if let Some(text) = said(&body) {
            return Refusal { code: None, text };
        }
        let text = if web_page { String::new() } else { String::from_utf8_lossy(&body).into_owned() };
        Refusal { code: None, text }
    }

    fn retry_after(&self) -> Option<Duration> {
        retry_after::wait(self.header(&RETRY_AFTER)?, self.header(&DATE))
    }

    /// The trouble that a token server's refusal means.
    ///
    /// GHCR says nothing but "denied", with 403, to a password that has expired; who may not read something is told so
    /// by others with a word about permissions. OAuth 2 servers answer 400 to a token that they do not take.
    pub(super) async fn token_trouble(self) -> Error {
        let session = self.session;
        let (status, anonymous, web_page) = (self.status().as_u16(), session.anonymous(), self.is_web_page());
        if anonymous || web_page || ![400, 403].contains(&status) {
            return self.trouble().await;
        }
        let text = self.refusal().await.text;
        let detail = session.detail(&text);
        let lower = text.to_ascii_lowercase();
        let bare = ["", "denied", "denied: denied", "forbidden"].contains(&lower.trim());
        let grant = lower.contains("invalid_grant") || lower.contains("invalid_client");
        if says_expired(&text) || bare || grant {
            return session.unauthorized(true, detail);
        }
        if status == 403 {
            return Error::Forbidden { attempt: session.attempt.clone(), anonymous, detail };
        }
        let host = session.base.authority().to_owned();
        let what = "status 400 of its token server".to_owned();
        Error::Unexpected { attempt: session.attempt.clone(), host, what, detail }
    }
}

/// What registries say of a password or token that was valid once, or never: ECR, Artifact Registry, ACR, Quay, Harbor.
const EXPIRED: [&str; 12] = [
    "expired",
    "reauthenticate",
    "invalid token",
    "token is invalid",
    "invalid credential",
    "bad credential",
    "unauthenticated",
    "authentication failed",
    "failed to authenticate",
    "invalid username or password",
    "incorrect username or password",
    "revoked",
];

fn says_expired(text: &str) -> bool {
    let text = text.to_ascii_lowercase();
    EXPIRED.iter().any(|words| text.contains(words))
}

/// The sentence in a JSON error that is not the distribution specification's: OAuth 2, Docker Hub, plain ones.
fn said(body: &[u8]) -> Option<String> {
    let json: serde_json::Value = serde_json::from_slice(body).ok()?;
    let text = |key: &str| json.get(key).and_then(serde_json::Value::as_str).filter(|text| !text.is_empty());
    let first = json.get("errors").and_then(|errors| errors.get(0)).and_then(|first| first.get("message"));
    let first = first.and_then(serde_json::Value::as_str);
    match (text("error"), text("error_description")) {
        (Some(error), Some(description)) => Some(format!("{error}: {description}")),
        (one, other) => {
            let text = first.or(other).or_else(|| text("details")).or_else(|| text("message")).or(one);
            text.map(str::to_owned)
        }
    }
}

impl Session<'_> {
    /// A text of the other side, without our credentials in it.
    fn detail(&self, text: &str) -> Detail {
        match &self.access.credentials {
            Some(credentials) => Detail::new(&credentials.redact(text)),
            None => Detail::new(text),
        }
    }
}
