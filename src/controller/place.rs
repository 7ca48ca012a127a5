//! Where a release is carried out: in which cluster, and as whom. What touches users' objects takes a place.

use std::sync::Arc;

use k8s_openapi::api::core::v1::ServiceAccount;
use kube::api::Api;

use super::causes::api_error;
use super::context::{Context, Policy};
use super::error::ReconcileError;
use super::matching::Key;
use super::revisions::Revisions;
use crate::api::{HelmRelease, Reason};
use crate::cluster::{Awaited, Cluster, Object, ObjectRef, Source};
use crate::history::{History, Record, ReleaseKey};

/// The cluster in which the operator runs, as itself.
pub(crate) struct Home {
    cluster: Cluster,
    history: History,
    /// Helm's history of all releases, as the watch of it tells.
    pub(crate) revisions: Revisions,
}

impl Home {
    /// What `client` reaches.
    pub(crate) fn new(client: &kube::Client, revisions: Revisions) -> Self {
        Self { cluster: Cluster::new(client.clone()), history: History::new(client.clone()), revisions }
    }
}

/// As whom the releases are carried out that an object of a namespace declares.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Subject {
    /// The namespace.
    pub(crate) namespace: String,
    /// The service account there; none for the operator itself.
    pub(crate) account: Option<String>,
}

impl Subject {
    /// What an object of `namespace` declares, which names the service account `declared`, if any.
    pub(crate) fn new(namespace: &str, declared: Option<&str>, policy: &Policy) -> Self {
        let account = declared.or(policy.default_service_account.as_deref());
        Self { namespace: namespace.to_owned(), account: account.map(str::to_owned) }
    }

    /// As whom `release` is carried out.
    pub(crate) fn of(release: &HelmRelease, policy: &Policy) -> Self {
        let namespace = release.metadata.namespace.as_deref().unwrap_or_default();
        Self::new(namespace, release.spec.service_account_name.as_deref(), policy)
    }
}

/// A cluster as one subject, the history of the releases there, and what is known besides. Cheap to clone.
///
/// The records of a release are the operator's: a service account needs no rights on Secrets for them.
#[derive(Clone)]
pub(crate) struct Place {
    /// The door to the objects.
    pub(crate) cluster: Cluster,
    /// The door to the records.
    pub(crate) history: History,
    /// What is known of the records.
    pub(crate) revisions: Revisions,
    /// As whom objects are touched.
    pub(crate) subject: Subject,
    /// What every reconcile may use.
    pub(crate) context: Arc<Context>,
}

impl Place {
    /// The operator's own cluster.
    pub(crate) fn home(subject: Subject, context: &Arc<Context>) -> Self {
        let Home { cluster, history, revisions } = &context.home;
        let cluster = cluster.on_behalf_of(&subject.namespace);
        let cluster = match &subject.account {
            Some(account) => cluster.as_service_account(&subject.namespace, account),
            None => cluster,
        };
        Self { cluster, history: history.clone(), revisions: revisions.clone(), subject, context: Arc::clone(context) }
    }

    /// Where `release` is carried out.
    pub(crate) fn of(release: &HelmRelease, context: &Arc<Context>) -> Self {
        Self::home(Subject::of(release, &context.policy), context)
    }

    /// The service account, where it is one that does not exist.
    pub(crate) async fn missing_account(&self) -> Result<Option<Key>, ReconcileError> {
        let Subject { namespace, account: Some(name) } = &self.subject else { return Ok(None) };
        let accounts = Api::<ServiceAccount>::namespaced(self.context.client.clone(), namespace);
        match accounts.get_metadata_opt(name).await {
            Ok(Some(_)) => Ok(None),
            Ok(None) => Ok(Some(Key { namespace: namespace.clone(), name: name.clone() })),
            // An operator that may not read service accounts cannot know.
            Err(kube::Error::Api(status)) if status.code == 403 => Ok(None),
            Err(error) => Err(api_error(&format!("read the service account {namespace}/{name}"), &error)),
        }
    }

    /// Refuses what a service account cannot carry out at all: where it does not exist, or may not write Secrets in the
    /// namespace of the records of `release`, which the operator writes for it, where that is not the object's.
    pub(crate) async fn admit(&self, release: &ReleaseKey) -> Result<(), ReconcileError> {
        let Subject { namespace, account: Some(account) } = &self.subject else { return Ok(()) };
        if let Some(missing) = self.missing_account().await? {
            let message = format!(
                "the service account {missing}, as which the release is carried out, does not exist: create it"
            );
            let awaits = vec![Awaited::present(account_ref(&missing))];
            return Err(ReconcileError { awaits, ..ReconcileError::new(Reason::ServiceAccountNotFound, message) });
        }
        if *namespace == release.namespace || self.cluster.may("create", "secrets", &release.namespace).await? {
            return Ok(());
        }
        let message = format!(
            "the service account {namespace}/{account} may not create Secrets in namespace {}, where the history of the release would be: grant it \
             that, or leave out spec.release.namespace",
            release.namespace
        );
        Err(ReconcileError::new(Reason::Forbidden, message))
    }

    /// The objects that a revision recorded, of the kinds that the cluster still serves.
    pub(crate) async fn objects_of(&self, record: &Record) -> Result<Vec<Object>, ReconcileError> {
        let release = &record.release;
        let source = Source { origin: release.chart.name(), text: &release.manifest };
        Ok(self.cluster.recorded_objects(&[source], &release.namespace).await?)
    }
}

fn account_ref(Key { namespace, name }: &Key) -> ObjectRef {
    let (kind, namespace) = ("ServiceAccount".to_owned(), Some(namespace.clone()));
    ObjectRef { group: String::new(), kind, namespace, name: name.clone() }
}
