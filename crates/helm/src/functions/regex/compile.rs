//! From Go's syntax to a compiled expression of the `regex` crate, kept for the next use.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use regex::{Regex, RegexBuilder};

use super::class::literal;
use super::syntax::{self, Node, SyntaxError};

/// Bytes a compiled expression may take.
const MAX_COMPILED_BYTES: usize = 16 << 20;

/// Bytes of an expression's source.
const MAX_PATTERN_BYTES: usize = 256 << 10;

/// Compiled expressions kept; when more come, all are dropped.
const MAX_KEPT: usize = 256;

/// A compiled expression.
pub(super) struct Compiled {
    pub(super) regex: Regex,
    /// Names of the groups, empty for unnamed ones; the first is the whole match.
    pub(super) names: Vec<String>,
}

/// Why an expression cannot be used, in Go's words where Go would refuse it too.
#[derive(Debug, thiserror::Error)]
pub(super) enum Error {
    #[error(transparent)]
    Parse(#[from] SyntaxError),
    #[error("error parsing regexp: expression too large")]
    ExceedLimit,
}

/// The compiled form of `pattern`, from the cache if it was used before.
pub(super) fn compile(pattern: &[u8]) -> Result<Arc<Compiled>, Error> {
    static KEPT: Mutex<BTreeMap<Vec<u8>, Arc<Compiled>>> = Mutex::new(BTreeMap::new());
    // A poisoned lock only means that another render panicked; the map is whole.
    if let Some(known) = KEPT.lock().unwrap_or_else(PoisonError::into_inner).get(pattern) {
        return Ok(Arc::clone(known));
    }
    let compiled = Arc::new(translate(pattern)?);
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
    let mut source = String::new();
    write(&expression.root, &mut source);
    let regex = RegexBuilder::new(&source)
        .size_limit(MAX_COMPILED_BYTES)
        .nest_limit(1_000)
        .build()
        .map_err(|_| Error::ExceedLimit)?;
    Ok(Compiled { regex, names: expression.names })
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
