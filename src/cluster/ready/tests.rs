use serde_json::{Value, json};

use super::{Assessment, Subject, Verdict, assess};

fn in_progress(outstanding: &str) -> Verdict {
    Verdict::InProgress(outstanding.to_owned())
}

fn failed(reason: &str) -> Verdict {
    Verdict::Failed(reason.to_owned())
}

fn assessed(kind: &str, object: &Value) -> Assessment {
    let (group, kind) = kind.rsplit_once('/').unwrap_or(("", kind));
    assess(group, kind, &Subject::of(object))
}

#[track_caller]
fn check(kind: &str, cases: &[(Value, Verdict)]) {
    for (object, expected) in cases {
        assert_eq!(assessed(kind, object).ready, *expected, "{kind} {object}");
    }
}

fn condition(name: &str, status: &str, reason: &str, message: &str) -> Value {
    json!({ "type": name, "status": status, "reason": reason, "message": message })
}

#[test]
fn a_deployment_is_current_when_all_its_new_pods_are_available() {
    let good = [
        condition("Progressing", "True", "NewReplicaSetAvailable", ""),
        condition("Available", "True", "MinimumReplicasAvailable", ""),
    ];
    let status = |replicas: u8, updated: u8, ready: u8, available: u8, conditions: &[Value]| {
        json!({
            "metadata": { "generation": 2 },
            "spec": { "replicas": 2, "progressDeadlineSeconds": 600 },
            "status": {
                "observedGeneration": 2, "replicas": replicas, "updatedReplicas": updated, "readyReplicas": ready,
                "availableReplicas": available, "conditions": conditions,
            },
        })
    };
    let exceeded = condition("Progressing", "False", "ProgressDeadlineExceeded", "timed out");
    check(
        "apps/Deployment",
        &[
            (status(2, 2, 2, 2, &good), Verdict::Current),
            (status(1, 1, 1, 1, &good), in_progress("Replicas: 1/2")),
            (status(3, 1, 2, 2, &good), in_progress("Updated: 1/2")),
            (status(3, 2, 2, 2, &good), in_progress("Pending termination: 1")),
            (status(2, 2, 2, 1, &good), in_progress("Available: 1/2")),
            (status(2, 2, 1, 2, &good), in_progress("Ready: 1/2")),
            (status(2, 2, 2, 2, &good[1..]), in_progress("ReplicaSet not Available")),
            (status(2, 2, 2, 2, &good[..1]), in_progress("Deployment not Available")),
            (status(2, 2, 0, 0, &[exceeded]), failed("Progress deadline exceeded")),
            (json!({ "spec": { "paused": true, "replicas": 2 } }), Verdict::Current),
            (json!({ "spec": {}, "status": {} }), in_progress("Replicas: 0/1")),
        ],
    );
}

#[test]
fn a_stateful_set_is_current_when_its_revision_has_rolled_out() {
    let set = |strategy: Value, status: Value| json!({ "spec": { "replicas": 3, "updateStrategy": strategy }, "status": status });
    let full = |revision: &str, updated: u8| {
        json!({
            "replicas": 3, "readyReplicas": 3, "currentReplicas": 3, "updatedReplicas": updated,
            "currentRevision": "a", "updateRevision": revision,
        })
    };
    let rolling = json!({ "type": "RollingUpdate" });
    let partition = json!({ "type": "RollingUpdate", "rollingUpdate": { "partition": 2 } });
    check(
        "apps/StatefulSet",
        &[
            (set(rolling.clone(), full("a", 3)), Verdict::Current),
            (set(rolling.clone(), full("b", 1)), in_progress("Waiting for updated revision to match current")),
            (set(rolling.clone(), json!({ "replicas": 1 })), in_progress("Replicas: 1/3")),
            (set(rolling.clone(), json!({ "replicas": 3, "readyReplicas": 2 })), in_progress("Ready: 2/3")),
            (set(rolling, json!({ "replicas": 4, "readyReplicas": 4 })), in_progress("Pending termination: 1")),
            (set(partition.clone(), full("b", 1)), Verdict::Current),
            (set(partition, full("b", 0)), in_progress("updated: 0/1")),
            (set(json!({ "type": "OnDelete" }), json!({})), Verdict::Current),
        ],
    );
}

