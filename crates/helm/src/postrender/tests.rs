use serde_json::{Value, json};

use super::{Image, Patch, PostRenderers, Step};
use crate::manifest::Hook;
use crate::selector::{Selector, Texts};

const MANIFEST: &str = "---
# Source: app/templates/map.yaml
apiVersion: v1
kind: ConfigMap
metadata:
  name: app
data:
  # a comment
  color:   red
---
# Source: app/templates/web.yaml
apiVersion: apps/v1
kind: Deployment
metadata:
  name: web
spec:
  replicas: 2
  template:
    spec:
      containers:
      - name: web
        image: registry.example.com:5000/web:1.0
        args: [a, b]
        env:
        - {name: A, value: '1'}
        - {name: B, value: '2'}
      - name: side
        image: side@sha256:aa
";

fn kind(kind: &str) -> Selector {
    Selector::parse(&Texts { kind: Some(kind), ..Texts::default() }).expect("a selector")
}

fn patched(patches: &[(&str, Option<Selector>)], images: Vec<Image>) -> Result<String, String> {
    let parse = |(text, target): &(&str, Option<Selector>)| Patch::parse("the patch", text, target.as_ref());
    let patches = patches
        .iter()
        .map(parse)
        .collect::<Result<Vec<_>, _>>()
        .map(|all| all.concat())
        .map_err(|error| error.to_string())?;
    let post = PostRenderers { steps: vec![Step { patches, images }], ..PostRenderers::default() };
    let mut manifest = MANIFEST.to_owned();
    post.apply(&mut manifest, &mut Vec::new()).map_err(|error| error.to_string())?;
    Ok(manifest)
}

/// The Deployment after a patch.
fn web(patch: &str) -> Value {
    let manifest = patched(&[(patch, Some(kind("Deployment")))], Vec::new()).expect("it can be applied");
    let documents = formats::yaml::parse_all(manifest.as_bytes()).expect("YAML");
    documents.iter().map(formats::json::to_serde).find(|object| object["kind"] == "Deployment").unwrap_or_default()
}

#[test]
fn what_nothing_changes_keeps_its_text_and_what_is_changed_its_place() {
    let post = PostRenderers::default();
    let mut manifest = MANIFEST.to_owned();
    post.apply(&mut manifest, &mut Vec::new()).expect("nothing is changed");
    assert_eq!(manifest, MANIFEST);

    let patch = r#"[{"op": "replace", "path": "/spec/replicas", "value": 3}]"#;
    let manifest = patched(&[(patch, Some(kind("Deployment")))], Vec::new()).expect("it can be applied");
    let (before, after) = manifest.split_once("# Source: app/templates/web.yaml\n").expect("the heading");
    assert_eq!(before, MANIFEST.split_once("# Source: app/templates/web.yaml\n").expect("the heading").0);
    assert!(after.contains("replicas: 3\n") && after.contains("image: side@sha256:aa\n"), "{after}");
}

#[test]
fn operations_are_those_of_json_patch() {
    let object = web("- {op: add, path: /metadata/labels, value: {a: b}}\n- {op: remove, path: /spec/replicas}\n");
    assert_eq!(object["metadata"]["labels"], json!({ "a": "b" }));
    assert!(object["spec"].get("replicas").is_none());
    for (patch, why) in [
        ("- {op: remove, path: /spec/paused}\n", "cannot be applied to Deployment \"web\""),
        ("- {op: test, path: /spec/replicas, value: 7}\n", "cannot be applied"),
        ("- {op: jump, path: /spec}\n", "neither a list"),
        ("text", "single value"),
    ] {
        let error = patched(&[(patch, Some(kind("Deployment")))], Vec::new()).expect_err(patch);
        assert!(error.contains(why), "{error}");
    }
    assert!(patched(&[("- {op: remove, path: /spec}\n", None)], Vec::new()).is_err());
    // For nothing that is there.
    assert_eq!(
        patched(&[("- {op: remove, path: /spec}\n", Some(kind("Service")))], Vec::new()).as_deref(),
        Ok(MANIFEST)
    );
}

#[test]
fn an_object_is_merged_by_what_names_the_items_of_its_lists() {
    let containers = |object: &Value| object["spec"]["template"]["spec"]["containers"].clone();
    let patch =
        |containers: Value| json!({ "spec": { "template": { "spec": { "containers": containers } } } }).to_string();
    let merged = containers(&web(&patch(json!([
        { "name": "web", "image": "other", "args": ["c"], "env": [{ "name": "B", "$patch": "delete" }, { "name": "C", "value": "3" }] },
        { "name": "new", "image": "new", "stdin": null },
    ]))));
    assert_eq!(
        merged,
        json!([
            { "name": "web", "image": "other", "args": ["c"], "env": [{ "name": "C", "value": "3" }, { "name": "A", "value": "1" }] },
            { "name": "new", "image": "new" },
            { "name": "side", "image": "side@sha256:aa" },
        ])
    );
    let replaced = containers(&web(&patch(json!([{ "name": "only" }, { "$patch": "replace" }]))));
    assert_eq!(replaced, json!([{ "name": "only" }]));
    let object = web(&json!({ "spec": { "replicas": null, "template": { "$patch": "replace", "x": 1 } } }).to_string());
    assert_eq!(object["spec"], json!({ "template": { "x": 1 } }));
}

