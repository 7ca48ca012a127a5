//! How it is told whether objects are ready: by what is known of their kinds, or by what a release declares. Pure.

use std::sync::Arc;

use serde_json::{Map, Value};

use super::expression::{Expression, Input};
use super::object::ObjectRef;
use super::ready::{self, Assessment, Subject, Verdict};

/// What a release declares of when objects are ready.
#[derive(Debug, Clone, Default)]
pub struct HealthChecks {
    /// Expressions, of some kinds.
    pub by_kind: Vec<Arc<HealthCheck>>,
    /// Whether objects of kinds that Helm 3 did not know are ready as soon as they exist.
    pub legacy: bool,
}

/// The expressions of a kind.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct HealthCheck {
    /// Where they are declared, for messages.
    pub field: String,
    /// The API group.
    pub group: String,
    /// The kind; none for all of the group.
    pub kind: Option<String>,
    /// True while an object is on its way.
    pub in_progress: Option<Expression>,
    /// True once it will not become ready by itself.
    pub failed: Option<Expression>,
    /// True once it is ready.
    pub current: Expression,
}

/// By what an object is judged. Part of the key of a feed, which judges what it shows.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Judge {
    /// What is known of its kind, unless it asks not to be judged.
    #[default]
    Kind,
    /// What is known of its kind, whatever it asks: a hook has to end, a dependency to be ready.
    Strict,
    /// That it exists: Helm 3 does not know its kind.
    Legacy,
    /// What is declared.
    Declared(Arc<HealthCheck>),
}

impl HealthChecks {
    /// By what objects of a kind are judged.
    pub(super) fn judge(&self, group: &str, kind: &str) -> Judge {
        let of_group = || self.by_kind.iter().filter(|check| check.group == group);
        let named = of_group().find(|check| check.kind.as_deref() == Some(kind));
        match named.or_else(|| of_group().find(|check| check.kind.is_none())) {
            Some(check) => Judge::Declared(Arc::clone(check)),
            None if self.legacy && !is_known_to_helm_3(group, kind) => Judge::Legacy,
            None => Judge::Kind,
        }
    }

    /// Whether objects of a kind are judged by no expression of the release's own.
    pub fn is_by_kind(&self, group: &str, kind: &str) -> bool {
        !matches!(self.judge(group, kind), Judge::Declared(_))
    }

    /// What is outstanding until an object that is depended on is ready, and a Job complete; none once it is.
    pub fn outstanding(&self, object: &ObjectRef, content: &Value) -> Option<String> {
        let judge = match self.judge(&object.group, &object.kind) {
            Judge::Kind | Judge::Legacy => Judge::Strict,
            judge => judge,
        };
        let assessment = judge.assess(&object.group, &object.kind, &Subject::of(content), || content.clone());
        let is_job = object.group == "batch" && object.kind == "Job";
        match if is_job { assessment.complete } else { assessment.ready } {
            Verdict::Current => None,
            Verdict::InProgress(words) | Verdict::Failed(words) => Some(words),
        }
    }
}

impl Judge {
    /// Whether objects of this kind are ready as soon as they exist, whatever they hold.
    pub(super) fn needs_no_content(&self, group: &str, kind: &str) -> bool {
        !matches!(self, Self::Declared(_)) && ready::ready_by_existing(group, kind)
    }

    /// Whether it evaluates what people declare, which may take a while.
    pub(super) fn evaluates(&self) -> bool {
        matches!(self, Self::Declared(_))
    }

    /// Whether what was made of an object by its kind is this judge's verdict, too.
    pub(super) fn is_by_kind(&self) -> bool {
        *self == Self::Kind
    }

    /// The state of an object; `whole` is all of it.
    pub(super) fn assess(
        &self,
        group: &str,
        kind: &str,
        subject: &Subject<'_>,
        whole: impl FnOnce() -> Value,
    ) -> Assessment {
        match self {
            Self::Strict => ready::assess(group, kind, subject),
            _ if subject.ignored && !subject.deleting => Assessment::CURRENT,
            Self::Legacy if !subject.deleting => Assessment::CURRENT,
            Self::Kind | Self::Legacy => ready::assess(group, kind, subject),
            Self::Declared(check) => {
                let verdict = ready::unsettled(kind, subject).unwrap_or_else(|| check.verdict(whole()));
                Assessment { ready: verdict.clone(), complete: verdict, overdue: None }
            }
        }
    }
}

/// The kinds for which Helm 3 waits, without their versions.
fn is_known_to_helm_3(group: &str, kind: &str) -> bool {
    match group {
        "" => matches!(kind, "Pod" | "PersistentVolumeClaim" | "Service" | "ReplicationController"),
        "apps" | "extensions" => matches!(kind, "Deployment" | "DaemonSet" | "StatefulSet" | "ReplicaSet"),
        "batch" => kind == "Job",
        "apiextensions.k8s.io" => kind == "CustomResourceDefinition",
        _ => false,
    }
}

impl HealthCheck {
    fn verdict(&self, mut object: Value) -> Verdict {
        if let Some(metadata) = object["metadata"].as_object_mut() {
            // Nobody asks for them, and they are most of many objects.
            metadata.remove("managedFields");
        }
        let fields = object.as_object_mut().map(std::mem::take).unwrap_or_default();
        // What no controller has looked at yet has no status: that is no reason to fail on it.
        let absent = Value::Object(Map::new());
        let status = (!fields.contains_key("status")).then_some(("status", &absent));
        let input = Input::of(fields.iter().map(|(name, content)| (name.as_str(), content)).chain(status));
        let Self { field, in_progress, failed, current, .. } = self;
        let asked = |expression: &Option<Expression>| expression.as_ref().map(|it| it.is_true(&input));
        match asked(in_progress) {
            Some(Ok(true)) => return Verdict::InProgress(format!("{field}.inProgress is true")),
            Some(Err(why)) => return Verdict::InProgress(format!("{field}.inProgress: {why}")),
            Some(Ok(false)) | None => {}
        }
        if asked(failed) == Some(Ok(true)) {
            let told = ready::condition_words(&fields).map(|words| format!(" ({words})")).unwrap_or_default();
            return Verdict::Failed(format!("{field}.failed is true{told}"));
        }
        match current.is_true(&input) {
            Ok(true) => Verdict::Current,
            Ok(false) => Verdict::InProgress(format!("{field}.current is not true yet")),
            Err(why) => Verdict::InProgress(format!("{field}.current is not true yet: {why}")),
        }
    }
}

#[cfg(test)]
mod tests;
