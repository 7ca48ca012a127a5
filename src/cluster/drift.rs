//! What became of an object since a release applied it, and setting it right.
//!
//! Compared is the object as it is with what an apply would make of it, which the server is asked for: so its defaults, and
//! what webhooks do to an apply, are no difference.

use serde_json::Value;

use super::apply::{How, prepared};
use super::conflicts::{ConflictPolicy, Paths};
use super::content;
use super::ownership::{self, Holder};
use super::request::Metadata;
use super::{Applied, ApplyOptions, Cluster, Error, Object};
use super::{fields, pointers};

/// How the objects of a release are looked at.
#[derive(Clone, Copy)]
pub struct Drift<'a> {
    /// How they are applied.
    pub options: &'a ApplyOptions,
    /// What others may do to them.
    pub ignore: &'a [Paths],
}

impl Drift<'_> {
    /// Who wins which field of a deployed release: what others may do to objects is left, whatever is declared of conflicts, which
    /// is of upgrades in the first place.
    fn conflicts(&self) -> Vec<(Paths, ConflictPolicy)> {
        let ignored = self.ignore.iter().cloned().map(|paths| (paths, ConflictPolicy::Yield));
        self.options.conflicts.iter().cloned().chain(ignored).collect()
    }
}

/// What became of an object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Deviation {
    /// It is as it was applied, but for what others may do to it; or it says itself that it is not to be looked at.
    None,
    /// There is none.
    Missing,
    /// It is being deleted.
    Leaving,
    /// Somebody changed it.
    Changed {
        /// Which fields of it, as JSON pointers.
        paths: Vec<String>,
        /// The managers who set them.
        by: Vec<String>,
    },
    /// It is another release's now, or nobody's.
    Foreign {
        /// Whose, as `namespace/name`; none for nobody's.
        release: Option<String>,
    },
}

/// On an object, as a label or an annotation: not to be looked at.
const OPT_OUT: [&str; 2] = ["helm-operator.ketches.cn/driftDetection", "helm.toolkit.fluxcd.io/driftDetection"];

impl Cluster {
    /// What became of an object. Costs a read, and an apply that is not carried out where it is there.
    pub async fn deviation(&self, object: &Object, drift: Drift<'_>) -> Result<Deviation, Error> {
        let target = (object.resource(), object.reference());
        let declared = object.content().get("metadata").unwrap_or(&Value::Null);
        if is_exempt(declared) {
            return Ok(Deviation::None);
        }
        let Some(mut live) = self.requests.get(target.0, target.1).await? else { return Ok(Deviation::Missing) };
        let read = |source| Error::ReadAnswer { verb: "get", target: object.reference().to_string(), source };
        let metadata: Metadata = serde_json::from_value(live["metadata"].clone()).map_err(read)?;
        if metadata.deletion_timestamp.is_some() {
            return Ok(Deviation::Leaving);
        }
        match ownership::claim(&metadata, &drift.options.owner) {
            Holder::Ours => {}
            // Its marks are one of the changes.
            Holder::Nobody { .. } if fields::fingerprint(&metadata).is_some() => {}
            Holder::Nobody { .. } => return Ok(Deviation::Foreign { release: None }),
            Holder::Theirs { .. } => {
                return Ok(Deviation::Foreign { release: ownership::release_of(&metadata) });
            }
        }
        if is_exempt(&live["metadata"]) {
            return Ok(Deviation::None);
        }
        let conflicts = drift.conflicts();
        let how = How { conflicts: &conflicts, other_conflicts: ConflictPolicy::Force, ..drift.options.how() };
        let (applied, ..) = prepared(object, Some(&metadata), how);
        let mut wanted = match self.requests.dry_apply(target, &applied, true).await {
            Ok(wanted) => wanted,
            Err(refused) => match content::leftover_strategy(target.1, &applied, &refused) {
                Some(_) => return Ok(Deviation::Changed { paths: vec!["/spec/strategy".to_owned()], by: Vec::new() }),
                None => return Err(refused),
            },
        };
        for path in drift.ignore.iter().flat_map(|paths| paths.of(target, declared)) {
            pointers::remove(&mut live, path);
            pointers::remove(&mut wanted, path);
        }
        let paths = pointers::differences(&live, &wanted);
        if paths.is_empty() {
            return Ok(Deviation::None);
        }
        let set = |fields: &Value| paths.iter().any(|path| fields::hold(fields, &live, path));
        let mut by: Vec<String> =
            fields::of_others(&metadata).filter(|(_, fields)| set(fields)).map(|(who, _)| who.to_owned()).collect();
        by.sort();
        by.dedup();
        Ok(Deviation::Changed { paths, by })
    }

    /// Makes an object as it was applied, but for what others may do to it; one that is missing is made.
    pub async fn correct(&self, object: &Object, drift: Drift<'_>) -> Result<Applied, Error> {
        let one = std::slice::from_ref(object);
        let conflicts = drift.conflicts();
        let existing = self.requests.metadata(object.resource(), object.reference()).await?;
        if let Some(existing) = &existing {
            let owner = &drift.options.owner;
            match ownership::claim(existing, owner) {
                Holder::Ours => {}
                Holder::Nobody { .. } if fields::fingerprint(existing).is_some() => {}
                // Somebody took it, or made another of its name, a moment ago.
                claim => ownership::refuse(object.reference(), claim, owner)?,
            }
        }
        let how = How { conflicts: &conflicts, other_conflicts: ConflictPolicy::Force, ..drift.options.how() };
        let applied = self.apply_one(object, existing.as_ref(), how).await?;
        self.wait_defined(object, &applied, one, super::apply::DEFINED).await?;
        Ok(applied)
    }
}

fn is_exempt(metadata: &Value) -> bool {
    let says = |field: &str, key: &str| metadata[field][key] == "disabled";
    OPT_OUT.iter().any(|key| says("labels", key) || says("annotations", key))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::is_exempt;

    #[test]
    fn an_object_says_that_it_is_not_to_be_looked_at() {
        let object = |field: &str, key: &str| json!({ field: { key: "disabled" } });
        assert!(is_exempt(&object("annotations", "helm-operator.ketches.cn/driftDetection")));
        assert!(is_exempt(&object("labels", "helm.toolkit.fluxcd.io/driftDetection")));
        assert!(!is_exempt(&object("labels", "driftDetection")) && !is_exempt(&json!({})));
    }
}
