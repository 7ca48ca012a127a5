//! What a story expects of an object's status, said once for both kinds.

use anyhow::{Context, Result, ensure};
use helm_operator::api::{HelmRelease, HelmRepository, Reason};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::ResourceExt as _;

/// An object with conditions.
pub trait Conditioned: kube::Resource {
    /// Its conditions; none when it has no status yet.
    fn conditions(&self) -> &[Condition];
    /// The generation its status is about.
    fn observed_generation(&self) -> Option<i64>;
}

impl Conditioned for HelmRelease {
    fn conditions(&self) -> &[Condition] {
        self.status.as_ref().map_or(&[], |status| &status.conditions)
    }

    fn observed_generation(&self) -> Option<i64> {
        self.status.as_ref()?.observed_generation
    }
}

impl Conditioned for HelmRepository {
    fn conditions(&self) -> &[Condition] {
        self.status.as_ref().map_or(&[], |status| &status.conditions)
    }

    fn observed_generation(&self) -> Option<i64> {
        self.status.as_ref()?.observed_generation
    }
}

/// The condition of that type, if the status is about the object as it is now.
fn condition<'a, K: Conditioned>(object: &'a K, kind: &str) -> Result<&'a Condition> {
    let (seen, is) = (object.observed_generation(), object.meta().generation);
    ensure!(seen == is, "status is about generation {seen:?}, the object has {is:?}: {}", summary(object));
    let found = object.conditions().iter().find(|condition| condition.type_ == kind);
    found.with_context(|| format!("no condition {kind}: {}", summary(object)))
}

/// Accepts `Ready=True` for the object as it is now.
///
/// # Errors
/// What the status says instead.
pub fn ready<K: Conditioned>(object: &K) -> Result<()> {
    let condition = condition(object, "Ready")?;
    ensure!(condition.status == "True", "{}", summary(object));
    for other in ["Reconciling", "Stalled"] {
        let lies = object.conditions().iter().any(|condition| condition.type_ == other && condition.status == "True");
        ensure!(!lies, "Ready and {other} at once: {}", summary(object));
    }
    Ok(())
}

/// Accepts `Ready=False` with that reason, for the object as it is now.
///
/// # Errors
/// What the status says instead.
pub fn failed<K: Conditioned>(object: &K, reason: Reason) -> Result<()> {
    let condition = condition(object, "Ready")?;
    ensure!(condition.status == "False" && condition.reason == reason.to_string(), "{}", summary(object));
    Ok(())
}

/// Accepts `Ready=False` with that reason and `Stalled=True`: only a person can help.
///
/// # Errors
/// What the status says instead.
pub fn stalled<K: Conditioned>(object: &K, reason: Reason) -> Result<()> {
    failed(object, reason)?;
    let stalled = condition(object, "Stalled")?;
    ensure!(stalled.status == "True" && stalled.reason == reason.to_string(), "{}", summary(object));
    Ok(())
}

/// Accepts a condition of that type with that status and reason, for the object as it is now.
///
/// # Errors
/// What the status says instead.
pub fn has<K: Conditioned>(object: &K, kind: &str, status: &str, reason: Reason) -> Result<()> {
    let condition = condition(object, kind)?;
    ensure!(condition.status == status && condition.reason == reason.to_string(), "{}", summary(object));
    Ok(())
}

/// The message of `Ready`; empty when there is none.
pub fn message<K: Conditioned>(object: &K) -> &str {
    object.conditions().iter().find(|condition| condition.type_ == "Ready").map_or("", |ready| &ready.message)
}

/// The conditions in a few lines.
pub fn summary<K: Conditioned>(object: &K) -> String {
    let lines = object.conditions().iter().map(|condition| {
        let Condition { type_, status, reason, message, .. } = condition;
        format!("{type_}={status} {reason}: {message}")
    });
    let all: Vec<String> = lines.collect();
    format!("{} is [{}]", object.meta().name.as_deref().unwrap_or_default(), all.join("; "))
}

/// The object's name and namespace, for messages.
pub fn place<K: kube::Resource>(object: &K) -> String {
    format!("{}/{}", object.namespace().unwrap_or_default(), object.name_any())
}
