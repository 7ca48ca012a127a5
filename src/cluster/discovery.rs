//! Which kinds the cluster serves: read in two requests, kept for all releases, read again when a kind is unknown.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use helm::engine::{Capabilities, HelmVersion, KubeVersion};
use kube::core::Version;
use kube::core::discovery::v2::{APIGroupDiscoveryList, APIResourceDiscovery, APIVersionDiscovery};

use super::request::Requests;
use super::{Cluster, Error};

/// A snapshot younger than this is not read again for an unknown kind: it cannot have become known meanwhile,
/// except by our own CRDs, which call [`Discovery::invalidate`].
const YOUNG: Duration = Duration::from_secs(2);

/// A snapshot older than this is read again where it matters what has come to be served of late.
const LATE: Duration = Duration::from_mins(1);

/// A snapshot older than this is read again, so that what charts see follows the cluster.
const OLD: Duration = Duration::from_mins(10);

/// How one kind is addressed.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Resource {
    /// API group, empty for core.
    pub group: String,
    /// Version in the group.
    pub version: String,
    /// Kind.
    pub kind: String,
    /// Plural name in URLs.
    pub plural: String,
    /// Whether its objects live in namespaces.
    pub namespaced: bool,
}

impl Resource {
    /// `group/version`, or the version alone for core.
    pub fn api_version(&self) -> String {
        join(&self.group, &self.version)
    }

    /// `deployments.apps`, as RBAC messages and `kubectl` name it.
    pub fn qualified(&self) -> String {
        match self.group.as_str() {
            "" => self.plural.clone(),
            group => format!("{}.{group}", self.plural),
        }
    }

    /// URL path of the collection.
    pub(super) fn path(&self, namespace: Option<&str>) -> String {
        let root = if self.group.is_empty() { "/api".to_owned() } else { format!("/apis/{}", self.group) };
        match namespace.filter(|_| self.namespaced) {
            Some(namespace) => format!("{root}/{}/namespaces/{namespace}/{}", self.version, self.plural),
            None => format!("{root}/{}/{}", self.version, self.plural),
        }
    }

    /// The same for kube's dynamic API.
    pub(super) fn to_kube(&self) -> kube::core::ApiResource {
        kube::core::ApiResource {
            group: self.group.clone(),
            version: self.version.clone(),
            api_version: self.api_version(),
            kind: self.kind.clone(),
            plural: self.plural.clone(),
        }
    }
}

fn join(group: &str, version: &str) -> String {
    if group.is_empty() { version.to_owned() } else { format!("{group}/{version}") }
}

/// What a search for a kind gave.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Served<'a> {
    /// The cluster serves it.
    Found(&'a Resource),
    /// Its group version is registered, but its server does not answer.
    Stale,
    /// Not served; maybe in these other versions.
    Unknown {
        /// `group/version`s of the same group that serve a kind of that name.
        served: Vec<String>,
    },
}

/// One reading of what the cluster serves.
#[derive(Debug)]
pub(super) struct Kinds {
    resources: BTreeMap<(String, String), Resource>,
    stale: BTreeSet<String>,
    version_set: BTreeSet<String>,
    version: KubeVersion,
}

impl Kinds {
    fn none_of(version: KubeVersion) -> Self {
        Self { resources: BTreeMap::new(), stale: BTreeSet::new(), version_set: BTreeSet::new(), version }
    }

    /// What a cluster with these resources serves.
    #[cfg(test)]
    pub(super) fn serving(resources: impl IntoIterator<Item = Resource>) -> Self {
        let key = |resource: &Resource| (resource.api_version(), resource.kind.clone());
        let resources = resources.into_iter().map(|resource| (key(&resource), resource)).collect();
        Self { resources, ..Self::none_of(KubeVersion::from_server("v1.36.0", "1", "36")) }
    }

    /// The resource that serves `kind` of `api_version`.
    pub(super) fn find(&self, api_version: &str, kind: &str) -> Served<'_> {
        if let Some(resource) = self.resources.get(&(api_version.to_owned(), kind.to_owned())) {
            return Served::Found(resource);
        }
        if self.stale.contains(api_version) {
            return Served::Stale;
        }
        let group = api_version.rsplit_once('/').map_or("", |(group, _)| group);
        let other = |resource: &&Resource| resource.group == group && resource.kind == kind;
        Served::Unknown { served: self.resources.values().filter(other).map(Resource::api_version).collect() }
    }

    /// A resource that serves `kind` of `group` in any version.
    pub(super) fn any_version(&self, group: &str, kind: &str) -> Option<&Resource> {
        self.versions(group, kind).max_by_key(|resource| Version::parse(&resource.version).priority())
    }

    /// The kind in each version that is served.
    fn versions<'a, 'k>(&'a self, group: &'k str, kind: &'k str) -> impl Iterator<Item = &'a Resource> + use<'a, 'k> {
        self.resources.values().filter(move |resource| resource.group == group && resource.kind == kind)
    }

    fn add_group_list(&mut self, list: APIGroupDiscoveryList) {
        for group in list.items {
            let name = group.metadata.and_then(|metadata| metadata.name).unwrap_or_default();
            for version in group.versions {
                self.add_version(&name, version);
            }
        }
    }

    /// Helm's version set has each group version and each kind in it, kinds of subresources included.
    fn add_version(&mut self, group: &str, version: APIVersionDiscovery) {
        let name = version.version.unwrap_or_default();
        let api_version = join(group, &name);
        if version.freshness.as_deref() == Some("Stale") {
            self.stale.insert(api_version.clone());
        }
        for found in version.resources {
            let subresources = found.subresources.iter().map(|subresource| subresource.response_kind.as_ref());
            for kind in subresources.chain([found.response_kind.as_ref()]).flatten() {
                let kind = kind.kind.as_deref().unwrap_or_default();
                self.version_set.insert(format!("{api_version}/{kind}"));
            }
            self.add_resource(group, &name, found);
        }
        self.version_set.insert(api_version);
    }

    fn add_resource(&mut self, group: &str, version: &str, found: APIResourceDiscovery) {
        let kind = found.response_kind.and_then(|kind| kind.kind).unwrap_or_default();
        let Some(plural) = found.resource.filter(|_| !kind.is_empty()) else { return };
        let resource = Resource {
            group: group.to_owned(),
            version: version.to_owned(),
            kind: kind.clone(),
            plural,
            namespaced: found.scope.as_deref() == Some("Namespaced"),
        };
        self.resources.entry((join(group, version), kind)).or_insert(resource);
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities {
            kube_version: self.version.clone(),
            api_versions: self.version_set.iter().cloned().collect(),
            helm_version: HelmVersion::default(),
        }
    }
}

