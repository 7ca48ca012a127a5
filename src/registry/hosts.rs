//! What one registry may cost all others, and what a registry that fails is spared.
//!
//! Each registry host has its own permits, given in the order of asking: calls to a host that hangs queue behind each
//! other and nobody else. A host that cannot be reached, or that fails for several repositories, is left alone for a
//! while: who asks meanwhile is answered at once by the last failure ([`Error::Paused`]), one of them tries again when
//! the pause is over, and when the host answers all go on within its permits. A repository that fails alone, and an
//! account that has used up its rate, pause for themselves.
//!
//! Only who asked learns what was asked: a failure that is passed on names the new caller's target, without the words
//! that the registry sent to another.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use jiff::Timestamp;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, broadcast, watch};

use super::Limits;
use super::credentials::AccessKey;
use super::error::{Attempt, Error};

/// Most hosts, and most outages, that are remembered.
const MAX_REMEMBERED: usize = 4096;

/// In how many repositories a host must fail, with no success between, to be taken for down itself.
const STRIKES: usize = 3;

/// How long a caller waits for another's try before it is answered by the last failure.
const PATIENCE: Duration = Duration::from_secs(2);

/// Hosts that came back and were not told of yet; beyond that listeners learn that they missed some.
const UNHEARD: usize = 64;

/// The least time between two tries that a caller is told of.
const SHORTEST_PAUSE: Duration = Duration::from_secs(1);

/// The longest that a caller is told to stay away from a host that is down. Who listens to
/// [`Hosts::recoveries`] hears of its return at once.
const LONGEST_ABSENCE: Duration = Duration::from_mins(1);

/// Permits and outages by host.
pub(super) struct Hosts {
    limits: Limits,
    permits: Mutex<BTreeMap<String, Arc<Semaphore>>>,
    outages: Mutex<Outages>,
    /// Ticks with the end of every try of what was paused.
    tried: watch::Sender<()>,
    recovered: broadcast::Sender<String>,
}

#[derive(Default)]
struct Outages {
    paused: BTreeMap<Scope, Outage>,
    /// The repositories that a host failed in since it last answered one.
    strikes: BTreeMap<String, BTreeSet<String>>,
}

/// What pauses. The first part is the registry's origin.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Scope {
    Host(String),
    Repository(String, String),
    Caller(String, AccessKey),
}

struct Outage {
    since: Timestamp,
    failures: u32,
    due: Instant,
    trying: bool,
    /// Whether the host was not reached at all, so that any answer ends the outage.
    unreachable: bool,
    last: Error,
}

/// Who asks whom: what a [`Pass`] is for.
#[derive(Clone)]
pub(super) struct Asker {
    /// Scheme, host and port of the registry.
    pub(super) origin: String,
    /// The host as the user writes it.
    pub(super) host: String,
    pub(super) repository: Option<String>,
    pub(super) access: AccessKey,
}

impl Asker {
    fn scopes(&self) -> Vec<Scope> {
        let repository = self.repository.iter();
        let repository = repository.map(|repository| Scope::Repository(self.origin.clone(), repository.clone()));
        let mut scopes = vec![Scope::Host(self.origin.clone())];
        scopes.extend(repository);
        scopes.push(Scope::Caller(self.origin.clone(), self.access.clone()));
        scopes
    }
}

/// What a request showed of a registry.
pub(super) enum Sign {
    /// An answer that is neither a challenge nor a failure.
    Answered,
    /// A demand for credentials: it can be reached, which is all it shows.
    Challenged,
    /// No connection, or no answer in time.
    Unreachable(Error),
    /// It, or a host that it sends to, failed.
    Troubled(Error),
    /// The account has used up its rate.
    Limited(Error),
}

/// Leave to ask a registry, one of its permits. Dropping it lets the next in the queue go on.
pub(super) struct Pass<'a> {
    hosts: &'a Hosts,
    asker: Asker,
    /// What this pass tries on behalf of all.
    trying: Vec<Scope>,
    permit: Option<OwnedSemaphorePermit>,
}

