//! The API server quotes what it refuses: what we repeat of that helps, and holds no value.

use anyhow::{Context, Result, bail, ensure};
use helm_operator::cluster::{ExistingCrds, Object};
use kube::api::{Api, DynamicObject, Patch, PatchParams};
use kube::core::ApiResource;
use serde_json::{Value, json};

use crate::{Ground, config_map, deployment, job};

/// A password, as a text and as a number; both end up where they do not belong.
const PASSWORD: &str = "Hunter2x!";
const PIN: i64 = 31_337_424_242;

/// What is applied before, what is then refused, and what our words for it must hold.
struct Case {
    before: Option<Value>,
    refused: Value,
    words: &'static [&'static str],
}

fn new(refused: Value, words: &'static [&'static str]) -> Case {
    Case { before: None, refused, words }
}

fn changed(before: Value, path: &str, value: Value, words: &'static [&'static str]) -> Case {
    Case { refused: with(before.clone(), path, value), before: Some(before), words }
}

/// `object` with `value` at a JSON pointer.
fn with(mut object: Value, path: &str, value: Value) -> Value {
    let mut slot = &mut object;
    for key in path.split('/') {
        slot = match key.parse::<usize>() {
            Ok(index) => &mut slot[index],
            Err(_) => &mut slot[key],
        };
    }
    *slot = value;
    object
}

fn web(path: &str, value: Value) -> Value {
    with(deployment("web", ""), path, value)
}

const CONTAINER: &str = "spec/template/spec/containers/0";

fn in_container(path: &str, value: Value) -> Value {
    web(&format!("{CONTAINER}/{path}"), value)
}

fn secret(path: &str, value: Value) -> Value {
    with(json!({ "apiVersion": "v1", "kind": "Secret", "metadata": { "name": "s" } }), path, value)
}

fn service(path: &str, value: Value) -> Value {
    let service = json!({
        "apiVersion": "v1", "kind": "Service", "metadata": { "name": "web" }, "spec": { "ports": [{ "port": 80 }] },
    });
    with(service, path, value)
}

fn lease(renewed: &str) -> Value {
    json!({
        "apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": { "name": "lease" },
        "spec": { "renewTime": renewed },
    })
}

fn gadget(spec: Value) -> Value {
    let gadget = json!({ "apiVersion": "quoting.example.com/v1", "kind": "Gadget", "metadata": { "name": "g" } });
    with(gadget, "spec", spec)
}

#[expect(clippy::needless_pass_by_value, reason = "JSON literals read better unborrowed")]
fn env(value: Value) -> Value {
    json!([{ "name": "DB_PASSWORD", "value": value }])
}

/// What the server cannot even read as the kind.
fn wrong_types() -> Vec<Case> {
    let maps = |data| config_map("settings", data);
    let number = &["expected string, got a number"];
    vec![
        new(
            in_container("env", env(PIN.into())),
            &["env[name=\"DB_PASSWORD\"].value", "expected string, got a number"],
        ),
        new(in_container("args", json!([PIN])), &["args", "expected string"]),
        new(maps(json!({ "pin": PIN })), number),
        new(maps(json!({ "password": [PASSWORD] })), &["data.password", "expected string, got a list"]),
        new(maps(PASSWORD.into()), &["data: expected map, got something else"]),
        new(web("spec/replicas", PASSWORD.into()), &["spec.replicas"]),
        new(lease(PASSWORD), &["parsing time"]),
        new(in_container("env", json!([{ "value": PASSWORD }])), &["env", "name"]),
        new(in_container("secretValue", PASSWORD.into()), &["secretValue", "field not declared in schema"]),
        new(
            in_container("resources", json!({ "limits": { "cpu": PASSWORD } })),
            &["quantities must match", "[eEinumkKMGTP]*"],
        ),
        new(secret("data", json!({ "password": PASSWORD })), &["illegal base64 data"]),
        new(secret("data", json!({ "password": [PASSWORD] })), &["expected string"]),
        new(secret("data", PASSWORD.into()), &["expected map"]),
        new(secret("stringData", json!({ "pin": PIN })), number),
    ]
}

