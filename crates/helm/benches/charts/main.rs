//! What becomes of a chart, step by step: loaded, its values read, its dependencies chosen, rendered with and without
//! parsing, and its manifests put in order.
//!
//! `cargo bench -p helm --profile measure`; for a comparison with Helm's own code there is `cargo bench-render`.

mod generated;

use std::collections::BTreeMap;
use std::hint::black_box;
use std::sync::Arc;

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use helm::chart::{Chart, Limits, archive};
use helm::engine::{self, Capabilities, NoLookup, ParsedTemplates, ReleaseInfo, Rendered, Request, SEED_BYTES};
use helm::manifest::{self, Order};
use helm::values::{self, ValuesMap};
use jiff::{Timestamp, Zoned, tz::TimeZone};

use generated::SIZES;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn load(bench: &mut Criterion) {
    let mut group = bench.benchmark_group("load");
    for size in SIZES {
        let bytes = generated::archive(&generated::chart(size));
        group.bench_function(BenchmarkId::from_parameter(size.name), |bench| {
            bench.iter(|| archive::load(black_box(&bytes), &Limits::default()).expect("the chart is good"));
        });
    }
}

fn read_values(bench: &mut Criterion) {
    let mut group = bench.benchmark_group("values");
    for size in SIZES {
        let text = generated::values(size);
        group.bench_function(BenchmarkId::new("parse", size.name), |bench| {
            bench.iter(|| values::parse(black_box(&text)).expect("the values are good"));
        });
        let chart = loaded(size);
        group.bench_function(BenchmarkId::new("dependencies", size.name), |bench| {
            bench.iter(|| engine::crds(black_box(&chart), &ValuesMap::new()).expect("the values fit"));
        });
    }
}

fn render(bench: &mut Criterion) {
    let mut group = bench.benchmark_group("render");
    for size in SIZES {
        let chart = loaded(size);
        group.bench_function(BenchmarkId::new("unparsed", size.name), |bench| {
            bench.iter(|| rendered(black_box(&chart), None));
        });
        let parsed = ParsedTemplates::new(&chart);
        group.bench_function(BenchmarkId::new("parsed", size.name), |bench| {
            bench.iter(|| rendered(black_box(&chart), Some(&parsed)));
        });
    }
}

fn sort(bench: &mut Criterion) {
    let mut group = bench.benchmark_group("sort");
    for size in SIZES {
        let manifests = rendered(&loaded(size), None).manifests;
        let mut files: BTreeMap<String, String> = BTreeMap::new();
        for manifest in manifests {
            let file = files.entry(manifest.name).or_default();
            file.extend(["---\n", manifest.content.as_str(), "\n"]);
        }
        group.bench_function(BenchmarkId::from_parameter(size.name), |bench| {
            bench.iter(|| manifest::sort(black_box(&files), Order::Install).expect("the manifests are good"));
        });
    }
}

fn loaded(size: generated::Size) -> Chart {
    let bytes = generated::archive(&generated::chart(size));
    archive::load(&bytes, &Limits::default()).expect("the chart is good")
}

fn rendered(chart: &Chart, templates: Option<&ParsedTemplates>) -> Rendered {
    let request = Request {
        chart,
        values: &ValuesMap::new(),
        release: &ReleaseInfo {
            name: "bench".to_owned(),
            namespace: "default".to_owned(),
            revision: 1,
            is_upgrade: false,
        },
        capabilities: &Capabilities::default(),
        lookup: Arc::new(NoLookup),
        now: Zoned::new(Timestamp::UNIX_EPOCH, TimeZone::UTC),
        seed: [7; SEED_BYTES],
        limits: engine::Limits::default(),
        templates,
        subchart_notes: false,
    };
    engine::render_on_stack(&request).expect("the chart renders")
}

criterion_group!(benches, load, read_values, render, sort);
criterion_main!(benches);
