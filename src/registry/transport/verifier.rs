//! Certificates as registries really present them: webpki's rules, and one case more.
//!
//! The distribution registry's own guide makes a self-signed certificate that is also marked as an authority, and
//! people give it as `ca.crt`. Go, so Docker and Helm, accept that; webpki refuses an authority's certificate as a
//! server's. Here it is accepted when it is, byte for byte, one that was given, valid now and for the name.

use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{WebPkiServerVerifier, verify_server_name};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{CertificateError, DigitallySignedStruct, Error, SignatureScheme};

/// Verifies by the trusted roots, and lets a given certificate stand for itself.
#[derive(Debug)]
pub(super) struct Verifier {
    pub(super) by_roots: Arc<WebPkiServerVerifier>,
    pub(super) given: Vec<CertificateDer<'static>>,
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let verdict = self.by_roots.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now);
        match verdict {
            // webpki looks at the time before it looks at this, so the certificate is valid now.
            Err(error) if is_authority(&error) && self.given.iter().any(|given| given == end_entity) => {
                verify_server_name(&ParsedCertificate::try_from(end_entity)?, server_name)?;
                Ok(ServerCertVerified::assertion())
            }
            verdict => verdict,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.by_roots.verify_tls12_signature(message, certificate, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.by_roots.verify_tls13_signature(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.by_roots.supported_verify_schemes()
    }
}

/// Whether the server presents the certificate of an authority as its own.
pub(super) fn is_authority(error: &Error) -> bool {
    webpki_cause(error).is_some_and(|cause| *cause == webpki::Error::CaUsedAsEndEntity)
}

/// Whether the certificate is of X.509 version 1 or 2.
pub(super) fn is_old(error: &Error) -> bool {
    webpki_cause(error).is_some_and(|cause| *cause == webpki::Error::UnsupportedCertVersion)
}

fn webpki_cause(error: &Error) -> Option<&webpki::Error> {
    match error {
        Error::InvalidCertificate(CertificateError::Other(other)) => other.0.downcast_ref(),
        _ => None,
    }
}
