//! HTTP clients, one per TLS settings: connections to a registry are shared by everybody who trusts it alike.

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use reqwest::Client;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use rustls::client::WebPkiServerVerifier;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use rustls::{ClientConfig, RootCertStore};

use super::verifier::Verifier;
use crate::registry::credentials::Access;
use crate::registry::error::{Attempt, Error};

/// How long a connection may take to be made; a host that drops packets is told apart from a slow answer by it.
pub(super) const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// Most clients kept. Each holds its trusted certificates, some 300 KB with the system's.
const MAX_CLIENTS: usize = 16;

/// Idle connections are dropped after this, before registries and load balancers drop them.
const IDLE_TIMEOUT: Duration = Duration::from_secs(50);

/// Clients by TLS settings; those longest unused go first.
#[derive(Default)]
pub(super) struct Clients {
    kept: Mutex<BTreeMap<TlsSettings, Kept>>,
}

#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
struct TlsSettings {
    ca_pem: Option<Vec<u8>>,
    insecure_skip_verify: bool,
}

struct Kept {
    client: Client,
    used: Instant,
}

impl Clients {
    /// The client for the TLS settings of `access`, made if there is none.
    pub(super) fn get(&self, access: &Access, attempt: &Attempt) -> Result<Client, Error> {
        let settings = TlsSettings { ca_pem: access.ca_pem.clone(), insecure_skip_verify: access.insecure_skip_verify };
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(found) = kept.get_mut(&settings) {
            found.used = Instant::now();
            return Ok(found.client.clone());
        }
        let client = build(&settings).map_err(|detail| Error::InvalidCa { attempt: attempt.clone(), detail })?;
        if kept.len() >= MAX_CLIENTS {
            let oldest = kept.iter().min_by_key(|(_, kept)| kept.used).map(|(settings, _)| settings.clone());
            kept.retain(|settings, _| Some(settings) != oldest.as_ref());
        }
        let used = Instant::now();
        kept.insert(settings, Kept { client: client.clone(), used });
        Ok(client)
    }
}

/// A client that follows no redirect, keeps connections, and trusts what `settings` say.
fn build(settings: &TlsSettings) -> Result<Client, String> {
    let builder = Client::builder()
        .user_agent(concat!("helm-operator/", env!("CARGO_PKG_VERSION")))
        .redirect(reqwest::redirect::Policy::none())
        .connect_timeout(CONNECT_TIMEOUT)
        .pool_idle_timeout(IDLE_TIMEOUT)
        .pool_max_idle_per_host(8)
        .dns_resolver(Resolver);
    let builder = if settings.insecure_skip_verify {
        builder.tls_certs_only([]).tls_danger_accept_invalid_certs(true)
    } else {
        builder.tls_backend_preconfigured(tls_config(settings.ca_pem.as_deref())?)
    };
    builder.build().map_err(|error| error.to_string())
}

/// The system's certificates and the given ones. A system without any is no error: then only the given ones count,
/// and plain HTTP works.
fn tls_config(ca_pem: Option<&[u8]>) -> Result<ClientConfig, String> {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    let given = ca_pem.map(certificates).transpose()?.unwrap_or_default();
    for certificate in &given {
        roots.add(certificate.clone()).map_err(|error| error.to_string())?;
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?;
    if given.is_empty() {
        return Ok(builder.with_root_certificates(roots).with_no_client_auth());
    }
    let by_roots = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider).build();
    let by_roots = by_roots.map_err(|error| error.to_string())?;
    let verifier = Arc::new(Verifier { by_roots, given });
    Ok(builder.dangerous().with_custom_certificate_verifier(verifier).with_no_client_auth())
}

fn certificates(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, String> {
    let read: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    match read {
        Ok(certificates) if certificates.is_empty() => Err("there is no BEGIN CERTIFICATE".to_owned()),
        Ok(certificates) => Ok(certificates),
        Err(error) => Err(error.to_string()),
    }
}

/// The system's resolver, with an error type of its own so that a failure can be told from other connection errors.
struct Resolver;

/// A host name without an address.
#[derive(Debug)]
pub(super) struct DnsFailure {
    pub(super) host: String,
    pub(super) source: io::Error,
}

impl fmt::Display for DnsFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "failed to resolve {:?}", self.host)
    }
}

impl std::error::Error for DnsFailure {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.source)
    }
}

impl Resolve for Resolver {
    fn resolve(&self, name: Name) -> Resolving {
        Box::pin(async move {
            let host = name.as_str().to_owned();
            // Port 0 is replaced by the URL's.
            let found = tokio::net::lookup_host((host.as_str(), 0)).await.map(Iterator::collect::<Vec<_>>);
            match found {
                Ok(addresses) => Ok(Box::new(addresses.into_iter()) as Addrs),
                Err(source) => Err(DnsFailure { host, source }.into()),
            }
        })
    }
}
