//! Which `HelmRepository` a release uses: one decision, for the reconcile of the release, for the probe of the repository
//! and for who is woken. Pure.
//!
//! A release uses the repository that it names, if that one lies above its chart. Any other uses the most specific
//! repository above its chart that its namespace may use: one of its own namespace first, else one of another namespace.
//! No other repository learns of the release or its chart.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

use kube::ResourceExt;

use super::error::ReconcileError;
use super::target::{ClusterKey, Target};
use crate::api::{
    ADOPT, DependencyReference, HelmRelease, HelmRepository, KubeConfig, Reason, ReleaseState, ValuesKind,
};
use crate::history::ReleaseKey;
use crate::registry::{ChartReference, ReferenceError, RepositoryUrl};

/// Namespace and name of an object.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Key {
    /// Its namespace.
    pub(crate) namespace: String,
    /// Its name.
    pub(crate) name: String,
}

impl Key {
    /// The key of `object`.
    pub(crate) fn of(object: &impl ResourceExt) -> Self {
        Self { namespace: object.namespace().unwrap_or_default(), name: object.name_any() }
    }

    /// The object of the same namespace that `object` takes the place of, by [`ADOPT`].
    pub(crate) fn adopted_by(object: &impl ResourceExt) -> Option<Self> {
        let name = object.annotations().get(ADOPT)?.clone();
        Some(Self { name, ..Self::of(object) })
    }

    /// Reads `namespace/name`.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let (namespace, name) = text.split_once('/')?;
        Some(Self { namespace: namespace.to_owned(), name: name.to_owned() })
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.namespace, self.name)
    }
}

/// The Helm release that an object declares.
pub(crate) fn target(release: &HelmRelease) -> Target {
    let records = release.spec.storage_namespace.clone().unwrap_or_else(|| namespace(release));
    Target { cluster: cluster(release), release: ReleaseKey { namespace: records, name: name(release) } }
}

/// The namespace of the Helm release that an object declares: that of its objects, where they say none, and the one that
/// their marks name. Its records may be elsewhere.
pub(crate) fn namespace(release: &HelmRelease) -> String {
    release.spec.release.namespace.clone().or_else(|| release.namespace()).unwrap_or_default()
}

fn name(release: &HelmRelease) -> String {
    release.spec.release.name.clone().unwrap_or_else(|| release.name_any())
}

/// What the objects of the Helm release that an object declares are marked with, and their cluster.
pub(crate) fn marked(release: &HelmRelease) -> Target {
    let marked = ReleaseKey { namespace: namespace(release), name: name(release) };
    Target { cluster: cluster(release), release: marked }
}

/// The cluster in which a release is declared to be; none for the operator's own.
pub(crate) fn cluster(release: &HelmRelease) -> Option<ClusterKey> {
    let config = release.spec.kube_config.as_ref()?;
    Some(ClusterKey::new(&release.namespace().unwrap_or_default(), config))
}

/// The other clusters in which something of a release may be, as its status tells.
pub(crate) fn listed_clusters(release: &HelmRelease) -> impl Iterator<Item = ClusterKey> {
    let namespace = release.namespace().unwrap_or_default();
    let told = release.status.iter().flat_map(|status| &status.kube_configs);
    told.map(move |told| ClusterKey::new(&namespace, &KubeConfig::parse(told)))
}

/// The Helm release that the status of an object of `namespace` tells of.
pub(crate) fn told(state: &ReleaseState, namespace: &str) -> Target {
    let secret = state.kube_config.as_deref().map(KubeConfig::parse);
    Target {
        cluster: secret.map(|secret| ClusterKey::new(namespace, &secret)),
        release: ReleaseKey::new(state.storage_namespace.as_ref().unwrap_or(&state.namespace), &state.name),
    }
}

/// The namespace in which the records were, as the status of an object tells.
pub(crate) fn told_namespace(release: &HelmRelease) -> Option<String> {
    let state = release.status.as_ref()?.helm_release.as_ref()?;
    Some(told(state, &release.namespace().unwrap_or_default()).release.namespace)
}

