//! Hooks: manifests that run at a moment of a release's life instead of belonging to it.

use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::wire;

/// The annotation that makes a manifest a hook: its events, comma-separated.
pub const EVENT_ANNOTATION: &str = "helm.sh/hook";
/// The annotation with the weight: hooks of one event run from the lightest to the heaviest.
pub const WEIGHT_ANNOTATION: &str = "helm.sh/hook-weight";
/// The annotation that says when to delete the hook's object, comma-separated.
pub const DELETE_POLICY_ANNOTATION: &str = "helm.sh/hook-delete-policy";
/// The annotation that says whose logs to show, comma-separated.
pub const OUTPUT_LOG_POLICY_ANNOTATION: &str = "helm.sh/hook-output-log-policy";

/// A hook as Helm records it with the release.
///
/// `Debug` leaves the manifest out: it may be a Secret.
#[derive(Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Hook {
    /// The object's name.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub name: String,
    /// The object's kind.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub kind: String,
    /// The template it came from, such as `chart/templates/job.yaml`.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub path: String,
    /// The rendered document.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub manifest: String,
    /// When it runs.
    #[serde(skip_serializing_if = "Vec::is_empty", deserialize_with = "wire::null_is_default")]
    pub events: Vec<HookEvent>,
    /// How its last run went.
    pub last_run: HookRun,
    /// Its place among the hooks of the same event.
    #[serde(skip_serializing_if = "wire::is_default")]
    pub weight: i64,
    /// When its object is deleted; [`Hook::effective_delete_policies`] knows the default.
    #[serde(skip_serializing_if = "Vec::is_empty", deserialize_with = "wire::null_is_default")]
    pub delete_policies: Vec<DeletePolicy>,
    /// Whose logs Helm shows.
    #[serde(skip_serializing_if = "Vec::is_empty", deserialize_with = "wire::null_is_default")]
    pub output_log_policies: Vec<OutputLogPolicy>,
}

impl Hook {
    /// Whether it runs at `event`.
    pub fn runs_at(&self, event: &HookEvent) -> bool {
        self.events.contains(event)
    }

    /// The delete policies in force: [`DeletePolicy::BeforeHookCreation`] when the manifest names none.
    pub fn effective_delete_policies(&self) -> &[DeletePolicy] {
        if self.delete_policies.is_empty() { &[DeletePolicy::BeforeHookCreation] } else { &self.delete_policies }
    }
}

impl fmt::Debug for Hook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hook")
            .field("name", &self.name)
            .field("kind", &self.kind)
            .field("path", &self.path)
            .field("events", &self.events)
            .field("weight", &self.weight)
            .field("last_run", &self.last_run)
            .finish_non_exhaustive()
    }
}

/// The hooks of `event`, in the order in which they run: by weight, then name, then as rendered.
pub fn in_run_order<'a>(hooks: &'a [Hook], event: &HookEvent) -> Vec<&'a Hook> {
    let mut hooks: Vec<_> = hooks.iter().filter(|hook| hook.runs_at(event)).collect();
    hooks.sort_by(|a, b| (a.weight, &a.name).cmp(&(b.weight, &b.name)));
    hooks
}

/// How a hook ran last.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct HookRun {
    /// When it began; none if it never ran.
    #[serde(with = "wire::time", skip_serializing_if = "Option::is_none")]
    pub started_at: Option<Timestamp>,
    /// When it ended; none while it runs.
    #[serde(with = "wire::time", skip_serializing_if = "Option::is_none")]
    pub completed_at: Option<Timestamp>,
    /// How far it got.
    pub phase: HookPhase,
}

/// An enum of Helm's words that keeps words it does not know, so that a record reads back as it was written.
macro_rules! words {
    ($(#[$about:meta])* $name:ident { $($(#[$doc:meta])* $variant:ident = $word:literal,)+ }) => {
        $(#[$about])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(from = "String", into = "String")]
        pub enum $name {
            $($(#[$doc])* $variant,)+
            /// A word this engine does not know; it has no effect.
            Other(String),
        }

        impl $name {
            /// The word as Helm writes it.
            pub fn as_str(&self) -> &str {
                match self {
                    $(Self::$variant => $word,)+
                    Self::Other(word) => word,
                }
            }
        }

        impl From<String> for $name {
            fn from(word: String) -> Self {
                match word.as_str() {
                    $($word => Self::$variant,)+
                    _ => Self::Other(word),
                }
            }
        }

        impl From<$name> for String {
            fn from(word: $name) -> Self {
                word.as_str().to_owned()
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }
    };
}

words! {
    /// A moment of a release's life.
    HookEvent {
        /// Before anything of a first revision is applied.
        PreInstall = "pre-install",
        /// After a first revision is applied and ready.
        PostInstall = "post-install",
        /// Before the objects of a release are deleted.
        PreDelete = "pre-delete",
        /// After the objects of a release are deleted.
        PostDelete = "post-delete",
        /// Before a later revision is applied.
        PreUpgrade = "pre-upgrade",
        /// After a later revision is applied and ready.
        PostUpgrade = "post-upgrade",
        /// Before an earlier revision is applied again.
        PreRollback = "pre-rollback",
        /// After an earlier revision is applied again and ready.
        PostRollback = "post-rollback",
        /// When the release is tested.
        Test = "test",
    }
}

words! {
    /// When a hook's object is deleted.
    DeletePolicy {
        /// After it succeeded.
        HookSucceeded = "hook-succeeded",
        /// After it failed.
        HookFailed = "hook-failed",
        /// Before it is created anew; the default.
        BeforeHookCreation = "before-hook-creation",
    }
}

words! {
    /// When Helm shows the logs of a hook's pods.
    OutputLogPolicy {
        /// After it succeeded.
        HookSucceeded = "hook-succeeded",
        /// After it failed.
        HookFailed = "hook-failed",
    }
}

words! {
    /// How far a hook got.
    #[derive(Default)]
    HookPhase {
        /// It never ran.
        #[default]
        NotRun = "",
        /// It was begun and nothing is known since.
        Unknown = "Unknown",
        /// It runs.
        Running = "Running",
        /// It ended well.
        Succeeded = "Succeeded",
        /// It ended badly.
        Failed = "Failed",
    }
}
