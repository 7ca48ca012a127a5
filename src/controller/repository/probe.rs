//! The questions to the registry: does it answer, with these credentials, and do the charts in use have tags?

use std::collections::BTreeSet;
use std::time::Duration;

use super::Outcome;
use crate::api::{HelmRepository, Reason};
use crate::controller::access;
use crate::controller::context::Context;
use crate::controller::halt::{Halt, chain};
use crate::controller::release;
use crate::registry::{ChartReference, RepositoryUrl};

/// Asks the registry of `repository`.
pub(super) async fn probe(repository: &HelmRepository, context: &Context) -> Result<Outcome, Halt> {
    if repository.spec.suspend {
        return Ok(Outcome::Suspended);
    }
    let url = validate(repository)?;
    let dereferenced = access::dereference(repository.clone(), context).await?;
    let access = dereferenced.access(url.host(), url.path())?;
    context.registry.probe(&url, &access).await?;
    for chart in charts_in_use(repository, context) {
        let access = dereferenced.access(chart.host(), chart.repository())?;
        match context.registry.tags(&chart, &access, Duration::ZERO).await {
            Ok(_) => {}
            // A chart that is missing is its release's trouble: the repository answered.
            Err(error) if matches!(Halt::from(error.clone()).reason, Reason::RepositoryNotFound) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(Outcome::Answered)
}

fn validate(repository: &HelmRepository) -> Result<RepositoryUrl, Halt> {
    let url = &repository.spec.url;
    if !url.starts_with("oci://") {
        let message = format!(
            "{url:?} is an HTTP chart repository, and only OCI registries are served: many publishers offer the same charts at an oci:// URL; \
             else push them to a registry with `helm push`"
        );
        return Err(Halt::new(Reason::UnsupportedRepositoryType, message));
    }
    RepositoryUrl::parse(url)
        .map_err(|error| Halt::new(Reason::ConfigurationError, format!("spec.url: {}", chain(&error))))
}

/// The charts below this repository's URL that releases use.
fn charts_in_use(repository: &HelmRepository, context: &Context) -> BTreeSet<ChartReference> {
    let releases = context.releases.state();
    let users = releases
        .iter()
        .filter_map(|guarded| guarded.0.as_ref().ok())
        .filter(|release| release::uses(release, repository));
    users.filter_map(|release| release::chart_below(release, repository)).collect()
}
