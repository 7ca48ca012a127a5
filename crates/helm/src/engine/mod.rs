//! Rendering: a chart, its values and what is known of the cluster become manifests.
//!
//! ```text
//! Request ──values──► coalesced values ──scope──► one data tree per template ──gotmpl──► files
//!         └─ Host: what functions may ask for (time, randomness, lookup) ─┘
//! ```

mod host;
mod lookup;
mod random;

pub use host::Host;
pub use lookup::{Lookup, LookupError, NoLookup};
pub use random::SEED_BYTES;
