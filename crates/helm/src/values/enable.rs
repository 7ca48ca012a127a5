//! Which dependencies a release uses: matched by name and version, aliased, switched by tags and conditions.

use gotmpl::{Map, Value};

use super::tables::{scalar, table};
use super::{ActiveChart, coalesce};
use crate::chart::{Chart, Dependency};
use crate::given::Error;
use crate::semver;
use crate::warning::{Log, Warning};

/// The dependencies named in `Chart.yaml` for which `charts/` has no chart of that name.
pub fn missing_dependencies(chart: &Chart) -> Vec<&str> {
    let names = chart.metadata.dependencies.iter().map(|dependency| dependency.name.as_str());
    names.filter(|name| chart.dependencies.iter().all(|packed| packed.name() != *name)).collect()
}

/// Leaves only the dependencies that `values` enable, at every level. `path` leads to the chart in `values`.
///
/// `room` is how many charts there may still be.
pub(super) fn enable(
    chart: &mut ActiveChart<'_>,
    (values, path): (&Map, &str),
    room: &mut usize,
    log: &Log,
) -> Result<(), Error> {
    if chart.metadata.dependencies.is_empty() {
        return Ok(());
    }
    *room = room.checked_sub(chart.metadata.dependencies.len()).ok_or(Error::TooManyCharts)?;
    chart.dependencies = named_dependencies(chart);
    chart.shares_dependencies = false;
    for dependency in &mut chart.metadata.dependencies {
        if !dependency.alias.is_empty() {
            dependency.name.clone_from(&dependency.alias);
        }
    }
    let values = coalesce(chart, values, log)?;
    let tags = table(&values, "tags");
    for dependency in &mut chart.metadata.dependencies {
        dependency.enabled = tags.as_ref().is_none_or(|tags| enabled_by_tags(dependency, tags, log));
    }
    for dependency in &mut chart.metadata.dependencies {
        if let Some(enabled) = condition(dependency, (&values, path), log) {
            dependency.enabled = enabled;
        }
    }
    let declared = std::mem::take(&mut chart.metadata.dependencies);
    let (enabled, disabled): (Vec<_>, Vec<_>) = declared.into_iter().partition(|d| d.enabled);
    let is_disabled = |name: &str| disabled.iter().any(|dependency| dependency.name == name);
    chart.dependencies.retain(|packed| !is_disabled(packed.name()));
    for packed in &mut chart.dependencies {
        let path = format!("{path}{}.", packed.name());
        enable(packed, (&values, &path), room, log)?;
    }
    chart.metadata.dependencies = enabled;
    chart.metadata.dependencies.retain(|dependency| !is_disabled(&dependency.name));
    Ok(())
}

/// The packed charts that `Chart.yaml` does not mention, then those that it does, under their aliases.
fn named_dependencies<'c>(chart: &ActiveChart<'c>) -> Vec<ActiveChart<'c>> {
    let declared = &chart.metadata.dependencies;
    let unmentioned = chart.dependencies.iter().filter(|packed| !declared.iter().any(|d| fits(d, packed)));
    let mentioned = declared.iter().filter_map(|dependency| {
        let packed = chart.dependencies.iter().find(|packed| fits(dependency, packed))?;
        Some(packed.copy(&dependency.alias))
    });
    unmentioned.cloned().chain(mentioned).collect()
}

fn fits(dependency: &Dependency, packed: &ActiveChart<'_>) -> bool {
    packed.name() == dependency.name && semver::is_compatible(&dependency.version, &packed.metadata.version)
}

/// Enabled unless it has tags that are false and none that is true.
fn enabled_by_tags(dependency: &Dependency, tags: &Map, log: &Log) -> bool {
    let states = dependency.tags.iter().filter_map(|tag| match tags.get(tag.as_bytes()) {
        Some(Value::Bool(state)) => Some(state),
        Some(_) => {
            log.add(|_| no_bool(dependency, tag, true));
            None
        }
        None => None,
    });
    let states: Vec<bool> = states.collect();
    states.is_empty() || states.contains(&true)
}

/// What the first condition says that is there and a bool.
fn condition(dependency: &Dependency, (values, path): (&Map, &str), log: &Log) -> Option<bool> {
    let mut conditions = dependency.condition.trim().split(',').filter(|c| !c.is_empty());
    conditions.find_map(|condition| {
        if let Value::Bool(enabled) = scalar(values, &format!("{path}{condition}"))? {
            return Some(enabled);
        }
        log.add(|_| no_bool(dependency, condition, false));
        None
    })
}

fn no_bool(dependency: &Dependency, name: &str, is_tag: bool) -> Warning {
    Warning::NoBool { chart: dependency.name.clone(), name: name.to_owned(), is_tag }
}
