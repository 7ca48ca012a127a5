//! Why a reconcile stopped short of its goal, and what happens next: the one reaction table.

use std::collections::BTreeMap;
use std::error::Error;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use k8s_openapi::jiff::{SignedDuration, Timestamp};
use kube::ResourceExt;
use kube::runtime::controller::Action;
use sha2::{Digest as _, Sha256};

use crate::api::{ConditionType, Conditions, REQUESTED_AT, Reason};
use crate::cluster::Awaited;

pub(crate) use crate::chain::chain;

/// A reconcile stopped short of its goal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ReconcileError {
    /// The one word for it.
    pub(crate) reason: Reason,
    /// What was tried, on what, what came back, and what to do. Holds no credential and no value.
    pub(crate) message: String,
    /// When the other side asked us to come back, where it did.
    pub(crate) retry_after: Option<Duration>,
    /// The attempt that failed and the one to come, where they are known already: a revision's record counts them.
    pub(crate) next: Option<NextAttempt>,
    /// The objects whose coming or going ends the trouble: it is noticed at once.
    pub(crate) awaits: Vec<Awaited>,
    /// The object that has to change, where its changes are noticed whatever happens.
    pub(crate) watched: Option<Box<str>>,
}

/// When something is tried again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct NextAttempt {
    /// How many attempts have failed in a row.
    pub(crate) failed: u32,
    /// When the next one is due.
    pub(crate) due: Timestamp,
}

/// What happens after an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Retry {
    /// Somebody has to change something: `Stalled`. Looked at again at the interval all the same, since what has to
    /// change may be out of our sight.
    OnChange,
    /// It may pass by itself: tried again soon, then ever later, at most an interval apart.
    Backoff,
    /// Not trouble at all, but a state that somebody has to end; looked at again at the interval, since what is declared may
    /// come to mean something else.
    Interval,
    /// Not trouble at all, but a state that only a change of the object ends.
    Never,
}

impl ReconcileError {
    /// An error with this reason and message.
    pub(crate) fn new(reason: Reason, message: impl Into<String>) -> Self {
        Self { reason, message: message.into(), retry_after: None, next: None, awaits: Vec::new(), watched: None }
    }

    /// Whether what is not ready for this reason only waits for others, or is left to them: then nothing failed.
    pub(crate) fn is_a_wait(&self) -> bool {
        matches!(
            self.reason,
            Reason::DependencyNotReady | Reason::DependentsRemain | Reason::ReleaseHeld | Reason::ApprovalNeeded
        )
    }

    /// What a controller does until the next attempt.
    pub(crate) fn action(&self, now: Timestamp) -> Action {
        let until = |due: Timestamp| Duration::try_from(due.duration_since(now)).unwrap_or_default();
        self.next.map_or_else(Action::await_change, |next| Action::requeue(until(next.due)))
    }

    /// What a status says of it. `Reconciling` has the cause too, and when it is tried again: tools show one of the two.
    pub(crate) fn conditions(&self) -> Conditions {
        let conditions = Conditions::default().with(ConditionType::Ready, false, self.reason, &self.message);
        match retry(self.reason) {
            Retry::OnChange => conditions.with(ConditionType::Stalled, true, self.reason, self.noticed()),
            Retry::Backoff => conditions.with(ConditionType::Reconciling, true, self.reason, self.again()),
            Retry::Interval | Retry::Never => conditions,
        }
    }

    /// The message, and how the operator learns that somebody has mended it.
    fn noticed(&self) -> String {
        if matches!(self.reason, Reason::TestFailed | Reason::RetriesExhausted) {
            // It says itself what goes on with it.
            return self.message.clone();
        }
        if self.awaits.is_empty() && self.watched.is_none() {
            let message = &self.message;
            return format!(
                "{message}; it is tried again when this object changes, when its annotation {REQUESTED_AT} gets a new value, and at the next interval"
            );
        }
        format!(
            "{}; a change of this object and {} are noticed at once, anything else at the next interval",
            self.message,
            self.awaited()
        )
    }

    fn again(&self) -> String {
        let noticed =
            if self.awaited().is_empty() { String::new() } else { format!("; {} is noticed at once", self.awaited()) };
        match self.next {
            Some(NextAttempt { failed, due }) => {
                let due = due.strftime("%Y-%m-%d %H:%M:%S UTC");
                let next = if self.is_a_wait() {
                    format!("it is looked at again at {due}")
                } else {
                    format!("attempt {failed} failed, the next one is at {due}")
                };
                format!("{}; {next}{noticed}", self.message)
            }
            None => format!("{}{noticed}", self.message),
        }
    }

