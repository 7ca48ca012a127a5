//! Installs and upgrades that wait for approval: shown, kept as they are, and carried out just as they were approved.

use anyhow::{Context as _, Result, ensure};
use e2e::charts::{self, Chart};
use e2e::operator::binary;
use e2e::story::{SOON, Story, alone, as_it_is, story};
use e2e::{eventually, status};
use helm_operator::api::{HelmRelease, PlanStatus, PlannedAction, Reason};
use k8s_openapi::api::core::v1::{ConfigMap, Namespace, Secret};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::Api;
use kube::api::{DeleteParams, ListParams, Patch, PatchParams};
use serde_json::{Value, json};
use tokio::process::Command;

const APPROVE: &str = "helm-operator.ketches.cn/approve";

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
stringData: {password: {{ .Values.password | quote }}}
{{- if .Values.extra }}
---
apiVersion: v1
kind: ConfigMap
metadata:
  name: {{ .Release.Name }}-extra
data: {by: {{ .Values.extra | quote }}}
{{- end }}
";

/// Installed without being asked, then `Manual`.
pub(super) async fn deployed(story: &Story<'_>, spec: Value) -> Result<()> {
    let values = "color: red\npassword: correct-horse\nextra: before\n";
    story.push(&Chart::new("app", "1.0.0").file("values.yaml", values).file("templates/all.yaml", OBJECTS)).await?;
    story.open_repository().await?;
    story.release("app", "app", "1.0.0", spec).await?;
    story.ready("app").await?;
    story.patch("app", json!({ "spec": { "plan": { "mode": "Manual" } } })).await?;
    story.ready("app").await.map(drop)
}

/// Declares other values, and waits for the plan.
pub(super) async fn declare(story: &Story<'_>, values: Value) -> Result<PlanStatus> {
    story.patch("app", json!({ "spec": { "values": values } })).await?;
    waits(story).await
}

/// The plan that waits for what is declared now.
pub(super) async fn waits(story: &Story<'_>) -> Result<PlanStatus> {
    let release = story.failed("app", Reason::ApprovalNeeded).await?;
    for kind in ["Stalled", "Reconciling"] {
        let conditions = &release.status.as_ref().context("a status")?.conditions;
        ensure!(!conditions.iter().any(|it| it.type_ == kind), "{}", status::summary(&release));
    }
    plan(&release)
}

fn plan(release: &HelmRelease) -> Result<PlanStatus> {
    release.status.as_ref().and_then(|status| status.plan.clone()).context("no plan")
}

pub(super) async fn another(story: &Story<'_>, than: &PlanStatus) -> Result<PlanStatus> {
    let releases = story.releases();
    let release = eventually::object(&releases, "app", SOON, |release| {
        status::failed(release, Reason::ApprovalNeeded)?;
        ensure!(plan(release)?.digest != than.digest, "it is the same plan");
        Ok(())
    });
    plan(&release.await?)
}

/// Waits until it is told that a plan waits, in a message that holds all of `words`.
pub(super) async fn told(story: &Story<'_>, words: &[&str]) -> Result<()> {
    let releases = story.releases();
    let told = eventually::object(&releases, "app", SOON, |release| {
        status::failed(release, Reason::ApprovalNeeded)?;
        let message = status::message(release);
        ensure!(words.iter().all(|word| message.contains(word)), "{words:?} are not all in {message}");
        Ok(())
    });
    told.await.map(drop)
}

pub(super) async fn approve(story: &Story<'_>, digest: &str) -> Result<()> {
    story.patch("app", json!({ "metadata": { "annotations": { APPROVE: digest } } })).await.map(drop)
}

pub(super) async fn color(story: &Story<'_>) -> Result<String> {
    let data = story.objects::<ConfigMap>().get("app").await?.data.context("data")?;
    Ok(data["color"].clone())
}

fn shown(plan: &PlanStatus) -> Vec<String> {
    let line = |object: &helm_operator::api::PlannedObject| {
        format!("{:?} {} {} {}", object.action, object.kind, object.name, object.paths.join(" ")).trim().to_owned()
    };
    plan.objects.iter().map(line).collect()
}

/// What the command prints, and its exit code.
pub(super) async fn diff(story: &Story<'_>, arguments: &[&str]) -> Result<(String, i32)> {
    let mut command = Command::new(binary().await?);
    command.arg("diff").args(arguments).args(["--namespace", &story.namespace]);
    let output = command.arg("--kubeconfig").arg(story.stage.plane.kubeconfig()).output().await?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    Ok((text, output.status.code().unwrap_or(-1)))
}

/// Secrets with plans.
pub(super) async fn plans(story: &Story<'_>) -> Result<usize> {
    let of_plans = ListParams::default().fields("type=helm-operator.ketches.cn/plan.v1");
    Ok(story.objects::<Secret>().list(&of_plans).await?.items.len())
}

