//! What Helm logs beside its result: something that the chart or its values ask for was passed over.

use std::cell::{Cell, RefCell};
use std::fmt::{self, Write as _};
use std::rc::Rc;

use formats::go;
use gotmpl::Value;

/// What was passed over. `Display` is what Helm logs of it, where Helm does.
///
/// Some quote values of the release or the chart, which may be secret.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Warning {
    /// A schema that the chart's schema refers to could not be had: the values that it is for are not checked. Helm
    /// refuses the chart.
    SchemaLeftOut {
        /// The chart, or the dependency, whose schema refers to it.
        chart: String,
        /// Its address.
        url: String,
        /// Why it is not there.
        cause: String,
    },
    /// A table is given where a default is none, and stays.
    DefaultSkipped {
        /// Where, from the root chart.
        path: String,
    },
    /// A table stays where the lower value is none.
    TableKept {
        /// Where, from the root chart.
        path: String,
        /// The value that does not count, as Go prints it.
        value: String,
    },
    /// A value that is no table stays where the lower one is a table.
    ValueKept {
        /// Where, from the root chart.
        path: String,
        /// The table that does not count, as Go prints it.
        table: String,
    },
    /// Nothing is handed down from, or to, a `global` that is no table.
    GlobalsSkipped {
        /// Whether it is the dependency's.
        of_dependency: bool,
    },
    /// A global of the parent is a table and that of the dependency is none, or the other way round; each stays.
    GlobalSkipped {
        /// Its key.
        key: String,
        /// Whether it is the dependency's that is a table.
        of_dependency: bool,
    },
    /// `import-values` names a table of a dependency that is not there.
    ImportMissing {
        /// The dependency, where the import has a `child` and a `parent`.
        chart: Option<String>,
        /// The first part of its path that is no table.
        missing: String,
    },
    /// The condition or the tag of a dependency has a value that is no bool.
    NoBool {
        /// The dependency.
        chart: String,
        /// The condition's path, or the tag.
        name: String,
        /// Whether it is a tag.
        is_tag: bool,
    },
    /// A manifest is a hook for something that Helm does not know: it is not a part of the release.
    UnknownHook {
        /// The annotation `helm.sh/hook`.
        events: String,
    },
}

/// How much Helm minds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Level {
    Info,
    Warn,
}

/// The parts of a line of the log.
struct Line<'w> {
    level: Level,
    message: String,
    attributes: Vec<(&'static str, &'w str)>,
    /// What Helm logs as the error.
    error: Option<String>,
}

impl Warning {
    /// The line that Helm 4 logs of it, without its time.
    pub fn log_line(&self) -> String {
        let Line { level, message, attributes, error } = self.line();
        let level = if level == Level::Info { "INFO" } else { "WARN" };
        let mut line = format!("level={level} msg={}", attribute(&message));
        for (key, value) in attributes.into_iter().chain(error.as_deref().map(|error| ("error", error))) {
            write!(line, " {key}={}", attribute(value)).expect("writing to a string does not fail");
        }
        line
    }

    fn line(&self) -> Line<'_> {
        let info = |message: String| Line { level: Level::Info, message, attributes: Vec::new(), error: None };
        match self {
            Self::SchemaLeftOut { chart, url, cause } => {
                let message = format!("the values of {chart} are checked without the schema {url}: {cause}");
                Line { level: Level::Warn, ..info(message) }
            }
            Self::DefaultSkipped { path } => info(format!("warning: skipped value for {path}: Not a table.")),
            Self::TableKept { path, value } => {
                info(format!("warning: destination for {path} is a table. Ignoring non-table value ({value})"))
            }
            Self::ValueKept { path, table } => {
                info(format!("warning: cannot overwrite table with non table for {path} ({table})"))
            }
            Self::GlobalsSkipped { of_dependency } => {
                let whose = if *of_dependency { "destination" } else { "source" };
                info(format!("warning: skipping globals because {whose} global is not a table."))
            }
            Self::GlobalSkipped { key, of_dependency: true } => info(format!("key {key} is table. Skipping")),
            Self::GlobalSkipped { key, of_dependency: false } => {
                info(format!("Conflict: cannot merge map onto non-map for {}. Skipping.", go::quote(key)))
            }
            Self::ImportMissing { chart, missing } => {
                let message = match chart {
                    Some(_) => "ImportValues missing table from chart",
                    None => "ImportValues missing table",
                };
                let error = Some(format!("{} is not a table", go::quote(missing)));
                let attributes = chart.iter().map(|chart| ("chart", chart.as_str())).collect();
                Line { level: Level::Warn, message: message.to_owned(), attributes, error }
            }
            Self::NoBool { chart, name, is_tag } => {
                let key = if *is_tag { "tag" } else { "path" };
                let attributes = vec![(key, name.as_str()), ("chart", chart.as_str())];
                Line { level: Level::Warn, attributes, ..info("returned non-bool value".to_owned()) }
            }
            Self::UnknownHook { events } => {
                Line { attributes: vec![("hookTypes", events)], ..info("skipping unknown hooks".to_owned()) }
            }
        }
    }
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Line { message, attributes, error, .. } = self.line();
        f.write_str(&message)?;
        for (key, value) in attributes.into_iter().chain(error.as_deref().map(|error| ("error", error))) {
            write!(f, " {key}={}", attribute(value))?;
        }
        Ok(())
    }
}

/// A value as Go's `slog` writes it: in quotes where it could be taken for something else.
fn attribute(text: &str) -> String {
    let needs_quotes = |c: char| c <= ' ' || matches!(c, '"' | '=' | '\u{7f}') || (!c.is_ascii() && c.is_control());
    if text.is_empty() || text.chars().any(needs_quotes) { go::quote(text) } else { text.to_owned() }
}

/// Bytes of values that the warnings of one render quote: beyond that they are cut, and then left out.
const QUOTED: usize = 64 << 10;

/// How many warnings a render may have; what comes then is the same again.
const COUNT: usize = 1_000;

/// Collects warnings; a clone collects into the same list.
#[derive(Debug, Clone, Default)]
pub(crate) struct Log {
    warnings: Rc<RefCell<Vec<Warning>>>,
    quoted: Rc<Cell<usize>>,
}

impl Log {
    pub(crate) fn add(&self, warning: impl FnOnce(&Self) -> Warning) {
        if self.warnings.borrow().len() < COUNT {
            let warning = warning(self);
            self.warnings.borrow_mut().push(warning);
        }
    }

    /// A value as Go prints it, within what is left for that.
    pub(crate) fn quote(&self, value: &Value) -> String {
        let mut text = gotmpl::display(value).to_lossy().into_owned();
        text.truncate(text.floor_char_boundary(QUOTED.saturating_sub(self.quoted.get())));
        self.quoted.set(self.quoted.get() + text.len());
        text
    }

    /// What was collected so far, which is forgotten here.
    pub(crate) fn take(&self) -> Vec<Warning> {
        self.warnings.take()
    }
}
