use serde_json::{Value, json};

use super::super::{Subject, Verdict, assess};

/// One of the three words, and the words of what is outstanding.
fn of(api: &str, object: &Value) -> (&'static str, String) {
    let (group, kind) = api.rsplit_once('/').expect("a group");
    match assess(group, kind, &Subject::of(object)).ready {
        Verdict::Current => ("current", String::new()),
        Verdict::InProgress(words) => ("in progress", words),
        Verdict::Failed(words) => ("failed", words),
    }
}

#[track_caller]
fn check(api: &str, cases: &[(Value, &str, &str)]) {
    for (object, word, words) in cases {
        let (is, told) = of(api, object);
        assert!(is == *word && told.contains(words), "{api} {object}: {is}, {told}; {word}, {words} was expected");
    }
}

fn condition(name: &str, status: &str, reason: &str, message: &str) -> Value {
    json!({ "type": name, "status": status, "reason": reason, "message": message })
}

#[expect(clippy::needless_pass_by_value, reason = "it is called with what was just written down")]
fn with(conditions: Value) -> Value {
    json!({ "metadata": { "generation": 1 }, "status": { "conditions": conditions } })
}

#[test]
fn a_rollout_tells_its_phase() {
    let rollout = |observed: &str, phase: Value, message: Value| {
        json!({
            "metadata": { "generation": 5 },
            "status": {
                "observedGeneration": observed, "phase": phase, "message": message,
                "conditions": [condition("Available", "True", "AvailableReason", "Rollout has minimum availability")],
            },
        })
    };
    check(
        "argoproj.io/Rollout",
        &[
            (json!({}), "in progress", "phase"),
            (rollout("5", json!("Healthy"), Value::Null), "current", ""),
            (rollout("4", json!("Healthy"), Value::Null), "in progress", "observed generation is 4"),
            (rollout("4", json!("Degraded"), Value::Null), "in progress", "observed generation is 4"),
            // Before 0.10: a hash, of digits alone at times.
            (rollout("58b949649c", json!("Healthy"), Value::Null), "current", ""),
            (rollout("8575574967", json!("Healthy"), Value::Null), "current", ""),
            (rollout("5", json!("Paused"), json!("CanaryPauseStep")), "current", ""),
            (
                rollout("5", json!("Progressing"), json!("more replicas need to be updated")),
                "in progress",
                "more replicas",
            ),
            (
                rollout("5", json!("Degraded"), json!("RolloutAborted: Rollout aborted update to revision 2")),
                "failed",
                "Degraded: RolloutAborted",
            ),
        ],
    );
}

#[test]
fn what_its_controller_has_not_looked_at_is_not_ready() {
    for api in [
        "external-secrets.io/ExternalSecret",
        "external-secrets.io/SecretStore",
        "cert-manager.io/Certificate",
        "cert-manager.io/ClusterIssuer",
        "keda.sh/ScaledObject",
        "serving.knative.dev/Service",
        "gateway.networking.k8s.io/Gateway",
        "postgresql.cnpg.io/Cluster",
        "kafka.strimzi.io/Kafka",
        "monitoring.coreos.com/Prometheus",
        "s3.aws.upbound.io/Bucket",
        "pkg.crossplane.io/Provider",
    ] {
        let (word, told) = of(api, &json!({ "metadata": { "generation": 1 }, "spec": {} }));
        assert_eq!(word, "in progress", "{api}: {told}");
    }
    for api in
        ["monitoring.coreos.com/ServiceMonitor", "aws.upbound.io/ProviderConfig", "keda.sh/TriggerAuthentication"]
    {
        assert_eq!(of(api, &json!({})).0, "current", "{api}");
    }
}

