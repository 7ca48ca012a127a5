//! The end of a hook's log, told where the hook failed. It is no part of what happens: without it the message is shorter.

use helm::manifest::{Hook, OutputLogPolicy};

use super::secrets_of;
use crate::cluster::{LogEnd, Object, SecretValues};
use crate::controller::place::Place;
use crate::history::Record;

/// Most bytes of it that are told.
const BYTES: usize = 1024;

/// What the log of a hook's object ends with, in words to be added to a message; empty where it cannot be had.
pub(super) async fn end(object: &Object, record: &Record, secrets: &SecretValues, place: &Place) -> String {
    let Some(LogEnd { pod, container, text }) = place.cluster.log_end(object).await else { return String::new() };
    // Before it is cut: half of a secret is found nowhere.
    let Ok(others) = secrets_of(&record.release).await else { return String::new() };
    let text = shown(&others.mask(&secrets.mask(&text)));
    if text.is_empty() {
        text
    } else {
        format!("; the log of container {container:?} of pod {pod:?} ends with: {text}")
    }
}

/// Tells the operator's log what a hook wrote that succeeded, where the hook asks for that: Helm prints it.
pub(super) async fn succeeded(hook: &Hook, objects: &[Object], record: &Record, secrets: &SecretValues, place: &Place) {
    if !hook.output_log_policies.contains(&OutputLogPolicy::HookSucceeded) {
        return;
    }
    for object in objects {
        let end = end(object, record, secrets, place).await;
        if !end.is_empty() {
            let reference = object.reference();
            tracing::info!(release = %record.release.name, namespace = %record.release.namespace, "hook {reference} of {} succeeded{end}", hook.path);
        }
    }
}

/// The last lines of a text in one line, without what moves a terminal's cursor.
fn shown(text: &str) -> String {
    let line = |line: &str| line.chars().filter(|it| !it.is_control() || *it == '\t').collect::<String>();
    let lines: Vec<String> = text.lines().map(|it| line(it).trim().to_owned()).filter(|it| !it.is_empty()).collect();
    let joined = lines.join(" | ");
    let start = joined.ceil_char_boundary(joined.len().saturating_sub(BYTES));
    if start == 0 { joined } else { format!("…{}", &joined[start..]) }
}

#[cfg(test)]
mod tests {
    use super::{BYTES, shown};

    #[test]
    fn the_end_of_a_log_is_one_short_line() {
        assert_eq!(shown("one\r\n\n  two\u{1b}[31m red\n"), "one | two[31m red");
        let long = shown(&"ü\n".repeat(BYTES));
        assert!(long.len() <= BYTES + "…".len() && long.starts_with('…') && long.ends_with("| ü"), "{long}");
    }
}
