//! Leader election by a Lease: of several instances one acts.
//!
//! The lease has the name that the operator we replace uses, so that the two never act at the same time.

use std::time::Duration;

use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta};
use k8s_openapi::jiff::Timestamp;
use kube::api::{Api, PostParams};
use tokio::time::{Instant, sleep, timeout};

/// The lease's name.
pub const NAME: &str = "helm-operator.ketches.cn";

/// How long a leader that is silent still leads, in seconds.
const DURATION: u32 = 15;

/// How long a leader goes on that cannot renew: shorter than others wait, so that two never lead.
const RENEW_DEADLINE: Duration = Duration::from_secs(10);

/// Between two renewals, and after a failure.
const PERIOD: Duration = Duration::from_secs(2);

/// Between two looks of an instance that waits: a lease that was given back is taken at once.
const WAITING_PERIOD: Duration = Duration::from_secs(1);

/// How often the lease is tried to be given back when others write to it at the same time.
const GIVE_BACK_TRIES: usize = 3;

/// The lease was lost: this instance must not act any more.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum Lost {
    /// The API server took no renewal in time; another instance may act soon.
    #[error("the lease {NAME} could not be renewed for {} s", RENEW_DEADLINE.as_secs())]
    NotRenewed,
    /// Another instance has it.
    #[error("instance {0:?} has taken the lease {NAME}")]
    Taken(String),
    /// Another process renews it in our name.
    #[error("another process holds the lease {NAME} as {0:?}, too: start each with an --instance of its own")]
    Shared(String),
}

/// What one look at the lease came to.
#[derive(Debug, PartialEq, Eq)]
enum Look {
    /// It is ours, as of now.
    Ours,
    /// Somebody has it.
    Theirs(String),
    /// Somebody wrote to it at the same time.
    Conflict,
}

/// The lease of one operator.
pub struct Election {
    api: Api<Lease>,
    identity: String,
    /// What was last seen of another's lease, and when we saw it first: clocks of machines are not compared.
    seen: Option<(LeaseSpec, Instant)>,
    /// When the last renewal that succeeded was asked for. Not when it was answered: others count from in between.
    renewed: Instant,
    /// Whether it was won.
    leads: bool,
    /// The renewal times that we wrote since, answered or not: any other in our name is another process's.
    claims: Vec<MicroTime>,
}

impl Election {
    /// Takes part in the election in `namespace` as `identity`, which no other process that runs may have.
    pub fn new(client: kube::Client, namespace: &str, identity: String) -> Self {
        let api = Api::namespaced(client, namespace);
        Self { api, identity, seen: None, renewed: Instant::now(), leads: false, claims: Vec::new() }
    }

    /// Resolves when this instance leads.
    pub async fn win(&mut self) {
        let mut told = None;
        loop {
            let pause = match self.look(RENEW_DEADLINE).await {
                Some(Look::Ours) => return,
                Some(Look::Theirs(holder)) => {
                    if told.as_ref() != Some(&holder) {
                        tracing::info!(%holder, "waiting: another instance holds the lease {NAME}");
                        told = Some(holder);
                    }
                    WAITING_PERIOD
                }
                Some(Look::Conflict) => WAITING_PERIOD,
                None => PERIOD,
            };
            sleep(pause).await;
        }
    }

    /// Goes on leading; resolves only when the lease is lost.
    pub async fn keep(&mut self) -> Lost {
        while self.renewed.elapsed() < RENEW_DEADLINE {
            sleep(PERIOD.min(RENEW_DEADLINE.saturating_sub(self.renewed.elapsed()))).await;
            let left = RENEW_DEADLINE.saturating_sub(self.renewed.elapsed());
            match self.look(left).await {
                Some(Look::Theirs(holder)) if holder == self.identity => return Lost::Shared(holder),
                Some(Look::Theirs(holder)) => return Lost::Taken(holder),
                Some(Look::Ours | Look::Conflict) | None => {}
            }
        }
        Lost::NotRenewed
    }

