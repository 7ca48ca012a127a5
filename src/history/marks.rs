//! Our annotations on a record: for what we made it.

use std::collections::BTreeMap;

const OWNER: &str = "helm-operator.ketches.cn/owner";
const UID: &str = "helm-operator.ketches.cn/uid";
const GENERATION: &str = "helm-operator.ketches.cn/generation";
const INPUTS: &str = "helm-operator.ketches.cn/inputs";
const CHART: &str = "helm-operator.ketches.cn/chart";
const DIGEST: &str = "helm-operator.ketches.cn/digest";

/// "This revision was made by us for that."
///
/// Helm writes whole Secrets and drops annotations when it does: a record that a person touched with `helm`, by a
/// rollback say, comes back without marks.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Marks {
    /// The object that declares the release, as `namespace/name`.
    pub owner: String,
    /// That object's uid: one of the same name made later is another.
    pub uid: String,
    /// That object's generation when the revision was made.
    pub generation: i64,
    /// The SHA-256 of everything the rendering depends on.
    pub inputs: String,
    /// The chart, as `name-version`.
    pub chart: String,
    /// The digest of the chart's manifest in the registry.
    pub digest: String,
}

impl Marks {
    /// The marks among a Secret's annotations; none unless all are there.
    pub(super) fn of(annotations: &BTreeMap<String, String>) -> Option<Self> {
        let text = |key| annotations.get(key).cloned();
        Some(Self {
            owner: text(OWNER)?,
            uid: text(UID)?,
            generation: annotations.get(GENERATION)?.parse().ok()?,
            inputs: text(INPUTS)?,
            chart: text(CHART).unwrap_or_default(),
            digest: text(DIGEST).unwrap_or_default(),
        })
    }

    /// Puts the marks among the other annotations, or takes them away.
    pub(super) fn put(marks: Option<&Self>, annotations: &mut BTreeMap<String, String>) {
        for key in [OWNER, UID, GENERATION, INPUTS, CHART, DIGEST] {
            annotations.remove(key);
        }
        if let Some(Self { owner, uid, generation, inputs, chart, digest }) = marks {
            let generation = generation.to_string();
            let marks = [
                (OWNER, owner),
                (UID, uid),
                (GENERATION, &generation),
                (INPUTS, inputs),
                (CHART, chart),
                (DIGEST, digest),
            ];
            annotations.extend(marks.map(|(key, value)| (key.to_owned(), value.clone())));
        }
    }
}
