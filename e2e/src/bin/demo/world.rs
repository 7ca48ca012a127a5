//! The demo's world: a cluster, a registry that asks for a password over TLS, charts in it, and the operator.

use std::path::Path;

use anyhow::{Context, Result, ensure};
use e2e::apiserver::ControlPlane;
use e2e::helm::{Helm, Login};
use e2e::kubectl::Kubectl;
use e2e::operator::{self, Operator, Setup};
use e2e::process::Scratch;
use e2e::registry::{Face, Registry, TlsMode, User};
use e2e::{charts, eventually, story};
use helm_operator::api::{HelmRelease, HelmRepository};
use kube::api::{Patch, PatchParams};
use kube::{Api, Client};
use serde_json::{Value, json};

use crate::screen::Screen;
use crate::{Cluster, PATIENCE};

/// Where the demo's objects live.
pub(crate) const NAMESPACE: &str = "helm-operator-demo";
const USER: &str = "demo";
/// The registry's password.
pub(crate) const PASSWORD: &str = "correct-horse-battery-staple";

/// What a cluster has that an operator of this kind may be at work in.
const DEFINITIONS: [&str; 4] = [
    "helmreleases.helm-operator.ketches.cn",
    "helmrepositories.helm-operator.ketches.cn",
    "helmreleasedefaults.helm-operator.ketches.cn",
    "clusterhelmreleasedefaults.helm-operator.ketches.cn",
];

/// Refuses a cluster in which the demo would act beside an operator, or take away what is not its own.
async fn free_of_operators(kubectl: &Kubectl) -> Result<()> {
    let there = kubectl.run(&["get", "customresourcedefinitions", "--output", "name"]).await?;
    let found = DEFINITIONS.iter().find(|name| there.contains(**name));
    ensure!(found.is_none(), "the cluster has {} already: an operator may be at work in it", found.unwrap_or(&""));
    Ok(())
}

/// Everything that runs. Dropping it ends it.
pub(crate) struct World {
    operator: Option<Operator>,
    pub(crate) helm: Helm,
    pub(crate) kubectl: Kubectl,
    registry: Registry,
    cluster: Cluster,
    plane: ControlPlane,
}

impl World {
    pub(crate) async fn build(screen: &Screen, cluster: Cluster) -> Result<Self> {
        operator::binary().await?;
        let plane = match cluster {
            Cluster::Own => ControlPlane::start_own().await?,
            Cluster::Current => ControlPlane::current().await?,
        };
        screen.line(&format!("  cluster ready after {:.1?}", screen.elapsed()));
        let kubectl = Kubectl::new(plane.kubeconfig()).await?;
        if cluster == Cluster::Current {
            free_of_operators(&kubectl).await?;
            screen.line("  releases are not waited for: the images of the demo are in no registry");
        }
        story::install_definitions(plane.client().await?).await?;
        kubectl.run(&["create", "namespace", NAMESPACE]).await?;
        let user = User::new(USER, PASSWORD);
        let registry = Registry::start(Face::basic(vec![user]).tls(TlsMode::OwnCa)).await?;
        screen.line(&format!("  registry at {}, basic authentication, TLS by its own authority", registry.url()));
        let helm = Helm::new(Some(plane.kubeconfig())).await?;
        let world = Self { operator: None, helm, kubectl, registry, cluster, plane };
        world.push_charts(screen).await?;
        Ok(world)
    }

    /// Takes everything away that was made in a cluster that stays.
    pub(crate) async fn leave(&self, screen: &Screen) -> Result<()> {
        if self.cluster == Cluster::Own {
            return Ok(());
        }
        screen.title("Leave the cluster as it was");
        for arguments in [
            &["delete", "helmreleases,helmrepositories", "--all", "--namespace", NAMESPACE, "--timeout", "60s"][..],
            &["delete", "namespace", NAMESPACE, "--timeout", "120s"],
            &[&["delete", "customresourcedefinitions", "--timeout", "60s"], DEFINITIONS.as_slice()].concat(),
        ] {
            screen.lines(&self.kubectl.run(arguments).await?);
        }
        Ok(())
    }

