//! `cargo parity -- DIR…`: what our engine makes of charts that are not ours, beside what the real Helm makes of them.
//!
//! ```text
//! DIR ──charts──► cases (chart, values files) ──► ours ──┐
//!                       └─ mutant: edited values  helm ──┴─ verdict ──► report
//! ```
//!
//! Everything after a second `--` is given to both, as `helm template` takes it. Nothing is downloaded.

mod case;
mod helm;
mod mutant;
mod ours;
mod report;
mod verdict;

use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;

use anyhow::{Result, ensure};
use clap::Parser;

use case::Case;
use helm::Helm;
use report::Report;

/// Two, for Helm takes one or two cores for itself.
const WORKERS: usize = 2;

/// Tells on standard error how far it is, every so many cases.
const PROGRESS: usize = 250;

/// Compares `helm-operator template` with Helm 4 over all charts below some folders.
#[derive(Debug, Parser)]
struct Args {
    /// Where charts lie, as folders or as .tgz files.
    #[arg(required = true)]
    folders: Vec<PathBuf>,
    /// Only cases whose name contains this text.
    #[arg(long = "case", value_name = "TEXT", default_value = "")]
    wanted: String,
    /// Also show error texts that differ, the most frequent kinds first.
    #[arg(long)]
    errors: bool,
    /// How many differences are shown in full.
    #[arg(long, value_name = "N", default_value_t = 20)]
    show: usize,
    /// Instead of the charts' own values: so many sets of randomly edited ones for each chart.
    #[arg(long, value_name = "N")]
    mutate: Option<u64>,
    /// Which edits: the same number makes the same ones.
    #[arg(long, value_name = "S", default_value_t = 1)]
    seed: u64,
    /// Ask Helm anew where its answer is known from an earlier run.
    #[arg(long)]
    fresh: bool,
    /// Flags of `helm template` for all cases.
    #[arg(last = true)]
    flags: Vec<String>,
}

fn main() -> ExitCode {
    match run(&Args::parse()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            drop(writeln!(std::io::stderr(), "Error: {error:#}"));
            ExitCode::FAILURE
        }
    }
}

fn run(args: &Args) -> Result<bool> {
    let mut cases = Vec::new();
    for folder in &args.folders {
        cases.extend(case::below(folder)?);
    }
    if let Some(count) = args.mutate {
        cases = mutant::of_all(&cases, count, args.seed)?;
    }
    cases.retain(|case| case.name.contains(&args.wanted));
    ensure!(!cases.is_empty(), "no chart is there");
    let report = compare_all(&cases, &Helm::new(args.fresh)?, &args.flags)?;
    let mut out = std::io::stdout().lock();
    out.write_all(report.print(args.show, args.errors).as_bytes())?;
    Ok(report.is_good())
}

fn compare_all(cases: &[Case], helm: &Helm, flags: &[String]) -> Result<Report> {
    let (next, report) = (AtomicUsize::new(0), Mutex::new(Report::default()));
    let work = || -> Result<()> {
        while let Some(case) = cases.get(next.fetch_add(1, Ordering::Relaxed)) {
            let verdict = verdict::of(case, helm, flags)?;
            let mut report = report.lock().unwrap_or_else(PoisonError::into_inner);
            if verdict.is_difference() {
                drop(writeln!(std::io::stderr(), "differs: {}", case.name));
            }
            report.add(case, verdict);
            if report.len().is_multiple_of(PROGRESS) {
                drop(writeln!(std::io::stderr(), "{} of {} cases", report.len(), cases.len()));
            }
        }
        Ok(())
    };
    thread::scope(|scope| {
        let workers: Vec<_> = (0..WORKERS).map(|_| scope.spawn(work)).collect();
        workers.into_iter().try_for_each(|worker| worker.join().expect("no worker panics"))
    })?;
    Ok(report.into_inner().unwrap_or_else(PoisonError::into_inner))
}
