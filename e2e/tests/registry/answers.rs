//! Answers that no healthy registry gives, and what lies between it and us: each must become its own error, soon,
//! without a credential where it does not belong.

use std::time::{Duration, Instant};

use anyhow::Result;
use e2e::certificates::{Authority, Identity};
use e2e::faults::{Reply, Seen, Server as Script, response};
use e2e::registry::{Face, Registry as Server, User};
use helm_operator::registry::{Access, Credentials, Error, Mismatch};

use super::{Operator, plain, push, refusal, with};

const JSON: (&str, &str) = ("content-type", "application/json");
const HTML: (&str, &str) = ("content-type", "text/html; charset=utf-8");

fn user() -> User {
    User::new("robot$x", "hunter2")
}

/// A registry with one chart, and a script before it.
async fn before(script: impl Fn(&Seen) -> Option<Reply> + Send + Sync + 'static) -> Result<(Server, Script, String)> {
    let server = Server::start(Face::anonymous()).await?;
    push(&server, "", ("podinfo", "1.0.0"), None).await?;
    let script = Script::before(&server.host(), script).await?;
    let url = format!("oci://{}/podinfo", script.host());
    Ok((server, script, url))
}

fn tags(list: &[&str], link: Option<&str>) -> Reply {
    let body = serde_json::json!({ "name": "c", "tags": list }).to_string();
    match link {
        Some(link) => Reply::new(200, &[JSON, ("link", &format!("<{link}>; rel=\"next\""))], body),
        None => Reply::new(200, &[JSON], body),
    }
}

#[tokio::test]
async fn web_pages_are_no_registry() -> Result<()> {
    let operator = Operator::new()?;
    for status in [200, 404, 403, 400] {
        let page = Script::start(None, move |_| Reply::new(status, &[HTML], "<html>Welcome</html>")).await?;
        let url = format!("oci://{}/c", page.host());
        for error in [
            refusal(operator.tags(&url, &plain()).await, &[]),
            refusal(operator.resolve(&url, "1.0.0", &plain()).await, &[]),
        ] {
            match (status, &error) {
                (403, Error::Forbidden { .. }) | (_, Error::Unexpected { .. }) => {}
                _ => panic!("{status}: {error}"),
            }
            assert!(!error.to_string().contains("<html>"), "{error}");
        }
    }
    let nothing = Script::start(None, |_| Reply::new(404, &[], "")).await?;
    let error = refusal(operator.probe(&format!("oci://{}", nothing.host()), &plain()).await, &[]);
    assert!(matches!(error, Error::Unexpected { .. }), "{error}");
    Ok(())
}

#[tokio::test]
async fn a_login_page_behind_a_redirect_is_named_by_its_host() -> Result<()> {
    let operator = Operator::new()?;
    let login = Script::start(None, |_| Reply::new(200, &[HTML], "<html>Sign in</html>")).await?;
    let to = format!("http://{}/login", login.host());
    let proxy = Script::start(None, move |_| Reply::new(302, &[("location", &to)], "")).await?;
    let access = with(plain(), &user());
    let error = refusal(operator.tags(&format!("oci://{}/c", proxy.host()), &access).await, &["hunter2"]);
    assert!(matches!(&error, Error::Unexpected { host, .. } if *host == login.host()), "{error}");
    assert_eq!(login.seen()[0].authorization(), None);
    Ok(())
}

#[tokio::test]
async fn a_blob_on_another_host_is_fetched_without_authorization() -> Result<()> {
    let real = Server::start(Face::basic(vec![user()])).await?;
    push(&real, "", ("podinfo", "1.0.0"), Some(&user())).await?;
    // The storage: the blobs of the real registry, for everybody.
    let data = real.data();
    let storage = Script::start(None, move |seen| {
        let digest = seen.path.split("sha256:").nth(1).unwrap_or_default().split('?').next().unwrap_or_default();
        let path = data.join(format!("docker/registry/v2/blobs/sha256/{}/{digest}/data", &digest[..2]));
        Reply::new(200, &[], std::fs::read(path).expect("a blob"))
    })
    .await?;
    let elsewhere = format!("http://localhost:{}", storage.port());
    let front = Script::before(&real.host(), move |seen| {
        let location = format!("{elsewhere}{}?X-Amz-Signature=secret-signature", seen.path);
        seen.path.contains("/blobs/").then(|| Reply::new(307, &[("location", &location)], ""))
    })
    .await?;
    let operator = Operator::new()?;
    let url = format!("oci://{}/podinfo", front.host());
    operator.pull(&url, "", &with(plain(), &user())).await?;
    assert_eq!(storage.seen().len(), 1);
    assert_eq!(storage.seen()[0].authorization(), None);
    assert_eq!(storage.seen()[0].host(), format!("localhost:{}", storage.port()));
    assert!(
        front.seen().iter().filter(|seen| seen.path.contains("/blobs/")).all(|seen| seen.authorization().is_some())
    );
    Ok(())
}

