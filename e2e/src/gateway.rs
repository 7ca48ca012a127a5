//! A door before the API server that sees every request of the operator: it counts them, ends the operator's life at an
//! exact one, and makes answers and events come late, out of order, or never.
//!
//! It speaks plain HTTP to the operator and holds the administrator's identity towards the API server.
//!
//! - **Deaths**: the n-th write can be made the last ([`Gateway::trap`]): nothing more gets through, as from a dead
//!   operator. [`Gateway::arm`] does the same for many releases at once, each known by a token in its paths: what has the
//!   token is dead after its trap, everything else goes on, and one kill of the process ends them all.
//! - **Order**: [`Gateway::answers`] and [`Gateway::events`] delay answers against the events that tell of the same
//!   write, either way round; [`Gateway::cut_watches`] breaks watches off, so that several versions become one.
//! - **Absence**: [`Gateway::away`], and lists that lag ([`Gateway::serve_stale`]).

mod rules;
mod stream;
mod upstream;

use std::collections::{BTreeMap, BTreeSet};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use bytes::Bytes;
use http::header::{ACCEPT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, HOST, HeaderValue, TRANSFER_ENCODING};
use http::{HeaderMap, Request, Response, StatusCode};
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt as _, Full, StreamBody};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use kube::config::{KubeConfigOptions, Kubeconfig};
use reqwest::Client;
use tokio::net::TcpListener;
use tokio::sync::{Notify, mpsc, watch};
use tokio::task::JoinHandle;

pub use self::rules::{Answer, Events, Reply, Which};
use self::rules::{Asked, CONFLICT, Cut, Kind, Rules, TIMED_OUT};
use crate::process::Scratch;

type Body = BoxBody<Bytes, anyhow::Error>;

/// How long an answer waits for an event that no watch may bring.
const UNWATCHED: Duration = Duration::from_secs(5);

/// Where in the life of a write the operator dies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Moment {
    /// The API server never hears of it.
    Before,
    /// The API server has carried it out; the operator never hears of it.
    After,
}

/// Where one release dies, out of many that share an operator.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trap {
    /// What the paths of this release's requests hold, and those of no other.
    pub token: String,
    /// The write, as `METHOD path`.
    pub write: String,
    /// Which of the writes that look so: the first is 0.
    pub occurrence: usize,
    /// Before or after it.
    pub moment: Moment,
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
    state: Arc<Mutex<State>>,
    reached: Notify,
    changed: watch::Sender<()>,
    told: watch::Sender<BTreeSet<Told>>,
}

#[derive(Debug, Default)]
struct State {
    writes: Vec<String>,
    persisted: Vec<String>,
    requests: u64,
    trap: Option<(usize, Moment)>,
    // While true nothing more is let through: what was asked after the trap comes from a dead operator.
    shut: bool,
    armed: Vec<Armed>,
    rules: Rules,
    // How each list was asked for, to ask for it again.
    lists: BTreeMap<String, HeaderMap>,
    remembered: BTreeMap<String, Whole>,
}

/// A trap, and how near it is.
#[derive(Debug)]
struct Armed {
    trap: Trap,
    passed: usize,
    // It has caught its write: nothing more is let through.
    sprung: bool,
    // And the write was carried out, or never will be.
    over: bool,
}

/// A version of an object that a watch has told of; none for its end.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Told {
    uid: String,
    version: Option<String>,
}

/// What becomes of a request.
#[derive(Clone, Copy, Debug)]
enum Fate {
    /// The API server is asked; the answer is the operator's, in this way if in a special one.
    Passes(Option<Answer>),
    /// It is the operator's last; with `true` it hears nothing, else its connection breaks.
    Last(Moment, bool),
    /// The connection breaks at once.
    Refused,
}

/// An answer that came whole.
#[derive(Clone, Debug)]
struct Whole {
    status: StatusCode,
    headers: HeaderMap,
    body: Bytes,
}

impl Gateway {
    /// Opens a gateway before the API server of a kubeconfig.
    ///
    /// # Errors
    /// When the kubeconfig cannot be read or nothing can listen.
    pub async fn start(kubeconfig: &Path) -> Result<Self> {
        Self::with(kubeconfig, Arc::default()).await
    }

