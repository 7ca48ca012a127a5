//! Go's `text/template` language: what a template means, without Helm, files, clocks or I/O.
//!
//! ```text
//! source ──lex──► tokens ──parse──► Template (AST) ──exec(Interp)──► bytes
//! ```
//!
//! - [`value`]: what templates compute with: Go's kinds, shared mutable maps, byte strings.
//! - [`func`]: how a host offers functions to templates, with Go's argument checks.
//!
//! The host (Helm, in `crates/helm`) is a type parameter `H`: its functions receive it through [`Interp`].

pub mod func;
pub mod value;

pub use func::{Call, FuncError, Function, Interp, Type};
pub use value::{Kind, List, ListType, Map, MapType, Object, Str, Value};
