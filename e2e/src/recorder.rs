//! The recorder: every event of every release Secret, and of every Job, from the start, straight from the API server; and
//! [`model`]'s verdict on them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use futures::StreamExt as _;
use helm::release::{codec, storage};
use k8s_openapi::ByteString;
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::Secret;
use kube::api::{DynamicObject, GroupVersionKind, ListParams};
use kube::core::TypeMeta;
use kube::discovery::{Scope, pinned_kind};
use kube::runtime::watcher::{self, watcher};
use kube::runtime::{WatchStreamExt as _, watcher::Event as Watched};
use kube::{Api, Client, ResourceExt as _};
use serde_json::Value;
use tokio::task::AbortHandle;

use crate::eventually::eventually;
use crate::model::{self, End, Event, Fault, Hook, JobMade, Named, Release, Violation, What, Written};

const OUR_PREFIX: &str = "helm-operator.ketches.cn/";

/// How long the recorder may need to see what is there.
const CATCH_UP: Duration = Duration::from_secs(30);

/// A recorder at work. Dropping it ends it.
pub struct Recorder {
    client: Client,
    seen: Arc<Mutex<Seen>>,
    watches: [AbortHandle; 2],
}

#[derive(Debug, Default)]
struct Seen {
    events: Vec<Event>,
    // Of each Secret that is there, by namespace and name.
    present: BTreeMap<(String, String), Present>,
    jobs: Vec<JobMade>,
    known_jobs: BTreeSet<String>,
    // What could not be read.
    unreadable: Vec<String>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Present {
    uid: String,
    version: u64,
    release: Release,
    revision: u32,
}

/// What the recorder saw, judged.
#[derive(Debug)]
pub struct Verdict {
    /// All events, in the order of the writes.
    pub events: Vec<Event>,
    /// What must not be.
    pub violations: Vec<Violation>,
}

impl Verdict {
    /// How many revisions each release made.
    pub fn revisions(&self) -> BTreeMap<Release, usize> {
        model::revisions(&self.events)
    }

    /// A release's records: `1 superseded, 2 deployed`.
    pub fn history(&self, namespace: &str, name: &str) -> String {
        model::history(&self.events, &Release { namespace: namespace.to_owned(), name: name.to_owned() })
    }

    /// The violations of the releases in namespaces that begin with `prefix`.
    pub fn of<'a>(&'a self, prefix: &'a str) -> impl Iterator<Item = &'a Violation> {
        self.violations.iter().filter(move |violation| violation.release.namespace.starts_with(prefix))
    }

    /// Fails if anything is wrong, with all of it.
    ///
    /// # Errors
    /// When there are violations.
    pub fn accept(&self) -> Result<()> {
        let told: Vec<String> = self.violations.iter().map(ToString::to_string).collect();
        ensure!(told.is_empty(), "{} violations of the model:\n{}", told.len(), told.join("\n"));
        Ok(())
    }
}

impl Recorder {
    /// Begins to record; returns when what exists already is known.
    ///
    /// # Errors
    /// When the API server does not answer.
    pub async fn start(client: Client) -> Result<Self> {
        let seen = Arc::<Mutex<Seen>>::default();
        let watches = [
            tokio::spawn(follow_records(client.clone(), Arc::clone(&seen))).abort_handle(),
            tokio::spawn(follow_jobs(client.clone(), Arc::clone(&seen))).abort_handle(),
        ];
        let recorder = Self { client, seen, watches };
        recorder.catch_up().await?;
        Ok(recorder)
    }

    /// What was recorded so far.
    pub fn events(&self) -> Vec<Event> {
        lock(&self.seen).events.clone()
    }

    /// Waits until everything that is there now was seen.
    ///
    /// # Errors
    /// When that takes too long.
    pub async fn catch_up(&self) -> Result<()> {
        let secrets: Api<Secret> = Api::all(self.client.clone());
        let chosen = ListParams::default().fields("type=helm.sh/release.v1");
        eventually("the recorder has seen all records", CATCH_UP, async || {
            let listed = secrets.list_metadata(&chosen).await?;
            let there: BTreeMap<_, _> = listed.items.iter().map(|secret| (key(secret), version(secret))).collect();
            let seen = lock(&self.seen).present.iter().map(|(key, is)| (key.clone(), is.version)).collect();
            ensure!(there == seen, "{} records are there, {} are known", there.len(), BTreeMap::len(&seen));
            Ok(())
        })
        .await
    }

