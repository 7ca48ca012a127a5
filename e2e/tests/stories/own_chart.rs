//! The operator's own chart: installed by real Helm, run with the rights it gives, and with no more.

use std::path::Path;

use anyhow::{Context, Result, ensure};
use e2e::apiserver::ControlPlane;
use e2e::charts::{self, Chart};
use e2e::eventually::eventually;
use e2e::helm::Helm;
use e2e::kubectl::Kubectl;
use e2e::operator::Setup;
use e2e::process::Scratch;
use e2e::story::{SOON, alone, as_it_is, block_on};
use helm_operator::api::Reason;
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::coordination::v1::Lease;
use kube::api::Api;
use serde_json::{Value, json};

const NAMESPACE: &str = "helm-operator";

/// The rights of a team that installs nothing but config maps.
const NARROW: &str = r#"rbac.releaseRules=[{"apiGroups":[""],"resources":["configmaps"],"verbs":["*"]}]"#;

pub(crate) fn workspace() -> Result<&'static Path> {
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

/// What `kubectl explain` says of a field, once it is served.
pub(crate) async fn explained(kubectl: &Kubectl, field: &str) -> Result<String> {
    eventually(format!("kubectl explains {field}"), SOON, async || {
        // kubectl remembers for minutes what the server did not serve yet: a new memory asks anew.
        let memory = Scratch::new("kubectl")?;
        kubectl.run(&[&format!("--cache-dir={}", memory.path().display()), "explain", field]).await
    })
    .await
}

#[test]
fn the_manifests_in_deploy_are_taken_whole_and_the_definitions_outlive_the_operator() -> Result<()> {
    block_on(async {
        let plane = ControlPlane::start_own().await?;
        let kubectl = Kubectl::new(plane.kubeconfig()).await?;
        let file = |name: &str| anyhow::Ok(workspace()?.join("deploy").join(name).display().to_string());
        let (definitions, operator) = (file("crds.yaml")?, file("install.yaml")?);
        kubectl.run(&["apply", "--server-side", "-f", &definitions, "-f", &operator]).await?;
        let definition = "crd/helmreleases.helm-operator.ketches.cn";
        kubectl.run(&["wait", "--for=condition=Established", "--timeout=60s", definition]).await?;
        let told = explained(&kubectl, "helmrelease.spec.chart.version").await?;
        ensure!(told.contains("constraint"), "kubectl explain says {told:?}");

        // Who takes the operator away takes nothing away that a team has declared.
        let release = json!({
            "apiVersion": "helm-operator.ketches.cn/v1alpha1",
            "kind": "HelmRelease",
            "metadata": { "name": "web" },
            "spec": { "chart": { "name": "web", "repository": { "name": "charts" } } },
        });
        kubectl.apply("default", &release.to_string()).await?;
        kubectl.run(&["delete", "--timeout=60s", "-f", &operator]).await?;
        ensure!(
            kubectl.run(&["get", "helmreleases", "--output", "name"]).await?.contains("/web"),
            "the release is gone"
        );
        Ok(())
    })
}

/// The chart's Deployment with these values, as Helm renders it.
async fn deployment(helm: &Helm, values: &[&str]) -> Result<Value> {
    let chart = workspace()?.join("charts/helm-operator").display().to_string();
    let mut arguments = vec!["template", "helm-operator", &chart, "--show-only", "templates/deployment.yaml"];
    for value in values {
        arguments.extend(["--set-json", value]);
    }
    let manifest = helm.run(&arguments).await?;
    Ok(Value::Object(helm::values::parse(&manifest)?))
}

