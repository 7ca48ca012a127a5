//! What applying objects would change, without an operator: for `helm-operator diff`.
//!
//! What an operator watches is read once here, by the rights of the person who asks; then the stages of a reconcile are asked
//! as far as they write nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use k8s_openapi::api::core::v1::{Namespace, Secret};
use kube::api::{Api, ListParams};
use kube::runtime::reflector::store::Writer;
use kube::runtime::watcher::Event;
use kube::{Client, Resource, ResourceExt};
use serde::de::DeserializeOwned;
use tokio::task::LocalSet;

use super::context::Context;
use super::defaults::show;
use super::error::ReconcileError;
use super::guarded::Guarded;
use super::matching::{self, Key, Labels};
use super::place::Whereabouts;
use super::records::OF_HELM;
use super::{Setup, Stores, assemble, causes, release};
use crate::api::{ClusterHelmReleaseDefaults, HelmRelease, HelmReleaseDefaults, HelmRepository, Reason};
use crate::chain::chain;
use crate::history::RecordMeta;

/// What a person would apply, as the API server would store it.
#[derive(Debug, Clone, Default)]
pub struct Declared {
    /// The releases that are asked for.
    pub releases: Vec<HelmRelease>,
    /// Repositories beside them.
    pub repositories: Vec<HelmRepository>,
}

/// What becomes of one release.
#[derive(Debug, Clone, Default)]
pub struct Foreseen {
    /// What changes, for people; none where nothing does. Holds no value of a Secret.
    pub difference: Option<String>,
    /// What to know besides.
    pub notices: Vec<String>,
}

/// Why it is not known what becomes of a release.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Unforeseen {
    /// The reason that its status would tell.
    pub reason: Reason,
    /// What was tried, what came back, and what to do. Holds no credential and no value.
    pub message: String,
}

impl From<ReconcileError> for Unforeseen {
    fn from(error: ReconcileError) -> Self {
        // Here a person asks, and no operator.
        let message = error.message.replace(causes::GRANT, "");
        Self { reason: error.reason, message }
    }
}

/// What becomes of each of the releases that are declared, in their order. Writes nothing.
///
/// # Errors
///
/// What all of them need cannot be read.
pub async fn foresee(
    client: Client,
    setup: Setup,
    declared: Declared,
) -> Result<Vec<Result<Foreseen, Unforeseen>>, Unforeseen> {
    LocalSet::new().run_until(Box::pin(foresee_all(client, setup, declared))).await
}

async fn foresee_all(
    client: Client,
    setup: Setup,
    declared: Declared,
) -> Result<Vec<Result<Foreseen, Unforeseen>>, Unforeseen> {
    // Nobody writes the Events that are recorded.
    let (context, mut stores, _events) = assemble(&client, setup, Arc::default());
    let mut view = View { context: Arc::clone(&context), known: BTreeSet::new(), notices: Vec::new() };
    view.read_objects(&mut stores, &declared).await?;
    let mut foreseen = Vec::with_capacity(declared.releases.len());
    for release in &declared.releases {
        foreseen.push(Box::pin(foresee_one(release, &mut view)).await);
    }
    // Once, however many there are.
    if let Some(Ok(first)) = foreseen.iter_mut().find(|one| one.is_ok()) {
        first.notices.splice(0..0, view.notices);
    }
    Ok(foreseen)
}

async fn foresee_one(release: &HelmRelease, view: &mut View) -> Result<Foreseen, Unforeseen> {
    view.read_surroundings(release).await?;
    let effective = view.context.defaults.of(release);
    let (difference, notices) = Box::pin(release::foresee::foresee(release, &effective, &view.context)).await?;
    Ok(Foreseen { difference, notices })
}

