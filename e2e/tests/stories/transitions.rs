//! Releases that went through edits chosen anew each time end as if they had been declared so at once; `cargo transitions`
//! plays 300 sequences.

use std::io::Write as _;

use anyhow::Result;
use e2e::story::{alone, as_it_is};
use e2e::{sample, transitions};

/// How many sequences are played here, and how often the operator is killed meanwhile.
const SEQUENCES: usize = 30;
const KILLS: usize = 5;

#[test]
fn whatever_a_release_went_through_it_ends_as_a_fresh_one() -> Result<()> {
    let seed = sample::seed("TRANSITIONS_SEED")?;
    alone("transitions", as_it_is, async |story| {
        let report = transitions::play(story, SEQUENCES, KILLS, seed).await?;
        drop(write!(std::io::stderr(), "TRANSITIONS_SEED={seed}\n{report}"));
        report.accept()
    })
}
