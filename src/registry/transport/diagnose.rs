//! Why a request got no answer: the one trouble that a person can act on, out of the chain of causes.

use std::error::Error as StdError;
use std::io;
use std::sync::Arc;

use reqwest::Url;
use rustls::{CertificateError, InvalidMessage};

use super::Session;
use super::clients::{CONNECT_TIMEOUT, DnsFailure};
use super::verifier;
use crate::registry::error::Error;

/// The trouble behind `error`, met on the way to `url`.
pub(super) fn failure(error: reqwest::Error, session: &Session<'_>, url: &Url) -> Error {
    // reqwest's texts quote the URL, which may be signed.
    let error = error.without_url();
    let attempt = session.attempt.clone();
    let host = url.authority().to_owned();
    if let Some(dns) = find::<DnsFailure>(&error) {
        return Error::Dns { attempt, host: dns.host.clone(), detail: dns.source.to_string() };
    }
    if let Some(tls) = find::<rustls::Error>(&error) {
        return tls_failure(tls, session, url);
    }
    if error.is_timeout() {
        return Error::Timeout { attempt, host, after: CONNECT_TIMEOUT };
    }
    if find::<hyper::Error>(&error).is_some_and(hyper::Error::is_parse) {
        return no_http(session, url);
    }
    let detail = innermost(&error);
    let broke_off = find::<hyper::Error>(&error).is_some_and(hyper::Error::is_incomplete_message);
    if broke_off || error.is_body() || error.is_decode() {
        return Error::Interrupted { attempt, host, detail };
    }
    // hyper-util's tunnel errors are private; their words are the only sign of a proxy.
    if chain(&error).any(|cause| cause.to_string().contains("tunnel")) {
        return Error::Proxy { attempt, host, detail };
    }
    Error::Connect { attempt, host, detail }
}

/// The answer is no HTTP: asked over plain HTTP, it is most likely TLS.
fn no_http(session: &Session<'_>, url: &Url) -> Error {
    if url.scheme() == "http" {
        Error::PlainHttp { attempt: session.attempt.clone(), server_is_plain: false }
    } else {
        session.unexpected(url.authority(), "something that is not HTTP")
    }
}

fn tls_failure(error: &rustls::Error, session: &Session<'_>, url: &Url) -> Error {
    let attempt = session.attempt.clone();
    let host = url.authority().to_owned();
    match error {
        rustls::Error::InvalidMessage(InvalidMessage::InvalidContentType) => {
            Error::PlainHttp { attempt, server_is_plain: true }
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

/// The causes of `error`, outermost first. An `io::Error` hides what it wraps from `source`, so it is opened here.
fn chain<'a>(error: &'a (dyn StdError + 'static)) -> impl Iterator<Item = &'a (dyn StdError + 'static)> {
    std::iter::successors(Some(error), |cause: &&'a (dyn StdError + 'static)| {
        let cause: &'a (dyn StdError + 'static) = *cause;
        let wrapped = cause.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        match wrapped {
            Some(wrapped) => Some(wrapped as &(dyn StdError + 'static)),
            None => cause.source(),
        }
    })
}

fn find<'a, T: StdError + 'static>(error: &'a (dyn StdError + 'static)) -> Option<&'a T> {
    chain(error).find_map(|cause| cause.downcast_ref())
}

fn innermost(error: &(dyn StdError + 'static)) -> String {
    chain(error).last().map(ToString::to_string).unwrap_or_default()
}
