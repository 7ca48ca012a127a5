//! What releases get where they do not set it themselves: `HelmReleaseDefaults` of their namespace, then
//! `ClusterHelmReleaseDefaults`.
//!
//! A reconcile makes the effective release once, at its begin, and all stages see that one. What says which release, chart,
//! values or account are meant has no defaults, so that whoever finds releases by these need not know of any.

mod fill;
pub(crate) mod show;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Debug;
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures::StreamExt as _;
use k8s_openapi::api::core::v1::ObjectReference;
use kube::api::Api;
use kube::runtime::WatchStreamExt as _;
use kube::runtime::watcher::{self, Event, watcher};
use kube::{Resource, ResourceExt as _};
use serde::de::DeserializeOwned;
use serde_json::json;
use tokio::sync::oneshot;

use super::context::Context;
use super::error::{ReconcileError, chain};
use super::events::Severity;
use super::guarded::Guarded;
use super::matching::Key;
use super::release::{differences::Differences, postrender};
use crate::api::{
    ClusterHelmReleaseDefaults, DEFAULTS_NAME, HelmRelease, HelmReleaseDefaults, HelmReleaseDefaultsSpec,
    HelmReleaseSpec, Reason, TakenDefaults,
};
use crate::client::WatchBackoff;

/// One of the two kinds.
pub(crate) trait Kind:
    Resource<DynamicType = ()> + Clone + DeserializeOwned + Debug + Send + Sync + 'static
{
    /// Its name.
    const NAME: &'static str;

    /// What it declares.
    fn declared(self) -> HelmReleaseDefaultsSpec;
}

impl Kind for HelmReleaseDefaults {
    const NAME: &'static str = "HelmReleaseDefaults";

    fn declared(self) -> HelmReleaseDefaultsSpec {
        self.spec
    }
}

impl Kind for ClusterHelmReleaseDefaults {
    const NAME: &'static str = "ClusterHelmReleaseDefaults";

    fn declared(self) -> HelmReleaseDefaultsSpec {
        self.spec.0
    }
}

/// What one object declares, or why it cannot be used.
type Declared = Result<Arc<HelmReleaseDefaultsSpec>, Unusable>;

/// An object that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Unusable {
    uid: Option<String>,
    why: String,
}

