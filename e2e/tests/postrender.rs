//! Post-renderers beside the real `kustomize`: the same patches and images on the same objects, chosen anew each time, give the same
//! objects, or neither gives any.

use std::collections::BTreeMap;
use std::fs;
use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use e2e::process::Scratch;
use e2e::sample::{Numbers, seed};
use e2e::tools::Tool;
use helm::postrender::{Image, Patch, PostRenderers, Step};
use helm::selector::{Selector, Texts};
use serde_json::{Value, json};

/// How many cases.
const CASES: usize = 150;

const OBJECTS: &str = r#"apiVersion: apps/v1
kind: Deployment
metadata:
  name: web
  labels: {app: web, tier: front}
spec:
  replicas: 2
  selector: {matchLabels: {app: web}}
  template:
    metadata:
      labels: {app: web}
      annotations: {example.com/a: "1"}
    spec:
      initContainers: [{name: init, image: "tools:1"}]
      containers:
      - name: web
        image: registry.example.com:5000/web:1.0
        args: [a, b]
        env: [{name: A, value: "1"}, {name: B, valueFrom: {fieldRef: {fieldPath: metadata.name}}}]
        ports: [{containerPort: 80, name: http}, {containerPort: 443, name: https}]
        volumeMounts: [{name: data, mountPath: /data}]
        resources: {limits: {cpu: 100m, memory: 1Gi}}
      - name: side
        image: side@sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855
      volumes: [{name: data, emptyDir: {}}, {name: config, configMap: {name: app}}]
      tolerations: [{key: a, operator: Exists}]
---
apiVersion: v1
kind: Service
metadata:
  name: web
spec:
  selector: {app: web}
  ports: [{port: 80, name: http, targetPort: 8080}, {port: 443, name: https}]
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata:
  name: web
spec:
  podSelector: {}
  ingress: [{ports: [{port: 443}, {port: 8443}]}]
---
apiVersion: v1
kind: ConfigMap
metadata:
  name: app
  annotations: {note: "x"}
data: {color: red, "a.b/c": "1"}
---
apiVersion: example.com/v1
kind: Thing
metadata: {name: thing}
spec:
  containers: [{name: a, image: "tools:1"}, {name: b}]
"#;

