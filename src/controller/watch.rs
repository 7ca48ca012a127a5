//! What the controllers watch, and what each change wakes.
//!
//! | watched | wakes |
//! |---|---|
//! | `HelmRelease` (spec, deletion, a lost finalizer, `requestedAt`, `testAt`, `adopt`, `approve`) | itself, and those that declare the Helm release it no longer does, or depend on it |
//! | `HelmRelease` (whether it is ready) | those that depend on it |
//! | `HelmRepository` (the same) | itself, and the releases that use it, or would if it were open to them |
//! | Secrets but Helm's (metadata) | the repositories that name one, their releases, and the releases that read values or a kubeconfig from one |
//! | `ConfigMap`s (metadata) | the releases that read values from one |
//! | `HelmReleaseDefaults`, `ClusterHelmReleaseDefaults` (spec) | the releases of the namespace, all releases |
//! | Namespaces (labels) | the releases in one whose repositories select namespaces |
//! | Helm's release Secrets (metadata), in other clusters too | the release whose history somebody else wrote |
//! | another cluster that answers again, or no longer does | the releases in it |
//! | a registry's host that answers again | the repositories and releases that failed for want of it |
//!
//! Status writes wake nothing else: the watch of a kind compares what was declared, not the whole object.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::pin::pin;
use std::sync::Arc;

use futures::StreamExt as _;
use futures::channel::mpsc::{UnboundedReceiver, UnboundedSender};
use k8s_openapi::api::core::v1::Namespace;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::api::{Api, PartialObjectMeta};
use kube::core::NamespaceResourceScope;
use kube::runtime::WatchStreamExt as _;
use kube::runtime::reflector::ObjectRef;
use kube::runtime::reflector::store::Writer;
use kube::runtime::watcher::{self, Event, watcher};
use kube::{Resource, ResourceExt as _};
use serde::de::DeserializeOwned;
use tokio::sync::broadcast;

use super::context::Context;
use super::guarded::Guarded;
use super::matching::{Key, Labels};
use super::records::Records;
use super::referents::{Referents, Weighed};
use super::target::{ClusterKey, Target};
use crate::api::{
    ADOPT, APPROVE, ConditionType, FORCE_AT, HelmRelease, HelmRepository, KubeConfig, KubeConfigMap, KubeConfigSecret,
    REQUESTED_AT, TEST_AT, ValuesKind,
};
use crate::client::WatchBackoff;
use crate::history::ReleaseKey;
use crate::registry::RepositoryUrl;

/// Wakes reconciles.
pub(crate) struct Wake {
    releases: UnboundedSender<ObjectRef<Guarded<HelmRelease>>>,
    repositories: UnboundedSender<ObjectRef<Guarded<HelmRepository>>>,
}

impl Wake {
    /// Wakes through these queues.
    pub(super) fn new(
        releases: UnboundedSender<ObjectRef<Guarded<HelmRelease>>>,
        repositories: UnboundedSender<ObjectRef<Guarded<HelmRepository>>>,
    ) -> Self {
        Self { releases, repositories }
    }

    /// Wakes one release.
    pub(crate) fn release(&self, release: ObjectRef<Guarded<HelmRelease>>) {
        // A closed queue means that the process ends.
        drop(self.releases.unbounded_send(release));
    }

    /// Wakes several releases.
    pub(crate) fn releases<'a>(&self, releases: impl IntoIterator<Item = &'a Key>) {
        for release in releases {
            self.release(reference(release));
        }
    }

    /// Wakes one repository.
    pub(crate) fn repository(&self, repository: ObjectRef<Guarded<HelmRepository>>) {
        drop(self.repositories.unbounded_send(repository));
    }

    /// Wakes the releases that use a repository, or would if it were open to them.
    pub(crate) fn releases_of(&self, repository: &Key, context: &Context) {
        let concerned = context.index().concerned(repository);
        self.releases(&concerned);
    }
}

/// The object of that name, as the queues and stores name it.
pub(crate) fn reference<K>(key: &Key) -> ObjectRef<Guarded<K>>
where
    K: Resource<DynamicType = ()>,
{
    ObjectRef::new(&key.name).within(&key.namespace)
}

