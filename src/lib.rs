//! `helm-operator`: keeps Helm releases from OCI registries as declared.
//!
//! The flow has one direction, and the modules stand in its order:
//!
//! ```text
//! CR → dereference → validate → fetch (resolve, pull, verify) → render → observe → plan → act (apply, wait, record) → report → status
//! api  └───────── controller ──────────┴ registry ┘   └ helm ┘   └ cluster, history ┘                       └ controller::status ┘
//! ```

pub mod api;
pub mod cluster;
pub mod history;
pub mod registry;
