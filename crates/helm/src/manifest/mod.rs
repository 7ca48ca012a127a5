//! Rendered text to ordered manifests and hooks.

pub mod hook;
mod order;
mod split;

pub use hook::{DeletePolicy, Hook, HookEvent, HookPhase, HookRun, OutputLogPolicy};
pub use order::Order;
pub use split::split;
