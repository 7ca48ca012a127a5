#![expect(clippy::needless_pass_by_value, reason = "JSON literals read better unborrowed")]

use std::time::Duration;

use kube::core::Status;
use serde_json::{Value, json};

use super::{Attempt, explain, patience};
use crate::cluster::{Error, FieldConflict, FieldPath, ObjectRef, Resource};

fn status(code: u16, reason: &str, message: &str, details: Value) -> kube::Error {
    let status = json!({ "status": "Failure", "code": code, "reason": reason, "message": message, "details": details });
    let status: Status = serde_json::from_value(status).expect("a Status");
    kube::Error::Api(status.boxed())
}

fn explained(kind: &str, error: kube::Error) -> Error {
    let resource = Resource {
        group: "apps".to_owned(),
        version: "v1".to_owned(),
        kind: kind.to_owned(),
        plural: format!("{}s", kind.to_lowercase()),
        namespaced: true,
    };
    let object = ObjectRef {
        group: "apps".to_owned(),
        kind: kind.to_owned(),
        namespace: Some("shop".to_owned()),
        name: "web".to_owned(),
    };
    explain(&Attempt { verb: "patch", resource: &resource, object: &object }, error)
}

fn cause(reason: &str, message: &str, field: &str) -> Value {
    json!({ "reason": reason, "message": message, "field": field })
}

