//! How strategic merges treat the lists of built-in kinds is what the API server's own schema says.
//!
//! `UPDATE=1 cargo test -p e2e --test merge_keys` records it anew.

#![expect(clippy::tests_outside_test_module, reason = "an integration test is one")]

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::Path;

use anyhow::{Context as _, Result, ensure};
use e2e::apiserver::ControlPlane;
use http::Request;
use serde_json::Value;

const RECORDED: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../crates/helm/src/postrender/merge_keys.txt");

/// A field: the type of what is in it, and how its list is merged.
struct Field {
    of: Option<String>,
    list: Option<String>,
}

/// The fields of each type.
type Types = BTreeMap<String, BTreeMap<String, Field>>;

/// The name of a type without where it is defined.
fn short(reference: &str) -> String {
    let name = reference.trim_start_matches("#/definitions/");
    let end = [".pkg.apis.", ".k8s.api."].iter().find_map(|mark| name.split_once(mark));
    end.map_or(name, |(_, end)| end).to_owned()
}

fn field(schema: &Value) -> Field {
    let of = ["/$ref", "/items/$ref"].iter().find_map(|path| schema.pointer(path)?.as_str());
    let strategy = schema["x-kubernetes-patch-strategy"].as_str().unwrap_or_default();
    let is_merged = schema["type"] == "array" && strategy.split(',').any(|word| word == "merge");
    let key = || schema["x-kubernetes-patch-merge-key"].as_str().unwrap_or("set").to_owned();
    // What server-side apply tells items by goes farther: two ports of one number differ by their protocols.
    let keys = schema["x-kubernetes-list-map-keys"].as_array().into_iter().flatten().filter_map(Value::as_str);
    let keys = keys.collect::<Vec<_>>().join(",");
    let list = is_merged.then(key).map(|key| if keys.starts_with(&format!("{key},")) { keys } else { key });
    Field { of: of.map(short), list }
}

fn types(definitions: &serde_json::Map<String, Value>) -> Types {
    let fields = |definition: &Value| {
        let properties = definition["properties"].as_object().into_iter().flatten();
        properties.map(|(name, schema)| (name.clone(), field(schema))).collect()
    };
    definitions.iter().map(|(name, definition)| (short(name), fields(definition))).collect()
}

/// The types in which something is merged, however deep.
fn merged(types: &Types) -> BTreeSet<&String> {
    let mut merged = BTreeSet::new();
    loop {
        let is_new = |fields: &BTreeMap<String, Field>| {
            fields.values().any(|field| field.list.is_some() || field.of.as_ref().is_some_and(|of| merged.contains(of)))
        };
        let found: BTreeSet<_> = types.iter().filter(|(_, fields)| is_new(fields)).map(|(name, _)| name).collect();
        if found == merged {
            return merged;
        }
        merged = found;
    }
}

/// `group kind type` of each kind that has metadata; of several versions the last one counts, and stable ones are last.
fn kinds(definitions: &serde_json::Map<String, Value>) -> BTreeMap<(String, String), String> {
    let mut kinds = BTreeMap::new();
    let mut versions: Vec<_> = definitions.iter().collect();
    versions.sort_by_key(|(name, _)| (!name.contains("alpha"), !name.contains("beta"), (*name).clone()));
    for (name, definition) in versions {
        let is_object = definition
            .pointer("/properties/metadata/$ref")
            .is_some_and(|reference| reference.as_str().is_some_and(|reference| reference.ends_with(".ObjectMeta")));
        let named = definition["x-kubernetes-group-version-kind"].as_array().filter(|_| is_object);
        if let Some([named]) = named.map(Vec::as_slice) {
            let text = |key: &str| named[key].as_str().unwrap_or_default().to_owned();
            let group = Some(text("group")).filter(|group| !group.is_empty()).unwrap_or_else(|| "core".to_owned());
            kinds.insert((group, text("kind")), short(name));
        }
    }
    kinds
}

/// The kinds whose objects are in namespaces.
fn in_namespaces(openapi: &Value) -> BTreeSet<(String, String)> {
    let paths = openapi["paths"].as_object().into_iter().flatten().filter(|(path, _)| path.contains("/{namespace}/"));
    let kinds = paths.filter_map(|(_, methods)| methods.pointer("/post/x-kubernetes-group-version-kind"));
    let text = |kind: &Value, key: &str| kind[key].as_str().unwrap_or_default().to_owned();
    let group = |group: String| if group.is_empty() { "core".to_owned() } else { group };
    kinds.map(|kind| (group(text(kind, "group")), text(kind, "kind"))).collect()
}

fn record(openapi: &Value) -> Result<String> {
    let definitions = openapi["definitions"].as_object().context("the API server has no definitions")?;
    let types = types(definitions);
    let merged = merged(&types);
    let kinds = kinds(definitions);
    let mut text = String::from("# From the OpenAPI of the API server; schema.rs says how it is read.\n");
    let in_namespaces = in_namespaces(openapi);
    for ((group, kind), name) in &kinds {
        let is_in = in_namespaces.contains(&(group.clone(), kind.clone()));
        writeln!(text, "kind {group} {kind} {name} {}", if is_in { "namespace" } else { "cluster" })?;
    }
    // Only what kinds lead to.
    let mut reached: BTreeSet<&String> = BTreeSet::new();
    let mut next: Vec<&String> = kinds.values().collect();
    while let Some(name) = next.pop() {
        let fields = types.get(name).into_iter().flatten();
        if reached.insert(name) {
            next.extend(fields.filter_map(|(_, field)| field.of.as_ref().filter(|of| merged.contains(of))));
        }
    }
    for (name, fields) in types.iter().filter(|(name, _)| reached.contains(name)) {
        for (field, Field { of, list }) in fields {
            let of = of.as_deref().filter(|of| merged.iter().any(|merged| merged == of));
            if of.is_some() || list.is_some() {
                writeln!(text, "field {name} {field} {} {}", of.unwrap_or("-"), list.as_deref().unwrap_or("-"))?;
            }
        }
    }
    Ok(text)
}

#[tokio::test]
async fn the_table_of_lists_is_what_the_api_server_says() -> Result<()> {
    let plane = ControlPlane::api_only().await?;
    let request = Request::get("/openapi/v2").header("accept", "application/json").body(Vec::new())?;
    let openapi: Value = plane.client().await?.request(request).await?;
    let said = record(&openapi)?;
    let path = Path::new(RECORDED);
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(path, &said)?;
    }
    let recorded = std::fs::read_to_string(path)?;
    let missing = said.lines().find(|line| !recorded.lines().any(|other| other == *line));
    ensure!(
        recorded == said,
        "the table differs: {missing:?} is new; `UPDATE=1 cargo test -p e2e --test merge_keys` records it"
    );
    Ok(())
}
