//! Files that are made from the code, as tests that fail when they are not current; `UPDATE=1 cargo test generated`
//! writes them anew.

use std::fs;
use std::path::Path;

use std::sync::Arc;

use helm::chart::directory;
use helm::engine::{self, Capabilities, Limits, NoLookup, ReleaseInfo, Request, SEED_BYTES};
use k8s_openapi::jiff::{Timestamp, tz::TimeZone};

use crate::api;

/// Where `deploy/install.yaml` puts the operator.
const NAMESPACE: &str = "helm-operator";

fn workspace() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// How a person asks a test to write what it checks.
fn updating() -> bool {
    std::env::var_os("UPDATE").is_some()
}

fn check(path: &str, current: &str) {
    let file = workspace().join(path);
    if updating() {
        fs::create_dir_all(file.parent().expect("a file in a folder")).expect("the folder can be made");
        fs::write(&file, current).expect("the file can be written");
    }
    let there = fs::read_to_string(&file).unwrap_or_default();
    assert!(there == current, "{path} is not current: UPDATE=1 cargo test generated");
}

#[test]
fn generated_definitions_are_current() {
    let mut all =
        "# The custom resources. Deleting them deletes every object of these kinds, HelmReleases among them.\n\
                   # kubectl apply --server-side -f crds.yaml\n"
            .to_owned();
    for (name, definition) in api::definitions() {
        let yaml = api::to_yaml(&definition).expect("a definition is plain data");
        check(&format!("crds/{name}"), &yaml);
        check(&format!("charts/helm-operator/crds/{name}"), &yaml);
        all.extend(["---\n", &yaml]);
    }
    check("deploy/crds.yaml", &all);
}

/// The operator's own chart, rendered by its own engine, behind its namespace. The definitions are a file of their own:
/// who deletes what the operator was installed by must not delete with it what every team has declared.
fn install_manifest() -> String {
    let chart = directory::load(&workspace().join("charts/helm-operator")).expect("our chart loads");
    let rendered = engine::render_on_stack(&Request {
        chart: &chart,
        values: &serde_json::Map::new(),
        release: &ReleaseInfo {
            name: "helm-operator".to_owned(),
            namespace: NAMESPACE.to_owned(),
            revision: 1,
            is_upgrade: false,
        },
        capabilities: &Capabilities::default(),
        lookup: Arc::new(NoLookup),
        now: Timestamp::UNIX_EPOCH.to_zoned(TimeZone::UTC),
        seed: [0; SEED_BYTES],
        limits: Limits::default(),
        templates: None,
        subchart_notes: false,
    });
    let rendered = rendered.expect("our chart renders");
    let mut manifest = format!(
        "# Rendered from charts/helm-operator. Set the image to yours, and apply crds.yaml first:\n\
         # kubectl apply --server-side -f crds.yaml -f install.yaml\n\
         ---\napiVersion: v1\nkind: Namespace\nmetadata:\n  name: {NAMESPACE}\n"
    );
    manifest.push_str(&rendered.manifest);
    manifest
}

#[test]
fn generated_manifest_is_current() {
    check("deploy/install.yaml", &install_manifest());
}
