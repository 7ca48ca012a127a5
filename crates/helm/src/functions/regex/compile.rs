//! From Go's syntax to a compiled expression of the `regex` crate, kept for the next use.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use regex::{Regex, RegexBuilder};

use super::class::literal;
use super::syntax::{self, Node, SyntaxError};

/// Bytes a compiled expression may take, and what matching with it may keep.
const MAX_COMPILED_BYTES: usize = 4 << 20;
const MAX_STATES_BYTES: usize = 512 << 10;

/// States of an expression that may fit into these bytes: before they are made, they take much more.
const MAX_STATES: u64 = 1_000_000;

/// Bytes of an expression's source.
const MAX_PATTERN_BYTES: usize = 256 << 10;

/// Compiled expressions kept; when more come, all are dropped.
const MAX_KEPT: usize = 64;

/// The states of the largest expression that is kept; smaller ones take up to 300 KiB.
const MAX_STATES_KEPT: u64 = 2_000;

/// A compiled expression.
pub(super) struct Compiled {
    pub(super) regex: Regex,
    /// Names of the groups, empty for unnamed ones; the first is the whole match.
    pub(super) names: Vec<String>,
    /// About how many states it can be in at once, which is what each character of a text may cost.
    pub(super) weight: u64,
    /// About how many states there are, which is what compiling costs.
    pub(super) states: u64,
    /// Whether a search reads no further than its match, but for a few letters.
    pub(super) ends_near: bool,
}