#[tokio::test]
async fn another_host_that_asks_for_credentials_gets_none() -> Result<()> {
    let operator = Operator::new()?;
    let thief = Script::start(None, |_| Reply::new(401, &[("www-authenticate", "Basic realm=\"x\"")], "")).await?;
    let to = format!("http://{}/v2/c/tags/list", thief.host());
    let proxy = Script::start(None, move |_| Reply::new(307, &[("location", &to)], "")).await?;
    let error =
        refusal(operator.tags(&format!("oci://{}/c", proxy.host()), &with(plain(), &user())).await, &["hunter2"]);
    assert!(matches!(error, Error::Redirect { .. }), "{error}");
    assert!(thief.seen().iter().all(|seen| seen.authorization().is_none()));
    // Neither does one that the pages of a list lead to.
    let next = format!("http://{}/v2/c/tags/list?last=x", thief.host());
    let lister = Script::start(None, move |_| tags(&["1.0.0"], Some(&next))).await?;
    let asked = thief.seen().len();
    let error = refusal(operator.tags(&format!("oci://{}/c", lister.host()), &with(plain(), &user())).await, &[]);
    assert!(matches!(error, Error::Redirect { .. }), "{error}");
    assert_eq!(thief.seen().len(), asked);
    Ok(())
}

/// A certificate as `openssl req -x509` makes it: self-signed, and an authority by default.
fn self_signed(name: &str) -> Result<Identity> {
    let key = rcgen::KeyPair::generate()?;
    let mut parameters = rcgen::CertificateParams::new(vec![name.to_owned()])?;
    parameters.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    Ok(Identity { certificate: parameters.self_signed(&key)?.pem(), key: key.serialize_pem() })
}

#[tokio::test]
async fn a_self_signed_certificate_is_trusted_when_it_is_the_given_one() -> Result<()> {
    let operator = Operator::new()?;
    let [right, other, misnamed] = ["127.0.0.1", "127.0.0.1", "registry.example.com"].map(self_signed);
    let (right, other, misnamed) = (right?, other?, misnamed?);
    let access = |given: &Identity| Access {
        plain_http: false,
        ca_pem: Some(given.certificate.clone().into_bytes()),
        ..plain()
    };
    let server = Script::start(Some(&right), |_| Reply::new(200, &[JSON], "{}")).await?;
    let url = format!("oci://{}", server.host());
    operator.probe(&url, &access(&right)).await?;
    let error = refusal(operator.probe(&url, &access(&other)).await, &[]);
    assert!(matches!(error, Error::Tls { .. }), "{error}");
    assert!(error.to_string().contains("give exactly it as ca.crt"), "{error}");
    let server = Script::start(Some(&misnamed), |_| Reply::new(200, &[JSON], "{}")).await?;
    let error = refusal(operator.probe(&format!("oci://{}", server.host()), &access(&misnamed)).await, &[]);
    assert!(matches!(error, Error::TlsWrongName { .. }), "{error}");
    Ok(())
}

/// The proxy is the environment's, so the asking half runs as a process of its own.
#[tokio::test]
async fn a_proxy_of_the_environment_is_used_and_its_refusal_told() -> Result<()> {
    const ASKING: &str = "E2E_ASK_THROUGH_PROXY";
    if std::env::var_os(ASKING).is_some() {
        let https = Access { plain_http: false, ..plain() };
        let error = refusal(Operator::new()?.probe("oci://registry.example.com", &https).await, &["hunter2"]);
        assert!(matches!(error, Error::Proxy { .. }), "{error}");
        return Ok(());
    }
    let proxy = Script::start(None, |_| Reply::new(403, &[], "")).await?;
    let output = tokio::process::Command::new(std::env::current_exe()?)
        .args(["--exact", "answers::a_proxy_of_the_environment_is_used_and_its_refusal_told"])
        .env(ASKING, "1")
        .env("HTTPS_PROXY", format!("http://user:hunter2@{}", proxy.host()))
        .env_remove("NO_PROXY")
        .env_remove("no_proxy")
        .output()
        .await?;
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    assert_eq!(proxy.seen()[0].method, http::Method::CONNECT);
    Ok(())
}

