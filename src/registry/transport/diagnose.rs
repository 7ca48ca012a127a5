//! Why a request got no answer: the one trouble that a person can act on, out of the chain of causes.

use std::error::Error as StdError;
use std::sync::Arc;
use std::time::Duration;

use reqwest::Url;
use rustls::{CertificateError, InvalidMessage};

use super::Session;
use super::clients::DnsFailure;
use super::verifier;
use crate::chain::causes;
use crate::registry::error::{Error, Wait};

pub(in crate::registry) use crate::chain::find;

/// The trouble behind `error`, met on the way to `url`.
pub(super) async fn failure(error: reqwest::Error, session: &Session<'_>, url: &Url) -> Error {
    // reqwest's texts quote the URL, which may be signed.
    let error = error.without_url();
    let attempt = session.attempt.clone();
    let host = url.authority().to_owned();
    if let Some(dns) = find::<DnsFailure>(&error) {
        return Error::Dns { attempt, host: dns.host.clone(), detail: dns.source.to_string() };
    }
    if let Some(tls) = find::<rustls::Error>(&error) {
        return tls_failure(tls, session, url).await;
    }
    if error.is_timeout() {
        return session.late(url, Wait::Connection, session.transport.limits.connect);
    }
    if find::<hyper::Error>(&error).is_some_and(hyper::Error::is_parse) {
        return no_http(session, url).await;
    }
    let detail = innermost(&error);
    let broke_off = find::<hyper::Error>(&error).is_some_and(hyper::Error::is_incomplete_message);
    if broke_off || error.is_body() || error.is_decode() {
        return Error::Interrupted { attempt, host, detail };
    }
    // hyper-util's tunnel errors are private; their words are the only sign of a proxy.
    if causes(&error).any(|cause| cause.to_string().contains("tunnel")) {
        return Error::Proxy { attempt, host, detail };
    }
    Error::Connect { attempt, host, detail }
}

/// The answer is no HTTP: that it is TLS is said when a try shows it.
async fn no_http(session: &Session<'_>, url: &Url) -> Error {
    if url.scheme() == "http" && speaks(session, url, "https").await {
        return Error::PlainHttp { attempt: session.attempt.clone(), server_is_plain: false };
    }
    session.unexpected(url.authority(), "something that is not HTTP")
}

/// How long a host is asked for the other scheme.
const OTHER_SCHEME: Duration = Duration::from_secs(5);

/// Whether the host and port of `url` speak `scheme`, by a request without anything in it. TLS with a certificate that
/// we do not trust is TLS.
async fn speaks(session: &Session<'_>, url: &Url, scheme: &str) -> bool {
    let Some(port) = url.port_or_known_default() else { return false };
    let other = Url::parse(&format!("{scheme}://{}:{port}/v2/", url.host_str().unwrap_or_default()));
    let Ok(other) = other else { return false };
    session.stats().requests.add(1);
    let asked = tokio::time::timeout(OTHER_SCHEME, session.client.head(other).send()).await;
    match asked {
        Ok(Ok(_)) => true,
        Ok(Err(error)) => matches!(find::<rustls::Error>(&error), Some(rustls::Error::InvalidCertificate(_))),
        Err(_) => false,
    }
}

async fn tls_failure(error: &rustls::Error, session: &Session<'_>, url: &Url) -> Error {
    let attempt = session.attempt.clone();
    let host = url.authority().to_owned();
    match error {
        rustls::Error::InvalidMessage(InvalidMessage::InvalidContentType) => {
            if speaks(session, url, "http").await {
                Error::PlainHttp { attempt, server_is_plain: true }
            } else {
                session.unexpected(&host, "something that is not TLS")
            }
        }
        rustls::Error::InvalidCertificate(certificate) => match certificate {
            CertificateError::UnknownIssuer => Error::TlsUnknownCa { attempt, host },
            CertificateError::Expired
            | CertificateError::ExpiredContext { .. }
            | CertificateError::NotValidYet
            | CertificateError::NotValidYetContext { .. } => {
                Error::TlsExpired { attempt, host, detail: certificate.to_string() }
            }
            CertificateError::NotValidForName => Error::TlsWrongName { attempt, host, presented: Vec::new() },
            CertificateError::NotValidForNameContext { presented, .. } => {
                Error::TlsWrongName { attempt, host, presented: presented.clone() }
            }
            _ => other_tls(error, session, url),
        },
        _ => other_tls(error, session, url),
    }
}

fn other_tls(error: &rustls::Error, session: &Session<'_>, url: &Url) -> Error {
    let hint = if verifier::is_authority(error) {
        "the server presents an authority's certificate as its own; give exactly it as ca.crt, or issue another from it"
    } else if verifier::is_old(error) {
        "the certificate is of X.509 version 1; issue one of version 3 with the host as subjectAltName"
    } else {
        "check the server's certificate and protocol versions (TLS 1.2 or 1.3)"
    };
    Error::Tls {
        attempt: session.attempt.clone(),
        host: url.authority().to_owned(),
        hint,
        source: Arc::new(error.clone()),
    }
}

pub(in crate::registry) fn innermost(error: &(dyn StdError + 'static)) -> String {
    causes(error).last().map(ToString::to_string).unwrap_or_default()
}
