//! Helm's tests of what is deployed: run after each install and upgrade, on demand, and never twice for one demand.

use anyhow::{Context as _, Result, ensure};
use e2e::charts::{self, Chart};
use e2e::eventually;
use e2e::kwok::{PLAY, play};
use e2e::status;
use e2e::story::{SOON, Story, alone, as_it_is, story};
use helm_operator::api::{HelmRelease, REQUESTED_AT, Reason, TEST_AT};
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt as _;
use kube::api::{ListParams, Patch, PatchParams};
use serde_json::{Value, json};

/// A test whose pod plays as is said.
fn test(name: &str, weight: u8, play: &str) -> String {
    format!(
        "apiVersion: batch/v1\nkind: Job\nmetadata:\n  name: {{{{ .Release.Name }}}}-{name}\n  annotations:\n    helm.sh/hook: test\n    \
         helm.sh/hook-weight: \"{weight}\"\nspec:\n  backoffLimit: 0\n  template:\n    metadata:\n      annotations:\n        {PLAY}: \
         {play}\n    spec:\n      restartPolicy: Never\n      containers:\n      - name: main\n        image: main:1\n"
    )
}

/// A note, and two tests: the pod of the second one plays what the values say.
fn tested() -> Chart {
    charts::note("tested", "1.0.0").file("values.yaml", "greeting: hello\nmood: ''\n").file(
        "templates/tests.yaml",
        [test("fine", 1, "\"\""), test("moody", 2, "{{ .Values.mood | quote }}")].join("---\n"),
    )
}

async fn stage(story: &Story<'_>) -> Result<()> {
    story.push(&tested()).await?;
    story.open_repository().await
}

fn spec(mood: &str, test: Value) -> Value {
    let mut test = test;
    test["enable"] = json!(true);
    json!({ "values": { "mood": mood }, "test": test })
}

/// The uid of a test's Job, once it is there.
async fn uid(story: &Story<'_>, job: &str) -> Result<String> {
    story
        .eventually("the test's Job is there", async || story.objects::<Job>().get(job).await?.uid().context("a uid"))
        .await
}

fn tests(release: &HelmRelease, status: &str, reason: Reason) -> Result<()> {
    status::has(release, "TestSuccess", status, reason)
}

#[test]
fn a_release_is_ready_when_its_tests_have_passed() -> Result<()> {
    story("tests-pass", async |story| {
        stage(story).await?;
        story.release("app", "tested", "1.0.0", spec("", json!({}))).await?;
        tests(&story.ready("app").await?, "True", Reason::TestSucceeded)?;
        let first = uid(story, "app-moody").await?;
        // Helm shows how they went.
        let shown = story.helm.run(&["status", "app", "--namespace", &story.namespace, "--output=json"]).await?;
        let shown: Value = serde_json::from_str(&shown)?;
        let phases: Vec<&Value> =
            shown["hooks"].as_array().context("hooks")?.iter().map(|it| &it["last_run"]["phase"]).collect();
        ensure!(phases == ["Succeeded", "Succeeded"], "{phases:?}");

        story.patch("app", json!({ "spec": { "values": { "greeting": "hi" } } })).await?;
        story.ready("app").await?;
        let second = uid(story, "app-moody").await?;
        ensure!(first != second, "the upgrade was not tested");
        story.patch("app", json!({ "metadata": { "annotations": { TEST_AT: "now" } } })).await?;
        story
            .eventually("the tests run on demand", async || {
                ensure!(uid(story, "app-moody").await? != second);
                Ok(())
            })
            .await?;
        story.ready("app").await?;
        ensure!(story.history("app").await? == "1 superseded, 2 deployed", "a test made a revision");
        Ok(())
    })
}

#[test]
fn a_test_that_fails_is_told_and_what_is_deployed_stays() -> Result<()> {
    story("tests-fail", async |story| {
        stage(story).await?;
        story.release("app", "tested", "1.0.0", spec(play::FAIL, json!({}))).await?;
        let release = story.refused("app", Reason::TestFailed, &["revision 1", "app-moody", TEST_AT]).await?;
        tests(&release, "False", Reason::TestFailed)?;
        status::has(&release, "Released", "True", Reason::InstallCompleted)?;
        ensure!(story.history("app").await? == "1 deployed");
        let first = uid(story, "app-moody").await?;
        story.patch("app", json!({ "metadata": { "annotations": { TEST_AT: "again" } } })).await?;
        story
            .eventually("the tests run on demand", async || {
                ensure!(uid(story, "app-moody").await? != first);
                Ok(())
            })
            .await?;
        story.refused("app", Reason::TestFailed, &["app-moody"]).await?;
        // A change mends it.
        story.patch("app", json!({ "spec": { "values": { "mood": "" } } })).await?;
        tests(&story.ready("app").await?, "True", Reason::TestSucceeded)
    })
}