/// Why an expression cannot be used, in Go's words where Go would refuse it too.
#[derive(Debug, thiserror::Error)]
pub(super) enum Error {
    #[error(transparent)]
    Parse(#[from] SyntaxError),
    #[error("error parsing regexp: expression too large")]
    ExceedLimit,
}

impl Error {
    /// Whether Go might compile the expression all the same, for its limits are wider.
    pub(super) fn is_limit(&self) -> bool {
        match self {
            Self::Parse(error) => error.is_limit(),
            Self::ExceedLimit => true,
        }
    }
}

/// The compiled form of `pattern`, from the cache if it was used before.
pub(super) fn compile(pattern: &[u8]) -> Result<Arc<Compiled>, Error> {
    static KEPT: Mutex<BTreeMap<Vec<u8>, Arc<Compiled>>> = Mutex::new(BTreeMap::new());
    // A poisoned lock only means that another render panicked; the map is whole.
    if let Some(known) = KEPT.lock().unwrap_or_else(PoisonError::into_inner).get(pattern) {
        return Ok(Arc::clone(known));
    }
    let compiled = Arc::new(translate(pattern)?);
    if compiled.states > MAX_STATES_KEPT {
        return Ok(compiled);
    }
    let mut kept = KEPT.lock().unwrap_or_else(PoisonError::into_inner);
    if kept.len() >= MAX_KEPT {
        kept.clear();
    }
    kept.insert(pattern.to_vec(), Arc::clone(&compiled));
    Ok(compiled)
}

fn translate(pattern: &[u8]) -> Result<Compiled, Error> {
    if pattern.len() > MAX_PATTERN_BYTES {
        return Err(Error::ExceedLimit);
    }
    let expression = syntax::parse(pattern)?;
    let states = count(&expression.root, &class_states);
    if states > MAX_STATES {
        return Err(Error::ExceedLimit);
    }
    let mut source = String::new();
    write(&expression.root, &mut source);
    let regex = RegexBuilder::new(&source)
        .size_limit(MAX_COMPILED_BYTES)
        .dfa_size_limit(MAX_STATES_BYTES)
        .nest_limit(1_000)
        .build()
        .map_err(|_| Error::ExceedLimit)?;
    let weight = count(&expression.root, &|_| LARGE_CLASS);
    let ends_near = ends_near(&expression.root);
    Ok(Compiled { regex, names: expression.names, weight, states, ends_near })
}

/// Letters that a search may read behind its match for nothing.
const NEAR: u64 = 64;

/// Whether what repeats without end stands at the end only: then each further round is a longer match, or ends the search.
/// What has to follow a repetition, as in `[^z]*z|a`, may be looked for in all of the text, only to find that the
/// shorter match was the right one.
fn ends_near(node: &Node) -> bool {
    let short = |node: &Node| longest(node).is_some_and(|letters| letters <= NEAR);
    match node {
        Node::Repeat { node, max: None, .. } => short(node),
        Node::Concat(nodes) => {
            nodes.split_last().is_none_or(|(last, before)| before.iter().all(short) && ends_near(last))
        }
        Node::Alternate(nodes) => nodes.iter().all(ends_near),
        Node::Capture(node) => ends_near(node),
        Node::Literal(..) | Node::Dot(_) | Node::Class(..) | Node::Assertion(_) | Node::Repeat { .. } => short(node),
    }
}

/// How many letters a node matches at most, where there is a bound.
fn longest(node: &Node) -> Option<u64> {
    match node {
        Node::Literal(..) | Node::Dot(_) | Node::Class(..) => Some(1),
        Node::Assertion(_) => Some(0),
        Node::Repeat { node, max, .. } => longest(node)?.checked_mul(u64::from((*max)?)),
        Node::Concat(nodes) => nodes.iter().try_fold(0_u64, |sum, node| sum.checked_add(longest(node)?)),
        Node::Alternate(nodes) => nodes.iter().try_fold(0, |most, node| Some(longest(node)?.max(most))),
        Node::Capture(node) => longest(node),
    }
}

/// Whether `pattern` can be read, and is not too long to be compiled.
pub(super) fn check(pattern: &[u8]) -> Result<(), Error> {
    if pattern.len() > MAX_PATTERN_BYTES {
        return Err(Error::ExceedLimit);
    }
    syntax::parse(pattern)?;
    Ok(())
}

/// About how many states compiling `pattern` makes, told without doing so; none of what does not parse.
pub(super) fn states(pattern: &[u8]) -> u64 {
    syntax::parse(pattern).map_or(0, |expression| count(&expression.root, &class_states))
}

/// How many states of a class that is not ASCII a machine can be in at once.
const LARGE_CLASS: u64 = 30;
/// How many there are of one of Unicode's classes, in UTF-8.
const UNICODE_CLASS: u64 = 350;

fn class_states(class: &str) -> u64 {
    LARGE_CLASS.max(class.chars().count() as u64) + UNICODE_CLASS * class.matches("\\p").count() as u64
}

/// About how many states of a machine a node takes, given those of a class that is not ASCII.
fn count(node: &Node, class_states: &dyn Fn(&str) -> u64) -> u64 {
    match node {
        Node::Literal(..) | Node::Assertion(_) => 1,
        Node::Dot(_) => 6,
        Node::Class(class, _) => {
            if class.is_ascii() && !class.contains("\\p") {
                2
            } else {
                class_states(class)
            }
        }
        Node::Repeat { node, min, max, .. } => {
            count(node, class_states).saturating_mul(u64::from(max.unwrap_or(*min + 1)).max(1)).saturating_add(1)
        }
        Node::Concat(nodes) | Node::Alternate(nodes) => {
            nodes.iter().map(|node| count(node, class_states)).fold(1, u64::saturating_add)
        }
        Node::Capture(node) => count(node, class_states).saturating_add(2),
    }
}

fn folding(source: &str, fold: bool) -> String {
    if fold { format!("(?i:{source})") } else { source.to_owned() }
}

/// Writes `node` as a single item of the `regex` crate's syntax.
fn write(node: &Node, out: &mut String) {
    match node {
        Node::Literal(letter, flags) => out.push_str(&folding(&literal(*letter), flags.fold)),
        Node::Dot(flags) => out.push_str(if flags.dot_all { "(?s:.)" } else { "." }),
        Node::Class(class, flags) => out.push_str(&folding(class, flags.fold)),
        Node::Assertion(source) => out.push_str(source),
        Node::Repeat { node, min, max, lazy } => {
            out.push_str("(?:");
            write(node, out);
            out.push(')');
            let max = max.map(|max| max.to_string()).unwrap_or_default();
            out.extend(["{", &min.to_string(), ",", &max, "}"]);
            out.push_str(if *lazy { "?" } else { "" });
        }
        Node::Concat(nodes) => {
            for node in nodes {
                write(node, out);
            }
        }
        Node::Alternate(nodes) => {
            out.push_str("(?:");
            for (index, node) in nodes.iter().enumerate() {
                out.push_str(if index > 0 { "|" } else { "" });
                write(node, out);
            }
            out.push(')');
        }
        Node::Capture(node) => {
            out.push('(');
            write(node, out);
            out.push(')');
        }
    }
}
