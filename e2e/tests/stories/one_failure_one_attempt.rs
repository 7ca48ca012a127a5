//! A release that fails makes one revision for each attempt, and attempts are as far apart as the back-off says, in
//! whatever order the answers to the operator's own writes and the events about them arrive.

use std::time::Duration;

use anyhow::{Result, ensure};
use e2e::charts::{self, Chart};
use e2e::gateway::{Answer, Events, Gateway, Which};
use e2e::kwok::{PLAY, play};
use e2e::model::End;
use e2e::recorder::{Recorder, Verdict};
use e2e::story::{SOON, Story, alone, as_it_is};
use e2e::{eventually, status};
use helm_operator::api::Reason;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::{Patch, PatchParams};
use serde_json::json;

const RELEASES: usize = 12;

/// Long enough for dozens of attempts of an operator that wakes itself, far shorter than the interval of 30 minutes.
const WATCHED: Duration = Duration::from_secs(10);

/// An order in which answers and events may come: its name, and how to make it so.
type Order = (&'static str, fn(&Gateway));

const ORDERS: [Order; 4] = [
    ("plain", |_| {}),
    ("answers-late", |gateway| {
        gateway.answers(Which::writes("/secrets"), Answer::Late(Duration::from_millis(30)));
    }),
    ("answers-last", |gateway| {
        gateway.answers(Which::writes("/secrets"), Answer::AfterEvent(Duration::from_millis(10)));
    }),
    ("events-late", |gateway| {
        gateway.events(Which::watches(""), Events::Late(Duration::from_millis(100)));
    }),
];

/// A Deployment with a misspelt field: refused each time, and only a person can mend it.
fn misspelt() -> Chart {
    let deployment = "apiVersion: apps/v1
kind: Deployment
metadata:
  name: {{ .Release.Name }}
spec:
  selector:
    matchLabels: { app: {{ .Release.Name }} }
  template:
    metadata:
      labels: { app: {{ .Release.Name }} }
    spec:
      containers:
      - name: web
        image: registry.example.com/web:1
        imagePullPolcy: Always
";
    Chart::new("misspelt", "1.0.0").file("templates/deployment.yaml", deployment)
}

/// A chart whose upgrade to 1.1.0 fails in its hook.
fn with_failing_hook(version: &str) -> Chart {
    let hook = format!(
        "{{{{- if eq .Chart.Version \"1.1.0\" }}}}
apiVersion: batch/v1
kind: Job
metadata:
  name: {{{{ .Release.Name }}}}-check
  annotations:
    helm.sh/hook: pre-upgrade
spec:
  backoffLimit: 0
  template:
    metadata:
      annotations:
        {PLAY}: {}
    spec:
      restartPolicy: Never
      containers:
      - name: check
        image: registry.example.com/check:1
{{{{- end }}}}
",
        play::FAIL
    );
    charts::note("hooked", version).file("templates/hook.yaml", hook)
}

#[test]
fn a_release_that_only_a_person_can_mend_is_tried_once_in_its_interval() -> Result<()> {
    alone("misspelt", as_it_is, async |story| {
        story.push(&misspelt()).await?;
        story.open_repository().await?;
        let recorder = Recorder::start(story.client.clone()).await?;
        let (gateway, operator) = story.behind_gateway(&[]).await?;
        for (order, set) in ORDERS {
            gateway.calm();
            set(&gateway);
            let names: Vec<String> = (0..RELEASES).map(|number| format!("{order}-{number}")).collect();
            for name in &names {
                story.release(name, "misspelt", "1.0.0", json!({})).await?;
            }
            for name in &names {
                let stalled = |release: &_| status::stalled(release, Reason::ObjectInvalid);
                eventually::object(&story.releases(), name, SOON, stalled).await?;
            }
            eventually::measure(WATCHED).await;
            let verdict = recorder.verdict(End::Open).await?;
            verdict.accept()?;
            let made: Vec<usize> = names.iter().map(|name| revisions(&verdict, story, name)).collect();
            ensure!(made.iter().all(|made| *made == 1), "{order}: revisions of each: {made:?}");
        }
        operator.check_log()
    })
}

#[test]
fn a_hook_that_fails_is_tried_again_after_its_back_off() -> Result<()> {
    alone("failing-hook", as_it_is, async |story| {
        for version in ["1.0.0", "1.1.0"] {
            story.push(&with_failing_hook(version)).await?;
        }
        story.open_repository().await?;
        let recorder = Recorder::start(story.client.clone()).await?;
        let (gateway, operator) = story.behind_gateway(&[]).await?;
        for (order, set) in ORDERS {
            gateway.calm();
            set(&gateway);
            story.release(order, "hooked", "1.0.0", json!({})).await?;
            story.ready(order).await?;
            story.release(order, "hooked", "1.1.0", json!({})).await?;
            story.failed(order, Reason::HookFailed).await?;
            // The second attempt comes 5 s after the first, the third 10 s after that.
            eventually::measure(WATCHED).await;
            let verdict = recorder.verdict(End::Open).await?;
            let made = revisions(&verdict, story, order) - 1;
            ensure!((1..=2).contains(&made), "{order}: {made} attempts within {WATCHED:?} of the first failure");
            verdict.accept()?;
        }
        operator.check_log()
    })
}

#[test]
fn a_field_of_another_manager_is_one_failed_revision() -> Result<()> {
    alone("field-conflict", as_it_is, async |story| {
        for version in ["1.0.0", "1.1.0"] {
            story.push(&charts::note("memo", version)).await?;
        }
        story.open_repository().await?;
        let recorder = Recorder::start(story.client.clone()).await?;
        let (gateway, operator) = story.behind_gateway(&[]).await?;
        for (order, set) in ORDERS {
            gateway.calm();
            set(&gateway);
            story.release(order, "memo", "1.0.0", json!({})).await?;
            story.ready(order).await?;
            let taken = json!({ "apiVersion": "v1", "kind": "ConfigMap", "data": { "version": "by hand" } });
            let (maps, name) = (story.objects::<ConfigMap>(), format!("{order}-config"));
            maps.patch(&name, &PatchParams::apply("a-person").force(), &Patch::Apply(taken)).await?;
            story.release(order, "memo", "1.1.0", json!({})).await?;
            let stalled = |release: &_| status::stalled(release, Reason::FieldConflict);
            eventually::object(&story.releases(), order, SOON, stalled).await?;
            eventually::measure(WATCHED).await;
            let verdict = recorder.verdict(End::Open).await?;
            let made = revisions(&verdict, story, order) - 1;
            ensure!(made == 1, "{order}: {made} attempts");
            verdict.accept()?;
        }
        operator.check_log()
    })
}

fn revisions(verdict: &Verdict, story: &Story<'_>, name: &str) -> usize {
    let made = verdict.revisions();
    let mut of_release =
        made.iter().filter(|(release, _)| release.namespace == story.namespace && release.name == name);
    of_release.next().map_or(0, |(_, made)| *made)
}
