//! What the API server itself refuses, with a field and a sentence, and what it takes.

use anyhow::{Context, Result, ensure};
use e2e::apiserver::ControlPlane;
use e2e::eventually::eventually;
use e2e::kubectl::Kubectl;
use e2e::story::{SOON, block_on, install_definitions};
use helm_operator::api::{DEFAULTS_NAME, HelmRelease, HelmReleaseDefaults, HelmRepository};
use kube::api::{Api, ApiResource, DynamicObject, PostParams};
use serde_json::{Value, json};

/// What is declared over the least that is needed, and the words of its refusal; none where it is taken.
type Case = (Value, &'static [&'static str]);

const BOUNDS: &str = "a duration from 1s to 8760h (a year) is needed";

fn releases() -> Vec<Case> {
    [basics(), sources(), conditions()].concat()
}

fn basics() -> Vec<Case> {
    vec![
        (json!({}), &[]),
        (json!({ "timeout": "0s" }), &["spec.timeout", BOUNDS]),
        (json!({ "timeout": "999ms" }), &["spec.timeout", BOUNDS]),
        (json!({ "timeout": "3000000000000000h" }), &["spec.timeout", BOUNDS]),
        (json!({ "timeout": "8761h" }), &["spec.timeout", BOUNDS]),
        (json!({ "timeout": "8760h1ms" }), &["spec.timeout", BOUNDS]),
        (
            json!({ "timeout": "99999h99999h99999h99999h99999h99999h99999h99999h99999h99999h" }),
            &["spec.timeout", BOUNDS],
        ),
        (json!({ "timeout": format!("{}s", "0".repeat(64)) }), &["spec.timeout", "64"]),
        (json!({ "interval": "1ms" }), &["spec.interval", BOUNDS]),
        (json!({ "install": { "timeout": "0s" } }), &["spec.install.timeout", BOUNDS]),
        (json!({ "upgrade": { "timeout": "0h0m" } }), &["spec.upgrade.timeout", BOUNDS]),
        (json!({ "uninstall": { "timeout": "0s" } }), &["spec.uninstall.timeout", BOUNDS]),
        (json!({ "timeout": "soon" }), &["spec.timeout", "should match"]),
        (json!({ "timeout": "1h30m", "interval": "1s", "install": { "timeout": "1.5h" } }), &[]),
        (json!({ "timeout": "86400000ms", "interval": "2.5m" }), &[]),
        (json!({ "timeout": "1000ms", "interval": "8760h", "upgrade": { "timeout": "1h1h90s" } }), &[]),
        (json!({ "timeout": null, "interval": null, "maxHistory": null, "install": null }), &[]),
        (
            json!({ "install": { "crds": null }, "upgrade": { "crds": null }, "uninstall": { "deletionPolicy": null } }),
            &[],
        ),
        (json!({ "serviceAccountName": "A B" }), &["spec.serviceAccountName", "should match"]),
        (json!({ "upgrade": { "remediation": { "strategy": "uninstall" } } }), &["remediation.strategy", "rollback"]),
        (
            json!({ "onImmutable": [{ "kind": "Job", "policy": "Sometimes" }] }),
            &["spec.onImmutable[0].policy", "Recreate"],
        ),
        (json!({ "test": { "enable": true, "filters": [{ "name": "" }] } }), &["spec.test.filters[0].name"]),
        (json!({ "upgrade": { "maxHistory": -5 } }), &["spec.upgrade.maxHistory", "greater than or equal to 0"]),
        (json!({ "upgrade": { "maxHistory": 0 }, "maxHistory": 0 }), &[]),
        (json!({ "rollback": { "toRevision": -1 } }), &["spec.rollback.toRevision", "greater than or equal to 0"]),
        // Fields of the Go operator.
        (
            json!({
                "install": { "replace": true }, "upgrade": { "resetValues": false, "reuseValues": false, "recreate": false },
                "rollback": { "toRevision": 0, "cleanupOnFail": true },
            }),
            &[],
        ),
        (json!({ "maxHistory": -1 }), &["spec.maxHistory", "greater than or equal to 0"]),
        (json!({ "maxHistory": 4_294_967_296_u64 }), &["spec.maxHistory"]),
    ]
}

