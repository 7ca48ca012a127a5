//! How fast we render, and in how much memory, beside Helm's own Go code.
//!
//! ```text
//! folders ──cases──► charts with their values ──race──► ours and Helm's, in turns ──report──► ratios
//! ```
//!
//! - `bench-render [--repeat N] FOLDER…` renders every chart below the folders, with its defaults and with each values
//!   file in its `ci/`, in one process of ours and one of Helm's, and compares the median times of each case.
//! - `bench-render --memory FOLDER…` renders each case in processes of its own and compares their peaks.
//! - `bench-render --digest FOLDER…` prints a digest of everything that we render: it stays the same when only the
//!   speed changes.
//! - `bench-render --processes OURS HELM FOLDER…` compares `OURS template CHART` with `HELM template CHART`.
//!
//! Machines that measure are busy with other things: only the ratios of one run mean something. Helm's side is the Go
//! program in `tests/oracle/speed`, which needs Go.

mod cases;
mod digest;
mod ours;
mod processes;
mod race;
mod report;

use std::error::Error;
use std::io::Write as _;
use std::path::Path;
use std::process::ExitCode;

/// What the shipped binary allocates with.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const USAGE: &str =
    "usage: bench-render [--repeat N | --memory | --digest | --processes OURS HELM] FOLDER…, charts below the folders";

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    match run(&args.iter().map(String::as_str).collect::<Vec<_>>()) {
        Ok(report) if std::io::stdout().write_all(report.as_bytes()).is_ok() => ExitCode::SUCCESS,
        Ok(_) => ExitCode::FAILURE,
        Err(error) => {
            // Nothing better is left to do if that fails.
            writeln!(std::io::stderr(), "{error}").ok();
            ExitCode::FAILURE
        }
    }
}

fn run(args: &[&str]) -> Result<String, Box<dyn Error>> {
    match args {
        [race::WORKER] => ours::answer_all().map(|()| String::new()),
        ["--digest", folders @ ..] => digest::digest(&cases::below(folders)?),
        ["--memory", folders @ ..] => Ok(report::memory(&race::peaks(&cases::below(folders)?)?)),
        ["--processes", ours, helm, folders @ ..] => {
            Ok(report::processes(&processes::race([Path::new(ours), Path::new(helm)], &cases::below(folders)?)?))
        }
        ["--repeat", repeat, folders @ ..] => race(repeat.parse()?, folders),
        folders if folders.iter().all(|folder| !folder.starts_with('-')) => race(5, folders),
        _ => Err(USAGE.into()),
    }
}

fn race(repeat: usize, folders: &[&str]) -> Result<String, Box<dyn Error>> {
    Ok(report::times(&race::race(&cases::below(folders)?, repeat)?))
}
