//! What is declared of failures and of the chart's tests. Pure.

use std::time::Duration;

use kube::ResourceExt as _;
use sha2::Digest as _;

use super::plan::StepKind;
use super::validate::timeout;
use crate::api::{GoDuration, HelmRelease, Strategy, StrategyName, TEST_AT, Test, TestFilter};
use crate::history::{Outcome, Tested};

/// How long after a failure it is tried again where it is tried at an interval, and nothing else is said.
const RETRY_INTERVAL: Duration = Duration::from_mins(5);

/// What is done about failures.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "each is a switch of the API")]
pub(crate) struct Remedies {
    /// How often a failed install is tried again; without end where it is not said.
    pub(crate) install_retries: Option<u32>,
    /// The same of an upgrade.
    pub(crate) upgrade_retries: Option<u32>,
    /// Go back to what was deployed after an upgrade that failed.
    pub(crate) rollback: bool,
    /// To that revision, where it was deployed.
    pub(crate) to_revision: Option<u32>,
    /// After one whose tests failed, too.
    pub(crate) tests: bool,
    /// After the last attempt, too.
    pub(crate) rollback_last: bool,
    /// Also where a hook before the upgrade was completed.
    pub(crate) after_hooks: bool,
    /// How long after a failed install it is tried again; ever later where it is not said.
    pub(crate) install_interval: Option<Duration>,
    /// The same of an upgrade.
    pub(crate) upgrade_interval: Option<Duration>,
}

impl Remedies {
    /// How long after a failure it is tried again, where that is declared.
    pub(crate) fn retried_after(&self, kind: StepKind) -> Option<Duration> {
        if kind == StepKind::Install { self.install_interval } else { self.upgrade_interval }
    }

    /// What is declared.
    pub(super) fn of(release: &HelmRelease) -> Self {
        let install = release.spec.install.as_ref().and_then(|install| install.remediation.clone()).unwrap_or_default();
        let upgrade = release.spec.upgrade.as_ref().and_then(|upgrade| upgrade.remediation.clone());
        let rollback = release.spec.rollback.clone().unwrap_or_default();
        // A negative number means without end.
        let retries = |declared: Option<i32>| declared.and_then(|retries| u32::try_from(retries).ok());
        let retrying = |strategy: Option<&Strategy>| {
            let strategy = strategy.filter(|strategy| strategy.name == StrategyName::RetryOnFailure);
            strategy.map(|it| (it.retries, it.retry_interval.map_or(RETRY_INTERVAL, GoDuration::at_least_a_second)))
        };
        let install_again = retrying(release.spec.install.as_ref().and_then(|install| install.strategy.as_ref()));
        let upgrade_again = retrying(release.spec.upgrade.as_ref().and_then(|upgrade| upgrade.strategy.as_ref()));
        let upgrade_retries = upgrade.as_ref().and_then(|upgrade| upgrade.retries);
        let ignores_tests = upgrade.as_ref().and_then(|upgrade| upgrade.ignore_test_failures);
        let is_tested = release.spec.test.as_ref().is_some_and(|test| test.enable);
        let ignores_failures = || release.spec.test.as_ref().is_some_and(|test| test.ignore_failures);
        Self {
            install_retries: retries(install_again.map_or(install.retries, |(retries, _)| retries)),
            upgrade_retries: retries(upgrade_again.map_or(upgrade_retries, |(retries, _)| retries)),
            install_interval: install_again.map(|(_, interval)| interval),
            upgrade_interval: upgrade_again.map(|(_, interval)| interval),
            rollback: (rollback.enabled || upgrade.is_some()) && upgrade_again.is_none(),
            to_revision: u32::try_from(rollback.to_revision).ok().filter(|revision| *revision > 0),
            tests: is_tested && !ignores_tests.unwrap_or_else(ignores_failures),
            rollback_last: upgrade.and_then(|upgrade| upgrade.remediate_last_failure).unwrap_or(true),
            after_hooks: rollback.after_hooks,
        }
    }
}

/// Which of a chart's tests are run, and how.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Tests {
    /// Limit of all of them together.
    pub(crate) timeout: Duration,
    /// Go on though they fail.
    pub(crate) ignore_failures: bool,
    /// A person's word for the last demand to run them again.
    pub(crate) asked: Option<String>,
    filters: Vec<TestFilter>,
}

impl Tests {
    /// What is declared; none where no tests are to run.
    pub(super) fn of(release: &HelmRelease) -> Option<Self> {
        let Test { enable, timeout, ignore_failures, filters } = release.spec.test.clone().unwrap_or_default();
        let asked = release.annotations().get(TEST_AT).cloned();
        enable.then(|| Self { timeout: self::timeout(timeout, release), ignore_failures, asked, filters })
    }

    /// What is declared of the tests, in a few letters: of all of it, and of which are run.
    pub(crate) fn declared(&self) -> String {
        let filters =
            self.filters.iter().map(|filter| format!("{}{}", if filter.exclude { "!" } else { "" }, filter.name));
        let filters: Vec<String> = filters.collect();
        let all = [&[self.timeout.as_secs().to_string()], filters.as_slice()].concat();
        format!("{}.{}", in_letters(&all.join("\n")), in_letters(&filters.join("\n")))
    }

    /// Whether a run that passed, or one that failed, answers for what is declared now: one that failed may have been mended by any
    /// change, one that passed is run again where others are to run. Records of operators before do not say which those were.
    pub(crate) fn is_answered_by(&self, tested: &Tested) -> bool {
        let declared = self.declared();
        let (all, filters) = declared.split_once('.').unwrap_or((&declared, ""));
        match (tested.outcome, tested.declared.split_once('.')) {
            (Outcome::Passed, before) => before.is_none_or(|(_, before)| before == filters),
            (Outcome::Failed | Outcome::Running, before) => {
                before.map_or(&*tested.declared, |(before, _)| before) == all
            }
        }
    }

    /// Whether the test `name` is to be run.
    pub(crate) fn wants(&self, name: &str) -> bool {
        let (excluded, named): (Vec<_>, Vec<_>) = self.filters.iter().partition(|filter| filter.exclude);
        !excluded.iter().any(|filter| filter.name == name)
            && (named.is_empty() || named.iter().any(|filter| filter.name == name))
    }
}

/// A text, as eight digits that no other is likely to have.
fn in_letters(text: &str) -> String {
    sha2::Sha256::digest(text).iter().take(4).fold(String::new(), |text, byte| text + &format!("{byte:02x}"))
}
