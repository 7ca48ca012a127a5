//! Template functions against the answers of Helm 4.3.1 (recorded by `oracle/functions`), one test per area.
//!
//! `UPDATE=1 cargo test -p helm --test functions` records anew; it needs Go.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::path::Path;
use std::process::Command;
use std::sync::{Arc, LazyLock};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;
use gotmpl::{Functions, Interp, Limits, TemplateSet, Value};
use helm::engine::{Host, NoLookup};

/// Mismatches shown of one area.
const SHOWN: usize = 40;

/// What one expression gave.
#[derive(PartialEq)]
struct Answer {
    output: Vec<u8>,
    error: Option<Vec<u8>>,
}

struct Vector {
    expression: String,
    answer: Answer,
}

struct Vectors {
    data: Vec<u8>,
    areas: BTreeMap<String, Vec<Vector>>,
}

fn decoded(text: &str) -> Vec<u8> {
    match text.strip_prefix('\0') {
        Some(encoded) => STANDARD.decode(encoded).expect("the oracle writes base64 behind a NUL"),
        None => text.as_bytes().to_vec(),
    }
}

/// Runs the oracle and keeps what it prints.
fn record(path: &Path, oracle: &Path) {
    let output = Command::new("go").args(["run", "."]).current_dir(oracle).output().expect("Go is installed");
    assert!(output.status.success(), "the oracle fails: {}", String::from_utf8_lossy(&output.stderr));
    let file = std::fs::File::create(path).expect("the vectors can be written");
    let mut encoder = GzEncoder::new(file, Compression::best());
    encoder.write_all(&output.stdout).expect("the vectors can be written");
    encoder.finish().expect("the vectors can be written");
}

static VECTORS: LazyLock<Vectors> = LazyLock::new(|| {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests");
    let path = tests.join("vectors/functions.jsonl.gz");
    if std::env::var_os("UPDATE").is_some() {
        record(&path, &tests.join("oracle/functions"));
    }
    let file = std::fs::File::open(&path).expect("the vectors are recorded");
    let mut lines = String::new();
    GzDecoder::new(file).read_to_string(&mut lines).expect("the vectors are gzipped UTF-8");
    let mut vectors = Vectors { data: Vec::new(), areas: BTreeMap::new() };
    for line in lines.lines() {
        let columns: Vec<String> = serde_json::from_str(line).expect("a line is an array of strings");
        let mut columns = columns.into_iter();
        let [area, expression] =
            [columns.next(), columns.next()].map(|column| column.expect("a line has an area and a text"));
        match columns.next() {
            None => vectors.data = expression.into_bytes(),
            Some(output) => {
                let error = columns.next().map(|error| decoded(&error));
                let answer = Answer { output: decoded(&output), error };
                vectors.areas.entry(area).or_default().push(Vector { expression, answer });
            }
        }
    }
    vectors
});

fn source(expression: &str) -> String {
    if expression.contains("{{") {
        return expression.to_owned();
    }
    format!("{{{{ $r := {expression} }}}}{{{{ typeOf $r }}}}|{{{{ $r }}}}|{{{{ toJson $r }}}}")
}

fn host() -> Host {
    let now = jiff::Timestamp::UNIX_EPOCH.in_tz("America/New_York").expect("the zone is bundled");
    Host::new(now, [7; helm::engine::SEED_BYTES], Arc::new(NoLookup))
}

fn ours(expression: &str, functions: &Functions<Host>, data: &Value) -> Answer {
    let mut set = TemplateSet::new("t");
    let mut output = Vec::new();
    let error = if let Err(error) = set.parse("t", source(expression).as_bytes(), functions.names()) {
        Some(error.to_string())
    } else {
        let host = host();
        let mut interp = Interp::new(&host, functions, set, Limits::default());
        interp.execute(b"t", data, &mut output).err().map(|error| error.to_string())
    };
    Answer { output, error: error.map(String::into_bytes) }
}

fn show(answer: &Answer) -> String {
    let output = String::from_utf8_lossy(&answer.output);
    match &answer.error {
        Some(error) => format!("{output:?} error {:?}", String::from_utf8_lossy(error)),
        None => format!("{output:?}"),
    }
}

/// Compares an area; expressions for which `differs` is true are known to have another answer, for its reason.
fn check(area: &str, differs: impl Fn(&Vector, &Answer) -> bool) {
    let functions = Functions::new(&[helm::functions::table()]);
    let vectors = VECTORS.areas.get(area).expect("the area is recorded");
    let mut wrong = Vec::new();
    for vector in vectors {
        let data = helm::json::parse(&VECTORS.data).expect("the data is JSON");
        let ours = ours(&vector.expression, &functions, &data);
        if ours != vector.answer && !differs(vector, &ours) {
            wrong.push(format!("{}\n  ours   {}\n  theirs {}", vector.expression, show(&ours), show(&vector.answer)));
        }
    }
    let shown = wrong.iter().take(SHOWN).cloned().collect::<Vec<_>>().join("\n");
    assert!(wrong.is_empty(), "{area}: {} of {} differ\n{shown}", wrong.len(), vectors.len());
}

/// A deep copy of a version is 0.0.0 in Go, because its fields are private; ours is the version.
fn copies_a_version(vector: &Vector, _: &Answer) -> bool {
    vector.expression.contains("eepCopy (semver")
}

/// `toYamlPretty` knows Go's times and durations in Go; here they are texts and numbers.
fn prints_an_object_prettily(vector: &Vector, _: &Answer) -> bool {
    let object = ["toYamlPretty (toDate", "toYamlPretty (mustToDuration"];
    object.iter().any(|start| vector.expression.starts_with(start))
}

/// Functions that are not there yet.
fn calls_the_missing(_: &Vector, ours: &Answer) -> bool {
    ours.error.as_ref().is_some_and(|error| error.ends_with(b" not defined"))
}

fn never(_: &Vector, _: &Answer) -> bool {
    false
}

macro_rules! areas {
    ($($name:ident: $area:literal, $differs:expr;)*) => {
        $(#[test]
        fn $name() {
            check($area, $differs);
        })*
    };
}

areas! {
    strings_are_cut_and_cased_as_in_helm: "strings", never;
    values_are_quoted_and_joined_as_in_helm: "quoting", never;
    numbers_are_converted_and_computed_as_in_helm: "numbers", never;
    lists_are_handled_as_in_helm: "lists", never;
    dicts_are_handled_as_in_helm: "dicts", copies_a_version;
    defaults_and_types_are_seen_as_in_helm: "defaults", never;
    paths_are_taken_apart_as_in_helm: "paths", never;
    texts_are_encoded_as_in_helm: "encoding", never;
    regular_expressions_match_as_in_helm: "regex", never;
    dates_are_read_and_written_as_in_helm: "dates", never;
    durations_are_read_and_written_as_in_helm: "durations", never;
    versions_are_compared_as_in_helm: "versions", never;
    urls_are_taken_apart_as_in_helm: "urls", never;
    documents_are_read_and_written_as_in_helm: "documents", prints_an_object_prettily;
    toml_is_read_and_written_as_in_helm: "toml", calls_the_missing;
    functions_work_together_as_in_helm: "handmade", calls_the_missing;
}
