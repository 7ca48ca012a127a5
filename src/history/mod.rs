//! Helm's release Secrets: the record of what was done. The only door to them.
//!
//! ```text
//! Release ──create──► Secret sh.helm.release.v1.NAME.vN ──get──► Record ──update──► Record
//!                                └── metadata alone ──list, watch──► RecordMeta ──surplus──► what to prune
//! ```
//!
//! - A record is large and may hold secrets: it is read by its exact name, one at a time. Which records exist is
//!   learnt from their labels, without their content.
//! - Nobody's write is lost: an update carries the version it was computed from and fails with [`Error::Conflict`]
//!   if somebody, such as a person with `helm`, wrote in between.
//! - Records of Helm 3 and Helm 4 are read; both read what is written here.
//! - A record that does not fit its Secret is slimmed: what no command of Helm reads is left out of its chart.
//! - Nothing of a record's content is in a `Debug` text or an error.
//! - A revision that waits for approval is kept apart, as a plan, and is none of Helm's records.

mod error;
mod key;
mod lineage;
mod marks;
mod meta;
mod plan;
mod secret;
mod why;

use std::fmt;

use helm::release::{Release, codec, storage};
use http::header::ACCEPT;
use jiff::Timestamp;
use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::api::{Api, DeleteParams, ListParams, PartialObjectMeta, PostParams, Preconditions};
use kube::core::Request;
use kube::{Client, Resource};

use crate::client::METADATA_ONLY;
use crate::off_thread::off_thread;
use secret::Most;

pub use error::{Error, SecretRef, Verb};
pub use key::ReleaseKey;
pub use lineage::{MOST_STANDING, deployed, surplus};
pub use marks::{HooksBegun, Made, Marks, Outcome, Remedied, Tested};
pub use meta::{CopyOf, RecordMeta};
pub use plan::{FrozenPlan, PlanKey, Planned, shown};
pub use why::{Counted, Why};

/// The field manager of our writes to release Secrets.
const FIELD_MANAGER: &str = "helm-operator";

/// The records of all releases. Cheap to clone.
#[derive(Clone)]
pub struct History {
    client: Client,
}

/// One record as the server holds it.
///
/// Change [`Record::release`] or [`Record::marks`], then hand it to [`History::update`].
#[derive(Clone, PartialEq)]
pub struct Record {
    /// The release at this revision.
    pub release: Release,
    /// For what we made it; none if somebody else wrote it, or wrote it last.
    pub marks: Option<Marks>,
    /// The generation of the object that declares the release for which the revision, which somebody else made, is held.
    pub held: Option<i64>,
    /// For a revision of somebody else's that one of ours replaced: what was counted until then.
    pub counted: Option<Counted>,
    /// The Secret's metadata, without managed fields.
    metadata: ObjectMeta,
}

impl Record {
    /// The revision, from 1.
    pub fn revision(&self) -> u32 {
        self.release.version
    }

    /// What the Secret's metadata tells of the revision.
    pub fn meta(&self) -> Result<RecordMeta, Error> {
        RecordMeta::from_metadata(&self.metadata)
    }

    /// The release, by the namespace that holds the record.
    pub fn key(&self) -> ReleaseKey {
        ReleaseKey::new(self.metadata.namespace.as_deref().unwrap_or_default(), &self.release.name)
    }

    /// The server's version of the Secret; changes with each write.
    pub fn resource_version(&self) -> &str {
        self.metadata.resource_version.as_deref().unwrap_or_default()
    }
}

impl fmt::Debug for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Record")
            .field("release", &self.release)
            .field("marks", &self.marks)
            .field("resource_version", &self.resource_version())
            .finish_non_exhaustive()
    }
}

impl History {
    /// The history as `client` may see and change it.
    pub fn new(client: Client) -> Self {
        Self { client }
    }

    /// The record of one revision, if it exists.
    pub async fn get(&self, release: &ReleaseKey, revision: u32) -> Result<Option<Record>, Error> {
        let secret = SecretRef::new(&release.namespace, &release.secret_name(revision));
        match self.secrets(&release.namespace).get_opt(&secret.name).await {
            Ok(Some(content)) => off_thread(move || secret::to_record(&secret, content)).await.map(Some),
            Ok(None) => Ok(None),
            Err(source) => Err(Error::of_request(Verb::Get, secret, source)),
        }
    }

    /// Records a new revision in the namespace of the release, marked as made by us. Fails with [`Error::Exists`] if somebody
    /// took its number.
    pub async fn create(&self, release: Release, marks: Marks) -> Result<Record, Error> {
        let namespace = release.namespace.clone();
        self.create_in(&namespace, release, marks).await
    }

    /// The same in any namespace.
    pub async fn create_in(&self, namespace: &str, release: Release, marks: Marks) -> Result<Record, Error> {
        let metadata = secret::new_metadata((namespace, &release), &marks, Timestamp::now());
        let secret = SecretRef::of(&metadata);
        let request = Request::new(Secret::url_path(&(), Some(&secret.namespace)));
        let (release, body) = encoded(secret.clone(), metadata, release, Most::First).await?;
        let written = self.write(Verb::Create, secret, request.create(&post_params(), body)).await;
        let metadata = written.map_err(|error| error.of_release(&release.namespace))?;
        Ok(Record { release, marks: Some(marks), held: None, counted: None, metadata })
    }

