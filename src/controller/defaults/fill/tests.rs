use serde_json::{Value, json};

use super::fill;
use crate::api::{HelmReleaseDefaultsSpec, HelmReleaseSpec};

/// A release's spec, filled from the nearest defaults to the farthest; with what each gave.
fn filled(own: Value, levels: &[Value]) -> (HelmReleaseSpec, Vec<Vec<String>>) {
    let mut spec = spec(own);
    let read = |level: &Value| -> HelmReleaseDefaultsSpec { serde_json::from_value(level.clone()).expect("defaults") };
    let taken = levels.iter().map(|level| fill(&mut spec, &read(level))).collect();
    (spec, taken)
}

fn spec(mut fields: Value) -> HelmReleaseSpec {
    fields["chart"] = json!({ "name": "web", "repositoryURL": "oci://r.example" });
    serde_json::from_value(fields).expect("a spec")
}

#[test]
#[expect(clippy::too_many_lines, reason = "one table, whole on purpose")]
fn the_nearest_counts_field_by_field() {
    let remediation = |retries: i32| json!({ "upgrade": { "remediation": { "retries": retries } } });
    let labels = |labels: Value| json!({ "commonMetadata": { "labels": labels } });
    let ignore = |paths: &[&str]| json!({ "driftDetection": { "ignore": [{ "paths": paths }] } });
    let mode = |mode: &str| json!({ "driftDetection": { "mode": mode } });
    let images =
        |name: &str| json!({ "postRenderers": [{ "kustomize": { "images": [{ "name": name, "newTag": "1" }] } }] });
    let strategy = |name: &str, rest: Value| {
        let mut strategy = json!({ "name": name });
        strategy.as_object_mut().expect("a map").extend(rest.as_object().cloned().unwrap_or_default());
        json!({ "install": { "strategy": strategy } })
    };
    let none = json!({});
    // The release, the namespace's, the cluster's: and what they make together.
    let cases = [
        (json!({}), none.clone(), none.clone(), json!({})),
        (
            json!({ "timeout": "1m" }),
            json!({ "timeout": "2m" }),
            json!({ "timeout": "3m" }),
            json!({ "timeout": "1m" }),
        ),
        (json!({}), json!({ "timeout": "2m" }), json!({ "timeout": "3m" }), json!({ "timeout": "2m" })),
        (
            json!({}),
            none.clone(),
            json!({ "timeout": "3m", "interval": "1h" }),
            json!({ "timeout": "3m", "interval": "1h" }),
        ),
        (json!({ "timeout": null }), json!({ "timeout": "2m" }), none.clone(), json!({ "timeout": "2m" })),
        // Objects are filled in, whatever else is in them.
        (
            json!({ "install": { "disableHooks": true } }),
            json!({ "install": { "timeout": "2m" } }),
            json!({ "install": { "timeout": "3m", "crds": "Skip" } }),
            json!({ "install": { "disableHooks": true, "timeout": "2m", "crds": "Skip" } }),
        ),
        // How long any action may take counts before how long a single one may, which somebody farther says.
        (
            json!({ "timeout": "1m" }),
            json!({ "upgrade": { "timeout": "2m" } }),
            none.clone(),
            json!({ "timeout": "1m" }),
        ),
        (
            json!({}),
            json!({ "timeout": "2m", "test": { "timeout": "1m" } }),
            json!({ "rollback": { "timeout": "9m" }, "uninstall": { "timeout": "9m" } }),
            json!({ "timeout": "2m", "test": { "timeout": "1m" } }),
        ),
        (
            json!({ "install": { "skipCRDs": true } }),
            json!({ "install": { "crds": "CreateReplace" } }),
            none.clone(),
            json!({ "install": { "skipCRDs": true } }),
        ),
        // The history, where nobody sets it for upgrades.
        (json!({}), json!({ "maxHistory": 3 }), none.clone(), json!({ "maxHistory": 3 })),
        (json!({ "upgrade": {} }), json!({ "maxHistory": 3 }), none.clone(), json!({ "upgrade": {}, "maxHistory": 3 })),
        (
            json!({ "upgrade": { "maxHistory": 5 } }),
            json!({ "maxHistory": 3 }),
            none.clone(),
            json!({ "upgrade": { "maxHistory": 5 } }),
        ),
        (json!({ "maxHistory": 0 }), json!({ "maxHistory": 3 }), none.clone(), json!({ "maxHistory": 0 })),
        // What is done about failures.
        (json!({}), remediation(1), remediation(2), remediation(1)),
        (remediation(0), remediation(1), none.clone(), remediation(0)),
        (
            json!({ "upgrade": { "remediation": { "remediateLastFailure": false } } }),
            remediation(1),
            none.clone(),
            json!({ "upgrade": { "remediation": { "remediateLastFailure": false, "retries": 1 } } }),
        ),
        (
            json!({ "install": { "remediation": { "retries": 4 } } }),
            strategy("RetryOnFailure", json!({})),
            none.clone(),
            json!({ "install": { "remediation": { "retries": 4 } } }),
        ),
        (
            strategy("RetryOnFailure", json!({})),
            strategy("RetryOnFailure", json!({ "retries": 2 })),
            none.clone(),
            strategy("RetryOnFailure", json!({ "retries": 2 })),
        ),
        (
            strategy("RemediateOnFailure", json!({})),
            strategy("RetryOnFailure", json!({ "retries": 2 })),
            none.clone(),
            strategy("RemediateOnFailure", json!({})),
        ),
        // Maps key by key, lists as a whole.
        (
            labels(json!({ "team": "own" })),
            labels(json!({ "team": "theirs", "tier": "front" })),
            labels(json!({ "tier": "back", "zone": "a" })),
            labels(json!({ "team": "own", "tier": "front", "zone": "a" })),
        ),
        (images("own"), images("theirs"), none.clone(), images("own")),
        (json!({ "postRenderers": [] }), images("theirs"), none.clone(), images("theirs")),
        (
            ignore(&["/a"]),
            ignore(&["/b"]),
            mode("warn"),
            json!({ "driftDetection": { "ignore": [{ "paths": ["/a"] }], "mode": "warn" } }),
        ),
        (mode("disabled"), mode("enabled"), none.clone(), mode("disabled")),
    ];
    for (own, near, far, expected) in cases {
        let (result, _) = filled(own.clone(), &[near.clone(), far.clone()]);
        assert!(result == spec(expected.clone()), "{own} with {near} and {far} is not {expected}: {}", json!(result));
    }
}

#[test]
fn what_was_taken_is_told_and_nothing_else() {
    let near = json!({ "timeout": "2m", "commonMetadata": { "labels": { "team": "a" } } });
    let far = json!({ "timeout": "3m", "install": { "crds": "Skip", "timeout": "9m" }, "postRenderers": [] });
    let (_, taken) = filled(json!({}), &[near.clone(), far.clone()]);
    assert_eq!(taken, [vec!["timeout", "commonMetadata.labels.team"], vec!["install.crds"]]);
    let own =
        json!({ "timeout": "1m", "commonMetadata": { "labels": { "team": "b" } }, "install": { "crds": "Create" } });
    let (made, taken) = filled(own.clone(), &[near, far, json!({}), json!({ "install": {}, "driftDetection": {} })]);
    assert!(taken.iter().all(Vec::is_empty), "{taken:?}");
    // What takes nothing is what it was, to the last byte of what it would be hashed by.
    assert!(made == spec(own));
}
