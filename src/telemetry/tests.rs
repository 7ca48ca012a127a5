//! What a log lets through, and what its lines look like.

use std::io;
use std::sync::{Arc, Mutex, PoisonError};

use serde_json::Value;
use tracing_subscriber::fmt::MakeWriter;

use super::line::LIMIT;
use super::subscriber;
use crate::args::LogFormat;

/// The log of a test.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl MakeWriter<'_> for Log {
    type Writer = Self;

    fn make_writer(&self) -> Self {
        self.clone()
    }
}

/// The lines that `events` log.
fn logged(directives: &str, format: LogFormat, events: impl FnOnce()) -> Vec<String> {
    let log = Log::default();
    let subscriber = subscriber(directives, format, log.clone()).expect("the directives are right");
    tracing::subscriber::with_default(subscriber, events);
    let bytes = log.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
    String::from_utf8(bytes).expect("a log is text").lines().map(str::to_owned).collect()
}

#[test]
fn libraries_do_not_say_what_they_carry_unless_they_are_named() {
    let events = || {
        tracing::debug!(target: "helm_operator::registry", "ours");
        tracing::trace!(target: "kube_client::client", "body: a Secret");
        tracing::warn!(target: "kube_client::client", "an answer that cannot be read: a Secret");
        tracing::debug!(target: "hyper_util::client", "a header");
        tracing::info!(target: "kube_runtime::watcher", "a library's info");
    };
    for (directives, expected) in [
        ("info", vec!["a library's info"]),
        ("debug", vec!["ours", "a library's info"]),
        ("trace", vec!["ours", "a library's info"]),
        ("warn", vec![]),
        ("off", vec![]),
        ("warn,helm_operator=debug", vec!["ours"]),
        (
            "debug,kube_client=trace",
            vec!["ours", "body: a Secret", "an answer that cannot be read: a Secret", "a library's info"],
        ),
        ("helm_operator::registry=debug", vec!["ours"]),
    ] {
        let lines = logged(directives, LogFormat::Text, events);
        let said: Vec<&str> = lines.iter().filter_map(|line| line.split_once(": ").map(|(_, said)| said)).collect();
        assert_eq!(said, expected, "{directives}");
    }
    for wrong in ["loud", "info,helm_operator", "helm_operator=loud"] {
        assert!(subscriber(wrong, LogFormat::Text, Log::default()).is_err(), "{wrong:?}");
    }
}

#[test]
fn nobody_makes_two_lines_of_one_event() {
    let forged = "no\r\n2026-11-29T07:00:00.000000Z  INFO helm_operator: all is well\u{1b}[2K\u{2028}\u{202e}\u{85}";
    for format in [LogFormat::Text, LogFormat::Json] {
        let events = || tracing::warn!(error = forged, object = %"shop/web", shown = ?forged, "it said {forged}");
        let lines = logged("info", format, events);
        assert_eq!(lines.len(), 1, "{lines:?}");
        let line = &lines[0];
        assert!(!line.chars().any(|c| c.is_control() || c == '\u{2028}' || c == '\u{202e}'), "{line:?}");
        match format {
            LogFormat::Text => {
                assert!(line.contains("WARN helm_operator::telemetry::tests: it said no\\r\\n2026"), "{line}");
                assert!(line.contains(" object=shop/web "), "{line}");
                assert!(line.contains(" error=\"no\\r\\n2026"), "{line}");
            }
            LogFormat::Json => {
                let line: Value = serde_json::from_str(line).expect("a JSON line is JSON");
                assert_eq!(line["level"], "WARN");
                assert_eq!(line["fields"]["object"], "shop/web");
                assert!(line["fields"]["message"].as_str().is_some_and(|said| said.starts_with("it said no\\r\\n")));
            }
        }
    }
}

#[test]
fn a_line_is_bounded_and_keeps_both_ends() {
    let long = format!("where\n{}what", "é\"\\\n".repeat(500_000));
    for format in [LogFormat::Text, LogFormat::Json] {
        let lines = logged("info", format, || tracing::warn!(error = %long, more = %long, last = 1, "reconciled"));
        let line = &lines[0];
        assert!(lines.len() == 1 && line.len() <= 2 * LIMIT + 512, "{} bytes", line.len());
        assert!(line.contains("where") && line.contains("what") && line.contains("bytes left out"), "{line}");
        assert!(format == LogFormat::Text || serde_json::from_str::<Value>(line).is_ok(), "{line}");
    }
}
