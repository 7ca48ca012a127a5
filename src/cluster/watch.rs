//! The hub of watches: one per kind and place, shared by all who wait there.
//!
//! A feed is started by its first subscriber and ends some seconds after its last. It keeps of each object only what
//! waiting needs, and wakes those who wait for that object. The first releases to wait for a kind get a feed of their
//! namespace; when many namespaces are watched for one kind, one feed of the whole cluster takes the newcomers, so that
//! a thousand waiting releases do not hold a thousand connections.

mod subscription;
mod waiter;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

use futures::StreamExt;
use futures::stream::BoxStream;
use kube::api::{Api, ApiResource, DynamicObject, PartialObjectMeta};
use kube::core::DynamicResourceScope;
use kube::runtime::{WatchStreamExt, watcher};
use serde_json::Value;
use tokio::sync::watch;

pub(super) use self::subscription::Subscription;
pub(super) use self::waiter::Waiter;
use super::checks::Judge;
use super::discovery::Resource;
use super::fields::{self, Fingerprint};
use super::object::ObjectRef;
use super::ownership::{HELM, MANAGED_BY};
use super::ready::{Assessment, HEALTH, IGNORED, Subject};
use crate::client::WatchBackoff;
use crate::off_thread;

/// How long a feed outlives its last subscriber.
const LINGER: Duration = Duration::from_secs(5);

/// Feeds of single namespaces for one kind, beyond which a feed of all namespaces is started.
const NAMESPACES: usize = 4;

/// How many objects that went a feed remembers.
const GONE: usize = 1024;

/// How long a feed is refused before it ends; an API server that is just starting refuses, too.
const REFUSED: Duration = Duration::from_secs(3);

/// Objects per page of a feed's list: whole objects are parsed page by page.
const PAGE: u32 = 100;

/// What a feed sees.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Scope {
    /// Objects with Helm's label in all namespaces (or of a kind without).
    Everywhere,
    /// Objects with Helm's label in one namespace.
    Namespace(String),
    /// One object, whatever its labels.
    Named(Place),
}

/// Namespace and name.
type Place = (Option<String>, String);
/// What is watched, where, and by what it is judged.
type FeedKey = (Resource, Scope, Judge);

/// Which feed serves a subscriber.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Marks {
    /// The object carries Helm's label, as everything but hooks and CRDs does: a shared feed.
    Helm,
    /// It may not: a feed of its own.
    Unknown,
}

/// What a feed knows of one object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Seen {
    pub(super) uid: String,
    pub(super) resource_version: String,
    pub(super) generation: i64,
    pub(super) finalizers: Vec<String>,
    pub(super) assessment: Assessment,
    /// Changes with what is declared of it.
    pub(super) state: u64,
    /// Which of its fields its release manages.
    pub(super) fields: Option<Fingerprint>,
    pub(super) deleting: bool,
}

/// The answer to a look at one object.
#[derive(Debug)]
pub(super) enum Look {
    /// The feed has not seen everything yet.
    NotYet,
    /// The object does not exist.
    Absent(Absence),
    /// The object as last seen.
    Seen(Seen),
    /// The feed cannot be kept: the server refuses it.
    Lost(Refusal),
}

/// What is known of an object that a feed does not show.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Absence {
    /// As it was when it went, if that was seen lately: told of Jobs, which may remove themselves.
    pub(super) last: Option<Seen>,
    /// Whether it is not there since the subscription began. Else the feed may not have heard yet that it was made.
    pub(super) is_certain: bool,
}

/// Why the server refuses a feed.
#[derive(Debug, Clone)]
pub(super) struct Refusal {
    /// HTTP status code.
    pub(super) code: u16,
    /// The server's words.
    pub(super) message: String,
}

/// A waiter and the number that a target has with it.
type Waiting = (Arc<Waiter>, usize);

/// All feeds of one cluster.
pub(super) struct Hub {
    client: kube::Client,
    feeds: Mutex<Feeds>,
}

#[derive(Default)]
struct Feeds {
    running: BTreeMap<FeedKey, Arc<Feed>>,
    /// Kinds that may not be watched in all namespaces.
    confined: BTreeSet<Resource>,
}

impl Hub {
    pub(super) fn new(client: kube::Client) -> Arc<Self> {
        Arc::new(Self { client, feeds: Mutex::default() })
    }

