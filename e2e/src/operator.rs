//! The operator's own binary, as a process of its own: started, killed, restarted, measured, and read for secrets.

use std::collections::BTreeMap;
use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use tokio::sync::OnceCell;

use crate::eventually::eventually;
use crate::ports;
use crate::process::{Process, Scratch, Signal};

/// How long a start or an end may take on a machine that is busy with other stories: definitions that were just made are served late.
const START: Duration = Duration::from_secs(90);

/// A helm-operator, running or killed.
#[derive(Debug)]
pub struct Operator {
    setup: Setup,
    process: Option<Process>,
    secrets: Mutex<Vec<String>>,
    scratch: Scratch,
}

/// How to start an operator.
#[derive(Clone, Debug)]
pub struct Setup {
    kubeconfig: PathBuf,
    arguments: Vec<String>,
    environment: BTreeMap<String, String>,
    metrics: u16,
    health: u16,
    open_files: Option<u32>,
}

/// What the operator's process has cost so far.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize)]
pub struct Usage {
    /// User and system time.
    pub cpu_seconds: f64,
    /// Resident memory now, in bytes.
    pub memory: u64,
    /// The most resident memory ever, in bytes.
    pub peak_memory: u64,
}

impl Setup {
    /// An operator for the cluster of a kubeconfig.
    ///
    /// # Errors
    /// When no loopback port is free for its endpoints.
    pub fn new(kubeconfig: &Path) -> Result<Self> {
        Ok(Self {
            kubeconfig: kubeconfig.to_owned(),
            arguments: Vec::new(),
            environment: BTreeMap::new(),
            metrics: ports::free()?,
            health: ports::free()?,
            open_files: None,
        })
    }

    /// The same for another identity, or through another door.
    #[must_use]
    pub fn kubeconfig(mut self, kubeconfig: &Path) -> Self {
        kubeconfig.clone_into(&mut self.kubeconfig);
        self
    }

    /// Adds a command-line argument.
    #[must_use]
    pub fn argument(mut self, argument: impl Into<String>) -> Self {
        self.arguments.push(argument.into());
        self
    }

    /// Sets an environment variable.
    #[must_use]
    pub fn environment(mut self, name: &str, value: impl Into<String>) -> Self {
        self.environment.insert(name.to_owned(), value.into());
        self
    }

    /// Bounds how many files and connections it may have open at once.
    #[must_use]
    pub fn open_files(mut self, limit: u32) -> Self {
        self.open_files = Some(limit);
        self
    }

    /// Starts it, and returns when it says that it is ready.
    ///
    /// # Errors
    /// When the binary cannot be built, or ends, or does not become ready.
    pub async fn start(self) -> Result<Operator> {
        let operator = self.spawn().await?;
        operator.until_ready().await?;
        Ok(operator)
    }

    /// Starts it without waiting until it is ready: one that waits for another's lease is not.
    ///
    /// # Errors
    /// When the binary cannot be built or started.
    pub async fn spawn(self) -> Result<Operator> {
        crate::install_tls_provider();
        let mut operator =
            Operator { setup: self, process: None, secrets: Mutex::default(), scratch: Scratch::new("operator")? };
        operator.spawn().await?;
        Ok(operator)
    }
}

impl Operator {
    /// Starts the operator again after [`Operator::kill`] or [`Operator::stop`], with the same cache and log.
    ///
    /// # Errors
    /// When it ends, or does not become ready.
    pub async fn start(&mut self) -> Result<()> {
        self.spawn().await?;
        self.until_ready().await
    }

    /// Waits until the running operator says that it is ready.
    ///
    /// # Errors
    /// When it ends, or does not become ready.
    pub async fn until_ready(&self) -> Result<()> {
        let process = self.process()?;
        let ready = eventually("the operator is ready", START, || async {
            ensure!(self.is_ready().await?, "/readyz says no");
            Ok(())
        });
        process.while_running(ready).await
    }

