//! Revisions to come: one that waits for approval is kept whole, so that what is approved is what is done, whoever looks at it in
//! between.
//!
//! It is kept beside the object that declares the release, whose namespace is there before anything else is.

use std::collections::BTreeMap;
use std::io::{Read as _, Write as _};

use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;
use helm::release::{Release, Sizes, codec, storage};
use http::header::ACCEPT;
use jiff::Timestamp;
use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference};
use kube::Resource as _;
use kube::api::DeleteParams;
use kube::core::Request;
use sha2::{Digest as _, Sha256};

use super::error::MAX_SECRET_BYTES;
use super::secret::Most;
use super::{Error, History, SecretRef, Verb, post_params, secret};
use crate::client::METADATA_ONLY;
use crate::off_thread::off_thread;

/// The `type` of a Secret with a plan: neither Helm's, nor anybody's credentials.
const SECRET_TYPE: &str = "helm-operator.ketches.cn/plan.v1";

/// The name of such a Secret, before the name of the object that it is made for, or its uid where that is long.
const NAME_PREFIX: &str = "helm-operator.plan.v1.";

const DIGEST: &str = "helm-operator.ketches.cn/plan";
const BASIS: &str = "helm-operator.ketches.cn/basis";
const REVISION: &str = "helm-operator.ketches.cn/revision";
const MADE: &str = "helm-operator.ketches.cn/made";
const SHOWN: &str = "helm-operator.ketches.cn/shown";

/// Keys of its data, beside Helm's for the release.
const FORESEEN: &str = "foreseen";
const VARIES: &str = "varies";
const DIFF: &str = "diff";

/// The longest name of an object that is part of the Secret's.
const LONGEST_NAME: usize = 200;

/// The most bytes of a diff.
const DIFF_BYTES: u64 = 64 << 20;

/// Whose plan: there is one for an object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlanKey {
    /// The namespace of the object that declares the release.
    pub namespace: String,
    /// That object's name.
    pub name: String,
    /// That object's uid: a plan of one of the same name that is gone is none.
    pub uid: String,
}

/// What is known of a plan without its content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Planned {
    /// What approves it.
    pub digest: String,
    /// What it rests on of what is declared.
    pub basis: String,
    /// The revision that it makes.
    pub revision: u32,
    /// When it was made.
    pub made: Timestamp,
    /// The digest of the difference that is shown of it, as [`shown`] makes it: a part of what is approved. Empty in plans of operators
    /// that did not write it.
    pub shown: String,
}

/// A plan.
#[derive(Clone, PartialEq)]
pub struct FrozenPlan {
    /// What is known of it besides.
    pub planned: Planned,
    /// The revision, as its record is to hold it.
    pub release: Release,
    /// What it makes of each object, and how that was found, a line for each.
    pub foreseen: Vec<String>,
    /// The templates that make something else each time they are rendered.
    pub varies: Vec<String>,
    /// What it changes, for people. None where it does not fit into the Secret beside the rest.
    pub diff: Option<String>,
}

/// Not its content: it may hold secrets.
impl std::fmt::Debug for FrozenPlan {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("FrozenPlan").field("planned", &self.planned).finish_non_exhaustive()
    }
}

impl PlanKey {
    fn secret(&self) -> SecretRef {
        let name = if self.name.len() <= LONGEST_NAME { &self.name } else { &self.uid };
        SecretRef::new(&self.namespace, &format!("{NAME_PREFIX}{name}"))
    }
}

impl Planned {
    fn of(metadata: &ObjectMeta, uid: &str) -> Option<Self> {
        let is_of = |owner: &OwnerReference| owner.uid == uid;
        metadata.owner_references.iter().flatten().find(|owner| is_of(owner))?;
        let annotations = metadata.annotations.as_ref()?;
        let text = |key: &str| annotations.get(key).cloned();
        Some(Self {
            digest: text(DIGEST)?,
            basis: text(BASIS)?,
            revision: text(REVISION)?.parse().ok()?,
            made: text(MADE)?.parse().ok()?,
            shown: text(SHOWN).unwrap_or_default(),
        })
    }

    fn annotations(&self) -> BTreeMap<String, String> {
        let Self { digest, basis, revision, made, shown } = self;
        let named = [
            (DIGEST, digest.clone()),
            (BASIS, basis.clone()),
            (REVISION, revision.to_string()),
            (MADE, made.to_string()),
            (SHOWN, shown.clone()),
        ];
        named.map(|(key, text)| (key.to_owned(), text)).into()
    }
}

