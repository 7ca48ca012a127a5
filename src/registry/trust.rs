//! Whose certificates are trusted: the system's authorities, or the bundled ones where the system has none, and those
//! that are given.
//!
//! An image on nothing holds no authorities, and must pull from public registries all the same: Mozilla's list is part
//! of the binary and counts where the system gives no usable certificate. `SSL_CERT_FILE` and `SSL_CERT_DIR` name other
//! places of the system's, as everywhere.

use std::fmt;
use std::sync::{Arc, OnceLock};

use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use rustls_native_certs::CertificateResult;

/// Most certificates, usable or not, that are read of one bundle.
const MAX_CERTIFICATES: usize = 4096;

/// Authorities' certificates out of a PEM text.
///
/// A bundle is of use as soon as one certificate of it is: those that cannot be used are left out and named by
/// [`Self::unusable`].
#[derive(Clone, PartialEq, Eq)]
pub struct CaBundle {
    certificates: Arc<[CertificateDer<'static>]>,
    unusable: Vec<String>,
}

/// Why a text is no bundle of certificates.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CaError {
    /// There is no certificate in it.
    #[error("there is no BEGIN CERTIFICATE")]
    Empty,
    /// There are certificates, and none of them can be used.
    #[error("none of its certificates can be used: {}", .0.join("; "))]
    Unusable(Vec<String>),
}

impl CaBundle {
    /// Reads PEM certificates; other sections, such as keys, are passed over.
    ///
    /// # Errors
    /// When no certificate in `pem` can be used.
    pub fn parse(pem: &[u8]) -> Result<Self, CaError> {
        let mut certificates = Vec::new();
        let mut unusable = Vec::new();
        for (index, read) in CertificateDer::pem_slice_iter(pem).take(MAX_CERTIFICATES).enumerate() {
            let usable = read.map_err(|error| error.to_string()).and_then(check);
            match usable {
                Ok(certificate) => certificates.push(certificate),
                Err(why) => unusable.push(format!("certificate {} of the bundle: {why}", index + 1)),
            }
        }
        match (certificates.is_empty(), unusable.is_empty()) {
            (true, true) => Err(CaError::Empty),
            (true, false) => Err(CaError::Unusable(unusable)),
            (false, _) => Ok(Self { certificates: certificates.into(), unusable }),
        }
    }

    /// The certificates that can be used, at least one.
    pub(super) fn certificates(&self) -> &[CertificateDer<'static>] {
        &self.certificates
    }

    /// What was left out and why, a sentence each; empty for a sound bundle.
    pub fn unusable(&self) -> &[String] {
        &self.unusable
    }
}

impl fmt::Debug for CaBundle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CaBundle({} certificates)", self.certificates.len())
    }
}

/// `certificate`, if it can be an authority's.
fn check(certificate: CertificateDer<'static>) -> Result<CertificateDer<'static>, String> {
    RootCertStore::empty().add(certificate.clone()).map_err(|error| error.to_string())?;
    Ok(certificate)
}

/// How many authorities are trusted before a repository gives its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Trust {
    /// The system's.
    pub system: usize,
    /// The bundled ones; none where the system has some.
    pub bundled: usize,
    /// Those of the bundle that the operator was started with.
    pub given: usize,
}

/// The authorities that every client trusts, read once, when first needed.
pub(super) struct Roots {
    given: Option<CaBundle>,
    read: OnceLock<(RootCertStore, Trust)>,
}

impl Roots {
    /// The system's or the bundled ones, and `given`.
    pub(super) fn new(given: Option<CaBundle>) -> Self {
        Self { given, read: OnceLock::new() }
    }

    /// How many there are of each kind.
    pub(super) fn trust(&self) -> Trust {
        self.read().1
    }

    /// All of them.
    pub(super) fn store(&self) -> RootCertStore {
        self.read().0.clone()
    }

    /// The given ones: a server's own certificate may be among them.
    pub(super) fn given(&self) -> &[CertificateDer<'static>] {
        self.given.as_ref().map(CaBundle::certificates).unwrap_or_default()
    }

    fn read(&self) -> &(RootCertStore, Trust) {
        self.read.get_or_init(|| {
            let (mut roots, mut trust) = choose(rustls_native_certs::load_native_certs());
            let (given, _) = roots.add_parsable_certificates(self.given().iter().cloned());
            trust.given = given;
            (roots, trust)
        })
    }
}

/// The system's authorities where one of them can be used, else the bundled ones.
fn choose(native: CertificateResult) -> (RootCertStore, Trust) {
    let mut roots = RootCertStore::empty();
    let (system, _) = roots.add_parsable_certificates(native.certs);
    if system > 0 {
        return (roots, Trust { system, bundled: 0, given: 0 });
    }
    for error in native.errors {
        tracing::debug!(%error, "no certificate authorities of the system");
    }
    roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
    (roots, Trust { system, bundled: webpki_roots::TLS_SERVER_ROOTS.len(), given: 0 })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An authority made for this test.
    const SOUND: &str = include_str!("trust/authority.pem");

    const GARBAGE: &str = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";

    const BROKEN: &str = "-----BEGIN CERTIFICATE-----\n!!!!\n-----END CERTIFICATE-----\n";

    #[test]
    fn a_system_without_authorities_gets_the_bundled_ones() {
        let (roots, trust) = choose(CertificateResult::default());
        assert!(trust.system == 0 && trust.bundled > 100, "{trust:?}");
        assert_eq!(roots.len(), trust.bundled);
        let mut unusable = CertificateResult::default();
        unusable.certs.push(CertificateDer::from(vec![0; 3]));
        assert!(choose(unusable).1.bundled > 100, "what cannot be used is no authority");
        let mut system = CertificateResult::default();
        system.certs.extend_from_slice(CaBundle::parse(SOUND.as_bytes()).expect("sound").certificates());
        assert_eq!(choose(system).1, Trust { system: 1, bundled: 0, given: 0 });
    }

    #[test]
    fn a_bundle_is_what_can_be_used_of_it() {
        let text = |parts: &[&str]| parts.concat().into_bytes();
        let cases = [
            (text(&[SOUND]), Ok((1, 0))),
            (text(&[GARBAGE, SOUND, BROKEN]), Ok((1, 2))),
            (text(&["# a comment\n", SOUND, SOUND]), Ok((2, 0))),
            (text(&[""]), Err("no BEGIN CERTIFICATE")),
            (text(&["no certificate"]), Err("no BEGIN CERTIFICATE")),
            (text(&[GARBAGE]), Err("certificate 1 of the bundle")),
            (text(&[GARBAGE, BROKEN]), Err("certificate 2 of the bundle")),
        ];
        for (pem, expected) in cases {
            let read = CaBundle::parse(&pem);
            match (&read, expected) {
                (Ok(bundle), Ok(counts)) => {
                    assert_eq!((bundle.certificates().len(), bundle.unusable().len()), counts);
                }
                (Err(error), Err(words)) => assert!(error.to_string().contains(words), "{error}"),
                _ => panic!("{read:?}, not {expected:?}"),
            }
        }
    }
}
