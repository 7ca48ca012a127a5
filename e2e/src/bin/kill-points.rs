//! `cargo kill-points`: the operator dies before and after every write of every scenario; prints a table of all points.

use std::io::Write as _;

use anyhow::{Result, ensure};
use clap::Parser;
use e2e::kill_points::{self, Choice, Scenario};
use e2e::story::{alone, as_it_is};

/// Lets the operator die at each of its writes.
#[derive(Debug, Parser)]
struct Args {
    /// Only the scenarios with these names.
    #[arg(long, value_delimiter = ',')]
    only: Vec<String>,
    /// Only so many points.
    #[arg(long)]
    sample: Option<usize>,
    /// The seed of the sample.
    #[arg(long, default_value_t = 0)]
    seed: u64,
}

fn main() -> Result<()> {
    let args = Args::parse();
    let named = |scenario: &Scenario| args.only.is_empty() || args.only.iter().any(|only| only == scenario.name());
    let scenarios: Vec<Scenario> = Scenario::ALL.into_iter().filter(named).collect();
    ensure!(!scenarios.is_empty(), "no scenario has such a name; there are {:?}", Scenario::ALL.map(Scenario::name));
    alone("kill-points", as_it_is, async |story| {
        let choice = Choice { scenarios, sample: args.sample.map(|count| (count, args.seed)) };
        let report = kill_points::play(story, &choice).await?;
        write!(std::io::stdout(), "{report}")?;
        report.accept()
    })
}