fn sources() -> Vec<Case> {
    vec![
        (json!({ "valuesFrom": [{ "kind": "Secret", "name": "login" }], "dependsOn": [{ "name": "db" }] }), &[]),
        (json!({ "valuesFrom": [{ "kind": "File", "name": "login" }] }), &["spec.valuesFrom[0].kind", "ConfigMap"]),
        (
            json!({ "valuesFrom": [{ "kind": "Secret", "name": "?watch=1" }] }),
            &["spec.valuesFrom[0].name", "should match"],
        ),
        (json!({ "valuesFrom": [{ "kind": "OCIArtifact", "url": "oci://r.example/v:prod", "name": null }] }), &[]),
        (
            json!({ "valuesFrom": [{ "kind": "OCIArtifact", "url": format!("oci://r.example:5000/a/v@sha256:{}", "0".repeat(64)) }] }),
            &[],
        ),
        (
            json!({ "valuesFrom": [{ "kind": "OCIArtifact", "url": "oci://r.example:5000/v" }] }),
            &["spec.valuesFrom[0].url", "should match"],
        ),
        (
            json!({ "valuesFrom": [{ "kind": "OCIArtifact", "name": "v" }] }),
            &["spec.valuesFrom[0]", "an OCIArtifact needs url and has no name"],
        ),
        (
            json!({ "valuesFrom": [{ "kind": "Secret", "name": "v", "url": "oci://r.example/v:prod" }] }),
            &["spec.valuesFrom[0]", "a ConfigMap or a Secret needs name and has no url"],
        ),
        (json!({ "kubeConfig": { "secretRef": { "name": "prod", "key": "value.yaml" } } }), &[]),
        (json!({ "storageNamespace": "records" }), &[]),
        (json!({ "storageNamespace": "" }), &["spec.storageNamespace", "should"]),
        (json!({ "storageNamespace": "a.b" }), &["spec.storageNamespace", "should match"]),
        (json!({ "kubeConfig": { "configMapRef": { "name": "prod" } } }), &[]),
        (json!({ "kubeConfig": { "secretRef": null, "configMapRef": { "name": "prod" } } }), &[]),
        (json!({ "kubeConfig": {} }), &["spec.kubeConfig", "exactly one of secretRef and configMapRef is needed"]),
        (
            json!({ "kubeConfig": { "secretRef": { "name": "prod" }, "configMapRef": { "name": "prod" } } }),
            &["spec.kubeConfig", "exactly one of secretRef and configMapRef is needed"],
        ),
        (json!({ "kubeConfig": { "configMapRef": {} } }), &["spec.kubeConfig.configMapRef.name", "Required"]),
        (
            json!({ "kubeConfig": { "configMapRef": { "name": "a/b" } } }),
            &["spec.kubeConfig.configMapRef.name", "should match"],
        ),
        (
            json!({ "kubeConfig": { "secretRef": { "name": "a/b" } } }),
            &["spec.kubeConfig.secretRef.name", "should match"],
        ),
        (
            json!({ "kubeConfig": { "secretRef": { "name": "a", "key": "b/c" } } }),
            &["spec.kubeConfig.secretRef.key", "should match"],
        ),
        (
            json!({ "chart": { "repository": null } }),
            &["spec.chart", "one of ociRepository, repositoryURL or repository is needed"],
        ),
    ]
}

