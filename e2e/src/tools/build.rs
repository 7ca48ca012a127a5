//! Builds a missing tool from the Go module proxy, once, however many processes want it at the same time.

use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use super::{KUBERNETES, Recipe, Tool, on_path};

const HEARTBEAT: Duration = Duration::from_secs(15);

/// Builds `tool` to `place`, or waits until another process has done so.
pub(super) fn build(tool: Tool, place: &Path) -> Result<PathBuf> {
    let folder = place.parent().context("a cached tool lies in a folder")?;
    fs::create_dir_all(folder).with_context(|| format!("failed to make {}", folder.display()))?;
    let lock = File::create(folder.join(".lock"))?;
    let progress = Progress::start(format!("{} {}", tool.name(), tool.version()));
    lock.lock().context("failed to lock the cache of built programs")?;
    if place.is_file() {
        progress.end("built by another process");
        return Ok(place.to_owned());
    }
    let go = on_path("go").with_context(|| {
        format!(
            "{} is not here and building it needs Go: install Go 1.26 or newer (https://go.dev/dl/) and put it on the PATH",
            tool.name()
        )
    })?;
    let scratch = tempfile::Builder::new().prefix(".build-").tempdir_in(folder)?;
    let built = match tool.recipe() {
        Recipe::Install(package) => install(&go, package, tool.version(), scratch.path()),
        Recipe::Module(module, package) => {
            let require = format!("require {module} {}\n", tool.version());
            compile(&go, scratch.path(), &require, package, "-s -w")
        }
        Recipe::Kubernetes(package) => {
            let require = kubernetes_requirements(&go)?;
            compile(&go, scratch.path(), &require, package, &kubernetes_flags())
        }
    };
    match built {
        Ok(program) => {
            // The rename is what publishes: a half-written program never has the final name.
            fs::rename(&program, place)?;
            progress.end("built");
            Ok(place.to_owned())
        }
        Err(error) => {
            progress.end("failed");
            Err(error).with_context(|| format!("failed to build {} {}", tool.name(), tool.version()))
        }
    }
}

fn install(go: &Path, package: &str, version: &str, folder: &Path) -> Result<PathBuf> {
    let mut command = Command::new(go);
    command.args(["install", "-trimpath", "-ldflags", "-s -w"]).arg(format!("{package}@{version}"));
    run(command.env("GOBIN", folder).current_dir(folder))?;
    // The last part of a module's path may be its major version.
    let is_version = |part: &&str| part.strip_prefix('v').is_some_and(|number| number.parse::<u32>().is_ok());
    let program = package.rsplit('/').find(|part| !is_version(part)).unwrap_or(package);
    Ok(folder.join(program))
}

/// Builds `package` in a module made for it that holds nothing but `requirements`.
fn compile(go: &Path, folder: &Path, requirements: &str, package: &str, flags: &str) -> Result<PathBuf> {
    fs::write(folder.join("go.mod"), format!("module scratch\n\ngo 1.26\n\n{requirements}"))?;
    // An import makes the package part of the module's graph, so that `go mod tidy` records all sums the build asks for.
    fs::write(folder.join("tools.go"), format!("//go:build tools\n\npackage scratch\n\nimport _ \"{package}\"\n"))?;
    run(Command::new(go).args(["mod", "tidy"]).current_dir(folder))?;
    let program = folder.join("program");
    let mut command = Command::new(go);
    command.args(["build", "-trimpath", "-ldflags", flags, "-o"]).arg(&program).arg(package);
    run(command.current_dir(folder))?;
    Ok(program)
}

/// Kubernetes points its staging modules into its own tree, which a module that requires it cannot see: each is pinned
/// to the published version of the same release.
fn kubernetes_requirements(go: &Path) -> Result<String> {
    let mut command = Command::new(go);
    command.args(["mod", "download", "-json"]).arg(format!("k8s.io/kubernetes@{KUBERNETES}"));
    // Outside of any module, whatever folder the tests run in.
    let output = run(command.current_dir(std::env::temp_dir()))?;
    let download: serde_json::Value = serde_json::from_str(&output).context("go mod download said no JSON")?;
    let file = download["GoMod"].as_str().context("go mod download named no go.mod")?;
    let staging = KUBERNETES.replacen("v1.", "v0.", 1);
    let mut requirements = format!("require k8s.io/kubernetes {KUBERNETES}\n");
    for line in fs::read_to_string(file)?.lines() {
        let Some((module, _)) = line.trim().split_once(" => ./staging") else { continue };
        let module = module.trim_start_matches("replace ");
        writeln!(requirements, "replace {module} => {module} {staging}")?;
    }
    Ok(requirements)
}

fn kubernetes_flags() -> String {
    let mut parts = KUBERNETES.trim_start_matches('v').split('.');
    let (major, minor) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
    let version = "k8s.io/component-base/version";
    format!("-s -w -X {version}.gitVersion={KUBERNETES} -X {version}.gitMajor={major} -X {version}.gitMinor={minor}")
}

fn run(command: &mut Command) -> Result<String> {
    command.env("CGO_ENABLED", "0").env("GOFLAGS", "-buildvcs=false").env_remove("GOOS").env_remove("GOARCH");
    let output = command.stdin(Stdio::null()).output().context("failed to start go")?;
    if !output.status.success() {
        let text = String::from_utf8_lossy(&output.stderr);
        let lines: Vec<&str> = text.lines().filter(|line| !line.starts_with("go: downloading")).collect();
        bail!("go ended with {}:\n{}", output.status, lines[lines.len().saturating_sub(20)..].join("\n"));
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// A line on standard error when a build starts, every few seconds while it runs, and when it ends.
///
/// It writes to the stream itself: the test harness would keep what is printed by macro to itself.
struct Progress {
    what: String,
    start: Instant,
    stop: Sender<()>,
    heart: JoinHandle<()>,
}

impl Progress {
    fn start(what: String) -> Self {
        tell(&format!("building {what} …"));
        let start = Instant::now();
        let (stop, stopped) = channel();
        let name = what.clone();
        let heart = std::thread::spawn(move || {
            while stopped.recv_timeout(HEARTBEAT) == Err(RecvTimeoutError::Timeout) {
                tell(&format!("building {name} … {} s", start.elapsed().as_secs()));
            }
        });
        Self { what, start, stop, heart }
    }

    fn end(self, how: &str) {
        drop(self.stop);
        // The heart only writes lines; how it ended changes nothing.
        drop(self.heart.join());
        tell(&format!("{} {how} after {} s", self.what, self.start.elapsed().as_secs()));
    }
}

fn tell(line: &str) {
    // Progress that cannot be told is no reason to fail.
    drop(writeln!(std::io::stderr(), "{line}"));
}
