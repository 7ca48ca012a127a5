//! The rights that the operator's chart gives the operator itself: every one is used, and none is missing. The API
//! server's audit log says so.

use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use e2e::apiserver::{ControlPlane, ISSUER};
use e2e::charts;
use e2e::eventually::eventually;
use e2e::helm::Helm;
use e2e::kwok::{PLAY, play};
use e2e::operator::Setup;
use e2e::story::{SOON, Story, alone_on, repository};
use helm_operator::api::Reason;
use k8s_openapi::api::rbac::v1::{ClusterRole, PolicyRule, Role};
use kube::api::Api;
use serde_json::{Value, json};

use crate::own_chart::workspace;
use crate::service_accounts;

const NAMESPACE: &str = "helm-operator";
const ACCOUNT: &str = "system:serviceaccount:helm-operator:helm-operator";

/// What the story's charts contain, and no more: what else the operator does, it does by its own rights.
const RULES: &str = r#"rbac.releaseRules=[
    {"apiGroups":[""],"resources":["configmaps","services"],"verbs":["*"]},
    {"apiGroups":["apps"],"resources":["deployments"],"verbs":["*"]},
    {"apiGroups":["batch"],"resources":["jobs"],"verbs":["*"]},
    {"apiGroups":["example.com"],"resources":["widgets"],"verbs":["*"]}]"#;

const DEFINITION: &str = r"apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata:
  name: widgets.example.com
spec:
  group: example.com
  names: {kind: Widget, plural: widgets, singular: widget, listKind: WidgetList}
  scope: Namespaced
  versions:
  - name: v1
    served: true
    storage: true
    schema:
      openAPIV3Schema: {type: object, x-kubernetes-preserve-unknown-fields: true}
";

const WIDGET: &str = "apiVersion: example.com/v1\nkind: Widget\nmetadata:\n  name: {{ .Release.Name }}\n";

const HOOK: &str = r#"apiVersion: batch/v1
kind: Job
metadata:
  name: {{ .Release.Name }}-migrate
  annotations:
    helm.sh/hook: pre-install,pre-upgrade
    helm.sh/hook-delete-policy: before-hook-creation,hook-succeeded
spec:
  template:
    spec:
      restartPolicy: Never
      containers: [{name: main, image: "main:1"}]
"#;

/// A right: verb, API group, resource with its subresource.
type Right = (String, String, String);

fn right(verb: &str, group: &str, resource: &str) -> Right {
    (verb.to_owned(), group.to_owned(), resource.to_owned())
}

async fn install(plane: &ControlPlane, _: Setup) -> Result<Setup> {
    let helm = Helm::new(Some(plane.kubeconfig())).await?;
    let chart = workspace()?.join("charts/helm-operator").display().to_string();
    let name = ["install", "helm-operator", &chart, "--namespace", NAMESPACE, "--create-namespace"];
    helm.run(&[&name[..], &["--set-json", RULES]].concat()).await?;
    let account = plane.kubeconfig_for(ACCOUNT, "system:serviceaccounts")?;
    Ok(Setup::new(&account)?.argument("--leader-elect").argument(format!("--leader-election-namespace={NAMESPACE}")))
}

/// What an operator does in its life.
async fn live(story: &Story<'_>) -> Result<()> {
    for version in ["1.0.0", "1.1.0"] {
        let whole = charts::note("whole", version).file("templates/migrate.yaml", HOOK);
        let whole = whole.file("crds/widgets.yaml", DEFINITION).file("templates/widget.yaml", WIDGET);
        story.push(&whole).await?;
    }
    story.push(&charts::web("web", "1.0.0")).await?;
    open_shared_repository(story).await?;
    let elsewhere = json!({
        "chart": { "repository": { "name": "shared", "namespace": format!("{}-platform", story.namespace) } },
        "release": { "namespace": format!("{}-target", story.namespace), "createNamespace": true },
        "maxHistory": 1,
    });
    story.release("whole", "whole", "1.0.0", elsewhere).await?;
    story.ready("whole").await?;
    story.patch("whole", json!({ "spec": { "chart": { "version": "1.1.0" } } })).await?;
    story.ready("whole").await?;

    story.open_repository().await?;
    let late = json!({
        "serviceAccountName": "late",
        "valuesFrom": [{ "kind": "ConfigMap", "name": "absent", "optional": true }],
    });
    story.release("late", "web", "1.0.0", late).await?;
    story.refused("late", Reason::ServiceAccountNotFound, &["late"]).await?;
    service_accounts::account(story, "late", &["configmaps", "services", "deployments"]).await?;
    story.ready("late").await?;
    through_tokens(story).await?;
    let stuck = json!({ "values": { "podAnnotations": { PLAY: play::IMAGE_PULL } }, "install": { "timeout": "3s" } });
    story.release("stuck", "web", "1.0.0", stuck).await?;
    story.refused("stuck", Reason::NotReady, &["ImagePullBackOff"]).await?;
    story.delete("stuck").await?;
    // Its log is asked for, though no kubelet has it here.
    let fails = format!("metadata: {{annotations: {{{PLAY}: {}}}}}\n    spec:\n      restartPolicy", play::FAIL);
    let fails = HOOK
        .replace("spec:\n      restartPolicy", &fails)
        .replace("spec:\n  template", "spec:\n  backoffLimit: 0\n  template");
    story.push(&charts::note("broken", "1.0.0").file("templates/migrate.yaml", fails)).await?;
    story.release("broken", "broken", "1.0.0", json!({})).await?;
    story.refused("broken", Reason::HookFailed, &["broken-migrate"]).await?;
    story.delete("broken").await?;
    story.delete("whole").await
}

