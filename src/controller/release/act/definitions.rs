//! What has to be there before anything of a release: its namespace, and the definitions in its chart's `crds/`.

use helm::chart::Crd;
use helm::engine;

use super::Task;
use super::prepare::{action, owner};
use crate::api::CrdPolicy;
use crate::cluster::{ExistingCrds, Source};
use crate::controller::charts::LoadedChart;
use crate::controller::error::ReconcileError;
use crate::controller::release::plan::{Step, StepKind};
use crate::controller::release::reuse::Given;
use crate::controller::release::validate::Action;

/// The definitions in a chart's `crds/`, each with the file that it is in; none where they are not to be installed.
#[derive(Default)]
pub(super) struct Definitions(Vec<(String, String)>);

impl Definitions {
    /// Those of a chart that `action` installs.
    pub(super) fn of(chart: &LoadedChart, given: &Given, action: &Action) -> Result<Self, ReconcileError> {
        if action.crds == CrdPolicy::Skip {
            return Ok(Self::default());
        }
        let crds = engine::crds(&given.chart(&chart.chart), &given.values)?;
        let text = |crd: Crd| (crd.filename, String::from_utf8_lossy(&crd.data).into_owned());
        Ok(Self(crds.into_iter().map(text).collect()))
    }

    pub(super) fn sources(&self) -> Vec<Source<'_>> {
        self.0.iter().map(|(origin, text)| Source { origin, text }).collect()
    }
}

/// Makes what has to be there before anything of the release: the namespace, and the definitions in the chart's `crds/`.
pub(super) async fn make_way(step: &Step, definitions: &Definitions, task: &Task<'_>) -> Result<(), ReconcileError> {
    if makes_namespace(step, task) {
        Box::pin(task.place.cluster.ensure_namespace(&task.desired.identity.namespace)).await?;
    }
    let (action, sources) = (action(step, task), definitions.sources());
    if sources.is_empty() {
        return Ok(());
    }
    let namespace = &task.desired.identity.namespace;
    task.place.cluster.admit_crds(&sources, namespace, &task.place.reach()).await?;
    task.slot.pause();
    let owner = owner(&task.desired.identity);
    task.place.cluster.install_crds(&sources, existing_crds(action), action.timeout, Some(&owner)).await?;
    task.slot.go_on().await;
    Ok(())
}

/// Whether the release's namespace is made where it is missing: at an install; and where the records are elsewhere, so that they
/// outlive it, whenever something is made in it.
pub(super) fn makes_namespace(step: &Step, task: &Task<'_>) -> bool {
    let identity = &task.desired.identity;
    let may_be_gone = step.kind == StepKind::Install || identity.namespace != identity.release.namespace;
    task.desired.maintenance.create_namespace && may_be_gone
}

/// What becomes of definitions that exist.
pub(super) fn existing_crds(action: &Action) -> ExistingCrds {
    match action.crds {
        CrdPolicy::Skip | CrdPolicy::Create => ExistingCrds::Keep,
        CrdPolicy::CreateReplace if action.force => ExistingCrds::ReplaceWithLoss,
        CrdPolicy::CreateReplace => ExistingCrds::Replace,
    }
}
