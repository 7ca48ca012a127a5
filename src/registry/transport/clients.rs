//! HTTP clients, one per TLS settings: connections to a registry are shared by everybody who trusts it alike.

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use reqwest::Client;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use rustls::ClientConfig;
use rustls::client::WebPkiServerVerifier;

use super::verifier::Verifier;
use crate::registry::credentials::Access;
use crate::registry::error::{Attempt, Error};
use crate::registry::trust::{CaBundle, Roots, Trust};

/// Most clients kept. Each holds its trusted certificates, some 300 KB with the system's.
const MAX_CLIENTS: usize = 16;

/// Idle connections are dropped after this, before registries and load balancers drop them.
const IDLE_TIMEOUT: Duration = Duration::from_secs(50);

/// Clients by TLS settings; those longest unused go first.
pub(super) struct Clients {
    roots: Arc<Roots>,
    connect: Duration,
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
    /// Clients that trust `roots`, and give up a connection after `connect`: a host that drops packets is told apart
    /// from a slow answer by it.
    pub(super) fn new(roots: Arc<Roots>, connect: Duration) -> Self {
        Self { roots, connect, kept: Mutex::default() }
    }

    pub(super) fn roots(&self) -> Arc<Roots> {
        Arc::clone(&self.roots)
    }

    pub(super) fn trust(&self) -> Trust {
        self.roots.trust()
    }

    /// The client for the TLS settings of `access`, made if there is none.
    pub(super) fn get(&self, access: &Access, attempt: &Attempt) -> Result<Client, Error> {
        let settings = TlsSettings { ca_pem: access.ca_pem.clone(), insecure_skip_verify: access.insecure_skip_verify };
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(found) = kept.get_mut(&settings) {
            found.used = Instant::now();
            return Ok(found.client.clone());
        }
        let client = self.build(&settings).map_err(|detail| Error::InvalidCa { attempt: attempt.clone(), detail })?;
        if kept.len() >= MAX_CLIENTS {
            let oldest = kept.iter().min_by_key(|(_, kept)| kept.used).map(|(settings, _)| settings.clone());
            kept.retain(|settings, _| Some(settings) != oldest.as_ref());
        }
        let used = Instant::now();
        kept.insert(settings, Kept { client: client.clone(), used });
        Ok(client)
    }

    /// A client that follows no redirect, keeps connections, and trusts what `settings` say.
    fn build(&self, settings: &TlsSettings) -> Result<Client, String> {
        let builder = Client::builder()
            .user_agent(concat!("helm-operator/", env!("CARGO_PKG_VERSION")))
            .redirect(reqwest::redirect::Policy::none())
            .connect_timeout(self.connect)
            .pool_idle_timeout(IDLE_TIMEOUT)
            .pool_max_idle_per_host(8)
            .dns_resolver(Resolver);
        let builder = if settings.insecure_skip_verify {
            builder.tls_certs_only([]).tls_danger_accept_invalid_certs(true)
        } else {
            builder.tls_backend_preconfigured(tls_config(&self.roots, settings.ca_pem.as_deref())?)
        };
        builder.build().map_err(|error| error.to_string())
    }
}

/// What everybody trusts, and the certificates of `ca_pem`.
pub(in crate::registry) fn tls_config(roots: &Roots, ca_pem: Option<&[u8]>) -> Result<ClientConfig, String> {
    let bundle = ca_pem.map(CaBundle::parse).transpose().map_err(|error| error.to_string())?;
    let mut trusted = roots.store();
    let mut given = roots.given().to_vec();
    if let Some(bundle) = &bundle {
        trusted.add_parsable_certificates(bundle.certificates().iter().cloned());
        given.extend_from_slice(bundle.certificates());
        for problem in bundle.unusable() {
            tracing::warn!(problem, "a certificate of a ca.crt cannot be used and is left out");
        }
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?;
    if given.is_empty() {
        return Ok(builder.with_root_certificates(trusted).with_no_client_auth());
    }
    let by_roots = WebPkiServerVerifier::builder_with_provider(Arc::new(trusted), provider).build();
    let by_roots = by_roots.map_err(|error| error.to_string())?;
    let verifier = Arc::new(Verifier { by_roots, given });
    Ok(builder.dangerous().with_custom_certificate_verifier(verifier).with_no_client_auth())
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
