//! Where a release is carried out: in which cluster, and as whom. What touches users' objects takes a place.

use std::collections::BTreeSet;
use std::sync::Arc;

use k8s_openapi::api::core::v1::ServiceAccount;
use kube::api::Api;

use super::causes::api_error;
use super::clusters::{self, Remote};
use super::context::{Context, Policy};
use super::error::ReconcileError;
use super::matching::{self, Key};
use super::ownership::{self, Viewer};
use super::revisions::Revisions;
use super::target::{ClusterKey, Target};
use crate::api::{HelmRelease, Reason};
use crate::cluster::{Awaited, Cluster, Object, ObjectRef, Reach, Source};
use crate::history::{History, Record, RecordMeta, ReleaseKey};

/// A cluster as whoever connects to it: the operator itself in its own, whom the kubeconfig names in another.
#[derive(Clone)]
pub(crate) struct Site {
    /// The connection.
    pub(crate) client: kube::Client,
    pub(super) cluster: Cluster,
    pub(super) history: History,
    /// Helm's history of all releases, as the watch of it tells.
    pub(crate) revisions: Revisions,
}

impl Site {
    /// What `client` reaches.
    pub(crate) fn new(client: &kube::Client, revisions: Revisions) -> Self {
        let (cluster, history) = (Cluster::new(client.clone()), History::new(client.clone()));
        Self { client: client.clone(), cluster, history, revisions }
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
    /// What an object of `namespace` declares, which names the service account `declared`, if any. The rights of a kubeconfig
    /// are its author's: the account that bounds those of the operator has no part in another cluster.
    fn new(namespace: &str, declared: Option<&str>, is_home: bool, policy: &Policy) -> Self {
        let account = declared.or_else(|| policy.default_service_account.as_deref().filter(|_| is_home));
        Self { namespace: namespace.to_owned(), account: account.map(str::to_owned) }
    }
}

/// What an object says of the places of its releases.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Whereabouts {
    /// Its namespace.
    pub(crate) namespace: String,
    /// The service account that it names.
    pub(crate) account: Option<String>,
    /// The cluster in which its release is declared to be; none for the operator's own.
    pub(crate) declared: Option<ClusterKey>,
    /// The other clusters than the operator's own in which something of it may be, as its status tells.
    pub(crate) listed: Vec<ClusterKey>,
    /// The namespaces in which records of it may be: its own, what it declares, and what its status tells. Whoever may write Secrets
    /// in any other one makes no records for it.
    pub(crate) records: BTreeSet<String>,
}

impl Whereabouts {
    /// What `release` says.
    pub(crate) fn of(release: &HelmRelease) -> Self {
        let namespace = release.metadata.namespace.clone().unwrap_or_default();
        let declared = matching::target(release).release.namespace;
        let told = release.status.iter().flat_map(|status| status.record_namespaces.iter().cloned());
        let last = matching::told_namespace(release);
        Self {
            records: [namespace.clone(), declared].into_iter().chain(told).chain(last).collect(),
            namespace,
            account: release.spec.service_account_name.clone(),
            declared: matching::cluster(release),
            listed: matching::listed_clusters(release).collect(),
        }
    }

    /// Those that are listed and not declared.
    pub(crate) fn former(&self) -> impl Iterator<Item = &ClusterKey> {
        self.listed.iter().filter(|listed| Some(*listed) != self.declared.as_ref())
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
    /// Which cluster it is; none for the operator's own.
    pub(crate) key: Option<ClusterKey>,
    /// The namespaces in which records of the object may be.
    records: BTreeSet<String>,
    client: kube::Client,
    /// What keeps the connection to another cluster.
    remote: Option<Arc<Remote>>,
}

impl Place {
    /// A place of an object in one of its clusters.
    ///
    /// # Errors
    ///
    /// The cluster does not answer, or its kubeconfig is missing or of no use.
    pub(crate) async fn at(
        whose: &Whereabouts,
        cluster: Option<&ClusterKey>,
        context: &Arc<Context>,
    ) -> Result<Self, ReconcileError> {
        let remote = match cluster {
            Some(key) => {
                context.own_cluster.learn(&context.client).await?;
                Some(clusters::open(key, context).await?)
            }
            None => None,
        };
        Ok(Self::assemble(whose, remote, cluster, context))
    }

    /// The same in a cluster whose kubeconfig is gone, or of no use by now, where it is connected to still.
    pub(crate) async fn remembered(whose: &Whereabouts, cluster: &ClusterKey, context: &Arc<Context>) -> Option<Self> {
        let remote = clusters::remembered(cluster, context).await?;
        Some(Self::assemble(whose, Some(remote), Some(cluster), context))
    }

    /// Where `release` is carried out.
    pub(crate) async fn of(release: &HelmRelease, context: &Arc<Context>) -> Result<Self, ReconcileError> {
        let whose = Whereabouts::of(release);
        Self::at(&whose, whose.declared.as_ref(), context).await
    }

