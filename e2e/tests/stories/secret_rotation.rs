//! Passwords change: a wrong one is told clearly, and a corrected Secret is used at once, without a question asked.

use anyhow::{Result, ensure};
use e2e::charts;
use e2e::helm::Login;
use e2e::process::Scratch;
use e2e::registry::{Face, Registry, User};
use e2e::story::{SOON, Story, story};
use e2e::{eventually, status};
use helm_operator::api::Reason;
use serde_json::json;

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

async fn push(story: &Story<'_>, registry: &Registry) -> Result<()> {
    let scratch = Scratch::new("rotation")?;
    let archive =
        story.helm.package(&charts::note("memo", "1.0.0").write(scratch.path())?, scratch.path(), None).await?;
    let login = Login { basic: Some(("reader".to_owned(), PASSWORD.to_owned())), ca_file: None };
    story.helm.push(&archive, &format!("{}/team", registry.url()), &login).await
}

async fn set_password(story: &Story<'_>, password: &str) -> Result<()> {
    let secret = json!({
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": { "name": "login" },
        "type": "kubernetes.io/basic-auth",
        "stringData": { "username": "reader", "password": password },
    });
    story.apply(&secret.to_string()).await
}
