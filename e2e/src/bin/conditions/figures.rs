//! Figures with limits.

use std::fmt;

/// Something that was measured.
#[derive(Clone, Debug)]
pub(crate) struct Figure {
    /// What, with its unit.
    pub(crate) name: String,
    /// How much.
    pub(crate) value: f64,
    /// The most that it may be.
    pub(crate) limit: f64,
}

impl Figure {
    /// Whether it keeps its limit. What could not be measured does not.
    pub(crate) fn holds(&self) -> bool {
        self.value <= self.limit
    }
}

impl fmt::Display for Figure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word = if self.holds() { "holds" } else { "BROKEN" };
        write!(f, "{:<60} {:>10.2}", self.name, self.value)?;
        if self.limit.is_finite() {
            write!(f, "  at most {:>8.2}  {word}", self.limit)?;
        }
        Ok(())
    }
}
