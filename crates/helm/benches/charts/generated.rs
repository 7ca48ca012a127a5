//! Charts of our own making, in three sizes, that use what public charts use most.

use std::fmt::Write as _;

use flate2::Compression;
use flate2::write::GzEncoder;

/// How large a chart is.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Size {
    pub(crate) name: &'static str,
    /// Dependencies, each as large as the chart itself.
    pub(crate) subcharts: usize,
    /// Workloads, each in a template of its own.
    pub(crate) workloads: usize,
}

pub(crate) const SIZES: [Size; 3] = [
    Size { name: "small", subcharts: 0, workloads: 4 },
    Size { name: "middle", subcharts: 3, workloads: 12 },
    Size { name: "large", subcharts: 10, workloads: 30 },
];

const HELPERS: &str = r#"
{{/* A name that fits into a label. */}}
{{- define "CHART.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 63 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name (default .Chart.Name .Values.nameOverride) | trunc 63 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}
{{- define "CHART.labels" -}}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- with .Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end -}}
"#;

const WORKLOAD: &str = r#"
{{- $values := .Values.WORKLOAD }}
{{- if and $values.enabled (semverCompare ">=1.20-0" .Capabilities.KubeVersion.Version) }}
apiVersion: apps/v1
kind: Deployment
metadata:
  name: {{ include "CHART.fullname" . }}-WORKLOAD
  namespace: {{ .Release.Namespace | quote }}
  labels: {{- include "CHART.labels" . | nindent 4 }}
spec:
  replicas: {{ $values.replicas }}
  template:
    metadata:
      annotations:
        checksum/config: {{ toJson $values | sha256sum }}
      labels: {{- include "CHART.labels" . | nindent 8 }}
    spec:
      containers:
        - name: WORKLOAD
          image: "{{ $values.image.repository }}:{{ $values.image.tag | default .Chart.AppVersion }}"
          env:
            {{- range $name, $value := $values.env }}
            - name: {{ $name | upper | replace "." "_" }}
              value: {{ tpl $value $ | quote }}
            {{- end }}
          {{- if hasKey $values "resources" }}
          resources: {{- toYaml $values.resources | nindent 12 }}
          {{- end }}
---
apiVersion: v1
kind: Service
metadata:
  name: {{ include "CHART.fullname" . }}-WORKLOAD
  labels: {{- include "CHART.labels" . | nindent 4 }}
spec:
  ports:
    {{- range $values.ports }}
    - name: {{ .name }}
      port: {{ .port | int }}
    {{- end }}
{{- end }}
"#;

/// A file of a chart: its path in the chart, and its text.
pub(crate) type File = (String, String);

/// The files of a chart, its dependencies included.
pub(crate) fn chart(size: Size) -> Vec<File> {
    let mut files = one("bench", size);
    for index in 0..size.subcharts {
        let name = format!("part{index}");
        files.extend(one(&name, size).into_iter().map(|(path, text)| (format!("charts/{name}/{path}"), text)));
    }
    files
}

fn one(name: &str, size: Size) -> Vec<File> {
    let file = |path: &str, text: String| (path.to_owned(), text);
    let mut files = vec![
        file("Chart.yaml", format!("apiVersion: v2\nname: {name}\nversion: 1.2.3\nappVersion: \"4.5\"\n")),
        file("values.yaml", values(size)),
        file("templates/_helpers.tpl", HELPERS.replace("CHART", name)),
    ];
    files.extend((0..size.workloads).map(|index| {
        let workload = format!("workload{index}");
        let text = WORKLOAD.replace("CHART", name).replace("WORKLOAD", &workload);
        (format!("templates/{workload}.yaml"), text)
    }));
    files
}

/// The values of one chart.
pub(crate) fn values(size: Size) -> String {
    let mut text = "# How it is called.\nnameOverride: \"\"\ncommonLabels:\n  team: platform\n".to_owned();
    for index in 0..size.workloads {
        write!(
            text,
            "# What workload {index} is made of.\nworkload{index}:\n  enabled: true\n  replicas: {index}\n  image:\n    \
             repository: registry.example.com/team/workload\n    tag:\n  env:\n    log.level: info\n    \
             release.name: '{{{{ .Release.Name }}}}'\n  ports:\n    - name: http\n      port: 8080\n    - {{name: \
             metrics, port: 9090}}\n  resources:\n    limits: {{cpu: 500m, memory: 128Mi}}\n    requests:\n      cpu: \
             10m\n",
        )
        .expect("a string takes all text");
    }
    text
}

/// The chart as it is published.
pub(crate) fn archive(files: &[File]) -> Vec<u8> {
    let mut archive = tar::Builder::new(GzEncoder::new(Vec::new(), Compression::default()));
    for (path, text) in files {
        let mut header = tar::Header::new_gnu();
        header.set_size(text.len() as u64);
        header.set_mode(0o644);
        archive.append_data(&mut header, format!("bench/{path}"), text.as_bytes()).expect("memory takes all bytes");
    }
    archive.into_inner().and_then(GzEncoder::finish).expect("memory takes all bytes")
}
