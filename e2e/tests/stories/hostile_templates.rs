//! Charts whose templates fail, refuse, never end or print nonsense: told by file and line, and everybody else goes on.

use anyhow::Result;
use e2e::charts::{self, Chart};
use e2e::status;
use e2e::story::story;
use helm_operator::api::Reason;
use serde_json::json;

struct Case {
    chart: &'static str,
    template: &'static str,
    reason: Reason,
    words: &'static [&'static str],
}

const CASES: [Case; 11] = [
    Case {
        chart: "fails-to-parse",
        template: "a: b\n{{ if .Values.x }\n",
        reason: Reason::TemplateFailed,
        words: &["fails-to-parse/templates/main.yaml:2"],
    },
    Case {
        chart: "fails-to-run",
        template: "a: b\nb: {{ .Values.none.such }}\n",
        reason: Reason::TemplateFailed,
        words: &["fails-to-run/templates/main.yaml:2:", "nil pointer"],
    },
    Case {
        chart: "refuses",
        template: "{{ fail \"choose a database\" }}\n",
        reason: Reason::ChartRefused,
        words: &["choose a database"],
    },
    Case {
        chart: "requires",
        template: "{{ required \"a host is required\" .Values.host }}\n",
        reason: Reason::ChartRefused,
        words: &["a host is required"],
    },
    Case {
        chart: "never-ends",
        template: "{{ range until 900000 }}{{ range until 900000 }}{{ end }}{{ end }}\n",
        reason: Reason::RenderLimitExceeded,
        words: &[],
    },
    Case {
        chart: "recurses",
        template: "{{ define \"again\" }}{{ template \"again\" . }}{{ end }}{{ template \"again\" . }}\n",
        reason: Reason::RenderLimitExceeded,
        words: &["depth"],
    },
    Case {
        chart: "copies-for-ever",
        template: "{{ $x := list 1 }}{{ range until 100 }}{{ $x = list $x $x }}{{ end }}{{ deepCopy $x | toYaml }}\n",
        reason: Reason::RenderLimitExceeded,
        words: &["copies-for-ever/templates/main.yaml", "too many evaluation steps"],
    },
    Case {
        chart: "hashes-for-ever",
        template: "{{ range until 1000 }}{{ bcrypt \"x\" }}{{ end }}\n",
        reason: Reason::RenderLimitExceeded,
        words: &["too many evaluation steps"],
    },
    Case {
        chart: "prints-no-yaml",
        template: "kind: ConfigMap\n  apiVersion: [v1\n",
        reason: Reason::ManifestInvalid,
        words: &["main.yaml"],
    },
    Case {
        chart: "prints-unknown-kinds",
        template: "apiVersion: example.com/v1\nkind: Widget\nmetadata:\n  name: widget\n",
        reason: Reason::UnknownKind,
        words: &["Widget", "example.com/v1"],
    },
    Case {
        chart: "prints-invalid-objects",
        template: "apiVersion: v1\nkind: Service\nmetadata:\n  name: bad\nspec:\n  ports:\n  - port: 99999\n",
        reason: Reason::ObjectInvalid,
        words: &["bad", "spec.ports[0].port"],
    },
];

#[test]
fn charts_that_cannot_be_rendered_say_why_and_stop_nobody_else() -> Result<()> {
    story("templates", async |story| {
        for Case { chart, template, .. } in &CASES {
            let chart = Chart::new(chart, "1.0.0").file("values.yaml", "x: 1\n");
            story.push(&chart.file("templates/main.yaml", *template)).await?;
        }
        story.push(&charts::note("memo", "1.0.0")).await?;
        story.open_repository().await?;
        for Case { chart, .. } in &CASES {
            story.release(chart, chart, "1.0.0", json!({})).await?;
        }
        story.release("memo", "memo", "1.0.0", json!({})).await?;
        story.ready("memo").await?;
        for Case { chart, reason, words, .. } in CASES {
            let refused = story.refused(chart, reason, words).await?;
            // A kind may yet come with somebody's CRD; everything else is for the chart's author.
            if reason != Reason::UnknownKind {
                status::stalled(&refused, reason)?;
            }
        }
        Ok(())
    })
}

#[test]
fn a_chart_for_another_kubernetes_is_refused() -> Result<()> {
    story("kube-version", async |story| {
        let chart = charts::note("future", "1.0.0").metadata("kubeVersion: \">=9.0.0\"\n");
        story.push(&chart).await?;
        story.open_repository().await?;
        story.release("future", "future", "1.0.0", json!({})).await?;
        story.refused("future", Reason::KubernetesVersionUnsupported, &[">=9.0.0"]).await?;
        Ok(())
    })
}
