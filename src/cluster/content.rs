//! What is applied of a rendered object: without what server-side apply makes a quarrel of, or refuses, though nobody
//! means it. Pure. The record keeps what was rendered.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD as BASE64;
use serde_json::{Map, Value, json};

use super::Error;
use super::object::ObjectRef;
use super::pointers::OF_SERVER;

/// What a service account lists.
const ACCOUNT_LISTS: [&str; 2] = ["imagePullSecrets", "secrets"];

/// Changes `content`, which is of `object`, to what is applied. Returns what of it a person should know.
pub(super) fn prepare(object: &ObjectRef, content: &mut Map<String, Value>) -> Vec<String> {
    drop_what_the_server_writes(content);
    match (object.group.as_str(), object.kind.as_str()) {
        ("", "Secret") => encode_texts(content),
        ("rbac.authorization.k8s.io", "ClusterRole") => drop_aggregated_rules(content),
        ("admissionregistration.k8s.io", "ValidatingWebhookConfiguration" | "MutatingWebhookConfiguration") => {
            let webhooks = content.get_mut("webhooks").and_then(Value::as_array_mut);
            webhooks.into_iter().flatten().filter_map(|webhook| webhook.get_mut("clientConfig")).for_each(drop_bundle);
        }
        ("apiextensions.k8s.io", "CustomResourceDefinition") => {
            content
                .get_mut("spec")
                .and_then(|spec| spec.pointer_mut("/conversion/webhook/clientConfig"))
                .map(drop_bundle);
        }
        ("apiregistration.k8s.io", "APIService") => {
            content.get_mut("spec").map(drop_bundle);
        }
        // Others fill them in (OpenShift with the Secrets of its registry), and whoever applies a list without items owns it as a whole.
        ("", "ServiceAccount") => content.retain(|field, list| {
            !ACCOUNT_LISTS.contains(&field.as_str()) || list.as_array().is_some_and(|items| !items.is_empty())
        }),
        ("apps" | "batch" | "", _) => {
            drop_null_replicas(content);
            return drop_doubled(content);
        }
        _ => {}
    }
    Vec::new()
}

/// The patch that takes away what is left of a strategy where an object is to have one of another type: the API server `refused` the
/// two beside each other. It is the numbers of rolling updates that the server filled in, or the webhook of conversions, of which
/// somebody wrote the `caBundle`. `None` where it is to have no such strategy, or that is not why.
///
/// A definition is patched as a whole: where anything else of it is refused, too, the one in the cluster goes on converting.
pub(super) fn leftover_strategy(object: &ObjectRef, content: &Value, refused: &Error) -> Option<Value> {
    let says = |words: &str| matches!(refused, Error::Invalid { message, .. } if message.contains(words));
    if object.defines_kinds() && says("spec.conversion") {
        let mut spec = content["spec"].clone();
        let conversion = &spec["conversion"];
        let is_none = conversion["strategy"].is_null() || conversion["strategy"] == "None";
        if !is_none || !conversion["webhook"].is_null() {
            return None;
        }
        spec["conversion"] = json!({ "strategy": "None", "webhook": null });
        return Some(json!({ "spec": spec }));
    }
    if object.group != "apps" || !says("rollingUpdate") {
        return None;
    }
    [("strategy", "Recreate"), ("updateStrategy", "OnDelete")].into_iter().find_map(|(field, other)| {
        let strategy = &content["spec"][field];
        let is_other = strategy["type"] == other && strategy.get("rollingUpdate").is_none_or(Value::is_null);
        is_other.then(|| json!({ "spec": { field: { "type": other, "rollingUpdate": null } } }))
    })
}

/// A number of pods that a chart leaves to others by a null is left to them.
fn drop_null_replicas(content: &mut Map<String, Value>) {
    if let Some(spec) = content.get_mut("spec").and_then(Value::as_object_mut) {
        spec.retain(|field, value| field != "replicas" || !value.is_null());
    }
}

