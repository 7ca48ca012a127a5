//! Connections that go dead without a word: nothing hangs on them.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use e2e::apiserver::ControlPlane;
use e2e::kwok::{PLAY, play};
use helm_operator::client::{Limits, build};
use helm_operator::cluster::{Cluster, WaitOptions};
use kube::Config;
use kube::api::{Patch, PatchParams};
use kube::config::{KubeConfigOptions, Kubeconfig};
use serde_json::json;
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::{Ground, LONG, config_map, deployment};

const LIMITS: Limits =
    Limits { request: Duration::from_secs(5), watch: Duration::from_secs(3), answer: usize::MAX, event: usize::MAX };

/// What stands between client and server, and forgets connections as a firewall does: neither side hears of it.
struct Firewall {
    address: SocketAddr,
    forgotten: watch::Sender<usize>,
    listening: JoinHandle<()>,
}

impl Firewall {
    async fn before(server: String) -> Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let (address, forgotten) = (listener.local_addr()?, watch::Sender::new(0));
        let forget = forgotten.subscribe();
        let listening = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let mut forget = forget.clone();
                forget.mark_unchanged();
                tokio::spawn(pass(client, server.clone(), forget));
            }
        });
        Ok(Self { address, forgotten, listening })
    }

    /// Lets nothing through any more on connections that are open; new ones are as good as before.
    fn forget(&self) {
        self.forgotten.send_modify(|times| *times += 1);
    }
}

async fn pass(mut client: TcpStream, server: String, mut forget: watch::Receiver<usize>) -> Result<()> {
    let mut server = TcpStream::connect(server).await?;
    tokio::select! {
        _ = copy_bidirectional(&mut client, &mut server) => Ok(()),
        _ = forget.changed() => std::future::pending().await,
    }
}

impl Drop for Firewall {
    fn drop(&mut self) {
        self.listening.abort();
    }
}

/// The ground as seen through a firewall.
async fn behind_firewall(namespace: &str) -> Result<(Ground, Firewall)> {
    let plane = ControlPlane::shared().await?;
    let ground = Ground::new(namespace).await?;
    let kubeconfig = Kubeconfig::read_from(plane.kubeconfig())?;
    let mut config = Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await?;
    let server = config.cluster_url.authority().context("a server")?.to_string();
    let firewall = Firewall::before(server).await?;
    config.cluster_url = format!("https://{}/", firewall.address).parse()?;
    let cluster = Cluster::new(build(config, Arc::default(), LIMITS)?);
    Ok((Ground { cluster, ..ground }, firewall))
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_and_waits_outlive_connections_that_go_dead() -> Result<()> {
    let (ground, firewall) = behind_firewall("silence").await?;
    let objects = ground.objects(&[deployment("web", play::NEVER_READY), config_map("a", json!({}))]).await?;
    let options = ground.apply_options("shop");
    let applied = ground.cluster.apply(&objects, &options).await?;

    firewall.forget();
    let begun = Instant::now();
    ground.cluster.apply(&objects, &options).await?;
    ensure!(begun.elapsed() < LIMITS.request * 3, "after {:?}", begun.elapsed());

    let wait = WaitOptions { timeout: LONG, declared: LONG, jobs: true };
    let forget_and_mend = async {
        // The watch is open, and has told what there is to tell, once it has seen the pod fail to become ready.
        let pods = ground.api("v1", "Pod");
        e2e::eventually::eventually("a pod runs", LONG, || async {
            let pods = pods.list(&kube::api::ListParams::default().labels("app=web")).await?;
            ensure!(pods.items.iter().any(|pod| pod.data["status"]["phase"] == "Running"), "none yet");
            Ok(())
        })
        .await?;
        firewall.forget();
        let mended = json!({ "spec": { "template": { "metadata": { "annotations": { PLAY: "" } } } } });
        let deployments = ground.api("apps/v1", "Deployment");
        deployments.patch("web", &PatchParams::default(), &Patch::Merge(&mended)).await?;
        anyhow::Ok(())
    };
    let (waited, mended) = tokio::join!(ground.cluster.wait_ready(&applied, &wait), forget_and_mend);
    mended?;
    waited?;
    Ok(())
}
