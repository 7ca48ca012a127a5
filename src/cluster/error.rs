//! What can go wrong between us and users' objects: one variant per trouble that a person handles differently.

use std::time::Duration;

use super::object::ObjectRef;
use super::refusal::FieldPath;

/// One manager's claim on fields that an apply wanted to change.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct FieldConflict {
    /// The field manager as the server names it: `kubectl-edit`, `vpa-updater`, ….
    pub manager: String,
    /// Field paths it owns, `.spec.replicas`.
    pub fields: Vec<FieldPath>,
}

/// Why a call on the cluster failed. The text names the object and, where a person must act, what to do.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A document of the manifest is not YAML.
    #[error("failed to parse the manifest of {origin}")]
    ParseManifest {
        /// Template or file it came from.
        origin: String,
        /// What is wrong, and where.
        #[source]
        problem: formats::yaml::Error,
    },
    /// A document lacks what every Kubernetes object has.
    #[error("{origin}: {object} has no {field}")]
    MissingField {
        /// Template or file it came from.
        origin: String,
        /// What is known of the object.
        object: String,
        /// The field that is absent or has a wrong type.
        field: &'static str,
    },
    /// `metadata.generateName` has no stable identity, so it can be neither applied nor removed again.
    #[error("{origin}: {kind} uses metadata.generateName, which a release cannot track: give it a metadata.name")]
    GenerateName {
        /// Template or file it came from.
        origin: String,
        /// Kind of the object.
        kind: String,
    },
    /// The cluster does not serve this kind.
    #[error("{object} of {origin}: the cluster serves no kind {kind:?} in {api_version:?}{}", served_hint(.served))]
    UnknownKind {
        /// `group/version` as written.
        api_version: String,
        /// Kind as written.
        kind: String,
        /// Name of the object that needs it.
        object: String,
        /// Template or file it came from.
        origin: String,
        /// Versions in which the cluster does serve a kind of that group and name.
        served: Vec<String>,
    },
    /// What the cluster serves cannot be read.
    #[error("failed to read which kinds the cluster serves")]
    Discover {
        /// The client's error.
        #[source]
        source: Box<kube::Error>,
    },
    /// The server does not list its kinds in the one way we read them.
    #[error("the API server lists no kinds by aggregated discovery: Kubernetes 1.30 or newer is needed")]
    NoKinds,
    /// An aggregated API is registered but does not answer, so its kinds are unknown just now.
    #[error(
        "{object} needs API group version {api_version:?}, which the cluster registers but cannot reach now (see the APIService)"
    )]
    StaleGroup {
        /// `group/version`.
        api_version: String,
        /// The object that needs it.
        object: String,
    },
    /// The object exists and belongs to another Helm release.
    #[error(
        "{object} exists and belongs to release {release:?} in namespace {namespace:?}: remove it from one of the two charts, or set spec.install.takeOwnership (for an upgrade, spec.upgrade.takeOwnership) to true"
    )]
    Owned {
        /// The object.
        object: Box<ObjectRef>,
        /// Release that its annotations name.
        release: String,
        /// Namespace of that release.
        namespace: String,
    },
    /// The object exists and no Helm release owns it.
    #[error(
        "{object} exists and was not made by a Helm release ({missing}): delete it, set spec.install.takeOwnership (for an upgrade, spec.upgrade.takeOwnership) to true, or set on it the label app.kubernetes.io/managed-by=Helm and the annotations meta.helm.sh/release-name={release} and meta.helm.sh/release-namespace={namespace}"
    )]
    Unowned {
        /// The object.
        object: Box<ObjectRef>,
        /// Which marks are absent or different.
        missing: String,
        /// Release that wanted it.
        release: String,
        /// Namespace of that release.
        namespace: String,
    },
    /// Other field managers own fields that the chart sets.
    #[error("{object} has fields that others manage: {}; drop them from the chart's values, say who wins in spec.conflicts, or set spec.upgrade.force (for an install, spec.install.force) to true", conflict_list(.conflicts))]
    Conflict {
        /// The object.
        object: Box<ObjectRef>,
        /// Who owns what.
        conflicts: Vec<FieldConflict>,
    },
    /// A field that cannot be changed once the object exists.
    #[error("{object} cannot be changed in place: {field}: {message}; {}", way_out_of_immutable(object))]
    Immutable {
        /// The object.
        object: Box<ObjectRef>,
        /// Field path.
        field: String,
        /// The server's words: which rule, and what may change.
        message: String,
    },
    /// A definition that exists may not become as the chart has it.
    #[error("the CustomResourceDefinition {name} is not replaced by the chart's: {why}")]
    CrdNotReplaced {
        /// Its name.
        name: String,
        /// Why not, and what to do.
        why: String,
    },
    /// The object of a hook exists already: the end of a Job or Pod would be taken for the end of this run, or it is a release's.
    #[error("hook {object} exists already{}", match .of {
        Some(release) => format!(", as an object of the Helm release {release}: give the hook another name in the chart"),
        None => ": delete it, or give the hook the delete policy before-hook-creation in the chart".to_owned(),
    })]
    HookExists {
        /// The object.
        object: Box<ObjectRef>,
        /// The release that it is of, where it is another than the hook's.
        of: Option<String>,
    },
    /// The server finds the object invalid.
    #[error("{object} is refused as invalid: {message}")]
    Invalid {
        /// The object.
        object: Box<ObjectRef>,
        /// The server's words (cut for Secrets).
        message: String,
    },
    /// RBAC refuses.
    #[error("no permission to {verb} {resource}{}: {message}", in_namespace(.namespace.as_deref()))]
    Forbidden {
        /// get, patch, delete, ….
        verb: String,
        /// `deployments.apps`.
        resource: String,
        /// Namespace, if the kind has one.
        namespace: Option<String>,
        /// The server's words.
        message: String,
    },
    /// A `ResourceQuota` is used up.
    #[error("{object} exceeds a quota: {message}")]
    Quota {
        /// The object.
        object: Box<ObjectRef>,
        /// The server's words: which quota, requested, used, limited.
        message: String,
    },
    /// An admission webhook or policy said no.
    #[error("{object} was denied by admission {webhook:?}: {message}")]
    Webhook {
        /// The object.
        object: Box<ObjectRef>,
        /// Name of the webhook or `ValidatingAdmissionPolicy`.
        webhook: String,
        /// Its words.
        message: String,
    },
    /// A webhook of the API server's did not answer, or did not convert an object.
    #[error("{object}: {webhook} {what}: {message}")]
    WebhookUnreachable {
        /// The object.
        object: Box<ObjectRef>,
        /// Which one: an admission webhook by its name, a conversion webhook by the kind it is of.
        webhook: String,
        /// What it did not do.
        what: &'static str,
        /// The server's words.
        message: String,
    },
    /// The namespace of the object does not exist.
    #[error(
        "{object} cannot be made: namespace {namespace:?} does not exist; create it{}",
        if *.is_own { ", or set spec.release.createNamespace to true" } else { ", or add it to the chart: it is not the release's own namespace" }
    )]
    NamespaceMissing {
        /// The object.
        object: Box<ObjectRef>,
        /// Its namespace.
        namespace: String,
        /// Whether it is the release's own.
        is_own: bool,
    },
    /// The namespace of the object is being deleted.
    #[error("{object} cannot be made: namespace {namespace:?} is being deleted")]
    NamespaceTerminating {
        /// The object.
        object: Box<ObjectRef>,
        /// Its namespace.
        namespace: String,
    },
    /// Deletion was accepted, but objects are still there.
    #[error("still there {} after their deletion was asked for: {}; the controllers that set these finalizers have to remove them", seconds(*.waited), stuck_list(.objects))]
    NotGone {
        /// What is left, with what holds it (finalizers).
        objects: Vec<(ObjectRef, String)>,
        /// How long we waited.
        waited: Duration,
    },
    /// A CRD was made, but the server does not serve it in time.
    #[error("CustomResourceDefinition {name:?} is not established: {message}")]
    CrdNotEstablished {
        /// Name of the CRD.
        name: String,
        /// Its condition's words.
        message: String,
    },
    /// The release reaches for what it may not touch or read.
    #[error(
        "{what} is out of reach: the operator runs with --no-cross-namespace-refs, so a release holds and looks up objects of its own namespace {namespace:?} only"
    )]
    OutOfReach {
        /// The object, or what was looked up.
        what: String,
        /// The namespace that is in reach.
        namespace: String,
    },
    /// A chart looks up too much.
    #[error("the chart's templates look up more than {limit}")]
    LookupLimit {
        /// How much may be looked up.
        limit: String,
    },
    /// The identity we use is not accepted at all.
    #[error(
        "the API server does not accept the operator's credentials: {message}; check its service account token or kubeconfig"
    )]
    Unauthorized {
        /// The server's words.
        message: String,
    },
    /// The API server cannot be reached, is overloaded or failing; retries inside the patience did not help.
    #[error("failed to {verb} {target}: the API server is not available")]
    Unavailable {
        /// get, patch, delete, ….
        verb: &'static str,
        /// Object or resource.
        target: String,
        /// The client's last error.
        #[source]
        source: Box<kube::Error>,
    },
    /// It is not known what has become of an object: it may not be watched.
    #[error("failed to watch {object}: {message}")]
    Unwatched {
        /// The object.
        object: Box<ObjectRef>,
        /// The server's words.
        message: String,
    },
    /// Any other refusal.
    #[error("failed to {verb} {target}: {message} (HTTP {code})")]
    Refused {
        /// get, patch, delete, ….
        verb: &'static str,
        /// Object or resource.
        target: String,
        /// HTTP status code.
        code: u16,
        /// The server's words.
        message: String,
    },
    /// The server's answer is not what the API promises.
    #[error("failed to read the server's answer to {verb} {target}")]
    ReadAnswer {
        /// get, patch, delete, ….
        verb: &'static str,
        /// Object or resource.
        target: String,
        /// The parser's error.
        #[source]
        source: serde_json::Error,
    },
}

