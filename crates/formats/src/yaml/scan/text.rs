//! The value of a scalar while it is read: a slice of the source for as long as that is enough.

use std::borrow::Cow;
use std::ops::Range;

/// A scalar's text so far.
pub(super) struct Text<'a> {
    source: &'a str,
    slice: Range<usize>,
    owned: Option<String>,
}

impl<'a> Text<'a> {
    pub(super) fn new(source: &'a str) -> Self {
        Self { source, slice: 0..0, owned: None }
    }

    /// Appends a piece of the source.
    pub(super) fn push_range(&mut self, range: Range<usize>) {
        if self.owned.is_none() && (self.slice.is_empty() || self.slice.end == range.start) {
            let start = if self.slice.is_empty() { range.start } else { self.slice.start };
            self.slice = start..range.end;
        } else {
            let source = self.source;
            self.owned().push_str(&source[range]);
        }
    }

    /// Appends characters that the source does not have at this place.
    pub(super) fn push_str(&mut self, text: &str) {
        if !text.is_empty() {
            self.owned().push_str(text);
        }
    }

    /// Appends one character that the source does not have at this place.
    pub(super) fn push(&mut self, character: char) {
        self.owned().push(character);
    }

    /// The whole text.
    pub(super) fn finish(self) -> Cow<'a, str> {
        match self.owned {
            Some(text) => Cow::Owned(text),
            None => Cow::Borrowed(&self.source[self.slice]),
        }
    }

    fn owned(&mut self) -> &mut String {
        let (source, slice) = (self.source, self.slice.clone());
        self.owned.get_or_insert_with(|| source[slice].to_owned())
    }
}

/// The white space between two pieces of a flow scalar's text.
#[derive(Default)]
pub(super) struct Gap {
    /// Whether it holds a line break, so that it folds.
    pub(super) folded: bool,
    /// Where its blanks are, while it does not fold.
    pub(super) blanks: Range<usize>,
    /// Its first line break, as it would be kept.
    pub(super) first: &'static str,
    /// Its further line breaks.
    pub(super) more: String,
}

impl Gap {
    /// What is left of the gap between two pieces of text: blanks as they are; of line breaks, a single
    /// newline becomes a space, and of several the first newline goes.
    pub(super) fn write(&self, text: &mut Text<'_>) {
        if !self.folded {
            if !self.blanks.is_empty() {
                text.push_range(self.blanks.clone());
            }
            return;
        }
        if self.first != "\n" {
            text.push_str(self.first);
            text.push_str(&self.more);
        } else if self.more.is_empty() {
            text.push(' ');
        } else {
            text.push_str(&self.more);
        }
    }
}