/// The rules of an aggregated role are the controller's that fills them in, whatever a chart writes there.
fn drop_aggregated_rules(content: &mut Map<String, Value>) {
    let is_aggregated = content.get("aggregationRule").is_some_and(|rule| !rule.is_null());
    let is_empty = content.get("rules").is_some_and(|rules| rules.as_array().is_none_or(Vec::is_empty));
    if is_aggregated && is_empty {
        content.remove("rules");
    }
}

/// What a chart copies from an object that it looks up: an apply with it is refused, or meant for another version.
fn drop_what_the_server_writes(content: &mut Map<String, Value>) {
    if let Some(metadata) = content.get_mut("metadata").and_then(Value::as_object_mut) {
        metadata.retain(|field, _| !OF_SERVER.contains(&field.as_str()));
    }
}

/// The texts of a Secret become data, as the API server makes them: of what was applied as text it does not know afterwards
/// whose it is, so that a key which leaves the chart would stay, and a change by somebody else go unnoticed.
fn encode_texts(content: &mut Map<String, Value>) {
    let is_text = |texts: &Map<String, Value>| texts.values().all(Value::is_string);
    let has_room = content.get("data").is_none_or(|data| data.is_object() || data.is_null());
    if !has_room || !content.get("stringData").and_then(Value::as_object).is_some_and(is_text) {
        // The API server tells what is wrong.
        return;
    }
    let Some(Value::Object(texts)) = content.remove("stringData") else { return };
    let mut data = match content.remove("data") {
        Some(Value::Object(data)) => data,
        _ => Map::new(),
    };
    for (key, text) in texts {
        data.insert(key, BASE64.encode(text.as_str().unwrap_or_default()).into());
    }
    content.insert("data".to_owned(), data.into());
}

/// A bundle that is empty is a place that somebody else fills in: cert-manager, a Job of the chart, the program itself.
fn drop_bundle(config: &mut Value) {
    /// Nothing, and one line break, in base64.
    const EMPTY: [&str; 2] = ["", "Cg=="];
    let Some(config) = config.as_object_mut() else { return };
    let is_empty = |bundle: &Value| bundle.as_str().is_none_or(|text| EMPTY.contains(&text));
    if config.get("caBundle").is_some_and(is_empty) {
        config.remove("caBundle");
    }
}

/// Where a list of a pod has an entry twice, Kubernetes takes it, and of an environment the last. Server-side apply takes neither: "duplicate
/// entries for key". Two ports of one number with other names are left: which of them counts is the chart's to say.
fn drop_doubled(content: &mut Map<String, Value>) -> Vec<String> {
    /// Where a pod's specification is below that of the kinds that have one.
    const PODS: [&str; 3] = ["/template/spec", "/jobTemplate/spec/template/spec", ""];
    let mut doubled = Vec::new();
    let Some(spec) = content.get_mut("spec") else { return doubled };
    for path in PODS {
        let Some(pod) = spec.pointer_mut(path) else { continue };
        for list in ["containers", "initContainers"] {
            let containers = pod.get_mut(list).and_then(Value::as_array_mut);
            for container in containers.into_iter().flatten() {
                let of = container.get("name").and_then(Value::as_str).unwrap_or_default().to_owned();
                let names = container.get_mut("env").and_then(Value::as_array_mut).map(keep_last).unwrap_or_default();
                doubled
                    .extend(names.into_iter().map(|name| format!("the environment variable {name} of container {of}")));
                container.get_mut("ports").and_then(Value::as_array_mut).map(keep_different);
            }
        }
        pod.get_mut("imagePullSecrets").and_then(Value::as_array_mut).map(keep_last);
        pod.get_mut("hostAliases").and_then(Value::as_array_mut).map(join_addresses);
    }
    doubled
}

/// Of entries that say the same, one is enough.
fn keep_different(entries: &mut Vec<Value>) {
    let mut kept: Vec<Value> = Vec::with_capacity(entries.len());
    for entry in entries.drain(..) {
        if !kept.contains(&entry) {
            kept.push(entry);
        }
    }
    *entries = kept;
}

