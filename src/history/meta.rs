//! What the metadata of a record tells, without its content.

use helm::release::{Status, storage};
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

use super::{Error, Marks, SecretRef};

/// A revision as its Secret's metadata tells it.
///
/// Lists and watches of metadata give it at a fraction of the cost of the record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordMeta {
    /// The namespace of the release.
    pub namespace: String,
    /// The release's name.
    pub release: String,
    /// The revision, from 1.
    pub revision: u32,
    /// Where it stands.
    pub status: Status,
    /// For what we made it; none if somebody else wrote it, or wrote it last.
    pub marks: Option<Marks>,
    /// The server's version of the Secret; changes with each write.
    pub resource_version: String,
    /// When the record was made, to the second.
    pub created_at: Option<Timestamp>,
}

impl RecordMeta {
    /// Reads the labels and annotations of a release Secret; pass the metadata of a `PartialObjectMeta<Secret>` too.
    ///
    /// Fails with [`Error::NotARecord`] for any other Secret.
    pub fn from_metadata(metadata: &ObjectMeta) -> Result<Self, Error> {
        let lacks = |missing| Error::NotARecord { secret: SecretRef::of(metadata), missing };
        let label = |key: &str| metadata.labels.as_ref().and_then(|labels| labels.get(key));
        if label(storage::OWNER_LABEL).is_none_or(|owner| owner != storage::OWNER) {
            return Err(lacks("label \"owner\""));
        }
        let release = label(storage::NAME_LABEL).ok_or_else(|| lacks("label \"name\""))?;
        let revision = label(storage::VERSION_LABEL).and_then(|version| version.parse().ok());
        let revision = revision.ok_or_else(|| lacks("label \"version\""))?;
        let status = label(storage::STATUS_LABEL).ok_or_else(|| lacks("label \"status\""))?;
        Ok(Self {
            namespace: metadata.namespace.clone().unwrap_or_default(),
            release: release.clone(),
            revision,
            status: status.as_str().into(),
            marks: metadata.annotations.as_ref().and_then(Marks::of),
            resource_version: metadata.resource_version.clone().unwrap_or_default(),
            created_at: metadata.creation_timestamp.as_ref().map(|time| time.0),
        })
    }
}
