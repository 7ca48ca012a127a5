//! The controllers: the story that the other modules are told in.
//!
//! [`run`] watches, wakes and reacts; `repository` and `release` hold one sentence each, `reconcile`, and its stages.

mod access;
mod awaits;
mod causes;
mod changes;
mod charts;
mod clusters;
mod context;
mod defaults;
mod error;
mod events;
mod finalizer;
mod foresee;
mod guarded;
mod index;
mod inventory;
mod kubeconfig;
mod live;
mod matching;
mod memory;
mod own_cluster;
mod ownership;
mod place;
mod records;
mod referents;
mod release;
mod repository;
mod revisions;
mod schemas;
mod source;
mod status;
mod target;
mod unlisted_records;
mod waits;
mod watch;

use std::convert::Infallible;
use std::fmt::Debug;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures::channel::mpsc::{UnboundedReceiver, unbounded};
use futures::{FutureExt as _, Stream, StreamExt as _};
use kube::runtime::controller::{Action, Config, applier};
use kube::runtime::reflector::store::Writer;
use kube::runtime::reflector::{self, ObjectRef, Store};
use kube::{Resource, ResourceExt as _};
use tokio::sync::oneshot;
use tokio::task::{JoinSet, LocalSet, spawn_local};

use self::context::Context;
use self::guarded::Guarded;
use self::matching::Key;
use self::watch::Wake;
use crate::api::{HelmRelease, HelmRepository};
use crate::history::ReleaseKey;
use crate::metrics::Metrics;
use crate::registry::{Registry, Settings};
use crate::shutdown::Shutdown;

pub use self::context::Policy;
pub use self::defaults::show::{Error as EffectiveError, effective};
pub use self::foresee::{Declared, Foreseen, Unforeseen, foresee};
pub use self::kubeconfig::Allowed as AllowedInKubeConfigs;
pub use self::memory::Memory;
pub use self::schemas::RemoteSchemas;

/// The field manager of our own status and finalizers.
pub(crate) const MANAGER: &str = "helm-operator";

/// About how many bytes of unpacked charts stay in memory.
const CHART_MEMORY: usize = 32 << 20;

/// How an operator is set up.
#[derive(Debug, Clone)]
pub struct Setup {
    /// What this instance is called in events.
    pub instance: String,
    /// What the registry client may use.
    pub registry: Settings,
    /// How many releases are worked on at the same time.
    pub concurrent: u16,
    /// How much memory the process may take.
    pub memory: Memory,
    /// What is allowed.
    pub policy: Policy,
    /// Hosts that schemas are fetched from whatever their addresses (`name`, `name:port` or `*.domain`).
    pub schema_hosts: Vec<String>,
    /// Tells when the process is to end.
    pub shutdown: Shutdown,
}

/// Runs both controllers until the process ends.
pub async fn run(client: kube::Client, setup: Setup, metrics: Arc<Metrics>) {
    let (context, stores, write_events) = assemble(&client, setup, metrics);
    let all = async {
        let mut tasks = start(&context, stores);
        tasks.spawn_local(write_events);
        ended(tasks).await;
    };
    LocalSet::new().run_until(all).await;
}

/// What every reconcile may use, with nothing known yet; what makes it known; and what writes the Events.
fn assemble(
    client: &kube::Client,
    setup: Setup,
    metrics: Arc<Metrics>,
) -> (Arc<Context>, Stores, impl Future<Output = ()> + use<>) {
    let (releases, release_writer) = reflector::store();
    let (repositories, repository_writer) = reflector::store();
    let (wake_releases, woken_releases) = unbounded();
    let (wake_repositories, woken_repositories) = unbounded();
    let (events, write_events) = events::Events::new(client.clone(), setup.instance);
    let (revisions, written_by_others) = revisions::Revisions::new();
    let counted = revisions.clone();
    metrics.count_history(move || counted.bytes());
    let registry = Registry::new(&setup.registry);
    let context = Arc::new(Context {
        began: context::now(),
        schemas: registry.schemas(setup.schema_hosts),
        home: place::Site::new(client, revisions),
        own_cluster: own_cluster::OwnCluster::default(),
        clusters: clusters::Clusters::new(setup.shutdown),
        registry,
        releases,
        repositories,
        index: Mutex::new(index::Index::new(setup.policy.no_cross_namespace_refs)),
        defaults: defaults::Defaults::default(),
        secrets: referents::Referents::new(client.clone()),
        config_maps: referents::Referents::new(client.clone()),
        known_charts: repository::KnownCharts::default(),
        charts: charts::Charts::new(CHART_MEMORY),
        events,
        statuses: status::Writer::new(Arc::clone(&metrics)),
        metrics,
        retries: error::Retries::default(),
        awaits: awaits::Awaits::default(),
        waits: waits::Waits::default(),
        live: live::LiveReleases::default(),
        policy: setup.policy,
        wake: Wake::new(wake_releases, wake_repositories),
        bounds: context::Bounds::new(usize::from(setup.concurrent), setup.memory.large()),
        changes: changes::Changes::default(),
        unlisted_records: unlisted_records::UnlistedRecords::default(),
        client: client.clone(),
    });
    let stores = Stores { release_writer, repository_writer, woken_releases, woken_repositories, written_by_others };
    (context, stores, write_events)
}

