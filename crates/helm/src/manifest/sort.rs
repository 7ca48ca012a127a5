//! Rendered files to hooks and manifests in order.

use std::collections::BTreeMap;

use formats::yaml;

use super::head::Head;
use super::hook::{
    DELETE_POLICY_ANNOTATION, EVENT_ANNOTATION, Hook, HookEvent, HookRun, OUTPUT_LOG_POLICY_ANNOTATION,
    WEIGHT_ANNOTATION,
};
use super::{Error, Manifest, Order, Problem, split};
use crate::warning::{Log, Warning};

/// Cuts rendered files, keyed by template path, into hooks and manifests, each in `order`.
///
/// Objects of one kind stay in the order of their files and, in a file, of their documents. Files whose name starts with
/// `_` and empty ones are skipped, and so are hooks with an event that Helm does not know.
pub fn sort(files: &BTreeMap<String, String>, order: Order) -> Result<(Vec<Hook>, Vec<Manifest>), Error> {
    sort_telling(files, order, &Log::default())
}

/// As [`sort`], and tells of the hooks that are skipped.
pub(crate) fn sort_telling(
    files: &BTreeMap<String, String>,
    order: Order,
    log: &Log,
) -> Result<(Vec<Hook>, Vec<Manifest>), Error> {
    let files = files.iter().filter(|(path, _)| !is_partial(path));
    let documents = files.flat_map(|(path, content)| split(content).into_iter().map(move |text| (path.as_str(), text)));
    sort_documents(documents, order, log)
}

/// The manifests of a stored release, in `order`. They are named by their `# Source:` line.
pub fn of_record(stored: &str, order: Order) -> Result<Vec<Manifest>, Error> {
    let documents = split(stored).into_iter().map(|text| (source_of(text), text));
    sort_documents(documents, order, &Log::default()).map(|(_, manifests)| manifests)
}

fn sort_documents<'a>(
    documents: impl Iterator<Item = (&'a str, &'a str)>,
    order: Order,
    log: &Log,
) -> Result<(Vec<Hook>, Vec<Manifest>), Error> {
    let mut hooks = Vec::new();
    let mut manifests = Vec::new();
    for (path, text) in documents {
        let head = read_head(text).map_err(|problem| Error { path: path.to_owned(), problem })?;
        match head.annotations.get(EVENT_ANNOTATION) {
            Some(events) => match hook(path, text, &head, events) {
                Some(hook) => hooks.push(hook),
                None => log.add(|_| Warning::UnknownHook { events: events.clone() }),
            },
            None => manifests.push(Manifest {
                name: path.to_owned(),
                content: text.to_owned(),
                api_version: head.api_version,
                kind: head.kind,
                object_name: head.name,
            }),
        }
    }
    hooks.sort_by(|a, b| order.compare(&a.kind, &b.kind));
    manifests.sort_by(|a, b| order.compare(&a.kind, &b.kind));
    Ok((hooks, manifests))
}

fn read_head(text: &str) -> Result<Head, Problem> {
    let document = match yaml::skim(text.as_bytes(), Head::needs) {
        Some(document) => document,
        None => yaml::typed::parse(text.as_bytes(), &Head::has_text_at).map_err(Problem::Yaml)?,
    };
    Head::of(&document).map_err(Problem::Head)
}

/// The hook that a document is, or nothing when one of its events is unknown.
fn hook(path: &str, text: &str, head: &Head, events: &str) -> Option<Hook> {
    let annotation = |key| head.annotations.get(key);
    Some(Hook {
        name: head.name.clone(),
        kind: head.kind.clone(),
        path: path.to_owned(),
        manifest: text.to_owned(),
        events: events.split(',').map(event).collect::<Option<_>>()?,
        last_run: HookRun::default(),
        weight: annotation(WEIGHT_ANNOTATION).and_then(|weight| weight.parse().ok()).unwrap_or_default(),
        delete_policies: words(annotation(DELETE_POLICY_ANNOTATION)),
        output_log_policies: words(annotation(OUTPUT_LOG_POLICY_ANNOTATION)),
    })
}

/// The event of a word; Helm 2's `test-success` is [`HookEvent::Test`].
fn event(word: &str) -> Option<HookEvent> {
    match HookEvent::from(word.trim().to_lowercase()) {
        HookEvent::Other(word) => (word == "test-success").then_some(HookEvent::Test),
        known => Some(known),
    }
}

fn words<T: From<String>>(list: Option<&String>) -> Vec<T> {
    list.into_iter().flat_map(|list| list.split(',')).map(|word| T::from(word.trim().to_lowercase())).collect()
}

fn is_partial(path: &str) -> bool {
    path.rsplit('/').next().is_some_and(|file| file.starts_with('_'))
}

fn source_of(document: &str) -> &str {
    let first = document.lines().next().unwrap_or_default();
    first.strip_prefix("# Source: ").unwrap_or("release manifest")
}
