//! What is killed: the lives of a release, each as what comes before and what is done to it.

use std::path::Path;

use anyhow::{Context as _, Result, bail};
use helm_operator::api::{FORCE_AT, HelmRelease};
use k8s_openapi::api::core::v1::{ConfigMap, Namespace, Secret};
use kube::api::{DeleteParams, Patch, PatchParams, PostParams};
use kube::{Api, Client};
use serde_json::{Value, json};

use super::chart;
use crate::charts::Chart;
use crate::kwok::play;
use crate::process::Scratch;
use crate::story::Story;

/// A stretch of a release's life whose every write is a point of death.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Scenario {
    /// A first install, with hooks.
    Install,
    /// A first install into a namespace that it creates, with a definition in `crds/`.
    InstallDefinition,
    /// An upgrade, with hooks, that takes one object away and brings one.
    Upgrade,
    /// An upgrade that the API server refuses in part, with `cleanupOnFail`.
    FailingUpgrade,
    /// The mend of an upgrade that failed.
    Mend,
    /// What follows from a person's `helm rollback`.
    RollBack,
    /// An upgrade with hooks that is planned, and approved.
    Approve,
    /// An upgrade that the API server refuses, and its rollback, with hooks.
    Remedy,
    /// An upgrade whose tests fail, and its rollback, with hooks.
    TestRemedy,
    /// A person asks for one more revision, though nothing has changed.
    Forced,
    /// Somebody changes one object of a deployed release, and deletes another.
    Drift,
    /// A first install, with hooks and tests.
    Test,
    /// `release.name` is changed.
    MoveName,
    /// `release.namespace` is changed to one that is created.
    MoveNamespace,
    /// The object is deleted, with hooks.
    Uninstall,
    /// The object is deleted while its upgrade waits for what never comes.
    UninstallUpgrading,
    /// A release of the Helm CLI is declared as it is.
    Adopt,
    /// A release of the Helm CLI is declared in a newer version.
    AdoptNewer,
    /// A release of Flux is declared as it is.
    AdoptFlux,
    /// A first install in another cluster, into a namespace that it creates there.
    Remote,
    /// A release of another cluster is declared in this one.
    RemoteLeave,
    /// The object of a release of another cluster is deleted.
    RemoteUninstall,
    /// `spec.storageNamespace` of a release with two revisions is changed.
    StorageMove,
}

impl Scenario {
    /// All of them.
    pub const ALL: [Self; 23] = [
        Self::Install,
        Self::InstallDefinition,
        Self::Upgrade,
        Self::FailingUpgrade,
        Self::Mend,
        Self::RollBack,
        Self::Approve,
        Self::Remedy,
        Self::TestRemedy,
        Self::Forced,
        Self::Drift,
        Self::Test,
        Self::MoveName,
        Self::MoveNamespace,
        Self::Uninstall,
        Self::UninstallUpgrading,
        Self::Adopt,
        Self::AdoptNewer,
        Self::AdoptFlux,
        Self::Remote,
        Self::RemoteLeave,
        Self::RemoteUninstall,
        Self::StorageMove,
    ];

    /// Whether another cluster has a part in it.
    pub(super) fn is_remote(self) -> bool {
        matches!(self, Self::Remote | Self::RemoteLeave | Self::RemoteUninstall)
    }

