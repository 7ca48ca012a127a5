//! How registries refuse, in their own words: what has to be renewed is told from what has to be granted.

use std::collections::BTreeMap;

use anyhow::Result;
use e2e::faults::{Reply, Server as Script};
use e2e::registry::User;
use helm_operator::registry::{Access, Credentials, Denial, Error};

use super::{Operator, plain, refusal, with};

const JSON: (&str, &str) = ("content-type", "application/json");

/// Which server refuses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Who {
    TokenServer,
    Registry,
}

/// What the person has to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Act {
    Renew,
    Grant,
}

fn user() -> User {
    User::new("robot$x", "hunter2")
}

async fn refused_by(who: Who, status: u16, body: &'static str, access: &Access) -> Result<Error> {
    let refusing = Script::start(None, move |seen| {
        if seen.path.starts_with("/token") {
            return match who {
                Who::TokenServer => Reply::new(status, &[JSON], body),
                Who::Registry => Reply::new(200, &[JSON], r#"{"token":"t"}"#),
            };
        }
        if seen.authorization().is_some() {
            return Reply::new(status, &[JSON], body);
        }
        let challenge = format!("Bearer realm=\"http://{}/token\",service=\"s\"", seen.host());
        Reply::new(401, &[("www-authenticate", &challenge)], "")
    })
    .await?;
    let url = format!("oci://{}/team/c", refusing.host());
    Ok(refusal(Operator::new()?.resolve(&url, "1.0.0", access).await, &["hunter2"]))
}

/// Which registry, who of it refuses, with what status and words; and what has to be done.
const REFUSALS: &[(&str, Who, u16, &str, Act)] = &[
    ("GHCR", Who::TokenServer, 403, r#"{"errors":[{"code":"DENIED","message":"denied"}]}"#, Act::Renew),
    (
        "GHCR",
        Who::TokenServer,
        403,
        r#"{"errors":[{"code":"DENIED","message":"permission_denied: The token provided does not match expected scopes."}]}"#,
        Act::Grant,
    ),
    (
        "ECR",
        Who::Registry,
        403,
        r#"{"errors":[{"code":"DENIED","message":"Your authorization token has expired. Reauthenticate and try again."}]}"#,
        Act::Renew,
    ),
    (
        "ECR",
        Who::Registry,
        403,
        r#"{"errors":[{"code":"DENIED","message":"User: arn:aws:iam::1:user/x is not authorized to perform: ecr:BatchGetImage on resource: arn:aws:ecr:eu-west-1:1:repository/c because no identity-based policy allows it"}]}"#,
        Act::Grant,
    ),
    (
        "Artifact Registry",
        Who::TokenServer,
        403,
        r#"{"errors":[{"code":"DENIED","message":"Permission \"artifactregistry.repositories.downloadArtifacts\" denied on resource \"projects/p/locations/l/repositories/r\" (or it may not exist)"}]}"#,
        Act::Grant,
    ),
    (
        "Artifact Registry",
        Who::TokenServer,
        403,
        r#"{"errors":[{"code":"DENIED","message":"Unauthenticated request. Unauthenticated requests do not have permission \"artifactregistry.repositories.downloadArtifacts\" on resource \"projects/p\" (or it may not exist)"}]}"#,
        Act::Renew,
    ),
    ("Docker Hub", Who::TokenServer, 401, r#"{"details":"incorrect username or password"}"#, Act::Renew),
    (
        "Docker Hub",
        Who::Registry,
        403,
        r#"{"errors":[{"code":"DENIED","message":"requested access to the resource is denied"}]}"#,
        Act::Grant,
    ),
    ("Harbor", Who::TokenServer, 401, r#"{"errors":[{"code":"UNAUTHORIZED","message":"unauthorized"}]}"#, Act::Renew),
    (
        "Harbor",
        Who::Registry,
        403,
        r#"{"errors":[{"code":"DENIED","message":"requested access to the resource is denied: user has no permission to pull"}]}"#,
        Act::Grant,
    ),
    (
        "Quay",
        Who::TokenServer,
        401,
        r#"{"errors":[{"code":"UNAUTHORIZED","message":"Invalid Username or Password"}]}"#,
        Act::Renew,
    ),
    ("GitLab", Who::TokenServer, 403, r#"{"errors":[{"code":"DENIED","message":"access forbidden"}]}"#, Act::Grant),
    (
        "GitLab",
        Who::TokenServer,
        401,
        r#"{"errors":[{"code":"UNAUTHORIZED","message":"HTTP Basic: Access denied. If a password was provided for Git authentication, the password was incorrect"}]}"#,
        Act::Renew,
    ),
    (
        "ACR",
        Who::TokenServer,
        401,
        r#"{"errors":[{"code":"UNAUTHORIZED","message":"authentication required, visit https://aka.ms/acr/authorization for more information."}]}"#,
        Act::Renew,
    ),
    (
        "ACR",
        Who::TokenServer,
        400,
        r#"{"error":"invalid_grant","error_description":"AADSTS700082: The refresh token has expired due to inactivity."}"#,
        Act::Renew,
    ),
];

#[tokio::test]
async fn what_has_expired_is_told_from_what_is_not_granted() -> Result<()> {
    use Act::{Grant, Renew};
    let access = with(plain(), &user());
    for &(registry, who, status, body, act) in REFUSALS {
        let error = refused_by(who, status, body, &access).await?;
        let told = match &error {
            Error::Unauthorized { anonymous: false, .. } => Renew,
            Error::Forbidden { anonymous: false, .. } => Grant,
            error => panic!("{registry} {body}: {error}"),
        };
        assert_eq!(told, act, "{registry} {body}: {error}");
        let word = if act == Renew { "renew" } else { "grant" };
        assert!(error.to_string().contains(word), "{error}");
    }
    Ok(())
}

#[tokio::test]
async fn what_is_wrong_with_the_credentials_is_told() -> Result<()> {
    let body = r#"{"errors":[{"code":"UNAUTHORIZED","message":"authentication required"}]}"#;
    let config = r#"{"auths":{"ghcr.io":{"auth":"dTpodW50ZXIy"},"quay.io":{"auth":"dTpodW50ZXIy"}}}"#;
    let data = BTreeMap::from([(".dockerconfigjson".to_owned(), config.as_bytes().to_vec())]);
    let cases = [
        (plain(), "none are given"),
        (Access { docker_hosts: Credentials::docker_hosts(&data), ..plain() }, "only for ghcr.io, quay.io"),
        (with(plain(), &User::new("u", "hunter2")), "correct or renew"),
        (with(plain(), &User::new("u", "hunter2\n")), "the password ends with a line break"),
        (with(plain(), &User::new("u", "hunter2\r\n")), "the password ends with a line break"),
    ];
    for (access, words) in cases {
        let error = refused_by(Who::TokenServer, 401, body, &access).await?;
        assert!(error.to_string().contains(words), "{error}");
    }
    let error = refused_by(Who::TokenServer, 401, body, &with(plain(), &user())).await?;
    assert!(matches!(error, Error::Unauthorized { why: Denial::Refused, .. }), "{error}");
    Ok(())
}

#[tokio::test]
async fn a_token_is_taken_in_every_shape_that_servers_send() -> Result<()> {
    let shapes = [
        r#"{"token":"T"}"#,
        r#"{"access_token":"T"}"#,
        r#"{"token":"","access_token":"T"}"#,
        r#"{"token":null,"access_token":"T","expires_in":null}"#,
        r#"{"token":"T","access_token":"","expires_in":300}"#,
        r#"{"token":"T","expires_in":300.0,"issued_at":"2026-01-01T00:00:00Z"}"#,
        r#"{"token":"T","expires_in":"300"}"#,
        r#"{"token":"T","expires_in":1e99}"#,
        r#"{"token":"T","expires_in":-1}"#,
    ];
    for shape in shapes {
        let registry = Script::start(None, move |seen| {
            if seen.path.starts_with("/token") {
                return Reply::new(200, &[JSON], shape);
            }
            if seen.authorization() == Some("Bearer T") {
                return Reply::new(200, &[JSON], r#"{"tags":["1.0.0"]}"#);
            }
            let challenge = format!("Bearer realm=\"http://{}/token\",service=\"s\"", seen.host());
            Reply::new(401, &[("www-authenticate", &challenge)], "")
        })
        .await?;
        let tags = Operator::new()?.tags(&format!("oci://{}/c", registry.host()), &plain()).await;
        assert!(tags.is_ok(), "{shape}: {tags:?}");
    }
    Ok(())
}

#[tokio::test]
async fn a_blob_may_lie_behind_https_on_the_host_of_a_plain_registry() -> Result<()> {
    let authority = e2e::certificates::Authority::new("test")?;
    let real = e2e::registry::Registry::start(e2e::registry::Face::anonymous()).await?;
    super::push(&real, "", ("podinfo", "1.0.0"), None).await?;
    let upstream = format!("http://{}", real.host());
    let identity = authority.server(&["127.0.0.1"])?;
    let storage = Script::start(Some(&identity), move |_| Reply::Forward(upstream.clone())).await?;
    let to = storage.host();
    let front = Script::before(&real.host(), move |seen| {
        let location = format!("https://{to}{}", seen.path);
        seen.path.contains("/blobs/").then(|| Reply::new(307, &[("location", &location)], ""))
    })
    .await?;
    let access = Access { ca_pem: Some(authority.certificate().into()), ..plain() };
    Operator::new()?.pull(&format!("oci://{}/podinfo", front.host()), "1.0.0", &access).await?;
    assert_eq!(storage.seen().len(), 1);
    Ok(())
}
