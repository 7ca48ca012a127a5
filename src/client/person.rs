//! Which cluster a command asks, and as whom: what `kubectl` is told by the same flags.

use std::path::PathBuf;
use std::sync::Arc;

use clap::Args;
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Client, Config};

use super::{Error, Limits, build};

/// The cluster, the identity and the namespace of a command.
#[derive(Debug, Clone, Default, Args)]
pub struct Person {
    /// The namespace. Default: that of the kubeconfig's context.
    #[arg(short, long)]
    pub namespace: Option<String>,

    /// The kubeconfig. Default: what `KUBECONFIG` names, else `~/.kube/config`, else the service account of the pod.
    #[arg(long)]
    pub kubeconfig: Option<PathBuf>,

    /// The context of the kubeconfig. Default: its current one.
    #[arg(long)]
    pub context: Option<String>,
}

impl Person {
    /// A client, and the namespace that is meant. Must be called within a Tokio runtime.
    ///
    /// # Errors
    ///
    /// The kubeconfig cannot be used.
    pub async fn connect(&self) -> Result<(Client, String), Error> {
        let config = self.config().await?;
        let namespace = self.namespace.clone().unwrap_or_else(|| config.default_namespace.clone());
        Ok((build(config, Arc::default(), Limits::default())?, namespace))
    }

    async fn config(&self) -> Result<Config, Error> {
        let unusable = |source| Error::Kubeconfig { file: self.kubeconfig.clone(), source };
        let kubeconfig = match &self.kubeconfig {
            Some(file) => Kubeconfig::read_from(file),
            None if self.context.is_none() => return Config::infer().await.map_err(Error::InferConfig),
            None => Kubeconfig::read(),
        };
        let chosen = KubeConfigOptions { context: self.context.clone(), ..KubeConfigOptions::default() };
        Config::from_custom_kubeconfig(kubeconfig.map_err(unusable)?, &chosen).await.map_err(unusable)
    }
}
