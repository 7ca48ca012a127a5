//! The questions to the registry: does it answer, with these credentials, and do the charts in use have tags?

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use kube::ResourceExt as _;
use kube::runtime::reflector::ObjectRef;
use sha2::{Digest as _, Sha256};

use super::{Answered, Outcome};
use crate::api::{HelmRelease, HelmRepository, REQUESTED_AT, Reason};
use crate::controller::access;
use crate::controller::context::Context;
use crate::controller::error::{ReconcileError, chain};
use crate::controller::matching::{Gives, Key};
use crate::controller::{status, watch};
use crate::registry::{ChartReference, RepositoryUrl, VersionRequest};

/// What is known of the charts that a repository's releases use.
type Charts = BTreeMap<ChartReference, Tags>;

/// What a chart's tags were when they were last listed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Tags {
    /// They have not been listed yet.
    Unknown,
    /// The registry has no such chart.
    Missing,
    /// The digest of the list.
    Listed([u8; 32]),
}

/// What the last probes found, by the uid of the repository.
#[derive(Default)]
pub(crate) struct KnownCharts(Mutex<BTreeMap<String, Charts>>);

impl KnownCharts {
    /// These are the charts that the probe now looks for.
    fn begin<'a>(&self, uid: &str, charts: impl Iterator<Item = &'a ChartReference>) {
        let mut known = self.lock();
        let before = known.remove(uid).unwrap_or_default();
        let tags = |chart: &ChartReference| before.get(chart).copied().unwrap_or(Tags::Unknown);
        known.insert(uid.to_owned(), charts.map(|chart| (chart.clone(), tags(chart))).collect());
    }

    /// Enters what a probe found. Returns the charts that have other tags than when they were last listed.
    fn end(&self, uid: &str, found: Charts) -> BTreeSet<ChartReference> {
        let mut known = self.lock();
        let before = known.insert(uid.to_owned(), found.clone()).unwrap_or_default();
        let news = |(chart, now): &(ChartReference, Tags)| {
            before.get(chart).is_some_and(|was| was != now && *was != Tags::Unknown)
        };
        found.into_iter().filter(news).map(|(chart, _)| chart).collect()
    }

    /// Whether the repository was probed without looking for this chart.
    pub(crate) fn lacks(&self, uid: &str, chart: &ChartReference) -> bool {
        self.lock().get(uid).is_some_and(|charts| !charts.contains_key(chart))
    }

    /// Forgets a repository that is gone.
    pub(crate) fn forget(&self, uid: &str) {
        self.lock().remove(uid);
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Charts>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Asks the registry of `repository`, and wakes the releases whose charts have new tags.
pub(super) async fn probe(repository: &HelmRepository, context: &Context) -> Result<Outcome, ReconcileError> {
    if repository.spec.suspend {
        return Ok(Outcome::Suspended);
    }
    let url = validate(repository)?;
    let uid = repository.uid().unwrap_or_default();
    let users: Vec<(Key, ChartReference)> =
        context.index().users(&Key::of(repository)).map(|(user, chart)| (user.clone(), chart)).collect();
    context.known_charts.begin(&uid, users.iter().map(|(_, chart)| chart));
    let dereferenced = access::dereference(Arc::new(repository.clone()), Gives::Everything, context).await?;
    let access = dereferenced.access(url.host(), url.path())?;
    context.registry.probe(&url, &access).await?;
    let (max_age, mut found) = (max_age(repository), Charts::new());
    for chart in users.iter().map(|(_, chart)| chart).collect::<BTreeSet<_>>() {
        let access = dereferenced.access(chart.host(), chart.repository())?;
        let tags = match context.registry.tags(chart, &access, max_age).await {
            Ok(listed) => Tags::Listed(fingerprint(&listed)),
            // A chart that is missing is its release's trouble: the repository answered.
            Err(error) if matches!(ReconcileError::from(error.clone()).reason, Reason::RepositoryNotFound) => {
                Tags::Missing
            }
            Err(error) => return Err(error.into()),
        };
        found.insert(chart.clone(), tags);
    }
    let missing = found.iter().filter(|(_, tags)| **tags == Tags::Missing).map(|(chart, _)| chart.clone()).collect();
    let answered = Answered { url, with_credentials: access.credentials.is_some(), in_use: !found.is_empty(), missing };
    let changed = context.known_charts.end(&uid, found);
    wake(users.iter().filter(|(_, chart)| changed.contains(chart)).map(|(user, _)| user), context);
    Ok(Outcome::Answered(answered))
}

/// How old a tag list may be that this probe takes for news: what a release has just asked for need not be asked again.
fn max_age(repository: &HelmRepository) -> Duration {
    let requested = repository.annotations().get(REQUESTED_AT);
    let handled = repository.status.as_ref().and_then(|status| status.last_handled_reconcile_at.as_ref());
    let is_requested = requested.is_some() && requested != handled;
    if is_requested { Duration::ZERO } else { repository.spec.interval.at_least_a_second() / 2 }
}

fn fingerprint(tags: &[String]) -> [u8; 32] {
    let sorted: BTreeSet<&String> = tags.iter().collect();
    let mut hash = Sha256::new();
    for tag in sorted {
        hash.update(tag);
        hash.update([0]);
    }
    hash.finalize().into()
}

/// Wakes the releases to which new tags can matter.
fn wake<'a>(users: impl Iterator<Item = &'a Key>, context: &Context) {
    for user in users {
        let reference: ObjectRef<_> = watch::reference(user);
        let release = context.releases.get(&reference);
        if release.is_some_and(|release| release.0.as_ref().is_ok_and(awaits_tags)) {
            context.wake.release(reference);
        }
    }
}

