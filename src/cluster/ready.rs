//! Whether an object has reached the state that its specification asks for. Pure; the verdicts are kstatus's
//! (`fluxcd/cli-utils` v1.2.2, what Helm 4 and Flux wait with), so that a release is ready here when it is there.
//!
//! Known differences, chosen: a Pod that cannot be scheduled stays "in progress" (kstatus fails it after 15 s, though
//! a cluster autoscaler may need longer), and what waits for somebody else is current: a paused Deployment (Helm skips it, too), a
//! `DaemonSet` whose pods are replaced as somebody deletes them, a Job that is suspended. Of some custom resources more is known than
//! kstatus knows (`custom`).

mod custom;

use serde_json::{Map, Value};

/// Annotation on an object of a release: with [`IGNORED`] it is neither waited for nor looked after.
pub(super) const HEALTH: &str = "helm-operator.ketches.cn/health";

/// The value of [`HEALTH`] that counts.
pub(super) const IGNORED: &str = "ignore";

/// The state of one object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Verdict {
    /// As specified.
    Current,
    /// On its way; what is outstanding.
    InProgress(String),
    /// It will not get there by itself; why.
    Failed(String),
}

/// The state under the two questions that a release can ask.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Assessment {
    /// Does it do its work? A Job that runs does.
    pub(super) ready: Verdict,
    /// Has it done its work? Differs from `ready` for Jobs and Pods only.
    pub(super) complete: Verdict,
    /// Since when a Deployment is past its progress deadline. After a change back to what it had before, the controller tells of that
    /// once more, as if it were of the change.
    pub(super) overdue: Option<Box<str>>,
}

impl Assessment {
    /// The state of an object of a kind that has none: it exists, so it is done.
    pub(super) const CURRENT: Self = Self { ready: Verdict::Current, complete: Verdict::Current, overdue: None };
}

/// Whether objects of this kind are ready as soon as they exist, whatever they hold.
pub(super) fn ready_by_existing(group: &str, kind: &str) -> bool {
    match group {
        "" => matches!(kind, "ConfigMap" | "Secret" | "ServiceAccount" | "LimitRange"),
        "rbac.authorization.k8s.io" | "scheduling.k8s.io" | "storage.k8s.io" => true,
        "admissionregistration.k8s.io" => kind.ends_with("WebhookConfiguration"),
        "batch" => kind == "CronJob",
        "networking.k8s.io" => matches!(kind, "NetworkPolicy" | "IngressClass"),
        _ => false,
    }
}

/// An object as the server has it.
pub(super) struct Subject<'a> {
    /// Whether `metadata.deletionTimestamp` is set.
    pub(super) deleting: bool,
    /// `metadata.generation`.
    pub(super) generation: Option<i64>,
    /// Whether it asks not to be judged.
    pub(super) ignored: bool,
    /// `spec` and `status`.
    pub(super) body: &'a Value,
}

impl<'a> Subject<'a> {
    /// The same from a whole object.
    pub(super) fn of(object: &'a Value) -> Self {
        let metadata = &object["metadata"];
        Self {
            deleting: metadata["deletionTimestamp"].is_string(),
            generation: metadata["generation"].as_i64(),
            ignored: metadata["annotations"][HEALTH] == IGNORED,
            body: object,
        }
    }
}

/// The state of an object.
pub(super) fn assess(group: &str, kind: &str, subject: &Subject<'_>) -> Assessment {
    let object = subject.body;
    let ready = assess_generic(kind, subject).unwrap_or_else(|| assess_kind(group, kind, subject));
    let complete = match (group, kind) {
        ("batch", "Job") => job_complete(object),
        ("", "Pod") => pod_complete(object),
        _ => ready.clone(),
    };
    let overdue = if kind == "Deployment" { overdue(object) } else { None };
    Assessment { ready, complete, overdue: overdue.map(Box::from) }
}

/// Since when a Deployment is past its progress deadline, where it is.
fn overdue(object: &Value) -> Option<&str> {
    let conditions = object["status"]["conditions"].as_array()?;
    let late = conditions.iter().find(|it| it["type"] == "Progressing" && it["reason"] == LATE)?;
    late["lastUpdateTime"].as_str()
}

/// The reason of the condition `Progressing` of a Deployment that is past its deadline.
const LATE: &str = "ProgressDeadlineExceeded";

