//! Rendering: a chart, its values and what is known of the cluster become manifests.
//!
//! ```text
//! Request ──values──► ActiveChart, coalesced values ──schema──► checked ──scope──► templates, each with its `.`
//!         └─ Host: what functions may ask for (time, randomness, lookup) ──gotmpl──► files ──manifest──► Rendered
//! ```
//!
//! A render is a function of its [`Request`]: it reads no clock, no environment and no file, and the cluster only
//! through [`Lookup`]. It is bounded by [`Limits`]. Templates may nest deeply, so [`render`] needs a large stack
//! ([`STACK_BYTES`]): [`render_on_stack`] provides it.

mod capabilities;
mod error;
mod files;
mod functions;
mod glob;
mod known_versions;
mod parsed;
mod rendered;
mod schema;
mod scope;
mod stack;
mod trace;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use gotmpl::{Interp, Map, Value};
use jiff::Zoned;

pub use crate::host::{Host, Lookup, LookupError, NoLookup, SEED_BYTES};
pub use crate::warning::Warning;
pub use capabilities::{Capabilities, HelmVersion, KubeVersion, KubeVersionError};
pub use error::{Error, ErrorKind, RenderedFiles};
pub use parsed::ParsedTemplates;
pub use rendered::Rendered;
pub use schema::Error as SchemaError;
pub use schema::{SchemaCheck, SchemaFetchError, SchemaSource};
pub use stack::{STACK_BYTES, on_stack, render_on_stack};

use crate::chart::{Chart, Crd};
use crate::given;
use crate::semver;
use crate::values::{self, ActiveChart, ValuesMap};
use crate::warning::Log;
use scope::{ScopedTemplates, Shared, VALUES_TYPE};

/// The release that is rendered for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReleaseInfo {
    /// Its name.
    pub name: String,
    /// Its namespace.
    pub namespace: String,
    /// The revision that is being made, counted from 1.
    pub revision: u32,
    /// Whether it replaces an earlier revision.
    pub is_upgrade: bool,
}

/// Bounds on one render, so that no chart can take down the process that renders it.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Bytes of output; those of included templates count wherever they are written.
    pub output_bytes: u64,
    /// Steps of evaluation.
    pub steps: u64,
    /// Templates, blocks and parentheses within each other.
    pub depth: usize,
    /// When this becomes true, the render stops soon after: the caller's deadline.
    pub stop: Arc<AtomicBool>,
}

impl Limits {
    /// 16 MiB of output. The largest public charts make 2.5 MiB, and a release of more than 1 MiB is not recorded.
    pub const OUTPUT_BYTES: u64 = 16 << 20;
    /// Forty-eight million steps: a few seconds, and memory for 192 MiB of values. Of the public charts that were tried
    /// the largest takes 33 million, all others less than 24.
    pub const STEPS: u64 = 48_000_000;
    /// Room for Helm's own limit of 1 000 includes of one template within each other.
    pub const DEPTH: usize = 10_000;
}

impl Default for Limits {
    fn default() -> Self {
        Self { output_bytes: Self::OUTPUT_BYTES, steps: Self::STEPS, depth: Self::DEPTH, stop: Arc::default() }
    }
}

/// Everything a render depends on.
pub struct Request<'a> {
    /// The chart.
    pub chart: &'a Chart,
    /// The values of the release.
    pub values: &'a ValuesMap,
    /// The release.
    pub release: &'a ReleaseInfo,
    /// What is known of the cluster.
    pub capabilities: &'a Capabilities,
    /// Answers the function `lookup`.
    pub lookup: Arc<dyn Lookup>,
    /// What the functions for dates take for the present.
    pub now: Zoned,
    /// What random text, keys and certificates are made of: from the system's generator, for they are secrets.
    pub seed: [u8; SEED_BYTES],
    /// Bounds.
    pub limits: Limits,
    /// The templates of the chart, if they are parsed already.
    pub templates: Option<&'a ParsedTemplates>,
    /// Whether the notes of subcharts join those of the chart: `--render-subchart-notes` of `helm install`.
    pub subchart_notes: bool,
}

/// Renders a chart as `helm install` and `helm upgrade` do before they apply anything, but fetches no schema.
///
/// Needs [`STACK_BYTES`] of stack: call it in [`on_stack`], or use [`render_on_stack`].
pub fn render(request: &Request<'_>) -> Result<Rendered, Error> {
    render_with(request, SchemaCheck::Enforce)
}

/// As [`render`], with a word on schemas: whether they count, and where those are had that they refer to by address.
pub fn render_with(request: &Request<'_>, schemas: SchemaCheck<'_>) -> Result<Rendered, Error> {
    values::check_levels(request.values).map_err(Error::Dependencies)?;
    render_typed(request, &given::to_map(request.values), schemas)
}

