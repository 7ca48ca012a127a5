//! Transitions: whatever a `HelmRelease` went through, it ends where a fresh one ends that was declared so at once.
//!
//! A sequence is a first declaration and some edits of one field each, some of them waited for, some not. Afterwards a
//! second object, in namespaces of its own, is declared as the first one is now. What both have put into this cluster and into
//! another one must be the same but for what the server adds; one revision is deployed; in no other place anything is left;
//! and [`crate::model`] judges all records on the way.

mod fields;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use futures::{StreamExt as _, TryStreamExt as _};
use helm_operator::api::HelmRelease;
use k8s_openapi::api::core::v1::{ConfigMap, Namespace, Secret, Service};
use kube::api::{ListParams, Patch, PatchParams, PostParams};
use kube::{Api, Client, ResourceExt as _};
use serde::Serialize;
use serde_json::{Value, json};

use self::fields::{KUBECONFIGS, chart, fields, settings};
use crate::apiserver::ControlPlane;
use crate::eventually;
use crate::kubectl::Kubectl;
use crate::model::{self, End, Event, Release, Violation};
use crate::recorder::Recorder;
use crate::sample::Numbers;
use crate::status::{self, Conditioned as _};
use crate::story::Story;

/// How long the sequences of a batch may need to come to their end.
const PATIENCE: Duration = Duration::from_secs(90);

/// Sequences that are played at once.
const BATCH: usize = 30;

/// Whatever service account a release is carried out as, it may.
const RIGHTS: &str = "apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {name: transitions}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: cluster-admin}
subjects: [{apiGroup: rbac.authorization.k8s.io, kind: Group, name: system:serviceaccounts}]
";

/// Most edits of a sequence; there are at least two.
const EDITS: usize = 6;

/// How long a token is: `tr` or `fr`, and four digits.
const TOKEN: usize = 6;

/// Which value each field has.
type Declared = BTreeMap<&'static str, usize>;

/// What is waited for after an edit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wait {
    /// Nothing.
    No,
    /// That the operator has taken notice.
    Observed,
    /// That the release is ready, unless it is suspended or cannot be.
    Settled,
}

/// A first declaration and what became of it.
#[derive(Clone, Debug)]
struct Sequence {
    first: Declared,
    edits: Vec<(&'static str, usize, Wait)>,
}

/// What became of all sequences.
#[derive(Debug)]
pub struct Report {
    /// The seed that makes the same sequences.
    pub seed: u64,
    /// Each sequence in words, and what was wrong with its end.
    pub rows: Vec<(String, Vec<String>)>,
}

/// Plays `count` sequences that `seed` decides, on a stage of their own. Meanwhile the operator is killed so many times, at
/// moments that the seed decides too, and started anew.
///
/// # Errors
/// When the stage itself fails. What fails of the operator is in the report.
pub async fn play(story: &Story<'_>, count: usize, kills: usize, seed: u64) -> Result<Report> {
    for version in ["1.0.0", "1.1.0", "1.2.0"] {
        story.push(&chart(version)).await?;
    }
    story.open_repository().await?;
    let plane = ControlPlane::start_own().await?;
    let kubeconfig = std::fs::read_to_string(plane.kubeconfig())?;
    let clusters = [Cluster::of(&story.stage.plane).await?, Cluster::of(&plane).await?];
    let sequences: Vec<Sequence> = (0..count).map(|number| Sequence::of(seed, number)).collect();
    let mut rows = Vec::new();
    let batches = count.div_ceil(BATCH);
    for (batch, sequences) in sequences.chunks(BATCH).enumerate() {
        let run = Run { story, clusters: &clusters, kubeconfig: &kubeconfig, first: batch * BATCH };
        // As many in each batch, and the rest in the first ones.
        let share = kills / batches + usize::from(batch < kills % batches);
        rows.extend(run.batch(sequences, (share, Numbers::new(seed, &format!("kills {batch}")))).await?);
    }
    Ok(Report { seed, rows })
}

/// Kills the operator so many times, the longest a second and a half after it was ready, and mostly sooner.
async fn kill(story: &Story<'_>, (times, mut numbers): (usize, Numbers)) -> Result<()> {
    for _ in 0..times {
        let longest = 1500 / (1 + numbers.below(4));
        let moment = Duration::from_millis(u64::try_from(numbers.below(longest))?);
        eventually::measure(moment).await;
        let mut operator = story.stage.operator().await;
        operator.kill().await?;
        operator.start().await?;
    }
    Ok(())
}

impl Sequence {
    fn of(seed: u64, number: usize) -> Self {
        let mut numbers = Numbers::new(seed, &format!("sequence {number}"));
        let fields = fields();
        let mut first = Declared::new();
        for (field, _) in &fields {
            // Most fields begin as they are when nobody sets them.
            first.insert(field, if numbers.below(3) == 0 { numbers.below(3) } else { 0 });
        }
        let mut now = first.clone();
        let mut edits: Vec<(&str, usize, Wait)> = Vec::new();
        for _ in 0..2 + numbers.below(EDITS - 1) {
            let Some((field, _)) = numbers.pick(&fields) else { continue };
            // Records that stay where they are tell of one namespace only.
            let is_bound =
                now["storageNamespace"] > 0 || edits.iter().any(|(edited, ..)| *edited == "storageNamespace");
            if *field == "release.namespace" && is_bound {
                continue;
            }
            let value = (now[field] + 1 + numbers.below(2)) % 3;
            let wait = [Wait::No, Wait::Observed, Wait::Settled][numbers.below(3)];
            now.insert(field, value);
            edits.push((*field, value, wait));
        }
        // The last declaration must be one that can be carried out.
        if now["suspend"] == 2 {
            edits.push(("suspend", 1, Wait::No));
        }
        if now["release.namespace"] == 2 && now["release.createNamespace"] != 1 {
            edits.push(("release.createNamespace", 1, Wait::No));
        }
        Self { first, edits }
    }

