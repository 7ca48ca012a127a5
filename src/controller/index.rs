//! What is declared, found by what it refers to: releases by their target, by the repository they name and by their chart's
//! place; repositories by their place and by their Secrets. Pure: the watches keep it, and whoever asks is spared a scan.
//!
//! Each change returns the releases that it concerns, and no others.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::access::DereferencedRepository;
use super::error::ReconcileError;
use super::matching::{self, Choice, Key, Labels, Repositories, Wanted};
use super::target::{ClusterKey, Target};
use crate::api::{HelmRelease, HelmRepository, ValuesKind};
use crate::registry::ChartReference;

/// The index. Objects that cannot be decoded are not in it.
#[derive(Default)]
pub(crate) struct Index {
    releases: BTreeMap<Key, Declared>,
    by_target: BTreeMap<Target, BTreeSet<Key>>,
    /// By what the objects of the release are marked with.
    by_marks: BTreeMap<Target, BTreeSet<Key>>,
    by_cluster: BTreeMap<ClusterKey, BTreeSet<Key>>,
    by_named: BTreeMap<Key, BTreeSet<Key>>,
    /// By the host that answers and the repository there, of charts and artifacts.
    by_place: BTreeMap<(String, String), BTreeSet<Key>>,
    repositories: Repositories,
    by_secret: BTreeMap<Key, BTreeSet<Key>>,
    by_values: BTreeMap<(ValuesKind, Key), BTreeSet<Key>>,
    by_dependency: BTreeMap<Key, BTreeSet<Key>>,
}

/// What a release declares, as far as others find it by that.
struct Declared {
    target: Target,
    marked: Target,
    /// The other clusters in which something of it is, or may be.
    clusters: BTreeSet<ClusterKey>,
    /// None where it names no place a chart could be at.
    chart: Option<Wanted>,
    /// The object whose place it takes.
    adopts: Option<Key>,
    /// The objects that its values are read from.
    values: BTreeSet<(ValuesKind, Key)>,
    /// The artifacts that its values are read from.
    artifacts: Vec<Wanted>,
    /// What it depends on.
    dependencies: BTreeSet<Key>,
}

impl Declared {
    /// What it wants of registries.
    fn wanted(&self) -> impl Iterator<Item = &Wanted> {
        self.chart.iter().chain(&self.artifacts)
    }

    /// Where that is, as far as the release itself says it.
    fn places(&self) -> impl Iterator<Item = (String, String)> {
        self.wanted().filter_map(Wanted::chart).map(place)
    }
}

impl Index {
    /// An empty index. With `own_namespace_only` no release uses a repository of another namespace.
    pub(crate) fn new(own_namespace_only: bool) -> Self {
        Self { repositories: Repositories::new(own_namespace_only), ..Self::default() }
    }

    /// Enters a release as it is declared now; `None` takes it out. Returns the other releases that declare the target
    /// it no longer does, for what was its may be theirs now, and those on which it depends no more, which may have waited for that.
    pub(crate) fn release_changed(&mut self, key: &Key, release: Option<&HelmRelease>) -> Vec<Key> {
        let before = self.releases.remove(key);
        if let Some(before) = &before {
            self.unlink(key, before);
        }
        let target = release.map(|release| self.link(key, release));
        let Some(Declared { target: left, marked, adopts, dependencies, .. }) = before else { return Vec::new() };
        // Whose place is no longer taken may have its own again.
        let mut others: BTreeSet<Key> = adopts.into_iter().collect();
        let still = |dependency: &Key| self.releases.get(key).is_some_and(|it| it.dependencies.contains(dependency));
        others.extend(dependencies.into_iter().filter(|dependency| !still(dependency)));
        if target.as_ref() != Some(&left) {
            others.extend(self.declaring(&left).chain(self.sharing_objects(&marked)).cloned());
            others.remove(key);
        }
        others.into_iter().collect()
    }

