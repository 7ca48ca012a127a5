//! The words Helm finds for a template that failed.
//!
//! Helm takes Go's one-line error apart and prints a trace of places, unless a function failed in its own words: then
//! Go's line stands as it is, for the cause would be lost otherwise.

use gotmpl::{ExecError, ParseError};

/// `parse error at (FILE:LINE): …`
pub(super) fn parse_error(error: &ParseError) -> String {
    let message = error.message.rsplit(": ").next().unwrap_or(&error.message);
    format!("parse error at ({}:{}): {message}", error.name, error.line)
}

/// `execution error at (FILE:LINE:COLUMN): …` for a template that gave up with `message`.
pub(super) fn failure(error: &ExecError, message: &str) -> String {
    let location = error.place().map(gotmpl::Place::location).unwrap_or_default();
    format!("execution error at ({location}): {message}")
}

/// The error of any other execution.
pub(super) fn execution(error: &ExecError) -> String {
    if error.place().is_none() || has_foreign_cause(error) {
        return error.to_string();
    }
    let mut trace: Vec<String> = Vec::new();
    for frame in error.chain().map(frame) {
        if trace.last() != Some(&frame) {
            trace.push(frame);
        }
    }
    trace.concat().trim().to_owned()
}

/// Whether some function in the chain says more than that a template it ran has failed.
fn has_foreign_cause(error: &ExecError) -> bool {
    let mut causes = error.chain().filter_map(ExecError::cause);
    causes.any(|cause| cause.template().is_none() || !cause.message().is_empty())
}

/// One template of the trace: where, what was executed, and what it said itself.
fn frame(error: &ExecError) -> String {
    let Some(place) = error.place() else {
        return format!("{error}\n");
    };
    let said = error.cause().map_or_else(|| error.message().to_owned(), |cause| format!("{}{cause}", error.message()));
    let said = said.split(" template:").next().unwrap_or(&said);
    let (location, template) = (place.location(), &place.template);
    format!("{location}\n  executing \"{template}\" at <{}>:\n    {said}\n", place.expression)
}
