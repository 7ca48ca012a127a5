//! Helm's own program on our records, and we on its: people may take over by hand at any time, and hand back.

use std::fs;

use anyhow::{Context, Result, ensure};
use e2e::apiserver::ControlPlane;
use e2e::helm::Helm;
use e2e::process::Scratch;
use helm::release::{ApplyMethod, Release, Status};
use helm_operator::history::{Error, History, Marks, ReleaseKey};
use k8s_openapi::api::core::v1::{ConfigMap, Namespace};
use kube::api::PostParams;
use kube::{Api, Client};
use serde_json::{Value, json};

use super::records::listed;

#[tokio::test(flavor = "multi_thread")]
async fn helm_4_lists_shows_rolls_back_upgrades_and_uninstalls_what_we_recorded() -> Result<()> {
    Box::pin(takes_over_and_hands_back(&Person::with_helm_4("helm-4-takes-over").await?)).await
}

#[tokio::test(flavor = "multi_thread")]
async fn helm_3_lists_shows_rolls_back_upgrades_and_uninstalls_what_we_recorded() -> Result<()> {
    Box::pin(takes_over_and_hands_back(&Person::with_helm_3("helm-3-takes-over").await?)).await
}

#[tokio::test(flavor = "multi_thread")]
async fn we_continue_what_helm_4_installed() -> Result<()> {
    continues(&Person::with_helm_4("helm-4-hands-over").await?, ApplyMethod::ServerSide).await
}

#[tokio::test(flavor = "multi_thread")]
async fn we_continue_what_helm_3_installed() -> Result<()> {
    continues(&Person::with_helm_3("helm-3-hands-over").await?, ApplyMethod::Unsaid).await
}

async fn takes_over_and_hands_back(person: &Person) -> Result<()> {
    let namespace = person.namespace.as_str();
    let history = History::new(person.client.clone());
    let demo = ReleaseKey::new(namespace, "demo");
    record(&history, namespace, 1, "red", Status::Superseded).await?;
    let stale = record(&history, namespace, 2, "blue", Status::Deployed).await?;
    shows_what_we_recorded(person).await?;

    person.helm("rollback demo 1").await?;
    ensure!(person.color().await? == "red", "the rollback did not bring back revision 1");
    let rolled_back = history.get(&demo, 3).await?.context("Helm recorded its rollback")?;
    ensure!(rolled_back.release.info.status == Status::Deployed);
    ensure!(rolled_back.release.info.description == "Rollback to 1" && rolled_back.marks.is_none());
    ensure!(rolled_back.release.manifest == manifest("red") && rolled_back.release.hooks.len() == 1);
    let superseded = history.get(&demo, 2).await?.context("revision 2 is kept")?;
    ensure!(superseded.release.info.status == Status::Superseded && superseded.marks.is_none());
    ensure!(superseded.release.labels == stale.release.labels, "Helm lost the labels of the release");
    let lost = history.update(stale).await;
    ensure!(matches!(lost, Err(Error::Conflict { .. })), "Helm's write would have been lost: {lost:?}");

    person.helm("upgrade demo CHART --set color=green").await?;
    ensure!(person.color().await? == "green");
    let upgraded = history.get(&demo, 4).await?.context("Helm recorded its upgrade")?;
    ensure!(upgraded.release.info.status == Status::Deployed && upgraded.release.chart.version() == "2.0.0");
    ensure!(Value::Object(upgraded.release.config) == json!({"color": "green"}));

    person.helm("uninstall demo").await?;
    ensure!(listed(&person.client, &demo).await?.is_empty(), "Helm uninstalled and records are left");
    ensure!(person.color().await.is_err(), "Helm uninstalled and the object is left");
    Ok(())
}

async fn shows_what_we_recorded(person: &Person) -> Result<()> {
    let listed = person.json("list").await?;
    let field = |name: &str| listed[0][name].clone();
    ensure!(field("name") == "demo" && field("revision") == "2" && field("status") == "deployed", "{listed}");
    ensure!(field("chart") == "demo-1.2.0" && field("app_version") == "1.0", "{listed}");
    let revisions = person.json("history demo").await?;
    let told = |shown: &Value| json!([shown["revision"], shown["status"], shown["description"]]);
    let revisions: Value = revisions.as_array().context("a list")?.iter().map(told).collect();
    let expected = json!([[1, "superseded", "Install complete"], [2, "deployed", "Upgrade complete"]]);
    ensure!(revisions == expected, "{revisions}");
    ensure!(person.json("status demo").await?["info"]["notes"] == "The color is blue.\n");
    ensure!(person.json("get values demo").await? == json!({"color": "blue", "count": 3}));
    ensure!(person.json("get values demo --all").await? == json!({"color": "blue", "count": 3, "size": 1}));
    ensure!(person.helm("get manifest demo").await?.trim() == manifest("blue").trim());
    ensure!(person.helm("get hooks demo").await?.contains("helm.sh/hook: post-delete"));
    let all = person.helm("get all demo").await?;
    for part in ["NAME: demo", "REVISION: 2", "color: blue", "The color is blue."] {
        ensure!(all.contains(part), "{part:?} is missing in:\n{all}");
    }
    Ok(())
}

