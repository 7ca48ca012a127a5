//! Templates alone: parsed and executed, in three sizes. `cargo bench -p gotmpl --profile measure`.

use std::collections::BTreeMap;
use std::hint::black_box;
use std::sync::Arc;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use gotmpl::{Functions, Interp, Limits, List, Map, ParsedFile, TemplateSet, Value};

/// How many times the block below is repeated.
const SIZES: [(&str, usize); 3] = [("small", 1), ("middle", 20), ("large", 400)];

const BLOCK: &str = r#"
{{- define "labelsN" -}}
app: {{ .name }}
{{- end }}
{{- /* One object. */}}
{{- if and .enabled (ne .name "other") }}
kind: {{ printf "%s-%d" .name N | printf "%q" }}
labels: {{ template "labelsN" . }}
  {{- range $index, $item := .items }}
  - {{ $index }}: {{ $item.key }}{{ if gt $index 3 }} # {{ len $.items }}{{ end }}
  {{- else }}
  []
  {{- end }}
{{- with $.missing }}
missing: {{ . }}
{{- end }}
{{- end }}
"#;

fn source(blocks: usize) -> String {
    (0..blocks).map(|number| BLOCK.replace('N', &number.to_string())).collect()
}

fn data() -> Value {
    let map = |entries: Vec<(&str, Value)>| -> Value {
        Map::any(entries.into_iter().map(|(key, value)| (key.into(), value)).collect::<BTreeMap<_, _>>()).into()
    };
    let items = (0..8).map(|index| map(vec![("key", Value::string(format!("value {index}")))])).collect();
    map(vec![("name", Value::string("web")), ("enabled", true.into()), ("items", List::any(items).into())])
}

fn parse(bench: &mut Criterion) {
    let functions = Functions::<()>::new(&[]);
    let mut group = bench.benchmark_group("parse");
    for (name, blocks) in SIZES {
        let text: Arc<[u8]> = source(blocks).into_bytes().into();
        group.throughput(Throughput::Bytes(text.len() as u64));
        group.bench_function(BenchmarkId::from_parameter(name), |bench| {
            bench.iter(|| ParsedFile::parse("bench", black_box(&text), functions.names()).expect("it parses"));
        });
    }
}

fn exec(bench: &mut Criterion) {
    let functions = Functions::<()>::new(&[]);
    let data = data();
    let mut group = bench.benchmark_group("exec");
    for (name, blocks) in SIZES {
        let mut templates = TemplateSet::new("bench");
        templates.parse("bench", source(blocks).as_bytes(), functions.names()).expect("it parses");
        group.bench_function(BenchmarkId::from_parameter(name), |bench| {
            bench.iter(|| {
                let mut out = Vec::new();
                let mut interp = Interp::new(&(), &functions, templates.clone(), Limits::default());
                interp.execute(b"bench", black_box(&data), &mut out).expect("it runs");
                out
            });
        });
    }
}

criterion_group!(benches, parse, exec);
criterion_main!(benches);
