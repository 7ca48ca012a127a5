//! What a plan may be.

use std::time::Duration;

use k8s_openapi::jiff::Timestamp;

use crate::api::Reason;
use crate::controller::error::NextAttempt;
use crate::history::{Made, Planned, Remedied};

/// One step towards the declared release.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Plan {
    /// The newest revision is deployed, and was made for these inputs.
    Keep {
        /// That revision.
        revision: u32,
    },
    /// The newest revision was made for an object whose place this one takes, or for one of this name with another uid,
    /// such as one that was lost and restored: mark it as this one's. Then plan again.
    Mark {
        /// That revision.
        revision: u32,
    },
    /// The newest revision is deployed, and somebody changed or deleted some of its objects: look at them. Then plan again.
    Inspect {
        /// That revision.
        revision: u32,
    },
    /// Run the tests of the newest revision, or go on with them. Then plan again.
    Test {
        /// That revision.
        revision: u32,
    },
    /// Make a new revision.
    Release(Step),
    /// Show what this step would do, for approval. Nothing else is done. Then plan again.
    Propose(Step),
    /// Make the revision of the plan that is approved.
    CarryOut(Step),
    /// Go on with our own pending revision, which was made for these inputs.
    Resume(Step),
    /// All of it is applied, and becomes ready: wait.
    Await(Step),
    /// The wait for all of it to be ready is over: end the revision.
    Finish(Step),
    /// End our own pending revision, which was made for other inputs. Then plan again.
    Supersede {
        /// That revision.
        revision: u32,
    },
    /// End a pending revision of somebody who is gone. Then plan again.
    Abandon {
        /// That revision.
        revision: u32,
    },
    /// The newest revision failed, and what it created is to be deleted. Then plan again.
    CleanUp {
        /// That revision.
        revision: u32,
    },
    /// A revision that somebody else made was held, and a person asks for what is declared: note that. Then plan again.
    EndHold {
        /// That revision.
        revision: u32,
    },
    /// Nothing, and tell why.
    Stop(Stop),
    /// An uninstall was begun and not ended: end it. Then plan again.
    FinishUninstall {
        /// The revision that is being uninstalled.
        revision: u32,
    },
}

/// Why nothing is done until its time comes, or something changes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Stop {
    /// The newest revision is deployed as declared, and its tests failed.
    TestsFailed {
        /// That revision.
        revision: u32,
    },
    /// The newest revision failed at these inputs: it is too early for the next attempt.
    BackOff {
        /// That revision.
        revision: u32,
        /// Why it failed.
        reason: Reason,
        /// The next attempt.
        next: NextAttempt,
    },
    /// As many attempts failed as are declared.
    Exhausted {
        /// The last of them.
        revision: u32,
        /// How many there were.
        attempts: u32,
    },
    /// Somebody else made the newest revision, and it stays as it is.
    Hold {
        /// That revision.
        revision: u32,
    },
    /// Something that the release depends on is not ready.
    AwaitDependencies,
    /// The next step is planned, and waits for approval.
    AwaitApproval(Planned),
    /// Too many revisions were made, for this generation or in all.
    TooMany {
        /// How many are.
        most: u32,
        /// When the next one may be made.
        until: Timestamp,
    },
    /// Somebody else's Helm is at work; wait for it.
    AwaitOther {
        /// The revision it works on.
        revision: u32,
        /// When it will be taken for gone.
        remaining: Duration,
    },
}

impl Stop {
    /// Whether what is deployed stays as it is for a while, so that it is looked after.
    pub(super) fn rests(&self) -> bool {
        match self {
            Self::TestsFailed { .. }
            | Self::Hold { .. }
            | Self::BackOff { .. }
            | Self::Exhausted { .. }
            | Self::TooMany { .. }
            | Self::AwaitDependencies
            | Self::AwaitApproval(_) => true,
            // Somebody works on it.
            Self::AwaitOther { .. } => false,
        }
    }
}

/// The making of one revision.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Step {
    /// Which of the two: an install until a revision was once deployed.
    pub(crate) kind: StepKind,
    /// The revision it makes.
    pub(crate) revision: u32,
    /// The revisions whose objects it replaces: the deployed one, and those that failed since.
    pub(crate) replaces: Vec<u32>,
    /// Which attempt in a row at these inputs of this generation, from 1.
    pub(crate) attempt: u32,
    /// How many revisions were made for this generation, with this one.
    pub(crate) made: Made,
    /// For a rollback: the failure that it is the remedy for.
    pub(crate) remedies: Option<Remedied>,
    /// The demand of a person that it answers, where one is made though nothing has changed.
    pub(crate) forced: Option<String>,
}

/// Install or upgrade: which hooks run, and what `.Release.IsInstall` says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum StepKind {
    /// Nothing was deployed yet, or it was uninstalled.
    Install,
    /// Something is deployed.
    Upgrade,
    /// What was deployed before is deployed again.
    Rollback,
}
