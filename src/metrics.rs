//! What the operator counts, for Prometheus. Labels are of a few words each: no object ever names a series.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Reconcile {
    controller: &'static str,
    result: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Controller {
    controller: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Method {
    method: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Objects {
    kind: String,
    state: &'static str,
}

/// How an object stands, by its conditions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// `Ready`.
    Ready,
    /// Not ready, and worked on or tried again: `Reconciling`.
    Reconciling,
    /// Not ready, and somebody has to change something: `Stalled`.
    Stalled,
    /// Not ready, and neither of the two: suspended, say.
    NotReady,
}

impl State {
    fn as_str(self) -> &'static str {
        match self {
            Self::Ready => "Ready",
            Self::Reconciling => "Reconciling",
            Self::Stalled => "Stalled",
            Self::NotReady => "NotReady",
        }
    }
}

/// How many bytes the release records take that the operator wrote.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct HistoryBytes {
    /// Of all releases.
    pub all: u64,
    /// Of the release whose records take the most.
    pub largest: u64,
}

/// Between two signs of life of the controllers.
const BEAT: Duration = Duration::from_secs(1);

/// After so long without a sign of life the controllers are stuck: their one thread hangs, or computes without an end.
const STUCK: Duration = Duration::from_secs(30);

/// All metrics, and whether the operator is ready and alive.
pub struct Metrics {
    registry: Registry,
    reconciles: Family<Reconcile, Counter>,
    durations: Family<Controller, Histogram>,
    kube_requests: Family<Method, Counter>,
    objects: Family<Objects, Gauge>,
    history_bytes: Gauge,
    largest_history_bytes: Gauge,
    /// Counts them, whenever somebody asks.
    history: OnceLock<Box<dyn Fn() -> HistoryBytes + Send + Sync>>,
    /// How each object was counted, by its uid.
    states: Mutex<BTreeMap<String, Objects>>,
    ready: AtomicBool,
    created: Instant,
    /// When the controllers last gave a sign of life, in milliseconds since `created`; 0 before the first.
    last_beat: AtomicU64,
}

impl Default for Metrics {
    fn default() -> Self {
        let mut registry = Registry::with_prefix("helm_operator");
        let reconciles = Family::<Reconcile, Counter>::default();
        registry.register("reconcile", "Reconciles, by controller and reason of the result", reconciles.clone());
        let buckets = || Histogram::new([0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 100.0, 300.0]);
        let durations = Family::<Controller, Histogram>::new_with_constructor(buckets);
        registry.register(
            "reconcile_duration_seconds",
            "How long reconciles took, waiting for others' slots and for a moment of readiness included",
            durations.clone(),
        );
        let kube_requests = Family::<Method, Counter>::default();
        registry.register("kube_requests", "Requests to the API server, watches included", kube_requests.clone());
        let objects = Family::<Objects, Gauge>::default();
        registry.register("objects", "Objects, by kind and state", objects.clone());
        let (history_bytes, largest_history_bytes) = (Gauge::default(), Gauge::default());
        registry.register(
            "history_bytes",
            "Bytes of all release records that the operator wrote, as the store of the API server holds them",
            history_bytes.clone(),
        );
        registry.register(
            "largest_history_bytes",
            "The same of the one release whose records take the most",
            largest_history_bytes.clone(),
        );
        Self {
            registry,
            reconciles,
            durations,
            kube_requests,
            objects,
            history_bytes,
            largest_history_bytes,
            history: OnceLock::new(),
            states: Mutex::default(),
            ready: AtomicBool::new(false),
            created: Instant::now(),
            last_beat: AtomicU64::new(0),
        }
    }
}

impl Metrics {
    /// Counts a reconcile of `controller` that ended with the reason `result`.
    pub fn reconciled(&self, controller: &'static str, result: String, took: Duration) {
        self.reconciles.get_or_create(&Reconcile { controller, result }).inc();
        self.durations.get_or_create(&Controller { controller }).observe(took.as_secs_f64());
    }

    /// Counts the object of `kind` with this uid as one in `state`, and no longer as what it was.
    pub fn object_is(&self, kind: &str, uid: &str, state: State) {
        let now = Objects { kind: kind.to_owned(), state: state.as_str() };
        let mut states = self.states.lock().unwrap_or_else(PoisonError::into_inner);
        self.objects.get_or_create(&now).inc();
        if let Some(before) = states.insert(uid.to_owned(), now) {
            self.objects.get_or_create(&before).dec();
        }
    }