    /// Opens another one before the API server of another cluster, that counts with this one: the traps and the writes of both are
    /// the same.
    ///
    /// # Errors
    /// As [`Gateway::start`].
    pub async fn beside(&self, kubeconfig: &Path) -> Result<Self> {
        Self::with(kubeconfig, Arc::clone(&self.shared.state)).await
    }

    async fn with(kubeconfig: &Path, state: Arc<Mutex<State>>) -> Result<Self> {
        crate::install_tls_provider();
        let read = Kubeconfig::read_from(kubeconfig)?;
        let config = kube::Config::from_custom_kubeconfig(read, &KubeConfigOptions::default()).await?;
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address: SocketAddr = listener.local_addr()?;
        let scratch = Scratch::new("gateway")?;
        let own = scratch.join("kubeconfig");
        std::fs::write(&own, crate::apiserver::kubeconfig(&format!("http://{address}"), None, None))?;
        let shared = Arc::new(Shared {
            client: upstream::client(&config)?,
            upstream: config.cluster_url.to_string().trim_end_matches('/').to_owned(),
            state,
            reached: Notify::new(),
            changed: watch::Sender::new(()),
            told: watch::Sender::default(),
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

    /// The writes seen so far that ask for more than what would become of them, as `METHOD path`.
    pub fn persisted(&self) -> Vec<String> {
        self.shared.lock().persisted.clone()
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

    /// Forgets the writes and sets many traps, one for each token. A release whose trap has sprung can write nothing more.
    pub fn arm(&self, traps: Vec<Trap>) {
        let mut state = self.shared.lock();
        state.writes.clear();
        state.armed = traps.into_iter().map(|trap| Armed { trap, passed: 0, sprung: false, over: false }).collect();
    }

    /// Whether the trap of this token has sprung, and its write was carried out if it was to be.
    pub fn sprung(&self, token: &str) -> bool {
        self.shared.lock().armed.iter().any(|armed| armed.trap.token == token && armed.over)
    }

    /// Forgets the writes and the traps, and lets everything through that no rule stops.
    pub fn open(&self) {
        let mut state = self.shared.lock();
        state.writes.clear();
        state.trap = None;
        state.armed.clear();
        state.shut = false;
    }

    /// Waits until the trap has caught its write. From then on the door is shut until it is opened.
    pub async fn caught(&self) {
        self.shared.reached.notified().await;
    }

    /// From now on, what becomes of the answers to some writes. The first rule that takes a write counts.
    pub fn answers(&self, which: Which, answer: Answer) {
        self.shared.lock().rules.answers.push((which, answer));
    }

    /// From now on, what becomes of the events of some watches, also of those that are open.
    pub fn events(&self, which: Which, events: Events) {
        self.shared.lock().rules.events.push((which, events));
        self.shared.changed.send_replace(());
    }

    /// From now on, what is answered to some reads in the place of the API server.
    pub fn replies(&self, which: Which, reply: Reply) {
        self.shared.lock().rules.replies.push((which, reply));
    }

    /// Breaks some watches off. For `gap` none of them begins again, and each is told then that it must list anew: what
    /// happened in between is seen as one change.
    pub fn cut_watches(&self, which: Which, gap: Duration) {
        let mut state = self.shared.lock();
        let (number, until) = (state.rules.newest_cut() + 1, Instant::now() + gap);
        state.rules.cuts.push(Cut { number, which, until, expired: Vec::new() });
        drop(state);
        self.shared.changed.send_replace(());
    }

    /// Answers some lists as they would be answered now, until [`Gateway::calm`]. Only lists that were asked for before
    /// can be foreseen. This is worse than Kubernetes itself, which lets only the watch lag.
    ///
    /// # Errors
    /// When the API server does not answer.
    pub async fn serve_stale(&self, which: Which) -> Result<()> {
        let mut chosen = which.clone();
        let lists = self.shared.lock().lists.clone();
        for (path, headers) in lists {
            let asked = Asked::new(&http::Method::GET, &path.parse()?);
            if chosen.takes(&asked) {
                let answer = self.shared.ask(&asked, headers, Bytes::new()).await?;
                let answer = whole(answer).await?;
                self.shared.lock().remembered.insert(path, answer);
            }
        }
        self.shared.lock().rules.stale.push(which);
        Ok(())
    }

    /// With `true` nothing gets through and every connection breaks, as if the API server were not there.
    pub fn away(&self, away: bool) {
        self.shared.lock().rules.away = away;
        self.shared.changed.send_replace(());
    }

    /// Takes all rules away; what was held is delivered.
    pub fn calm(&self) {
        let mut state = self.shared.lock();
        let number = state.rules.newest_cut();
        // An empty choice of watches keeps the count of cuts, and cuts nothing.
        let none = Cut { number, which: Which::watches("").times(0), until: Instant::now(), expired: Vec::new() };
        state.rules = Rules { cuts: vec![none], ..Rules::default() };
        state.remembered.clear();
        drop(state);
        self.shared.changed.send_replace(());
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        self.listening.abort();
    }
}

impl State {
    /// Counts a request; says what becomes of it.
    fn count(&mut self, asked: &Asked) -> Fate {
        self.requests += 1;
        if self.rules.away {
            return Fate::Refused;
        }
        let path = asked.path.split('?').next().unwrap_or_default();
        if asked.persists() {
            self.persisted.push(format!("{} {path}", asked.method));
        }
        if asked.kind != Kind::Write || asked.is_chatter() {
            return if self.shut { Fate::Refused } else { Fate::Passes(None) };
        }
        let (number, write) = (self.writes.len(), format!("{} {path}", asked.method));
        self.writes.push(write.clone());
        if let Some((at, moment)) = self.trap
            && at == number
        {
            self.shut = true;
            return Fate::Last(moment, true);
        }
        if self.shut {
            return Fate::Refused;
        }
        if let Some(armed) = self.armed.iter_mut().find(|armed| path.contains(&armed.trap.token)) {
            if armed.sprung {
                return Fate::Refused;
            }
            if armed.trap.write == write {
                armed.passed += 1;
                armed.sprung = armed.passed > armed.trap.occurrence;
            }
            if armed.sprung {
                return Fate::Last(armed.trap.moment, false);
            }
        }
        Fate::Passes(self.rules.answer(asked))
    }
}

impl Shared {
    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Remembers what a watch has delivered.
    fn tell(&self, told: Option<Told>) {
        if let Some(told) = told {
            self.told.send_modify(|all| all.extend([told]));
        }
    }

    async fn handle(self: Arc<Self>, request: Request<Incoming>) -> Result<Response<Body>> {
        let asked = Asked::new(request.method(), request.uri());
        let fate = self.lock().count(&asked);
        let answer = match fate {
            // An error here closes the connection: a dead operator gets no answer, and a client's retries none either.
            Fate::Refused => bail!("the door is shut"),
            Fate::Last(Moment::Before, for_ever) => return self.end(&asked, for_ever).await,
            Fate::Passes(answer) => answer,
            Fate::Last(Moment::After, _) => None,
        };
        let (head, body) = request.into_parts();
        let mut headers = head.headers;
        headers.remove(HOST);
        // Events are read line by line here, so they must not be packed.
        headers.remove(ACCEPT_ENCODING);
        let body = body.collect().await?.to_bytes();
        match (asked.kind, fate) {
            (Kind::Watch, _) => self.watch(asked, headers).await,
            (Kind::Read, _) => self.read(asked, headers).await,
            (Kind::Write, Fate::Last(_, for_ever)) => {
                drop(whole(self.ask(&asked, headers, body).await?).await);
                self.end(&asked, for_ever).await
            }
            (Kind::Write, _) if answer == Some(Answer::Conflict) => Ok(status(StatusCode::CONFLICT, CONFLICT)),
            (Kind::Write, _) => {
                let carried_out = whole(self.ask(&asked, headers, body).await?).await?;
                self.answered(carried_out, answer).await
            }
        }
    }

    /// The end of the operator, or of one release, at a write.
    async fn end<T>(&self, asked: &Asked, for_ever: bool) -> Result<T> {
        for armed in self.lock().armed.iter_mut().filter(|armed| asked.path.contains(&armed.trap.token)) {
            armed.over = true;
        }
        self.reached.notify_one();
        if for_ever { std::future::pending().await } else { bail!("the door is shut") }
    }

    /// The answer to a write that was carried out, in the way that a rule wants.
    async fn answered(&self, carried_out: Whole, answer: Option<Answer>) -> Result<Response<Body>> {
        match answer {
            None => {}
            Some(Answer::Late(delay)) => tokio::time::sleep(delay).await,
            Some(Answer::AfterEvent(delay)) => {
                if let Ok(announced) = stream::announced(&carried_out.body) {
                    let mut told = self.told.subscribe();
                    let delivered = told.wait_for(|all| all.contains(&announced));
                    drop(tokio::time::timeout(UNWATCHED, delivered).await);
                }
                tokio::time::sleep(delay).await;
            }
            Some(Answer::Lost) => bail!("the answer is lost"),
            Some(Answer::TimedOut) => return Ok(status(StatusCode::GATEWAY_TIMEOUT, TIMED_OUT)),
            // It was not carried out.
            Some(Answer::Conflict) => return Ok(status(StatusCode::CONFLICT, CONFLICT)),
        }
        Ok(carried_out.into_response())
    }

    async fn read(&self, asked: Asked, headers: HeaderMap) -> Result<Response<Body>> {
        let reply = self.lock().rules.reply(&asked);
        if let Some(Reply { status, content_type, body }) = reply {
            let headers = HeaderMap::from_iter([(CONTENT_TYPE, HeaderValue::from_static(content_type))]);
            return Ok(Whole { status: StatusCode::from_u16(status)?, headers, body: body.into() }.into_response());
        }
        let stale = {
            let mut state = self.lock();
            state.lists.insert(asked.path.clone(), headers.clone());
            state.rules.is_stale(&asked).then(|| state.remembered.get(&asked.path).cloned()).flatten()
        };
        match stale {
            Some(stale) => Ok(stale.into_response()),
            None => Ok(whole(self.ask(&asked, headers, Bytes::new()).await?).await?.into_response()),
        }
    }

    async fn watch(self: Arc<Self>, asked: Asked, headers: HeaderMap) -> Result<Response<Body>> {
        let gap = self.lock().rules.gap(&asked);
        tokio::time::sleep(gap).await;
        if self.lock().rules.expires(&asked) {
            let headers = HeaderMap::from_iter([(CONTENT_TYPE, HeaderValue::from_static("application/json"))]);
            let body = Bytes::from_static(stream::EXPIRED.as_bytes());
            return Ok(Whole { status: StatusCode::OK, headers, body }.into_response());
        }
        let answer = self.ask(&asked, headers, Bytes::new()).await?;
        if !answer.status().is_success() {
            return Ok(whole(answer).await?.into_response());
        }
        let mut response = Response::builder().status(answer.status());
        if let Some(to) = response.headers_mut() {
            to.extend(answer.headers().clone());
            to.remove(TRANSFER_ENCODING);
        }
        // One event at a time: what the client has not taken yet was not delivered.
        let (out, mut events) = mpsc::channel::<stream::Sent>(1);
        tokio::spawn(stream::pass(Arc::clone(&self), asked, answer.bytes_stream(), out));
        let events = futures::stream::poll_fn(move |context| events.poll_recv(context));
        Ok(response.body(StreamBody::new(events).boxed())?)
    }

    async fn ask(&self, asked: &Asked, headers: HeaderMap, body: Bytes) -> Result<reqwest::Response> {
        let url = format!("{}{}", self.upstream, asked.path);
        Ok(self.client.request(asked.method.clone(), url).headers(headers).body(body).send().await?)
    }
}

impl Whole {
    fn into_response(self) -> Response<Body> {
        let body: Body = Full::new(self.body).map_err(|never| match never {}).boxed();
        let mut response = Response::new(body);
        *response.status_mut() = self.status;
        *response.headers_mut() = self.headers;
        response
    }
}

async fn whole(answer: reqwest::Response) -> Result<Whole> {
    let (status, mut headers) = (answer.status(), answer.headers().clone());
    headers.remove(TRANSFER_ENCODING);
    headers.remove(CONTENT_LENGTH);
    Ok(Whole { status, headers, body: answer.bytes().await? })
}

/// An answer in the place of the API server.
fn status(status: StatusCode, body: &'static str) -> Response<Body> {
    let headers = HeaderMap::from_iter([(CONTENT_TYPE, HeaderValue::from_static("application/json"))]);
    Whole { status, headers, body: Bytes::from_static(body.as_bytes()) }.into_response()
}

async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    while let Ok((stream, _)) = listener.accept().await {
        let shared = Arc::clone(&shared);
        tokio::spawn(async move {
            let service = service_fn(|request| Arc::clone(&shared).handle(request));
            // A connection that breaks is the client's to notice.
            drop(hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service).await);
        });
    }
}
