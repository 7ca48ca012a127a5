//! Tables of ratios: how many times as much Helm needs.

use std::fmt::Write as _;
use std::time::Duration;

use super::race::{Answer, Run};

/// Up to how many bytes of output a case is small, middle; all others are large.
const SIZES: [(&str, usize); 3] = [("small", 10_000), ("middle", 100_000), ("large", usize::MAX)];

/// Times of loading and rendering.
pub(crate) fn times(runs: &[Run]) -> String {
    let mut report = format!(
        "{:>10} {:>5} | {:>23} | {:>23} | {:>23} | {:>23}\n{:16} | {}\n",
        "",
        "cases",
        "load and render",
        "load",
        "render",
        "render, parsed before",
        "",
        vec![format!("{:>7} {:>7} {:>7}", "ours ms", "sum", "median"); 4].join(" | "),
    );
    for (name, class) in classes(runs) {
        let columns: [fn(&Answer) -> u64; 4] = [
            |a| typical(&a.load) + typical(&a.rest),
            |a| typical(&a.load),
            |a| typical(&a.rest),
            |a| {
                // Helm keeps nothing, but need not load the chart again either.
                if a.cached.is_empty() { typical(&a.rest) } else { typical(&a.cached) }
            },
        ];
        let cells = columns.map(|column| {
            let pairs: Vec<_> = class.iter().map(|run| [column(&run.ours), column(&run.helms)]).collect();
            let (ours, sum, median) = ratios(&pairs);
            format!("{:>7.0} {sum:>6.1}x {median:>6.1}x", ours / 1e6)
        });
        writeln!(report, "{name:>10} {:>5} | {}", class.len(), cells.join(" | ")).expect("a string takes all text");
    }
    report
}

/// Peaks of memory.
pub(crate) fn memory(runs: &[Run]) -> String {
    let mut report = format!("{:>9} {:>9} {:>6}\n", "ours KiB", "Helm KiB", "ratio");
    let mut pairs = Vec::new();
    for Run { case, ours, helms } in runs {
        pairs.push([ours.peak_kib, helms.peak_kib]);
        let (_, ratio, _) = ratios(&[[ours.peak_kib, helms.peak_kib]]);
        writeln!(report, "{:>9} {:>9} {ratio:>5.1}x {case}", ours.peak_kib, helms.peak_kib)
            .expect("a string takes all text");
    }
    let (_, _, median) = ratios(&pairs);
    report + &format!("{median:>25.1}x by median\n")
}

/// Times of whole processes.
pub(crate) fn processes(times: &[[Duration; 2]]) -> String {
    let nanoseconds = |time: Duration| u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
    let pairs: Vec<_> = times.iter().map(|pair| pair.map(nanoseconds)).collect();
    let (ours, sum, median) = ratios(&pairs);
    let middle = |side: usize| middle_of(times.iter().map(|pair| pair[side]).collect());
    format!(
        "{} cases, ours {:.0} ms in all; Helm takes {sum:.1}x in all, {median:.1}x by median ({:.1?} and {:.1?})\n",
        times.len(),
        ours / 1e6,
        middle(0),
        middle(1),
    )
}

fn classes(runs: &[Run]) -> impl Iterator<Item = (&'static str, Vec<&Run>)> {
    let mut lower = 0;
    let sized = SIZES.into_iter().map(move |(name, upper)| {
        let range = lower..upper;
        lower = upper;
        (name, runs.iter().filter(|run| range.contains(&run.ours.bytes)).collect())
    });
    let repeatable = runs.iter().filter(|run| run.ours.repeatable).collect();
    sized.chain([("repeatable", repeatable), ("all", runs.iter().collect())])
}

/// The median of the repetitions. The best one would leave out what Go's garbage collector takes.
fn typical(times: &[u64]) -> u64 {
    middle_of(times.to_vec())
}

fn middle_of<T: Copy + Default + Ord>(mut values: Vec<T>) -> T {
    values.sort_unstable();
    values.get(values.len() / 2).copied().unwrap_or_default()
}

/// Our sum, and how many times as much Helm needs: in all, and by the median of the cases.
#[expect(clippy::cast_precision_loss, reason = "times and sizes are far from the limits of a float")]
fn ratios(pairs: &[[u64; 2]]) -> (f64, f64, f64) {
    let [ours, helms] = [0, 1].map(|side| pairs.iter().map(|pair| pair[side]).sum::<u64>() as f64);
    let mut each: Vec<f64> = pairs.iter().map(|[ours, helms]| *helms as f64 / (*ours).max(1) as f64).collect();
    each.sort_by(f64::total_cmp);
    let median = each.get(each.len() / 2).copied().unwrap_or_default();
    (ours, helms / ours.max(1.0), median)
}
