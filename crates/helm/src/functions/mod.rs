//! Helm's template functions: Sprig's and its own.
//!
//! ```text
//! arguments (checked by gotmpl) ──► one plain function per name ──► value, or Go's error text
//! ```
//!
//! One module per area, each with a static `TABLE`; [`table`] is all of them but `include`, `tpl`, `required`,
//! `lookup` and `fail`, which belong to the engine. Functions are pure but for those that ask [`Host`] for the time
//! or for random bytes; none reads files, the environment or the network (`getHostByName` finds nothing, as in Helm
//! without `--enable-dns`). Map keys come in sorted order where Go's is random. Whatever may grow without bound has
//! a limit, a named constant beside the function, and fails with an error that names it.

#![expect(clippy::unnecessary_wraps, reason = "every function of a table has the same signature")]

mod arguments;
mod cases;
mod crypto;
mod dates;
mod decimals;
mod defaults;
mod dicts;
mod digests;
mod documents;
mod durations;
mod encoding;
mod equality;
mod lists;
mod math;
mod merging;
mod numbers;
mod paths;
mod quoting;
mod random;
mod reflection;
mod regex;

pub use regex::Pattern;
pub(crate) use regex::{pattern_error, pattern_matches, pattern_states, pattern_weight};
pub(crate) use urls::check_url;
mod runes;
mod sequences;
mod strings;
mod urls;
mod versions;
mod words;

use std::sync::LazyLock;

use gotmpl::{Call, Function, Interp, Reach, Type, Value};

use crate::host::Host;
use arguments::Outcome;
pub(crate) use dates::{check_date, check_rfc3339};

const AREAS: &[&[Function<Host>]] = &[
    cases::TABLE,
    dates::TABLE,
    decimals::TABLE,
    defaults::TABLE,
    dicts::TABLE,
    digests::TABLE,
    documents::TABLE,
    durations::TABLE,
    encoding::TABLE,
    lists::TABLE,
    math::TABLE,
    paths::TABLE,
    quoting::TABLE,
    random::TABLE,
    reflection::TABLE,
    regex::TABLE,
    sequences::TABLE,
    strings::TABLE,
    urls::TABLE,
    versions::TABLE,
    words::TABLE,
];

/// All functions but the engine's own, sorted by name.
pub fn table() -> &'static [Function<Host>] {
    static TABLE: LazyLock<Vec<Function<Host>>> = LazyLock::new(|| {
        let mut functions: Vec<_> = AREAS.iter().chain(crypto::TABLES).copied().flatten().copied().collect();
        functions.sort_by_key(|function| function.name);
        functions
    });
    &TABLE
}

/// A function of fixed arity that depends on its arguments alone.
const fn pure(name: &'static str, params: &'static [Type], call: fn(&[Value]) -> Outcome) -> Function<Host> {
    Function { name, params, variadic: false, reach: Reach::Shallow, call: Call::Pure(call) }
}

/// A function whose last parameter repeats.
const fn variadic(name: &'static str, params: &'static [Type], call: fn(&[Value]) -> Outcome) -> Function<Host> {
    Function { name, params, variadic: true, reach: Reach::Shallow, call: Call::Pure(call) }
}

/// A function that adds to the list that is its first argument.
const fn extending(name: &'static str, params: &'static [Type], call: gotmpl::Extend) -> Function<Host> {
    Function { name, params, variadic: false, reach: Reach::Shallow, call: Call::Extend(call) }
}

/// A function that asks the host.
const fn hosted(
    name: &'static str,
    params: &'static [Type],
    call: fn(&mut Interp<'_, Host>, &[Value]) -> Outcome,
) -> Function<Host> {
    Function { name, params, variadic: false, reach: Reach::Shallow, call: Call::Host(call) }
}

/// The same function, which looks at all that its arguments contain.
const fn deep(function: Function<Host>) -> Function<Host> {
    Function { reach: Reach::Deep, ..function }
}

/// The same function, which looks at all that its arguments contain until they nest too deeply for its format.
const fn document(function: Function<Host>) -> Function<Host> {
    Function { reach: Reach::Document, ..function }
}

/// The same function, which copies all that its arguments contain into the first.
const fn merging_into(function: Function<Host>) -> Function<Host> {
    Function { reach: Reach::CopyOthers, ..function }
}

/// The same function, which copies all that its arguments contain.
const fn copying(function: Function<Host>) -> Function<Host> {
    Function { reach: Reach::Copy, ..function }
}
