//! Rendered files against 4,000 answers of Helm 4.3.1 (recorded by `oracle/manifest`).

use std::collections::BTreeMap;
use std::io::Read;

use flate2::read::GzDecoder;
use helm::manifest::{Order, sort};
use serde_json::{Value, json};

#[test]
fn rendered_files_are_cut_and_put_in_order_as_helm_does() {
    let mut lines = String::new();
    let vectors: &[u8] = include_bytes!("vectors/manifest.jsonl.gz");
    GzDecoder::new(vectors).read_to_string(&mut lines).expect("the vectors are gzipped UTF-8");
    let mut checked = 0;
    for line in lines.lines() {
        let vector: Value = serde_json::from_str(line).expect("a line is a JSON object");
        let files = serde_json::from_value(vector["files"].clone()).expect("files are texts");
        for (order, theirs) in [(Order::Install, &vector["install"]), (Order::Uninstall, &vector["uninstall"])] {
            assert_eq!(&sorted(&files, order), theirs, "{order:?} of {files:#?}");
        }
        checked += 1;
    }
    assert_eq!(checked, 4_000);
}

fn sorted(files: &BTreeMap<String, String>, order: Order) -> Value {
    match sort(files, order) {
        Ok((hooks, manifests)) => {
            let rows = manifests.iter().map(|m| json!([m.name, m.api_version, m.kind, m.object_name, m.content]));
            json!({"hooks": if hooks.is_empty() { Value::Null } else { json!(hooks) }, "manifests": rows.collect::<Value>()})
        }
        Err(error) => json!({"error": error.to_string()}),
    }
}
