//! From the errors of the other modules to one reason each.

use super::error::{ReconcileError, chain};
use crate::api::Reason;
use crate::cluster::{Awaited, ObjectRef};
use crate::{cluster, history, registry};

/// What helps where the API server forbids something.
pub(crate) const GRANT: &str = "; grant it to the operator's service account";

/// What a request of the controllers' own to the API server failed with; `what` was tried.
pub(crate) fn api_error(what: &str, error: &kube::Error) -> ReconcileError {
    let code = if let kube::Error::Api(status) = error { status.code } else { 0 };
    if matches!(code, 401 | 403) {
        let message = format!("failed to {what}: {}{GRANT}", chain(error));
        return ReconcileError::new(Reason::Forbidden, message);
    }
    ReconcileError::new(Reason::ClusterUnavailable, format!("failed to {what}: {}", chain(error)))
}

/// The end of work that the operator did and that panicked; `what` it did. The words of the panic are in the log alone:
/// they may quote what it worked on.
pub(crate) fn panicked(what: &str) -> ReconcileError {
    let message = format!(
        "the operator panicked while it {what}: its log has the words; this is a defect of the operator: please report it with the chart and its version"
    );
    ReconcileError::new(Reason::InternalError, message)
}

impl From<registry::Error> for ReconcileError {
    fn from(error: registry::Error) -> Self {
        use registry::Error as E;
        let reason = match error.cause() {
            E::Reference { .. } | E::VersionConflict { .. } => Reason::ConfigurationError,
            E::Unauthorized { .. } => Reason::AuthenticationFailed,
            E::Forbidden { .. } => Reason::PermissionDenied,
            E::RepositoryNotFound { .. } => Reason::RepositoryNotFound,
            E::TagNotFound { .. } | E::DigestNotFound { .. } => Reason::TagNotFound,
            E::NoMatchingVersion { .. } => Reason::NoMatchingVersion,
            E::NotAChart { .. } => Reason::NotAHelmChart,
            E::FileNotFound { .. } => Reason::ValuesNotFound,
            E::NoFiles { .. } => Reason::ValuesInvalid,
            E::DigestMismatch {
                kind: registry::Mismatch::TagMoved | registry::Mismatch::Apart | registry::Mismatch::Chosen,
                ..
            } => Reason::DigestMismatch,
            E::TlsUnknownCa { .. } => Reason::CertificateUnknownAuthority,
            E::TlsExpired { .. } => Reason::CertificateExpired,
            E::TlsWrongName { .. } => Reason::CertificateNameMismatch,
            E::InvalidCa { .. } => Reason::SecretInvalid,
            E::PlainHttp { .. } => Reason::PlainHttp,
            E::Dns { .. } => Reason::DnsFailed,
            E::Tls { .. } | E::Connect { .. } | E::Interrupted { .. } => Reason::ConnectionFailed,
            E::Proxy { .. } => Reason::ProxyFailed,
            E::Timeout { .. } => Reason::RegistryTimeout,
            E::RateLimited { .. } => Reason::RateLimited,
            E::TooLarge { .. } => Reason::ChartTooLarge,
            E::ServerError { .. } | E::Paused { .. } => Reason::RegistryUnavailable,
            // A digest that does not fit is damage on the way: the next answer may be sound.
            E::Unexpected { .. } | E::Redirect { .. } | E::DigestMismatch { .. } => Reason::RegistryUnexpected,
        };
        Self { retry_after: error.retry_after(), ..Self::caused(reason, &error) }
    }
}