    /// No longer counts the object with this uid.
    pub fn object_is_gone(&self, uid: &str) {
        if let Some(before) = self.states.lock().unwrap_or_else(PoisonError::into_inner).remove(uid) {
            self.objects.get_or_create(&before).dec();
        }
    }

    /// Who counts the bytes of Helm's history. The first one counts.
    pub fn count_history(&self, count: impl Fn() -> HistoryBytes + Send + Sync + 'static) {
        drop(self.history.set(Box::new(count)));
    }

    /// Counts a request to the API server.
    pub fn kube_request(&self, method: &http::Method) {
        self.kube_requests.get_or_create(&Method { method: method.to_string() }).inc();
    }

    /// Says that the controllers know what is declared, and act.
    pub fn set_ready(&self) {
        self.ready.store(true, Ordering::Relaxed);
    }

    /// Whether the controllers act.
    pub fn is_ready(&self) -> bool {
        self.ready.load(Ordering::Relaxed)
    }

    /// A sign of life of whoever calls it.
    pub fn beat(&self) {
        self.last_beat.store(self.millis().max(1), Ordering::Relaxed);
    }

    /// Gives a sign of life each second, for as long as its thread gets to it. Never resolves.
    pub async fn keep_beating(&self) {
        loop {
            self.beat();
            tokio::time::sleep(BEAT).await;
        }
    }

    /// How long the controllers have given no sign of life, if that is too long. Before they run, nothing is.
    pub fn stuck_for(&self) -> Option<Duration> {
        let last = self.last_beat.load(Ordering::Relaxed);
        let silent = Duration::from_millis(self.millis().saturating_sub(last));
        (last > 0 && silent > STUCK).then_some(silent)
    }

    fn millis(&self) -> u64 {
        u64::try_from(self.created.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    /// All of it in the text format of Prometheus.
    pub fn render(&self) -> Result<String, std::fmt::Error> {
        if let Some(count) = self.history.get() {
            let HistoryBytes { all, largest } = count();
            self.history_bytes.set(i64::try_from(all).unwrap_or(i64::MAX));
            self.largest_history_bytes.set(i64::try_from(largest).unwrap_or(i64::MAX));
        }
        let mut text = String::new();
        encode(&mut text, &self.registry)?;
        Ok(text)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::Ordering;
    use std::time::{Duration, Instant};

    use super::{Metrics, STUCK, State};

    #[test]
    fn an_object_is_counted_once_as_what_it_is() {
        let metrics = Metrics::default();
        let count = |state: &str| {
            let text = metrics.render().expect("metrics");
            let line = format!("helm_operator_objects{{kind=\"HelmRelease\",state=\"{state}\"}} ");
            text.lines().find_map(|it| it.strip_prefix(line.as_str()).map(str::to_owned))
        };
        metrics.object_is("HelmRelease", "a", State::Reconciling);
        metrics.object_is("HelmRelease", "b", State::Reconciling);
        metrics.object_is("HelmRelease", "a", State::Ready);
        metrics.object_is("HelmRelease", "a", State::Ready);
        assert_eq!((count("Ready").as_deref(), count("Reconciling").as_deref()), (Some("1"), Some("1")));
        metrics.object_is_gone("b");
        assert_eq!((count("Ready").as_deref(), count("Reconciling").as_deref()), (Some("1"), Some("0")));
    }

    #[test]
    fn only_controllers_that_ran_and_fell_silent_are_stuck() {
        let long_ago = Instant::now().checked_sub(STUCK * 2).expect("the machine runs for a minute");
        let metrics = Metrics { created: long_ago, ..Metrics::default() };
        assert_eq!(metrics.stuck_for(), None, "who waits for the lease is not stuck");
        metrics.beat();
        assert_eq!(metrics.stuck_for(), None);
        metrics.last_beat.store(1, Ordering::Relaxed);
        assert!(metrics.stuck_for().is_some_and(|silent| silent > STUCK && silent < STUCK + Duration::from_mins(1)));
    }
}
