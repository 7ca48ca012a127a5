//! The operator's own chart: installed by real Helm, run with the rights it gives, and with no more.

use std::path::Path;

use anyhow::{Context, Result, ensure};
use e2e::apiserver::ControlPlane;
use e2e::charts;
use e2e::eventually::eventually;
use e2e::helm::Helm;
use e2e::kubectl::Kubectl;
use e2e::operator::Setup;
use e2e::process::Scratch;
use e2e::story::{SOON, alone, block_on};
use helm_operator::api::Reason;
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::coordination::v1::Lease;
use kube::api::Api;
use serde_json::json;

const NAMESPACE: &str = "helm-operator";

/// The rights of a team that installs nothing but config maps.
const NARROW: &str = r#"rbac.releaseRules=[{"apiGroups":[""],"resources":["configmaps"],"verbs":["*"]}]"#;

fn workspace() -> Result<&'static Path> {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().context("e2e lies in the workspace")
}

async fn install(plane: &ControlPlane, _: Setup) -> Result<Setup> {
    let helm = Helm::new(Some(plane.kubeconfig())).await?;
    let chart = workspace()?.join("charts/helm-operator").display().to_string();
    helm.run(&[
        "install",
        "helm-operator",
        &chart,
        "--namespace",
        NAMESPACE,
        "--create-namespace",
        "--set-json",
        NARROW,
    ])
    .await?;
    let account =
        plane.kubeconfig_for("system:serviceaccount:helm-operator:helm-operator", "system:serviceaccounts")?;
    Ok(Setup::new(&account)?.argument("--leader-elect").argument(format!("--leader-election-namespace={NAMESPACE}")))
}

#[test]
fn installed_by_helm_the_operator_has_the_rights_it_needs_and_those_given_to_releases() -> Result<()> {
    alone("own-chart", install, async |story| {
        let deployments: Api<Deployment> = Api::namespaced(story.client.clone(), NAMESPACE);
        deployments.get("helm-operator").await?;
        let leases: Api<Lease> = Api::namespaced(story.client.clone(), NAMESPACE);
        let lease = leases.get("helm-operator.ketches.cn").await?;
        ensure!(lease.spec.and_then(|spec| spec.holder_identity).is_some(), "nobody holds the lease");

        story.push(&charts::note("note", "1.0.0")).await?;
        story.push(&charts::web("web", "1.0.0")).await?;
        story.open_repository().await?;
        story.release("note", "note", "1.0.0", json!({})).await?;
        story.ready("note").await?;
        // What the rules do not name is refused, and told with verb and resource.
        story.release("web", "web", "1.0.0", json!({})).await?;
        story.refused("web", Reason::Forbidden, &["no permission", "web"]).await?;
        story.delete("note").await
    })
}

#[test]
fn the_manifest_in_deploy_is_taken_whole() -> Result<()> {
    block_on(async {
        let plane = ControlPlane::api_only().await?;
        let kubectl = Kubectl::new(plane.kubeconfig()).await?;
        let manifest = workspace()?.join("deploy/install.yaml").display().to_string();
        kubectl.run(&["apply", "--server-side", "-f", &manifest]).await?;
        let definition = "crd/helmreleases.helm-operator.ketches.cn";
        kubectl.run(&["wait", "--for=condition=Established", "--timeout=60s", definition]).await?;
        eventually("kubectl explains the fields", SOON, async || {
            // kubectl remembers for minutes what the server did not serve yet: a new memory asks anew.
            let memory = Scratch::new("kubectl")?;
            let memory = format!("--cache-dir={}", memory.path().display());
            let explained = kubectl.run(&[&memory, "explain", "helmrelease.spec.chart.version"]).await?;
            ensure!(explained.contains("constraint"), "kubectl explain says {explained:?}");
            Ok(())
        })
        .await?;
        Ok(())
    })
}
