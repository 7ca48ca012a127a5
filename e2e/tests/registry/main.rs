//! `helm_operator::registry` against real registries in every face, and against servers that misbehave.
//!
//! Charts are pushed by the real Helm, other artifacts by crane. [`faces`] is the healthy world with its ordinary
//! refusals, [`answers`] what no healthy registry says, [`outages`] registries that fail for a while, [`possession`] who may have
//! what is in the cache, [`refusals`] how registries word their refusals, and [`roots`] a
//! system without certificates, [`schemas`] what charts refer to elsewhere.

mod answers;
mod faces;
mod outages;
mod possession;
mod refusals;
mod roots;
mod schemas;

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use e2e::registry::{Registry as Server, User};
use e2e::tools::Tool;
use helm_operator::registry::{
    Access, ChartArchive, ChartReference, Credentials, Error, Limits, Registry, RepositoryUrl, Resolved, Settings,
    VersionRequest,
};
use tempfile::TempDir;

const FOREVER: Duration = Duration::from_hours(1);

/// The operator's side: a handle with a cache of its own.
struct Operator {
    registry: Registry,
    cache: TempDir,
}

impl Operator {
    fn new() -> Result<Self> {
        Self::with(|_| {})
    }

    /// With other settings than most tests.
    fn with(change: impl Fn(&mut Settings)) -> Result<Self> {
        e2e::install_tls_provider();
        let cache = tempfile::tempdir()?;
        let mut settings = settings(cache.path());
        change(&mut settings);
        Ok(Self { registry: Registry::new(&settings), cache })
    }

    /// Another process that shares the cache's folder.
    fn restarted(&self) -> Registry {
        Registry::new(&settings(self.cache.path()))
    }

    async fn resolve(&self, url: &str, version: &str, access: &Access) -> Result<Resolved, Error> {
        let reference = ChartReference::parse(url).expect("a reference");
        let request = VersionRequest::parse(version).expect("a version");
        self.registry.resolve(&reference, &request, access, FOREVER).await
    }

    async fn pull(&self, url: &str, version: &str, access: &Access) -> Result<ChartArchive, Error> {
        let resolved = self.resolve(url, version, access).await?;
        self.registry.pull(&resolved, access).await
    }

    async fn probe(&self, url: &str, access: &Access) -> Result<(), Error> {
        self.registry.probe(&RepositoryUrl::parse(url).expect("an url"), access).await
    }

    async fn tags(&self, url: &str, access: &Access) -> Result<Vec<String>, Error> {
        let reference = ChartReference::parse(url).expect("a reference");
        let tags = self.registry.tags(&reference, access, Duration::ZERO).await?;
        Ok(tags.to_vec())
    }
}

fn settings(cache: &Path) -> Settings {
    // Tests ask a failing server again and again; what pauses has tests of its own.
    let limits = Limits { first_pause: Duration::ZERO, ..Limits::default() };
    Settings { limits, ..Settings::new(cache, 64 << 20, 4 << 20) }
}

/// Plain HTTP, nobody.
fn plain() -> Access {
    Access { plain_http: true, timeout: Duration::from_secs(20), ..Access::default() }
}

/// HTTPS, nobody, trusting `server`'s authority.
fn trusting(server: &Server) -> Access {
    let ca_pem = server.ca_pem().map(|pem| pem.as_bytes().to_vec());
    Access { ca_pem, plain_http: false, ..plain() }
}

fn with(access: Access, user: &User) -> Access {
    Access { credentials: Some(Credentials::new(&user.name, &user.password)), ..access }
}

/// Packs a chart with the real Helm; returns the archive's path.
async fn package(folder: &Path, name: &str, version: &str) -> Result<PathBuf> {
    let chart = folder.join(name);
    std::fs::create_dir_all(chart.join("templates"))?;
    std::fs::write(chart.join("Chart.yaml"), format!("apiVersion: v2\nname: {name}\nversion: 0.0.0\n"))?;
    // What the template says differs per call, so that the same version can be pushed with other content.
    let stamp = std::fs::read_dir(folder)?.count();
    std::fs::write(
        chart.join("templates/map.yaml"),
        format!("apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: m{stamp}\n"),
    )?;
    let out = folder.join(format!("out{stamp}"));
    let arguments = ["package", &text(&chart), "--version", version, "--destination", &text(&out)].map(str::to_owned);
    run(Tool::Helm, folder, &arguments).await?;
    Ok(out.join(format!("{name}-{version}.tgz")))
}

/// Packs and pushes with the real Helm; returns the manifest's digest as Helm prints it.
async fn push(server: &Server, path: &str, chart: (&str, &str), user: Option<&User>) -> Result<String> {
    let archive = package(server.scratch(), chart.0, chart.1).await?;
    let mut arguments = vec!["push".to_owned(), text(&archive), format!("{}{path}", server.url())];
    match server.ca_pem() {
        Some(_) => arguments.push("--insecure-skip-tls-verify".to_owned()),
        None => arguments.push("--plain-http".to_owned()),
    }
    if let Some(user) = user {
        arguments.extend(["--username", &user.name, "--password", &user.password].map(str::to_owned));
    }
    let said = run(Tool::Helm, server.scratch(), &arguments).await?;
    let digest = said.lines().find_map(|line| line.strip_prefix("Digest: "));
    Ok(digest.with_context(|| format!("helm push said {said}"))?.trim().to_owned())
}

/// Runs a tool in a home of its own; its output, standard error last.
async fn run(tool: Tool, home: &Path, arguments: &[String]) -> Result<String> {
    let program = tool.ready().await?;
    let output = tokio::process::Command::new(program)
        .args(arguments)
        .env("HOME", home)
        .env("XDG_CACHE_HOME", home.join("cache"))
        .env("XDG_CONFIG_HOME", home.join("config"))
        .env("XDG_DATA_HOME", home.join("share"))
        .output()
        .await?;
    let said = [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).concat();
    if !output.status.success() {
        bail!("{} {arguments:?} failed: {said}", tool.name());
    }
    Ok(said)
}

fn text(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}

/// The error of `result`, whose whole chain must hold none of `secrets`.
fn refusal<T>(result: Result<T, Error>, secrets: &[&str]) -> Error {
    let error = result.err().expect("a refusal");
    let shown = format!("{error} {error:?}");
    for secret in secrets {
        assert!(!shown.contains(secret), "a secret shows in {shown}");
    }
    error
}
