//! Files that are made from the code, as tests that fail when they are not current; `UPDATE=1 cargo test generated`
//! writes them anew.

use std::fs;
use std::path::Path;

use crate::api;

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
    for (name, definition) in api::definitions() {
        let yaml = api::to_yaml(&definition).expect("a definition is plain data");
        check(&format!("crds/{name}"), &yaml);
        check(&format!("charts/helm-operator/crds/{name}"), &yaml);
    }
}
