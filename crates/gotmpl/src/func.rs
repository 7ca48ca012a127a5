//! How a host offers functions to templates.
//!
//! A function declares Go parameter types; the evaluator checks and converts arguments as Go's
//! reflection does (with Go's error texts) before the call, so a function may rely on them.

use crate::value::Value;

/// A Go parameter type, as far as Helm's functions use them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Type {
    /// `interface {}`
    Any,
    /// `bool`
    Bool,
    /// `int`
    Int,
    /// `int64`
    Int64,
    /// `float64`
    Float64,
    /// `string`
    String,
    /// `[]string`
    Strings,
    /// `[]interface {}`
    List,
    /// `map[string]interface {}`
    Map,
    /// Any other Go type, named as `%T` prints it: `time.Time`, `time.Duration`.
    Named(&'static str),
}

/// What a failed function says: Go's error text, without position.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FuncError {
    message: String,
}

impl FuncError {
    /// An error with this text.
    pub fn new(message: impl Into<String>) -> Self {
        Self { message: message.into() }
    }

    /// Its text.
    pub fn message(&self) -> &str {
        &self.message
    }
}

/// What a function's body looks like.
pub enum Call<H> {
    /// It depends on its arguments alone.
    Pure(fn(&[Value]) -> Result<Value, FuncError>),
    /// It uses the host or runs templates (`include`, `tpl`, `lookup`, `now`, `randAlpha`).
    Host(fn(&mut Interp<'_, H>, &[Value]) -> Result<Value, FuncError>),
}

/// One function of a template, in a static table of the host.
pub struct Function<H> {
    /// Its name in templates.
    pub name: &'static str,
    /// Its parameters; if `variadic`, the last one repeats (zero or more times).
    pub params: &'static [Type],
    /// Whether the last parameter is Go's `...T`.
    pub variadic: bool,
    /// Its body.
    pub call: Call<H>,
}

/// A running evaluation: what a [`Call::Host`] function may use.
pub struct Interp<'a, H> {
    /// The host.
    pub host: &'a H,
}
