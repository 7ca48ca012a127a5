//! The connection to the API server, with its requests counted.

use std::sync::Arc;

use kube::client::ClientBuilder;
use kube::{Client, Config};
use tower::util::MapRequestLayer;

use crate::metrics::Metrics;

/// The API server cannot be spoken to.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Neither a kubeconfig nor a service account says where it is.
    #[error("failed to find the API server: set KUBECONFIG, or run in a pod with a service account")]
    InferConfig(#[source] kube::config::InferConfigError),
    /// The TLS material cannot be used.
    #[error("failed to set up the connection to the API server")]
    BuildClient(#[source] kube::Error),
}

/// A client for the cluster that `KUBECONFIG`, the home folder's kubeconfig or the pod's service account name.
pub async fn connect(metrics: Arc<Metrics>) -> Result<Client, Error> {
    let config = Config::infer().await.map_err(Error::InferConfig)?;
    let count = MapRequestLayer::new(move |request: http::Request<kube::client::Body>| {
        metrics.kube_request(request.method());
        request
    });
    Ok(ClientBuilder::try_from(config).map_err(Error::BuildClient)?.with_layer(&count).build())
}