/// A patch, and the kind that it is for where it names no object itself.
const PATCHES: [(&str, &str); 27] = [
    ("spec: {template: {spec: {containers: [{name: side, stdin: true}]}}}", "Deployment"),
    (r#"[{"op": "replace", "path": "/spec/replicas", "value": 5}]"#, "Deployment"),
    (r#"[{"op": "add", "path": "/metadata/labels/new", "value": "1"}]"#, "Deployment"),
    (r#"[{"op": "remove", "path": "/spec/template/spec/containers/1"}]"#, "Deployment"),
    (
        r#"[{"op": "add", "path": "/spec/template/spec/containers/-", "value": {"name": "last", "image": "z"}}]"#,
        "Deployment",
    ),
    (
        r#"[{"op": "add", "path": "/spec/template/spec/containers/0", "value": {"name": "first", "image": "z"}}]"#,
        "Deployment",
    ),
    (
        r#"[{"op": "test", "path": "/data/color", "value": "red"}, {"op": "move", "from": "/data/color", "path": "/data/colour"}]"#,
        "ConfigMap",
    ),
    (r#"[{"op": "copy", "from": "/metadata/name", "path": "/data/a.b~1c"}]"#, "ConfigMap"),
    (r#"[{"op": "add", "path": "/spec/nested", "value": {"a": [1, 2.5, null, true]}}]"#, "Thing"),
    ("spec: {replicas: null}", "Deployment"),
    ("spec: {template: {spec: {containers: [{name: web, image: other, args: [c]}]}}}", "Deployment"),
    ("spec: {template: {spec: {containers: [{name: new, image: new, env: [{name: X, value: some}]}]}}}", "Deployment"),
    ("spec: {template: {spec: {containers: [{name: side, $patch: delete}]}}}", "Deployment"),
    (
        "spec: {template: {spec: {containers: [{name: web, env: [{name: A, $patch: delete}, {name: C, value: z}]}]}}}",
        "Deployment",
    ),
    ("spec: {template: {spec: {containers: [{name: web, ports: [{containerPort: 80, name: plain}]}]}}}", "Deployment"),
    ("spec: {template: {spec: {containers: [{name: web, resources: {limits: {cpu: null}}}]}}}", "Deployment"),
    (
        "spec: {template: {spec: {volumes: [{name: data, emptyDir: null, persistentVolumeClaim: {claimName: x}}]}}}",
        "Deployment",
    ),
    ("spec: {template: {spec: {tolerations: [{key: b}]}}}", "Deployment"),
    ("spec: {template: {metadata: {annotations: {$patch: replace, only: this}}}}", "Deployment"),
    (
        "spec: {template: {spec: {containers: [{name: web, volumeMounts: [{name: config, mountPath: /config}]}]}}}",
        "Deployment",
    ),
    ("data: {color: null, more: \"2\"}", "ConfigMap"),
    ("spec: {ports: [{port: 80, nodePort: 30080}, {port: 8080, name: alt}]}", "Service"),
    ("spec: {ingress: [{ports: [{port: 80}]}]}", "NetworkPolicy"),
    ("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: app}\ndata: {twice: a}\n---\n", ""),
    ("spec: {containers: [{name: a, image: c}], more: {x: null, z: 1}}", "Thing"),
    ("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: app}\ndata: {named: \"yes\"}", ""),
    ("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: app}\n$patch: delete", ""),
];

const IMAGES: [[Option<&str>; 4]; 6] = [
    [Some("registry.example.com:5000/web"), None, Some("2.0"), None],
    [Some("registry.example.com:5000/web"), Some("mirror/web"), None, None],
    [Some("side"), None, Some("3"), None],
    [
        Some("side"),
        Some("mirror/side"),
        None,
        Some("sha256:0000000000000000000000000000000000000000000000000000000000000001"),
    ],
    [Some("tools"), Some("mirror:5000/tools"), Some("4"), None],
    [Some("web"), None, Some("never"), None],
];

type Objects = BTreeMap<String, Value>;

fn objects(text: &str) -> Result<Objects> {
    let documents = formats::yaml::parse_all(text.as_bytes())?;
    let documents = documents.iter().map(formats::json::to_serde).filter(Value::is_object);
    Ok(documents.map(|object| (format!("{} {}", object["kind"], object["metadata"]["name"]), object)).collect())
}

fn ours(patches: &[(&str, &str)], images: &[[Option<&str>; 4]]) -> Result<Objects> {
    let parse = |(text, kind): &(&str, &str)| -> Result<Vec<Patch>> {
        let target = Selector::parse(&Texts { kind: Some(kind), ..Texts::default() })?;
        Ok(Patch::parse("a patch", text, (!kind.is_empty()).then_some(&target))?)
    };
    let text = |text: Option<&str>| text.map(str::to_owned);
    let image = |[name, new_name, new_tag, digest]: &[Option<&str>; 4]| Image {
        name: name.unwrap_or_default().to_owned(),
        new_name: text(*new_name),
        new_tag: text(*new_tag),
        digest: text(*digest),
    };
    let patches = patches.iter().map(parse).collect::<Result<Vec<_>>>()?.concat();
    let step = Step { patches, images: images.iter().map(image).collect() };
    let mut manifest = format!("---\n# Source: app/templates/all.yaml\n{OBJECTS}");
    PostRenderers { steps: vec![step], ..PostRenderers::default() }.apply(&mut manifest, &mut Vec::new())?;
    objects(&manifest)
}

fn theirs(kustomize: &std::path::Path, patches: &[(&str, &str)], images: &[[Option<&str>; 4]]) -> Result<Objects> {
    let scratch = Scratch::new("kustomize")?;
    fs::write(scratch.join("all.yaml"), OBJECTS)?;
    let patch = |(text, kind): &(&str, &str)| match *kind {
        "" => json!({ "patch": text }),
        // Without a name of its own a patch to merge is none for kustomize.
        kind if !text.starts_with('[') => {
            let named = format!("apiVersion: any/v1\nkind: {kind}\nmetadata: {{name: any}}\n");
            let text = match text.strip_prefix("metadata: {") {
                Some(rest) => format!("apiVersion: any/v1\nkind: {kind}\nmetadata: {{name: any, {rest}"),
                None => format!("{named}{text}"),
            };
            json!({ "patch": text, "target": { "kind": kind } })
        }
        kind => json!({ "patch": text, "target": { "kind": kind } }),
    };
    let image = |[name, new_name, new_tag, digest]: &[Option<&str>; 4]| {
        let fields = [("name", name), ("newName", new_name), ("newTag", new_tag), ("digest", digest)];
        let fields = fields.into_iter().filter_map(|(key, text)| Some((key.to_owned(), Value::from((*text)?))));
        Value::Object(fields.collect())
    };
    let kustomization = json!({
        "resources": ["all.yaml"],
        "patches": patches.iter().map(patch).collect::<Vec<_>>(),
        "images": images.iter().map(image).collect::<Vec<_>>(),
    });
    fs::write(scratch.join("kustomization.yaml"), kustomization.to_string())?;
    let output = Command::new(kustomize).arg("build").arg(scratch.path()).output()?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    objects(&String::from_utf8(output.stdout)?)
}

#[test]
fn patches_and_images_are_what_kustomize_makes_of_them() -> Result<()> {
    let kustomize = Tool::Kustomize.path()?;
    let seed = seed("POSTRENDER_SEED")?;
    println!("POSTRENDER_SEED={seed}");
    let mut numbers = Numbers::new(seed, "postrender");
    let mut failed = 0;
    for case in 0..CASES {
        // First each for itself, then some together.
        let (patches, images): (Vec<_>, Vec<_>) = match PATCHES.get(case) {
            Some(alone) => (vec![*alone], Vec::new()),
            None => (
                (0..numbers.below(4)).filter_map(|_| numbers.pick(&PATCHES).copied()).collect(),
                (0..numbers.below(3)).filter_map(|_| numbers.pick(&IMAGES).copied()).collect(),
            ),
        };
        let (own, real) = (ours(&patches, &images), theirs(&kustomize, &patches, &images));
        let told = || format!("case {case} of seed {seed}: {patches:#?} {images:?}");
        match (own, real) {
            (Ok(own), Ok(real)) => {
                for name in own.keys().chain(real.keys()) {
                    let (own, real) = (own.get(name), real.get(name));
                    let text = |object: Option<&Value>| object.map_or_else(|| "gone".to_owned(), Value::to_string);
                    ensure!(own == real, "{}: {name}\nours:   {}\ntheirs: {}", told(), text(own), text(real));
                }
            }
            (Err(_), Err(_)) => failed += 1,
            (own, real) => {
                own.with_context(told)?;
                real.with_context(told)?;
            }
        }
    }
    println!("{CASES} cases, {failed} of them refused by both");
    Ok(())
}
