//! The text formats that charts, values and manifests are written in, to and from the values of templates.
//!
//! ```text
//! bytes ──yaml, json, toml──► gotmpl::Value ──yaml, json, toml──► bytes
//! ```
//!
//! What they read and print, and the words in which they refuse, are those of the Go libraries that Helm uses; of Helm
//! itself they know nothing. [`go`] is how Go's standard library spells the numbers and strings within.

pub mod go;
pub mod json;
pub mod toml;
pub mod yaml;