/// The API of releases.
pub(crate) const API_VERSION: &str = "helm-operator.ketches.cn/v1alpha1";

/// Whether what a release depends on is a release, too.
pub(crate) fn is_release(declared: &DependencyReference) -> bool {
    declared.kind.as_deref().is_none_or(|kind| kind == "HelmRelease")
        && declared.api_version.as_deref().is_none_or(|version| version == API_VERSION)
}

/// The releases that `release` depends on, and whether each has to say that it is ready.
pub(crate) fn dependencies(release: &HelmRelease) -> impl Iterator<Item = (Key, bool)> {
    let own = release.namespace().unwrap_or_default();
    let key = move |it: &DependencyReference| Key {
        namespace: it.namespace.clone().unwrap_or_else(|| own.clone()),
        name: it.name.clone(),
    };
    let releases = release.spec.depends_on.iter().filter(|it| is_release(it));
    releases.map(move |it| (key(it), !(it.ready_only_expr && it.ready_expr.is_some())))
}

/// The objects that the values of a release are read from.
pub(crate) fn values_sources(release: &HelmRelease) -> impl Iterator<Item = (ValuesKind, Key)> {
    let namespace = release.namespace().unwrap_or_default();
    let key = move |name: &str| Key { namespace: namespace.clone(), name: name.to_owned() };
    release.spec.values_from.iter().filter_map(move |reference| Some((reference.kind, key(reference.name.as_deref()?))))
}

/// Where a release says that its chart is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Wanted {
    /// The namespace of the release's object.
    pub(crate) namespace: String,
    /// The repository that it names.
    pub(crate) named: Option<Key>,
    chart: Place,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Place {
    /// By a reference, or below an URL.
    At(ChartReference),
    /// This name, below the URL of the named repository.
    BelowNamed(String),
}

impl Wanted {
    /// Reads what `release` declares. Fails where it declares no place, or one that cannot be.
    pub(crate) fn of(release: &HelmRelease) -> Result<Self, ReconcileError> {
        let chart = &release.spec.chart;
        let namespace = release.namespace().unwrap_or_default();
        let named = named(release);
        let place = match (&chart.oci_repository, &chart.repository_url, &named) {
            (Some(reference), _, _) => {
                Place::At(ChartReference::parse(reference).map_err(|error| wrong("ociRepository", &error))?)
            }
            (None, Some(url), _) => Place::At(below(url, &chart.name, "repositoryURL")?),
            (None, None, Some(_)) => Place::BelowNamed(chart.name.clone()),
            (None, None, None) => {
                let message = "spec.chart needs one of ociRepository, repository or repositoryURL";
                return Err(ReconcileError::new(Reason::ConfigurationError, message));
            }
        };
        Ok(Self { namespace, named, chart: place })
    }

    /// The OCI artifacts that the values of `release` are read from, those left out whose references cannot be any.
    pub(crate) fn artifacts(release: &HelmRelease) -> impl Iterator<Item = Self> {
        let urls = release.spec.values_from.iter().filter_map(|reference| reference.url.as_deref());
        urls.filter_map(|url| Self::artifact(release, url).ok())
    }

    /// An OCI artifact that values of `release` are read from. Fails where `url` cannot be its reference.
    pub(crate) fn artifact(release: &HelmRelease, url: &str) -> Result<Self, ReferenceError> {
        let namespace = release.namespace().unwrap_or_default();
        Ok(Self { namespace, named: named(release), chart: Place::At(ChartReference::parse(url)?) })
    }

    /// The chart's reference, where the release itself says it whole.
    pub(crate) fn chart(&self) -> Option<&ChartReference> {
        match &self.chart {
            Place::At(chart) => Some(chart),
            Place::BelowNamed(_) => None,
        }
    }

