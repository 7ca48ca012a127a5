//! The charts of the kill points: small, quick, and with everything that is written on the way.

use crate::charts::Chart;
use crate::kwok::{PLAY, play};

/// The name of the chart without hooks.
pub(super) const PLAIN: &str = "plain";
/// The name of the chart with hooks.
pub(super) const HOOKED: &str = "hooked";

const MAP: &str = r"apiVersion: v1
kind: ConfigMap
metadata:
  name: {{ .Release.Name }}-NAME
data:
  version: {{ .Chart.Version | quote }}
  greeting: {{ .Values.greeting | quote }}
";

const JOB: &str = r"apiVersion: batch/v1
kind: Job
metadata:
  name: {{ .Release.Name }}-NAME
  annotations:
    helm.sh/hook: EVENTS
    POLICY
spec:
  backoffLimit: 0
  template:
    spec:
      restartPolicy: Never
      containers:
      - name: main
        image: registry.example.com/main:1
";

/// A Service that the API server refuses while `values.refused` is set.
const REFUSED: &str = r"{{- if .Values.refused }}
apiVersion: v1
kind: Service
metadata:
  name: {{ .Release.Name }}-refused
spec:
  ports: [{ port: 99999 }]
{{- end }}
";

/// A Deployment that never becomes ready, while `values.waits` is set.
const WAITING: &str = r"{{- if .Values.waits }}
apiVersion: apps/v1
kind: Deployment
metadata:
  name: {{ .Release.Name }}-waiting
spec:
  selector:
    matchLabels: { app: {{ .Release.Name }} }
  template:
    metadata:
      labels: { app: {{ .Release.Name }} }
      annotations: { PLAY: NEVER_READY }
    spec:
      containers:
      - name: main
        image: registry.example.com/main:1
{{- end }}
";

/// `a` is always there, `old` in 1.0.0 only, `new` in 1.1.0 only; no hooks.
pub(super) fn plain(name: &str, version: &str) -> Chart {
    let map = |name: &str| MAP.replace("NAME", name);
    let other = if version == "1.0.0" { "old" } else { "new" };
    Chart::new(name, version)
        .file("values.yaml", "greeting: hello\nrefused: false\nwaits: false\nmood: ''\n")
        .file("templates/a.yaml", map("a"))
        .file("templates/other.yaml", map(other))
        .file("templates/refused.yaml", REFUSED)
        .file("templates/waiting.yaml", WAITING.replace("PLAY", PLAY).replace("NEVER_READY", play::NEVER_READY))
}

/// The same with hooks: one deleted once it has succeeded, one that runs at two events, one that stays, and those of the
/// uninstall.
pub(super) fn hooked(version: &str) -> Chart {
    let job = |name: &str, events: &str, policy: &str| {
        JOB.replace("NAME", name).replace("EVENTS", events).replace("POLICY", policy)
    };
    let succeeded = "helm.sh/hook-delete-policy: hook-succeeded,before-hook-creation";
    let moody =
        format!("  template:\n    metadata:\n      annotations:\n        {PLAY}: {{{{ .Values.mood | quote }}}}\n");
    let map = MAP.replace("NAME", "told").replace(
        "\ndata:\n",
        "\n  annotations:\n    helm.sh/hook: post-install,post-upgrade,post-rollback\n    helm.sh/hook-weight: \"5\"\ndata:\n",
    );
    plain(HOOKED, version)
        .file("templates/pre.yaml", job("pre", "pre-install,pre-upgrade,pre-rollback", succeeded))
        .file(
            "templates/both.yaml",
            job("both", "pre-install,post-install,pre-upgrade,post-upgrade", "example.com/note: stays"),
        )
        .file("templates/told.yaml", map)
        .file("templates/test.yaml", job("test", "test", "example.com/note: stays").replace("  template:\n", &moody))
        .file("templates/leave.yaml", job("leave", "pre-delete", succeeded))
        .file("templates/left.yaml", job("left", "post-delete", succeeded))
}

/// [`plain`] as Flux leaves what it applied: with the labels of its `HelmRelease`.
pub(super) fn from_flux() -> Chart {
    let labels = "metadata:\n  labels: { helm.toolkit.fluxcd.io/name: any, helm.toolkit.fluxcd.io/namespace: {{ .Release.Namespace }} }\n";
    let map = |name: &str| MAP.replace("NAME", name).replace("metadata:\n", labels);
    plain(PLAIN, "1.0.0").file("templates/a.yaml", map("a")).file("templates/other.yaml", map("old"))
}

/// A chart called `token` with a definition in `crds/`, of a group that has the token in it.
pub(super) fn with_definition(token: &str) -> Chart {
    let definition = format!(
        "apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata:
  name: widgets.{token}.example.com
spec:
  group: {token}.example.com
  names: {{ kind: Widget, plural: widgets, singular: widget, listKind: WidgetList }}
  scope: Namespaced
  versions:
  - name: v1
    served: true
    storage: true
    schema:
      openAPIV3Schema: {{ type: object, x-kubernetes-preserve-unknown-fields: true }}
"
    );
    let widget = format!(
        "apiVersion: {token}.example.com/v1\nkind: Widget\nmetadata:\n  name: {{{{ .Release.Name }}}}-widget\nspec: {{ size: 1 }}\n"
    );
    plain(token, "1.0.0").file("crds/widget.yaml", definition).file("templates/widget.yaml", widget)
}
