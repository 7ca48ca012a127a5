//! The end of what the pod of a hook wrote. Bounded in requests, time and bytes; where it cannot be had there is none.

use std::time::Duration;

use k8s_openapi::api::core::v1::{ContainerState, ContainerStatus, Pod};
use kube::api::LogParams;
use serde_json::Value;

use super::object::{Object, ObjectRef};
use super::{Cluster, diagnose};

/// For all of it.
const TIME: Duration = Duration::from_secs(5);
/// Lines read from the end.
const LINES: i64 = 10;
/// Bytes read of those. What is cut off there is the end: the last line is left out then.
const BYTES: usize = 64 << 10;

/// The end of a container's log, as it was written.
#[derive(Clone, PartialEq, Eq)]
pub struct LogEnd {
    /// The pod.
    pub pod: String,
    /// The container.
    pub container: String,
    /// Whole lines, the last ones. They may hold secrets.
    pub text: String,
}

/// Not the text: it may hold secrets.
impl std::fmt::Debug for LogEnd {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LogEnd").field("pod", &self.pod).field("container", &self.container).finish_non_exhaustive()
    }
}

impl Cluster {
    /// The end of the log of a Job's newest pod, or of a Pod: of the container that failed, else of one that runs or ran.
    /// Who may not read logs gets none, and neither does anybody where the node does not answer within a few seconds.
    pub async fn log_end(&self, object: &Object) -> Option<LogEnd> {
        tokio::time::timeout(TIME, self.read_log_end(object)).await.ok().flatten()
    }

    async fn read_log_end(&self, object: &Object) -> Option<LogEnd> {
        let reference = object.reference();
        let namespace = reference.namespace.as_deref().unwrap_or("default");
        let live: Value = self.requests.get(object.resource(), reference).await.ok()??;
        let pods: Vec<Pod> = match reference.kind.as_str() {
            "Pod" => serde_json::from_value(live).into_iter().collect(),
            "Job" => self.pods(namespace, &live).await,
            _ => Vec::new(),
        };
        let (pod, container) = pods.iter().find_map(|pod| Some((pod.metadata.name.clone()?, container(pod)?)))?;
        let params = LogParams {
            container: Some(container.clone()),
            tail_lines: Some(LINES),
            limit_bytes: i64::try_from(BYTES).ok(),
            ..LogParams::default()
        };
        let resource = diagnose::core("Pod", "pods");
        let of_pod = ObjectRef {
            group: String::new(),
            kind: "Pod".to_owned(),
            namespace: Some(namespace.to_owned()),
            name: pod.clone(),
        };
        let text = self.requests.log(&resource, &of_pod, &params).await.ok()?;
        let text = whole_lines(&text).to_owned();
        (!text.trim().is_empty()).then_some(LogEnd { pod, container, text })
    }
}

/// What was read, without a last line that was cut off: half of a secret is found nowhere.
fn whole_lines(text: &str) -> &str {
    if text.len() < BYTES { text } else { text.rsplit_once('\n').map_or("", |(whole, _)| whole) }
}

/// The container of a pod whose log tells the most: one that failed, else one that runs, else one that ended.
fn container(pod: &Pod) -> Option<String> {
    let status = pod.status.as_ref()?;
    let containers = || status.init_container_statuses.iter().chain(&status.container_statuses).flatten();
    let ended = |container: &&ContainerStatus| {
        let both = [&container.state, &container.last_state];
        both.into_iter().flatten().find_map(|state| state.terminated.as_ref()).map(|ended| ended.exit_code)
    };
    let runs = |container: &&ContainerStatus| matches!(&container.state, Some(ContainerState { running: Some(_), .. }));
    let failed = containers().find(|container| ended(container).is_some_and(|code| code != 0));
    let chosen = failed.or_else(|| containers().find(runs)).or_else(|| containers().rfind(|it| ended(it).is_some()));
    chosen.map(|container| container.name.clone())
}

#[cfg(test)]
mod tests {
    use k8s_openapi::api::core::v1::Pod;
    use serde_json::{Value, json};

    use super::{BYTES, container, whole_lines};

    fn status(name: &str, state: &Value) -> Value {
        json!({ "name": name, "image": "", "imageID": "", "ready": false, "restartCount": 0, "state": state })
    }

    #[test]
    fn the_container_is_chosen_whose_log_tells_the_most() {
        let ended = |code: u8| json!({ "terminated": { "exitCode": code } });
        let (runs, waits) = (json!({ "running": {} }), json!({ "waiting": { "reason": "ContainerCreating" } }));
        for (init, first, second, expected) in [
            (ended(0), ended(0), ended(1), Some("second")),
            (ended(2), waits.clone(), waits.clone(), Some("init")),
            (ended(0), ended(0), runs.clone(), Some("second")),
            (ended(0), ended(0), ended(0), Some("second")),
            (waits.clone(), waits.clone(), waits.clone(), None),
        ] {
            let containers = [status("first", &first), status("second", &second)];
            let pod = json!({ "status": { "initContainerStatuses": [status("init", &init)], "containerStatuses": containers } });
            let pod: Pod = serde_json::from_value(pod).expect("a pod");
            assert_eq!(container(&pod).as_deref(), expected, "{init} {first} {second}");
        }
    }

    #[test]
    fn no_line_is_told_that_was_cut_off() {
        assert_eq!(whole_lines("a\nb"), "a\nb");
        assert_eq!(whole_lines(&format!("a\n{}", "b".repeat(BYTES))), "a");
    }
}
