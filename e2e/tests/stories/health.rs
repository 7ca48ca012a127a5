//! What the operator says of itself, when little is left to say it with.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use e2e::apiserver::ControlPlane;
use e2e::eventually::eventually;
use e2e::operator::Setup;
use e2e::story::{SOON, block_on, install_definitions};
use tokio::net::TcpStream;

/// More than it has files for.
const CONNECTIONS: usize = 150;
const FILES: u32 = 100;

#[test]
fn out_of_files_it_does_not_spin_and_answers_when_there_are_some() -> Result<()> {
    block_on(async {
        let plane = ControlPlane::api_only().await?;
        install_definitions(plane.client().await?).await?;
        let operator = Setup::new(plane.kubeconfig())?.open_files(FILES).start().await?;
        let mut held = Vec::new();
        for _ in 0..CONNECTIONS {
            held.push(TcpStream::connect(operator.health_address()).await?);
        }
        eventually("it runs out of files", SOON, async || {
            ensure!(operator.log().contains("failed to accept a connection"), "it accepts them all");
            Ok(())
        })
        .await?;
        let (before, start) = (operator.usage()?.cpu_seconds, Instant::now());
        tokio::time::sleep(Duration::from_secs(2)).await;
        let share = (operator.usage()?.cpu_seconds - before) / start.elapsed().as_secs_f64();
        ensure!(share < 0.2, "out of files it takes {share:.2} of a CPU");
        drop(held);
        let alive = format!("http://{}/healthz", operator.health_address());
        eventually("it answers again", SOON, async || {
            ensure!(reqwest::get(&alive).await?.status().is_success(), "it says that it is not alive");
            Ok(())
        })
        .await?;
        operator.check_log()
    })
}