impl Drop for Pass<'_> {
    fn drop(&mut self) {
        drop(self.permit.take());
        if self.trying.is_empty() {
            return;
        }
        let mut outages = self.hosts.lock();
        for scope in &self.trying {
            if let Some(outage) = outages.paused.get_mut(scope) {
                outage.trying = false;
            }
        }
        drop(outages);
        self.hosts.tried.send_replace(());
    }
}

/// What an asker finds.
enum Gate {
    Open(Vec<Scope>),
    /// Somebody is trying it just now.
    Tried(Box<Error>),
    Closed(Box<Error>),
}

impl Hosts {
    pub(super) fn new(limits: Limits) -> Self {
        Self {
            limits,
            permits: Mutex::default(),
            outages: Mutex::default(),
            tried: watch::Sender::default(),
            recovered: broadcast::Sender::new(UNHEARD),
        }
    }

    /// Names hosts, as users write them, that answer again after they did not.
    pub(super) fn recoveries(&self) -> broadcast::Receiver<String> {
        self.recovered.subscribe()
    }

    /// Queues for a permit of the asker's host; refused at once with the last failure while that is paused.
    pub(super) async fn enter(&self, asker: Asker, attempt: &Attempt) -> Result<Pass<'_>, Error> {
        // Asked before the queue, so that a host that is down answers at once, and after it, since it may be down by then.
        drop(self.admit(&asker, attempt).await?);
        let semaphore = self.semaphore(&asker.host);
        let permit = semaphore.acquire_owned().await.ok();
        let mut pass = self.admit(&asker, attempt).await?;
        pass.permit = permit;
        Ok(pass)
    }

    async fn admit(&self, asker: &Asker, attempt: &Attempt) -> Result<Pass<'_>, Error> {
        let patience = tokio::time::Instant::now() + PATIENCE;
        loop {
            let mut tried = self.tried.subscribe();
            match self.gate(asker, attempt) {
                Gate::Open(trying) => return Ok(Pass { hosts: self, asker: asker.clone(), trying, permit: None }),
                Gate::Closed(error) => return Err(*error),
                Gate::Tried(error) => match tokio::time::timeout_at(patience, tried.changed()).await {
                    Ok(_) => {}
                    Err(_) => return Err(*error),
                },
            }
        }
    }

    fn gate(&self, asker: &Asker, attempt: &Attempt) -> Gate {
        let now = Instant::now();
        let mut outages = self.lock();
        let scopes = asker.scopes();
        for scope in &scopes {
            let Some(outage) = outages.paused.get(scope) else { continue };
            if outage.trying {
                return Gate::Tried(Box::new(outage.told(asker, attempt, scope, now)));
            }
            if now < outage.due {
                return Gate::Closed(Box::new(outage.told(asker, attempt, scope, now)));
            }
        }
        let mut trying = Vec::new();
        for scope in scopes {
            if let Some(outage) = outages.paused.get_mut(&scope) {
                outage.trying = true;
                trying.push(scope);
            }
        }
        Gate::Open(trying)
    }

    fn semaphore(&self, host: &str) -> Arc<Semaphore> {
        let mut permits = self.permits.lock().unwrap_or_else(PoisonError::into_inner);
        if permits.len() >= MAX_REMEMBERED {
            permits.retain(|_, semaphore| Arc::strong_count(semaphore) > 1);
        }
        let new = || Arc::new(Semaphore::new(self.limits.per_host.max(1)));
        Arc::clone(permits.entry(host.to_owned()).or_insert_with(new))
    }

    fn lock(&self) -> MutexGuard<'_, Outages> {
        self.outages.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The pause after `failures` failures in a row.
    fn pause(&self, failures: u32) -> Duration {
        let doubled = self.limits.first_pause.saturating_mul(1 << failures.saturating_sub(1).min(10));
        doubled.min(self.limits.longest_pause)
    }

    fn failed(&self, outages: &mut Outages, scope: Scope, error: Error, unreachable: bool) {
        if outages.paused.len() >= MAX_REMEMBERED {
            let now = Instant::now();
            outages.paused.retain(|_, outage| outage.due > now);
            if outages.paused.len() >= MAX_REMEMBERED {
                return;
            }
        }
        let failures = outages.paused.get(&scope).map_or(1, |outage| outage.failures.saturating_add(1));
        let asked = error.retry_after().unwrap_or_default();
        let asked = if matches!(scope, Scope::Caller(..)) { asked } else { asked.min(LONGEST_ABSENCE) };
        let due = Instant::now() + self.pause(failures).max(asked);
        let outage = outages.paused.entry(scope).or_insert_with(|| Outage {
            since: now(),
            failures,
            due,
            trying: false,
            unreachable,
            last: error.clone(),
        });
        (outage.failures, outage.due, outage.unreachable, outage.last) = (failures, due, unreachable, error);
        // The try is over: it failed. Its pass, if it goes on at all, goes on for itself.
        outage.trying = false;
    }
}