/// What was declared of an object, as far as it wakes a reconcile.
struct Declared {
    generation: Option<i64>,
    deleted: bool,
    finalizers: Vec<String>,
    /// What its annotations ask for.
    asks: [Option<String>; 5],
    /// Whether its status says that it is ready, as it is declared: no news to itself.
    ready: bool,
}

impl Declared {
    fn of(object: &impl Resource, ready: bool) -> Self {
        Self {
            ready,
            generation: object.meta().generation,
            deleted: object.meta().deletion_timestamp.is_some(),
            finalizers: object.finalizers().to_vec(),
            asks: [REQUESTED_AT, FORCE_AT, TEST_AT, ADOPT, APPROVE].map(|key| object.annotations().get(key).cloned()),
        }
    }

    /// What is to be told of an object that was like `before`.
    fn notice(&self, before: Option<&Self>) -> Option<Notice> {
        if self.is_news(before) {
            return Some(Notice::Declared);
        }
        before.is_some_and(|before| before.ready != self.ready).then_some(Notice::Readiness)
    }

    /// Whether an object that was declared like `before` is to be looked at.
    ///
    /// One that loses a finalizer is, so that it gets it back before it is deleted. One that gets its finalizer is not: it
    /// was the operator that put it there, in a reconcile that goes on.
    fn is_news(&self, before: Option<&Self>) -> bool {
        let Self { generation, deleted, finalizers, asks, ready: _ } = self;
        before.is_none_or(|before| {
            (generation, deleted, asks) != (&before.generation, &before.deleted, &before.asks)
                || before.finalizers.iter().any(|finalizer| !finalizers.contains(finalizer))
        })
    }
}

/// What a watch tells of an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Notice {
    /// It is declared like this.
    Declared,
    /// It became ready, or is no longer.
    Readiness,
    /// It is gone; this was its last state.
    Deleted,
    /// It went while nobody watched; this is what was last seen of it.
    Missed,
}

/// Keeps `writer`'s store as the cluster has it, and tells of each object whose declaration changed, or that is gone.
/// Never ends.
pub(super) async fn follow<K>(
    client: kube::Client,
    mut writer: Writer<Guarded<K>>,
    is_ready: fn(&K) -> bool,
    mut changed: impl FnMut(&Guarded<K>, Notice),
) where
    K: Resource<DynamicType = ()> + Clone + DeserializeOwned + Debug + Send + Sync + 'static,
{
    let mut events =
        pin!(watcher(Api::<Guarded<K>>::all(client), watcher::Config::default()).backoff(WatchBackoff::default()));
    let mut seen = BTreeMap::<String, Declared>::new();
    let mut listed = Vec::new();
    while let Some(event) = events.next().await {
        let mut event = match event {
            Ok(event) => event,
            Err(error) => {
                tracing::warn!(kind = %K::kind(&()), error = %super::error::chain(&error), "a watch failed, and is started again");
                continue;
            }
        };
        if let Event::Apply(object) | Event::InitApply(object) = &mut event {
            object.meta_mut().managed_fields = None;
        }
        // A new list does not say what is no longer in it.
        let before = if matches!(event, Event::InitDone) { writer.as_reader().state() } else { Vec::new() };
        writer.apply_watcher_event(&event);
        let uid = |object: &Guarded<K>| object.uid().unwrap_or_default();
        let declared = |object: &Guarded<K>| Declared::of(object, object.0.as_ref().is_ok_and(is_ready));
        match event {
            Event::Init => listed.clear(),
            Event::InitApply(object) => listed.push(object),
            Event::InitDone => {
                let known = std::mem::take(&mut seen);
                for object in listed.drain(..) {
                    let declared = declared(&object);
                    if let Some(notice) = declared.notice(known.get(&uid(&object))) {
                        changed(&object, notice);
                    }
                    seen.insert(uid(&object), declared);
                }
                for gone in before.iter().filter(|object| !seen.contains_key(&uid(object))) {
                    changed(gone, Notice::Missed);
                }
            }
            Event::Apply(object) => {
                let declared = declared(&object);
                let notice = declared.notice(seen.get(&uid(&object)));
                seen.insert(uid(&object), declared);
                if let Some(notice) = notice {
                    changed(&object, notice);
                }
            }
            Event::Delete(object) => {
                seen.remove(&uid(&object));
                changed(&object, Notice::Deleted);
            }
        }
    }
}