#[test]
fn a_patch_without_a_target_is_for_the_object_that_it_names_and_may_delete_it() {
    let named = |name: &str| json!({ "apiVersion": "v1", "kind": "ConfigMap", "metadata": { "name": name }, "data": { "a": "b" } });
    let manifest = patched(&[(&named("app").to_string(), None)], Vec::new()).expect("it can be applied");
    assert!(manifest.contains("color: red\n") && manifest.contains("a: b\n"), "{manifest}");
    let error = patched(&[(&named("other").to_string(), None)], Vec::new()).expect_err("no such object");
    assert!(error.contains("ConfigMap \"other\""), "{error}");
    let mut deletes = named("app");
    deletes["$patch"] = "delete".into();
    let manifest = patched(&[(&deletes.to_string(), None)], Vec::new()).expect("it can be applied");
    assert!(
        !manifest.contains("ConfigMap") && manifest.starts_with("---\n# Source: app/templates/web.yaml\n"),
        "{manifest}"
    );
}

#[test]
fn images_are_replaced_by_name() {
    let image = |name: &str, new: [Option<&str>; 3]| {
        let [new_name, new_tag, digest] = new.map(|text| text.map(str::to_owned));
        Image { name: name.to_owned(), new_name, new_tag, digest }
    };
    let replaced = |image: Image| {
        let manifest = patched(&[], vec![image]).expect("it can be applied");
        manifest
            .lines()
            .filter_map(|line| line.trim().trim_start_matches("- ").strip_prefix("image: ").map(str::to_owned))
            .collect::<Vec<_>>()
    };
    let web = "registry.example.com:5000/web";
    let side = "side@sha256:aa";
    assert_eq!(replaced(image(web, [None, Some("2"), None])), [&format!("{web}:2"), side]);
    assert_eq!(replaced(image(web, [Some("mirror/web"), None, None])), ["mirror/web:1.0", side]);
    assert_eq!(replaced(image("side", [None, Some("3"), None]))[1], "side:3");
    assert_eq!(replaced(image("side", [None, Some("3"), Some("sha256:bb")]))[1], "side:3@sha256:bb");
    assert_eq!(replaced(image("web", [None, Some("2"), None])), [&format!("{web}:1.0"), side]);
}

#[test]
fn all_objects_get_labels_and_annotations_and_hooks_unless_they_are_left_out() {
    let hook = Hook { manifest: "apiVersion: v1\nkind: Pod\nmetadata: {name: hook}\n".to_owned(), ..Hook::default() };
    let post = |skips_hooks| PostRenderers {
        labels: [("team".to_owned(), "a".to_owned())].into(),
        annotations: [("note".to_owned(), "b".to_owned())].into(),
        skips_hooks,
        ..PostRenderers::default()
    };
    let (mut manifest, mut hooks) = (MANIFEST.to_owned(), vec![hook.clone()]);
    post(false).apply(&mut manifest, &mut hooks).expect("it can be applied");
    assert_eq!(manifest.matches("team: a\n").count(), 2, "{manifest}");
    assert_eq!(manifest.matches("note: b\n").count(), 2, "{manifest}");
    assert!(hooks[0].manifest.contains("team: a\n"), "{}", hooks[0].manifest);
    let mut hooks = vec![hook.clone()];
    post(true).apply(&mut MANIFEST.to_owned(), &mut hooks).expect("it can be applied");
    assert_eq!(hooks, [hook]);
}

#[test]
fn the_objects_of_a_list_are_changed_each_for_itself_and_integers_keep_their_digits() {
    let mut manifest = "---\n# Source: a\napiVersion: v1\nkind: List\nitems:\n- {apiVersion: v1, kind: ConfigMap, metadata: {name: app}, id: 1234567890123456789}\n- {apiVersion: v1, kind: Secret, metadata: {name: app}}\n".to_owned();
    let patches = Patch::parse("p", "metadata: {labels: {a: b}}", Some(&kind("Secret"))).expect("a patch");
    let post = PostRenderers {
        steps: vec![Step { patches, images: Vec::new() }],
        annotations: [("note".to_owned(), "c".to_owned())].into(),
        ..PostRenderers::default()
    };
    post.apply(&mut manifest, &mut Vec::new()).expect("it can be applied");
    assert_eq!(manifest.matches("note: c\n").count(), 2, "{manifest}");
    assert_eq!(manifest.matches("a: b\n").count(), 1, "{manifest}");
    assert!(manifest.contains("id: 1234567890123456789\n") && manifest.contains("kind: List\n"), "{manifest}");
}

const DNS: &str = "---
# Source: app/templates/dns.yaml
apiVersion: v1
kind: Service
metadata:
  name: dns
spec:
  ports:
  - {port: 53, name: tcp}
  - {port: 53, name: udp, protocol: UDP}
---
# Source: app/templates/role.yaml
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata:
  name: dns
";