    fn chart_in(&self, named: Option<&HelmRepository>) -> Result<ChartReference, ReconcileError> {
        match (&self.chart, named) {
            (Place::At(chart), _) => Ok(chart.clone()),
            (Place::BelowNamed(name), Some(repository)) => below(&repository.spec.url, name, "repository"),
            (Place::BelowNamed(_), None) => {
                Err(ReconcileError::new(Reason::ConfigurationError, "spec.chart.repository names no repository"))
            }
        }
    }
}

/// The repository that `release` names.
fn named(release: &HelmRelease) -> Option<Key> {
    let named = release.spec.chart.repository.as_ref()?;
    let namespace = named.namespace.clone().or_else(|| release.namespace()).unwrap_or_default();
    Some(Key { namespace, name: named.name.clone() })
}

fn wrong(field: &str, error: &(dyn std::error::Error + 'static)) -> ReconcileError {
    ReconcileError::new(Reason::ConfigurationError, format!("spec.chart.{field}: {}", super::error::chain(error)))
}

fn below(url: &str, name: &str, field: &str) -> Result<ChartReference, ReconcileError> {
    if !url.starts_with("oci://") {
        let message = format!(
            "spec.chart.{field}: {url:?} is not an OCI registry: use an oci:// URL (many chart publishers offer one), or push the chart to a registry with `helm push`"
        );
        return Err(ReconcileError::new(Reason::UnsupportedRepositoryType, message));
    }
    RepositoryUrl::parse(url).and_then(|url| url.join(name)).map_err(|error| wrong(field, &error))
}

/// What a repository gives to a release.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Gives {
    /// Credentials, certificate authorities, and leave to skip their verification or to speak plain HTTP.
    Everything,
    /// Credentials alone: nobody of that namespace, and nobody of the release's, agreed to weaker or other trust.
    Credentials,
}

/// The repository that a release uses.
#[derive(Debug, Clone)]
pub(crate) struct Used {
    /// The repository.
    pub(crate) repository: Arc<HelmRepository>,
    /// What it gives.
    pub(crate) gives: Gives,
    /// Whether the release names it.
    pub(crate) named: bool,
    /// Repositories of the same namespace and URL that are not used, since their names come later.
    pub(crate) twins: Vec<Key>,
}

/// Why a namespace may not use a repository.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Closed {
    /// `accessFrom` does not select the namespace.
    AccessFrom,
    /// The operator allows no references to other namespaces.
    Operator,
}

impl Closed {
    /// Why, as the second half of a sentence about the repository, for a release of `namespace`.
    pub(crate) fn because(self, namespace: &str) -> String {
        match self {
            Self::AccessFrom => format!("its spec.accessFrom does not select namespace {namespace}"),
            Self::Operator => "the operator runs with --no-cross-namespace-refs".to_owned(),
        }
    }
}

/// What [`choose`] decided.
#[derive(Debug, Clone)]
pub(crate) struct Choice {
    /// The chart's reference.
    pub(crate) chart: ChartReference,
    /// The repository that is used; without one the registry is asked anonymously.
    pub(crate) used: Option<Used>,
    /// Repositories above the chart that would be used instead, if they were not closed to the namespace.
    pub(crate) closed: Vec<(Key, Closed)>,
}