#[test]
fn secrets_and_certificates_are_ready_when_they_are_there() {
    let synced = condition("Ready", "True", "SecretSynced", "Secret was synced");
    let error = condition("Ready", "False", "SecretSyncedError", "could not get secret data from provider");
    check(
        "external-secrets.io/ExternalSecret",
        &[(with(json!([synced])), "current", ""), (with(json!([error])), "in progress", "could not get secret data")],
    );
    let missing = "Issuing certificate as Secret does not exist";
    let unready = condition("Ready", "False", "DoesNotExist", missing);
    let failed = "The certificate request has failed to complete and will be retried";
    let issued = condition("Ready", "True", "Ready", "Certificate is up to date and has not expired");
    check(
        "cert-manager.io/Certificate",
        &[
            (with(json!([issued])), "current", ""),
            (
                with(json!([issued, condition("Issuing", "True", "Renewing", "Renewing certificate")])),
                "in progress",
                "Renewing",
            ),
            (with(json!([condition("Issuing", "True", "DoesNotExist", missing), unready])), "in progress", missing),
            (with(json!([condition("Issuing", "False", "Failed", failed), unready])), "failed", failed),
            (with(json!([condition("Issuing", "False", "Failed", failed), issued])), "current", ""),
        ],
    );
}

#[test]
fn a_scaled_object_is_ready_or_paused() {
    let ready = |status: &str| condition("Ready", status, "ScaledObjectReady", "ScaledObject is defined correctly");
    let paused = condition("Paused", "True", "ScaledObjectPaused", "ScaledObject is paused");
    check(
        "keda.sh/ScaledObject",
        &[
            (with(json!([ready("True"), condition("Active", "False", "ScalerNotActive", "")])), "current", ""),
            (with(json!([ready("Unknown")])), "in progress", "ScaledObjectReady"),
            (with(json!([ready("False")])), "in progress", "defined correctly"),
            (with(json!([ready("Unknown"), paused])), "current", ""),
        ],
    );
}

#[test]
fn a_knative_service_is_unknown_until_it_is_ready_or_failed() {
    let words =
        "Revision \"helloworld-00002\" failed with message: Container failed with: container exited with no error.";
    check(
        "serving.knative.dev/Service",
        &[
            (
                with(json!([condition("Ready", "True", "", ""), condition("RoutesReady", "True", "", "")])),
                "current",
                "",
            ),
            (with(json!([condition("Ready", "Unknown", "RevisionMissing", "")])), "in progress", "RevisionMissing"),
            (with(json!([condition("Ready", "False", "RevisionFailed", words)])), "failed", "RevisionFailed"),
        ],
    );
}

fn seen(name: &str, status: &str, generation: u8, message: &str) -> Value {
    json!({ "type": name, "status": status, "reason": name, "message": message, "observedGeneration": generation })
}

#[test]
fn gateways_are_programmed_and_routes_accepted_by_their_parents() {
    let gateway =
        |conditions: Value| json!({ "metadata": { "generation": 2 }, "status": { "conditions": conditions } });
    let accepted = seen("Accepted", "True", 2, "");
    check(
        "gateway.networking.k8s.io/Gateway",
        &[
            (gateway(json!([accepted, seen("Programmed", "True", 2, "")])), "current", ""),
            (gateway(json!([accepted, seen("Programmed", "True", 1, "")])), "in progress", "earlier generation"),
            (gateway(json!([accepted, seen("Programmed", "False", 2, "no address")])), "in progress", "no address"),
            // As its definition makes it before anybody looked.
            (
                gateway(json!([condition("Accepted", "Unknown", "Pending", "Waiting for controller")])),
                "in progress",
                "Waiting for controller",
            ),
        ],
    );
    let route = |parents: Value| {
        json!({
            "metadata": { "generation": 2 },
            "spec": { "parentRefs": [{ "name": "front" }] },
            "status": { "parents": parents },
        })
    };
    let parent = |conditions: Value| json!({ "parentRef": { "name": "front" }, "conditions": conditions });
    let resolved = |status: &str| seen("ResolvedRefs", status, 2, "BackendRef nowhere not found");
    check(
        "gateway.networking.k8s.io/HTTPRoute",
        &[
            (route(json!([])), "in progress", "no Gateway has taken it"),
            (json!({ "spec": {} }), "current", ""),
            (route(json!([parent(json!([accepted, resolved("True")]))])), "current", ""),
            (route(json!([parent(json!([accepted]))])), "current", ""),
            (
                route(json!([parent(json!([accepted, resolved("False")]))])),
                "in progress",
                "parent \"front\": ResolvedRefs",
            ),
            (route(json!([parent(json!([seen("Accepted", "True", 1, "")]))])), "in progress", "earlier generation"),
            (
                route(json!([parent(json!([accepted])), parent(json!([seen("Accepted", "False", 2, "no listener")]))])),
                "in progress",
                "no listener",
            ),
        ],
    );
}