    /// Wakes `waiter` for `number` at each change of `object` until the subscription is dropped.
    pub(super) fn subscribe(
        self: &Arc<Self>,
        resource: &Resource,
        object: &ObjectRef,
        (marks, judge): (Marks, &Judge),
        waiter: &Waiting,
    ) -> Subscription {
        let place = (object.namespace.clone(), object.name.clone());
        let mut feeds = lock(&self.feeds);
        let key = (resource.clone(), feeds.choose(resource, &place, marks, judge), judge.clone());
        let feed = feeds.running.entry(key.clone()).or_insert_with(|| {
            let feed = Arc::new(Feed::new(key));
            tokio::spawn(feed.clone().run(self.client.clone(), Arc::downgrade(self)));
            feed
        });
        feed.subscribers.send_modify(|count| *count += 1);
        let mut state = lock(&feed.state);
        state.waiting.entry(place.clone()).or_default().push(waiter.clone());
        let lists = state.lists_begun;
        drop(state);
        // A feed that runs already may have told all it knows before this.
        waiter.0.wake(waiter.1);
        Subscription { feed: feed.clone(), place, waiter: waiter.clone(), lists }
    }

    /// Removes `feed` unless somebody subscribed meanwhile.
    fn retire(&self, feed: &Feed) -> bool {
        let mut feeds = lock(&self.feeds);
        let idle = *feed.subscribers.borrow() == 0;
        if idle {
            feeds.running.remove(&feed.key);
        }
        idle
    }

    /// Removes a feed that the server refuses, so that later subscribers try anew.
    fn lose(&self, feed: &Feed, code: u16) {
        let mut feeds = lock(&self.feeds);
        feeds.running.remove(&feed.key);
        if code == 403 && feed.key.1 == Scope::Everywhere && feed.key.0.namespaced {
            feeds.confined.insert(feed.key.0.clone());
        }
    }
}

impl Feeds {
    fn choose(&self, resource: &Resource, place: &Place, marks: Marks, judge: &Judge) -> Scope {
        let (Marks::Helm, Some(namespace)) = (marks, &place.0) else {
            return if marks == Marks::Helm { Scope::Everywhere } else { Scope::Named(place.clone()) };
        };
        let own = Scope::Namespace(namespace.clone());
        let runs = |scope: &Scope| self.running.contains_key(&(resource.clone(), scope.clone(), judge.clone()));
        if runs(&own) || self.confined.contains(resource) {
            return own;
        }
        let of_kind =
            |(kind, scope, by): &&FeedKey| kind == resource && by == judge && matches!(scope, Scope::Namespace(_));
        let namespaces = self.running.keys().filter(of_kind).count();
        if runs(&Scope::Everywhere) || namespaces >= NAMESPACES { Scope::Everywhere } else { own }
    }
}

/// One watch and what it has shown.
struct Feed {
    key: FeedKey,
    subscribers: watch::Sender<usize>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    synced: bool,
    lost: Option<Refusal>,
    seen: BTreeMap<Place, Seen>,
    /// Whether these are Jobs, which may remove themselves.
    is_of_jobs: bool,
    /// Jobs that went, as they were last, the latest at the end.
    gone: VecDeque<(Place, Seen)>,
    /// How many lists were begun, and the last of them that was whole.
    lists_begun: u64,
    listed_whole: u64,
    /// Places seen in the listing that is under way.
    listed: BTreeSet<Place>,
    waiting: BTreeMap<Place, Vec<Waiting>>,
}

impl Feed {
    fn new(key: FeedKey) -> Self {
        let state = State { is_of_jobs: is_job(&key), ..State::default() };
        Self { key, subscribers: watch::Sender::new(0), state: Mutex::new(state) }
    }

    async fn run(self: Arc<Self>, client: kube::Client, hub: Weak<Hub>) {
        let mut events = self.events(client);
        let mut idle = pin!(self.idle());
        let mut refused_since = None;
        loop {
            let event = tokio::select! {
                event = events.next() => event,
                () = &mut idle => match hub.upgrade() {
                    Some(hub) if !hub.retire(&self) => {
                        idle.set(self.idle());
                        continue;
                    }
                    Some(_) | None => return,
                },
            };
            match event {
                Some(Ok(event)) => {
                    // `Init` comes before the list is asked for: it proves nothing.
                    if !matches!(event, watcher::Event::Init) {
                        refused_since = None;
                    }
                    let event = seen(&self.key, event).await;
                    lock(&self.state).take(event);
                }
                Some(Err(error)) => {
                    let refusal = refusal(&error);
                    refused_since = refused_since.or_else(|| Some(Instant::now())).filter(|_| refusal.is_some());
                    if let (Some(refusal), Some(since)) = (refusal, refused_since)
                        && since.elapsed() > REFUSED
                    {
                        self.lose(&hub, refusal);
                        return;
                    }
                }
                None => return,
            }
        }
    }

