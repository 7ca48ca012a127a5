//! TOML as BurntSushi/toml 1.6.0 reads and prints it: Helm's `fromToml` and `toToml`.

mod number;
mod read;
mod string;
mod tables;
mod write;

pub use read::{Moment, parse, parse_with};
pub use write::emit;

/// Why a text could not be read as TOML, or a value not be printed as TOML; `Display` is the library's text.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The text breaks TOML's rules.
    #[error("toml: line {line}{}: {problem}", last_key(key))]
    Syntax {
        /// The line, counted from one.
        line: usize,
        /// The key that was being read, with the keys of its tables; may be empty.
        key: String,
        /// What is wrong.
        problem: String,
    },
    /// Only a map can be a document.
    #[error("toml: top-level values must be Go maps or structs")]
    NoMap,
    /// TOML has no null for lists.
    #[error("toml: cannot encode array with nil element")]
    NullElement,
    /// TOML has no word for any value of the type: a complex number.
    #[error("unsupported type: {0}")]
    UnsupportedType(String),
    /// So is the type of the whole document.
    #[error("unsupported type for key '': {0}")]
    UnsupportedDocument(String),
    /// The text would be larger than any file; Go has no limit.
    #[error("TOML text is longer than {} bytes", crate::json::BYTES)]
    TooLong,
    /// The value nests too deeply, or contains itself; Go would not end.
    #[error("toml: a value is nested deeper than {} levels", write::DEPTH)]
    Depth,
    /// The text has more than a chart reads, or nests more deeply; the library has no limit.
    #[error("toml: line {line}: {excess}")]
    TooLarge {
        /// The line, counted from one.
        line: usize,
        /// Of what there is too much.
        excess: String,
    },
}

impl Error {
    /// Whether the library has no such limit.
    pub fn is_limit(&self) -> bool {
        matches!(self, Self::TooLong | Self::Depth | Self::TooLarge { .. })
    }
}

fn last_key(key: &str) -> String {
    if key.is_empty() { String::new() } else { format!(" (last key {})", crate::go::quote(key)) }
}

/// A key as TOML writes it: bare if it can be, else in double quotes.
fn quote_key(name: &str) -> String {
    let bare = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
    if !name.is_empty() && name.bytes().all(bare) { name.to_owned() } else { quote(name) }
}

/// The names of a key with points between them.
fn join<S: AsRef<str>>(key: &[S]) -> String {
    key.iter().map(|name| quote_key(name.as_ref())).collect::<Vec<_>>().join(".")
}

/// A string in double quotes.
fn quote(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for character in text.chars() {
        match character {
            '"' | '\\' => out.extend(['\\', character]),
            '\u{08}' => out.push_str("\\b"),
            '\t' => out.push_str("\\t"),
            '\n' => out.push_str("\\n"),
            '\u{0C}' => out.push_str("\\f"),
            '\r' => out.push_str("\\r"),
            '\0'..='\u{1F}' | '\u{7F}' => out.extend(format!("\\u{:04x}", u32::from(character)).chars()),
            _ => out.push(character),
        }
    }
    out.push('"');
    out
}
