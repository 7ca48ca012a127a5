//! Registries that answer wrongly, late, or for somebody else: one reason each, and credentials stay where they belong.

use std::time::Duration;

use anyhow::{Result, ensure};
use e2e::charts;
use e2e::faults::{Reply, Seen, Server};
use e2e::registry::{Face, Registry, TlsMode, User};
use e2e::story::{SOON, Story, registry, story};
use e2e::{eventually, status};
use helm_operator::api::Reason;
use serde_json::{Value, json};

const PASSWORD: &str = "for-this-registry-only";

#[test]
fn every_wrong_answer_of_a_registry_has_its_reason() -> Result<()> {
    story("answers", async |story| {
        let html = Server::start(None, |_| {
            Reply::new(200, &[("content-type", "text/html")], "<html><body>Welcome to the portal</body></html>")
        })
        .await?;
        let hangs = Server::start(None, |_| Reply::Hang).await?;
        let broken = Server::start(None, |_| Reply::new(503, &[], "no storage")).await?;
        let busy = Server::start(None, |_| Reply::new(429, &[("retry-after", "30")], "")).await?;
        let closes = Server::start(None, |_| Reply::Close).await?;
        let cases = [
            ("html", html.host(), Reason::RegistryUnexpected),
            ("hangs", hangs.host(), Reason::RegistryTimeout),
            ("broken", broken.host(), Reason::RegistryUnavailable),
            ("busy", busy.host(), Reason::RateLimited),
            ("closes", closes.host(), Reason::ConnectionFailed),
        ];
        for (name, host, _) in &cases {
            repository(story, name, json!({ "url": format!("oci://{host}"), "insecure": true, "timeout": "2s" }))
                .await?;
        }
        for (name, _, reason) in &cases {
            told(story, name, *reason).await?;
        }
        Ok(())
    })
}

#[test]
fn every_wrong_certificate_has_its_reason() -> Result<()> {
    story("certificates", async |story| {
        for (name, mode, trusted, reason) in [
            ("unknown", TlsMode::OwnCa, false, Reason::CertificateUnknownAuthority),
            ("expired", TlsMode::Expired, true, Reason::CertificateExpired),
            ("misnamed", TlsMode::WrongName, true, Reason::CertificateNameMismatch),
        ] {
            let server = Registry::start(Face::anonymous().tls(mode)).await?;
            let mut spec = json!({ "url": server.url() });
            if trusted {
                let secret = json!({
                    "apiVersion": "v1",
                    "kind": "Secret",
                    "metadata": { "name": name },
                    "stringData": { "ca.crt": server.ca_pem() },
                });
                story.apply(&secret.to_string()).await?;
                spec["auth"] = json!({ "tls": { "secretRef": { "name": name } } });
            }
            repository(story, name, spec).await?;
            told(story, name, reason).await?;
        }
        Ok(())
    })
}

#[test]
fn a_user_without_rights_is_told_apart_from_a_stranger() -> Result<()> {
    story("rights", async |story| {
        story.stage.operator().await.keep_secret(PASSWORD);
        let user = User::new("reader", PASSWORD).limited_to("theirs/");
        let server = Registry::start(Face::token(vec![user])).await?;
        login(story).await?;
        repository(
            story,
            "charts",
            json!({ "url": format!("{}/ours", server.url()), "insecure": true, "auth": auth() }),
        )
        .await?;
        story.release("memo", "memo", "1.0.0", json!({})).await?;
        story.failed("memo", Reason::PermissionDenied).await?;
        Ok(())
    })
}

#[test]
fn credentials_do_not_follow_a_redirect_to_another_host() -> Result<()> {
    story("redirects", async |story| {
        story.stage.operator().await.keep_secret(PASSWORD);
        story.push(&charts::note("memo", "1.0.0")).await?;
        let real = registry().await?.host();
        let blobs = format!("http://{real}");
        let elsewhere = Server::start(None, move |_| Reply::Forward(blobs.clone())).await?;
        let target = elsewhere.host();
        let front = Server::before(&real, move |seen: &Seen| {
            let away = seen.path.contains("/blobs/");
            away.then(|| Reply::new(307, &[("location", &format!("http://{target}{}", seen.path))], ""))
        })
        .await?;
        login(story).await?;
        let url = format!("oci://{}/{}", front.host(), story.namespace);
        repository(story, "charts", json!({ "url": url, "insecure": true, "auth": auth() })).await?;
        story.release("memo", "memo", "1.0.0", json!({})).await?;
        story.ready("memo").await?;
        ensure!(elsewhere.count("/blobs/") > 0, "nothing was fetched from the other host");
        let leaked = elsewhere.seen().iter().any(|seen| seen.authorization().is_some());
        ensure!(!leaked, "the other host was given credentials");
        Ok(())
    })
}

#[test]
fn a_blob_with_another_digest_is_never_applied() -> Result<()> {
    story("digests", async |story| {
        story.push(&charts::note("memo", "1.0.0")).await?;
        let front = Server::before(&registry().await?.host(), |seen: &Seen| {
            seen.path.contains("/blobs/").then(|| Reply::new(200, &[], "something else altogether"))
        })
        .await?;
        let url = format!("oci://{}/{}", front.host(), story.namespace);
        repository(story, "charts", json!({ "url": url, "insecure": true })).await?;
        story.release("memo", "memo", "1.0.0", json!({})).await?;
        story.failed("memo", Reason::RegistryUnexpected).await?;
        ensure!(story.helm.list(&story.namespace).await?.is_empty(), "something was installed");
        Ok(())
    })
}

async fn repository(story: &Story<'_>, name: &str, spec: Value) -> Result<()> {
    let manifest = json!({
        "apiVersion": "helm-operator.ketches.cn/v1alpha1",
        "kind": "HelmRepository",
        "metadata": { "name": name },
        "spec": spec,
    });
    story.apply(&manifest.to_string()).await
}

async fn told(story: &Story<'_>, name: &str, reason: Reason) -> Result<()> {
    let patience = SOON + Duration::from_secs(5);
    let told = |repository: &_| status::failed(repository, reason);
    eventually::object(&story.repositories(), name, patience, told).await.map(drop)
}

async fn login(story: &Story<'_>) -> Result<()> {
    let secret = json!({
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": { "name": "login" },
        "stringData": { "username": "reader", "password": PASSWORD },
    });
    story.apply(&secret.to_string()).await
}

fn auth() -> Value {
    json!({ "basic": { "secretRef": { "name": "login" } } })
}