/// A definition of the kind `Part`, with a schema of an object that says this of itself.
pub(crate) fn definition(group: &str, schema: &str) -> String {
    format!(
        "apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {{name: parts.{group}}}
spec:
  group: {group}
  names: {{kind: Part, plural: parts, singular: part, listKind: PartList}}
  scope: Namespaced
  versions:
  - name: v1
    served: true
    storage: true
    schema: {{openAPIV3Schema: {{type: object, {schema}}}}}
"
    )
}

/// A chart with a definition, an object of it where it is there, a hook, and a random word.
fn random_with_definition(name: &str) -> Chart {
    let definition = definition(name, "x-kubernetes-preserve-unknown-fields: true");
    let part = format!(
        "{{{{- if .Capabilities.APIVersions.Has \"{name}/v1/Part\" }}}}
apiVersion: {name}/v1
kind: Part
metadata: {{name: {{{{ .Release.Name }}}}}}
{{{{- end }}}}
"
    );
    let random = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: {{ .Release.Name }}}\ndata: {word: {{ randAlphaNum 12 | quote }}}\n";
    let hook = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: {{ .Release.Name }}-hook, annotations: {helm.sh/hook: pre-install}}\n";
    Chart::new("app", "1.0.0")
        .file("crds/parts.yaml", definition)
        .file("templates/part.yaml", part)
        .file("templates/hook.yaml", hook)
        .file("templates/random.yaml", random)
}

#[test]
fn what_is_approved_for_one_place_is_not_carried_out_in_another() -> Result<()> {
    story("plan-place", async |story| {
        story.push(&e2e::charts::note("app", "1.0.0")).await?;
        story.open_repository().await?;
        story.release("app", "app", "1.0.0", json!({ "plan": { "mode": "Manual" } })).await?;
        let first = waits(story).await?;
        let moved = json!({ "spec": { "release": { "name": "other" }, "plan": { "approved": first.digest } } });
        story.patch("app", moved).await?;
        let second = another(story, &first).await?;
        ensure!(story.objects::<ConfigMap>().get_opt("other-config").await?.is_none(), "it was carried out");
        story.patch("app", json!({ "spec": { "plan": { "approved": second.digest } } })).await?;
        story.ready("app").await?;
        ensure!(story.objects::<ConfigMap>().get_opt("other-config").await?.is_some(), "it was not carried out");
        Ok(())
    })
}

#[test]
fn a_first_install_waits_with_nothing_written_and_is_done_as_it_was_shown() -> Result<()> {
    story("plan-install", async |story| {
        let name = format!("{}.example.com", story.namespace);
        story.push(&random_with_definition(&name)).await?;
        story.open_repository().await?;
        let target = format!("{}-to", story.namespace);
        let release = json!({ "namespace": target, "createNamespace": true });
        story.release("app", "app", "1.0.0", json!({ "plan": { "mode": "Manual" }, "release": release })).await?;
        let plan = waits(story).await?;
        let is = shown(&plan);
        for line in [
            "Create Namespace",
            "Create CustomResourceDefinition",
            "Create ConfigMap app",
            "Create Part app",
            "Run ConfigMap app-hook",
        ] {
            ensure!(is.iter().any(|it| it.starts_with(line)), "{line:?} is not in {is:?}");
        }
        let (namespaces, definitions) =
            (Api::<Namespace>::all(story.client.clone()), Api::<CustomResourceDefinition>::all(story.client.clone()));
        let definition = format!("parts.{name}");
        ensure!(namespaces.get_opt(&target).await?.is_none(), "the namespace is there");
        ensure!(definitions.get_opt(&definition).await?.is_none(), "the definition is there");
        let (text, code) = diff(story, &["app"]).await?;
        ensure!(code == 1, "{code}: {text}");
        let word = text
            .lines()
            .find_map(|line| line.strip_prefix("+  word: "))
            .context("no word is shown")?
            .trim_matches('\'');
        story.event("app", Reason::ApprovalNeeded, &plan.digest).await?;

        // Looking again changes nothing of it.
        story.patch("app", json!({ "spec": { "interval": "1s" } })).await?;
        ensure!(waits(story).await? == plan, "it is another plan");
        approve(story, &plan.digest).await?;
        let release = story.ready("app").await?;
        ensure!(release.status.context("a status")?.plan.is_none(), "a plan still waits");
        let map = Api::<ConfigMap>::namespaced(story.client.clone(), &target).get("app").await?;
        ensure!(map.data.context("data")?["word"] == word, "it was rendered again");
        ensure!(definitions.get_opt(&definition).await?.is_some(), "no definition");
        ensure!(plans(story).await? == 0, "a plan is left");
        let (text, code) = diff(story, &["app"]).await?;
        ensure!(code == 0 && text.contains("no plan"), "{code}: {text}");
        story.delete("app").await?;
        namespaces.delete(&target, &DeleteParams::default()).await?;
        definitions.delete(&definition, &DeleteParams::default()).await?;
        Ok(())
    })
}