fn conditions() -> Vec<Case> {
    vec![
        (json!({ "dependsOn": [{ "name": "a/b" }] }), &["spec.dependsOn[0].name", "should match"]),
        (json!({ "dependsOn": vec![json!({ "name": "db" }); 65] }), &["spec.dependsOn", "64"]),
        (
            json!({ "dependsOn": [{ "name": "db", "kind": "Cluster" }] }),
            &["spec.dependsOn[0]", "a kind other than HelmRelease needs its apiVersion"],
        ),
        (
            json!({ "dependsOn": [{ "name": "db", "apiVersion": "v1" }] }),
            &["spec.dependsOn[0]", "apiVersion needs a kind"],
        ),
        (
            json!({ "dependsOn": [{ "name": "db", "readyOnlyExpr": true }] }),
            &["spec.dependsOn[0]", "readyOnlyExpr needs a readyExpr"],
        ),
        (
            json!({ "dependsOn": [
                { "name": "db", "kind": "HelmRelease", "readyExpr": "true", "readyOnlyExpr": true },
                { "name": "db", "apiVersion": "postgresql.cnpg.io/v1", "kind": "Cluster", "namespace": null },
            ] }),
            &[],
        ),
        (
            json!({ "healthCheckExprs": [{ "apiVersion": "v1", "current": "x".repeat(2049) }] }),
            &["spec.healthCheckExprs[0].current", "2048"],
        ),
        (
            json!({ "healthCheckExprs": [{ "apiVersion": "a/b/v1", "current": "true" }] }),
            &["apiVersion", "should match"],
        ),
        (json!({ "healthCheckExprs": [{ "apiVersion": "v1" }] }), &["spec.healthCheckExprs[0].current"]),
        (json!({ "waitStrategy": { "name": "sometimes" } }), &["spec.waitStrategy.name", "hookOnly"]),
        (json!({ "waitStrategy": { "name": "watcher" }, "healthCheckExprs": [] }), &[]),
        (
            json!({ "plan": { "mode": "Manual", "approved": format!("sha256:{}", "0".repeat(64)), "expireAfter": "1h" } }),
            &[],
        ),
        (json!({ "plan": { "mode": null, "approved": null } }), &[]),
        (json!({ "plan": { "mode": "Sometimes" } }), &["spec.plan.mode", "Manual"]),
        (json!({ "plan": { "approved": "yes" } }), &["spec.plan.approved", "should match"]),
        (json!({ "plan": { "expireAfter": "1ms" } }), &["spec.plan.expireAfter", BOUNDS]),
    ]
}

fn repositories() -> Vec<Case> {
    vec![
        (json!({}), &[]),
        (json!({ "insecure": true }), &[]),
        (json!({ "url": "http://example.com" }), &[]),
        (json!({ "url": "http://example.com", "insecure": false }), &[]),
        (json!({ "url": "http://example.com", "insecure": true }), &["spec.insecure", "it needs an oci:// url"]),
        (json!({ "url": "ftp://example.com" }), &["spec.url", "should match"]),
        (json!({ "interval": "1ms" }), &["spec.interval", BOUNDS]),
        (json!({ "timeout": "0s" }), &["spec.timeout", BOUNDS]),
        (json!({ "interval": "30m0s", "timeout": "5m" }), &[]),
    ]
}

fn defaults() -> Vec<Case> {
    vec![
        (json!({}), &[]),
        (json!({ "timeout": null, "install": null, "driftDetection": { "mode": null } }), &[]),
        (json!({ "install": { "timeout": "0s" } }), &["spec.install.timeout", BOUNDS]),
        (json!({ "maxHistory": -1 }), &["spec.maxHistory", "greater than or equal to 0"]),
        (json!({ "upgrade": { "crds": "Sometimes" } }), &["spec.upgrade.crds", "CreateReplace"]),
        (
            json!({ "postRenderers": vec![json!({ "kustomize": { "images": [{ "name": "a" }] } }); 17] }),
            &["spec.postRenderers", "16"],
        ),
    ]
}

