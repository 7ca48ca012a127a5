//! YAML, JSON and TOML against what Go's libraries made of them, recorded by `oracle`.
//!
//! `UPDATE=1 cargo test -p formats --test vectors` records the answers anew; it needs Go.

use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;
use formats::{json, toml, yaml};
use gotmpl::{Map, MapType, Value};

/// One question and Go's answers.
struct Vector {
    kind: String,
    input: Vec<u8>,
    answers: Vec<String>,
}

/// Compares our answers with Go's. `differs` tells in words what is different, if anything. Where both are errors, and
/// `vectors/other-words.txt` names the question, the words may differ; a question that it names, and that does not, is told.
fn check(area: &str, least: usize, differs: impl Fn(&Vector) -> Option<String>) {
    let vectors = vectors(area);
    assert!(vectors.len() >= least, "only {} vectors", vectors.len());
    let known = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors/other-words.txt");
    let known = std::fs::read_to_string(known).expect("the list is in the repository");
    let known: BTreeSet<&str> = known.lines().filter_map(|line| line.strip_prefix(area)?.strip_prefix(' ')).collect();
    let (mut differences, mut met) = (Vec::new(), BTreeSet::new());
    for vector in &vectors {
        let Some(difference) = differs(vector) else { continue };
        let question = format!("{} {:?}", vector.kind, String::from_utf8_lossy(&vector.input));
        let is_words = difference.contains("\n ours   \"error ") && difference.contains("\n theirs \"error ");
        if let Some(question) = known.get(question.as_str()).filter(|_| is_words) {
            met.insert(*question);
        } else {
            differences.push(format!("{question}: {difference}"));
        }
    }
    if let Ok(path) = std::env::var("DIFFERENCES") {
        std::fs::write(path, differences.join("\n")).expect("the differences can be written");
    }
    let first: Vec<_> = differences.iter().take(20).map(String::as_str).collect();
    assert!(first.is_empty(), "{} of {} differ:\n{}", differences.len(), vectors.len(), first.join("\n"));
    let mended: Vec<_> = known.difference(&met).collect();
    assert!(mended.is_empty(), "these do not differ any more: take them out of other-words.txt: {mended:#?}");
}

fn vectors(area: &str) -> Vec<Vector> {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests");
    let path = tests.join(format!("vectors/{area}.jsonl.gz"));
    if std::env::var_os("UPDATE").is_some() {
        record(area, &tests.join("oracle"), &path);
    }
    let mut lines = String::new();
    let bytes = std::fs::read(&path).expect("the vectors are in the repository");
    GzDecoder::new(&bytes[..]).read_to_string(&mut lines).expect("the vectors are gzipped UTF-8");
    lines.lines().map(vector).collect()
}

fn record(area: &str, oracle: &Path, path: &Path) {
    let run = std::process::Command::new("go").args(["run", ".", area]).current_dir(oracle).output();
    let run = run.expect("Go is installed");
    assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(&run.stdout).expect("memory can be written");
    std::fs::write(path, encoder.finish().expect("memory can be written")).expect("the vectors can be written");
}

fn vector(line: &str) -> Vector {
    let mut columns: Vec<String> = serde_json::from_str(line).expect("a line is a JSON array of strings");
    let answers = columns.split_off(2);
    let input = columns.pop().expect("a line has an input");
    let kind = columns.pop().expect("a line has a kind");
    match kind.strip_suffix("64") {
        Some(kind) => Vector { kind: kind.to_owned(), input: STANDARD.decode(input).expect("base64"), answers },
        None => Vector { kind, input: input.into_bytes(), answers },
    }
}

fn compare(ours: &str, theirs: &str) -> Option<String> {
    (ours != theirs).then(|| format!("\n ours   {ours:?}\n theirs {theirs:?}"))
}

fn outcome(result: Result<Vec<u8>, String>) -> [String; 2] {
    match result {
        Ok(bytes) => ["ok".to_owned(), String::from_utf8(bytes).expect("printed text is UTF-8")],
        Err(error) => ["error".to_owned(), error],
    }
}

#[test]
fn yaml_is_read_as_helm_reads_it() {
    check("yaml-parse", 10_000, |vector| {
        let value = match vector.kind.as_str() {
            "strict" => yaml::parse_strict(&vector.input),
            _ => yaml::parse(&vector.input),
        };
        let ours =
            outcome(value.map(|value| json::emit(&value).expect("what is read is JSON")).map_err(|e| e.to_string()));
        compare(&ours.join(" "), &vector.answers.join(" "))
    });
}

#[test]
fn yaml_is_printed_as_helm_prints_it() {
    check("yaml-emit", 8_000, |vector| {
        let value = match vector.kind.as_str() {
            "emit" => json::parse(&vector.input).expect("the input is JSON"),
            kind => {
                let text = STANDARD.decode(&vector.input).expect("the input is base64");
                let text = gotmpl::Str::from(text);
                let value = Value::String(text.clone());
                if kind == "pair" { Map::new(MapType::Any, [(text, value)].into()).into() } else { value }
            }
        };
        let shown = |printed: Result<Vec<u8>, yaml::Error>| match printed {
            Ok(bytes) => String::from_utf8(bytes).expect("printed text is UTF-8"),
            Err(error) => format!("ERROR {error}"),
        };
        compare(&shown(yaml::try_emit(&value)), &vector.answers[0])
            .or_else(|| compare(&shown(yaml::try_emit_pretty(&value)), &vector.answers[1]))
    });
}

#[test]
fn json_is_read_and_printed_as_go_does() {
    check("json", 3_000, |vector| match json::parse(&vector.input) {
        Err(error) => compare(&format!("error {error}"), &vector.answers.join(" ")),
        Ok(value) => {
            let printed = [json::emit(&value), json::emit_pretty(&value), json::emit_raw(&value)];
            let ours = printed.map(|text| String::from_utf8(text.expect("it is JSON")).expect("it is UTF-8"));
            compare(&format!("ok {}", ours.join(" ")), &vector.answers.join(" "))
        }
    });
}

#[test]
fn toml_is_read_and_printed_as_helm_does() {
    check("toml", 5_000, |vector| {
        let ours = if vector.kind == "emit" {
            let value = json::parse(&vector.input).expect("the input is JSON");
            outcome(toml::emit(&value).map_err(|error| error.to_string()))
        } else {
            match toml::parse(&vector.input).map(|value| json::emit(&value)) {
                Ok(Err(_)) if vector.answers[0] == "unprintable" => return None,
                Ok(printed) => outcome(printed.map_err(|error| error.to_string())),
                Err(error) => outcome(Err(error.to_string())),
            }
        };
        compare(&ours.join(" "), &vector.answers.join(" "))
    });
}
