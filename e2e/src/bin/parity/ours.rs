//! Our side: what `helm-operator template` prints.

use std::time::SystemTime;

use anyhow::{Context as _, Result};
use clap::Parser;
use helm_operator::template::{self, Moment, Options};
use jiff::Zoned;

use crate::case::Case;
use crate::helm::{Answer, RELEASE, without_advice};

#[derive(Parser)]
struct Command {
    #[command(flatten)]
    options: Options,
}

/// What we make of `case` at the `time` at which Helm was asked.
pub(crate) fn answer(case: &Case, flags: &[String], time: SystemTime) -> Result<Answer> {
    let chart = case.chart.display().to_string();
    let values = case.values.iter().flat_map(|file| ["-f".to_owned(), file.display().to_string()]);
    let own = ["template".to_owned(), RELEASE.to_owned(), chart].into_iter().chain(values);
    let command = Command::try_parse_from(own.chain(flags.iter().cloned())).context("the flags are not ours")?;
    let outcome = template::render(&command.options, &Moment { now: Zoned::try_from(time)?, seed: [7; 32] });
    Ok(match outcome.error {
        None => Ok(outcome.stdout),
        Some(error) => Err(without_advice(&error.to_string())),
    })
}
