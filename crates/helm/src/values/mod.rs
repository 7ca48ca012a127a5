//! Values: coalesced from a release, its chart and the chart's dependencies.
//!
//! ```text
//! values ──given──► map        ┐
//! Chart ──active──► ActiveChart ┴─enable──► enabled dependencies ──import──► imported values ──coalesce──► values
//! ```
//!
//! Outside of a render, values are `serde_json` maps; within it they are template values, whose maps are shared:
//! Helm's coalescing lets some maps of a parent and its dependencies be the same, and templates can see that.

mod active;
mod coalesce;
mod enable;
mod import;
mod tables;

pub use crate::given::{
    Error, LEVELS, ValuesMap, check_levels, merge, merge_typed, parse, parse_typed, to_map, to_values,
};
pub use active::ActiveChart;
pub(crate) use coalesce::coalesce;
pub use enable::missing_dependencies;
pub(crate) use tables::{scalar, table};
