//! Last step of reading: events to a value, as it is after a passage through JSON.
//!
//! go-yaml reads a whole document before it makes anything of it, so grammar errors outrank the errors
//! found here: the first of these is kept until the document has been read.
//!
//! Aliases are copied, since a template may change one copy. What they may multiply is limited twice:
//! by go-yaml's share of copied nodes, and by [`COPIED_BYTES`], which go-yaml does not limit.

mod anchors;
mod keys;
mod outcome;

use std::borrow::Cow;
use std::collections::BTreeMap;

use gotmpl::{List, Map, Str, Value};

use super::error::Error;
use super::events::{Event, EventKind, Events, Properties};
use super::resolve::{self, Scalar};
use anchors::{Anchors, Cost, Target};
use keys::Key;

/// How deeply a value may nest. go-yaml allows 10000, at which a recursive walk is not safe here.
const DEPTH: usize = 500;
/// How many bytes of text aliases may copy.
const COPIED_BYTES: u64 = 64 << 20;
/// How many nodes a document may have, those that aliases stand for included: fifty times the largest public values,
/// and 60 MiB of memory. go-yaml has no limit.
const NODES: u64 = 500_000;

/// Makes values of the documents of a stream.
pub(super) struct Composer<'a> {
    events: Events<'a>,
    strict: bool,
    numbers: Numbers,
    anchors: Anchors<'a>,
    stack: Vec<Frame>,
    error: Option<Error>,
    duplicates: Vec<String>,
    /// Something was met that JSON has not: keys or numbers that [`outcome`] must look at.
    unjson: bool,
}

/// What numbers become.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Numbers {
    /// `float64`, as JSON without a struct to fill.
    Json,
    /// `int64` or `uint64` if they are integers.
    Exact,
}

/// A collection whose end has not been reached.
struct Frame {
    /// Where its anchor, if it has one, awaits the result.
    anchor: Option<usize>,
    /// What had been spent before it.
    before: Cost,
    /// How many levels are below it.
    height: usize,
    /// The line it starts on.
    line: usize,
    /// It is a key, or part of one.
    in_key: bool,
    items: Items,
}

enum Items {
    Sequence(Vec<Value>),
    Mapping { entries: BTreeMap<Str, Value>, key: Option<Key> },
}

/// A node that is complete.
enum Node<'a> {
    Scalar(Scalar<'a>),
    Tree(Value),
}

impl Node<'_> {
    /// The value before the passage through JSON, as far as error texts need it.
    fn into_key_part(self) -> Value {
        match self {
            Self::Scalar(Scalar::Int(value)) => Value::Int(value),
            Self::Scalar(Scalar::Uint(value)) => Value::Uint64(value),
            other => other.into_value(Numbers::Json),
        }
    }

    /// The value after the passage through JSON.
    #[expect(clippy::cast_precision_loss, reason = "JSON's numbers become Go's float64")]
    fn into_value(self, numbers: Numbers) -> Value {
        match self {
            Self::Scalar(Scalar::Int(value)) if numbers == Numbers::Exact => Value::Int64(value),
            Self::Scalar(Scalar::Uint(value)) if numbers == Numbers::Exact => Value::Uint64(value),
            Self::Tree(value) => value,
            Self::Scalar(Scalar::Null) => Value::Nil,
            Self::Scalar(Scalar::Bool(value)) => Value::Bool(value),
            Self::Scalar(Scalar::Int(value)) => Value::Float64(value as f64),
            Self::Scalar(Scalar::Uint(value)) => Value::Float64(value as f64),
            Self::Scalar(Scalar::Float(value)) => Value::Float64(value),
            Self::Scalar(Scalar::Text(text)) => Value::string(&*text),
        }
    }
}

impl<'a> Composer<'a> {
    pub(super) fn new(events: Events<'a>, strict: bool, numbers: Numbers) -> Self {
        Self {
            events,
            strict,
            numbers,
            anchors: Anchors::default(),
            stack: Vec::new(),
            error: None,
            duplicates: Vec::new(),
            unjson: false,
        }
    }

    /// The value of the next document, or `None` at the end of the stream.
    pub(super) fn document(&mut self) -> Result<Option<Value>, Error> {
        self.typed_document(&|_| false)
    }

