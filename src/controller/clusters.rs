//! Other clusters in which releases are carried out: one connection for each kubeconfig, with what is known of the cluster.
//!
//! A cluster is connected to when the first release needs it, and let go when none names it any more. Whether it answers is
//! known without asking, so that a release of one that does not costs nobody anything: a task of the cluster's own keeps Helm's
//! history there, asks again while there is no answer, and wakes the releases when that changes.

use std::collections::BTreeMap;
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures::StreamExt as _;
use k8s_openapi::api::core::v1::Secret;
use kube::ResourceExt as _;
use kube::config::KubeConfigOptions;
use kube::runtime::watcher;
use sha2::{Digest as _, Sha256};
use tokio::sync::{Notify, watch};
use tokio::task::{AbortHandle, spawn_local};
use tokio::time::{Instant, sleep, timeout};

use super::causes::api_error;
use super::context::Context;
use super::error::{ReconcileError, chain};
use super::kubeconfig;
use super::place::Site;
use super::records::Records;
use super::revisions::Revisions;
use super::target::ClusterKey;
use super::watch::{reference, wake_by_history};
use crate::api::{HelmRelease, Reason};
use crate::client::{self, jittered};
use crate::shutdown::Shutdown;

/// The keys of a Secret that may hold its kubeconfig, where none is named: Flux's.
const KEYS: [&str; 2] = ["value", "value.yaml"];

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
    /// Of the kubeconfig.
    digest: [u8; 32],
    state: watch::Sender<State>,
    /// Notified when it may be away.
    suspected: Arc<Notify>,
    tasks: [AbortHandle; 2],
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
/// Its Secret is missing or of no use, or it does not answer as it should.
pub(crate) async fn open(key: &ClusterKey, context: &Arc<Context>) -> Result<Arc<Remote>, ReconcileError> {
    if context.policy.no_remote_clusters {
        let message = "spec.kubeConfig is set, and the operator runs with --no-remote-clusters: leave it out";
        return Err(ReconcileError::new(Reason::AccessDenied, message));
    }
    let text = read(key, context).await?;
    let digest: [u8; 32] = Sha256::digest(&text).into();
    let remote = {
        let _turn = context.clusters.connecting.lock().await;
        match context.clusters.get(key).filter(|known| known.digest == digest) {
            Some(known) => known,
            None => connect(key, &text, digest, context).await?,
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

/// The content of the kubeconfig's Secret.
async fn read(key: &ClusterKey, context: &Context) -> Result<Vec<u8>, ReconcileError> {
    let name = key.secret();
    let secret = context.secrets.get(&name.namespace, &name.name).await;
    let secret = secret.map_err(|error| api_error(&format!("read Secret {name}"), &error))?;
    let Some(secret) = secret else {
        let message = format!(
            "there is no Secret {name}, which spec.kubeConfig names: create it, or correct the name; both are noticed at once"
        );
        return Err(ReconcileError::new(Reason::SecretNotFound, message));
    };
    let holds = |wanted: &str| content(&secret, wanted);
    let found = match &key.secret.key {
        Some(wanted) => holds(wanted),
        None => KEYS.iter().find_map(|wanted| holds(wanted)),
    };
    found.ok_or_else(|| {
        let wanted = key.secret.key.clone().unwrap_or_else(|| KEYS.join(" or "));
        let message =
            format!("Secret {name}, which spec.kubeConfig names, has no key {wanted}: put the kubeconfig there");
        ReconcileError::new(Reason::SecretInvalid, message)
    })
}

fn content(secret: &Secret, key: &str) -> Option<Vec<u8>> {
    Some(secret.data.as_ref()?.get(key)?.0.clone())
}

async fn connect(
    key: &ClusterKey,
    text: &[u8],
    digest: [u8; 32],
    context: &Arc<Context>,
) -> Result<Arc<Remote>, ReconcileError> {
    let wrong = |why: String| {
        let message = format!("the kubeconfig in Secret {} cannot be used: {why}", key.secret());
        ReconcileError::new(Reason::SecretInvalid, message)
    };
    let kubeconfig::Connection { kubeconfig, server } =
        kubeconfig::parse(text, context.policy.kube_configs).map_err(wrong)?;
    let config = kube::Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await;
    let config = config.map_err(|error| wrong(chain(&error)))?;
    let client = client::remote(config, Arc::clone(&context.metrics), context.clusters.shutdown.clone()).await;
    let client = client.map_err(|error| wrong(chain(&error)))?;
    let (revisions, written_by_others) = Revisions::new();
    let site = Site::new(&client, revisions);
    let line = Line {
        key: key.clone(),
        server: server.clone(),
        site: site.clone(),
        state: watch::Sender::new(State::Connecting),
        suspected: Arc::default(),
    };
    let (state, suspected) = (line.state.clone(), Arc::clone(&line.suspected));
    let tasks = [
        spawn_local(wake_by_history(Some(key.clone()), Arc::clone(context), written_by_others)).abort_handle(),
        spawn_local(line.keep(Arc::clone(context))).abort_handle(),
    ];
    let remote = Arc::new(Remote { site, key: key.clone(), server, digest, state, suspected, tasks });
    let before = context.clusters.lock().insert(key.clone(), Arc::clone(&remote));
    if before.is_some() {
        tracing::info!(cluster = %key, server = %remote.server, "the kubeconfig was rotated: connecting anew");
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

    /// Which kubeconfig it is connected by, in a few letters.
    pub(crate) fn connection(&self) -> String {
        self.digest.iter().take(8).fold(String::new(), |text, byte| text + &format!("{byte:02x}"))
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
        let mut is_known = false;
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

    /// Asks the cluster for its version, as everybody may.
    async fn probe(&self) -> Result<(), Trouble> {
        match timeout(PROBE, self.site.client.apiserver_version()).await {
            Ok(Ok(_)) => Ok(()),
            // It is there, and knows whom it does not tell that.
            Ok(Err(kube::Error::Api(status))) if status.code == 403 => Ok(()),
            Ok(Err(kube::Error::Api(status))) if status.code == 401 => Err(self.rejected()),
            // Whatever answers there: its words are not for whoever may read a status.
            Ok(Err(kube::Error::Api(status))) => Err(self.unreachable(&format!("it answers with {}", status.code))),
            Ok(Err(kube::Error::SerdeError(_))) => Err(self.unreachable("what answers is no API server")),
            Ok(Err(error)) => Err(self.unreachable(&chain(&error))),
            Err(_) => Err(self.unreachable(&format!("no answer within {PROBE:?}"))),
        }
    }

    /// What a failure of the watch says of the cluster; only words where it may pass.
    fn refusal(&self, error: &watcher::Error) -> Result<Trouble, String> {
        let code = match error {
            watcher::Error::InitialListFailed(kube::Error::Api(status))
            | watcher::Error::WatchStartFailed(kube::Error::Api(status))
            | watcher::Error::WatchError(status) => status.code,
            _ => return Err(chain(error)),
        };
        match code {
            401 => Ok(self.rejected()),
            403 => {
                let message = format!(
                    "the kubeconfig of {} ({}) may not list and watch Secrets in all namespaces there, in which Helm keeps the history: grant it \
                     get, list, watch, create, update and delete of secrets; it is tried again every few seconds",
                    self.key, self.server
                );
                Ok(Trouble { reason: Reason::Forbidden, message })
            }
            code => Err(format!("it answers with {code}")),
        }
    }

    fn rejected(&self) -> Trouble {
        let message = format!(
            "{} ({}) rejects the credentials of the kubeconfig (401 Unauthorized): they have expired or were revoked; put new ones into the \
             Secret, which is noticed at once",
            self.key, self.server
        );
        Trouble { reason: Reason::ClusterCredentialsRejected, message }
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
