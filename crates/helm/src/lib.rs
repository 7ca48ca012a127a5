//! Helm's formats and semantics, without a cluster, a registry, a clock or a runtime.
//!
//! ```text
//! archive ──chart──► Chart ┐
//! values ──values──────────┴─engine──► Rendered ──manifest──► ordered objects, hooks ──release──► record
//! ```
//!
//! What it reads and prints is what Helm 4.3.1 reads and prints; the real Helm is the oracle of its tests.

pub mod chance;
pub mod chart;
pub mod engine;
pub mod functions;
mod given;
mod host;
pub mod manifest;
pub mod postrender;
pub mod release;
pub mod selector;
pub mod semver;
pub mod strvals;
pub mod values;
mod warning;
mod wire;