fn served_hint(served: &[String]) -> String {
    if served.is_empty() {
        let hint = "; install the CustomResourceDefinition that defines it first (of a chart's crds/ folder the first \
                    install does that, and no upgrade: apply it with kubectl)";
        return hint.to_owned();
    }
    format!("; it serves that kind in {}", served.join(", "))
}

fn in_namespace(namespace: Option<&str>) -> String {
    namespace.map(|namespace| format!(" in namespace {namespace:?}")).unwrap_or_default()
}

/// What a person can do about a field that cannot be changed. What people keep data in is never made anew for them.
fn way_out_of_immutable(object: &ObjectRef) -> String {
    if object.is_volume() {
        return "change the field back, or have the chart make another one and move the data there; volumes and claims are never deleted to be made \
                anew, and a claim grows only once it is bound, where its storage class lets it"
            .to_owned();
    }
    format!(
        "change the field back, set spec.onImmutable for {}, or delete the object, which is then made anew",
        object.kind
    )
}

fn conflict_list(conflicts: &[FieldConflict]) -> String {
    let claims: Vec<_> = conflicts
        .iter()
        .map(|conflict| {
            let fields: Vec<_> = conflict.fields.iter().map(ToString::to_string).collect();
            format!("{:?} manages {}", conflict.manager, fields.join(", "))
        })
        .collect();
    claims.join("; ")
}

fn stuck_list(objects: &[(ObjectRef, String)]) -> String {
    let stuck: Vec<_> = objects.iter().map(|(object, why)| format!("{object} ({why})")).collect();
    stuck.join(", ")
}

fn seconds(waited: Duration) -> String {
    // What is left of a timeout when it begins is a little less than was declared.
    format!("{:.0}s", waited.as_secs_f64())
}
