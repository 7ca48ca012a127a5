//! Charts of our own, rendered by Helm and by us.
//!
//! A case is a folder `tests/cases/AREA/STORY`:
//! - `chart/`: the chart,
//! - `values.yaml`, if it has values: those of the release,
//! - `request.json`, if it is not Helm's default request: `name`, `namespace`, `kubeVersion`, `apiVersions`, `values`
//!   (files, instead of `values.yaml`), lines for `set`, `setString`, `setJson`, `setLiteral`, and `subchartNotes`,
//! - what Helm 4.3.1 makes of it: `expected.yaml` (manifests, then hooks), `notes.txt` if there are notes, `chart.json`
//!   (what is recorded of a chart with dependencies), or `error.txt` alone.
//!
//! `UPDATE=1 cargo test -p helm --test cases` asks the real Helm anew: `$HELM`, or the one that the e2e harness builds.
//! `CASE=text` looks only at cases whose path contains the text.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use formats::json;
use helm::chart::{Chart, directory};
use helm::engine::{self, Capabilities, KubeVersion, Limits, NoLookup, ReleaseInfo, Request, SchemaCheck};
use helm::release::{ReleaseChart, ReleaseName};
use helm::strvals;
use helm::values::{self, ActiveChart};
use serde::Deserialize;
use serde_json::Value;

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
struct Wish {
    name: Option<String>,
    namespace: Option<String>,
    kube_version: Option<String>,
    api_versions: Vec<String>,
    values: Vec<String>,
    set_json: Vec<String>,
    set: Vec<String>,
    set_string: Vec<String>,
    set_literal: Vec<String>,
    subchart_notes: bool,
}

/// What becomes of a case: texts by the names of the files they are kept in.
type Outcome = BTreeMap<&'static str, String>;

const FILES: [&str; 4] = ["expected.yaml", "notes.txt", "chart.json", "error.txt"];

struct Case {
    folder: PathBuf,
    wish: Wish,
}

impl Case {
    fn read(folder: PathBuf) -> Self {
        let wish = match fs::read(folder.join("request.json")) {
            Ok(text) => serde_json::from_slice(&text).expect("request.json is a request"),
            Err(_) => Wish::default(),
        };
        Self { folder, wish }
    }

    fn name(&self) -> &str {
        self.wish.name.as_deref().unwrap_or("release-name")
    }

    fn namespace(&self) -> &str {
        self.wish.namespace.as_deref().unwrap_or("default")
    }

    /// What our engine makes of it.
    fn render(&self) -> Outcome {
        // Helm looks at the name first.
        let name = ReleaseName::parse(self.name())
            .map_err(|error| format!("release name check failed: release name {:?}: {error}", self.name()));
        let load = |_| directory::load(&self.folder.join("chart")).map_err(|error| error.to_string());
        let render = |chart: Chart| {
            let rendered = engine::on_stack(|| self.render_chart(&chart));
            rendered.map_err(|error| error.to_string()).and_then(|rendered| rendered)
        };
        let outcome = name.and_then(load).and_then(render);
        outcome.unwrap_or_else(|error| self.failure(&error))
    }

    /// An error, with paths as seen from the case.
    fn failure(&self, error: &str) -> Outcome {
        let folder = format!("{}/", self.folder.display());
        Outcome::from([("error.txt", error.trim_end().replace(&folder, "") + "\n")])
    }

    fn value_files(&self) -> Vec<&str> {
        let default = self.folder.join("values.yaml").exists().then_some("values.yaml");
        let named = self.wish.values.iter().map(String::as_str);
        if self.wish.values.is_empty() { default.into_iter().collect() } else { named.collect() }
    }

    /// What the files and lines of the request say together.
    fn values(&self) -> Result<gotmpl::Map, String> {
        let map = gotmpl::Map::any(BTreeMap::new());
        for file in self.value_files() {
            let text = fs::read(self.folder.join(file)).map_err(|error| error.to_string())?;
            let parsed = values::parse_typed(&text).map_err(|error| format!("failed to parse {file}: {error}"))?;
            values::merge_typed(&map, &parsed);
        }
        let Wish { set, set_string, set_json, set_literal, .. } = &self.wish;
        for line in set_json {
            strvals::parse_json_into(line, &map).map_err(|_| format!("failed parsing --set-json data {line}"))?;
        }
        for line in set {
            strvals::parse_into(line, &map).map_err(|error| format!("failed parsing --set data: {error}"))?;
        }
        for line in set_string {
            let parsed = strvals::parse_string_into(line, &map);
            parsed.map_err(|error| format!("failed parsing --set-string data: {error}"))?;
        }
        for line in set_literal {
            let parsed = strvals::parse_literal_into(line, &map);
            parsed.map_err(|error| format!("failed parsing --set-literal data: {error}"))?;
        }
        Ok(map)
    }

