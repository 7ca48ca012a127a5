use std::time::Duration;

use serde_json::{Value, json};

use super::{DesiredRelease, identity, validate};
use crate::api::{CrdPolicy, HelmRelease, Reason};
use crate::controller::error::ReconcileError;
use crate::controller::index::Index;
use crate::controller::matching::Wanted;
use crate::controller::release::dereference::DereferencedRelease;
use crate::controller::release::removal::Leaving;
use crate::controller::source::Source;
use crate::history::ReleaseKey;
use crate::registry::VersionRequest;

/// A release `apps/web` of `oci://registry.example/charts/web` with `spec` over it.
fn release(spec: &Value) -> HelmRelease {
    let mut object = json!({
        "apiVersion": "helm-operator.ketches.cn/v1alpha1",
        "kind": "HelmRelease",
        "metadata": { "name": "web", "namespace": "apps", "uid": "u", "generation": 3 },
        "spec": { "chart": { "name": "web", "ociRepository": "oci://registry.example/charts/web" } },
    });
    merge(&mut object["spec"], spec);
    serde_json::from_value(object).expect("a decodable release")
}

fn merge(into: &mut Value, from: &Value) {
    match (into, from) {
        (Value::Object(into), Value::Object(from)) => {
            for (key, value) in from {
                merge(into.entry(key).or_insert(Value::Null), value);
            }
        }
        (into, from) => *into = from.clone(),
    }
}

fn desired(spec: &Value) -> Result<DesiredRelease, ReconcileError> {
    let release = release(spec);
    let choice = Index::default().choose(&Wanted::of(&release)?)?;
    let (chart, source) = (choice.chart.clone(), Source::new("apps".to_owned(), choice));
    validate(&release, DereferencedRelease { chart, repository: None, source, values: Vec::new(), room: None })
}

#[test]
fn defaults_are_those_of_the_documentation() {
    let desired = desired(&json!({})).expect("valid");
    assert_eq!(desired.identity.release, ReleaseKey::new("apps", "web"));
    assert_eq!((desired.identity.owner.as_str(), desired.identity.generation), ("apps/web", 3));
    assert!(matches!(desired.version, VersionRequest::Newest));
    for action in [&desired.install, &desired.maintenance.upgrade] {
        assert_eq!(action.timeout, Duration::from_mins(10));
        assert!(action.wait && action.wait_for_jobs && action.hooks);
    }
    assert!(
        desired.install.crds == CrdPolicy::Create
            && desired.maintenance.upgrade.crds == CrdPolicy::Skip
            && !desired.maintenance.upgrade.cleanup_on_fail
            && !desired.maintenance.upgrade.force
    );
    assert_eq!(desired.max_history, 10);
    assert!(desired.values.is_empty() && !desired.maintenance.create_namespace);
    let removal = Leaving::of(&release(&json!({}))).removal;
    assert_eq!((removal.timeout, removal.policy), (Duration::from_mins(5), None));
}

#[test]
fn what_is_declared_is_what_is_done() {
    let desired = desired(&json!({
        "release": { "name": "shop", "namespace": "prod", "createNamespace": true },
        "timeout": "3m",
        "maxHistory": 0,
        "install": { "wait": false, "skipCRDs": true },
        "upgrade": { "timeout": "90s", "force": true, "maxHistory": 4 },
    }))
    .expect("valid");
    assert_eq!(desired.identity.release, ReleaseKey::new("prod", "shop"));
    assert!(
        desired.maintenance.create_namespace
            && !desired.install.wait
            && desired.install.crds == CrdPolicy::Skip
            && desired.maintenance.upgrade.force
    );
    assert_eq!(desired.install.timeout, Duration::from_mins(3), "spec.timeout where install has none");
    assert_eq!(desired.maintenance.upgrade.timeout, Duration::from_secs(90));
    assert_eq!(desired.max_history, 0, "spec.maxHistory goes before upgrade.maxHistory");
}

#[test]
fn values_are_an_object_or_the_text_of_one() {
    for values in [json!({ "a": 1, "b": { "c": true } }), json!("a: 1\nb:\n  c: yes\n")] {
        let desired = desired(&json!({ "values": values })).expect("valid");
        assert_eq!(Value::Object((*desired.values).clone()), json!({ "a": 1, "b": { "c": true } }), "{values}");
    }
    for empty in [json!(null), json!(""), json!("# nothing\n"), json!({})] {
        assert!(desired(&json!({ "values": empty })).expect("valid").values.is_empty(), "{empty}");
    }
    for wrong in [json!("- a\n- b\n"), json!("just text"), json!("a: [1\n"), json!([1]), json!(7)] {
        let error = desired(&json!({ "values": wrong })).map(drop).expect_err("no values");
        assert_eq!(error.reason, Reason::ValuesInvalid, "{wrong}");
    }
}

