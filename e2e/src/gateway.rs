//! A door before the API server that sees every request of the operator and can end it at an exact one.
//!
//! It speaks plain HTTP to the operator and holds the administrator's identity towards the API server. Bodies stream, so
//! watches pass. The n-th write can be made the last: the operator is killed before or after it is carried out.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context, Result, bail};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use futures::TryStreamExt as _;
use http::{Method, Request, Response};
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt as _, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use kube::config::{KubeConfigOptions, Kubeconfig};
use reqwest::Client;
use secrecy::ExposeSecret as _;
use tokio::net::TcpListener;
use tokio::sync::Notify;
use tokio::task::JoinHandle;

use crate::process::Scratch;

type Body = BoxBody<Bytes, reqwest::Error>;

/// Where in the life of a write the operator dies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moment {
    /// The API server never hears of it.
    Before,
    /// The API server has carried it out; the operator never hears of it.
    After,
}

/// A running gateway. Dropping it ends it.
#[derive(Debug)]
pub struct Gateway {
    kubeconfig: PathBuf,
    shared: Arc<Shared>,
    listening: JoinHandle<()>,
    _scratch: Scratch,
}

#[derive(Debug)]
struct Shared {
    client: Client,
    upstream: String,
    state: Mutex<State>,
    reached: Notify,
}

#[derive(Debug, Default)]
struct State {
    writes: Vec<String>,
    requests: u64,
    trap: Option<(usize, Moment)>,
    // While true nothing more is let through: what was asked after the trap comes from a dead operator.
    shut: bool,
}

impl Gateway {
    /// Opens a gateway before the API server of a kubeconfig.
    ///
    /// # Errors
    /// When the kubeconfig cannot be read or nothing can listen.
    pub async fn start(kubeconfig: &Path) -> Result<Self> {
        crate::install_tls_provider();
        let read = Kubeconfig::read_from(kubeconfig)?;
        let config = kube::Config::from_custom_kubeconfig(read, &KubeConfigOptions::default()).await?;
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address: SocketAddr = listener.local_addr()?;
        let scratch = Scratch::new("gateway")?;
        let own = scratch.join("kubeconfig");
        std::fs::write(&own, crate::apiserver::kubeconfig(&format!("http://{address}"), None, None))?;
        let shared = Arc::new(Shared {
            client: client(&config)?,
            upstream: config.cluster_url.to_string().trim_end_matches('/').to_owned(),
            state: Mutex::default(),
            reached: Notify::new(),
        });
        let listening = tokio::spawn(accept(listener, Arc::clone(&shared)));
        Ok(Self { kubeconfig: own, shared, listening, _scratch: scratch })
    }

    /// The kubeconfig that leads through the gateway.
    pub fn kubeconfig(&self) -> &Path {
        &self.kubeconfig
    }

    /// The writes seen so far, as `METHOD path`.
    pub fn writes(&self) -> Vec<String> {
        self.shared.lock().writes.clone()
    }

    /// All requests seen so far, watches included.
    pub fn requests(&self) -> u64 {
        self.shared.lock().requests
    }

    /// Forgets the writes, opens the door, and sets the trap at the `n`-th write from now (the first is 0).
    pub fn trap(&self, n: usize, moment: Moment) {
        let mut state = self.shared.lock();
        state.writes.clear();
        state.trap = Some((n, moment));
        state.shut = false;
    }

    /// Forgets the writes and lets everything through.
    pub fn open(&self) {
        let mut state = self.shared.lock();
        state.writes.clear();
        state.trap = None;
        state.shut = false;
    }

    /// Waits until the trap has caught its write. From then on the door is shut until it is opened.
    pub async fn caught(&self) {
        self.shared.reached.notified().await;
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        self.listening.abort();
    }
}

impl Shared {
    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts a request; says at which moment it is to be the operator's last, if it is.
    fn count(&self, request: &Request<Incoming>) -> Option<Moment> {
        let mut state = self.lock();
        state.requests += 1;
        if [Method::GET, Method::HEAD, Method::OPTIONS].contains(request.method()) || is_chatter(request.uri().path()) {
            return None;
        }
        let number = state.writes.len();
        state.writes.push(format!("{} {}", request.method(), request.uri().path()));
        let (at, moment) = state.trap?;
        (at == number).then(|| {
            state.shut = true;
            moment
        })
    }

    async fn pass(&self, request: Request<Incoming>) -> Result<Response<Body>> {
        let last = self.count(&request);
        if last == Some(Moment::Before) {
            self.reached.notify_one();
            return std::future::pending().await;
        }
        if last.is_none() && self.lock().shut {
            // An error here closes the connection: a dead operator gets no answer, and a client's retries none either.
            bail!("the door is shut");
        }
        let (head, body) = request.into_parts();
        let path = head.uri.path_and_query().map_or("/", http::uri::PathAndQuery::as_str);
        let mut headers = head.headers;
        headers.remove(http::header::HOST);
        let answer = self
            .client
            .request(head.method, format!("{}{path}", self.upstream))
            .headers(headers)
            .body(body.collect().await?.to_bytes())
            .send()
            .await?;
        if last == Some(Moment::After) {
            self.reached.notify_one();
            return std::future::pending().await;
        }
        let mut response = Response::builder().status(answer.status());
        if let Some(headers) = response.headers_mut() {
            headers.extend(answer.headers().clone());
            headers.remove(http::header::TRANSFER_ENCODING);
        }
        Ok(response.body(StreamBody::new(answer.bytes_stream().map_ok(Frame::data)).boxed())?)
    }
}

/// Events, leases and access reviews tell or ask; they do not move a release.
fn is_chatter(path: &str) -> bool {
    ["/events", "/leases", "accessreviews"].iter().any(|part| path.contains(part))
}

fn client(config: &kube::Config) -> Result<Client> {
    let mut builder = Client::builder().no_proxy();
    for root in config.root_cert.iter().flatten() {
        builder = builder.add_root_certificate(reqwest::Certificate::from_der(root)?);
    }
    let decode = |data: Option<&String>| -> Result<Vec<u8>> {
        let text = data.context("the gateway needs a client certificate in the kubeconfig")?;
        Ok(STANDARD.decode(text)?)
    };
    let mut identity = decode(config.auth_info.client_certificate_data.as_ref())?;
    let key = config.auth_info.client_key_data.as_ref().map(|key| key.expose_secret().to_owned());
    identity.extend(decode(key.as_ref())?);
    Ok(builder.identity(reqwest::Identity::from_pem(&identity)?).build()?)
}

async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    while let Ok((stream, _)) = listener.accept().await {
        let shared = Arc::clone(&shared);
        tokio::spawn(async move {
            let service = service_fn(|request| {
                let shared = Arc::clone(&shared);
                async move { shared.pass(request).await }
            });
            // A connection that breaks is the client's to notice.
            drop(hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service).await);
        });
    }
}