    /// What ends the trouble, in words.
    fn awaited(&self) -> String {
        let watched = self.watched.iter().map(|object| format!("a change of {object}"));
        self.awaits.iter().map(ToString::to_string).chain(watched).collect::<Vec<_>>().join(" and ")
    }

    /// The same, where `object` has to change, whose changes are noticed whatever happens.
    pub(crate) fn watching(self, object: impl Into<Box<str>>) -> Self {
        Self { watched: Some(object.into()), ..self }
    }

    /// An error with the whole chain of an error as its message.
    pub(crate) fn caused(reason: Reason, error: &(dyn Error + 'static)) -> Self {
        Self::new(reason, chain(error))
    }
}

/// The reaction to each reason. Nobody else chooses a delay.
#[expect(clippy::too_many_lines, reason = "one flat table, whole on purpose")]
pub(crate) fn retry(reason: Reason) -> Retry {
    use Reason::{
        AccessDenied, AdmissionDenied, AdoptionIgnored, AdoptionRefused, ApprovalNeeded, AuthenticationFailed,
        CertificateExpired, CertificateNameMismatch, CertificateUnknownAuthority, ChartArchiveInvalid, ChartDeprecated,
        ChartMetadataInvalid, ChartNameMismatch, ChartRefused, ChartTooLarge, ChartWarning, ClusterCredentialsRejected,
        ClusterUnavailable, ClusterUnreachable, ConfigMapInvalid, ConfigMapNotFound, ConfigurationError,
        ConnectionFailed, DefaultsInvalid, DefinitionNotReplaced, DependencyNotReady, DependentsRemain, DigestMismatch,
        DnsFailed, DriftCorrected, DriftCorrectionFailed, DriftDetected, FieldConflict, Forbidden, ForeignRevision,
        HealthCheckFailed, HealthCheckSucceeded, HelmRepositoryNotFound, HistoryInvalid, HookFailed, ImmutableField,
        InstallCompleted, InstallFailed, InstallStarted, InternalError, KubernetesVersionUnsupported, ManifestInvalid,
        NamespaceNotFound, NoDriftDetected, NoMatchingVersion, NotAHelmChart, NotReady, NotWatched, ObjectInvalid,
        OwnershipConflict, PendingRelease, PermissionDenied, PlainHttp, PlanOutdated, PostRenderFailed, Progressing,
        ProxyFailed, QuotaExceeded, RateLimited, RecordsNotListed, RegistryTimeout, RegistryUnavailable,
        RegistryUnexpected, ReleaseHeld, ReleaseNameConflict, ReleaseTooLarge, RenderLimitExceeded, RepositoryNotFound,
        RetriesExhausted, RollbackFailed, RollbackSkipped, RolledBack, SchemaUnavailable, SchemaViolation,
        SecretInvalid, SecretNotFound, ServiceAccountNotFound, Suspended, SyncCompleted, TagNotFound, TemplateFailed,
        TestFailed, TestSucceeded, TooManyRevisions, UninstallCompleted, UninstallSkipped, UnknownKind,
        UnsupportedRepositoryType, UpgradeCompleted, UpgradeFailed, UpgradeStarted, ValuesInvalid, ValuesNotFound,
        WebhookUnavailable,
    };
    match reason {
        // The object, the chart or the values have to change.
        ConfigurationError
        | DefaultsInvalid
        | UnsupportedRepositoryType
        | AccessDenied
        | SecretInvalid
        | ConfigMapInvalid
        | ValuesInvalid
        | NotAHelmChart
        | DigestMismatch
        | ChartTooLarge
        | ChartArchiveInvalid
        | ChartMetadataInvalid
        | SchemaViolation
        | TemplateFailed
        | PostRenderFailed
        | ChartRefused
        | ManifestInvalid
        | KubernetesVersionUnsupported
        | RenderLimitExceeded
        | ReleaseTooLarge
        | ReleaseNameConflict
        | ImmutableField
        | DefinitionNotReplaced
        | FieldConflict
        | OwnershipConflict
        | ObjectInvalid
        | TestFailed
        | RetriesExhausted
        | PlainHttp
        | CertificateUnknownAuthority
        | CertificateNameMismatch => Retry::OnChange,
        // Somebody may mend it where we do not see it, or it passes by itself.
        HelmRepositoryNotFound
        | SecretNotFound
        | ConfigMapNotFound
        | ValuesNotFound
        | DependencyNotReady
        | DependentsRemain
        | AuthenticationFailed
        | PermissionDenied
        | RepositoryNotFound
        | TagNotFound
        | NoMatchingVersion
        | CertificateExpired
        | DnsFailed
        | ConnectionFailed
        | RegistryTimeout
        | ProxyFailed
        | RateLimited
        | RegistryUnavailable
        | RegistryUnexpected
        | UnknownKind
        | Forbidden
        | ServiceAccountNotFound
        | NamespaceNotFound
        | QuotaExceeded
        | AdmissionDenied
        | WebhookUnavailable
        | ClusterUnavailable
        | ClusterUnreachable
        | ClusterCredentialsRejected
        | NotReady
        | HookFailed
        | PendingRelease
        | HistoryInvalid
        | AdoptionRefused
        | TooManyRevisions
        | InternalError
        | InstallFailed
        | RollbackFailed
        | UpgradeFailed => Retry::Backoff,
        ApprovalNeeded => Retry::Interval,
        InstallCompleted
        | UpgradeCompleted
        | SyncCompleted
        | TestSucceeded
        | RolledBack
        | RollbackSkipped
        | Progressing
        | InstallStarted
        | UpgradeStarted
        | UninstallCompleted
        | UninstallSkipped
        | Suspended
        | SchemaUnavailable
        | ChartNameMismatch
        | ChartWarning
        | ForeignRevision
        | RecordsNotListed
        | AdoptionIgnored
        | ReleaseHeld
        | HealthCheckSucceeded
        | HealthCheckFailed
        | PlanOutdated
        | DriftDetected
        | DriftCorrected
        | DriftCorrectionFailed
        | NoDriftDetected
        | NotWatched
        | ChartDeprecated => Retry::Never,
    }
}

/// How long after the `failed`-th failure in a row with `reason` the next attempt comes; `None` where only a change of
/// the object ends it. The same for the same object each time, and different for objects that failed together.
pub(crate) fn delay(reason: Reason, failed: u32, interval: Duration, uid: &str) -> Option<Duration> {
    match retry(reason) {
        Retry::Never => None,
        Retry::OnChange | Retry::Interval => Some(jitter(interval, uid)),
        Retry::Backoff => Some(jitter(backoff(failed, interval), uid)),
    }
}

/// The failures in a row of each object that no record counts, by generation and reason. They are lost with the process,
/// which then begins anew with short delays.
#[derive(Default)]
pub(crate) struct Retries {
    failing: Mutex<BTreeMap<String, Failing>>,
}

/// The failures of one generation of an object.
struct Failing {
    generation: Option<i64>,
    by_reason: BTreeMap<Reason, NextAttempt>,
}

impl Retries {
    /// All is well: looked at again after about `interval`.
    pub(crate) fn settled(&self, object: &impl ResourceExt, interval: Duration) -> Action {
        let uid = object.uid().unwrap_or_default();
        self.lock().remove(&uid);
        Action::requeue(jitter(interval, &uid))
    }