/// What the watches write into, and what they wake.
struct Stores {
    release_writer: Writer<Guarded<HelmRelease>>,
    repository_writer: Writer<Guarded<HelmRepository>>,
    woken_releases: UnboundedReceiver<ObjectRef<Guarded<HelmRelease>>>,
    woken_repositories: UnboundedReceiver<ObjectRef<Guarded<HelmRepository>>>,
    written_by_others: UnboundedReceiver<ReleaseKey>,
}

/// Starts all that goes on for as long as the process, each as a task of its own: what is polled together is polled
/// whenever one of it moves, and for each step of each of a thousand reconciles that would be all that anybody waits for.
fn start(context: &Arc<Context>, stores: Stores) -> JoinSet<()> {
    let mut tasks = JoinSet::new();
    let Stores { release_writer, repository_writer, woken_releases, woken_repositories, written_by_others } = stores;
    let (history_listed, history_known) = oneshot::channel();
    let (namespaces_listed, namespaces_known) = oneshot::channel();
    let shared = Arc::clone(context);
    tasks.spawn_local(watch::follow(
        context.client.clone(),
        release_writer,
        release::is_ready,
        move |release, told| {
            release_changed(release, told, &shared);
        },
    ));
    let shared = Arc::clone(context);
    tasks.spawn_local(watch::follow(
        context.client.clone(),
        repository_writer,
        |_| false,
        move |repository, told| {
            repository_changed(repository, told, &shared);
        },
    ));
    // Without the defaults releases would be rendered otherwise than with them.
    let (defaults_listed, defaults_known) = oneshot::channel();
    let listed = || defaults_listed.send(()).unwrap_or_default();
    tasks.spawn_local(defaults::follow(Arc::clone(context), listed));
    tasks.spawn_local(watch::follow_secrets(Arc::clone(context)));
    tasks.spawn_local(watch::follow_config_maps(Arc::clone(context)));
    let listed = || namespaces_listed.send(()).unwrap_or_default();
    tasks.spawn_local(watch::follow_namespaces(Arc::clone(context), listed));
    let listed = || history_listed.send(()).unwrap_or_default();
    tasks.spawn_local(watch::follow_history(Arc::clone(context), listed));
    tasks.spawn_local(watch::wake_by_history(None, Arc::clone(context), written_by_others));
    tasks.spawn_local(live::follow(Arc::clone(context)));
    tasks.spawn_local(watch::wake_by_recovery(Arc::clone(context)));
    let metrics = Arc::clone(&context.metrics);
    tasks.spawn_local(async move { metrics.keep_beating().await });
    let (all_known, is_known) = tokio::sync::watch::channel(false);
    let shared = Arc::clone(context);
    tasks.spawn_local(async move {
        // Without the history a release that is there would look like one that is not.
        drop(futures::join!(history_known, namespaces_known, defaults_known));
        known(&shared).await;
        all_known.send_replace(true);
    });
    let (shared, mut first) = (Arc::clone(context), is_known.clone());
    tasks.spawn_local(async move {
        drop(first.wait_for(|known| *known).await);
        controller(&shared, shared.repositories.clone(), woken_repositories, repository::reconcile).await;
    });
    let (shared, mut second) = (Arc::clone(context), is_known);
    tasks.spawn_local(async move {
        drop(second.wait_for(|known| *known).await);
        controller(&shared, shared.releases.clone(), woken_releases, release::reconcile).await;
    });
    tasks
}

