//! Whole processes, from start to exit.

use std::error::Error;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use super::cases::Case;

/// The best of this many runs counts.
const REPEAT: usize = 3;

/// Ours and Helm's best time for each case that both render.
pub(crate) fn race(programs: [&Path; 2], cases: &[Case]) -> Result<Vec<[Duration; 2]>, Box<dyn Error>> {
    let mut times = Vec::new();
    for case in cases {
        let mut best = [None; 2];
        for _ in 0..REPEAT {
            for (program, best) in programs.iter().zip(&mut best) {
                if let Some(time) = run(program, case)? {
                    *best = Some(best.map_or(time, |best: Duration| best.min(time)));
                }
            }
        }
        if let [Some(ours), Some(helms)] = best {
            times.push([ours, helms]);
        }
    }
    Ok(times)
}

/// How long one process takes; nothing if it fails.
fn run(program: &Path, case: &Case) -> Result<Option<Duration>, Box<dyn Error>> {
    let mut command = Command::new(program);
    command.args(["template", "release-name"]).arg(&case.chart).stdout(Stdio::null()).stderr(Stdio::null());
    for file in &case.values {
        command.arg("-f").arg(file);
    }
    let started = Instant::now();
    let good = command.status()?.success();
    Ok(good.then(|| started.elapsed()))
}
