//! Kubernetes Events (`events.k8s.io/v1`), written in the background: a lost Event never fails a reconcile.
//!
//! `kube::runtime::events::Recorder` is not used: it folds an Event into an earlier one of the same reason and keeps
//! that one's note, so that the second error of a kind would be told in the words of the first.

use k8s_openapi::api::core::v1::ObjectReference;
use k8s_openapi::api::events::v1::Event;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta};
use k8s_openapi::jiff::Timestamp;
use kube::api::{Api, PostParams};
use tokio::sync::mpsc;

use crate::api::{Reason, shortened};

/// The longest note the API server accepts, in bytes.
const NOTE_LIMIT: usize = 1024;

/// How many Events may wait to be written before more are dropped.
const QUEUE: usize = 1024;

/// Whether an Event tells of trouble.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Severity {
    /// As it should be.
    Normal,
    /// Worth a look.
    Warning,
}

/// Hands Events to the task that writes them.
#[derive(Clone)]
pub(crate) struct Events {
    queue: mpsc::Sender<Event>,
    instance: String,
}

impl Events {
    /// A recorder, and the task that writes what it records; the task ends with the last clone of the recorder.
    pub(crate) fn new(client: kube::Client, instance: String) -> (Self, impl Future<Output = ()>) {
        let (queue, mut waiting) = mpsc::channel::<Event>(QUEUE);
        let write = async move {
            while let Some(event) = waiting.recv().await {
                let namespace = event.metadata.namespace.clone().unwrap_or_default();
                let api = Api::<Event>::namespaced(client.clone(), &namespace);
                if let Err(error) = api.create(&PostParams::default(), &event).await {
                    let object = event.regarding.and_then(|it| it.name).unwrap_or_default();
                    let reason = event.reason.unwrap_or_default();
                    tracing::warn!(%error, %namespace, %object, %reason, "failed to write an Event");
                }
            }
        };
        (Self { queue, instance }, write)
    }

    /// Queues one Event about `regarding`.
    pub(crate) fn record(
        &self,
        regarding: ObjectReference,
        (severity, reason): (Severity, Reason),
        note: &str,
        now: Timestamp,
    ) {
        let name = regarding.name.clone().unwrap_or_default();
        let event = Event {
            metadata: ObjectMeta {
                // Unique enough: one object does not have two events in one nanosecond.
                name: Some(format!("{name}.{:x}", now.as_nanosecond())),
                // Those about objects of the whole cluster are where kubectl looks for them.
                namespace: Some(regarding.namespace.clone().unwrap_or_else(|| "default".to_owned())),
                ..ObjectMeta::default()
            },
            action: Some("Reconcile".to_owned()),
            reason: Some(reason.to_string()),
            note: Some(shortened(note, NOTE_LIMIT)),
            type_: Some(format!("{severity:?}")),
            event_time: Some(MicroTime(now)),
            reporting_controller: Some("helm-operator".to_owned()),
            reporting_instance: Some(self.instance.clone()),
            regarding: Some(regarding),
            ..Event::default()
        };
        if self.queue.try_send(event).is_err() {
            tracing::warn!(%reason, object = %name, "dropped an event: too many are waiting to be written");
        }
    }
}
