//! The cache is shared by all, and is no way around a registry: who knows a digest has nothing.

use anyhow::Result;
use e2e::faults::{Reply, Server as Script};
use e2e::registry::{Face, Registry as Server, User};
use helm_operator::registry::{Access, ChartReference, Error};

use super::{Operator, plain, push, refusal, with};

/// What the attacker's registry knows of the private chart.
#[derive(Clone, Copy)]
enum Known {
    Digest,
    Manifest,
}

#[tokio::test]
async fn a_private_chart_is_not_had_through_a_registry_of_ones_own() -> Result<()> {
    let owner = User::new("owner", "hunter2");
    let private = Server::start(Face::basic(vec![owner.clone()])).await?;
    let digest = push(&private, "", ("podinfo", "1.0.0"), Some(&owner)).await?;
    let operator = Operator::new()?;
    let access = with(plain(), &owner);
    let url = format!("{}/podinfo", private.url());
    operator.pull(&url, "1.0.0", &access).await?;

    let hexadecimal = digest.trim_start_matches("sha256:");
    let path = format!("docker/registry/v2/blobs/sha256/{}/{hexadecimal}/data", &hexadecimal[..2]);
    let manifest = std::fs::read(private.data().join(path))?;
    for known in [Known::Digest, Known::Manifest] {
        let (digest, manifest) = (digest.clone(), manifest.clone());
        let own = Script::start(None, move |seen| {
            let named = [("docker-content-digest", digest.as_str())];
            if seen.method == http::Method::HEAD {
                return Reply::new(200, &named, "");
            }
            match (known, seen.path.contains("/manifests/")) {
                (Known::Digest, true) => Reply::new(200, &named, r#"{"schemaVersion":2}"#),
                (Known::Manifest, true) => Reply::new(200, &named, manifest.clone()),
                _ => Reply::new(404, &[], ""),
            }
        })
        .await?;
        // Twice: what the first try brought into the cache helps the second no more than it.
        for _ in 0..2 {
            for reference in ["podinfo".to_owned(), format!("podinfo@{}", private_digest(&private, &operator).await?)] {
                let url = format!("oci://{}/{reference}", own.host());
                let error = refusal(operator.pull(&url, "1.0.0", &plain()).await, &[]);
                assert!(matches!(error, Error::DigestMismatch { .. } | Error::DigestNotFound { .. }), "{error}");
            }
        }
        assert!(own.count("/manifests/") > 0);
    }

    // Nor by a record that names the digest, written by who cannot read the repository.
    let reference = ChartReference::parse(&url)?;
    let recorded = |access: &Access| {
        operator.registry.recorded(&reference, "1.0.0".to_owned(), digest.parse().expect("a digest"), access)
    };
    assert!(recorded(&access).is_proven(&access) && !recorded(&plain()).is_proven(&plain()));
    let error = refusal(operator.registry.pull(&recorded(&plain()), &plain()).await, &[]);
    assert!(matches!(error, Error::Unauthorized { .. }), "{error}");

    // Nor by the answer to another's question.
    let resolved = operator.resolve(&url, "1.0.0", &access).await?;
    let error = refusal(operator.registry.pull(&resolved, &plain()).await, &[]);
    assert!(matches!(error, Error::Unauthorized { .. }), "{error}");
    Ok(())
}

async fn private_digest(private: &Server, operator: &Operator) -> Result<String> {
    let access = with(plain(), &User::new("owner", "hunter2"));
    let resolved = operator.resolve(&format!("{}/podinfo", private.url()), "1.0.0", &access).await?;
    Ok(resolved.digest.to_string())
}

#[tokio::test]
async fn a_digest_that_only_a_header_claims_is_not_believed() -> Result<()> {
    let real = Server::start(Face::anonymous()).await?;
    let digest = push(&real, "", ("podinfo", "1.0.0"), None).await?;
    let claimed = format!("sha256:{}", "0".repeat(64));
    let front = Script::before(&real.host(), move |seen| {
        let head = seen.method == http::Method::HEAD && seen.path.contains("/manifests/");
        head.then(|| Reply::new(200, &[("docker-content-digest", &claimed)], ""))
    })
    .await?;
    let operator = Operator::new()?;
    let resolved = operator.resolve(&format!("oci://{}/podinfo", front.host()), "1.0.0", &plain()).await?;
    assert_eq!(resolved.digest.as_str(), digest, "the bytes say what they are");
    Ok(())
}
