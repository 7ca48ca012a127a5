//! `cargo bench-releases -- --releases N`: from the operator's start on N declared releases to the last one ready.
//!
//! All objects exist before the operator starts. Prints what it took as text, and as one line of JSON at the end.

use std::io::{IsTerminal as _, Write as _};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use clap::Parser;
use e2e::apiserver::ControlPlane;
use e2e::faults::Server;
use e2e::helm::{Helm, Login};
use e2e::operator::{self, Operator, Setup, Usage};
use e2e::process::Scratch;
use e2e::registry::{Face, Registry};
use e2e::{charts, eventually, status, story};
use futures::{StreamExt as _, TryStreamExt as _};
use helm_operator::api::HelmRelease;
use k8s_openapi::api::core::v1::Namespace;
use kube::api::PostParams;
use kube::runtime::{WatchStreamExt as _, watcher};
use kube::{Api, Client, ResourceExt as _};
use serde::Serialize;
use serde_json::json;

const NAMESPACE: &str = "bench";

/// Measures the operator on many releases of one small chart.
#[derive(Debug, Parser)]
struct Args {
    /// How many releases.
    #[arg(long, default_value_t = 100)]
    releases: usize,
    /// How many seconds the settled operator is observed; 0 leaves it out.
    #[arg(long, default_value_t = 30)]
    settle: u64,
    /// The longest all may take, in seconds.
    #[arg(long, default_value_t = 600)]
    limit: u64,
}

/// What is printed as JSON.
#[derive(Debug, Serialize)]
struct Report {
    releases: usize,
    /// From the operator's start to the last release ready.
    seconds: f64,
    /// From the operator's start to the first release with a status.
    first_status_seconds: f64,
    at_ready: Usage,
    kube_requests: u64,
    registry_requests: usize,
    settled: Option<Settled>,
}

/// The operator with nothing to do.
#[derive(Debug, Serialize)]
struct Settled {
    seconds: u64,
    cpu_percent: f64,
    memory: u64,
    kube_requests: u64,
    registry_requests: usize,
}

#[tokio::main]
async fn main() -> Result<()> {
    let args = Args::parse();
    operator::binary().await?;
    let plane = ControlPlane::start().await?;
    let client = plane.client().await?;
    story::install_definitions(client.clone()).await?;
    let registry = Registry::start(Face::anonymous()).await?;
    push(&registry).await?;
    // A front that passes everything on counts what the operator asks of the registry.
    let front = Server::before(&registry.host(), |_| None).await?;
    declare(&client, &front, args.releases).await?;

    let setup = Setup::new(plane.kubeconfig())?;
    let start = Instant::now();
    let operator = setup.start().await?;
    let progress = follow(client, args.releases, start);
    let limit = Duration::from_secs(args.limit);
    let first_status = match tokio::time::timeout(limit, progress).await {
        Ok(first_status) => first_status?,
        Err(_) => anyhow::bail!("not all ready after {limit:?}; the operator's log ends with\n{}", operator.log_tail()),
    };
    let seconds = start.elapsed().as_secs_f64();
    let (at_ready, requests) = (operator.usage()?, requests(&operator, &front).await?);
    let settled = match args.settle {
        0 => None,
        window => Some(settle(&operator, &front, window).await?),
    };
    let report = Report {
        releases: args.releases,
        seconds,
        first_status_seconds: first_status.as_secs_f64(),
        at_ready,
        kube_requests: requests.0,
        registry_requests: requests.1,
        settled,
    };
    print(&report)
}

async fn push(registry: &Registry) -> Result<()> {
    let (helm, scratch) = (Helm::new(None).await?, Scratch::new("bench")?);
    let chart = charts::bench("1.0.0").write(scratch.path())?;
    let archive = helm.package(&chart, scratch.path(), None).await?;
    helm.push(&archive, &format!("{}/charts", registry.url()), &Login::default()).await
}

/// One repository and `count` releases, in a namespace of their own.
async fn declare(client: &Client, registry: &Server, count: usize) -> Result<()> {
    let parameters = PostParams::default();
    let namespace = serde_json::from_value(json!({ "metadata": { "name": NAMESPACE } }))?;
    Api::<Namespace>::all(client.clone()).create(&parameters, &namespace).await?;
    let repository = story::repository("charts", &format!("oci://{}/charts", registry.host()));
    Api::namespaced(client.clone(), NAMESPACE)
        .create(&parameters, &serde_json::from_str::<helm_operator::api::HelmRepository>(&repository)?)
        .await?;
    let releases: Api<HelmRelease> = Api::namespaced(client.clone(), NAMESPACE);
    futures::stream::iter(0..count)
        .map(|number| {
            let release = json!({
                "apiVersion": "helm-operator.ketches.cn/v1alpha1",
                "kind": "HelmRelease",
                "metadata": { "name": format!("bench-{number:04}") },
                "spec": {
                    "chart": { "name": "bench", "version": "1.0.0", "repository": { "name": "charts" } },
                    "interval": "10m",
                    "values": { "greeting": format!("release {number}") },
                },
            });
            let releases = releases.clone();
            async move {
                releases.create(&PostParams::default(), &serde_json::from_value(release)?).await?;
                anyhow::Ok(())
            }
        })
        .buffer_unordered(8)
        .try_collect()
        .await
}

