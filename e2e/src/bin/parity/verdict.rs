//! How our answer for a case compares with Helm's.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use anyhow::Result;

use crate::case::Case;
use crate::helm::{Answer, Helm};
use crate::ours;

/// How often Helm is asked before a difference is held to be one: its maps have no order.
const ATTEMPTS: usize = 4;

/// How a case ended.
#[derive(Debug)]
pub(crate) enum Verdict {
    /// Both render the same bytes.
    Identical,
    /// Helm itself renders it in several ways; what is the same in all of them is the same in ours.
    SetAside,
    /// Both render, but not the same.
    Differs {
        /// Where they part.
        difference: String,
    },
    /// Neither renders.
    Rejected {
        /// Helm's error.
        helm: String,
        /// Ours.
        ours: String,
    },
    /// Only we render it.
    WrongAccept {
        /// Why Helm does not.
        helm: String,
    },
    /// Only Helm renders it.
    WrongReject {
        /// Why we do not.
        ours: String,
    },
}

/// Renders `case` with both.
pub(crate) fn of(case: &Case, helm: &Helm, flags: &[String]) -> Result<Verdict> {
    let (first, time) = helm.ask(case, flags, 0)?;
    let ours = ours::answer(case, flags, time)?;
    let mut answers = vec![first];
    loop {
        let verdict = judge(&ours, &answers);
        if verdict.is_alike() || answers.len() == ATTEMPTS {
            return Ok(verdict);
        }
        answers.push(helm.ask(case, flags, answers.len())?.0);
    }
}

impl Verdict {
    /// Whether the two do not agree on whether and what to render.
    pub(crate) fn is_difference(&self) -> bool {
        matches!(self, Self::Differs { .. } | Self::WrongAccept { .. } | Self::WrongReject { .. })
    }

    /// Whether nothing would be won by asking again.
    fn is_alike(&self) -> bool {
        match self {
            Self::Identical | Self::SetAside => true,
            Self::Rejected { helm, ours } => helm == ours,
            Self::Differs { .. } | Self::WrongAccept { .. } | Self::WrongReject { .. } => false,
        }
    }
}

fn judge(ours: &Answer, answers: &[Answer]) -> Verdict {
    let steady = answers.windows(2).all(|pair| pair[0] == pair[1]);
    if answers.contains(ours) {
        return match ours {
            Ok(_) if steady => Verdict::Identical,
            Ok(_) => Verdict::SetAside,
            Err(ours) => Verdict::Rejected { helm: ours.clone(), ours: ours.clone() },
        };
    }
    let outputs: Vec<&[u8]> = answers.iter().filter_map(|answer| answer.as_deref().ok()).collect();
    let error = answers.iter().find_map(|answer| answer.as_ref().err());
    match (ours, outputs.split_first(), error) {
        (Ok(ours), Some((first, others)), _) => compare(ours, first, others),
        (Ok(_), None, helm) => Verdict::WrongAccept { helm: helm.cloned().unwrap_or_default() },
        (Err(ours), _, Some(helm)) if is_shuffled(ours, helm, steady) => {
            Verdict::Rejected { helm: ours.clone(), ours: ours.clone() }
        }
        (Err(ours), _, Some(helm)) => Verdict::Rejected { helm: helm.clone(), ours: ours.clone() },
        (Err(ours), _, None) => Verdict::WrongReject { ours: ours.clone() },
    }
}

/// Whether two errors differ only in an order that is random in Helm: that of broken rules always is, others are if Helm
/// does not always say the same.
fn is_shuffled(ours: &str, helm: &str, steady: bool) -> bool {
    let sorted = |text: &str| {
        let mut words: Vec<String> = text.split(['\n', ' ', ',']).map(str::to_owned).collect();
        words.sort();
        words
    };
    (!steady || helm.starts_with("values don't meet")) && sorted(ours) == sorted(helm)
}

/// Compares what Helm renders the same every time: line by line, or, where it renders things in another order every
/// time, the lines that are always there.
fn compare(ours: &[u8], first: &[u8], others: &[&[u8]]) -> Verdict {
    let (ours, first) = (lines(ours), lines(first));
    let others: Vec<_> = others.iter().map(|other| lines(other)).collect();
    if others.iter().all(|other| *other == first) {
        return Verdict::Differs { difference: difference(&ours, &first) };
    }
    let steady = |index: usize| others.iter().all(|other| other.len() == first.len() && other[index] == first[index]);
    let is_alike = |index: usize| !steady(index) || ours[index] == first[index];
    if ours.len() == first.len() && (0..first.len()).all(is_alike) {
        return Verdict::SetAside;
    }
    let (mut rest, others) = (counts(&ours), others.iter().map(|other| counts(other)).collect::<Vec<_>>());
    let mut missing = Vec::new();
    for (line, count) in counts(&first) {
        let always = others.iter().map(|other| other.get(line).copied().unwrap_or_default()).fold(count, usize::min);
        if rest.remove(line).unwrap_or_default() < always {
            missing.push(line);
        }
    }
    if missing.is_empty() {
        return Verdict::SetAside;
    }
    Verdict::Differs { difference: format!("  Helm always has:\n{}", marked('-', &missing)) }
}

/// How often each line is there.
fn counts<'t>(lines: &[&'t [u8]]) -> BTreeMap<&'t [u8], usize> {
    let mut counts = BTreeMap::new();
    for line in lines {
        *counts.entry(*line).or_default() += 1;
    }
    counts
}

fn lines(text: &[u8]) -> Vec<&[u8]> {
    text.split(|byte| *byte == b'\n').collect()
}

/// Lines that are shown of each side.
const SHOWN_LINES: usize = 12;

/// What stands between the first and the last line in which they differ.
fn difference(ours: &[&[u8]], helm: &[&[u8]]) -> String {
    let before = ours.iter().zip(helm).take_while(|(ours, helm)| ours == helm).count();
    let after = ours[before..].iter().rev().zip(helm[before..].iter().rev());
    let after = after.take_while(|(ours, helm)| ours == helm).count();
    let source = helm[..before].iter().rev().find(|line| line.starts_with(b"# Source: "));
    let (ours, helm) = (&ours[before..ours.len() - after], &helm[before..helm.len() - after]);
    let source = String::from_utf8_lossy(source.unwrap_or(&&b""[..]));
    format!("  line {} {source}\n{}{}", before + 1, marked('-', helm), marked('+', ours))
}

fn marked(mark: char, lines: &[&[u8]]) -> String {
    let mut text = String::new();
    for line in lines.iter().take(SHOWN_LINES) {
        writeln!(text, "  {mark} {}", String::from_utf8_lossy(line)).expect("writing to a string does not fail");
    }
    text
}

#[cfg(test)]
mod tests;
