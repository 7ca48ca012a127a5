//! One version: reading, order, printing.

use std::cmp::Ordering;
use std::fmt;

use super::{Error, NumberError};

/// A semantic version, with the text it was read from.
///
/// Two versions are equal, and ordered, by precedence: build metadata and spelling (`v1`, `1.0.0`) do not count.
#[derive(Debug, Clone)]
pub struct Version {
    /// The first number.
    pub major: u64,
    /// The second number, 0 when a loose version lacks it.
    pub minor: u64,
    /// The third number, 0 when a loose version lacks it.
    pub patch: u64,
    /// What follows `-`, without it; empty for a release version.
    pub prerelease: String,
    /// What follows `+`, without it.
    pub metadata: String,
    original: String,
}

impl Version {
    /// The longest text that is read as a version.
    pub const MAX_BYTES: usize = 256;

    /// Reads a version that obeys the semver specification to the letter (`StrictNewVersion`).
    pub fn parse(text: &str) -> Result<Self, Error> {
        if text.is_empty() {
            return Err(Error::EmptyVersion);
        }
        if text.len() > Self::MAX_BYTES {
            return Err(Error::VersionTooLong);
        }
        let mut parts = text.splitn(3, '.');
        let (Some(major), Some(minor), Some(rest)) = (parts.next(), parts.next(), parts.next()) else {
            return Err(Error::InvalidVersion);
        };
        let (rest, metadata) = match rest.split_once('+') {
            Some((rest, metadata)) => (rest, validated_metadata(metadata)?),
            None => (rest, ""),
        };
        let (patch, prerelease) = match rest.split_once('-') {
            Some((patch, prerelease)) => (patch, validated_prerelease(prerelease)?),
            None => (rest, ""),
        };
        for number in [major, minor, patch] {
            if !is_numeric(number) {
                return Err(Error::InvalidCharacters);
            }
            if has_leading_zero(number) {
                return Err(Error::LeadingZero);
            }
        }
        Ok(Self {
            major: number(major).map_err(Error::Number)?,
            minor: number(minor).map_err(Error::Number)?,
            patch: number(patch).map_err(Error::Number)?,
            prerelease: prerelease.to_owned(),
            metadata: metadata.to_owned(),
            original: text.to_owned(),
        })
    }

    /// Reads a version as people write it (`NewVersion`): a leading `v`, missing minor or patch numbers and
    /// leading zeros are taken.
    pub fn parse_loose(text: &str) -> Result<Self, Error> {
        if text.len() > Self::MAX_BYTES {
            return Err(Error::VersionTooLong);
        }
        let shape = LooseShape::of(text).ok_or(Error::InvalidVersion)?;
        let [major, minor, patch] = shape.numbers;
        Ok(Self {
            major: number(major).map_err(Error::Segment)?,
            minor: number(minor).map_err(Error::Segment)?,
            patch: number(patch).map_err(Error::Segment)?,
            prerelease: match shape.prerelease {
                Some(prerelease) => validated_prerelease(prerelease)?.to_owned(),
                None => String::new(),
            },
            metadata: shape.metadata.unwrap_or_default().to_owned(),
            original: text.to_owned(),
        })
    }

    /// The text this version was read from, with its `v` and without what it left out.
    pub fn original(&self) -> &str {
        &self.original
    }

    /// The version spelled out: three numbers, prerelease and metadata, no `v` (`Version.String` of Masterminds).
    pub fn canonical(&self) -> String {
        let mut text = format!("{}.{}.{}", self.major, self.minor, self.patch);
        for (sign, part) in [('-', &self.prerelease), ('+', &self.metadata)] {
            if !part.is_empty() {
                text.push(sign);
                text.push_str(part);
            }
        }
        text
    }

    /// Whether this version comes before its release, such as `1.0.0-rc.1`.
    pub fn is_prerelease(&self) -> bool {
        !self.prerelease.is_empty()
    }

    fn numbers(&self) -> (u64, u64, u64) {
        (self.major, self.minor, self.patch)
    }
}

/// The text it was read from.
impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.original)
    }
}

impl Ord for Version {
    fn cmp(&self, other: &Self) -> Ordering {
        self.numbers().cmp(&other.numbers()).then_with(|| match (self.is_prerelease(), other.is_prerelease()) {
            (false, false) => Ordering::Equal,
            (false, true) => Ordering::Greater,
            (true, false) => Ordering::Less,
            (true, true) => {
                let ours = self.prerelease.split('.').map(Identifier::of);
                ours.cmp(other.prerelease.split('.').map(Identifier::of))
            }
        })
    }
}

impl PartialOrd for Version {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Version {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Version {}

/// One dot-separated part of a prerelease, in order of precedence: numbers before words.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum Identifier<'a> {
    Number(u64),
    Word(&'a str),
}

impl<'a> Identifier<'a> {
    /// A number too long for 64 bits compares as a word, as it does in Go.
    fn of(text: &'a str) -> Self {
        number(text).map_or(Self::Word(text), Self::Number)
    }
}

/// The parts of `[v]N[.N[.N]][-prerelease][+metadata]`; what is inside the parts is not judged yet.
struct LooseShape<'a> {
    /// Missing numbers are `"0"`.
    numbers: [&'a str; 3],
    prerelease: Option<&'a str>,
    metadata: Option<&'a str>,
}

impl<'a> LooseShape<'a> {
    fn of(text: &'a str) -> Option<Self> {
        let text = text.strip_prefix('v').unwrap_or(text);
        let (core, metadata) = match text.split_once('+') {
            Some((core, metadata)) => (core, Some(metadata)),
            None => (text, None),
        };
        let (core, prerelease) = match core.split_once('-') {
            Some((core, prerelease)) => (core, Some(prerelease)),
            None => (core, None),
        };
        if !prerelease.is_none_or(is_identifiers) || !metadata.is_none_or(is_identifiers) {
            return None;
        }
        let mut numbers = ["0"; 3];
        for (index, part) in core.split('.').enumerate() {
            if part.is_empty() || !is_numeric(part) {
                return None;
            }
            *numbers.get_mut(index)? = part;
        }
        Some(Self { numbers, prerelease, metadata })
    }
}

/// Reads digits as Go's `strconv.ParseUint(text, 10, 64)`.
fn number(digits: &str) -> Result<u64, NumberError> {
    if digits.is_empty() {
        return Err(NumberError::Empty);
    }
    let out_of_range = |_| NumberError::OutOfRange { digits: digits.to_owned() };
    digits.parse().map_err(out_of_range)
}

fn validated_prerelease(text: &str) -> Result<&str, Error> {
    for identifier in text.split('.') {
        if !is_identifier(identifier) {
            return Err(Error::InvalidPrerelease);
        }
        if is_numeric(identifier) && has_leading_zero(identifier) {
            return Err(Error::LeadingZero);
        }
    }
    Ok(text)
}

fn validated_metadata(text: &str) -> Result<&str, Error> {
    if is_identifiers(text) { Ok(text) } else { Err(Error::InvalidMetadata) }
}

fn is_identifiers(text: &str) -> bool {
    text.split('.').all(is_identifier)
}

fn is_identifier(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
}

fn is_numeric(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_digit())
}

fn has_leading_zero(digits: &str) -> bool {
    digits.len() > 1 && digits.starts_with('0')
}
