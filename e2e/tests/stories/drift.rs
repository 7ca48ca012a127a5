//! Objects of a deployed release that somebody changes or deletes: noticed at once, told of or made as they were, each for
//! itself, without a new revision.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use e2e::charts::Chart;
use e2e::story::{SOON, Story, alone, as_it_is, story};
use e2e::{eventually, status};
use helm_operator::api::{HelmRelease, REQUESTED_AT, Reason};
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use kube::api::{DeleteParams, Patch, PatchParams};
use kube::{Api, ResourceExt as _};
use serde_json::{Value, json};

const OBJECTS: &str = "apiVersion: v1
kind: ConfigMap
metadata:
  name: {{ .Release.Name }}
data: {color: {{ .Values.color | quote }}, size: small}
---
apiVersion: v1
kind: Secret
metadata:
  name: {{ .Release.Name }}
stringData: {password: correct-horse-battery}
---
apiVersion: apps/v1
kind: Deployment
metadata:
  name: {{ .Release.Name }}
spec:
  replicas: 1
  selector: {matchLabels: {app: {{ .Release.Name }}}}
  template:
    metadata: {labels: {app: {{ .Release.Name }}}}
    spec:
      containers: [{name: main, image: \"main:1\", resources: {limits: {cpu: 1000m}}}]
---
apiVersion: batch/v1
kind: Job
metadata:
  name: {{ .Release.Name }}
spec:
  template:
    spec:
      restartPolicy: Never
      containers: [{name: main, image: \"main:1\"}]
";

async fn deployed(story: &Story<'_>, name: &str, drift: Value) -> Result<()> {
    let chart = Chart::new("app", "1.0.0").file("values.yaml", "color: red\n").file("templates/all.yaml", OBJECTS);
    story.push(&chart).await?;
    story.open_repository().await?;
    story.release(name, "app", "1.0.0", json!({ "driftDetection": drift })).await?;
    story.ready(name).await.map(drop)
}

/// As `kubectl edit` does it.
async fn edit<K>(objects: &Api<K>, name: &str, patch: Value) -> Result<()>
where
    K: kube::Resource + Clone + std::fmt::Debug + serde::de::DeserializeOwned,
{
    let parameters = PatchParams { field_manager: Some("kubectl-edit".to_owned()), ..PatchParams::default() };
    objects.patch(name, &parameters, &Patch::Merge(patch)).await?;
    Ok(())
}

/// Waits until the condition `Drifted` tells all of `words`.
async fn told(story: &Story<'_>, release: &str, words: &[&str]) -> Result<HelmRelease> {
    let tells = |release: &HelmRelease| {
        status::has(release, "Drifted", "True", Reason::DriftDetected)?;
        let message = drifted(release).context("no condition")?;
        for word in words {
            ensure!(message.contains(word), "{word:?} is not told: {message}");
        }
        Ok(())
    };
    eventually::object(&story.releases(), release, SOON, tells).await
}

fn drifted(release: &HelmRelease) -> Option<&str> {
    let conditions = &release.status.as_ref()?.conditions;
    conditions.iter().find(|condition| condition.type_ == "Drifted").map(|condition| condition.message.as_str())
}

/// Waits until the release is told to be as it was applied, and that by no other revision than the first.
async fn settled(story: &Story<'_>, release: &str) -> Result<()> {
    let is_settled = |release: &HelmRelease| {
        status::ready(release)?;
        ensure!(drifted(release).is_none_or(|message| message.starts_with("all objects")), "{:?}", drifted(release));
        Ok(())
    };
    eventually::object(&story.releases(), release, SOON, is_settled).await?;
    let history = story.history(release).await?;
    ensure!(history == "1 deployed", "{history}");
    Ok(())
}

#[test]
fn by_default_what_is_missing_is_made_anew_and_what_was_changed_is_told() -> Result<()> {
    story("drift-default", async |story| {
        deployed(story, "app", json!(null)).await?;
        let (maps, workloads) = (story.objects::<ConfigMap>(), story.objects::<Deployment>());
        let before = maps.get("app").await?.uid();
        maps.delete("app", &DeleteParams::default()).await?;
        workloads.delete("app", &DeleteParams::default()).await?;
        eventually::object(&maps, "app", SOON, |map| {
            ensure!(map.uid() != before, "it is the old one");
            Ok(())
        })
        .await?;
        eventually::object(&workloads, "app", SOON, |_| Ok(())).await?;
        story.event("app", Reason::DriftCorrected, "ConfigMap \"app\"").await?;
        settled(story, "app").await?;

        edit(&maps, "app", json!({ "data": { "color": "blue", "taste": "sweet" } })).await?;
        let release =
            told(story, "app", &["ConfigMap \"app\"", "/data/color changed by kubectl-edit", "driftDetection"]).await?;
        status::ready(&release)?;
        ensure!(!drifted(&release).unwrap_or_default().contains("taste"), "what the chart does not set is no drift");
        let map = maps.get("app").await?;
        ensure!(map.data.context("data")?["color"] == "blue", "it was corrected");
        story.event("app", Reason::DriftDetected, "/data/color").await?;

        // Whoever puts it back ends it.
        edit(&maps, "app", json!({ "data": { "color": "red" } })).await?;
        settled(story, "app").await
    })
}

#[test]
fn what_was_changed_is_corrected_where_that_is_wanted_and_no_secret_is_told() -> Result<()> {
    story("drift-enabled", async |story| {
        deployed(story, "app", json!({ "mode": "enabled" })).await?;
        let (secrets, workloads) = (story.objects::<Secret>(), story.objects::<Deployment>());
        edit(&secrets, "app", json!({ "stringData": { "password": "tr0ubador" } })).await?;
        eventually::object(&secrets, "app", SOON, |secret| {
            let data = secret.data.as_ref().context("data")?;
            ensure!(data["password"].0 == b"correct-horse-battery", "another password");
            Ok(())
        })
        .await?;
        story.event("app", Reason::DriftCorrected, "/data/password changed by kubectl-edit").await?;

        let image =
            json!({ "spec": { "template": { "spec": { "containers": [{ "name": "main", "image": "main:2" }] } } } });
        let parameters = PatchParams { field_manager: Some("kubectl-set".to_owned()), ..PatchParams::default() };
        workloads.patch("app", &parameters, &Patch::Strategic(image)).await?;
        eventually::object(&workloads, "app", SOON, |workload| {
            let text = serde_json::to_string(workload)?;
            ensure!(text.contains("\"main:1\""), "another image");
            Ok(())
        })
        .await?;
        // What nobody sets any more, and the marks by which it is found.
        let labels = json!({ "metadata": { "labels": { "app.kubernetes.io/managed-by": null } } });
        edit(&workloads, "app", labels).await?;
        eventually::object(&workloads, "app", SOON, |workload| {
            ensure!(workload.labels().contains_key("app.kubernetes.io/managed-by"), "no label");
            Ok(())
        })
        .await?;
        let jobs = story.objects::<Job>();
        jobs.delete("app", &DeleteParams::background()).await?;
        eventually::object(&jobs, "app", SOON, |job| {
            ensure!(job.metadata.deletion_timestamp.is_none(), "it goes");
            Ok(())
        })
        .await?;
        settled(story, "app").await?;
        let release = story.releases().get("app").await?;
        status::has(&release, "Drifted", "False", Reason::NoDriftDetected)?;
        let text =
            serde_json::to_string(&release)? + &story.kubectl.run(&["get", "events", "-A", "-o", "yaml"]).await?;
        ensure!(!text.contains("tr0ubador") && !text.contains("correct-horse"), "a password is told");
        Ok(())
    })
}

#[test]
fn what_runs_once_is_told_and_not_run_again_and_warn_leaves_everything() -> Result<()> {
    story("drift-warn", async |story| {
        deployed(story, "app", json!(null)).await?;
        let jobs = story.objects::<Job>();
        jobs.delete("app", &DeleteParams::background()).await?;
        told(story, "app", &["Job \"app\"", "is missing"]).await?;
        ensure!(jobs.get_opt("app").await?.is_none(), "it runs again");

        story.patch("app", json!({ "spec": { "driftDetection": { "mode": "warn" } } })).await?;
        let maps = story.objects::<ConfigMap>();
        maps.delete("app", &DeleteParams::default()).await?;
        told(story, "app", &["ConfigMap \"app\"", "Job \"app\""]).await?;
        ensure!(maps.get_opt("app").await?.is_none(), "it was made anew");

        // What is declared now is done to what was told before.
        story.patch("app", json!({ "spec": { "driftDetection": { "mode": "enabled" } } })).await?;
        eventually::object(&maps, "app", SOON, |_| Ok(())).await?;
        eventually::object(&jobs, "app", SOON, |_| Ok(())).await?;
        settled(story, "app").await?;
        story.patch("app", json!({ "spec": { "driftDetection": { "mode": "disabled" } } })).await?;
        eventually::object(&story.releases(), "app", SOON, |release: &HelmRelease| {
            status::ready(release)?;
            ensure!(drifted(release).is_none(), "still looked at");
            Ok(())
        })
        .await?;
        Ok(())
    })
}

#[test]
fn what_others_may_change_is_left() -> Result<()> {
    story("drift-ignored", async |story| {
        let rules = json!([
            { "paths": ["/spec/template/spec/containers/*/image"], "target": { "kind": "Deployment" } },
            { "paths": ["/data/color"], "target": { "kind": "ConfigMap", "name": "a.*" } },
        ]);
        deployed(story, "app", json!({ "mode": "enabled", "ignore": rules })).await?;
        let (maps, workloads) = (story.objects::<ConfigMap>(), story.objects::<Deployment>());
        let image =
            json!({ "spec": { "template": { "spec": { "containers": [{ "name": "main", "image": "main:2" }] } } } });
        let parameters = PatchParams { field_manager: Some("image-updater".to_owned()), ..PatchParams::default() };
        workloads.patch("app", &parameters, &Patch::Strategic(image)).await?;
        // A scale is nobody's drift, without being ignored.
        story.kubectl.run(&["scale", "--namespace", &story.namespace, "deployment/app", "--replicas=3"]).await?;
        edit(&maps, "app", json!({ "data": { "color": "blue", "size": "large" } })).await?;
        eventually::object(&maps, "app", SOON, |map| {
            let data = map.data.as_ref().context("data")?;
            ensure!(data["size"] == "small", "not corrected yet");
            ensure!(data["color"] == "blue", "what is ignored was corrected");
            Ok(())
        })
        .await?;
        edit(&workloads, "app", json!({ "spec": { "template": { "metadata": { "labels": { "app": "app" } } } } }))
            .await?;
        edit(&workloads, "app", json!({ "metadata": { "annotations": { "meta.helm.sh/release-name": null } } }))
            .await?;
        eventually::object(&workloads, "app", SOON, |workload| {
            ensure!(workload.annotations().contains_key("meta.helm.sh/release-name"), "not corrected yet");
            let text = serde_json::to_string(workload)?;
            ensure!(
                text.contains("\"main:2\"") && text.contains("\"replicas\":3"),
                "what others may change was corrected"
            );
            Ok(())
        })
        .await?;
        settled(story, "app").await?;

        // An object may say it itself.
        let exempt = json!({ "metadata": { "annotations": { "helm-operator.ketches.cn/driftDetection": "disabled" } }, "data": { "size": "x" } });
        edit(&maps, "app", exempt).await?;
        edit(&story.objects::<Secret>(), "app", json!({ "stringData": { "password": "x" } })).await?;
        eventually::object(&story.objects::<Secret>(), "app", SOON, |secret| {
            ensure!(secret.data.as_ref().context("data")?["password"].0.len() > 1, "not corrected yet");
            Ok(())
        })
        .await?;
        ensure!(maps.get("app").await?.data.context("data")?["size"] == "x", "what is exempt was corrected");
        Ok(())
    })
}

#[test]
fn two_who_undo_each_other_are_told_and_left_after_a_few_rounds() -> Result<()> {
    story("drift-fight", async |story| {
        deployed(story, "app", json!({ "mode": "enabled" })).await?;
        let maps = story.objects::<ConfigMap>();
        let writes = async {
            loop {
                edit(&maps, "app", json!({ "data": { "color": "blue" } })).await?;
                eventually::eventually("the correction", Duration::from_hours(1), async || {
                    ensure!(maps.get("app").await?.data.context("data")?["color"] == "red", "blue");
                    Ok(())
                })
                .await?;
            }
        };
        let words = ["/data/color changed by kubectl-edit", "corrected 5 times", "find out what else writes it"];
        tokio::select! {
            ended = told(story, "app", &words) => ended.map(drop)?,
            failed = writes => return failed,
        }
        // A person asks for another try.
        let asked = json!({ "metadata": { "annotations": { "helm-operator.ketches.cn/requestedAt": "now" } } });
        story.patch("app", asked).await?;
        settled(story, "app").await
    })
}

#[test]
fn what_happens_while_the_operator_is_away_is_noticed_when_it_comes_back() -> Result<()> {
    alone("drift-away", as_it_is, async |story| {
        deployed(story, "app", json!({ "mode": "enabled" })).await?;
        let (maps, workloads) = (story.objects::<ConfigMap>(), story.objects::<Deployment>());
        story.stage.operator().await.kill().await?;
        edit(&maps, "app", json!({ "data": { "color": "blue" } })).await?;
        workloads.delete("app", &DeleteParams::default()).await?;
        story.stage.operator().await.start().await?;
        eventually::object(&maps, "app", SOON, |map| {
            ensure!(map.data.as_ref().context("data")?["color"] == "red", "not corrected yet");
            Ok(())
        })
        .await?;
        eventually::object(&workloads, "app", SOON, |_| Ok(())).await?;
        settled(story, "app").await
    })
}

#[test]
fn what_admission_makes_of_an_object_is_no_drift() -> Result<()> {
    alone("drift-admission", as_it_is, async |story| {
        let policy = json!({
            "apiVersion": "admissionregistration.k8s.io/v1", "kind": "MutatingAdmissionPolicy", "metadata": { "name": "images" },
            "spec": {
                "matchConstraints": { "resourceRules": [{
                    "apiGroups": ["apps"], "apiVersions": ["v1"], "operations": ["CREATE", "UPDATE"], "resources": ["deployments"],
                }] },
                "reinvocationPolicy": "Never",
                "mutations": [{ "patchType": "JSONPatch", "jsonPatch": { "expression":
                    "[JSONPatch{op: 'replace', path: '/spec/template/spec/containers/0/image', value: 'mirror/main:1'}]" } }],
            },
        });
        let binding = json!({
            "apiVersion": "admissionregistration.k8s.io/v1", "kind": "MutatingAdmissionPolicyBinding",
            "metadata": { "name": "images" }, "spec": { "policyName": "images" },
        });
        story.apply(&policy.to_string()).await?;
        story.apply(&binding.to_string()).await?;
        let probe = json!({
            "apiVersion": "apps/v1", "kind": "Deployment", "metadata": { "name": "probe" },
            "spec": {
                "selector": { "matchLabels": { "app": "probe" } },
                "template": { "metadata": { "labels": { "app": "probe" } }, "spec": { "containers": [{ "name": "a", "image": "b" }] } },
            },
        });
        story
            .eventually("the policy", async || {
                let made = story
                    .kubectl
                    .run(&["delete", "deployment", "probe", "--ignore-not-found", "-n", &story.namespace])
                    .await;
                made?;
                story.apply(&probe.to_string()).await?;
                let text = serde_json::to_string(&story.objects::<Deployment>().get("probe").await?)?;
                ensure!(text.contains("mirror/main:1"), "not at work yet");
                Ok(())
            })
            .await?;
        deployed(story, "app", json!({ "mode": "enabled" })).await?;
        let workloads = story.objects::<Deployment>();
        edit(&workloads, "app", json!({ "metadata": { "annotations": { "meta.helm.sh/release-namespace": null } } }))
            .await?;
        eventually::object(&workloads, "app", SOON, |workload| {
            ensure!(workload.annotations().contains_key("meta.helm.sh/release-namespace"), "not corrected yet");
            Ok(())
        })
        .await?;
        settled(story, "app").await?;
        let notes =
            story.kubectl.run(&["get", "events", "-n", &story.namespace, "-o", "jsonpath={.items[*].message}"]).await?;
        ensure!(!notes.contains("image"), "what the policy does is told: {notes}");
        Ok(())
    })
}

#[test]
fn what_another_release_took_is_told_by_the_one_that_lost_it_and_not_made_anew_by_it() -> Result<()> {
    story("drift-taken", async |story| {
        let map = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: shared}\ndata: {by: {{ .Release.Name }}}\n";
        story.push(&Chart::new("map", "1.0.0").file("templates/map.yaml", map)).await?;
        story.open_repository().await?;
        story.release("first", "map", "1.0.0", json!({ "driftDetection": { "mode": "enabled" } })).await?;
        story.ready("first").await?;
        story.release("second", "map", "1.0.0", json!({ "install": { "takeOwnership": true } })).await?;
        story.ready("second").await?;
        told(story, "first", &["ConfigMap \"shared\"", "belongs to release", "/second now"]).await?;
        let maps = story.objects::<ConfigMap>();
        maps.delete("shared", &DeleteParams::default()).await?;
        eventually::object(&maps, "shared", SOON, |map| {
            ensure!(map.data.as_ref().context("data")?["by"] == "second", "made by the one that had lost it");
            Ok(())
        })
        .await?;
        story.event("second", Reason::DriftCorrected, "shared").await?;
        Ok(())
    })
}

/// A map, unless that is refused.
const REFUSED: &str = "{{- if .Values.refused }}{{ fail \"it is refused\" }}{{ end }}
apiVersion: v1
kind: ConfigMap
metadata:
  name: {{ .Release.Name }}
data: {color: red}
";

#[test]
fn what_is_deployed_is_looked_after_while_what_is_declared_is_refused() -> Result<()> {
    story("drift-refused", async |story| {
        story.push(&Chart::new("app", "1.0.0").file("templates/map.yaml", REFUSED)).await?;
        story.open_repository().await?;
        story.release("app", "app", "1.0.0", json!({ "driftDetection": { "mode": "enabled" } })).await?;
        story.ready("app").await?;
        story.patch("app", json!({ "spec": { "values": { "refused": true } } })).await?;
        story.refused("app", Reason::ChartRefused, &["it is refused"]).await?;
        let maps = story.objects::<ConfigMap>();
        maps.delete("app", &DeleteParams::default()).await?;
        let red = |map: &ConfigMap| {
            let color = map.data.as_ref().and_then(|data| data.get("color")).map(String::as_str);
            ensure!(color == Some("red"), "{color:?}");
            Ok(())
        };
        eventually::object(&maps, "app", SOON, red).await?;
        edit(&maps, "app", json!({ "data": { "color": "blue" } })).await?;
        eventually::object(&maps, "app", SOON, red).await?;

        // Nor does a version that is not there end that.
        story.patch("app", json!({ "spec": { "values": null, "chart": { "version": "9.9.9" } } })).await?;
        story.refused("app", Reason::TagNotFound, &["9.9.9"]).await?;
        edit(&maps, "app", json!({ "data": { "color": "green" } })).await?;
        eventually::object(&maps, "app", SOON, red).await?;
        maps.delete("app", &DeleteParams::default()).await?;
        eventually::object(&maps, "app", SOON, red).await?;
        story.patch("app", json!({ "spec": { "chart": { "version": "1.0.0" } } })).await?;
        story.ready("app").await?;

        // Nor does a reference to what is missing.
        let missing = json!([{ "kind": "Secret", "name": "missing" }]);
        story.patch("app", json!({ "spec": { "values": null, "valuesFrom": missing } })).await?;
        story.refused("app", Reason::ValuesNotFound, &["missing"]).await?;
        maps.delete("app", &DeleteParams::default()).await?;
        eventually::object(&maps, "app", SOON, red).await?;
        ensure!(story.history("app").await? == "1 deployed", "a revision was made");

        // What somebody uninstalled is no longer looked after.
        story.patch("app", json!({ "spec": { "valuesFrom": null } })).await?;
        story.ready("app").await?;
        story.patch("app", json!({ "spec": { "values": { "refused": true } } })).await?;
        story.refused("app", Reason::ChartRefused, &["it is refused"]).await?;
        let namespace = ["--namespace", &*story.namespace];
        story.helm.run(&["uninstall", "app", "--keep-history", namespace[0], namespace[1]]).await?;
        story.patch("app", json!({ "metadata": { "annotations": { REQUESTED_AT: "now" } } })).await?;
        eventually::measure(Duration::from_secs(4)).await;
        ensure!(maps.get_opt("app").await?.is_none(), "it is made anew");
        story.patch("app", json!({ "spec": { "values": null } })).await?;
        story.ready("app").await.map(drop)
    })
}

#[test]
fn what_is_missing_is_not_healthy_and_what_failed_its_tests_is_looked_after() -> Result<()> {
    story("drift-missing", async |story| {
        deployed(story, "app", json!({ "mode": "warn" })).await?;
        story.objects::<Deployment>().delete("app", &DeleteParams::default()).await?;
        eventually::object(&story.releases(), "app", SOON, |release: &HelmRelease| {
            status::has(release, "Healthy", "False", Reason::HealthCheckFailed)
        })
        .await?;
        let release = story.releases().get("app").await?;
        let conditions = &release.status.as_ref().context("a status")?.conditions;
        let healthy = conditions.iter().find(|it| it.type_ == "Healthy").context("no condition")?;
        ensure!(
            healthy.message.contains("Deployment \"app\"") && healthy.message.contains("does not exist"),
            "{}",
            healthy.message
        );

        let test = "apiVersion: v1\nkind: Pod\nmetadata:\n  name: {{ .Release.Name }}-test\n  annotations: {helm.sh/hook: test, PLAY: PLAYED}\nspec: {restartPolicy: Never, containers: [{name: a, image: b}]}\n";
        let test = test.replace("PLAYED", e2e::kwok::play::HANG).replace("PLAY", e2e::kwok::PLAY);
        let map = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: {{ .Release.Name }}}\n";
        let tested = Chart::new("tested", "1.0.0").file("templates/map.yaml", map).file("templates/test.yaml", test);
        story.push(&tested).await?;
        story.release("tested", "tested", "1.0.0", json!({ "test": { "enable": true, "timeout": "1s" } })).await?;
        story.failed("tested", Reason::TestFailed).await?;
        let maps = story.objects::<ConfigMap>();
        maps.delete("tested", &DeleteParams::default()).await?;
        eventually::object(&maps, "tested", SOON, |_| Ok(())).await?;
        Ok(())
    })
}