#[test]
fn an_upgrade_shows_what_it_changes_and_no_secret() -> Result<()> {
    story("plan-upgrade", async |story| {
        deployed(story, json!({})).await?;
        story.stage.operator().await.keep_secret("battery-staple");
        let plan = declare(story, json!({ "color": "blue", "password": "battery-staple", "extra": "" })).await?;
        ensure!(plan.revision == 2 && plan.chart == "app-1.0.0", "{plan:?}");
        ensure!(
            shown(&plan)
                == [
                    "Change Secret app /data/password",
                    "Change ConfigMap app /data/color",
                    "Delete ConfigMap app-extra"
                ],
            "{:?}",
            shown(&plan)
        );
        let (text, code) = diff(story, &["app"]).await?;
        for line in [
            "-  color: red",
            "+  color: blue",
            "-  password: '*** (before)'",
            "+  password: '*** (after)'",
            "-  by: before",
        ] {
            ensure!(text.lines().any(|it| it == line), "{line:?} is not in {text}");
        }
        let release = story.releases().get("app").await?;
        let events = story.kubectl.run(&["get", "events", "--output", "yaml", "--namespace", &story.namespace]).await?;
        // The values are declared in the open here; what is told of them is not.
        for told in [text, events, serde_json::to_string(&release.status)?] {
            for secret in ["battery-staple", "YmF0dGVyeS1zdGFwbGU", "correct-horse"] {
                ensure!(!told.contains(secret), "{secret} in {told}");
            }
        }
        ensure!(code == 1 && color(story).await? == "red", "it was carried out");

        let wrong = format!("sha256:{}", "0".repeat(64));
        story.patch("app", json!({ "spec": { "plan": { "approved": wrong } } })).await?;
        told(story, &[&wrong, "is not this plan", &plan.digest]).await?;
        ensure!(waits(story).await?.digest == plan.digest, "it is another plan");
        story.patch("app", json!({ "spec": { "plan": { "approved": plan.digest } } })).await?;
        story.ready("app").await?;
        ensure!(color(story).await? == "blue", "it is not carried out");
        ensure!(story.objects::<ConfigMap>().get_opt("app-extra").await?.is_none(), "it is not deleted");
        ensure!(story.history("app").await? == "1 superseded, 2 deployed", "{}", story.history("app").await?);
        Ok(())
    })
}

#[test]
fn what_moved_since_is_planned_anew_and_the_old_approval_counts_no_more() -> Result<()> {
    story("plan-moved", async |story| {
        deployed(story, json!({ "driftDetection": { "mode": "warn" } })).await?;
        let first = declare(story, json!({ "color": "blue" })).await?;
        // By hand, in what the plan changes.
        story.objects::<ConfigMap>().delete("app", &DeleteParams::default()).await?;
        approve(story, &first.digest).await?;
        let second = another(story, &first).await?;
        ensure!(shown(&second)[..1] == ["Create ConfigMap app"], "{:?}", shown(&second));
        story.event("app", Reason::PlanOutdated, "ConfigMap \"app\"").await?;
        ensure!(story.objects::<ConfigMap>().get_opt("app").await?.is_none(), "it was carried out");

        // Declared anew.
        let third = declare(story, json!({ "color": "green" })).await?;
        ensure!(third.digest != second.digest, "it is the same plan");
        approve(story, &second.digest).await?;
        told(story, &[&second.digest, "is not this plan"]).await?;

        // A revision of somebody else's.
        story.patch("app", json!({ "spec": { "onForeignChange": "Revert" } })).await?;
        story.helm.run(&["rollback", "app", "1", "--force-conflicts", "--namespace", &story.namespace]).await?;
        let fourth = another(story, &third).await?;
        ensure!(fourth.revision == 3, "{fourth:?}");
        approve(story, &fourth.digest).await?;
        story.ready("app").await?;
        ensure!(color(story).await? == "green", "{}", color(story).await?);
        Ok(())
    })
}

#[test]
fn a_plan_expires_and_can_be_asked_for_anew() -> Result<()> {
    story("plan-expires", async |story| {
        deployed(story, json!({})).await?;
        story.patch("app", json!({ "spec": { "plan": { "expireAfter": "1s" } } })).await?;
        let first = declare(story, json!({ "color": "blue" })).await?;
        told(story, &["can no longer be approved"]).await?;
        approve(story, &first.digest).await?;
        let second = another(story, &first).await?;
        story.event("app", Reason::PlanOutdated, "later than spec.plan.expireAfter").await?;
        ensure!(color(story).await? == "red", "it was carried out");
        story.patch("app", json!({ "spec": { "plan": { "expireAfter": "1h" } } })).await?;
        let asked = json!({ "metadata": { "annotations": { "helm-operator.ketches.cn/requestedAt": "now" } } });
        story.patch("app", asked).await?;
        let third = another(story, &second).await?;
        approve(story, &third.digest).await?;
        story.ready("app").await?;
        ensure!(color(story).await? == "blue", "it is not carried out");
        Ok(())
    })
}