/// Resolves when the first of `tasks` breaks off: without it the others would go on, and half of the work be left undone.
async fn ended(mut tasks: JoinSet<()>) {
    while let Some(ended) = tasks.join_next().await {
        if ended.is_err() {
            return;
        }
    }
}

/// Waits until all that is declared is known, and says so.
async fn known(context: &Context) {
    drop(context.releases.wait_until_ready().await);
    drop(context.repositories.wait_until_ready().await);
    context.metrics.set_ready();
    tracing::info!(releases = context.releases.len(), repositories = context.repositories.len(), "ready");
}

fn release_changed(release: &Guarded<HelmRelease>, told: watch::Notice, context: &Arc<Context>) {
    let dependents: Vec<Key> = context.index().depending_on_release(&Key::of(release)).cloned().collect();
    context.wake.releases(&dependents);
    if told == watch::Notice::Readiness {
        return;
    }
    if told != watch::Notice::Declared {
        context.forget(&release.uid().unwrap_or_default());
    }
    if let (watch::Notice::Deleted, Ok(gone)) = (told, &release.0) {
        release::gone(gone, context);
    }
    context.changes.changed(&Key::of(release));
    context.wake.release(ObjectRef::from_obj(release));
    let current = context.releases.get(&ObjectRef::from_obj(release));
    let declared = current.as_ref().and_then(|current| current.0.as_ref().ok());
    let others = context.index().release_changed(&Key::of(release), declared);
    context.wake.releases(&others);
    context.clusters.retain(|cluster| context.index().in_cluster(cluster).next().is_some());
    // Whose release it takes over is to say so, and to leave it alone at once.
    if let Some(adopted) = Key::adopted_by(release) {
        context.changes.changed(&adopted);
        context.wake.release(watch::reference(&adopted));
    }
    // The repository tells whether it has the charts in use: of this one it does not know yet.
    if let Some((repository, chart)) = context.index().used_by(&Key::of(release))
        && context.known_charts.lacks(&repository.uid().unwrap_or_default(), &chart)
    {
        context.wake.repository(watch::reference(&Key::of(&*repository)));
    }
}

fn repository_changed(repository: &Guarded<HelmRepository>, told: watch::Notice, context: &Context) {
    if told != watch::Notice::Declared {
        context.forget(&repository.uid().unwrap_or_default());
    }
    context.wake.repository(ObjectRef::from_obj(repository));
    let current = context.repositories.get(&ObjectRef::from_obj(repository));
    let declared = current.as_ref().and_then(|current| current.0.as_ref().ok());
    let declared = declared.filter(|declared| declared.metadata.deletion_timestamp.is_none());
    let concerned = context.index().repository_changed(&Key::of(repository), declared.cloned().map(Arc::new));
    context.wake.releases(&concerned);
}

/// Reconciles what is woken, each object one at a time, all objects at once.
async fn controller<K, F>(
    context: &Arc<Context>,
    store: Store<Guarded<K>>,
    woken: UnboundedReceiver<ObjectRef<Guarded<K>>>,
    reconcile: fn(Arc<Guarded<K>>, Arc<Context>) -> F,
) where
    K: Resource<DynamicType = ()> + Clone + Debug + Send + Sync + 'static,
    F: Future<Output = Result<Action, status::Error>> + 'static,
{
    // A task for each: the applier polls all of its futures whenever one of them moves, which for a thousand that wait
    // would be a thousand times the work. And a defect in one reconcile ends that one only.
    let spawned = move |object: Arc<Guarded<K>>, context| {
        spawn_local(reconcile(object, context))
            .map(|ended| ended.unwrap_or_else(|defect| Err(status::Error::Defect(defect))))
    };
    let retry = |object: Arc<Guarded<K>>, error: &status::Error, _| {
        tracing::warn!(object = %ObjectRef::from_obj(&*object), error = %error::chain(error), "a reconcile broke off before it could tell its outcome in the status; trying again in 5 s");
        Action::requeue(Duration::from_secs(5))
    };
    let queue = infallible(woken);
    applier(spawned, retry, Arc::clone(context), store, queue, Config::default())
        .for_each(|result| async {
            // An object that is gone before its reconcile is no error; everything else was told by `retry`.
            if let Err(error) = result {
                tracing::debug!(%error, "a reconcile did not take place");
            }
        })
        .await;
}

fn infallible<T>(stream: impl Stream<Item = T>) -> impl Stream<Item = Result<T, Infallible>> {
    stream.map(Ok)
}
