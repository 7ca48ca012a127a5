//! Second stage: the declared release, parsed once. Pure: what leaves here needs no more checking.

use std::sync::Arc;
use std::time::Duration;

use helm::release::ReleaseName;
use kube::ResourceExt as _;
use serde_json::{Map, Value};

use super::approval::Gate;
use super::checks::{self, HealthChecks, ReadDependency};
use super::dereference::{self, DereferencedRelease};
use super::differences::Differences;
use super::inputs::{Declared, Inputs};
use super::postrender;
use super::remediation::{Remedies, Tests};
use super::removal::owner;
use super::values::{self, Setting};
use crate::api::{
    ChartSource, CrdPolicy, ForeignChange, GoDuration, HelmRelease, HelmReleaseSpec, Reason, WaitStrategyName,
};
use crate::controller::access::DereferencedRepository;
use crate::controller::error::{ReconcileError, chain};
use crate::controller::matching;
use crate::controller::source::Source;
use crate::controller::target::{ClusterKey, Target};
use crate::history::ReleaseKey;
use crate::registry::{Access, ChartReference, Digest, VersionRequest};

/// How long an action may take where nothing else is said; Helm's default is half of it.
const ACTION_TIMEOUT: Duration = Duration::from_mins(10);

/// How long a registry may take to answer where no repository says it.
const REGISTRY_TIMEOUT: Duration = Duration::from_mins(5);

/// How many revisions are kept where nothing else is said.
const MAX_HISTORY: u32 = 10;

/// What is to be installed, and how.
pub(crate) struct DesiredRelease {
    /// Which release of which object.
    pub(crate) identity: Identity,
    /// How it is looked after once it is deployed.
    pub(crate) maintenance: Maintenance,
    /// The declared name of the chart.
    pub(crate) chart_name: String,
    /// The files in it that are its default values.
    pub(crate) values_files: ValuesFiles,
    /// Where the chart is.
    pub(crate) chart: ChartReference,
    /// Which version of it.
    pub(crate) version: VersionRequest,
    /// How to reach the registry.
    pub(crate) access: Access,
    /// By whose leave.
    pub(crate) source: Source,
    /// How old a resolved version may be before the registry is asked again.
    pub(crate) max_age: Duration,
    /// How what the chart renders is changed.
    pub(crate) changes: Arc<postrender::Changes>,
    /// What becomes of revisions that somebody else makes.
    pub(crate) on_foreign_change: Option<ForeignChange>,
    /// What of its dependencies has to be read to be known.
    pub(crate) dependencies: Vec<ReadDependency>,
    /// How installs and upgrades are approved, where they have to be.
    pub(crate) gate: Option<Gate>,
    /// How to roll back.
    pub(crate) rollback: Action,
    /// What is done about failures.
    pub(crate) remedies: Remedies,
    /// The tests to be run once it is deployed, if any.
    pub(crate) tests: Option<Tests>,
    /// The values.
    pub(crate) values: Arc<Map<String, Value>>,
    /// Those of them that are set at a path.
    pub(crate) settings: Arc<[Setting]>,
    /// Those of them that come from Secrets.
    pub(crate) secrets: Vec<Value>,
    /// Where they come from, with a few digits of the digest of each.
    pub(crate) sources: Vec<(String, String)>,
    /// How to install.
    pub(crate) install: Action,
    /// Whether upgrades lay the values over those of what is deployed.
    pub(crate) reuse_values: bool,
    /// How many revisions to keep; 0 keeps all.
    pub(crate) max_history: u32,
}

/// What is declared of a release that is deployed, and known though nothing can be read of what the object refers to.
pub(crate) struct Maintenance {
    /// Whether to create the namespace.
    pub(crate) create_namespace: bool,
    /// When its objects are ready.
    pub(crate) checks: HealthChecks,
    /// What becomes of differences between the chart and the cluster.
    pub(crate) differences: Differences,
    /// How to upgrade.
    pub(crate) upgrade: Action,
}

