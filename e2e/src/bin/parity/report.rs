//! The outcome of a run: a table by top folder, then what differs.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::ops::AddAssign;

use crate::case::Case;
use crate::verdict::Verdict;

/// All verdicts of a run.
#[derive(Debug, Default)]
pub(crate) struct Report {
    groups: BTreeMap<String, Counts>,
    differences: BTreeMap<String, String>,
    errors: Vec<OtherWords>,
}

/// A case that both reject in different words.
#[derive(Debug)]
struct OtherWords {
    case: String,
    helm: String,
    ours: String,
}

#[derive(Debug, Default, Clone, Copy)]
struct Counts {
    cases: usize,
    identical: usize,
    set_aside: usize,
    differ: usize,
    rejected: usize,
    same_error: usize,
    wrong_accepts: usize,
    wrong_rejects: usize,
}

impl AddAssign for Counts {
    fn add_assign(&mut self, other: Self) {
        let Self { cases, identical, set_aside, differ, rejected, same_error, wrong_accepts, wrong_rejects } = other;
        self.cases += cases;
        self.identical += identical;
        self.set_aside += set_aside;
        self.differ += differ;
        self.rejected += rejected;
        self.same_error += same_error;
        self.wrong_accepts += wrong_accepts;
        self.wrong_rejects += wrong_rejects;
    }
}

impl Report {
    /// Notes how `case` ended.
    pub(crate) fn add(&mut self, case: &Case, verdict: Verdict) {
        let counts = self.groups.entry(case.group().to_owned()).or_default();
        counts.cases += 1;
        let difference = match verdict {
            Verdict::Identical => {
                counts.identical += 1;
                return;
            }
            Verdict::SetAside => {
                counts.set_aside += 1;
                return;
            }
            Verdict::Rejected { helm, ours } => {
                counts.rejected += 1;
                if helm == ours {
                    counts.same_error += 1;
                } else {
                    self.errors.push(OtherWords { case: case.name.clone(), helm, ours });
                }
                return;
            }
            Verdict::Differs { difference } => {
                counts.differ += 1;
                difference
            }
            Verdict::WrongAccept { helm } => {
                counts.wrong_accepts += 1;
                format!("  helm: {helm}\n  ours: renders\n")
            }
            Verdict::WrongReject { ours } => {
                counts.wrong_rejects += 1;
                format!("  helm: renders\n  ours: {ours}\n")
            }
        };
        self.differences.insert(case.name.clone(), difference);
    }

    /// How many cases it has.
    pub(crate) fn len(&self) -> usize {
        self.groups.values().map(|counts| counts.cases).sum()
    }

    /// Whether nothing but error texts differs.
    pub(crate) fn is_good(&self) -> bool {
        self.differences.is_empty()
    }

    /// The table, then at most `show` differences, then as many kinds of differing errors if `errors` are wanted.
    pub(crate) fn print(&self, show: usize, errors: bool) -> String {
        let mut text = self.table();
        for (case, difference) in self.differences.iter().take(show) {
            write!(text, "\n{case}\n{difference}").expect("writing to a string does not fail");
        }
        if self.differences.len() > show {
            let more = self.differences.len() - show;
            writeln!(text, "\nand {more} more: --show {}", self.differences.len()).expect("a string takes it");
        }
        if errors {
            text.push_str(&self.error_kinds(show));
        }
        text
    }

    fn table(&self) -> String {
        let mut text = String::new();
        let mut total = Counts::default();
        let mut row = |name: &str, columns: [&dyn std::fmt::Display; 8]| {
            write!(text, "{name:<42}").expect("writing to a string does not fail");
            for column in columns {
                write!(text, "{column:>11}").expect("writing to a string does not fail");
            }
            text.push('\n');
        };
        let heads = ["cases", "identical", "set aside", "differ", "rejected", "same error", "accepted!", "rejected!"];
        row("", heads.each_ref().map(|head| head as &dyn std::fmt::Display));
        for (name, counts) in &self.groups {
            row(name, counts.columns());
            total += *counts;
        }
        row("in all", total.columns());
        text.push_str(
            "set aside: Helm differs from itself, and we agree with what it always says; rejected: by both; \
             accepted!, rejected!: by us alone\n",
        );
        text
    }

    fn error_kinds(&self, show: usize) -> String {
        let mut kinds: BTreeMap<_, Vec<&OtherWords>> = BTreeMap::new();
        for error in &self.errors {
            kinds.entry([kind_of(&error.helm), kind_of(&error.ours)]).or_default().push(error);
        }
        let mut kinds: Vec<_> = kinds.into_values().collect();
        kinds.sort_by_key(|errors| std::cmp::Reverse(errors.len()));
        let mut text = String::new();
        for errors in kinds.into_iter().take(show) {
            let OtherWords { case, helm, ours } = errors[0];
            let (helm, ours) = (helm.replace('\n', "\n        "), ours.replace('\n', "\n        "));
            writeln!(text, "\n{} × {case}\n  helm: {helm}\n  ours: {ours}", errors.len()).expect("a string takes it");
        }
        text
    }
}

impl Counts {
    fn columns(&self) -> [&dyn std::fmt::Display; 8] {
        let Self { cases, identical, set_aside, differ, rejected, same_error, wrong_accepts, wrong_rejects } = self;
        [cases, identical, set_aside, differ, rejected, same_error, wrong_accepts, wrong_rejects]
    }
}

/// An error without what belongs to one case alone: what is quoted, digits and paths.
fn kind_of(error: &str) -> String {
    let mut kind = String::new();
    for line in error.lines() {
        for word in line.split(' ') {
            let plain = !word.contains(['/', '"', '\'', '`', '<', '>']) && !word.contains(|c: char| c.is_ascii_digit());
            kind.push_str(if plain { word } else { "*" });
            kind.push(' ');
        }
        if !kind.ends_with("* * ") {
            kind.push('\n');
        }
    }
    kind
}
