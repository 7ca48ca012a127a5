//! `helm-operator template`: what `helm template` of Helm 4.3.1 prints, without a cluster, a Kubernetes configuration,
//! a cache or a `helm`.
//!
//! ```text
//! Options → name → locate (a folder, an archive, or pulled from a registry) → values → load → render → print
//! ```
//!
//! The steps and the order in which they refuse are Helm's, and so are the texts. [`render`] prints nothing: it returns
//! what a process would say. A chart in a folder or an archive is rendered without reading any file besides those
//! that are named, and without starting a runtime, unless its schema refers to others by `https://`.

mod error;
mod load;
mod locate;
mod login;
mod name;
mod options;
mod print;
mod pull;
mod read;
mod refusal;
mod schemas;
mod string_slice;
mod values;
mod wanted;
mod write;

use std::fmt;

use gotmpl::Map;
use helm::chart::Chart;
use helm::engine::{
    self, Capabilities, KubeVersion, Limits, NoLookup, ReleaseInfo, Rendered, Request, SchemaCheck, Warning,
};
use helm::release::ReleaseName;
use jiff::Zoned;

pub use error::Error;
pub use options::{Options, RegistryOptions, ValueOptions};
pub use read::ReadError;
pub use string_slice::StringSlice;

use schemas::Remote;

/// What a render depends on besides its options: what templates take for the present and for randomness.
#[derive(Clone)]
pub struct Moment {
    /// The present, in the zone that templates print times in.
    pub now: Zoned,
    /// What passwords, keys and certificates are made of.
    pub seed: [u8; engine::SEED_BYTES],
}

impl Moment {
    /// The system's clock, time zone and randomness.
    ///
    /// # Errors
    /// When the system has no randomness to give.
    pub fn of_system() -> Result<Self, getrandom::Error> {
        let mut seed = [0; engine::SEED_BYTES];
        getrandom::fill(&mut seed)?;
        Ok(Self { now: Zoned::now(), seed })
    }
}

impl fmt::Debug for Moment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Moment").field("now", &self.now).finish_non_exhaustive()
    }
}

/// What the command says. Whatever `error` is, `stdout` is to be printed first.
#[derive(Default)]
pub struct Outcome {
    /// The manifests: bytes, because files in `crds/` need not be text.
    pub stdout: Vec<u8>,
    /// Lines for standard error: what was pulled, what Helm warns of.
    pub notices: Vec<String>,
    /// Why the command failed, if it did.
    pub error: Option<Error>,
}

impl fmt::Debug for Outcome {
    /// Leaves out what is rendered, for it may be a Secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Outcome")
            .field("stdout", &self.stdout.len())
            .field("error", &self.error)
            .finish_non_exhaustive()
    }
}

/// Runs the command. Blocks until it is done; do not call it on a thread of an asynchronous runtime.
pub fn render(options: &Options, moment: &Moment) -> Outcome {
    let run = || {
        let mut outcome = Outcome::default();
        outcome.error = run(options, moment, &mut outcome).err();
        outcome
    };
    engine::on_stack(run).unwrap_or_else(|error| Outcome { error: Some(error.into()), ..Outcome::default() })
}

fn run(options: &Options, moment: &Moment, outcome: &mut Outcome) -> Result<(), Error> {
    check_standard_input(options)?;
    let capabilities = capabilities(options)?;
    let (name, reference) = name::and_chart(options, moment)?;
    let package = locate::locate(reference, options, &mut outcome.notices)?;
    let values = values::merge(&options.values)?;
    let chart = load::load(&package)?;
    check(&chart, &name, &mut outcome.notices)?;
    let mut warnings = Vec::new();
    let rendered = render_chart((&chart, &values), (name, capabilities), (options, moment), &mut warnings);
    outcome.notices.extend(warnings.iter().map(Warning::log_line));
    print::print(rendered, options, &mut outcome.stdout)
}

/// Standard input can be read once.
fn check_standard_input(options: &Options) -> Result<(), Error> {
    let values = StringSlice::joined(&options.values.files).any(|file| file.trim() == "-");
    if values && options.registry.password_stdin { Err(Error::ShareStandardInput) } else { Ok(()) }
}

fn capabilities(options: &Options) -> Result<Capabilities, Error> {
    let mut capabilities = Capabilities::default();
    if let Some(version) = options.kube_version.as_ref().filter(|version| !version.is_empty()) {
        let parsed = KubeVersion::parse(version);
        capabilities.kube_version =
            parsed.map_err(|source| Error::ParseKubeVersion { version: version.clone(), source })?;
    }
    let added = StringSlice::joined(&options.api_versions);
    capabilities.api_versions =
        capabilities.api_versions.iter().map(String::as_str).chain(added).map(Into::into).collect();
    Ok(capabilities)
}

/// Whether Helm would install this chart under this name.
fn check(chart: &Chart, name: &str, notices: &mut Vec<String>) -> Result<(), Error> {
    let installable = engine::check_installable(chart);
    if chart.metadata.deprecated && !matches!(installable, Err(engine::Error::NotInstallable { .. })) {
        notices.push("level=WARN msg=\"this chart is deprecated\"".to_owned());
    }
    installable?;
    ReleaseName::parse(name).map_err(|source| Error::CheckName { name: name.to_owned(), source })?;
    Ok(())
}

fn render_chart(
    (chart, values): (&Chart, &Map),
    (name, capabilities): (String, Capabilities),
    (options, moment): (&Options, &Moment),
    warnings: &mut Vec<Warning>,
) -> Result<(String, Rendered), engine::Error> {
    let namespace = options.namespace.clone().filter(|namespace| !namespace.is_empty());
    let namespace = namespace.unwrap_or_else(|| "default".to_owned());
    let release = ReleaseInfo { name, namespace, revision: 1, is_upgrade: options.is_upgrade };
    let request = Request {
        chart,
        // The typed values stand in for these.
        values: &helm::values::ValuesMap::new(),
        release: &release,
        capabilities: &capabilities,
        lookup: std::sync::Arc::new(NoLookup),
        now: moment.now.clone(),
        seed: moment.seed,
        limits: Limits::default(),
        templates: None,
        subchart_notes: false,
    };
    let remote = Remote::default();
    let schemas = if options.skip_schema_validation { SchemaCheck::Skip } else { SchemaCheck::Fetch(&remote) };
    let rendered = engine::render_telling(&request, values, schemas, warnings)?;
    Ok((release.name, rendered))
}
