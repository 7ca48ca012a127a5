//! What the scanner makes of characters.

use std::borrow::Cow;

/// A place in the stream. Lines and columns count from zero, columns in characters.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Mark {
    pub(super) index: usize,
    pub(super) line: usize,
    pub(super) column: usize,
}

/// A token and the line it starts on.
#[derive(Debug)]
pub(in crate::yaml) struct Token<'a> {
    pub(in crate::yaml) kind: TokenKind<'a>,
    pub(in crate::yaml) line: usize,
}

/// The tokens of YAML 1.1.
#[derive(Debug)]
pub(in crate::yaml) enum TokenKind<'a> {
    StreamEnd,
    /// `%YAML major.minor`
    Version(u8, u8),
    /// `%TAG handle prefix`
    TagDirective(Cow<'a, str>, Cow<'a, str>),
    /// `---`
    DocumentStart,
    /// `...`
    DocumentEnd,
    BlockSequenceStart,
    BlockMappingStart,
    /// The end of a block collection, found by indentation.
    BlockEnd,
    FlowSequenceStart,
    FlowSequenceEnd,
    FlowMappingStart,
    FlowMappingEnd,
    /// `-`
    BlockEntry,
    /// `,`
    FlowEntry,
    /// `?`, or the start of a simple key.
    Key,
    /// `:`
    Value,
    /// `*name`
    Alias(&'a str),
    /// `&name`
    Anchor(&'a str),
    /// `!handle!suffix`
    Tag(Cow<'a, str>, Cow<'a, str>),
    /// A scalar; `plain` if it has no quotes and no block indicator.
    Scalar {
        value: Cow<'a, str>,
        plain: bool,
    },
}
