//! Which cluster is the operator's own, as records in other clusters name it.

use k8s_openapi::api::core::v1::Namespace;
use kube::api::Api;
use tokio::sync::OnceCell;

use super::causes::api_error;
use super::error::ReconcileError;

/// The namespace whose uid stands for its cluster: every cluster has it, and none gets another one.
const NAMESPACE: &str = "kube-system";

/// What is known of the operator's own cluster: its uid, read once.
#[derive(Default)]
pub(crate) struct OwnCluster {
    uid: OnceCell<Option<String>>,
}

impl OwnCluster {
    /// Reads the uid, unless that was done. An operator that may not read it does without, for as long as it runs.
    pub(crate) async fn learn(&self, client: &kube::Client) -> Result<(), ReconcileError> {
        let read = async || match Api::<Namespace>::all(client.clone()).get_metadata_opt(NAMESPACE).await {
            Ok(found) => Ok(found.and_then(|found| found.metadata.uid)),
            Err(kube::Error::Api(status)) if status.code == 403 => {
                tracing::warn!(
                    "the operator may not read namespace {NAMESPACE}: records in other clusters do not say which cluster they were made from"
                );
                Ok(None)
            }
            Err(error) => Err(api_error(&format!("read namespace {NAMESPACE}"), &error)),
        };
        self.uid.get_or_try_init(read).await.map(drop)
    }

    /// The uid, where it was read.
    pub(crate) fn uid(&self) -> Option<&str> {
        self.uid.get()?.as_deref()
    }
}