/// Watches until all releases are ready; returns when the first of them had a status.
async fn follow(client: Client, count: usize, start: Instant) -> Result<Duration> {
    let releases: Api<HelmRelease> = Api::namespaced(client, NAMESPACE);
    let mut events = watcher(releases, watcher::Config::default()).default_backoff().applied_objects().boxed();
    let mut bar = Bar::new(count);
    let mut ready = std::collections::BTreeSet::new();
    let mut first = None;
    while let Some(release) = events.try_next().await? {
        if release.status.is_some() {
            first.get_or_insert_with(|| start.elapsed());
        }
        if status::ready(&release).is_ok() {
            ready.insert(release.name_any());
        }
        bar.show(ready.len(), start.elapsed());
        if ready.len() == count {
            return first.context("a ready release has a status");
        }
    }
    anyhow::bail!("the watch ended")
}

/// Requests so far: to the API server by the operator's own count, to the registry by what came through the front.
async fn requests(operator: &Operator, front: &Server) -> Result<(u64, usize)> {
    let metrics = operator.metrics().await?;
    let kube = metrics.iter().filter(|(series, _)| series.starts_with("helm_operator_kube_requests_total"));
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a counter is a natural number")]
    let kube = kube.map(|(_, value)| *value as u64).sum();
    Ok((kube, front.seen().len()))
}

async fn settle(operator: &Operator, front: &Server, window: u64) -> Result<Settled> {
    // The last statuses come back to us by watch; what follows from them belongs to the work, not to the rest.
    eventually::measure(Duration::from_secs(2)).await;
    let (before, (kube, registry)) = (operator.usage()?, requests(operator, front).await?);
    eventually::measure(Duration::from_secs(window)).await;
    let (after, (kube_after, registry_after)) = (operator.usage()?, requests(operator, front).await?);
    ensure!(after.cpu_seconds >= before.cpu_seconds, "time runs forward");
    #[expect(clippy::cast_precision_loss, reason = "a window of seconds is small")]
    let cpu_percent = 100.0 * (after.cpu_seconds - before.cpu_seconds) / window as f64;
    Ok(Settled {
        seconds: window,
        cpu_percent,
        memory: after.memory,
        kube_requests: kube_after - kube,
        registry_requests: registry_after - registry,
    })
}

fn print(report: &Report) -> Result<()> {
    #[expect(clippy::cast_precision_loss, reason = "memory in MB is printed with one decimal")]
    let mb = |bytes: u64| bytes as f64 / 1e6;
    let mut out = std::io::stdout().lock();
    writeln!(out, "{} releases, all ready after {:.1} s", report.releases, report.seconds)?;
    writeln!(out, "  first status        {:8.2} s after the operator's start", report.first_status_seconds)?;
    writeln!(out, "  CPU                 {:8.2} s", report.at_ready.cpu_seconds)?;
    writeln!(out, "  memory, peak        {:8.1} MB", mb(report.at_ready.peak_memory))?;
    writeln!(out, "  API server requests {:8}", report.kube_requests)?;
    writeln!(out, "  registry requests   {:8}", report.registry_requests)?;
    if let Some(settled) = &report.settled {
        writeln!(out, "settled, over {} s", settled.seconds)?;
        writeln!(out, "  CPU                 {:8.2} %", settled.cpu_percent)?;
        writeln!(out, "  memory              {:8.1} MB", mb(settled.memory))?;
        writeln!(out, "  API server requests {:8}", settled.kube_requests)?;
        writeln!(out, "  registry requests   {:8}", settled.registry_requests)?;
    }
    writeln!(out, "{}", serde_json::to_string(report)?)?;
    Ok(())
}

/// A bar that is redrawn on a terminal, and a line each tenth elsewhere.
struct Bar {
    count: usize,
    shown: Option<usize>,
    terminal: bool,
}

impl Bar {
    fn new(count: usize) -> Self {
        Self { count, shown: None, terminal: std::io::stderr().is_terminal() }
    }

    fn show(&mut self, done: usize, elapsed: Duration) {
        const WIDTH: usize = 40;
        let step = if self.terminal { done } else { done * 10 / self.count.max(1) };
        if self.shown.replace(step) == Some(step) {
            return;
        }
        let filled = done * WIDTH / self.count.max(1);
        let bar = format!("[{}{}]", "#".repeat(filled), " ".repeat(WIDTH - filled));
        let end = if self.terminal && done < self.count { "\r" } else { "\n" };
        // A bar that cannot be drawn is no reason to stop measuring.
        drop(write!(std::io::stderr(), "{bar} {done}/{} {:.1} s{end}", self.count, elapsed.as_secs_f32()));
    }
}
