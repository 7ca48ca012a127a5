//! What every reconcile may use.

use std::cell::{Cell, RefCell};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use k8s_openapi::jiff::Timestamp;
use kube::ResourceExt as _;
use kube::runtime::reflector::{ObjectRef, Store};
use tokio::sync::Semaphore;

use super::awaits::Awaits;
use super::changes::Changes;
use super::charts::Charts;
use super::clusters::Clusters;
use super::defaults::Defaults;
use super::error::Retries;
use super::events::Events;
use super::guarded::Guarded;
use super::index::Index;
use super::kubeconfig::Allowed;
use super::live::LiveReleases;
use super::matching::Key;
use super::own_cluster::OwnCluster;
use super::place::Site;
use super::referents::Referents;
use super::repository::KnownCharts;
use super::revisions::Revisions;
use super::schemas::RemoteSchemas;
use super::status;
use super::target::{ClusterKey, Target};
use super::unlisted_records::UnlistedRecords;
use super::waits::Waits;
use super::watch::Wake;
use crate::api::{HelmRelease, HelmRepository, KubeConfig, KubeConfigMap, KubeConfigSecret, ValuesKind};
use crate::history::{History, RecordMeta};
use crate::metrics::Metrics;
use crate::permits::{Permit, Permits};
use crate::registry::{Registry, Schemas};

/// What an administrator decides about all releases.
#[derive(Debug, Clone, Default)]
pub struct Policy {
    /// Releases use repositories of their own namespace only, are installed into it, and have no objects beyond it;
    /// repositories use Secrets of theirs.
    pub no_cross_namespace_refs: bool,
    /// Repositories may use Secrets of other namespaces that do not say so.
    pub allow_cross_namespace_secrets: bool,
    /// The service account of those releases that name none.
    pub default_service_account: Option<String>,
    /// What becomes of schemas that charts refer to by address.
    pub remote_schemas: RemoteSchemas,
    /// Releases are carried out in the operator's own cluster only.
    pub no_remote_clusters: bool,
    /// What kubeconfigs of other clusters may ask for besides a connection.
    pub kube_configs: Allowed,
}

/// How many releases may be worked on at the same time, by what the work takes.
pub(crate) struct Bounds {
    /// Fetching, rendering, applying.
    pub(crate) work: Permits,
    /// The same for releases that take more memory than [`Bounds::work`] leaves to each.
    pub(crate) large: Permits,
    /// Uninstalling.
    pub(crate) removals: Permits,
    /// Having values in memory that take more than those of most releases.
    pub(crate) large_values: Permits,
    /// Waiting for a moment with a whole revision in memory.
    pub(crate) moments: Semaphore,
}

/// Releases at the same time whose values are large: together as much as a large render.
const LARGE_VALUES: usize = 8;

/// Revisions at the same time that are waited for with all of them in memory.
const MOMENTS: usize = 32;

impl Bounds {
    /// So many releases at work, `large` of which may be large, and so many being uninstalled.
    pub(crate) fn new(concurrent: usize, large: usize) -> Self {
        Self {
            work: Permits::new(concurrent),
            large: Permits::new(large),
            removals: Permits::new(concurrent),
            large_values: Permits::new(LARGE_VALUES),
            moments: Semaphore::new(MOMENTS),
        }
    }
}

/// A reconcile's slot for work: held while it costs memory and CPU, given back while it waits.
pub(crate) struct Slot<'a> {
    bounds: &'a Bounds,
    namespace: String,
    large: Cell<bool>,
    held: RefCell<Option<Permit>>,
}

impl<'a> Slot<'a> {
    /// One for `release` that is not held yet.
    pub(crate) fn new(release: &HelmRelease, context: &'a Context) -> Self {
        let namespace = release.namespace().unwrap_or_default();
        Self { bounds: &context.bounds, namespace, large: Cell::default(), held: RefCell::default() }
    }

    /// Gives the slot back, before waiting.
    pub(crate) fn pause(&self) {
        self.held.take();
    }

    /// Queues for it, unless it is held.
    pub(crate) async fn resume(&self) {
        if self.held.borrow().is_none() {
            let permit = self.permits().acquire(&self.namespace).await;
            self.held.replace(Some(permit));
        }
    }

    /// Queues for it before those who have not begun, unless it is held: for what has a revision in memory until it is done.
    pub(crate) async fn go_on(&self) {
        if self.held.borrow().is_none() {
            let permit = self.permits().go_on(&self.namespace).await;
            self.held.replace(Some(permit));
        }
    }

    fn permits(&self) -> &Permits {
        if self.large.get() { &self.bounds.large } else { &self.bounds.work }
    }

    /// Whether it is one of the few for what takes much memory.
    pub(crate) fn is_large(&self) -> bool {
        self.large.get()
    }

