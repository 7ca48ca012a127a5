//! The end of a hook's log, told where the hook failed. No kubelet runs here: the gateway answers in its place.

use anyhow::{Result, ensure};
use e2e::charts::{self, Chart};
use e2e::gateway::{Reply, Which};
use e2e::kwok::{PLAY, play};
use e2e::status;
use e2e::story::{Story, alone, as_it_is, story};
use helm_operator::api::Reason;
use serde_json::json;

/// A Secret, and a Job of an event whose pod plays what the values say.
fn hooked(event: &str) -> Chart {
    let secret = "apiVersion: v1\nkind: Secret\nmetadata:\n  name: {{ .Release.Name }}\nstringData:\n  password: hunter2-of-the-chart\n";
    let job = format!(
        "apiVersion: batch/v1\nkind: Job\nmetadata:\n  name: {{{{ .Release.Name }}}}-migrate\n  annotations:\n    helm.sh/hook: {event}\n    \
         helm.sh/hook-output-log-policy: hook-succeeded,hook-failed\nspec:\n  backoffLimit: 0\n  template:\n    metadata:\n      \
         annotations:\n        {PLAY}: {{{{ .Values.mood | quote }}}}\n    spec:\n      restartPolicy: Never\n      containers:\n      \
         - name: main\n        image: main:1\n"
    );
    charts::note(&format!("hooked-{event}"), "1.0.0")
        .file("values.yaml", "greeting: hello\nmood: ''\ntoken: ''\n")
        .file("templates/secret.yaml", secret)
        .file("templates/job.yaml", job)
}

fn log(status: u16, body: &str) -> (Which, Reply) {
    let reply = Reply { status, content_type: "text/plain", body: body.to_owned() };
    (Which::reads("/pods/").and("/log?").and("container=main").and("tailLines="), reply)
}

/// What the API server says where the kubelet does not answer.
const NO_KUBELET: &str = r#"{"kind":"Status","apiVersion":"v1","metadata":{},"status":"Failure","message":"Get \"https://10.0.0.7:10250/containerLogs/a/b/main?tailLines=10\": dial tcp 10.0.0.7:10250: connect: connection refused","code":500}"#;

async fn stage(story: &Story<'_>) -> Result<()> {
    for event in ["pre-install", "test"] {
        story.push(&hooked(event)).await?;
    }
    story.open_repository().await?;
    let token = json!({
        "apiVersion": "v1", "kind": "Secret", "metadata": { "name": "token" }, "stringData": { "token": "token-of-the-values" },
    });
    story.apply(&token.to_string()).await
}

#[test]
fn a_hook_or_test_that_fails_is_told_with_the_end_of_its_log_and_without_secrets() -> Result<()> {
    alone("hook-log", as_it_is, async |story| {
        stage(story).await?;
        let (gateway, mut operator) = story.behind_gateway(&[]).await?;
        let (which, reply) = log(
            200,
            "connecting with hunter2-of-the-chart\nand with token-of-the-values\n\u{1b}[31merror: relation \"users\" does not exist\n",
        );
        gateway.replies(which, reply);
        let from = json!([{ "kind": "Secret", "name": "token", "valuesKey": "token", "targetPath": "token" }]);
        let spec = json!({ "valuesFrom": from, "values": { "mood": play::FAIL } });
        story.release("app", "hooked-pre-install", "1.0.0", spec.clone()).await?;
        let end = "the log of container \"main\" of pod \"app-migrate-";
        let words = [
            "app-migrate",
            end,
            "ends with: connecting with (secret left out) | and with (secret left out) | ",
            "error: relation \"users\" does not exist",
        ];
        let told = story.refused("app", Reason::HookFailed, &words).await?;
        ensure!(!status::message(&told).contains('\u{1b}'), "{}", status::message(&told));
        let mut tested = spec;
        tested["test"] = json!({ "enable": true });
        story.release("tested", "hooked-test", "1.0.0", tested).await?;
        story.refused("tested", Reason::TestFailed, &["tested-migrate", "relation \"users\" does not exist"]).await?;
        // What succeeds is told where the chart asks for it, as Helm prints it: in the operator's log.
        story.release("fine", "hooked-pre-install", "1.0.0", json!({})).await?;
        story.ready("fine").await?;
        story
            .eventually("the log of the hook that succeeded is told", async || {
                let log = operator.log_tail();
                let is_told = |line: &str| {
                    line.contains("fine-migrate") && line.contains("job.yaml succeeded; the log of container")
                };
                ensure!(log.lines().any(is_told), "not yet");
                Ok(())
            })
            .await?;
        ensure!(!operator.log_tail().contains("hunter2-of-the-chart"), "a secret is in the log");
        operator.stop().await.map(drop)
    })
}

#[test]
fn a_log_that_cannot_be_had_changes_nothing() -> Result<()> {
    story("hook-log-none", async |story| {
        // No kubelet at all, as it is here.
        stage(story).await?;
        story.release("app", "hooked-pre-install", "1.0.0", json!({ "values": { "mood": play::FAIL } })).await?;
        let told = story.refused("app", Reason::HookFailed, &["app-migrate", "exited with code"]).await?;
        ensure!(!status::message(&told).contains("the log of"), "{}", status::message(&told));
        story.release("fine", "hooked-pre-install", "1.0.0", json!({})).await?;
        story.ready("fine").await.map(drop)
    })
}

#[test]
fn a_kubelet_that_does_not_answer_and_a_refusal_change_nothing() -> Result<()> {
    alone("hook-log-refused", as_it_is, async |story| {
        stage(story).await?;
        let (gateway, mut operator) = story.behind_gateway(&[]).await?;
        let (which, reply) = log(500, NO_KUBELET);
        gateway.replies(which.times(1), reply);
        let (which, reply) = log(
            403,
            r#"{"kind":"Status","apiVersion":"v1","status":"Failure","reason":"Forbidden","message":"pods \"a\" is forbidden: User \"x\" cannot get resource \"pods/log\"","code":403}"#,
        );
        gateway.replies(which, reply);
        for name in ["one", "two"] {
            story.release(name, "hooked-pre-install", "1.0.0", json!({ "values": { "mood": play::FAIL } })).await?;
            let told = story.refused(name, Reason::HookFailed, &["migrate"]).await?;
            ensure!(!status::message(&told).contains("the log of"), "{}", status::message(&told));
        }
        operator.stop().await.map(drop)
    })
}
