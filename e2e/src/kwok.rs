//! The nodes of the cluster: kwok plays one big node, and how each pod on it lives.
//!
//! A pod becomes ready at once, and a Job's pod completes, unless its annotation [`PLAY`] asks for another play.

use std::fs;
use std::path::Path;

use anyhow::Result;
use k8s_openapi::api::core::v1::Node;
use kube::api::PostParams;
use kube::{Api, Client};
use serde_json::json;

use crate::apiserver::Flags;
use crate::process::Process;
use crate::tools::Tool;

/// The pod annotation that chooses the play.
pub const PLAY: &str = "e2e.helm-operator/play";

/// Plays for the annotation [`PLAY`].
pub mod play {
    /// Runs, but its readiness probe fails for ever.
    pub const NEVER_READY: &str = "never-ready";
    /// Its image cannot be pulled.
    pub const IMAGE_PULL: &str = "image-pull";
    /// Its container ends with an error again and again.
    pub const CRASH: &str = "crash";
    /// A Job's pod that fails.
    pub const FAIL: &str = "fail";
    /// A Job's pod that never ends.
    pub const HANG: &str = "hang";
    /// Becomes ready two seconds later than others.
    pub const SLOW: &str = "slow";
}

const STAGES: &str = include_str!("kwok/stages.yaml");

pub(crate) async fn spawn(folder: &Path, kubeconfig: &Path) -> Result<Process> {
    let stages = folder.join("kwok.yaml");
    fs::write(&stages, STAGES)?;
    let mut flags = Flags::new(Tool::Kwok).await?;
    flags.set("kubeconfig", kubeconfig.display()).set("config", stages.display());
    flags.set("manage-all-nodes", true).set("node-lease-duration-seconds", 40);
    flags.spawn(folder)
}

pub(crate) async fn add_node(client: Client) -> Result<()> {
    let node = serde_json::from_value(json!({
        "metadata": { "name": "kwok", "labels": { "kubernetes.io/hostname": "kwok", "kubernetes.io/os": "linux" } },
        "status": {
            "allocatable": { "cpu": "1000", "memory": "4Ti", "pods": "100000" },
            "capacity": { "cpu": "1000", "memory": "4Ti", "pods": "100000" },
        },
    }))?;
    Api::<Node>::all(client).create(&PostParams::default(), &node).await?;
    Ok(())
}
