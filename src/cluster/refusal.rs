//! The server's refusals, read: which trouble it is, whether it passes, and how to say it without secrets. Pure.

use std::collections::BTreeMap;
use std::time::Duration;

use kube::core::Status;
use kube::core::response::StatusCause;

use self::readable::Quotable;
use super::error::FieldConflict;
use super::object::ObjectRef;
use super::{Error, Resource};

mod readable;

/// Patience with a server that answers "internal error": mostly a webhook that restarts.
const INTERNAL_ERROR_PATIENCE: Duration = Duration::from_secs(15);

/// What was tried when the refusal came.
pub(super) struct Attempt<'a> {
    pub(super) verb: &'static str,
    pub(super) resource: &'a Resource,
    pub(super) object: &'a ObjectRef,
}

/// How long to retry after `error`; `None` if it will not pass by itself.
pub(super) fn patience(error: &kube::Error, full: Duration) -> Option<Duration> {
    match error {
        kube::Error::Api(status) => match status.code {
            429 | 502..=504 => Some(full),
            500 => is_passing(status).then_some(INTERNAL_ERROR_PATIENCE),
            // Quota is counted with optimistic locking: a burst of creations collides on the ResourceQuota object.
            409 if status.message.contains("Operation cannot be fulfilled on resourcequotas") => Some(full),
            _ => None,
        },
        kube::Error::HyperError(_) | kube::Error::Service(_) | kube::Error::ReadEvents(_) => Some(full),
        _ => None,
    }
}

/// Whether a 500 is the server's trouble. What it cannot decode or merge (a wrong type, a list item without its key) it
/// reports as a 500 without a reason, too: that is the object's, and stays.
fn is_passing(status: &Status) -> bool {
    let is_passing = |words: &str| words.contains("etcdserver") || words.contains("rpc error");
    let is_silent = |message: &str| useless_webhook(message).is_some_and(|(_, _, is_silent)| is_silent);
    !status.reason.is_empty() || is_passing(&status.message) || is_silent(&status.message)
}

/// How the name begins of a webhook that converts objects.
pub(super) const CONVERSION: &str = "the conversion webhook of";

/// The webhook that was of no use to the API server, in words; what it says of it; and whether it could not be asked. Of one for
/// conversions it says why without a reason: also what that answered itself, as the old one does of a version that the new one knows.
fn useless_webhook(message: &str) -> Option<(String, &'static str, bool)> {
    const NOT_ASKED: [&str; 4] = ["Post \"", "service \"", "no endpoints available", "no service port"];
    const SILENT: &str = "did not answer";
    if let Some(name) = between(message, "failed calling webhook \"", "\"") {
        return Some((format!("admission webhook {name:?}"), SILENT, true));
    }
    let (_, conversion) = message.split_once("conversion webhook for ")?;
    let (kind, why) = conversion.split_once(" failed: ")?;
    let is_silent = NOT_ASKED.iter().any(|words| why.starts_with(words));
    let what = if is_silent { SILENT } else { "did not convert it" };
    Some((format!("{CONVERSION} {kind}"), what, is_silent))
}

/// The pause the server asks for.
pub(super) fn retry_after(error: &kube::Error) -> Option<Duration> {
    let kube::Error::Api(status) = error else { return None };
    let seconds = status.details.as_ref()?.retry_after_seconds;
    (seconds > 0).then(|| Duration::from_secs(seconds.into()))
}

/// The refusal as one of our errors.
pub(super) fn explain(attempt: &Attempt<'_>, error: kube::Error) -> Error {
    let target = attempt.object.to_string();
    match error {
        kube::Error::Api(status) => explain_status(attempt, &status),
        error => Error::Unavailable { verb: attempt.verb, target, source: Box::new(error) },
    }
}

fn explain_status(attempt: &Attempt<'_>, status: &Status) -> Error {
    let object = Box::new(attempt.object.clone());
    if let Some((webhook, message)) = denial(&status.message) {
        return Error::Webhook { object, webhook, message };
    }
    if status.code == 403 {
        return explain_forbidden(attempt, status);
    }
    let message = readable(attempt, &status.message);
    match status.code {
        401 => Error::Unauthorized { message },
        404 => explain_missing(attempt, status, message),
        409 => match conflicts(status) {
            conflicts if conflicts.is_empty() => refused(attempt, status.code, message),
            conflicts => Error::Conflict { object, conflicts },
        },
        422 => match immutable_field(attempt, status) {
            Some((field, message)) => Error::Immutable { object, field, message },
            None => Error::Invalid { object, message },
        },
        400 => Error::Invalid { object, message },
        500 => match useless_webhook(&status.message) {
            // Of one that was not asked it speaks of the address, not of the object.
            Some((webhook, what, true)) => {
                Error::WebhookUnreachable { object, webhook, what, message: one_line(&status.message) }
            }
            Some((webhook, what, false)) => Error::WebhookUnreachable { object, webhook, what, message },
            None if is_passing(status) => unavailable(attempt, status),
            None => Error::Invalid { object, message },
        },
        429 | 502..=504 => unavailable(attempt, status),
        code => refused(attempt, code, message),
    }
}

/// Of what is forbidden the server names users, resources, quotas and limits, which a person needs.
fn explain_forbidden(attempt: &Attempt<'_>, status: &Status) -> Error {
    let object = Box::new(attempt.object.clone());
    let message = one_line(&status.message);
    let causes = status.details.iter().flat_map(|details| &details.causes);
    let namespace = attempt.object.namespace.clone();
    if let (true, Some(namespace)) = (causes.clone().any(|cause| cause.reason == "NamespaceTerminating"), &namespace) {
        return Error::NamespaceTerminating { object, namespace: namespace.clone() };
    }
    if message.contains("exceeded quota") || message.contains("failed quota") {
        return Error::Quota { object, message };
    }
    if message.contains(" cannot ") || message.contains("RBAC") {
        let verb = between(&message, " cannot ", " ").unwrap_or(attempt.verb).to_owned();
        return Error::Forbidden { verb, resource: attempt.resource.qualified(), namespace, message };
    }
    // Admission plugins (LimitRanger, PodSecurity, …) answer "forbidden" too; they speak of the object.
    Error::Invalid { object, message }
}

