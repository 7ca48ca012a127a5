//! What is wrong with values, as a tree: rules that one schema breaks on one value stand together.

use std::fmt;

use super::step::Key;
use super::words::quote;

/// A rule that is broken, with what is broken below it.
#[derive(Debug, Default)]
pub(super) struct Complaint {
    /// JSON pointer of the value.
    pub(super) at: String,
    pub(super) kind: Kind,
    pub(super) causes: Vec<Self>,
}

/// What a complaint is about.
#[derive(Debug, Default)]
pub(super) enum Kind {
    /// Several rules of one schema.
    #[default]
    Group,
    /// What a reference leads to.
    Reference,
    /// One rule, in Go's words.
    Rule(String),
}

impl Complaint {
    /// The complaint itself, or those it only holds together.
    pub(super) fn ungrouped(self) -> Vec<Self> {
        match self.kind {
            Kind::Group => self.causes,
            Kind::Reference | Kind::Rule(_) => vec![self],
        }
    }

    fn print(&self, depth: usize, lines: &mut Vec<String>) {
        let words = match (&self.kind, self.causes.as_slice()) {
            (Kind::Reference, [only]) => return only.print(depth, lines),
            (Kind::Group | Kind::Reference, _) => "validation failed",
            (Kind::Rule(words), _) => words,
        };
        lines.push(format!("{}- at {}: {words}", "  ".repeat(depth), quote(&self.at)));
        for cause in &self.causes {
            cause.print(depth + 1, lines);
        }
    }

    fn places(&self, into: &mut Vec<String>) {
        if self.causes.is_empty() {
            into.push(self.at.clone());
        }
        for cause in &self.causes {
            cause.places(into);
        }
    }
}

/// What is wrong with a whole document.
#[derive(Debug)]
pub(super) struct Complaints(pub(super) Vec<Complaint>);

impl Complaints {
    /// Where in the document the trouble is.
    pub(super) fn places(&self) -> Vec<String> {
        let mut places = Vec::new();
        self.0.iter().for_each(|complaint| complaint.places(&mut places));
        places
    }
}

impl fmt::Display for Complaints {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut lines = Vec::new();
        self.0.iter().for_each(|complaint| complaint.print(0, &mut lines));
        f.write_str(&lines.join("\n"))
    }
}

/// Where a value is in its document.
#[derive(Clone, Copy)]
pub(super) enum Place<'p> {
    Root,
    Below(&'p Self, Key<'p>),
}

impl Place<'_> {
    /// As a JSON pointer.
    pub(super) fn pointer(&self) -> String {
        match self {
            Self::Root => String::new(),
            Self::Below(parent, key) => format!("{}/{key}", parent.pointer()),
        }
    }
}
