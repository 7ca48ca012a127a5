//! The house rules that no lint knows, as tests: sizes, layers, purity, names, module docs.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use crate::api::Reason;

/// Most production lines of a file; tests at its end do not count.
const FILE_LIMIT: usize = 500;

/// What a module must not name: the layers, and the purity of the stages that only compute.
const FORBIDDEN: &[(&str, &[&str])] = &[
    (
        "crates/gotmpl/src",
        &["use helm::", "use tokio", "use kube", "std::time::SystemTime", "std::fs", "std::env", "HashMap"],
    ),
    (
        "crates/formats/src",
        &["use helm::", "use tokio", "use kube", "std::time::SystemTime", "std::fs", "std::env", "HashMap"],
    ),
    (
        "crates/primes/src",
        &["use helm::", "use tokio", "use kube", "std::time::SystemTime", "std::fs", "std::env", "HashMap"],
    ),
    (
        "crates/helm/src",
        &[
            "use tokio",
            "use kube",
            "use k8s_openapi",
            "std::env",
            "TcpStream",
            "UdpSocket",
            "SystemTime::now",
            "HashMap",
        ],
    ),
    (
        "src/api",
        &["crate::cluster", "crate::registry", "crate::history", "crate::controller", "kube::Client", "kube::Api"],
    ),
    ("src/registry", &["crate::api", "crate::cluster", "crate::history", "crate::controller", "kube::"]),
    ("src/cluster", &["crate::api", "crate::registry", "crate::history", "crate::controller"]),
    ("src/history", &["crate::api", "crate::registry", "crate::controller"]),
    ("src/template", &["kube::", "k8s_openapi", "crate::cluster", "crate::history", "crate::controller"]),
    ("src/diff.rs", &["crate::cluster", "crate::registry"]),
    ("src/diff", &["crate::cluster", "crate::registry"]),
    // Who touches objects or records takes a place: it says in which cluster, as whom, and how far it reaches.
    ("src/controller/release/act", &["context.home", "no_cross_namespace_refs"]),
    ("src/controller/release/plan.rs", &["async ", "await", "Context", "crate::cluster", "crate::registry", "now()"]),
    ("src/controller/release/approval.rs", &["async ", "await", "Context", "crate::cluster", "now()"]),
    ("src/controller/release/validate.rs", &["async ", "await", "Context", "crate::cluster", "now()"]),
    ("src/controller/release/remediation.rs", &["async ", "await", "Context", "crate::cluster", "now()"]),
    ("src/controller/matching.rs", &["async ", "await", "Context", "crate::cluster", "History", "now()"]),
    ("src/controller/index.rs", &["async ", "await", "Context", "crate::cluster", "History", "now()"]),
    ("src/controller/ownership.rs", &["async ", "await", "Context", "crate::cluster", "crate::registry", "now()"]),
    ("src/controller/source.rs", &["async ", "await", "Context", "crate::cluster", "crate::history", "now()"]),
    ("src/controller/repository/report.rs", &["async ", "await", "Context", "now()"]),
    ("src", &["Timestamp::now", "std::env::var"]),
];

/// Modules, each below those that follow, and what it imports.
type Modules = &'static [(&'static str, &'static [&'static str])];

/// The crates whose modules have an order.
const MODULE_ORDER: &[(&str, Modules)] = &[
    ("crates/formats/src/", &[("go", &[]), ("json", &["go"]), ("toml", &["go", "json"]), ("yaml", &["go", "json"])]),
    (
        "crates/helm/src/",
        &[
            ("host", &[]),
            ("semver", &[]),
            ("strvals", &[]),
            ("given", &[]),
            ("warning", &[]),
            ("wire", &[]),
            ("functions", &["host", "semver"]),
            ("manifest", &["warning", "wire"]),
            ("chance", &["manifest"]),
            ("selector", &[]),
            ("postrender", &["manifest", "selector"]),
            ("chart", &["functions", "given", "semver"]),
            ("values", &["chart", "given", "semver", "warning"]),
            ("release", &["chart", "manifest", "values", "wire"]),
            ("engine", &["chart", "functions", "given", "host", "manifest", "semver", "values", "warning"]),
        ],
    ),
];

/// Where a forbidden word may stand: the one way to what it stands for.
const EXCEPTIONS: &[(&str, &str)] = &[
    ("src/controller/context.rs", "Timestamp::now"),
    // The time of a record is part of the record, not of a decision.
    ("src/history/mod.rs", "Timestamp::now"),
    ("src/generated.rs", "std::env::var"),
    // A lease is nothing but times.
    ("src/leader.rs", "Timestamp::now"),
];

/// Names under which helpers gather that belong to nobody.
const VAGUE_NAMES: &[&str] = &["utils.rs", "util.rs", "common.rs", "types.rs", "helpers.rs", "misc.rs"];