#[test]
fn failures_are_ignored_and_tests_left_out_where_that_is_declared() -> Result<()> {
    story("tests-ignored", async |story| {
        stage(story).await?;
        story.release("ignored", "tested", "1.0.0", spec(play::FAIL, json!({ "ignoreFailures": true }))).await?;
        tests(&story.ready("ignored").await?, "False", Reason::TestFailed)?;
        story.event("ignored", Reason::TestFailed, "ignored-moody").await?;
        for (name, filter) in
            [("without", json!({ "name": "without-moody", "exclude": true })), ("only", json!({ "name": "only-fine" }))]
        {
            story.release(name, "tested", "1.0.0", spec(play::FAIL, json!({ "filters": [filter] }))).await?;
            tests(&story.ready(name).await?, "True", Reason::TestSucceeded)?;
            ensure!(story.objects::<Job>().get_opt(&format!("{name}-moody")).await?.is_none(), "{name}: it ran");
        }
        Ok(())
    })
}

#[test]
fn a_run_of_tests_that_was_cut_off_is_gone_on_with_and_ends_with_its_revision() -> Result<()> {
    alone("tests-killed", as_it_is, async |story| {
        stage(story).await?;
        story.release("app", "tested", "1.0.0", spec(play::HANG, json!({}))).await?;
        let (fine, moody) = (uid(story, "app-fine").await?, uid(story, "app-moody").await?);
        eventually::object(&story.releases(), "app", SOON, |release| {
            let message = status::message(release);
            ensure!(message.contains("testing; running the test hook Job \"app-moody\""), "{message}");
            Ok(())
        })
        .await?;
        let mut operator = story.stage.operator().await;
        operator.kill().await?;
        operator.start().await?;
        drop(operator);
        free(story, "app-moody").await?;
        story.ready("app").await?;
        ensure!(
            (uid(story, "app-fine").await?, uid(story, "app-moody").await?) == (fine, moody.clone()),
            "a test ran twice"
        );

        story.patch("app", json!({ "metadata": { "annotations": { TEST_AT: "again" } } })).await?;
        story
            .eventually("the tests hang again", async || {
                ensure!(uid(story, "app-moody").await? != moody);
                Ok(())
            })
            .await?;
        let hanging = uid(story, "app-moody").await?;
        story.patch("app", json!({ "spec": { "suspend": true } })).await?;
        eventually::gone(&story.objects::<Job>(), "app-moody", SOON).await?;
        story.patch("app", json!({ "spec": { "suspend": false, "values": { "mood": "" } } })).await?;
        story.ready("app").await?;
        ensure!(uid(story, "app-moody").await? != hanging, "the old revision's test goes on");
        Ok(())
    })
}

#[test]
fn after_a_test_that_failed_none_is_run_and_what_a_person_tests_changes_nothing() -> Result<()> {
    story("tests-by-hand", async |story| {
        let map = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: {{ .Release.Name }}}\n";
        let chart = Chart::new("strict", "1.0.0")
            .file("templates/map.yaml", map)
            .file("values.yaml", format!("mood: {}\n", play::FAIL))
            .file(
                "templates/tests.yaml",
                [test("moody", 1, "{{ .Values.mood | quote }}"), test("fine", 2, "\"\"")].join("---\n"),
            );
        story.push(&chart).await?;
        story.open_repository().await?;
        story.release("tested", "strict", "1.0.0", json!({ "test": { "enable": true } })).await?;
        story.refused("tested", Reason::TestFailed, &["tested-moody"]).await?;
        ensure!(story.objects::<Job>().get_opt("tested-fine").await?.is_none(), "the test after it was run");

        // Where no tests are declared theirs are nobody's business.
        story.release("app", "strict", "1.0.0", json!({})).await?;
        story.ready("app").await?;
        let failed = story.helm.run(&["test", "app", "--namespace", &story.namespace]).await;
        ensure!(failed.is_err(), "it passed: the story is void");
        story.patch("app", json!({ "metadata": { "annotations": { REQUESTED_AT: "now" } } })).await?;
        eventually::object(&story.releases(), "app", SOON, |release| {
            let handled = release.status.as_ref().and_then(|status| status.last_handled_reconcile_at.as_deref());
            ensure!(handled == Some("now"), "handled {handled:?}");
            status::ready(release)
        })
        .await?;
        ensure!(story.history("app").await? == "1 deployed", "{}", story.history("app").await?);
        Ok(())
    })
}

