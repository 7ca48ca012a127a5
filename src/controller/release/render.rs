//! The chart and the values to a manifest, off the async threads.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use helm::chance;
use helm::chart::Chart;
use helm::engine::{
    self, Capabilities, ErrorKind, Limits, ReleaseInfo, Rendered, Request, SEED_BYTES, SchemaCheck, Warning,
};
use helm::manifest::Hook;
use helm::release::ReleaseChart;
use helm::values::ActiveChart;
use k8s_openapi::jiff::tz::TimeZone;
use k8s_openapi::jiff::{SignedDuration, Zoned};
use tokio::runtime::Handle;

use super::act::Task;
use super::plan::{Step, StepKind};
use super::postrender::Changes;
use super::reuse::Given;
use super::validate::Action;
use super::values::{self, Setting};
use crate::api::Reason;
use crate::cluster::{Lookup, Source};
use crate::controller::causes::panicked;
use crate::controller::charts::LoadedChart;
use crate::controller::error::{ReconcileError, chain};
use crate::controller::memory;
use crate::controller::schemas::{Attempt, Gathered};
use crate::off_thread::off_thread;

/// The longest a chart may render.
const RENDER_TIMEOUT: Duration = Duration::from_mins(1);

/// Stops a render that nobody waits for any more: a thread cannot be dropped as its future is.
struct StopOnDrop(Arc<AtomicBool>);

