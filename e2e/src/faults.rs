//! Servers on loopback that answer as a test wants, and remember what they were asked: for the answers that a healthy
//! registry never gives, alone or in front of a real one.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context, Result};
use futures::StreamExt as _;
use http::header::{AUTHORIZATION, CONTENT_LENGTH, HOST};
use http::{HeaderMap, Method, Request, Response};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt as _, Full, StreamBody};
use hyper::body::{Bytes, Frame, Incoming};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio::task::{AbortHandle, JoinSet};
use tokio_rustls::TlsAcceptor;

use crate::certificates::Identity;

type Body = UnsyncBoxBody<Bytes, anyhow::Error>;
type Script = Arc<dyn Fn(&Seen) -> Reply + Send + Sync>;

/// A request that a [`Server`] got.
#[derive(Clone, Debug)]
pub struct Seen {
    /// The method.
    pub method: Method,
    /// Path and query.
    pub path: String,
    /// All headers.
    pub headers: HeaderMap,
    /// The body.
    pub body: Bytes,
}

impl Seen {
    /// The `Authorization` header.
    pub fn authorization(&self) -> Option<&str> {
        self.headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok())
    }

    /// The `Host` header: the name under which the server was asked.
    pub fn host(&self) -> &str {
        self.headers.get(HOST).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }
}

/// What a [`Server`] does with a request.
pub enum Reply {
    /// Answers.
    Answer(Response<Bytes>),
    /// Passes the request on to this base URL (`http://127.0.0.1:port`), and the answer back.
    Forward(String),
    /// Passes the request on, and answers with the body changed; length and digest headers stay as they were where
    /// the length does not change.
    Rewrite(String, fn(Vec<u8>) -> Vec<u8>),
    /// Never answers.
    Hang,
    /// Begins to answer with the response, and breaks off after so many bytes of its body.
    Cut(Response<Bytes>, usize),
    /// Closes the connection.
    Close,
}

impl Reply {
    /// An answer with `status`, a header each, and a body.
    ///
    /// # Panics
    /// When a header is malformed.
    pub fn new(status: u16, headers: &[(&str, &str)], body: impl Into<Bytes>) -> Self {
        Self::Answer(response(status, headers, body))
    }
}

/// A response for [`Reply::Answer`] and [`Reply::Cut`].
///
/// # Panics
/// When a header is malformed.
pub fn response(status: u16, headers: &[(&str, &str)], body: impl Into<Bytes>) -> Response<Bytes> {
    let mut builder = Response::builder().status(status);
    for (name, value) in headers {
        builder = builder.header(*name, *value);
    }
    builder.body(body.into()).expect("a test's headers are well-formed")
}

/// A server that follows a script. Dropping it ends it.
pub struct Server {
    address: SocketAddr,
    seen: Arc<Mutex<Vec<Seen>>>,
    accepting: AbortHandle,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

impl Server {
    /// Listens on a free port of 127.0.0.1, with TLS where there is an `identity`.
    ///
    /// # Errors
    /// When no port is free or the identity is unusable.
    pub async fn start(
        identity: Option<&Identity>,
        script: impl Fn(&Seen) -> Reply + Send + Sync + 'static,
    ) -> Result<Self> {
        let tls = identity.map(acceptor).transpose()?;
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let seen = Arc::<Mutex<Vec<Seen>>>::default();
        let stage = Stage { script: Arc::new(script), seen: Arc::clone(&seen), client: client()? };
        let accepting = tokio::spawn(accept(listener, tls, stage)).abort_handle();
        Ok(Self { address, seen, accepting })
    }

    /// A registry's front: what `script` leaves alone (`None`) goes to `upstream`, a `host:port` that speaks plain HTTP.
    ///
    /// # Errors
    /// As [`Self::start`].
    pub async fn before(
        upstream: &str,
        script: impl Fn(&Seen) -> Option<Reply> + Send + Sync + 'static,
    ) -> Result<Self> {
        let upstream = format!("http://{upstream}");
        Self::start(None, move |seen| script(seen).unwrap_or_else(|| Reply::Forward(upstream.clone()))).await
    }

    /// `127.0.0.1:port`.
    pub fn host(&self) -> String {
        self.address.to_string()
    }

    /// The port.
    pub fn port(&self) -> u16 {
        self.address.port()
    }