/// What every kind has in common: deletion, the observed generation, the standard conditions.
fn assess_generic(kind: &str, subject: &Subject<'_>) -> Option<Verdict> {
    if let Some(unsettled) = unsettled(kind, subject) {
        return Some(unsettled);
    }
    let object = subject.body;
    if let Some(reconciling) = condition(object, "Reconciling").filter(|found| found.is("True")) {
        return Some(Verdict::InProgress(reconciling.words()));
    }
    let stalled = condition(object, "Stalled").filter(|found| found.is("True"))?;
    Some(Verdict::Failed(stalled.words()))
}

/// That it goes, or that its controller has not seen what is declared now.
pub(super) fn unsettled(kind: &str, subject: &Subject<'_>) -> Option<Verdict> {
    if subject.deleting {
        return Some(Verdict::InProgress("it is being deleted".to_owned()));
    }
    let generation = subject.generation?;
    let observed = subject.body["status"]["observedGeneration"].as_i64().filter(|observed| *observed != generation)?;
    Some(Verdict::InProgress(format!(
        "{kind} generation is {generation}, but latest observed generation is {observed}"
    )))
}

fn assess_kind(group: &str, kind: &str, subject: &Subject<'_>) -> Verdict {
    let object = subject.body;
    match (group, kind) {
        _ if ready_by_existing(group, kind) => Verdict::Current,
        ("", "Pod") => pod(object),
        ("", "Service") => service(object),
        ("", "PersistentVolumeClaim") => claim(object),
        ("apps" | "extensions", "Deployment") => deployment(object),
        ("apps", "StatefulSet") => stateful_set(object),
        ("apps" | "extensions", "DaemonSet") => daemon_set(object),
        ("apps" | "extensions", "ReplicaSet") => replica_set(object),
        ("batch", "Job") => job_started(object),
        ("policy", "PodDisruptionBudget") => Verdict::Current,
        ("apiextensions.k8s.io", "CustomResourceDefinition") => custom_resource_definition(object),
        _ => custom::assess(group, kind, subject).unwrap_or_else(|| by_ready_condition(object)),
    }
}

fn by_ready_condition(object: &Value) -> Verdict {
    match condition(object, "Ready") {
        Some(ready) if !ready.is("True") => Verdict::InProgress(ready.words()),
        Some(_) | None => Verdict::Current,
    }
}

fn deployment(object: &Value) -> Verdict {
    if object["spec"]["paused"] == true {
        return Verdict::Current;
    }
    let progressing = condition(object, "Progressing");
    if progressing.as_ref().is_some_and(|found| found.reason == LATE) {
        return Verdict::Failed("Progress deadline exceeded".to_owned());
    }
    let (spec, status) = (&object["spec"], &object["status"]);
    let wanted = number(spec, "replicas", 1);
    let [replicas, updated, ready, available] =
        ["replicas", "updatedReplicas", "readyReplicas", "availableReplicas"].map(|field| number(status, field, 0));
    // Without a progress deadline the controller reports no progress, so there is nothing to wait for.
    let deadline = number(spec, "progressDeadlineSeconds", i64::from(i32::MAX));
    let has_progressed = deadline == i64::from(i32::MAX)
        || progressing.is_some_and(|found| found.is("True") && found.reason == "NewReplicaSetAvailable");
    let is_available = condition(object, "Available").is_some_and(|found| found.is("True"));
    first_outstanding(&[
        (wanted > replicas, &|| format!("Replicas: {replicas}/{wanted}")),
        (wanted > updated, &|| format!("Updated: {updated}/{wanted}")),
        (replicas > wanted, &|| format!("Pending termination: {}", replicas - wanted)),
        (updated > available, &|| format!("Available: {available}/{updated}")),
        (wanted > ready, &|| format!("Ready: {ready}/{wanted}")),
        (!has_progressed, &|| "ReplicaSet not Available".to_owned()),
        (!is_available, &|| "Deployment not Available".to_owned()),
    ])
}