impl Drop for StopOnDrop {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// What the record of the revision holds of it.
pub(super) struct Output {
    /// The manifest as Helm stores it.
    pub(super) manifest: String,
    /// The hooks.
    pub(super) hooks: Vec<Hook>,
    /// The notes.
    pub(super) notes: String,
    /// What was passed over.
    pub(super) warnings: Vec<Warning>,
    /// The chart as Helm records it: with the dependencies that the values enable.
    pub(super) chart: ReleaseChart,
    /// What another render of the same made, where some of it is left to chance.
    pub(super) again: Option<Again>,
}

/// Another render of the same, with other random text and at another time.
pub(super) struct Again {
    /// Its manifest.
    pub(super) manifest: String,
    /// Its hooks.
    pub(super) hooks: Vec<Hook>,
    /// The templates that made something else.
    pub(super) varying: Vec<String>,
}

/// The time of the other render: each part of a date is another one, the day of the week too.
const LATER: SignedDuration = SignedDuration::from_secs(400 * 24 * 3600 + 3661);

/// Renders the chart for this step, as if the definitions that are `missing` were there; one that needs much memory waits for a
/// large slot. Dropped, it stops rendering.
pub(super) async fn render(
    step: &Step,
    (chart, given): (&Arc<LoadedChart>, Given),
    (action, missing): (&Action, &[Source<'_>]),
    task: &Task<'_>,
) -> Result<Output, ReconcileError> {
    let inputs = Arc::new(Inputs {
        chart: Arc::clone(chart),
        given,
        settings: Arc::clone(&task.desired.settings),
        release: ReleaseInfo {
            name: task.desired.identity.release.name.clone(),
            namespace: task.desired.identity.namespace.clone(),
            revision: step.revision,
            is_upgrade: step.kind == StepKind::Upgrade,
        },
        capabilities: task.place.cluster.capabilities_with(missing).await?,
        lookup: Arc::new(task.place.cluster.lookup(Handle::current(), task.place.reach())),
        now: task.place.context.now().to_zoned(TimeZone::UTC),
        schemas: Gathered::new(
            action.schemas.then_some(task.place.context.policy.remote_schemas),
            &task.place.context.schemas,
        ),
    });
    loop {
        let limits = if task.slot.is_large() { Limits::default() } else { memory::small() };
        let rendered = within(limits, &inputs).await?;
        if inputs.schemas.lacks_some() {
            task.slot.pause();
            inputs.schemas.complete().await;
            task.slot.go_on().await;
            continue;
        }
        match rendered {
            Err(error) if error.kind() == ErrorKind::Limit && !task.slot.is_large() => task.slot.enlarge().await,
            Err(error) => return Err(explained(error, &inputs.lookup)),
            Ok(output) => return changed(output, &task.desired.changes).await,
        }
    }
}

/// What was rendered after the declared changes.
async fn changed(mut output: Output, changes: &Arc<Changes>) -> Result<Output, ReconcileError> {
    if changes.post.is_empty() {
        return Ok(output);
    }
    let changes = Arc::clone(changes);
    let done = off_thread(move || {
        changes.post.apply(&mut output.manifest, &mut output.hooks)?;
        output.again = output.again.and_then(|mut again| {
            changes.post.apply(&mut again.manifest, &mut again.hooks).ok()?;
            Some(again)
        });
        Ok(output)
    });
    let failed = |error: helm::postrender::Error| ReconcileError::new(Reason::PostRenderFailed, chain(&error));
    done.await.map_err(failed)
}

/// A render's error. Where the cluster did not answer a `lookup`, that is the trouble, and not the chart.
fn explained(error: engine::Error, lookup: &Lookup) -> ReconcileError {
    let told = ReconcileError::from(error);
    match lookup.trouble() {
        Some(trouble) => ReconcileError { message: told.message, ..trouble.into() },
        None => told,
    }
}

/// What a render depends on, without its limits.
struct Inputs {
    chart: Arc<LoadedChart>,
    given: Given,
    settings: Arc<[Setting]>,
    release: ReleaseInfo,
    capabilities: Capabilities,
    lookup: Arc<Lookup>,
    now: Zoned,
    schemas: Gathered,
}

/// One render on a thread of its own, at most [`RENDER_TIMEOUT`] long.
async fn within(limits: Limits, inputs: &Arc<Inputs>) -> Result<Result<Output, engine::Error>, ReconcileError> {
    let guard = StopOnDrop(Arc::clone(&limits.stop));
    let mut seed = [0; SEED_BYTES];
    getrandom::fill(&mut seed).map_err(|error| ReconcileError::caused(Reason::InternalError, &error))?;
    let inputs = Arc::clone(inputs);
    // Both walk values that may nest deeply.
    let rendering = tokio::task::spawn_blocking(move || engine::on_stack(|| output(&inputs, limits, seed))?);
    let mut rendering = std::pin::pin!(rendering);
    let rendered = if let Ok(rendered) = tokio::time::timeout(RENDER_TIMEOUT, &mut rendering).await {
        rendered
    } else {
        drop(guard);
        rendering.await
    };
    rendered.map_err(|_| panicked("rendered the chart"))
}

fn output(inputs: &Inputs, limits: Limits, seed: [u8; SEED_BYTES]) -> Result<Output, engine::Error> {
    let effective = inputs.given.chart(&inputs.chart.chart);
    let effective: &Chart = &effective;
    let schemas = Attempt { gathered: &inputs.schemas, stop: Arc::clone(&limits.stop) };
    let chance = (seed, inputs.now.clone());
    let rendered = rendered((inputs, effective), limits.clone(), chance, schemas.check())?;
    let again = rendered.by_chance.then(|| again((inputs, effective), limits, seed, &rendered)).flatten();
    let Rendered { manifest, hooks, notes, warnings, .. } = rendered;
    let active = ActiveChart::new(effective, &inputs.given.values).map_err(engine::Error::Dependencies)?;
    Ok(Output { manifest, hooks, notes, warnings, chart: ReleaseChart::from(&active), again })
}

/// What is left to chance of a render, by rendering once more. A chart that fails then tells nothing of it.
fn again(
    (inputs, effective): (&Inputs, &Chart),
    limits: Limits,
    seed: [u8; SEED_BYTES],
    first: &Rendered,
) -> Option<Again> {
    let chance = (seed.map(|byte| !byte), inputs.now.checked_add(LATER).ok()?);
    let second = rendered((inputs, effective), limits, chance, SchemaCheck::Skip).ok()?;
    let mut varying = chance::varying((&first.manifests, &first.hooks), (&second.manifests, &second.hooks));
    if !inputs.release.is_upgrade {
        // What looks for what it made before finds nothing yet, and keeps it from then on.
        varying.retain(|template| !first.looking_up.contains(template));
    }
    Some(Again { manifest: second.manifest, hooks: second.hooks, varying: varying.into_iter().collect() })
}

fn rendered(
    (inputs, effective): (&Inputs, &Chart),
    limits: Limits,
    (seed, now): ([u8; SEED_BYTES], Zoned),
    schemas: SchemaCheck<'_>,
) -> Result<Rendered, engine::Error> {
    let Inputs { chart, given, settings, release, capabilities, lookup, .. } = inputs;
    let values = &given.values;
    let request = Request {
        chart: effective,
        values,
        release,
        capabilities,
        lookup: Arc::clone(lookup) as Arc<dyn engine::Lookup>,
        now,
        seed,
        limits,
        templates: Some(&chart.templates),
        subchart_notes: false,
    };
    if settings.is_empty() {
        return engine::render_with(&request, schemas);
    }
    // They are in the values; set once more, whole numbers are integers.
    let typed = helm::values::to_map(values);
    let set = values::set(settings, &typed);
    debug_assert!(set.is_ok(), "it was set before");
    engine::render_typed(&request, &typed, schemas)
}