    fn link(&mut self, key: &Key, release: &HelmRelease) -> Target {
        let declared = Declared {
            target: matching::target(release),
            marked: matching::marked(release),
            clusters: matching::cluster(release).into_iter().chain(matching::listed_clusters(release)).collect(),
            chart: Wanted::of(release).ok(),
            artifacts: Wanted::artifacts(release).collect(),
            adopts: Key::adopted_by(release),
            values: matching::values_sources(release).collect(),
            dependencies: matching::dependencies(release).map(|(key, _)| key).collect(),
        };
        let target = declared.target.clone();
        self.by_target.entry(target.clone()).or_default().insert(key.clone());
        self.by_marks.entry(declared.marked.clone()).or_default().insert(key.clone());
        if let Some(named) = declared.chart.as_ref().and_then(|wanted| wanted.named.clone()) {
            self.by_named.entry(named).or_default().insert(key.clone());
        }
        for place in declared.places() {
            self.by_place.entry(place).or_default().insert(key.clone());
        }
        for cluster in &declared.clusters {
            self.by_cluster.entry(cluster.clone()).or_default().insert(key.clone());
        }
        for source in &declared.values {
            self.by_values.entry(source.clone()).or_default().insert(key.clone());
        }
        for dependency in &declared.dependencies {
            self.by_dependency.entry(dependency.clone()).or_default().insert(key.clone());
        }
        self.releases.insert(key.clone(), declared);
        target
    }

    fn unlink(&mut self, key: &Key, declared: &Declared) {
        take(&mut self.by_target, &declared.target, key);
        take(&mut self.by_marks, &declared.marked, key);
        if let Some(named) = declared.chart.as_ref().and_then(|wanted| wanted.named.as_ref()) {
            take(&mut self.by_named, named, key);
        }
        for place in declared.places() {
            take(&mut self.by_place, &place, key);
        }
        for cluster in &declared.clusters {
            take(&mut self.by_cluster, cluster, key);
        }
        for source in &declared.values {
            take(&mut self.by_values, source, key);
        }
        for dependency in &declared.dependencies {
            take(&mut self.by_dependency, dependency, key);
        }
    }

    /// The releases that depend on a release.
    pub(crate) fn depending_on_release(&self, release: &Key) -> impl Iterator<Item = &Key> {
        self.by_dependency.get(release).into_iter().flatten()
    }

    /// The releases that read values from an object.
    pub(crate) fn reading_values(&self, kind: ValuesKind, object: &Key) -> impl Iterator<Item = &Key> {
        self.by_values.get(&(kind, object.clone())).into_iter().flatten()
    }

    /// The releases that declare `target`.
    pub(crate) fn declaring(&self, target: &Target) -> impl Iterator<Item = &Key> {
        self.by_target.get(target).into_iter().flatten()
    }

    /// The releases whose objects are marked like that, wherever their records are.
    pub(crate) fn sharing_objects(&self, marked: &Target) -> impl Iterator<Item = &Key> {
        self.by_marks.get(marked).into_iter().flatten()
    }

    /// The releases of which something is, or may be, in another cluster.
    pub(crate) fn in_cluster(&self, cluster: &ClusterKey) -> impl Iterator<Item = &Key> {
        self.by_cluster.get(cluster).into_iter().flatten()
    }

    /// The releases that name another cluster by the object of `first`, by whichever key: that one has none.
    pub(crate) fn naming_kube_config(&self, first: &ClusterKey) -> BTreeSet<Key> {
        let named = self.by_cluster.range(first..).take_while(|(cluster, _)| cluster.is_beside(first));
        named.flat_map(|(_, releases)| releases).cloned().collect()
    }

    /// A release has nothing in a cluster any more that it does not declare.
    pub(crate) fn left(&mut self, key: &Key, cluster: &ClusterKey) {
        if let Some(declared) = self.releases.get_mut(key).filter(|it| it.target.cluster.as_ref() != Some(cluster)) {
            declared.clusters.remove(cluster);
            take(&mut self.by_cluster, cluster, key);
        }
    }

    /// Enters a repository as it is declared now; `None` takes it out. Returns the releases that used it, use it now,
    /// or would if it were open to them.
    pub(crate) fn repository_changed(&mut self, key: &Key, repository: Option<Arc<HelmRepository>>) -> BTreeSet<Key> {
        let mut concerned = self.concerned(key);
        for secret in
            self.repositories.get(key).map(|before| DereferencedRepository::secret_names(before)).unwrap_or_default()
        {
            take(&mut self.by_secret, &secret, key);
        }
        match repository {
            Some(repository) => {
                for secret in DereferencedRepository::secret_names(&repository) {
                    self.by_secret.entry(secret).or_default().insert(key.clone());
                }
                self.repositories.put(repository);
            }
            None => self.repositories.remove(key),
        }
        concerned.append(&mut self.concerned(key));
        concerned
    }

    /// The repositories that name a Secret.
    pub(crate) fn naming_secret(&self, secret: &Key) -> impl Iterator<Item = &Key> {
        self.by_secret.get(secret).into_iter().flatten()
    }

    /// Decides which repository a release uses.
    pub(crate) fn choose(&self, wanted: &Wanted) -> Result<Choice, ReconcileError> {
        matching::choose(wanted, &self.repositories)
    }

