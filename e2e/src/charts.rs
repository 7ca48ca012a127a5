//! Charts that stories and benches install, written into a folder as a chart author's files.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

/// A chart about to be written.
#[derive(Clone, Debug)]
pub struct Chart {
    name: String,
    files: BTreeMap<String, String>,
}

impl Chart {
    /// A chart with nothing but a `Chart.yaml`; its `appVersion` is its version.
    pub fn new(name: &str, version: &str) -> Self {
        let metadata = format!(
            "apiVersion: v2\nname: {name}\ndescription: A chart of the stories\ntype: application\nversion: {version}\nappVersion: \"{version}\"\n"
        );
        Self { name: name.to_owned(), files: BTreeMap::from([("Chart.yaml".to_owned(), metadata)]) }
    }

    /// The chart's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Adds (or replaces) a file.
    #[must_use]
    pub fn file(mut self, path: &str, text: impl Into<String>) -> Self {
        self.files.insert(path.to_owned(), text.into());
        self
    }

    /// Adds lines to `Chart.yaml`.
    #[must_use]
    pub fn metadata(mut self, lines: &str) -> Self {
        self.files.entry("Chart.yaml".to_owned()).or_default().push_str(lines);
        self
    }

    /// Adds a chart as a subchart, and the dependency on it.
    #[must_use]
    pub fn subchart(mut self, chart: Self, version: &str) -> Self {
        let metadata = self.files.entry("Chart.yaml".to_owned()).or_default();
        if !metadata.contains("\ndependencies:\n") {
            metadata.push_str("dependencies:\n");
        }
        metadata.push_str(&["- name: ", &chart.name, "\n  version: ", version, "\n"].concat());
        for (path, text) in chart.files {
            self.files.insert(format!("charts/{}/{path}", chart.name), text);
        }
        self
    }

    /// Writes the chart into a folder of its name in `folder`.
    ///
    /// # Errors
    /// When a file cannot be written.
    pub fn write(&self, folder: &Path) -> Result<PathBuf> {
        let root = folder.join(&self.name);
        for (path, text) in &self.files {
            let path = root.join(path);
            fs::create_dir_all(path.parent().context("a chart's file lies in the chart")?)?;
            fs::write(&path, text).with_context(|| format!("failed to write {}", path.display()))?;
        }
        Ok(root)
    }
}

const WEB_DEPLOYMENT: &str = r#"apiVersion: apps/v1
kind: Deployment
metadata:
  name: {{ .Release.Name }}
  labels:
    app.kubernetes.io/name: {{ .Chart.Name }}
    app.kubernetes.io/instance: {{ .Release.Name }}
    helm.sh/chart: {{ .Chart.Name }}-{{ .Chart.Version }}
spec:
  replicas: {{ .Values.replicaCount }}
  selector:
    matchLabels:
      app.kubernetes.io/instance: {{ .Release.Name }}
  template:
    metadata:
      labels:
        app.kubernetes.io/instance: {{ .Release.Name }}
      {{- with .Values.podAnnotations }}
      annotations:
        {{- toYaml . | nindent 8 }}
      {{- end }}
    spec:
      containers:
      - name: web
        image: {{ .Values.image.repository | default "registry.example.com/web" }}:{{ .Values.image.tag | default .Chart.AppVersion }}
        {{- with .Values.resources }}
        resources:
          {{- toYaml . | nindent 10 }}
        {{- end }}
"#;

const WEB_SERVICE: &str = r"apiVersion: v1
kind: Service
metadata:
  name: {{ .Release.Name }}
spec:
  type: {{ .Values.service.type }}
  selector:
    app.kubernetes.io/instance: {{ .Release.Name }}
  ports:
  - name: http
    port: {{ .Values.service.port }}
";

const WEB_CONFIG: &str = r"apiVersion: v1
kind: ConfigMap
metadata:
  name: {{ .Release.Name }}-config
data:
  version: {{ .Chart.Version | quote }}
  greeting: {{ .Values.greeting | quote }}
  revision: {{ .Release.Revision | quote }}
";