/// Forgets Secrets that changed, and wakes those that use them. Never ends.
pub(super) async fn follow_secrets(context: Arc<Context>) {
    let config = watcher::Config::default().fields("type!=helm.sh/release.v1");
    follow_referents(&context.secrets, config, |secret| wake_users(secret, &context), &context).await;
}

/// The same for `ConfigMap`s.
pub(super) async fn follow_config_maps(context: Arc<Context>) {
    let wake = |map: &Key| {
        wake_by_kube_config(KubeConfig::ConfigMap(KubeConfigMap { name: map.name.clone() }), map, &context);
        wake_by_values(ValuesKind::ConfigMap, map, &context);
    };
    follow_referents(&context.config_maps, watcher::Config::default(), wake, &context).await;
}

async fn follow_referents<K>(known: &Referents<K>, config: watcher::Config, wake: impl Fn(&Key), context: &Context)
where
    K: Resource<DynamicType = (), Scope = NamespaceResourceScope>
        + Clone
        + DeserializeOwned
        + std::fmt::Debug
        + Weighed
        + Send
        + 'static,
{
    let api = Api::<PartialObjectMeta<K>>::all(context.client.clone());
    let mut events = pin!(watcher(api, config).backoff(WatchBackoff::default()));
    let mut listed = BTreeMap::new();
    while let Some(event) = events.next().await {
        match event {
            Ok(Event::Apply(object) | Event::Delete(object)) => {
                let key = Key::of(&object);
                known.forget(&key);
                wake(&key);
            }
            Ok(Event::Init) => listed.clear(),
            Ok(Event::InitApply(object)) => {
                let key = Key::of(&object);
                if known.knows(&key) {
                    listed.insert(key, object.metadata.resource_version);
                }
            }
            Ok(Event::InitDone) => known.retain(&std::mem::take(&mut listed)).iter().for_each(&wake),
            Err(error) => {
                tracing::warn!(error = %super::error::chain(&error), "the watch of {}s failed, and is started again", K::kind(&()));
            }
        }
    }
}

fn wake_users(secret: &Key, context: &Context) {
    let repositories: Vec<Key> = context.index().naming_secret(secret).cloned().collect();
    for repository in &repositories {
        context.wake.repository(reference(repository));
        context.wake.releases_of(repository, context);
    }
    wake_by_kube_config(KubeConfig::Secret(KubeConfigSecret { name: secret.name.clone(), key: None }), secret, context);
    wake_by_values(ValuesKind::Secret, secret, context);
}

/// Wakes the releases that name another cluster by an object, which is `config` without a key.
fn wake_by_kube_config(config: KubeConfig, object: &Key, context: &Context) {
    let cluster = ClusterKey { namespace: object.namespace.clone(), by: config };
    let releases = context.index().naming_kube_config(&cluster);
    context.wake.releases(&releases);
}

/// Wakes the releases that read values from an object.
fn wake_by_values(kind: ValuesKind, object: &Key, context: &Context) {
    let releases: Vec<Key> = context.index().reading_values(kind, object).cloned().collect();
    context.wake.releases(&releases);
}

