//! The way from a schema to one within it, and from a value to a part of it. Only those who tell of it make text of it.

use std::fmt;

/// What a part is called in its object or list.
#[derive(Debug, Clone, Copy)]
pub(super) enum Key<'k> {
    Name(&'k str),
    Index(usize),
}

/// As JSON pointers have it.
impl fmt::Display for Key<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => f.write_str(&name.replace('~', "~0").replace('/', "~1")),
            Self::Index(index) => write!(f, "{index}"),
        }
    }
}

/// A keyword and, if its value holds several schemas, which of them.
#[derive(Debug, Clone, Copy)]
pub(super) struct Step<'k> {
    pub(super) keyword: &'k str,
    pub(super) key: Option<Key<'k>>,
}

impl<'k> Step<'k> {
    /// To the schema that is the value of a keyword.
    pub(super) fn to(keyword: &'k str) -> Self {
        Self { keyword, key: None }
    }

    /// To a property's or pattern's schema.
    pub(super) fn entry(keyword: &'k str, name: &'k str) -> Self {
        Self { keyword, key: Some(Key::Name(name)) }
    }

    /// To a schema in a list.
    pub(super) fn item(keyword: &'k str, index: usize) -> Self {
        Self { keyword, key: Some(Key::Index(index)) }
    }

    /// The keys to it.
    pub(super) fn keys(self) -> impl Iterator<Item = String> {
        let key = self.key.map(|key| match key {
            Key::Name(name) => name.to_owned(),
            Key::Index(index) => index.to_string(),
        });
        std::iter::once(self.keyword.to_owned()).chain(key)
    }
}

/// As JSON pointers have it.
impl fmt::Display for Step<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "/{}", self.keyword)?;
        self.key.map_or(Ok(()), |key| write!(f, "/{key}"))
    }
}