fn workspace() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// All Rust files below `folder`, by their path from the workspace.
fn files(folder: &str) -> Vec<(String, String)> {
    let mut pending = vec![workspace().join(folder)];
    let mut found = Vec::new();
    while let Some(path) = pending.pop() {
        if path.is_dir() {
            let entries = fs::read_dir(&path).expect("a folder of the workspace can be read");
            pending.extend(entries.map(|entry| entry.expect("an entry can be read").path()));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = fs::read_to_string(&path).expect("a source file is text");
            found.push((relative(&path), text));
        }
    }
    assert!(!found.is_empty(), "no source files below {folder}: has it moved?");
    found.sort();
    found
}

fn relative(path: &Path) -> String {
    let path: PathBuf = path.strip_prefix(workspace()).expect("below the workspace").to_path_buf();
    path.to_string_lossy().into_owned()
}

fn all() -> Vec<(String, String)> {
    ["src", "crates/formats/src", "crates/gotmpl/src", "crates/helm/src", "crates/primes/src", "e2e/src"]
        .into_iter()
        .flat_map(files)
        .collect()
}

fn is_test(name: &str) -> bool {
    name.split('/').next_back() == Some("tests.rs") || name.contains("/tests/") || name == "src/tidy.rs"
}

/// The part of a file before its test module.
fn production(text: &str) -> &str {
    text.split("\n#[cfg(test)]\nmod ").next().unwrap_or(text)
}

fn report(rule: &str, offences: &[String]) {
    assert!(offences.is_empty(), "{rule}:\n  {}", offences.join("\n  "));
}

#[test]
fn files_stay_short() {
    let long = all().into_iter().filter(|(name, _)| !is_test(name)).filter_map(|(name, text)| {
        let lines = production(&text).lines().count();
        (lines > FILE_LIMIT).then(|| format!("{name}: {lines} lines"))
    });
    report("a file has at most 500 production lines", &long.collect::<Vec<_>>());
}

#[test]
fn every_module_says_what_it_is() {
    let silent = all().into_iter().filter(|(name, text)| !is_test(name) && !text.trim_start().starts_with("//!"));
    report("a module begins with //!", &silent.map(|(name, _)| name).collect::<Vec<_>>());
}

#[test]
fn layers_and_purity_hold() {
    let mut offences = Vec::new();
    for (place, words) in FORBIDDEN {
        let folder = if Path::new(place).extension().is_some() {
            place.rsplit_once('/').map_or(*place, |(folder, _)| folder)
        } else {
            place
        };
        for (name, text) in files(folder).into_iter().filter(|(name, _)| name.starts_with(place) && !is_test(name)) {
            let code = production(&text).lines().enumerate().filter(|(_, line)| !line.trim_start().starts_with("//"));
            for (number, line) in code {
                let word =
                    words.iter().find(|word| line.contains(**word) && !EXCEPTIONS.contains(&(name.as_str(), **word)));
                offences.extend(word.map(|word| format!("{name}:{}: {word}", number + 1)));
            }
        }
    }
    report("a module names only what its place in the flow allows (see lib.rs)", &offences);
}

/// What a file imports of its own crate: `crate::NAME`, and each of `crate::{NAME, …}`.
fn imported(text: &str) -> BTreeSet<&str> {
    let code = production(text).split('\n').filter(|line| !line.trim_start().starts_with("//"));
    let named = code.flat_map(|line| line.split("crate::").skip(1)).flat_map(|rest| match rest.strip_prefix('{') {
        Some(several) => several.split('}').next().unwrap_or(several).split(", ").collect(),
        None => vec![rest],
    });
    named
        .map(|name| &name[..name.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(name.len())])
        .collect()
}

/// What each module of a crate imports of the others.
fn imports_of_modules(root: &str) -> BTreeMap<String, BTreeSet<String>> {
    let mut uses: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for (name, text) in files(root).iter().filter(|(name, _)| !is_test(name) && !name.ends_with("/lib.rs")) {
        let module = name[root.len()..].split('/').next().unwrap_or_default().trim_end_matches(".rs");
        let imports = imported(text).into_iter().filter(|import| *import != module).map(str::to_owned);
        uses.entry(module.to_owned()).or_default().extend(imports);
    }
    uses
}

#[test]
fn modules_import_only_those_below_them() {
    let mut offences = Vec::new();
    for (root, modules) in MODULE_ORDER {
        let listed = modules.iter().map(|(module, imports)| {
            ((*module).to_owned(), imports.iter().map(|import| (*import).to_owned()).collect::<BTreeSet<_>>())
        });
        let uses = imports_of_modules(root);
        assert_eq!(uses, listed.collect(), "left what the modules of {root} import, right what the table says");
        for (place, (module, imports)) in modules.iter().enumerate() {
            let below = |import: &&&str| modules[..place].iter().any(|(lower, _)| lower == *import);
            offences.extend(
                imports.iter().filter(|import| !below(import)).map(|import| format!("{module} imports {import}")),
            );
        }
    }
    report("a module imports only from those below it", &offences);
}

