//! Values from OCI artifacts: resolved as charts are, and read by digest.

use std::time::Duration;

use bytes::Bytes;
use kube::ResourceExt as _;

use super::trace::Trace;
use super::{demands, fetch, validate, values};
use crate::api::{HelmRelease, Reason, ValuesArtifact, ValuesReference};
use crate::controller::access;
use crate::controller::context::Context;
use crate::controller::error::{ReconcileError, chain};
use crate::controller::matching::Wanted;
use crate::controller::source::Source;
use crate::registry::{Access, ChartReference, Error, Resolved, VersionRequest};

/// What the artifact at `url` holds, which `spec.valuesFrom[at]` names, and its digest; `None` where it is optional, and missing.
///
/// A tag is asked for again as that of a chart. Where the registry does not answer, what the status tells of it is gone on
/// with, as far as the cache has it, and the trouble is told as that of a chart.
pub(super) async fn read(
    at: usize,
    (url, reference): (&str, &ValuesReference),
    release: &HelmRelease,
    context: &Context,
    trace: &mut Trace,
) -> Result<Option<(ValuesArtifact, Bytes)>, ReconcileError> {
    let here = |error: ReconcileError| ReconcileError {
        message: format!("spec.valuesFrom[{at}]: {}", error.message),
        ..error
    };
    let namespace = release.namespace().unwrap_or_default();
    let wanted = Wanted::artifact(release, url)
        .map_err(|error| here(ReconcileError::new(Reason::ConfigurationError, chain(&error))))?;
    let choice = context.index().choose(&wanted).map_err(here)?;
    let (chart, used) = (choice.chart.clone(), choice.used.clone());
    let source = Source::of_artifact(namespace, choice);
    let repository = match used {
        Some(used) => Some(access::dereference(used.repository, used.gives, context).await.map_err(here)?),
        None => None,
    };
    let access = match &repository {
        Some(repository) => repository.access(chart.host(), chart.repository()).map_err(here)?,
        None => validate::anonymous(),
    };
    let max_age = validate::max_age(release, repository.as_ref());
    let max_age = if demands::is_requested(release) { Duration::ZERO } else { max_age };
    let explained = |error: &Error| here(explain(error, &source));
    let resolved = match context.registry.resolve(&chart, &VersionRequest::Newest, &access, max_age).await {
        Ok(resolved) => resolved,
        Err(error) if reference.optional && is_missing(&error) => return Ok(None),
        Err(error) => {
            let known = if fetch::contradicts(&error) { None } else { known(url, &chart, &access, release, context) };
            let trouble = trace.source.insert(explained(&error));
            known.ok_or_else(|| trouble.clone())?
        }
    };
    let read = context.registry.file(&resolved, reference.values_key.as_deref(), values::REFERENCED as u64, &access);
    match read.await {
        Ok(bytes) => Ok(Some((ValuesArtifact { url: url.to_owned(), digest: resolved.digest.to_string() }, bytes))),
        Err(error) if reference.optional && is_missing(&error) => Ok(None),
        Err(error) => Err(explained(&error)),
    }
}

/// What the status tells of it.
fn known(
    url: &str,
    reference: &ChartReference,
    access: &Access,
    release: &HelmRelease,
    context: &Context,
) -> Option<Resolved> {
    let artifacts = &release.status.as_ref()?.values_artifacts;
    let digest = artifacts.iter().find(|artifact| artifact.url == url)?.digest.parse().ok()?;
    Some(context.registry.recorded(reference, String::new(), digest, access))
}

/// Whether a registry answered that it has no such thing.
fn is_missing(error: &Error) -> bool {
    use Error as E;
    matches!(
        error,
        E::RepositoryNotFound { .. } | E::TagNotFound { .. } | E::DigestNotFound { .. } | E::FileNotFound { .. }
    )
}

fn explain(error: &Error, source: &Source) -> ReconcileError {
    let explained = source.explain(error);
    match error {
        Error::TooLarge { .. } => ReconcileError { reason: Reason::ValuesInvalid, ..explained },
        _ => explained,
    }
}
