//! Why a reconcile stopped short of its goal, and what happens next: the one reaction table.

use std::collections::BTreeMap;
use std::error::Error;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use kube::ResourceExt;
use kube::runtime::controller::Action;
use sha2::{Digest as _, Sha256};

use crate::api::{ConditionType, Conditions, Reason};

/// A reconcile stopped short of its goal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Halt {
    /// The one word for it.
    pub(crate) reason: Reason,
    /// What was tried, on what, what came back, and what to do. Holds no credential and no value.
    pub(crate) message: String,
    /// When the other side asked us to come back, where it did.
    pub(crate) retry_after: Option<Duration>,
}

/// What happens after a halt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Retry {
    /// Somebody has to change something: `Stalled`. Looked at again at the interval all the same, since what has to
    /// change may be out of our sight.
    OnChange,
    /// It may pass by itself: tried again soon, then ever later, at most an interval apart.
    Backoff,
    /// Not trouble at all, but a state that only a change of the object ends.
    Never,
}

impl Halt {
    /// A halt with this reason and message.
    pub(crate) fn new(reason: Reason, message: impl Into<String>) -> Self {
        Self { reason, message: message.into(), retry_after: None }
    }

    /// What a status says of it; `again` tells that it is tried again, where it is.
    pub(crate) fn conditions(&self, again: &str) -> Conditions {
        let conditions = Conditions::default().with(ConditionType::Ready, false, self.reason, &self.message);
        match retry(self.reason) {
            Retry::OnChange => conditions.with(ConditionType::Stalled, true, self.reason, &self.message),
            Retry::Backoff => conditions.with(ConditionType::Reconciling, true, self.reason, again),
            Retry::Never => conditions,
        }
    }

    /// A halt with the whole chain of an error as its message.
    pub(crate) fn caused(reason: Reason, error: &dyn Error) -> Self {
        Self::new(reason, chain(error))
    }
}

/// An error and its sources in one line, each once.
pub(crate) fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        if !text.ends_with(&cause_text) {
            text.push_str(": ");
            text.push_str(&cause_text);
        }
        source = cause.source();
    }
    text
}

/// The reaction to each reason. Nobody else chooses a delay.
#[expect(clippy::too_many_lines, reason = "one flat table, whole on purpose")]
pub(crate) fn retry(reason: Reason) -> Retry {
    use Reason::{
        AccessDenied, AdmissionDenied, Adopted, AuthenticationFailed, CertificateExpired, CertificateNameMismatch,
        CertificateUnknownAuthority, ChartArchiveInvalid, ChartDeprecated, ChartMetadataInvalid, ChartNameMismatch,
        ChartRefused, ChartTooLarge, ClusterUnavailable, ConfigurationError, ConnectionFailed, DigestMismatch,
        DnsFailed, FieldConflict, Forbidden, HelmRepositoryNotFound, HistoryInvalid, HookFailed, ImmutableField,
        InstallCompleted, InstallFailed, InstallStarted, KubernetesVersionUnsupported, ManifestInvalid,
        NamespaceNotFound, NoMatchingVersion, NotAHelmChart, NotReady, ObjectInvalid, OwnershipConflict,
        PendingRelease, PermissionDenied, PlainHttp, Progressing, ProxyFailed, QuotaExceeded, RateLimited,
        RegistryTimeout, RegistryUnavailable, RegistryUnexpected, ReleaseNameConflict, ReleaseTooLarge,
        RenderLimitExceeded, RepositoryNotFound, SchemaViolation, SecretInvalid, SecretNotFound, Suspended,
        SyncCompleted, TagNotFound, TemplateFailed, UninstallCompleted, UninstallFailed, UninstallStarted, UnknownKind,
        UnsupportedRepositoryType, UpgradeCompleted, UpgradeFailed, UpgradeStarted, ValuesInvalid,
    };
    match reason {
        // The object, the chart or the values have to change.
        ConfigurationError
        | UnsupportedRepositoryType
        | AccessDenied
        | SecretInvalid
        | ValuesInvalid
        | NotAHelmChart
        | DigestMismatch
        | ChartTooLarge
        | ChartArchiveInvalid
        | ChartMetadataInvalid
        | SchemaViolation
        | TemplateFailed
        | ChartRefused
        | ManifestInvalid
        | KubernetesVersionUnsupported
        | RenderLimitExceeded
        | ReleaseTooLarge
        | ReleaseNameConflict
        | ImmutableField
        | FieldConflict
        | OwnershipConflict
        | ObjectInvalid
        | PlainHttp
        | CertificateUnknownAuthority
        | CertificateNameMismatch => Retry::OnChange,
        // Somebody may mend it where we do not see it, or it passes by itself.
        HelmRepositoryNotFound
        | SecretNotFound
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
        | NamespaceNotFound
        | QuotaExceeded
        | AdmissionDenied
        | ClusterUnavailable
        | NotReady
        | HookFailed
        | PendingRelease
        | HistoryInvalid
        | InstallFailed
        | UpgradeFailed
        | UninstallFailed => Retry::Backoff,
        InstallCompleted | UpgradeCompleted | SyncCompleted | Progressing | InstallStarted | UpgradeStarted
        | UninstallStarted | UninstallCompleted | Suspended | ChartNameMismatch | ChartDeprecated | Adopted => {
            Retry::Never
        }
    }
}

