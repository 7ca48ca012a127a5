//! Third stage: which version of the chart, and the chart itself when it is needed.

use std::sync::Arc;
use std::time::Duration;

use helm::chart::{Chart, archive};
use helm::engine::ParsedTemplates;
use helm::values;

use super::demands;
use super::trace::Trace;
use super::validate::{DesiredRelease, ValuesFiles};
use crate::api::{HelmRelease, Reason};
use crate::controller::charts::LoadedChart;
use crate::controller::context::{Context, Slot};
use crate::controller::error::{ReconcileError, chain};
use crate::history::Marks;
use crate::off_thread::off_thread;
use crate::registry::{Digest, Error, Mismatch, Resolved};

/// Chooses the version, and learns its digest. The registry is asked anew when a reconcile was requested.
pub(super) async fn resolve(
    desired: &DesiredRelease,
    release: &HelmRelease,
    context: &Context,
    trace: &mut Trace,
) -> Result<Resolved, ReconcileError> {
    let max_age = if demands::is_requested(release) { Duration::ZERO } else { desired.max_age };
    match context.registry.resolve(&desired.chart, &desired.version, &desired.access, max_age).await {
        Ok(resolved) => {
            trace.attempted = Some(resolved.clone());
            Ok(resolved)
        }
        Err(error) => {
            // What was resolved for this declaration before is gone on with: the registry's trouble is told apart.
            let known = if contradicts(&error) { None } else { known(desired, context) };
            let error = desired.source.explain(&error);
            let Some(resolved) = known else {
                trace.source = Some(error.clone());
                return Err(error);
            };
            trace.source = Some(error);
            trace.kept = Some(resolved.version.clone());
            Ok(resolved)
        }
    }
}

/// Whether a registry answered that what is declared cannot be: then nothing that it answered before counts.
pub(super) fn contradicts(error: &Error) -> bool {
    match error {
        // Damage on the way contradicts nothing: the next answer may be sound.
        Error::DigestMismatch { kind, .. } => *kind != Mismatch::Content,
        Error::Reference { .. } | Error::VersionConflict { .. } => true,
        _ => false,
    }
}

/// What the newest revision was made from, if it was made for what is declared now. Of a rollback that is the revision that
/// failed.
fn known(desired: &DesiredRelease, context: &Context) -> Option<Resolved> {
    let identity = &desired.identity;
    let revisions = context.revisions_of(&identity.target());
    let newest = revisions.last()?.marks.as_ref()?;
    let marks = match &newest.remedies {
        Some(remedied) => revisions.iter().find(|meta| meta.revision == remedied.failed)?.marks.as_ref()?,
        None => newest,
    };
    if marks.owner != identity.owner || marks.declared != desired.declared() {
        return None;
    }
    recorded(marks, desired, context)
}

fn recorded(marks: &Marks, desired: &DesiredRelease, context: &Context) -> Option<Resolved> {
    let digest: Digest = marks.digest.parse().ok()?;
    let version = marks.chart.strip_prefix(&format!("{}-", desired.chart_name))?.to_owned();
    Some(context.registry.recorded(&desired.chart, version, digest, &desired.access))
}