/// Lets the pod of a Job end.
async fn free(story: &Story<'_>, job: &str) -> Result<()> {
    let selector = ListParams::default().labels(&format!("job-name={job}"));
    let pods = story.objects::<Pod>();
    let free = Patch::Merge(json!({ "metadata": { "annotations": { PLAY: "" } } }));
    story
        .eventually("the test's pod is there", async || {
            let pod = pods.list(&selector).await?.items.first().context("not yet")?.name_any();
            pods.patch(&pod, &PatchParams::default(), &free).await?;
            Ok(())
        })
        .await
}

/// Rolled back after an upgrade whose tests fail, which is not tried again.
#[expect(clippy::needless_pass_by_value, reason = "it is called with what was just written down")]
fn remedied(mood: &str, remediation: Value) -> Value {
    let mut spec = spec(mood, json!({}));
    spec["upgrade"] = json!({ "remediation": remediation });
    spec
}

#[test]
fn an_upgrade_whose_tests_fail_is_gone_back_from_where_that_is_declared() -> Result<()> {
    story("tests-remedied", async |story| {
        stage(story).await?;
        story.release("app", "tested", "1.0.0", remedied("", json!({ "retries": 0 }))).await?;
        story.ready("app").await?;
        story.patch("app", json!({ "spec": { "values": { "mood": play::FAIL } } })).await?;
        let words = ["the tests of revision 2 failed", "revision 1 is deployed again, as revision 3"];
        let release = story.refused("app", Reason::RetriesExhausted, &words).await?;
        status::has(&release, "Remediated", "True", Reason::RolledBack)?;
        story.event("app", Reason::TestFailed, "app-moody").await?;
        ensure!(
            story.history("app").await? == "1 superseded, 2 superseded, 3 deployed",
            "{}",
            story.history("app").await?
        );

        // Another declaration is tried, and tested.
        story.patch("app", json!({ "spec": { "values": { "mood": "" } } })).await?;
        story.ready("app").await?;

        story.release("ignored", "tested", "1.0.0", remedied("", json!({ "ignoreTestFailures": true }))).await?;
        story.ready("ignored").await?;
        story.patch("ignored", json!({ "spec": { "values": { "mood": play::FAIL } } })).await?;
        story.refused("ignored", Reason::TestFailed, &["revision 2", "ignored-moody"]).await?;
        ensure!(story.history("ignored").await? == "1 superseded, 2 deployed", "it was gone back");
        Ok(())
    })
}

/// A chart that is pushed again with the same in it: nothing is upgraded, so nothing is tested again, nor gone back from.
#[test]
fn what_is_only_found_to_be_as_declared_is_not_tested_again() -> Result<()> {
    story("tests-pushed-again", async |story| {
        // What it makes does not depend on the number of its revision.
        let config = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: \"{{ .Release.Name }}-config\"}\n";
        let chart = || tested().file("templates/config.yaml", config);
        story.push(&chart()).await?;
        story.open_repository().await?;
        let declared = spec("", json!({}));
        story.release("app", "tested", "1.0.0", declared).await?;
        story.ready("app").await?;
        let first = uid(story, "app-moody").await?;
        let before = story.releases().get("app").await?.status.context("a status")?;
        story.push(&chart().file("README.md", "More words.\n")).await?;
        story.patch("app", json!({ "metadata": { "annotations": { REQUESTED_AT: "now" } } })).await?;
        let digest = |release: &HelmRelease| {
            let now = release.status.as_ref().and_then(|status| status.last_handled_reconcile_at.clone());
            ensure!(now.as_deref() == Some("now"), "it was not looked at");
            Ok(())
        };
        eventually::object(&story.releases(), "app", SOON, digest).await?;
        let release = story.ready("app").await?;
        tests(&release, "True", Reason::TestSucceeded)?;
        ensure!(uid(story, "app-moody").await? == first, "it was tested again");
        ensure!(story.history("app").await? == "1 deployed", "a revision was made");
        let now = release.status.context("a status")?;
        ensure!(now.history != before.history, "the chart that was pushed again was not taken");
        // Where other tests are declared, they run.
        let others = json!({ "filters": [{ "name": "app-fine", "exclude": true }] });
        story.patch("app", json!({ "spec": { "test": others } })).await?;
        story
            .eventually("the tests that are left run", async || {
                ensure!(uid(story, "app-moody").await? != first);
                Ok(())
            })
            .await?;
        tests(&story.ready("app").await?, "True", Reason::TestSucceeded)
    })
}
