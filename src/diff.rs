//! `helm-operator diff`: the whole of what the plan changes that waits for approval, as `status.plan` counts it.
//!
//! It reads the object and the Secret beside it, and nothing else: the difference was made when the plan was.

use clap::Args;
use kube::{Api, ResourceExt as _};

use crate::api::HelmRelease;
use crate::client::{self, Person};
use crate::history::{self, History, PlanKey};

/// Whose plan, and in which cluster.
#[derive(Debug, Clone, Default, Args)]
pub struct Options {
    /// The name of the `HelmRelease`.
    pub name: String,

    /// In which cluster, and as whom.
    #[command(flatten)]
    pub person: Person,
}

/// Why the command failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// There is no connection.
    #[error(transparent)]
    Connect(#[from] client::Error),
    /// The object cannot be read.
    #[error("failed to read HelmRelease {namespace}/{name}")]
    Release {
        /// Its namespace.
        namespace: String,
        /// Its name.
        name: String,
        /// Why.
        #[source]
        source: Box<kube::Error>,
    },
    /// The plan cannot be read.
    #[error("failed to read the plan")]
    Plan(#[source] history::Error),
    /// The plan is kept without its difference.
    #[error(
        "the difference does not fit into the Secret that the plan {digest} is kept in: status.plan of the HelmRelease tells of it"
    )]
    LeftOut {
        /// The plan's digest.
        digest: String,
    },
}

/// What the plan of the object changes; `None` where none waits. Must be called within a Tokio runtime.
pub async fn waiting(options: &Options) -> Result<Option<String>, Error> {
    let (client, namespace) = options.person.connect().await?;
    let releases = Api::<HelmRelease>::namespaced(client.clone(), &namespace);
    let release = releases.get(&options.name).await.map_err(|source| Error::Release {
        namespace: namespace.clone(),
        name: options.name.clone(),
        source: Box::new(source),
    })?;
    let waits = release.status.as_ref().is_some_and(|status| status.plan.is_some());
    let key = PlanKey { namespace, name: release.name_any(), uid: release.uid().unwrap_or_default() };
    let plan = if waits { History::new(client).plan(&key).await.map_err(Error::Plan)? } else { None };
    let Some(plan) = plan else { return Ok(None) };
    plan.diff.map(Some).ok_or(Error::LeftOut { digest: plan.planned.digest })
}