#[test]
fn databases_and_brokers_tell_what_they_are_at() {
    let cluster = |phase: &str, reason: Value, hibernation: &str| {
        json!({ "status": {
            "phase": phase, "phaseReason": reason,
            "conditions": [condition("Ready", "True", "ClusterIsReady", ""), condition("cnpg.io/hibernation", hibernation, "", "")],
        } })
    };
    let broken = "Cluster is unrecoverable and needs manual intervention";
    check(
        "postgresql.cnpg.io/Cluster",
        &[
            (cluster("Cluster in healthy state", Value::Null, ""), "current", ""),
            (
                cluster("Setting up primary", json!("Creating primary instance cluster-1"), ""),
                "in progress",
                "Creating primary",
            ),
            (cluster("Failing over", Value::Null, ""), "in progress", "Failing over"),
            (cluster("Waiting for user action", Value::Null, "True"), "current", ""),
            (cluster(broken, json!("no instance has a volume"), ""), "failed", "no instance"),
        ],
    );
    let words = "Exceeded timeout of 300000ms while waiting for StatefulSet resource my-cluster-zookeeper";
    check(
        "kafka.strimzi.io/Kafka",
        &[
            (with(json!([condition("Ready", "True", "", "")])), "current", ""),
            (
                with(json!([condition("NotReady", "True", "Creating", "Kafka cluster is being deployed")])),
                "in progress",
                "Creating",
            ),
            (
                with(json!([condition("NotReady", "True", "TimeoutException", words)])),
                "in progress",
                "Exceeded timeout",
            ),
            (
                with(json!([condition("NotReady", "True", "InvalidResourceException", "no listeners")])),
                "failed",
                "no listeners",
            ),
        ],
    );
}

#[test]
fn monitors_are_available_and_reconciled() {
    let reconciled = condition("Reconciled", "True", "", "");
    let none = condition("Available", "False", "NoPodReady", "shard 0: pod prometheus-0: 0/5 nodes are available");
    check(
        "monitoring.coreos.com/Prometheus",
        &[
            (with(json!([condition("Available", "True", "", ""), reconciled])), "current", ""),
            (
                with(json!([condition("Available", "Degraded", "SomePodsNotReady", ""), reconciled])),
                "in progress",
                "SomePodsNotReady",
            ),
            (with(json!([none, reconciled])), "in progress", "0/5 nodes"),
            (json!({ "spec": { "paused": true } }), "current", ""),
        ],
    );
}

#[test]
fn what_crossplane_manages_is_synced_and_ready() {
    let synced = |status: &str| condition("Synced", status, "ReconcileError", "cannot create bucket: access denied");
    let ready = |status: &str| condition("Ready", status, "Creating", "");
    for api in ["s3.aws.upbound.io/Bucket", "iam.aws.crossplane.io/Role", "platform.example.com/Database"] {
        check(
            api,
            &[
                (with(json!([synced("True"), ready("True")])), "current", ""),
                (with(json!([synced("True"), ready("False")])), "in progress", "Creating"),
                (with(json!([synced("False"), ready("True")])), "in progress", "access denied"),
            ],
        );
    }
    let healthy = |status: &str| condition("Healthy", status, "UnhealthyPackageRevision", "");
    check(
        "pkg.crossplane.io/Provider",
        &[
            (with(json!([condition("Installed", "True", "", ""), healthy("True")])), "current", ""),
            (with(json!([condition("Installed", "True", "", ""), healthy("False")])), "in progress", "Unhealthy"),
        ],
    );
}
