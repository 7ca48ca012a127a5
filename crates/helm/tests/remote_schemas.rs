//! Schemas that refer to others by address, compared with the answers of Helm 4.3.1 (`vectors/remote-schemas.json`).
//!
//! `UPDATE=1 cargo test -p helm --test remote_schemas` serves the documents on this machine and asks the real Helm anew:
//! `$HELM`, or the one that the e2e harness builds.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex, PoisonError};

use helm::chart::{Chart, Metadata};
use helm::engine::{
    self, Capabilities, Limits, NoLookup, ReleaseInfo, Rendered, Request, SchemaCheck, SchemaFetchError, SchemaSource,
    Warning,
};

/// Where the documents seem to be.
const HOST: &str = "http://schemas.test/";

/// The documents, by their paths there.
const DOCUMENTS: [(&str, &str); 19] = [
    ("integer.json", r#"{"type": "integer"}"#),
    ("x.json", r#"{"properties": {"x": {"type": "integer"}}}"#),
    ("deep/a.json", r#"{"$ref": "b.json#/definitions/c"}"#),
    ("deep/b.json", r#"{"definitions": {"c": {"properties": {"x": {"$ref": "../integer.json"}}}}}"#),
    ("id.json", r#"{"$id": "http://schemas.test/deep/other.json", "$ref": "b.json#/definitions/c"}"#),
    ("relative-id.json", r#"{"$id": "deep/other.json", "$ref": "b.json#/definitions/c"}"#),
    ("one.json", r#"{"properties": {"y": {"$ref": "two.json"}}}"#),
    ("two.json", r#"{"properties": {"x": {"type": "integer"}, "y": {"$ref": "one.json"}}}"#),
    ("itself.json", r#"{"$ref": "itself.json"}"#),
    ("anchor.json", r#"{"$defs": {"a": {"$anchor": "here", "type": "integer"}}}"#),
    (
        "draft-4.json",
        r#"{"$schema": "http://json-schema.org/draft-04/schema#", "properties": {"x": {"minimum": 2, "exclusiveMinimum": true}}}"#,
    ),
    (
        "draft-7.json",
        r#"{"$schema": "http://json-schema.org/draft-07/schema#", "properties": {"x": {"format": "ipv4"}}}"#,
    ),
    (
        "meta.json",
        r#"{"$schema": "http://json-schema.org/draft-07/schema#", "$id": "http://schemas.test/meta.json", "type": ["object", "boolean"]}"#,
    ),
    ("of-meta.json", r#"{"$schema": "http://schemas.test/meta.json", "properties": {"x": {"format": "ipv4"}}}"#),
    ("no-schema.json", r#"{"type": "text"}"#),
    ("page.html", "<html></html>"),
    ("empty.json", ""),
    ("two-values.json", "{} {}"),
    ("pattern.json", r#"{"properties": {"x": {"pattern": "("}}}"#),
];

/// Schemas of charts, and values.
const CASES: [(&str, &str, &str); 26] = [
    ("good", r#"{"$ref": "http://schemas.test/x.json"}"#, r#"{"x": 1}"#),
    ("broken", r#"{"$ref": "http://schemas.test/x.json"}"#, r#"{"x": "a"}"#),
    ("empty-fragment", r#"{"$ref": "http://schemas.test/x.json#"}"#, r#"{"x": "a"}"#),
    ("pointer", r#"{"properties": {"x": {"$ref": "http://schemas.test/x.json#/properties/x"}}}"#, r#"{"x": "a"}"#),
    ("pointer-to-nothing", r#"{"$ref": "http://schemas.test/x.json#/properties/y"}"#, r#"{"x": "a"}"#),
    ("anchor", r#"{"properties": {"x": {"$ref": "http://schemas.test/anchor.json#here"}}}"#, r#"{"x": "a"}"#),
    ("no-anchor", r#"{"properties": {"x": {"$ref": "http://schemas.test/anchor.json#there"}}}"#, r#"{"x": "a"}"#),
    ("nested", r#"{"$ref": "http://schemas.test/deep/a.json"}"#, r#"{"x": "a"}"#),
    ("id", r#"{"$ref": "http://schemas.test/id.json"}"#, r#"{"x": "a"}"#),
    ("relative-id", r#"{"$ref": "http://schemas.test/relative-id.json"}"#, r#"{"x": "a"}"#),
    ("own-id", r#"{"$id": "http://schemas.test/deep/own.json", "$ref": "../x.json"}"#, r#"{"x": "a"}"#),
    ("cycle", r#"{"$ref": "http://schemas.test/one.json"}"#, r#"{"y": {"x": "a", "y": {"y": {"x": "b"}}}}"#),
    ("of-itself", r#"{"$ref": "http://schemas.test/itself.json"}"#, r#"{"x": 1}"#),
    ("draft-4", r#"{"$ref": "http://schemas.test/draft-4.json"}"#, r#"{"x": 2}"#),
    ("draft-7", r#"{"$ref": "http://schemas.test/draft-7.json"}"#, r#"{"x": "a"}"#),
    (
        "draft-of-the-chart",
        r#"{"$schema": "http://json-schema.org/draft-07/schema#", "properties": {"a": {"format": "ipv4"}, "b": {"$ref": "http://schemas.test/x.json"}}}"#,
        r#"{"a": "b", "b": {"x": "y"}}"#,
    ),
    ("other-metaschema", r#"{"$ref": "http://schemas.test/of-meta.json"}"#, r#"{"x": "a"}"#),
    (
        "own-metaschema",
        r#"{"$schema": "http://schemas.test/meta.json", "properties": {"x": {"format": "ipv4"}}}"#,
        r#"{"x": "a"}"#,
    ),
    ("no-schema", r#"{"$ref": "http://schemas.test/no-schema.json"}"#, r#"{"x": "a"}"#),
    ("missing", r#"{"$ref": "http://schemas.test/missing.json"}"#, r#"{"x": "a"}"#),
    ("missing-metaschema", r#"{"$schema": "http://schemas.test/missing.json", "type": "object"}"#, r#"{"x": "a"}"#),
    ("missing-but-unused", r#"{"$defs": {"a": {"$ref": "http://schemas.test/missing.json"}}}"#, r#"{"x": "a"}"#),
    ("no-json", r#"{"$ref": "http://schemas.test/page.html"}"#, r#"{"x": "a"}"#),
    ("empty", r#"{"$ref": "http://schemas.test/empty.json"}"#, r#"{"x": "a"}"#),
    ("two-values", r#"{"$ref": "http://schemas.test/two-values.json"}"#, r#"{"x": "a"}"#),
    ("pattern", r#"{"$ref": "http://schemas.test/pattern.json"}"#, r#"{"x": "a"}"#),
];

/// Gives [`DOCUMENTS`], or the documents of a test, and remembers what was asked for.
#[derive(Default)]
struct Shop {
    more: BTreeMap<String, String>,
    asked: Mutex<Vec<String>>,
}

impl SchemaSource for Shop {
    fn schema(&self, url: &str) -> Result<Arc<[u8]>, SchemaFetchError> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner).push(url.to_owned());
        let path = url.strip_prefix(HOST).unwrap_or_default();
        let found = DOCUMENTS.into_iter().find(|(known, _)| *known == path).map(|(_, text)| text);
        let text = found.or_else(|| self.more.get(path).map(String::as_str));
        // Helm's words.
        let missing = || SchemaFetchError::new(format_args!("HTTP request to {url} returned status 404 (Not Found)"));
        text.map(|text| text.as_bytes().into()).ok_or_else(missing)
    }
}

fn render(schema: &str, values: &str, check: SchemaCheck<'_>) -> Result<Rendered, engine::Error> {
    let metadata = Metadata { name: "web".to_owned(), version: "1.0.0".to_owned(), ..Metadata::default() };
    let chart = Chart { metadata, schema: Some(schema.as_bytes().into()), ..Chart::default() };
    let request = Request {
        chart: &chart,
        values: &serde_json::from_str(values).unwrap_or_default(),
        release: &ReleaseInfo { name: "x".to_owned(), namespace: "x".to_owned(), revision: 1, is_upgrade: false },
        capabilities: &Capabilities::default(),
        lookup: Arc::new(NoLookup),
        now: jiff::Zoned::default(),
        seed: [0; engine::SEED_BYTES],
        limits: Limits::default(),
        templates: None,
        subchart_notes: false,
    };
    engine::on_stack(|| engine::render_with(&request, check))?
}

fn text(outcome: Result<Rendered, engine::Error>) -> String {
    outcome.err().map(|error| error.to_string().trim_end().to_owned()).unwrap_or_default()
}

/// The lines of a complaint without their order, which is that of a map in Go.
fn lines(text: &str) -> Vec<&str> {
    let mut lines: Vec<_> = text.lines().collect();
    lines.sort_unstable();
    lines
}

/// Answers one question by HTTP.
fn serve(mut stream: TcpStream, host: &str) -> std::io::Result<()> {
    let mut request = String::new();
    let mut lines = BufReader::new(stream.try_clone()?);
    lines.read_line(&mut request)?;
    while {
        let mut line = String::new();
        lines.read_line(&mut line)? > 2
    } {}
    let path = request.split(' ').nth(1).unwrap_or_default().trim_start_matches('/');
    let found = DOCUMENTS.into_iter().find(|(known, _)| *known == path);
    let (status, body) =
        found.map_or(("404 Not Found", String::new()), |(_, text)| ("200 OK", text.replace(HOST, host)));
    write!(stream, "HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}", body.len())
}

/// What the real Helm says of all cases.
fn ask_helm() -> BTreeMap<String, String> {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
    let host = format!("http://{}/", listener.local_addr().expect("it listens"));
    let served = host.clone();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            drop(stream.and_then(|stream| serve(stream, &served)));
        }
    });
    let folder = tempfile::tempdir().expect("a folder can be made");
    let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).expect("files can be written");
    write("Chart.yaml", "apiVersion: v2\nname: web\nversion: 1.0.0\n");
    let answers = CASES.into_iter().map(|(name, schema, values)| {
        write("values.schema.json", &schema.replace(HOST, &host));
        write("values.yaml", values);
        let output = Command::new(helm_program()).args(["template", "x", "."]).current_dir(folder.path()).output();
        let output = output.expect("helm runs");
        let stderr = String::from_utf8_lossy(&output.stderr).replace(&host, HOST);
        let error = stderr.split_once("Error: ").map(|(_, error)| error.trim_end()).unwrap_or_default();
        (name.to_owned(), error.to_owned())
    });
    answers.collect()
}

fn helm_program() -> PathBuf {
    if let Some(helm) = std::env::var_os("HELM") {
        return helm.into();
    }
    let home = std::env::var_os("HOME").expect("there is a home");
    Path::new(&home).join(".cache/helm-operator/tools/helm-v4.3.1/helm")
}

#[test]
fn schemas_from_elsewhere_judge_as_in_helm() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors/remote-schemas.json");
    if std::env::var_os("UPDATE").is_some() {
        let text = serde_json::to_string_pretty(&ask_helm()).expect("texts are JSON");
        std::fs::write(&file, text + "\n").expect("the answers can be written");
    }
    let answers = std::fs::read(&file).expect("the answers are recorded");
    let answers: BTreeMap<String, String> = serde_json::from_slice(&answers).expect("they are JSON");
    let mut wrong = Vec::new();
    for (name, schema, values) in CASES {
        let (ours, theirs) = (text(render(schema, values, SchemaCheck::Fetch(&Shop::default()))), &answers[name]);
        if lines(&ours) != lines(theirs) {
            wrong.push(format!("{name}\n--- ours\n{ours}\n--- theirs\n{theirs}\n"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn without_a_source_nothing_is_fetched() {
    let found = text(render(CASES[0].1, CASES[0].2, SchemaCheck::Enforce));
    assert!(
        found.ends_with("failing loading \"http://schemas.test/x.json\": schemas are not fetched from elsewhere"),
        "{found}"
    );
}

#[test]
fn a_skipped_check_reads_no_schema() {
    let rendered = render("{", r#"{"x": "a"}"#, SchemaCheck::Skip).expect("it renders");
    assert_eq!(rendered.warnings, []);
}

#[test]
fn what_cannot_be_had_is_left_out_with_a_warning() {
    let left_out = |schema: &str, values: &str| {
        let shop = Shop::default();
        let rendered = render(schema, values, SchemaCheck::FetchOrLeaveOut(&shop))?;
        let warnings = rendered.warnings.into_iter().map(|warning| match warning {
            Warning::SchemaLeftOut { chart, url, cause } => (chart, url.replace(HOST, ""), cause),
            other => panic!("{other}"),
        });
        Ok::<_, engine::Error>(warnings.collect::<Vec<_>>())
    };
    let missing = "HTTP request to http://schemas.test/missing.json returned status 404 (Not Found)";
    for (schema, expected) in [
        (r#"{"$ref": "http://schemas.test/missing.json#/a/b"}"#, vec![("missing.json", missing)]),
        (r#"{"$schema": "http://schemas.test/missing.json"}"#, vec![("missing.json", missing)]),
        (
            r#"{"$ref": "http://schemas.test/page.html#anchor"}"#,
            vec![("page.html", "invalid character '<' looking for beginning of value")],
        ),
        (
            r#"{"properties": {"x": {"$ref": "http://schemas.test/missing.json"}, "y": {"$ref": "http://schemas.test/missing.json#a"}}}"#,
            vec![("missing.json", missing)],
        ),
        (r#"{"$ref": "http://schemas.test/integer.json#/a"}"#, vec![]),
    ] {
        let found = left_out(schema, r#"{"x": "a", "y": 1}"#);
        if expected.is_empty() {
            assert!(text(found.map(|_| unreachable!())).contains("json-pointer in"), "{schema}");
            continue;
        }
        let found = found.expect("it renders");
        let found: Vec<_> =
            found.iter().map(|(chart, url, cause)| (chart.as_str(), url.as_str(), cause.as_str())).collect();
        let expected: Vec<_> = expected.into_iter().map(|(url, cause)| ("web", url, cause)).collect();
        assert_eq!(found, expected, "{schema}");
    }
    // What is there counts all the same.
    let schema = r#"{"allOf": [{"$ref": "http://schemas.test/missing.json"}, {"$ref": "http://schemas.test/x.json"}]}"#;
    let refused = render(schema, r#"{"x": "a"}"#, SchemaCheck::FetchOrLeaveOut(&Shop::default()));
    assert!(text(refused).ends_with("- at '/x': got string, want integer"));
}

#[test]
fn each_document_is_asked_for_once_and_there_are_not_too_many() {
    let chain = |length: usize, padding: usize| {
        let padding = " ".repeat(padding);
        let document = |at: usize| (format!("{at}"), format!("{{\"$ref\": \"{}\"}}{padding}", at + 1));
        let mut more: BTreeMap<String, String> = (1..length).map(document).collect();
        more.insert(length.to_string(), format!("true{padding}"));
        Shop { more, ..Shop::default() }
    };
    let schema = r#"{"properties": {"x": {"$ref": "http://schemas.test/1"}, "y": {"$ref": "http://schemas.test/1"}}}"#;
    for (length, padding, good) in [(64, 0, true), (65, 0, false), (15, 1 << 20, true), (17, 1 << 20, false)] {
        let shop = chain(length, padding);
        let found = text(render(schema, r#"{"x": 1, "y": 1}"#, SchemaCheck::Fetch(&shop)));
        assert_eq!(found.is_empty(), good, "{length}: {found}");
        let mut asked = shop.asked.into_inner().expect("nobody panicked");
        let count = asked.len();
        asked.sort();
        asked.dedup();
        assert_eq!(asked.len(), count);
        assert!(count <= 64);
        // The part beyond is left out where that is wished for.
        let rendered = render(schema, r#"{"x": 1, "y": 1}"#, SchemaCheck::FetchOrLeaveOut(&chain(length, padding)));
        assert_eq!(rendered.expect("it renders").warnings.is_empty(), good);
    }
}

#[test]
fn small_documents_of_many_objects_are_too_large() {
    let text_of = format!("{{\"enum\": [{}{{}}]}}", "{\"\":{}},".repeat(200_000));
    let shop = Shop { more: BTreeMap::from([("many".to_owned(), text_of)]), ..Shop::default() };
    let found = text(render(r#"{"$ref": "http://schemas.test/many"}"#, "{}", SchemaCheck::Fetch(&shop)));
    assert!(found.contains("are larger than"), "{found}");
}
