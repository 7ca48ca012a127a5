//! Values and schemas that explode.

use std::fmt::Write as _;

use super::Case;
use super::Expected::{Refused, Rendered};
use super::archives::Pack;
use super::templates::numbered;

const TEMPLATE: &str = "a: {{ .Values | toYaml | nindent 2 }}\n";

fn values(text: impl Into<String>) -> (Vec<u8>, String) {
    (Pack::chart().file("web/templates/a.yaml", TEMPLATE).tgz(), text.into())
}

/// Values of the chart itself, and others of the release.
fn schema(schema: &str, values: &str) -> (Vec<u8>, String) {
    (Pack::chart().file("web/values.schema.json", schema).tgz(), values.to_owned())
}

/// Each list is nine times the one before it.
pub(super) fn laughs(levels: usize) -> String {
    let mut text = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n".to_owned();
    for index in 1..levels {
        writeln!(text, "a{index}: &a{index} [{}]", vec![format!("*a{}", index - 1); 9].join(", "))
            .expect("text can be written");
    }
    text
}

fn merge_keys() -> String {
    let mut text = "a0: &a0 {x0: 1}\n".to_owned();
    for index in 1..3_000 {
        writeln!(text, "a{index}: &a{index} {{<<: *a{}, x{index}: 1}}", index - 1).expect("text can be written");
    }
    text
}

fn deep_schema(depth: usize) -> String {
    "{\"properties\":{\"a\":".repeat(depth) + "{}" + &"}}".repeat(depth)
}

fn deep_value(depth: usize) -> String {
    "{a: ".repeat(depth) + "1" + &"}".repeat(depth)
}

/// Definitions of which each refers to the next ten times.
fn doubling_schema() -> String {
    let mut definitions = Vec::new();
    for index in 0..40 {
        let next = format!("{{\"$ref\":\"#/$defs/d{}\"}}", index + 1);
        definitions.push(format!("\"d{index}\":{{\"allOf\":[{}]}}", vec![next; 10].join(",")));
    }
    definitions.push("\"d40\":{\"type\":\"object\"}".to_owned());
    format!("{{\"$ref\":\"#/$defs/d0\",\"$defs\":{{{}}}}}", definitions.join(","))
}

/// Values are right if it is not known whether they are wrong.
fn forbidden() -> (Vec<u8>, String) {
    schema(&format!("{{\"not\":{}}}", DOUBLING.replace('#', "#/not")), &deep_value(490))
}

const RECURSIVE: &str = r##"{"$ref":"#"}"##;
const MUTUAL: &str = r##"{"$ref":"#/$defs/a","$defs":{"a":{"$ref":"#/$defs/b"},"b":{"$ref":"#/$defs/a"}}}"##;
const DYNAMIC: &str =
    r##"{"$schema":"https://json-schema.org/draft/2020-12/schema","$dynamicAnchor":"n","$dynamicRef":"#n"}"##;
const TREE: &str = r##"{"$defs":{"n":{"properties":{"a":{"$ref":"#/$defs/n"}}}},"$ref":"#/$defs/n"}"##;

const CHOICES: &str = r##"{"anyOf":[{"properties":{"a":{"$ref":"#"}},"type":"object"},{"type":"string"}]}"##;
const DOUBLING: &str = r##"{"allOf":[{"properties":{"a":{"$ref":"#"}}},{"properties":{"a":{"$ref":"#"}}}]}"##;

/// Definitions of which each refers to the next.
fn chain(links: usize) -> String {
    let definitions: Vec<String> =
        (0..links).map(|index| format!("\"d{index}\":{{\"$ref\":\"#/$defs/d{}\"}}", index + 1)).collect();
    format!("{{\"$ref\":\"#/$defs/d0\",\"$defs\":{{{},\"d{links}\":{{}}}}}}", definitions.join(","))
}

fn pattern(pattern: &str, text: &str) -> (Vec<u8>, String) {
    schema(&format!("{{\"properties\":{{\"a\":{{\"pattern\":\"{pattern}\"}}}}}}"), &format!("a: {text}\n"))
}

/// Properties of which each has its own pattern: as many as are too large together, or as are looked at again and again.
fn many_patterns(count: usize) -> (Vec<u8>, String) {
    let patterns = (0..count).map(|index| format!("\"(\\\\pL{{1,10}}|{index}){{1,3}}\":{{}}"));
    let patterns: Vec<String> = patterns.collect();
    let values = numbered(2_000, |index| format!("k{index}: 1\n"));
    schema(&format!("{{\"patternProperties\":{{{}}}}}", patterns.join(",")), &values)
}