impl Maintenance {
    /// What is declared. Fails where an expression or a selector means nothing.
    pub(crate) fn of(release: &HelmRelease) -> Result<Self, ReconcileError> {
        Ok(Self {
            create_namespace: release.spec.release.create_namespace,
            checks: checks::health(release)?,
            differences: Differences::of(&release.spec)?,
            upgrade: upgrade(release),
        })
    }
}

/// Files in a chart that are its default values in place of its `values.yaml`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct ValuesFiles {
    /// Their paths in the chart, in their order.
    pub(crate) names: Vec<String>,
    /// Whether those that are not there are left out.
    pub(crate) ignore_missing: bool,
}

impl ValuesFiles {
    fn of(source: &ChartSource) -> Self {
        let name = |declared: &String| declared.trim_start_matches("./").to_owned();
        Self {
            names: source.values_files.iter().map(name).collect(),
            ignore_missing: source.ignore_missing_values_files,
        }
    }
}

/// Which Helm release, and the object that declares it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Identity {
    /// The release, by the namespace of its records.
    pub(crate) release: ReleaseKey,
    /// Its own namespace: that of its objects.
    pub(crate) namespace: String,
    /// The cluster that it is in; none for the operator's own.
    pub(crate) cluster: Option<ClusterKey>,
    /// The object, as `namespace/name`.
    pub(crate) owner: String,
    /// The object's uid.
    pub(crate) uid: String,
    /// The object's generation.
    pub(crate) generation: i64,
}

impl Identity {
    /// Its namespace as a mark of its records: empty where that is theirs.
    pub(crate) fn namespace_mark(&self) -> String {
        if self.namespace == self.release.namespace { String::new() } else { self.namespace.clone() }
    }

    /// The release, with its cluster.
    pub(crate) fn target(&self) -> Target {
        Target { cluster: self.cluster.clone(), release: self.release.clone() }
    }
}

/// How to carry out an install or an upgrade.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "each is a switch of Helm's")]
pub(crate) struct Action {
    /// Limit of the whole action.
    pub(crate) timeout: Duration,
    /// Wait until the objects are ready.
    pub(crate) wait: bool,
    /// Wait for Jobs to complete too.
    pub(crate) wait_for_jobs: bool,
    /// Run hooks.
    pub(crate) hooks: bool,
    /// Check the values by the chart's schemas.
    pub(crate) schemas: bool,
    /// What becomes of the definitions in `crds/`.
    pub(crate) crds: CrdPolicy,
    /// Take objects from other releases, and from nobody.
    pub(crate) take_ownership: bool,
    /// Take fields from other managers.
    pub(crate) force: bool,
    /// Delete what it created when it fails.
    pub(crate) cleanup_on_fail: bool,
    /// Delete the pods of its workloads, so that they start anew.
    pub(crate) recreate: bool,
    /// How long nothing may move while it is waited for.
    pub(crate) progress_deadline: Option<Duration>,
}

/// Parses what is declared.
#[expect(clippy::too_many_lines, reason = "each field of the spec is named once, on purpose")]
pub(crate) fn validate(
    release: &HelmRelease,
    references: DereferencedRelease,
) -> Result<DesiredRelease, ReconcileError> {
    // Without `..`: a field that is added has to be read here, or where `_` says so: by what takes the whole release.
    let HelmReleaseSpec {
        chart: source,
        release: _,
        values: declared,
        depends_on: _,
        values_from: _,
        service_account_name: _,
        kube_config: _,
        storage_namespace: _,
        interval: _,
        suspend: _,
        timeout: _,
        max_history: _,
        install: _,
        upgrade: _,
        post_renderers: _,
        post_render_strategy: _,
        common_metadata: _,
        health_check_exprs: _,
        wait_strategy: _,
        plan: _,
        on_immutable: _,
        conflicts: _,
        drift_detection: _,
        adopt: _,
        on_foreign_change,
        rollback: _,
        test: _,
        uninstall: _,
    } = &release.spec;
    let merged = values::merge(declared.as_ref(), &references.values)?;
    let max_age = max_age(release, references.repository.as_ref());
    let chart = pinned(references.chart, source.digest.as_deref())?;
    let access = match &references.repository {
        Some(repository) => repository.access(chart.host(), chart.repository())?,
        None => anonymous(),
    };
    let version = version(source.version.as_deref(), &chart)?;
    let (install, maintenance) = (install(release), Maintenance::of(release)?);
    Ok(DesiredRelease {
        identity: identity(release)?,
        chart_name: source.name.clone(),
        values_files: ValuesFiles::of(source),
        chart,
        version,
        access,
        source: references.source,
        max_age,
        changes: Arc::new(postrender::of(&release.spec, &matching::namespace(release))?),
        dependencies: checks::dependencies(release)?,
        on_foreign_change: *on_foreign_change,
        gate: Gate::of(release, &install, &maintenance.upgrade),
        rollback: rollback(release),
        remedies: Remedies::of(release),
        tests: Tests::of(release),
        values: Arc::new(merged.values),
        settings: merged.settings.into(),
        secrets: merged.secrets,
        sources: values::sources(&references.values),
        install,
        maintenance,
        reuse_values: reuses_values(release),
        max_history: max_history(release),
    })
}