#[test]
fn a_daemon_set_is_current_when_each_node_runs_its_pod() {
    let set = |status: Value| json!({ "metadata": { "generation": 1 }, "status": status });
    let counted = |wanted: u8, current: u8, updated: u8, available: u8, ready: u8| {
        set(json!({
            "observedGeneration": 1, "desiredNumberScheduled": wanted, "currentNumberScheduled": current,
            "updatedNumberScheduled": updated, "numberAvailable": available, "numberReady": ready,
        }))
    };
    check(
        "apps/DaemonSet",
        &[
            (counted(2, 2, 2, 2, 2), Verdict::Current),
            (counted(0, 0, 0, 0, 0), Verdict::Current),
            (json!({ "spec": { "updateStrategy": { "type": "OnDelete" } } }), Verdict::Current),
            (counted(2, 1, 2, 2, 2), in_progress("Current: 1/2")),
            (counted(2, 2, 1, 2, 2), in_progress("Updated: 1/2")),
            (counted(2, 2, 2, 1, 2), in_progress("Available: 1/2")),
            (counted(2, 2, 2, 2, 1), in_progress("Ready: 1/2")),
            (set(json!({})), in_progress("DaemonSet status.observedGeneration not found")),
            (set(json!({ "observedGeneration": 1 })), in_progress("Missing .status.desiredNumberScheduled")),
        ],
    );
}

#[test]
fn a_replica_set_is_current_when_its_pods_are_available() {
    let set = |status: Value| json!({ "spec": { "replicas": 1 }, "status": status });
    let full = json!({ "replicas": 1, "readyReplicas": 1, "availableReplicas": 1, "fullyLabeledReplicas": 1 });
    let failing = json!({ "conditions": [condition("ReplicaFailure", "True", "FailedCreate", "")] });
    check(
        "apps/ReplicaSet",
        &[
            (set(full), Verdict::Current),
            (set(json!({})), in_progress("Labelled: 0/1")),
            (set(json!({ "fullyLabeledReplicas": 1 })), in_progress("Available: 0/1")),
            (set(failing), in_progress("Replica Failure condition. Check Pods")),
        ],
    );
}

#[test]
fn a_pod_is_current_when_ready_or_ended_and_failed_when_it_crash_loops() {
    let pod = |phase: &str, conditions: Value, waiting: Value| {
        json!({ "status": {
            "phase": phase, "conditions": conditions,
            "containerStatuses": [{ "name": "main", "state": { "waiting": { "reason": waiting } } }],
        } })
    };
    let ready = json!([condition("Ready", "True", "", "")]);
    let unscheduled = json!([condition("PodScheduled", "False", "Unschedulable", "no node")]);
    check(
        "Pod",
        &[
            (pod("Running", ready, Value::Null), Verdict::Current),
            (pod("Succeeded", json!([]), Value::Null), Verdict::Current),
            (pod("Failed", json!([]), Value::Null), Verdict::Current),
            (pod("Running", json!([]), Value::Null), in_progress("Pod is running but is not Ready")),
            (pod("Running", json!([]), json!("CrashLoopBackOff")), failed("Containers in CrashLoop state: main")),
            (pod("Pending", json!([]), Value::Null), in_progress("Pod is in the Pending phase")),
            (pod("Pending", unscheduled, Value::Null), in_progress("Pod has not been scheduled")),
            (json!({}), in_progress("Pod phase not available")),
        ],
    );
    let complete = |phase: &str| assessed("Pod", &json!({ "status": { "phase": phase } })).complete;
    assert_eq!(complete("Succeeded"), Verdict::Current);
    assert_eq!(complete("Failed"), failed("pod failed"));
    assert_eq!(complete("Running"), in_progress("Pod in progress"));
}

