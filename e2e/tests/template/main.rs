//! `helm-operator template` beside the real `helm template`: the same command lines, compared on what is printed, how
//! the process ends, and the error on standard error.
//!
//! A line of a table is a command line as in a shell: assignments, arguments, and `<file` for standard input.
//! [`local`] renders charts of [`fixtures`], [`refusals`] is what goes wrong, [`registries`] pulls from the real one.

mod fixtures;
mod local;
mod refusals;
mod registries;

use std::ffi::OsString;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};
use e2e::operator;
use e2e::process::Scratch;
use e2e::tools::Tool;

/// Both programs, and the folder that they run in.
struct Bench {
    helm: PathBuf,
    ours: PathBuf,
    folder: Scratch,
}

/// What a process said.
#[derive(Debug, PartialEq, Eq)]
struct Said {
    stdout: String,
    /// The error, and the lines before it that are no log.
    stderr: String,
    code: Option<i32>,
}

/// A command line, taken apart.
#[derive(Debug, Default)]
struct Line {
    environment: Vec<(String, String)>,
    arguments: Vec<String>,
    stdin: Option<String>,
}

impl Bench {
    /// A folder with all fixtures.
    async fn new() -> Result<Self> {
        let (helm, ours) = (Tool::Helm.ready().await?, operator::binary().await?);
        let bench = Self { helm, ours, folder: Scratch::new("template")? };
        fixtures::write(&bench)?;
        Ok(bench)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// The real Helm, with settings of its own and no cluster.
    fn helm(&self) -> Command {
        self.command(&self.helm)
    }

    fn command(&self, program: &Path) -> Command {
        let mut command = Command::new(program);
        command.current_dir(self.folder.path()).env_clear().stdin(Stdio::null());
        command.env("HOME", self.path("home")).env("KUBECONFIG", "/dev/null").env("TZ", "UTC");
        command
    }

    fn helm_says(&self, line: &str) -> Result<Said> {
        self.run(self.helm(), line)
    }

    fn we_say(&self, line: &str) -> Result<Said> {
        self.run(self.command(&self.ours), line)
    }

    fn run(&self, mut command: Command, line: &str) -> Result<Said> {
        let Line { environment, arguments, stdin } = Line::parse(line);
        command.arg("template").args(&arguments).envs(environment);
        if let Some(file) = stdin {
            command.stdin(File::open(self.path(&file)).with_context(|| format!("no {file} for standard input"))?);
        }
        let output = command.output().with_context(|| format!("failed to start {command:?}"))?;
        Ok(Said {
            // Bytes that are no text differ in the same places when both print them.
            stdout: output.stdout.iter().map(|byte| char::from(*byte)).collect(),
            stderr: told(&String::from_utf8_lossy(&output.stderr)),
            code: output.status.code(),
        })
    }

    /// Both say the same to every line.
    fn same(&self, lines: &[&str]) -> Result<()> {
        self.check(lines, |ours, helms| ours == helms)
    }

    /// As [`Self::same`], except that Helm's error goes on where ours ends: with an excerpt of somebody's answer.
    fn same_start(&self, lines: &[&str]) -> Result<()> {
        self.check(lines, |ours, helms| {
            let shown = ours.stderr.trim_end();
            (&ours.stdout, ours.code) == (&helms.stdout, helms.code)
                && !shown.is_empty()
                && helms.stderr.starts_with(shown)
        })
    }

    fn check(&self, lines: &[&str], good: impl Fn(&Said, &Said) -> bool) -> Result<()> {
        let mut differences = Vec::new();
        for line in lines {
            let (ours, helms) = (self.we_say(line)?, self.helm_says(line)?);
            if !good(&ours, &helms) {
                differences.push(format!("template {line}\n{}", ours.difference(&helms)));
            }
        }
        ensure!(differences.is_empty(), "{} of {} differ:\n{}", differences.len(), lines.len(), differences.join("\n"));
        Ok(())
    }
}

impl Said {
    /// Where this first differs from what Helm says.
    fn difference(&self, helms: &Self) -> String {
        let (ours, theirs): (Vec<_>, Vec<_>) = (self.stdout.lines().collect(), helms.stdout.lines().collect());
        let at = ours.iter().zip(&theirs).take_while(|(a, b)| a == b).count();
        let mut parts = Vec::new();
        if self.stdout != helms.stdout {
            let line = |lines: &[&str]| lines.get(at).copied().unwrap_or("(no such line)").to_owned();
            let (helms, ours) = (line(&theirs), line(&ours));
            parts.push(format!("  stdout, line {}:\n    helm: {helms}\n    ours: {ours}\n", at + 1));
        }
        if (&self.stderr, self.code) != (&helms.stderr, helms.code) {
            let show = |said: &Self| format!("{:?} {}", said.code, said.stderr);
            parts.push(format!("  end:\n    helm: {}\n    ours: {}", show(helms), show(self)));
        }
        parts.concat()
    }
}

impl Line {
    /// Splits at blanks; what stands in single quotes stays together.
    fn parse(line: &str) -> Self {
        let mut parsed = Self::default();
        let mut words = Vec::new();
        let mut word: Option<String> = None;
        let mut quoted = false;
        for character in line.chars() {
            match character {
                '\'' => {
                    quoted = !quoted;
                    word.get_or_insert_default();
                }
                ' ' if !quoted => words.extend(word.take()),
                other => word.get_or_insert_default().push(other),
            }
        }
        words.extend(word);
        for word in words {
            let assignment = word.split_once('=').filter(|(name, _)| {
                parsed.arguments.is_empty() && name.bytes().all(|byte| byte.is_ascii_uppercase() || byte == b'_')
            });
            match (assignment, word.strip_prefix('<')) {
                (Some((name, value)), _) => parsed.environment.push((name.to_owned(), value.to_owned())),
                (None, Some(file)) => parsed.stdin = Some(file.to_owned()),
                (None, None) => parsed.arguments.push(word),
            }
        }
        parsed
    }
}

/// Standard error without Helm's log of what goes on, and without its explanation of underscores in tags. What it logs of
/// the chart comes first, and sorted: Helm goes through maps in a random order.
fn told(stderr: &str) -> String {
    let log = |line: &&str| !line.starts_with("level=ERROR") && !line.starts_with("level=DEBUG");
    let explanation = |line: &&str| {
        line.ends_with(" contains an underscore.")
            || line.is_empty()
            || [
                "OCI artifact references (e.g.",
                "storing semantic versions, Helm",
                "an underscore (_)",
                "a plus (+) when",
            ]
            .iter()
            .any(|start| line.starts_with(start))
    };
    let told = stderr.lines().filter(log).filter(|line| !explanation(line));
    let (mut logged, others): (Vec<&str>, Vec<&str>) = told.partition(|line| line.starts_with("level="));
    logged.sort_unstable();
    [logged, others].concat().join("\n")
}

#[test]
fn lines_are_read_as_in_a_shell() {
    let line = Line::parse("TZ=UTC HELM_NAMESPACE= web --set 'a=b c' --set A=1 '' <in.yaml");
    assert_eq!(line.environment, [("TZ", "UTC"), ("HELM_NAMESPACE", "")].map(|(a, b)| (a.to_owned(), b.to_owned())));
    assert_eq!(line.arguments, ["web", "--set", "a=b c", "--set", "A=1", ""]);
    assert_eq!(line.stdin.as_deref(), Some("in.yaml"));
}

#[tokio::test]
async fn nothing_is_needed_but_the_chart() -> Result<()> {
    let bench = Bench::new().await?;
    let mut command = Command::new(&bench.ours);
    // No home, no configuration, no cache, no place for temporary files.
    command.env_clear().env("HOME", "/nonexistent").env("TMPDIR", "/nonexistent").stdin(Stdio::null());
    let output = command.arg("template").arg(OsString::from(bench.path("plain"))).output()?;
    ensure!(output.status.success() && output.stderr.is_empty(), "{output:?}");
    let before = bench.helm_says("plain")?;
    assert_eq!(String::from_utf8(output.stdout)?, before.stdout);
    Ok(())
}