impl History {
    /// What is known of the plan that waits, if there is one. One that cannot be read is none.
    pub async fn planned(&self, key: &PlanKey) -> Result<Option<Planned>, Error> {
        let secret = key.secret();
        match self.secrets(&secret.namespace).get_metadata_opt(&secret.name).await {
            Ok(found) => Ok(found.and_then(|found| Planned::of(&found.metadata, &key.uid))),
            Err(source) => Err(Error::of_request(Verb::Get, secret, source)),
        }
    }

    /// The plan that waits, if there is one. One that cannot be read is none.
    pub async fn plan(&self, key: &PlanKey) -> Result<Option<FrozenPlan>, Error> {
        let secret = key.secret();
        match self.secrets(&secret.namespace).get_opt(&secret.name).await {
            Ok(Some(content)) => {
                let uid = key.uid.clone();
                Ok(off_thread(move || read(content, &uid)).await)
            }
            Ok(None) => Ok(None),
            Err(source) => Err(Error::of_request(Verb::Get, secret, source)),
        }
    }

    /// Keeps a plan for the object `owner`, in place of the one that there is.
    pub async fn keep_plan(&self, key: &PlanKey, owner: OwnerReference, plan: FrozenPlan) -> Result<(), Error> {
        let at = key.secret();
        let metadata = ObjectMeta {
            name: Some(at.name.clone()),
            namespace: Some(at.namespace.clone()),
            annotations: Some(plan.planned.annotations()),
            owner_references: Some(vec![owner]),
            ..ObjectMeta::default()
        };
        let body = {
            let at = at.clone();
            off_thread(move || write(&at, metadata, plan)).await?
        };
        let request = Request::new(Secret::url_path(&(), Some(&at.namespace)));
        match self.write(Verb::Create, at.clone(), request.create(&post_params(), body.clone())).await {
            // There is no more than one, and what it was is known: whatever stands there is replaced.
            Err(Error::Exists { .. }) => {
                let replace = request.replace(&at.name, &post_params(), body);
                self.write(Verb::Update, at, replace).await.map(drop)
            }
            written => written.map(drop),
        }
    }

    /// Deletes the plan of an object; one that is not there is as good as deleted.
    pub async fn discard_plan(&self, key: &PlanKey) -> Result<(), Error> {
        let secret = key.secret();
        let mut request = match Request::new(Secret::url_path(&(), Some(&secret.namespace)))
            .delete(&secret.name, &DeleteParams::default())
        {
            Ok(request) => request,
            Err(source) => return Err(Error::of_request(Verb::Delete, secret, kube::Error::BuildRequest(source))),
        };
        request.headers_mut().insert(ACCEPT, METADATA_ONLY);
        match self.client.request::<serde::de::IgnoredAny>(request).await {
            Ok(_) => Ok(()),
            Err(kube::Error::Api(status)) if status.is_not_found() => Ok(()),
            Err(source) => Err(Error::of_request(Verb::Delete, secret, source)),
        }
    }
}

/// The digest of a difference, as it is shown: `sha256:` and 64 digits.
pub fn shown(diff: &str) -> String {
    Sha256::digest(diff).iter().fold("sha256:".to_owned(), |text, byte| text + &format!("{byte:02x}"))
}

fn read(content: Secret, uid: &str) -> Option<FrozenPlan> {
    let planned = Planned::of(&content.metadata, uid)?;
    let mut data = content.data?;
    let mut take = |key: &str| data.remove(key).map(|ByteString(bytes)| bytes);
    let release = codec::decode(&take(storage::DATA_KEY)?).ok()?;
    let foreseen = String::from_utf8(take(FORESEEN)?).ok()?;
    let diff = take(DIFF).and_then(|packed| {
        let mut diff = String::new();
        GzDecoder::new(packed.as_slice()).take(DIFF_BYTES).read_to_string(&mut diff).ok()?;
        Some(diff)
    });
    let foreseen = foreseen.lines().map(str::to_owned).collect();
    let varies = take(VARIES).and_then(|lines| String::from_utf8(lines).ok()).unwrap_or_default();
    let varies = varies.lines().map(str::to_owned).collect();
    Some(FrozenPlan { planned, release, foreseen, varies, diff })
}

