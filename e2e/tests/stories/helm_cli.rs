//! Helm's own program on our records, and we on its: people may take over by hand at any time, and hand back.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};
use e2e::apiserver::ControlPlane;
use e2e::tools::Tool;
use helm::release::{ApplyMethod, Release, Status};
use helm_operator::history::{Error, History, Marks};
use k8s_openapi::api::core::v1::{ConfigMap, Namespace};
use kube::api::PostParams;
use kube::{Api, Client};
use serde_json::{Value, json};

#[tokio::test(flavor = "multi_thread")]
async fn helm_4_lists_shows_rolls_back_upgrades_and_uninstalls_what_we_recorded() -> Result<()> {
    takes_over_and_hands_back(Tool::Helm, "helm-4-takes-over").await
}

#[tokio::test(flavor = "multi_thread")]
async fn helm_3_lists_shows_rolls_back_upgrades_and_uninstalls_what_we_recorded() -> Result<()> {
    takes_over_and_hands_back(Tool::Helm3, "helm-3-takes-over").await
}

#[tokio::test(flavor = "multi_thread")]
async fn we_continue_what_helm_4_installed() -> Result<()> {
    continues(Tool::Helm, "helm-4-hands-over", ApplyMethod::ServerSide).await
}

#[tokio::test(flavor = "multi_thread")]
async fn we_continue_what_helm_3_installed() -> Result<()> {
    continues(Tool::Helm3, "helm-3-hands-over", ApplyMethod::Unsaid).await
}

async fn takes_over_and_hands_back(tool: Tool, namespace: &str) -> Result<()> {
    let (helm, client) = stage(tool, namespace).await?;
    let history = History::new(client.clone());
    record(&history, namespace, 1, "red", Status::Superseded).await?;
    let stale = record(&history, namespace, 2, "blue", Status::Deployed).await?;
    shows_what_we_recorded(&helm)?;

    helm.run(&["rollback", "demo", "1"])?;
    ensure!(color(&client, namespace).await? == "red", "the rollback did not bring back revision 1");
    let rolled_back = history.last(namespace, "demo").await?.context("Helm recorded its rollback")?;
    ensure!(rolled_back.revision() == 3 && rolled_back.release.info.status == Status::Deployed);
    ensure!(rolled_back.release.info.description == "Rollback to 1" && rolled_back.marks.is_none());
    ensure!(rolled_back.release.manifest == manifest("red") && rolled_back.release.hooks.len() == 1);
    let superseded = history.get(namespace, "demo", 2).await?.context("revision 2 is kept")?;
    ensure!(superseded.release.info.status == Status::Superseded && superseded.marks.is_none());
    ensure!(superseded.release.labels == stale.release.labels, "Helm lost the labels of the release");
    let lost = history.update(&stale).await;
    ensure!(matches!(lost, Err(Error::Conflict { .. })), "Helm's write would have been lost: {lost:?}");

    helm.run(&["upgrade", "demo", helm.chart(), "--set", "color=green"])?;
    ensure!(color(&client, namespace).await? == "green");
    let upgraded = history.deployed(namespace, "demo").await?.context("Helm recorded its upgrade")?;
    ensure!(upgraded.revision() == 4 && upgraded.release.chart.version() == "2.0.0");
    ensure!(Value::Object(upgraded.release.config) == json!({"color": "green"}));

    helm.run(&["uninstall", "demo"])?;
    ensure!(history.list(namespace, "demo").await?.is_empty(), "Helm uninstalled and records are left");
    ensure!(color(&client, namespace).await.is_err(), "Helm uninstalled and the object is left");
    Ok(())
}

fn shows_what_we_recorded(helm: &Helm) -> Result<()> {
    let listed = helm.json(&["list"])?;
    let field = |name: &str| listed[0][name].clone();
    ensure!(field("name") == "demo" && field("revision") == "2" && field("status") == "deployed", "{listed}");
    ensure!(field("chart") == "demo-1.2.0" && field("app_version") == "1.0", "{listed}");
    let revisions = helm.json(&["history", "demo"])?;
    let told = |shown: &Value| json!([shown["revision"], shown["status"], shown["description"]]);
    let revisions: Value = revisions.as_array().context("a list")?.iter().map(told).collect();
    let expected = json!([[1, "superseded", "Install complete"], [2, "deployed", "Upgrade complete"]]);
    ensure!(revisions == expected, "{revisions}");
    ensure!(helm.json(&["status", "demo"])?["info"]["notes"] == "The color is blue.\n");
    ensure!(helm.json(&["get", "values", "demo"])? == json!({"color": "blue", "count": 3}));
    ensure!(helm.json(&["get", "values", "demo", "--all"])? == json!({"color": "blue", "count": 3, "size": 1}));
    ensure!(helm.run(&["get", "manifest", "demo"])?.trim() == manifest("blue").trim());
    ensure!(helm.run(&["get", "hooks", "demo"])?.contains("helm.sh/hook: post-delete"));
    let all = helm.run(&["get", "all", "demo"])?;
    for part in ["NAME: demo", "REVISION: 2", "color: blue", "The color is blue."] {
        ensure!(all.contains(part), "{part:?} is missing in:\n{all}");
    }
    Ok(())
}

