//! Versions and version constraints by the rules of Masterminds/semver 3.5.0.
//!
//! Helm resolves chart versions, dependency ranges, `kubeVersion` and `semverCompare` with that library,
//! whose rules differ from Cargo's and npm's: `1.2` is `1.2.x`, a prerelease is only admitted when its
//! AND group names one, and a version may lack its minor and patch numbers.
//!
//! ```text
//! text ──ranges──► text without hyphen ranges ──constraint──► groups of comparators ──check(Version)──► bool
//! ```

mod comparator;
mod constraint;
mod partial;
mod ranges;
mod version;

pub use constraint::Constraint;
pub use version::Version;

/// Why a version or a constraint was refused, in the words of Masterminds/semver.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The text does not have the shape of a version.
    #[error("invalid semantic version")]
    InvalidVersion,
    /// A strict version must not be empty.
    #[error("version string empty")]
    EmptyVersion,
    /// A version is longer than [`Version::MAX_BYTES`].
    #[error("version string is too long (max {} bytes)", Version::MAX_BYTES)]
    VersionTooLong,
    /// A number of a strict version has something else than digits.
    #[error("invalid characters in version")]
    InvalidCharacters,
    /// A number, or a numeric prerelease identifier, starts with a zero.
    #[error("version segment starts with 0")]
    LeadingZero,
    /// The part after `-` is not a series of dot-separated identifiers.
    #[error("invalid prerelease string")]
    InvalidPrerelease,
    /// The part after `+` is not a series of dot-separated identifiers.
    #[error("invalid metadata string")]
    InvalidMetadata,
    /// A number of a strict version is missing or exceeds 64 bits.
    #[error("{0}")]
    Number(NumberError),
    /// A number of a loose version exceeds 64 bits.
    #[error("error parsing version segment: {0}")]
    Segment(NumberError),
    /// A constraint is longer than [`Constraint::MAX_BYTES`].
    #[error("constraint string is too long (max {} bytes)", Constraint::MAX_BYTES)]
    ConstraintTooLong,
    /// A constraint has more than [`Constraint::MAX_GROUPS`] alternatives.
    #[error("too many constraint groups (max {})", Constraint::MAX_GROUPS)]
    TooManyGroups,
    /// An alternative of a constraint cannot be read; the text is that alternative, hyphen ranges spelled out.
    #[error("improper constraint: {}", gotmpl::quote(.group.as_bytes()))]
    ImproperConstraint {
        /// The alternative, as between two `||`.
        group: String,
    },
    /// A comparator looks right but its version is not one, such as `>1xx`.
    #[error("constraint parser error")]
    ComparatorVersion,
}

/// A decimal number that Go's `strconv.ParseUint` refuses.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NumberError {
    /// There are no digits.
    #[error("strconv.ParseUint: parsing \"\": invalid syntax")]
    Empty,
    /// The number does not fit 64 bits.
    #[error("strconv.ParseUint: parsing \"{digits}\": value out of range")]
    OutOfRange {
        /// The number as written.
        digits: String,
    },
}

/// Whether `version` (read loosely) satisfies `constraint`; an unreadable one satisfies nothing.
pub fn is_compatible(constraint: &str, version: &str) -> bool {
    match (Constraint::parse(constraint), Version::parse_loose(version)) {
        (Ok(constraint), Ok(version)) => constraint.check(&version),
        _ => false,
    }
}