    /// What it was asked so far, in order.
    pub fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// How many requests had `part` in their path.
    pub fn count(&self, part: &str) -> usize {
        self.seen().iter().filter(|seen| seen.path.contains(part)).count()
    }
}

/// What every connection of one server shares.
#[derive(Clone)]
struct Stage {
    script: Script,
    seen: Arc<Mutex<Vec<Seen>>>,
    client: reqwest::Client,
}

fn client() -> Result<reqwest::Client> {
    crate::install_tls_provider();
    let builder = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).no_proxy();
    Ok(builder.tls_certs_only([]).build()?)
}

fn acceptor(identity: &Identity) -> Result<TlsAcceptor> {
    use rustls::pki_types::pem::PemObject as _;
    use rustls::pki_types::{CertificateDer, PrivateKeyDer};
    crate::install_tls_provider();
    let chain = CertificateDer::pem_slice_iter(identity.certificate.as_bytes()).collect::<Result<Vec<_>, _>>()?;
    let key = PrivateKeyDer::from_pem_slice(identity.key.as_bytes())?;
    let config = rustls::ServerConfig::builder().with_no_client_auth().with_single_cert(chain, key)?;
    Ok(TlsAcceptor::from(Arc::new(config)))
}

async fn accept(listener: TcpListener, tls: Option<TlsAcceptor>, stage: Stage) {
    // Connections end with the server: an aborted accept drops the set.
    let mut connections = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        let (tls, stage) = (tls.clone(), stage.clone());
        connections.spawn(async move {
            match tls {
                None => serve(stream, stage).await,
                // A failed handshake is what a test of TLS wants.
                Some(tls) => {
                    if let Ok(stream) = tls.accept(stream).await {
                        serve(stream, stage).await;
                    }
                }
            }
        });
        while connections.try_join_next().is_some() {}
    }
}

async fn serve(stream: impl AsyncRead + AsyncWrite + Unpin, stage: Stage) {
    let service = hyper::service::service_fn(|request| answer(request, stage.clone()));
    let connection = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service);
    // Connections that break are part of the script.
    drop(connection.await);
}

async fn answer(request: Request<Incoming>, stage: Stage) -> Result<Response<Body>> {
    let path = request.uri().path_and_query().map_or("/", |path| path.as_str()).to_owned();
    let (parts, body) = request.into_parts();
    let body = body.collect().await?.to_bytes();
    let seen = Seen { method: parts.method, path, headers: parts.headers, body };
    stage.seen.lock().unwrap_or_else(PoisonError::into_inner).push(seen.clone());
    match (stage.script)(&seen) {
        Reply::Answer(response) => Ok(response.map(whole)),
        Reply::Forward(upstream) => Ok(forward(&stage.client, &upstream, &seen).await?.map(whole)),
        Reply::Rewrite(upstream, change) => {
            let answer = forward(&stage.client, &upstream, &seen).await?;
            Ok(answer.map(|body| whole(change(body.into()).into())))
        }
        Reply::Hang => std::future::pending().await,
        Reply::Cut(response, kept) => Ok(cut(response, kept)),
        Reply::Close => anyhow::bail!("closed by the script"),
    }
}

fn whole(body: Bytes) -> Body {
    Full::new(body).map_err(|never| match never {}).boxed_unsync()
}

fn cut(response: Response<Bytes>, kept: usize) -> Response<Body> {
    let (mut parts, body) = response.into_parts();
    parts.headers.insert(CONTENT_LENGTH, body.len().into());
    let begin = futures::stream::iter([Ok(Frame::data(body.slice(..kept)))]);
    // A moment between both: what is to be read before the break must have left.
    let end = futures::stream::once(async {
        tokio::task::yield_now().await;
        Err(anyhow::anyhow!("cut by the script"))
    });
    Response::from_parts(parts, StreamBody::new(begin.chain(end)).boxed_unsync())
}

async fn forward(client: &reqwest::Client, upstream: &str, seen: &Seen) -> Result<Response<Bytes>> {
    let request = client.request(seen.method.clone(), format!("{upstream}{}", seen.path));
    let answer = request.headers(seen.headers.clone()).body(seen.body.clone()).send().await.context("no upstream")?;
    let (status, mut headers) = (answer.status(), answer.headers().clone());
    let body = answer.bytes().await?;
    // HEAD's length is its answer; elsewhere the body tells it.
    if seen.method != Method::HEAD {
        headers.remove(CONTENT_LENGTH);
    }
    headers.remove(http::header::TRANSFER_ENCODING);
    let mut response = Response::new(body);
    *response.status_mut() = status;
    *response.headers_mut() = headers;
    Ok(response)
}