/// What is known of the cluster.
struct View {
    context: Arc<Context>,
    /// The namespaces whose defaults and records were read.
    known: BTreeSet<(&'static str, String)>,
    notices: Vec<String>,
}

/// How a read of several objects ended that may be forbidden.
enum Found<T> {
    These(Vec<T>),
    Forbidden,
}

impl View {
    /// Reads the objects of our kinds, with those that are declared in place of theirs.
    async fn read_objects(&mut self, stores: &mut Stores, declared: &Declared) -> Result<(), Unforeseen> {
        let namespaces: BTreeSet<String> = declared.releases.iter().filter_map(ResourceExt::namespace).collect();
        let releases = self.listed::<HelmRelease>("HelmReleases", &namespaces).await?;
        let releases = beside(releases, &declared.releases);
        for release in releases.iter().filter_map(|release| release.0.as_ref().ok()) {
            self.context.index().release_changed(&Key::of(release), Some(release));
        }
        fill(&mut stores.release_writer, releases);
        let named = declared.releases.iter().filter_map(|release| matching::Wanted::of(release).ok()?.named);
        let namespaces = namespaces.iter().cloned().chain(named.map(|named| named.namespace)).collect();
        let repositories = self.listed::<HelmRepository>("HelmRepositories", &namespaces).await?;
        let repositories = beside(repositories, &declared.repositories);
        for repository in repositories.iter().filter_map(|repository| repository.0.as_ref().ok()) {
            let there = repository.metadata.deletion_timestamp.is_none().then(|| Arc::new(repository.clone()));
            self.context.index().repository_changed(&Key::of(repository), there);
        }
        fill(&mut stores.repository_writer, repositories);
        self.read_labels(&namespaces).await
    }

    /// All objects of a kind; only those of `namespaces` where no more may be listed.
    async fn listed<K>(&mut self, what: &str, namespaces: &BTreeSet<String>) -> Result<Vec<Guarded<K>>, Unforeseen>
    where
        K: Resource<DynamicType = (), Scope = k8s_openapi::NamespaceResourceScope>
            + Clone
            + DeserializeOwned
            + std::fmt::Debug,
    {
        let client = &self.context.client;
        if let Found::These(all) = found(&format!("list {what}"), Api::all(client.clone())).await? {
            return Ok(all);
        }
        let (mut all, mut closed) = (Vec::new(), Vec::new());
        for namespace in namespaces {
            let api = Api::namespaced(client.clone(), namespace);
            match found(&format!("list {what} in namespace {namespace}"), api).await? {
                Found::These(these) => all.extend(these),
                Found::Forbidden => closed.push(namespace.as_str()),
            }
        }
        let of = match closed.as_slice() {
            [] => "of other namespaces".to_owned(),
            closed => format!("of other namespaces, nor of {}", closed.join(", ")),
        };
        self.notices.push(format!("you may not list the {what} {of}: they are not considered"));
        Ok(all)
    }

    /// Reads the labels of namespaces, by which repositories are open to some of them.
    async fn read_labels(&mut self, namespaces: &BTreeSet<String>) -> Result<(), Unforeseen> {
        let api = Api::<Namespace>::all(self.context.client.clone());
        let mut labels = Labels::new();
        match api.list_metadata(&ListParams::default()).await {
            Ok(all) => {
                labels.extend(all.items.into_iter().map(|it| (it.name_any(), it.metadata.labels.unwrap_or_default())));
            }
            Err(error) if is_forbidden(&error) => {
                for name in namespaces {
                    // Who may not read it is told of that where the labels count.
                    if let Ok(Some(it)) = api.get_metadata_opt(name).await {
                        labels.insert(name.clone(), it.metadata.labels.unwrap_or_default());
                    }
                }
                if labels.is_empty() {
                    return Ok(());
                }
            }
            Err(error) => return Err(unread("list namespaces", &error)),
        }
        self.context.index().namespaces_listed(&labels);
        Ok(())
    }

