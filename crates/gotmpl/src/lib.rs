//! Go's `text/template` language: what a template means, without Helm, files, clocks or I/O.
//!
//! ```text
//! source ──lex──► tokens ──parse──► Template (ast) in a TemplateSet ──exec, with an Interp──► bytes
//! ```
//!
//! - [`value`]: what templates compute with: Go's kinds, shared mutable maps, byte strings; `object`: all other types.
//! - [`func`]: how a host offers functions to templates, with Go's argument checks.
//! - `set`, `interp`: parsed templates (shared between threads) and one evaluation of them (with limits).
//! - [`mod@printf`], `quote`: Go's `fmt` and `strconv` for these values.
//! - `error`: Go's texts and positions, with the structure behind them.
//!
//! The host (Helm, in `crates/helm`) is a type parameter `H`: its functions receive it through [`Interp`].

mod ast;
mod builtin;
mod complex;
mod error;
mod exec;
pub mod func;
mod interp;
mod lex;
mod object;
mod parse;
pub mod printf;
mod quote;
mod set;
mod typed;
mod unicode;
pub mod value;

pub use ast::Template;
pub use error::{ExecError, FuncError, Limit, ParseError, Place};
pub use func::{Call, Extend, Function, FunctionNames, Functions, Reach, Signature, Type};
pub use interp::{Interp, Limits, MissingKey, SourceError};
pub use object::Object;
pub use printf::{FloatFormat, display, format_float, print, printf, println};
pub use quote::quote;
pub use set::{ParsedFile, TemplateSet};
pub use typed::type_name;
pub use unicode::is_printable;
pub use value::{Kind, List, ListType, Map, MapType, Str, Value};