    fn render_chart(&self, chart: &Chart) -> Result<Outcome, String> {
        let typed = self.values()?;
        let Value::Object(values) = json::to_serde(&typed.clone().into()) else { return Err("no map".to_owned()) };
        let mut capabilities = Capabilities::default();
        "v4.3".clone_into(&mut capabilities.helm_version.version);
        if let Some(version) = &self.wish.kube_version {
            capabilities.kube_version = KubeVersion::parse(version).map_err(|error| error.to_string())?;
        }
        let known = capabilities.api_versions.iter().chain(&self.wish.api_versions);
        capabilities.api_versions = known.cloned().collect();
        let (name, namespace) = (self.name().to_owned(), self.namespace().to_owned());
        let request = Request {
            chart,
            values: &values,
            release: &ReleaseInfo { name, namespace, revision: 1, is_upgrade: false },
            capabilities: &capabilities,
            lookup: Arc::new(NoLookup),
            now: jiff::Zoned::default(),
            seed: [0; engine::SEED_BYTES],
            limits: Limits::default(),
            templates: None,
            subchart_notes: self.wish.subchart_notes,
        };
        let rendered =
            engine::render_typed(&request, &typed, SchemaCheck::Enforce).map_err(|error| error.to_string())?;
        let active = ActiveChart::new(chart, &values).map_err(|error| error.to_string())?;
        let hooks = rendered.hooks.iter().map(|hook| (hook.path.as_str(), hook.manifest.as_str()));
        let record = serde_json::to_value(ReleaseChart::from(&active)).map_err(|error| error.to_string())?;
        Ok(success((&rendered.manifest, hooks.collect()), &rendered.notes, &record))
    }

    /// What the real Helm makes of it.
    fn ask_helm(&self) -> Outcome {
        let Wish { kube_version, api_versions, set, set_string, set_json, set_literal, .. } = &self.wish;
        let mut helm = Command::new(helm_program());
        // Only `helm install` tells everything, but only `helm template` can pretend to be another cluster.
        let pretends = kube_version.is_some() || !api_versions.is_empty();
        if pretends {
            helm.args(["template", self.name(), "chart"]);
        } else {
            helm.args(["install", self.name(), "chart", "--dry-run=client", "-o", "json"]);
        }
        helm.args(["--namespace", self.namespace()]);
        helm.args(self.wish.subchart_notes.then_some("--render-subchart-notes"));
        helm.args(kube_version.iter().flat_map(|version| ["--kube-version", version]));
        helm.args(api_versions.iter().flat_map(|version| ["--api-versions", version]));
        helm.args(self.value_files().into_iter().flat_map(|file| ["-f", file]));
        for (flag, lines) in
            [("--set", set), ("--set-string", set_string), ("--set-json", set_json), ("--set-literal", set_literal)]
        {
            helm.args(lines.iter().flat_map(|line| [flag, line]));
        }
        let output = helm.current_dir(&self.folder).output().expect("helm runs");
        if !output.status.success() {
            return self.failure(&error_of(&output.stderr));
        }
        let text = String::from_utf8(output.stdout).expect("helm prints UTF-8");
        if pretends {
            return success((&text, Vec::new()), "", &Value::Null);
        }
        let release: Value = serde_json::from_str(&text).expect("helm prints JSON");
        let hooks = release["hooks"].as_array().map(Vec::as_slice).unwrap_or_default();
        let hooks = hooks.iter().map(|hook| (text_of(&hook["path"]), text_of(&hook["manifest"])));
        let notes = text_of(&release["info"]["notes"]);
        success((text_of(&release["manifest"]), hooks.collect()), notes, &release["chart"])
    }
}

