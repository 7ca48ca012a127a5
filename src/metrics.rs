//! What the operator counts, for Prometheus. Labels are enums: no object ever names a series.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

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

/// All metrics, and whether the operator is ready.
pub struct Metrics {
    registry: Registry,
    reconciles: Family<Reconcile, Counter>,
    durations: Family<Controller, Histogram>,
    kube_requests: Family<Method, Counter>,
    ready: AtomicBool,
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
        Self { registry, reconciles, durations, kube_requests, ready: AtomicBool::new(false) }
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

    /// Adds metrics of another part, before serving begins.
    pub fn registry_mut(&mut self) -> &mut Registry {
        &mut self.registry
    }

    /// All of it in the text format of Prometheus.
    pub fn render(&self) -> Result<String, std::fmt::Error> {
        let mut text = String::new();
        encode(&mut text, &self.registry)?;
        Ok(text)
    }
}