    fn last(&self) -> Declared {
        let mut last = self.first.clone();
        last.extend(self.edits.iter().map(|(field, value, _)| (*field, *value)));
        last
    }
}

impl fmt::Display for Sequence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let values: BTreeMap<_, _> = fields().into_iter().collect();
        let set = self.first.iter().filter(|(_, value)| **value > 0);
        let first: Vec<String> = set.map(|(field, value)| format!("{field}={}", values[field][*value])).collect();
        write!(f, "{}", first.join(" "))?;
        for (field, value, wait) in &self.edits {
            write!(f, " → {field}={}", values[field][*value])?;
            match wait {
                Wait::No => {}
                Wait::Observed => write!(f, " (observed)")?,
                Wait::Settled => write!(f, " (settled)")?,
            }
        }
        Ok(())
    }
}

/// A spec as JSON.
fn spec(declared: &Declared, token: &str, repository_namespace: &str) -> Result<Value> {
    let repository = json!({ "name": "charts", "namespace": repository_namespace });
    let mut spec = json!({ "chart": { "name": "moving", "repository": repository }, "release": {} });
    for (field, values) in fields() {
        let value = &values[declared[field]];
        if value.is_null() {
            continue;
        }
        match field.split_once('.') {
            Some((outer, inner)) => spec[outer][inner] = value.clone(),
            None => spec[field] = value.clone(),
        }
    }
    Ok(serde_json::from_str(&spec.to_string().replace("\"T-", &format!("\"{token}-")))?)
}

/// A cluster that releases are in, and what is written down of it.
struct Cluster {
    client: Client,
    recorder: Recorder,
}

impl Cluster {
    async fn of(plane: &ControlPlane) -> Result<Self> {
        Kubectl::new(plane.kubeconfig()).await?.apply_as_written(RIGHTS).await?;
        let client = plane.client().await?;
        Ok(Self { recorder: Recorder::start(client.clone()).await?, client })
    }

    /// Creates the namespaces that a sequence may name, and what it may depend on.
    async fn prepare(&self, token: &str) -> Result<()> {
        let namespaces: Api<Namespace> = Api::all(self.client.clone());
        for name in ["", "-b", "-r", "-q"].map(|end| format!("{token}{end}")) {
            let namespace = serde_json::from_value(json!({ "metadata": { "name": name } }))?;
            namespaces.create(&PostParams::default(), &namespace).await?;
        }
        let maps: Api<ConfigMap> = Api::namespaced(self.client.clone(), token);
        maps.create(&PostParams::default(), &settings()?).await?;
        Ok(())
    }
}

/// Sequences that are played at once.
struct Run<'a> {
    story: &'a Story<'a>,
    /// That of the objects, and the other one.
    clusters: &'a [Cluster; 2],
    kubeconfig: &'a str,
    first: usize,
}