/// What it reads, and finds invalid.
fn invalid_values() -> Vec<Case> {
    let cron = json!({
        "apiVersion": "batch/v1", "kind": "CronJob", "metadata": { "name": "c" },
        "spec": { "schedule": PASSWORD, "jobTemplate": { "spec": job("j", "")["spec"] } },
    });
    let ingress = json!({
        "apiVersion": "networking.k8s.io/v1", "kind": "Ingress", "metadata": { "name": "i" },
        "spec": { "defaultBackend": { "service": { "name": "web", "port": { "number": 80 } } },
                  "rules": [{ "host": PASSWORD }] },
    });
    let policy = json!({
        "apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy", "metadata": { "name": "n" },
        "spec": { "podSelector": {}, "ingress": [{ "from": [{ "ipBlock": { "cidr": PASSWORD } }] }] },
    });
    let two_errors =
        with(web("metadata/labels", json!({ "chart": PASSWORD })), "spec/template/spec/restartPolicy", PASSWORD.into());
    let mount = json!([{ "name": "data", "mountPath": "/data" }]);
    vec![
        new(web("metadata/labels", json!({ "chart": PASSWORD })), &["metadata.labels", "a valid label must"]),
        new(web("metadata/finalizers", json!([PASSWORD])), &["metadata.finalizers"]),
        new(in_container("name", "NOT_VALID".into()), &["containers[0].name", "\"NOT_VALID\"", "RFC 1123"]),
        new(
            in_container("imagePullPolicy", PASSWORD.into()),
            &["imagePullPolicy: Unsupported value", "\"Always\", \"IfNotPresent\", \"Never\""],
        ),
        new(in_container("volumeMounts", mount), &["volumeMounts[0].name: Not found: \"data\""]),
        new(
            in_container("env", json!([{ "name": "A", "valueFrom": { "fieldRef": { "fieldPath": PASSWORD } } }])),
            &["env[0].valueFrom.fieldRef.fieldPath"],
        ),
        new(two_errors, &["metadata.labels", "restartPolicy", "supported values: \"Always\""]),
        new(service("spec/type", PASSWORD.into()), &["spec.type: Unsupported value", "\"ClusterIP\""]),
        new(
            service("spec/ports/0/port", 99_999.into()),
            &["spec.ports[0].port: Invalid value: 99999: must be between 1 and 65535"],
        ),
        new(cron, &["spec.schedule: Invalid value"]),
        new(ingress, &["spec.rules[0].host: Invalid value", "RFC 1123 subdomain"]),
        new(policy, &["cidr: Invalid value"]),
        new(gadget(json!({ "password": "Hunter2x" })), &["spec.password", "should match '^[a-z]{3,}$'"]),
        new(gadget(json!({ "size": "Hunter2x!" })), &["spec.size", "expected numeric"]),
        new(
            gadget(json!({ "mode": "Hunter2x!" })),
            &["spec.mode: Unsupported value", "supported values: \"fast\", \"slow\""],
        ),
        new(gadget(json!({ "pin": PIN })), &["spec.pin", "less than or equal to 9999"]),
        new(gadget(json!({ "size": 1, "least": 2 })), &["size must not be less than least"]),
    ]
}