/// Decides which repository a release uses. Fails where the one that it names is not there or closed to it, where the
/// chart's reference cannot be one, and where it is not known yet what a namespace may use.
pub(crate) fn choose(wanted: &Wanted, known: &Repositories) -> Result<Choice, ReconcileError> {
    let named = wanted.named.as_ref().map(|key| known.named(key, &wanted.namespace)).transpose()?;
    let chart = wanted.chart_in(named.map(|entry| &*entry.repository))?;
    // A named repository that is not above the chart gives it nothing: credentials go where they were meant to go.
    if let Some(entry) = named.filter(|entry| entry.is_above(&chart)) {
        let repository = Arc::clone(&entry.repository);
        let used = Used { repository, gives: Gives::Everything, named: true, twins: Vec::new() };
        return Ok(Choice { chart, used: Some(used), closed: Vec::new() });
    }
    let mut closed = Vec::new();
    let mut ranked = known.ranked(&wanted.namespace, &chart).into_iter();
    while let Some(entry) = ranked.next() {
        let gives = match known.permission(&wanted.namespace, &entry.repository)? {
            Permission::Given(gives) => gives,
            Permission::Closed(why) => {
                closed.push((Key::of(&*entry.repository), why));
                continue;
            }
        };
        let namespace = entry.repository.namespace();
        let is_twin = |other: &&Entry| other.url == entry.url && other.repository.namespace() == namespace;
        let twins = ranked.take_while(is_twin).map(|twin| Key::of(&*twin.repository)).collect();
        let used = Used { repository: Arc::clone(&entry.repository), gives, named: false, twins };
        return Ok(Choice { chart, used: Some(used), closed });
    }
    Ok(Choice { chart, used: None, closed })
}

/// Whether a release uses the repository `key`, or would if that one were there and open to it: whether a change of that
/// repository can matter to the release.
pub(crate) fn concerns(wanted: &Wanted, key: &Key, known: &Repositories) -> bool {
    let named = wanted.named.as_ref();
    if named == Some(key) {
        return true;
    }
    let Some(chart) = wanted.chart() else { return false };
    if named.and_then(|named| known.by_key.get(named)).is_some_and(|entry| entry.is_above(chart)) {
        return false;
    }
    for entry in known.ranked(&wanted.namespace, chart) {
        if Key::of(&*entry.repository) == *key {
            return true;
        }
        if matches!(known.permission(&wanted.namespace, &entry.repository), Ok(Permission::Given(_))) {
            return false;
        }
    }
    false
}

/// Labels of namespaces, by their names.
pub(crate) type Labels = BTreeMap<String, BTreeMap<String, String>>;

/// The repositories that are there, and whom they are open to.
#[derive(Default)]
pub(crate) struct Repositories {
    own_namespace_only: bool,
    by_key: BTreeMap<Key, Entry>,
    /// By the host that answers and the path below it.
    by_place: BTreeMap<(String, String), BTreeSet<Key>>,
    /// Labels of all namespaces, once they are listed.
    labels: Option<Labels>,
}

struct Entry {
    repository: Arc<HelmRepository>,
    /// None where the URL is none of an OCI registry.
    url: Option<RepositoryUrl>,
}

impl Entry {
    fn is_above(&self, chart: &ChartReference) -> bool {
        self.url.as_ref().is_some_and(|url| url.is_prefix_of(chart))
    }
}

enum Permission {
    Given(Gives),
    Closed(Closed),
}

impl Repositories {
    /// No repository yet. With `own_namespace_only` no namespace may use another one's.
    pub(crate) fn new(own_namespace_only: bool) -> Self {
        Self { own_namespace_only, ..Self::default() }
    }

    /// Enters a repository as it is declared now.
    pub(crate) fn put(&mut self, repository: Arc<HelmRepository>) {
        let key = Key::of(&*repository);
        self.remove(&key);
        let url = RepositoryUrl::parse(&repository.spec.url).ok();
        if let Some(url) = &url {
            self.by_place.entry(place(url)).or_default().insert(key.clone());
        }
        self.by_key.insert(key, Entry { repository, url });
    }

    /// Takes out a repository that is gone.
    pub(crate) fn remove(&mut self, key: &Key) {
        let Some(url) = self.by_key.remove(key).and_then(|entry| entry.url) else { return };
        let place = place(&url);
        if let Some(keys) = self.by_place.get_mut(&place) {
            keys.remove(key);
            if keys.is_empty() {
                self.by_place.remove(&place);
            }
        }
    }

    /// The repository of that name.
    pub(crate) fn get(&self, key: &Key) -> Option<&Arc<HelmRepository>> {
        self.by_key.get(key).map(|entry| &entry.repository)
    }

