//! Why an object is not ready: what its pods' states and the newest warnings say. Asked only after a wait has failed.
//!
//! Bounded in requests, time and words. It reads states and events, never environment, arguments or data.

use std::time::Duration;

use k8s_openapi::api::core::v1::{ContainerState, ContainerStatus, Event, Pod};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use kube::api::ListParams;
use kube::core::Selector;
use serde_json::Value;

use super::object::ObjectRef;
use super::{Cluster, Resource};

/// For the whole diagnosis of one object.
const TIME: Duration = Duration::from_secs(5);
/// Pods described.
const PODS: usize = 3;
/// Pods looked at to find those.
const PODS_READ: u32 = 50;
/// Warnings told per object or pod.
const WARNINGS: usize = 2;
/// Selects those among all events.
const WARNINGS_ONLY: &str = ",type=Warning";
/// Events read to find those.
const EVENTS_READ: u32 = 50;
/// Characters of one sentence.
const WORDS: usize = 240;

impl Cluster {
    /// Sentences about `object`; none if there is nothing to tell or the server does not tell in time.
    pub(super) async fn diagnose(&self, resource: &Resource, object: &ObjectRef) -> Vec<String> {
        tokio::time::timeout(TIME, self.reasons(resource, object)).await.unwrap_or_default()
    }

    async fn reasons(&self, resource: &Resource, object: &ObjectRef) -> Vec<String> {
        let Ok(Some(live)) = self.requests.get(resource, object).await else { return Vec::new() };
        let mut reasons = failing_conditions(&live);
        let namespace = object.namespace.as_deref().unwrap_or("default");
        let pods = match object.kind.as_str() {
            "Pod" => serde_json::from_value(live.clone()).into_iter().collect(),
            _ => self.pods(namespace, &live).await,
        };
        for pod in pods.iter().filter(|pod| !is_fine(pod)).take(PODS) {
            reasons.push(self.pod_reasons(namespace, pod).await);
        }
        if object.kind != "Pod" {
            // Why a claim is not bound is no warning where it waits for its first consumer, or for a provisioner.
            let kinds = if object.kind == "PersistentVolumeClaim" { "" } else { WARNINGS_ONLY };
            reasons.extend(self.events(namespace, live["metadata"]["uid"].as_str().unwrap_or_default(), kinds).await);
        }
        reasons
    }

    /// The pods that the workload selects, newest first.
    pub(super) async fn pods(&self, namespace: &str, workload: &Value) -> Vec<Pod> {
        let selector = serde_json::from_value::<LabelSelector>(workload["spec"]["selector"].clone()).ok();
        let selector = selector.and_then(|selector| Selector::try_from(selector).ok());
        let Some(selector) = selector.filter(|selector| !selector.selects_all()) else { return Vec::new() };
        let params = ListParams::default().labels_from(&selector).limit(PODS_READ);
        let pods = self.requests.list::<Pod>(&core("Pod", "pods"), Some(namespace), &params).await;
        let mut pods = pods.map(|list| list.items).unwrap_or_default();
        pods.sort_by(|a, b| b.metadata.creation_timestamp.cmp(&a.metadata.creation_timestamp));
        pods
    }

    async fn pod_reasons(&self, namespace: &str, pod: &Pod) -> String {
        let name = pod.metadata.name.as_deref().unwrap_or_default();
        let mut reasons = pod_troubles(pod);
        let uid = pod.metadata.uid.as_deref().unwrap_or_default();
        reasons.extend(self.events(namespace, uid, WARNINGS_ONLY).await);
        format!("pod {name:?}: {}", reasons.join(", "))
    }

    /// The newest events of some `kinds` about the object with this uid, one per reason.
    async fn events(&self, namespace: &str, uid: &str, kinds: &str) -> Vec<String> {
        if uid.is_empty() {
            return Vec::new();
        }
        let selector = format!("involvedObject.uid={uid}{kinds}");
        let params = ListParams::default().fields(&selector).limit(EVENTS_READ);
        let events = self.requests.list::<Event>(&core("Event", "events"), Some(namespace), &params).await;
        let mut events = events.map(|list| list.items).unwrap_or_default();
        events.sort_by_key(|event| std::cmp::Reverse(happened(event)));
        let mut told = std::collections::BTreeSet::new();
        events
            .iter()
            .filter(|event| told.insert(event.reason.clone()))
            .take(WARNINGS)
            .map(|event| {
                let (reason, message) = (event.reason.as_deref(), event.message.as_deref());
                shorten(&format!("{}: {}", reason.unwrap_or("Warning"), message.unwrap_or_default()))
            })
            .collect()
    }
}

/// A kind of the core group.
pub(super) fn core(kind: &str, plural: &str) -> Resource {
    Resource {
        group: String::new(),
        version: "v1".to_owned(),
        kind: kind.to_owned(),
        plural: plural.to_owned(),
        namespaced: true,
    }
}

fn happened(event: &Event) -> Option<k8s_openapi::jiff::Timestamp> {
    let precise = event.event_time.as_ref().map(|time| time.0);
    event.last_timestamp.as_ref().map(|time| time.0).or(precise)
}

/// Conditions by which a workload itself says what is wrong.
fn failing_conditions(live: &Value) -> Vec<String> {
    let telling = |condition: &&Value| {
        condition["status"] == "True" && (condition["type"] == "ReplicaFailure" || condition["type"] == "Failed")
    };
    let conditions = live["status"]["conditions"].as_array().into_iter().flatten().filter(telling);
    conditions.filter_map(|condition| condition["message"].as_str()).map(shorten).collect()
}

