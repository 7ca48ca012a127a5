//! Which differences between the chart and the cluster are declared to be allowed. Pure.

use std::collections::BTreeMap;

use helm::selector::{Selector, Texts};

use crate::api::{
    self, ConflictRule, DriftDetection, DriftMode, HelmReleaseSpec, IgnoreRule, ImmutablePolicy, ObjectSelector, Reason,
};
use crate::cluster::{ConflictPolicy, Immutable, Paths};
use crate::controller::error::{ReconcileError, chain};

/// What becomes of differences.
#[derive(Debug, Clone, Default)]
pub(crate) struct Differences {
    /// Of fields that others set, too.
    pub(crate) conflicts: Vec<(Paths, ConflictPolicy)>,
    /// Of objects with a field that cannot be changed, by their kind.
    pub(crate) immutable: BTreeMap<String, Immutable>,
    /// Of deployed objects.
    pub(crate) drift: Tolerance,
}

/// What becomes of deployed objects that somebody changed or deleted.
#[derive(Debug, Clone, Default)]
pub(crate) struct Tolerance {
    /// Whether they are looked at.
    pub(crate) watched: bool,
    /// Whether those that are missing are made anew, but for what runs once.
    pub(crate) restore: bool,
    /// Whether all that was changed is made as it was.
    pub(crate) correct: bool,
    /// What others may change.
    pub(crate) ignore: Vec<Paths>,
}

impl Differences {
    /// What is declared. Fails where a selector means nothing.
    pub(crate) fn of(spec: &HelmReleaseSpec) -> Result<Self, ReconcileError> {
        let conflict = |(at, rule): (usize, &ConflictRule)| {
            let ConflictRule { paths, target, policy } = rule;
            let policy = match policy {
                api::ConflictPolicy::Fail => ConflictPolicy::Fail,
                api::ConflictPolicy::Force => ConflictPolicy::Force,
                api::ConflictPolicy::Yield => ConflictPolicy::Yield,
            };
            let target = selector(target.as_ref(), &format!("spec.conflicts[{at}].target"))?;
            Ok((Paths { target, paths: paths.clone() }, policy))
        };
        let immutable = |policy| match policy {
            ImmutablePolicy::Fail => Immutable::Fail,
            ImmutablePolicy::Recreate => Immutable::Recreate,
            ImmutablePolicy::OrphanRecreate => Immutable::OrphanRecreate,
            ImmutablePolicy::ExpandVolumes => Immutable::ExpandVolumes,
        };
        Ok(Self {
            conflicts: spec.conflicts.iter().enumerate().map(conflict).collect::<Result<_, ReconcileError>>()?,
            immutable: spec.on_immutable.iter().map(|it| (it.kind.clone(), immutable(it.policy))).collect(),
            drift: Tolerance::of(spec.drift_detection.as_ref())?,
        })
    }

    /// Who wins which field at an install or upgrade, and all others. Where changes by others are undone while a release is
    /// deployed, they are no conflict when it is upgraded.
    pub(crate) fn on_apply(&self) -> (Vec<(Paths, ConflictPolicy)>, ConflictPolicy) {
        let Self { conflicts, drift, .. } = self;
        if !drift.correct {
            return (conflicts.clone(), ConflictPolicy::Fail);
        }
        let ignored = drift.ignore.iter().cloned().map(|paths| (paths, ConflictPolicy::Yield));
        (ignored.chain(conflicts.clone()).collect(), ConflictPolicy::Force)
    }
}

impl Tolerance {
    fn of(declared: Option<&DriftDetection>) -> Result<Self, ReconcileError> {
        let DriftDetection { mode, ignore } = declared.cloned().unwrap_or_default();
        let rule = |(at, rule): (usize, IgnoreRule)| {
            let IgnoreRule { paths, target } = rule;
            let target = selector(target.as_ref(), &format!("spec.driftDetection.ignore[{at}].target"))?;
            Ok(Paths { target, paths })
        };
        Ok(Self {
            watched: mode != Some(DriftMode::Disabled),
            restore: mode.is_none() || mode == Some(DriftMode::Enabled),
            correct: mode == Some(DriftMode::Enabled),
            ignore: ignore.into_iter().enumerate().map(rule).collect::<Result<_, ReconcileError>>()?,
        })
    }
}

pub(super) fn selector(declared: Option<&ObjectSelector>, field: &str) -> Result<Selector, ReconcileError> {
    let Some(declared) = declared else { return Ok(Selector::default()) };
    let ObjectSelector { group, version, kind, namespace, name, label_selector, annotation_selector } = declared;
    let texts = Texts {
        group: group.as_deref(),
        version: version.as_deref(),
        kind: kind.as_deref(),
        namespace: namespace.as_deref(),
        name: name.as_deref(),
        labels: label_selector.as_deref(),
        annotations: annotation_selector.as_deref(),
    };
    Selector::parse(&texts)
        .map_err(|error| ReconcileError::new(Reason::ConfigurationError, format!("{field}: {}", chain(&error))))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::Differences;
    use crate::api::{HelmReleaseSpec, Reason};

    fn of(declared: &Value) -> Result<Differences, Reason> {
        Differences::of(&spec(declared)).map_err(|error| error.reason)
    }

    fn spec(declared: &Value) -> HelmReleaseSpec {
        let mut whole = json!({ "chart": { "name": "x", "repositoryURL": "oci://example.com" } });
        whole.as_object_mut().expect("a map").extend(declared.as_object().expect("a map").clone());
        serde_json::from_value(whole).expect("a spec")
    }

    #[test]
    fn by_default_what_is_missing_is_made_anew_and_what_was_changed_is_told() {
        for (mode, watched, restore, correct) in [
            (json!(null), true, true, false),
            (json!("enabled"), true, true, true),
            (json!("warn"), true, false, false),
            (json!("disabled"), false, false, false),
        ] {
            let drift = of(&json!({ "driftDetection": { "mode": mode } })).expect("it is right").drift;
            assert_eq!((drift.watched, drift.restore, drift.correct), (watched, restore, correct), "{mode}");
        }
        let drift = of(&json!({})).expect("it is right").drift;
        assert!(drift.watched && drift.restore && !drift.correct);
    }

    #[test]
    fn a_selector_that_means_nothing_is_refused() {
        let rule = |target: Value| json!([{ "paths": ["/spec"], "target": target, "policy": "Yield" }]);
        assert!(of(&json!({ "conflicts": rule(json!({ "kind": "Deploy.*" })) })).is_ok());
        let wrong = of(&json!({ "conflicts": rule(json!({ "kind": "(" })) }));
        assert_eq!(wrong.err(), Some(Reason::ConfigurationError));
        let wrong =
            of(&json!({ "driftDetection": { "ignore": [{ "paths": [""], "target": { "labelSelector": "a b" } }] } }));
        assert_eq!(wrong.err(), Some(Reason::ConfigurationError));
    }
}
