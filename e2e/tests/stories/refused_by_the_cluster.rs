//! What the cluster does not allow, or does not bring about: the object, the field and the one to ask are in the message.

use anyhow::{Context as _, Result, ensure};
use e2e::charts::{self, Chart};
use e2e::kwok::{PLAY, play};
use e2e::status;
use e2e::story::{Story, alone, story};
use helm_operator::api::Reason;
use serde_json::{Value, json};

const JOB: &str = r"apiVersion: batch/v1
kind: Job
metadata:
  name: {{ .Release.Name }}-migrate
  annotations:
    helm.sh/hook: pre-install
spec:
  backoffLimit: 0
  template:
    metadata:
      annotations:
        e2e.helm-operator/play: fail
    spec:
      restartPolicy: Never
      containers:
      - name: migrate
        image: migrate:1
";

const PINNED: &str = r"apiVersion: apps/v1
kind: Deployment
metadata:
  name: {{ .Release.Name }}
spec:
  replicas: 0
  selector:
    matchLabels:
      app: {{ .Values.app }}
  template:
    metadata:
      labels:
        app: {{ .Values.app }}
    spec:
      containers:
      - name: main
        image: main:1
";

fn played(play: &str) -> Value {
    json!({ "values": { "podAnnotations": { PLAY: play } }, "install": { "timeout": "5s" } })
}

#[test]
fn what_does_not_become_ready_is_told_with_its_cause() -> Result<()> {
    story("not-ready", async |story| {
        story.push(&charts::web("web", "1.0.0")).await?;
        story.push(&charts::note("hooked", "1.0.0").file("templates/migrate.yaml", JOB)).await?;
        story.open_repository().await?;
        let cases = [
            ("unready", play::NEVER_READY, &["unready"][..]),
            ("pulls", play::IMAGE_PULL, &["pulls", "ImagePullBackOff"]),
            ("crashes", play::CRASH, &["crashes", "CrashLoopBackOff"]),
        ];
        for (name, play, _) in &cases {
            story.release(name, "web", "1.0.0", played(play)).await?;
        }
        let greedy =
            json!({ "values": { "resources": { "requests": { "cpu": "9999" } } }, "install": { "timeout": "5s" } });
        story.release("greedy", "web", "1.0.0", greedy).await?;
        story.release("hooked", "hooked", "1.0.0", json!({})).await?;
        for (name, _, words) in &cases {
            story.refused(name, Reason::NotReady, words).await?;
        }
        story.refused("greedy", Reason::NotReady, &["Insufficient cpu"]).await?;
        story.refused("hooked", Reason::HookFailed, &["hooked-migrate"]).await?;
        Ok(())
    })
}

#[test]
fn a_field_that_cannot_change_is_named() -> Result<()> {
    story("immutable", async |story| {
        story
            .push(&Chart::new("pinned", "1.0.0").file("templates/main.yaml", PINNED).file("values.yaml", "app: a\n"))
            .await?;
        story.open_repository().await?;
        story.release("pinned", "pinned", "1.0.0", json!({})).await?;
        story.ready("pinned").await?;
        story.patch("pinned", json!({ "spec": { "values": { "app": "b" } } })).await?;
        let refused = story.refused("pinned", Reason::ImmutableField, &["pinned", "spec.selector"]).await?;
        status::stalled(&refused, Reason::ImmutableField)?;
        story.patch("pinned", json!({ "spec": { "values": { "app": "a" } } })).await?;
        story.ready("pinned").await?;
        Ok(())
    })
}

#[test]
fn a_field_that_somebody_else_manages_is_named_with_them() -> Result<()> {
    story("conflict", async |story| {
        story.push(&charts::note("memo", "1.0.0")).await?;
        story.open_repository().await?;
        story.release("memo", "memo", "1.0.0", json!({})).await?;
        story.ready("memo").await?;
        let other = json!({
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": { "name": "memo-config", "namespace": story.namespace },
            "data": { "greeting": "from the platform team" },
        });
        take_over(story, &other).await?;
        story.patch("memo", json!({ "spec": { "values": { "greeting": "changed" } } })).await?;
        story.refused("memo", Reason::FieldConflict, &["memo-config", "platform-team", "greeting"]).await?;
        Ok(())
    })
}