impl Run<'_> {
    async fn batch(&self, sequences: &[Sequence], kills: (usize, Numbers)) -> Result<Vec<(String, Vec<String>)>> {
        let numbered: Vec<(usize, &Sequence)> = (self.first..).zip(sequences).collect();
        let played = futures::stream::iter(&numbered)
            .map(Ok)
            .try_for_each_concurrent(BATCH, |(number, sequence)| self.sequence(*number, sequence));
        futures::try_join!(played, kill(self.story, kills))?;
        let ends = |number: usize, sequence: &Sequence, snapshot: &Snapshot| {
            let (moved, fresh) = (snapshot.of(&token("tr", number)), snapshot.of(&token("fr", number)));
            let mut wrong = stands(sequence, &token("tr", number), snapshot);
            wrong.extend(stands(sequence, &token("fr", number), snapshot).into_iter().map(|is| format!("fresh: {is}")));
            wrong.extend(fresh.difference(&moved).map(|line| format!("lacks {line}")));
            wrong.extend(moved.difference(&fresh).map(|line| format!("has {line}")));
            wrong
        };
        let deadline = Instant::now() + PATIENCE;
        loop {
            let events = self.clusters.each_ref().map(|cluster| cluster.recorder.events());
            let snapshot = Snapshot::take(self.clusters, events).await?;
            let settled = numbered.iter().all(|(number, sequence)| ends(*number, sequence, &snapshot).is_empty());
            if settled || Instant::now() > deadline {
                break;
            }
            eventually::measure(Duration::from_millis(500)).await;
        }
        let [here, there] = self.clusters.each_ref().map(|cluster| cluster.recorder.verdict(End::Settled));
        let (here, there) = futures::try_join!(here, there)?;
        let violations: Vec<Violation> = here.violations.into_iter().chain(there.violations).collect();
        let snapshot = Snapshot::take(self.clusters, [here.events, there.events]).await?;
        let rows = numbered.iter().map(|(number, sequence)| {
            let mut wrong = ends(*number, sequence, &snapshot);
            let own = violations.iter().filter(|is| is.release.namespace.starts_with(&token("tr", *number)));
            wrong.extend(own.map(ToString::to_string));
            (format!("{number}: {sequence}"), wrong)
        });
        Ok(rows.collect())
    }

    /// Plays one sequence, and declares its end anew.
    async fn sequence(&self, number: usize, sequence: &Sequence) -> Result<()> {
        for token in [token("tr", number), token("fr", number)] {
            futures::future::try_join_all(self.clusters.iter().map(|cluster| cluster.prepare(&token))).await?;
            let secrets: Api<Secret> = Api::namespaced(self.story.client.clone(), &token);
            for name in KUBECONFIGS {
                let secret = json!({ "metadata": { "name": name }, "stringData": { "value": self.kubeconfig } });
                secrets.create(&PostParams::default(), &serde_json::from_value(secret)?).await?;
            }
        }
        let moving = token("tr", number);
        let mut now = sequence.first.clone();
        self.declare(&moving, &now).await?;
        for (field, value, wait) in &sequence.edits {
            now.insert(field, *value);
            let declared = self.declare(&moving, &now).await?;
            self.wait(&declared, *wait).await;
        }
        self.declare(&token("fr", number), &sequence.last()).await.map(drop)
    }

    async fn declare(&self, token: &str, declared: &Declared) -> Result<HelmRelease> {
        let release = json!({
            "apiVersion": "helm-operator.ketches.cn/v1alpha1",
            "kind": "HelmRelease",
            "metadata": { "name": token, "namespace": token },
            "spec": spec(declared, token, &self.story.namespace)?,
        });
        let releases: Api<HelmRelease> = Api::namespaced(self.story.client.clone(), token);
        let parameters = PatchParams::apply("a-person").force();
        releases.patch(token, &parameters, &Patch::Apply(&release)).await.context("the spec is refused")
    }

    /// A sequence goes on whatever came of the wait: not every declaration on the way can be carried out.
    async fn wait(&self, declared: &HelmRelease, wait: Wait) {
        const LONG_ENOUGH: Duration = Duration::from_secs(20);
        let (namespace, name) = (declared.namespace().unwrap_or_default(), declared.name_any());
        let releases: Api<HelmRelease> = Api::namespaced(self.story.client.clone(), &namespace);
        let observed = |release: &HelmRelease| {
            ensure!(release.observed_generation() >= declared.metadata.generation, "not observed");
            Ok(())
        };
        let settled = |release: &HelmRelease| {
            observed(release)?;
            let ready = release.conditions().iter().find(|is| is.type_ == "Ready").context("no condition")?;
            ensure!(ready.reason != "Progressing", "still at work");
            Ok(())
        };
        match wait {
            Wait::No => {}
            Wait::Observed => drop(eventually::object(&releases, &name, LONG_ENOUGH, observed).await),
            Wait::Settled => drop(eventually::object(&releases, &name, LONG_ENOUGH, settled).await),
        }
    }
}

fn token(kind: &str, number: usize) -> String {
    format!("{kind}{number:04}")
}

