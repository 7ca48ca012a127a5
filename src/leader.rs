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
const NAME: &str = "helm-operator.ketches.cn";

/// How long a leader that is silent still leads.
const DURATION: Duration = Duration::from_secs(15);

/// How long a leader goes on that cannot renew: shorter than others wait, so that two never lead.
const RENEW_DEADLINE: Duration = Duration::from_secs(10);

/// Between two looks at the lease.
const PERIOD: Duration = Duration::from_secs(2);

/// The lease was lost; somebody else leads, or nobody can tell.
#[derive(Debug, thiserror::Error)]
#[error("lost the lease {NAME}: it could not be renewed within {} s", RENEW_DEADLINE.as_secs())]
pub struct Lost;

/// The lease of one operator.
pub struct Election {
    api: Api<Lease>,
    identity: String,
    /// What was last seen of another's lease, and when we saw it first: clocks of machines are not compared.
    seen: Option<(LeaseSpec, Instant)>,
}

impl Election {
    /// Takes part in the election in `namespace` as `identity`.
    pub fn new(client: kube::Client, namespace: &str, identity: String) -> Self {
        Self { api: Api::namespaced(client, namespace), identity, seen: None }
    }

    /// Resolves when this instance leads.
    pub async fn win(&mut self) {
        loop {
            match timeout(RENEW_DEADLINE, self.try_hold()).await {
                Ok(Ok(true)) => return,
                Ok(Ok(false)) => {}
                Ok(Err(error)) => tracing::warn!(%error, "failed to read or write the lease"),
                Err(_) => tracing::warn!("the API server does not answer about the lease"),
            }
            sleep(PERIOD).await;
        }
    }

    /// Goes on leading; resolves only when the lease is lost.
    pub async fn keep(&mut self) -> Lost {
        let mut renewed = Instant::now();
        while renewed.elapsed() < RENEW_DEADLINE {
            sleep(PERIOD).await;
            let left = RENEW_DEADLINE.saturating_sub(renewed.elapsed());
            match timeout(left, self.try_hold()).await {
                Ok(Ok(true)) => renewed = Instant::now(),
                Ok(Ok(false)) => return Lost,
                Ok(Err(error)) => tracing::warn!(%error, "failed to renew the lease"),
                Err(_) => {}
            }
        }
        Lost
    }

    /// One look: takes or renews the lease if it may; whether it is ours.
    async fn try_hold(&mut self) -> Result<bool, kube::Error> {
        let Some(lease) = self.api.get_opt(NAME).await? else {
            let lease = Lease {
                metadata: ObjectMeta { name: Some(NAME.to_owned()), ..ObjectMeta::default() },
                spec: Some(self.claim(None)),
            };
            return taken(self.api.create(&PostParams::default(), &lease).await);
        };
        let spec = lease.spec.clone().unwrap_or_default();
        let held = spec.holder_identity.as_deref().is_some_and(|holder| !holder.is_empty() && holder != self.identity);
        if held && !self.expired(&spec) {
            return Ok(false);
        }
        let lease = Lease { spec: Some(self.claim(Some(&spec))), ..lease };
        taken(self.api.replace(NAME, &PostParams::default(), &lease).await)
    }

    /// Whether another's lease has not changed for as long as it lasts.
    fn expired(&mut self, spec: &LeaseSpec) -> bool {
        let lasts = spec.lease_duration_seconds.and_then(|seconds| u64::try_from(seconds).ok());
        let lasts = lasts.map_or(DURATION, Duration::from_secs);
        match &self.seen {
            Some((seen, since)) if seen == spec => since.elapsed() > lasts,
            _ => {
                self.seen = Some((spec.clone(), Instant::now()));
                false
            }
        }
    }

    fn claim(&self, before: Option<&LeaseSpec>) -> LeaseSpec {
        let now = MicroTime(Timestamp::now());
        let ours = before.filter(|spec| spec.holder_identity.as_ref() == Some(&self.identity));
        let transitions = before.and_then(|spec| spec.lease_transitions).unwrap_or(0);
        LeaseSpec {
            holder_identity: Some(self.identity.clone()),
            lease_duration_seconds: Some(15),
            acquire_time: ours.and_then(|spec| spec.acquire_time.clone()).or_else(|| Some(now.clone())),
            renew_time: Some(now),
            lease_transitions: Some(if before.is_some() && ours.is_none() { transitions + 1 } else { transitions }),
            ..LeaseSpec::default()
        }
    }
}

/// Whether a write of the lease won against those of others.
fn taken(written: Result<Lease, kube::Error>) -> Result<bool, kube::Error> {
    match written {
        Ok(_) => Ok(true),
        Err(kube::Error::Api(status)) if status.code == 409 => Ok(false),
        Err(error) => Err(error),
    }
}