    /// The model's verdict on all that was recorded, and on what is left of releases that are gone.
    ///
    /// # Errors
    /// When the API server does not answer.
    pub async fn verdict(&self, end: End) -> Result<Verdict> {
        self.catch_up().await?;
        let (mut events, jobs) = {
            let seen = lock(&self.seen);
            ensure!(seen.unreadable.is_empty(), "records that cannot be read: {:?}", seen.unreadable);
            (seen.events.clone(), seen.jobs.clone())
        };
        events.sort_by_key(|event| event.at);
        let mut violations = model::check(&events, end);
        violations.extend(model::hooks_run_again(&events, &jobs));
        if end == End::Settled {
            violations.extend(self.left_behind(&events).await?);
        }
        Ok(Verdict { events, violations })
    }

    async fn left_behind(&self, events: &[Event]) -> Result<Vec<Violation>> {
        let mut served = BTreeMap::new();
        let mut found = Vec::new();
        for (release, object) in model::remains(events) {
            let kind = (object.api_version.clone(), object.kind.clone());
            if !served.contains_key(&kind) {
                let types = TypeMeta { api_version: kind.0.clone(), kind: kind.1.clone() };
                let gvk = GroupVersionKind::try_from(&types)?;
                // A kind that is not served has no objects.
                served.insert(kind.clone(), pinned_kind(&self.client, &gvk).await.ok());
            }
            let Some(Some((resource, capabilities))) = served.get(&kind) else { continue };
            let api: Api<DynamicObject> = match capabilities.scope {
                Scope::Cluster => Api::all_with(self.client.clone(), resource),
                Scope::Namespaced => Api::namespaced_with(self.client.clone(), &object.namespace, resource),
            };
            let there = api.get_metadata_opt(&object.name).await?;
            // What is going is gone for Helm, which does not wait for it.
            if there.is_some_and(|there| there.metadata.deletion_timestamp.is_none()) {
                found.push(Violation { release, fault: Fault::Remains { object } });
            }
        }
        Ok(found)
    }
}

impl Drop for Recorder {
    fn drop(&mut self) {
        self.watches.iter().for_each(AbortHandle::abort);
    }
}

fn lock(seen: &Mutex<Seen>) -> MutexGuard<'_, Seen> {
    seen.lock().unwrap_or_else(PoisonError::into_inner)
}

fn key(object: &impl kube::Resource) -> (String, String) {
    (object.namespace().unwrap_or_default(), object.name_any())
}

fn version(object: &impl kube::Resource) -> u64 {
    object.resource_version().and_then(|version| version.parse().ok()).unwrap_or_default()
}

async fn follow_records(client: Client, seen: Arc<Mutex<Seen>>) {
    let config = watcher::Config::default().fields("type=helm.sh/release.v1");
    let mut watch = watcher(Api::<Secret>::all(client), config).default_backoff().boxed();
    let mut listed = BTreeSet::new();
    while let Some(event) = watch.next().await {
        match event {
            Ok(Watched::Init) => listed.clear(),
            Ok(Watched::InitApply(secret)) => {
                listed.insert(key(&secret));
                lock(&seen).written(&secret);
            }
            Ok(Watched::InitDone) => lock(&seen).retain(&listed),
            Ok(Watched::Apply(secret)) => lock(&seen).written(&secret),
            Ok(Watched::Delete(secret)) => lock(&seen).deleted(&key(&secret), version(&secret)),
            // The watcher begins again by itself.
            Err(_) => {}
        }
    }
}

async fn follow_jobs(client: Client, seen: Arc<Mutex<Seen>>) {
    let mut watch = watcher(Api::<Job>::all(client), watcher::Config::default()).default_backoff().boxed();
    while let Some(event) = watch.next().await {
        if let Ok(Watched::Apply(job) | Watched::InitApply(job)) = event {
            let mut seen = lock(&seen);
            if seen.known_jobs.insert(job.uid().unwrap_or_default()) {
                let (namespace, name) = key(&job);
                seen.jobs.push(JobMade { at: version(&job), namespace, name });
            }
        }
    }
}