#[tokio::test]
async fn https_never_goes_on_over_plain_http() -> Result<()> {
    let operator = Operator::new()?;
    let plain_server = Script::start(None, |_| Reply::new(200, &[JSON], "{\"token\":\"t\"}")).await?;
    let (realm, target) =
        (format!("http://{}/token", plain_server.host()), format!("http://{}/x", plain_server.host()));
    let authority = Authority::new("test")?;
    let identity = authority.server(&["127.0.0.1"])?;
    let challenge = format!("Bearer realm=\"{realm}\",service=\"s\"");
    let https = Script::start(Some(&identity), move |seen| match seen.path.as_str() {
        path if path.contains("/redirect/") => Reply::new(307, &[("location", &target)], ""),
        _ => Reply::new(401, &[("www-authenticate", &challenge)], ""),
    })
    .await?;
    let access = Access { plain_http: false, ca_pem: Some(authority.certificate().into()), ..plain() };
    for (name, access) in
        [("redirect/c", access.clone()), ("token/c", access.clone()), ("token/c", with(access, &user()))]
    {
        let error = refusal(operator.tags(&format!("oci://{}/{name}", https.host()), &access).await, &["hunter2"]);
        assert!(matches!(error, Error::Redirect { .. }), "{name}: {error}");
    }
    assert_eq!(plain_server.seen().len(), 0);
    Ok(())
}

#[tokio::test]
async fn a_realm_on_another_host_gets_the_credentials_and_the_registry_the_token() -> Result<()> {
    let operator = Operator::new()?;
    let realm = Script::start(None, |_| Reply::new(200, &[JSON], "{\"access_token\":\"the-token\"}")).await?;
    let challenge = format!("Bearer realm=\"http://localhost:{}/token?x=1\",service=\"my registry\"", realm.port());
    let registry = Script::start(None, move |seen| match seen.authorization() {
        Some("Bearer the-token") => tags(&["1.0.0"], None),
        _ => Reply::new(401, &[("www-authenticate", "Basic realm=\"old\""), ("www-authenticate", &challenge)], ""),
    })
    .await?;
    operator.tags(&format!("oci://{}/team/c", registry.host()), &with(plain(), &user())).await?;
    let asked = &realm.seen()[0];
    assert_eq!(asked.path, "/token?x=1&service=my+registry&scope=repository%3Ateam%2Fc%3Apull");
    assert_eq!(asked.authorization(), Some("Basic cm9ib3QkeDpodW50ZXIy"));
    assert!(registry.seen().iter().all(|seen| seen.authorization().is_none_or(|value| value.starts_with("Bearer"))));
    Ok(())
}

#[tokio::test]
async fn an_identity_token_is_exchanged_at_the_realm_and_goes_nowhere_else() -> Result<()> {
    let operator = Operator::new()?;
    let realm = Script::start(None, |seen| match seen.path.as_str() {
        "/away" => Reply::new(307, &[("location", "http://localhost:1/elsewhere")], ""),
        _ => Reply::new(200, &[JSON], "{\"access_token\":\"the-token\",\"expires_in\":600}"),
    })
    .await?;
    let realm_host = realm.host();
    let registry = Script::start(None, move |seen| {
        if seen.authorization() == Some("Bearer the-token") {
            return tags(&["1.0.0"], None);
        }
        let path = if seen.path.contains("away") { "away" } else { "token" };
        let challenge = format!("Bearer realm=\"http://{realm_host}/{path}\",service=\"acr\"");
        Reply::new(401, &[("www-authenticate", &challenge)], "")
    })
    .await?;
    let config = format!("{{\"auths\":{{\"{}\":{{\"identitytoken\":\"hunter2&\"}}}}}}", registry.host());
    let secret = std::collections::BTreeMap::from([(".dockerconfigjson".to_owned(), config.into_bytes())]);
    let credentials = Credentials::from_secret("kubernetes.io/dockerconfigjson", &secret, &registry.host(), "c")?;
    let access = Access { credentials, ..plain() };
    operator.tags(&format!("oci://{}/c", registry.host()), &access).await?;
    let asked = &realm.seen()[0];
    assert_eq!((&asked.method, asked.authorization()), (&http::Method::POST, None));
    let form = "service=acr&scope=repository%3Ac%3Apull&grant_type=refresh_token&client_id=helm-operator&refresh_token=hunter2%26";
    assert_eq!(asked.body, form);
    let error = refusal(operator.tags(&format!("oci://{}/away", registry.host()), &access).await, &["hunter2"]);
    assert!(matches!(&error, Error::Redirect { to, .. } if to == "http://localhost:1"), "{error}");
    Ok(())
}