#[test]
fn no_file_has_a_vague_name() {
    let named = |name: &String| {
        VAGUE_NAMES.iter().any(|root| name.strip_suffix(root).is_some_and(|folder| folder.ends_with('/')))
    };
    let vague: Vec<_> = all().into_iter().map(|(name, _)| name).filter(named).collect();
    report("a helper lives with its caller", &vague);
}

/// Where reasons are declared, and where each has its reaction: neither gives one.
const REASON_TABLES: [&str; 2] = ["src/api/reason.rs", "src/controller/error.rs"];

#[test]
fn every_reason_is_given_somewhere() {
    let sources =
        files("src").into_iter().filter(|(name, _)| !is_test(name) && !REASON_TABLES.contains(&name.as_str()));
    let code: String = sources.map(|(_, text)| production(&text).to_owned()).collect();
    let words: BTreeSet<&str> = code
        .split("Reason::")
        .skip(1)
        .map(|rest| &rest[..rest.find(|c: char| !c.is_ascii_alphanumeric()).unwrap_or(rest.len())])
        .collect();
    let never = Reason::ALL.iter().map(Reason::to_string).filter(|reason| !words.contains(reason.as_str()));
    report("a reason that nothing gives has no place in the API", &never.collect::<Vec<_>>());
}

#[test]
fn nothing_is_left_for_later() {
    let unfinished = ["todo!(", "unimplemented!(", "#[ignore", concat!("FIX", "ME"), concat!("TO", "DO")];
    let mut offences = Vec::new();
    for (name, text) in all().into_iter().filter(|(name, _)| name != "src/tidy.rs") {
        for (number, line) in text.lines().enumerate() {
            offences.extend(
                unfinished
                    .iter()
                    .find(|word| line.contains(**word))
                    .map(|word| format!("{name}:{}: {word}", number + 1)),
            );
        }
    }
    report("what is there is finished", &offences);
}

/// The tests that a document names as `FILE::TEST`.
fn named(document: &str) -> impl Iterator<Item = (&str, &str)> {
    let is_name = |text: &str| text.bytes().all(|it| matches!(it, b'a'..=b'z' | b'0'..=b'9' | b'_' | b'/'));
    let quoted = document.split('`').skip(1).step_by(2);
    quoted.filter_map(|text| text.split_once("::")).filter(move |(file, test)| is_name(file) && is_name(test))
}

/// Whether `text` has a test of that name.
fn has_test(text: &str, name: &str) -> bool {
    let before = text.split(&format!("fn {name}(")).next().filter(|before| before.len() < text.len());
    let attribute = before.and_then(|before| before.rsplit("#[").next()).unwrap_or_default();
    (attribute.starts_with("test]") || attribute.starts_with("tokio::test")) && !attribute.contains("fn ")
}

#[test]
fn tests_that_the_page_on_flux_names_exist() {
    let page = fs::read_to_string(workspace().join("docs/flux.md")).expect("the page can be read");
    let sources: BTreeMap<_, _> = ["src", "crates", "e2e/tests"].into_iter().flat_map(files).collect();
    let is_there = |(file, test): &(&str, &str)| {
        [format!("{file}.rs"), format!("e2e/tests/{file}.rs")]
            .iter()
            .any(|path| sources.get(path).is_some_and(|text| has_test(text, test)))
    };
    assert!(named(&page).count() > 100, "no tests are found in the page: is a test still named FILE::TEST?");
    let missing: Vec<_> =
        named(&page).filter(|it| !is_there(it)).map(|(file, test)| format!("{file}::{test}")).collect();
    report("a test that docs/flux.md names exists", &missing);
}

#[test]
fn the_page_on_flux_has_each_scenario_once() {
    let page = fs::read_to_string(workspace().join("docs/flux.md")).expect("the page can be read");
    let (_, table) = page.split_once("## Every scenario").expect("a part about scenarios");
    let cells = table.lines().filter_map(|line| line.strip_prefix("| ")?.split(" | ").next());
    let ranges = cells.flat_map(|cell| cell.split(", ")).filter_map(|range| {
        let (first, last) = range.split_once('–').unwrap_or((range, range));
        Some(first.parse::<u32>().ok()?..=last.parse().ok()?)
    });
    let mut scenarios: Vec<u32> = ranges.flatten().collect();
    scenarios.sort_unstable();
    assert_eq!(scenarios, (1..=120).collect::<Vec<_>>());
}