/// What is wrong with the way a release stands: its readiness, and its history in each place.
fn stands(sequence: &Sequence, token: &str, snapshot: &Snapshot) -> Vec<String> {
    let mut wrong = Vec::new();
    match snapshot.releases.get(token) {
        None => wrong.push("the object is gone".to_owned()),
        Some(release) => wrong.extend(status::ready(release).err().map(|error| error.to_string())),
    }
    let last = sequence.last();
    let name = [String::new(), "-two".to_owned(), "-three".to_owned()][last["release.name"]].clone();
    let namespace = match last["storageNamespace"] {
        0 => ["", "-b", "-c"][last["release.namespace"]],
        records => ["", "-r", "-q"][records],
    };
    // Both kubeconfigs lead to one cluster.
    let cluster = last["kubeConfig"].min(1);
    let target = (cluster, Release { namespace: format!("{token}{namespace}"), name: format!("{token}{name}") });
    let histories = snapshot.histories.get(token);
    for (place, history) in histories.into_iter().flatten() {
        let words: Vec<&str> = history.split([',', ' ']).collect();
        let deployed = words.iter().filter(|word| **word == "deployed").count();
        let right = if *place == target { deployed == 1 } else { history.is_empty() };
        if !right {
            wrong.push(format!("history of {} in cluster {}: {history:?}", place.1, place.0));
        }
    }
    if histories.is_none_or(|histories| !histories.contains_key(&target)) {
        wrong.push(format!("{} has no history in cluster {cluster}", target.1));
    }
    wrong
}

/// What the clusters, by their number, hold of all tokens.
struct Snapshot {
    releases: BTreeMap<String, HelmRelease>,
    histories: BTreeMap<String, BTreeMap<(usize, Release), String>>,
    objects: BTreeMap<String, BTreeSet<String>>,
}

impl Snapshot {
    async fn take(clusters: &[Cluster; 2], events: [Vec<Event>; 2]) -> Result<Self> {
        let mut snapshot = Self { releases: BTreeMap::new(), histories: BTreeMap::new(), objects: BTreeMap::new() };
        let any = ListParams::default();
        for release in Api::<HelmRelease>::all(clusters[0].client.clone()).list(&any).await? {
            snapshot.releases.insert(release.namespace().unwrap_or_default(), release);
        }
        let maps = ListParams::default().fields("metadata.name!=kube-root-ca.crt");
        for (number, (Cluster { client, .. }, events)) in clusters.iter().zip(events).enumerate() {
            for map in Api::<ConfigMap>::all(client.clone()).list(&maps).await? {
                snapshot.object(number, &map)?;
            }
            for service in Api::<Service>::all(client.clone()).list(&any).await? {
                snapshot.object(number, &service)?;
            }
            snapshot.records(number, events);
        }
        Ok(snapshot)
    }

    fn records(&mut self, cluster: usize, events: Vec<Event>) {
        let mut of_release = BTreeMap::<Release, Vec<Event>>::new();
        for event in events {
            of_release.entry(event.release.clone()).or_default().push(event);
        }
        for (release, events) in of_release {
            if let Some(token) = own(&release.namespace) {
                let history = model::history(&events, &release);
                self.histories.entry(token).or_default().insert((cluster, release), history);
            }
        }
    }

    /// Enters an object without what the server made of it; `T` is the token.
    fn object(&mut self, cluster: usize, object: &(impl kube::Resource + Serialize)) -> Result<()> {
        let Some(token) = own(&object.namespace().unwrap_or_default()) else { return Ok(()) };
        let mut text = serde_json::to_value(object)?;
        text.as_object_mut().context("an object")?.remove("status");
        let metadata = text["metadata"].as_object_mut().context("metadata")?;
        for key in ["uid", "resourceVersion", "creationTimestamp", "generation", "managedFields"] {
            metadata.remove(key);
        }
        let text = text.to_string().replace(&token, "T");
        self.objects.entry(token).or_default().insert(format!("in cluster {cluster} {text}"));
        Ok(())
    }

    fn of(&self, token: &str) -> BTreeSet<String> {
        self.objects.get(token).cloned().unwrap_or_default()
    }
}

/// The token in a namespace's name.
fn own(namespace: &str) -> Option<String> {
    let token = namespace.get(..TOKEN)?;
    (token.starts_with("tr") || token.starts_with("fr")).then(|| token.to_owned())
}

impl Report {
    /// Fails if a sequence ended elsewhere.
    ///
    /// # Errors
    /// The number of failures; the report itself tells which.
    pub fn accept(&self) -> Result<()> {
        let failed = self.rows.iter().filter(|(_, wrong)| !wrong.is_empty()).count();
        ensure!(failed == 0, "{failed} of {} sequences failed", self.rows.len());
        Ok(())
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (sequence, wrong) in self.rows.iter().filter(|(_, wrong)| !wrong.is_empty()) {
            writeln!(f, "FAILED {sequence}")?;
            wrong.iter().try_for_each(|wrong| writeln!(f, "    {wrong}"))?;
        }
        let passed = self.rows.iter().filter(|(_, wrong)| wrong.is_empty()).count();
        writeln!(f, "seed {}: {passed} of {} sequences ended as a fresh install", self.seed, self.rows.len())
    }
}