/// What may not change.
fn immutable_fields() -> Vec<Case> {
    let with_env = |object: Value, path: &str| with(object, path, env(PASSWORD.into()));
    let job = with_env(job("migrate", ""), &format!("{CONTAINER}/env"));
    let pod = json!({
        "apiVersion": "v1", "kind": "Pod", "metadata": { "name": "p" },
        "spec": { "containers": [{ "name": "main", "image": "web:1", "env": env(PASSWORD.into()) }] },
    });
    let map = with(config_map("fixed", json!({ "password": PASSWORD })), "immutable", true.into());
    let role = |name: &str| json!({ "apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": name });
    let binding = json!({
        "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding", "metadata": { "name": "b" }, "roleRef": role("one"),
    });
    let claim = json!({
        "apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": { "name": "data" },
        "spec": { "accessModes": ["ReadWriteOnce"], "resources": { "requests": { "storage": "1Gi" } } },
    });
    vec![
        changed(job, "spec/template/spec/containers/0/image", "job:2".into(), &["spec.template: field is immutable"]),
        changed(
            pod,
            "spec/containers/0/env/0/value",
            "other".into(),
            &["cannot be changed in place: spec: ", "`spec.containers[*].image`"],
        ),
        changed(
            web("spec/replicas", 0.into()),
            "spec/selector/matchLabels/more",
            "Hunter2x".into(),
            &["spec.selector"],
        ),
        changed(map, "data/password", "other".into(), &["data: field is immutable"]),
        changed(binding, "roleRef", role("two"), &["roleRef: cannot change roleRef"]),
        changed(claim, "spec/accessModes", json!(["ReadWriteMany"]), &["spec is immutable", "resources.requests"]),
        changed(
            secret("stringData", json!({ "password": PASSWORD })),
            "type",
            "example.com/other".into(),
            &["type: field is immutable"],
        ),
        changed(
            service("spec/type", "ClusterIP".into()),
            "spec/clusterIP",
            "10.0.7.77".into(),
            &["in place: spec.clusterIPs[0]: may not change once set"],
        ),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn no_value_is_repeated_of_what_the_server_refuses() -> Result<()> {
    let ground = Ground::new("quoting").await?;
    define_gadget(&ground).await?;
    let (mut quoted, mut offences) = (0, Vec::new());
    for case in [wrong_types(), invalid_values(), immutable_fields()].into_iter().flatten() {
        if let Some(before) = case.before {
            let before = ground.objects(&[before]).await?;
            ground.cluster.apply(&before, &ground.apply_options("shop")).await?;
        }
        let objects = ground.objects(std::slice::from_ref(&case.refused)).await?;
        let theirs = match servers_words(&ground, &objects[0]).await {
            Ok(words) => words,
            Err(error) => {
                offences.push(error.to_string());
                continue;
            }
        };
        let Err(error) = ground.cluster.apply(&objects, &ground.apply_options("shop")).await else {
            bail!("it was applied: {}", case.refused)
        };
        let ours = error.to_string();
        println!("{theirs:?}\n    {ours}");
        quoted += usize::from(holds_value(&theirs));
        if holds_value(&format!("{ours} {error:?}")) || ours.contains('\n') {
            offences.push(format!("{ours}\n    was made of {theirs}"));
        }
        for word in case.words.iter().filter(|word| !ours.contains(**word)) {
            offences.push(format!("{word:?} is missing in {ours}\n    which was made of {theirs:?}"));
        }
    }
    ensure!(offences.is_empty(), "{}", offences.join("\n"));
    ensure!(quoted > 20, "the server quotes less than it did: {quoted}");
    Ok(())
}

fn holds_value(text: &str) -> bool {
    text.to_lowercase().contains("hunter2x") || text.contains(&PIN.to_string())
}

/// What the server itself says to the same apply.
async fn servers_words(ground: &Ground, object: &Object) -> Result<String> {
    let resource = object.resource();
    let resource = ApiResource {
        group: resource.group.clone(),
        version: resource.version.clone(),
        api_version: resource.api_version(),
        kind: resource.kind.clone(),
        plural: resource.plural.clone(),
    };
    let api: Api<DynamicObject> = Api::namespaced_with(ground.client.clone(), &ground.namespace, &resource);
    let params = PatchParams::apply("helm").validation_strict();
    match api.patch(&object.reference().name, &params, &Patch::Apply(object.content())).await {
        Err(kube::Error::Api(status)) => Ok(status.message.clone()),
        Err(error) => Err(error).context("no answer"),
        Ok(_) => bail!("{} was applied", object.reference()),
    }
}

async fn define_gadget(ground: &Ground) -> Result<()> {
    let crd = json!({
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": { "name": "gadgets.quoting.example.com" },
        "spec": {
            "group": "quoting.example.com", "scope": "Namespaced",
            "names": { "kind": "Gadget", "plural": "gadgets", "singular": "gadget" },
            "versions": [{ "name": "v1", "served": true, "storage": true, "schema": { "openAPIV3Schema": {
                "type": "object",
                "properties": { "spec": {
                    "type": "object",
                    "properties": {
                        "password": { "type": "string", "pattern": "^[a-z]{3,}$" },
                        "size": { "type": "integer" },
                        "least": { "type": "integer" },
                        "pin": { "type": "integer", "maximum": 9999 },
                        "mode": { "type": "string", "enum": ["fast", "slow"] },
                    },
                    "x-kubernetes-validations": [{
                        "rule": "!has(self.size) || !has(self.least) || self.size >= self.least",
                        "message": "size must not be less than least",
                    }],
                } },
            } } }],
        },
    })
    .to_string();
    let source = helm_operator::cluster::Source { origin: "crds/gadget.yaml", text: &crd };
    ground.cluster.install_crds(&[source], ExistingCrds::Keep, crate::LONG, None).await?;
    Ok(())
}
