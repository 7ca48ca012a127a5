//! Where a revision stands.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Where a revision stands, in Helm's words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(from = "String", into = "&'static str")]
pub enum Status {
    /// The record does not say, or says something this engine does not know.
    #[default]
    Unknown,
    /// Its objects are in the cluster.
    Deployed,
    /// It was removed from the cluster and its record kept.
    Uninstalled,
    /// A later revision took its place.
    Superseded,
    /// It was not applied in full, or did not become ready.
    Failed,
    /// It is being removed.
    Uninstalling,
    /// The first revision is being applied.
    PendingInstall,
    /// A later revision is being applied.
    PendingUpgrade,
    /// An earlier revision is being applied again.
    PendingRollback,
}

impl Status {
    const ALL: [Self; 9] = [
        Self::Unknown,
        Self::Deployed,
        Self::Uninstalled,
        Self::Superseded,
        Self::Failed,
        Self::Uninstalling,
        Self::PendingInstall,
        Self::PendingUpgrade,
        Self::PendingRollback,
    ];

    /// The word as Helm writes it, in records and in the label `status`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::Deployed => "deployed",
            Self::Uninstalled => "uninstalled",
            Self::Superseded => "superseded",
            Self::Failed => "failed",
            Self::Uninstalling => "uninstalling",
            Self::PendingInstall => "pending-install",
            Self::PendingUpgrade => "pending-upgrade",
            Self::PendingRollback => "pending-rollback",
        }
    }

    /// Whether Helm refuses another operation while a revision stands here. `uninstalling` is not among them.
    pub fn is_pending(self) -> bool {
        matches!(self, Self::PendingInstall | Self::PendingUpgrade | Self::PendingRollback)
    }
}

impl From<&str> for Status {
    fn from(word: &str) -> Self {
        Self::ALL.into_iter().find(|status| status.as_str() == word).unwrap_or_default()
    }
}

impl From<String> for Status {
    fn from(word: String) -> Self {
        word.as_str().into()
    }
}

impl From<Status> for &'static str {
    fn from(status: Status) -> Self {
        status.as_str()
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
