//! The process: read the arguments, print or run.

use std::io::Write as _;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::Path;
use std::pin::pin;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use clap::Parser as _;
use helm_operator::args::{Args, Command, Effective};
use helm_operator::chain::chain;
use helm_operator::controller::{self, AllowedInKubeConfigs, Memory, Policy, Setup};
use helm_operator::leader::Election;
use helm_operator::metrics::Metrics;
use helm_operator::registry::{CaBundle, Settings};
use helm_operator::shutdown::Shutdown;
use helm_operator::template::{self, Outcome};
use helm_operator::{api, client, diff, leader, server, telemetry};
use tokio::net::TcpListener;
use tokio::runtime::Handle;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::oneshot;
use tokio::time::timeout;

/// The static binary's own allocator takes several times as long for the many small values of a render.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// The largest chart archive that is pulled.
const CHART_BYTES: u64 = 20 << 20;

/// How `diff` ends where it is not known whether there is a difference.
const TROUBLE: u8 = 2;

/// The stack of the controllers' thread: as much as a main thread has.
const CONTROLLERS_STACK: usize = 8 << 20;

/// How long the end waits for the answers to writes under way.
const GRACE: Duration = Duration::from_secs(5);

/// How long the end waits for the lease to be given back.
const GIVE_BACK: Duration = Duration::from_secs(2);

fn main() -> ExitCode {
    let args = match Args::try_parse() {
        Ok(args) => args,
        Err(error) => return explain(&error, std::env::args_os().nth(1).is_some_and(|command| command == "diff")),
    };
    let result = match args.command {
        Some(Command::Crds) => print_crds(),
        Some(Command::Effective(options)) => print_effective(&options),
        Some(Command::Template(options)) => return print_template(&options),
        Some(Command::Diff(options)) => return print_diff(&options),
        None => run(args),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => complain(&error),
    }
}

/// Prints what clap has to say: help, or what is wrong with the flags. Like kubectl and Helm the latter ends with 1, not 2; but
/// for `diff`, of which that would say that there is a difference.
fn explain(error: &clap::Error, is_diff: bool) -> ExitCode {
    let printed = error.print();
    match error.use_stderr() || printed.is_err() {
        true if is_diff => ExitCode::from(TROUBLE),
        true => ExitCode::FAILURE,
        false => ExitCode::SUCCESS,
    }
}

#[expect(clippy::print_stderr, reason = "the last word of a process that cannot go on")]
fn complain(error: &anyhow::Error) -> ExitCode {
    eprintln!("helm-operator: {}", chain(error.as_ref()));
    ExitCode::FAILURE
}

fn print_crds() -> anyhow::Result<()> {
    let mut text = String::new();
    for (_, definition) in api::definitions() {
        text.extend(["---\n", &api::to_yaml(&definition)?]);
    }
    print(&text)
}

fn print_effective(options: &Effective) -> anyhow::Result<()> {
    let Effective { name, person } = options;
    install_tls_provider()?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let text = runtime.block_on(async {
        let (client, namespace) = person.connect().await?;
        anyhow::Ok(controller::effective(client, &namespace, name).await?)
    })?;
    print(&text)
}