    /// The URL of the repository of that name, if it is one of an OCI registry.
    pub(crate) fn url(&self, key: &Key) -> Option<&RepositoryUrl> {
        self.by_key.get(key)?.url.as_ref()
    }

    /// The labels of all namespaces, where they are known, to be changed.
    pub(crate) fn labels_mut(&mut self) -> &mut Option<Labels> {
        &mut self.labels
    }

    /// Whether what a release may use depends on the labels of its namespace.
    pub(crate) fn depends_on_labels(&self, wanted: &Wanted) -> bool {
        let named = wanted.named.as_ref().and_then(|key| self.by_key.get(key));
        let above = wanted.chart().into_iter().flat_map(|chart| self.ranked(&wanted.namespace, chart));
        named.into_iter().chain(above).any(|entry| entry.repository.spec.access_from.is_some())
    }

    fn named(&self, key: &Key, namespace: &str) -> Result<&Entry, ReconcileError> {
        let Some(entry) = self.by_key.get(key) else {
            let message = format!("there is no HelmRepository {key}: create it, or correct spec.chart.repository");
            return Err(ReconcileError::new(Reason::HelmRepositoryNotFound, message));
        };
        match self.permission(namespace, &entry.repository)? {
            Permission::Given(_) => Ok(entry),
            Permission::Closed(why) => {
                let message = format!(
                    "HelmRepository {key} may not be used from namespace {namespace}: {}",
                    why.because(namespace)
                );
                Err(ReconcileError::new(Reason::AccessDenied, message))
            }
        }
    }

    /// The repositories above `chart` in the order in which a release of `namespace` prefers them: those of its own
    /// namespace first, the most specific first, then by namespace and name.
    fn ranked(&self, namespace: &str, chart: &ChartReference) -> Vec<&Entry> {
        let host = chart.endpoint().to_owned();
        let mut path = Some(chart.repository());
        let mut above = Vec::new();
        while let Some(prefix) = path {
            let keys = self.by_place.get(&(host.clone(), prefix.to_owned()));
            above.extend(keys.into_iter().flatten().filter_map(|key| self.by_key.get(key)));
            path = match prefix.rsplit_once('/') {
                Some((shorter, _)) => Some(shorter),
                None => (!prefix.is_empty()).then_some(""),
            };
        }
        above.sort_by_key(|entry| entry.repository.namespace().as_deref() != Some(namespace));
        above
    }

    fn permission(&self, namespace: &str, repository: &HelmRepository) -> Result<Permission, ReconcileError> {
        if repository.namespace().as_deref() == Some(namespace) {
            return Ok(Permission::Given(Gives::Everything));
        }
        if self.own_namespace_only {
            return Ok(Permission::Closed(Closed::Operator));
        }
        let Some(access) = &repository.spec.access_from else { return Ok(Permission::Given(Gives::Credentials)) };
        let none = BTreeMap::new();
        let labels = match &self.labels {
            Some(labels) => labels.get(namespace).unwrap_or(&none),
            None if access.namespace_selectors.iter().any(|selector| selector.match_labels.is_empty()) => &none,
            None => {
                let message = format!(
                    "the labels of namespace {namespace}, which spec.accessFrom of HelmRepository {} selects by, are not known: the operator could not list namespaces yet; if this stays, look at its log and its rights",
                    Key::of(repository)
                );
                return Err(ReconcileError::new(Reason::ClusterUnavailable, message));
            }
        };
        let selects =
            |wanted: &BTreeMap<String, String>| wanted.iter().all(|(key, value)| labels.get(key) == Some(value));
        Ok(if access.namespace_selectors.iter().any(|selector| selects(&selector.match_labels)) {
            Permission::Given(Gives::Everything)
        } else {
            Permission::Closed(Closed::AccessFrom)
        })
    }
}

fn place(url: &RepositoryUrl) -> (String, String) {
    (url.endpoint().to_owned(), url.path().to_owned())
}

#[cfg(test)]
mod tests;