impl Seen {
    fn written(&mut self, secret: &Secret) {
        let (uid, at) = (secret.uid().unwrap_or_default(), version(secret));
        if self.present.get(&key(secret)).is_some_and(|known| known.uid == uid && known.version == at) {
            return;
        }
        let (release, revision, written) = match read(secret) {
            Ok(read) => read,
            Err(error) => return self.unreadable.push(format!("{}: {error:#}", secret.name_any())),
        };
        let present = Present { uid: uid.clone(), version: at, release: release.clone(), revision };
        let before = self.present.insert(key(secret), present);
        if let Some(before) = before.filter(|before| before.uid != uid) {
            // After a gap only the later of two Secrets of one name is seen.
            self.events.push(gone(before, at));
        }
        self.events.push(Event { at, release, revision, uid, what: What::Written(Box::new(written)) });
    }

    fn deleted(&mut self, key: &(String, String), at: u64) {
        if let Some(known) = self.present.remove(key) {
            self.events.push(gone(known, at));
        }
    }

    /// After a list: what it does not hold was deleted in the gap before it.
    fn retain(&mut self, listed: &BTreeSet<(String, String)>) {
        let missing: Vec<_> = self.present.keys().filter(|key| !listed.contains(*key)).cloned().collect();
        for key in missing {
            let last = self.events.iter().map(|event| event.at).max().unwrap_or_default();
            self.deleted(&key, last);
        }
    }
}

fn gone(known: Present, at: u64) -> Event {
    Event { at, release: known.release, revision: known.revision, uid: known.uid, what: What::Deleted }
}

/// The record in a Secret, as far as the model looks at it.
fn read(secret: &Secret) -> Result<(Release, u32, Written)> {
    let label = |key: &str| secret.labels().get(key).cloned();
    let release = Release {
        namespace: secret.namespace().unwrap_or_default(),
        name: label(storage::NAME_LABEL).context("no label with the release's name")?,
    };
    let revision = label(storage::VERSION_LABEL).context("no label with the revision")?.parse()?;
    let status = label(storage::STATUS_LABEL).context("no label with the status")?.as_str().into();
    let marks = secret.annotations().iter().filter_map(|(key, value)| {
        let key = key.strip_prefix(OUR_PREFIX)?;
        Some((key.to_owned(), value.clone()))
    });
    let ByteString(data) =
        secret.data.as_ref().and_then(|data| data.get(storage::DATA_KEY)).context("no record in it")?;
    let record = codec::decode(data)?;
    let hooks = record.hooks.iter().map(|hook| Hook {
        name: hook.name.clone(),
        events: hook.events.iter().map(ToString::to_string).collect(),
        phase: hook.last_run.phase.to_string(),
        started_at: hook.last_run.started_at.map(|at| at.to_string()),
    });
    let written = Written {
        status,
        description: record.info.description.clone(),
        marks: marks.collect(),
        hooks: hooks.collect(),
        objects: objects(&record.manifest, &record.namespace)?,
    };
    Ok((release, revision, written))
}

/// What the manifest of a release of `namespace` puts into the cluster, but for what is to be kept. Its records may be elsewhere.
fn objects(manifest: &str, namespace: &str) -> Result<BTreeSet<Named>> {
    let documents = formats::yaml::parse_all(manifest.as_bytes())?;
    let named = documents.iter().map(formats::json::to_serde).filter_map(|document| {
        let metadata = &document["metadata"];
        let kept = metadata["annotations"]["helm.sh/resource-policy"] == "keep";
        let text = |value: &Value| value.as_str().map(str::to_owned);
        let namespace = text(&metadata["namespace"]).unwrap_or_else(|| namespace.to_owned());
        let (api_version, kind, name) =
            (text(&document["apiVersion"])?, text(&document["kind"])?, text(&metadata["name"])?);
        (!kept).then_some(Named { api_version, kind, namespace, name })
    });
    Ok(named.collect())
}
