//! What a release waits for of its dependencies: what is known of releases, and of other objects what is read.

use serde_json::Value;

use super::checks::ReadDependency;
use super::validate::DesiredRelease;
use super::{dependencies, dereference};
use crate::api::{DeletionPolicy, Dependents, HelmRelease, Reason};
use crate::cluster::{Awaited, Dependency, Expression, Input, ObjectRef};
use crate::controller::context::Context;
use crate::controller::error::ReconcileError;
use crate::controller::matching::Key;
use crate::controller::place::Place;
use crate::controller::watch;
use crate::off_thread;

/// Why a release has to wait.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Blocked {
    /// In words.
    pub(crate) why: String,
    /// What ends it, where that is not seen anyway.
    pub(crate) awaits: Vec<Awaited>,
}

impl Blocked {
    /// The end of a reconcile that waits.
    pub(crate) fn error(&self) -> ReconcileError {
        let awaits = self.awaits.clone();
        ReconcileError { awaits, ..ReconcileError::new(Reason::DependencyNotReady, &self.why) }
    }
}

/// Why the uninstall of `release` has to wait, if it has to: others depend on it, and it is declared that it waits for them. Two
/// that depend on each other do not wait for each other.
pub(crate) fn by_dependents(release: &HelmRelease, context: &Context) -> Option<ReconcileError> {
    let uninstall = release.spec.uninstall.as_ref()?;
    let stays = match uninstall.deletion_policy {
        Some(policy) => policy == DeletionPolicy::Orphan,
        None => release.spec.suspend,
    };
    if uninstall.dependents != Some(Dependents::Wait) || stays {
        return None;
    }
    let (own, wanted) = (Key::of(release), dereference::keys(release));
    let of = |key: &Key| {
        let other = context.releases.get(&watch::reference(key));
        other.and_then(|other| other.0.as_ref().ok().map(dereference::keys)).unwrap_or_default()
    };
    let dependents: Vec<Key> = context.index().depending_on_release(&own).cloned().collect();
    // Whoever may declare releases of another namespace may not keep this one from going.
    let counts = |key: &Key| key.namespace == own.namespace && *key != own && !dependencies::reaches(&wanted, key, of);
    let remaining: Vec<&str> = dependents.iter().filter(|key| counts(key)).map(|key| key.name.as_str()).collect();
    (!remaining.is_empty()).then(|| {
        let message = format!(
            "it is not uninstalled yet, since spec.uninstall.dependents is Wait and HelmReleases of its namespace depend on it: {}. It goes on as soon as they are \
             gone, or no longer name it in spec.dependsOn",
            remaining.join(", ")
        );
        ReconcileError::new(Reason::DependentsRemain, message)
    })
}

/// Why `release` has to wait for objects that have to be read, if it has to. Costs a request for each.
pub(crate) async fn by_objects(
    release: &HelmRelease,
    desired: &DesiredRelease,
    place: &Place,
) -> Result<Option<Blocked>, ReconcileError> {
    let (mut waiting, mut awaits) = (Vec::new(), Vec::new());
    for dependency in &desired.dependencies {
        if let Some((why, awaited)) = outstanding(dependency, release, desired, place).await? {
            waiting.push(why);
            awaits.extend(awaited);
        }
    }
    Ok((!waiting.is_empty()).then(|| Blocked { why: dependencies::waiting_for(&waiting), awaits }))
}

/// What is outstanding of a dependency, and what ends that.
async fn outstanding(
    dependency: &ReadDependency,
    release: &HelmRelease,
    desired: &DesiredRelease,
    place: &Place,
) -> Result<Option<(String, Option<Awaited>)>, ReconcileError> {
    let ReadDependency { field, wanted, is_neighbour, .. } = dependency;
    let reach = place.reach();
    let found = if *is_neighbour {
        // Releases are declared in the operator's own cluster, wherever they are carried out.
        let home = place.context.home.cluster.on_behalf_of(&place.subject.namespace);
        home.dependency(wanted, &reach).await
    } else {
        place.cluster.dependency(wanted, &reach).await
    };
    let of_home = |awaited: Awaited| Awaited { home: *is_neighbour, ..awaited };
    let found = found.map_err(|error| {
        let error = ReconcileError::from(error);
        ReconcileError { message: format!("{field}: {}", error.message), ..error }
    })?;
    let other = place.key.as_ref().filter(|_| !is_neighbour);
    let (object, content) = match found {
        Dependency::Unserved { served, awaited } => {
            let hint = match served.as_slice() {
                [] => String::new(),
                served => format!(", but in {}", served.join(", ")),
            };
            let cluster = other.map_or_else(|| "the cluster".to_owned(), ToString::to_string);
            let why = format!("{cluster} serves no kind {:?} in {:?}{hint}", wanted.kind, wanted.api_version);
            return Ok(Some((format!("{why} ({field})"), awaited.map(of_home))));
        }
        Dependency::Missing(object) => {
            let cluster = other.map(|key| format!(" in {key}")).unwrap_or_default();
            return Ok(Some((
                format!("there is no {object}{cluster} ({field})"),
                Some(of_home(Awaited::present(object))),
            )));
        }
        Dependency::There(object, content) => (object, content),
    };
    let version = content["metadata"]["resourceVersion"].as_str().unwrap_or_default().to_owned();
    let why = judged(dependency, &object, content, (release, desired)).await;
    Ok(why.map(|why| (why, Some(of_home(Awaited::later(object, &version))))))
}

/// Why an object that is depended on does not do yet; none where it does. Expressions are evaluated off the controllers' thread.
async fn judged(
    dependency: &ReadDependency,
    object: &ObjectRef,
    content: Value,
    (release, desired): (&HelmRelease, &DesiredRelease),
) -> Option<String> {
    let ReadDependency { field, is_judged, expression, .. } = dependency.clone();
    let checks = is_judged.then(|| desired.maintenance.checks.clone());
    let own = expression.as_ref().map(|_| serde_json::to_value(release).unwrap_or_default());
    let object = object.clone();
    off_thread::evaluate(move || {
        let unready = checks.and_then(|checks| checks.outstanding(&object, &content));
        if let Some(why) = unready {
            return Some(format!("{object} is not ready: {why}"));
        }
        let why = untrue(expression.as_ref()?, own?, content)?;
        Some(format!("{field}.readyExpr is not true of {object}{why}"))
    })
    .await
}

/// Why an expression is not true of a dependency, in words that follow others; none where it is.
fn untrue(expression: &Expression, release: Value, mut dependency: Value) -> Option<String> {
    let own = without_nulls(release);
    if let Some(metadata) = dependency["metadata"].as_object_mut() {
        metadata.remove("managedFields");
    }
    match expression.is_true(&Input::of([("self", &own), ("dep", &dependency)])) {
        Ok(true) => None,
        Ok(false) => Some(String::new()),
        Err(why) => Some(format!(": {why}")),
    }
}

/// An object as it was declared: what is not set is not there.
fn without_nulls(value: Value) -> Value {
    match value {
        Value::Object(fields) => {
            let set = fields.into_iter().filter(|(_, value)| !value.is_null());
            set.map(|(name, value)| (name, without_nulls(value))).collect()
        }
        Value::Array(items) => items.into_iter().map(without_nulls).collect(),
        other => other,
    }
}