fn print(text: &str) -> anyhow::Result<()> {
    match std::io::stdout().write_all(text.as_bytes()) {
        // Who reads has enough.
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
        written => Ok(written?),
    }
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

/// As `kubectl diff`: its exit code tells whether there is a difference, and is greater than 1 where that is not known.
#[expect(clippy::print_stderr, reason = "it is no difference, and not to be taken for one")]
fn print_diff(options: &diff::Options) -> ExitCode {
    let show = || -> anyhow::Result<diff::Shown> {
        install_tls_provider()?;
        let setup = setup_of_person(options.ca_file.as_deref())?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let shown = runtime.block_on(Box::pin(diff::show(options, setup)));
        // What still computes is of no use to anybody.
        runtime.shutdown_background();
        Ok(shown?)
    };
    let diff::Shown { differences, notices, failures } = match show() {
        Ok(shown) => shown,
        Err(error) => {
            complain(&error);
            return ExitCode::from(TROUBLE);
        }
    };
    for notice in notices {
        eprintln!("{notice}");
    }
    // Who reads may have enough; that there is a difference stays true.
    drop(std::io::stdout().write_all(differences.as_bytes()));
    for failure in &failures {
        eprintln!("helm-operator: {failure}");
    }
    match (failures.is_empty(), differences.is_empty()) {
        (false, _) => ExitCode::from(TROUBLE),
        (true, false) => ExitCode::FAILURE,
        (true, true) => ExitCode::SUCCESS,
    }
}

/// What a command of a person needs to look at releases as the operator does. Nothing is kept on disk.
fn setup_of_person(ca_file: Option<&Path>) -> anyhow::Result<Setup> {
    Ok(Setup {
        instance: "helm-operator-diff".to_owned(),
        registry: Settings { ca: ca_file.map(authorities).transpose()?, ..Settings::new("", 0, CHART_BYTES) },
        concurrent: 1,
        memory: Memory::of_container(),
        policy: Policy::default(),
        schema_hosts: Vec::new(),
        shutdown: Shutdown::default(),
    })
}

/// Runs the operator until it is asked to end, or must.
fn run(args: Args) -> anyhow::Result<()> {
    telemetry::start(&args.log, args.log_format)?;
    install_tls_provider()?;
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let ended = runtime.block_on(operate(args));
    // What still computes writes nothing any more, and need not be waited for: it ends with the process.
    std::mem::forget(runtime);
    ended
}

/// One provider for all of rustls: with two to choose from it would refuse to choose.
fn install_tls_provider() -> anyhow::Result<()> {
    let installed = rustls::crypto::ring::default_provider().install_default();
    installed.map_err(|_| anyhow::anyhow!("a TLS provider is installed already"))
}

async fn operate(args: Args) -> anyhow::Result<()> {
    let mut signal = pin!(terminated());
    let shutdown = Shutdown::default();
    let metrics = Arc::new(Metrics::default());
    let client = client::connect(Arc::clone(&metrics), Some(shutdown.clone())).await?;
    // The lease has a connection of its own: it is given back after the last write, and waits behind none.
    let lease = client::connect(Arc::clone(&metrics), None).await?;
    tracing::info!(version = env!("CARGO_PKG_VERSION"), instance = %args.instance, "helm-operator starts");
    for address in [args.health_probe_bind_address.0, args.metrics_bind_address.0].into_iter().flatten() {
        let listener = listen(address).await.with_context(|| format!("failed to listen on {address}"))?;
        tokio::spawn(server::serve(listener, Arc::clone(&metrics)));
    }
    let mut election = Election::new(lease, &args.leader_election_namespace, args.instance.clone());
    if args.leader_elect {
        tokio::select! {
            () = election.win() => tracing::info!(lease = leader::NAME, "acquired the lease"),
            signal = &mut signal => return signal,
        }
    }
    let controllers = control(client, setup(&args, &shutdown)?, metrics)?;
    tokio::select! {
        _ = controllers => Err(anyhow::anyhow!("the controllers panicked, as logged above: ending, so that another process takes over")),
        lost = election.keep(), if args.leader_elect => {
            shutdown.request();
            Err(lost.into())
        }
        signal = &mut signal => {
            finish(&shutdown, args.leader_elect.then_some(&mut election)).await;
            signal
        }
    }
}

/// Listens; on all addresses of IPv4 alone where the machine has no IPv6.
async fn listen(address: SocketAddr) -> std::io::Result<TcpListener> {
    match TcpListener::bind(address).await {
        Err(_) if address.ip() == Ipv6Addr::UNSPECIFIED => {
            TcpListener::bind((Ipv4Addr::UNSPECIFIED, address.port())).await
        }
        listening => listening,
    }
}

fn setup(args: &Args, shutdown: &Shutdown) -> anyhow::Result<Setup> {
    Ok(Setup {
        instance: args.instance.clone(),
        registry: Settings {
            ca: args.ca_file.as_deref().map(authorities).transpose()?,
            ..Settings::new(&args.cache_dir, args.cache_mib << 20, CHART_BYTES)
        },
        concurrent: args.concurrent,
        memory: args.memory_mib.map_or_else(Memory::of_container, Memory::mib),
        policy: Policy {
            no_cross_namespace_refs: args.no_cross_namespace_refs,
            allow_cross_namespace_secrets: args.allow_cross_namespace_secrets,
            default_service_account: args.default_service_account.clone(),
            remote_schemas: args.remote_schemas,
            no_remote_clusters: args.no_remote_clusters,
            kube_configs: AllowedInKubeConfigs {
                exec: args.insecure_kubeconfig_exec,
                insecure_tls: args.insecure_kubeconfig_tls,
            },
        },
        schema_hosts: args.remote_schema_hosts.clone(),
        shutdown: shutdown.clone(),
    })
}

/// The certificates of `--ca-file`.
fn authorities(file: &Path) -> anyhow::Result<CaBundle> {
    let pem = std::fs::read(file).with_context(|| format!("failed to read --ca-file {}", file.display()))?;
    let bundle = CaBundle::parse(&pem).with_context(|| format!("--ca-file {} is of no use", file.display()))?;
    for problem in bundle.unusable() {
        tracing::warn!(file = %file.display(), problem, "a certificate of --ca-file cannot be used and is left out");
    }
    Ok(bundle)
}

/// Runs the controllers on a thread of their own: whatever they compute there, the lease is renewed, health is told and
/// signals are heard. Resolves when they have ended, which they do only by a defect.
fn control(client: kube::Client, setup: Setup, metrics: Arc<Metrics>) -> std::io::Result<oneshot::Receiver<()>> {
    let (end, ended) = oneshot::channel();
    let runtime = Handle::current();
    std::thread::Builder::new().name("controllers".to_owned()).stack_size(CONTROLLERS_STACK).spawn(move || {
        runtime.block_on(controller::run(client, setup, metrics));
        // Nobody waits for it any more when the process ends.
        end.send(()).unwrap_or_default();
    })?;
    Ok(ended)
}

/// Lets the writes under way be answered, begins no more, and gives the lease back.
async fn finish(shutdown: &Shutdown, election: Option<&mut Election>) {
    shutdown.request();
    if timeout(GRACE, shutdown.drained()).await.is_err() {
        // The write may still be carried out: nobody else may act before the lease has run out.
        tracing::warn!("a write to the cluster was not answered within {GRACE:?}: the lease is not given back early");
        return;
    }
    let Some(election) = election else { return };
    match timeout(GIVE_BACK, election.give_back()).await {
        Ok(Ok(())) => tracing::info!(lease = leader::NAME, "released the lease"),
        Ok(Err(error)) => {
            tracing::warn!(%error, lease = leader::NAME, "failed to release the lease: it expires by itself");
        }
        Err(_) => tracing::warn!(
            lease = leader::NAME,
            "the API server did not answer the release of the lease: it expires by itself"
        ),
    }
}

/// Resolves when the process is asked to end.
async fn terminated() -> anyhow::Result<()> {
    let listen = || Ok::<_, std::io::Error>((signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?));
    let (mut terminate, mut interrupt) = listen().context("failed to listen for signals")?;
    let name = tokio::select! {
        _ = terminate.recv() => "SIGTERM",
        _ = interrupt.recv() => "SIGINT",
    };
    tracing::info!("received {name}: finishing the writes under way, then ending");
    Ok(())
}