#[test]
fn a_job_that_runs_is_ready_but_not_complete() {
    let job = |status: Value| json!({ "spec": { "completions": 2 }, "status": status });
    let ended = |name: &str| job(json!({ "failed": 1, "conditions": [condition(name, "True", "R", "words")] }));
    let failure = failed("Job Failed. failed: 1/2 (R: words)");
    let cases = [
        (job(json!({})), in_progress("Job not started"), in_progress("Job in progress")),
        (job(json!({ "startTime": "2026-01-01T00:00:00Z" })), Verdict::Current, in_progress("Job in progress")),
        (json!({ "spec": { "suspend": true } }), Verdict::Current, in_progress("Job is suspended")),
        (ended("Complete"), Verdict::Current, Verdict::Current),
        (ended("Failed"), failure.clone(), failure),
    ];
    for (object, ready, complete) in cases {
        assert_eq!(assessed("batch/Job", &object), Assessment { ready, complete, overdue: None }, "{object}");
    }
}

#[test]
fn claims_services_and_definitions_follow_kstatus() {
    check(
        "PersistentVolumeClaim",
        &[
            (json!({ "status": { "phase": "Bound" } }), Verdict::Current),
            (json!({ "status": { "phase": "Pending" } }), in_progress("PVC is not Bound. phase: Pending")),
            (json!({}), in_progress("PVC is not Bound. phase: unknown")),
        ],
    );
    let waits = in_progress("ClusterIP not set. Service type: LoadBalancer");
    check(
        "Service",
        &[
            (json!({ "spec": { "type": "LoadBalancer", "clusterIP": "10.0.0.2" } }), Verdict::Current),
            (json!({ "spec": { "type": "LoadBalancer" } }), waits),
            (json!({ "spec": { "type": "ClusterIP" } }), Verdict::Current),
        ],
    );
    let crd = |conditions: Value| json!({ "status": { "conditions": conditions } });
    check(
        "apiextensions.k8s.io/CustomResourceDefinition",
        &[
            (crd(json!([condition("Established", "True", "", "")])), Verdict::Current),
            (crd(json!([condition("Established", "False", "Installing", "")])), in_progress("Install in progress")),
            (
                crd(json!([condition("NamesAccepted", "False", "ListKindConflict", "taken")])),
                failed("ListKindConflict: taken"),
            ),
            (json!({}), in_progress("Install in progress")),
        ],
    );
    check("policy/PodDisruptionBudget", &[(json!({}), Verdict::Current)]);
}

#[test]
fn custom_resources_speak_by_their_standard_conditions() {
    let object = |generation: u8, observed: Value, conditions: Value| {
        json!({
            "metadata": { "generation": generation },
            "status": { "observedGeneration": observed, "conditions": conditions },
        })
    };
    let ready = |status: &str| json!([condition("Ready", status, "R", "words")]);
    let behind = "Widget generation is 2, but latest observed generation is 1";
    let deleting = json!({ "metadata": { "deletionTimestamp": "2026-01-01T00:00:00Z" } });
    check(
        "example.com/Widget",
        &[
            (json!({}), Verdict::Current),
            (object(1, json!(1), ready("True")), Verdict::Current),
            (object(1, json!(1), ready("False")), in_progress("R: words")),
            (object(1, json!(1), ready("Unknown")), in_progress("R: words")),
            (object(1, Value::Null, ready("True")), Verdict::Current),
            (object(2, json!(1), ready("True")), in_progress(behind)),
            (object(1, json!(1), json!([condition("Reconciling", "True", "R", "words")])), in_progress("R: words")),
            (object(1, json!(1), json!([condition("Stalled", "True", "R", "words")])), failed("R: words")),
            (deleting, in_progress("it is being deleted")),
        ],
    );
}