/// What the API server made of `object`, which it is not to store.
async fn declared(api: &Api<DynamicObject>, kind: &str, spec: Value) -> Result<DynamicObject, kube::Error> {
    let object = json!({
        "apiVersion": "helm-operator.ketches.cn/v1alpha1",
        "kind": kind,
        "metadata": { "name": DEFAULTS_NAME },
        "spec": spec,
    });
    let object = serde_json::from_value(object).map_err(kube::Error::SerdeError)?;
    api.create(&PostParams { dry_run: true, ..PostParams::default() }, &object).await
}

fn merged(mut base: Value, over: Value) -> Value {
    match (&mut base, over) {
        (Value::Object(base), Value::Object(over)) => {
            for (key, value) in over {
                let merged = base.remove(&key).map_or_else(|| value.clone(), |old| merged(old, value.clone()));
                base.insert(key, merged);
            }
        }
        (base, over) => *base = over,
    }
    base
}

#[test]
fn what_has_no_sense_is_refused_with_its_field_and_what_is_needed() -> Result<()> {
    block_on(async {
        let plane = ControlPlane::api_only().await?;
        let client = plane.client().await?;
        install_definitions(client.clone()).await?;
        let chart = json!({ "chart": { "name": "web", "repository": { "name": "charts" } } });
        let url = json!({ "url": "oci://registry.example.com/charts" });
        let (release, repository) = (ApiResource::erase::<HelmRelease>(&()), ApiResource::erase::<HelmRepository>(&()));
        let given = ApiResource::erase::<HelmReleaseDefaults>(&());
        let all = [(release, chart, releases()), (repository, url, repositories()), (given, json!({}), defaults())];
        for (resource, base, cases) in all {
            let api = Api::<DynamicObject>::default_namespaced_with(client.clone(), &resource);
            eventually(format!("{} is served", resource.kind), SOON, async || {
                declared(&api, &resource.kind, base.clone()).await.context("not yet").map(drop)
            })
            .await?;
            for (over, words) in cases {
                let spec = merged(base.clone(), over.clone());
                match (declared(&api, &resource.kind, spec).await, words) {
                    (Ok(object), []) => {
                        let status = object.data["status"].clone();
                        let is_new = status["observedGeneration"] == -1 || resource.kind == "HelmReleaseDefaults";
                        ensure!(is_new, "{over}: the status of a new object is {status}");
                    }
                    (Ok(_), words) => anyhow::bail!("{over} is taken; {words:?} was expected"),
                    (Err(kube::Error::Api(refusal)), [_, ..]) => {
                        let told = words.iter().all(|word| refusal.message.contains(word));
                        ensure!(told, "{over}: {words:?} is not in: {}", refusal.message);
                    }
                    (Err(error), _) => anyhow::bail!("{over}: {error:#}"),
                }
            }
        }
        Ok(())
    })
}

#[test]
fn kubectl_takes_the_definitions_without_a_warning_and_explains_the_defaults() -> Result<()> {
    block_on(async {
        let plane = ControlPlane::api_only().await?;
        let kubectl = Kubectl::new(plane.kubeconfig()).await?;
        let definitions = crate::own_chart::workspace()?.join("deploy/crds.yaml").display().to_string();
        for arguments in
            [["apply", "--server-side", "-f", &definitions], ["apply", "--dry-run=server", "-f", &definitions]]
        {
            let warnings = kubectl.warnings(&arguments).await?;
            let warnings: Vec<&str> =
                warnings.lines().filter(|line| !line.contains("last-applied-configuration")).collect();
            ensure!(warnings.is_empty(), "kubectl {arguments:?} warns: {warnings:?}");
        }
        for (field, words) in [
            ("helmrelease.spec.install.wait", "Default: true."),
            ("helmrelease.spec.upgrade.waitForJobs", "Default: true."),
            ("helmrelease.spec.upgrade.cleanupOnFail", "Default: false"),
            ("helmrelease.spec.interval", "Default: `30m`."),
            ("helmrelease.spec.values", "--server-side"),
        ] {
            let explained = crate::own_chart::explained(&kubectl, field).await?;
            ensure!(explained.contains(words), "kubectl explain {field} says {explained:?}");
        }
        Ok(())
    })
}
