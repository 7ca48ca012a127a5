//! Samples: chosen anew each time, and the same again by their seed.

use std::hash::{BuildHasher as _, RandomState};

use anyhow::{Context as _, Result};
use sha2::{Digest as _, Sha256};

/// The seed in an environment variable, or a new one. Whoever uses it prints it.
///
/// # Errors
/// When the variable holds no number.
pub fn seed(variable: &str) -> Result<u64> {
    match std::env::var(variable) {
        Ok(text) if !text.is_empty() => text.parse().with_context(|| format!("{variable}={text} is no number")),
        _ => Ok(u64::from(u32::MAX) & RandomState::new().hash_one(())),
    }
}

/// Numbers that a seed and a text decide, evenly spread.
#[derive(Clone, Debug)]
pub struct Numbers {
    key: String,
    drawn: u64,
}

impl Numbers {
    /// The numbers of this seed for this use.
    pub fn new(seed: u64, purpose: &str) -> Self {
        Self { key: format!("{seed} {purpose}"), drawn: 0 }
    }

    /// The next number below `limit` (0 if that is 0).
    pub fn below(&mut self, limit: usize) -> usize {
        self.drawn += 1;
        let digest = Sha256::digest(format!("{} {}", self.key, self.drawn));
        let number = u64::from_le_bytes(std::array::from_fn(|at| digest[at]));
        usize::try_from(number % u64::try_from(limit.max(1)).unwrap_or(1)).unwrap_or_default()
    }

    /// One of `items`.
    pub fn pick<'a, T>(&mut self, items: &'a [T]) -> Option<&'a T> {
        let at = self.below(items.len());
        items.get(at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_decides_and_numbers_are_spread() {
        let draw = |seed, purpose| {
            let mut numbers = Numbers::new(seed, purpose);
            (0..300).map(|_| numbers.below(3)).collect::<Vec<_>>()
        };
        assert_eq!(draw(7, "a"), draw(7, "a"));
        assert_ne!(draw(7, "a"), draw(8, "a"));
        assert_ne!(draw(7, "a"), draw(7, "b"));
        for value in 0..3 {
            assert!(draw(7, "a").iter().filter(|drawn| **drawn == value).count() > 60, "{value} is rare");
        }
        assert_eq!(Numbers::new(1, "x").pick(&[] as &[u8]), None);
    }
}
