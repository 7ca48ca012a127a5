//! First stage: everything a release refers to, read; nothing judged but that it exists and may be used.

use std::sync::Arc;

use k8s_openapi::api::core::v1::Namespace;
use kube::api::Api;
use kube::{Resource as _, ResourceExt as _};

use crate::api::{AccessFrom, HelmRelease, HelmRepository, Reason};
use crate::controller::access::{self, DereferencedRepository};
use crate::controller::context::Context;
use crate::controller::guarded::Guarded;
use crate::controller::halt::{Halt, chain};
use crate::registry::{ChartReference, RepositoryUrl};

/// A release's references, read.
pub(crate) struct DereferencedRelease {
    /// The chart's reference, without the version.
    pub(crate) chart: ChartReference,
    /// The repository whose credentials and trust are used; without one the registry is asked anonymously.
    pub(crate) repository: Option<DereferencedRepository>,
}

/// Reads what `release` refers to: its repository, and that one's Secrets.
pub(crate) async fn dereference(release: &HelmRelease, context: &Context) -> Result<DereferencedRelease, Halt> {
    if let Some(rival) = rival(release, &context.releases.state()) {
        let (namespace, name) = target(release);
        let message = format!(
            "HelmRelease {rival} already manages the release {namespace}/{name}: set another spec.release.name or namespace, or delete one of the two"
        );
        return Err(Halt::new(Reason::ReleaseNameConflict, message));
    }
    let named = named_repository(release, context).await?;
    let chart = reference(release, named.as_deref())?;
    // A named repository that is not above the chart gives it nothing: credentials go where they were meant to go.
    let repository = match named.filter(|repository| is_above(repository, &chart)) {
        Some(repository) => Some(repository),
        None => matching_repository(release, &chart, context).await?,
    };
    let repository = match repository {
        Some(repository) => Some(access::dereference(repository.as_ref().clone(), context).await?),
        None => None,
    };
    Ok(DereferencedRelease { chart, repository })
}

/// The Helm release's namespace and name.
pub(crate) fn target(release: &HelmRelease) -> (String, String) {
    let target = &release.spec.release;
    let namespace = target.namespace.clone().or_else(|| release.namespace()).unwrap_or_default();
    (namespace, target.name.clone().unwrap_or_else(|| release.name_any()))
}

/// Of several objects that declare one Helm release the oldest has it; the name decides between twins.
fn rival(release: &HelmRelease, all: &[Arc<Guarded<HelmRelease>>]) -> Option<String> {
    let age = |release: &HelmRelease| (release.creation_timestamp(), release.namespace(), release.name_any());
    all.iter()
        .filter_map(|guarded| guarded.0.as_ref().ok())
        .filter(|other| other.uid() != release.uid() && target(other) == target(release) && age(other) < age(release))
        .map(|other| format!("{}/{}", other.namespace().unwrap_or_default(), other.name_any()))
        .next()
}

async fn named_repository(release: &HelmRelease, context: &Context) -> Result<Option<Arc<HelmRepository>>, Halt> {
    let Some(named) = &release.spec.chart.repository else { return Ok(None) };
    let own = release.namespace().unwrap_or_default();
    let namespace = named.namespace.clone().unwrap_or_else(|| own.clone());
    let found = repositories(context).find(|repository| {
        repository.name_any() == named.name && repository.namespace().as_deref() == Some(&namespace)
    });
    let Some(repository) = found else {
        let message = format!(
            "there is no HelmRepository {namespace}/{}: create it, or correct spec.chart.repository",
            named.name
        );
        return Err(Halt::new(Reason::HelmRepositoryNotFound, message));
    };
    if !may_use(&own, &repository, context).await? {
        let message = format!(
            "HelmRepository {namespace}/{} may not be used from namespace {own}: its accessFrom, or the operator, does not allow it",
            named.name
        );
        return Err(Halt::new(Reason::AccessDenied, message));
    }
    Ok(Some(Arc::new(repository)))
}