/// Keeps the labels of namespaces as the cluster has them, and wakes the releases that may use other repositories by them.
/// Calls `listed` once they are known, or it is clear that they may not be listed. Never ends.
pub(super) async fn follow_namespaces(context: Arc<Context>, listed: impl FnOnce()) {
    let api = Api::<PartialObjectMeta<Namespace>>::all(context.client.clone());
    let mut events = pin!(watcher(api, watcher::Config::default()).backoff(WatchBackoff::default()));
    let mut listed = Some(listed);
    let mut present = Labels::new();
    while let Some(event) = events.next().await {
        let ends_list = matches!(event, Ok(Event::InitDone) | Err(_));
        let labels = |namespace: &PartialObjectMeta<Namespace>| namespace.metadata.labels.clone().unwrap_or_default();
        let concerned = match event {
            Ok(Event::Init) => {
                present.clear();
                Vec::new()
            }
            Ok(Event::InitApply(namespace)) => {
                present.insert(namespace.name_any(), labels(&namespace));
                Vec::new()
            }
            Ok(Event::InitDone) => context.index().namespaces_listed(&std::mem::take(&mut present)),
            Ok(Event::Apply(namespace)) => {
                context.index().namespace_changed(&namespace.name_any(), Some(labels(&namespace)))
            }
            Ok(Event::Delete(namespace)) => context.index().namespace_changed(&namespace.name_any(), None),
            Err(error) => {
                tracing::warn!(error = %super::error::chain(&error), "the watch of namespaces failed, and is started again");
                Vec::new()
            }
        };
        context.wake.releases(&concerned);
        if let Some(listed) = listed.take_if(|_| ends_list) {
            listed();
        }
    }
}

/// Keeps the revisions of all releases as the cluster has them. Calls `listed` once they are known. Never ends.
pub(super) async fn follow_history(context: Arc<Context>, listed: impl FnOnce()) {
    let mut events = pin!(Records::watch(context.client.clone()));
    let mut records = Records::new(context.home.revisions.clone());
    let mut listed = Some(listed);
    while let Some(event) = events.next().await {
        match event {
            Ok(event) => {
                let ends_list = records.take(event);
                if let Some(listed) = listed.take_if(|_| ends_list) {
                    listed();
                }
            }
            Err(error) => {
                tracing::warn!(error = %super::error::chain(&error), "the watch of release Secrets failed, and is started again");
            }
        }
    }
}

/// Wakes the releases whose records somebody else wrote. Ends with the last clone of the store of revisions.
pub(super) async fn wake_by_history(
    cluster: Option<ClusterKey>,
    context: Arc<Context>,
    mut news: UnboundedReceiver<ReleaseKey>,
) {
    while let Some(release) = news.next().await {
        wake_owner(&Target { cluster: cluster.clone(), release }, &context);
    }
}

/// Wakes what failed for want of a registry as soon as its host answers again. Ends with the registry client.
pub(super) async fn wake_by_recovery(context: Arc<Context>) {
    let mut recoveries = context.registry.recoveries();
    loop {
        match recoveries.recv().await {
            Ok(host) => recovered(&host, &context),
            // Those whose recovery was missed are tried again by their back-off.
            Err(broadcast::error::RecvError::Lagged(missed)) => tracing::debug!(missed, "recoveries were missed"),
            Err(broadcast::error::RecvError::Closed) => return,
        }
    }
}

fn recovered(host: &str, context: &Context) {
    let troubled = |conditions: Option<&[Condition]>, kind: ConditionType| {
        conditions.is_some_and(|all| all.iter().any(|it| it.type_ == kind.as_str() && it.status == "False"))
    };
    for repository in context.repositories.state() {
        let Ok(repository) = &repository.0 else { continue };
        let conditions = repository.status.as_ref().map(|status| status.conditions.as_slice());
        let is_there = RepositoryUrl::parse(&repository.spec.url).is_ok_and(|url| url.host() == host);
        if is_there && troubled(conditions, ConditionType::Ready) {
            context.wake.repository(reference(&Key::of(repository)));
        }
    }
    for release in context.releases.state() {
        let Ok(release) = &release.0 else { continue };
        let conditions = release.status.as_ref().map(|status| status.conditions.as_slice());
        let key = Key::of(release);
        if troubled(conditions, ConditionType::SourceReady) && context.index().asks(&key, host) {
            context.wake.release(reference(&key));
        }
    }
}

fn wake_owner(release: &Target, context: &Context) {
    let declaring: Vec<Key> = context.index().declaring(release).cloned().collect();
    context.wake.releases(&declaring);
}
