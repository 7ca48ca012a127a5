//! Filling in what a release does not set itself. Pure.

use std::collections::BTreeMap;

use crate::api::{
    ActionDefaults, CommonMetadata, DriftDetection, GoDuration, HelmReleaseDefaultsSpec, HelmReleaseSpec,
    InstallDefaults, InstallRemediation, Strategy, UpgradeDefaults, UpgradeRemediation,
};

/// `upgrade.maxHistory` where nobody sets it: the API server writes the first into objects, and the second means it.
const BUILT_IN_HISTORY: [i32; 2] = [10, 0];

/// Puts `defaults` where `spec` says nothing; the fields that were taken. To be called with the nearest defaults first.
///
/// What says the same in other words counts as said: a `timeout` for those of single actions, a `remediation` for a
/// `strategy`, `skipCRDs` for `crds`.
pub(crate) fn fill(spec: &mut HelmReleaseSpec, defaults: &HelmReleaseDefaultsSpec) -> Vec<String> {
    // Without `..`, so that no field is forgotten.
    let HelmReleaseDefaultsSpec {
        interval,
        timeout,
        max_history,
        post_renderers,
        post_render_strategy,
        common_metadata,
        install,
        upgrade,
        rollback,
        test,
        uninstall,
        drift_detection,
    } = defaults;
    let mut taken = Taken { fields: Vec::new(), has_timeout: spec.timeout.is_some() };
    let has_history = spec.upgrade.as_ref().is_some_and(|own| !BUILT_IN_HISTORY.contains(&own.max_history));
    taken.value("interval", &mut spec.interval, interval.as_ref());
    taken.value("timeout", &mut spec.timeout, timeout.as_ref());
    taken.value("maxHistory", &mut spec.max_history, max_history.as_ref().filter(|_| !has_history));
    taken.list("postRenderers", &mut spec.post_renderers, post_renderers);
    taken.value("postRenderStrategy", &mut spec.post_render_strategy, post_render_strategy.as_ref());
    taken.within(&mut spec.common_metadata, common_metadata.as_ref(), Taken::metadata);
    taken.within(&mut spec.install, install.as_ref(), |taken, own, given: &InstallDefaults| {
        let InstallDefaults { timeout, crds, remediation, strategy, progress_deadline } = given;
        taken.timeout("install.timeout", &mut own.timeout, timeout.as_ref());
        taken.value("install.crds", &mut own.crds, crds.as_ref().filter(|_| !own.skip_crds));
        let strategy = strategy.as_ref().filter(|_| own.remediation.is_none());
        taken.strategy("install.strategy", &mut own.strategy, strategy);
        taken.within(&mut own.remediation, remediation.as_ref(), |taken, own, given| {
            let InstallRemediation { retries } = given;
            taken.value("install.remediation.retries", &mut own.retries, retries.as_ref());
        });
        taken.value("install.progressDeadline", &mut own.progress_deadline, progress_deadline.as_ref());
    });
    taken.within(&mut spec.upgrade, upgrade.as_ref(), |taken, own, given: &UpgradeDefaults| {
        let UpgradeDefaults { timeout, crds, remediation, strategy, progress_deadline } = given;
        taken.timeout("upgrade.timeout", &mut own.timeout, timeout.as_ref());
        taken.value("upgrade.crds", &mut own.crds, crds.as_ref());
        let strategy = strategy.as_ref().filter(|_| own.remediation.is_none());
        taken.strategy("upgrade.strategy", &mut own.strategy, strategy);
        taken.remediation(&mut own.remediation, remediation.as_ref());
        taken.value("upgrade.progressDeadline", &mut own.progress_deadline, progress_deadline.as_ref());
    });
    taken.within(&mut spec.rollback, rollback.as_ref(), |taken, own, ActionDefaults { timeout }| {
        taken.timeout("rollback.timeout", &mut own.timeout, timeout.as_ref());
    });
    taken.within(&mut spec.test, test.as_ref(), |taken, own, ActionDefaults { timeout }| {
        taken.timeout("test.timeout", &mut own.timeout, timeout.as_ref());
    });
    taken.within(&mut spec.uninstall, uninstall.as_ref(), |taken, own, ActionDefaults { timeout }| {
        taken.timeout("uninstall.timeout", &mut own.timeout, timeout.as_ref());
    });
    taken.within(&mut spec.drift_detection, drift_detection.as_ref(), |taken, own, DriftDetection { mode, ignore }| {
        taken.value("driftDetection.mode", &mut own.mode, mode.as_ref());
        taken.list("driftDetection.ignore", &mut own.ignore, ignore);
    });
    taken.fields
}

