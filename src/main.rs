//! The process: read the arguments, print or run.

use std::io::Write as _;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Context as _;
use clap::Parser as _;
use helm_operator::args::{Args, Command};
use helm_operator::controller::{self, Policy, Setup};
use helm_operator::leader::Election;
use helm_operator::metrics::Metrics;
use helm_operator::registry::Settings;
use helm_operator::template::{self, Outcome};
use helm_operator::{api, client, server, telemetry};
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};

/// The static binary's own allocator takes several times as long for the many small values of a render.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// The largest chart archive that is pulled.
const CHART_BYTES: u64 = 20 << 20;

fn main() -> ExitCode {
    let args = match Args::try_parse() {
        Ok(args) => args,
        Err(error) => return explain(&error),
    };
    let result = match args.command {
        Some(Command::Crds) => print_crds(),
        Some(Command::Template(options)) => return print_template(&options),
        None => run(args),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => complain(&error),
    }
}

/// Prints what clap has to say: help, or what is wrong with the flags. Like kubectl and Helm the latter ends with 1, not 2.
fn explain(error: &clap::Error) -> ExitCode {
    let printed = error.print();
    if error.use_stderr() || printed.is_err() { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}

#[expect(clippy::print_stderr, reason = "the last word of a process that cannot go on")]
fn complain(error: &anyhow::Error) -> ExitCode {
    eprintln!("helm-operator: {error:#}");
    ExitCode::FAILURE
}

#[expect(clippy::print_stdout, reason = "it is what the command is for")]
fn print_crds() -> anyhow::Result<()> {
    for (_, definition) in api::definitions() {
        print!("---\n{}", api::to_yaml(&definition)?);
    }
    Ok(())
}

/// As `helm template`: its exit code is 1 whatever is wrong.
#[expect(clippy::print_stderr, reason = "it is what Helm does with warnings and errors")]
fn print_template(options: &template::Options) -> ExitCode {
    let moment = match template::Moment::of_system() {
        Ok(moment) => moment,
        Err(error) => return complain(&error.into()),
    };
    let Outcome { stdout, notices, error } = template::render(options, &moment);
    for notice in notices {
        eprintln!("{notice}");
    }
    let printed = std::io::stdout().write_all(&stdout);
    match (error, printed) {
        (None, Ok(())) => ExitCode::SUCCESS,
        (Some(error), _) => {
            eprintln!("Error: {error}");
            ExitCode::FAILURE
        }
        // Who reads has gone.
        (None, Err(_)) => ExitCode::FAILURE,
    }
}

#[tokio::main(worker_threads = 2)]
async fn run(args: Args) -> anyhow::Result<()> {
    telemetry::start(&args.log, args.log_format)?;
    // One provider for all of rustls: with two to choose from it would refuse to choose.
    rustls::crypto::ring::default_provider()
        .install_default()
        .map_err(|_| anyhow::anyhow!("a TLS provider is installed already"))?;
    let metrics = Arc::new(Metrics::default());
    let client = client::connect(Arc::clone(&metrics)).await?;
    let setup = Setup {
        instance: args.instance.clone(),
        registry: Settings {
            cache_dir: args.cache_dir.clone(),
            cache_bytes: args.cache_mib << 20,
            chart_bytes: CHART_BYTES,
        },
        concurrent: args.concurrent,
        policy: Policy {
            no_cross_namespace_refs: args.no_cross_namespace_refs,
            allow_cross_namespace_secrets: args.allow_cross_namespace_secrets,
        },
    };
    tracing::info!(version = env!("CARGO_PKG_VERSION"), instance = %args.instance, "helm-operator starts");
    for address in [args.health_probe_bind_address.0, args.metrics_bind_address.0].into_iter().flatten() {
        let listener = TcpListener::bind(address).await.with_context(|| format!("failed to listen on {address}"))?;
        tokio::spawn(server::serve(listener, Arc::clone(&metrics)));
    }
    let mut election = Election::new(client.clone(), &args.leader_election_namespace, args.instance);
    if args.leader_elect {
        tracing::info!("waits for the lease");
        tokio::select! {
            () = election.win() => tracing::info!("leads"),
            signal = terminated() => return signal.context("failed to listen for signals"),
        }
    }
    tokio::select! {
        () = controller::run(client, setup, metrics) => Ok(()),
        lost = election.keep(), if args.leader_elect => Err(lost.into()),
        signal = terminated() => signal.context("failed to listen for signals"),
    }
}

/// Resolves when the process is asked to end. Whatever goes on is dropped: the next process continues from what is recorded.
async fn terminated() -> std::io::Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    tracing::info!("asked to end");
    Ok(())
}