    /// Whether the operator says that it is ready.
    ///
    /// # Errors
    /// When it does not answer.
    pub async fn is_ready(&self) -> Result<bool> {
        let answer = reqwest::get(format!("http://127.0.0.1:{}/readyz", self.setup.health)).await?;
        Ok(answer.status().is_success())
    }

    /// Starts the operator without waiting until it is ready.
    ///
    /// # Errors
    /// When the binary cannot be built or started.
    pub async fn spawn(&mut self) -> Result<()> {
        let Setup { kubeconfig, arguments, environment, metrics, health, open_files } = &self.setup;
        let mut command = match open_files {
            None => Command::new(binary().await?),
            Some(limit) => {
                let mut shell = Command::new("sh");
                shell.args(["-c", "ulimit -n \"$0\" && exec \"$@\"", &limit.to_string()]).arg(binary().await?);
                shell
            }
        };
        command
            .arg(format!("--metrics-bind-address=127.0.0.1:{metrics}"))
            .arg(format!("--health-probe-bind-address=127.0.0.1:{health}"))
            .arg("--leader-elect=false")
            .arg(format!("--cache-dir={}", self.scratch.join("cache").display()))
            .args(arguments)
            .env("KUBECONFIG", kubeconfig)
            .env("RUST_BACKTRACE", "1")
            .env("NO_COLOR", "1")
            .envs(environment);
        self.process = Some(Process::spawn(&command, &self.log_file())?);
        Ok(())
    }

    /// Ends the operator at once, as a crash or the kernel would.
    ///
    /// # Errors
    /// When it cannot be killed.
    pub async fn kill(&mut self) -> Result<()> {
        self.end(Signal::Kill).await.map(drop)
    }

    /// Asks the operator to end and returns its exit status.
    ///
    /// # Errors
    /// When it does not go.
    pub async fn stop(&mut self) -> Result<i32> {
        self.end(Signal::Terminate).await
    }

    async fn end(&mut self, signal: Signal) -> Result<i32> {
        let process = self.process.take().context("the operator does not run")?;
        process.signal(signal)?;
        process.ended(START).await
    }

    /// The process, for who must end it at a moment of their own choice.
    ///
    /// # Errors
    /// When it does not run.
    pub fn process(&self) -> Result<&Process> {
        self.process.as_ref().context("the operator does not run")
    }

    /// Everything it has logged so far.
    pub fn log(&self) -> String {
        fs::read_to_string(self.log_file()).unwrap_or_default()
    }

    /// The last lines of its log.
    pub fn log_tail(&self) -> String {
        crate::process::tail(&self.log_file(), 60)
    }

    fn log_file(&self) -> PathBuf {
        self.scratch.join("operator.log")
    }

    /// Remembers a text that must never be seen in the log.
    pub fn keep_secret(&self, secret: &str) {
        self.secrets.lock().unwrap_or_else(PoisonError::into_inner).push(secret.to_owned());
    }

    /// Reads the log for secrets it should not hold, and for panics.
    ///
    /// # Errors
    /// When it holds one. The secret itself is not repeated.
    pub fn check_log(&self) -> Result<()> {
        let log = self.log();
        for secret in self.secrets.lock().unwrap_or_else(PoisonError::into_inner).iter() {
            if let Some(line) = log.lines().find(|line| line.contains(secret.as_str())) {
                bail!("the operator's log holds a secret: {}", line.replace(secret.as_str(), "<secret>"));
            }
        }
        if let Some(line) = log.lines().find(|line| line.contains("panicked at")) {
            bail!("the operator panicked: {line}");
        }
        Ok(())
    }

    /// Its metrics: series (name and labels as printed) to value.
    ///
    /// # Errors
    /// When it does not answer.
    pub async fn metrics(&self) -> Result<BTreeMap<String, f64>> {
        let text = reqwest::get(format!("http://127.0.0.1:{}/metrics", self.setup.metrics)).await?.text().await?;
        let series = text.lines().filter(|line| !line.starts_with('#')).filter_map(|line| {
            let (name, value) = line.rsplit_once(' ')?;
            Some((name.to_owned(), value.parse().ok()?))
        });
        Ok(series.collect())
    }