    /// As [`Composer::document`], where `is_text` says which paths of keys are texts of a struct.
    pub(super) fn typed_document(&mut self, is_text: &dyn Fn(&[Str]) -> bool) -> Result<Option<Value>, Error> {
        if let EventKind::StreamEnd = self.events.next()?.kind {
            return Ok(None);
        }
        self.anchors = Anchors::default();
        let value = loop {
            let event = self.events.next()?;
            if let Some(node) = self.step(event)? {
                break node.into_value(self.numbers);
            }
        };
        self.events.next()?;
        if let Some(error) = self.error.take() {
            return Err(error);
        }
        if !self.duplicates.is_empty() {
            return Err(Error::Duplicate { lines: std::mem::take(&mut self.duplicates) });
        }
        if std::mem::take(&mut self.unjson) {
            outcome::check(&value, is_text)?;
        }
        Ok(Some(value))
    }

    /// Takes one event in. Gives the root node once it is complete.
    fn step(&mut self, event: Event<'a>) -> Result<Option<Node<'a>>, Error> {
        let Event { kind, line } = event;
        if self.anchors.spent.nodes() > NODES {
            let copied = self.anchors.is_mostly_copied();
            return Err(if copied { anchors::excess() } else { Error::TooLarge { nodes: NODES } });
        }
        match kind {
            EventKind::Scalar { properties, value, implicit } => Ok(self.scalar(properties, value, implicit, line)),
            EventKind::Alias(name) => self.alias(name, line),
            EventKind::SequenceStart(properties) => {
                self.open(properties.anchor, Items::Sequence(Vec::new()), line)?;
                Ok(None)
            }
            EventKind::MappingStart(properties) => {
                self.open(properties.anchor, Items::Mapping { entries: BTreeMap::new(), key: None }, line)?;
                Ok(None)
            }
            EventKind::SequenceEnd | EventKind::MappingEnd => Ok(self.close()),
            EventKind::DocumentStart | EventKind::DocumentEnd | EventKind::StreamEnd => {
                Ok(Some(Node::Scalar(Scalar::Null)))
            }
        }
    }

    fn scalar(
        &mut self,
        properties: Properties<'a>,
        text: Cow<'a, str>,
        implicit: bool,
        line: usize,
    ) -> Option<Node<'a>> {
        let Properties { anchor, tag } = properties;
        if self.expects_key() && keys::is_merge(&text, implicit, tag.as_deref()) {
            if let Some(name) = anchor {
                self.anchors.define(name, Target::Scalar(Scalar::Text(text)), Cost::node(2));
            }
            self.set_key(Key::Merge);
            return None;
        }
        let cost = Cost::node(text.len());
        self.spend(cost);
        if self.expects_maps() {
            self.keep(keys::not_maps());
            if let Some(name) = anchor {
                self.anchors.define(name, Target::Scalar(Scalar::Null), cost);
            }
            return self.place(Node::Scalar(Scalar::Null), false, line);
        }
        let scalar = match tag {
            None if implicit => resolve::plain(text),
            None => Scalar::Text(text),
            Some(tag) => resolve::tagged(&tag, text).unwrap_or_else(|error| {
                self.keep(error);
                Scalar::Null
            }),
        };
        self.unjson |= matches!(scalar, Scalar::Float(value) if !value.is_finite());
        if let Some(name) = anchor {
            self.anchors.define(name, Target::Scalar(scalar.clone()), cost);
        }
        self.place(Node::Scalar(scalar), false, line)
    }