    /// Queues for a slot of the large ones instead, for the rest of the reconcile.
    pub(crate) async fn enlarge(&self) {
        self.pause();
        self.large.set(true);
        self.resume().await;
    }
}

/// When a context is made.
pub(super) fn now() -> Timestamp {
    Timestamp::now()
}

/// Handles to the outside world and to what is known of it.
pub(crate) struct Context {
    /// When this process began to lead.
    pub(crate) began: Timestamp,
    pub(crate) client: kube::Client,
    pub(crate) home: Site,
    pub(crate) own_cluster: OwnCluster,
    pub(crate) clusters: Clusters,
    pub(crate) registry: Registry,
    pub(crate) schemas: Schemas,
    pub(crate) releases: Store<Guarded<HelmRelease>>,
    pub(crate) repositories: Store<Guarded<HelmRepository>>,
    pub(crate) index: Mutex<Index>,
    pub(crate) defaults: Defaults,
    pub(crate) secrets: Referents<Secret>,
    pub(crate) config_maps: Referents<ConfigMap>,
    pub(crate) known_charts: KnownCharts,
    pub(crate) charts: Charts,
    pub(crate) events: Events,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) statuses: status::Writer,
    pub(crate) retries: Retries,
    pub(crate) awaits: Awaits,
    pub(crate) waits: Waits,
    pub(crate) live: LiveReleases,
    pub(crate) policy: Policy,
    pub(crate) wake: Wake,
    /// How much goes on at the same time.
    pub(crate) bounds: Bounds,
    /// Tells reconciles that go on of changes of their object.
    pub(crate) changes: Changes,
    /// What was told of records that are not believed.
    pub(crate) unlisted_records: UnlistedRecords,
}

impl Context {
    /// What is declared, by what it refers to. Not to be held while waiting.
    pub(crate) fn index(&self) -> MutexGuard<'_, Index> {
        self.index.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Where plans are kept: beside the objects that declare the releases, wherever these are carried out.
    pub(crate) fn plans(&self) -> &History {
        &self.home.history
    }

    /// Helm's history in a cluster, none being the operator's own, where it is connected to.
    pub(crate) fn revisions(&self, cluster: Option<&ClusterKey>) -> Option<Revisions> {
        match cluster {
            None => Some(self.home.revisions.clone()),
            Some(cluster) => self.clusters.revisions(cluster),
        }
    }

    /// Helm's history of a release, oldest first; empty where its cluster is not connected to.
    pub(crate) fn revisions_of(&self, target: &Target) -> Vec<RecordMeta> {
        let known = self.revisions(target.cluster.as_ref());
        known.map(|known| known.of(&target.release)).unwrap_or_default()
    }

    /// Whether `release` is still what is declared: not changed, suspended or being deleted since.
    pub(crate) fn is_current(&self, release: &HelmRelease) -> bool {
        let reference = ObjectRef::new(&release.name_any()).within(&release.namespace().unwrap_or_default());
        let current = self.releases.get(&reference);
        current.as_deref().map(kube::Resource::meta).is_some_and(|metadata| {
            metadata.uid == release.metadata.uid
                && metadata.generation == release.metadata.generation
                && metadata.deletion_timestamp == release.metadata.deletion_timestamp
        })
    }

    /// Forgets what nobody refers to any more.
    pub(crate) fn forget_unused(&self) {
        let reads = |kind: ValuesKind, key: &Key| self.index().reading_values(kind, key).next().is_some();
        let leads = |by: KubeConfig, key: &Key| {
            let cluster = ClusterKey { namespace: key.namespace.clone(), by };
            !self.index().naming_kube_config(&cluster).is_empty()
        };
        self.config_maps.forget_unused(|map| {
            let by = KubeConfig::ConfigMap(KubeConfigMap { name: map.name.clone() });
            reads(ValuesKind::ConfigMap, map) || leads(by, map)
        });
        self.secrets.forget_unused(|secret| {
            let by = KubeConfig::Secret(KubeConfigSecret { name: secret.name.clone(), key: None });
            let is_named = self.index().naming_secret(secret).next().is_some();
            is_named || reads(ValuesKind::Secret, secret) || leads(by, secret)
        });
    }

    /// Forgets an object of either kind that is gone.
    pub(crate) fn forget(&self, uid: &str) {
        self.waits.end(uid);
        self.live.end(uid);
        self.awaits.end_of(uid);
        self.statuses.forget(uid);
        self.retries.forget(uid);
        self.known_charts.forget(uid);
        self.unlisted_records.forget(uid);
    }

    /// The time. The only clock of the controllers.
    #[expect(clippy::unused_self, reason = "the clock belongs to the context, so that pure stages cannot reach it")]
    pub(crate) fn now(&self) -> Timestamp {
        now()
    }
}