fn is_fine(pod: &Pod) -> bool {
    let Some(status) = &pod.status else { return false };
    let ready = status.conditions.iter().flatten().any(|found| found.type_ == "Ready" && found.status == "True");
    ready || status.phase.as_deref() == Some("Succeeded") || pod.metadata.deletion_timestamp.is_some()
}

fn pod_troubles(pod: &Pod) -> Vec<String> {
    let Some(status) = &pod.status else { return vec!["it has no status yet".to_owned()] };
    let unscheduled = status
        .conditions
        .iter()
        .flatten()
        .filter(|found| found.type_ == "PodScheduled" && found.status == "False")
        .filter_map(|found| found.message.as_deref())
        .map(|message| shorten(&format!("cannot be scheduled: {message}")));
    let containers = status.init_container_statuses.iter().chain(&status.container_statuses).flatten();
    let mut troubles: Vec<_> = unscheduled.chain(containers.filter_map(container_trouble)).collect();
    troubles.extend(status.message.as_deref().map(shorten));
    if troubles.is_empty() {
        troubles.push(format!("it is {}", status.phase.as_deref().unwrap_or("without a phase")));
    }
    troubles
}

/// What is wrong with a container, `None` if it runs and is ready or has ended well.
fn container_trouble(container: &ContainerStatus) -> Option<String> {
    let state = container.state.as_ref()?;
    let trouble = match state {
        ContainerState { waiting: Some(waiting), .. } => {
            let reason = waiting.reason.as_deref().unwrap_or("waiting");
            let message = waiting.message.as_deref().map(|message| format!(": {message}")).unwrap_or_default();
            format!("{reason}{message}{}", last_exit(container))
        }
        ContainerState { terminated: Some(ended), .. } if ended.exit_code != 0 => {
            format!("exited with code {}{}", ended.exit_code, in_parentheses(ended.reason.as_deref()))
        }
        ContainerState { running: Some(_), .. } if !container.ready => {
            format!("runs, but is not ready{}", last_exit(container))
        }
        _ => return None,
    };
    Some(shorten(&format!("container {:?}: {trouble}", container.name)))
}

fn last_exit(container: &ContainerStatus) -> String {
    let last = container.last_state.as_ref().and_then(|state| state.terminated.as_ref());
    last.map_or_else(String::new, |ended| {
        let reason = in_parentheses(ended.reason.as_deref());
        format!(", last exit code {}{reason}, {} restarts", ended.exit_code, container.restart_count)
    })
}

fn in_parentheses(reason: Option<&str>) -> String {
    reason.map(|reason| format!(" ({reason})")).unwrap_or_default()
}

/// One line of at most [`WORDS`] characters.
fn shorten(text: &str) -> String {
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    match line.char_indices().nth(WORDS) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line,
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::needless_pass_by_value, reason = "JSON literals read better unborrowed")]

    use k8s_openapi::api::core::v1::Pod;
    use serde_json::{Value, json};

    use super::{WORDS, is_fine, pod_troubles, shorten};

    fn pod(status: Value) -> Pod {
        serde_json::from_value(json!({ "metadata": { "name": "web-1" }, "status": status })).expect("a pod")
    }

    fn container(state: Value, last: Value) -> Value {
        json!({ "name": "main", "image": "", "imageID": "", "ready": false, "restartCount": 4, "state": state, "lastState": last })
    }

    #[test]
    fn the_troubles_of_a_pod_are_told_in_a_few_words() {
        let ended = json!({ "terminated": { "exitCode": 137, "reason": "OOMKilled" } });
        let back_off = json!({ "waiting": { "reason": "CrashLoopBackOff", "message": "back-off 5m0s" } });
        let no_image = json!({ "waiting": { "reason": "ErrImagePull", "message": "not found" } });
        let unscheduled = json!({ "type": "PodScheduled", "status": "False", "message": "0/3 nodes are available" });
        let cases = [
            (
                json!({ "containerStatuses": [container(back_off, ended.clone())] }),
                r#"container "main": CrashLoopBackOff: back-off 5m0s, last exit code 137 (OOMKilled), 4 restarts"#,
            ),
            (
                json!({ "containerStatuses": [container(no_image, json!({}))] }),
                r#"container "main": ErrImagePull: not found"#,
            ),
            (
                json!({ "containerStatuses": [container(json!({ "running": {} }), json!({}))] }),
                r#"container "main": runs, but is not ready"#,
            ),
            (
                json!({ "initContainerStatuses": [container(ended, json!({}))] }),
                r#"container "main": exited with code 137 (OOMKilled)"#,
            ),
            (json!({ "conditions": [unscheduled] }), "cannot be scheduled: 0/3 nodes are available"),
            (json!({ "phase": "Pending" }), "it is Pending"),
        ];
        for (status, expected) in cases {
            assert_eq!(pod_troubles(&pod(status.clone())), [expected], "{status}");
        }
    }

    #[test]
    fn ready_and_succeeded_pods_are_not_told() {
        assert!(is_fine(&pod(json!({ "conditions": [{ "type": "Ready", "status": "True" }] }))));
        assert!(is_fine(&pod(json!({ "phase": "Succeeded" }))));
        assert!(!is_fine(&pod(json!({ "phase": "Running" }))));
    }

    #[test]
    fn long_messages_become_one_short_line() {
        assert_eq!(shorten("a\n  b"), "a b");
        assert_eq!(shorten(&"ü".repeat(WORDS * 2)).chars().count(), WORDS + 1);
    }
}