    /// A short name for tables.
    pub fn name(self) -> &'static str {
        match self {
            Self::Install => "install",
            Self::InstallDefinition => "install-crd",
            Self::Upgrade => "upgrade",
            Self::FailingUpgrade => "failing-upgrade",
            Self::Mend => "mend",
            Self::RollBack => "roll-back",
            Self::Approve => "approve",
            Self::Remedy => "remedy",
            Self::TestRemedy => "test-remedy",
            Self::Forced => "forced",
            Self::Drift => "drift",
            Self::Test => "test",
            Self::MoveName => "move-name",
            Self::MoveNamespace => "move-namespace",
            Self::Uninstall => "uninstall",
            Self::UninstallUpgrading => "uninstall-waiting",
            Self::Adopt => "adopt",
            Self::AdoptNewer => "adopt-newer",
            Self::AdoptFlux => "adopt-flux",
            Self::Remote => "remote",
            Self::RemoteLeave => "remote-leave",
            Self::RemoteUninstall => "remote-uninstall",
            Self::StorageMove => "storage-move",
        }
    }

    /// What must stand at the end of an undisturbed run; `T` is the token.
    pub fn ends(self) -> &'static [&'static str] {
        match self {
            Self::Install => {
                &["release T/T: 1 deployed", "ConfigMap T/T-old 1.0.0 hello", "ConfigMap T/T-told 1.0.0 hello"]
            }
            Self::InstallDefinition => &["release T-to/T: 1 deployed", "Widget T-to/T-widget"],
            Self::Upgrade | Self::Approve => {
                &["release T/T: 1 superseded, 2 deployed", "ConfigMap T/T-new 1.1.0 hello"]
            }
            Self::FailingUpgrade => &["release T/T: 1 deployed, 2 failed"],
            Self::Mend => &["release T/T: 1 superseded, 2 failed, 3 deployed", "ConfigMap T/T-new 1.1.0 hello"],
            Self::RollBack => &["release T/T: 1 superseded, 2 superseded, 3 "],
            Self::Drift => &["release T/T: 1 deployed", "ConfigMap T/T-a 1.0.0 hello", "ConfigMap T/T-old 1.0.0 hello"],
            Self::Remedy => &["release T/T: 1 superseded, 2 failed, 3 deployed", "ConfigMap T/T-old 1.0.0 hello"],
            Self::TestRemedy => {
                &["release T/T: 1 superseded, 2 superseded, 3 deployed", "ConfigMap T/T-old 1.0.0 hello"]
            }
            Self::MoveName => {
                &["release T/T-moved: 1 deployed", "release T/T: none", "ConfigMap T/T-moved-a 1.0.0 hello"]
            }
            Self::MoveNamespace => {
                &["release T-to/T: 1 deployed", "release T/T: none", "ConfigMap T-to/T-a 1.0.0 hello"]
            }
            Self::Uninstall | Self::UninstallUpgrading => &["release T/T: none", "HelmRelease gone"],
            Self::Remote => &[
                "release T-there/T: 1 deployed",
                "ConfigMap T-there/T-a 1.0.0 hello",
                "HelmRelease in prod Ready=True",
            ],
            Self::RemoteLeave => &[
                "release T-there/T: none",
                "release T/T: 1 deployed",
                "ConfigMap T/T-a 1.0.0 hello",
                "HelmRelease Ready=True",
            ],
            Self::RemoteUninstall => &["release T-there/T: none", "HelmRelease gone"],
            Self::StorageMove => &[
                "release T/T: none",
                "release T-records/T: 1 superseded, 2 deployed",
                "ConfigMap T/T-a 1.1.0 hello",
                "HelmRelease Ready=True",
            ],
            Self::Adopt | Self::AdoptFlux | Self::Test => &["release T/T: 1 deployed", "HelmRelease Ready=True"],
            Self::AdoptNewer | Self::Forced => &["release T/T: 1 superseded, 2 deployed", "HelmRelease Ready=True"],
        }
    }
}

/// One release on the stage.
pub(super) struct Player<'a> {
    pub(super) story: &'a Story<'a>,
    pub(super) token: &'a str,
    /// The kubeconfig that leads to the other cluster, where there is one.
    pub(super) there: Option<&'a Path>,
}

