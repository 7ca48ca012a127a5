//! What sequences edit: the fields of a `HelmRelease` with three values each, and the chart that shows them.

use anyhow::Result;
use k8s_openapi::api::core::v1::ConfigMap;
use serde_json::{Value, json};

use crate::charts::Chart;

/// The Secrets with a kubeconfig of the other cluster.
pub(super) const KUBECONFIGS: [&str; 2] = ["prod", "prod-too"];

/// A field of the spec by its path, and three values for it; `T` in a text is the token.
///
/// Left out is what makes the way to an end part of it, on purpose (`upgrade.reuseValues`, `uninstall.keepHistory`,
/// `uninstall.deletionPolicy`, a plan that waits for approval).
pub(super) fn fields() -> Vec<(&'static str, [Value; 3])> {
    let mut fields = vec![
        ("chart.version", [json!("1.0.0"), json!("1.1.0"), json!("^1.1.0")]),
        ("chart.valuesFiles", [Value::Null, json!(["more.yaml"]), json!(["values.yaml", "more.yaml"])]),
        (
            "values",
            [
                json!({ "greeting": "hello" }),
                json!({ "greeting": "hi", "extra": true }),
                json!("greeting: hey\nhook: true\n"),
            ],
        ),
        ("release.name", [Value::Null, json!("T-two"), json!("T-three")]),
        ("release.namespace", [Value::Null, json!("T-b"), json!("T-c")]),
        ("release.createNamespace", [Value::Null, json!(true), json!(false)]),
        ("storageNamespace", [Value::Null, json!("T-r"), json!("T-q")]),
        ("kubeConfig", [Value::Null, kubeconfig(KUBECONFIGS[0]), kubeconfig(KUBECONFIGS[1])]),
        ("interval", [json!("10m"), json!("30m"), json!("1h")]),
        ("timeout", [Value::Null, json!("1m"), json!("5m")]),
        ("suspend", [Value::Null, json!(false), json!(true)]),
        ("maxHistory", [Value::Null, json!(1), json!(3)]),
        ("serviceAccountName", [Value::Null, json!("default"), Value::Null]),
    ];
    fields.extend(sources());
    fields.extend(actions());
    fields.extend(policies());
    fields
}

fn kubeconfig(secret: &str) -> Value {
    json!({ "secretRef": { "name": secret } })
}

fn sources() -> Vec<(&'static str, [Value; 3])> {
    let map = |name: &str, more: Value| {
        let mut source = json!({ "kind": "ConfigMap", "name": name });
        source
            .as_object_mut()
            .into_iter()
            .for_each(|source| source.extend(more.as_object().cloned().unwrap_or_default()));
        json!([source])
    };
    let patch = "kind: ConfigMap\nmetadata:\n  name: any\ndata:\n  patched: 'yes'\n";
    let replace = r#"[{"op": "add", "path": "/metadata/labels", "value": {"patched": "too"}}]"#;
    let kustomize =
        |patch: &str| json!([{ "kustomize": { "patches": [{ "patch": patch, "target": { "kind": "ConfigMap" } }] } }]);
    vec![
        (
            "valuesFrom",
            [
                Value::Null,
                map("settings", json!({})),
                map("settings", json!({ "valuesKey": "word", "targetPath": "greeting", "literal": true })),
            ],
        ),
        ("postRenderers", [Value::Null, kustomize(patch), kustomize(replace)]),
        ("postRenderStrategy", [Value::Null, json!("nohooks"), json!("separate")]),
        (
            "commonMetadata",
            [Value::Null, json!({ "labels": { "team": "a" } }), json!({ "annotations": { "team": "b" } })],
        ),
    ]
}

fn actions() -> Vec<(&'static str, [Value; 3])> {
    let retry = json!({ "name": "RetryOnFailure", "retryInterval": "1s" });
    vec![
        (
            "install",
            [
                Value::Null,
                json!({ "wait": false, "strategy": retry, "takeOwnership": true }),
                json!({ "disableHooks": true, "timeout": "2m", "remediation": { "retries": 3 } }),
            ],
        ),
        (
            "upgrade",
            [
                Value::Null,
                json!({ "force": true, "wait": false, "strategy": retry, "recreate": true }),
                json!({ "cleanupOnFail": true, "remediation": { "retries": 9 }, "progressDeadline": "1m", "crds": "Create" }),
            ],
        ),
        ("uninstall", [Value::Null, json!({ "deletionPropagation": "foreground" }), json!({ "disableHooks": true })]),
        ("rollback", [Value::Null, json!({ "enabled": true }), json!({ "enabled": true, "cleanupOnFail": true })]),
        (
            "test",
            [
                Value::Null,
                json!({ "enable": true }),
                json!({ "enable": true, "filters": [{ "name": "no-such", "exclude": true }] }),
            ],
        ),
    ]
}