#[test]
fn suspended_nothing_is_done_and_without_manual_it_goes_on() -> Result<()> {
    story("plan-suspended", async |story| {
        deployed(story, json!({})).await?;
        let plan = declare(story, json!({ "color": "blue" })).await?;
        story.patch("app", json!({ "spec": { "suspend": true } })).await?;
        approve(story, &plan.digest).await?;
        story.event("app", Reason::Suspended, "").await?;
        ensure!(color(story).await? == "red" && plans(story).await? == 1, "it was carried out");
        story.patch("app", json!({ "metadata": { "annotations": { APPROVE: null } } })).await?;
        story.patch("app", json!({ "spec": { "suspend": false } })).await?;
        ensure!(waits(story).await?.digest == plan.digest, "it is another plan");
        story.patch("app", json!({ "spec": { "plan": null } })).await?;
        let release = story.ready("app").await?;
        ensure!(color(story).await? == "blue", "it is not carried out");
        ensure!(release.status.context("a status")?.plan.is_none() && plans(story).await? == 0, "a plan is left");
        Ok(())
    })
}

#[test]
fn what_was_declared_before_ends_the_plan_and_so_does_the_end_of_the_object() -> Result<()> {
    story("plan-ends", async |story| {
        deployed(story, json!({})).await?;
        declare(story, json!({ "color": "blue" })).await?;
        ensure!(plans(story).await? == 1, "no plan is kept");
        story.patch("app", json!({ "spec": { "values": { "color": "red" } } })).await?;
        story.patch("app", json!({ "spec": { "values": null } })).await?;
        let release = story.ready("app").await?;
        ensure!(release.status.context("a status")?.plan.is_none() && plans(story).await? == 0, "a plan is left");
        declare(story, json!({ "color": "blue" })).await?;
        story.delete("app").await?;
        ensure!(plans(story).await? == 0, "a plan is left");
        Ok(())
    })
}

#[test]
fn what_cannot_be_carried_out_is_refused_before_anybody_is_asked() -> Result<()> {
    story("plan-refused", async |story| {
        story.push(&charts::note("note", "1.0.0")).await?;
        story.open_repository().await?;
        let map = json!({ "metadata": { "name": "app-config" }, "apiVersion": "v1", "kind": "ConfigMap" });
        story.apply(&map.to_string()).await?;
        story.release("app", "note", "1.0.0", json!({ "plan": { "mode": "Manual" } })).await?;
        story.refused("app", Reason::OwnershipConflict, &["app-config"]).await?;
        ensure!(plans(story).await? == 0, "it is planned");
        story.patch("app", json!({ "spec": { "install": { "takeOwnership": true } } })).await?;
        let plan = waits(story).await?;
        ensure!(plan.objects.iter().all(|object| object.action == PlannedAction::Change), "{plan:?}");
        approve(story, &plan.digest).await?;
        story.ready("app").await?;

        // What somebody else set.
        let by_hand = PatchParams { field_manager: Some("kubectl-edit".to_owned()), ..PatchParams::default() };
        let edited = Patch::Merge(json!({ "data": { "greeting": "by hand" } }));
        story.objects::<ConfigMap>().patch("app-config", &by_hand, &edited).await?;
        story.patch("app", json!({ "spec": { "values": { "greeting": "declared" } } })).await?;
        story.refused("app", Reason::FieldConflict, &["kubectl-edit", "greeting"]).await?;
        story.patch("app", json!({ "spec": { "upgrade": { "force": true } } })).await?;
        let plan = waits(story).await?;
        ensure!(shown(&plan) == ["Change ConfigMap app-config /data/greeting /data/revision"], "{:?}", shown(&plan));
        Ok(())
    })
}

#[test]
fn killed_between_the_approval_and_its_end_it_is_carried_out_once() -> Result<()> {
    alone("plan-killed", as_it_is, async |story| {
        deployed(story, json!({})).await?;
        let plan = declare(story, json!({ "color": "blue" })).await?;
        story.stage.operator().await.kill().await?;
        approve(story, &plan.digest).await?;
        story.stage.operator().await.start().await?;
        let release = story.ready("app").await?;
        ensure!(color(story).await? == "blue", "it is not carried out");
        ensure!(story.history("app").await? == "1 superseded, 2 deployed", "{}", story.history("app").await?);
        ensure!(release.status.context("a status")?.plan.is_none() && plans(story).await? == 0, "a plan is left");
        Ok(())
    })
}
