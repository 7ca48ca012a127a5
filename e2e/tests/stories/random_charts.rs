//! Charts of which some is left to chance, as a random password or the time: what is deployed of them stays until something that
//! is declared changes, and the status names the templates.

use anyhow::{Context as _, Result, ensure};
use e2e::charts::Chart;
use e2e::gateway::{Reply, Which};
use e2e::process::Scratch;
use e2e::story::{Story, alone, as_it_is, story};
use helm_operator::api::REQUESTED_AT;
use k8s_openapi::api::core::v1::Secret;
use serde_json::json;

/// A random password, one that is kept by `lookup`, and one that is given by the values and random only where it is not.
fn random() -> Chart {
    let secret = |name: &str, before: &str, value: &str| {
        format!(
            "{before}apiVersion: v1\nkind: Secret\nmetadata:\n  name: {{{{ .Release.Name }}}}-{name}\nstringData:\n  password: {{{{ {value} }}}}\n"
        )
    };
    let kept = "{{- $there := (lookup \"v1\" \"Secret\" .Release.Namespace (printf \"%s-kept\" .Release.Name)).data | default dict }}\n";
    let note = "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: {{ .Release.Name }}-note\ndata:\n  greeting: {{ .Values.greeting }}\n";
    Chart::new("random", "1.0.0")
        .file("templates/note.yaml", note)
        .file("values.yaml", "greeting: hello\npassword: given\n")
        .file("templates/each.yaml", secret("each", "", "randAlphaNum 16"))
        .file(
            "templates/kept.yaml",
            secret("kept", kept, "get $there \"password\" | b64dec | default (randAlphaNum 16)"),
        )
        .file("templates/given.yaml", secret("given", "", "default (randAlphaNum 16) .Values.password"))
        .file("templates/tls.yaml", secret("tls", "", "genPrivateKey \"ecdsa\" | quote"))
        .file("templates/NOTES.txt", "Installed {{ now }}.\n")
}

/// The passwords that are each new, and the one that is kept.
async fn passwords(story: &Story<'_>) -> Result<[Vec<u8>; 3]> {
    let read = async |name: &str| -> Result<Vec<u8>> {
        let secret = story.objects::<Secret>().get(name).await?;
        Ok(secret.data.and_then(|mut data| data.remove("password")).context("a password")?.0)
    };
    Ok([read("app-each").await?, read("app-tls").await?, read("app-kept").await?])
}

async fn stage(story: &Story<'_>) -> Result<()> {
    story.push(&random()).await?;
    story.open_repository().await
}

#[test]
fn a_random_chart_is_rendered_once_for_what_is_declared_and_its_templates_are_named() -> Result<()> {
    story("random", async |story| {
        stage(story).await?;
        story.release("app", "random", "1.0.0", json!({})).await?;
        let named = story.ready("app").await?.status.context("a status")?.random_templates;
        ensure!(named == ["random/templates/each.yaml", "random/templates/tls.yaml"], "{named:?}");
        let first = passwords(story).await?;
        story.patch("app", json!({ "metadata": { "annotations": { REQUESTED_AT: "now" } } })).await?;
        story
            .eventually("the request is honoured", async || {
                let release = story.ready("app").await?;
                ensure!(release.status.and_then(|it| it.last_handled_reconcile_at).as_deref() == Some("now"));
                Ok(())
            })
            .await?;
        ensure!(story.history("app").await? == "1 deployed" && passwords(story).await? == first);

        story.patch("app", json!({ "spec": { "values": { "greeting": "hi" } } })).await?;
        let named = story.ready("app").await?.status.context("a status")?.random_templates;
        ensure!(named == ["random/templates/each.yaml", "random/templates/tls.yaml"], "{named:?}");
        let second = passwords(story).await?;
        ensure!(first[0] != second[0] && first[1] != second[1], "an upgrade renders anew");
        ensure!(first[2] == second[2], "what is looked up was not kept");
        Ok(())
    })
}

#[test]
fn a_random_chart_that_helm_installed_is_taken_over_as_it_is() -> Result<()> {
    story("random-adopted", async |story| {
        stage(story).await?;
        let scratch = Scratch::new("random")?;
        let folder = random().write(scratch.path())?;
        let folder = folder.to_str().context("UTF-8")?;
        story.helm.run(&["install", "app", folder, "--namespace", &story.namespace]).await?;
        let before = passwords(story).await?;
        story.release("app", "random", "1.0.0", json!({})).await?;
        story.ready("app").await?;
        ensure!(story.history("app").await? == "1 deployed", "it was replaced: {}", story.history("app").await?);
        ensure!(passwords(story).await? == before);
        story.patch("app", json!({ "spec": { "values": { "greeting": "hi" } } })).await?;
        story.ready("app").await?;
        ensure!(story.history("app").await? == "1 superseded, 2 deployed");
        Ok(())
    })
}

/// The cluster is upgraded: everything is rendered anew, and nothing of this chart depends on the version.
#[test]
fn a_new_kubernetes_replaces_nothing_that_is_random_alone() -> Result<()> {
    alone("random-kubernetes", as_it_is, async |story| {
        stage(story).await?;
        let (gateway, mut operator) = story.behind_gateway(&[]).await?;
        let versioned = random()
            .file("templates/version.yaml", "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: {{ .Release.Name }}-version\ndata:\n  minor: {{ .Capabilities.KubeVersion.Minor | quote }}\n  salt: {{ randAlphaNum 8 }}\n")
            .metadata("annotations:\n  is: versioned\n");
        let scratch = Scratch::new("versioned")?;
        let folder = versioned.write(scratch.path())?;
        story.push_folder(&folder, Some("2.0.0")).await?;
        story.release("app", "random", "1.0.0", json!({})).await?;
        story.release("kube", "random", "2.0.0", json!({})).await?;
        story.ready("app").await?;
        story.ready("kube").await?;
        let before = passwords(story).await?;
        operator.stop().await?;
        let mut version: serde_json::Value =
            serde_json::from_str(&story.kubectl.run(&["get", "--raw", "/version"]).await?)?;
        (version["minor"], version["gitVersion"]) = (json!("99"), json!("v1.99.0"));
        let reply = Reply { status: 200, content_type: "application/json", body: version.to_string() };
        gateway.replies(Which::reads("/version"), reply);
        operator.start().await?;
        story
            .eventually("what depends on the version is upgraded", async || {
                let history = story.history("kube").await?;
                ensure!(history == "1 superseded, 2 deployed", "{history}");
                Ok(())
            })
            .await?;
        story.patch("app", json!({ "metadata": { "annotations": { REQUESTED_AT: "now" } } })).await?;
        story
            .eventually("the request is honoured", async || {
                let release = story.ready("app").await?;
                ensure!(release.status.and_then(|it| it.last_handled_reconcile_at).as_deref() == Some("now"));
                Ok(())
            })
            .await?;
        ensure!(story.history("app").await? == "1 deployed", "{}", story.history("app").await?);
        ensure!(passwords(story).await? == before);
        Ok(())
    })
}