    async fn push_charts(&self, screen: &Screen) -> Result<()> {
        let scratch = Scratch::new("charts")?;
        let ca_file = scratch.join("ca.crt");
        std::fs::write(&ca_file, self.registry.ca_pem().context("the registry speaks TLS")?)?;
        let login = Login { basic: Some((USER.to_owned(), PASSWORD.to_owned())), ca_file: Some(ca_file) };
        let (old, new) = (Scratch::new("chart")?, Scratch::new("chart")?);
        let web = charts::web("web", "0.1.0").write(old.path())?;
        let newer = charts::web("web", "0.2.0").write(new.path())?;
        // The chart everybody starts from, whatever helm puts into it.
        let hello = self.helm.create(scratch.path(), "hello").await?;
        for (chart, version) in [(&web, "0.1.0"), (&newer, "0.2.0"), (&hello, "0.1.3")] {
            let archive = self.helm.package(chart, scratch.path(), Some(version)).await?;
            self.helm.push(&archive, &self.charts_url(), &login).await?;
            let name = archive.file_name().unwrap_or_default().to_string_lossy().into_owned();
            screen.line(&format!("  helm push {name} {}", self.charts_url()));
        }
        Ok(())
    }

    fn charts_url(&self) -> String {
        format!("{}/charts", self.registry.url())
    }

    /// How to point kubectl at the cluster, where it does not speak to it anyway.
    pub(crate) fn own_kubeconfig(&self) -> Option<&Path> {
        (self.cluster == Cluster::Own).then(|| self.plane.kubeconfig())
    }

    pub(crate) async fn client(&self) -> Result<Client> {
        self.plane.client().await
    }

    pub(crate) async fn start_operator(&mut self) -> Result<()> {
        let operator = Setup::new(self.plane.kubeconfig())?.start().await?;
        operator.keep_secret(PASSWORD);
        self.operator = Some(operator);
        Ok(())
    }

    pub(crate) fn operator_log(&self) -> String {
        self.operator.as_ref().map(Operator::log_tail).unwrap_or_default()
    }

    pub(crate) fn check_operator_log(&self) -> Result<()> {
        self.operator.as_ref().context("the operator runs")?.check_log()
    }

    /// The Secret as a person writes it: applied, with the text as it is.
    pub(crate) async fn set_password(&self, password: &str) -> Result<()> {
        let secret = json!({
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": { "name": "registry-login" },
            "stringData": { "username": USER, "password": password, "ca.crt": self.registry.ca_pem() },
        });
        self.kubectl.apply(NAMESPACE, &secret.to_string()).await.map(drop)
    }

    pub(crate) fn repository(&self) -> Value {
        json!({
            "apiVersion": "helm-operator.ketches.cn/v1alpha1",
            "kind": "HelmRepository",
            "metadata": { "name": "charts" },
            "spec": {
                "url": self.charts_url(),
                "type": "oci",
                "auth": {
                    "basic": { "secretRef": { "name": "registry-login" } },
                    "tls": { "secretRef": { "name": "registry-login" } },
                },
            },
        })
    }

    pub(crate) fn release(&self, chart: &str, version: &str) -> Value {
        let wait = json!({ "wait": self.cluster == Cluster::Own });
        json!({
            "apiVersion": "helm-operator.ketches.cn/v1alpha1",
            "kind": "HelmRelease",
            "metadata": { "name": chart },
            "spec": {
                "chart": { "name": chart, "version": version, "ociRepository": format!("{}/{chart}", self.charts_url()) },
                "values": { "replicaCount": 2 },
                "install": wait,
                "upgrade": wait,
            },
        })
    }

    pub(crate) async fn patch_release(&self, name: &str, patch: Value) -> Result<()> {
        let releases: Api<HelmRelease> = Api::namespaced(self.client().await?, NAMESPACE);
        releases.patch(name, &PatchParams::default(), &Patch::Merge(patch)).await?;
        Ok(())
    }

    pub(crate) async fn release_until(
        &self,
        name: &str,
        check: impl FnMut(&HelmRelease) -> Result<()>,
    ) -> Result<HelmRelease> {
        let releases = Api::namespaced(self.client().await?, NAMESPACE);
        eventually::object(&releases, name, PATIENCE, check).await
    }

    pub(crate) async fn repository_until(
        &self,
        check: impl FnMut(&HelmRepository) -> Result<()>,
    ) -> Result<HelmRepository> {
        let repositories = Api::namespaced(self.client().await?, NAMESPACE);
        eventually::object(&repositories, "charts", PATIENCE, check).await
    }
}