    /// Reads what else a release depends on: its defaults, and the records in the namespaces where its own may be.
    async fn read_surroundings(&mut self, release: &HelmRelease) -> Result<(), Unforeseen> {
        let namespace = release.namespace().unwrap_or_default();
        let client = self.context.client.clone();
        if self.known.insert(("cluster", String::new())) {
            let far = Api::<ClusterHelmReleaseDefaults>::all(client.clone());
            self.read_defaults(far, String::new()).await?;
        }
        if self.known.insert(("defaults", namespace.clone())) {
            let near = Api::<HelmReleaseDefaults>::namespaced(client, &namespace);
            self.read_defaults(near, namespace.clone()).await?;
        }
        // The history in another cluster is read by what connects to it.
        let declared = matching::target(release);
        let declared = declared.cluster.is_none().then_some(declared.release.namespace);
        for records in Whereabouts::of(release).records {
            if !self.known.insert(("records", records.clone())) {
                continue;
            }
            match self.read_records(&records).await {
                // What it declares it is about.
                Err(unread) if unread.reason == Reason::Forbidden && declared.as_ref() != Some(&records) => {
                    let told = format!("{}: what the release has there is not considered", unread.message);
                    self.notices.push(told);
                }
                read => read?,
            }
        }
        Ok(())
    }

    async fn read_defaults<K: super::defaults::Kind>(&mut self, api: Api<K>, place: String) -> Result<(), Unforeseen> {
        match api.get_opt(crate::api::DEFAULTS_NAME).await {
            Ok(found) => show::enter(&self.context.defaults, place, found),
            Err(error) if is_forbidden(&error) => {
                let told = format!("you may not read {}: what releases get by it is not considered", K::NAME);
                self.notices.push(told);
            }
            Err(error) => return Err(unread(&format!("read {}", K::NAME), &error)),
        }
        Ok(())
    }

    async fn read_records(&mut self, namespace: &str) -> Result<(), Unforeseen> {
        let api = Api::<Secret>::namespaced(self.context.client.clone(), namespace);
        let [fields, labels] = OF_HELM;
        let listed = api.list_metadata(&ListParams::default().fields(fields).labels(labels)).await;
        let what = format!("list the records of Helm's releases (Secrets) in namespace {namespace}");
        for secret in listed.map_err(|error| unread(&what, &error))?.items {
            if let Ok(meta) = RecordMeta::from_metadata(&secret.metadata) {
                self.context.home.revisions.seen(meta);
            }
        }
        Ok(())
    }
}

/// What is there, with what is declared in its place or beside it.
fn beside<K>(there: Vec<Guarded<K>>, declared: &[K]) -> Vec<Guarded<K>>
where
    K: Resource<DynamicType = ()> + Clone,
    Guarded<K>: kube::ResourceExt,
{
    let mut objects: BTreeMap<Key, Guarded<K>> = there.into_iter().map(|object| (Key::of(&object), object)).collect();
    objects.extend(declared.iter().map(|object| (Key::of(object), Guarded(Ok(object.clone())))));
    objects.into_values().collect()
}

fn fill<K>(writer: &mut Writer<Guarded<K>>, objects: Vec<Guarded<K>>)
where
    K: Resource<DynamicType = ()> + Clone + 'static,
{
    writer.apply_watcher_event(&Event::Init);
    for object in objects {
        writer.apply_watcher_event(&Event::InitApply(object));
    }
    writer.apply_watcher_event(&Event::InitDone);
}

async fn found<K>(what: &str, api: Api<K>) -> Result<Found<K>, Unforeseen>
where
    K: Clone + DeserializeOwned + std::fmt::Debug,
{
    match api.list(&ListParams::default()).await {
        Ok(listed) => Ok(Found::These(listed.items)),
        Err(error) if is_forbidden(&error) => Ok(Found::Forbidden),
        Err(error) => Err(unread(what, &error)),
    }
}

fn is_forbidden(error: &kube::Error) -> bool {
    matches!(error, kube::Error::Api(status) if status.code == 403)
}

fn unread(what: &str, error: &kube::Error) -> Unforeseen {
    let reason = if is_forbidden(error) { Reason::Forbidden } else { Reason::ClusterUnavailable };
    Unforeseen { reason, message: format!("failed to {what}: {}", chain(error)) }
}
