//! A whole constraint: alternatives (`||`) of comparators that must all hold (space or comma).

use std::fmt;
use std::str::FromStr;

use super::comparator::{Comparator, Operator};
use super::partial::Partial;
use super::ranges::{self, skip_spaces};
use super::{Error, Version};

/// What versions are wanted, such as `>=1.2, <2 || ~3.1`.
#[derive(Debug, Clone)]
pub struct Constraint {
    groups: Vec<Group>,
    original: String,
}

#[derive(Debug, Clone)]
struct Group {
    comparators: Vec<Comparator>,
    /// A group admits prereleases only when one of its comparators names one.
    prereleases: bool,
}

impl Constraint {
    /// The longest text that is read as a constraint.
    pub const MAX_BYTES: usize = 512;
    /// The most alternatives a constraint may have.
    pub const MAX_GROUPS: usize = 32;

    /// Reads a constraint. The empty text is none: [`Error::ImproperConstraint`].
    pub fn parse(text: &str) -> Result<Self, Error> {
        if text.len() > Self::MAX_BYTES {
            return Err(Error::ConstraintTooLong);
        }
        let spelled_out = ranges::spelled_out(text);
        if spelled_out.split("||").count() > Self::MAX_GROUPS {
            return Err(Error::TooManyGroups);
        }
        let groups = spelled_out.split("||").map(Group::parse).collect::<Result<_, _>>()?;
        Ok(Self { groups, original: text.to_owned() })
    }

    /// Whether `version` satisfies one of the alternatives.
    pub fn check(&self, version: &Version) -> bool {
        self.groups.iter().any(|group| group.admits(version))
    }
}

/// The text it was read from.
impl fmt::Display for Constraint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.original)
    }
}

impl FromStr for Constraint {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        Self::parse(text)
    }
}

/// Constraints are the same when they are written the same.
impl PartialEq for Constraint {
    fn eq(&self, other: &Self) -> bool {
        self.original == other.original
    }
}

impl Eq for Constraint {}

impl Group {
    fn parse(text: &str) -> Result<Self, Error> {
        let parts = parts(text).ok_or_else(|| Error::ImproperConstraint { group: text.to_owned() })?;
        let comparators = parts
            .into_iter()
            .map(|(operator, partial)| Comparator::new(operator, partial))
            .collect::<Result<Vec<_>, _>>()?;
        let prereleases = comparators.iter().any(Comparator::names_prerelease);
        Ok(Self { comparators, prereleases })
    }

    fn admits(&self, version: &Version) -> bool {
        (self.prereleases || !version.is_prerelease())
            && self.comparators.iter().all(|comparator| comparator.admits(version))
    }
}

/// The comparators of one alternative, or nothing when its shape is wrong anywhere.
fn parts(text: &str) -> Option<Vec<(Operator, Partial<'_>)>> {
    let mut parts = Vec::new();
    let mut rest = skip_spaces(text);
    loop {
        let (operator, version) = Operator::cut(rest)?;
        let (partial, after) = Partial::cut(skip_spaces(version))?;
        parts.push((operator, partial));
        rest = skip_spaces(after);
        if rest.is_empty() {
            return Some(parts);
        }
        let spaced = rest.len() < after.len();
        rest = match rest.strip_prefix(',') {
            Some(next) => skip_spaces(next),
            None if spaced => rest,
            None => return None,
        };
    }
}
