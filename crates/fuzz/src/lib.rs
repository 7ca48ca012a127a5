//! What the fuzz targets share: a chart around arbitrary texts, and a render of it within small bounds.

use std::sync::Arc;

use helm::chart::{Chart, File};
use helm::engine::{self, Capabilities, Error, Limits, NoLookup, ReleaseInfo, Rendered, Request};
use helm::values::ValuesMap;

/// Small enough that an input which reaches a limit costs milliseconds: slowness then is a finding.
fn limits() -> Limits {
    Limits { output_bytes: 1 << 20, steps: 100_000, depth: 200, ..Limits::default() }
}

/// A chart of one template.
pub fn chart(template: &[u8]) -> Chart {
    let mut chart = Chart::default();
    "v2".clone_into(&mut chart.metadata.api_version);
    "web".clone_into(&mut chart.metadata.name);
    "1.2.3".clone_into(&mut chart.metadata.version);
    chart.templates.push(file("templates/a.yaml", template));
    chart.files.push(file("files/a.txt", b"one\ntwo\r\n\xff\x00three"));
    chart
}

/// A file of a chart.
pub fn file(name: &str, data: &[u8]) -> File {
    File { name: name.to_owned(), data: Arc::from(data), modified: None }
}

/// Renders on the caller's stack; `ulimit -s` must allow for it.
pub fn render(chart: &Chart, values: &ValuesMap) -> Result<Rendered, Error> {
    engine::render(&Request {
        chart,
        values,
        release: &ReleaseInfo {
            name: "app".to_owned(),
            namespace: "default".to_owned(),
            revision: 1,
            is_upgrade: false,
        },
        capabilities: &Capabilities::default(),
        lookup: Arc::new(NoLookup),
        now: jiff::Zoned::default(),
        seed: [7; engine::SEED_BYTES],
        limits: limits(),
        templates: None,
        subchart_notes: false,
    })
}
