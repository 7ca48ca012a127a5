//! `cargo conditions`: what the operator promises under strain, measured on a stage of its own, each figure with its limit.

mod away;
mod drift;
mod figures;
mod hanging;
mod hostile;
mod large;
mod rivals;
mod waiting;

use std::io::Write as _;

use anyhow::{Result, ensure};
use clap::{Parser, Subcommand};

use crate::figures::Figure;

/// Measures what the operator promises under strain.
#[derive(Debug, Parser)]
struct Args {
    #[command(subcommand)]
    condition: Condition,
}

#[derive(Clone, Copy, Debug, Subcommand)]
enum Condition {
    /// Eight releases wait for a registry that accepts and never answers; a ninth has another registry.
    Hanging,
    /// Charts that take all the memory they can get, loops of `lookup`, values that nest, and a release of many objects that is
    /// deleted, all at once, in a control group of 512 MiB.
    Hostile {
        /// How many objects are deleted meanwhile.
        #[arg(long, default_value_t = 100_000)]
        objects: usize,
    },
    /// Many releases wait for pods that never become ready.
    Waiting {
        /// How many.
        #[arg(long, default_value_t = 500)]
        releases: usize,
    },
    /// The API server is away while releases change.
    Away {
        /// For how many seconds.
        #[arg(long, default_value_t = 20)]
        seconds: u64,
    },
    /// Many settled releases whose objects are watched, some of which somebody changes.
    Drift {
        /// How many releases.
        #[arg(long, default_value_t = 1000)]
        releases: usize,
    },
    /// One release of many objects is installed, upgraded with one change, and uninstalled.
    Large {
        /// How many objects.
        #[arg(long, default_value_t = 500)]
        objects: usize,
    },
    /// Two operators without leader election act on the same releases with hooks.
    Rivals {
        /// How many releases.
        #[arg(long, default_value_t = 20)]
        releases: usize,
        /// How many times each is upgraded.
        #[arg(long, default_value_t = 5)]
        upgrades: usize,
    },
}

fn main() -> Result<()> {
    let figures = match Args::parse().condition {
        Condition::Hanging => hanging::measure()?,
        Condition::Hostile { objects } => hostile::measure(objects)?,
        Condition::Waiting { releases } => waiting::measure(releases)?,
        Condition::Away { seconds } => away::measure(seconds)?,
        Condition::Drift { releases } => drift::measure(releases)?,
        Condition::Large { objects } => large::measure(objects)?,
        Condition::Rivals { releases, upgrades } => rivals::measure(releases, upgrades)?,
    };
    let mut out = std::io::stdout().lock();
    for figure in &figures {
        writeln!(out, "{figure}")?;
    }
    let broken = figures.iter().filter(|figure| !figure.holds()).count();
    ensure!(broken == 0, "{broken} of {} figures are over their limit", figures.len());
    Ok(())
}

/// A figure that is not asked for, for those that only inform.
const NO_LIMIT: f64 = f64::INFINITY;

/// Seconds of `start` until now.
fn since(start: std::time::Instant) -> f64 {
    start.elapsed().as_secs_f64()
}

/// The middle of some figures.
fn median(mut figures: Vec<f64>) -> f64 {
    figures.sort_by(f64::total_cmp);
    figures.get(figures.len() / 2).copied().unwrap_or(f64::NAN)
}

/// A named figure in words.
fn figure(name: impl Into<String>, value: f64, limit: f64) -> Figure {
    Figure { name: name.into(), value, limit }
}