/// A release that is ready and declares an exact version has what it wants.
fn awaits_tags(release: &HelmRelease) -> bool {
    let version = VersionRequest::parse(release.spec.chart.version.as_deref().unwrap_or_default().trim());
    let conditions = release.status.as_ref().map(|status| status.conditions.as_slice()).unwrap_or_default();
    !matches!(version, Ok(VersionRequest::Exact(_))) || !status::is_ready(conditions)
}

fn validate(repository: &HelmRepository) -> Result<RepositoryUrl, ReconcileError> {
    let url = &repository.spec.url;
    if !url.starts_with("oci://") {
        let message = format!(
            "spec.url: {url:?} is an HTTP chart repository, and only OCI registries are served: many publishers offer the same charts at an oci:// URL; \
             else push them to a registry with `helm push`"
        );
        return Err(ReconcileError::new(Reason::UnsupportedRepositoryType, message));
    }
    RepositoryUrl::parse(url)
        .map_err(|error| ReconcileError::new(Reason::ConfigurationError, format!("spec.url: {}", chain(&error))))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Charts with their tags; none where the registry has no such chart.
    type Found<'a> = &'a [(&'a str, Option<&'a [&'a str]>)];

    fn chart(name: &str) -> ChartReference {
        ChartReference::parse(&format!("oci://registry.example/{name}")).expect("a reference")
    }

    fn found(charts: Found<'_>) -> Charts {
        let tags = |tags: Option<&[&str]>| match tags {
            Some(tags) => Tags::Listed(fingerprint(&tags.iter().map(ToString::to_string).collect::<Vec<_>>())),
            None => Tags::Missing,
        };
        charts.iter().map(|(name, listed)| (chart(name), tags(*listed))).collect()
    }

    #[test]
    fn other_tags_than_last_time_are_news() {
        let known = KnownCharts::default();
        let cases: [(Found<'_>, &[&str]); 5] = [
            (&[("web", Some(&["1.0.0"])), ("api", None)], &[]),
            (&[("web", Some(&["1.0.0"])), ("api", None)], &[]),
            (&[("web", Some(&["1.1.0", "1.0.0"])), ("api", Some(&["0.1.0"])), ("new", Some(&["1"]))], &["web", "api"]),
            (&[("web", Some(&["1.0.0", "1.1.0"])), ("api", Some(&["0.1.0"]))], &[]),
            (&[("web", Some(&["1.0.0"])), ("api", None)], &["web", "api"]),
        ];
        for (step, (charts, news)) in cases.into_iter().enumerate() {
            let expected: BTreeSet<ChartReference> = news.iter().map(|name| chart(name)).collect();
            let charts = found(charts);
            known.begin("uid", charts.keys());
            assert!(charts.keys().all(|chart| !known.lacks("uid", chart)), "step {step}");
            assert_eq!(known.end("uid", charts), expected, "step {step}");
        }
        assert!(known.lacks("uid", &chart("new")), "no release uses it any more");
        known.forget("uid");
        assert!(!known.lacks("uid", &chart("web")), "it is not probed yet, so the first probe will look for it");
        assert!(known.end("uid", found(&[("web", None)])).is_empty(), "nothing is known of it any more");
    }
}
