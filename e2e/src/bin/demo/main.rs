//! `cargo demo`: the operator at work, on a real control plane and a real registry, as a person would watch it.
//!
//! Every step ends with a check; `--once` walks through, cleans up and tells by its exit code whether all were as they should be.

mod screen;
mod world;

use std::process::ExitCode;

use anyhow::{Context, Result, ensure};
use clap::Parser;
use e2e::status;
use e2e::story::SOON;
use helm_operator::api::Reason;
use serde_json::json;

use crate::screen::Screen;
use crate::world::{NAMESPACE, World};

/// Shows helm-operator at work.
#[derive(Debug, Parser)]
struct Args {
    /// Walk through, clean up and exit, instead of staying until Ctrl-C.
    #[arg(long)]
    once: bool,

    /// Where to play.
    #[arg(long, value_enum, default_value_t = Cluster::Own)]
    cluster: Cluster,
}

/// Which cluster the demo plays on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Cluster {
    /// A control plane that is started for it, with pods that are played.
    Own,
    /// The one that kubectl speaks to now. The operator runs here and not there; all that it made there is taken away.
    Current,
}

#[tokio::main]
async fn main() -> ExitCode {
    let args = Args::parse();
    let screen = Screen::default();
    match show(&screen, &args).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            screen.failed(&error);
            ExitCode::FAILURE
        }
    }
}

async fn show(screen: &Screen, args: &Args) -> Result<()> {
    screen.title("A cluster, a registry and three charts");
    let mut world = World::build(screen, args.cluster).await.context("building the world failed")?;
    let played = tokio::select! {
        played = play_through(screen, &mut world, args.once) => played,
        _ = tokio::signal::ctrl_c() => Ok(()),
    };
    if played.is_err() {
        screen.lines(&world.operator_log());
    }
    let left = world.leave(screen).await.context("taking the demo away again failed");
    played.and(left)
}

async fn play_through(screen: &Screen, world: &mut World, once: bool) -> Result<()> {
    play(screen, world).await?;
    if once {
        screen.title("Uninstall: what was installed goes, in Helm's order");
        return uninstall(screen, world).await.context("step «uninstall» failed");
    }
    screen.title("Yours, until Ctrl-C");
    if let Some(kubeconfig) = world.own_kubeconfig() {
        screen.line(&format!("export KUBECONFIG={}", kubeconfig.display()));
    }
    screen.line(&format!("kubectl get helmrepositories,helmreleases --namespace {NAMESPACE}"));
    let patch = r#"{"spec":{"values":{"replicaCount":3}}}"#;
    screen.line(&format!("kubectl patch helmrelease web --namespace {NAMESPACE} --type merge --patch '{patch}'"));
    std::future::pending().await
}

async fn play(screen: &Screen, world: &mut World) -> Result<()> {
    screen.title("Declare: a repository with a password from a Secret, and two releases");
    declare(screen, world).await.context("step «declare» failed")?;
    let _watching = screen.watch(world).await?;
    screen.title("Run the operator: everything becomes ready");
    install(screen, world).await.context("step «install» failed")?;
    screen.title("Upgrade: web to 0.2.0");
    upgrade(screen, world).await.context("step «upgrade» failed")?;
    screen.title("A wrong password: a clear status, and it heals when the Secret is corrected");
    rotate(screen, world).await.context("step «wrong password» failed")
}

async fn declare(screen: &Screen, world: &World) -> Result<()> {
    world.set_password(world::PASSWORD).await?;
    for manifest in [world.repository(), world.release("web", "0.1.0"), world.release("hello", "^0.1.0")] {
        screen.lines(&world.kubectl.apply(NAMESPACE, &manifest.to_string()).await?);
    }
    Ok(())
}

async fn install(screen: &Screen, world: &mut World) -> Result<()> {
    world.start_operator().await?;
    world.repository_until(status::ready).await?;
    let web = world.release_until("web", status::ready).await?;
    world.release_until("hello", status::ready).await?;
    look(screen, world).await?;
    let revision = web.status.and_then(|status| status.helm_release).map(|release| release.revision);
    ensure!(revision == Some(1), "web is at revision {revision:?}, not 1");
    let listed = world.helm.list(NAMESPACE).await?;
    let deployed = listed.iter().filter(|row| row.status == "deployed").count();
    ensure!(deployed == 2, "helm sees {deployed} deployed releases, not 2: {listed:?}");
    Ok(())
}

async fn upgrade(screen: &Screen, world: &World) -> Result<()> {
    world.patch_release("web", json!({ "spec": { "chart": { "version": "0.2.0" } } })).await?;
    world.release_until("web", status::ready).await?;
    look(screen, world).await?;
    screen.shell(&["helm", "history", "web"], &world.helm.run(&["history", "web", "--namespace", NAMESPACE]).await?);
    let history = world.helm.history(NAMESPACE, "web").await?;
    let statuses: Vec<&str> = history.iter().map(|revision| revision.status.as_str()).collect();
    ensure!(statuses == ["superseded", "deployed"], "helm history says {statuses:?}");
    Ok(())
}

async fn rotate(screen: &Screen, world: &World) -> Result<()> {
    world.set_password("mistyped").await?;
    world.repository_until(|repository| status::failed(repository, Reason::AuthenticationFailed)).await?;
    look(screen, world).await?;
    world.set_password(world::PASSWORD).await?;
    world.repository_until(status::ready).await?;
    look(screen, world).await?;
    for release in ["web", "hello"] {
        world.release_until(release, status::ready).await?;
    }
    world.check_operator_log()
}

async fn uninstall(screen: &Screen, world: &World) -> Result<()> {
    let said = world.kubectl.run(&["delete", "helmrelease", "--all", "--namespace", NAMESPACE, "--timeout", "60s"]);
    screen.lines(&said.await?);
    let listed = world.helm.list(NAMESPACE).await?;
    ensure!(listed.is_empty(), "helm still sees {listed:?}");
    let left = world.kubectl.run(&["get", "deployments", "--namespace", NAMESPACE, "--output", "name"]).await?;
    ensure!(left.is_empty(), "still there: {left}");
    screen.line(&format!("all as it should be, after {:.0?}", screen.elapsed()));
    Ok(())
}

/// What a person looks at.
async fn look(screen: &Screen, world: &World) -> Result<()> {
    let arguments = ["get", "helmrepositories,helmreleases", "--namespace", NAMESPACE];
    screen.shell(&[&["kubectl"], &arguments[..2]].concat(), &world.kubectl.run(&arguments).await?);
    let listed = world.helm.run(&["list", "--namespace", NAMESPACE]).await?;
    screen.shell(&["helm", "list"], &listed);
    Ok(())
}

/// Every wait of the demo ends after this.
const PATIENCE: std::time::Duration = SOON;
