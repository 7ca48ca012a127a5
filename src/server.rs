//! The operator's own HTTP: `/healthz`, `/readyz`, `/metrics`.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use http::{Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};

use crate::metrics::Metrics;

/// How long a connection may stay open without a request: who never asks keeps no file open.
const IDLE: Duration = Duration::from_secs(30);

/// The pause after a connection that could not be accepted, doubled each time, and the longest one.
const PAUSES: [Duration; 2] = [Duration::from_millis(20), Duration::from_secs(2)];

/// Serves health and metrics to whom `listener` hears, until the process ends.
pub async fn serve(listener: TcpListener, metrics: Arc<Metrics>) {
    let [first, longest] = PAUSES;
    let mut pause = first;
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                pause = first;
                tokio::spawn(converse(stream, Arc::clone(&metrics)));
            }
            // Out of files it fails at once, again and again, until some are closed.
            Err(error) => {
                if pause == first {
                    tracing::warn!(%error, "failed to accept a connection to the health and metrics server; trying again");
                }
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(longest);
            }
        }
    }
}

async fn converse(stream: TcpStream, metrics: Arc<Metrics>) {
    let service = service_fn(move |request: Request<Incoming>| {
        let answer = answer(request.uri().path(), &metrics);
        async move { Ok::<_, Infallible>(answer) }
    });
    let mut server = http1::Builder::new();
    server.timer(TokioTimer::new()).header_read_timeout(IDLE);
    if let Err(error) = server.serve_connection(TokioIo::new(stream), service).await {
        tracing::debug!(%error, "a connection to the health and metrics server broke off");
    }
}

fn answer(path: &str, metrics: &Metrics) -> Response<Full<Bytes>> {
    let ok = || (StatusCode::OK, "ok".to_owned());
    let (status, body) = match path {
        "/healthz" => match metrics.stuck_for() {
            None => ok(),
            Some(silent) => (
                StatusCode::SERVICE_UNAVAILABLE,
                format!("the controllers have not moved for {} s: their thread is stuck", silent.as_secs()),
            ),
        },
        "/readyz" if metrics.is_ready() => ok(),
        "/readyz" => (
            StatusCode::SERVICE_UNAVAILABLE,
            "waiting for the lease, or still reading what is declared and installed".to_owned(),
        ),
        "/metrics" => match metrics.render() {
            Ok(text) => (StatusCode::OK, text),
            Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()),
        },
        _ => (StatusCode::NOT_FOUND, "not found: there are /healthz, /readyz and /metrics".to_owned()),
    };
    let mut response = Response::new(Full::new(Bytes::from(body)));
    *response.status_mut() = status;
    response
}