/// The release's name and namespace, and its object's.
pub(crate) fn identity(release: &HelmRelease) -> Result<Identity, ReconcileError> {
    let Target { cluster, release: target } = dereference::target(release);
    ReleaseName::parse(&target.name).map_err(|error| {
        ReconcileError::new(Reason::ConfigurationError, format!("{}: set spec.release.name", chain(&error)))
    })?;
    Ok(Identity {
        release: target,
        namespace: matching::namespace(release),
        cluster,
        owner: owner(&release.metadata),
        uid: release.uid().unwrap_or_default(),
        generation: release.metadata.generation.unwrap_or_default(),
    })
}

/// Without a `HelmRepository` above the chart the registry is asked as a stranger.
pub(super) fn anonymous() -> Access {
    Access { timeout: REGISTRY_TIMEOUT, ..Access::default() }
}

fn pinned(chart: ChartReference, digest: Option<&str>) -> Result<ChartReference, ReconcileError> {
    let Some(text) = digest else { return Ok(chart) };
    let wrong = |error: &(dyn std::error::Error + 'static)| {
        ReconcileError::new(Reason::ConfigurationError, format!("spec.chart.digest: {}", chain(error)))
    };
    let digest: Digest = text.parse().map_err(|error| wrong(&error))?;
    if chart.digest().is_some_and(|other| *other != digest) {
        let message = "spec.chart.digest is not the digest in spec.chart.ociRepository: keep one of the two";
        return Err(ReconcileError::new(Reason::ConfigurationError, message));
    }
    Ok(chart.with_digest(digest))
}

fn version(text: Option<&str>, chart: &ChartReference) -> Result<VersionRequest, ReconcileError> {
    let text = text.unwrap_or_default().trim();
    if let (false, Some(tag)) = (text.is_empty(), chart.tag())
        && tag.replace('_', "+") != text
    {
        let message = format!(
            "spec.chart.version {text:?} is not the tag {tag:?} in spec.chart.ociRepository: keep one of the two"
        );
        return Err(ReconcileError::new(Reason::ConfigurationError, message));
    }
    VersionRequest::parse(text).map_err(|error| {
        ReconcileError::new(Reason::ConfigurationError, format!("spec.chart.version: {}", chain(&error)))
    })
}

/// Half an interval: the releases of one repository look at about the same time, and share one answer of the registry.
pub(super) fn max_age(release: &HelmRelease, repository: Option<&DereferencedRepository>) -> Duration {
    let own = release.spec.interval();
    repository.map_or(own, |it| own.min(it.repository.spec.interval.at_least_a_second())) / 2
}

fn install(release: &HelmRelease) -> Action {
    let install = release.spec.install.clone().unwrap_or_default();
    Action {
        timeout: timeout(install.timeout, release),
        wait: install.wait && waits(release),
        wait_for_jobs: install.wait_for_jobs,
        hooks: !install.disable_hooks,
        schemas: !install.disable_schema_validation,
        crds: install.crds.unwrap_or(if install.skip_crds { CrdPolicy::Skip } else { CrdPolicy::Create }),
        take_ownership: install.take_ownership,
        force: install.force,
        cleanup_on_fail: false,
        recreate: false,
        progress_deadline: install.progress_deadline.map(GoDuration::at_least_a_second),
    }
}