    /// Whether a release asks a registry's host, for its chart or for values.
    pub(crate) fn asks(&self, release: &Key, host: &str) -> bool {
        let wanted = self.releases.get(release).into_iter().flat_map(Declared::wanted);
        wanted.filter_map(|wanted| self.choose(wanted).ok()).any(|choice| choice.chart.host() == host)
    }

    /// The repository that a release uses, and its chart.
    pub(crate) fn used_by(&self, release: &Key) -> Option<(Arc<HelmRepository>, ChartReference)> {
        let choice = self.choose(self.releases.get(release)?.chart.as_ref()?).ok()?;
        Some((choice.used?.repository, choice.chart.untagged()))
    }

    /// The releases that use a repository for their chart, each with it.
    pub(crate) fn users(&self, repository: &Key) -> impl Iterator<Item = (&Key, ChartReference)> {
        self.candidates(repository).filter_map(|(key, declared)| {
            let choice = self.choose(declared.chart.as_ref()?).ok()?;
            let used = choice.used.is_some_and(|used| Key::of(&*used.repository) == *repository);
            used.then(|| (key, choice.chart.untagged()))
        })
    }

    /// The releases that use a repository, or would if it were open to them.
    pub(crate) fn concerned(&self, repository: &Key) -> BTreeSet<Key> {
        let concerned = |wanted: &Wanted| matching::concerns(wanted, repository, &self.repositories);
        let candidates = self.candidates(repository).filter(|(_, declared)| declared.wanted().any(concerned));
        candidates.map(|(key, _)| key.clone()).collect()
    }

    /// The releases that name a repository, and those whose charts or values lie below its URL.
    fn candidates(&self, repository: &Key) -> impl Iterator<Item = (&Key, &Declared)> {
        let naming = self.by_named.get(repository).into_iter().flatten();
        let url = self.repositories.url(repository);
        let below = url.into_iter().flat_map(|url| {
            let from = (url.endpoint().to_owned(), url.path().to_owned());
            self.by_place
                .range(from..)
                .take_while(move |((host, chart), _)| host == url.endpoint() && chart.starts_with(url.path()))
        });
        // The range holds `charts-old/x` for `charts`, too; whoever asks looks closer.
        let keys: BTreeSet<&Key> = naming.chain(below.flat_map(|(_, keys)| keys)).collect();
        keys.into_iter().filter_map(|key| Some((key, self.releases.get(key)?)))
    }

    /// Enters the labels of all namespaces. Returns the releases whose repository depends on labels that are new.
    pub(crate) fn namespaces_listed(&mut self, listed: &Labels) -> Vec<Key> {
        let before = self.repositories.labels_mut().replace(listed.clone()).unwrap_or_default();
        let changed: BTreeSet<String> = before
            .iter()
            .filter(|(name, labels)| listed.get(*name) != Some(labels))
            .map(|(name, _)| name)
            .chain(listed.keys().filter(|name| !before.contains_key(*name)))
            .cloned()
            .collect();
        changed.iter().flat_map(|namespace| self.depending_on(namespace)).collect()
    }

    /// Enters the labels of one namespace; `None` when it is gone. Returns the releases whose repository depends on them.
    pub(crate) fn namespace_changed(&mut self, name: &str, labels: Option<BTreeMap<String, String>>) -> Vec<Key> {
        let Some(known) = self.repositories.labels_mut() else { return Vec::new() };
        if known.get(name) == labels.as_ref() {
            return Vec::new();
        }
        match labels {
            Some(labels) => known.insert(name.to_owned(), labels),
            None => known.remove(name),
        };
        self.depending_on(name)
    }

    fn depending_on(&self, namespace: &str) -> Vec<Key> {
        let from = Key { namespace: namespace.to_owned(), name: String::new() };
        let of_namespace = self.releases.range(from..).take_while(|(key, _)| key.namespace == namespace);
        let depends = |declared: &Declared| declared.wanted().any(|wanted| self.repositories.depends_on_labels(wanted));
        of_namespace.filter(|(_, declared)| depends(declared)).map(|(key, _)| key.clone()).collect()
    }
}

fn place(chart: &ChartReference) -> (String, String) {
    (chart.endpoint().to_owned(), chart.repository().to_owned())
}

fn take<K: Ord>(map: &mut BTreeMap<K, BTreeSet<Key>>, at: &K, key: &Key) {
    if let Some(keys) = map.get_mut(at) {
        keys.remove(key);
        if keys.is_empty() {
            map.remove(at);
        }
    }
}

#[cfg(test)]
mod tests;