/// The repository with the longest URL above the chart: of the release's own namespace, else of another that allows it.
async fn matching_repository(
    release: &HelmRelease,
    chart: &ChartReference,
    context: &Context,
) -> Result<Option<Arc<HelmRepository>>, Halt> {
    let own = release.namespace().unwrap_or_default();
    let mut above: Vec<(bool, usize, HelmRepository)> = repositories(context)
        .filter(|repository| is_above(repository, chart))
        .map(|repository| (repository.namespace().as_deref() == Some(&own), repository.spec.url.len(), repository))
        .collect();
    above.sort_by_cached_key(|(is_own, length, repository)| {
        std::cmp::Reverse((*is_own, *length, std::cmp::Reverse((repository.namespace(), repository.name_any()))))
    });
    for (_, _, repository) in above {
        if may_use(&own, &repository, context).await? {
            return Ok(Some(Arc::new(repository)));
        }
    }
    Ok(None)
}

/// Whether the chart lies at or below the repository's URL.
pub(crate) fn is_above(repository: &HelmRepository, chart: &ChartReference) -> bool {
    RepositoryUrl::parse(&repository.spec.url).is_ok_and(|url| url.is_prefix_of(chart))
}

fn repositories(context: &Context) -> impl Iterator<Item = HelmRepository> {
    context.repositories.state().into_iter().filter_map(|guarded| {
        let repository = guarded.0.as_ref().ok()?;
        repository.meta().deletion_timestamp.is_none().then(|| repository.clone())
    })
}

async fn may_use(namespace: &str, repository: &HelmRepository, context: &Context) -> Result<bool, Halt> {
    if repository.namespace().as_deref() == Some(namespace) {
        return Ok(true);
    }
    if context.policy.no_cross_namespace_refs {
        return Ok(false);
    }
    match &repository.spec.access_from {
        None => Ok(true),
        Some(access) => allows(access, namespace, context).await,
    }
}

async fn allows(access: &AccessFrom, namespace: &str, context: &Context) -> Result<bool, Halt> {
    let found = Api::<Namespace>::all(context.client.clone()).get_metadata_opt(namespace).await.map_err(|error| {
        Halt::new(Reason::ClusterUnavailable, format!("failed to read namespace {namespace}: {}", chain(&error)))
    })?;
    let labels = found.and_then(|found| found.metadata.labels).unwrap_or_default();
    let matches = |wanted: &std::collections::BTreeMap<String, String>| {
        wanted.iter().all(|(key, value)| labels.get(key) == Some(value))
    };
    Ok(access.namespace_selectors.iter().any(|selector| matches(&selector.match_labels)))
}

/// The chart's reference, as the release and the repository it names declare it.
pub(crate) fn reference(release: &HelmRelease, repository: Option<&HelmRepository>) -> Result<ChartReference, Halt> {
    let chart = &release.spec.chart;
    let wrong = |error: &dyn std::error::Error| Halt::caused(Reason::ConfigurationError, error);
    if let Some(reference) = &chart.oci_repository {
        return ChartReference::parse(reference).map_err(|error| wrong(&error));
    }
    let url = match (&chart.repository_url, repository) {
        (Some(url), _) => url,
        (None, Some(repository)) => &repository.spec.url,
        (None, None) => {
            return Err(Halt::new(
                Reason::ConfigurationError,
                "spec.chart needs one of ociRepository, repository or repositoryURL",
            ));
        }
    };
    if !url.starts_with("oci://") {
        let message = format!(
            "{url:?} is not an OCI registry: use an oci:// URL (many chart publishers offer one), or push the chart to a registry with `helm push`"
        );
        return Err(Halt::new(Reason::UnsupportedRepositoryType, message));
    }
    RepositoryUrl::parse(url).and_then(|url| url.join(&chart.name)).map_err(|error| wrong(&error))
}