    /// Gives the lease back, so that another instance acts at once and not after it has run out. Call it when no write
    /// of this instance is under way any more.
    ///
    /// # Errors
    /// The API server's; the lease then runs out by itself.
    pub async fn give_back(&mut self) -> Result<(), kube::Error> {
        let mut tries = 0;
        loop {
            tries += 1;
            let Some(lease) = self.api.get_opt(NAME).await? else { return Ok(()) };
            let mut spec = lease.spec.clone().unwrap_or_default();
            if spec.holder_identity.as_ref() != Some(&self.identity) {
                return Ok(());
            }
            spec.holder_identity = Some(String::new());
            // As client-go does: a holder of nothing holds it for the shortest time that can be written.
            spec.lease_duration_seconds = Some(1);
            spec.renew_time = Some(MicroTime(Timestamp::now()));
            let lease = Lease { spec: Some(spec), ..lease };
            match self.api.replace(NAME, &PostParams::default(), &lease).await {
                Err(kube::Error::Api(status)) if status.code == 409 && tries < GIVE_BACK_TRIES => {}
                written => return written.map(drop),
            }
        }
    }

    /// One look, `within` a time; `None` when it fails, which is logged.
    async fn look(&mut self, within: Duration) -> Option<Look> {
        let asked = Instant::now();
        match timeout(within, self.try_hold()).await {
            Ok(Ok(Look::Ours)) => {
                self.renewed = asked;
                self.leads = true;
                self.claims.drain(..self.claims.len().saturating_sub(1));
                Some(Look::Ours)
            }
            Ok(Ok(look)) => Some(look),
            Ok(Err(error)) => {
                tracing::warn!(%error, "failed to read or write the lease {NAME}; trying again");
                None
            }
            Err(_) => {
                tracing::warn!(
                    "the API server did not answer about the lease {NAME} within {within:.0?}; trying again"
                );
                None
            }
        }
    }

    /// Takes or renews the lease if it may.
    async fn try_hold(&mut self) -> Result<Look, kube::Error> {
        let Some(lease) = self.api.get_opt(NAME).await? else {
            let lease = Lease {
                metadata: ObjectMeta { name: Some(NAME.to_owned()), ..ObjectMeta::default() },
                spec: Some(self.claim(None)),
            };
            return taken(self.api.create(&PostParams::default(), &lease).await);
        };
        let spec = lease.spec.clone().unwrap_or_default();
        let holder = spec.holder_identity.clone().unwrap_or_default();
        if !self.may_take(&holder, &spec) {
            return Ok(Look::Theirs(holder));
        }
        let lease = Lease { spec: Some(self.claim(Some(&spec))), ..lease };
        taken(self.api.replace(NAME, &PostParams::default(), &lease).await)
    }

    /// Whether the lease is free, run out, or ours.
    fn may_take(&mut self, holder: &str, spec: &LeaseSpec) -> bool {
        if holder.is_empty() {
            return true;
        }
        if holder == self.identity {
            // Who does not lead yet takes over from the process before it, in the same pod.
            return !self.leads || spec.renew_time.as_ref().is_some_and(|time| self.claims.contains(time));
        }
        self.has_run_out(spec)
    }

    /// Whether another's lease has not changed for as long as it lasts.
    fn has_run_out(&mut self, spec: &LeaseSpec) -> bool {
        let lasts = spec.lease_duration_seconds.and_then(|seconds| u32::try_from(seconds).ok()).unwrap_or(DURATION);
        match &self.seen {
            Some((seen, since)) if seen == spec => since.elapsed() > Duration::from_secs(lasts.into()),
            _ => {
                self.seen = Some((spec.clone(), Instant::now()));
                false
            }
        }
    }

    fn claim(&mut self, before: Option<&LeaseSpec>) -> LeaseSpec {
        let now = MicroTime(microseconds(Timestamp::now()));
        self.claims.push(now.clone());
        let ours = before.filter(|spec| spec.holder_identity.as_ref() == Some(&self.identity));
        let transitions = before.and_then(|spec| spec.lease_transitions).unwrap_or(0);
        LeaseSpec {
            holder_identity: Some(self.identity.clone()),
            lease_duration_seconds: Some(DURATION.cast_signed()),
            acquire_time: ours.and_then(|spec| spec.acquire_time.clone()).or_else(|| Some(now.clone())),
            renew_time: Some(now),
            lease_transitions: Some(if before.is_some() && ours.is_none() { transitions + 1 } else { transitions }),
            ..LeaseSpec::default()
        }
    }
}

/// A time as a lease keeps it, so that it is the same when it is read back.
fn microseconds(time: Timestamp) -> Timestamp {
    Timestamp::from_microsecond(time.as_microsecond()).unwrap_or(time)
}

/// What a write of the lease came to.
fn taken(written: Result<Lease, kube::Error>) -> Result<Look, kube::Error> {
    match written {
        Ok(_) => Ok(Look::Ours),
        Err(kube::Error::Api(status)) if status.code == 409 => Ok(Look::Conflict),
        Err(error) => Err(error),
    }
}
