//! The real `helm`, as a person at a terminal would use it: with its own settings folder and no memory of other runs.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use anyhow::{Context, Result, bail};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use tokio::process::Command;

use crate::process::Scratch;
use crate::tools::Tool;

/// A helm of one version, that acts on one cluster (or on none).
#[derive(Debug)]
pub struct Helm {
    program: PathBuf,
    kubeconfig: Option<PathBuf>,
    home: Scratch,
    driver: Option<String>,
}

/// A row of `helm list`.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq)]
pub struct Listed {
    /// The release.
    pub name: String,
    /// Its namespace.
    pub namespace: String,
    /// The newest revision, as text: so prints helm.
    pub revision: String,
    /// Its status, such as `deployed`.
    pub status: String,
    /// The chart's name and version, joined by a dash.
    pub chart: String,
}

/// A row of `helm history`.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq)]
pub struct Revision {
    /// The revision.
    pub revision: u32,
    /// Its status, such as `superseded`.
    pub status: String,
    /// The chart's name and version, joined by a dash.
    pub chart: String,
    /// What happened.
    pub description: String,
}

/// How helm reaches a registry.
#[derive(Clone, Debug, Default)]
pub struct Login {
    /// User name and password, if the registry asks for them.
    pub basic: Option<(String, String)>,
    /// The file with the authority that signed the registry's certificate; without one, plain HTTP is spoken.
    pub ca_file: Option<PathBuf>,
}

impl Helm {
    /// Helm 4.
    ///
    /// # Errors
    /// When it is missing and cannot be built.
    pub async fn new(kubeconfig: Option<&Path>) -> Result<Self> {
        Self::with(Tool::Helm, kubeconfig).await
    }

    /// Helm 3.
    ///
    /// # Errors
    /// When it is missing and cannot be built.
    pub async fn v3(kubeconfig: Option<&Path>) -> Result<Self> {
        Self::with(Tool::Helm3, kubeconfig).await
    }

    async fn with(tool: Tool, kubeconfig: Option<&Path>) -> Result<Self> {
        let program = tool.ready().await?;
        Ok(Self { program, kubeconfig: kubeconfig.map(Path::to_owned), home: Scratch::new("helm")?, driver: None })
    }

    /// The same, with its releases kept in another kind of object, such as `configmap`.
    #[must_use]
    pub fn driver(mut self, driver: &str) -> Self {
        self.driver = Some(driver.to_owned());
        self
    }

    /// Runs helm and returns its standard output.
    ///
    /// # Errors
    /// Helm's own words, when it does not end well.
    pub async fn run(&self, arguments: &[&str]) -> Result<String> {
        self.run_in(self.home.path(), arguments).await
    }

    async fn run_in(&self, folder: &Path, arguments: &[&str]) -> Result<String> {
        let mut command = Command::new(&self.program);
        command.args(arguments).current_dir(folder).stdin(Stdio::null()).kill_on_drop(true);
        for (variable, name) in
            [("HELM_CONFIG_HOME", "config"), ("HELM_CACHE_HOME", "cache"), ("HELM_DATA_HOME", "data")]
        {
            command.env(variable, self.home.join(name));
        }
        command.envs(self.driver.iter().map(|driver| ("HELM_DRIVER", driver)));
        command.env("KUBECONFIG", self.kubeconfig.as_deref().unwrap_or_else(|| Path::new("/dev/null")));
        let output = command.output().await.context("failed to start helm")?;
        if !output.status.success() {
            bail!("helm {}: {}", arguments.join(" "), String::from_utf8_lossy(&output.stderr).trim());
        }
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }

    async fn json<T: DeserializeOwned>(&self, arguments: &[&str]) -> Result<T> {
        let output = self.run(&[arguments, &["--output", "json"]].concat()).await?;
        serde_json::from_str(&output).with_context(|| format!("helm {} said no JSON", arguments.join(" ")))
    }

    /// `helm create`: the chart everybody starts from, in `folder`.
    ///
    /// # Errors
    /// Helm's own words.
    pub async fn create(&self, folder: &Path, name: &str) -> Result<PathBuf> {
        self.run_in(folder, &["create", name]).await?;
        Ok(folder.join(name))
    }

    /// Packs a chart folder into an archive in `into`, with another version if one is given.
    ///
    /// # Errors
    /// Helm's own words.
    pub async fn package(&self, chart: &Path, into: &Path, version: Option<&str>) -> Result<PathBuf> {
        let (chart, into) = (utf8(chart)?, utf8(into)?);
        let mut arguments = vec!["package", chart, "--destination", into];
        arguments.extend(version.iter().flat_map(|version| ["--version", version]));
        let said = self.run(&arguments).await?;
        let (_, archive) = said.trim().rsplit_once("saved it to: ").context("helm package named no archive")?;
        Ok(archive.into())
    }

    /// Pushes an archive below `oci://…`.
    ///
    /// # Errors
    /// Helm's own words.
    pub async fn push(&self, archive: &Path, to: &str, login: &Login) -> Result<()> {
        let flags = login.flags()?;
        let flags: Vec<&str> = flags.iter().map(String::as_str).collect();
        self.run(&[&["push", utf8(archive)?, to], flags.as_slice()].concat()).await?;
        Ok(())
    }

    /// The releases of a namespace, whatever their status.
    ///
    /// # Errors
    /// Helm's own words.
    pub async fn list(&self, namespace: &str) -> Result<Vec<Listed>> {
        // Helm 4 lists every status by itself; Helm 3 must be asked, and Helm 4 knows the flag no more.
        let all: &[&str] = if self.program.ends_with(Tool::Helm3.name()) { &["--all"] } else { &[] };
        self.json(&[&["list", "--namespace", namespace], all].concat()).await
    }

    /// The revisions of a release, oldest first.
    ///
    /// # Errors
    /// Helm's own words, such as that there is no such release.
    pub async fn history(&self, namespace: &str, release: &str) -> Result<Vec<Revision>> {
        self.json(&["history", release, "--namespace", namespace]).await
    }

    /// Rolls a release back to a revision.
    ///
    /// # Errors
    /// Helm's own words.
    pub async fn rollback(&self, namespace: &str, release: &str, revision: u32) -> Result<()> {
        self.run(&["rollback", release, &revision.to_string(), "--namespace", namespace]).await?;
        Ok(())
    }

    /// What the release's newest revision applied.
    ///
    /// # Errors
    /// Helm's own words.
    pub async fn manifest(&self, namespace: &str, release: &str) -> Result<String> {
        self.run(&["get", "manifest", release, "--namespace", namespace]).await
    }
}

impl Login {
    fn flags(&self) -> Result<Vec<String>> {
        let mut flags = Vec::new();
        if let Some((username, password)) = &self.basic {
            flags.extend([format!("--username={username}"), format!("--password={password}")]);
        }
        flags.push(match &self.ca_file {
            Some(file) => format!("--ca-file={}", utf8(file)?),
            None => "--plain-http".to_owned(),
        });
        Ok(flags)
    }
}

fn utf8(path: &Path) -> Result<&str> {
    path.to_str().with_context(|| format!("{} is not UTF-8", path.display()))
}
