//! `--set` lines against what Helm made of them, recorded by the `oracle` of crates/formats; and lines made to exhaust the stack.
//!
//! `UPDATE=1 cargo test -p helm --test strvals` records the answers anew; it needs Go.

use std::io::{Read, Write};
use std::path::Path;
use std::process::Command;

use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;
use formats::json;
use gotmpl::{Map, Value};
use helm::strvals;

fn vectors() -> String {
    let home = Path::new(env!("CARGO_MANIFEST_DIR"));
    let path = home.join("tests/vectors/strvals.jsonl.gz");
    if std::env::var_os("UPDATE").is_some() {
        let oracle = home.join("../formats/tests/oracle");
        let run =
            Command::new("go").args(["run", ".", "strvals"]).current_dir(oracle).output().expect("Go is installed");
        assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));
        let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
        encoder.write_all(&run.stdout).expect("memory can be written");
        std::fs::write(&path, encoder.finish().expect("memory can be written")).expect("the vectors can be written");
    }
    let mut lines = String::new();
    let bytes = std::fs::read(&path).expect("the vectors are in the repository");
    GzDecoder::new(&bytes[..]).read_to_string(&mut lines).expect("the vectors are gzipped UTF-8");
    lines
}

#[test]
fn lines_set_values_as_in_helm() {
    const BASE: &str = r#"{"x":{"y":0,"l":[1,2],"m":{}},"l":[{"a":1},7],"n":null,"s":"str","f":1.5,"b":true}"#;
    let (mut checked, mut differences) = (0, Vec::new());
    for vector in vectors().lines() {
        let columns: Vec<String> = serde_json::from_str(vector).expect("a line is a JSON array of strings");
        let [kind, line, answers @ ..] = columns.as_slice() else { panic!("no kind or no input: {vector}") };
        let Value::Map(values) = json::parse(BASE.as_bytes()).expect("the base is JSON") else { panic!("no map") };
        let mut read = |name: &str| {
            let readable = !name.contains('x');
            if readable { Ok(Value::string(format!("<{name}>"))) } else { Err(format!("cannot read {name}")) }
        };
        let result = match kind.as_str() {
            "set" => strvals::parse_into(line, &values),
            "string" => strvals::parse_string_into(line, &values),
            "json" => strvals::parse_json_into(line, &values),
            "literal" => strvals::parse_literal_into(line, &values),
            "file" => strvals::parse_file_into(line, &values, &mut read),
            // The line, in base64, is not UTF-8: none of ours can be.
            _ => continue,
        };
        checked += 1;
        let ours = match result {
            Ok(()) => ["ok".to_owned(), json::emit(&values.into()).map(text).expect("the values are JSON")],
            Err(error) => ["error".to_owned(), error.to_string()],
        };
        if ours.join(" ") != answers.join(" ") {
            differences.push(format!("{kind} {line:?}:\n ours   {ours:?}\n theirs {answers:?}"));
        }
    }
    assert!(checked >= 10_000, "only {checked} vectors");
    let first: Vec<_> = differences.iter().take(20).map(String::as_str).collect();
    assert!(first.is_empty(), "{} of {checked} differ:\n{}", differences.len(), first.join("\n"));
}

fn text(printed: Vec<u8>) -> String {
    String::from_utf8(printed).expect("printed text is UTF-8")
}

#[test]
fn deep_lines_are_refused() {
    let story = || {
        let values = Map::any([].into());
        assert!(strvals::parse_into(&format!("a{}=1", "[0]".repeat(100_000)), &values).is_err());
        assert!(strvals::parse_into(&format!("a{}=1", "[0].a".repeat(100_000)), &values).is_err());
        assert!(strvals::parse_literal_into(&format!("a{}=1", "[0]".repeat(100_000)), &values).is_err());
    };
    let thread = std::thread::Builder::new().stack_size(1 << 20).spawn(story).expect("a thread can be started");
    thread.join().expect("a small stack is enough");
}
