//! Charts of our own, rendered by Helm and by us.
//!
//! A case is a folder `tests/cases/AREA/STORY`:
//! - `chart/`: the chart,
//! - `values.yaml`, if it has values: those of the release,
//! - `request.json`, if it is not Helm's default request: `name`, `namespace`, `kubeVersion`, `apiVersions`,
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

use helm::chart::{Chart, directory};
use helm::engine::{self, Capabilities, KubeVersion, Limits, NoLookup, ReleaseInfo, Request};
use helm::release::ReleaseChart;
use helm::values::{self, ActiveChart, ValuesMap};
use serde::Deserialize;
use serde_json::{Value, json};

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
struct Wish {
    name: Option<String>,
    namespace: Option<String>,
    kube_version: Option<String>,
    api_versions: Vec<String>,
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
        let outcome = directory::load(&self.folder.join("chart"))
            .map_err(|error| error.to_string())
            .and_then(|chart| self.render_chart(&chart));
        outcome.unwrap_or_else(|error| failure(&error))
    }

    fn render_chart(&self, chart: &Chart) -> Result<Outcome, String> {
        let values = match fs::read_to_string(self.folder.join("values.yaml")) {
            Ok(text) => values::parse(&text).map_err(|error| format!("failed to parse values.yaml: {error}"))?,
            Err(_) => ValuesMap::new(),
        };
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
        };
        let rendered = engine::render_on_stack(&request).map_err(|error| error.to_string())?;
        let active = ActiveChart::new(chart, &values).map_err(|error| error.to_string())?;
        let hooks = rendered.hooks.iter().map(|hook| (hook.path.as_str(), hook.manifest.as_str()));
        let record = serde_json::to_value(ReleaseChart::from(&active)).map_err(|error| error.to_string())?;
        Ok(success((&rendered.manifest, hooks.collect()), &rendered.notes, &record))
    }

    /// What the real Helm makes of it.
    fn ask_helm(&self) -> Outcome {
        let Wish { kube_version, api_versions, .. } = &self.wish;
        let mut helm = Command::new(helm_program());
        // Only `helm install` tells everything, but only `helm template` can pretend to be another cluster.
        let pretends = kube_version.is_some() || !api_versions.is_empty();
        if pretends {
            helm.args(["template", self.name(), "chart"]);
        } else {
            helm.args(["install", self.name(), "chart", "--dry-run=client", "-o", "json"]);
        }
        helm.args(["--namespace", self.namespace()]);
        helm.args(kube_version.iter().flat_map(|version| ["--kube-version", version]));
        helm.args(api_versions.iter().flat_map(|version| ["--api-versions", version]));
        if self.folder.join("values.yaml").exists() {
            helm.args(["-f", "values.yaml"]);
        }
        let output = helm.current_dir(&self.folder).output().expect("helm runs");
        if !output.status.success() {
            return failure(&error_of(&output.stderr));
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

fn failure(error: &str) -> Outcome {
    Outcome::from([("error.txt", error.trim_end().to_owned() + "\n")])
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
        let recorded = json!({ "metadata": chart["metadata"], "values": chart["values"] });
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

#[test]
fn charts_render_as_helm_renders_them() {
    let all = cases(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases"));
    let only = std::env::var("CASE").unwrap_or_default();
    let update = std::env::var_os("UPDATE").is_some();
    let mut failures = String::new();
    for folder in all.into_iter().filter(|folder| folder.to_string_lossy().contains(&only)) {
        let case = Case::read(folder);
        if update {
            write_expected(&case.folder, &case.ask_helm());
        }
        let (expected, found) = (read_expected(&case.folder), case.render());
        if expected != found {
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