#[tokio::test]
async fn a_server_that_hangs_costs_the_timeout_and_no_more() -> Result<()> {
    let operator = Operator::new()?;
    let (_server, _script, url) = before(|seen| seen.path.contains("/blobs/").then_some(Reply::Hang)).await?;
    let access = Access { timeout: Duration::from_millis(300), ..plain() };
    let begun = Instant::now();
    let error = refusal(operator.pull(&url, "", &access).await, &[]);
    assert!(matches!(error, Error::Timeout { .. }), "{error}");
    assert!(begun.elapsed() < Duration::from_secs(5));
    Ok(())
}

#[tokio::test]
async fn damaged_and_cut_content_is_never_taken() -> Result<()> {
    let operator = Operator::new()?;
    let (real, _cut, url) = before(|seen| {
        let cut = || Reply::Cut(response(200, &[], vec![0; 1000]), 10);
        seen.path.contains("/blobs/").then(cut)
    })
    .await?;
    let error = refusal(operator.pull(&url, "", &plain()).await, &[]);
    assert!(matches!(error, Error::Interrupted { .. }), "{error}");

    for part in ["/blobs/", "/manifests/"] {
        let upstream = format!("http://{}", real.host());
        let damaged = Script::before(&real.host(), move |seen| {
            let damage = |mut body: Vec<u8>| {
                body[20] ^= 1;
                body
            };
            let concerned = seen.method == http::Method::GET && seen.path.contains(part);
            concerned.then(|| Reply::Rewrite(upstream.clone(), damage))
        })
        .await?;
        let operator = Operator::new()?;
        let error = refusal(operator.pull(&format!("oci://{}/podinfo", damaged.host()), "", &plain()).await, &[]);
        assert!(matches!(error, Error::DigestMismatch { kind: Mismatch::Content, .. }), "{part}: {error}");
    }
    // Nothing of the cut download stayed: the healthy registry gives the chart.
    operator.pull(&format!("{}/podinfo", real.url()), "", &plain()).await?;
    Ok(())
}

#[tokio::test]
async fn connections_that_fail_are_told_apart() -> Result<()> {
    let operator = Operator::new()?;
    let closing = Script::start(None, |_| Reply::Close).await?;
    let error = refusal(operator.probe(&format!("oci://{}", closing.host()), &plain()).await, &[]);
    assert!(matches!(error, Error::Connect { .. } | Error::Interrupted { .. }), "{error}");
    let free = format!("oci://127.0.0.1:{}", e2e::ports::free()?);
    let error = refusal(operator.probe(&free, &plain()).await, &[]);
    assert!(matches!(&error, Error::Connect { .. }), "{error}");
    assert!(error.to_string().contains("refused"), "{error}");
    let error = refusal(operator.probe("oci://registry.invalid", &plain()).await, &[]);
    assert!(matches!(&error, Error::Dns { host, .. } if host == "registry.invalid"), "{error}");
    Ok(())
}

#[tokio::test]
async fn a_rate_limit_says_when_to_come_back() -> Result<()> {
    let operator = Operator::new()?;
    let envelope = r#"{"errors":[{"code":"TOOMANYREQUESTS","message":"pull rate limit"}]}"#;
    let date = ("date", "Wed, 21 Oct 2015 07:28:00 GMT");
    let cases = [
        (vec![("retry-after", "120")], Some(120)),
        (vec![], None),
        (vec![date, ("retry-after", "Wed, 21 Oct 2015 07:28:30 GMT")], Some(30)),
        (vec![("retry-after", "999999999")], Some(3600)),
    ];
    for (headers, expected) in cases {
        let limited = Script::start(None, move |_| Reply::new(429, &headers, envelope)).await?;
        let url = format!("oci://{}/c", limited.host());
        for error in [
            refusal(operator.tags(&url, &plain()).await, &[]),
            refusal(Operator::new()?.resolve(&url, "1.0.0", &plain()).await, &[]),
        ] {
            assert!(matches!(error, Error::RateLimited { .. }), "{error}");
            assert_eq!(error.retry_after(), expected.map(Duration::from_secs), "{error}");
        }
    }
    let down = Script::start(None, |_| Reply::new(503, &[("retry-after", "7")], "upstream down")).await?;
    let error = refusal(operator.tags(&format!("oci://{}/c", down.host()), &plain()).await, &[]);
    assert!(matches!(error, Error::ServerError { status: 503, .. }), "{error}");
    assert_eq!(error.retry_after(), Some(Duration::from_secs(7)));
    assert!(error.to_string().contains("upstream down"), "{error}");
    Ok(())
}