    /// The events of the objects; of those that are ready as soon as they exist their metadata alone.
    fn events(
        &self,
        client: kube::Client,
    ) -> BoxStream<'static, Result<watcher::Event<DynamicObject>, watcher::Error>> {
        let (resource, _, judge) = &self.key;
        if judge.needs_no_content(&resource.group, &resource.kind) {
            let (api, config) = self.source(client);
            let events = watcher(api, config).map(|event| Ok(with_metadata(event?)));
            return events.backoff(WatchBackoff::default()).boxed();
        }
        let (api, config) = self.source(client);
        watcher(api, config).backoff(WatchBackoff::default()).boxed()
    }

    fn source<K>(&self, client: kube::Client) -> (Api<K>, watcher::Config)
    where
        K: kube::Resource<Scope = DynamicResourceScope, DynamicType = ApiResource>,
    {
        let (resource, scope, _) = &self.key;
        let kind = resource.to_kube();
        let helm = watcher::Config::default().page_size(PAGE).labels(&format!("{MANAGED_BY}={HELM}"));
        match scope {
            Scope::Everywhere => (Api::all_with(client, &kind), helm),
            Scope::Namespace(namespace) => (Api::namespaced_with(client, namespace, &kind), helm),
            Scope::Named((namespace, name)) => {
                let one = watcher::Config::default().fields(&format!("metadata.name={name}"));
                match namespace {
                    Some(namespace) => (Api::namespaced_with(client, namespace, &kind), one),
                    None => (Api::all_with(client, &kind), one),
                }
            }
        }
    }

    /// Completes when nobody has been subscribed for [`LINGER`].
    async fn idle(&self) {
        let mut subscribers = self.subscribers.subscribe();
        while subscribers.wait_for(|count| *count == 0).await.is_ok() {
            if tokio::time::timeout(LINGER, subscribers.wait_for(|count| *count > 0)).await.is_err() {
                return;
            }
        }
    }

    fn lose(&self, hub: &Weak<Hub>, refusal: Refusal) {
        if let Some(hub) = hub.upgrade() {
            hub.lose(self, refusal.code);
        }
        let mut state = lock(&self.state);
        state.lost = Some(refusal);
        state.waiting.values().flatten().for_each(|(waiter, number)| waiter.wake(*number));
    }
}

impl State {
    fn take(&mut self, event: watcher::Event<(Place, Option<Seen>)>) {
        match event {
            watcher::Event::Init => {
                self.listed.clear();
                self.lists_begun += 1;
            }
            watcher::Event::InitApply((place, seen)) => {
                self.show(&place, seen);
                self.listed.insert(place);
            }
            watcher::Event::Apply((place, seen)) => self.show(&place, seen),
            watcher::Event::Delete((place, last)) => {
                self.seen.extend(last.map(|last| (place.clone(), last)));
                self.vanish(&place);
            }
            watcher::Event::InitDone => {
                let listed = std::mem::take(&mut self.listed);
                let gone: Vec<_> = self.seen.keys().filter(|place| !listed.contains(*place)).cloned().collect();
                for place in &gone {
                    self.vanish(place);
                }
                self.listed_whole = self.lists_begun;
                self.synced = true;
                // A list proves what is not there.
                self.waiting.values().flatten().for_each(|(waiter, number)| waiter.wake(*number));
            }
        }
    }

    fn show(&mut self, place: &Place, seen: Option<Seen>) {
        self.seen.extend(seen.map(|seen| (place.clone(), seen)));
        self.wake(place);
    }

    fn vanish(&mut self, place: &Place) {
        if let Some(last) = self.seen.remove(place).filter(|_| self.is_of_jobs) {
            self.gone.retain(|(gone, _)| gone != place);
            self.gone.push_back((place.clone(), last));
            if self.gone.len() > GONE {
                self.gone.pop_front();
            }
        }
        self.wake(place);
    }

    /// What is known of what is not there, by who subscribed when so many lists had begun.
    fn absence(&self, place: &Place, lists: u64) -> Absence {
        let last = self.gone.iter().find(|(gone, _)| gone == place).map(|(_, last)| last.clone());
        Absence { last, is_certain: self.listed_whole > lists }
    }

