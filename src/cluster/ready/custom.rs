//! Custom resources that many install and of which kstatus says too much: those that their controller has not looked at yet have no
//! `Ready` condition, and so count as ready, or they have none at any time. Pure.
//!
//! The sources of the rules are the projects' own documents of their status; the statuses of the tests are of their documents,
//! and of the examples with which Argo CD tests its health checks (`resource_customizations`).

use serde_json::Value;

use super::{Condition, Subject, Verdict, condition, conditions_of};

/// The state of an object of one of these kinds; none for any other.
pub(super) fn assess(group: &str, kind: &str, subject: &Subject<'_>) -> Option<Verdict> {
    let object = subject.body;
    Some(match (group, kind) {
        ("argoproj.io", "Rollout") => rollout(subject),
        // https://external-secrets.io/latest/api/externalsecret/: Ready, once it was synchronized.
        ("external-secrets.io", "ExternalSecret" | "SecretStore" | "ClusterSecretStore" | "PushSecret")
        // https://cert-manager.io/docs/usage/certificate/, configuration/issuers: Ready.
        | ("cert-manager.io", "Issuer" | "ClusterIssuer")
        // https://keda.sh/docs/latest/reference/scaledjob-spec/: Ready.
        | ("keda.sh", "ScaledJob") => reported(object, "Ready"),
        ("cert-manager.io", "Certificate") => certificate(object),
        ("keda.sh", "ScaledObject") => scaled_object(object),
        ("serving.knative.dev", "Service" | "Configuration" | "Revision" | "Route" | "DomainMapping") => knative(object),
        ("gateway.networking.k8s.io", "Gateway") => of_generation(subject, &["Accepted", "Programmed"]),
        ("gateway.networking.k8s.io", "GatewayClass") => of_generation(subject, &["Accepted"]),
        ("gateway.networking.k8s.io", kind) if kind.ends_with("Route") => route(subject),
        ("postgresql.cnpg.io", "Cluster") => postgres(object),
        (
            "kafka.strimzi.io",
            "Kafka" | "KafkaBridge" | "KafkaConnect" | "KafkaConnector" | "KafkaMirrorMaker2" | "KafkaTopic" | "KafkaUser",
        ) => strimzi(object),
        // https://prometheus-operator.dev/docs/api-reference/api/: Available and Reconciled; paused, nothing is reported.
        ("monitoring.coreos.com", "Prometheus" | "PrometheusAgent" | "Alertmanager" | "ThanosRuler") => {
            if object["spec"]["paused"] == true {
                return Some(Verdict::Current);
            }
            of_generation(subject, &["Available", "Reconciled"])
        }
        // https://docs.crossplane.io/latest/packages/: packages are Installed and Healthy.
        ("pkg.crossplane.io", "Provider" | "Configuration" | "Function") => {
            of_generation(subject, &["Installed", "Healthy"])
        }
        _ if is_managed(group, kind, object) => managed(object),
        _ => return None,
    })
}

/// The first of several conditions that is not true yet.
fn all_reported(object: &Value, names: &[&str]) -> Verdict {
    let outstanding = names.iter().map(|name| reported(object, name)).find(|verdict| *verdict != Verdict::Current);
    outstanding.unwrap_or(Verdict::Current)
}

/// A condition that is there once the controller has looked at the object, and true once it is ready.
fn reported(object: &Value, name: &str) -> Verdict {
    match condition(object, name) {
        Some(found) if found.is("True") => Verdict::Current,
        Some(found) => Verdict::InProgress(told(name, &found)),
        None => Verdict::InProgress(format!("its controller has not reported {name} yet")),
    }
}

fn told(name: &str, found: &Condition<'_>) -> String {
    let words = found.words();
    if words.is_empty() { format!("{name} is {}", found.status) } else { words }
}

/// Conditions that each tell of which generation they are.
fn of_generation(subject: &Subject<'_>, names: &[&str]) -> Verdict {
    match behind(&subject.body["status"], subject, names) {
        Some(verdict) => verdict,
        None => all_reported(subject.body, names),
    }
}

/// That one of these conditions is of an earlier generation.
fn behind(status: &Value, subject: &Subject<'_>, names: &[&str]) -> Option<Verdict> {
    let is_behind = |found: &&Value| {
        let is_named = names.iter().any(|name| found["type"] == *name);
        let observed = found["observedGeneration"].as_i64().filter(|observed| *observed > 0);
        is_named && observed.zip(subject.generation).is_some_and(|(observed, generation)| observed < generation)
    };
    let found = conditions_of(status).find(is_behind)?;
    let name = found["type"].as_str().unwrap_or_default();
    Some(Verdict::InProgress(format!("{name} is reported of an earlier generation")))
}

/// <https://argo-rollouts.readthedocs.io/en/stable/features/kustomize/rollout_cr_schema.json>: `status.phase`, and
/// `status.observedGeneration`, which is a text. A rollout that is paused waits for a person, or for its next step: what was
/// asked for is done as far as it goes by itself.
fn rollout(subject: &Subject<'_>) -> Verdict {
    let status = &subject.body["status"];
    let observed = status["observedGeneration"].as_str().and_then(|text| text.parse::<i64>().ok());
    if let Some((observed, generation)) = observed.zip(subject.generation).filter(|(seen, is)| seen < is) {
        return Verdict::InProgress(format!(
            "Rollout generation is {generation}, but latest observed generation is {observed}"
        ));
    }
    let phase = status["phase"].as_str().unwrap_or_default();
    let message = status["message"].as_str().filter(|message| !message.is_empty());
    let words = || message.map_or_else(|| phase.to_owned(), |message| format!("{phase}: {message}"));
    match phase {
        "Healthy" | "Paused" => Verdict::Current,
        "Degraded" => Verdict::Failed(words()),
        "" => Verdict::InProgress("its controller has not reported a phase yet".to_owned()),
        _ => Verdict::InProgress(words()),
    }
}