fn upgrade(release: &HelmRelease) -> Action {
    let upgrade = release.spec.upgrade.clone().unwrap_or_default();
    Action {
        timeout: timeout(upgrade.timeout, release),
        wait: upgrade.wait && waits(release),
        wait_for_jobs: upgrade.wait_for_jobs,
        hooks: !upgrade.disable_hooks,
        schemas: !upgrade.disable_schema_validation,
        crds: upgrade.crds.unwrap_or(CrdPolicy::Skip),
        take_ownership: upgrade.take_ownership,
        force: upgrade.force,
        cleanup_on_fail: upgrade.cleanup_on_fail,
        recreate: upgrade.recreate,
        progress_deadline: upgrade.progress_deadline.map(GoDuration::at_least_a_second),
    }
}

fn rollback(release: &HelmRelease) -> Action {
    let rollback = release.spec.rollback.clone().unwrap_or_default();
    Action {
        timeout: timeout(rollback.timeout, release),
        wait: rollback.wait && waits(release),
        wait_for_jobs: rollback.wait,
        hooks: !rollback.disable_hooks,
        force: rollback.force,
        crds: CrdPolicy::Skip,
        schemas: false,
        take_ownership: false,
        cleanup_on_fail: rollback.cleanup_on_fail,
        recreate: false,
        progress_deadline: None,
    }
}

/// Whether objects are waited for at all.
fn waits(release: &HelmRelease) -> bool {
    checks::strategy(release) != WaitStrategyName::HookOnly
}

/// How long something may take that has a timeout of its `own`, or else that of the release.
pub(super) fn timeout(own: Option<GoDuration>, release: &HelmRelease) -> Duration {
    own.or(release.spec.timeout).map_or(ACTION_TIMEOUT, GoDuration::at_least_a_second)
}

/// As Helm: to reset them wins.
fn reuses_values(release: &HelmRelease) -> bool {
    release.spec.upgrade.as_ref().is_some_and(|it| (it.reuse_values || it.preserve_values) && !it.reset_values)
}

fn max_history(release: &HelmRelease) -> u32 {
    let of_upgrade = release.spec.upgrade.as_ref().and_then(|upgrade| u32::try_from(upgrade.max_history).ok());
    match (release.spec.max_history, of_upgrade) {
        (Some(max), _) | (None, Some(max @ 1..)) => max,
        (None, _) => MAX_HISTORY,
    }
}

impl DesiredRelease {
    /// A digest of everything the rendered manifest depends on, besides what the cluster answers to `lookup`.
    pub(crate) fn inputs(&self, chart: &Digest, kube_version: &str) -> String {
        let settings = &self.settings;
        let (values, values_files) = (&self.values, &self.values_files.names);
        let (changes, reuse_values) = (&self.changes.declared, self.reuse_values);
        let (chart, kubernetes) = (chart.as_str(), kube_version);
        Inputs { chart, kubernetes, values, settings, values_files, changes, reuse_values }.digest()
    }

    /// What may change while the object stays as it is, in words, with a few digits of the digest of each.
    pub(crate) fn parts(&self, chart: &Digest) -> Vec<(String, String)> {
        let digits = values::few(chart.as_str().as_bytes());
        std::iter::once(("the registry had another chart".to_owned(), digits)).chain(self.sources.clone()).collect()
    }

    /// A digest of what is declared of the manifest, without what a registry answers: it can be compared while the
    /// registry is away.
    pub(crate) fn declared(&self) -> String {
        let (chart, version) = (self.chart.to_string(), self.version.to_string());
        let (values, values_files) = (&self.values, &self.values_files.names);
        let (changes, reuse_values) = (&self.changes.declared, self.reuse_values);
        Declared { chart: &chart, version: &version, values, values_files, changes, reuse_values }.digest()
    }
}

#[cfg(test)]
mod tests;