impl From<cluster::Error> for ReconcileError {
    fn from(error: cluster::Error) -> Self {
        use cluster::Error as E;
        let reason = match &error {
            E::ParseManifest { .. } | E::MissingField { .. } | E::GenerateName { .. } => Reason::ManifestInvalid,
            E::UnknownKind { .. } | E::CrdNotEstablished { .. } => Reason::UnknownKind,
            E::Owned { .. } | E::Unowned { .. } => Reason::OwnershipConflict,
            E::Conflict { .. } => Reason::FieldConflict,
            E::Immutable { .. } => Reason::ImmutableField,
            E::CrdNotReplaced { .. } => Reason::DefinitionNotReplaced,
            E::Invalid { .. } | E::Refused { .. } => Reason::ObjectInvalid,
            E::Forbidden { .. } | E::Unauthorized { .. } => Reason::Forbidden,
            E::OutOfReach { .. } => Reason::AccessDenied,
            E::HookExists { .. } => Reason::HookFailed,
            E::LookupLimit { .. } => Reason::RenderLimitExceeded,
            E::Quota { .. } => Reason::QuotaExceeded,
            E::Webhook { .. } => Reason::AdmissionDenied,
            E::WebhookUnreachable { .. } => Reason::WebhookUnavailable,
            E::NamespaceMissing { .. } | E::NamespaceTerminating { .. } => Reason::NamespaceNotFound,
            E::NotGone { .. } => Reason::NotReady,
            E::Discover { .. }
            | E::NoKinds
            | E::StaleGroup { .. }
            | E::Unavailable { .. }
            | E::ReadAnswer { .. }
            | E::Unwatched { .. } => Reason::ClusterUnavailable,
        };
        let awaits = match &error {
            E::Owned { object, .. } | E::Unowned { object, .. } | E::Immutable { object, .. } => {
                vec![Awaited::gone(object.as_ref().clone())]
            }
            E::UnknownKind { api_version, kind, .. } => Awaited::definition(api_version, kind).into_iter().collect(),
            E::NamespaceMissing { namespace, .. } => vec![Awaited::present(namespace_ref(namespace))],
            E::NamespaceTerminating { namespace, .. } => vec![Awaited::gone(namespace_ref(namespace))],
            _ => Vec::new(),
        };
        Self { awaits, ..Self::caused(reason, &error) }
    }
}

fn namespace_ref(name: &str) -> ObjectRef {
    ObjectRef { group: String::new(), kind: "Namespace".to_owned(), namespace: None, name: name.to_owned() }
}

impl From<cluster::WaitError> for ReconcileError {
    fn from(error: cluster::WaitError) -> Self {
        use cluster::WaitError as E;
        let reason = match &error {
            E::Timeout { .. } | E::Stuck { .. } | E::Failed { .. } => Reason::NotReady,
            // The objects are neither ready nor failed: nothing is known of them, and the wait is taken up again.
            E::Watch { .. } => Reason::ClusterUnavailable,
        };
        Self::caused(reason, &error)
    }
}

impl From<history::Error> for ReconcileError {
    fn from(error: history::Error) -> Self {
        use history::Error as E;
        let reason = match &error {
            E::TooLarge { .. } => Reason::ReleaseTooLarge,
            E::Forbidden { .. } => Reason::Forbidden,
            E::Quota { .. } => Reason::QuotaExceeded,
            E::Conflict { .. } | E::Exists { .. } | E::Gone { .. } => Reason::PendingRelease,
            E::NoNamespace { .. } | E::NamespaceTerminating { .. } => Reason::NamespaceNotFound,
            E::Refused { .. } => Reason::AdmissionDenied,
            E::Decode { .. } | E::Encode { .. } | E::NotARecord { .. } => Reason::HistoryInvalid,
            E::Request { .. } => Reason::ClusterUnavailable,
        };
        let awaits = match &error {
            E::NoNamespace { secret, .. } => vec![Awaited::present(namespace_ref(&secret.namespace))],
            E::NamespaceTerminating { secret } => vec![Awaited::gone(namespace_ref(&secret.namespace))],
            _ => Vec::new(),
        };
        Self { awaits, ..Self::caused(reason, &error) }
    }
}

impl From<helm::chart::Error> for ReconcileError {
    fn from(error: helm::chart::Error) -> Self {
        use helm::chart::ErrorKind as K;
        let reason = match error.kind() {
            K::Archive => Reason::ChartArchiveInvalid,
            K::TooLarge => Reason::ChartTooLarge,
            K::Metadata => Reason::ChartMetadataInvalid,
        };
        Self::caused(reason, &error)
    }
}

impl From<helm::engine::Error> for ReconcileError {
    fn from(error: helm::engine::Error) -> Self {
        use helm::engine::ErrorKind as K;
        let reason = match error.kind() {
            K::Template => Reason::TemplateFailed,
            K::Fail => Reason::ChartRefused,
            K::Schema => Reason::SchemaViolation,
            K::Values => Reason::ValuesInvalid,
            K::Yaml => Reason::ManifestInvalid,
            K::KubeVersion => Reason::KubernetesVersionUnsupported,
            K::Dependency => Reason::ChartMetadataInvalid,
            K::Limit => Reason::RenderLimitExceeded,
            K::Defect => Reason::InternalError,
        };
        Self::new(reason, chain(&error))
    }
}