/// The request's body. What does not fit without its diff does not fit at all.
fn write(at: &SecretRef, metadata: ObjectMeta, mut plan: FrozenPlan) -> Result<Vec<u8>, Error> {
    let encoded = secret::encode(at, &mut plan.release, Most::First)?;
    let foreseen = plan.foreseen.join("\n").into_bytes();
    let size = encoded.len() + foreseen.len();
    if size > MAX_SECRET_BYTES {
        let sizes = Sizes::of(&plan.release).map_err(|source| Error::Encode { secret: at.clone(), source })?;
        return Err(Error::TooLarge { secret: at.clone(), bytes: size, most: MAX_SECRET_BYTES, sizes });
    }
    let mut data = BTreeMap::from([
        (storage::DATA_KEY.to_owned(), ByteString(encoded)),
        (FORESEEN.to_owned(), ByteString(foreseen)),
        (VARIES.to_owned(), ByteString(plan.varies.join("\n").into_bytes())),
    ]);
    let packed = plan.diff.as_deref().and_then(packed).filter(|packed| size + packed.len() <= MAX_SECRET_BYTES);
    data.extend(packed.map(|packed| (DIFF.to_owned(), ByteString(packed))));
    let content = Secret { metadata, type_: Some(SECRET_TYPE.to_owned()), data: Some(data), ..Secret::default() };
    serde_json::to_vec(&content)
        .map_err(|source| Error::Encode { secret: at.clone(), source: codec::Error::WriteJson(source) })
}

fn packed(diff: &str) -> Option<Vec<u8>> {
    let mut gzip = GzEncoder::new(Vec::new(), Compression::best());
    gzip.write_all(diff.as_bytes()).ok()?;
    gzip.finish().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(diff: &str) -> FrozenPlan {
        let planned = Planned {
            digest: "sha256:1".to_owned(),
            basis: "sha256:2".to_owned(),
            revision: 3,
            made: Timestamp::from_second(100).expect("a time"),
            shown: "sha256:3".to_owned(),
        };
        let release =
            Release { name: "demo".to_owned(), namespace: "apps".to_owned(), version: 3, ..Release::default() };
        let foreseen = vec!["one".to_owned(), "two".to_owned()];
        FrozenPlan {
            planned,
            release,
            foreseen,
            varies: vec!["app/templates/a.yaml".to_owned()],
            diff: Some(diff.to_owned()),
        }
    }

    /// As a server holds it.
    fn stored(plan: &FrozenPlan) -> Secret {
        let owner = OwnerReference { uid: "u-1".to_owned(), ..OwnerReference::default() };
        let metadata = ObjectMeta {
            annotations: Some(plan.planned.annotations()),
            owner_references: Some(vec![owner]),
            ..ObjectMeta::default()
        };
        let at = SecretRef::new("apps", "x");
        serde_json::from_slice(&write(&at, metadata, plan.clone()).expect("it fits")).expect("a Secret")
    }

    #[test]
    fn a_plan_is_read_as_it_was_written() {
        let plan = plan("+ a\n- b\n");
        assert_eq!(read(stored(&plan), "u-1").as_ref(), Some(&plan));
        let name = |name: String| PlanKey { namespace: "apps".to_owned(), name, uid: "u-1".to_owned() }.secret().name;
        assert_eq!(name("demo".to_owned()), "helm-operator.plan.v1.demo");
        assert_eq!(name("x".repeat(253)), "helm-operator.plan.v1.u-1");
    }

    #[test]
    fn a_plan_that_is_damaged_or_another_objects_is_none() {
        assert_eq!(read(stored(&plan("")), "u-2"), None);
        for lost in [storage::DATA_KEY, FORESEEN] {
            let mut secret = stored(&plan(""));
            secret.data.as_mut().expect("data").remove(lost);
            assert_eq!(read(secret, "u-1"), None, "{lost}");
        }
        for lost in [DIGEST, BASIS, REVISION, MADE] {
            let mut secret = stored(&plan(""));
            secret.metadata.annotations.as_mut().expect("annotations").remove(lost);
            assert_eq!(read(secret, "u-1"), None, "{lost}");
        }
    }

    #[test]
    fn of_a_plan_that_is_too_large_the_diff_is_left_out() {
        let number = |at: u32| at.wrapping_mul(2_654_435_761).to_string();
        let noise = |length: u32| (0..length).map(number).collect::<String>();
        let large = plan(&noise(300_000));
        let read = read(stored(&large), "u-1").expect("a plan");
        assert_eq!((read.diff, read.foreseen), (None, large.foreseen));
    }
}
