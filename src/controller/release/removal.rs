//! What is known of an object whose releases are to be uninstalled, and how that is to be done. Pure.

use std::time::Duration;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use k8s_openapi::jiff::Timestamp;

use super::dereference;
use crate::api::{
    DeletionPolicy, DeletionPropagation, GoDuration, HelmRelease, InventoryEntry, KubeConfig, ReleaseState,
};
use crate::controller::guarded::Undecodable;
use crate::controller::matching;
use crate::controller::place::Whereabouts;
use crate::controller::target::{ClusterKey, Target};

/// How long an uninstall may take where nothing else is said.
const UNINSTALL_TIMEOUT: Duration = Duration::from_mins(5);

/// How to uninstall.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Removal {
    /// Limit of the whole uninstall.
    pub(crate) timeout: Duration,
    /// Run hooks.
    pub(crate) hooks: bool,
    /// Keep the history.
    pub(crate) keep_history: bool,
    /// Wait until the objects are gone.
    pub(crate) wait: bool,
    /// What becomes of dependents.
    pub(crate) propagation: DeletionPropagation,
    /// Whether to uninstall at all, where that is declared.
    pub(crate) policy: Option<DeletionPolicy>,
}

/// What is known of an object when its releases are to be uninstalled. An object that cannot be read has it, too.
#[derive(Debug, Clone)]
pub(crate) struct Leaving {
    /// The object, as `namespace/name`.
    pub(crate) owner: String,
    /// The object's uid.
    pub(crate) uid: String,
    /// The release that it declares, where that can be read.
    pub(crate) target: Option<Target>,
    /// Where something of it may be.
    pub(crate) whose: Whereabouts,
    /// Whether its status tells in which clusters it may be.
    pub(crate) is_told: bool,
    /// When its deletion was asked for.
    pub(crate) deleted: Option<Timestamp>,
    /// Whether it is suspended.
    pub(crate) suspended: bool,
    /// Whether it cannot be read what it says of its removal.
    pub(crate) unclear: bool,
    /// How to uninstall.
    pub(crate) removal: Removal,
    /// The release as its status has it.
    pub(crate) state: Option<ReleaseState>,
    /// The objects of that release, as its status has them.
    pub(crate) inventory: Vec<InventoryEntry>,
}

impl Leaving {
    /// What `release` declares and tells.
    pub(crate) fn of(release: &HelmRelease) -> Self {
        let is_told = release.status.is_some();
        let status = release.status.clone().unwrap_or_default();
        Self {
            whose: Whereabouts::of(release),
            is_told,
            deleted: deleted(&release.metadata),
            owner: owner(&release.metadata),
            uid: release.metadata.uid.clone().unwrap_or_default(),
            target: Some(dereference::target(release)),
            suspended: release.spec.suspend,
            unclear: false,
            removal: removal(release),
            state: status.helm_release,
            inventory: status.inventory.map(|inventory| inventory.entries).unwrap_or_default(),
        }
    }

    /// What is known of an object that cannot be read as a whole: its releases are uninstalled as by default, unless it
    /// says that they are to stay, or what it says of that cannot be read either.
    pub(crate) fn of_undecodable(undecodable: &Undecodable) -> Self {
        let metadata = &undecodable.metadata;
        let declared = undecodable.removal.clone().unwrap_or_default();
        let cluster = |config: &KubeConfig| ClusterKey::new(metadata.namespace.as_deref().unwrap_or_default(), config);
        let removal = Removal {
            timeout: UNINSTALL_TIMEOUT,
            hooks: true,
            keep_history: false,
            wait: true,
            propagation: DeletionPropagation::default(),
            policy: declared.policy,
        };
        Self {
            owner: owner(metadata),
            uid: metadata.uid.clone().unwrap_or_default(),
            target: None,
            is_told: !undecodable.status.is_empty(),
            deleted: deleted(metadata),
            whose: Whereabouts {
                namespace: metadata.namespace.clone().unwrap_or_default(),
                account: declared.service_account,
                declared: declared.kube_config.as_ref().map(cluster),
                listed: undecodable.kube_configs().iter().map(|told| cluster(&KubeConfig::parse(told))).collect(),
                records: undecodable.record_namespaces().into_iter().chain(metadata.namespace.clone()).collect(),
            },
            suspended: declared.suspend,
            unclear: undecodable.removal.is_none(),
            removal,
            state: None,
            inventory: Vec::new(),
        }
    }

    /// Whether the status speaks of `release`.
    pub(crate) fn tells_of(&self, release: &Target) -> bool {
        self.told().is_some_and(|told| told == *release)
    }

    /// The release that the status speaks of.
    pub(crate) fn told(&self) -> Option<Target> {
        self.state.as_ref().map(|state| matching::told(state, &self.whose.namespace))
    }

    /// What it has in a cluster that cannot be asked.
    pub(crate) fn known_in(&self, cluster: &ClusterKey) -> String {
        let known = self.told().into_iter().chain(self.target.clone());
        let mut known = known.filter(|known| known.cluster.as_ref() == Some(cluster)).map(|known| known.to_string());
        known.next().unwrap_or_else(|| format!("of HelmRelease {} in {cluster}", self.owner))
    }

    /// Whether something of it may be in a cluster: nothing is before the status says so.
    pub(crate) fn may_be_in(&self, cluster: &ClusterKey) -> bool {
        !self.is_told || self.whose.listed.contains(cluster)
    }
}

fn deleted(metadata: &ObjectMeta) -> Option<Timestamp> {
    metadata.deletion_timestamp.as_ref().map(|time| time.0)
}

/// An object as it is named in marks: `namespace/name`.
pub(super) fn owner(metadata: &ObjectMeta) -> String {
    format!("{}/{}", metadata.namespace.as_deref().unwrap_or_default(), metadata.name.as_deref().unwrap_or_default())
}

/// How the release is to be uninstalled.
fn removal(release: &HelmRelease) -> Removal {
    let uninstall = release.spec.uninstall.clone().unwrap_or_default();
    let timeout = uninstall.timeout.or(release.spec.timeout);
    Removal {
        timeout: timeout.map_or(UNINSTALL_TIMEOUT, GoDuration::at_least_a_second),
        hooks: !uninstall.disable_hooks,
        keep_history: uninstall.keep_history,
        wait: !uninstall.disable_wait,
        propagation: uninstall.deletion_propagation,
        policy: uninstall.deletion_policy,
    }
}