fn stateful_set(object: &Value) -> Verdict {
    let (spec, status) = (&object["spec"], &object["status"]);
    if spec["updateStrategy"]["type"] == "OnDelete" {
        return Verdict::Current;
    }
    let wanted = number(spec, "replicas", 1);
    let [replicas, ready, current, updated] =
        ["replicas", "readyReplicas", "currentReplicas", "updatedReplicas"].map(|field| number(status, field, 0));
    let scaled = first_outstanding(&[
        (wanted > replicas, &|| format!("Replicas: {replicas}/{wanted}")),
        (wanted > ready, &|| format!("Ready: {ready}/{wanted}")),
        (replicas > wanted, &|| format!("Pending termination: {}", replicas - wanted)),
    ]);
    if scaled != Verdict::Current {
        return scaled;
    }
    if let Some(partition) = spec["updateStrategy"]["rollingUpdate"]["partition"].as_i64() {
        let wanted = wanted - partition;
        return first_outstanding(&[(updated < wanted, &|| format!("updated: {updated}/{wanted}"))]);
    }
    first_outstanding(&[
        (wanted > current, &|| format!("current: {current}/{wanted}")),
        (status["currentRevision"] != status["updateRevision"], &|| {
            "Waiting for updated revision to match current".to_owned()
        }),
    ])
}

fn daemon_set(object: &Value) -> Verdict {
    let (spec, status) = (&object["spec"], &object["status"]);
    if spec["updateStrategy"]["type"] == "OnDelete" {
        return Verdict::Current;
    }
    if status["observedGeneration"].is_null() {
        return Verdict::InProgress("DaemonSet status.observedGeneration not found".to_owned());
    }
    let Some(wanted) = status["desiredNumberScheduled"].as_i64() else {
        return Verdict::InProgress("Missing .status.desiredNumberScheduled".to_owned());
    };
    let [current, updated, available, ready] =
        ["currentNumberScheduled", "updatedNumberScheduled", "numberAvailable", "numberReady"]
            .map(|field| number(status, field, 0));
    first_outstanding(&[
        (wanted > current, &|| format!("Current: {current}/{wanted}")),
        (wanted > updated, &|| format!("Updated: {updated}/{wanted}")),
        (wanted > available, &|| format!("Available: {available}/{wanted}")),
        (wanted > ready, &|| format!("Ready: {ready}/{wanted}")),
    ])
}

fn replica_set(object: &Value) -> Verdict {
    let wanted = number(&object["spec"], "replicas", 1);
    let [replicas, ready, available, labelled] =
        ["replicas", "readyReplicas", "availableReplicas", "fullyLabeledReplicas"]
            .map(|field| number(&object["status"], field, 0));
    let failing = condition(object, "ReplicaFailure").is_some_and(|found| found.is("True"));
    first_outstanding(&[
        (failing, &|| "Replica Failure condition. Check Pods".to_owned()),
        (wanted > labelled, &|| format!("Labelled: {labelled}/{wanted}")),
        (wanted > available, &|| format!("Available: {available}/{wanted}")),
        (wanted > ready, &|| format!("Ready: {ready}/{wanted}")),
        (replicas > wanted, &|| format!("Pending termination: {}", replicas - wanted)),
    ])
}

fn claim(object: &Value) -> Verdict {
    let phase = object["status"]["phase"].as_str().unwrap_or("unknown");
    first_outstanding(&[(phase != "Bound", &|| format!("PVC is not Bound. phase: {phase}"))])
}

fn service(object: &Value) -> Verdict {
    let spec = &object["spec"];
    let address = spec["clusterIP"].as_str().unwrap_or_default();
    let waits = spec["type"] == "LoadBalancer" && address.is_empty();
    first_outstanding(&[(waits, &|| "ClusterIP not set. Service type: LoadBalancer".to_owned())])
}

fn pod(object: &Value) -> Verdict {
    match object["status"]["phase"].as_str().unwrap_or_default() {
        "Succeeded" | "Failed" => Verdict::Current,
        "Running" if condition(object, "Ready").is_some_and(|found| found.is("True")) => Verdict::Current,
        "Running" => match crash_looping(object) {
            names if names.is_empty() => Verdict::InProgress("Pod is running but is not Ready".to_owned()),
            names => Verdict::Failed(format!("Containers in CrashLoop state: {}", names.join(","))),
        },
        "Pending" => Verdict::InProgress(match condition(object, "PodScheduled") {
            Some(scheduled) if scheduled.is("False") => "Pod has not been scheduled".to_owned(),
            Some(_) | None => "Pod is in the Pending phase".to_owned(),
        }),
        _ => Verdict::InProgress("Pod phase not available".to_owned()),
    }
}