fn text_of(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

fn success((manifest, hooks): (&str, Vec<(&str, &str)>), notes: &str, chart: &Value) -> Outcome {
    let mut expected = manifest.trim().to_owned() + "\n";
    for (path, manifest) in hooks {
        write!(expected, "---\n# Source: {path}\n{manifest}\n").expect("writing to a string does not fail");
    }
    let mut outcome = Outcome::from([("expected.yaml", expected)]);
    if !notes.is_empty() {
        outcome.insert("notes.txt", notes.to_owned());
    }
    if chart["metadata"]["dependencies"].is_array() {
        let recorded = serde_json::json!({ "metadata": chart["metadata"], "values": chart["values"] });
        outcome.insert("chart.json", format!("{recorded:#}\n"));
    }
    outcome
}

/// Helm's own error, without its log and its advice.
fn error_of(stderr: &[u8]) -> String {
    let text = String::from_utf8_lossy(stderr);
    let error = text.split_once("Error: ").map_or(&*text, |(_, error)| error);
    let error = error.strip_prefix("INSTALLATION FAILED: ").unwrap_or(error);
    error.split("\n\nUse --debug flag").next().unwrap_or(error).trim_end().to_owned()
}

fn helm_program() -> PathBuf {
    if let Some(helm) = std::env::var_os("HELM") {
        return helm.into();
    }
    let home = std::env::var_os("HOME").expect("there is a home");
    Path::new(&home).join(".cache/helm-operator/tools/helm-v4.3.1/helm")
}

fn cases(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let entries = fs::read_dir(folder).expect("the folder can be read");
    for entry in entries.map(|entry| entry.expect("the entry can be read").path()) {
        if entry.join("chart").is_dir() {
            found.push(entry);
        } else if entry.is_dir() {
            found.extend(cases(&entry));
        }
    }
    found.sort();
    found
}

fn read_expected(folder: &Path) -> Outcome {
    let read = |name| fs::read_to_string(folder.join(name)).ok().map(|text| (name, text));
    FILES.into_iter().filter_map(read).collect()
}

fn write_expected(folder: &Path, outcome: &Outcome) {
    for name in FILES {
        let file = folder.join(name);
        match outcome.get(name) {
            Some(text) => fs::write(&file, text).expect("what is expected can be written"),
            None if file.exists() => fs::remove_file(&file).expect("what is not expected any more can go"),
            None => {}
        }
    }
}

/// Whether outcomes are equal, but for what is in a random order in Helm: complaints about values, notes of several charts.
fn same(one: &Outcome, other: &Outcome) -> bool {
    fn lines(text: &str) -> Vec<&str> {
        let mut lines: Vec<_> = text.lines().collect();
        lines.sort_unstable();
        lines
    }
    if let (Some(one), Some(other)) = (one.get("error.txt"), other.get("error.txt")) {
        return one == other || one.starts_with("values don't meet") && lines(one) == lines(other);
    }
    let (mut one, mut other) = (one.clone(), other.clone());
    let notes = [one.remove("notes.txt"), other.remove("notes.txt")].map(Option::unwrap_or_default);
    one == other && lines(&notes[0]) == lines(&notes[1])
}

/// So many cases there are at least.
const LEAST: usize = 400;

#[test]
fn charts_render_as_helm_renders_them() {
    let all = cases(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases"));
    assert!(all.len() >= LEAST, "only {} cases: have they moved?", all.len());
    let only = std::env::var("CASE").unwrap_or_default();
    assert!(only.is_empty() || std::env::var_os("CI").is_none(), "CASE={only} leaves cases out");
    let update = std::env::var_os("UPDATE").is_some();
    let mut failures = String::new();
    let chosen: Vec<_> = all.into_iter().filter(|folder| folder.to_string_lossy().contains(&only)).collect();
    assert!(!chosen.is_empty(), "no case has {only:?} in its path");
    for folder in chosen {
        let case = Case::read(folder);
        if update {
            let asked = case.ask_helm();
            if !same(&read_expected(&case.folder), &asked) {
                write_expected(&case.folder, &asked);
            }
        }
        let (expected, found) = (read_expected(&case.folder), case.render());
        if !same(&expected, &found) {
            let folder = case.folder.display();
            for (name, text) in expected {
                if found.get(name) != Some(&text) {
                    write!(failures, "=== {folder}/{name}\n{text}").expect("writing to a string does not fail");
                }
            }
            for (name, text) in found {
                write!(failures, "--- ours {name}\n{text}").expect("writing to a string does not fail");
            }
        }
    }
    assert!(failures.is_empty(), "{failures}");
}
