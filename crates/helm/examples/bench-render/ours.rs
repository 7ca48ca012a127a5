//! Our side: the counterpart of the Go program, line by line of its protocol.

use std::error::Error;
use std::fmt::Write as _;
use std::fs;
use std::io::{BufRead as _, Write as _};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use helm::chart::{Chart, directory};
use helm::engine::{self, Capabilities, Limits, NoLookup, ParsedTemplates, ReleaseInfo, Request, SEED_BYTES};
use helm::values::{self, ValuesMap};
use jiff::{Timestamp, Zoned, tz::TimeZone};

use super::cases::Case;
use super::race::{Answer, Asked};

/// Answers each line of the standard input.
pub(crate) fn answer_all() -> Result<(), Box<dyn Error>> {
    for line in std::io::stdin().lock().lines() {
        let asked: Asked = serde_json::from_str(&line?)?;
        let answer = answer(&asked).unwrap_or_else(|error| Answer { error: error.to_string(), ..Answer::default() });
        let line = serde_json::to_string(&Answer { peak_kib: peak_kib(), ..answer })?;
        writeln!(std::io::stdout(), "{line}")?;
    }
    Ok(())
}

fn answer(asked: &Asked) -> Result<Answer, Box<dyn Error>> {
    let case = Case { chart: asked.chart.clone().into(), values: asked.values.iter().map(PathBuf::from).collect() };
    let mut answer = Answer::default();
    for _ in 0..asked.repeat {
        let started = Instant::now();
        let chart = directory::load(&case.chart)?;
        answer.load.push(nanoseconds(started));
        let started = Instant::now();
        let (text, repeatable) = render(&chart, &case, None)?;
        answer.rest.push(nanoseconds(started));
        (answer.bytes, answer.repeatable) = (text.len(), repeatable);
    }
    if asked.cached {
        let chart = directory::load(&case.chart)?;
        let parsed = ParsedTemplates::new(&chart);
        render(&chart, &case, Some(&parsed))?;
        for _ in 0..asked.repeat {
            let started = Instant::now();
            render(&chart, &case, Some(&parsed))?;
            answer.cached.push(nanoseconds(started));
        }
    }
    Ok(answer)
}

/// What `helm template` prints for a case, at a fixed time and with fixed randomness, and whether it needs neither.
pub(crate) fn render(
    chart: &Chart,
    case: &Case,
    templates: Option<&ParsedTemplates>,
) -> Result<(String, bool), Box<dyn Error>> {
    let mut all = ValuesMap::new();
    for file in &case.values {
        values::merge(&mut all, values::parse(&fs::read_to_string(file)?)?);
    }
    let rendered = engine::render_on_stack(&Request {
        chart,
        values: &all,
        release: &ReleaseInfo {
            name: "release-name".to_owned(),
            namespace: "default".to_owned(),
            revision: 1,
            is_upgrade: false,
        },
        capabilities: &Capabilities::default(),
        lookup: Arc::new(NoLookup),
        now: Zoned::new(Timestamp::from_second(1_795_000_000)?, TimeZone::UTC),
        seed: [7; SEED_BYTES],
        limits: Limits::default(),
        templates,
        subchart_notes: false,
    })?;
    let mut text = rendered.manifest.trim().to_owned() + "\n";
    for hook in &rendered.hooks {
        write!(text, "---\n# Source: {}\n{}\n", hook.path, hook.manifest)?;
    }
    Ok((text, rendered.repeatable))
}

fn nanoseconds(since: Instant) -> u64 {
    u64::try_from(since.elapsed().as_nanos()).unwrap_or(u64::MAX)
}

/// The most memory that this process has had so far.
fn peak_kib() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.and_then(|line| line.trim().trim_end_matches(" kB").parse().ok()).unwrap_or_default()
}