fn pod_complete(object: &Value) -> Verdict {
    match object["status"]["phase"].as_str().unwrap_or_default() {
        "Succeeded" => Verdict::Current,
        "Failed" => Verdict::Failed("pod failed".to_owned()),
        _ => Verdict::InProgress("Pod in progress".to_owned()),
    }
}

fn crash_looping(pod: &Value) -> Vec<&str> {
    let statuses = pod["status"]["containerStatuses"].as_array();
    let looping = |status: &&Value| status["state"]["waiting"]["reason"] == "CrashLoopBackOff";
    statuses.into_iter().flatten().filter(looping).filter_map(|status| status["name"].as_str()).collect()
}

fn job_complete(object: &Value) -> Verdict {
    let (spec, status) = (&object["spec"], &object["status"]);
    if condition(object, "Complete").is_some_and(|found| found.is("True")) {
        return Verdict::Current;
    }
    if let Some(failed) = condition(object, "Failed").filter(|found| found.is("True")) {
        let completions = number(spec, "completions", number(spec, "parallelism", 1));
        let count = number(status, "failed", 0);
        return Verdict::Failed(format!("Job Failed. failed: {count}/{completions} ({})", failed.words()));
    }
    let outstanding = if spec["suspend"] == true { "Job is suspended" } else { "Job in progress" };
    Verdict::InProgress(outstanding.to_owned())
}

fn job_started(object: &Value) -> Verdict {
    match job_complete(object) {
        Verdict::InProgress(_) if object["status"]["startTime"].is_string() => Verdict::Current,
        // Whoever suspends it, a queue mostly, lets it run in due time.
        Verdict::InProgress(_) if object["spec"]["suspend"] == true => Verdict::Current,
        Verdict::InProgress(_) => Verdict::InProgress("Job not started".to_owned()),
        settled @ (Verdict::Current | Verdict::Failed(_)) => settled,
    }
}

fn custom_resource_definition(object: &Value) -> Verdict {
    if let Some(names) = condition(object, "NamesAccepted").filter(|found| found.is("False")) {
        return Verdict::Failed(names.words());
    }
    match condition(object, "Established") {
        Some(established) if established.is("True") => Verdict::Current,
        Some(established) if established.is("False") && established.reason != "Installing" => {
            Verdict::Failed(established.words())
        }
        Some(_) | None => Verdict::InProgress("Install in progress".to_owned()),
    }
}

/// The message of the first check that is outstanding.
fn first_outstanding(checks: &[(bool, &dyn Fn() -> String)]) -> Verdict {
    let outstanding = checks.iter().find(|(outstanding, _)| *outstanding);
    outstanding.map_or(Verdict::Current, |(_, message)| Verdict::InProgress(message()))
}

fn number(map: &Value, field: &str, default: i64) -> i64 {
    map[field].as_i64().unwrap_or(default)
}

/// One entry of `status.conditions`.
struct Condition<'a> {
    status: &'a str,
    reason: &'a str,
    message: &'a str,
}

impl Condition<'_> {
    fn is(&self, status: &str) -> bool {
        self.status == status
    }

    fn words(&self) -> String {
        match (self.reason, self.message) {
            ("", message) => message.to_owned(),
            (reason, "") => reason.to_owned(),
            (reason, message) => format!("{reason}: {message}"),
        }
    }
}

/// The words of the condition that tells best why an object with these fields is not ready.
pub(super) fn condition_words(fields: &Map<String, Value>) -> Option<String> {
    let is_false = |condition: &&Value| condition["status"] == "False";
    let mut conditions = conditions_of(fields.get("status")?);
    let ready = conditions.clone().find(|condition| is_false(condition) && condition["type"] == "Ready");
    let found = of(ready.or_else(|| conditions.find(is_false))?);
    Some(found.words()).filter(|words| !words.is_empty())
}

fn conditions_of(status: &Value) -> impl Iterator<Item = &Value> + Clone {
    status["conditions"].as_array().into_iter().flatten()
}

fn condition<'a>(object: &'a Value, name: &str) -> Option<Condition<'a>> {
    conditions_of(&object["status"]).find(|condition| condition["type"] == name).map(of)
}

fn of(found: &Value) -> Condition<'_> {
    let text = |field: &str| found[field].as_str().unwrap_or_default();
    Condition { status: text("status"), reason: text("reason"), message: text("message") }
}

#[cfg(test)]
mod tests;
