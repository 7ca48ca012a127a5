//! Logs: one line per event, on standard error, whatever is in it.

mod line;

use std::io;

use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::{Layer as _, fmt, registry};

use crate::args::LogFormat;

/// The crates of this workspace: what they log holds no credential and no value.
const OURS: [&str; 3] = ["helm_operator", "helm", "gotmpl"];

/// Prints, as a warning, an answer that it cannot read: a Secret, say, or the values of all releases. And each request that
/// fails, which those who sent it tell of, too.
const CARELESS: &str = "kube_client::client";

/// What is to be logged cannot be read.
#[derive(Debug, thiserror::Error)]
#[error(
    "--log {0:?} is neither a level (off, error, warn, info, debug, trace) nor targets with levels, such as info,helm_operator=debug"
)]
pub struct WrongDirectives(String);

/// Starts logging what `directives` select, panics included. Call it once.
///
/// # Errors
/// When `directives` are not levels or `target=level`.
pub fn start(directives: &str, format: LogFormat) -> Result<(), WrongDirectives> {
    let subscriber = subscriber(directives, format, io::stderr)?;
    // A subscriber is there already only in tests that start two operators in one process.
    drop(tracing::subscriber::set_global_default(subscriber));
    std::panic::set_hook(Box::new(|panic| {
        tracing::error!("{panic}");
        let backtrace = std::backtrace::Backtrace::capture();
        if backtrace.status() == std::backtrace::BacktraceStatus::Captured {
            backtrace.to_string().lines().for_each(|line| tracing::error!("{line}"));
        }
    }));
    Ok(())
}

fn subscriber<W>(directives: &str, format: LogFormat, writer: W) -> Result<impl tracing::Subscriber, WrongDirectives>
where
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    let layer = fmt::layer().with_ansi(false).with_writer(writer).event_format(line::Line(format));
    Ok(registry().with(layer.with_filter(selected(directives)?)))
}

/// What is logged: a level that names no target opens other crates up to info. Below that they print what they send and
/// receive, Secrets too.
fn selected(directives: &str) -> Result<Targets, WrongDirectives> {
    let wrong = || WrongDirectives(directives.to_owned());
    // A word alone would be a target that is opened whole: a mistyped level would log nothing else.
    let is_said = |part: &str| part.contains('=') || part.trim().parse::<LevelFilter>().is_ok();
    if !directives.split(',').all(is_said) {
        return Err(wrong());
    }
    let given: Targets = directives.parse().map_err(|_| wrong())?;
    let general = given.default_level().unwrap_or(LevelFilter::OFF);
    // Who names a library means all of it.
    let named = given.iter().filter(|(target, _)| CARELESS.starts_with(target)).max_by_key(|(target, _)| target.len());
    let careless = named.map_or(LevelFilter::OFF, |(_, level)| level);
    Ok(Targets::new()
        .with_default(general.min(LevelFilter::INFO))
        .with_targets(OURS.map(|target| (target, general)))
        .with_targets(given.iter().map(|(target, level)| (target.to_owned(), level)))
        .with_target(CARELESS, careless))
}

#[cfg(test)]
mod tests;