const WEB_INGRESS: &str = r"{{- if .Values.ingress.enabled }}
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata:
  name: {{ .Release.Name }}
spec:
  {{- with .Values.ingress.className }}
  ingressClassName: {{ . }}
  {{- end }}
  rules:
  {{- range .Values.ingress.hosts }}
  - host: {{ .host }}
    http:
      paths:
      {{- range .paths | default (list (dict)) }}
      - path: {{ .path | default `/` | quote }}
        pathType: {{ .pathType | default `Prefix` }}
        backend:
          service:
            name: {{ $.Release.Name }}
            port:
              name: http
      {{- end }}
  {{- end }}
{{- end }}
";

const WEB_VALUES: &str = r"replicaCount: 1
greeting: hello
image: {}
service:
  type: ClusterIP
  port: 80
ingress:
  enabled: false
  hosts: []
podAnnotations: {}
resources: {}
";

/// A small web application: Deployment, Service, `ConfigMap`, an Ingress if asked for, and notes.
pub fn web(name: &str, version: &str) -> Chart {
    Chart::new(name, version)
        .file("values.yaml", WEB_VALUES)
        .file("templates/deployment.yaml", WEB_DEPLOYMENT)
        .file("templates/service.yaml", WEB_SERVICE)
        .file("templates/config.yaml", WEB_CONFIG)
        .file("templates/ingress.yaml", WEB_INGRESS)
        .file("templates/NOTES.txt", "{{ .Release.Name }} says {{ .Values.greeting }}.\n")
}

/// One `ConfigMap` that holds `values.greeting`: the least chart that shows what was applied.
pub fn note(name: &str, version: &str) -> Chart {
    Chart::new(name, version).file("values.yaml", "greeting: hello\n").file("templates/config.yaml", WEB_CONFIG)
}

/// What the bench installs: six objects, none of which runs anything.
pub fn bench(version: &str) -> Chart {
    let map = |name: &str| WEB_CONFIG.replace("-config", &format!("-{name}"));
    let maps = ["settings", "scripts", "dashboards"].map(map).join("---\n");
    let account = "apiVersion: v1\nkind: ServiceAccount\nmetadata:\n  name: {{ .Release.Name }}\n";
    Chart::new("bench", version)
        .file("values.yaml", WEB_VALUES.replace("replicaCount: 1", "replicaCount: 0"))
        .file("templates/deployment.yaml", WEB_DEPLOYMENT)
        .file("templates/service.yaml", WEB_SERVICE)
        .file("templates/maps.yaml", maps)
        .file("templates/account.yaml", account)
}

/// An umbrella of `parts` applications, each with Deployment, Service, `ConfigMap`, Secret and `ServiceAccount`.
pub fn umbrella(version: &str, parts: usize) -> Chart {
    let secret = "apiVersion: v1\nkind: Secret\nmetadata:\n  name: {{ .Release.Name }}-{{ .Chart.Name }}\nstringData:\n  token: {{ .Values.global.token | quote }}\n";
    let account = "apiVersion: v1\nkind: ServiceAccount\nmetadata:\n  name: {{ .Release.Name }}-{{ .Chart.Name }}\n";
    let named = |text: &str| text.replace("name: {{ .Release.Name }}", "name: {{ .Release.Name }}-{{ .Chart.Name }}");
    let mut umbrella = Chart::new("umbrella", version).file("values.yaml", "global:\n  token: shared\n");
    for part in 0..parts {
        let selector = "app.kubernetes.io/instance: {{ .Release.Name }}-{{ .Chart.Name }}";
        let text = |text: &str| named(text).replace("app.kubernetes.io/instance: {{ .Release.Name }}", selector);
        let chart = Chart::new(&format!("part{part}"), version)
            .file("values.yaml", WEB_VALUES)
            .file("templates/deployment.yaml", text(WEB_DEPLOYMENT))
            .file("templates/service.yaml", text(WEB_SERVICE))
            .file("templates/config.yaml", text(WEB_CONFIG))
            .file("templates/secret.yaml", secret)
            .file("templates/account.yaml", account);
        umbrella = umbrella.subchart(chart, version);
    }
    umbrella
}
