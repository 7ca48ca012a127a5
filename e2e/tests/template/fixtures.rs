//! The charts and values that the tables speak of.

use std::fs;
use std::io::Write as _;

use anyhow::{Result, ensure};
use e2e::charts::Chart;

use crate::Bench;

const EVERYTHING: &str = r#"apiVersion: v1
kind: ConfigMap
metadata:
  name: {{ include "web.name" . }}
  namespace: {{ .Release.Namespace }}
data:
  release: {{ printf "%s %d %v %v %s" .Release.Name .Release.Revision .Release.IsInstall .Release.IsUpgrade .Release.Service | quote }}
  kube: {{ printf "%s %s %s %s" .Capabilities.KubeVersion.GitVersion .Capabilities.KubeVersion.Version .Capabilities.KubeVersion.Major .Capabilities.KubeVersion.Minor | quote }}
  apis: {{ printf "%v %v %v" (.Capabilities.APIVersions.Has "foo/v1") (.Capabilities.APIVersions.Has "bar/v1/Bar") (.Capabilities.APIVersions.Has "apps/v1") | quote }}
  template: {{ .Template.Name }} {{ .Template.BasePath }}
  values: |
    {{- toYaml .Values | nindent 4 }}
"#;

const KINDS: &str = r#"values: {{ toJson .Values }}
{{- range $key, $value := .Values }}
{{ $key }}: {{ kindOf $value }} {{ printf "%v" $value | quote }}
{{- end }}
"#;

const SCHEMA: &str =
    r#"{"type": "object", "required": ["port"], "properties": {"port": {"type": "integer", "minimum": 1}}}"#;

fn hook(name: &str, annotations: &str) -> String {
    format!(
        "apiVersion: batch/v1\nkind: Job\nmetadata:\n  name: {name}\n  annotations:\n    helm.sh/hook: {annotations}\nspec: {{}}\n"
    )
}

fn crd(name: &str) -> String {
    format!("apiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\nmetadata:\n  name: {name}\n")
}

/// A chart of many parts: manifests in several kinds, hooks, tests, notes, definitions, a dependency.
fn web() -> Chart {
    let cache = Chart::new("cache", "1.0.0")
        .file("values.yaml", "size: 1\nglobal: {}\n")
        .file("crds/cache.yaml", crd("caches.example.com"))
        .file("templates/NOTES.txt", "cache notes\n")
        .file("templates/cache.yaml", "kind: Cache\nsize: {{ .Values.size }}\nzone: {{ .Values.global.zone }}\n");
    Chart::new("web", "0.1.0")
        .file(
            "values.yaml",
            "replicas: 1\nimage: {tag: '1.0', repository: web}\nlist: [a, b]\ncache: {enabled: true}\n",
        )
        .file("crds/a.yaml", crd("as.example.com"))
        .file("crds/nested/b.yml", crd("bs.example.com") + "---\n" + &crd("cs.example.com") + "\n\n")
        .file("crds/README.md", "not one")
        .file("templates/_names.tpl", "{{ define \"web.name\" }}{{ .Release.Name }}-web{{ end }}")
        .file("templates/config.yaml", EVERYTHING)
        .file(
            "templates/apps/a.yaml",
            "kind: Service\nmetadata: {name: a}\n---\nkind: Deployment\nmetadata: {name: b}\n",
        )
        .file("templates/apps/b.yaml", "kind: Service\nmetadata: {name: c}\n")
        .file("templates/empty.yaml", "{{ if .Values.none }}kind: None{{ end }}\n")
        .file("templates/comment.yaml", "# only this\n")
        .file("templates/hooks/migrate.yaml", hook("migrate", "pre-install,pre-upgrade"))
        .file("templates/hooks/mixed.yaml", hook("late", "post-install") + "---\nkind: Service\nmetadata: {name: d}\n")
        .file("templates/tests/ping.yaml", hook("ping", "test"))
        .file("templates/tests/old.yaml", hook("old", "test-success"))
        .file("templates/NOTES.txt", "Hello {{ .Release.Name }}\n")
        .subchart(cache, "1.x.x")
        .metadata("  condition: cache.enabled\n")
}

fn refused() -> [Chart; 14] {
    let chart = |name: &str| Chart::new(name, "1.0.0");
    let alien =
        "apiVersion: v2\nname: library\nversion: 1.0.0\ntype: library\ndependencies: [{name: gone, version: 1.x}]\n";
    [
        chart("broken").file("templates/a.yaml", "a: b: c\n"),
        chart("scalar").file("templates/a.yaml", "just words\n"),
        chart("failing").file("templates/a.yaml", "{{ fail \"no such luck\" }}\n"),
        chart("required").file("templates/a.yaml", "x: {{ required \"x is needed\" .Values.x }}\n"),
        chart("nil").file("templates/a.yaml", "x: {{ .Values.a.b.c }}\n"),
        chart("unparsed").file("templates/a.yaml", "x: {{ if }}\n"),
        chart("unknown").file("templates/a.yaml", "x: {{ nosuchfunction 1 }}\n"),
        chart("library").file("Chart.yaml", alien),
        chart("missing").metadata("dependencies:\n- {name: one, version: 1.x}\n- {name: two, version: 2.x}\n"),
        chart("newer").metadata("kubeVersion: '>=9.0.0-0'\n").file("templates/a.yaml", "{{ fail \"too late\" }}\n"),
        chart("schema").file("values.schema.json", SCHEMA).file("values.yaml", "port: 0\n"),
        chart("notables")
            .file("templates/a.yaml", "a: 1\n")
            .subchart(chart("sub").file("values.yaml", "a: 1\n"), "1.x.x"),
        chart("unversioned").file("Chart.yaml", "apiVersion: v2\nname: unversioned\n"),
        chart("old").file("Chart.yaml", "apiVersion: v7\nname: old\nversion: 1.0.0\n"),
    ]
}

