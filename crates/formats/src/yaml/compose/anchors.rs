//! Anchors of one document, and what their aliases cost.

use std::collections::BTreeMap;

use gotmpl::Value;

use super::super::error::Error;
use super::super::resolve::Scalar;
use super::COPIED_BYTES;

/// What an alias stands for.
#[derive(Clone)]
pub(super) enum Target<'a> {
    /// The collection has not ended: an alias to it would contain itself.
    Open,
    Scalar(Scalar<'a>),
    /// A collection, and how many levels it has.
    Tree(Value, usize),
}

/// How much was made: nodes, and bytes of text.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Cost {
    nodes: u64,
    bytes: u64,
}

impl Cost {
    /// One node with a text of this length.
    pub(super) fn node(length: usize) -> Self {
        Self { nodes: 1, bytes: length as u64 }
    }

    /// How many nodes were made.
    pub(super) fn nodes(self) -> u64 {
        self.nodes
    }

    /// What was spent after `before`.
    pub(super) fn since(self, before: Self) -> Self {
        Self { nodes: self.nodes - before.nodes, bytes: self.bytes - before.bytes }
    }

    fn plus(self, other: Self) -> Self {
        Self { nodes: self.nodes.saturating_add(other.nodes), bytes: self.bytes.saturating_add(other.bytes) }
    }
}

/// The anchors of a document. A name can be defined again; aliases then mean the latest.
#[derive(Default)]
pub(super) struct Anchors<'a> {
    names: BTreeMap<&'a str, usize>,
    targets: Vec<(Target<'a>, Cost)>,
    /// All nodes so far, with what aliases stand for counted each time.
    pub(super) spent: Cost,
    /// The part of it that aliases made.
    copied: Cost,
}

impl<'a> Anchors<'a> {
    /// Gives a name to a target, which may be completed later.
    pub(super) fn define(&mut self, name: &'a str, target: Target<'a>, cost: Cost) -> usize {
        let place = self.targets.len();
        self.targets.push((target, cost));
        self.names.insert(name, place);
        place
    }

    /// Replaces an open target.
    pub(super) fn complete(&mut self, place: usize, target: Target<'a>, cost: Cost) {
        self.targets[place] = (target, cost);
    }

    pub(super) fn get(&self, name: &str) -> Option<(&Target<'a>, Cost)> {
        let (target, cost) = &self.targets[*self.names.get(name)?];
        Some((target, *cost))
    }

    /// Whether most nodes are there because of aliases.
    pub(super) fn is_mostly_copied(&self) -> bool {
        self.copied.nodes > self.spent.nodes / 2
    }

    /// Counts nodes, and says whether the document is still reasonable.
    pub(super) fn spend(&mut self, cost: Cost, copied: bool) -> bool {
        self.spent = self.spent.plus(cost);
        if copied {
            self.copied = self.copied.plus(cost);
        }
        let (made, by_alias) = (self.spent.nodes, self.copied.nodes);
        let excessive = by_alias > 100 && made > 1000 && share(by_alias, made) > allowed_share(made);
        !excessive && self.copied.bytes <= COPIED_BYTES
    }
}

/// What is said about a document that multiplies too much.
pub(super) fn excess() -> Error {
    Error::compose("document contains excessive aliasing")
}

#[expect(clippy::cast_precision_loss, reason = "a share needs no more precision")]
fn share(part: u64, whole: u64) -> f64 {
    part as f64 / whole as f64
}

/// go-yaml's limit: nearly everything may come from aliases in a small document, a tenth in a large one.
fn allowed_share(made: u64) -> f64 {
    const SMALL: u64 = 400_000;
    const LARGE: u64 = 4_000_000;
    match made {
        ..=SMALL => 0.99,
        LARGE.. => 0.10,
        _ => 0.99 - 0.89 * share(made - SMALL, LARGE - SMALL),
    }
}