fn unique_items(count: usize) -> (Vec<u8>, String) {
    let items: Vec<String> = (0..count).map(|index| format!("{{a: [{index}]}}")).collect();
    schema(r#"{"properties":{"a":{"uniqueItems":true}}}"#, &format!("a: [{}]\n", items.join(",")))
}

#[expect(clippy::too_many_lines, reason = "a table")]
pub(super) fn cases() -> Vec<Case> {
    vec![
        Case::new("alias-bomb", || values(laughs(60)), Refused("document contains excessive aliasing")),
        Case::new("alias-of-itself", || values("a: &a [*a]\n"), Refused("anchor 'a' value contains itself")),
        Case::new(
            "alias-of-a-large-text",
            || values(format!("a: &a {}\nb: [{}]\n", "x".repeat(1 << 20), "*a, ".repeat(1_000))),
            Refused("document contains excessive aliasing"),
        ),
        Case::new("merge-keys", || values(merge_keys()), Refused("document contains excessive aliasing")),
        Case::new("deep-flow", || values("[".repeat(1 << 20)), Refused("exceeded max depth of 500")),
        Case::new(
            "deep-blocks",
            || values((0..3_000).map(|depth| " ".repeat(depth) + "a:\n").collect::<Vec<_>>().concat()),
            Refused("exceeded max depth of 500"),
        ),
        Case::new("deep-but-allowed", || values(deep_value(490)), Rendered),
        Case::new(
            "twenty-megabytes-of-lists",
            || values("a: [".to_owned() + &"[],".repeat(7 << 20) + "]"),
            Refused("document has more than 500000 nodes"),
        ),
        Case::new(
            "twenty-megabytes-of-items",
            || values("a:\n".to_owned() + &"- a\n".repeat(5 << 20)),
            Refused("document has more than 500000 nodes"),
        ),
        Case::new(
            "twenty-megabytes-of-keys",
            || values((0..1_500_000).map(|key| format!("k{key}: {key}\n")).collect::<Vec<_>>().concat()),
            Refused("document has more than 500000 nodes"),
        ),
        Case::new(
            "twenty-megabytes-of-text",
            || values("a: ".to_owned() + &"x".repeat(20 << 20)),
            Refused("too much output"),
        ),
        Case::new(
            "many-documents",
            || values("a: 1\n---\n".repeat(1 << 20)),
            Refused("there are more than 500000 values"),
        ),
        Case::new("huge-numbers", || values(format!("a: {}\nb: 1e999999999\n", "9".repeat(1 << 20))), Rendered),
        Case::new("schema-of-itself", || schema(RECURSIVE, "a: 1\n"), Refused("causing reference cycle")),
        Case::new("schemas-of-each-other", || schema(MUTUAL, "a: 1\n"), Refused("causing reference cycle")),
        Case::new("dynamic-schema-of-itself", || schema(DYNAMIC, "a: 1\n"), Refused("causing reference cycle")),
        Case::new("schema-of-a-tree", || schema(TREE, &deep_value(490)), Rendered),
        Case::new(
            "schema-that-doubles",
            || schema(&doubling_schema(), "a: 1\n"),
            Refused("the schema takes more than 2000000 steps to check"),
        ),
        Case::new(
            "schema-of-a-long-chain",
            || schema(&chain(50_000), "a: 1\n"),
            Refused("more than 500 schemas lead to each other"),
        ),
        Case::new("schema-of-choices", || schema(CHOICES, &deep_value(490)), Refused("got object, want string")),
        Case::new(
            "schema-of-doubling-choices",
            || schema(DOUBLING, &deep_value(490)),
            Refused("the schema takes more than 2000000 steps to check"),
        ),
        Case::new("deep-schema", || schema(&deep_schema(5_000), "a: 1\n"), Refused("exceeded max depth of 500")),
        Case::new("deep-schema-and-value", || schema(&deep_schema(60), &deep_value(490)), Rendered),
        Case::new(
            "remote-schema",
            || schema(r#"{"$ref":"http://127.0.0.1:1/schema.json"}"#, ""),
            Refused("schemas are not fetched from elsewhere"),
        ),
        Case::new(
            "schema-of-a-file",
            || schema(r#"{"$ref":"file:///etc/passwd"}"#, ""),
            Refused("open /etc/passwd: no such file or directory"),
        ),
        Case::new(
            "schema-with-remote-meta",
            || schema(r#"{"$schema":"http://127.0.0.1:1/meta.json"}"#, ""),
            Refused("schemas are not fetched from elsewhere"),
        ),
        Case::new(
            "schema-with-a-huge-pattern",
            || pattern("(a{1,1000}){1,1000}", "b"),
            Refused("error parsing regexp: invalid repeat count"),
        ),
        Case::new(
            "schema-with-a-slow-pattern",
            || pattern("^(a+)+$", &("a".repeat(10_000) + "b")),
            Refused("does not match pattern '^(a+)+$'"),
        ),
        Case::new(
            "schema-with-a-backtracking-pattern",
            || pattern("^(?=(a+)+$)a", &("a".repeat(10_000) + "b")),
            Refused("invalid or unsupported Perl syntax"),
        ),
        Case::new(
            "large-schema",
            || schema(&format!("{{\"enum\":[{}1]}}", "1,".repeat(8 << 20)), "a: 1\n"),
            Refused("the schema is longer than 4194304 bytes"),
        ),
        Case::new("schema-of-patterns", || many_patterns(40), Refused("takes more than 2000000 steps to check")),
        Case::new(
            "schema-of-many-patterns",
            || many_patterns(4_000),
            Refused("the patterns of the schema have more than 500000 states"),
        ),
        Case::new("unique-items", || unique_items(40_000), Rendered),
        Case::new("many-unique-items", || unique_items(100_000), Refused("there are more than 500000 values")),
        Case::new("too-many-unique-items", || unique_items(200_000), Refused("document has more than 500000 nodes")),
        Case::new("schema-that-forbids-what-doubles", forbidden, Refused("takes more than 2000000 steps to check")),
        Case::new(
            "schema-with-patterns-of-a-large-text",
            || pattern("(a{1,100}){1,10}b", &"a".repeat(4 << 20)),
            Refused("takes more than 2000000 steps to check"),
        ),
    ]
}
