use crate::chart::decode::{self, Document};

/// What Helm 4.3.1 says to this `Chart.yaml`; nothing if it takes it.
fn complaint(text: &str) -> Option<String> {
    match Document::read(text.as_bytes()).and_then(|document| decode::metadata(&document)) {
        Ok(mut metadata) => metadata.validate().err().map(|error| error.to_string()),
        Err(error) => Some(error.to_string()),
    }
}

#[test]
fn chart_yaml_is_checked_as_helm_does() {
    let base = "apiVersion: v2\nname: a\nversion: 1.0.0\n";
    for (text, expected) in [
        ("", ""),
        ("maintainers: [null]", "validation: maintainers must not contain empty or null nodes"),
        ("type: app", "validation: chart.metadata.type must be application or library"),
        (
            "dependencies: [{name: x, alias: a b}]",
            "validation: dependency \"x\" has disallowed characters in the alias",
        ),
        (
            "dependencies: [{name: x}, {name: z, alias: x}]",
            "validation: more than one dependency with name or alias \"x\"",
        ),
        (
            "deprecated: \"true\"",
            "error unmarshaling JSON: while decoding JSON: json: cannot unmarshal string into Go struct field Metadata.deprecated of type bool",
        ),
        (
            "keywords: a",
            "error unmarshaling JSON: while decoding JSON: json: cannot unmarshal string into Go struct field Metadata.keywords of type []string",
        ),
        (
            "maintainers: [{name: [a]}]",
            "error unmarshaling JSON: while decoding JSON: json: cannot unmarshal array into Go struct field Maintainer.maintainers.name of type string",
        ),
        (
            "maintainers: [1]",
            "error unmarshaling JSON: while decoding JSON: json: cannot unmarshal number into Go struct field Metadata.maintainers of type v2.Maintainer",
        ),
        (
            "annotations: {a: {b: c}}",
            "error unmarshaling JSON: while decoding JSON: json: cannot unmarshal object into Go struct field Metadata.annotations of type string",
        ),
    ] {
        let found = complaint(&format!("{base}{text}\n")).unwrap_or_default();
        assert_eq!(found, expected, "{text:?}");
    }
}

#[test]
fn names_and_versions_are_required() {
    for (text, expected) in [
        ("version: 1.0.0", "validation: chart.metadata.name is required"),
        ("name: a", "validation: chart.metadata.version is required"),
        ("name: a/b\nversion: 1.0.0", "validation: chart.metadata.name \"a/b\" is invalid"),
        ("name: ..\nversion: 1.0.0", "validation: chart.metadata.name \"..\" is not allowed"),
        ("name: a\nversion: x", "validation: chart.metadata.version \"x\" is invalid"),
    ] {
        assert_eq!(complaint(text).unwrap_or_default(), expected, "{text:?}");
    }
}

#[test]
fn scalars_become_text() {
    let text =
        "name: a\nversion: 1.10\nappVersion: 1.0\ndescription: \"tab\\there\\u200b\"\nannotations: {a: true, b: 2}\n";
    let mut metadata = decode::metadata(&Document::read(text.as_bytes()).expect("it is YAML")).expect("it decodes");
    metadata.validate().expect("it is valid");
    assert_eq!((&*metadata.version, &*metadata.app_version), ("1.1", "1"));
    assert_eq!(metadata.description, "tab here");
    let annotations: Vec<_> = metadata.annotations.iter().map(|(k, v)| format!("{k}={v}")).collect();
    assert_eq!(annotations, ["a=true", "b=2"]);
}