/// What was taken.
struct Taken {
    fields: Vec<String>,
    /// Whether somebody nearer says how long any action may take.
    has_timeout: bool,
}

impl Taken {
    fn value<T: Clone>(&mut self, field: &str, own: &mut Option<T>, given: Option<&T>) {
        if own.is_none() && given.is_some() {
            *own = given.cloned();
            self.fields.push(field.to_owned());
        }
    }

    fn list<T: Clone>(&mut self, field: &str, own: &mut Vec<T>, given: &[T]) {
        if own.is_empty() && !given.is_empty() {
            own.extend_from_slice(given);
            self.fields.push(field.to_owned());
        }
    }

    fn timeout(&mut self, field: &str, own: &mut Option<GoDuration>, given: Option<&GoDuration>) {
        self.value(field, own, given.filter(|_| !self.has_timeout));
    }

    fn map(&mut self, field: &str, own: &mut BTreeMap<String, String>, given: &BTreeMap<String, String>) {
        for (key, value) in given {
            if !own.contains_key(key) {
                own.insert(key.clone(), value.clone());
                self.fields.push(format!("{field}.{key}"));
            }
        }
    }

    /// Fills in an object. One that is not there stays so where nothing in it was taken.
    fn within<T, D>(&mut self, own: &mut Option<T>, given: Option<&D>, fill: impl FnOnce(&mut Self, &mut T, &D))
    where
        T: Clone + Default,
    {
        let Some(given) = given else { return };
        let before = self.fields.len();
        let mut filled = own.clone().unwrap_or_default();
        fill(self, &mut filled, given);
        if self.fields.len() > before {
            *own = Some(filled);
        }
    }

    fn metadata(&mut self, own: &mut CommonMetadata, given: &CommonMetadata) {
        let CommonMetadata { labels, annotations } = given;
        self.map("commonMetadata.labels", &mut own.labels, labels);
        self.map("commonMetadata.annotations", &mut own.annotations, annotations);
    }

    /// A strategy has a name, which says what the rest is worth.
    fn strategy(&mut self, field: &str, own: &mut Option<Strategy>, given: Option<&Strategy>) {
        match (own, given) {
            (Some(own), Some(Strategy { name, retry_interval, retries })) if own.name == *name => {
                self.value(&format!("{field}.retryInterval"), &mut own.retry_interval, retry_interval.as_ref());
                self.value(&format!("{field}.retries"), &mut own.retries, retries.as_ref());
            }
            (own @ None, given) => self.value(field, own, given),
            _ => {}
        }
    }

    /// That there is one says already that an upgrade which failed is gone back from.
    fn remediation(&mut self, own: &mut Option<UpgradeRemediation>, given: Option<&UpgradeRemediation>) {
        let Some(own) = own else { return self.value("upgrade.remediation", own, given) };
        let Some(UpgradeRemediation { retries, remediate_last_failure, ignore_test_failures, strategy: _ }) = given
        else {
            return;
        };
        self.value("upgrade.remediation.retries", &mut own.retries, retries.as_ref());
        let last = remediate_last_failure.as_ref();
        self.value("upgrade.remediation.remediateLastFailure", &mut own.remediate_last_failure, last);
        let ignored = ignore_test_failures.as_ref();
        self.value("upgrade.remediation.ignoreTestFailures", &mut own.ignore_test_failures, ignored);
    }
}

#[cfg(test)]
mod tests;