    /// Where it says whether it is alive.
    pub fn health_address(&self) -> SocketAddr {
        SocketAddr::from((Ipv4Addr::LOCALHOST, self.setup.health))
    }

    /// What it has cost so far, by the kernel's account.
    ///
    /// # Errors
    /// When it does not run.
    pub fn usage(&self) -> Result<Usage> {
        usage(self.process()?.pid())
    }
}

/// What a process has cost so far.
fn usage(pid: u32) -> Result<Usage> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
    // The second field is the program's name in parentheses and may itself hold spaces; times are the 14th and 15th.
    let (_, fields) = stat.rsplit_once(')').context("/proc/PID/stat has no name")?;
    let ticks: u64 = fields.split_whitespace().skip(11).take(2).filter_map(|field| field.parse::<u64>().ok()).sum();
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let bytes = |key: &str| -> Result<u64> {
        let line = status.lines().find_map(|line| line.strip_prefix(key)).with_context(|| format!("no {key}"))?;
        let kibibytes: u64 = line.trim().trim_end_matches(" kB").parse()?;
        Ok(kibibytes << 10)
    };
    #[expect(clippy::cast_precision_loss, reason = "2^53 ticks are more than any process lives")]
    let cpu_seconds = ticks as f64 / rustix::param::clock_ticks_per_second() as f64;
    Ok(Usage { cpu_seconds, memory: bytes("VmRSS:")?, peak_memory: bytes("VmHWM:")? })
}

/// The operator's binary: `HELM_OPERATOR_BINARY`, else built by cargo, once per process, in the profile of the harness.
///
/// # Errors
/// When it does not compile.
pub async fn binary() -> Result<PathBuf> {
    static BINARY: OnceCell<PathBuf> = OnceCell::const_new();
    BINARY.get_or_try_init(|| async { tokio::task::spawn_blocking(build).await? }).await.cloned()
}

/// How the variables begin by which cargo tells a program of the package it belongs to.
const OWN_PACKAGE: [&str; 5] = ["CARGO_PKG_", "CARGO_MANIFEST_", "CARGO_BIN_", "CARGO_CRATE_", "CARGO_PRIMARY_"];

fn build() -> Result<PathBuf> {
    if let Some(binary) = std::env::var_os("HELM_OPERATOR_BINARY").filter(|value| !value.is_empty()) {
        return Ok(binary.into());
    }
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().context("e2e lies in the workspace")?;
    let mut command = Command::new(cargo);
    // The whole workspace decides the features of dependencies, as for `cargo test --workspace`, so that none is built twice.
    command.args(["build", "--workspace", "--bin", "helm-operator", "--message-format", "json-render-diagnostics"]);
    if !cfg!(debug_assertions) {
        command.arg("--release");
    }
    // What cargo says of this package to a test is not meant for others: build scripts that look at it, ring's for one,
    // would be run again, and all that stands on them compiled anew, with every turn of the two.
    for (name, _) in std::env::vars_os() {
        if OWN_PACKAGE.iter().any(|prefix| name.to_string_lossy().starts_with(prefix)) {
            command.env_remove(name);
        }
    }
    let output = command
        .current_dir(root)
        .stdin(std::process::Stdio::null())
        .stderr(std::process::Stdio::inherit())
        .output()
        .context("failed to start cargo")?;
    ensure!(output.status.success(), "the operator does not compile");
    let messages = String::from_utf8_lossy(&output.stdout);
    messages
        .lines()
        .filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok())
        .find(|message| message["target"]["name"] == "helm-operator" && message["executable"].is_string())
        .and_then(|message| message["executable"].as_str().map(PathBuf::from))
        .context("cargo named no executable")
}
