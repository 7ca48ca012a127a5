//! What we render, in one number.

use std::error::Error;
use std::fmt::Write as _;

use helm::chart::directory;
use sha2::{Digest as _, Sha256};

use super::cases::Case;
use super::ours;

/// One line per case, outputs and errors alike, and one for all.
pub(crate) fn digest(cases: &[Case]) -> Result<String, Box<dyn Error>> {
    let mut report = String::new();
    let mut all = Sha256::new();
    for case in cases {
        let text = render(case).unwrap_or_else(|error| format!("Error: {error}"));
        let hash = Sha256::digest(text.as_bytes());
        all.update(hash);
        writeln!(report, "{} {case}", hex(&hash))?;
    }
    writeln!(report, "{} in all", hex(&all.finalize()))?;
    Ok(report)
}

fn render(case: &Case) -> Result<String, Box<dyn Error>> {
    Ok(ours::render(&directory::load(&case.chart)?, case, None)?.0)
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().take(8).fold(String::new(), |text, byte| text + &format!("{byte:02x}"))
}