fn policies() -> Vec<(&'static str, [Value; 3])> {
    vec![
        ("plan", [Value::Null, json!({ "mode": "Auto" }), json!({ "mode": "Auto", "expireAfter": "1h" })]),
        ("waitStrategy", [Value::Null, json!({ "name": "legacy" }), json!({ "name": "hookOnly" })]),
        (
            "healthCheckExprs",
            [
                Value::Null,
                json!([{ "apiVersion": "v1", "kind": "ConfigMap", "current": "size(data) > 0" }]),
                json!([{ "apiVersion": "v1", "kind": "Service", "current": "true", "failed": "has(status.failed)" }]),
            ],
        ),
        (
            "dependsOn",
            [
                Value::Null,
                json!([{ "apiVersion": "v1", "kind": "ConfigMap", "name": "settings" }]),
                json!([{ "apiVersion": "v1", "kind": "ConfigMap", "name": "settings", "readyExpr": "has(dep.data.word)" }]),
            ],
        ),
        ("adopt", [Value::Null, json!(true), json!(false)]),
        ("onForeignChange", [Value::Null, json!("Hold"), json!("Revert")]),
        ("onImmutable", [Value::Null, json!([{ "kind": "Job", "policy": "Recreate" }]), json!([])]),
        (
            "driftDetection",
            [
                Value::Null,
                json!({ "mode": "enabled", "ignore": [{ "paths": ["/data/none"] }] }),
                json!({ "mode": "disabled" }),
            ],
        ),
        (
            "conflicts",
            [
                Value::Null,
                json!([{ "paths": [""], "policy": "Force" }]),
                json!([{ "paths": ["/data/none"], "policy": "Yield" }]),
            ],
        ),
    ]
}

/// What `valuesFrom` reads, and `dependsOn` asks of the release's cluster.
pub(super) fn settings() -> Result<ConfigMap> {
    let data = json!({ "values.yaml": "greeting: from afar\nextra: true\n", "word": "one word" });
    Ok(serde_json::from_value(json!({ "metadata": { "name": "settings" }, "data": data }))?)
}

/// A map that is always there, one that each version has alone, one that a value brings, a Service, and where a value says so a
/// hook and a test.
pub(super) fn chart(version: &str) -> Chart {
    let map = |name: &str| {
        format!(
            "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: {{{{ .Release.Name }}}}-{name}\ndata:\n  version: {{{{ .Chart.Version | quote }}}}\n  greeting: {{{{ .Values.greeting | quote }}}}\n"
        )
    };
    let service = "apiVersion: v1\nkind: Service\nmetadata:\n  name: {{ .Release.Name }}\nspec:\n  clusterIP: None\n  ports: [{ port: 80 }]\n";
    let job = |name: &str, events: &str| {
        format!(
            "{{{{- if .Values.hook }}}}\napiVersion: batch/v1\nkind: Job\nmetadata:\n  name: {{{{ .Release.Name }}}}-{name}\n  annotations:\n    \
             helm.sh/hook: {events}\n    helm.sh/hook-delete-policy: before-hook-creation,hook-succeeded\nspec:\n  template:\n    spec:\n      \
             restartPolicy: Never\n      containers: [{{ name: main, image: \"main:1\" }}]\n{{{{- end }}}}\n"
        )
    };
    Chart::new("moving", version)
        .file("values.yaml", "greeting: hello\nextra: false\nhook: false\n")
        .file("more.yaml", "greeting: more\n")
        .file("templates/a.yaml", map("a"))
        .file("templates/own.yaml", map(&version.replace('.', "-")))
        .file("templates/extra.yaml", format!("{{{{- if .Values.extra }}}}\n{}{{{{- end }}}}\n", map("extra")))
        .file("templates/service.yaml", service)
        .file("templates/hook.yaml", job("hook", "post-install,pre-upgrade,pre-delete"))
        .file("templates/test.yaml", job("test", "test"))
}
