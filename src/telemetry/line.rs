//! What a log line looks like: one line, of a bounded length, from which nobody can make two.

use std::fmt::{self, Debug};

use serde_json::{Map, Value};
use tracing::field::{Field, Visit};
use tracing::{Event, Subscriber};
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::time::{FormatTime as _, SystemTime};
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::registry::LookupSpan;

use crate::args::LogFormat;

/// The longest line, in bytes, but for the few that its time, level and target take.
pub(super) const LIMIT: usize = 4096;

/// Writes events as lines.
pub(super) struct Line(pub(super) LogFormat);

impl<S, N> FormatEvent<S, N> for Line
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(&self, _: &FmtContext<'_, S, N>, mut writer: Writer<'_>, event: &Event<'_>) -> fmt::Result {
        let mut fields = Fields { left: LIMIT, collected: Vec::new() };
        event.record(&mut fields);
        let mut time = String::new();
        SystemTime.format_time(&mut Writer::new(&mut time))?;
        let metadata = event.metadata();
        match self.0 {
            LogFormat::Text => {
                write!(writer, "{time} {:>5} {}:", metadata.level().as_str(), metadata.target())?;
                for (name, value) in fields.collected {
                    match (name, value) {
                        ("message", text) => write!(writer, " {text}")?,
                        (name, text) if is_plain(&text) => write!(writer, " {name}={text}")?,
                        (name, text) => write!(writer, " {name}=\"{}\"", text.replace('"', "\\\""))?,
                    }
                }
                writeln!(writer)
            }
            LogFormat::Json => {
                let fields: Map<String, Value> =
                    fields.collected.into_iter().map(|(name, value)| (name.to_owned(), value.into())).collect();
                let line = serde_json::json!({
                    "timestamp": time,
                    "level": metadata.level().as_str(),
                    "target": metadata.target(),
                    "fields": fields,
                });
                writeln!(writer, "{line}")
            }
        }
    }
}

/// Whether a value can stand without quotes and be told from what follows.
fn is_plain(text: &str) -> bool {
    !text.is_empty() && !text.contains([' ', '"', '='])
}

/// The fields of an event, as texts of one line, bounded all together.
struct Fields {
    left: usize,
    collected: Vec<(&'static str, String)>,
}

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.record_str(field, &format!("{value:?}"));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        let text = one_line(value, self.left);
        self.left -= text.len().min(self.left);
        self.collected.push((field.name(), text));
    }
}

/// `text` with what moves a terminal or ends a line escaped, in at most about `limit` bytes: of a longer one both ends,
/// since an error says first where it was and last what went wrong.
fn one_line(text: &str, limit: usize) -> String {
    let escaped = escape(text);
    if escaped.len() <= limit {
        return escaped;
    }
    let start = &escaped[..escaped.floor_char_boundary(limit / 4 * 3)];
    let end = &escaped[escaped.ceil_char_boundary(escaped.len() - limit / 4)..];
    format!("{start} [{} bytes left out] {end}", escaped.len() - start.len() - end.len())
}

fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        if c.is_control() || is_format(c) { escaped.extend(c.escape_default()) } else { escaped.push(c) }
    }
    escaped
}

/// Characters that are no control characters but end lines or turn the direction of what follows.
fn is_format(c: char) -> bool {
    matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
}
