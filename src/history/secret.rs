//! Records to Secrets and back. Pure.

use std::collections::BTreeMap;

use helm::release::{Release, Sizes, Spare, codec, storage};
use jiff::Timestamp;
use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

use super::error::MAX_SECRET_BYTES;
use super::{Error, Marks, Record, SecretRef, marks};

/// The record in a Secret, its user's labels included.
pub(super) fn to_record(secret: &SecretRef, content: Secret) -> Result<Record, Error> {
    let lacks = |missing| Error::NotARecord { secret: secret.clone(), missing };
    let data = content.data.as_ref().and_then(|data| data.get(storage::DATA_KEY));
    let ByteString(data) = data.ok_or_else(|| lacks("key \"release\" in its data"))?;
    let mut release = codec::decode(data).map_err(|source| Error::Decode { secret: secret.clone(), source })?;
    let metadata = ObjectMeta { managed_fields: None, ..content.metadata };
    release.labels = metadata.labels.as_ref().map(storage::user_labels).unwrap_or_default();
    let marks = metadata.annotations.as_ref().and_then(Marks::of);
    let held = metadata.annotations.as_ref().and_then(marks::held);
    let counted = metadata.annotations.as_ref().and_then(marks::counted);
    Ok(Record { release, marks, held, counted, metadata })
}

/// The metadata of a revision's first write.
pub(super) fn new_metadata((namespace, release): (&str, &Release), marks: &Marks, now: Timestamp) -> ObjectMeta {
    let mut labels = storage::labels(release);
    labels.insert(storage::CREATED_LABEL.to_owned(), now.as_second().to_string());
    let mut annotations = BTreeMap::new();
    Marks::put(Some(marks), &mut annotations);
    ObjectMeta {
        name: Some(storage::secret_name(&release.name, release.version)),
        namespace: Some(namespace.to_owned()),
        labels: Some(labels),
        annotations: Some(annotations),
        ..ObjectMeta::default()
    }
}

/// The metadata of a later write: as it was read, but for the labels of Helm and our marks.
pub(super) fn changed_metadata(record: &Record, now: Timestamp) -> ObjectMeta {
    let mut metadata = record.metadata.clone();
    let mut labels = storage::labels(&record.release);
    let old_labels = metadata.labels.unwrap_or_default();
    if let Some(created) = old_labels.get(storage::CREATED_LABEL) {
        labels.insert(storage::CREATED_LABEL.to_owned(), created.clone());
    }
    labels.insert(storage::MODIFIED_LABEL.to_owned(), now.as_second().to_string());
    metadata.labels = Some(labels);
    let annotations = metadata.annotations.get_or_insert_default();
    Marks::put(record.marks.as_ref(), annotations);
    marks::hold(record.held, annotations);
    marks::note_count(record.counted.as_ref(), annotations);
    metadata
}

/// What is left free of a Secret when a revision is recorded: how its hooks run, and why it fails, is written into it later.
const ROOM: usize = 16 << 10;

/// How much a Secret may hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Most {
    /// In the first write of a revision, before anything of it is applied.
    First,
    /// In a later one.
    Later,
}

impl Most {
    fn bytes(self) -> usize {
        match self {
            Self::First => MAX_SECRET_BYTES - ROOM,
            Self::Later => MAX_SECRET_BYTES,
        }
    }
}

/// The value of the Secret's key. Where it does not fit, as much is left out of the release's chart as has to be.
pub(super) fn encode(secret: &SecretRef, release: &mut Release, most: Most) -> Result<Vec<u8>, Error> {
    let failed = |source| Error::Encode { secret: secret.clone(), source };
    let most = most.bytes();
    let mut data = codec::encode(release).map_err(failed)?;
    for part in Spare::ALL {
        if data.len() > most && release.chart.leave_out(part) {
            data = codec::encode(release).map_err(failed)?;
        }
    }
    if data.len() > most {
        let sizes = Sizes::of(release).map_err(failed)?;
        return Err(Error::TooLarge { secret: secret.clone(), bytes: data.len(), most, sizes });
    }
    Ok(data)
}

/// The request body for a Secret with this metadata and value, which is noted how large it is.
pub(super) fn to_json(secret: &SecretRef, mut metadata: ObjectMeta, data: Vec<u8>) -> Result<Vec<u8>, Error> {
    marks::note_bytes(data.len(), metadata.annotations.get_or_insert_default());
    let content = Secret {
        metadata,
        type_: Some(storage::SECRET_TYPE.to_owned()),
        data: Some([(storage::DATA_KEY.to_owned(), ByteString(data))].into()),
        ..Secret::default()
    };
    serde_json::to_vec(&content)
        .map_err(|source| Error::Encode { secret: secret.clone(), source: codec::Error::WriteJson(source) })
}
