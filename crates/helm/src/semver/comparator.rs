//! One operator with its version, and what it admits.

use super::partial::{Partial, Precision};
use super::{Error, Version};

/// The sign before a version; each of Masterminds' spellings maps to one of these.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Operator {
    Equal,
    NotEqual,
    Greater,
    Less,
    GreaterOrEqual,
    LessOrEqual,
    Tilde,
    Caret,
}

impl Operator {
    /// Cuts the operator off the start of `text`; no sign at all is [`Operator::Equal`].
    pub(super) fn cut(text: &str) -> Option<(Self, &str)> {
        let end = text.find(|sign| !"=!<>~^".contains(sign)).unwrap_or(text.len());
        let (sign, rest) = text.split_at(end);
        let operator = match sign {
            "" | "=" => Self::Equal,
            "!=" => Self::NotEqual,
            ">" => Self::Greater,
            "<" => Self::Less,
            ">=" | "=>" => Self::GreaterOrEqual,
            "<=" | "=<" => Self::LessOrEqual,
            "~" | "~>" => Self::Tilde,
            "^" => Self::Caret,
            _ => return None,
        };
        Some((operator, rest))
    }
}

/// `>= 1.2`: an operator and the lowest version of what was written.
#[derive(Debug, Clone)]
pub(super) struct Comparator {
    operator: Operator,
    bound: Version,
    precision: Precision,
}

impl Comparator {
    pub(super) fn new(operator: Operator, partial: Partial<'_>) -> Result<Self, Error> {
        let (bound, precision) = partial.resolve()?;
        Ok(Self { operator, bound, precision })
    }

    /// Whether its own version is a prerelease, which lets prereleases into its group.
    pub(super) fn names_prerelease(&self) -> bool {
        self.bound.is_prerelease()
    }

    /// Whether `version` satisfies it; prereleases are the group's business.
    pub(super) fn admits(&self, version: &Version) -> bool {
        match self.operator {
            Operator::Equal if self.precision == Precision::Full => *version == self.bound,
            Operator::Equal | Operator::Tilde => self.tilde(version),
            Operator::NotEqual => self.not_equal(version),
            Operator::Greater => self.greater(version),
            Operator::Less => *version < self.bound,
            Operator::GreaterOrEqual => *version >= self.bound,
            Operator::LessOrEqual => self.less_or_equal(version),
            Operator::Caret => self.caret(version),
        }
    }

    fn not_equal(&self, version: &Version) -> bool {
        match self.precision {
            Precision::Any | Precision::Full => *version != self.bound,
            Precision::Major => version.major != self.bound.major,
            Precision::Minor => line(version) != line(&self.bound) || version.prerelease != self.bound.prerelease,
        }
    }

    fn greater(&self, version: &Version) -> bool {
        match self.precision {
            Precision::Any | Precision::Full => *version > self.bound,
            Precision::Major => version.major > self.bound.major,
            Precision::Minor => line(version) > line(&self.bound),
        }
    }

    fn less_or_equal(&self, version: &Version) -> bool {
        match self.precision {
            Precision::Full => *version <= self.bound,
            Precision::Major => version.major <= self.bound.major,
            Precision::Any | Precision::Minor => line(version) <= line(&self.bound),
        }
    }

    /// Changes of the last given number: `~1.2.3` and `~1.2` stay in `1.2`, `~1` in `1`; `~0.0.0` and `~*` admit all.
    fn tilde(&self, version: &Version) -> bool {
        if *version < self.bound {
            return false;
        }
        let zero = (self.bound.major, self.bound.minor, self.bound.patch) == (0, 0, 0);
        match self.precision {
            Precision::Any | Precision::Full if zero => true,
            Precision::Major => version.major == self.bound.major,
            Precision::Any | Precision::Minor | Precision::Full => line(version) == line(&self.bound),
        }
    }

    /// Changes right of the first number that is not zero; `^*` admits `0.0.0` alone, an oddity we share.
    fn caret(&self, version: &Version) -> bool {
        if *version < self.bound || version.major != self.bound.major {
            return false;
        }
        if self.bound.major > 0 || self.precision == Precision::Major {
            return true;
        }
        if version.minor != self.bound.minor {
            return false;
        }
        self.bound.minor > 0 || self.precision == Precision::Minor || version.patch == self.bound.patch
    }
}

/// The release line a version belongs to.
fn line(version: &Version) -> (u64, u64) {
    (version.major, version.minor)
}