async fn take_over(story: &Story<'_>, object: &Value) -> Result<()> {
    use kube::api::{Api, Patch, PatchParams};
    let maps: Api<k8s_openapi::api::core::v1::ConfigMap> = story.objects();
    maps.patch("memo-config", &PatchParams::apply("platform-team").force(), &Patch::Apply(object)).await?;
    Ok(())
}

#[test]
fn a_quota_and_a_policy_are_told_by_name() -> Result<()> {
    story("admission", async |story| {
        story.push(&charts::note("memo", "1.0.0")).await?;
        story.push(&charts::web("web", "1.0.0")).await?;
        story.open_repository().await?;
        let namespace = &story.namespace;
        let quota = json!({
            "apiVersion": "v1",
            "kind": "ResourceQuota",
            "metadata": { "name": "no-services" },
            "spec": { "hard": { "count/services": "0" } },
        });
        let policy = json!({
            "apiVersion": "admissionregistration.k8s.io/v1",
            "kind": "ValidatingAdmissionPolicy",
            "metadata": { "name": format!("polite-{namespace}") },
            "spec": {
                "matchConstraints": { "resourceRules": [{
                    "apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE", "UPDATE"], "resources": ["configmaps"],
                }] },
                "validations": [{
                    "expression": "!has(object.data) || !('greeting' in object.data) || object.data.greeting != 'rude'",
                    "message": "be polite",
                }],
            },
        });
        let binding = json!({
            "apiVersion": "admissionregistration.k8s.io/v1",
            "kind": "ValidatingAdmissionPolicyBinding",
            "metadata": { "name": format!("polite-{namespace}") },
            "spec": {
                "policyName": format!("polite-{namespace}"),
                "validationActions": ["Deny"],
                "matchResources": { "namespaceSelector": { "matchLabels": { "kubernetes.io/metadata.name": namespace } } },
            },
        });
        let all = json!({ "apiVersion": "v1", "kind": "List", "items": [quota, policy, binding] });
        story.apply(&all.to_string()).await?;
        in_force(story).await?;
        story.release("rude", "memo", "1.0.0", json!({ "values": { "greeting": "rude" } })).await?;
        story.release("served", "web", "1.0.0", json!({})).await?;
        story.refused("rude", Reason::AdmissionDenied, &["rude-config", "be polite"]).await?;
        story.refused("served", Reason::QuotaExceeded, &["no-services"]).await?;
        Ok(())
    })
}

/// Both take effect a moment after they are stored.
async fn in_force(story: &Story<'_>) -> Result<()> {
    let dry = ["--namespace", &story.namespace, "--dry-run=server"];
    let map = ["create", "configmap", "probe", "--from-literal=greeting=rude"];
    let service = ["create", "service", "clusterip", "probe", "--tcp=80"];
    story
        .eventually("quota and policy are in force", async || {
            for command in [&map[..], &service[..]] {
                ensure!(story.kubectl.run(&[command, &dry].concat()).await.is_err(), "{command:?} is let through");
            }
            Ok(())
        })
        .await
}

#[test]
fn what_the_operator_may_not_do_is_told_by_verb_resource_and_namespace() -> Result<()> {
    alone(
        "forbidden",
        async |plane, setup| {
            let user = plane.kubeconfig_for("limited", "operators")?;
            let kubectl = e2e::kubectl::Kubectl::new(plane.kubeconfig()).await?;
            kubectl.apply("default", LIMITED).await?;
            Ok(setup.kubeconfig(&user))
        },
        async |story| {
            story.push(&charts::web("web", "1.0.0")).await?;
            story.push(&charts::note("memo", "1.0.0")).await?;
            story.open_repository().await?;
            story.release("memo", "memo", "1.0.0", json!({})).await?;
            story.ready("memo").await?;
            story.release("web", "web", "1.0.0", json!({})).await?;
            story.refused("web", Reason::Forbidden, &["deployments", &story.namespace]).await?;
            Ok(())
        },
    )
}

