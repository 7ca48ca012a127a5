//! Declarations that name what is not there: repositories, charts, tags, versions, Secrets.

use anyhow::Result;
use e2e::story::{SOON, registry, story};
use e2e::{charts, eventually, status};
use helm_operator::api::Reason;
use serde_json::{Value, json};

#[test]
fn what_is_not_there_is_told_with_what_is() -> Result<()> {
    story("references", async |story| {
        for version in ["1.0.0", "1.1.0", "2.0.0-rc.1"] {
            story.push(&charts::note("memo", version)).await?;
        }
        story.open_repository().await?;
        let chart = |chart: Value| json!({ "chart": chart });
        let cases = [
            ("no-tag", "memo", "1.2.0", json!({}), Reason::TagNotFound, &["1.2.0", "1.1.0"][..]),
            ("no-match", "memo", "^3", json!({}), Reason::NoMatchingVersion, &["^3", "1.1.0"]),
            ("no-chart", "momo", "1.0.0", json!({}), Reason::RepositoryNotFound, &["momo"]),
            (
                "no-repository",
                "memo",
                "1.0.0",
                chart(json!({ "repository": { "name": "nowhere" } })),
                Reason::HelmRepositoryNotFound,
                &["nowhere"],
            ),
            (
                "moved",
                "memo",
                "1.0.0",
                chart(json!({ "digest": format!("sha256:{}", "0".repeat(64)) })),
                Reason::DigestMismatch,
                &["sha256:"],
            ),
            (
                "no-namespace",
                "memo",
                "1.0.0",
                json!({ "release": { "namespace": "not-made-by-anyone" } }),
                Reason::NamespaceNotFound,
                &["not-made-by-anyone"],
            ),
        ];
        for (name, chart, version, spec, ..) in &cases {
            story.release(name, chart, version, spec.clone()).await?;
        }
        for (name, .., reason, words) in &cases {
            story.refused(name, *reason, words).await?;
        }
        // A tag that comes later is found without a change of the release.
        story.push(&charts::note("memo", "1.2.0")).await?;
        story.ready("no-tag").await?;
        Ok(())
    })
}

#[test]
fn a_repository_that_cannot_be_used_says_why() -> Result<()> {
    story("repositories", async |story| {
        let host = registry().await?.host();
        let secret = |name: &str| json!({ "basic": { "secretRef": { "name": name } } });
        let cases = [
            ("old-style", json!({ "url": "https://charts.example.com" }), Reason::UnsupportedRepositoryType),
            ("no-secret", json!({ "url": format!("oci://{host}"), "auth": secret("nowhere") }), Reason::SecretNotFound),
            ("empty-secret", json!({ "url": format!("oci://{host}"), "auth": secret("empty") }), Reason::SecretInvalid),
            ("plain", json!({ "url": format!("oci://{host}") }), Reason::PlainHttp),
            ("no-host", json!({ "url": "oci://registry.invalid/charts" }), Reason::DnsFailed),
        ];
        story.kubectl.run(&["create", "secret", "generic", "empty", "--namespace", &story.namespace]).await?;
        for (name, spec, _) in &cases {
            let repository = json!({
                "apiVersion": "helm-operator.ketches.cn/v1alpha1",
                "kind": "HelmRepository",
                "metadata": { "name": name },
                "spec": spec,
            });
            story.apply(&repository.to_string()).await?;
        }
        for (name, _, reason) in &cases {
            let told = |repository: &_| status::failed(repository, *reason);
            eventually::object(&story.repositories(), name, SOON, told).await?;
        }
        Ok(())
    })
}