    /// Something went wrong: decides when it is tried again, and tells `error`.
    ///
    /// A reconcile that came before its time, since something else woke it, is no further attempt: it moves nothing.
    pub(crate) fn failed(
        &self,
        object: &impl ResourceExt,
        error: &mut ReconcileError,
        interval: Duration,
        now: Timestamp,
    ) {
        if error.next.is_some() {
            return;
        }
        let uid = object.uid().unwrap_or_default();
        let mut failing = self.lock();
        let generation = object.meta().generation;
        let entry = failing.entry(uid.clone()).or_insert_with(|| Failing { generation, by_reason: BTreeMap::new() });
        if entry.generation != generation {
            *entry = Failing { generation, by_reason: BTreeMap::new() };
        }
        let before = entry.by_reason.get(&error.reason).copied();
        if let Some(early) = before.filter(|before| now < before.due) {
            error.next = Some(early);
            return;
        }
        let failed = before.map_or(1, |before| before.failed.saturating_add(1));
        let Some(delay) = delay(error.reason, failed, interval, &uid) else { return };
        let delay = error.retry_after.map_or(delay, |asked| jitter(asked, &uid));
        let due = SignedDuration::try_from(delay).ok().and_then(|delay| now.checked_add(delay).ok());
        error.next = due.map(|due| NextAttempt { failed, due });
        entry.by_reason.extend(error.next.map(|next| (error.reason, next)));
    }

