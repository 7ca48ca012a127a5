//! The oracle: the real Helm, and what it said in earlier runs.
//!
//! Helm takes a tenth of a second for a chart, and says the same as last time unless the chart, the values or the flags
//! have changed: answers are kept in the harness' cache, each under the digest of all that was asked.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, SystemTime};

use anyhow::{Context, Result};
use e2e::tools::{self, Tool};
use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;
use sha2::{Digest as _, Sha256};

use crate::case::Case;

/// The name both give to the release.
pub(crate) const RELEASE: &str = "release-name";

/// After it, a chart that prints the time prints another one.
const TICK: Duration = Duration::from_millis(1100);

/// What a program made of a case: its output, or its error without log and advice.
pub(crate) type Answer = std::result::Result<Vec<u8>, String>;

/// The real Helm.
pub(crate) struct Helm {
    program: PathBuf,
    kept: PathBuf,
    fresh: bool,
    /// Charts are asked about many times.
    digests: Mutex<BTreeMap<PathBuf, Arc<[u8]>>>,
}

impl Helm {
    /// Has Helm ready. `fresh`: ask it whatever is known from earlier.
    pub(crate) fn new(fresh: bool) -> Result<Self> {
        let kept = tools::cache()?.join("parity").join(Tool::Helm.version());
        fs::create_dir_all(&kept).with_context(|| format!("failed to make {}", kept.display()))?;
        Ok(Self { program: Tool::Helm.path()?, kept, fresh, digests: Mutex::default() })
    }

    /// What Helm makes of `case`, the `attempt`-th time it is asked, and when: a chart may render differently every time.
    pub(crate) fn ask(&self, case: &Case, flags: &[String], attempt: usize) -> Result<(Answer, SystemTime)> {
        let place = self.kept.join(self.digest(case, flags, attempt)?);
        if !self.fresh
            && let Ok(kept) = fs::read(&place)
        {
            let answer = decode(&kept).with_context(|| format!("failed to read {}", place.display()))?;
            return Ok((answer, fs::metadata(&place)?.modified()?));
        }
        if attempt == 1 {
            thread::sleep(TICK);
        }
        let answer = self.run(case, flags)?;
        // Written aside first: a run that is interrupted leaves no half answer.
        let mut scratch = tempfile::NamedTempFile::new_in(&self.kept)?;
        scratch.write_all(&encode(&answer)?)?;
        scratch.persist(&place)?;
        Ok((answer, fs::metadata(&place)?.modified()?))
    }

    fn run(&self, case: &Case, flags: &[String]) -> Result<Answer> {
        let mut helm = Command::new(&self.program);
        helm.args(["template", RELEASE]).arg(&case.chart);
        for file in &case.values {
            helm.arg("-f").arg(file);
        }
        // No cluster has a say.
        let output = helm.args(flags).env("KUBECONFIG", "/dev/null").output().context("failed to run helm")?;
        Ok(if output.status.success() { Ok(output.stdout) } else { Err(error_of(&output.stderr)) })
    }

    fn digest(&self, case: &Case, flags: &[String], attempt: usize) -> Result<String> {
        let mut digest = Sha256::new();
        digest.update(self.chart_digest(&case.chart)?);
        // Errors quote the paths.
        let values: Vec<_> = case.values.iter().map(|file| file.display().to_string()).collect();
        digest.update(format!("{}{values:?}{flags:?}{attempt}", case.chart.display()));
        for file in &case.values {
            digest.update(fs::read(file)?);
        }
        Ok(hex(&digest.finalize()))
    }

    fn chart_digest(&self, chart: &Path) -> Result<Arc<[u8]>> {
        if let Some(known) = self.digests.lock().ok().and_then(|digests| digests.get(chart).cloned()) {
            return Ok(known);
        }
        let mut digest = Sha256::new();
        digest_tree(chart, &mut digest)?;
        let known: Arc<[u8]> = Arc::from(digest.finalize().as_slice());
        if let Ok(mut digests) = self.digests.lock() {
            digests.insert(chart.to_owned(), Arc::clone(&known));
        }
        Ok(known)
    }
}

fn digest_tree(path: &Path, digest: &mut Sha256) -> Result<()> {
    if !path.is_dir() {
        // A link to nothing is a file to nobody.
        let bytes = fs::read(path).unwrap_or_default();
        digest.update(format!("{} {}\n", path.display(), bytes.len()));
        digest.update(&bytes);
        return Ok(());
    }
    let mut entries = fs::read_dir(path)?.map(|entry| Ok(entry?.path())).collect::<Result<Vec<_>>>()?;
    entries.sort();
    entries.iter().try_for_each(|entry| digest_tree(entry, digest))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut hex, byte| {
        write!(hex, "{byte:02x}").expect("writing to a string does not fail");
        hex
    })
}

/// A letter for how it ended, then the text.
fn encode(answer: &Answer) -> Result<Vec<u8>> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    match answer {
        Ok(output) => {
            encoder.write_all(b"o")?;
            encoder.write_all(output)?;
        }
        Err(error) => {
            encoder.write_all(b"e")?;
            encoder.write_all(error.as_bytes())?;
        }
    }
    Ok(encoder.finish()?)
}

fn decode(kept: &[u8]) -> Result<Answer> {
    let mut text = Vec::new();
    GzDecoder::new(kept).read_to_end(&mut text)?;
    let (how, text) = text.split_first().context("the kept answer is empty")?;
    Ok(if *how == b'o' { Ok(text.to_vec()) } else { Err(String::from_utf8_lossy(text).into_owned()) })
}

/// The error as such: Helm logs before it and advises after it.
fn error_of(stderr: &[u8]) -> String {
    let text = String::from_utf8_lossy(stderr);
    let start = if text.starts_with("Error: ") { Some(0) } else { text.find("\nError: ").map(|at| at + 1) };
    without_advice(start.map_or(&*text, |start| &text[start + "Error: ".len()..]))
}

/// An error as such.
pub(crate) fn without_advice(error: &str) -> String {
    error.split("\n\nUse --debug flag").next().unwrap_or(error).trim_end().to_owned()
}
