//! Two operators without leader election act on the same releases with hooks: every revision must be accounted for.

use std::time::Duration;

use anyhow::Result;
use e2e::charts::{self, Chart};
use e2e::model::{End, Event, What};
use e2e::operator::Setup;
use e2e::recorder::Recorder;
use e2e::story::{alone, as_it_is};
use e2e::{eventually, status};
use helm::release::Status;
use serde_json::json;

use crate::figure;
use crate::figures::Figure;

/// How long is waited for a round of upgrades.
const ROUND: Duration = Duration::from_mins(3);

const HOOKS: &str = r"{{- range $name, $event := dict `before` `pre-install,pre-upgrade` `after` `post-install,post-upgrade` }}
apiVersion: batch/v1
kind: Job
metadata:
  name: {{ $.Release.Name }}-{{ $name }}
  annotations:
    helm.sh/hook: {{ $event }}
    helm.sh/hook-delete-policy: before-hook-creation,hook-succeeded
spec:
  template:
    spec:
      restartPolicy: Never
      containers:
      - name: main
        image: registry.example.com/main:1
---
{{- end }}
";

fn chart() -> Chart {
    charts::note("rival", "1.0.0").file("templates/hooks.yaml", HOOKS)
}

fn description(event: &Event) -> &str {
    match &event.what {
        What::Written(written) => &written.description,
        What::Deleted => "",
    }
}

pub(crate) fn measure(releases: usize, upgrades: usize) -> Result<Vec<Figure>> {
    let mut figures = Vec::new();
    alone("rivals", as_it_is, async |story| {
        story.push(&chart()).await?;
        story.open_repository().await?;
        let recorder = Recorder::start(story.client.clone()).await?;
        let second = Setup::new(story.stage.plane.kubeconfig())?.argument("--instance=second").start().await?;
        let names: Vec<String> = (0..releases).map(|number| format!("rival-{number}")).collect();
        for round in 0..=upgrades {
            for name in &names {
                let values = json!({ "values": { "greeting": format!("round {round}") }, "maxHistory": 100 });
                story.release(name, "rival", "1.0.0", values).await?;
            }
            for name in &names {
                eventually::object(&story.releases(), name, ROUND, status::ready).await?;
            }
        }
        second.check_log()?;
        let verdict = recorder.verdict(End::Settled).await?;
        let changes = releases * (upgrades + 1);
        let made: usize = verdict.revisions().into_values().sum();
        let failed = verdict
            .events
            .iter()
            .filter(|event| matches!(&event.what, What::Written(written) if written.status == Status::Failed));
        let told: Vec<String> =
            failed.clone().map(|event| format!("  {}: {}", event.release, description(event))).collect();
        #[expect(clippy::cast_precision_loss, reason = "some hundreds")]
        let [changes, made, failed, broken] =
            [changes, made, failed.count(), verdict.violations.len()].map(|count| count as f64);
        figures.push(figure("changes that were declared", changes, crate::NO_LIMIT));
        figures.push(figure("revisions that were made", made, changes));
        figures.push(figure("revisions that failed", failed, 0.0));
        figures.push(figure("violations of the model", broken, 0.0));
        for told in told {
            figures.push(figure(told, 1.0, crate::NO_LIMIT));
        }
        for violation in verdict.violations.iter().take(20) {
            figures.push(figure(format!("  {violation}"), 1.0, crate::NO_LIMIT));
        }
        Ok(())
    })?;
    Ok(figures)
}
