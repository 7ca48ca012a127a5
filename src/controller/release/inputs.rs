//! What a manifest depends on, in one digest: a release whose inputs are what they were is not rendered again.

use serde_json::{Map, Value};
use sha2::{Digest as _, Sha256};

use super::values::Setting;

/// Everything that a rendered manifest depends on, but chance and what the cluster answers to `lookup`.
///
/// Records hold its digest. A part that comes later is optional, and added behind a name of its own only where it is
/// there: else an update of the operator would upgrade every release.
pub(super) struct Inputs<'a> {
    /// The digest of the chart's manifest in the registry.
    pub(super) chart: &'a str,
    /// The minor version of Kubernetes, as `major.minor`.
    pub(super) kubernetes: &'a str,
    /// The merged values.
    pub(super) values: &'a Map<String, Value>,
    /// The values that are set at a path: whole numbers among them are integers.
    pub(super) settings: &'a [Setting],
    /// The files in the chart that are its default values; none for its `values.yaml`.
    pub(super) values_files: &'a [String],
    /// What is declared of changes of what the chart renders; empty for none.
    pub(super) changes: &'a str,
    /// Whether upgrades lay the values over those of what is deployed.
    pub(super) reuse_values: bool,
}

impl Inputs<'_> {
    /// `sha256:` and 64 digits.
    pub(super) fn digest(&self) -> String {
        // Without `..`, so that no part is forgotten.
        let Self { chart, kubernetes, values, settings, values_files, changes, reuse_values } = self;
        let values = text(values);
        let mut parts = vec![*chart, *kubernetes, values.as_str()];
        if !settings.is_empty() {
            parts.push("settings");
            parts.extend(settings.iter().map(|setting| setting.path.as_str()));
        }
        add("valuesFiles", values_files, &mut parts);
        if !changes.is_empty() {
            parts.extend(["postRenderers", changes]);
        }
        if *reuse_values {
            parts.push("reuseValues");
        }
        digest(&parts)
    }
}

/// What an object declares of it, without what a registry or the cluster answers: it can be compared while the registry
/// is away.
pub(super) struct Declared<'a> {
    /// The chart's reference.
    pub(super) chart: &'a str,
    /// The version or range.
    pub(super) version: &'a str,
    /// The merged values.
    pub(super) values: &'a Map<String, Value>,
    /// The files in the chart that are its default values; none for its `values.yaml`.
    pub(super) values_files: &'a [String],
    /// What is declared of changes of what the chart renders; empty for none.
    pub(super) changes: &'a str,
    /// Whether upgrades lay the values over those of what is deployed.
    pub(super) reuse_values: bool,
}

impl Declared<'_> {
    /// `sha256:` and 64 digits.
    pub(super) fn digest(&self) -> String {
        let Self { chart, version, values, values_files, changes, reuse_values } = self;
        let values = text(values);
        let mut parts = vec![*chart, *version, values.as_str()];
        add("valuesFiles", values_files, &mut parts);
        if !changes.is_empty() {
            parts.extend(["postRenderers", changes]);
        }
        if *reuse_values {
            parts.push("reuseValues");
        }
        digest(&parts)
    }
}

/// A part that came later: nothing where it is not there.
fn add<'a>(name: &'a str, part: &'a [String], parts: &mut Vec<&'a str>) {
    if !part.is_empty() {
        parts.push(name);
        parts.extend(part.iter().map(String::as_str));
    }
}

fn text(values: &Map<String, Value>) -> String {
    serde_json::to_string(values).unwrap_or_default()
}

/// SHA-256 over the parts, each behind its length: no two lists of parts have one text.
pub(super) fn digest(parts: &[&str]) -> String {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part);
    }
    let digest = hash.finalize();
    digest.iter().fold("sha256:".to_owned(), |text, byte| text + &format!("{byte:02x}"))
}
