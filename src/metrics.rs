//! What the operator counts, for Prometheus. Labels are enums: no object ever names a series.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
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
            "How long reconciles took, waiting included",
            durations.clone(),
        );
        let kube_requests = Family::<Method, Counter>::default();
        registry.register("kube_requests", "Requests to the API server, watches included", kube_requests.clone());
        Self {
            registry,
            reconciles,
            durations,
            kube_requests,
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
        let mut text = String::new();
        encode(&mut text, &self.registry)?;
        Ok(text)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::Ordering;
    use std::time::{Duration, Instant};

    use super::{Metrics, STUCK};

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
