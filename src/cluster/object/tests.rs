use std::time::{Duration, Instant};

use super::{Definitions, Source, definitions, distinct, last_of_each, left_behind, parse, settle_namespace};
use crate::cluster::discovery::Kinds;
use crate::cluster::order::{install_groups, uninstall_groups};
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
    for empty in [
        r#"{"apiVersion":"v1","kind":"List","items":[]}"#,
        r#"{"apiVersion":"v1","kind":"List","items":null}"#,
        r#"{"apiVersion":"v1","kind":"ConfigMapList","metadata":{},"items":null}"#,
    ] {
        assert!(parsed(empty).expect("an empty list").is_empty(), "{empty}");
    }
    let typed =
        r#"{"apiVersion":"rbac.authorization.k8s.io/v1","kind":"RoleBindingList","items":[{"metadata":{"name":"a"}}]}"#;
    assert_eq!(parsed(typed).expect("a typed list"), [("RoleBinding".to_owned(), "a".to_owned())]);
    // What has items of another sort is an object, and keeps them.
    let text = r#"{"apiVersion":"example.com/v1","kind":"Menu","metadata":{"name":"m"},"items":{"tea":1}}"#;
    let menu = parse(&[Source { origin: "a.yaml", text }]).expect("an object");
    assert_eq!(menu[0].content["items"], json!({ "tea": 1 }));
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

fn object(version: &str, kind: &str, name: &str) -> Object {
    Object {
        reference: ObjectRef {
            group: "batch".to_owned(),
            kind: kind.to_owned(),
            namespace: Some("web".to_owned()),
            name: name.to_owned(),
        },
        resource: resource(version, kind),
        origin: String::new(),
        content: Map::new(),
        uid: None,
        awaits_definition: false,
    }
}

fn resource(version: &str, kind: &str) -> Resource {
    Resource {
        group: "batch".to_owned(),
        version: version.to_owned(),
        kind: kind.to_owned(),
        plural: format!("{}s", kind.to_lowercase()),
        namespaced: true,
    }
}

#[test]
fn an_object_that_changed_its_version_is_not_left_behind() {
    let old = [object("v1beta1", "CronJob", "a"), object("v1beta1", "CronJob", "b")];
    let left = left_behind(&old, &[object("v1", "CronJob", "a")]);
    assert_eq!(left.iter().map(|object| object.reference().name.as_str()).collect::<Vec<_>>(), ["b"]);
}

#[test]
fn of_several_manifests_each_object_is_taken_once_as_the_first_has_it() {
    let manifests = vec![
        vec![object("v1", "Job", "a"), object("v1", "Job", "b")],
        vec![object("v1beta1", "Job", "b"), object("v1beta1", "Job", "c")],
    ];
    let told: Vec<_> = distinct(manifests)
        .iter()
        .map(|object| (object.reference().name.clone(), object.resource().version.clone()))
        .collect();
    let expected =
        [("a", "v1"), ("b", "v1"), ("c", "v1beta1")].map(|(name, version)| (name.to_owned(), version.to_owned()));
    assert_eq!(told, expected);
}

/// Integers that a `float64` does not hold reach the API server as they are written, as with Helm.
#[test]
fn large_integers_are_kept_exactly() {
    for integer in ["9007199254740993", "-9007199254740993", "9223372036854775807", "-9223372036854775808"] {
        for text in [
            format!("apiVersion: v1\nkind: A\nmetadata: {{name: a}}\nspec: {{id: {integer}}}\n"),
            format!(r#"{{"apiVersion":"v1","kind":"A","metadata":{{"name":"a"}},"spec":{{"id":{integer}}}}}"#),
        ] {
            let documents = parse(&[Source { origin: "a.yaml", text: &text }]).expect("an object");
            assert_eq!(documents[0].content["spec"].to_string(), format!(r#"{{"id":{integer}}}"#));
        }
    }
}

const DEFINED: &str = r"
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: gadgets.example.com}
spec:
  group: example.com
  scope: Namespaced
  names: {kind: Gadget, plural: gadgets}
  versions: [{name: v1, served: true}, {name: v0, served: false}]
---
apiVersion: example.com/v1
kind: Gadget
metadata: {name: g}
";

#[test]
fn a_kind_that_the_manifest_defines_is_known_before_the_cluster_serves_it() {
    let documents = parse(&[Source { origin: "all.yaml", text: DEFINED }]).expect("a manifest");
    let defined = definitions(&documents);
    let served = Kinds::serving([Resource {
        group: "apiextensions.k8s.io".to_owned(),
        namespaced: false,
        ..resource("v1", "CustomResourceDefinition")
    }]);
    let mut documents = documents.into_iter();
    let mut resolve = |defined: &Definitions| documents.next().expect("a document").resolve(&served, defined, "web");
    assert!(!resolve(&defined).expect("a definition").awaits_definition());
    let gadget = resolve(&defined).expect("a gadget");
    assert!(gadget.awaits_definition() && gadget.resource().plural == "gadgets" && gadget.resource().namespaced);

    let unserved = DEFINED.replace("example.com/v1", "example.com/v0");
    let documents = parse(&[Source { origin: "all.yaml", text: &unserved }]).expect("a manifest");
    let defined = definitions(&documents);
    let gadget = documents.into_iter().next_back().expect("a gadget").resolve(&served, &defined, "web");
    assert!(matches!(gadget, Err(Error::UnknownKind { .. })), "{gadget:?}");
}

#[test]
fn what_is_to_be_removed_is_found_in_the_version_that_is_still_served() {
    let text = "apiVersion: batch/v1beta1\nkind: CronJob\nmetadata: {name: c}\n";
    let removed = |served: &[Resource]| {
        let kinds = Kinds::serving(served.iter().cloned());
        let document = parse(&[Source { origin: "c.yaml", text }]).expect("a manifest").swap_remove(0);
        document.in_served_version(&kinds).resolve(&kinds, &Definitions::new(), "web")
    };
    let moved = removed(&[resource("v1", "CronJob")]).expect("a CronJob");
    assert_eq!(moved.resource().version, "v1");
    assert!(matches!(removed(&[resource("v1", "Job")]), Err(Error::UnknownKind { .. })));
}

/// All that is computed over the objects of a release, with as many old as new ones; returns how long it took.
fn computing(objects: usize) -> impl Fn() -> Duration {
    let kinds = ["ConfigMap", "Secret", "Deployment", "Gadget"];
    let release = move |version: &str, from: usize| -> Vec<Object> {
        (from..from + objects).map(|number| object(version, kinds[number % 4], &format!("object-{number}"))).collect()
    };
    let (old, new) = (release("v1beta1", 0), release("v1", objects / 2));
    move || {
        let begun = Instant::now();
        let last = last_of_each(new.clone());
        let left = left_behind(&old, &last);
        let all = distinct(vec![last, old.clone()]);
        assert_eq!((left.len(), all.len()), (objects / 2, objects + objects / 2));
        assert_eq!((install_groups(&all).len(), uninstall_groups(&all).len()), (4, 4));
        begun.elapsed()
    }
}

#[test]
fn sixteen_times_the_objects_cost_about_as_many_times_the_time() {
    let (few, many) = (computing(1_000), computing(16_000));
    // Quadratic work is 256 times as long in every pair of runs; what neighbours on the machine take is not in all of them.
    let pairs: Vec<_> = (0..20).map(|_| (few(), many())).take_while(|(few, many)| *many >= *few * 90).collect();
    assert!(pairs.len() < 20, "for 1,000 and 16,000 objects: {pairs:?}");
}