/// A release that shows tokens of a service account, to this cluster as if it were another one.
async fn through_tokens(story: &Story<'_>) -> Result<()> {
    let plane = &story.stage.plane;
    service_accounts::account(story, "remote", &["configmaps"]).await?;
    let user = format!("system:serviceaccount:{}:remote", story.namespace);
    let all = ["create", "clusterrolebinding", "remote", "--clusterrole=cluster-admin", "--user", &user];
    story.kubectl.run(&all).await?;
    let data = json!({
        "provider": "generic", "address": plane.url()?, "ca.crt": plane.authority()?, "audiences": ISSUER,
        "serviceAccountName": "remote",
    });
    let map = json!({ "apiVersion": "v1", "kind": "ConfigMap", "metadata": { "name": "remote" }, "data": data });
    story.apply(&map.to_string()).await?;
    let remote = json!({ "kubeConfig": { "configMapRef": { "name": "remote" } } });
    story.release("remote", "web", "1.0.0", remote).await?;
    story.ready("remote").await?;
    story.delete("remote").await
}

/// A repository of another namespace, with a password from a Secret, for namespaces with a label.
async fn open_shared_repository(story: &Story<'_>) -> Result<()> {
    let platform = format!("{}-platform", story.namespace);
    story.kubectl.run(&["create", "namespace", &platform]).await?;
    story.kubectl.run(&["label", "namespace", &story.namespace, "team=blue"]).await?;
    let secret = json!({
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": { "name": "login" },
        "stringData": { "username": "robot", "password": "a-password-that-nobody-asks-for" },
    });
    let mut shared: Value = serde_json::from_str(&repository("shared", &story.charts_url().await?))?;
    shared["spec"]["auth"] = json!({ "basic": { "secretRef": { "name": "login" } } });
    shared["spec"]["accessFrom"] = json!({ "namespaceSelectors": [{ "matchLabels": { "team": "blue" } }] });
    // The finalizer is one that the Go operator left, and is taken off.
    shared["metadata"]["finalizers"] = json!(["helm-operator.ketches.cn/repository-finalizer"]);
    story.kubectl.apply(&platform, &secret.to_string()).await?;
    story.kubectl.apply(&platform, &shared.to_string()).await.map(drop)
}

/// The rights that rules give, each alone.
fn granted(rules: Option<Vec<PolicyRule>>) -> BTreeSet<Right> {
    let mut rights = BTreeSet::new();
    for rule in rules.unwrap_or_default() {
        for group in rule.api_groups.iter().flatten() {
            for resource in rule.resources.iter().flatten() {
                rights.extend(rule.verbs.iter().map(|verb| right(verb, group, resource)));
            }
        }
    }
    rights
}

/// The rights that a request of the audit log needed.
fn needed(event: &Value) -> Vec<Right> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    // What is done as somebody else needs the right to be that one, and no other.
    if !event["impersonatedUser"].is_null() {
        return vec![right("impersonate", "", "serviceaccounts")];
    }
    let Some(object) = event.get("objectRef") else { return Vec::new() };
    let resource = match text(&object["subresource"]) {
        subresource if subresource.is_empty() => text(&object["resource"]),
        subresource => format!("{}/{subresource}", text(&object["resource"])),
    };
    let right = |verb: String| (verb, text(&object["apiGroup"]), resource.clone());
    let mut rights = vec![right(text(&event["verb"]))];
    // A server-side apply that creates is asked for the right to create, too.
    if event["responseStatus"]["code"] == 201 {
        rights.push(right("create".to_owned()));
    }
    rights
}

#[test]
fn every_right_of_the_operator_is_used_and_none_is_missing() -> Result<()> {
    alone_on(ControlPlane::audited(), "rights", install, async |story| {
        live(story).await?;
        // The end gives the lease back, and what was still to be written is written.
        story.stage.operator().await.stop().await?;
        let plane = &story.stage.plane;
        let refused: Vec<Right> = plane
            .audit(ACCOUNT)?
            .iter()
            // What a service account may not do is none of the operator's rights.
            .filter(|event| event["responseStatus"]["code"] == 403 && event["impersonatedUser"].is_null())
            .flat_map(needed)
            .collect();
        ensure!(refused.is_empty(), "the operator asked for what it may not do: {refused:?}");

        let own = Api::<ClusterRole>::all(story.client.clone()).get("helm-operator").await?.rules;
        let leader = Api::<Role>::namespaced(story.client.clone(), NAMESPACE).get("helm-operator-leader").await?.rules;
        let mut rights = granted(own);
        rights.extend(granted(leader));
        ensure!(rights.len() > 20, "the chart's roles are not where this test looks: {rights:?}");
        // The audit log is written as requests end, watches at their own end.
        eventually("every right is used", Duration::from_secs(10).min(SOON), async || {
            let used: BTreeSet<Right> = plane.audit(ACCOUNT)?.iter().flat_map(needed).collect();
            let unused: Vec<&Right> = rights.difference(&used).collect();
            ensure!(unused.is_empty(), "granted and not used: {unused:?}");
            Ok(())
        })
        .await?;
        story.stage.operator().await.start().await.context("the operator starts again")
    })
}
