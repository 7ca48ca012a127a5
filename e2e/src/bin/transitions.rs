//! `cargo transitions`: 300 generated sequences of edits, each compared with a fresh install of its end; the operator may be killed
//! meanwhile.

use std::io::Write as _;

use anyhow::Result;
use clap::Parser;
use e2e::story::{alone, as_it_is};
use e2e::{sample, transitions};

/// Edits releases in many orders.
#[derive(Debug, Parser)]
struct Args {
    /// How many sequences.
    #[arg(long, default_value_t = 300)]
    sequences: usize,
    /// How often the operator is killed meanwhile.
    #[arg(long, default_value_t = 0)]
    kills: usize,
    /// The seed that decides them; a new one each time without.
    #[arg(long)]
    seed: Option<u64>,
}

fn main() -> Result<()> {
    let args = Args::parse();
    let seed = args.seed.map_or_else(|| sample::seed("TRANSITIONS_SEED"), Ok)?;
    alone("transitions", as_it_is, async |story| {
        let report = transitions::play(story, args.sequences, args.kills, seed).await?;
        write!(std::io::stdout(), "{report}")?;
        report.accept()
    })
}
