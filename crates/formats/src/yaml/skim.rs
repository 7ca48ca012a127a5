//! A few entries of a large document, without a value for all the rest.
//!
//! What is passed over is still read as YAML, so that nothing passes which [`super::parse`] refuses. Whatever is not
//! plain enough to be sure of that (anchors, tags, merges, keys that are no text, errors) makes the skimmer give up:
//! then the document is read in full.

use std::collections::BTreeMap;

use gotmpl::{Map, Str, Value};

use super::events::{EventKind, Events, Properties};
use super::resolve::{self, Implicit};
use super::source::Source;

/// Deeper and larger documents are read in full, which knows where to stop.
const DEPTH: usize = 100;
const NODES: usize = 100_000;

/// Which entries are wanted: by how many maps are around the map they are in, and by their key.
pub type Wanted = fn(usize, &str) -> bool;

/// The first document of a stream, if it is a map: of it, and of the maps that are kept within it, only the `wanted`
/// entries, whose values must be scalars or maps. `None` does not mean that anything is wrong.
pub fn skim(bytes: &[u8], wanted: Wanted) -> Option<Value> {
    let source = Source::new(bytes);
    let mut skimmer = Skimmer { events: Events::new(&source), wanted, nodes: 0 };
    let EventKind::DocumentStart = skimmer.next()? else {
        return None;
    };
    let EventKind::MappingStart(properties) = skimmer.next()? else {
        return None;
    };
    plain(&properties)?;
    let map = skimmer.map(0)?;
    let EventKind::DocumentEnd = skimmer.next()? else {
        return None;
    };
    Some(map.into())
}

struct Skimmer<'a> {
    events: Events<'a>,
    wanted: Wanted,
    nodes: usize,
}

impl<'a> Skimmer<'a> {
    fn next(&mut self) -> Option<EventKind<'a>> {
        self.nodes += 1;
        if self.nodes > NODES {
            return None;
        }
        self.events.next().ok().map(|event| event.kind)
    }

    /// The entries of a map that has begun. Recursion ends where nothing more is wanted.
    fn map(&mut self, depth: usize) -> Option<Map> {
        let mut entries: BTreeMap<Str, Value> = BTreeMap::new();
        loop {
            let event = self.next()?;
            if let EventKind::MappingEnd = event {
                return Some(Map::any(entries));
            }
            let key = key(&event)?;
            if depth < DEPTH && (self.wanted)(depth, key) {
                let key = Str::from(key);
                let value = self.value(depth + 1)?;
                entries.insert(key, value);
            } else {
                self.pass()?;
            }
        }
    }

    fn value(&mut self, depth: usize) -> Option<Value> {
        match self.next()? {
            EventKind::MappingStart(properties) => {
                plain(&properties)?;
                self.map(depth).map(Value::Map)
            }
            EventKind::Scalar { properties, value, implicit } => {
                plain(&properties)?;
                if !implicit {
                    return Some(Value::string(&*value));
                }
                match resolve::implicit(&value) {
                    Implicit::Null => Some(Value::Nil),
                    Implicit::Bool(value) => Some(Value::Bool(value)),
                    Implicit::Timestamp | Implicit::Text => Some(Value::string(&*value)),
                    Implicit::Int(_) | Implicit::Uint(_) | Implicit::Float(_) => None,
                }
            }
            _ => None,
        }
    }

    /// Reads one value, collections to their ends, and checks what JSON could not take.
    fn pass(&mut self) -> Option<()> {
        // For each open collection whether the next node is a key; never in a sequence.
        let mut open: Vec<Option<bool>> = Vec::new();
        loop {
            let event = self.next()?;
            if let EventKind::MappingEnd | EventKind::SequenceEnd = event {
                open.pop()?;
            } else if let Some(Some(is_key @ true)) = open.last_mut() {
                key(&event)?;
                *is_key = false;
                continue;
            } else {
                self::value(&event)?;
            }
            if let Some(Some(is_key)) = open.last_mut() {
                *is_key = true;
            }
            match event {
                EventKind::MappingStart(_) => open.push(Some(true)),
                EventKind::SequenceStart(_) => open.push(None),
                _ => {}
            }
            if open.is_empty() {
                return Some(());
            }
            if open.len() > DEPTH {
                return None;
            }
        }
    }
}

/// A key that stands for itself.
fn key<'e>(event: &'e EventKind<'_>) -> Option<&'e str> {
    let EventKind::Scalar { properties, value, implicit } = event else {
        return None;
    };
    plain(properties)?;
    let is_text = !implicit || matches!(resolve::implicit(value), Implicit::Text | Implicit::Timestamp);
    (is_text && value != "<<").then_some(value)
}

/// A value that may be passed over.
fn value(event: &EventKind<'_>) -> Option<()> {
    match event {
        EventKind::Scalar { properties, value, implicit } => {
            plain(properties)?;
            let may_be_infinite = *implicit && value.starts_with(['.', '+', '-']);
            let infinite = |value: &str| matches!(resolve::implicit(value), Implicit::Float(f) if !f.is_finite());
            (!(may_be_infinite && infinite(value))).then_some(())
        }
        EventKind::MappingStart(properties) | EventKind::SequenceStart(properties) => plain(properties),
        _ => None,
    }
}

fn plain(properties: &Properties<'_>) -> Option<()> {
    (properties.anchor.is_none() && properties.tag.is_none()).then_some(())
}
