//! Rendered text to ordered manifests and hooks, and back to the text that is stored and printed.
//!
//! ```text
//! files ──split──► documents ──sort──► hooks, manifests in install order ──join──► release.manifest ──print──► helm template
//! ```
//!
//! Of a document only its place is read: kind, API version, name and hook annotations.

mod head;
pub mod hook;
mod order;
mod sort;
mod split;

use std::fmt;

pub use head::Mismatch;
pub use hook::{DeletePolicy, Hook, HookEvent, HookPhase, HookRun, OutputLogPolicy};
pub use order::Order;
pub(crate) use sort::sort_telling;
pub use sort::{of_record, sort};
pub use split::split;

/// One rendered document that belongs to the release.
///
/// `Debug` leaves the content out: it may be a Secret.
#[derive(Clone, PartialEq, Eq)]
pub struct Manifest {
    /// The template it came from, such as `chart/templates/service.yaml`.
    pub name: String,
    /// The document as rendered, without the white space before it.
    pub content: String,
    /// The object's `apiVersion`; empty if it has none.
    pub api_version: String,
    /// The object's kind; empty if it has none, as in a document of comments alone.
    pub kind: String,
    /// The object's `metadata.name`; empty if it has none.
    pub object_name: String,
}

impl fmt::Debug for Manifest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Manifest")
            .field("name", &self.name)
            .field("api_version", &self.api_version)
            .field("kind", &self.kind)
            .field("object_name", &self.object_name)
            .finish_non_exhaustive()
    }
}

/// A rendered document cannot be read, in Helm's words.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("YAML parse error on {path}: {problem}")]
pub struct Error {
    /// The template it came from.
    pub path: String,
    /// What is wrong with it.
    pub problem: Problem,
}

/// What is wrong with a rendered document.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Problem {
    /// It is not YAML.
    #[error("{0}")]
    Yaml(formats::yaml::Error),
    /// It is YAML, but not a Kubernetes object.
    #[error("{0}")]
    Head(Mismatch),
}

/// The text that is stored as the release's manifest: each document under the path of its template.
pub fn join(manifests: &[Manifest]) -> String {
    let length = manifests.iter().map(|manifest| HEADING + manifest.name.len() + manifest.content.len()).sum();
    let mut text = String::with_capacity(length);
    for manifest in manifests {
        sourced(&mut text, &manifest.name, &manifest.content);
    }
    text
}

/// What `helm template` prints for a stored manifest and hooks.
pub fn print(stored: &str, hooks: &[Hook]) -> String {
    let mut printed = format!("{}\n", stored.trim());
    for hook in hooks {
        sourced(&mut printed, &hook.path, &hook.manifest);
    }
    printed
}

/// How much is written beside a path and a document.
const HEADING: usize = "---\n# Source: \n\n".len();

fn sourced(text: &mut String, path: &str, document: &str) {
    for part in ["---\n# Source: ", path, "\n", document, "\n"] {
        text.push_str(part);
    }
}

#[cfg(test)]
mod tests;
