use super::*;

#[test]
fn documents_of_a_values_file_are_merged() {
    let values = parse("a: {x: 1, z: 2}\nb: 1\n---\na: {z: 3}\nc: null\n").expect("it parses");
    let expected = serde_json::json!({"a": {"x": 1, "z": 3}, "b": 1, "c": null});
    assert_eq!(serde_json::Value::Object(values), expected);
    assert!(parse("").expect("nothing is no values").is_empty());
    assert!(parse("# only a comment\n").expect("nothing is no values").is_empty());
}

#[test]
fn values_must_be_a_mapping() {
    for (text, found) in [("- a\n", "array"), ("text\n", "string"), ("1\n", "number")] {
        let expected = format!(
            "cannot unmarshal yaml document: error unmarshaling JSON: while decoding JSON: json: cannot unmarshal {found} into Go value of type map[string]interface {{}}"
        );
        assert_eq!(parse(text).expect_err("no mapping").to_string(), expected);
    }
}
