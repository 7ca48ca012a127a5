//! The one hole in rendering's purity: the `lookup` function asks the cluster.

use std::fmt;

/// Why a lookup failed, in words for the template's error.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct LookupError {
    message: String,
}

impl LookupError {
    /// An error that says this.
    pub fn new(message: impl fmt::Display) -> Self {
        Self { message: message.to_string() }
    }
}

/// Answers the template function `lookup`.
///
/// It is called on the rendering thread and may block.
pub trait Lookup: Send + Sync {
    /// The object `name`, or with an empty name the list of objects (`{"kind": "…List", "items": […]}`), of
    /// `kind` in `namespace` (empty: all namespaces, or a kind that has none).
    ///
    /// An object that does not exist is an empty JSON object; a kind that the server does not know is an error.
    fn lookup(
        &self,
        api_version: &str,
        kind: &str,
        namespace: &str,
        name: &str,
    ) -> Result<serde_json::Value, LookupError>;
}

/// Finds nothing, as `helm template` without a cluster.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoLookup;

impl Lookup for NoLookup {
    fn lookup(&self, _: &str, _: &str, _: &str, _: &str) -> Result<serde_json::Value, LookupError> {
        Ok(serde_json::Value::Object(serde_json::Map::new()))
    }
}
