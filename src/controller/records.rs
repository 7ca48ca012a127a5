//! The watch of Helm's release Secrets in one cluster, which keeps what is known of them.

use std::collections::BTreeMap;

use futures::{Stream, StreamExt as _};
use k8s_openapi::api::core::v1::Secret;
use kube::api::{Api, PartialObjectMeta};
use kube::runtime::WatchStreamExt as _;
use kube::runtime::watcher::{self, Event, watcher};

use super::revisions::Revisions;
use crate::client::WatchBackoff;
use crate::history::{RecordMeta, ReleaseKey};

/// What tells them from other Secrets: by a field, and by a label.
pub(crate) const OF_HELM: [&str; 2] = ["type=helm.sh/release.v1", "owner=helm"];

/// What happens to release Secrets: their metadata alone.
pub(crate) type Seen = Event<PartialObjectMeta<Secret>>;

/// Keeps the revisions of all releases of a cluster as the watch tells them.
pub(crate) struct Records {
    revisions: Revisions,
    /// What the list that is under way has told.
    present: BTreeMap<ReleaseKey, Vec<u32>>,
}

impl Records {
    /// Keeps `revisions`.
    pub(crate) fn new(revisions: Revisions) -> Self {
        Self { revisions, present: BTreeMap::new() }
    }

    /// What is to be [taken in](Self::take), without end.
    pub(crate) fn watch(client: kube::Client) -> impl Stream<Item = Result<Seen, watcher::Error>> + Send {
        let config = watcher::Config::default().fields(OF_HELM[0]).labels(OF_HELM[1]);
        watcher(Api::<PartialObjectMeta<Secret>>::all(client), config).backoff(WatchBackoff::default()).boxed()
    }

    /// Takes in what the watch tells; whether a list of all ends with it.
    pub(crate) fn take(&mut self, event: Seen) -> bool {
        match event {
            Event::Init => {
                self.present.clear();
                self.revisions.list_begins();
            }
            Event::InitApply(secret) => {
                if let Ok(meta) = RecordMeta::from_metadata(&secret.metadata) {
                    self.present.entry(meta.release.clone()).or_default().push(meta.revision);
                    self.revisions.listed(meta);
                }
            }
            Event::InitDone => {
                self.revisions.list_ended(&self.present);
                return true;
            }
            Event::Apply(secret) => {
                if let Ok(meta) = RecordMeta::from_metadata(&secret.metadata) {
                    self.revisions.seen(meta);
                }
            }
            Event::Delete(secret) => {
                if let Ok(meta) = RecordMeta::from_metadata(&secret.metadata) {
                    self.revisions.gone(meta);
                }
            }
        }
        false
    }
}
