//! Third stage: which version of the chart, and the chart itself when it is needed.

use std::sync::Arc;
use std::time::Duration;

use helm::chart::archive;
use helm::engine::ParsedTemplates;

use super::trace::Trace;
use super::validate::DesiredRelease;
use crate::api::{HelmRelease, Reason};
use crate::controller::charts::LoadedChart;
use crate::controller::context::Context;
use crate::controller::halt::Halt;
use crate::registry::Resolved;

/// Chooses the version, and learns its digest. The registry is asked anew when a reconcile was requested.
pub(super) async fn resolve(
    desired: &DesiredRelease,
    release: &HelmRelease,
    context: &Context,
    trace: &mut Trace,
) -> Result<Resolved, Halt> {
    let max_age = if super::is_requested(release) { Duration::ZERO } else { desired.max_age };
    let resolved = context.registry.resolve(&desired.chart, &desired.version, &desired.access, max_age).await?;
    trace.attempted = Some(resolved.clone());
    Ok(resolved)
}

/// The chart, loaded and parsed; pulled unless it is still there from another release.
pub(super) async fn fetch(
    desired: &DesiredRelease,
    resolved: &Resolved,
    context: &Context,
    trace: &mut Trace,
) -> Result<Arc<LoadedChart>, Halt> {
    let digest = resolved.digest.to_string();
    let loaded = match context.charts.get(&digest) {
        Some(loaded) => loaded,
        None => load(digest, resolved, desired, context).await?,
    };
    let name = &loaded.chart.metadata.name;
    if *name != desired.chart_name {
        let declared = &desired.chart_name;
        trace.warn(
            Reason::ChartNameMismatch,
            format!("the chart at {} is called {name:?}, not {declared:?} as in spec.chart.name", resolved.reference),
        );
    }
    if loaded.chart.metadata.deprecated {
        trace
            .warn(Reason::ChartDeprecated, format!("the chart {name} {} is deprecated", loaded.chart.metadata.version));
    }
    Ok(loaded)
}

async fn load(
    digest: String,
    resolved: &Resolved,
    desired: &DesiredRelease,
    context: &Context,
) -> Result<Arc<LoadedChart>, Halt> {
    let archive = context.registry.pull(resolved, &desired.access).await?;
    let bytes = archive.bytes;
    let loaded = tokio::task::spawn_blocking(move || -> Result<_, Halt> {
        let chart = archive::load(&bytes, &archive::Limits::default())?;
        let templates = ParsedTemplates::new(&chart);
        Ok(Arc::new(LoadedChart { chart, templates }))
    });
    let loaded = loaded.await.map_err(|panic| Halt::caused(Reason::ChartArchiveInvalid, &panic))??;
    let size = loaded.chart.memory() + loaded.templates.memory();
    context.charts.insert(digest, Arc::clone(&loaded), size);
    Ok(loaded)
}