#[test]
fn no_other_value_switches_leader_election_off() -> Result<()> {
    block_on(async {
        let helm = Helm::new(None).await?;
        for (values, election, strategy) in [
            (&[][..], "true", Value::Null),
            (&["args=[\"--concurrent=16\"]"], "true", Value::Null),
            (&["replicaCount=3", "args=[\"--no-cross-namespace-refs\"]"], "true", Value::Null),
            (&["leaderElection.enabled=false"], "false", json!({ "type": "Recreate" })),
        ] {
            let deployment = deployment(&helm, values).await?;
            let arguments = deployment["spec"]["template"]["spec"]["containers"][0]["args"].as_array().cloned();
            let arguments = arguments.context("the operator has arguments")?;
            let flag = json!(format!("--leader-elect={election}"));
            ensure!(arguments.contains(&flag), "{values:?}: {arguments:?}");
            ensure!(deployment["spec"]["strategy"] == strategy, "{values:?}: {}", deployment["spec"]["strategy"]);
        }
        let several = deployment(&helm, &["replicaCount=2", "leaderElection.enabled=false"]).await;
        let refusal = several.err().context("several instances without election are rendered")?;
        ensure!(format!("{refusal:#}").contains("needs leaderElection.enabled"), "{refusal:#}");
        Ok(())
    })
}

#[test]
fn the_image_is_named_as_people_name_theirs() -> Result<()> {
    block_on(async {
        let helm = Helm::new(None).await?;
        let digest = format!("sha256:{}", "0".repeat(64));
        let pinned = format!("image.digest=\"{digest}\"");
        for (values, expected) in [
            (&[][..], "helm-operator:0.1.0".to_owned()),
            (
                &["image.registry=\"registry.example.com/tools/\""],
                "registry.example.com/tools/helm-operator:0.1.0".to_owned(),
            ),
            (
                &["image.registry=\"registry.example.com:5000\"", "image.tag=\"v2\""],
                "registry.example.com:5000/helm-operator:v2".to_owned(),
            ),
            (&["image.repository=\"ours/operator\"", &pinned], format!("ours/operator@{digest}")),
        ] {
            let deployment = deployment(&helm, values).await?;
            let image = &deployment["spec"]["template"]["spec"]["containers"][0]["image"];
            ensure!(*image == json!(expected), "{values:?}: {image}");
        }
        Ok(())
    })
}

#[test]
fn nobody_gets_rights_on_releases_by_a_built_in_role() -> Result<()> {
    block_on(async {
        let chart = workspace()?.join("charts/helm-operator").display().to_string();
        let manifest = Helm::new(None).await?.run(&["template", "helm-operator", &chart, "--include-crds"]).await?;
        ensure!(manifest.contains("kind: ClusterRole\n"), "the chart has no roles any more: mend this test");
        // Whoever may create a HelmRelease may do what the operator may: `edit` in one namespace must not be enough.
        ensure!(!manifest.contains("rbac.authorization.k8s.io/aggregate-to"), "a role of the chart is aggregated");
        Ok(())
    })
}

const PARENT: &str = r"apiVersion: helm-operator.ketches.cn/v1alpha1
kind: HelmRelease
metadata:
  name: child
spec:
  chart:
    name: note
    version: 1.0.0
    repository:
      name: charts
";

#[test]
fn helm_waits_for_what_the_operator_has_not_seen() -> Result<()> {
    alone("waited-for", as_it_is, async |story| {
        story.push(&charts::note("note", "1.0.0")).await?;
        story.open_repository().await?;
        let scratch = Scratch::new("chart")?;
        let parent = Chart::new("parent", "1.0.0").file("templates/child.yaml", PARENT).write(scratch.path())?;
        let parent = parent.display().to_string();
        let install = |name: &'static str, timeout: &'static str| {
            let arguments = [
                "upgrade",
                "--install",
                name,
                &parent,
                "--namespace",
                &story.namespace,
                "--wait",
                "--timeout",
                timeout,
            ];
            arguments.map(str::to_owned)
        };
        let run = async |arguments: [String; 9]| {
            let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
            story.helm.run(&arguments).await
        };
        story.stage.operator().await.stop().await?;
        let refused =
            run(install("parent", "5s")).await.err().context("helm --wait is content with an unseen object")?;
        ensure!(format!("{refused:#}").contains("child"), "helm says {refused:#}");
        story.stage.operator().await.start().await?;
        run(install("parent", "60s")).await?;
        let child = story.releases().get("child").await?;
        e2e::status::ready(&child)
    })
}
