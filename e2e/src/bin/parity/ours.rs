//! Our side: what `helm-operator template` prints.

use std::error::Error;
use std::fmt::Write as _;
use std::fs;
use std::sync::Arc;

use helm::chart::{archive, directory};
use helm::engine::{self, Capabilities, Limits, NoLookup, ReleaseInfo, Rendered, Request};
use helm::values;

use crate::case::Case;
use crate::helm::{Answer, RELEASE};

/// What we make of `case`, and whether we make the same of it every time.
pub(crate) fn answer(case: &Case) -> (Answer, bool) {
    match render(case) {
        Ok(rendered) => (Ok(print(&rendered).into_bytes()), rendered.repeatable),
        Err(error) => (Err(error.to_string().trim_end().to_owned()), true),
    }
}

fn render(case: &Case) -> Result<Rendered, Box<dyn Error>> {
    let chart = if case.chart.is_dir() {
        directory::load(&case.chart)?
    } else {
        archive::load(&fs::read(&case.chart)?, &archive::Limits::default())?
    };
    let mut all = values::ValuesMap::new();
    for file in &case.values {
        let parsed = values::parse(&fs::read_to_string(file)?);
        values::merge(&mut all, parsed.map_err(|error| format!("failed to parse {}: {error}", file.display()))?);
    }
    let (name, namespace) = (RELEASE.to_owned(), "default".to_owned());
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
    Ok(engine::render_on_stack(&request)?)
}

/// As `helm template` prints it: the manifests, then the hooks.
fn print(rendered: &Rendered) -> String {
    let mut text = rendered.manifest.trim().to_owned() + "\n";
    for hook in &rendered.hooks {
        write!(text, "---\n# Source: {}\n{}\n", hook.path, hook.manifest).expect("writing to a string does not fail");
    }
    text
}
