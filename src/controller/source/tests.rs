use std::sync::Arc;

use serde_json::{Value, json};

use super::*;
use crate::controller::index::Index;
use crate::controller::matching::Wanted;
use crate::registry::{Access, Registry, Settings, VersionRequest};

/// The source of a release of namespace `apps` at `oci://127.0.0.1:1/charts/web`, among these repositories.
fn source(repositories: &[(&str, Value)]) -> Source {
    let mut index = Index::default();
    for (name, spec) in repositories {
        let key = Key::parse(name).expect("a key");
        let mut object = json!({
            "apiVersion": "helm-operator.ketches.cn/v1alpha1",
            "kind": "HelmRepository",
            "metadata": { "name": key.name, "namespace": key.namespace },
            "spec": { "url": "oci://127.0.0.1:1/charts" },
        });
        for (field, value) in spec.as_object().expect("a spec") {
            object["spec"][field] = value.clone();
        }
        index.repository_changed(&key, Some(Arc::new(serde_json::from_value(object).expect("a repository"))));
    }
    index.namespaces_listed(&std::collections::BTreeMap::new());
    let release = json!({
        "apiVersion": "helm-operator.ketches.cn/v1alpha1",
        "kind": "HelmRelease",
        "metadata": { "name": "web", "namespace": "apps" },
        "spec": { "chart": { "name": "web", "ociRepository": "oci://127.0.0.1:1/charts/web" } },
    });
    let wanted = Wanted::of(&serde_json::from_value(release).expect("a release")).expect("a place");
    Source::new("apps".to_owned(), index.choose(&wanted).expect("a choice"))
}

/// A real attempt, of a real failure: nothing listens on port 1.
async fn attempt() -> registry::Attempt {
    let folder = tempfile::tempdir().expect("a folder");
    let settings = Settings::new(folder.path(), 1 << 20, 1 << 20);
    drop(rustls::crypto::ring::default_provider().install_default());
    let chart: ChartReference = ChartReference::parse("oci://127.0.0.1:1/charts/web").expect("a reference");
    let access = Access { timeout: std::time::Duration::from_secs(10), ..Access::default() };
    let failed =
        Registry::new(&settings).resolve(&chart, &VersionRequest::Newest, &access, std::time::Duration::ZERO).await;
    match failed.expect_err("nothing listens") {
        registry::Error::Connect { attempt, .. } => attempt,
        other => panic!("not the failure to connect: {other}"),
    }
}

/// The repositories, what failed, the reason, words that the message has and words that it has not.
type Case = (Vec<(&'static str, Value)>, registry::Error, Reason, &'static [&'static str], &'static [&'static str]);

#[tokio::test]
#[expect(clippy::too_many_lines, reason = "one flat table")]
async fn what_to_do_names_the_repository_or_that_there_is_none() {
    let attempt = attempt().await;
    let detail = registry::Detail::default;
    let unauthorized = |anonymous| {
        let why = if anonymous { registry::Denial::NoCredentials } else { registry::Denial::Refused };
        registry::Error::Unauthorized { attempt: attempt.clone(), anonymous, why, detail: detail() }
    };
    let plain = || registry::Error::PlainHttp { attempt: attempt.clone(), server_is_plain: true };
    let unknown_ca = || registry::Error::TlsUnknownCa { attempt: attempt.clone(), host: "127.0.0.1:1".to_owned() };
    let missing = || registry::Error::RepositoryNotFound { attempt: attempt.clone(), detail: detail() };
    let login = || json!({ "auth": { "basic": { "secretRef": { "name": "login" } } } });
    let closed = || json!({ "accessFrom": { "namespaceSelectors": [] } });
    let cases: Vec<Case> = vec![
        (
            vec![],
            unauthorized(true),
            Reason::AuthenticationFailed,
            &["no HelmRepository that namespace apps may use covers oci://127.0.0.1:1/charts/web", "create one"],
            &["platform"],
        ),
        (
            vec![("platform/shared", closed())],
            unauthorized(true),
            Reason::AuthenticationFailed,
            &[
                "no HelmRepository",
                "HelmRepository platform/shared covers it, but its spec.accessFrom does not select namespace apps",
            ],
            &[],
        ),
        (
            vec![("apps/r", json!({}))],
            unauthorized(true),
            Reason::AuthenticationFailed,
            &["HelmRepository apps/r", "no credentials"],
            &[],
        ),
        (
            vec![("apps/r", login())],
            unauthorized(false),
            Reason::AuthenticationFailed,
            &["Secret login of HelmRepository apps/r", "correct or renew"],
            &["same url"],
        ),
        (
            vec![("apps/r", login())],
            unauthorized(true),
            Reason::AuthenticationFailed,
            &["Secret login", "no entry for \"127.0.0.1:1\""],
            &[],
        ),
        (
            vec![("apps/r", login()), ("apps/s", json!({}))],
            unauthorized(false),
            Reason::AuthenticationFailed,
            &["HelmRepository apps/s has the same url"],
            &[],
        ),
        (vec![], plain(), Reason::PlainHttp, &["create one there with url oci://127.0.0.1:1 and insecure: true"], &[]),
        (
            vec![("apps/r", json!({}))],
            plain(),
            Reason::PlainHttp,
            &["set insecure: true in HelmRepository apps/r"],
            &[],
        ),
        (
            vec![("platform/r", json!({ "insecure": true }))],
            plain(),
            Reason::AccessDenied,
            &["HelmRepository platform/r sets insecure", "spec.accessFrom", "namespace apps"],
            &[],
        ),
        (
            vec![("platform/r", json!({ "auth": { "tls": { "insecureSkipVerify": true } } }))],
            unknown_ca(),
            Reason::AccessDenied,
            &["sets auth.tls.insecureSkipVerify", "spec.accessFrom"],
            &[],
        ),
        (
            vec![("platform/r", json!({ "auth": { "tls": { "secretRef": { "name": "ca" } } } }))],
            unknown_ca(),
            Reason::AccessDenied,
            &["sets auth.tls.secretRef", "spec.accessFrom"],
            &[],
        ),
        (
            vec![("platform/r", json!({}))],
            unknown_ca(),
            Reason::CertificateUnknownAuthority,
            &["ca.crt", "HelmRepository platform/r"],
            &[],
        ),
        (
            vec![("apps/r", json!({}))],
            missing(),
            Reason::RepositoryNotFound,
            &["asked with the access of HelmRepository apps/r"],
            &[],
        ),
        (vec![], missing(), Reason::RepositoryNotFound, &["no such repository"], &["HelmRepository"]),
    ];
    for (repositories, error, reason, words, without) in cases {
        let error = source(&repositories).explain(&error);
        assert_eq!(error.reason, reason, "{repositories:?}: {}", error.message);
        assert!(error.message.starts_with("failed to "), "{}", error.message);
        for word in words {
            assert!(error.message.contains(word), "{repositories:?} lacks {word:?}: {}", error.message);
        }
        for word in without {
            assert!(!error.message.contains(word), "{repositories:?} has {word:?}: {}", error.message);
        }
    }
}
