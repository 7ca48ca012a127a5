//! Charts made to exhaust the process that renders them: each ends in time, within bounds, and says why.
//!
//! Every case runs in a process of its own, which is this test program again: what it used at most, and whether it
//! survived, can be told apart from the other cases then.

mod archives;
mod idioms;
mod process;
mod templates;
mod values;

use std::time::Duration;

/// What each case may take: five seconds of the product, which is optimised; a build for development is several times slower.
const MAX_TIME: Duration = Duration::from_secs(if cfg!(debug_assertions) { 30 } else { 5 });
const MAX_MEMORY: u64 = 256 << 20;

/// So many cases there are at least of each sort.
const LEAST: usize = 5;

/// A chart that means harm.
struct Case {
    name: &'static str,
    /// Its archive, and the values of the release.
    make: Box<dyn Fn() -> (Vec<u8>, String)>,
    expected: Expected,
}

impl Case {
    fn new(name: &'static str, make: impl Fn() -> (Vec<u8>, String) + 'static, expected: Expected) -> Self {
        Self { name, make: Box::new(make), expected }
    }
}

/// How a case must end.
#[derive(Clone, Copy)]
enum Expected {
    /// With an error that has these words.
    Refused(&'static str),
    /// With manifests: it only looks dangerous.
    Rendered,
}

/// Runs the cases, or those whose names contain what `HOSTILE_ONLY` says.
#[expect(clippy::print_stdout, reason = "the table is what one wants to see")]
fn check(cases: &[Case]) {
    let only = std::env::var("HOSTILE_ONLY").unwrap_or_default();
    assert!(only.is_empty() || std::env::var_os("CI").is_none(), "HOSTILE_ONLY={only} leaves cases out");
    assert!(cases.len() >= LEAST, "only {} cases", cases.len());
    let mut failures = Vec::new();
    for case in cases.iter().filter(|case| case.name.contains(&only)) {
        let used = process::run(case);
        println!("{:40} {:>6} ms {:>4} MiB  {}", case.name, used.time.as_millis(), used.memory >> 20, used.line());
        let ended = match (case.expected, &used.outcome) {
            (_, Err(message)) if message.starts_with(process::DIED) => false,
            (Expected::Refused(words), Err(message)) => message.contains(words),
            (Expected::Rendered, Ok(_)) => true,
            _ => false,
        };
        if !ended || used.time > MAX_TIME || used.memory > MAX_MEMORY {
            failures.push(case.name);
        }
    }
    assert!(failures.is_empty(), "these did not end as they should: {failures:?}");
}

#[test]
fn templates_that_never_end_or_grow_are_refused() {
    check(&templates::cases());
}

#[test]
fn archives_that_bomb_or_escape_are_refused() {
    check(&archives::cases());
}

#[test]
fn values_and_schemas_that_explode_are_refused() {
    check(&values::cases());
}

#[test]
fn what_is_usual_may_be_ten_times_as_large() {
    check(&idioms::cases());
}

#[test]
fn a_case_in_its_own_process() {
    process::child();
}
