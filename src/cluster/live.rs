//! Objects that are watched for as long as they are deployed: what the shared watches show of them, at no request.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::checks::HealthChecks;
use super::fields::Fingerprint;
use super::ready::Verdict;
use super::watch::{Hub, Look, Marks, Subscription, Waiter};
use super::{Cluster, ObjectRef, Resource, Unready};

/// All objects that are watched so: one place where their changes are told.
#[derive(Default)]
pub struct LiveObjects(Arc<Waiter>);

impl LiveObjects {
    /// The numbers of those that changed since they were last told, at least one and at most `limit`.
    pub async fn changed(&self, limit: usize) -> BTreeSet<usize> {
        self.0.woken(limit).await
    }
}

/// One object that is watched.
pub struct Live {
    hub: Arc<Hub>,
    subscription: Subscription,
}

/// What a watch shows of an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sighting {
    /// The watch has not shown everything yet.
    Unseen,
    /// There is none, or none with Helm's label.
    Absent,
    /// It is being deleted.
    Leaving,
    /// It is there, and the release manages these of its fields.
    Present(Option<Fingerprint>),
    /// It may not be watched.
    Unwatchable,
}

/// What is known of an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Glance {
    /// In a word.
    pub sighting: Sighting,
    /// Its resource version; 0 where it is not there.
    pub version: u64,
    /// Changes with what is declared of it: its generation, labels and annotations; where its kind has no generation, its resource
    /// version.
    pub state: u64,
    /// Whether it does its work.
    pub health: Health,
}

/// Whether an object does its work.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Health {
    /// It does.
    Good,
    /// Not yet, or not for a moment.
    Progressing,
    /// It does not, and will not by itself.
    Failed,
}

impl Live {
    /// What is known of it now.
    pub fn look(&mut self) -> Glance {
        let glance = self.subscription.sight();
        if glance.sighting == Sighting::Unwatchable && self.subscription.has_alternative() {
            self.renew();
            return Glance { sighting: Sighting::Unseen, ..glance };
        }
        glance
    }

    /// Whether its watch was lost: nothing that becomes of it is seen until it is begun anew.
    pub fn is_lost(&self) -> bool {
        self.subscription.is_lost()
    }

    /// Begins its watch anew.
    pub fn renew(&mut self) {
        self.subscription = self.subscription.renewed(&self.hub, Marks::Helm);
    }

    /// What is outstanding until it does its work, in words.
    pub fn outstanding(&self) -> String {
        match self.subscription.look() {
            Look::Seen(seen) => match seen.assessment.ready {
                Verdict::InProgress(words) | Verdict::Failed(words) => words,
                Verdict::Current => String::new(),
            },
            Look::Absent(_) => "it does not exist".to_owned(),
            Look::NotYet | Look::Lost(_) => String::new(),
        }
    }

    /// The resource that serves it.
    pub fn resource(&self) -> &Resource {
        self.subscription.resource()
    }

    /// Its identity.
    pub fn object(&self) -> ObjectRef {
        self.subscription.object()
    }
}

impl Cluster {
    /// Why an object does not do its work, with what its pods and events say. Costs a few requests.
    pub async fn explain(&self, resource: &Resource, object: &ObjectRef, outstanding: String) -> Unready {
        let why = self.diagnose(resource, object).await;
        Unready { object: object.clone(), message: outstanding, why }
    }

    /// Watches `object`, which bears Helm's label, and does its work when `checks` say so; its changes are told as of `number`,
    /// beginning with what is known of it.
    pub fn live(
        &self,
        resource: &Resource,
        object: &ObjectRef,
        checks: &HealthChecks,
        (all, number): (&LiveObjects, usize),
    ) -> Live {
        let waiting = (Arc::clone(&all.0), number);
        let judge = checks.judge(&object.group, &object.kind);
        let subscription = self.hub.subscribe(resource, object, (Marks::Helm, &judge), &waiting);
        Live { hub: Arc::clone(&self.hub), subscription }
    }

    /// Whether `object` may be read by whom this cluster is asked as, or is not there.
    ///
    /// # Errors
    ///
    /// The API server does not answer.
    pub async fn may_read(&self, object: &ObjectRef, resource: &Resource) -> Result<bool, super::Error> {
        match self.requests.metadata(resource, object).await {
            Ok(_) => Ok(true),
            Err(super::Error::Forbidden { .. }) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// The resource that serves each of `objects`; none for a kind that is not served.
    pub async fn resources_of(&self, objects: &[ObjectRef]) -> Result<Vec<Option<Resource>>, super::Error> {
        let kinds = self.discovery.kinds_with(std::iter::empty()).await?;
        Ok(objects.iter().map(|object| kinds.any_version(&object.group, &object.kind).cloned()).collect())
    }

    /// What [`resources_of`](Self::resources_of) says, as of a minute ago at most: the API server is asked which kinds it serves.
    pub async fn resources_now(&self, objects: &[ObjectRef]) -> Result<Vec<Option<Resource>>, super::Error> {
        let kinds = self.discovery.kinds_of_late().await?;
        Ok(objects.iter().map(|object| kinds.any_version(&object.group, &object.kind).cloned()).collect())
    }
}
