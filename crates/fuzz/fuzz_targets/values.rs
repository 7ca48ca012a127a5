//! Values: of a release, of `--set` lines, of a chart with dependencies and of their schemas, put together and printed.
//!
//! The input is a text of parts, each behind a line `%%`.

#![no_main]

use formats::json;
use gotmpl::Map;
use helm::strvals;
use helm::values::{self, ValuesMap};
use helm_operator_fuzz::{chart, file, render};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &str| {
    let mut parts = input.split("\n%%\n");
    let mut part = || parts.next().unwrap_or_default();
    let (release, set_lines, defaults, dependencies, below, schema) = (part(), part(), part(), part(), part(), part());

    let mut values = values::parse(release).unwrap_or_default();
    for (index, line) in set_lines.lines().enumerate() {
        let map = Map::any(std::collections::BTreeMap::new());
        let outcome = match index % 5 {
            0 => strvals::parse_into(line, &map),
            1 => strvals::parse_string_into(line, &map),
            2 => strvals::parse_json_into(line, &map),
            3 => strvals::parse_literal_into(line, &map),
            _ => strvals::parse_file_into(line, &map, &mut |name| Ok(gotmpl::Value::string(name))),
        };
        if outcome.is_ok() && let serde_json::Value::Object(set) = json::to_serde(&map.into()) {
            values::merge(&mut values, set);
        }
    }

    let mut child = chart(b"{{ toYaml .Values }}");
    child.values = values::parse(below).unwrap_or_default();
    "child".clone_into(&mut child.metadata.name);
    let mut other = child.clone();
    "other".clone_into(&mut other.metadata.name);
    let mut parent = chart(b"{{ toYaml .Values }}");
    parent.templates.push(file("templates/b.yaml", b"{{ toJson .Values }}"));
    parent.values = values::parse(defaults).unwrap_or_default();
    parent.schema = (!schema.is_empty()).then(|| schema.as_bytes().into());
    if let Some(serde_json::Value::Array(declared)) = yaml_value(dependencies) {
        parent.metadata.dependencies = declared.into_iter().filter_map(|one| serde_json::from_value(one).ok()).collect();
    }
    parent.dependencies = vec![child, other];
    if let Err(error) = render(&parent, &values) {
        assert!(!error.to_string().is_empty());
    }
});

/// The YAML of `dependencies:`.
fn yaml_value(text: &str) -> Option<serde_json::Value> {
    let mut map: ValuesMap = values::parse(&format!("dependencies:\n{text}")).ok()?;
    map.remove("dependencies")
}