#[test]
fn contradictions_are_refused_where_they_are_declared() {
    let digest = |digit: &str| format!("sha256:{}", digit.repeat(64));
    for (spec, part) in [
        (json!({ "chart": { "version": "latest" } }), "latest"),
        (json!({ "chart": { "version": "not a version" } }), "spec.chart.version"),
        (json!({ "chart": { "ociRepository": "oci://registry.example/charts/web:1.0.0", "version": "1.0.1" } }), "tag"),
        (json!({ "chart": { "ociRepository": "https://registry.example/web" } }), "oci://"),
        (json!({ "chart": { "digest": "sha256:short" } }), "spec.chart.digest"),
        (
            json!({ "chart": { "ociRepository": format!("oci://registry.example/web@{}", digest("a")), "digest": digest("b") } }),
            "one of the two",
        ),
        (json!({ "release": { "name": "Not_A_Name" } }), "spec.release.name"),
        (json!({ "release": { "name": "x".repeat(54) } }), "spec.release.name"),
    ] {
        let error = desired(&spec).map(drop).expect_err("a contradiction");
        assert_eq!(error.reason, Reason::ConfigurationError, "{spec}");
        assert!(error.message.contains(part), "{spec}: {}", error.message);
    }
}

#[test]
fn inputs_change_with_what_the_manifest_depends_on_and_with_nothing_else() {
    let digest = |digit: &str| format!("sha256:{}", digit.repeat(64)).parse().expect("a digest");
    let base = desired(&json!({ "values": { "a": 1 } })).expect("valid");
    let same = desired(&json!({ "values": "a: 1", "timeout": "1m" })).expect("valid");
    let other = desired(&json!({ "values": { "a": 2 } })).expect("valid");
    assert_eq!(base.inputs(&digest("a"), "1.36"), same.inputs(&digest("a"), "1.36"));
    assert_ne!(base.inputs(&digest("a"), "1.36"), other.inputs(&digest("a"), "1.36"));
    assert_ne!(base.inputs(&digest("a"), "1.36"), base.inputs(&digest("b"), "1.36"));
    assert_ne!(base.inputs(&digest("a"), "1.36"), base.inputs(&digest("a"), "1.37"));
}

#[test]
fn what_is_declared_does_not_depend_on_what_a_registry_answers() {
    let declared = |spec| desired(&spec).expect("valid").declared();
    let base = declared(json!({ "chart": { "version": "^1.0.0" }, "values": { "a": 1 } }));
    assert_eq!(base, declared(json!({ "chart": { "version": "^1.0.0" }, "values": "a: 1", "interval": "1m" })));
    assert_ne!(base, declared(json!({ "chart": { "version": "^1.0.1" }, "values": { "a": 1 } })));
    assert_ne!(base, declared(json!({ "chart": { "version": "^1.0.0" }, "values": { "a": 2 } })));
    let elsewhere = json!({ "ociRepository": "oci://registry.example/other/web", "version": "^1.0.0" });
    assert_ne!(base, declared(json!({ "chart": elsewhere, "values": { "a": 1 } })));
}

/// Records hold this digest: where it changed without a reason, an update of the operator would upgrade every release.
#[test]
fn the_digest_of_inputs_stays_what_it_was() {
    let digest = format!("sha256:{}", "a".repeat(64)).parse().expect("a digest");
    let desired = desired(&json!({ "values": { "b": [1, 2.5, null, "x"], "a": { "c": true } } })).expect("valid");
    let golden = "sha256:80f7ab9af1e9d99edaec6f76877afc6dd5702d06eee73bb3517f02d333ae644f";
    assert_eq!(desired.inputs(&digest, "1.36"), golden);
}

#[test]
fn a_release_lives_where_its_object_says() {
    let identity = identity(&release(&json!({ "release": { "namespace": "elsewhere" } }))).expect("valid");
    assert_eq!((identity.release.namespace.as_str(), identity.owner.as_str()), ("elsewhere", "apps/web"));
}