/// The chart, loaded and parsed; pulled unless it is still there from another release.
pub(super) async fn fetch(
    desired: &DesiredRelease,
    resolved: &Resolved,
    slot: &Slot<'_>,
    context: &Context,
    trace: &mut Trace,
) -> Result<Arc<LoadedChart>, ReconcileError> {
    // By the repository, too, which this release's access was just allowed to read: a digest alone opens nothing.
    let mut key = resolved.reference.untagged().with_digest(resolved.digest.clone()).to_string();
    // With other default values it is another chart.
    for name in &desired.values_files.names {
        key.extend(["\n", name]);
    }
    if desired.values_files.ignore_missing {
        key.push('?');
    }
    let loaded = resolved.is_proven(&desired.access).then(|| context.charts.get(&key)).flatten();
    let loaded = match loaded {
        Some(loaded) => loaded,
        None => load(key, resolved, desired, slot, context).await?,
    };
    slot.resume().await;
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

/// The largest archive that is held while its release queues for a slot.
const HELD: usize = 64 << 10;

async fn load(
    key: String,
    resolved: &Resolved,
    desired: &DesiredRelease,
    slot: &Slot<'_>,
    context: &Context,
) -> Result<Arc<LoadedChart>, ReconcileError> {
    // A registry may take its time: no slot is held meanwhile.
    slot.pause();
    let pulled = Box::pin(context.registry.pull(resolved, &desired.access)).await?.bytes;
    // Hundreds may queue here: what is large lies in the cache until it is needed.
    let held = (pulled.len() <= HELD).then_some(pulled);
    slot.resume().await;
    // Of those who queue for one chart the first has loaded it. Who has just pulled it may have it.
    if let Some(loaded) = context.charts.get(&key) {
        return Ok(loaded);
    }
    let bytes = match held {
        Some(bytes) => bytes,
        None => Box::pin(context.registry.pull(resolved, &desired.access)).await?.bytes,
    };
    let values_files = desired.values_files.clone();
    let loaded = off_thread(move || -> Result<_, ReconcileError> {
        let mut chart = archive::load(&bytes, &archive::Limits::default())?;
        replace_values(&mut chart, &values_files)?;
        let templates = ParsedTemplates::new(&chart);
        Ok(Arc::new(LoadedChart { chart, templates }))
    });
    let loaded = loaded.await?;
    let size = loaded.chart.memory() + loaded.templates.memory();
    context.charts.insert(key, Arc::clone(&loaded), size);
    Ok(loaded)
}

/// Puts the values files that a release names in place of the chart's own default values.
fn replace_values(chart: &mut Chart, files: &ValuesFiles) -> Result<(), ReconcileError> {
    if files.names.is_empty() {
        return Ok(());
    }
    let (mut values, mut size) = (serde_json::Map::new(), 0);
    for name in &files.names {
        let file = chart.files.iter().find(|file| file.name == *name);
        let (parsed, bytes) = match file {
            _ if name == "values.yaml" => (chart.values.clone(), chart.values_size),
            Some(file) => (parse_values(name, &file.data)?, file.data.len()),
            None if files.ignore_missing => continue,
            None => {
                let message = format!(
                    "the chart has no file {name:?}, which spec.chart.valuesFiles names: correct it, or set \
                     spec.chart.ignoreMissingValuesFiles to true"
                );
                return Err(ReconcileError::new(Reason::ValuesNotFound, message));
            }
        };
        size += bytes;
        values::merge(&mut values, parsed);
        if nodes(&values) > archive::Limits::VALUE_NODES {
            let message = "the files that spec.chart.valuesFiles names hold too many values";
            return Err(ReconcileError::new(Reason::RenderLimitExceeded, message));
        }
    }
    (chart.values, chart.values_size) = (values, size);
    Ok(())
}

/// How many values there are.
fn nodes(values: &serde_json::Map<String, serde_json::Value>) -> usize {
    let of = |value: &serde_json::Value| match value {
        serde_json::Value::Object(map) => nodes(map),
        serde_json::Value::Array(items) => {
            1 + items.iter().map(|item| item.as_object().map_or(1, nodes)).sum::<usize>()
        }
        _ => 1,
    };
    1 + values.values().map(of).sum::<usize>()
}

fn parse_values(name: &str, data: &[u8]) -> Result<serde_json::Map<String, serde_json::Value>, ReconcileError> {
    let wrong = |why: &str| {
        let message = format!("the file {name:?} of the chart, which spec.chart.valuesFiles names, {why}");
        ReconcileError::new(Reason::ValuesInvalid, message)
    };
    let text = str::from_utf8(data).map_err(|_| wrong("is not UTF-8 text"))?;
    values::parse(text).map_err(|error| wrong(&format!("is not a YAML map: {}", chain(&error))))
}