    fn assemble(
        whose: &Whereabouts,
        remote: Option<Arc<Remote>>,
        key: Option<&ClusterKey>,
        context: &Arc<Context>,
    ) -> Self {
        let subject = Subject::new(&whose.namespace, whose.account.as_deref(), key.is_none(), &context.policy);
        let Site { client, cluster, history, revisions } = remote.as_ref().map_or(&context.home, |remote| &remote.site);
        let cluster = cluster.on_behalf_of(&subject.namespace);
        let cluster = match &subject.account {
            Some(account) => cluster.as_service_account(&subject.namespace, account),
            None => cluster,
        };
        Self {
            cluster,
            history: history.clone(),
            revisions: revisions.clone(),
            subject,
            context: Arc::clone(context),
            key: key.cloned(),
            records: whose.records.clone(),
            client: client.clone(),
            remote,
        }
    }

    /// The address of another cluster's API server: the credentials of a kubeconfig may be renewed at any time. Empty for the operator's own.
    pub(crate) fn address(&self) -> &str {
        self.remote.as_ref().map(|remote| remote.server()).unwrap_or_default()
    }

    /// How far what is done here may reach, whatever charts and records say: these are written by whoever may write Secrets. In
    /// another cluster that is as far as the rights of its kubeconfig, which are not the operator's to lend.
    pub(crate) fn reach(&self) -> Reach {
        if self.context.policy.no_cross_namespace_refs && self.key.is_none() {
            Reach::Namespace(self.subject.namespace.clone())
        } else {
            Reach::Cluster
        }
    }

    /// The releases here that were made for the object `owner` (`namespace/name`) with this uid, of the namespaces in which they may be.
    pub(crate) fn owned_by(&self, owner: &str, uid: &str) -> Vec<ReleaseKey> {
        let mut releases = self.revisions.owned_by(owner, uid);
        releases.retain(|release| self.records.contains(&release.namespace));
        releases
    }

    /// Those whose records say so in other namespaces, and that are not believed.
    pub(crate) fn unlisted_records(&self, owner: &str, uid: &str) -> BTreeSet<ReleaseKey> {
        let there = self.revisions.there(owner, uid).into_iter();
        there.filter(|release| !self.records.contains(&release.namespace)).collect()
    }

    /// The operator's own cluster, as records here name it: nothing in that one itself, and where it is not known.
    pub(crate) fn home_mark(&self) -> String {
        let uid = self.context.own_cluster.uid().filter(|_| self.key.is_some());
        uid.unwrap_or_default().to_owned()
    }

    /// The newest marked revision of a release here, where the operator of another cluster made it than that of the object with this
    /// uid.
    pub(crate) async fn made_elsewhere(
        &self,
        release: &ReleaseKey,
        uid: &str,
    ) -> Result<Option<RecordMeta>, ReconcileError> {
        let revisions = self.revisions.of(release);
        if revisions.iter().any(|meta| meta.marks.as_ref().is_some_and(|marks| !marks.home.is_empty())) {
            self.context.own_cluster.learn(&self.context.client).await?;
        }
        Ok(ownership::made_elsewhere(&revisions, self.viewer(uid)).cloned())
    }

    /// The object with this uid, as one for which it is asked whose a release here is.
    pub(crate) fn viewer<'a>(&'a self, uid: &'a str) -> Viewer<'a> {
        Viewer { uid, home: self.context.own_cluster.uid(), is_remote: self.key.is_some() }
    }

    /// A release here.
    pub(crate) fn target(&self, release: &ReleaseKey) -> Target {
        Target { cluster: self.key.clone(), release: release.clone() }
    }

    /// Resolves when nothing can be done here any more: another cluster went away.
    pub(crate) async fn lost(&self) -> ReconcileError {
        match &self.remote {
            Some(remote) => remote.lost().await,
            None => std::future::pending().await,
        }
    }

    /// `error`, with the cluster in which it came about, where that is another one than the operator's own.
    pub(crate) fn told(&self, error: ReconcileError) -> ReconcileError {
        let (Some(key), Some(remote)) = (&self.key, &self.remote) else { return error };
        let reason = match error.reason {
            Reason::ClusterUnavailable => {
                remote.suspect();
                Reason::ClusterUnreachable
            }
            Reason::Forbidden => {
                // It may be the token that is not taken any more.
                remote.suspect();
                error.reason
            }
            Reason::ServiceAccountNotFound | Reason::NamespaceNotFound | Reason::OwnershipConflict => error.reason,
            _ => return error,
        };
        ReconcileError { reason, message: format!("in {key} ({}): {}", remote.server(), error.message), ..error }
    }

    /// The service account, where it is one that does not exist.
    pub(crate) async fn missing_account(&self) -> Result<Option<Key>, ReconcileError> {
        let Subject { namespace, account: Some(name) } = &self.subject else { return Ok(None) };
        let accounts = Api::<ServiceAccount>::namespaced(self.client.clone(), namespace);
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
             that, or have the history elsewhere, by spec.storageNamespace",
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
