//! `helm-operator diff`: what a plan changes that waits for approval, or what applying a file would change.
//!
//! Of a plan it reads the object and the Secret beside it, and nothing else: the difference was made when the plan was. What a
//! file declares is looked at as the operator would look at it ([`foresee`](crate::controller::foresee)).

mod declared;
mod file;

use std::path::PathBuf;

use clap::Args;
use kube::{Api, ResourceExt as _};

use crate::api::HelmRelease;
use crate::client::{self, Person};
use crate::controller::{Setup, Unforeseen};
use crate::history::{self, History, PlanKey};

/// What is compared with what, and in which cluster.
#[derive(Debug, Clone, Default, Args)]
pub struct Options {
    /// The name of the `HelmRelease` whose plan waits for approval.
    #[arg(required_unless_present = "filename", conflicts_with = "filename")]
    pub name: Option<String>,

    /// A file with a `HelmRelease`, or several: what applying it would change is printed. `-` is the standard input. A
    /// `HelmRepository` in it is used as it is there; nothing else in it is looked at. May be given several times.
    #[arg(short, long, value_name = "FILE")]
    pub filename: Vec<PathBuf>,

    /// With a file: PEM certificates of authorities that are trusted besides the system's, for all registries.
    #[arg(long, value_name = "FILE", env = "HELM_OPERATOR_CA_FILE")]
    pub ca_file: Option<PathBuf>,

    /// In which cluster, and as whom.
    #[command(flatten)]
    pub person: Person,
}

/// What is to be printed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Shown {
    /// The differences; empty where there are none.
    pub differences: String,
    /// What to know besides.
    pub notices: Vec<String>,
    /// What could not be compared, and why.
    pub failures: Vec<String>,
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
    /// What is kept is another difference than the status tells of.
    #[error(
        "the difference that is kept is not that of the plan {digest}, which waits: either another plan is being made, and another look tells of it, or \
         somebody changed the Secret; the annotation helm-operator.ketches.cn/requestedAt asks for another plan"
    )]
    Another {
        /// The plan's digest, as the status tells it.
        digest: String,
    },
    /// The file cannot be read.
    #[error("failed to read {file}")]
    ReadFile {
        /// Which.
        file: String,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The file is no YAML.
    #[error("{file} is no YAML")]
    NoYaml {
        /// Which.
        file: String,
        /// Where, and why.
        #[source]
        source: formats::yaml::Error,
    },
    /// A document is none of an object that could be applied, or the file has none that is looked at.
    #[error("{file}: {problem}")]
    Malformed {
        /// Which file.
        file: String,
        /// What is wrong.
        problem: String,
    },
    /// The API server would not take an object.
    #[error("applying {object} would fail")]
    Refused {
        /// Which.
        object: String,
        /// What it said.
        #[source]
        source: Box<kube::Error>,
    },
    /// What the API server made of an object is none of our kind.
    #[error(
        "{object} cannot be read as the API server would store it: apply the CustomResourceDefinitions of this version"
    )]
    Undecodable {
        /// Which.
        object: String,
        /// Why.
        #[source]
        source: serde_json::Error,
    },
    /// It is not known what would become of any release.
    #[error(transparent)]
    Unforeseen(#[from] Unforeseen),
}

/// What is to be shown. Must be called within a Tokio runtime. Nothing is written to the cluster.
///
/// # Errors
///
/// Nothing can be compared.
pub async fn show(options: &Options, setup: Setup) -> Result<Shown, Error> {
    match &options.name {
        Some(name) => waiting(name, &options.person).await,
        None => declared::show(&options.filename, &options.person, setup).await,
    }
}

/// What the plan of the object changes. Must be called within a Tokio runtime.
async fn waiting(name: &str, person: &Person) -> Result<Shown, Error> {
    let (client, namespace) = person.connect().await?;
    let releases = Api::<HelmRelease>::namespaced(client.clone(), &namespace);
    let release = releases.get(name).await.map_err(|source| Error::Release {
        namespace: namespace.clone(),
        name: name.to_owned(),
        source: Box::new(source),
    })?;
    let told = release.status.as_ref().and_then(|status| status.plan.as_ref());
    let key = PlanKey { namespace, name: release.name_any(), uid: release.uid().unwrap_or_default() };
    let plan = if told.is_some() { History::new(client).plan(&key).await.map_err(Error::Plan)? } else { None };
    let (Some(plan), Some(told)) = (plan, told) else {
        return Ok(Shown { notices: vec![format!("no plan of {name} waits for approval")], ..Shown::default() });
    };
    let diff = plan.diff.ok_or(Error::LeftOut { digest: plan.planned.digest })?;
    let Some(digest) = &told.diff_digest else {
        // Of an operator before this was told; the first lines are in it.
        return Ok(Shown { differences: diff, ..Shown::default() });
    };
    if history::shown(&diff) != *digest {
        return Err(Error::Another { digest: told.digest.clone() });
    }
    let note = told.note.as_ref().map(|note| format!("# {note}\n")).unwrap_or_default();
    let header = format!("# {}: revision {}, {}\n{note}", told.digest, told.revision, told.chart);
    Ok(Shown { differences: header + &diff, ..Shown::default() })
}