fn good() -> [Chart; 7] {
    let chart = |name: &str| Chart::new(name, "1.0.0");
    let second = chart("second").file("templates/a.yaml", "second: {{ .Values | toJson }}\n");
    let quarrel = chart("sub").file("values.yaml", "d: {e: {f: 1}}\nv: text\ns: 3\nexports: {data: text}\n");
    let times = "a: {{ date \"2006-01-02T15:04:05Z07:00 MST\" 1700000000 }}\nb: {{ now | date \"-0700\" }}\n\
                 c: {{ dateInZone \"15:04\" 1700000000 \"Asia/Tokyo\" }}\n";
    [
        web(),
        chart("plain").file("templates/a.yaml", "kind: Plain\n"),
        chart("kinds").file("values.yaml", "base: 1\nmap: {x: 1, y: [1, 2]}\n").file("templates/a.yaml", KINDS),
        chart("nothing").metadata("deprecated: true\n").file("templates/_only.tpl", "{{ define \"x\" }}{{ end }}"),
        chart("times").file("templates/a.yaml", times),
        chart("first")
            .file("values.yaml", "tags: {extra: false}\n")
            .subchart(second, "1.x.x")
            .metadata("  tags: [extra]\n"),
        chart("telling")
            .file("values.yaml", "a: {z: [1]}\nb: text\nhook: none\nevent: post-install\n")
            .file("templates/a.yaml", "values: {{ toJson .Values }}\n{{ if .Values.fail }}{{ fail \"late\" }}{{ end }}")
            .file("templates/hook.yaml", hook("odd", "{{ .Values.event | quote }}"))
            .subchart(quarrel, "1.x.x")
            .metadata("  condition: b,sub.v\n  tags: [extra]\n  import-values: [data, {child: s, parent: q}]\n"),
    ]
}

const FILES: &[(&str, &[u8])] = &[
    ("home/.keep", b""),
    ("a.yaml", b"replicas: 2\nimage: {tag: a}\nlist: [c]\nonly: {a: 1}\n"),
    ("b.yaml", b"image: {tag: b, extra: null}\nonly: {b: 2}\n"),
    ("with,comma.yaml", b"replicas: 7\n"),
    ("multi.yaml", b"a: 1\nm: {x: 1}\n---\nm: {y: 2}\nb: 1e3\n"),
    ("nulls.yaml", b"replicas: null\nimage: null\ncache: null\n"),
    ("zone.yaml", b"global: {zone: eu}\ncache: {size: 3}\n"),
    ("numbers.yaml", b"i: 7\nf: 7.5\nbig: 12345678901234567890\noct: 0o17\nyes: yes\nt: 2020-01-01\ns: '7'\n"),
    ("anchors.yaml", b"a: &a {x: 1}\nb: *a\nc: {<<: *a, y: 2}\n"),
    ("empty.yaml", b""),
    ("list.yaml", b"- a\n- b\n"),
    ("word.yaml", b"word\n"),
    ("broken.yaml", b"a: [1, 2\nb: 3\n"),
    ("tab.yaml", b"a:\n\tb: 1\n"),
    ("latin1.yaml", b"a: caf\xe9\n"),
    ("binary.bin", b"\x00\x01\xfe\xff\x80binary\x00"),
    ("text.txt", b"line one\nline two\n"),
    ("text.tgz", b"hello"),
    ("page.tgz", b"<!DOCTYPE html><html><body>404</body></html>"),
    ("archive.zip", b"PK\x03\x04rest"),
    ("zero.tgz", b""),
    ("garbage.tgz", b"\x1f\x8b\x08\x00garbage"),
    ("nochart/values.yaml", b"a: 1\n"),
];

/// Writes all of them, and packs some.
pub(crate) fn write(bench: &Bench) -> Result<()> {
    for chart in good().iter().chain(&refused()) {
        chart.write(bench.folder.path())?;
    }
    for (name, content) in FILES {
        let path = bench.path(name);
        fs::create_dir_all(path.parent().unwrap_or(&path))?;
        fs::write(path, content)?;
    }
    fs::write(bench.path("long.txt"), "words and words\n".repeat(100))?;
    for chart in ["web", "broken"] {
        let packed = bench.helm().args(["package", chart]).output()?;
        ensure!(packed.status.success(), "{packed:?}");
    }
    let whole = fs::read(bench.path("web-0.1.0.tgz"))?;
    fs::File::create(bench.path("cut.tgz"))?.write_all(&whole[..whole.len() / 2])?;
    Ok(())
}
