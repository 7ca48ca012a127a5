//! The connection to the API server: each request counted and limited in time, each watch begun again soon.
//!
//! A connection whose other end is gone without a word (a node that lost its power, a firewall that forgot) looks like
//! one that is quiet. So an answer must be complete within [`Limits::request`], and a watch must say something, if only
//! a bookmark, within [`Limits::watch`]; else it ends, and is taken up again where it stood.

mod backoff;
mod bearer;
mod limit;
mod person;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use http::HeaderValue;
use kube::client::ClientBuilder;
use kube::client::retry::RetryPolicy;
use kube::{Client, Config};
use tower::ServiceBuilder;
use tower::buffer::BufferLayer;
use tower::retry::RetryLayer;
use tower::util::MapRequestLayer;

pub use self::backoff::WatchBackoff;
pub(crate) use self::backoff::jittered;
pub(crate) use self::bearer::Bearer;
use self::limit::LimitLayer;
pub use self::limit::Limits;
use self::limit::TooLarge;
pub use self::person::Person;
use crate::chain::find;
use crate::metrics::Metrics;
use crate::off_thread::off_thread;
use crate::shutdown::{Gate, Shutdown};

/// How long a TCP and TLS handshake may take.
const CONNECT: Duration = Duration::from_secs(10);

/// Requests that wait for their turn on the way to the connections; more than the operator ever has at once.
const QUEUE: usize = 1024;

/// Asks the server, as an `Accept` header, to answer a write with the object's metadata alone.
pub(crate) const METADATA_ONLY: HeaderValue =
    HeaderValue::from_static("application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1");

/// Pauses before a request that the server turned away (429, 503, 504) is sent again; it may ask for a longer one.
const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);
const RETRIES: u32 = 8;

/// Of another cluster, which may mean harm. Pages of lists are far smaller, and so is what etcd takes of one object.
const REMOTE: Limits =
    Limits { request: Duration::from_secs(30), watch: Duration::from_secs(90), answer: 64 << 20, event: 16 << 20 };

/// The API server cannot be spoken to.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Neither a kubeconfig nor a service account says where it is.
    #[error("failed to find the API server: set KUBECONFIG, or run in a pod with a service account")]
    InferConfig(#[source] kube::config::InferConfigError),
    /// The given kubeconfig cannot be used.
    #[error("failed to read the kubeconfig{}", file.as_ref().map(|file| format!(" {}", file.display())).unwrap_or_default())]
    Kubeconfig {
        /// Which; none for the one that `KUBECONFIG` or the home folder names.
        file: Option<PathBuf>,
        /// Why.
        #[source]
        source: kube::config::KubeconfigError,
    },
    /// The TLS material cannot be used.
    #[error("failed to set up the connection to the API server")]
    BuildClient(#[source] kube::Error),
    /// The pauses between attempts make no sense.
    #[error("failed to set up the connection to the API server")]
    Retries(#[source] kube::client::retry::InvalidBackoff),
}

/// A client for the cluster that `KUBECONFIG`, the home folder's kubeconfig or the pod's service account name.
/// With `shutdown`, its writes are those that the end of the process waits for (what queues for its turn counts as begun)
/// and keeps from beginning.
pub async fn connect(metrics: Arc<Metrics>, shutdown: Option<Shutdown>) -> Result<Client, Error> {
    let config = Config::infer().await.map_err(Error::InferConfig)?;
    assemble(config, metrics, Limits::default(), &Gate(shutdown), Bearer::default())
}

/// A client for the cluster of `config`, whose requests `metrics` counts. Must be called within a Tokio runtime.
///
/// Every request that is no watch ends within `limits.request` of its turn, its retries included; what it ends with is a
/// [`kube::Error::Service`].
pub fn build(config: Config, metrics: Arc<Metrics>, limits: Limits) -> Result<Client, Error> {
    assemble(config, metrics, limits, &Gate(None), Bearer::default())
}

/// A client for another cluster, whose requests get the token of `bearer`, if that has one. Programs that its configuration
/// names run where they hold up nobody.
pub(crate) async fn remote(
    config: Config,
    metrics: Arc<Metrics>,
    shutdown: Shutdown,
    bearer: Bearer,
) -> Result<Client, Error> {
    off_thread(move || assemble(config, metrics, REMOTE, &Gate(Some(shutdown)), bearer)).await
}

/// Whether a server said more than it may.
pub(crate) fn is_too_large(error: &(dyn std::error::Error + 'static)) -> bool {
    find::<TooLarge>(error).is_some()
}

/// What the operator calls itself.
const USER_AGENT: &str = concat!("helm-operator/", env!("CARGO_PKG_VERSION"));

fn assemble(
    mut config: Config,
    metrics: Arc<Metrics>,
    limits: Limits,
    gate: &Gate,
    bearer: Bearer,
) -> Result<Client, Error> {
    config.connect_timeout = Some(CONNECT);
    // By this the API server's audit log and its metrics know it.
    config.headers.push((http::header::USER_AGENT, http::HeaderValue::from_static(USER_AGENT)));
    // kube's own retries pause for up to a quarter of an hour, unseen by everybody.
    config.default_retry = false;
    let retries = RetryPolicy::new(FIRST_PAUSE, LONGEST_PAUSE, RETRIES, true).map_err(Error::Retries)?;
    // Below the retries: each is counted, and signed anew.
    let count = MapRequestLayer::new(move |request: http::Request<kube::client::Body>| {
        metrics.kube_request(request.method());
        bearer.sign(request)
    });
    let layers = ServiceBuilder::new()
        .layer(LimitLayer::new(limits))
        .layer(RetryLayer::new(retries))
        .layer(BufferLayer::new(QUEUE))
        .layer(count);
    Ok(ClientBuilder::try_from(config).map_err(Error::BuildClient)?.with_layer(&layers).with_layer(gate).build())
}

#[cfg(test)]
mod tests;