#[test]
fn conflicts_are_gathered_by_manager() {
    let details = json!({ "causes": [
        cause("FieldManagerConflict", r#"conflict with "kubectl-edit" using apps/v1 at 2026-01-01T00:00:00Z"#, ".spec.replicas"),
        cause("FieldManagerConflict", r#"conflict with "vpa" using apps/v1"#, ".spec.template"),
        cause("FieldManagerConflict", r#"conflict with "kubectl-edit" using apps/v1"#, ".metadata.labels.a"),
    ] });
    let error = explained("Deployment", status(409, "Conflict", "Apply failed with 3 conflicts", details));
    let text = error.to_string();
    let Error::Conflict { conflicts, .. } = error else { panic!("{text}") };
    let claim = |manager: &str, fields: &[&str]| FieldConflict {
        manager: manager.to_owned(),
        fields: fields.iter().copied().map(FieldPath::from).collect(),
    };
    let expected =
        [claim("kubectl-edit", &[".spec.replicas", ".metadata.labels.a"]), claim("vpa", &[".spec.template"])];
    assert_eq!(conflicts, expected);
    assert!(text.contains(r#""kubectl-edit" manages .spec.replicas, .metadata.labels.a; "vpa" manages"#), "{text}");
}

/// Code, reason, message, details, and which error they are.
type Case = (u16, &'static str, &'static str, Value, fn(&Error) -> bool);

#[test]
fn each_refusal_is_told_apart() {
    let none = Value::Null;
    let webhook = r#"admission webhook "deny.example.com" denied the request: no latest tags"#;
    let unreachable =
        r#"Internal error occurred: failed calling webhook "away.example.com": failed to call webhook: dial"#;
    let quota = r#"services "web" is forbidden: exceeded quota: few, requested: services=1, used: services=0, limited: services=0"#;
    let rbac =
        r#"deployments.apps "web" is forbidden: User "jane" cannot patch resource "deployments" in API group "apps""#;
    let immutable =
        json!({ "causes": [cause("FieldValueInvalid", "Invalid value: {}: field is immutable", "spec.selector")] });
    let namespace = json!({ "name": "shop", "kind": "namespaces" });
    let terminating = json!({ "causes": [cause("NamespaceTerminating", "", "metadata.namespace")] });
    let away = "conversion webhook for example.com/v1, Kind=Part failed: Post \"https://part.shop.svc:443/convert\": dial tcp: connect: connection refused";
    let gone = "conversion webhook for example.com/v1, Kind=Part failed: service \"part\" not found";
    let refused = "conversion webhook for example.com/v1, Kind=Part failed: no such version";
    let cases: [Case; 16] = [
        (
            403,
            "",
            webhook,
            none.clone(),
            |e| matches!(e, Error::Webhook { message, .. } if message == "no latest tags"),
        ),
        (500, "InternalError", unreachable, none.clone(), |e| matches!(e, Error::WebhookUnreachable { .. })),
        (500, "", away, none.clone(), |e| matches!(e, Error::WebhookUnreachable { .. })),
        (500, "", gone, none.clone(), |e| matches!(e, Error::WebhookUnreachable { .. })),
        (500, "", refused, none.clone(), |e| matches!(e, Error::WebhookUnreachable { what: "did not convert it", .. })),
        (403, "Forbidden", quota, none.clone(), |e| matches!(e, Error::Quota { .. })),
        (403, "Forbidden", rbac, none.clone(), |e| matches!(e, Error::Forbidden { verb, .. } if verb == "patch")),
        (403, "Forbidden", "violates PodSecurity", none.clone(), |e| matches!(e, Error::Invalid { .. })),
        (403, "Forbidden", "is being terminated", terminating, |e| matches!(e, Error::NamespaceTerminating { .. })),
        (
            422,
            "Invalid",
            "is invalid",
            immutable,
            |e| matches!(e, Error::Immutable { field, .. } if field == "spec.selector"),
        ),
        (422, "Invalid", "is invalid", none.clone(), |e| matches!(e, Error::Invalid { .. })),
        (404, "NotFound", "not found", namespace, |e| matches!(e, Error::NamespaceMissing { .. })),
        (404, "NotFound", "the server could not find", none.clone(), |e| matches!(e, Error::UnknownKind { .. })),
        (401, "Unauthorized", "Unauthorized", none.clone(), |e| matches!(e, Error::Unauthorized { .. })),
        (503, "ServiceUnavailable", "busy", none.clone(), |e| matches!(e, Error::Unavailable { .. })),
        (413, "RequestEntityTooLarge", "too large", none, |e| matches!(e, Error::Refused { code: 413, .. })),
    ];
    for (code, reason, message, details, expected) in cases {
        let error = explained("Deployment", status(code, reason, message, details));
        assert!(expected(&error), "{code} {message}: {error:?}");
    }
}

#[test]
fn what_is_refused_in_a_secret_is_not_repeated() {
    let message = r#"Secret "web" is invalid: data: Invalid value: "hunter2""#;
    let text = explained("Secret", status(422, "Invalid", message, Value::Null)).to_string();
    assert!(text.contains("Secret") && !text.contains("hunter2"), "{text}");
}

/// Real answers of Kubernetes 1.36, and what is repeated of them.
#[test]
fn values_are_left_out_and_what_helps_stays() {
    let words = |kind: &str, message: &str| {
        let text = explained(kind, status(422, "Invalid", message, Value::Null)).to_string();
        text.split_once("invalid: ").map(|(_, words)| words.to_owned()).expect("an invalid object")
    };
    let out = "(value left out)";
    let cases = [
        (
            r#".spec.containers[name="main"].env[name="DB_PASSWORD"].value: expected string, got &value.valueUnstructured{Value:31337424242}"#,
            r#".spec.containers[name="main"].env[name="DB_PASSWORD"].value: expected string, got a number"#.to_owned(),
        ),
        (".data: expected map, got &{hunter2}", ".data: expected map, got something else".to_owned()),
        (
            "errors:\n  .spec.a: field not declared in schema\n  .spec.b: expected string, got &value.valueUnstructured{Value:true}",
            "errors: .spec.a: field not declared in schema; .spec.b: expected string, got a boolean".to_owned(),
        ),
        (
            r#"spec.restartPolicy: Unsupported value: "hunter2": supported values: "Always", "Never", spec.x: Required value"#,
            format!(
                r#"spec.restartPolicy: Unsupported value: {out}: supported values: "Always", "Never", spec.x: Required value"#
            ),
        ),
        (
            r#"spec.schedule: Invalid value: "hunter2": found 1: [hunter2]"#,
            format!("spec.schedule: Invalid value: {out}: found 1: [{out}]"),
        ),
        (
            r#"spec.template: Invalid value: {"Env":[{"Value":"a}b"}]}: field is wrong"#,
            format!("spec.template: Invalid value: {out}: field is wrong"),
        ),
        ("spec.pin: Invalid value: 31337: must be less", format!("spec.pin: Invalid value: {out}: must be less")),
        ("spec: Invalid value: size must not be less", "spec: Invalid value: size must not be less".to_owned()),
        (
            r#"spec.size: Invalid value: "string": must be of type integer"#,
            r#"spec.size: Invalid value: "string": must be of type integer"#.to_owned(),
        ),
        (
            r#"spec.containers[0].name: Invalid value: "A_B": a label (e.g. 'my-name', regex '[a-z]{1,2}')"#,
            r#"spec.containers[0].name: Invalid value: "A_B": a label (e.g. 'my-name', regex '[a-z]{1,2}')"#.to_owned(),
        ),
        (
            "spec.ports[0].port: Invalid value: 99999: must be between",
            "spec.ports[0].port: Invalid value: 99999: must be between".to_owned(),
        ),
        (
            r#"unknown field "spec.foo", cannot unmarshal number 5000000000 into Go struct field"#,
            format!(r#"unknown field "spec.foo", cannot unmarshal number {out} into Go struct field"#),
        ),
        (r#"parsing time "hunter2" as "2006": cannot parse"#, format!("parsing time {out} as {out}: cannot parse")),
        (r#".spec.finalizers["hunter2"].x[id=hunter2]: wrong"#, format!(".spec.finalizers[{out}].x[id={out}]: wrong")),
        ("spec: Forbidden: may not\n@@ -1,7 @@\n-  \"Value\": \"hunter2\",\n", "spec: Forbidden: may not".to_owned()),
        (r#"Deployment.apps "web" is "#, r#"Deployment.apps "web" is"#.to_owned()),
        (r#"ends early: "hunter2é"#, format!("ends early: {out}")),
    ];
    for (message, expected) in cases {
        assert_eq!(words("Deployment", message), expected, "{message}");
    }
    // Of a Secret not even names of keys' values.
    assert_eq!(
        words("Secret", r#"x.name: Invalid value: "hunter2": wrong"#),
        format!("x.name: Invalid value: {out}: wrong")
    );
}

#[test]
fn only_what_passes_is_retried() {
    let full = Duration::from_mins(1);
    let retried = |code, reason: &str, message: &str| patience(&status(code, reason, message, Value::Null), full);
    assert_eq!(retried(429, "TooManyRequests", ""), Some(full));
    assert_eq!(retried(503, "ServiceUnavailable", ""), Some(full));
    assert_eq!(retried(409, "Conflict", "Operation cannot be fulfilled on resourcequotas \"few\""), Some(full));
    assert!(retried(500, "InternalError", "").is_some_and(|patience| patience < full));
    assert!(retried(500, "", "etcdserver: request timed out").is_some());
    for (code, reason, message) in [
        (409, "Conflict", "Apply failed with 1 conflict"),
        (500, "", "failed to create typed patch object"),
        (403, "Forbidden", ""),
        (422, "Invalid", ""),
        (404, "NotFound", ""),
    ] {
        assert_eq!(retried(code, reason, message), None, "{code} {message}");
    }
}
