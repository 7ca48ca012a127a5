//! Compares our rendering with the real Helm's, over charts that are not ours.
//!
//! - `parity CHART [VALUES]…` prints what `helm template CHART -f VALUES…` prints.
//! - `parity --corpus FOLDER [TEXT]` compares the two over a corpus: `FOLDER/index.json` lists charts as
//!   `{"path": …, "values": […]}`. Charts whose path lacks TEXT are passed over. `$HELM` is the Helm to ask (`helm`).
//!
//! Where Helm itself is not repeatable, only the lines that it renders twice the same are compared.

use std::error::Error;
use std::fmt::Write as _;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::sync::Arc;

use helm::chart::{archive, directory};
use helm::engine::{self, Capabilities, Limits, NoLookup, ReleaseInfo, Rendered, Request};
use helm::values;

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let outcome = match args.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["--corpus", folder] => compare_all(Path::new(folder), ""),
        ["--corpus", folder, text] => compare_all(Path::new(folder), text),
        [chart, ref values @ ..] => {
            template(Path::new(chart), &values.iter().map(PathBuf::from).collect::<Vec<_>>()).map(|text| (text, true))
        }
        [] => Err("usage: parity CHART [VALUES]… | parity --corpus FOLDER [TEXT]".into()),
    };
    let (text, good) = outcome.unwrap_or_else(|error| (format!("Error: {error}\n"), false));
    let written = std::io::stdout().write_all(text.as_bytes()).is_ok();
    if good && written { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn template(path: &Path, files: &[PathBuf]) -> Result<String, Box<dyn Error>> {
    let chart = if path.is_dir() {
        directory::load(path)?
    } else {
        archive::load(&fs::read(path)?, &archive::Limits::default())?
    };
    let mut all = values::ValuesMap::new();
    for file in files {
        values::merge(&mut all, values::parse(&fs::read_to_string(file)?)?);
    }
    let (name, namespace) = ("release-name".to_owned(), "default".to_owned());
    let request = Request {
        chart: &chart,
        values: &all,
        release: &ReleaseInfo { name, namespace, revision: 1, is_upgrade: false },
        capabilities: &Capabilities::default(),
        lookup: Arc::new(NoLookup),
        now: jiff::Zoned::now(),
        seed: [7; engine::SEED_BYTES],
        limits: Limits::default(),
        templates: None,
    };
    Ok(print(&engine::render_on_stack(&request)?))
}

/// As `helm template` prints it: the manifests, then the hooks.
fn print(rendered: &Rendered) -> String {
    let mut text = rendered.manifest.trim().to_owned() + "\n";
    for hook in &rendered.hooks {
        write!(text, "---\n# Source: {}\n{}\n", hook.path, hook.manifest).expect("writing to a string does not fail");
    }
    text
}

/// Compares every chart of a corpus with its default values and with each of its values files.
fn compare_all(folder: &Path, wanted: &str) -> Result<(String, bool), Box<dyn Error>> {
    let index: Vec<serde_json::Value> = serde_json::from_slice(&fs::read(folder.join("index.json"))?)?;
    let (mut report, mut same, mut different) = (String::new(), 0, 0);
    for entry in &index {
        let path = entry["path"].as_str().ok_or("an entry of the index has no path")?;
        if !path.contains(wanted) {
            continue;
        }
        let values = entry["values"].as_array().map(Vec::as_slice).unwrap_or_default();
        let values = values.iter().filter_map(serde_json::Value::as_str).map(|file| vec![folder.join(path).join(file)]);
        for files in std::iter::once(Vec::new()).chain(values) {
            match compare(&folder.join(path), &files)? {
                None => same += 1,
                Some(difference) => {
                    different += 1;
                    writeln!(report, "{path} {files:?}\n{difference}")?;
                }
            }
        }
    }
    writeln!(report, "{same} the same, {different} different")?;
    Ok((report, different == 0))
}

/// How ours differs from Helm's, be it output or error.
fn compare(chart: &Path, files: &[PathBuf]) -> Result<Option<String>, Box<dyn Error>> {
    let ours = template(chart, files).map_err(|error| error.to_string());
    let helms = ask_helm(chart, files)?;
    if ours == helms {
        return Ok(None);
    }
    Ok(match (ours, helms) {
        (Ok(ours), Ok(helms)) => {
            // A chart that prints the time prints another one by then.
            std::thread::sleep(std::time::Duration::from_millis(1100));
            let again = ask_helm(chart, files)?.unwrap_or_default();
            first_difference(&ours, &helms, &again)
        }
        (ours, helms) => {
            let show = |outcome: Result<String, String>| outcome.map_or_else(|error| error, |_| "renders".to_owned());
            Some(format!("  helm: {}\n  ours: {}", show(helms), show(ours)))
        }
    })
}

fn first_difference(ours: &str, helms: &str, again: &str) -> Option<String> {
    if helms.lines().count() != ours.lines().count() {
        return Some("  the number of lines differs".to_owned());
    }
    let mut lines = helms.lines().zip(again.lines()).zip(ours.lines());
    let ((helms, _), ours) = lines.find(|((first, second), ours)| first == second && first != ours)?;
    Some(format!("  helm: {helms}\n  ours: {ours}"))
}

/// What Helm prints, or its error without log and advice.
fn ask_helm(chart: &Path, files: &[PathBuf]) -> Result<Result<String, String>, Box<dyn Error>> {
    let mut helm = Command::new(std::env::var_os("HELM").unwrap_or_else(|| "helm".into()));
    helm.arg("template").arg(chart);
    for file in files {
        helm.arg("-f").arg(file);
    }
    let output = helm.output()?;
    if output.status.success() {
        return Ok(Ok(String::from_utf8_lossy(&output.stdout).into_owned()));
    }
    let stderr = String::from_utf8_lossy(&output.stderr);
    let error = stderr.split_once("Error: ").map_or(&*stderr, |(_, error)| error);
    Ok(Err(error.split("\n\nUse --debug flag").next().unwrap_or(error).trim_end().to_owned()))
}
