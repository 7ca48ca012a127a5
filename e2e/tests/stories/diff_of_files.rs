//! What applying a file would change, shown without an operator's doing: `helm-operator diff -f`.

use std::path::Path;
use std::process::Stdio;

use anyhow::{Context as _, Result, ensure};
use e2e::charts::Chart;
use e2e::gateway::Gateway;
use e2e::operator::binary;
use e2e::process::Scratch;
use e2e::story::{Story, repository, story};
use k8s_openapi::api::core::v1::ConfigMap;
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt as _;
use tokio::process::Command;

const OBJECTS: &str = "apiVersion: v1
kind: ConfigMap
metadata:
  name: {{ .Release.Name }}
data: {color: {{ .Values.color | quote }}, found: {{ (lookup \"v1\" \"ConfigMap\" .Release.Namespace \"there\").data | toJson | quote }}}
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

const HOOK: &str = "apiVersion: v1
kind: ConfigMap
metadata: {name: {{ .Release.Name }}-hook, annotations: {helm.sh/hook: \"pre-install,pre-upgrade\"}}
";

fn chart(version: &str) -> Chart {
    let values = "color: red\npassword: correct-horse\nextra: before\n";
    Chart::new("app", version)
        .file("values.yaml", values)
        .file("templates/all.yaml", OBJECTS)
        .file("templates/hook.yaml", HOOK)
}

/// A release of the chart in a file.
fn declared(spec: Value) -> Value {
    let mut release = json!({
        "apiVersion": "helm-operator.ketches.cn/v1alpha1",
        "kind": "HelmRelease",
        "metadata": { "name": "app" },
        "spec": { "chart": { "name": "app", "version": "1.0.0", "repository": { "name": "charts" } } },
    });
    let (Some(into), Value::Object(spec)) = (release["spec"].as_object_mut(), spec) else { return release };
    into.extend(spec);
    release
}

/// What the command says.
struct Said {
    code: i32,
    out: String,
    err: String,
}

impl Said {
    /// That it ended so, and said these lines of what changes.
    fn shows(&self, code: i32, lines: &[&str]) -> Result<()> {
        let Self { code: is, out, err } = self;
        ensure!(*is == code, "it ends with {is} and not {code}: {out}\n{err}");
        for line in lines {
            ensure!(out.lines().any(|it| it == *line), "{line:?} is not in\n{out}\n{err}");
        }
        Ok(())
    }

    /// That it failed, with these words and no structures of Rust's.
    fn fails(&self, words: &[&str]) -> Result<()> {
        let Self { code, out, err } = self;
        ensure!(*code == 2 && out.is_empty(), "it ends with {code}: {out}\n{err}");
        for word in words {
            ensure!(err.contains(word), "{word:?} is not in {err}");
        }
        ensure!(!err.contains("Status {") && !err.contains("Some("), "{err}");
        Ok(())
    }
}

async fn run(arguments: &[&str], kubeconfig: &Path, input: &str) -> Result<Said> {
    let mut command = Command::new(binary().await?);
    command.arg("diff").args(arguments).arg("--kubeconfig").arg(kubeconfig);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
    let mut stdin = child.stdin.take().context("a standard input")?;
    stdin.write_all(input.as_bytes()).await?;
    drop(stdin);
    let output = child.wait_with_output().await?;
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    Ok(Said { code: output.status.code().unwrap_or(-1), out: text(output.stdout), err: text(output.stderr) })
}

/// What applying `documents` would change, as an administrator.
async fn diff(story: &Story<'_>, documents: &[Value]) -> Result<Said> {
    let input = documents.iter().map(Value::to_string).collect::<Vec<_>>().join("\n---\n");
    run(&["-f", "-", "-n", &story.namespace], story.stage.plane.kubeconfig(), &input).await
}

#[test]
fn an_install_is_shown_and_nothing_is_written() -> Result<()> {
    story("diff-install", async |story| {
        story.push(&chart("1.0.0")).await?;
        story.apply(&json!({ "apiVersion": "v1", "kind": "ConfigMap", "metadata": { "name": "there" }, "data": { "a": "b" } }).to_string()).await?;
        let repository = repository("charts", &story.charts_url().await?);
        let release = declared(json!({ "values": { "password": "battery-staple" } })).to_string();
        let secret = json!({ "apiVersion": "v1", "kind": "Secret", "metadata": { "name": "login" } });
        let file = format!("{release}\n---\n{repository}\n---\n{secret}\n");
        let gateway = Gateway::start(story.stage.plane.kubeconfig()).await?;
        let said = run(&["-f", "-", "-n", &story.namespace], gateway.kubeconfig(), &file).await?;
        let header = format!("# HelmRelease {}/app: revision 1, app 1.0.0", story.namespace);
        let created = format!("# create ConfigMap \"app\" in namespace {:?}", story.namespace);
        let hook = "# run ConfigMap \"app-hook\" of app/templates/hook.yaml as a pre-install hook";
        said.shows(1, &[&header, &created, hook, "+  color: red", "+  found: '{\"a\":\"b\"}'", "+  by: before"])?;
        ensure!(said.err.contains("not looked at") && said.err.contains("Secret \"login\""), "{}", said.err);
        for hidden in ["battery-staple", "YmF0dGVyeS1zdGFwbGU"] {
            ensure!(!said.out.contains(hidden) && !said.err.contains(hidden), "{hidden} in {}", said.out);
        }
        ensure!(gateway.persisted().is_empty(), "it wrote: {:?}", gateway.persisted());
        ensure!(!gateway.writes().is_empty(), "the API server was not asked");
        ensure!(story.releases().get_opt("app").await?.is_none(), "there is a release");
        ensure!(story.repositories().get_opt("charts").await?.is_none(), "there is a repository");

        // As it was shown it is done, and then there is nothing to show.
        story.apply(&repository).await?;
        story.apply(&release).await?;
        story.ready("app").await?;
        let said = run(&["-f", "-", "-n", &story.namespace], gateway.kubeconfig(), &file).await?;
        said.shows(0, &[])?;
        ensure!(said.out.is_empty() && said.err.contains("no difference"), "{}{}", said.out, said.err);
        // All that is given is looked at, not the last alone.
        let scratch = Scratch::new("diff")?;
        let other = scratch.join("other.yaml");
        let mut another = declared(json!({}));
        another["metadata"]["name"] = "other".into();
        std::fs::write(&other, another.to_string())?;
        let files = ["-f", other.to_str().context("a path")?, "-f", "-", "-n", &story.namespace];
        let header = format!("# HelmRelease {}/other: revision 1, app 1.0.0", story.namespace);
        run(&files, gateway.kubeconfig(), &file).await?.shows(1, &[&header])?;
        ensure!(gateway.persisted().is_empty(), "it wrote: {:?}", gateway.persisted());
        Ok(())
    })
}

#[test]
fn an_upgrade_is_shown_with_defaults_and_values_of_others_and_is_done_so() -> Result<()> {
    story("diff-upgrade", async |story| {
        story.push(&chart("1.0.0")).await?;
        story.push(&chart("1.1.0")).await?;
        story.open_repository().await?;
        story.apply(&declared(json!({})).to_string()).await?;
        story.ready("app").await?;
        let secret = json!({ "apiVersion": "v1", "kind": "Secret", "metadata": { "name": "values" },
            "stringData": { "values.yaml": "password: battery-staple\n" } });
        let defaults = json!({ "apiVersion": "helm-operator.ketches.cn/v1alpha1", "kind": "HelmReleaseDefaults",
            "metadata": { "name": "default" }, "spec": { "maxHistory": 3 } });
        story.apply(&secret.to_string()).await?;
        story.apply(&defaults.to_string()).await?;
        let patch = "{apiVersion: v1, kind: ConfigMap, metadata: {name: app}, data: {patched: done}}";
        let mut next = declared(json!({
            "values": { "color": "blue", "extra": "" },
            "valuesFrom": [{ "kind": "Secret", "name": "values" }],
            "postRenderers": [{ "kustomize": { "patches": [{ "patch": patch }] } }],
            "commonMetadata": { "labels": { "team": "shop" } },
        }));
        next["spec"]["chart"]["version"] = "^1.0.0".into();
        let said = diff(story, &[next.clone()]).await?;
        let header = format!("# HelmRelease {}/app: revision 2, app 1.1.0", story.namespace);
        let gone = format!("# delete ConfigMap \"app-extra\" in namespace {:?}", story.namespace);
        let lines = [
            &header,
            &gone,
            "-  color: red",
            "+  color: blue",
            "+  patched: done",
            "+    team: shop",
            "-  by: before",
            "-  password: '*** (before)'",
            "+  password: '*** (after)'",
        ];
        said.shows(1, &lines)?;
        for hidden in ["battery-staple", "YmF0dGVyeS1zdGFwbGU", "correct-horse"] {
            ensure!(!said.out.contains(hidden) && !said.err.contains(hidden), "{hidden} in {}", said.out);
        }
        let data = story.objects::<ConfigMap>().get("app").await?.data.context("data")?;
        ensure!(data["color"] == "red" && story.history("app").await? == "1 deployed", "it was carried out");

        // What the defaults of the namespace say is part of it.
        let defaults = json!({ "apiVersion": "helm-operator.ketches.cn/v1alpha1", "kind": "HelmReleaseDefaults",
            "metadata": { "name": "default" }, "spec": { "commonMetadata": { "labels": { "cost": "low" } } } });
        story.apply(&defaults.to_string()).await?;
        story.ready("app").await?;
        diff(story, &[next.clone()]).await?.shows(1, &["     cost: low", "+    team: shop"])?;

        // With a plan it waits for approval; and while it is suspended nothing is done.
        next["spec"]["plan"] = json!({ "mode": "Manual" });
        let said = diff(story, &[next.clone()]).await?;
        ensure!(said.code == 1 && said.err.contains("waits for approval"), "{}", said.err);
        next["spec"]["plan"] = Value::Null;
        next["spec"]["suspend"] = true.into();
        let said = diff(story, &[next.clone()]).await?;
        ensure!(said.code == 0 && said.err.contains("spec.suspend"), "{}{}", said.out, said.err);

        next["spec"]["suspend"] = false.into();
        story.apply(&next.to_string()).await?;
        story.ready("app").await?;
        ensure!(story.objects::<ConfigMap>().get_opt("app-extra").await?.is_none(), "it is not deleted");
        diff(story, &[next]).await?.shows(0, &[])
    })
}

#[test]
fn a_release_that_moves_is_shown_with_what_it_leaves() -> Result<()> {
    story("diff-moves", async |story| {
        story.push(&chart("1.0.0")).await?;
        story.open_repository().await?;
        story.apply(&declared(json!({})).to_string()).await?;
        story.ready("app").await?;
        let moved = declared(json!({ "storageNamespace": "default" }));
        let line = format!("# move the records of the release from namespace {} to default", story.namespace);
        diff(story, &[moved]).await?.shows(1, &[&line])?;
        let renamed = declared(json!({ "release": { "name": "other" } }));
        let line = format!(
            "# uninstall the release {}/app, which this object had before, once this one is deployed",
            story.namespace
        );
        let created = format!("# create ConfigMap \"other\" in namespace {:?}", story.namespace);
        diff(story, &[renamed]).await?.shows(1, &[&line, &created])?;
        ensure!(story.history("app").await? == "1 deployed", "{}", story.history("app").await?);
        Ok(())
    })
}

#[test]
fn what_cannot_be_applied_is_told_and_is_no_difference() -> Result<()> {
    story("diff-fails", async |story| {
        story.push(&chart("1.0.0")).await?;
        story.open_repository().await?;
        let mut missing = declared(json!({}));
        missing["spec"]["chart"]["version"] = "9.9.9".into();
        diff(story, &[missing.clone()]).await?.fails(&["HelmRelease", "/app", "9.9.9"])?;
        // The rules of the definition, and its fields.
        let mut unclear = declared(json!({}));
        unclear["spec"]["chart"].as_object_mut().context("an object")?.remove("repository");
        diff(story, &[unclear]).await?.fails(&["applying HelmRelease", "would fail", "is invalid", "repository"])?;
        let misspelt = declared(json!({ "valuez": {} }));
        diff(story, &[misspelt]).await?.fails(&["would fail", "spec.valuez"])?;
        let failing =
            declared(json!({ "values": { "color": "red" }, "valuesFrom": [{ "kind": "Secret", "name": "none" }] }));
        diff(story, &[failing]).await?.fails(&["there is no Secret", "spec.valuesFrom[0]"])?;

        // Of several the others are shown.
        let mut good = declared(json!({}));
        good["metadata"]["name"] = "good".into();
        let said = diff(story, &[missing, good.clone()]).await?;
        ensure!(said.code == 2 && said.err.contains("9.9.9"), "{}: {}", said.code, said.err);
        ensure!(said.out.contains("/good: revision 1, app 1.0.0"), "{}", said.out);

        good["metadata"]["namespace"] = "another".into();
        diff(story, &[good]).await?.fails(&["the namespace of HelmRelease good is another"])?;
        let kubeconfig = story.stage.plane.kubeconfig();
        run(&["-f", "/nowhere.yaml"], kubeconfig, "").await?.fails(&["failed to read /nowhere.yaml"])?;
        run(&["-f", "-"], kubeconfig, "kind: [").await?.fails(&["is no YAML"])?;
        run(&[], kubeconfig, "").await?.fails(&["Usage"])
    })
}

#[test]
fn it_is_asked_with_the_rights_of_who_asks() -> Result<()> {
    story("diff-rights", async |story| {
        if !story.stage.plane.is_own() {
            return Ok(());
        }
        story.push(&chart("1.0.0")).await?;
        story.open_repository().await?;
        let namespace = story.namespace.as_str();
        let user = format!("diff-{namespace}");
        let kubeconfig = story.stage.plane.kubeconfig_for(&user, "people")?;
        let file = declared(json!({})).to_string();
        let ask = async || run(&["-f", "-", "-n", namespace], &kubeconfig, &file).await;
        ask().await?.fails(&[&user, "helmreleases"])?;

        let role = |rules: Value| {
            let name = json!({ "name": "asks" });
            let role = json!({ "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role", "metadata": name, "rules": rules });
            let binding = json!({ "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding", "metadata": name,
                "roleRef": { "apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "asks" },
                "subjects": [{ "apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": user }] });
            json!({ "apiVersion": "v1", "kind": "List", "items": [role, binding] }).to_string()
        };
        let may = |group: &str, resources: Value, verbs: Value| json!({ "apiGroups": [group], "resources": resources, "verbs": verbs });
        let own = may("helm-operator.ketches.cn", json!(["*"]), json!(["*"]));
        let secrets = may("", json!(["secrets"]), json!(["get", "list", "create", "patch"]));
        story.apply(&role(json!([own, secrets]))).await?;
        story.eventually("the right is given", async || ask().await?.fails(&[&user, "configmaps"])).await?;
        let maps = may("", json!(["configmaps"]), json!(["get", "list", "create", "patch"]));
        story.apply(&role(json!([own, secrets, maps]))).await?;
        story.eventually("the right is given", async || ask().await?.shows(1, &["+  color: red"])).await?;
        let said = ask().await?;
        ensure!(said.err.contains("you may not list the HelmReleases of other namespaces"), "{}", said.err);
        ensure!(said.err.contains("you may not read ClusterHelmReleaseDefaults"), "{}", said.err);
        Ok(())
    })
}
