//! One case in one process.

use std::fs;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use helm::chart::archive;
use helm::engine::{self, Capabilities, Limits, NoLookup, ParsedTemplates, ReleaseInfo, Request};
use helm::values;

use super::Case;

/// Names the folder of the case in the child's environment.
const FOLDER: &str = "HOSTILE_CASE";
/// The child's clock ticks a hundred times in a second.
const TICK: Duration = Duration::from_millis(10);

/// How the outcome of a child begins that has not told any.
pub(super) const DIED: &str = "died: ";
/// How long a child may live; others may keep the processors busy meanwhile.
const GUARD: Duration = Duration::from_mins(1);

/// What a case used, and how it ended.
pub(super) struct Used {
    /// Processor time: the bound is meant for a machine that has nothing else to do.
    pub(super) time: Duration,
    /// Bytes resident at most.
    pub(super) memory: u64,
    /// The size of the manifest, or the error.
    pub(super) outcome: Result<String, String>,
}

impl Used {
    /// What it said, on one line: of a long text the beginning and the end, where the cause is.
    pub(super) fn line(&self) -> String {
        const SHOWN: usize = 80;
        let (Ok(text) | Err(text)) = &self.outcome;
        let start = text.floor_char_boundary(SHOWN);
        let end = text.ceil_char_boundary(text.len().saturating_sub(SHOWN)).max(start);
        let gap = if start < end { " … " } else { "" };
        format!("{}{gap}{}", &text[..start], &text[end..]).replace('\n', " | ")
    }
}

/// Runs a case in a new process.
pub(super) fn run(case: &Case) -> Used {
    let folder = tempfile::tempdir().expect("a folder can be made");
    let (chart, values) = (case.make)();
    fs::write(folder.path().join("chart.tgz"), chart).expect("the chart can be written");
    fs::write(folder.path().join("values.yaml"), values).expect("the values can be written");
    let program = std::env::current_exe().expect("a program knows itself");
    let mut child = Command::new(program)
        .args(["--exact", "a_case_in_its_own_process", "--nocapture", "--test-threads=1"])
        .env(FOLDER, folder.path())
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .spawn()
        .expect("the program can be started");
    let ended = guard(&mut child);
    match fs::read_to_string(folder.path().join("report")) {
        Ok(report) => read(&report),
        Err(_) => Used { time: Duration::ZERO, memory: 0, outcome: Err(format!("{DIED}{ended}")) },
    }
}

/// Waits for the child, and ends it when it goes far beyond the bounds, for the sake of the machine.
fn guard(child: &mut Child) -> String {
    let started = Instant::now();
    let status = format!("/proc/{}/status", child.id());
    loop {
        if let Some(ended) = child.try_wait().expect("a child can be waited for") {
            return ended.to_string();
        }
        let memory = fs::read_to_string(&status).map_or(0, |text| resident(&text, "VmHWM:"));
        if memory > 4 * super::MAX_MEMORY || started.elapsed() > GUARD {
            child.kill().expect("a child can be ended");
            child.wait().expect("a child can be waited for");
            return format!("ended after {:?} with {} MiB", started.elapsed(), memory >> 20);
        }
        thread::sleep(Duration::from_millis(5));
    }
}

fn read(report: &str) -> Used {
    let mut lines = report.splitn(4, '\n');
    let mut number = || lines.next().and_then(|line| line.parse().ok()).expect("the report has numbers first");
    let (ticks, memory): (u32, u64) = (u32::try_from(number()).expect("it took seconds"), number());
    let refused = lines.next() == Some("refused");
    let text = lines.next().unwrap_or_default().to_owned();
    Used { time: TICK * ticks, memory, outcome: if refused { Err(text) } else { Ok(text) } }
}

/// The child: does what the operator does with a chart it has pulled.
pub(super) fn child() {
    let Some(folder) = std::env::var_os(FOLDER).map(PathBuf::from) else { return };
    let (kind, text) = match render(&folder) {
        Ok(manifest) => ("rendered", format!("{manifest} bytes")),
        Err(message) => ("refused", message),
    };
    let report = format!("{}\n{}\n{kind}\n{text}", processor_ticks(), peak_memory());
    fs::write(folder.join("report"), report).expect("the report can be written");
}

fn render(folder: &std::path::Path) -> Result<usize, String> {
    let read = |name: &str| fs::read(folder.join(name)).map_err(|error| in_words(&error));
    let chart = archive::load(&read("chart.tgz")?, &archive::Limits::default()).map_err(|error| in_words(&error))?;
    let text = String::from_utf8_lossy(&read("values.yaml")?).into_owned();
    let values = values::parse(&text).map_err(|error| in_words(&error))?;
    drop(text);
    let rendered = engine::render_on_stack(&Request {
        chart: &chart,
        values: &values,
        release: &ReleaseInfo { name: "app".into(), namespace: "default".into(), revision: 1, is_upgrade: false },
        capabilities: &Capabilities::default(),
        lookup: Arc::new(NoLookup),
        now: jiff::Zoned::default(),
        seed: [3; engine::SEED_BYTES],
        limits: Limits::default(),
        templates: Some(&ParsedTemplates::new(&chart)),
        subchart_notes: false,
    });
    rendered.map(|rendered| rendered.manifest.len()).map_err(|error| in_words(&error))
}

/// An error and its causes, each once, as the operator tells them.
fn in_words(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(error.source(), |error| error.source());
    causes
        .map(ToString::to_string)
        .fold(error.to_string(), |text, cause| if text.ends_with(&cause) { text } else { format!("{text}: {cause}") })
}

fn processor_ticks() -> u64 {
    let stat = fs::read_to_string("/proc/self/stat").expect("the kernel tells");
    let fields: Vec<&str> = stat.rsplit(')').next().expect("there is a last part").split_whitespace().collect();
    let ticks = |index: usize| fields[index].parse::<u64>().expect("it is a number");
    ticks(11) + ticks(12)
}

fn peak_memory() -> u64 {
    resident(&fs::read_to_string("/proc/self/status").expect("the kernel tells"), "VmHWM:")
}

/// A size of `/proc/PID/status`, none of a process that has ended.
fn resident(status: &str, name: &str) -> u64 {
    let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap_or("0");
    line.trim().trim_end_matches(" kB").trim().parse::<u64>().expect("it is a number") << 10
}
