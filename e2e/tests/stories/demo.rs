//! `cargo demo` on a cluster that is there: it shows what it should, and leaves nothing behind.

use std::time::Duration;

use anyhow::{Result, ensure};
use e2e::apiserver::ControlPlane;
use e2e::kubectl::Kubectl;
use e2e::operator;
use e2e::story::block_on;
use tokio::process::Command;
use tokio::time::timeout;

#[test]
fn the_demo_plays_on_a_cluster_that_is_there_and_leaves_it_as_it_was() -> Result<()> {
    block_on(async {
        let plane = ControlPlane::start_own().await?;
        let mut demo = Command::new(env!("CARGO_BIN_EXE_demo"));
        demo.args(["--once", "--cluster", "current"]).env("KUBECONFIG", plane.kubeconfig());
        demo.env("HELM_OPERATOR_BINARY", operator::binary().await?).kill_on_drop(true);
        let played = timeout(Duration::from_mins(5), demo.output()).await??;
        let shown = String::from_utf8_lossy(&played.stdout);
        ensure!(played.status.success() && shown.contains("all as it should be"), "the demo shows:\n{shown}");

        let kubectl = Kubectl::new(plane.kubeconfig()).await?;
        let left = kubectl.run(&["get", "namespaces,customresourcedefinitions", "--output", "name"]).await?;
        ensure!(!left.contains("helm-operator"), "the demo leaves behind:\n{left}");
        Ok(())
    })
}
