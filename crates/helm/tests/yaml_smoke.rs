//! A document there and back.

use helm::{json, yaml};

#[test]
fn a_manifest_survives_reading_and_printing() {
    let text = b"apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: a\ndata:\n  # comment\n  a: \"1\"\n  script: |\n    x\n    y\n  no: 1_000\n  list:\n  - a: b\n    c: [1, {x: z}]\n  - 'it''s'\n";
    let value = yaml::parse(text).expect("the text is YAML");
    let printed = yaml::emit(&value);
    assert_eq!(
        String::from_utf8_lossy(&printed),
        "apiVersion: v1\ndata:\n  a: \"1\"\n  \"false\": 1000\n  list:\n  - a: b\n    c:\n    - 1\n    - x: z\n  - it's\n  script: |\n    x\n    y\nkind: ConfigMap\nmetadata:\n  name: a\n"
    );
    let printed = json::emit(&value).expect("the value is JSON");
    assert_eq!(json::emit(&json::parse(&printed).expect("JSON")).expect("JSON"), printed);
}
