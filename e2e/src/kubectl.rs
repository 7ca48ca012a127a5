//! The real `kubectl`: stories apply manifests as people do, and a failed one shows the cluster as people look at it.

use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};

use anyhow::{Context, Result, bail};
use tokio::io::AsyncWriteExt as _;
use tokio::process::Command;

use crate::tools::Tool;

/// `kubectl` with a kubeconfig.
#[derive(Clone, Debug)]
pub struct Kubectl {
    program: PathBuf,
    kubeconfig: PathBuf,
}

impl Kubectl {
    /// A kubectl for the cluster of a kubeconfig.
    ///
    /// # Errors
    /// When it is missing and cannot be built.
    pub async fn new(kubeconfig: &Path) -> Result<Self> {
        Ok(Self { program: Tool::Kubectl.ready().await?, kubeconfig: kubeconfig.to_owned() })
    }

    /// Runs kubectl and returns its standard output.
    ///
    /// # Errors
    /// Its own words, when it does not end well.
    pub async fn run(&self, arguments: &[&str]) -> Result<String> {
        self.run_with_input(arguments, "").await
    }

    /// Applies manifests to a namespace (those that name one themselves go there).
    ///
    /// # Errors
    /// The API server's words.
    pub async fn apply(&self, namespace: &str, manifests: &str) -> Result<String> {
        self.run_with_input(&["apply", "--namespace", namespace, "--filename", "-"], manifests).await
    }

    /// Applies manifests as they are written: each to the namespace it names, or to `default`.
    ///
    /// # Errors
    /// The API server's words.
    pub async fn apply_as_written(&self, manifests: &str) -> Result<String> {
        self.run_with_input(&["apply", "--filename", "-"], manifests).await
    }

    /// Runs kubectl and returns what it said on standard error: warnings, since it ended well.
    ///
    /// # Errors
    /// Its own words, when it does not end well.
    pub async fn warnings(&self, arguments: &[&str]) -> Result<String> {
        let output = self.output(arguments, "").await?;
        Ok(String::from_utf8_lossy(&output.stderr).into_owned())
    }

    async fn run_with_input(&self, arguments: &[&str], input: &str) -> Result<String> {
        let output = self.output(arguments, input).await?;
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }

    async fn output(&self, arguments: &[&str], input: &str) -> Result<Output> {
        let mut child = Command::new(&self.program)
            .args(arguments)
            .env("KUBECONFIG", &self.kubeconfig)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .context("failed to start kubectl")?;
        if let Some(mut stdin) = child.stdin.take() {
            stdin.write_all(input.as_bytes()).await.context("failed to hand manifests to kubectl")?;
        }
        let output = child.wait_with_output().await?;
        if !output.status.success() {
            bail!("kubectl {}: {}", arguments.join(" "), String::from_utf8_lossy(&output.stderr).trim());
        }
        Ok(output)
    }
}
