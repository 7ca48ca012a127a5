//! The operator dies at writes chosen anew each time; `cargo kill-points` lets it die at all of them.

use std::io::Write as _;

use anyhow::Result;
use e2e::kill_points::{self, Choice, Scenario};
use e2e::sample;
use e2e::story::{alone, as_it_is};

/// How many points are played here.
const POINTS: usize = 40;

#[test]
fn after_a_death_at_any_write_the_next_process_ends_what_was_begun() -> Result<()> {
    let seed = sample::seed("KILL_POINTS_SEED")?;
    alone("kill-points", as_it_is, async |story| {
        let choice = Choice { scenarios: Scenario::ALL.to_vec(), sample: Some((POINTS, seed)) };
        let report = kill_points::play(story, &choice).await?;
        drop(write!(std::io::stderr(), "KILL_POINTS_SEED={seed}\n{report}"));
        report.accept()
    })
}
