//! `template CHART [-f VALUES]… [--ready N]`: prints what `helm template` prints, for comparing the two.

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::Path;
use std::sync::Arc;

use helm::chart::{archive, directory};
use helm::engine::{self, Capabilities, Limits, NoLookup, ReleaseInfo, Rendered, Request};
use helm::values;

fn main() -> std::process::ExitCode {
    let mut args = std::env::args().skip(1);
    let chart = args.next().unwrap_or_else(|| ".".to_owned());
    let files: Vec<String> = args.filter(|arg| arg != "-f").collect();
    let (text, code) = match template(&chart, &files) {
        Ok(text) => (text, std::process::ExitCode::SUCCESS),
        Err(error) => (format!("Error: {error}\n"), std::process::ExitCode::FAILURE),
    };
    match std::io::stdout().write_all(text.as_bytes()) {
        Ok(()) => code,
        Err(_) => std::process::ExitCode::FAILURE,
    }
}

fn template(chart: &str, files: &[String]) -> Result<String, Box<dyn std::error::Error>> {
    let path = Path::new(chart);
    let chart = if path.is_dir() {
        directory::load(path)?
    } else {
        archive::load(&std::fs::read(path)?, &archive::Limits::default())?
    };
    let mut all = values::ValuesMap::new();
    for file in files {
        values::merge(&mut all, values::parse(&std::fs::read_to_string(file)?)?);
    }
    let release = ReleaseInfo {
        name: "release-name".to_owned(),
        namespace: "default".to_owned(),
        revision: 1,
        is_upgrade: false,
    };
    let request = Request {
        chart: &chart,
        values: &all,
        release: &release,
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