    fn alias(&mut self, name: &str, line: usize) -> Result<Option<Node<'a>>, Error> {
        let Some((target, cost)) = self.anchors.get(name) else {
            return Err(Error::compose(format!("unknown anchor '{name}' referenced")));
        };
        let target = target.clone();
        self.spend(Cost::node(0));
        self.spend_copy(cost);
        let node = match target {
            Target::Open => {
                self.keep(Error::compose(format!("anchor '{name}' value contains itself")));
                Node::Scalar(Scalar::Null)
            }
            _ if self.error.is_some() => Node::Scalar(Scalar::Null),
            Target::Scalar(scalar) => Node::Scalar(scalar),
            Target::Tree(value, height) => {
                self.deepen(height, line)?;
                Node::Tree(copy(&value))
            }
        };
        Ok(self.place(node, true, line))
    }

    fn open(&mut self, anchor: Option<&'a str>, items: Items, line: usize) -> Result<(), Error> {
        let before = self.anchors.spent;
        self.spend(Cost::node(0));
        let anchor = anchor.map(|name| self.anchors.define(name, Target::Open, Cost::default()));
        let in_key = self.expects_key() || self.stack.last().is_some_and(|frame| frame.in_key);
        self.stack.push(Frame { anchor, before, height: 0, line, in_key, items });
        self.deepen(0, line)
    }

    fn close(&mut self) -> Option<Node<'a>> {
        let Frame { anchor, before, height, line, in_key: _, items } = self.stack.pop()?;
        let value: Value = match items {
            Items::Sequence(items) => List::any(items).into(),
            Items::Mapping { entries, key: _ } => Map::any(entries).into(),
        };
        if let Some(anchor) = anchor {
            let cost = self.anchors.spent.since(before);
            self.anchors.complete(anchor, Target::Tree(value.clone(), height + 1), cost);
        }
        if let Some(parent) = self.stack.last_mut() {
            parent.height = parent.height.max(height + 1);
        }
        self.place(Node::Tree(value), false, line)
    }

    /// Checks that something of `height` levels may stand at the current place.
    fn deepen(&mut self, height: usize, line: usize) -> Result<(), Error> {
        if self.stack.len() + height > DEPTH {
            return Err(Error::TooDeep { line: line + 1, depth: DEPTH });
        }
        if let Some(frame) = self.stack.last_mut() {
            frame.height = frame.height.max(height);
        }
        Ok(())
    }

    /// Puts a node where it belongs: it is the root, an item, a key or the value of a key.
    fn place(&mut self, node: Node<'a>, aliased: bool, line: usize) -> Option<Node<'a>> {
        let numbers = self.numbers;
        let Some(frame) = self.stack.last_mut() else {
            return Some(node);
        };
        let in_key = frame.in_key;
        let finish = |node: Node<'a>| if in_key { node.into_key_part() } else { node.into_value(numbers) };
        match &mut frame.items {
            Items::Sequence(items) => items.push(finish(node)),
            Items::Mapping { key, entries } => match key.take() {
                None => {
                    let key = self.key(&node, in_key);
                    self.set_key(key);
                }
                Some(Key::Merge) => {
                    if let Err(error) = keys::merge(entries, node, aliased) {
                        self.keep(error);
                    }
                }
                Some(Key::Name(name, syntax)) => {
                    if self.strict && entries.contains_key(&name) {
                        let syntax = syntax.unwrap_or_else(|| crate::go::quote(&name.to_lossy()));
                        self.duplicates.push(format!("line {}: key {syntax} already set in map", line + 1));
                    } else {
                        entries.insert(name, finish(node));
                    }
                }
            },
        }
        None
    }

    fn key(&mut self, node: &Node<'a>, in_key: bool) -> Key {
        let syntax = if self.strict { keys::syntax(node) } else { None };
        let name = if in_key { keys::part_name(node) } else { keys::name(node) };
        match name {
            Ok(name) => Key::Name(name, syntax),
            Err(keys::Trouble::Collection(error)) => {
                self.keep(error);
                Key::Name("".into(), syntax)
            }
            Err(keys::Trouble::Poison(name)) => {
                self.unjson = true;
                Key::Name(name, syntax)
            }
        }
    }

    fn expects_key(&self) -> bool {
        matches!(self.stack.last(), Some(Frame { items: Items::Mapping { key: None, .. }, .. }))
    }

    /// Whether a value, or an item of it, is to be merged here.
    fn expects_maps(&self) -> bool {
        let merges = |frame: &Frame| matches!(frame.items, Items::Mapping { key: Some(Key::Merge), .. });
        match self.stack.as_slice() {
            [.., parent, Frame { items: Items::Sequence(_), .. }] if merges(parent) => true,
            [.., frame] => merges(frame),
            [] => false,
        }
    }

    fn set_key(&mut self, new: Key) {
        if let Some(Frame { items: Items::Mapping { key, .. }, .. }) = self.stack.last_mut() {
            *key = Some(new);
        }
    }

    fn keep(&mut self, error: Error) {
        self.error.get_or_insert(error);
    }

    fn spend(&mut self, cost: Cost) {
        if !self.anchors.spend(cost, false) {
            self.keep(anchors::excess());
        }
    }

    fn spend_copy(&mut self, cost: Cost) {
        if !self.anchors.spend(cost, true) {
            self.keep(anchors::excess());
        }
    }
}

/// A copy that shares nothing a template could change.
fn copy(value: &Value) -> Value {
    match value {
        Value::List(list) => List::any(list.items().iter().map(copy).collect()).into(),
        Value::Map(map) => {
            Map::any(map.borrow().iter().map(|(key, value)| (key.clone(), copy(value))).collect()).into()
        }
        other => other.clone(),
    }
}
