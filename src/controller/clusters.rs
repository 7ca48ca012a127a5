//! Other clusters in which releases are carried out: one connection for each kubeconfig, or `ConfigMap` in its place, with what is known of the cluster.
//!
//! A cluster is connected to when the first release needs it, and let go when none names it any more. Whether it answers is
//! known without asking, so that a release of one that does not costs nobody anything: a task of the cluster's own keeps Helm's
//! history there, asks again while there is no answer, and wakes the releases when that changes.

mod certificate;
mod read;
mod tokens;

use std::collections::BTreeMap;
use std::error::Error;
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures::StreamExt as _;
use kube::ResourceExt as _;
use kube::config::KubeConfigOptions;
use kube::runtime::watcher;
use tokio::sync::{Notify, watch};
use tokio::task::{AbortHandle, spawn_local};
use tokio::time::{Instant, sleep, timeout};

use self::read::{Content, unusable};
use self::tokens::Tokens;
use super::context::Context;
use super::error::{ReconcileError, chain};
use super::kubeconfig::Connection;
use super::place::Site;
use super::records::Records;
use super::revisions::Revisions;
use super::target::ClusterKey;
use super::watch::{reference, wake_by_history};
use crate::api::{HelmRelease, KubeConfig, Reason};
use crate::client::{self, Bearer, jittered};
use crate::shutdown::Shutdown;

/// How long a reconcile waits for the first answer of a cluster.
const FIRST_ANSWER: Duration = Duration::from_secs(15);

/// How long a cluster may take to say that it is there.
const PROBE: Duration = Duration::from_secs(10);

/// How long a cluster that answered before may be away before that is told.
const AWAY: Duration = Duration::from_secs(10);

/// Pauses between attempts to reach a cluster.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(10);

/// The clusters that are connected to.
pub(crate) struct Clusters {
    open: Mutex<BTreeMap<ClusterKey, Arc<Remote>>>,
    /// Held while one is connected to: of many releases of a cluster the first does that.
    connecting: tokio::sync::Mutex<()>,
    shutdown: Shutdown,
}

/// A cluster that is connected to, for as long as somebody holds it.
pub(crate) struct Remote {
    /// What reaches it.
    pub(crate) site: Site,
    key: ClusterKey,
    server: String,
    /// Of the kubeconfig, or what stands in its place.
    digest: [u8; 32],
    state: watch::Sender<State>,
    /// Notified when it may be away.
    suspected: Arc<Notify>,
    tasks: Vec<AbortHandle>,
}

/// Whether a cluster can be worked in.
#[derive(Debug, Clone)]
enum State {
    /// It has not answered yet.
    Connecting,
    /// It answers, and Helm's history there is known.
    Known,
    /// It does not answer, or not as it should.
    Lost(Trouble),
}

/// Why a cluster cannot be worked in.
#[derive(Debug, Clone)]
struct Trouble {
    reason: Reason,
    message: String,
}

impl Clusters {
    /// None yet. Writes to them end with `shutdown`.
    pub(crate) fn new(shutdown: Shutdown) -> Self {
        Self { open: Mutex::default(), connecting: tokio::sync::Mutex::default(), shutdown }
    }

    /// What is known of Helm's history in a cluster that is connected to.
    pub(crate) fn revisions(&self, cluster: &ClusterKey) -> Option<Revisions> {
        self.lock().get(cluster).map(|remote| remote.site.revisions.clone())
    }

    /// Lets go those that are not `needed`.
    pub(crate) fn retain(&self, needed: impl Fn(&ClusterKey) -> bool) {
        self.lock().retain(|key, _| needed(key));
    }

