//! A chart as one release uses it.

use gotmpl::Map;

use super::tables::{Room, deep_copy, packed_copy};
use super::{enable, import};
use crate::chart::{Chart, Crd, Metadata};
use crate::given::{CHARTS, Error, ValuesMap, check_levels, check_typed_levels, to_map, to_values};
use crate::warning::Log;

/// A chart with the dependencies that some values enable, under their aliases, and with imported values.
#[derive(Clone)]
pub struct ActiveChart<'c> {
    /// Where the files are.
    pub chart: &'c Chart,
    /// Its metadata: the name is the alias if there is one, the dependencies are the enabled ones.
    pub metadata: Metadata,
    /// Its default values, with what it imports from its dependencies.
    pub(super) values: Defaults<'c>,
    /// The enabled dependencies.
    pub dependencies: Vec<Self>,
    /// Where it is packed, from the root chart.
    packed_at: String,
    /// Whether the dependencies are those of the chart that this is a copy of.
    ///
    /// Helm copies a chart that `Chart.yaml` mentions, and its dependencies, but not those of these. They go on knowing
    /// the chart they are packed in, so that they render there, once, for the last of the copies.
    pub(super) shares_dependencies: bool,
}

/// Default values, as they are packed or as they were made.
#[derive(Clone)]
pub(super) enum Defaults<'c> {
    Packed(&'c ValuesMap),
    Made(Map),
}

impl Defaults<'_> {
    /// A table of their own, nested tables and lists included.
    pub(super) fn copy(&self, room: &Room) -> Result<Map, Error> {
        match self {
            Self::Packed(values) => packed_copy(values, room),
            Self::Made(values) => deep_copy(values, room),
        }
    }
}

impl<'c> ActiveChart<'c> {
    /// Processes the dependencies of `chart` for a release with these values.
    pub fn new(chart: &'c Chart, values: &ValuesMap) -> Result<Self, Error> {
        check_levels(values)?;
        Self::with_typed(chart, &to_map(values), &Log::default())
    }

    /// As [`ActiveChart::new`], for values as templates see them.
    pub(crate) fn with_typed(chart: &'c Chart, values: &Map, log: &Log) -> Result<Self, Error> {
        check_typed_levels(values)?;
        let mut active = Self::packed(chart, chart.name().to_owned());
        enable::enable(&mut active, (values, ""), &mut { CHARTS }, log)?;
        import::import(&mut active, log)?;
        Ok(active)
    }

    /// The chart with everything that is packed in it.
    fn packed(chart: &'c Chart, packed_at: String) -> Self {
        let dependencies = chart.dependencies.iter().map(|dependency| {
            let path = below(&packed_at, dependency.name());
            Self::packed(dependency, path)
        });
        Self {
            chart,
            metadata: chart.metadata.clone(),
            values: Defaults::Packed(&chart.values),
            dependencies: dependencies.collect(),
            packed_at,
            shares_dependencies: false,
        }
    }

    /// A copy under another name, if there is one, whose dependencies are copies, too.
    pub(super) fn copy(&self, alias: &str) -> Self {
        let mut copy = self.clone();
        if !alias.is_empty() {
            alias.clone_into(&mut copy.metadata.name);
        }
        copy.shares_dependencies = false;
        copy.dependencies.iter_mut().for_each(|dependency| dependency.shares_dependencies = true);
        copy
    }

    /// Where a dependency's files are, from the root chart, if this chart is at `path`.
    pub(crate) fn path_of(&self, dependency: &Self, path: &str) -> String {
        if self.shares_dependencies { dependency.packed_at.clone() } else { below(path, dependency.name()) }
    }

    /// Its name, or the alias it goes by.
    pub fn name(&self) -> &str {
        &self.metadata.name
    }

    /// Its default values, with what it imports from its dependencies.
    pub fn default_values(&self) -> ValuesMap {
        match &self.values {
            Defaults::Packed(values) => (*values).clone(),
            Defaults::Made(values) => to_values(values),
        }
    }

    /// The files in `crds/`: its own first, then those of its enabled dependencies.
    pub fn crds(&self) -> Vec<Crd> {
        let mut crds = Vec::new();
        self.collect_crds(self.name(), &mut crds);
        crds
    }

    fn collect_crds(&self, path: &str, crds: &mut Vec<Crd>) {
        crds.extend(self.chart.own_crds(path));
        for dependency in &self.dependencies {
            dependency.collect_crds(&self.path_of(dependency, path), crds);
        }
    }
}

/// The path of a dependency of the chart at `path`.
fn below(path: &str, name: &str) -> String {
    format!("{path}/charts/{name}")
}
