//! The tables of a document while it is read, and which keys are taken.
//!
//! The library keeps one tree of tables, and beside it the keys that exist only because a longer key
//! needed them: these may be defined once more. What it lets pass follows from that, not from TOML's
//! specification, so it is kept the same way here.

use std::collections::{BTreeMap, BTreeSet};

use gotmpl::{List, ListType, Map, Str, Value};

/// How deeply tables may nest; the library has no limit.
const DEPTH: usize = 200;

/// The names of a key, from the root.
pub(super) type Key = Vec<String>;

/// A table that is still open.
pub(super) type Table = BTreeMap<String, Node>;

pub(super) enum Node {
    Value(Value),
    Table(Table),
    /// An array of tables; keys go to the last one.
    Tables(Vec<Table>),
}

/// Why a key cannot be used.
pub(super) type Problem = String;

#[derive(Default)]
pub(super) struct Document {
    root: Table,
    implicit: BTreeSet<Key>,
    arrays: BTreeSet<Key>,
    /// The table in which keys are defined.
    pub(super) context: Key,
    /// The key whose value is being read, if any.
    pub(super) current: String,
}

impl Document {
    /// Where the reader is, for error texts.
    pub(super) fn place(&self) -> String {
        let context = super::join(&self.context);
        match (self.current.is_empty(), context.is_empty()) {
            (true, _) => context,
            (false, true) => self.current.clone(),
            (false, false) => format!("{context}.{}", self.current),
        }
    }

    /// Goes to the table, or to a new element of the array of tables, that the key names.
    pub(super) fn enter(&mut self, key: &[String], array: bool) -> Result<(), Problem> {
        let Some((last, parents)) = key.split_last() else { return Ok(()) };
        if key.len() > DEPTH {
            return Err(format!("exceeded max depth of {DEPTH}"));
        }
        for length in 1..=parents.len() {
            let (path, before) = (&parents[..length], &parents[..length - 1]);
            let taken = |_| format!("Key '{}' was already created as a hash.", super::join(path));
            let table = locate(&mut self.root, before).map_err(taken)?;
            let name = &path[length - 1];
            if !table.contains_key(name) {
                self.implicit.insert(path.to_vec());
            }
            if let Node::Value(_) = table.entry(name.clone()).or_insert_with(|| Node::Table(Table::new())) {
                return Err(format!("Key '{}' was already created as a hash.", super::join(path)));
            }
        }
        self.context = parents.to_vec();
        if array {
            self.append_table(key, last)?;
        } else {
            self.set(last, Node::Table(Table::new()))?;
        }
        self.context.push(last.clone());
        Ok(())
    }

    fn append_table(&mut self, key: &[String], last: &str) -> Result<(), Problem> {
        let used = || format!("Key '{}' was already created and cannot be used as an array.", super::join(key));
        let table = locate(&mut self.root, &self.context).map_err(|_| used())?;
        match table.entry(last.to_owned()).or_insert_with(|| Node::Tables(Vec::new())) {
            Node::Tables(tables) => {
                tables.push(Table::new());
                Ok(())
            }
            Node::Value(_) | Node::Table(_) => Err(used()),
        }
    }

    /// Goes one name further, as the first part of a dotted key does.
    pub(super) fn enter_implicit(&mut self, name: &str) -> Result<(), Problem> {
        let mut key = self.context.clone();
        key.push(name.to_owned());
        self.implicit.insert(key.clone());
        self.enter(&key, false)
    }

    /// Notes that the current table may be defined once more, with what is in it.
    pub(super) fn make_implicit(&mut self) {
        self.implicit.insert(self.context.clone());
    }

    /// Defines a key of the current table.
    pub(super) fn set(&mut self, name: &str, node: Node) -> Result<(), Problem> {
        let defined = |key: &[String]| format!("Key '{}' has already been defined.", super::join(key));
        let context = &self.context;
        let table = locate(&mut self.root, context).map_err(|length| defined(&context[..length]))?;
        let mut key = context.clone();
        key.push(name.to_owned());
        if table.contains_key(name) {
            let implicit = self.implicit.remove(&key);
            if !implicit {
                return Err(defined(&key));
            }
            if !self.arrays.contains(&key) {
                return Ok(());
            }
        }
        table.insert(name.to_owned(), node);
        Ok(())
    }

    /// Notes whether the current key, or a key of the current table, has an array.
    pub(super) fn mark(&mut self, name: &str, array: bool) {
        let mut key = self.context.clone();
        if !name.is_empty() {
            key.push(name.to_owned());
        }
        if array {
            self.arrays.insert(key);
        } else {
            self.arrays.remove(&key);
        }
    }

    /// The finished document.
    pub(super) fn finish(self) -> Value {
        finish_table(self.root)
    }
}

/// The table at a path. Fails with the number of names up to the one that is no table.
fn locate<'t>(root: &'t mut Table, path: &[String]) -> Result<&'t mut Table, usize> {
    let mut table = root;
    for (index, name) in path.iter().enumerate() {
        table = match table.get_mut(name) {
            Some(Node::Table(inner)) => inner,
            Some(Node::Tables(tables)) => tables.last_mut().ok_or(index + 1)?,
            Some(Node::Value(_)) | None => return Err(index + 1),
        };
    }
    Ok(table)
}

fn finish_table(table: Table) -> Value {
    let finish = |node| match node {
        Node::Value(value) => value,
        Node::Table(table) => finish_table(table),
        Node::Tables(tables) => List::new(ListType::Map, tables.into_iter().map(finish_table).collect()).into(),
    };
    Map::any(table.into_iter().map(|(name, node)| (Str::from(name), finish(node))).collect()).into()
}