/// What becomes of the objects of [`DNS`] in a release in namespace `net`.
fn dns(patch: &str, target: Option<&Selector>) -> Result<Vec<Value>, String> {
    let patches = Patch::parse("the patch", patch, target).map_err(|error| error.to_string())?;
    let steps = vec![Step { patches, images: Vec::new() }];
    let post = PostRenderers { steps, namespace: "net".to_owned(), ..PostRenderers::default() };
    let mut manifest = DNS.to_owned();
    post.apply(&mut manifest, &mut Vec::new()).map_err(|error| error.to_string())?;
    let documents = formats::yaml::parse_all(manifest.as_bytes()).map_err(|error| error.to_string())?;
    Ok(documents.iter().map(formats::json::to_serde).filter(Value::is_object).collect())
}

#[test]
fn ports_of_one_number_differ_by_their_protocols() {
    let of =
        |port: &str| format!("{{apiVersion: v1, kind: Service, metadata: {{name: dns}}, spec: {{ports: [{port}]}}}}");
    let cases = [
        ("{port: 53, protocol: UDP, targetPort: 5353}", json!([["udp", 5353], ["tcp", null]])),
        ("{port: 53, targetPort: 5353}", json!([["tcp", 5353], ["udp", null]])),
        ("{port: 443, protocol: UDP}", json!([[null, null], ["tcp", null], ["udp", null]])),
        ("{port: 53, protocol: TCP, $patch: delete}", json!([["udp", null]])),
    ];
    for (patch, expected) in cases {
        let objects = dns(&of(patch), None).expect("it can be applied");
        let ports = objects[0]["spec"]["ports"].as_array().expect("ports").iter();
        let ports: Vec<Value> = ports.map(|port| json!([port["name"], port["targetPort"]])).collect();
        assert_eq!(Value::from(ports), expected, "{patch}");
    }
}

#[test]
fn a_patch_may_hold_several_documents_and_empty_ones() {
    let named = |kind: &str, version: &str| {
        format!("apiVersion: {version}\nkind: {kind}\nmetadata: {{name: dns, labels: {{a: b}}}}\n---\n")
    };
    let both = named("Service", "v1") + &named("ClusterRole", "rbac.authorization.k8s.io/v1");
    let objects = dns(&both, None).expect("it can be applied");
    assert!(objects.iter().all(|object| object["metadata"]["labels"]["a"] == "b"), "{objects:?}");
    assert!(dns("---\n", None).is_err_and(|error| error.contains("empty")));
}

#[test]
fn a_patch_that_names_no_namespace_is_for_that_of_the_release() {
    let patch = "{apiVersion: v1, kind: Service, metadata: {name: dns, labels: {a: b}}}";
    let patches = Patch::parse("the patch", patch, None).expect("a patch");
    let steps = vec![Step { patches, images: Vec::new() }];
    let post = PostRenderers { steps, namespace: "net".to_owned(), ..PostRenderers::default() };
    let of = |namespace: &str| {
        format!("---\n# Source: a\napiVersion: v1\nkind: Service\nmetadata: {{name: dns, namespace: {namespace}}}\n")
    };
    let mut manifest = [of("net"), of("other")].concat();
    post.apply(&mut manifest, &mut Vec::new()).expect("it can be applied");
    assert_eq!(manifest.matches("a: b\n").count(), 1, "{manifest}");
    let error = post.apply(&mut of("other"), &mut Vec::new()).expect_err("none is there");
    assert!(error.to_string().contains("does not render"), "{error}");
}

#[test]
fn an_object_without_a_namespace_is_in_that_of_the_release() {
    for (namespace, expected) in [("net", [true, false]), ("other", [false, false])] {
        let target = Texts { namespace: Some(namespace), ..Texts::default() };
        let target = Selector::parse(&target).expect("a selector");
        let objects = dns("metadata: {labels: {a: b}}", Some(&target)).expect("it can be applied");
        let labelled: Vec<bool> = objects.iter().map(|object| object["metadata"]["labels"]["a"] == "b").collect();
        assert_eq!(labelled, expected, "{namespace}");
    }
}

#[test]
fn what_would_grow_without_end_and_hooks_that_would_become_others_are_refused() {
    let copy = |at: i32| json!({ "op": "copy", "from": "/spec", "path": format!("/spec/a{at}") });
    let copies = Value::from((0..40).map(copy).collect::<Vec<_>>()).to_string();
    let error = patched(&[(&copies, Some(kind("Deployment")))], Vec::new()).expect_err("it grows");
    assert!(error.contains("larger than"), "{error}");
    let aliases = format!("a: &a [{}]\nb: [{}]\n", "1, ".repeat(2000), "*a, ".repeat(100));
    let error = patched(&[(&aliases, Some(kind("Deployment")))], Vec::new()).expect_err("it is large");
    assert!(error.contains("more than"), "{error}");
    let hook = "metadata: {annotations: {helm.sh/hook: pre-install}}";
    let error = patched(&[(hook, Some(kind("Deployment")))], Vec::new()).expect_err("it would be a hook");
    assert!(error.contains("annotations of hooks"), "{error}");
}