/// The objects that are there, by kind and namespace, which is empty for the cluster's.
type Objects = BTreeMap<(&'static str, String), Declared>;

/// The defaults, as they are declared now.
#[derive(Default)]
pub(crate) struct Defaults {
    known: Mutex<Known>,
}

#[derive(Default)]
struct Known {
    objects: Objects,
    /// Why a kind may not be listed.
    closed: BTreeMap<&'static str, String>,
}

/// A release with its defaults.
#[derive(Default)]
pub(crate) struct Effective {
    /// The release as it is to be carried out; none where it is as declared.
    pub(crate) release: Option<Box<HelmRelease>>,
    /// What was taken from which object, the nearest first.
    pub(crate) taken: Vec<TakenDefaults>,
    /// Why it is not known what the defaults are: then nothing is to be changed.
    pub(crate) trouble: Option<ReconcileError>,
}

impl Defaults {
    /// `release` with the defaults within whose reach it is.
    pub(crate) fn of(&self, release: &HelmRelease) -> Effective {
        let namespace = release.namespace().unwrap_or_default();
        let known = self.lock();
        let mut effective = Effective::default();
        for (kind, place) in [(HelmReleaseDefaults::NAME, namespace.as_str()), (ClusterHelmReleaseDefaults::NAME, "")] {
            match known.objects.get(&(kind, place.to_owned())) {
                Some(Ok(defaults)) => effective.take(kind, defaults, release),
                Some(Err(Unusable { why, .. })) => {
                    return Effective { trouble: Some(unusable(kind, place, why)), ..Effective::default() };
                }
                None => {}
            }
            // What was never used is not missed.
            let used = release.status.iter().flat_map(|status| &status.defaults).any(|taken| taken.kind == kind);
            if let Some(why) = known.closed.get(kind).filter(|_| used) {
                let message = format!(
                    "the operator may not list {kind}, whose defaults this release has: {why}; apply the roles of this version of the operator"
                );
                let trouble = Some(ReconcileError::new(Reason::DefaultsInvalid, message));
                return Effective { trouble, ..Effective::default() };
            }
        }
        effective
    }

    /// Enters all objects of a kind; the namespaces of those that changed, or the cluster where they could not be listed before.
    fn listed(&self, kind: &'static str, listed: BTreeMap<String, Declared>) -> BTreeSet<String> {
        let mut known = self.lock();
        let was_closed = known.closed.remove(kind).map(|_| String::new());
        let before: Objects = known.objects.extract_if(.., |(of, _), _| *of == kind).collect();
        let places = before.keys().map(|(_, place)| place).chain(listed.keys());
        let differs = |place: &&String| before.get(&(kind, (*place).clone())) != listed.get(*place);
        let changed = places.filter(differs).cloned().chain(was_closed).collect();
        known.objects.extend(listed.into_iter().map(|(place, declared)| ((kind, place), declared)));
        changed
    }

    /// Tells by an Event what is wrong with an object that cannot be used.
    fn tell(&self, kind: &'static str, place: &str, context: &Context) {
        let known = self.lock().objects.get(&(kind, place.to_owned())).cloned();
        let Some(Err(Unusable { uid, why })) = known else { return };
        let regarding = ObjectReference {
            api_version: Some(HelmReleaseDefaults::api_version(&()).into_owned()),
            kind: Some(kind.to_owned()),
            name: Some(DEFAULTS_NAME.to_owned()),
            namespace: Some(place.to_owned()).filter(|place| !place.is_empty()),
            uid,
            ..ObjectReference::default()
        };
        let event = (Severity::Warning, Reason::DefaultsInvalid);
        context.events.record(regarding, event, &unusable(kind, place, &why).message, context.now());
    }

    /// Whether none of a kind is known.
    fn has_none(&self, kind: &'static str) -> bool {
        self.lock().objects.keys().all(|(of, _)| *of != kind)
    }

    /// Enters an object as it is now; whether anything changed by that.
    fn changed(&self, kind: &'static str, place: String, declared: Option<Declared>) -> bool {
        let (key, mut known) = ((kind, place), self.lock());
        let is_news = known.objects.get(&key) != declared.as_ref();
        match declared {
            Some(declared) => known.objects.insert(key, declared),
            None => known.objects.remove(&key),
        };
        is_news
    }

    fn lock(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Effective {
    fn take(&mut self, kind: &str, defaults: &HelmReleaseDefaultsSpec, declared: &HelmRelease) {
        let mut release = self.release.take().unwrap_or_else(|| Box::new(declared.clone()));
        let fields = fill::fill(&mut release.spec, defaults);
        if !fields.is_empty() {
            self.taken.push(TakenDefaults { kind: kind.to_owned(), fields });
        }
        self.release = Some(release).filter(|_| !self.taken.is_empty());
    }

    /// Whether it is known what the defaults are.
    pub(crate) fn check(&self) -> Result<(), ReconcileError> {
        self.trouble.clone().map_or(Ok(()), Err)
    }

    /// `error`, with where to look for what the release itself does not say.
    pub(crate) fn explain(&self, error: ReconcileError) -> ReconcileError {
        if !matches!(error.reason, Reason::ConfigurationError | Reason::PostRenderFailed) {
            return error;
        }
        let is_named = |field: &String| {
            let first = field.split(['.', '[']).next().unwrap_or_default();
            error.message.contains(&format!("spec.{first}"))
        };
        let named = self.taken.iter().filter(|taken| taken.fields.iter().any(is_named));
        let kinds = named.map(|taken| taken.kind.as_str()).collect::<Vec<_>>().join(" and ");
        if kinds.is_empty() {
            return error;
        }
        let message = format!("{}; part of its spec comes from {kinds}: status.defaults has the fields", error.message);
        ReconcileError { message, ..error }
    }
}

fn unusable(kind: &str, place: &str, why: &str) -> ReconcileError {
    let of = if place.is_empty() { String::new() } else { format!(" of namespace {place}") };
    let message = format!(
        "{kind} {DEFAULTS_NAME:?}{of} cannot be used: {why}; correct it, or apply the CustomResourceDefinitions of this version of the \
         operator. Until then the releases within its reach are left as they are"
    );
    ReconcileError::new(Reason::DefaultsInvalid, message)
}

/// Keeps the defaults of both kinds, and wakes the releases within reach of what changed. Calls `listed` once they are known.
/// Never ends.
pub(super) async fn follow(context: Arc<Context>, listed: impl FnOnce()) {
    let (near_listed, near_known) = oneshot::channel();
    let (far_listed, far_known) = oneshot::channel();
    futures::join!(
        follow_kind::<HelmReleaseDefaults>(&context, || near_listed.send(()).unwrap_or_default()),
        follow_kind::<ClusterHelmReleaseDefaults>(&context, || far_listed.send(()).unwrap_or_default()),
        async {
            drop(futures::join!(near_known, far_known));
            listed();
        },
    );
}

/// Keeps the defaults of one kind as the cluster has them, and wakes the releases within reach of what changed. Calls `listed`
/// once they are known, or it is clear that there are none. Never ends.
async fn follow_kind<K: Kind>(context: &Context, listed: impl FnOnce()) {
    let api = Api::<Guarded<K>>::all(context.client.clone());
    let mut events = pin!(watcher(api, watcher::Config::default()).backoff(WatchBackoff::default()));
    let (mut listed, mut present) = (Some(listed), BTreeMap::new());
    let mut told = 0;
    while let Some(event) = events.next().await {
        let mut is_known = false;
        let changed = match event {
            Ok(Event::Init) => {
                present.clear();
                BTreeSet::new()
            }
            Ok(Event::InitApply(object)) => {
                present.extend(declared(object));
                BTreeSet::new()
            }
            Ok(Event::InitDone) => {
                (is_known, told) = (true, 0);
                context.defaults.listed(K::NAME, std::mem::take(&mut present))
            }
            Ok(Event::Apply(object)) => {
                entered(declared(object).map(|(place, it)| (place, Some(it))), K::NAME, context)
            }
            Ok(Event::Delete(object)) => entered(declared(object).map(|(place, _)| (place, None)), K::NAME, context),
            Err(error) => {
                let code = refused(&error);
                if told != code || code == 0 {
                    tracing::warn!(kind = K::NAME, error = %chain(&error), "the watch of defaults failed, and is started again");
                }
                (is_known, told) = (matches!(code, 403 | 404), code);
                none(code, K::NAME, &chain(&error), context)
            }
        };
        for place in &changed {
            context.defaults.tell(K::NAME, place, context);
            let releases = context.releases.state();
            let reached = releases.iter().map(|release| Key::of(&**release));
            let reached: Vec<Key> = reached.filter(|key| place.is_empty() || key.namespace == *place).collect();
            tracing::info!(kind = K::NAME, namespace = place, releases = reached.len(), "defaults changed");
            context.wake.releases(&reached);
        }
        if let Some(listed) = listed.take_if(|_| is_known) {
            listed();
        }
    }
}

/// What an object declares, and for which namespace. Others than the one that counts are passed over: they are from before
/// the API server refused them.
fn declared<K: Kind>(object: Guarded<K>) -> Option<(String, Declared)> {
    if object.name_any() != DEFAULTS_NAME {
        return None;
    }
    let (place, uid) = (object.namespace().unwrap_or_default(), object.uid());
    let spec = object.0.map(K::declared).map_err(|undecodable| undecodable.error);
    let spec = spec.and_then(|spec| check(&spec).map(|()| Arc::new(spec)));
    Some((place, spec.map_err(|why| Unusable { uid, why })))
}

/// Whether a release can have these defaults; what is wrong with them otherwise.
fn check(defaults: &HelmReleaseDefaultsSpec) -> Result<(), String> {
    let release = json!({ "chart": { "name": "any" } });
    let mut release: HelmReleaseSpec = serde_json::from_value(release).map_err(|error| error.to_string())?;
    fill::fill(&mut release, defaults);
    postrender::of(&release, "").map_err(|error| error.message)?;
    Differences::of(&release).map_err(|error| error.message)?;
    Ok(())
}

fn entered(object: Option<(String, Option<Declared>)>, kind: &'static str, context: &Context) -> BTreeSet<String> {
    let Some((place, declared)) = object else { return BTreeSet::new() };
    let is_news = context.defaults.changed(kind, place.clone(), declared);
    is_news.then_some(place).into_iter().collect()
}

/// What a watch that failed with `code` says of the kind: where the cluster does not have it, there are none.
fn none(code: u16, kind: &'static str, why: &str, context: &Context) -> BTreeSet<String> {
    match code {
        // One that had some may be asked in the moment in which its definition is published again.
        404 if context.defaults.has_none(kind) => context.defaults.listed(kind, BTreeMap::new()),
        403 => {
            context.defaults.lock().closed.insert(kind, why.to_owned());
            BTreeSet::new()
        }
        _ => BTreeSet::new(),
    }
}

/// The status of a list or watch that was refused; 0 for other trouble.
fn refused(error: &watcher::Error) -> u16 {
    match error {
        watcher::Error::InitialListFailed(kube::Error::Api(status))
        | watcher::Error::WatchStartFailed(kube::Error::Api(status)) => status.code,
        _ => 0,
    }
}