/// As [`render_with`], but with `values` in place of those of the request.
///
/// Values of a command line know integers from floats, and may hold bytes that are no UTF-8: JSON could not carry them.
pub fn render_typed(request: &Request<'_>, values: &Map, schemas: SchemaCheck<'_>) -> Result<Rendered, Error> {
    let mut warnings = Vec::new();
    let rendered = render_telling(request, values, schemas, &mut warnings)?;
    Ok(Rendered { warnings, ..rendered })
}

/// As [`render_typed`], but what was passed over is added to `warnings`, which tell of it when the render fails, too;
/// those of the result are none.
pub fn render_telling(
    request: &Request<'_>,
    values: &Map,
    schemas: SchemaCheck<'_>,
    warnings: &mut Vec<Warning>,
) -> Result<Rendered, Error> {
    let log = Log::default();
    let rendered = render_logging(request, values, schemas, &log);
    warnings.extend(log.take());
    rendered
}

fn render_logging(request: &Request<'_>, values: &Map, schemas: SchemaCheck<'_>, log: &Log) -> Result<Rendered, Error> {
    check_installable(request.chart)?;
    let active = ActiveChart::with_typed(request.chart, values, log).map_err(Error::Dependencies)?;
    let values = values::coalesce(&active, values, log).map_err(Error::Values)?;
    let unparsed = ParsedTemplates::default();
    let parsed = request.templates.unwrap_or(&unparsed);
    schema::check(&active, &values, (schemas, log)).map_err(Error::Schema)?;
    check_kube_version(&active, request.capabilities)?;
    let shared = Shared::new(request.release, request.capabilities);
    let templates = scope::templates(&active, &values, &shared);
    let host = Host::new(request.now.clone(), request.seed, Arc::clone(&request.lookup));
    let files = execute_all(&templates, (request, parsed), &host)?;
    let crds = active.crds();
    let (notes, files) = rendered::take_notes(active.name(), files, request.subchart_notes);
    rendered::collect(notes, files, (crds, host), log)
}

/// The files in `crds/` of the chart and of those dependencies that these values enable: what Helm installs before it
/// renders, since templates may ask whether their kinds are served.
pub fn crds(chart: &Chart, values: &ValuesMap) -> Result<Vec<Crd>, Error> {
    Ok(ActiveChart::new(chart, values).map_err(Error::Dependencies)?.crds())
}

/// Refuses a chart that is a library, or that lacks dependencies which its `Chart.yaml` names. [`render`] does so too.
pub fn check_installable(chart: &Chart) -> Result<(), Error> {
    let chart_type = &chart.metadata.chart_type;
    if !matches!(chart_type.as_str(), "" | "application") {
        return Err(Error::NotInstallable { chart_type: chart_type.clone() });
    }
    let missing = values::missing_dependencies(chart);
    if missing.is_empty() {
        return Ok(());
    }
    Err(Error::MissingDependencies { names: missing.into_iter().map(str::to_owned).collect() })
}

fn check_kube_version(chart: &ActiveChart<'_>, capabilities: &Capabilities) -> Result<(), Error> {
    let required = &chart.metadata.kube_version;
    let found = &capabilities.kube_version;
    if required.is_empty() || semver::is_compatible(required, &found.to_string()) {
        return Ok(());
    }
    Err(Error::KubeVersion { required: required.clone(), found: found.version.clone() })
}

/// Executes every template that is not only there for others.
fn execute_all(
    templates: &ScopedTemplates,
    (request, parsed): (&Request<'_>, &ParsedTemplates),
    host: &Host,
) -> Result<BTreeMap<String, Vec<u8>>, Error> {
    let order = scope::execution_order(templates);
    let set = parsed.set(templates, &order)?;
    let mut interp = Interp::new(host, functions::all(), set, gotmpl_limits(&request.limits));
    let mut files = BTreeMap::new();
    for name in order.into_iter().filter(|name| !scope::is_partial(name)) {
        let template = &templates[name];
        let about = [("Name", name), ("BasePath", &template.base_path)];
        let about = about.map(|(key, text)| (key.into(), Value::string(text)));
        template.data.insert("Template", Map::new(VALUES_TYPE, about.into()).into());
        host.begin(name);
        let mut out = Vec::new();
        let executed = interp.execute(name.as_bytes(), &template.data.clone().into(), &mut out);
        executed.map_err(|error| Error::execution(name, error))?;
        files.insert(name.to_owned(), functions::drop_no_value(out));
    }
    Ok(files)
}

fn gotmpl_limits(limits: &Limits) -> gotmpl::Limits {
    let Limits { output_bytes, steps, depth, stop } = limits;
    gotmpl::Limits { steps: *steps, output: *output_bytes, depth: *depth, cancelled: Some(Arc::clone(stop)) }
}
