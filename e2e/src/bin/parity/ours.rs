//! Our side: what `helm-operator template` prints.

use anyhow::{Context as _, Result};
use clap::Parser;
use helm_operator::template::{self, Moment, Options};
use jiff::{Span, Zoned};

use crate::case::Case;
use crate::helm::{Answer, RELEASE};

/// What else the time could be when a chart is rendered.
const LATER_HOURS: i64 = 800;

#[derive(Parser)]
struct Command {
    #[command(flatten)]
    options: Options,
}

/// What we make of `case` at this moment.
pub(crate) fn answer(case: &Case, flags: &[String]) -> Result<Answer> {
    answer_at(case, flags, &Moment { now: Zoned::now(), seed: [7; 32] })
}

/// Whether we make the same of `case` at another time and with other randomness.
pub(crate) fn is_repeatable(case: &Case, flags: &[String], answer: &Answer) -> Result<bool> {
    let now = Zoned::now().checked_add(Span::new().hours(LATER_HOURS)).context("the calendar ends")?;
    Ok(answer_at(case, flags, &Moment { now, seed: [8; 32] })? == *answer)
}

fn answer_at(case: &Case, flags: &[String], moment: &Moment) -> Result<Answer> {
    let chart = case.chart.display().to_string();
    let values = case.values.iter().flat_map(|file| ["-f".to_owned(), file.display().to_string()]);
    let own = ["template".to_owned(), RELEASE.to_owned(), chart].into_iter().chain(values);
    let command = Command::try_parse_from(own.chain(flags.iter().cloned())).context("the flags are not ours")?;
    let outcome = template::render(&command.options, moment);
    Ok(match outcome.error {
        None => Ok(outcome.stdout),
        Some(error) => Err(error.to_string().trim_end().to_owned()),
    })
}