/// How often each object failed in a row. It is lost with the process, which then begins anew with short delays.
#[derive(Default)]
pub(crate) struct Retries {
    failures: Mutex<BTreeMap<String, usize>>,
}

impl Retries {
    /// All is well: looked at again after about `interval`.
    pub(crate) fn settled(&self, object: &impl ResourceExt, interval: Duration) -> Action {
        let uid = object.uid().unwrap_or_default();
        self.lock().remove(&uid);
        Action::requeue(jitter(interval, &uid))
    }

    /// Something went wrong: the next try, by the reaction to its reason.
    pub(crate) fn halted(&self, object: &impl ResourceExt, halt: &Halt, interval: Duration) -> Action {
        let uid = object.uid().unwrap_or_default();
        match retry(halt.reason) {
            Retry::Never => Action::await_change(),
            Retry::OnChange => Action::requeue(jitter(interval, &uid)),
            Retry::Backoff => {
                let mut failures = self.lock();
                let count = failures.entry(uid.clone()).or_default();
                *count += 1;
                Action::requeue(halt.retry_after.unwrap_or_else(|| jitter(backoff(*count, interval), &uid)))
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, usize>> {
        self.failures.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// `interval` up to 5 % shorter or longer, always the same for one object: objects that were created together do not
/// stay together. Never less than a second.
fn jitter(interval: Duration, uid: &str) -> Duration {
    let spread = u32::from(Sha256::digest(uid)[0]);
    (interval * (950 + spread * 100 / 255) / 1000).max(Duration::from_secs(1))
}

/// The delay before the next try after `failures` tries in a row that failed: 5 s, doubled each time, at most `interval`.
pub(crate) fn backoff(failures: usize, interval: Duration) -> Duration {
    let doublings = u32::try_from(failures.saturating_sub(1)).unwrap_or(u32::MAX).min(12);
    Duration::from_secs(5).saturating_mul(1 << doublings).min(interval.max(Duration::from_secs(5)))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::backoff;

    #[test]
    fn tries_come_ever_later_up_to_the_interval() {
        let interval = Duration::from_mins(10);
        let delays: Vec<u64> = [0, 1, 2, 3, 7, 8, 100].map(|failures| backoff(failures, interval).as_secs()).to_vec();
        assert_eq!(delays, [5, 5, 10, 20, 320, 600, 600]);
        assert_eq!(backoff(9, Duration::from_millis(1)).as_secs(), 5, "an interval of a millisecond is no hot loop");
    }
}
