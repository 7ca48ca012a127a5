//! Values against schemas, compared with the answers of Helm 4.3.1 (recorded by `oracle/schema`).
//!
//! `UPDATE=1 cargo test -p helm --test schema` records anew; it needs Go.

use std::io::{Read, Write};
use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;
use helm::chart::{Chart, Metadata};
use helm::engine::{self, Capabilities, Error, Limits, NoLookup, ReleaseInfo, Request};

/// Mismatches shown.
const SHOWN: usize = 6000;

/// A complaint with those below it, in an order of its own.
#[derive(PartialEq, Eq, PartialOrd, Ord, Debug)]
struct Complaint<'t> {
    words: &'t str,
    causes: Vec<Self>,
}

/// Whether texts are equal but for what is random in Go: the order of its maps, and with it which one of several
/// references or patterns that are wrong it meets first, and where it says that the name of a property is wrong. Why
/// exactly an IPv6 address is none is not told by us.
fn same(one: &str, other: &str) -> bool {
    let is_unusable = |text: &str| {
        let starts = ["failing loading", "json-pointer in", "anchor in", "invalid regex", "duplicate id"];
        starts.iter().any(|start| text.starts_with(start))
    };
    let names = |text: &str| text.lines().map(normal).collect::<Vec<_>>().join("\n");
    let [one, other] = [one.trim_end(), other.trim_end()];
    is_unusable(one) && is_unusable(other) || complaints(&names(one)) == complaints(&names(other))
}

/// A complaint without what is random.
fn normal(line: &str) -> String {
    if let Some((start, rest)) = line.split_once("invalid propertyName") {
        return format!("{}- {rest}", &start[..start.find('-').unwrap_or_default()]);
    }
    if let Some((start, _)) = line.split_once("ParseAddr(") {
        return start.to_owned();
    }
    let Some((start, rest)) = line.split_once("additional properties ") else { return line.to_owned() };
    let mut names: Vec<&str> = rest.trim_end_matches(" not allowed").split(", ").collect();
    names.sort_unstable();
    format!("{start}additional properties {}", names.join(", "))
}

/// The complaints of a text, which Go puts in the order of its maps.
fn complaints(text: &str) -> Vec<Complaint<'_>> {
    let mut lines = text.lines().peekable();
    below(&mut lines, 0)
}

fn below<'t>(lines: &mut std::iter::Peekable<std::str::Lines<'t>>, depth: usize) -> Vec<Complaint<'t>> {
    let mut found = Vec::new();
    while let Some(line) = lines.peek().copied() {
        let indent = line.len() - line.trim_start_matches(' ').len();
        if indent < depth {
            break;
        }
        lines.next();
        found.push(Complaint { words: &line[indent..], causes: below(lines, indent + 2) });
    }
    found.sort();
    found
}

fn ours(schema: &str, values: &str) -> String {
    let metadata = Metadata { name: "web".to_owned(), version: "1.0.0".to_owned(), ..Metadata::default() };
    let chart = Chart { metadata, schema: Some(schema.as_bytes().into()), ..Chart::default() };
    let values = serde_json::from_str(values).expect("values are an object");
    let request = Request {
        chart: &chart,
        values: &values,
        release: &ReleaseInfo { name: "x".to_owned(), namespace: "x".to_owned(), revision: 1, is_upgrade: false },
        capabilities: &Capabilities::default(),
        lookup: Arc::new(NoLookup),
        now: jiff::Zoned::default(),
        seed: [0; engine::SEED_BYTES],
        limits: Limits::default(),
        templates: None,
        subchart_notes: false,
    };
    match engine::render(&request) {
        Err(Error::Schema(error)) => {
            let text = error.to_string();
            text.split_once("web:\n").map_or_else(|| text.clone(), |(_, complaint)| complaint.to_owned())
        }
        Err(error) => error.to_string(),
        Ok(_) => String::new(),
    }
}

fn record(tests: &Path) {
    let output = Command::new("go").args(["run", "."]).current_dir(tests.join("oracle/schema")).output();
    let output = output.expect("Go is installed");
    assert!(output.status.success(), "the oracle fails: {}", String::from_utf8_lossy(&output.stderr));
    let file = std::fs::File::create(tests.join("vectors/schema.jsonl.gz")).expect("the vectors can be written");
    let mut encoder = GzEncoder::new(file, Compression::best());
    encoder.write_all(&output.stdout).expect("the vectors can be written");
    encoder.finish().expect("the vectors can be written");
}

#[test]
fn schemas_judge_values_in_helms_words() {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests");
    if std::env::var_os("UPDATE").is_some() {
        record(&tests);
    }
    let vectors = std::fs::File::open(tests.join("vectors/schema.jsonl.gz")).expect("the vectors are recorded");
    let mut lines = String::new();
    GzDecoder::new(vectors).read_to_string(&mut lines).expect("the vectors are gzipped UTF-8");
    let (mut wrong, mut verdicts, mut count) = (Vec::new(), 0, 0);
    for line in lines.lines() {
        let [schema, values, theirs]: [String; 3] = serde_json::from_str(line).expect("a line has three texts");
        let ours = ours(&schema, &values);
        count += 1;
        if !same(&ours, &theirs) {
            verdicts += usize::from(ours.is_empty() != theirs.is_empty());
            wrong.push(format!("{schema}\n{values}\n--- ours\n{ours}\n--- theirs\n{theirs}\n"));
        }
    }
    let shown = wrong.iter().take(SHOWN).cloned().collect::<String>();
    assert!(wrong.is_empty(), "{} of {count} differ, {verdicts} of them in the verdict\n{shown}", wrong.len());
}