fn explain_missing(attempt: &Attempt<'_>, status: &Status, message: String) -> Error {
    let object = Box::new(attempt.object.clone());
    let details = status.details.as_ref();
    if details.is_some_and(|details| details.kind == "namespaces") && attempt.object.kind != "Namespace" {
        let namespace = attempt.object.namespace.clone().unwrap_or_default();
        return Error::NamespaceMissing { object, namespace, is_own: false };
    }
    if details.is_none_or(|details| details.name.is_empty()) {
        return Error::UnknownKind {
            api_version: attempt.resource.api_version(),
            kind: object.kind.clone(),
            object: format!("{} {:?}", object.kind, object.name),
            origin: "the release".to_owned(),
            served: Vec::new(),
        };
    }
    refused(attempt, status.code, message)
}

fn refused(attempt: &Attempt<'_>, code: u16, message: String) -> Error {
    Error::Refused { verb: attempt.verb, target: attempt.object.to_string(), code, message }
}

fn unavailable(attempt: &Attempt<'_>, status: &Status) -> Error {
    let status = Status { message: readable(attempt, &status.message), details: None, ..status.clone() };
    let source = Box::new(kube::Error::Api(status.boxed()));
    Error::Unavailable { verb: attempt.verb, target: attempt.object.to_string(), source }
}

/// A field as the server names it, `.spec.template.spec.containers[name="web"].image`. Shown without values of the object.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct FieldPath(String);

impl FieldPath {
    /// The server's own text, which may hold values: not to be shown.
    pub(super) fn as_named(&self) -> &str {
        &self.0
    }
}

impl From<&str> for FieldPath {
    fn from(named: &str) -> Self {
        Self(named.to_owned())
    }
}

impl std::fmt::Display for FieldPath {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&readable::path(&self.0))
    }
}

impl std::fmt::Debug for FieldPath {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        std::fmt::Display::fmt(self, f)
    }
}

/// The claims of other managers, from the causes of a 409: `conflict with "NAME" using apps/v1 at …`.
fn conflicts(status: &Status) -> Vec<FieldConflict> {
    let mut by_manager: BTreeMap<&str, Vec<FieldPath>> = BTreeMap::new();
    let causes = status.details.iter().flat_map(|details| &details.causes);
    for cause in causes.filter(|cause| cause.reason == "FieldManagerConflict") {
        let manager = between(&cause.message, "conflict with \"", "\"").unwrap_or("unknown");
        by_manager.entry(manager).or_default().push(FieldPath::from(cause.field.as_str()));
    }
    let claim = |(manager, fields): (&str, _)| FieldConflict { manager: manager.to_owned(), fields };
    by_manager.into_iter().map(claim).collect()
}

/// The field of a 422 that cannot be changed, and the server's words for it. It has no reason of its own for that: the
/// words tell.
fn immutable_field(attempt: &Attempt<'_>, status: &Status) -> Option<(String, String)> {
    const WORDS: [&str; 5] = ["immutable", "may not change", "may not be changed", "cannot change", "updates to "];
    let details = status.details.as_ref()?;
    let words = |cause: &StatusCause| readable(attempt, &cause.message);
    let told: Vec<_> = details.causes.iter().map(|cause| (readable::path(&cause.field), words(cause))).collect();
    // Where something else is wrong, too, the object could not be made anew either.
    let is_immutable = |(_, told): &(String, String)| WORDS.iter().any(|words| told.contains(words));
    let (field, words) = told.iter().all(is_immutable).then(|| told.into_iter().next()).flatten()?;
    let rule = ["Forbidden: ", "Invalid value: "].iter().find_map(|kind| words.strip_prefix(kind)).unwrap_or(&words);
    Some((field, rule.trim_start_matches("(value left out): ").to_owned()))
}

/// Who denied, and the words: of a webhook or of a policy.
fn denial(message: &str) -> Option<(String, String)> {
    if let Some(name) = between(message, "admission webhook \"", "\" denied the request") {
        let words = message.split_once("denied the request").map_or("", |(_, words)| words);
        return Some((name.to_owned(), words.trim_start_matches([':', ' ']).to_owned()));
    }
    let name = between(message, "ValidatingAdmissionPolicy '", "'")?;
    let words = message.split_once("denied request: ").map_or(message, |(_, words)| words);
    Some((name.to_owned(), words.to_owned()))
}

/// The server's words in one line, without values of the object.
fn readable(attempt: &Attempt<'_>, words: &str) -> String {
    let (object, resource) = (attempt.object, attempt.resource);
    let qualified = resource.qualified();
    let api_version = resource.api_version();
    let namespace = object.namespace.as_deref().unwrap_or_default();
    let names =
        [&*object.name, namespace, &*object.kind, &*object.group, &*resource.version, &*api_version, &*qualified];
    readable::readable(words, &Quotable { names: &names, naming_fields: object.kind != "Secret" })
}

fn one_line(words: &str) -> String {
    words.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn between<'a>(text: &'a str, before: &str, after: &str) -> Option<&'a str> {
    let (_, rest) = text.split_once(before)?;
    rest.split_once(after).map(|(found, _)| found)
}

#[cfg(test)]
mod tests;