    fn wake(&self, place: &Place) {
        self.waiting.get(place).into_iter().flatten().for_each(|(waiter, number)| waiter.wake(*number));
    }
}

fn with_metadata(event: watcher::Event<PartialObjectMeta<DynamicObject>>) -> watcher::Event<DynamicObject> {
    let object = |partial: PartialObjectMeta<DynamicObject>| DynamicObject {
        types: None,
        metadata: partial.metadata,
        data: Value::Null,
    };
    match event {
        watcher::Event::Apply(partial) => watcher::Event::Apply(object(partial)),
        watcher::Event::Delete(partial) => watcher::Event::Delete(object(partial)),
        watcher::Event::InitApply(partial) => watcher::Event::InitApply(object(partial)),
        watcher::Event::Init => watcher::Event::Init,
        watcher::Event::InitDone => watcher::Event::InitDone,
    }
}

fn is_job((resource, ..): &FeedKey) -> bool {
    resource.group == "batch" && resource.kind == "Job"
}

/// What an event shows; of an object that goes, where it was.
async fn seen(of: &FeedKey, event: watcher::Event<DynamicObject>) -> watcher::Event<(Place, Option<Seen>)> {
    match event {
        watcher::Event::Apply(object) => watcher::Event::Apply(judged(of, object).await),
        watcher::Event::InitApply(object) => watcher::Event::InitApply(judged(of, object).await),
        // What a Job was at its end is told with that.
        watcher::Event::Delete(object) if is_job(of) => watcher::Event::Delete(judged(of, object).await),
        watcher::Event::Delete(object) => watcher::Event::Delete((place(&object), None)),
        watcher::Event::Init => watcher::Event::Init,
        watcher::Event::InitDone => watcher::Event::InitDone,
    }
}

/// What is known of an object. People's expressions are evaluated where they hold up nobody else's connections.
async fn judged(of: &FeedKey, object: DynamicObject) -> (Place, Option<Seen>) {
    let place = place(&object);
    let seen = if of.2.evaluates() {
        let of = of.clone();
        off_thread::evaluate(move || see(&of, object)).await
    } else {
        see(of, object)
    };
    (place, Some(seen))
}

fn see((resource, _, judge): &FeedKey, object: DynamicObject) -> Seen {
    let metadata = &object.metadata;
    let subject = Subject {
        deleting: metadata.deletion_timestamp.is_some(),
        generation: metadata.generation,
        ignored: metadata.annotations.as_ref().and_then(|all| all.get(HEALTH)).is_some_and(|value| value == IGNORED),
        body: &object.data,
    };
    let assessment = judge.assess(&resource.group, &resource.kind, &subject, || whole(resource, &object));
    let (deleting, metadata) = (subject.deleting, object.metadata);
    Seen {
        state: fields::state(&metadata),
        fields: fields::fingerprint(&metadata),
        deleting,
        assessment,
        uid: metadata.uid.unwrap_or_default(),
        resource_version: metadata.resource_version.unwrap_or_default(),
        generation: metadata.generation.unwrap_or_default(),
        finalizers: metadata.finalizers.unwrap_or_default(),
    }
}

/// All of an object, as the server has it.
fn whole(resource: &Resource, object: &DynamicObject) -> Value {
    let mut whole = object.data.clone();
    whole["apiVersion"] = resource.api_version().into();
    whole["kind"] = resource.kind.as_str().into();
    whole["metadata"] = serde_json::to_value(&object.metadata).unwrap_or_default();
    whole
}

fn place(object: &DynamicObject) -> Place {
    (object.metadata.namespace.clone(), object.metadata.name.clone().unwrap_or_default())
}

/// No right to watch, or no such kind (any more): waiting longer does not help.
fn refusal(error: &watcher::Error) -> Option<Refusal> {
    let status = match error {
        watcher::Error::InitialListFailed(kube::Error::Api(status))
        | watcher::Error::WatchStartFailed(kube::Error::Api(status))
        | watcher::Error::WatchError(status) => status,
        watcher::Error::InitialListFailed(_)
        | watcher::Error::WatchStartFailed(_)
        | watcher::Error::WatchFailed(_)
        | watcher::Error::NoResourceVersion => return None,
    };
    let refusal = Refusal { code: status.code, message: status.message.clone() };
    matches!(status.code, 403..=405).then_some(refusal)
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