/// The time, in whole seconds: it is read by people.
fn now() -> Timestamp {
    let now = Timestamp::try_from(SystemTime::now()).unwrap_or_default();
    Timestamp::from_second(now.as_second()).unwrap_or(now)
}

impl Outage {
    /// This failure as the answer to another caller.
    fn told(&self, asker: &Asker, attempt: &Attempt, scope: &Scope, now: Instant) -> Error {
        let wait = self.due.saturating_duration_since(now);
        let retry_after = match scope {
            // The registry itself said how long.
            Scope::Caller(..) => wait,
            Scope::Host(_) | Scope::Repository(..) => wait.max(self.absence()),
        };
        Error::Paused {
            host: asker.host.clone(),
            since: self.since,
            retry_after: retry_after.max(SHORTEST_PAUSE),
            last: Arc::new(self.last.passed_on(attempt)),
        }
    }

    /// How long who is not the one to try stays away: the longer, the longer the outage lasts.
    fn absence(&self) -> Duration {
        let since = SystemTime::from(self.since);
        let age = SystemTime::now().duration_since(since).unwrap_or_default();
        (age / 4).min(LONGEST_ABSENCE)
    }
}

impl Pass<'_> {
    /// Notes what a request of this pass showed.
    pub(super) fn note(&self, sign: Sign) {
        let hosts = self.hosts;
        let Asker { origin, repository, access, .. } = &self.asker;
        let mut outages = hosts.lock();
        let host = Scope::Host(origin.clone());
        match sign {
            Sign::Unreachable(error) => hosts.failed(&mut outages, host, error, true),
            Sign::Limited(error) => {
                hosts.failed(&mut outages, Scope::Caller(origin.clone(), access.clone()), error, false);
            }
            Sign::Troubled(error) => {
                let strikes = outages.strikes.entry(origin.clone()).or_default();
                if strikes.len() < STRIKES {
                    strikes.insert(repository.clone().unwrap_or_default());
                }
                let down = strikes.len() >= STRIKES || repository.is_none() || outages.paused.contains_key(&host);
                if down {
                    hosts.failed(&mut outages, host, error.clone(), false);
                }
                if let Some(repository) = repository {
                    let scope = Scope::Repository(origin.clone(), repository.clone());
                    hosts.failed(&mut outages, scope, error, false);
                }
            }
            Sign::Challenged => {
                if outages.paused.get(&host).is_some_and(|outage| outage.unreachable) {
                    self.answers_again(&mut outages);
                }
            }
            Sign::Answered => {
                outages.strikes.remove(origin);
                if outages.paused.contains_key(&host) {
                    self.answers_again(&mut outages);
                }
                for scope in self.asker.scopes() {
                    outages.paused.remove(&scope);
                }
            }
        }
        drop(outages);
        hosts.tried.send_replace(());
    }

    /// The host is back: with it what was paused of it, accounts over their rate apart.
    fn answers_again(&self, outages: &mut Outages) {
        let origin = &self.asker.origin;
        outages.paused.retain(|scope, _| match scope {
            Scope::Host(at) | Scope::Repository(at, _) => at != origin,
            Scope::Caller(..) => true,
        });
        // Nobody may be listening.
        drop(self.hosts.recovered.send(self.asker.host.clone()));
    }
}

#[cfg(test)]
mod tests;
