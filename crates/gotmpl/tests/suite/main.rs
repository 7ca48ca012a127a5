//! What the crate promises to its users, tested from outside.

mod conformance;
mod errors;
mod limits;
mod world;