async fn continues(person: &Person, apply_method: ApplyMethod) -> Result<()> {
    let namespace = person.namespace.as_str();
    let history = History::new(person.client.clone());
    person.helm("install demo CHART --labels team=a --set color=red").await?;
    person.helm("upgrade demo CHART --set color=blue").await?;
    let demo = ReleaseKey::new(namespace, "demo");
    let theirs = history.get(&demo, 2).await?.context("Helm recorded its upgrade")?;
    ensure!(
        theirs.release.info.status == Status::Deployed
            && theirs.release.apply_method == apply_method
            && theirs.marks.is_none()
    );
    ensure!(theirs.release.labels == [("team".to_owned(), "a".to_owned())].into());
    ensure!(theirs.release.manifest.trim() == manifest("blue").trim(), "{}", theirs.release.manifest);

    let ours = Release { version: 3, ..theirs.release.clone() };
    history.create(ours, marks()).await?;
    let mut theirs = theirs;
    theirs.release.info.status = Status::Superseded;
    history.update(theirs).await?;
    let shown = person.json("history demo").await?;
    let shown: Vec<_> = shown.as_array().context("a list")?.iter().map(|shown| shown["status"].clone()).collect();
    ensure!(shown == ["superseded", "superseded", "deployed"], "{shown:?}");
    ensure!(person.helm("list --selector team=a --short").await?.trim() == "demo");
    person.helm("rollback demo 1").await?;
    person.helm("uninstall demo").await?;
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
    let mut record = history.create(release, marks()).await?;
    record.release.info.status = status;
    Ok(history.update(record).await?)
}

fn marks() -> Marks {
    Marks {
        owner: "apps/demo".to_owned(),
        uid: "u-1".to_owned(),
        generation: 1,
        inputs: "ab12".to_owned(),
        chart: "demo-0.1.0".to_owned(),
        ..Marks::default()
    }
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

/// A person with a chart and a namespace, who knows Helm and has never heard of us.
struct Person {
    helm: Helm,
    client: Client,
    namespace: String,
    home: Scratch,
}

impl Person {
    async fn with_helm_4(namespace: &str) -> Result<Self> {
        let plane = ControlPlane::shared().await?;
        Self::arrive(Helm::new(Some(plane.kubeconfig())).await?, plane.client().await?, namespace).await
    }

    async fn with_helm_3(namespace: &str) -> Result<Self> {
        let plane = ControlPlane::shared().await?;
        Self::arrive(Helm::v3(Some(plane.kubeconfig())).await?, plane.client().await?, namespace).await
    }

    async fn arrive(helm: Helm, client: Client, namespace: &str) -> Result<Self> {
        let object = serde_json::from_value(json!({"metadata": {"name": namespace}}))?;
        Api::<Namespace>::all(client.clone()).create(&PostParams::default(), &object).await?;
        let home = Scratch::new("helm-cli")?;
        fs::create_dir_all(home.join("demo/templates"))?;
        fs::write(home.join("demo/Chart.yaml"), "apiVersion: v2\nname: demo\nversion: 2.0.0\n")?;
        fs::write(home.join("demo/templates/color.yaml"), TEMPLATE)?;
        fs::write(home.join("demo/templates/hook.yaml"), HOOK)?;
        Ok(Self { helm, client, namespace: namespace.to_owned(), home })
    }

    /// Runs `helm` in the namespace; the word `CHART` stands for the person's chart.
    async fn helm(&self, command: &str) -> Result<String> {
        let chart = self.home.join("demo");
        let chart = chart.to_str().context("the temporary folder's name is UTF-8")?;
        let words = command.split(' ').map(|word| if word == "CHART" { chart } else { word });
        self.helm.run(&words.chain(["--namespace", &self.namespace]).collect::<Vec<_>>()).await
    }

    async fn json(&self, command: &str) -> Result<Value> {
        let printed = self.helm(&format!("{command} --output json")).await?;
        serde_json::from_str(&printed).with_context(|| format!("helm {command} printed {printed}"))
    }

    /// The color of the release's object in the cluster.
    async fn color(&self) -> Result<String> {
        let configmap = Api::<ConfigMap>::namespaced(self.client.clone(), &self.namespace).get("demo").await?;
        configmap.data.and_then(|mut data| data.remove("color")).context("the object has no color")
    }
}
