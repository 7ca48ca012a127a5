//! The one door to users' objects: what the cluster serves, apply, delete, wait.
//!
//! ```text
//! manifests ──objects──► Object ──apply──► Applied ──wait_ready──► ()        (or why not: diagnose)
//!             discovery            ownership first    one shared watch per kind and place
//! old manifests ──objects──► left_behind ──delete──► Removal
//! ```
//!
//! Invariants: nothing is written before every object of a call is known to be free or ours; whatever is written
//! carries Helm's ownership marks and the field manager `helm`; waiting is watching, never polling; an error or a
//! log line never holds the data of a Secret.

mod access;
mod apply;
mod awaited;
mod checks;
mod conflicts;
mod content;
mod crds;
mod delete;
mod dependency;
mod diagnose;
mod discovery;
mod drift;
mod error;
mod expression;
mod fields;
mod hooks;
mod live;
mod logs;
mod lookup;
mod managed_fields;
mod object;
mod order;
mod ownership;
mod pointers;
mod preview;
mod reach;
mod readiness;
mod ready;
mod refusal;
mod replace;
mod request;
mod restart;
mod secrecy;
mod wait;
mod watch;

use std::sync::Arc;

pub use apply::{Applied, ApplyOptions, Change, Existing};
pub use awaited::Awaited;
pub use checks::{HealthCheck, HealthChecks};
pub use conflicts::{ConflictPolicy, Paths};
pub use crds::Existing as ExistingCrds;
pub use delete::{DeleteOptions, Propagation, Removal, Removed, Whose};
pub use dependency::{Dependency, Wanted};
pub use discovery::Resource;
pub use drift::{Deviation, Drift};
pub use error::{Error, FieldConflict};
pub use expression::{Expression, Input, Malformed};
pub use fields::Fingerprint;
pub use hooks::{HookOutcome, HookRun, HookStanding};
pub use live::{Glance, Health, Live, LiveObjects, Sighting};
pub use logs::LogEnd;
pub use lookup::Lookup;
pub use object::{Object, ObjectRef, Source, distinct, left_behind};
pub use preview::{Foreseen, Preview};
pub use reach::Reach;
pub use readiness::Readiness;
pub use refusal::FieldPath;
pub use replace::Immutable;
pub use secrecy::SecretValues;
pub use wait::{Unready, WaitError, WaitOptions};

/// The release that owns objects, as Helm's ownership marks name it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Owner {
    /// Release name.
    pub release: String,
    /// The release's namespace, as `meta.helm.sh/release-namespace` names it. Its objects and its records may be elsewhere.
    pub namespace: String,
}

/// A handle on one cluster with one identity. Clones share connections, the kinds the cluster serves, and watches.
#[derive(Clone)]
pub struct Cluster {
    requests: request::Requests,
    discovery: Arc<discovery::Discovery>,
    hub: Arc<watch::Hub>,
}

impl Cluster {
    /// A handle that speaks through `client`. Nothing is asked of the server until the first call.
    pub fn new(client: kube::Client) -> Self {
        let requests = request::Requests::new(client);
        Self {
            discovery: Arc::new(discovery::Discovery::new(requests.clone())),
            hub: watch::Hub::new(requests.client().clone()),
            requests,
        }
    }

    /// The same on behalf of the releases of a namespace, which share the requests in flight fairly with others.
    #[must_use]
    pub fn on_behalf_of(&self, namespace: &str) -> Self {
        Self { requests: self.requests.on_behalf_of(namespace), ..self.clone() }
    }

    /// The same as a service account, which may do less: every read, apply and delete of objects, and every `lookup`. What
    /// the cluster serves, and how objects that were applied become ready, is read by the handle's own identity.
    #[must_use]
    pub fn as_service_account(&self, namespace: &str, name: &str) -> Self {
        let user = format!("system:serviceaccount:{namespace}:{name}");
        Self { requests: self.requests.as_user(&user), ..self.clone() }
    }
}

impl std::fmt::Debug for Cluster {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Cluster")
    }
}