#[tokio::test]
async fn a_hundred_thousand_tags_come_in_pages() -> Result<()> {
    let operator = Operator::new()?;
    let listing = Script::start(None, |seen| {
        let url = reqwest::Url::parse(&format!("http://h{}", seen.path)).expect("an url");
        let last = url.query_pairs().find(|(key, _)| key == "last").and_then(|(_, last)| last.parse().ok());
        let first = last.map_or(0, |last: u32| last + 1);
        let page: Vec<String> = (first..first + 1000).map(|minor| format!("1.{minor}.0")).collect();
        let page: Vec<&str> = page.iter().map(String::as_str).collect();
        let next = format!("/v2/c/tags/list?n=1000&last={}", first + 999);
        tags(&page, (first < 99_000).then_some(next.as_str()))
    })
    .await?;
    let url = format!("oci://{}/c", listing.host());
    assert_eq!(operator.tags(&url, &plain()).await?.len(), 100_000);
    assert_eq!(listing.seen().len(), 100);
    Ok(())
}

#[tokio::test]
async fn answers_without_end_are_bounded() -> Result<()> {
    let operator = Operator::new()?;
    let endless = Script::start(None, |seen| tags(&["1.0.0"; 1000], Some(&format!("{}&x", seen.path)))).await?;
    let error = refusal(operator.tags(&format!("oci://{}/c", endless.host()), &plain()).await, &[]);
    assert!(matches!(error, Error::TooLarge { .. }), "{error}");

    let huge = |bytes: usize| Reply::new(200, &[JSON], vec![b' '; bytes]);
    let (_real, _script, url) = before(move |seen| match &seen.path {
        path if path.contains("/blobs/") => Some(huge(5 << 20)),
        _ => None,
    })
    .await?;
    let error = refusal(operator.pull(&url, "", &plain()).await, &[]);
    assert!(matches!(error, Error::TooLarge { limit: 4_194_304, .. }), "{error}");
    let (_real, _script, url) = before(move |seen| {
        let read = seen.method == http::Method::GET && seen.path.contains("/manifests/");
        read.then(|| huge(5 << 20))
    })
    .await?;
    let error = refusal(Operator::new()?.pull(&url, "", &plain()).await, &[]);
    assert!(matches!(error, Error::TooLarge { .. }), "{error}");
    Ok(())
}

#[tokio::test]
async fn a_registry_without_head_or_digest_header_is_read_by_get() -> Result<()> {
    let (real, _script, url) = before(|seen| {
        let head = seen.method == http::Method::HEAD;
        head.then(|| Reply::new(405, &[], ""))
    })
    .await?;
    let operator = Operator::new()?;
    let by_get = operator.resolve(&url, "1.0.0", &plain()).await?;
    let upstream = format!("{}/podinfo", real.url());
    let by_head = operator.resolve(&upstream, "1.0.0", &plain()).await?;
    assert_eq!(by_get.digest, by_head.digest);
    let error = refusal(operator.resolve(&url, "9.0.0", &plain()).await, &[]);
    assert!(matches!(error, Error::TagNotFound { .. }), "{error}");
    let (_real, _script, url) = before(|seen| {
        let head = seen.method == http::Method::HEAD;
        head.then(|| Reply::new(200, &[JSON], ""))
    })
    .await?;
    operator.pull(&url, "1.0.0", &plain()).await?;
    Ok(())
}

#[tokio::test]
async fn a_registry_that_echoes_the_credentials_does_not_make_them_known() -> Result<()> {
    let operator = Operator::new()?;
    let echo = Script::start(None, |seen| match seen.authorization() {
        None => Reply::new(401, &[("www-authenticate", "Basic realm=\"x\"")], ""),
        Some(value) => Reply::new(403, &[], format!("bad header {value} for hunter2")),
    })
    .await?;
    let url = format!("oci://{}/c", echo.host());
    let error = refusal(operator.tags(&url, &with(plain(), &user())).await, &["hunter2", "cm9ib3QkeDpodW50ZXIy"]);
    assert!(matches!(error, Error::Forbidden { .. }), "{error}");
    Ok(())
}