impl Player<'_> {
    fn releases(&self) -> Api<HelmRelease> {
        Api::namespaced(self.story.client.clone(), self.token)
    }

    /// What comes before, up to the moment at which deaths count. The caller waits until it has settled.
    pub(super) async fn prepare(&self, scenario: Scenario) -> Result<()> {
        create_namespace(&self.story.client, self.token).await?;
        match scenario {
            Scenario::Install | Scenario::Test => {}
            Scenario::InstallDefinition => self.story.push(&chart::with_definition(self.token)).await?,
            Scenario::Upgrade | Scenario::Uninstall | Scenario::Remedy | Scenario::TestRemedy => {
                self.declare(chart::HOOKED, "1.0.0", json!({})).await?;
            }
            Scenario::Drift => {
                let drift = json!({ "driftDetection": { "mode": "enabled" } });
                self.declare(chart::PLAIN, "1.0.0", drift).await?;
            }
            Scenario::Approve => {
                self.declare(chart::HOOKED, "1.0.0", json!({})).await?;
                self.settled_at(1).await?;
                self.declare(chart::HOOKED, "1.1.0", json!({ "plan": { "mode": "Manual" } })).await?;
            }
            Scenario::FailingUpgrade | Scenario::Forced | Scenario::MoveName | Scenario::MoveNamespace => {
                self.declare(chart::PLAIN, "1.0.0", json!({})).await?;
            }
            Scenario::Mend | Scenario::RollBack | Scenario::UninstallUpgrading => {
                self.declare(chart::PLAIN, "1.0.0", json!({})).await?;
                self.settled_at(1).await?;
                match scenario {
                    Scenario::Mend => self.refused_upgrade().await?,
                    Scenario::UninstallUpgrading => {
                        self.declare(chart::PLAIN, "1.1.0", json!({ "values": { "waits": true } })).await?;
                    }
                    _ => self.declare(chart::PLAIN, "1.1.0", json!({})).await?,
                }
            }
            Scenario::Adopt | Scenario::AdoptNewer => self.helm_install(&chart::plain(chart::PLAIN, "1.0.0")).await?,
            Scenario::AdoptFlux => self.helm_install(&chart::from_flux()).await?,
            Scenario::Remote => self.lead_there().await?,
            Scenario::RemoteLeave | Scenario::RemoteUninstall => {
                self.lead_there().await?;
                self.declare(chart::PLAIN, "1.0.0", self.elsewhere()).await?;
            }
            Scenario::StorageMove => {
                create_namespace(&self.story.client, &format!("{}-records", self.token)).await?;
                self.declare(chart::PLAIN, "1.0.0", json!({})).await?;
                self.settled_at(1).await?;
                self.declare(chart::PLAIN, "1.1.0", json!({})).await?;
            }
        }
        Ok(())
    }

    /// What is done, while the operator may die at each of its writes.
    pub(super) async fn act(&self, scenario: Scenario) -> Result<()> {
        match scenario {
            Scenario::Install => self.declare(chart::HOOKED, "1.0.0", json!({})).await,
            Scenario::InstallDefinition => {
                let release = json!({ "namespace": format!("{}-to", self.token), "createNamespace": true });
                self.declare(self.token, "1.0.0", json!({ "release": release })).await
            }
            Scenario::Approve => self.approve().await,
            Scenario::Upgrade => self.declare(chart::HOOKED, "1.1.0", json!({})).await,
            Scenario::FailingUpgrade => self.refused_upgrade().await,
            Scenario::Mend | Scenario::AdoptNewer => self.declare(chart::PLAIN, "1.1.0", json!({})).await,
            Scenario::Remedy => {
                let spec = json!({
                    "values": { "refused": true },
                    "upgrade": { "remediation": { "retries": 0 } },
                    "rollback": { "afterHooks": true },
                });
                self.declare(chart::HOOKED, "1.1.0", spec).await
            }
            Scenario::TestRemedy => {
                let spec = json!({
                    "values": { "mood": play::FAIL },
                    "test": { "enable": true },
                    "upgrade": { "remediation": { "retries": 0 } },
                    "rollback": { "afterHooks": true },
                });
                self.declare(chart::HOOKED, "1.1.0", spec).await
            }
            Scenario::Forced => {
                let demand = json!({ "metadata": { "annotations": { FORCE_AT: "now" } } });
                self.releases().patch(self.token, &PatchParams::default(), &Patch::Merge(&demand)).await?;
                Ok(())
            }
            Scenario::Drift => self.drift().await,
            Scenario::Test => self.declare(chart::HOOKED, "1.0.0", json!({ "test": { "enable": true } })).await,
            Scenario::RollBack => self.story.helm.rollback(self.token, self.token, 1).await,
            Scenario::MoveName => {
                let release = json!({ "name": format!("{}-moved", self.token) });
                self.declare(chart::PLAIN, "1.0.0", json!({ "release": release })).await
            }
            Scenario::MoveNamespace => {
                let release = json!({ "namespace": format!("{}-to", self.token), "createNamespace": true });
                self.declare(chart::PLAIN, "1.0.0", json!({ "release": release })).await
            }
            Scenario::Remote => self.declare(chart::PLAIN, "1.0.0", self.elsewhere()).await,
            Scenario::StorageMove => {
                let records = json!({ "storageNamespace": format!("{}-records", self.token) });
                self.declare(chart::PLAIN, "1.1.0", records).await
            }
            Scenario::Uninstall | Scenario::UninstallUpgrading | Scenario::RemoteUninstall => {
                self.releases().delete(self.token, &DeleteParams::default()).await?;
                Ok(())
            }
            Scenario::Adopt | Scenario::AdoptFlux | Scenario::RemoteLeave => {
                self.declare(chart::PLAIN, "1.0.0", json!({})).await
            }
        }
    }

    /// The spec of a release in the other cluster, in a namespace that is called otherwise there.
    fn elsewhere(&self) -> Value {
        json!({
            "kubeConfig": { "secretRef": { "name": "prod" } },
            "release": { "namespace": format!("{}-there", self.token), "createNamespace": true },
        })
    }

    /// Creates the Secret with the kubeconfig of the other cluster.
    async fn lead_there(&self) -> Result<()> {
        let kubeconfig = std::fs::read_to_string(self.there.context("there is no other cluster")?)?;
        let secret = json!({ "metadata": { "name": "prod" }, "stringData": { "value": kubeconfig } });
        let secrets = Api::<Secret>::namespaced(self.story.client.clone(), self.token);
        secrets.create(&PostParams::default(), &serde_json::from_value(secret)?).await?;
        Ok(())
    }

    async fn approve(&self) -> Result<()> {
        let release = self.releases().get(self.token).await?;
        let plan = release.status.and_then(|status| status.plan).context("no plan waits")?;
        let approved = json!({ "metadata": { "annotations": { "helm-operator.ketches.cn/approve": plan.digest } } });
        self.releases().patch(self.token, &PatchParams::default(), &Patch::Merge(approved)).await?;
        Ok(())
    }

    async fn drift(&self) -> Result<()> {
        let maps = Api::<ConfigMap>::namespaced(self.story.client.clone(), self.token);
        let changed = Patch::Merge(json!({ "data": { "greeting": "changed" } }));
        maps.patch(&format!("{}-a", self.token), &PatchParams::default(), &changed).await?;
        maps.delete(&format!("{}-old", self.token), &DeleteParams::default()).await?;
        Ok(())
    }

    async fn refused_upgrade(&self) -> Result<()> {
        let spec = json!({ "values": { "refused": true }, "upgrade": { "cleanupOnFail": true } });
        self.declare(chart::PLAIN, "1.1.0", spec).await
    }

    /// Applies the release as a whole: what an earlier declaration had and this one lacks goes.
    async fn declare(&self, chart: &str, version: &str, spec: Value) -> Result<()> {
        let repository = json!({ "name": "charts", "namespace": self.story.namespace });
        let mut release = json!({
            "apiVersion": "helm-operator.ketches.cn/v1alpha1",
            "kind": "HelmRelease",
            "metadata": { "name": self.token, "namespace": self.token },
            "spec": { "chart": { "name": chart, "version": version, "repository": repository } },
        });
        let Value::Object(spec) = spec else { bail!("a spec is an object") };
        release["spec"].as_object_mut().context("just written")?.extend(spec);
        self.releases().patch(self.token, &PatchParams::apply("a-person").force(), &Patch::Apply(&release)).await?;
        Ok(())
    }

    async fn helm_install(&self, chart: &Chart) -> Result<()> {
        let scratch = Scratch::new("adopted")?;
        let folder = chart.write(scratch.path())?;
        let folder = folder.to_str().context("a temporary path is text")?;
        self.story.helm.run(&["install", self.token, folder, "--namespace", self.token]).await.map(drop)
    }

    async fn settled_at(&self, revision: i64) -> Result<()> {
        crate::eventually::object(&self.releases(), self.token, super::PATIENCE, |release| {
            crate::status::ready(release)?;
            let state = release.status.as_ref().and_then(|status| status.helm_release.as_ref());
            anyhow::ensure!(state.is_some_and(|state| state.revision == revision), "not at revision {revision}");
            Ok(())
        })
        .await
        .map(drop)
    }
}

async fn create_namespace(client: &Client, name: &str) -> Result<()> {
    let namespace = serde_json::from_value(json!({ "metadata": { "name": name } }))?;
    Api::<Namespace>::all(client.clone()).create(&PostParams::default(), &namespace).await?;
    Ok(())
}
