//! Which cluster is the operator's own, as records in other clusters name it.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use k8s_openapi::api::core::v1::Namespace;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::api::{Api, PartialObjectMeta};
use tokio::sync::OnceCell;
use tokio::time::Instant;

use super::causes::api_error;
use super::error::ReconcileError;

/// The namespace whose uid stands for its cluster: every cluster has it, and none gets another one.
const NAMESPACE: &str = "kube-system";

/// How long it is believed that the uid may not be read.
const BELIEVED: Duration = Duration::from_mins(1);

/// What is known of the operator's own cluster: its uid, read once.
#[derive(Default)]
pub(crate) struct OwnCluster {
    uid: OnceCell<String>,
    /// When it could not be read.
    refused: Mutex<Option<Instant>>,
}

impl OwnCluster {
    /// Reads the uid, unless that was done. An operator that may not read it does without, and asks again later: a server that is just
    /// starting refuses, too.
    pub(crate) async fn learn(&self, client: &kube::Client) -> Result<(), ReconcileError> {
        let is_refused = || self.refused().is_some_and(|since| since.elapsed() < BELIEVED);
        if self.uid.initialized() || is_refused() {
            return Ok(());
        }
        match Api::<Namespace>::all(client.clone()).get_metadata_opt(NAMESPACE).await {
            Ok(Some(PartialObjectMeta { metadata: ObjectMeta { uid: Some(uid), .. }, .. })) => {
                // Another may have read it meanwhile.
                drop(self.uid.set(uid));
            }
            Err(kube::Error::Api(status)) if status.code != 403 => {
                return Err(api_error(&format!("read namespace {NAMESPACE}"), &kube::Error::Api(status)));
            }
            Ok(_) | Err(kube::Error::Api(_)) => {
                if self.refused().replace(Instant::now()).is_none() {
                    tracing::warn!(
                        "the operator may not read namespace {NAMESPACE}: records in other clusters do not say which cluster they were made from"
                    );
                }
            }
            Err(error) => return Err(api_error(&format!("read namespace {NAMESPACE}"), &error)),
        }
        Ok(())
    }

    fn refused(&self) -> MutexGuard<'_, Option<Instant>> {
        self.refused.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The uid, where it was read.
    pub(crate) fn uid(&self) -> Option<&str> {
        self.uid.get().map(String::as_str)
    }
}
