//! Two operators with leader election: one acts, the other takes over, and never both.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use e2e::apiserver::ControlPlane;
use e2e::eventually::{self, eventually};
use e2e::operator::{Operator, Setup};
use e2e::story::{SOON, block_on, install_definitions};
use helm_operator::api::{HelmRepository, Reason};
use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use kube::api::{Api, PostParams};
use serde_json::json;

/// An instance that was asked to end is followed within this time.
const HAND_OVER: Duration = Duration::from_secs(3);

/// A leader that fell silent still leads for this time after its last renewal, which was at most two seconds ago.
const LEASE: Duration = Duration::from_secs(15);

struct World {
    plane: ControlPlane,
    leases: Api<Lease>,
    repositories: Api<HelmRepository>,
}

impl World {
    async fn new() -> Result<Self> {
        let plane = ControlPlane::api_only().await?;
        let client = plane.client().await?;
        install_definitions(client.clone()).await?;
        let leases = Api::default_namespaced(client.clone());
        Ok(Self { plane, leases, repositories: Api::default_namespaced(client) })
    }

    fn setup(&self) -> Result<Setup> {
        Ok(Setup::new(self.plane.kubeconfig())?.argument("--leader-elect"))
    }

    async fn lease(&self) -> Result<LeaseSpec> {
        let lease = self.leases.get(helm_operator::leader::NAME).await?;
        lease.spec.context("the lease has a spec")
    }

    async fn holder(&self) -> Result<String> {
        Ok(self.lease().await?.holder_identity.unwrap_or_default())
    }

    /// Waits until somebody else than `before` holds the lease; returns who.
    async fn follower_of(&self, before: &str) -> Result<String> {
        eventually("another instance holds the lease", SOON, async || {
            let holder = self.holder().await?;
            ensure!(!holder.is_empty() && holder != before, "{holder:?} holds it");
            Ok(holder)
        })
        .await
    }

    /// Waits until somebody has acted on a new object: its registry, which is nowhere, was asked.
    async fn somebody_acts(&self, name: &str) -> Result<()> {
        let repository = serde_json::from_value(json!({
            "metadata": { "name": name },
            "spec": { "url": "oci://127.0.0.1:1/charts", "insecure": true },
        }))?;
        self.repositories.create(&PostParams::default(), &repository).await?;
        let asked = |repository: &HelmRepository| e2e::status::failed(repository, Reason::ConnectionFailed);
        eventually::object(&self.repositories, name, SOON, asked).await.map(drop)
    }
}

#[test]
fn asked_to_end_the_leader_gives_the_lease_back() -> Result<()> {
    block_on(async {
        let world = World::new().await?;
        let mut leader = world.setup()?.start().await?;
        let first = world.holder().await?;
        let second = world.setup()?.spawn().await?;
        world.somebody_acts("before").await?;
        waits(&second, &first).await?;

        let asked = Instant::now();
        let (ended, follower) = futures::join!(leader.stop(), world.follower_of(&first));
        let took = asked.elapsed();
        let (ended, follower) = (ended?, follower?);
        ensure!(ended == 0, "asked to end, the leader ended with {ended}");
        ensure!(took <= HAND_OVER, "the next instance held the lease after {took:?}");
        second.until_ready().await?;
        world.somebody_acts("after").await?;
        ensure!(world.holder().await? == follower, "the lease moved on");
        // The repository of the story has no registry; everything else is quiet.
        let log = leader.log();
        let loud: Vec<&str> =
            log.lines().filter(|line| line.contains("WARN") && !line.contains("oci://127.0.0.1:1")).collect();
        ensure!(loud.is_empty(), "the end was not quiet:\n{}", loud.join("\n"));
        second.check_log()?;
        leader.check_log()
    })
}

#[test]
fn killed_the_leader_is_followed_when_its_lease_has_run_out() -> Result<()> {
    block_on(async {
        let world = World::new().await?;
        let mut leader = world.setup()?.start().await?;
        let first = world.holder().await?;
        let second = world.setup()?.spawn().await?;
        waits(&second, &first).await?;
        let renewed = world.lease().await?.renew_time.context("the leader renewed")?;
        eventually("the lease is renewed", SOON, async || {
            ensure!(world.lease().await?.renew_time.as_ref() != Some(&renewed), "not renewed yet");
            Ok(())
        })
        .await?;

        let killed = Instant::now();
        leader.kill().await?;
        world.follower_of(&first).await?;
        let took = killed.elapsed();
        // The renewal before the kill was seen at most one look, of a second, later than it was made.
        ensure!(took + Duration::from_secs(3) >= LEASE, "taken after {took:?}, before the lease had run out");
        second.until_ready().await?;
        world.somebody_acts("after").await?;
        second.check_log()
    })
}

#[test]
fn of_two_processes_with_one_name_one_ends_and_says_why() -> Result<()> {
    block_on(async {
        let world = World::new().await?;
        let twin = || anyhow::Ok(world.setup()?.argument("--instance=twin"));
        let first = twin()?.start().await?;
        let second = twin()?.spawn().await?;
        let ended = first.process()?.ended(SOON).await?;
        ensure!(ended == 1, "ended with {ended}");
        let log = first.log();
        ensure!(log.contains("\"twin\", too: start each with an --instance of its own"), "it says:\n{log}");
        second.until_ready().await?;
        world.somebody_acts("after").await
    })
}

/// Waits until `operator` says that it waits for `holder`.
async fn waits(operator: &Operator, holder: &str) -> Result<()> {
    eventually("the second instance waits", SOON, async || {
        let log = operator.log();
        ensure!(log.contains("waiting: another instance holds the lease") && log.contains(holder), "{log}");
        Ok(())
    })
    .await?;
    ensure!(!operator.is_ready().await?, "an instance that waits says that it is ready");
    Ok(())
}
