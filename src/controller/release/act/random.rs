//! Charts of which some is left to chance: random text, keys, the time. What is deployed of them is not replaced where it
//! differs from what is rendered now by chance alone.

use helm::chance;
use helm::manifest::Hook;
use helm::release::Release;
use serde_json::Value;

use super::adopt;
use crate::controller::release::render::Again;

/// Most bytes of templates' names that a record notes.
const NOTED: usize = 4096;

/// Whether what is deployed is of the same chart and values as what is wanted, and differs from it only where another
/// render does, too.
pub(super) fn is_same(deployed: &Release, wanted: &Release, again: Option<&Again>) -> bool {
    let Some(again) = again else { return false };
    let same = |deployed: &str, wanted: &str, again: &str| match (objects(deployed), objects(wanted), objects(again)) {
        (Some(deployed), Some(wanted), Some(again)) => chance::is_same(&deployed, &wanted, &again),
        _ => false,
    };
    let paths = |hooks: &[Hook]| hooks.iter().map(|hook| hook.path.clone()).collect::<Vec<_>>();
    let hooks = deployed.hooks.iter().zip(wanted.hooks.iter().zip(&again.hooks));
    adopt::is_same_chart(deployed, wanted)
        && deployed.chart.values == wanted.chart.values
        && same(&deployed.manifest, &wanted.manifest, &again.manifest)
        && paths(&deployed.hooks) == paths(&wanted.hooks)
        && paths(&wanted.hooks) == paths(&again.hooks)
        && hooks
            .into_iter()
            .all(|(deployed, (wanted, again))| same(&deployed.manifest, &wanted.manifest, &again.manifest))
}

/// The objects of a manifest, in a list of always the same order; none where it cannot be read.
fn objects(manifest: &str) -> Option<Value> {
    adopt::bare(manifest).map(|objects| objects.into_values().collect())
}

/// The templates that make something else each time, as far as a record notes them.
pub(super) fn named(again: Option<&Again>) -> Vec<String> {
    let mut bytes = 0;
    let fits = |template: &&String| {
        bytes += template.len() + 1;
        bytes <= NOTED && !template.contains('\n')
    };
    again.into_iter().flat_map(|again| &again.varying).take_while(fits).cloned().collect()
}
