//! One word for one trouble: the reason of a condition, of an Event, of a metric and of a log line.

use std::fmt;

/// Declares the reasons once, with their list.
macro_rules! reasons {
    ($(#[$about:meta])* pub enum Reason { $($(#[$meaning:meta])* $reason:ident,)* }) => {
        $(#[$about])*
        pub enum Reason {
            $($(#[$meaning])* $reason,)*
        }

        impl Reason {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$reason,)*];
        }
    };
}

reasons! {
    /// Every reason we give. Closed: a new trouble gets its own word here, and the compiler asks for its reaction
    /// (`controller::error::retry`).
    #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
    pub enum Reason {
        // What went well, or goes on.
        /// The first revision of the release is in place.
        InstallCompleted,
        /// A later revision of the release is in place.
        UpgradeCompleted,
        /// The registry answered as it should.
        SyncCompleted,
        /// Work goes on.
        Progressing,
        /// An install goes on.
        InstallStarted,
        /// An upgrade goes on.
        UpgradeStarted,
        /// The release is gone.
        UninstallCompleted,
        /// The release is left in the cluster though its object goes (an event only).
        UninstallSkipped,
        /// `spec.suspend` is set.
        Suspended,
        /// Rendering passed something over that the chart or its values ask for (an event only).
        ChartWarning,
        /// Somebody else made a revision, and the declared release takes its place (an event only).
        ForeignRevision,
        /// Records say that they are the object's in a namespace where none of its may be; they are left (an event only).
        RecordsNotListed,
        /// The annotation `adopt` names an object that declares another release (an event only).
        AdoptionIgnored,
        /// A schema that the chart refers to could not be had, and is left out of the check of the values (an event only).
        SchemaUnavailable,

        /// The operator itself failed: a defect, to be reported.
        InternalError,

        // What the object itself says wrongly.
        /// A field, or a combination of fields, has no meaning.
        ConfigurationError,
        /// What `HelmReleaseDefaults` of the namespace, or those of the cluster, say cannot be read.
        DefaultsInvalid,
        /// The repository is no OCI registry.
        UnsupportedRepositoryType,
        /// The `HelmRepository` a release names does not exist.
        HelmRepositoryNotFound,
        /// Something of another namespace may not be used from this one: a `HelmRepository`, a Secret, a namespace to
        /// install into.
        AccessDenied,
        /// A Secret that is referred to does not exist.
        SecretNotFound,
        /// A Secret lacks what it should hold.
        SecretInvalid,
        /// The `ConfigMap` that `spec.kubeConfig` names does not exist.
        ConfigMapNotFound,
        /// The `ConfigMap` that `spec.kubeConfig` names cannot be used.
        ConfigMapInvalid,
        /// The last revision that was deployed is deployed again (the condition `Remediated`).
        RolledBack,
        /// A rollback after a failed upgrade failed, too (the condition `Remediated`).
        RollbackFailed,
        /// A failed upgrade was not rolled back, since a hook before it was completed (an event only).
        RollbackSkipped,
        /// As many attempts failed as are declared.
        RetriesExhausted,
        /// The chart's tests passed (the condition `TestSuccess`).
        TestSucceeded,
        /// One of the chart's tests failed.
        TestFailed,
        /// Something that the release depends on is not ready, or does not exist.
        DependencyNotReady,
        /// A release that is to be uninstalled waits for others that depend on it.
        DependentsRemain,
        /// Somebody changed or deleted what the release applied (an event, and the condition `Drifted`).
        DriftDetected,
        /// What somebody changed or deleted is as it was applied again (an event only).
        DriftCorrected,
        /// What somebody changed or deleted could not be looked at, or not be made as it was applied (an event only).
        DriftCorrectionFailed,
        /// The objects of what is deployed do their work (the condition `Healthy`).
        HealthCheckSucceeded,
        /// Objects of what is deployed do not do their work (an event, and the condition `Healthy`).
        HealthCheckFailed,
        /// Some objects of what is deployed are not watched (the conditions `Healthy` and `Drifted`).
        NotWatched,
        /// All objects are as they were applied (the condition `Drifted`).
        NoDriftDetected,
        /// The next install or upgrade is planned, and waits for approval.
        ApprovalNeeded,
        /// A plan that was approved no longer fits, or was approved too late: it is made anew (an event only).
        PlanOutdated,
        /// What `spec.valuesFrom` names does not exist, or lacks the key.
        ValuesNotFound,
        /// `spec.values` cannot be read as a map.
        ValuesInvalid,

        // What the registry says.
        /// Wrong or missing credentials (401).
        AuthenticationFailed,
        /// The credentials are right but give no access (403).
        PermissionDenied,
        /// The registry knows no such repository.
        RepositoryNotFound,
        /// The repository has no such tag.
        TagNotFound,
        /// No tag of the repository matches the constraint.
        NoMatchingVersion,
        /// What is stored there is not a Helm chart.
        NotAHelmChart,
        /// Content does not have the digest it should have.
        DigestMismatch,
        /// The registry's certificate is signed by nobody we trust.
        CertificateUnknownAuthority,
        /// The registry's certificate has expired, or is not valid yet.
        CertificateExpired,
        /// The registry's certificate is for another name.
        CertificateNameMismatch,
        /// One side speaks HTTP and the other HTTPS.
        PlainHttp,
        /// The registry's host name does not resolve.
        DnsFailed,
        /// No connection to the registry.
        ConnectionFailed,
        /// The registry did not answer in time.
        RegistryTimeout,
        /// The proxy refused.
        ProxyFailed,
        /// The registry asks us to come back later (429).
        RateLimited,
        /// The registry fails (5xx).
        RegistryUnavailable,
        /// What answers does not speak the registry protocol.
        RegistryUnexpected,

        // What the chart says.
        /// The archive is larger than we take.
        ChartTooLarge,
        /// The archive is broken or unsafe.
        ChartArchiveInvalid,
        /// `Chart.yaml` is missing or wrong.
        ChartMetadataInvalid,
        /// The values break the chart's schema.
        SchemaViolation,
        /// A template does not parse or execute.
        TemplateFailed,
        /// What the chart renders cannot be changed as `spec.postRenderers` says.
        PostRenderFailed,
        /// The chart itself refuses (`fail`, `required`).
        ChartRefused,
        /// What the templates print is not YAML, or not objects.
        ManifestInvalid,
        /// The chart does not run on this Kubernetes version.
        KubernetesVersionUnsupported,
        /// Rendering needs more time, memory or depth than it may have.
        RenderLimitExceeded,

        // What the cluster says.
        /// An object of a kind that the cluster does not have.
        UnknownKind,
        /// The operator, or the service account as which it acts, may not do that (RBAC).
        Forbidden,
        /// The service account as which the release is to be carried out does not exist.
        ServiceAccountNotFound,
        /// A namespace does not exist.
        NamespaceNotFound,
        /// A definition that exists would lose versions or fields that objects have.
        DefinitionNotReplaced,
        /// A field that cannot change was to change.
        ImmutableField,
        /// Another field manager owns a field.
        FieldConflict,
        /// The object belongs to another release, or to nobody.
        OwnershipConflict,
        /// A quota does not allow it.
        QuotaExceeded,
        /// An admission webhook or policy refused.
        AdmissionDenied,
        /// An admission webhook does not answer: it may not be up yet.
        WebhookUnavailable,
        /// The API server finds an object invalid.
        ObjectInvalid,
        /// The API server does not answer.
        ClusterUnavailable,
        /// The cluster that `spec.kubeConfig` names does not answer.
        ClusterUnreachable,
        /// The cluster that `spec.kubeConfig` names rejects the credentials of the kubeconfig.
        ClusterCredentialsRejected,
        /// Objects did not become ready in time.
        NotReady,
        /// A hook failed.
        HookFailed,

        // What the release's history says.
        /// So many revisions were made of late that something must be undoing them.
        TooManyRevisions,
        /// Somebody else made the revision that is deployed, and it stays until the object changes or a person asks.
        ReleaseHeld,
        /// Somebody else's Helm is at work on the release.
        PendingRelease,
        /// The release record does not fit into a Secret.
        ReleaseTooLarge,
        /// The release's history cannot be read.
        HistoryInvalid,
        /// A Helm release that exists is another chart's, or another operator looks after it.
        AdoptionRefused,
        /// Another `HelmRelease` manages the same Helm release.
        ReleaseNameConflict,

        // Summary reasons of `Released`.
        /// The install was not carried out.
        InstallFailed,
        /// The upgrade was not carried out.
        UpgradeFailed,
        /// The name of the chart is not the declared one (a warning event only).
        ChartNameMismatch,
        /// The chart is marked deprecated (a warning event only).
        ChartDeprecated,
    }
}

impl Reason {
    /// The reason that is written like this, as in a condition; `None` for any other word.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|reason| reason.to_string() == text)
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}
