//! JSON as Go's `encoding/json` reads and prints it, and the border to `serde_json`.

mod border;
mod cycle;
mod read;
mod write;

pub use border::{from_serde, from_serde_exact, to_serde};
pub(crate) use cycle::contains_itself;
pub use read::{parse, parse_prefix};
pub use write::{emit, emit_pretty, emit_raw};

/// How deeply a text or a value may nest. Go allows 10000 levels when reading, which is not safe here.
const DEPTH: usize = 500;

/// How many values a text may consist of: as in YAML, 100 MiB of memory.
const NODES: usize = 500_000;

/// What is printed ends here, whatever a value contains again and again: 16 MiB. YAML and TOML end there, too.
pub(crate) const BYTES: usize = 16 << 20;

/// Why a text could not be read as JSON, or a value not be printed as JSON; `Display` is Go's text.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The text ends too early.
    #[error("unexpected end of JSON input")]
    UnexpectedEnd,
    /// A character has no place where it stands.
    #[error("invalid character {} {expected}", crate::go::quote_rune(char::from(*found)))]
    InvalidCharacter {
        /// The first byte of the character.
        found: u8,
        /// What should have been there, or where it stands.
        expected: &'static str,
    },
    /// The text nests more deeply than is safe here; the words are Go's but for the limit.
    #[error("invalid character {} exceeded max depth of {DEPTH}", crate::go::quote_rune(char::from(*found)))]
    DeepText {
        /// The bracket that is one too many.
        found: u8,
    },
    /// The number has no `float64`.
    #[error("json: cannot unmarshal number {number} into Go value of type float64")]
    NumberRange {
        /// The number as written.
        number: String,
    },
    /// The text is larger than anything a chart reads; Go has no limit.
    #[error("JSON text has more than {NODES} values")]
    TooLarge,
    /// The text would be larger than any manifest; Go has no limit.
    #[error("JSON text is longer than {BYTES} bytes")]
    TooLong,
    /// The value nests more deeply than is safe here; Go has no limit.
    #[error("json: a value is nested deeper than {DEPTH} levels")]
    TooDeep,
    /// JSON has no word for the value: an infinity, a NaN, a map that contains itself.
    #[error("json: unsupported value: {0}")]
    UnsupportedValue(String),
    /// JSON has no word for any value of the type: a complex number.
    #[error("json: unsupported type: {0}")]
    UnsupportedType(String),
}

impl Error {
    /// Whether Go has no such limit.
    pub fn is_limit(&self) -> bool {
        match self {
            Self::DeepText { .. } | Self::TooLarge | Self::TooLong | Self::TooDeep => true,
            Self::UnexpectedEnd
            | Self::InvalidCharacter { .. }
            | Self::NumberRange { .. }
            | Self::UnsupportedType(_)
            | Self::UnsupportedValue(_) => false,
        }
    }
}
