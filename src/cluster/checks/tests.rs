use std::sync::Arc;

use serde_json::{Value, json};

use super::{HealthCheck, HealthChecks, Judge};
use crate::cluster::expression::Expression;
use crate::cluster::object::ObjectRef;
use crate::cluster::ready::{Subject, Verdict};

fn expression(text: &str) -> Expression {
    Expression::compile(text, &[]).expect(text)
}

fn check(kind: Option<&str>, failed: Option<&str>, current: &str) -> Arc<HealthCheck> {
    Arc::new(HealthCheck {
        field: format!("of {}", kind.unwrap_or("all")),
        group: "example.com".to_owned(),
        kind: kind.map(str::to_owned),
        in_progress: Some(expression("has(status.busy) && status.busy")),
        failed: failed.map(expression),
        current: expression(current),
    })
}

fn ready(judge: &Judge, kind: &str, object: &Value) -> Verdict {
    judge.assess("example.com", kind, &Subject::of(object), || object.clone()).ready
}

#[test]
fn the_first_expression_that_is_true_counts_and_one_that_fails_is_not() {
    let checks = HealthChecks {
        by_kind: vec![
            check(None, None, "true"),
            check(Some("Widget"), Some("status.phase == 'Broken'"), "status.phase == 'Ready'"),
        ],
        legacy: false,
    };
    let (judge, of_group) = (checks.judge("example.com", "Widget"), checks.judge("example.com", "Gadget"));
    assert_eq!(checks.judge("example.org", "Widget"), Judge::Kind);
    assert_eq!(ready(&of_group, "Gadget", &json!({})), Verdict::Current);
    let in_progress = |words: &str| Verdict::InProgress(words.to_owned());
    let conditions = json!([{ "type": "Ready", "status": "False", "reason": "Burnt", "message": "smoke" }]);
    for (status, expected) in [
        (json!({ "phase": "Ready" }), Verdict::Current),
        (json!({ "phase": "Ready", "busy": true }), in_progress("of Widget.inProgress is true")),
        (
            json!({ "phase": "Ready", "busy": 1 }),
            in_progress("of Widget.inProgress: found no matching overload for '_&&_' applied to '(bool, int)'"),
        ),
        (json!({ "phase": "Warm" }), in_progress("of Widget.current is not true yet")),
        (json!({}), in_progress("of Widget.current is not true yet: there is no field \"phase\"")),
        (Value::Null, in_progress("of Widget.current is not true yet: there is no field \"phase\"")),
        (
            json!({ "phase": "Broken", "conditions": conditions }),
            Verdict::Failed("of Widget.failed is true (Burnt: smoke)".to_owned()),
        ),
        (
            json!({ "phase": "Ready", "observedGeneration": 1 }),
            in_progress("Widget generation is 2, but latest observed generation is 1"),
        ),
    ] {
        let mut object = json!({ "metadata": { "generation": 2 } });
        if !status.is_null() {
            object["status"] = status;
        }
        assert_eq!(ready(&judge, "Widget", &object), expected, "{object}");
    }
}

#[test]
fn an_object_may_ask_not_to_be_judged_but_not_where_it_is_depended_on() {
    let conditions = json!([{ "type": "Ready", "status": "False", "reason": "R", "message": "words" }]);
    let mut object = json!({ "metadata": { "name": "w" }, "status": { "conditions": conditions } });
    assert_ne!(ready(&Judge::Kind, "Widget", &object), Verdict::Current);
    object["metadata"]["annotations"] = json!({ "helm-operator.ketches.cn/health": "ignore" });
    assert_eq!(ready(&Judge::Kind, "Widget", &object), Verdict::Current);
    assert_ne!(ready(&Judge::Strict, "Widget", &object), Verdict::Current);
    let of = |group: &str, kind: &str| ObjectRef {
        group: group.to_owned(),
        kind: kind.to_owned(),
        namespace: None,
        name: "w".to_owned(),
    };
    let outstanding = |checks: &HealthChecks| checks.outstanding(&of("example.com", "Widget"), &object);
    assert_eq!(outstanding(&HealthChecks::default()).as_deref(), Some("R: words"));
    let legacy = HealthChecks { by_kind: Vec::new(), legacy: true };
    assert_eq!(outstanding(&legacy).as_deref(), Some("R: words"));
    let running = json!({ "status": { "startTime": "2026-01-01T00:00:00Z" } });
    let job = HealthChecks::default().outstanding(&of("batch", "Job"), &running);
    assert_eq!(job.as_deref(), Some("Job in progress"), "a Job that others depend on has to be complete");
}

#[test]
fn helm_3_waits_for_what_it_knows() {
    let checks = HealthChecks { by_kind: Vec::new(), legacy: true };
    let verdict = |group: &str, kind: &str| {
        let object = json!({ "status": { "conditions": [{ "type": "Ready", "status": "False" }] } });
        checks.judge(group, kind).assess(group, kind, &Subject::of(&object), || object.clone()).ready
    };
    assert_eq!(verdict("example.com", "Widget"), Verdict::Current);
    assert_eq!(verdict("cert-manager.io", "Certificate"), Verdict::Current);
    assert_ne!(verdict("apps", "Deployment"), Verdict::Current);
    assert_ne!(verdict("", "PersistentVolumeClaim"), Verdict::Current);
}