async fn continues(tool: Tool, namespace: &str, apply_method: ApplyMethod) -> Result<()> {
    let (helm, client) = stage(tool, namespace).await?;
    let history = History::new(client);
    helm.run(&["install", "demo", helm.chart(), "--labels", "team=a", "--set", "color=red"])?;
    helm.run(&["upgrade", "demo", helm.chart(), "--set", "color=blue"])?;
    let theirs = history.deployed(namespace, "demo").await?.context("Helm recorded its upgrade")?;
    ensure!(theirs.revision() == 2 && theirs.release.apply_method == apply_method && theirs.marks.is_none());
    ensure!(theirs.release.labels == [("team".to_owned(), "a".to_owned())].into());
    ensure!(theirs.release.manifest.trim() == manifest("blue").trim(), "{}", theirs.release.manifest);

    let ours = Release { version: 3, ..theirs.release.clone() };
    history.create(&ours, &marks()).await?;
    history.supersede(namespace, "demo", 2).await?;
    let shown = helm.json(&["history", "demo"])?;
    let shown: Vec<_> = shown.as_array().context("a list")?.iter().map(|shown| shown["status"].clone()).collect();
    ensure!(shown == ["superseded", "superseded", "deployed"], "{shown:?}");
    ensure!(helm.run(&["list", "--selector", "team=a", "--short"])?.trim() == "demo");
    helm.run(&["rollback", "demo", "1"])?;
    helm.run(&["uninstall", "demo"])?;
    Ok(())
}

/// Records a revision as a reconcile does: pending, then as it went.
async fn record(
    history: &History,
    namespace: &str,
    revision: u32,
    color: &str,
    status: Status,
) -> Result<helm_operator::history::Record> {
    let mut release = release(namespace, revision, color)?;
    release.info.status = Status::PendingUpgrade;
    let mut record = history.create(&release, &marks()).await?;
    record.release.info.status = status;
    Ok(history.update(&record).await?)
}

fn marks() -> Marks {
    Marks { owner: "apps/demo".to_owned(), uid: "u-1".to_owned(), generation: 1, inputs: "ab12".to_owned() }
}

fn release(namespace: &str, revision: u32, color: &str) -> Result<Release> {
    let mut release: Release = serde_json::from_value(json!({
        "name": "demo",
        "namespace": namespace,
        "version": revision,
        "apply_method": "ssa",
        "info": {
            "first_deployed": "2026-11-21T05:00:00Z",
            "last_deployed": "2026-11-21T06:00:00Z",
            "description": if revision == 1 { "Install complete" } else { "Upgrade complete" },
            "notes": format!("The color is {color}.\n"),
        },
        "chart": {
            "metadata": {"apiVersion": "v2", "name": "demo", "version": "1.2.0", "appVersion": "1.0"},
            "values": {"color": "none", "size": 1},
        },
        "config": {"color": color, "count": 3},
        "manifest": manifest(color),
        "hooks": [{
            "name": "demo-hook",
            "kind": "ConfigMap",
            "path": "demo/templates/hook.yaml",
            "manifest": HOOK,
            "events": ["post-delete"],
            "delete_policies": ["hook-succeeded"],
        }],
    }))?;
    release.labels.insert("team".to_owned(), "a".to_owned());
    Ok(release)
}

const TEMPLATE: &str =
    "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: demo\ndata:\n  color: {{ .Values.color }}\n";
const HOOK: &str =
    "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: demo-hook\n  annotations:\n    helm.sh/hook: post-delete\n";

/// What Helm 4 renders from [`TEMPLATE`].
fn manifest(color: &str) -> String {
    format!("---\n# Source: demo/templates/color.yaml\n{}\n", TEMPLATE.replace("{{ .Values.color }}", color))
}

async fn color(client: &Client, namespace: &str) -> Result<String> {
    let configmap = Api::<ConfigMap>::namespaced(client.clone(), namespace).get("demo").await?;
    configmap.data.and_then(|mut data| data.remove("color")).context("the object has no color")
}

async fn stage(tool: Tool, namespace: &str) -> Result<(Helm, Client)> {
    let plane = ControlPlane::shared().await?;
    let client = plane.client().await?;
    let object = serde_json::from_value(json!({"metadata": {"name": namespace}}))?;
    Api::<Namespace>::all(client.clone()).create(&PostParams::default(), &object).await?;
    Ok((Helm::new(tool.ready().await?, plane.kubeconfig(), namespace)?, client))
}

/// A Helm program with a home and a chart of its own.
struct Helm {
    program: PathBuf,
    kubeconfig: PathBuf,
    namespace: String,
    home: tempfile::TempDir,
    chart: String,
}

impl Helm {
    fn new(program: PathBuf, kubeconfig: &Path, namespace: &str) -> Result<Self> {
        let home = tempfile::tempdir()?;
        let chart = home.path().join("demo");
        fs::create_dir_all(chart.join("templates"))?;
        fs::write(chart.join("Chart.yaml"), "apiVersion: v2\nname: demo\nversion: 2.0.0\n")?;
        fs::write(chart.join("templates/color.yaml"), TEMPLATE)?;
        fs::write(chart.join("templates/hook.yaml"), HOOK)?;
        let chart = chart.to_str().context("the temporary folder's name is UTF-8")?.to_owned();
        Ok(Self { program, kubeconfig: kubeconfig.to_owned(), namespace: namespace.to_owned(), home, chart })
    }

    fn chart(&self) -> &str {
        &self.chart
    }

    fn json(&self, arguments: &[&str]) -> Result<Value> {
        let printed = self.run(&[arguments, &["--output", "json"]].concat())?;
        serde_json::from_str(&printed).with_context(|| format!("{arguments:?} printed {printed}"))
    }

    fn run(&self, arguments: &[&str]) -> Result<String> {
        let mut command = Command::new(&self.program);
        command.args(arguments).args(["--namespace", &self.namespace]).env("KUBECONFIG", &self.kubeconfig);
        for home in ["HELM_CACHE_HOME", "HELM_CONFIG_HOME", "HELM_DATA_HOME"] {
            command.env(home, self.home.path());
        }
        let output = command.output()?;
        if !output.status.success() {
            bail!("helm {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        }
        Ok(String::from_utf8(output.stdout)?)
    }
}
