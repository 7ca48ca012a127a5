//! Both sides in turns, one case after the other.

use std::error::Error;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use serde::{Deserialize, Serialize};

use super::cases::Case;

/// The argument that makes this program our side.
pub(crate) const WORKER: &str = "--ours";
const GO_PROGRAM: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/oracle/speed");

/// One line to a side.
#[derive(Serialize, Deserialize)]
pub(crate) struct Asked {
    pub(crate) chart: String,
    pub(crate) values: Vec<String>,
    pub(crate) repeat: usize,
    /// Whether to render from parsed templates, too; Helm keeps none.
    #[serde(default)]
    pub(crate) cached: bool,
}

/// What a side answers: times in nanoseconds.
#[derive(Default, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Answer {
    /// To load the chart.
    pub(crate) load: Vec<u64>,
    /// To render it, once it is loaded.
    pub(crate) rest: Vec<u64>,
    /// To render it from parsed templates.
    pub(crate) cached: Vec<u64>,
    pub(crate) bytes: usize,
    /// Whether nothing in it is random or a time: keys and password hashes cost what numbers cost, not what templates do.
    pub(crate) repeatable: bool,
    pub(crate) peak_kib: u64,
    pub(crate) error: String,
}

/// A case that both sides render.
pub(crate) struct Run {
    pub(crate) case: Case,
    pub(crate) ours: Answer,
    pub(crate) helms: Answer,
}

/// Renders each case `repeat` times on each side.
pub(crate) fn race(cases: &[Case], repeat: usize) -> Result<Vec<Run>, Box<dyn Error>> {
    let go = Go::build()?;
    let mut sides = [Side::ours()?, go.start()?];
    let mut runs = Vec::new();
    for case in cases {
        let [ours, helms] = &mut sides;
        let mut run = Run { case: case.clone(), ours: Answer::default(), helms: Answer::default() };
        // In two turns, so that a disturbance hits both.
        for turn in [repeat.div_ceil(2), repeat / 2] {
            add(&mut run.helms, helms.ask(case, turn, false)?);
            add(&mut run.ours, ours.ask(case, turn, true)?);
        }
        if run.ours.error.is_empty() && run.helms.error.is_empty() {
            runs.push(run);
        }
    }
    Ok(runs)
}

/// Renders each case once, each side in a process of its own.
pub(crate) fn peaks(cases: &[Case]) -> Result<Vec<Run>, Box<dyn Error>> {
    let go = Go::build()?;
    let mut runs = Vec::new();
    for case in cases {
        let (ours, helms) = (Side::ours()?.ask(case, 1, false)?, go.start()?.ask(case, 1, false)?);
        if ours.error.is_empty() && helms.error.is_empty() {
            runs.push(Run { case: case.clone(), ours, helms });
        }
    }
    Ok(runs)
}

fn add(into: &mut Answer, more: Answer) {
    into.load.extend(more.load);
    into.rest.extend(more.rest);
    into.cached.extend(more.cached);
    into.error.push_str(&more.error);
    into.bytes = into.bytes.max(more.bytes);
    into.repeatable |= more.repeatable;
    into.peak_kib = into.peak_kib.max(more.peak_kib);
}

/// Helm's side, built into a folder that goes with it.
struct Go {
    folder: tempfile::TempDir,
}

impl Go {
    fn build() -> Result<Self, Box<dyn Error>> {
        let go = Self { folder: tempfile::tempdir()? };
        let built =
            Command::new("go").args(["build", "-o"]).arg(go.program()).arg(".").current_dir(GO_PROGRAM).status()?;
        if built.success() { Ok(go) } else { Err(format!("{GO_PROGRAM} does not build").into()) }
    }

    fn program(&self) -> PathBuf {
        self.folder.path().join("speed")
    }

    fn start(&self) -> Result<Side, Box<dyn Error>> {
        Side::start(&self.program(), &[])
    }
}

/// A running side. It ends when it is dropped, for then its input does.
struct Side {
    process: Child,
    input: Option<ChildStdin>,
    output: BufReader<ChildStdout>,
}

impl Side {
    fn ours() -> Result<Self, Box<dyn Error>> {
        Self::start(&std::env::current_exe()?, &[WORKER])
    }

    fn start(program: &Path, args: &[&str]) -> Result<Self, Box<dyn Error>> {
        let mut process = Command::new(program).args(args).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let input = process.stdin.take();
        let output = BufReader::new(process.stdout.take().ok_or("no output")?);
        Ok(Self { process, input, output })
    }

    fn ask(&mut self, case: &Case, repeat: usize, cached: bool) -> Result<Answer, Box<dyn Error>> {
        let text = |path: &PathBuf| path.display().to_string();
        let values = case.values.iter().map(text).collect();
        let asked = Asked { chart: text(&case.chart), values, repeat, cached };
        let input = self.input.as_mut().ok_or("no input")?;
        writeln!(input, "{}", serde_json::to_string(&asked)?)?;
        let mut line = String::new();
        self.output.read_line(&mut line)?;
        Ok(serde_json::from_str(&line)?)
    }
}

impl Drop for Side {
    fn drop(&mut self) {
        drop(self.input.take());
        self.process.wait().ok();
    }
}
