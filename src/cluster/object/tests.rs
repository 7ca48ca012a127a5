use super::{Source, left_behind, parse, settle_namespace};
use crate::cluster::{Error, Object, ObjectRef, Resource};
use serde_json::{Map, json};

fn parsed(text: &str) -> Result<Vec<(String, String)>, Error> {
    let documents = parse(&[Source { origin: "web/templates/all.yaml", text }])?;
    Ok(documents.into_iter().map(|document| (document.kind, document.name)).collect())
}

#[test]
fn lists_are_opened_however_deep() {
    let item = |name: &str| json!({ "apiVersion": "v1", "kind": "ConfigMap", "metadata": { "name": name } });
    let inner = json!({ "apiVersion": "v1", "kind": "ConfigMapList", "items": [item("b"), item("c")] });
    let list = json!({ "apiVersion": "v1", "kind": "List", "items": [item("a"), inner] });
    let names: Vec<_> = parsed(&list.to_string()).expect("a list").into_iter().map(|(_, name)| name).collect();
    assert_eq!(names, ["a", "b", "c"]);
    assert!(parsed(r#"{"apiVersion":"v1","kind":"List","items":[]}"#).expect("an empty list").is_empty());
}

#[test]
fn a_recorded_manifest_is_cut_where_helm_wrote_the_sources() {
    let manifest = "---\n# Source: web/templates/a.yaml\napiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: a\n\
                    ---\n# a comment\n---\n# Source: web/templates/b.yaml\napiVersion: v1\nkind: Secret\nmetadata:\n  name: b\n\
                    stringData:\n  text: |\n    ---\n    # Source: not-a-border\n---\nkind: Pod\napiVersion: v1\nmetadata: {name: c}\n";
    let documents = parse(&[Source { origin: "web", text: manifest }]).expect("a manifest");
    let places: Vec<_> = documents.iter().map(|document| (document.origin.as_str(), document.name.as_str())).collect();
    let (a, b) = ("web/templates/a.yaml", "web/templates/b.yaml");
    assert_eq!(places, [(a, "a"), (b, "b"), (b, "c")]);
    assert_eq!(documents[1].content["stringData"]["text"], "---\n# Source: not-a-border\n");
}

#[test]
fn numbers_and_texts_stay_what_they_are() {
    let text = "apiVersion: v1\nkind: A\nmetadata: {name: a}\nspec: {port: 8080, ratio: 0.5, on: yes, text: \"1\"}\n";
    let documents = parse(&[Source { origin: "a.yaml", text }]).expect("an object");
    assert_eq!(documents[0].content["spec"], json!({ "port": 8080, "ratio": 0.5, "true": true, "text": "1" }));
    let error = parse(&[Source { origin: "a.yaml", text: "a: [1" }]).expect_err("no YAML");
    assert_eq!(error.to_string(), "failed to parse the manifest of a.yaml");
}

#[test]
fn what_is_missing_is_named() {
    for (text, expected) in [
        (r#"{"apiVersion":"v1"}"#, "an object has no kind"),
        (r#"{"kind":"Pod"}"#, "a Pod has no apiVersion"),
        (r#"{"apiVersion":"v1","kind":"Pod"}"#, "a Pod has no metadata.name"),
        (r#"{"apiVersion":"v1","kind":"Pod","metadata":{"name":""}}"#, "a Pod has no metadata.name"),
        (r#"{"apiVersion":"v1","kind":"Pod","metadata":{"generateName":"a-"}}"#, "generateName"),
        ("[1]", "the document has no fields"),
    ] {
        let error = parsed(text).expect_err(text).to_string();
        assert!(error.contains(expected) && error.starts_with("web/templates/all.yaml"), "{error}");
    }
}

#[test]
fn the_namespace_is_the_objects_own_or_the_releases() {
    let settled = |namespace: serde_json::Value, namespaced| {
        let mut content = Map::from_iter([("metadata".to_owned(), json!({ "namespace": namespace }))]);
        let settled = settle_namespace(&mut content, namespaced, "release");
        assert_eq!(content["metadata"]["namespace"].as_str(), settled.as_deref());
        settled
    };
    assert_eq!(settled(json!("own"), true).as_deref(), Some("own"));
    assert_eq!(settled(json!(null), true).as_deref(), Some("release"));
    assert_eq!(settled(json!(""), true).as_deref(), Some("release"));
    assert_eq!(settled(json!("own"), false), None);
}

#[test]
fn an_object_that_changed_its_version_is_not_left_behind() {
    let object = |version: &str, name: &str| Object {
        uid: None,
        reference: ObjectRef {
            group: "batch".to_owned(),
            kind: "CronJob".to_owned(),
            namespace: Some("web".to_owned()),
            name: name.to_owned(),
        },
        resource: Resource {
            group: "batch".to_owned(),
            version: version.to_owned(),
            kind: "CronJob".to_owned(),
            plural: "cronjobs".to_owned(),
            namespaced: true,
        },
        origin: String::new(),
        content: Map::new(),
    };
    let left = left_behind(&[object("v1beta1", "a"), object("v1beta1", "b")], &[object("v1", "a")]);
    assert_eq!(left.iter().map(|object| object.reference().name.as_str()).collect::<Vec<_>>(), ["b"]);
}
