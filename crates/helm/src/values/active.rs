//! A chart as one release uses it.

use gotmpl::Map;

use super::tables::{Room, deep_copy, packed_copy};
use super::{Error, ValuesMap, enable, import, to_map, to_values};
use crate::chart::{Chart, Crd, Metadata};

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
        Self::with_typed(chart, &to_map(values))
    }

    /// As [`ActiveChart::new`], for values as templates see them.
    pub(crate) fn with_typed(chart: &'c Chart, values: &Map) -> Result<Self, Error> {
        let mut active = Self::packed(chart);
        enable::enable(&mut active, values, "", &mut { enable::CHARTS })?;
        import::import(&mut active)?;
        Ok(active)
    }

    /// The chart with everything that is packed in it.
    fn packed(chart: &'c Chart) -> Self {
        Self {
            chart,
            metadata: chart.metadata.clone(),
            values: Defaults::Packed(&chart.values),
            dependencies: chart.dependencies.iter().map(Self::packed).collect(),
        }
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
            dependency.collect_crds(&format!("{path}/charts/{}", dependency.name()), crds);
        }
    }
}
