//! The version inside a comparator: numbers may be wildcards or missing.

use super::{Error, Version};

/// A version as a constraint spells it, cut from its text; [`Partial::resolve`] gives its meaning.
#[derive(Debug, Clone, Copy)]
pub(super) struct Partial<'a> {
    /// The whole text, with a leading `v`.
    pub(super) text: &'a str,
    numbers: [&'a str; 3],
    /// With its `-`.
    prerelease: &'a str,
}

/// How many numbers of a constraint's version were given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Precision {
    /// None: `*`.
    Any,
    /// The major number alone: `1`, `1.x`.
    Major,
    /// Major and minor: `1.2`, `1.2.*`.
    Minor,
    /// All three.
    Full,
}

impl<'a> Partial<'a> {
    /// Cuts the longest partial version off the start of `text` and returns it with the rest.
    pub(super) fn cut(text: &'a str) -> Option<(Self, &'a str)> {
        let bare = text.strip_prefix('v').unwrap_or(text);
        let (major, rest) = split_while(bare, is_number_or_wildcard);
        if major.is_empty() {
            return None;
        }
        let (minor, rest) = cut_number(rest);
        let (patch, rest) = if minor.is_empty() { ("", rest) } else { cut_number(rest) };
        let (prerelease, rest) = cut_identifiers(rest, '-');
        let (_, rest) = cut_identifiers(rest, '+');
        let text = &text[..text.len() - rest.len()];
        Some((Self { text, numbers: [major, minor, patch], prerelease }, rest))
    }

    /// The lowest version of the range it stands for, and how precise it is.
    pub(super) fn resolve(self) -> Result<(Version, Precision), Error> {
        let [major, minor, patch] = self.numbers;
        let prerelease = self.prerelease;
        let (text, precision) = if is_open(major) {
            (format!("0.0.0{prerelease}"), Precision::Any)
        } else if is_open(minor) {
            (format!("{major}.0.0{prerelease}"), Precision::Major)
        } else if is_open(patch) {
            (format!("{major}.{minor}.0{prerelease}"), Precision::Minor)
        } else {
            (self.text.to_owned(), Precision::Full)
        };
        let version = Version::parse_loose(&text).map_err(|_| Error::ComparatorVersion)?;
        Ok((version, precision))
    }
}

/// Masterminds takes `|` for a character of a number; the version then does not resolve.
fn is_number_or_wildcard(character: char) -> bool {
    matches!(character, '0'..='9' | '|' | 'x' | 'X' | '*')
}

fn is_open(number: &str) -> bool {
    matches!(number, "" | "x" | "X" | "*")
}

/// `.N` off the start; the number is empty when there is none.
fn cut_number(text: &str) -> (&str, &str) {
    let number = text.strip_prefix('.').map(|rest| split_while(rest, is_number_or_wildcard));
    number.filter(|(number, _)| !number.is_empty()).unwrap_or(("", text))
}

/// `-a.b.c` or `+a.b.c` off the start, sign included; empty when there is none.
fn cut_identifiers(text: &str, sign: char) -> (&str, &str) {
    let mut rest = text;
    let mut separator = sign;
    while let Some(tail) = rest.strip_prefix(separator) {
        let (identifier, tail) = split_while(tail, |character| character.is_ascii_alphanumeric() || character == '-');
        if identifier.is_empty() {
            break;
        }
        rest = tail;
        separator = '.';
    }
    text.split_at(text.len() - rest.len())
}

fn split_while(text: &str, belongs: impl Fn(char) -> bool) -> (&str, &str) {
    text.split_at(text.find(|character| !belongs(character)).unwrap_or(text.len()))
}