/// <https://cert-manager.io/docs/reference/api-docs/#cert-manager.io/v1.CertificateCondition>: Ready, and Issuing while a
/// certificate is made. After an attempt that failed the next one comes after an hour, and ever later.
fn certificate(object: &Value) -> Verdict {
    let ready = reported(object, "Ready");
    match condition(object, "Issuing") {
        Some(issuing) if issuing.is("True") => Verdict::InProgress(told("Issuing", &issuing)),
        Some(issuing) if issuing.is("False") && issuing.reason == "Failed" && ready != Verdict::Current => {
            Verdict::Failed(told("Issuing", &issuing))
        }
        _ => ready,
    }
}

/// <https://keda.sh/docs/latest/concepts/scaling-deployments/>: Ready; Paused where a person stopped it.
fn scaled_object(object: &Value) -> Verdict {
    let is_paused = condition(object, "Paused").is_some_and(|paused| paused.is("True"));
    if is_paused { Verdict::Current } else { reported(object, "Ready") }
}

/// <https://github.com/knative/specs/blob/main/specs/serving/overview.md#error-signalling>: Ready is Unknown while it is on its way, and
/// False once it has failed.
fn knative(object: &Value) -> Verdict {
    match condition(object, "Ready") {
        Some(ready) if ready.is("False") => Verdict::Failed(told("Ready", &ready)),
        _ => reported(object, "Ready"),
    }
}

/// <https://gateway-api.sigs.k8s.io/reference/spec/#routeparentstatus>: each parent tells for itself whether it took the route.
fn route(subject: &Subject<'_>) -> Verdict {
    const NAMES: [&str; 2] = ["Accepted", "ResolvedRefs"];
    if subject.body["spec"]["parentRefs"].as_array().is_none_or(Vec::is_empty) {
        return Verdict::Current;
    }
    let parents = subject.body["status"]["parents"].as_array().map(Vec::as_slice).unwrap_or_default();
    if parents.is_empty() {
        return Verdict::InProgress("no Gateway has taken it yet".to_owned());
    }
    let verdict = |parent: &Value| {
        let outstanding = behind(parent, subject, &NAMES).or_else(|| {
            let names = NAMES.into_iter().filter(|name| *name == "Accepted" || has(parent, name));
            let mut verdicts = names.map(|name| reported(&serde_json::json!({ "status": parent }), name));
            verdicts.find(|verdict| *verdict != Verdict::Current)
        })?;
        let Verdict::InProgress(words) = outstanding else { return Some(outstanding) };
        let name = parent["parentRef"]["name"].as_str().unwrap_or_default();
        Some(Verdict::InProgress(format!("parent {name:?}: {words}")))
    };
    parents.iter().find_map(verdict).unwrap_or(Verdict::Current)
}

fn has(status: &Value, name: &str) -> bool {
    conditions_of(status).any(|condition| condition["type"] == name)
}

/// <https://cloudnative-pg.io/documentation/current/cloudnative-pg.v1/#clusterstatus>: `status.phase` in words (`api/v1/cluster_types.go`),
/// the condition Ready, and `cnpg.io/hibernation` where a person stopped it.
fn postgres(object: &Value) -> Verdict {
    const BROKEN: &str = "Cluster is unrecoverable and needs manual intervention";
    let is_hibernated = condition(object, "cnpg.io/hibernation").is_some_and(|found| found.is("True"));
    let status = &object["status"];
    let words = || {
        let phase = status["phase"].as_str().unwrap_or_default();
        status["phaseReason"].as_str().map_or_else(|| phase.to_owned(), |reason| format!("{phase}: {reason}"))
    };
    if is_hibernated {
        return Verdict::Current;
    }
    match status["phase"].as_str() {
        Some("Cluster in healthy state") => Verdict::Current,
        Some(BROKEN) => Verdict::Failed(words()),
        Some(_) => Verdict::InProgress(words()),
        None => Verdict::InProgress("its controller has not reported a phase yet".to_owned()),
    }
}

/// <https://strimzi.io/docs/operators/latest/configuring#type-KafkaStatus-reference>: Ready, or `NotReady` with the reason. What is
/// invalid stays so until somebody changes it.
fn strimzi(object: &Value) -> Verdict {
    match condition(object, "NotReady").filter(|found| found.is("True")) {
        Some(found) if found.reason == "InvalidResourceException" => Verdict::Failed(found.words()),
        Some(found) => Verdict::InProgress(told("NotReady", &found)),
        None => reported(object, "Ready"),
    }
}

/// Whether it is a resource that Crossplane manages: of one of its providers, or a claim or composite of anybody's API, which
/// have both of its conditions. What configures providers has none.
fn is_managed(group: &str, kind: &str, object: &Value) -> bool {
    let is_provided = group.ends_with(".crossplane.io") || group.ends_with(".upbound.io");
    let is_core = matches!(group, "apiextensions.crossplane.io" | "pkg.crossplane.io" | "ops.crossplane.io");
    let is_configuration = kind.contains("ProviderConfig") || kind.ends_with("StoreConfig") || kind.ends_with("Usage");
    let has_both = || ["Synced", "Ready"].iter().all(|name| condition(object, name).is_some());
    (is_provided && !is_core && !is_configuration) || (group.contains('.') && has_both())
}

/// <https://docs.crossplane.io/latest/managed-resources/managed-resources/#conditions>: Synced, and Ready.
fn managed(object: &Value) -> Verdict {
    all_reported(object, &["Synced", "Ready"])
}

#[cfg(test)]
mod tests;