/// Of entries for one address, the first has the names of all.
fn join_addresses(entries: &mut Vec<Value>) {
    let mut joined: Vec<Value> = Vec::with_capacity(entries.len());
    for mut entry in entries.drain(..) {
        let same = joined.iter_mut().find(|other| entry["ip"].is_string() && other["ip"] == entry["ip"]);
        let Some(known) = same else {
            joined.push(entry);
            continue;
        };
        let Some(more) = entry.get_mut("hostnames").and_then(Value::as_array_mut).map(std::mem::take) else { continue };
        match known.get_mut("hostnames").and_then(Value::as_array_mut) {
            Some(names) => names.extend(more),
            None => known["hostnames"] = more.into(),
        }
    }
    *entries = joined;
}

/// Of entries with one name the last counts, at the place of the first, so that later ones may go on referring to it.
fn keep_last(entries: &mut Vec<Value>) -> Vec<String> {
    let name = |entry: &Value| entry.get("name").and_then(Value::as_str).map(str::to_owned);
    let mut kept: Vec<Value> = Vec::with_capacity(entries.len());
    let mut doubled = Vec::new();
    for entry in entries.drain(..) {
        let known = kept.iter_mut().find(|other| name(&entry).is_some() && name(other) == name(&entry));
        match known {
            Some(known) => {
                doubled.extend(name(&entry));
                *known = entry;
            }
            None => kept.push(entry),
        }
    }
    *entries = kept;
    doubled
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::prepare;
    use crate::cluster::ObjectRef;

    fn prepared(group: &str, kind: &str, mut content: Value) -> (Value, Vec<String>) {
        let (group, kind) = (group.to_owned(), kind.to_owned());
        let object = ObjectRef { group, kind, namespace: None, name: "x".to_owned() };
        let told = prepare(&object, content.as_object_mut().expect("a map"));
        (content, told)
    }

    #[test]
    fn the_texts_of_a_secret_become_data() {
        let secret = |content: Value| prepared("", "Secret", content).0;
        let both = json!({ "data": { "a": "YQ==", "b": "Yg==" }, "stringData": { "b": "c", "d": "" } });
        assert_eq!(secret(both), json!({ "data": { "a": "YQ==", "b": "Yw==", "d": "" } }));
        assert_eq!(secret(json!({ "stringData": { "b": "c" } })), json!({ "data": { "b": "Yw==" } }));
        for left in [
            json!({ "stringData": { "b": 1 } }),
            json!({ "data": "x", "stringData": {} }),
            json!({ "stringData": null }),
        ] {
            assert_eq!(secret(left.clone()), left);
        }
    }

    #[test]
    fn empty_rules_of_an_aggregated_role_are_left_to_the_controller() {
        let role = |content: Value| prepared("rbac.authorization.k8s.io", "ClusterRole", content).0;
        let aggregated = json!({ "aggregationRule": { "clusterRoleSelectors": [] } });
        for rules in [json!([]), json!(null)] {
            let mut written = aggregated.clone();
            written["rules"] = rules;
            assert_eq!(role(written), aggregated);
        }
        let meant = json!({ "aggregationRule": {}, "rules": [{ "verbs": ["get"] }] });
        assert_eq!(role(meant.clone()), meant);
        let plain = json!({ "rules": [] });
        assert_eq!(role(plain.clone()), plain);
    }

    #[test]
    fn an_empty_bundle_is_left_to_whoever_fills_it_in() {
        let webhooks = |bundle: Value| json!({ "webhooks": [{ "clientConfig": { "caBundle": bundle, "url": "x" } }] });
        let without = json!({ "webhooks": [{ "clientConfig": { "url": "x" } }] });
        let kind = "MutatingWebhookConfiguration";
        for empty in [json!(""), json!("Cg=="), json!(null)] {
            assert_eq!(prepared("admissionregistration.k8s.io", kind, webhooks(empty)).0, without);
        }
        let meant = webhooks(json!("LS0t"));
        assert_eq!(prepared("admissionregistration.k8s.io", kind, meant.clone()).0, meant);
        let crd = json!({ "spec": { "conversion": { "webhook": { "clientConfig": { "caBundle": "Cg==" } } } } });
        let crd = prepared("apiextensions.k8s.io", "CustomResourceDefinition", crd).0;
        assert_eq!(crd, json!({ "spec": { "conversion": { "webhook": { "clientConfig": {} } } } }));
        let service = prepared("apiregistration.k8s.io", "APIService", json!({ "spec": { "caBundle": "" } })).0;
        assert_eq!(service, json!({ "spec": {} }));
    }

    #[test]
    fn a_number_of_pods_that_is_null_is_none() {
        let (given, _) = prepared("apps", "Deployment", json!({ "spec": { "replicas": null, "paused": null } }));
        assert_eq!(given, json!({ "spec": { "paused": null } }));
    }

    #[test]
    fn lists_of_an_account_without_items_are_left_to_others() {
        let account = |lists: Value| prepared("", "ServiceAccount", lists).0;
        assert_eq!(account(json!({ "imagePullSecrets": [], "secrets": null, "a": [] })), json!({ "a": [] }));
        let named = json!({ "imagePullSecrets": [{ "name": "registry" }] });
        assert_eq!(account(named.clone()), named);
    }

    #[test]
    fn of_an_environment_variable_that_is_there_twice_the_last_counts() {
        let env = |names: &[(&str, &str)]| -> Value {
            names.iter().map(|(name, value)| json!({ "name": name, "value": value })).collect()
        };
        let pod = |env: Value| json!({ "containers": [{ "name": "app", "env": env }] });
        let twice = || pod(env(&[("A", "1"), ("B", "$(A)"), ("A", "2")]));
        let once = || pod(env(&[("A", "2"), ("B", "$(A)")]));
        for (group, kind, twice, once) in [
            (
                "apps",
                "Deployment",
                json!({ "spec": { "template": { "spec": twice() } } }),
                json!({ "spec": { "template": { "spec": once() } } }),
            ),
            (
                "batch",
                "CronJob",
                json!({ "spec": { "jobTemplate": { "spec": { "template": { "spec": twice() } } } } }),
                json!({ "spec": { "jobTemplate": { "spec": { "template": { "spec": once() } } } } }),
            ),
            ("", "Pod", json!({ "spec": twice() }), json!({ "spec": once() })),
        ] {
            let told = vec!["the environment variable A of container app".to_owned()];
            assert_eq!(prepared(group, kind, twice), (once, told), "{kind}");
        }
    }
    #[test]
    fn what_a_list_of_a_pod_has_twice_is_applied_once() {
        let port = |name: &str| json!({ "containerPort": 80, "name": name });
        let deployment = |pod: Value| json!({ "spec": { "template": { "spec": pod } } });
        let twice = json!({
            "containers": [{ "name": "app", "ports": [port("web"), port("web"), port("other")] }],
            "imagePullSecrets": [{ "name": "a" }, { "name": "b" }, { "name": "a" }],
            "hostAliases": [
                { "ip": "10.0.0.1", "hostnames": ["a"] }, { "ip": "10.0.0.2", "hostnames": ["b"] },
                { "ip": "10.0.0.1", "hostnames": ["c"] }, { "ip": "10.0.0.3" }, { "ip": "10.0.0.3", "hostnames": ["d"] },
                { "ip": "10.0.0.3" },
            ],
        });
        let once = json!({
            "containers": [{ "name": "app", "ports": [port("web"), port("other")] }],
            "imagePullSecrets": [{ "name": "a" }, { "name": "b" }],
            "hostAliases": [{ "ip": "10.0.0.1", "hostnames": ["a", "c"] }, { "ip": "10.0.0.2", "hostnames": ["b"] }, { "ip": "10.0.0.3", "hostnames": ["d"] }],
        });
        assert_eq!(prepared("apps", "Deployment", deployment(twice)), (deployment(once), Vec::new()));
    }
}
