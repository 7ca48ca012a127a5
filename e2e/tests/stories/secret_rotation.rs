//! Passwords change: a wrong one is told clearly, and a corrected Secret is used at once, without a question asked.

use anyhow::{Result, ensure};
use e2e::charts;
use e2e::helm::Login;
use e2e::process::Scratch;
use e2e::registry::{Face, Registry, User};
use e2e::story::{SOON, Story, alone, story};
use e2e::{eventually, status};
use helm_operator::api::Reason;
use serde_json::{Value, json};

const PASSWORD: &str = "s3cret-of-the-story";
const WRONG: &str = "mistyped-by-somebody";

#[test]
fn a_wrong_password_is_told_and_a_corrected_one_heals_repository_and_release() -> Result<()> {
    story("rotation", async |story| {
        for secret in [PASSWORD, WRONG] {
            story.stage.operator().await.keep_secret(secret);
        }
        let registry = Registry::start(Face::basic(vec![User::new("reader", PASSWORD)])).await?;
        push(story, &registry).await?;
        set_password(story, WRONG).await?;
        let repository = json!({
            "apiVersion": "helm-operator.ketches.cn/v1alpha1",
            "kind": "HelmRepository",
            "metadata": { "name": "charts" },
            "spec": {
                "url": format!("{}/team", registry.url()),
                "insecure": true,
                "auth": { "basic": { "secretRef": { "name": "login" } } },
            },
        });
        story.apply(&repository.to_string()).await?;
        story.release("memo", "memo", "1.0.0", json!({})).await?;
        let repositories = story.repositories();
        let refused = |repository: &_| status::failed(repository, Reason::AuthenticationFailed);
        let told = eventually::object(&repositories, "charts", SOON, refused).await?;
        let message = status::message(&told);
        ensure!(message.contains("401") && !message.contains(WRONG), "message: {message}");
        story.failed("memo", Reason::AuthenticationFailed).await?;

        set_password(story, PASSWORD).await?;
        eventually::object(&repositories, "charts", SOON, status::ready).await?;
        story.ready("memo").await?;

        set_password(story, WRONG).await?;
        eventually::object(&repositories, "charts", SOON, refused).await?;
        set_password(story, PASSWORD).await?;
        eventually::object(&repositories, "charts", SOON, status::ready).await?;
        let release = story.ready("memo").await?;
        let revision = release.status.and_then(|status| status.helm_release).map(|state| state.revision);
        ensure!(revision == Some(1), "passwords are no upgrade: revision {revision:?}");
        Ok(())
    })
}

/// A password in a namespace of another team, and a repository of the story's that names it.
async fn borrow(story: &Story<'_>, registry: &Registry) -> Result<String> {
    story.stage.operator().await.keep_secret(PASSWORD);
    push(story, registry).await?;
    let other = format!("{}-platform", story.namespace);
    story.kubectl.run(&["create", "namespace", &other]).await?;
    story.kubectl.apply(&other, &login(PASSWORD).to_string()).await?;
    let repository = json!({
        "apiVersion": "helm-operator.ketches.cn/v1alpha1",
        "kind": "HelmRepository",
        "metadata": { "name": "charts" },
        "spec": {
            "url": format!("{}/team", registry.url()),
            "insecure": true,
            "auth": { "basic": { "secretRef": { "name": "login", "namespace": other } } },
        },
    });
    story.apply(&repository.to_string()).await?;
    Ok(other)
}

#[test]
fn a_secret_of_another_namespace_is_used_once_its_owner_allows_it() -> Result<()> {
    story("consent", async |story| {
        let registry = Registry::start(Face::basic(vec![User::new("reader", PASSWORD)])).await?;
        let other = borrow(story, &registry).await?;
        story.release("memo", "memo", "1.0.0", json!({})).await?;
        let repositories = story.repositories();
        let denied = |repository: &_| status::stalled(repository, Reason::AccessDenied);
        let told = eventually::object(&repositories, "charts", SOON, denied).await?;
        story.failed("memo", Reason::AccessDenied).await?;

        // The message holds the command that ends it, and what it does is noticed at once.
        let message = status::message(&told);
        let command = message.split("kubectl ").nth(1).unwrap_or_default();
        let words: Vec<&str> = command.split_whitespace().take(6).collect();
        ensure!(words.first() == Some(&"annotate") && words.contains(&other.as_str()), "message: {message}");
        story.kubectl.run(&words).await?;
        eventually::object(&repositories, "charts", SOON, status::ready).await?;
        story.ready("memo").await?;

        let withdraw =
            ["annotate", "secret", "login", "--namespace", &other, "helm-operator.ketches.cn/allowed-namespaces-"];
        story.kubectl.run(&withdraw).await?;
        eventually::object(&repositories, "charts", SOON, denied).await?;
        story.kubectl.run(&["delete", "namespace", &other, "--wait=false"]).await?;
        Ok(())
    })
}

#[test]
fn an_operator_can_be_told_to_ask_for_no_consent() -> Result<()> {
    alone(
        "no-consent",
        async |_, setup| Ok(setup.argument("--allow-cross-namespace-secrets")),
        async |story| {
            let registry = Registry::start(Face::basic(vec![User::new("reader", PASSWORD)])).await?;
            borrow(story, &registry).await?;
            eventually::object(&story.repositories(), "charts", SOON, status::ready).await?;
            story.release("memo", "memo", "1.0.0", json!({})).await?;
            story.ready("memo").await?;
            Ok(())
        },
    )
}

async fn push(story: &Story<'_>, registry: &Registry) -> Result<()> {
    let scratch = Scratch::new("rotation")?;
    let archive =
        story.helm.package(&charts::note("memo", "1.0.0").write(scratch.path())?, scratch.path(), None).await?;
    let login = Login { basic: Some(("reader".to_owned(), PASSWORD.to_owned())), ca_file: None };
    story.helm.push(&archive, &format!("{}/team", registry.url()), &login).await
}

async fn set_password(story: &Story<'_>, password: &str) -> Result<()> {
    story.apply(&login(password).to_string()).await
}

fn login(password: &str) -> Value {
    json!({
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": { "name": "login" },
        "type": "kubernetes.io/basic-auth",
        "stringData": { "username": "reader", "password": password },
    })
}