    /// Records a revision in another namespace as well, as it is. Fails with [`Error::Exists`] if there is one of its number.
    pub async fn copy(&self, mut record: Record, namespace: &str) -> Result<Record, Error> {
        // What holds the other one, or whose it is, is not there.
        let ObjectMeta { name, labels, annotations, uid, resource_version, .. } = record.metadata;
        let mut annotations = annotations.unwrap_or_default();
        marks::note_copy(uid, resource_version, &mut annotations);
        record.metadata = ObjectMeta {
            name,
            namespace: Some(namespace.to_owned()),
            labels,
            annotations: Some(annotations),
            ..ObjectMeta::default()
        };
        let metadata = secret::changed_metadata(&record, Timestamp::now());
        let secret = SecretRef::of(&metadata);
        let request = Request::new(Secret::url_path(&(), Some(&secret.namespace)));
        let (release, body) = encoded(secret.clone(), metadata, record.release, Most::Later).await?;
        let written = self.write(Verb::Create, secret, request.create(&post_params(), body)).await;
        let metadata = written.map_err(|error| error.of_release(&release.namespace))?;
        Ok(Record { release, metadata, marks: record.marks, held: record.held, counted: record.counted })
    }

    /// Writes a changed record back. Its `createdAt` is kept, `modifiedAt` is set.
    ///
    /// Fails with [`Error::Conflict`] if it is not the version that was read, [`Error::Gone`] if it was deleted.
    pub async fn update(&self, record: Record) -> Result<Record, Error> {
        let mut metadata = secret::changed_metadata(&record, Timestamp::now());
        marks::note_own_write(metadata.annotations.get_or_insert_default());
        let secret = SecretRef::of(&metadata);
        let request = Request::new(Secret::url_path(&(), Some(&secret.namespace)));
        let (release, body) = encoded(secret.clone(), metadata, record.release, Most::Later).await?;
        let request = request.replace(&secret.name, &post_params(), body);
        let metadata = self.write(Verb::Update, secret, request).await?;
        Ok(Record { release, metadata, marks: record.marks, held: record.held, counted: record.counted })
    }

    /// Deletes the record of one revision; one that is not there is as good as deleted. Fails with [`Error::Conflict`] if
    /// another was made since under its number.
    pub async fn delete(&self, record: &RecordMeta) -> Result<(), Error> {
        let RecordMeta { release, revision, uid, .. } = record;
        let secret = SecretRef::new(&release.namespace, &release.secret_name(*revision));
        let preconditions = Some(Preconditions { uid: Some(uid.clone()), resource_version: None });
        let params = DeleteParams { preconditions, ..DeleteParams::default() };
        match self.secrets(&release.namespace).delete(&secret.name, &params).await {
            Ok(_) => Ok(()),
            Err(kube::Error::Api(status)) if status.is_not_found() => Ok(()),
            Err(source) => Err(Error::of_request(Verb::Delete, secret, source)),
        }
    }

    /// Whether the release has records in `ConfigMap`s, where `HELM_DRIVER=configmap` keeps them. They are not read here.
    /// Who may not list `ConfigMap`s finds none.
    pub async fn is_in_config_maps(&self, release: &ReleaseKey) -> Result<bool, Error> {
        let ReleaseKey { namespace, name } = release;
        let selector = format!("{}={},{}={name}", storage::OWNER_LABEL, storage::OWNER, storage::NAME_LABEL);
        let maps = Api::<ConfigMap>::namespaced(self.client.clone(), namespace);
        match maps.list_metadata(&ListParams::default().labels(&selector).limit(1)).await {
            Ok(found) => Ok(!found.items.is_empty()),
            Err(kube::Error::Api(status)) if status.is_forbidden() => Ok(false),
            Err(source) => Err(Error::of_request(Verb::List, SecretRef::new(namespace, ""), source)),
        }
    }

    async fn write(
        &self,
        verb: Verb,
        secret: SecretRef,
        request: Result<http::Request<Vec<u8>>, kube::core::request::Error>,
    ) -> Result<ObjectMeta, Error> {
        let mut request = match request {
            Ok(request) => request,
            Err(source) => return Err(Error::of_request(verb, secret, kube::Error::BuildRequest(source))),
        };
        request.headers_mut().insert(ACCEPT, METADATA_ONLY);
        match self.client.request::<PartialObjectMeta<Secret>>(request).await {
            Ok(written) => Ok(ObjectMeta { managed_fields: None, ..written.metadata }),
            Err(source) => Err(Error::of_request(verb, secret, source)),
        }
    }

    fn secrets(&self, namespace: &str) -> Api<Secret> {
        Api::namespaced(self.client.clone(), namespace)
    }
}

/// The request body for a record, and what it holds: a release with its chart is not copied for it.
async fn encoded(
    secret: SecretRef,
    metadata: ObjectMeta,
    mut release: Release,
    most: Most,
) -> Result<(Release, Vec<u8>), Error> {
    off_thread(move || {
        let data = secret::encode(&secret, &mut release, most)?;
        let body = secret::to_json(&secret, metadata, data)?;
        Ok((release, body))
    })
    .await
}

fn post_params() -> PostParams {
    PostParams { field_manager: Some(FIELD_MANAGER.to_owned()), ..PostParams::default() }
}

#[cfg(test)]
mod tests;
