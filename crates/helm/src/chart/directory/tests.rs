use std::os::unix::fs::symlink;

use super::super::limits::Excess;
use super::*;

const CHART_YAML: &str = "apiVersion: v2\nname: web\nversion: 1.2.3\n";

fn chart_folder(files: &[(&str, &str)]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder can be made");
    for (name, text) in files {
        let path = folder.path().join(name);
        fs::create_dir_all(path.parent().expect("a file has a folder")).expect("a folder can be made");
        fs::write(path, text).expect("a file can be written");
    }
    folder
}

#[test]
fn a_folder_is_loaded_without_what_it_ignores() {
    let folder = chart_folder(&[
        ("Chart.yaml", CHART_YAML),
        (".helmignore", "*.tmp\nsecret/\n"),
        ("templates/a.yaml", "a: 1"),
        ("templates/.hidden", "x"),
        ("junk.tmp", "x"),
        ("secret/key", "x"),
        ("docs/read.md", "x"),
    ]);
    let chart = load(folder.path()).expect("the chart is good");
    let names: Vec<_> = chart.templates.iter().chain(&chart.files).map(|file| file.name.as_str()).collect();
    assert_eq!(names, ["templates/a.yaml", ".helmignore", "docs/read.md"]);
}

#[test]
fn links_within_the_chart_are_followed() {
    let folder = chart_folder(&[("Chart.yaml", CHART_YAML), ("shared/a.yaml", "a: 1")]);
    symlink("shared", folder.path().join("templates")).expect("a link can be made");
    let chart = load(folder.path()).expect("the chart is good");
    assert_eq!(chart.templates[0].name, "templates/a.yaml");
}

#[test]
fn links_out_of_the_chart_are_refused() {
    let outside = chart_folder(&[("passwd", "x")]);
    let folder = chart_folder(&[("Chart.yaml", CHART_YAML)]);
    symlink(outside.path().join("passwd"), folder.path().join("x")).expect("a link can be made");
    assert!(matches!(load(folder.path()), Err(Error::LinkOutside { .. })));
}

#[test]
fn documentation_that_lies_elsewhere_is_left_out() {
    let outside = chart_folder(&[("README.md", "x"), ("LICENSE", "x")]);
    let folder = chart_folder(&[("Chart.yaml", CHART_YAML)]);
    for name in ["README.md", "LICENSE"] {
        symlink(outside.path().join(name), folder.path().join(name)).expect("a link can be made");
    }
    let chart = load(folder.path()).expect("the chart is good");
    assert!(chart.files.is_empty(), "{:?}", chart.files);
}

#[test]
fn a_link_to_nothing_is_told_in_helms_words() {
    let folder = chart_folder(&[("Chart.yaml", CHART_YAML), ("charts/x/Chart.yaml", CHART_YAML)]);
    let root = fs::canonicalize(folder.path()).expect("the folder is there");
    symlink("../no/such.yaml", root.join("charts/crd.yaml")).expect("a link can be made");
    let error = load(&root).expect_err("the link leads nowhere").to_string();
    let root = root.display();
    assert_eq!(
        error,
        format!("error evaluating symlink {root}/charts/crd.yaml: lstat {root}/no: no such file or directory")
    );
}

#[test]
fn a_folder_that_contains_itself_ends() {
    let folder = chart_folder(&[("Chart.yaml", CHART_YAML)]);
    symlink(".", folder.path().join("again")).expect("a link can be made");
    assert!(matches!(load(folder.path()), Err(Error::TooLarge(Excess::PathDepth(_)))));
}