    fn get(&self, cluster: &ClusterKey) -> Option<Arc<Remote>> {
        self.lock().get(cluster).cloned()
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<ClusterKey, Arc<Remote>>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The cluster `key`, which answers: connected to anew where its kubeconfig is another one by now.
///
/// # Errors
///
/// Its Secret or `ConfigMap` is missing or of no use, or it does not answer as it should.
pub(crate) async fn open(key: &ClusterKey, context: &Arc<Context>) -> Result<Arc<Remote>, ReconcileError> {
    if context.policy.no_remote_clusters {
        let message = "spec.kubeConfig is set, and the operator runs with --no-remote-clusters: leave it out";
        return Err(ReconcileError::new(Reason::AccessDenied, message));
    }
    let said = Content::of(key, context).await?;
    let digest = said.digest();
    let known = || context.clusters.get(key).filter(|known| known.digest == digest);
    // Who is connected does not wait for those who are about to be.
    let remote = if let Some(known) = known() {
        known
    } else {
        let _turn = context.clusters.connecting.lock().await;
        match known() {
            Some(known) => known,
            None => connect(key, &said, context).await?,
        }
    };
    remote.answer().await?;
    Ok(remote)
}

/// The cluster `key` as it was reached last, though its Secret is gone or of no use by now: for what leaves it.
pub(crate) async fn remembered(key: &ClusterKey, context: &Arc<Context>) -> Option<Arc<Remote>> {
    let remote = context.clusters.get(key)?;
    remote.answer().await.is_ok().then_some(remote)
}

async fn connect(key: &ClusterKey, said: &Content, context: &Arc<Context>) -> Result<Arc<Remote>, ReconcileError> {
    let (Connection { kubeconfig, server, has_authority }, identity) = said.parse(key, context.policy.kube_configs)?;
    let config = kube::Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await;
    let config = config.map_err(|error| unusable(key, &chain(&error)))?;
    let bearer = Bearer::default();
    let tokens = identity.map(|identity| Arc::new(Tokens::new(key, identity, &context.client, &bearer)));
    let lifetime = match &tokens {
        Some(tokens) => Some(tokens.renew().await?),
        None => None,
    };
    let shutdown = context.clusters.shutdown.clone();
    let client = client::remote(config, Arc::clone(&context.metrics), shutdown, bearer).await;
    let client = client.map_err(|error| unusable(key, &chain(&error)))?;
    let (revisions, written_by_others) = Revisions::new();
    let site = Site::new(&client, revisions);
    let line = Line {
        key: key.clone(),
        server: server.clone(),
        site: site.clone(),
        state: watch::Sender::new(State::Connecting),
        suspected: Arc::default(),
        tokens: tokens.clone(),
        has_authority,
    };
    let (state, suspected) = (line.state.clone(), Arc::clone(&line.suspected));
    let mut tasks = vec![
        spawn_local(wake_by_history(Some(key.clone()), Arc::clone(context), written_by_others)).abort_handle(),
        spawn_local(line.keep(Arc::clone(context))).abort_handle(),
    ];
    let renewal = tokens.zip(lifetime).map(|(tokens, lifetime)| async move { tokens.keep(lifetime).await });
    tasks.extend(renewal.map(|renewal| spawn_local(renewal).abort_handle()));
    let remote = Arc::new(Remote { site, key: key.clone(), server, digest: said.digest(), state, suspected, tasks });
    let before = context.clusters.lock().insert(key.clone(), Arc::clone(&remote));
    if before.is_some() {
        tracing::info!(cluster = %key, server = %remote.server, "how to reach it was changed: connecting anew");
        interrupt(key, context);
    }
    Ok(remote)
}

/// What is watched in a cluster is watched by a connection that is of no use any more: the releases look anew.
fn interrupt(key: &ClusterKey, context: &Context) {
    let releases: Vec<_> = context.index().in_cluster(key).cloned().collect();
    for release in &releases {
        if let Some(object) = context.releases.get(&reference::<HelmRelease>(release)) {
            let uid = object.uid().unwrap_or_default();
            context.waits.end(&uid);
            context.live.end(&uid);
        }
    }
    context.wake.releases(&releases);
}

impl Remote {
    /// Its server, for messages.
    pub(crate) fn server(&self) -> &str {
        &self.server
    }

    /// Something that was asked of it got no answer.
    pub(crate) fn suspect(&self) {
        self.suspected.notify_one();
    }

    /// Resolves once it answers; what is wrong otherwise.
    async fn answer(&self) -> Result<(), ReconcileError> {
        let mut state = self.state.subscribe();
        let told = state.wait_for(|state| !matches!(state, State::Connecting));
        match timeout(FIRST_ANSWER, told).await.map(|told| told.map(|state| state.clone())) {
            Ok(Ok(State::Known)) => Ok(()),
            Ok(Ok(State::Lost(Trouble { reason, message }))) => Err(ReconcileError::new(reason, message)),
            Ok(Ok(State::Connecting) | Err(_)) | Err(_) => {
                let message = format!(
                    "{} ({}) has told nothing of Helm's history there within {FIRST_ANSWER:?}; the release goes on as soon as it does",
                    self.key, self.server
                );
                Err(ReconcileError::new(Reason::ClusterUnreachable, message))
            }
        }
    }

    /// Resolves when it cannot be worked in any more.
    pub(crate) async fn lost(&self) -> ReconcileError {
        let mut state = self.state.subscribe();
        let lost = state.wait_for(|state| matches!(state, State::Lost(_))).await.map(|state| state.clone());
        match lost {
            Ok(State::Lost(Trouble { reason, message })) => ReconcileError::new(reason, message),
            _ => std::future::pending().await,
        }
    }
}

impl Drop for Remote {
    fn drop(&mut self) {
        self.tasks.iter().for_each(AbortHandle::abort);
    }
}

/// What keeps a connection.
struct Line {
    key: ClusterKey,
    server: String,
    site: Site,
    state: watch::Sender<State>,
    suspected: Arc<Notify>,
    /// Where the cluster is shown tokens of a service account.
    tokens: Option<Arc<Tokens>>,
    has_authority: bool,
}

impl Line {
    /// Keeps Helm's history as the cluster has it, and tells whether it answers. Never ends.
    async fn keep(self, context: Arc<Context>) {
        let mut pause = FIRST_PAUSE;
        loop {
            let trouble = match self.probe().await {
                Ok(()) => self.follow(&context, &mut pause).await,
                Err(trouble) => trouble,
            };
            self.tell(&State::Lost(trouble), &context);
            sleep(jittered(pause)).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    /// Follows the history until the cluster is lost; why it is.
    async fn follow(&self, context: &Context, pause: &mut Duration) -> Trouble {
        let mut records = Records::new(self.site.revisions.clone());
        let mut events = pin!(Records::watch(self.site.client.clone()));
        let (mut is_known, mut is_renewed) = (false, false);
        loop {
            let event = tokio::select! {
                event = events.next() => event,
                () = self.suspected.notified() => match self.is_there().await {
                    Ok(()) => continue,
                    Err(trouble) => return trouble,
                },
            };
            let trouble = match event {
                Some(Ok(event)) => {
                    is_renewed = false;
                    if records.take(event) {
                        (is_known, *pause) = (true, FIRST_PAUSE);
                        self.tell(&State::Known, context);
                    }
                    continue;
                }
                Some(Err(error)) => self.refusal(&error),
                None => return self.unreachable("its watch of release Secrets ended"),
            };
            match trouble {
                // The one that it knows no more may have been renewed meanwhile, or is now.
                Ok(trouble)
                    if trouble.reason == Reason::ClusterCredentialsRejected && self.tokens.is_some() && !is_renewed =>
                {
                    is_renewed = true;
                    if let Err(trouble) = self.probe().await {
                        return trouble;
                    }
                }
                Ok(trouble) => return trouble,
                Err(words) if !is_known => return self.unreachable(&words),
                Err(words) => {
                    tracing::debug!(cluster = %self.key, error = %words, "the watch of release Secrets failed, and is started again");
                    if let Err(trouble) = self.is_there().await {
                        return trouble;
                    }
                }
            }
        }
    }

    /// Whether a cluster that answered before still does: a restart of its API server is no news.
    async fn is_there(&self) -> Result<(), Trouble> {
        let began = Instant::now();
        loop {
            match self.probe().await {
                Ok(()) => return Ok(()),
                Err(trouble) if trouble.reason != Reason::ClusterUnreachable || began.elapsed() >= AWAY => {
                    return Err(trouble);
                }
                Err(_) => sleep(FIRST_PAUSE).await,
            }
        }
    }

    /// Whether the cluster answers. A token that it rejects may be that of a service account which was made anew: the next one
    /// is another.
    async fn probe(&self) -> Result<(), Trouble> {
        match (self.ask().await, &self.tokens) {
            (Err(trouble), Some(tokens)) if trouble.reason == Reason::ClusterCredentialsRejected => {
                match tokens.renew().await {
                    Ok(_) => self.ask().await,
                    Err(ReconcileError { reason, message, .. }) => Err(Trouble { reason, message }),
                }
            }
            (answered, _) => answered,
        }
    }

    /// Asks the cluster for its version, as everybody may.
    async fn ask(&self) -> Result<(), Trouble> {
        match timeout(PROBE, self.site.client.apiserver_version()).await {
            Ok(Ok(_)) => Ok(()),
            // It is there, and knows whom it does not tell that.
            Ok(Err(kube::Error::Api(status))) if status.code == 403 => Ok(()),
            Ok(Err(kube::Error::Api(status))) if status.code == 401 => Err(self.rejected()),
            // Whatever answers there: its words are not for whoever may read a status.
            Ok(Err(kube::Error::Api(status))) => Err(self.unreachable(&format!("it answers with {}", status.code))),
            Ok(Err(kube::Error::SerdeError(_))) => Err(self.unreachable("what answers is no API server")),
            Ok(Err(error)) => Err(self.untrusted(&error).unwrap_or_else(|| self.unreachable(&chain(&error)))),
            Err(_) => Err(self.unreachable(&format!("no answer within {PROBE:?}"))),
        }
    }

    /// What a failure of the watch says of the cluster; only words where it may pass.
    fn refusal(&self, error: &watcher::Error) -> Result<Trouble, String> {
        let code = match error {
            watcher::Error::InitialListFailed(kube::Error::Api(status))
            | watcher::Error::WatchStartFailed(kube::Error::Api(status))
            | watcher::Error::WatchError(status) => status.code,
            _ if client::is_too_large(error) => return Ok(self.unreachable(&chain(error))),
            _ => return Err(chain(error)),
        };
        match code {
            401 => Ok(self.rejected()),
            403 => {
                let message = format!(
                    "{} of {} ({}) may not list and watch Secrets in all namespaces there, in which Helm keeps the history: grant it get, list, watch, \
                     create, update and delete of secrets; it is tried again every few seconds",
                    self.subject(),
                    self.key,
                    self.server
                );
                Ok(Trouble { reason: Reason::Forbidden, message })
            }
            code => Err(format!("it answers with {code}")),
        }
    }

    /// Who asks the cluster.
    fn subject(&self) -> &'static str {
        if self.tokens.is_some() { "the service account" } else { "the kubeconfig" }
    }

    fn rejected(&self) -> Trouble {
        let message = match &self.tokens {
            Some(tokens) => format!(
                "{} ({}) rejects the tokens of {} (401 Unauthorized): it has to trust the issuer of this cluster's tokens, and to take one of the \
                 audiences; it is tried again every few seconds",
                self.key,
                self.server,
                tokens.words()
            ),
            None => format!(
                "{} ({}) rejects the credentials of the kubeconfig (401 Unauthorized): they have expired or were revoked; put new ones into the \
                 Secret, which is noticed at once",
                self.key, self.server
            ),
        };
        Trouble { reason: Reason::ClusterCredentialsRejected, message }
    }

    /// The server's certificate is not what it should be.
    fn untrusted(&self, error: &(dyn Error + 'static)) -> Option<Trouble> {
        let trusted = match (&self.key.by, self.has_authority) {
            (KubeConfig::Secret(_), true) => "the certificate-authority-data of the kubeconfig",
            (KubeConfig::ConfigMap(_), true) => "ca.crt",
            (KubeConfig::Secret(_), false) => {
                "the operator's system, since the kubeconfig has no certificate-authority-data"
            }
            (KubeConfig::ConfigMap(_), false) => "the operator's system, since there is no ca.crt",
        };
        let message = format!(
            "{} ({}) is not spoken to: {}; a change of {} is noticed at once, and it is tried again every few seconds",
            self.key,
            self.server,
            certificate::trouble(error, trusted)?,
            self.key.named()
        );
        Some(Trouble { reason: Reason::ClusterUnreachable, message })
    }

    fn unreachable(&self, words: &str) -> Trouble {
        let message = format!(
            "{} ({}) does not answer: {words}; it is tried again every few seconds, and the release goes on as soon as it answers",
            self.key, self.server
        );
        Trouble { reason: Reason::ClusterUnreachable, message }
    }

    /// Tells a change of the state to whoever waits for it, and wakes the releases.
    fn tell(&self, state: &State, context: &Context) {
        let before = self.state.send_replace(state.clone());
        match (&before, state) {
            (State::Lost(was), State::Lost(is)) if was.reason == is.reason => return,
            (_, State::Lost(trouble)) => {
                tracing::warn!(cluster = %self.key, reason = %trouble.reason, "{}", trouble.message);
            }
            (State::Known, _) => return,
            _ => tracing::info!(cluster = %self.key, server = %self.server, "connected"),
        }
        if matches!(state, State::Lost(_)) {
            // Nothing was seen since: what is waited for is looked at anew.
            interrupt(&self.key, context);
        } else {
            let releases: Vec<_> = context.index().in_cluster(&self.key).cloned().collect();
            context.wake.releases(&releases);
        }
    }
}
