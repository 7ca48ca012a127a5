//! Values no chart's author has thought of: random edits of a chart's own.
//!
//! Every second mutant is edited wildly, any value becoming anything; in the others every value keeps its type, so that
//! most of them render.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use helm::chart::{Chart, archive, directory};
use helm::values::{self, ValuesMap};
use serde_json::{Value, json};

use crate::case::Case;

/// Edits of a wild mutant, and of one that keeps types.
const MOST_EDITS: [u64; 2] = [6, 8];

/// Where the values of mutants are kept, so that a difference can be looked into.
const FOLDER: &str = "target/parity";

/// `count` mutants for each chart of `cases`, over the values of a random case of that chart.
pub(crate) fn of_all(cases: &[Case], count: u64, seed: u64) -> Result<Vec<Case>> {
    fs::create_dir_all(FOLDER).with_context(|| format!("failed to make {FOLDER}"))?;
    let mut mutants = Vec::new();
    for cases in cases.chunk_by(|a, b| a.chart == b.chart) {
        // What cannot be loaded has no values to edit.
        let Ok(chart) = load(&cases[0].chart) else { continue };
        for number in 0..count {
            let name = format!("{} -f mutant-{seed}-{number}", cases[0].name);
            mutants.push(mutant(cases, &chart, name, number % 2 == 0)?);
        }
    }
    Ok(mutants)
}

fn load(path: &Path) -> Result<Chart> {
    Ok(if path.is_dir() {
        directory::load(path)?
    } else {
        archive::load(&fs::read(path)?, &archive::Limits::default())?
    })
}

fn mutant(cases: &[Case], chart: &Chart, name: String, wild: bool) -> Result<Case> {
    let mut dice = Dice::new(&name);
    let base = &cases[dice.below(cases.len() as u64)];
    let mut all = defaults(chart);
    for file in &base.values {
        values::merge(&mut all, values::parse(&fs::read_to_string(file)?).unwrap_or_default());
    }
    let mut edits = ValuesMap::new();
    for _ in 0..=dice.below(MOST_EDITS[usize::from(!wild)]) {
        let mut path = Vec::new();
        let Some(old) = pick(&all, &mut path, &mut dice) else { break };
        let new = if wild { anything(&mut dice) } else { alike(old, &mut dice) };
        values::merge(&mut edits, nest(&path, new));
    }
    let file = PathBuf::from(FOLDER).join(format!("{}.json", name.replace(['/', ' '], "_")));
    fs::write(&file, serde_json::to_vec_pretty(&edits)?)?;
    let mut values = base.values.clone();
    values.push(file);
    Ok(Case { name, chart: base.chart.clone(), values })
}

/// The values of a chart, those of its dependencies below their names.
fn defaults(chart: &Chart) -> ValuesMap {
    let mut all = ValuesMap::new();
    for dependency in &chart.dependencies {
        all.insert(dependency.name().to_owned(), Value::Object(defaults(dependency)));
    }
    values::merge(&mut all, chart.values.clone());
    all
}

/// A random place, most often a leaf; lists are taken whole, for values files cannot reach into them.
fn pick<'v>(values: &'v ValuesMap, path: &mut Vec<String>, dice: &mut Dice) -> Option<&'v Value> {
    let (key, value) = values.iter().nth(dice.below(values.len() as u64))?;
    path.push(key.clone());
    match value {
        Value::Object(inner) if !inner.is_empty() && dice.below(12) > 0 => pick(inner, path, dice),
        value => Some(value),
    }
}

fn nest(path: &[String], value: Value) -> ValuesMap {
    let nested = path.iter().rev().fold(value, |inner, key| json!({ key: inner }));
    match nested {
        Value::Object(map) => map,
        _ => ValuesMap::new(),
    }
}

fn anything(dice: &mut Dice) -> Value {
    let all = [
        Value::Null,
        json!(true),
        json!(false),
        json!(0),
        json!(1),
        json!(-3),
        json!(2.5),
        json!(1_000_000),
        json!(12_345_678_901_u64),
        json!(""),
        json!("text"),
        json!("true"),
        json!("0123"),
        json!("1.5Gi"),
        json!("a: b"),
        json!("two\nlines\n"),
        json!("{{ .Release.Name }}-{{ .Values.global }}"),
        json!("{{ .Values.no.such }}"),
        json!("ünï✓ \"quoted\" and 'so'"),
        json!([]),
        json!(["one", 2, null]),
        json!([{ "name": "a", "value": "b" }]),
        json!({}),
        json!({ "key": "value" }),
        json!({ "enabled": true, "name": 7 }),
    ];
    all[dice.below(all.len() as u64)].clone()
}

fn alike(old: &Value, dice: &mut Dice) -> Value {
    match old {
        Value::Null => anything(dice),
        Value::Bool(value) => Value::Bool(!value),
        Value::Number(_) => {
            [json!(0), json!(1), json!(8080), json!(2.5), json!(-1), json!(3_000_000)][dice.below(6)].clone()
        }
        Value::String(text) => match dice.below(8) {
            0 => json!(""),
            1 => json!(format!("{text}-{}", "long-".repeat(20))),
            2 => json!("{{ .Release.Namespace }}"),
            3 => json!("on"),
            4 => json!("v1.25.3"),
            5 => json!("# no: comment"),
            6 => json!(text.to_uppercase()),
            _ => json!("123"),
        },
        Value::Array(items) => list_alike(items, dice),
        Value::Object(fields) => {
            let mut fields = fields.clone();
            fields.insert("extra".to_owned(), json!("more"));
            Value::Object(fields)
        }
    }
}

fn list_alike(items: &[Value], dice: &mut Dice) -> Value {
    let mut items = items.to_vec();
    match (dice.below(3), items.first().cloned()) {
        (0, Some(_)) => drop(items.pop()),
        (1, Some(first)) => items.push(alike(&first, dice)),
        (2, Some(first)) => items[0] = alike(&first, dice),
        _ => items.push(if dice.below(2) == 0 { json!("item") } else { json!({ "name": "item", "key": "k" }) }),
    }
    Value::Array(items)
}

/// Splitmix64: the same text makes the same throws everywhere.
struct Dice(u64);

impl Dice {
    fn new(text: &str) -> Self {
        // FNV-1a.
        Self(
            text.bytes()
                .fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3)),
        )
    }

    /// From 0 to `end`, without it; 0 if there is no other.
    fn below(&mut self, end: u64) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut throw = self.0;
        throw = (throw ^ (throw >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        throw = (throw ^ (throw >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((throw ^ (throw >> 31)) % end.max(1)).unwrap_or_default()
    }
}
