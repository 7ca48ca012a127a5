//! What goes wrong, in Go's words.
//!
//! The texts are those of `text/template`, because users search for them and Helm rewrites them. The
//! structure behind an [`ExecError`] is kept, so that nobody has to take the text apart again: an error
//! of an included template is the cause of the error of the `include` call.

use std::fmt;

use crate::printf;
use crate::quote;

/// A template that cannot be parsed: `template: NAME:LINE: message`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ParseError {
    /// The name the source was parsed under, usually its file.
    pub name: String,
    /// The line, counted from 1.
    pub line: usize,
    /// What is wrong, without position.
    pub message: String,
}

impl fmt::Display for ParseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "template: {}:{}: {}", self.name, self.line, self.message)
    }
}

impl std::error::Error for ParseError {}

/// A limit of [`crate::Limits`] that was reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Limit {
    /// Too many evaluation steps.
    Steps,
    /// Too much output.
    Output,
    /// Templates, blocks or parentheses nested too deeply.
    Depth,
    /// A value to print or to compare nests too deeply, perhaps because it contains itself.
    Nesting,
    /// The host asked to stop.
    Cancelled,
}

impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Steps => f.write_str("too many evaluation steps"),
            Self::Output => f.write_str("too much output"),
            Self::Depth => f.write_str("exceeded maximum template depth"),
            Self::Nesting => write!(f, "a value is nested deeper than {} levels", printf::MAX_DEPTH),
            Self::Cancelled => f.write_str("evaluation was cancelled"),
        }
    }
}

/// Where in a template an error happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The name the source was parsed under, usually its file.
    pub file: String,
    /// The line, counted from 1.
    pub line: usize,
    /// The byte in the line, counted from 0 as Go does.
    pub column: usize,
    /// The name of the executing template: the file, or the name given by `define`.
    pub template: String,
    /// The expression, printed as Go prints its syntax tree.
    pub expression: String,
}

impl Place {
    /// `FILE:LINE:COLUMN`
    pub fn location(&self) -> String {
        format!("{}:{}:{}", self.file, self.line, self.column)
    }
}

/// An execution that failed: `template: FILE:L:C: executing "T" at <expression>: message`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExecError(Box<Failure>);

#[derive(Debug, Clone, PartialEq, Eq)]
struct Failure {
    place: Option<Place>,
    message: String,
    cause: Option<FuncError>,
    limit: Option<Limit>,
}

impl ExecError {
    pub(crate) fn new(place: Option<Place>, message: String) -> Self {
        Self(Box::new(Failure { place, message, cause: None, limit: None }))
    }

    /// `message` ends where the text of `cause` begins.
    pub(crate) fn caused(place: Place, message: String, cause: FuncError) -> Self {
        Self(Box::new(Failure { place: Some(place), message, cause: Some(cause), limit: None }))
    }

    pub(crate) fn limited(place: Place, limit: Limit) -> Self {
        let message = limit.to_string();
        Self(Box::new(Failure { place: Some(place), message, cause: None, limit: Some(limit) }))
    }

    /// Go's error for a template name that is not defined in a set called `root`.
    pub(crate) fn no_template(name: &[u8], root: &[u8]) -> Self {
        let message = format!("no template {} associated with template {}", quote::lossy(name), quote::lossy(root));
        Self::new(None, message)
    }

    /// Where it happened; `None` if the template to execute does not exist.
    pub fn place(&self) -> Option<&Place> {
        self.0.place.as_ref()
    }

    /// What follows the place, up to the text of the cause if there is one, such as `error calling include: `.
    pub fn message(&self) -> &str {
        &self.0.message
    }

    /// The error of the called function, if that is what failed.
    pub fn cause(&self) -> Option<&FuncError> {
        self.0.cause.as_ref()
    }

    /// This error and the template errors below it, outermost first: one for each nested template.
    pub fn chain(&self) -> impl Iterator<Item = &Self> {
        std::iter::successors(Some(self), |error| error.cause().and_then(FuncError::template))
    }

    /// The function error at the very bottom; `None` if the innermost template itself is at fault.
    pub fn root_cause(&self) -> Option<&FuncError> {
        self.chain().last().and_then(Self::cause)
    }

    /// The limit that ended the execution, if one did.
    pub fn limit(&self) -> Option<Limit> {
        let innermost = self.chain().last()?;
        innermost.0.limit.or_else(|| innermost.cause().and_then(FuncError::limit))
    }

    /// The message a template gave up with, see [`FuncError::failure`].
    pub fn failure(&self) -> Option<&str> {
        self.root_cause().and_then(FuncError::failed_with)
    }
}

impl fmt::Display for ExecError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("template: ")?;
        if let Some(place) = self.place() {
            let template = quote::lossy(place.template.as_bytes());
            write!(f, "{}: executing {template} at <{}>: ", place.location(), place.expression)?;
        }
        f.write_str(self.message())?;
        match self.cause() {
            Some(cause) => cause.fmt(f),
            None => Ok(()),
        }
    }
}

impl std::error::Error for ExecError {}

/// What a failed function says: Go's error text, without position.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FuncError {
    message: String,
    origin: Origin,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Origin {
    Function,
    Failure,
    Template(ExecError),
    Limit(Limit),
}

impl FuncError {
    /// An error with this text.
    pub fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), origin: Origin::Function }
    }

    /// The template gives up on purpose (Helm's `fail` and `required`): [`ExecError::failure`] finds the
    /// message again, however deep the call was.
    pub fn failure(message: impl Into<String>) -> Self {
        Self { message: message.into(), origin: Origin::Failure }
    }

    /// A template run by the function failed; `context` precedes the text of the error.
    pub fn wrap(context: impl Into<String>, error: ExecError) -> Self {
        Self { message: context.into(), origin: Origin::Template(error) }
    }

    /// Its own text, without that of the template error it carries.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// The error of a template the function ran.
    pub fn template(&self) -> Option<&ExecError> {
        match &self.origin {
            Origin::Template(error) => Some(error),
            Origin::Function | Origin::Failure | Origin::Limit(_) => None,
        }
    }

    fn failed_with(&self) -> Option<&str> {
        matches!(self.origin, Origin::Failure).then_some(self.message.as_str())
    }

    fn limit(&self) -> Option<Limit> {
        match self.origin {
            Origin::Limit(limit) => Some(limit),
            Origin::Function | Origin::Failure | Origin::Template(_) => None,
        }
    }
}

impl From<ExecError> for FuncError {
    /// The error of the template is the error of the function, as for `include`.
    fn from(error: ExecError) -> Self {
        Self::wrap(String::new(), error)
    }
}

impl From<Limit> for FuncError {
    fn from(limit: Limit) -> Self {
        Self { message: limit.to_string(), origin: Origin::Limit(limit) }
    }
}

impl fmt::Display for FuncError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)?;
        match self.template() {
            Some(error) => error.fmt(f),
            None => Ok(()),
        }
    }
}

impl std::error::Error for FuncError {}
