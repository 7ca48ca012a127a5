//! Versions and constraints against 20,000 answers of Masterminds/semver 3.5.0 (recorded by `oracle/semver`).

use std::io::Read;

use flate2::read::GzDecoder;
use helm::semver::{Constraint, Error, Version};

#[test]
fn versions_and_constraints_are_read_as_masterminds_reads_them() {
    let mut lines = String::new();
    let vectors: &[u8] = include_bytes!("vectors/semver.jsonl.gz");
    GzDecoder::new(vectors).read_to_string(&mut lines).expect("the vectors are gzipped UTF-8");
    let mut checked = 0;
    for line in lines.lines() {
        let columns: Vec<String> = serde_json::from_str(line).expect("a line is a JSON array of strings");
        let columns: Vec<&str> = columns.iter().map(String::as_str).collect();
        let (ours, theirs) = match columns[..] {
            ["strict", text, theirs] => (shown(Version::parse(text)), theirs),
            ["loose", text, theirs] => (shown(Version::parse_loose(text)), theirs),
            ["compare", a, b, theirs] => ((version(a).cmp(&version(b)) as i8).to_string(), theirs),
            ["check", constraint, candidate, theirs] => (check(constraint, candidate), theirs),
            _ => panic!("an unknown vector: {line}"),
        };
        assert_eq!(ours, theirs, "{line}");
        checked += 1;
    }
    assert_eq!(checked, 20_000);
}

#[test]
fn a_version_keeps_the_text_it_was_read_from() {
    let version = version("v1.2-rc.1+x");
    assert_eq!(version.to_string(), "v1.2-rc.1+x");
    assert_eq!(version.canonical(), "1.2.0-rc.1+x");
    assert_eq!(version, self::version("1.2.0-rc.1"));
}

fn shown(version: Result<Version, Error>) -> String {
    version.map_or_else(|error| error.to_string(), |version| version.canonical())
}

fn version(text: &str) -> Version {
    Version::parse_loose(text).expect("the vectors hold versions that Go reads")
}

fn check(constraint: &str, candidate: &str) -> String {
    match Constraint::parse(constraint) {
        Ok(constraint) => constraint.check(&version(candidate)).to_string(),
        Err(error) => error.to_string(),
    }
}
