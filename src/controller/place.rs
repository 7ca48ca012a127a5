//! Where a release is carried out: in which cluster, and as whom. What touches users' objects takes a place.

use std::sync::Arc;

use super::context::Context;
use super::error::ReconcileError;
use super::revisions::Revisions;
use crate::cluster::{Cluster, Object, Source};
use crate::history::{History, Record};

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

/// A cluster as one identity, the history of the releases there, and what is known besides. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Place {
    /// The door to the objects.
    pub(crate) cluster: Cluster,
    /// The door to the records.
    pub(crate) history: History,
    /// What is known of the records.
    pub(crate) revisions: Revisions,
    /// What every reconcile may use.
    pub(crate) context: Arc<Context>,
}

impl Place {
    /// The operator's own cluster, as the operator itself, for the releases that objects of `namespace` declare.
    pub(crate) fn home(namespace: &str, context: &Arc<Context>) -> Self {
        let Home { cluster, history, revisions } = &context.home;
        Self {
            cluster: cluster.on_behalf_of(namespace),
            history: history.clone(),
            revisions: revisions.clone(),
            context: Arc::clone(context),
        }
    }

    /// The objects that a revision recorded, of the kinds that the cluster still serves.
    pub(crate) async fn objects_of(&self, record: &Record) -> Result<Vec<Object>, ReconcileError> {
        let release = &record.release;
        let source = Source { origin: release.chart.name(), text: &release.manifest };
        Ok(self.cluster.recorded_objects(&[source], &release.namespace).await?)
    }
}