/// A snapshot and when its reading began.
#[derive(Clone)]
struct Snapshot {
    kinds: Arc<Kinds>,
    read_at: Instant,
}

/// The shared snapshot of one cluster.
pub(super) struct Discovery {
    requests: Requests,
    current: Mutex<Option<Snapshot>>,
    /// Held while reading: whoever waits for it finds the fresh snapshot of the one before.
    reading: tokio::sync::Mutex<()>,
}

impl Discovery {
    pub(super) fn new(requests: Requests) -> Self {
        Self { requests, current: Mutex::default(), reading: tokio::sync::Mutex::default() }
    }

    /// Kinds that hold all of `needed` if the cluster serves them; the caller finds out which are still unknown.
    pub(super) async fn kinds_with<'a>(
        &self,
        needed: impl Iterator<Item = (&'a str, &'a str)>,
    ) -> Result<Arc<Kinds>, Error> {
        let snapshot = self.no_older_than(OLD).await?;
        let mut needed = needed;
        if needed.all(|(api_version, kind)| matches!(snapshot.kinds.find(api_version, kind), Served::Found(_))) {
            return Ok(snapshot.kinds);
        }
        Ok(self.no_older_than(YOUNG).await?.kinds)
    }

    /// The kinds as of a minute ago at most.
    pub(super) async fn kinds_of_late(&self) -> Result<Arc<Kinds>, Error> {
        Ok(self.no_older_than(LATE).await?.kinds)
    }

    /// Forgets the snapshot: a CRD was applied or removed.
    pub(super) fn invalidate(&self) {
        *self.slot() = None;
    }

    async fn no_older_than(&self, age: Duration) -> Result<Snapshot, Error> {
        let fresh = || self.slot().clone().filter(|snapshot| snapshot.read_at.elapsed() < age);
        if let Some(snapshot) = fresh() {
            return Ok(snapshot);
        }
        let _reading = self.reading.lock().await;
        if let Some(snapshot) = fresh() {
            return Ok(snapshot);
        }
        let read_at = Instant::now();
        let snapshot = Snapshot { kinds: Arc::new(self.read().await?), read_at };
        *self.slot() = Some(snapshot.clone());
        Ok(snapshot)
    }

    async fn read(&self) -> Result<Kinds, Error> {
        let client = self.requests.client();
        let failed = |source| Error::Discover { source: Box::new(source) };
        let (core, groups, version) = self
            .requests
            .patiently(async || {
                tokio::try_join!(
                    client.list_core_api_versions_aggregated(),
                    client.list_api_groups_aggregated(),
                    client.apiserver_version()
                )
            })
            .await
            .map_err(failed)?;
        let mut kinds = Kinds::none_of(KubeVersion::from_server(&version.git_version, &version.major, &version.minor));
        kinds.add_group_list(core);
        kinds.add_group_list(groups);
        // An older server answers with a document of another type, in which there are no items.
        if kinds.resources.is_empty() { Err(Error::NoKinds) } else { Ok(kinds) }
    }

    fn slot(&self) -> std::sync::MutexGuard<'_, Option<Snapshot>> {
        self.current.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

impl Cluster {
    /// Where the objects of a kind are when the server does not know `resource` (any more): in another version, or
    /// nowhere.
    pub(super) async fn moved(&self, resource: &Resource) -> Result<Option<Resource>, Error> {
        self.discovery.invalidate();
        let kinds = self.discovery.kinds_with(std::iter::empty()).await?;
        Ok(kinds.any_version(&resource.group, &resource.kind).filter(|served| *served != resource).cloned())
    }

    /// The other resources by which the objects of a kind are served.
    pub(super) async fn other_versions(&self, resource: &Resource) -> Result<Vec<Resource>, Error> {
        let kinds = self.discovery.kinds_of_late().await?;
        let others = kinds.versions(&resource.group, &resource.kind).filter(|served| *served != resource);
        Ok(others.cloned().collect())
    }

    /// What charts see as `.Capabilities`: the server's version and Helm's version set (`group/version` and
    /// `group/version/Kind`, sorted). At most ten minutes old.
    pub async fn capabilities(&self) -> Result<Capabilities, Error> {
        Ok(self.discovery.no_older_than(OLD).await?.kinds.capabilities())
    }
}