/// All that the operator needs for itself and for `ConfigMap`s and Services, and nothing for Deployments.
const LIMITED: &str = r#"apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata:
  name: limited
rules:
- apiGroups: ["helm-operator.ketches.cn"]
  resources: ["*"]
  verbs: ["*"]
- apiGroups: [""]
  resources: ["secrets", "configmaps", "services", "events", "namespaces", "pods"]
  verbs: ["*"]
- apiGroups: ["events.k8s.io", "coordination.k8s.io", "discovery.k8s.io"]
  resources: ["*"]
  verbs: ["*"]
- apiGroups: ["apiextensions.k8s.io"]
  resources: ["customresourcedefinitions"]
  verbs: ["get", "list", "watch"]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata:
  name: limited
roleRef:
  apiGroup: rbac.authorization.k8s.io
  kind: ClusterRole
  name: limited
subjects:
- apiGroup: rbac.authorization.k8s.io
  kind: User
  name: limited
"#;

const SECRET: &str = "apiVersion: v1\nkind: Secret\nmetadata:\n  name: {{ .Release.Name }}\nstringData:\n  token: {{ .Values.token | quote }}\n";

#[test]
fn a_policy_that_quotes_a_secret_is_told_without_it() -> Result<()> {
    const TOKEN: &str = "correct-horse-battery";
    story("quoting-policy", async |story| {
        story.push(&Chart::new("token", "1.0.0").file("templates/secret.yaml", SECRET)).await?;
        story.open_repository().await?;
        let name = format!("quoting-{}", story.namespace);
        let policy = json!({
            "apiVersion": "admissionregistration.k8s.io/v1",
            "kind": "ValidatingAdmissionPolicy",
            "metadata": { "name": name },
            "spec": {
                "matchConstraints": { "resourceRules": [{
                    "apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE", "UPDATE"], "resources": ["secrets"],
                }] },
                "validations": [{
                    "expression": "!has(object.data) || !('token' in object.data)",
                    "messageExpression": "'no tokens here, such as ' + string(object.data.token)",
                }],
            },
        });
        let binding = json!({
            "apiVersion": "admissionregistration.k8s.io/v1",
            "kind": "ValidatingAdmissionPolicyBinding",
            "metadata": { "name": name },
            "spec": {
                "policyName": name,
                "validationActions": ["Deny"],
                "matchResources": { "namespaceSelector": { "matchLabels": { "kubernetes.io/metadata.name": story.namespace } } },
            },
        });
        story.apply(&json!({ "apiVersion": "v1", "kind": "List", "items": [policy, binding] }).to_string()).await?;
        let probe = ["create", "secret", "generic", "probe", "--from-literal=token=probing", "--dry-run=server"];
        let said = story
            .eventually("the policy is in force", async || {
                let said = story.kubectl.run(&[&probe[..], &["--namespace", &story.namespace]].concat()).await;
                let error = said.err().context("it is let through")?.to_string();
                ensure!(error.contains("no tokens here"), "{error}");
                Ok(error)
            })
            .await?;
        ensure!(said.contains("cHJvYmluZw"), "the policy quotes what it was shown: {said}");
        story.release("token", "token", "1.0.0", json!({ "values": { "token": TOKEN } })).await?;
        let refused =
            story.refused("token", Reason::AdmissionDenied, &["no tokens here, such as (secret left out)"]).await?;
        let status = serde_json::to_string(&refused.status)?;
        // As the policy was shown it.
        ensure!(!status.contains("Y29ycmVjdC1ob3JzZS1iYXR0ZXJ5") && !status.contains(TOKEN), "{status}");
        Ok(())
    })
}
