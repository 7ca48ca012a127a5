//! What the metadata of a record tells, without its content.

use helm::release::{Status, storage};
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

use super::{Counted, Error, Marks, ReleaseKey, SecretRef, marks};

/// A revision as its Secret's metadata tells it.
///
/// Lists and watches of metadata give it at a fraction of the cost of the record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordMeta {
    /// The release.
    pub release: ReleaseKey,
    /// The revision, from 1.
    pub revision: u32,
    /// Where it stands.
    pub status: Status,
    /// For what we made it; none if somebody else wrote it, or wrote it last.
    pub marks: Option<Marks>,
    /// The generation of the object that declares the release for which the revision, which somebody else made, is held.
    pub held: Option<i64>,
    /// For a revision of somebody else's that one of ours replaced: what was counted until then.
    pub counted: Option<Counted>,
    /// The Secret in another namespace that it is a copy of, while records move.
    pub copy_of: Option<CopyOf>,
    /// The version of that Secret that was copied.
    pub copied_version: Option<String>,
    /// How many bytes the record has; 0 where it was not written by us, or not by us last.
    pub bytes: u64,
    /// The server's version of the Secret; changes with each write.
    pub resource_version: String,
    /// The Secret's uid: a record of the same name made later is another.
    pub uid: String,
    /// When the record was made, to the second.
    pub created_at: Option<Timestamp>,
    /// When it was last written, to the second: by Helm's own label where it has one, else when it was made.
    pub modified_at: Option<Timestamp>,
}

/// Of which Secrets a record is a copy, by their uids.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CopyOf {
    /// The one that was copied.
    pub secret: String,
    /// The first of a row of copies, where that one was a copy, too.
    pub first: String,
}

#[cfg(test)]
impl RecordMeta {
    /// The first revision of a release.
    pub(crate) fn new(release: ReleaseKey) -> Self {
        Self {
            release,
            revision: 1,
            status: Status::Deployed,
            marks: None,
            held: None,
            copy_of: None,
            copied_version: None,
            counted: None,
            bytes: 0,
            resource_version: String::new(),
            uid: String::new(),
            created_at: None,
            modified_at: None,
        }
    }
}

impl RecordMeta {
    /// The namespace of the release, as far as its record's metadata tells.
    pub fn namespace(&self) -> &str {
        let marked = self.marks.as_ref().map(|marks| marks.namespace.as_str()).filter(|marked| !marked.is_empty());
        marked.unwrap_or(&self.release.namespace)
    }

    /// Reads the labels and annotations of a release Secret; pass the metadata of a `PartialObjectMeta<Secret>` too.
    ///
    /// Fails with [`Error::NotARecord`] for any other Secret, a copy of a record under another name included: Helm finds
    /// records by their names.
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
        if metadata.name.as_deref() != Some(storage::secret_name(release, revision).as_str()) {
            return Err(lacks("name: its labels are those of another"));
        }
        let created_at = metadata.creation_timestamp.as_ref().map(|time| time.0);
        let modified = label(storage::MODIFIED_LABEL).and_then(|seconds| seconds.parse().ok());
        let modified_at = modified.and_then(|seconds| Timestamp::from_second(seconds).ok());
        Ok(Self {
            release: ReleaseKey::new(metadata.namespace.as_deref().unwrap_or_default(), release),
            revision,
            status: status.as_str().into(),
            marks: metadata.annotations.as_ref().and_then(Marks::of),
            held: metadata.annotations.as_ref().and_then(marks::held),
            counted: metadata.annotations.as_ref().and_then(marks::counted),
            copy_of: metadata.annotations.as_ref().and_then(marks::copy_of),
            copied_version: metadata.annotations.as_ref().and_then(marks::copied_version),
            bytes: metadata.annotations.as_ref().and_then(marks::bytes).unwrap_or_default(),
            resource_version: metadata.resource_version.clone().unwrap_or_default(),
            uid: metadata.uid.clone().unwrap_or_default(),
            created_at,
            modified_at: modified_at.or(created_at),
        })
    }
}