    /// Forgets an object that is gone.
    pub(crate) fn forget(&self, uid: &str) {
        self.lock().remove(uid);
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Failing>> {
        self.failing.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// `interval` up to 5 % shorter or longer, always the same for one object: objects that were created together do not
/// stay together. Never less than a second.
fn jitter(interval: Duration, uid: &str) -> Duration {
    let spread = u32::from(Sha256::digest(uid)[0]);
    // Divided first: a user's interval may be as long as a duration can be.
    (interval / 1000).saturating_mul(950 + spread * 100 / 255).max(Duration::from_secs(1))
}

/// The delay before the next try after `failures` tries in a row that failed: 5 s, doubled each time, at most `interval`.
pub(crate) fn backoff(failures: u32, interval: Duration) -> Duration {
    let doublings = failures.saturating_sub(1).min(12);
    Duration::from_secs(5).saturating_mul(1 << doublings).min(interval.max(Duration::from_secs(5)))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use k8s_openapi::api::core::v1::ConfigMap;
    use k8s_openapi::jiff::Timestamp;

    use super::{ReconcileError, Retries, backoff, delay};
    use crate::api::Reason;

    #[test]
    fn tries_come_ever_later_up_to_the_interval() {
        let interval = Duration::from_mins(10);
        let delays: Vec<u64> = [0, 1, 2, 3, 7, 8, 100].map(|failures| backoff(failures, interval).as_secs()).to_vec();
        assert_eq!(delays, [5, 5, 10, 20, 320, 600, 600]);
        assert_eq!(backoff(9, Duration::from_millis(1)).as_secs(), 5, "an interval of a millisecond is no hot loop");
    }

    #[test]
    fn no_interval_is_too_long_to_wait_for() {
        for reason in [Reason::TemplateFailed, Reason::NotReady] {
            assert!(delay(reason, u32::MAX, Duration::MAX, "uid").is_some_and(|delay| delay > Duration::from_secs(1)));
        }
    }

    fn object(generation: i64) -> ConfigMap {
        let mut object = ConfigMap::default();
        (object.metadata.uid, object.metadata.generation) = (Some("uid".to_owned()), Some(generation));
        object
    }

    /// The attempts counted and the seconds until the next one, after each of `failures`: a generation, a reason, a time.
    fn counted(failures: &[(i64, Reason, i64)]) -> Vec<(u32, i64)> {
        let retries = Retries::default();
        let failed = |(generation, reason, at): &(i64, Reason, i64)| {
            let mut error = ReconcileError::new(*reason, "it failed");
            let now = Timestamp::from_second(*at).expect("a time");
            retries.failed(&object(*generation), &mut error, Duration::from_mins(30), now);
            let next = error.next.expect("it is tried again");
            (next.failed, next.due.as_second() - at)
        };
        failures.iter().map(failed).collect()
    }

    #[test]
    fn each_attempt_counts_once_and_a_wake_before_its_time_does_not() {
        use Reason::{ConnectionFailed, DnsFailed};
        let counts = |failures: &[(i64, Reason, i64)]| -> Vec<u32> {
            counted(failures).into_iter().map(|(failed, _)| failed).collect()
        };
        let then = |at| (1, DnsFailed, at);
        assert_eq!(counts(&[then(0), then(6), then(20), then(60)]), [1, 2, 3, 4]);
        // Woken by something else in between, the next attempt is neither put off nor counted.
        let woken = counted(&[then(0), then(1), then(2), then(3)]);
        assert!(woken.iter().all(|(failed, _)| *failed == 1), "{woken:?}");
        assert!(woken.windows(2).all(|pair| pair[1].1 == pair[0].1 - 1), "{woken:?}");
        // A new generation, and another trouble, begin anew; what comes and goes in slots grows all the same.
        assert_eq!(counts(&[then(0), then(6), (2, DnsFailed, 7)]), [1, 2, 1]);
        assert_eq!(counts(&[then(0), (1, ConnectionFailed, 6), then(12), (1, ConnectionFailed, 18)]), [1, 1, 2, 2]);
    }

    #[test]
    fn a_hint_says_what_is_noticed_at_once() {
        let wrong = || ReconcileError::new(Reason::SecretInvalid, "it is wrong");
        assert!(wrong().noticed().contains("tried again when this object changes"));
        let watched = wrong().watching("Secret apps/prod").noticed();
        assert!(watched.contains("a change of this object and a change of Secret apps/prod are noticed at once"));
        let again = wrong().watching("Secret apps/prod").again();
        assert!(again.contains("a change of Secret apps/prod is noticed at once"), "{again}");
    }

    #[test]
    fn the_other_side_is_heard() {
        let retries = Retries::default();
        let mut error = ReconcileError {
            retry_after: Some(Duration::from_mins(2)),
            ..ReconcileError::new(Reason::RateLimited, "later")
        };
        retries.failed(&object(1), &mut error, Duration::from_mins(30), Timestamp::UNIX_EPOCH);
        let due = error.next.expect("it is tried again").due.as_second();
        assert!((114..=126).contains(&due), "{due}");
    }
}
